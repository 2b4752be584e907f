//! The log of all requests, so that a test can count what was asked and what became of it.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::world::InstanceId;

/// The most calls that are kept; the oldest go first. Minutes of a busy test, and some 50 MB at most.
const CALLS_MAX: usize = 100_000;

/// A request and its outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Counts from 1.
    pub number: u64,
    /// When it came, by the fake's clock.
    pub at: Timestamp,
    /// What was asked for; empty if it did not say.
    pub action: String,
    /// Whose key it was signed with, if it was known.
    pub access_key_id: Option<String>,
    /// Its client token.
    pub client_token: Option<String>,
    /// Whether it only asked whether it would succeed.
    pub is_dry_run: bool,
    /// The launch template's version as written: a number, `$Latest`, `$Default`, or `$Default` where none was.
    pub template_version: Option<String>,
    /// The instances that it named, made or showed.
    pub instances: Vec<InstanceId>,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Whether it was done; a retry that finds its instances counts, too.
    pub is_done: bool,
    /// Whether an answer was sent.
    pub is_answered: bool,
    /// The error in the answer, or that the answer would have had.
    pub code: Option<String>,
    /// By how much the answer was late.
    pub late_seconds: f64,
}

/// The last calls.
#[derive(Debug, Default)]
pub(crate) struct CallLog {
    calls: VecDeque<Call>,
    numbered: u64,
}

impl CallLog {
    /// Keeps a call under the next number.
    pub(crate) fn keep(&mut self, call: Call) {
        if self.calls.len() >= CALLS_MAX {
            self.calls.pop_front();
        }
        self.numbered += 1;
        self.calls.push_back(Call {
            number: self.numbered,
            ..call
        });
    }

    /// Returns those kept, the oldest first.
    pub(crate) fn all(&self) -> Vec<Call> {
        self.calls.iter().cloned().collect()
    }
}
