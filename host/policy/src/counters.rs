//! What is counted of each policy while it is asked: by the one thread that asks it for that decision, read by anyone, without
//! locks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

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
    placing_bytes: AtomicU64,
    scaling_bytes: AtomicU64,
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

    /// Notes how much memory the instance has that was asked for this decision.
    pub(crate) fn set_memory(&self, decision: DecisionPoint, bytes: usize) {
        let instance = match decision {
            DecisionPoint::Place => &self.placing_bytes,
            DecisionPoint::ScaleUp | DecisionPoint::ScaleDown => &self.scaling_bytes,
        };
        instance.store(bytes as u64, Ordering::Relaxed);
    }

    /// Returns how much memory its two instances have, as they were last asked.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.placing_bytes.load(Ordering::Relaxed) + self.scaling_bytes.load(Ordering::Relaxed)
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
    fuel_max: AtomicU64,
    fuel: Histogram,
    nanoseconds: Histogram,
}

impl Tally {
    /// Counts a fault at what it was told between two questions, as if it had been asked.
    pub(crate) fn count_fault(&self, kind: FaultKind) {
        add_one(&self.faults[KINDS.iter().position(|k| *k == kind).unwrap_or(0)]);
    }

    /// Counts one question.
    pub(crate) fn count(&self, came: Came, fuel: u64, took: Duration) {
        match came {
            Came::Answer => add_one(&self.answered),
            Came::Deferral => add_one(&self.deferred),
            Came::Fault(kind) => self.count_fault(kind),
        }
        // The built-in has none, and an instance that is not there takes none.
        if fuel > 0 {
            self.fuel.count(fuel);
            if fuel > self.fuel_max.load(Ordering::Relaxed) {
                self.fuel_max.store(fuel, Ordering::Relaxed);
            }
        }
        self.nanoseconds
            .count(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Returns what was counted.
    pub(crate) fn status(&self) -> TallyStatus {
        let faults: [u64; KINDS.len()] = std::array::from_fn(|kind| self.faults[kind].load(Ordering::Relaxed));
        let (answered, deferred) = (
            self.answered.load(Ordering::Relaxed),
            self.deferred.load(Ordering::Relaxed),
        );
        let [trap, out_of_fuel, error, bad_answer, unavailable] = faults;
        let fuel_max = self.fuel_max.load(Ordering::Relaxed);
        let fuel = |share| self.fuel.quantile(share).min(fuel_max);
        let microseconds = |share| self.nanoseconds.quantile(share) as f64 / 1_000.0;
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
            fuel_p50: fuel(0.5),
            fuel_p99: fuel(0.99),
            fuel_max,
            microseconds_p50: microseconds(0.5),
            microseconds_p99: microseconds(0.99),
        }
    }
}

/// How often a policy was asked for one decision and what came of it, since it was first seen.
#[derive(Debug, Clone, PartialEq)]
pub struct TallyStatus {
    /// Questions.
    pub asked: u64,
    /// Answers, waits and rejections included.
    pub answered: u64,
    /// Questions that were left to the next in the chain.
    pub deferred: u64,
    /// Questions without an answer, by kind.
    pub faults: FaultCounts,
    /// Half of the questions took no more fuel, changes of the view apart; within 25 %, and 0 for the built-in, which has none.
    pub fuel_p50: u64,
    /// 99 % of the questions took no more; within 25 %.
    pub fuel_p99: u64,
    /// The most fuel of any question.
    pub fuel_max: u64,
    /// Half of the questions took no longer, changes of the view included; within 25 %.
    pub microseconds_p50: f64,
    /// 99 % of the questions took no longer; within 25 %.
    pub microseconds_p99: f64,
}

/// Faults by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "see FaultKind")]
pub struct FaultCounts {
    pub trap: u64,
    pub out_of_fuel: u64,
    pub error: u64,
    pub bad_answer: u64,
    pub unavailable: u64,
}

impl FaultCounts {
    /// Returns each kind with its count.
    pub fn by_kind(self) -> [(FaultKind, u64); 5] {
        let FaultCounts {
            trap,
            out_of_fuel,
            error,
            bad_answer,
            unavailable,
        } = self;
        let counts = [trap, out_of_fuel, error, bad_answer, unavailable];
        std::array::from_fn(|kind| (KINDS[kind], counts[kind]))
    }
}

/// One thread counts, so that adding needs no locked instruction on the way of a request.
fn add_one(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

/// Four buckets for each doubling.
#[derive(Debug)]
struct Histogram([AtomicU64; Histogram::BUCKETS]);

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Histogram {
    /// 38 doublings of nanoseconds reach beyond four minutes, of fuel beyond any budget.
    const BUCKETS: usize = 4 * 38;

    fn count(&self, value: u64) {
        let value = value.max(4);
        let doubling = value.ilog2();
        let quarter = (value >> (doubling - 2)) & 3;
        let bucket = (doubling as usize) * 4 + quarter as usize;
        add_one(&self.0[bucket.min(Histogram::BUCKETS - 1)]);
    }

    /// Returns the upper end of the bucket below which this share of the values lies; 0 if there are none.
    fn quantile(&self, share: f64) -> u64 {
        let counts: Vec<u64> = self.0.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let total: u64 = counts.iter().sum();
        let mut seen = 0;
        for (bucket, count) in counts.iter().enumerate() {
            seen += count;
            if total > 0 && seen as f64 >= share * total as f64 {
                return ((5 + bucket as u64 % 4) << (bucket / 4)) / 4;
            }
        }
        0
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
        assert!((50..=63).contains(&status.fuel_p50), "{status:?}");
        assert!((99..=125).contains(&status.fuel_p99), "{status:?}");
        assert_eq!(status.fuel_max, 1_000);
    }

    #[test]
    fn what_has_no_fuel_has_none_at_any_quantile() {
        let tally = Tally::default();
        tally.count(Came::Answer, 0, Duration::from_micros(1));
        let status = tally.status();
        assert_eq!((status.fuel_p50, status.fuel_p99, status.fuel_max), (0, 0, 0));
        assert_eq!(Tally::default().status().microseconds_p99, 0.0);
    }

    #[test]
    fn a_quantile_is_never_more_than_the_most() {
        let tally = Tally::default();
        tally.count(Came::Answer, 1_000, Duration::from_micros(1));
        let status = tally.status();
        assert_eq!((status.fuel_p50, status.fuel_p99), (1_000, 1_000));
    }
}
