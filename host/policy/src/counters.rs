//! What is counted of each policy while it is asked. Written by the asking thread, read by anyone, without locks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;
use usher_fleet::advice::{Direction, FaultKind};
use usher_fleet::decision::DecisionPoint;

const KINDS: [FaultKind; 5] = [
    FaultKind::Trap,
    FaultKind::OutOfFuel,
    FaultKind::Error,
    FaultKind::BadAnswer,
    FaultKind::Unavailable,
];

/// The counters of one policy, since it was first seen.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    place: Tally,
    scale_up: Tally,
    scale_down: Tally,
    memory_bytes: AtomicU64,
}

impl Counters {
    /// Returns those of one decision.
    pub(crate) fn of(&self, decision: DecisionPoint) -> &Tally {
        match decision {
            DecisionPoint::Place => &self.place,
            DecisionPoint::ScaleUp => &self.scale_up,
            DecisionPoint::ScaleDown => &self.scale_down,
        }
    }

    /// Notes how much memory the instance has that was asked last.
    pub(crate) fn set_memory(&self, bytes: usize) {
        self.memory_bytes.store(bytes as u64, Ordering::Relaxed);
    }

    /// Returns it.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.memory_bytes.load(Ordering::Relaxed)
    }
}

/// Returns the decision that a direction is.
pub(crate) fn decision(direction: Direction) -> DecisionPoint {
    match direction {
        Direction::Up => DecisionPoint::ScaleUp,
        Direction::Down => DecisionPoint::ScaleDown,
    }
}

/// What came of one question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Came {
    /// An answer.
    Answer,
    /// The next in the chain shall say.
    Deferral,
    /// None.
    Fault(FaultKind),
}

/// The counters of one decision.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    answered: AtomicU64,
    deferred: AtomicU64,
    faults: [AtomicU64; KINDS.len()],
    fuel_last: AtomicU64,
    fuel_max: AtomicU64,
    took: Histogram,
}

impl Tally {
    /// Counts one question.
    pub(crate) fn count(&self, came: Came, fuel: u64, took: Duration) {
        let counter = match came {
            Came::Answer => &self.answered,
            Came::Deferral => &self.deferred,
            Came::Fault(kind) => &self.faults[KINDS.iter().position(|k| *k == kind).unwrap_or(0)],
        };
        counter.fetch_add(1, Ordering::Relaxed);
        self.fuel_last.store(fuel, Ordering::Relaxed);
        if fuel > self.fuel_max.load(Ordering::Relaxed) {
            self.fuel_max.store(fuel, Ordering::Relaxed);
        }
        self.took.count(took);
    }

    /// Returns what was counted.
    pub(crate) fn status(&self) -> TallyStatus {
        let faults: [u64; KINDS.len()] = std::array::from_fn(|kind| self.faults[kind].load(Ordering::Relaxed));
        let (answered, deferred) = (
            self.answered.load(Ordering::Relaxed),
            self.deferred.load(Ordering::Relaxed),
        );
        let [trap, out_of_fuel, error, bad_answer, unavailable] = faults;
        TallyStatus {
            asked: answered + deferred + faults.iter().sum::<u64>(),
            answered,
            deferred,
            faults: FaultCounts {
                trap,
                out_of_fuel,
                error,
                bad_answer,
                unavailable,
            },
            fuel_last: self.fuel_last.load(Ordering::Relaxed),
            fuel_max: self.fuel_max.load(Ordering::Relaxed),
            microseconds_p50: self.took.quantile(0.5),
            microseconds_p99: self.took.quantile(0.99),
        }
    }
}

/// How often a policy was asked for one decision and what came of it, since it was first seen.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TallyStatus {
    /// Questions.
    pub asked: u64,
    /// Answers, waits and rejections included.
    pub answered: u64,
    /// Questions that were left to the next in the chain.
    pub deferred: u64,
    /// Questions without an answer, by kind.
    pub faults: FaultCounts,
    /// Fuel of the last question.
    pub fuel_last: u64,
    /// The most fuel of any question.
    pub fuel_max: u64,
    /// Half of the questions took no longer, changes of the view included; within 25 %.
    pub microseconds_p50: f64,
    /// 99 % of the questions took no longer; within 25 %.
    pub microseconds_p99: f64,
}

/// Faults by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "see FaultKind")]
pub struct FaultCounts {
    pub trap: u64,
    pub out_of_fuel: u64,
    pub error: u64,
    pub bad_answer: u64,
    pub unavailable: u64,
}

/// Four buckets for each doubling of nanoseconds.
#[derive(Debug)]
struct Histogram([AtomicU64; Histogram::BUCKETS]);

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Histogram {
    /// 38 doublings reach beyond four minutes.
    const BUCKETS: usize = 4 * 38;

    fn count(&self, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).max(4);
        let doubling = nanoseconds.ilog2();
        let quarter = (nanoseconds >> (doubling - 2)) & 3;
        let bucket = (doubling as usize) * 4 + quarter as usize;
        self.0[bucket.min(Histogram::BUCKETS - 1)].fetch_add(1, Ordering::Relaxed);
    }

    fn quantile(&self, share: f64) -> f64 {
        let counts: Vec<u64> = self.0.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let total: u64 = counts.iter().sum();
        let mut seen = 0;
        for (bucket, count) in counts.iter().enumerate() {
            seen += count;
            if total > 0 && seen as f64 >= share * total as f64 {
                let upper = (5 + bucket % 4) as f64 / 4.0 * 2f64.powi(i32::try_from(bucket / 4).unwrap_or(i32::MAX));
                return upper / 1_000.0;
            }
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_quarter() {
        let tally = Tally::default();
        for microseconds in 1..=100 {
            tally.count(Came::Answer, microseconds, Duration::from_micros(microseconds));
        }
        tally.count(Came::Fault(FaultKind::OutOfFuel), 1_000, Duration::from_millis(5));
        let status = tally.status();
        assert_eq!(
            (status.asked, status.answered, status.faults.out_of_fuel),
            (101, 100, 1)
        );
        assert!((50.0..=63.0).contains(&status.microseconds_p50), "{status:?}");
        assert!((99.0..=125.0).contains(&status.microseconds_p99), "{status:?}");
        assert_eq!((status.fuel_last, status.fuel_max), (1_000, 1_000));
    }
}
