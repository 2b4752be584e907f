//! What became of a policy's orders, until it is asked next.

use std::collections::VecDeque;

use usher_fleet::advice::VerdictRow;

/// The most verdicts that wait for one policy; the oldest go. As many as a view call has rows.
const VERDICTS_MAX: usize = 1_024;

/// Verdicts that wait for one policy.
#[derive(Debug, Default)]
pub(super) struct Verdicts(VecDeque<VerdictRow>);

impl Verdicts {
    /// Keeps one.
    pub(super) fn note(&mut self, verdict: VerdictRow) {
        if self.0.len() == VERDICTS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(verdict);
    }

    /// Takes all, to be told.
    pub(super) fn take(&mut self) -> Vec<VerdictRow> {
        self.0.drain(..).collect()
    }

    /// Takes back what was not told: it is for whoever comes after.
    pub(super) fn give_back(&mut self, verdicts: Vec<VerdictRow>) {
        self.0 = verdicts.into();
    }
}

#[cfg(test)]
mod tests {
    use usher_fleet::advice::{Subject, VerdictOutcome};
    use usher_fleet::ids::{DecisionNo, PoolNo};

    use super::*;

    fn verdict(decision: u32) -> VerdictRow {
        VerdictRow {
            decision: DecisionNo(decision),
            subject: Subject::Launch(PoolNo(1)),
            outcome: VerdictOutcome::Failed,
            count: 1,
            code: "boot_failed",
            until: 0,
        }
    }

    #[test]
    fn the_newest_wait_and_what_was_not_told_waits_on() {
        let mut verdicts = Verdicts::default();
        (0..=VERDICTS_MAX as u32).for_each(|no| verdicts.note(verdict(no)));
        let taken = verdicts.take();
        assert_eq!((taken.len(), taken[0].decision), (VERDICTS_MAX, DecisionNo(1)));
        assert!(verdicts.take().is_empty());
        verdicts.give_back(taken);
        verdicts.note(verdict(9_999));
        let taken = verdicts.take();
        assert_eq!((taken.len(), taken[0].decision), (VERDICTS_MAX, DecisionNo(2)));
    }
}
