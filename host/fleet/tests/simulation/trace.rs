//! What was done last, for whoever must find out why it went wrong.

use std::collections::VecDeque;

use usher_fleet::units::Timestamp;

/// How many of the last steps a failure shows, unless `USHER_SIM_TRACE` asks for more.
const SHOWN: usize = 20;

/// The last steps. Printed where a world ends in a panic.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    /// How many steps are kept: none but in a replay, for writing each down costs more than making it.
    kept: usize,
    steps: VecDeque<String>,
}

impl Trace {
    pub(crate) fn new(is_replay: bool) -> Trace {
        let asked = std::env::var("USHER_SIM_TRACE").ok();
        let shown = asked.and_then(|steps| steps.parse().ok()).unwrap_or(SHOWN);
        Trace {
            kept: if is_replay { shown } else { 0 },
            steps: VecDeque::new(),
        }
    }

    pub(crate) fn note(&mut self, step: u64, now: Timestamp, what: impl FnOnce() -> String) {
        if self.kept == 0 {
            return;
        }
        self.steps.push_back(format!("{step:>7} {:>15} {}", now.0, what()));
        while self.steps.len() > self.kept {
            self.steps.pop_front();
        }
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for step in &self.steps {
                eprintln!("{step}");
            }
        }
    }
}
