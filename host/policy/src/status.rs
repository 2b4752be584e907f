//! What `GET /v1/policies` shows: for each policy what is wanted, what serves, and what was counted.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use usher_fleet::Timestamp;
use usher_fleet::decision::DecisionPoint;

use crate::counters::{Counters, TallyStatus};
use crate::shelf::{Good, Quarantined};

/// One policy of the chain, in the chain's order, the built-in last.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyStatus {
    /// Its name: the file's without `.wasm`.
    pub name: String,
    /// Whether it is the host's own.
    pub built_in: bool,
    /// What the folder holds; none for the built-in.
    pub wanted: Option<WantedStatus>,
    /// What is asked; none while no version of it has ever passed the gates.
    pub serving: Option<ServingStatus>,
    /// The good version before the one that serves.
    pub previous: Option<VersionStatus>,
    /// Since when the version before the folder's serves by order, if it does.
    pub rolled_back_at: Option<Timestamp>,
    /// What is wrong, for the operator: with the file, or with what serves.
    pub problem: Option<String>,
    /// How much it has learned, in bytes; kept over restarts.
    pub learned_bytes: u64,
    /// Memory of its instances as they were last asked, in bytes.
    pub memory_bytes: u64,
    /// Counts since it was first seen, for each decision that it takes.
    pub place: Option<TallyStatus>,
    /// See [`place`](Self::place).
    pub scale_up: Option<TallyStatus>,
    /// See [`place`](Self::place).
    pub scale_down: Option<TallyStatus>,
}

/// The version that the folder holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedStatus {
    /// What it says its version is; none if it has never been started.
    pub version: Option<String>,
    /// The module's sha256, in hex; empty if it could not be read.
    pub sha256: String,
    /// The sha256 of its settings file, in hex; empty if it could not be read.
    pub settings_sha256: String,
    /// How far it has come.
    pub state: WantedState,
    /// The gate that it did not pass: `read`, `check`, `compile`, `settings`, `start`, `describe`, `configure`, `view`, `trial`.
    pub step: Option<&'static str>,
    /// Why, in words for its author.
    pub problem: Option<String>,
}

/// How far a wanted version has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WantedState {
    /// It is half-written, being compiled, or waits for the host.
    Waiting,
    /// It serves.
    Serving,
    /// It was refused; whatever served before still does.
    Refused,
    /// It has faulted too often: the good version before it serves, or where there is none, nothing.
    Quarantined,
    /// The version before it serves, by order, until the file or its settings change.
    RolledBack,
}

impl WantedState {
    /// Returns its stable word.
    pub fn word(self) -> &'static str {
        match self {
            WantedState::Waiting => "waiting",
            WantedState::Serving => "serving",
            WantedState::Refused => "refused",
            WantedState::Quarantined => "quarantined",
            WantedState::RolledBack => "rolled_back",
        }
    }
}

/// A version that could serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionStatus {
    /// What it says its version is.
    pub version: String,
    /// The module's sha256, in hex.
    pub sha256: String,
    /// The sha256 of its settings file, in hex.
    pub settings_sha256: String,
}

/// A decision that a version may not take any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantinedStatus {
    /// `place`, `scale_up` or `scale_down`.
    pub decision: &'static str,
    /// Why.
    pub why: String,
    /// Since when.
    pub at: Timestamp,
}

/// The version that is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServingStatus {
    /// What it says its version is.
    pub version: String,
    /// What it says it does.
    pub summary: String,
    /// The module's sha256, in hex; empty for the built-in.
    pub sha256: String,
    /// The sha256 of its settings file, in hex.
    pub settings_sha256: String,
    /// Since when it has served, restarts apart; none for the built-in.
    pub since: Option<Timestamp>,
    /// Which decisions it takes: `place`, `scale_up`, `scale_down`.
    pub decisions: Vec<&'static str>,
    /// Those that it may not take any more, after too many faults.
    pub quarantined: Vec<&'static str>,
    /// Why and since when.
    pub quarantines: Vec<QuarantinedStatus>,
    /// `next` or `wait`.
    pub on_fault: &'static str,
}

