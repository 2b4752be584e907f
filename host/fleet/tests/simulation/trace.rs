//! What was done last, for whoever must find out why it went wrong.

use std::collections::VecDeque;

use usher_fleet::units::Timestamp;

/// How many of the last steps a failure shows.
const SHOWN: usize = 20;

/// The last steps. Printed where a world ends in a panic.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    is_kept: bool,
    steps: VecDeque<String>,
}

impl Trace {
    /// Only a replay keeps the steps: writing each down costs more than making it.
    pub(crate) fn new(is_kept: bool) -> Trace {
        Trace {
            is_kept,
            steps: VecDeque::new(),
        }
    }

    pub(crate) fn note(&mut self, step: u64, now: Timestamp, what: impl FnOnce() -> String) {
        if !self.is_kept {
            return;
        }
        self.steps.push_back(format!("{step:>7} {:>15} {}", now.0, what()));
        while self.steps.len() > SHOWN {
            self.steps.pop_front();
        }
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        if self.is_kept && std::thread::panicking() {
            for step in &self.steps {
                eprintln!("{step}");
            }
        }
    }
}