/// One policy as the loader knows it; its counts are read when somebody looks.
pub(crate) struct Posted {
    pub(crate) name: String,
    pub(crate) built_in: bool,
    pub(crate) wanted: Option<WantedStatus>,
    pub(crate) serving: Option<ServingStatus>,
    pub(crate) previous: Option<VersionStatus>,
    pub(crate) rolled_back_at: Option<Timestamp>,
    pub(crate) note: Option<String>,
    pub(crate) learned_bytes: u64,
    pub(crate) counters: Arc<Counters>,
}

/// Where the loader puts what others may read.
#[derive(Default)]
pub(crate) struct Board {
    posted: Mutex<Vec<Posted>>,
    has_decided: AtomicBool,
    compilations: AtomicU64,
}

impl Board {
    /// Replaces what is shown.
    pub(crate) fn post(&self, posted: Vec<Posted>) {
        *self.posted.lock().unwrap_or_else(PoisonError::into_inner) = posted;
    }

    /// Notes how often something was compiled.
    pub(crate) fn set_compilations(&self, compilations: u64) {
        self.compilations.store(compilations, Ordering::Relaxed);
    }

    /// Notes that every file has been decided upon once.
    pub(crate) fn set_decided(&self) {
        self.has_decided.store(true, Ordering::Release);
    }

    /// Returns whether every file has been decided upon once.
    pub(crate) fn has_decided(&self) -> bool {
        self.has_decided.load(Ordering::Acquire)
    }

    /// Returns how often something was compiled.
    pub(crate) fn compilations(&self) -> u64 {
        self.compilations.load(Ordering::Relaxed)
    }

    /// Returns what is shown, with the counts of this moment.
    pub(crate) fn status(&self) -> Vec<PolicyStatus> {
        let posted = self.posted.lock().unwrap_or_else(PoisonError::into_inner);
        posted.iter().map(Posted::status).collect()
    }
}

impl Posted {
    fn status(&self) -> PolicyStatus {
        let tally = |point: DecisionPoint| {
            let takes = self
                .serving
                .as_ref()
                .is_some_and(|serving| serving.decisions.contains(&point.word()));
            takes.then(|| self.counters.of(point).status())
        };
        let problem = self.wanted.as_ref().and_then(|wanted| wanted.problem.clone());
        let problems: Vec<String> = problem.into_iter().chain(self.note.clone()).collect();
        PolicyStatus {
            name: self.name.clone(),
            built_in: self.built_in,
            wanted: self.wanted.clone(),
            serving: self.serving.clone(),
            previous: self.previous.clone(),
            rolled_back_at: self.rolled_back_at,
            problem: (!problems.is_empty()).then(|| problems.join("; ")),
            learned_bytes: self.learned_bytes,
            memory_bytes: self.counters.memory_bytes(),
            place: tally(DecisionPoint::Place),
            scale_up: tally(DecisionPoint::ScaleUp),
            scale_down: tally(DecisionPoint::ScaleDown),
        }
    }
}

impl VersionStatus {
    pub(crate) fn of(good: &Good) -> VersionStatus {
        VersionStatus {
            version: good.named.clone(),
            sha256: good.version.wasm.to_string(),
            settings_sha256: good.version.settings.to_string(),
        }
    }
}

impl QuarantinedStatus {
    pub(crate) fn of(out: &Quarantined) -> QuarantinedStatus {
        QuarantinedStatus {
            decision: out.decision.word(),
            why: out.why.clone(),
            at: moment(out.at),
        }
    }
}

/// Returns a moment in the fleet's terms.
pub(crate) fn moment(at: jiff::Timestamp) -> Timestamp {
    Timestamp(u64::try_from(at.as_millisecond()).unwrap_or_default())
}
