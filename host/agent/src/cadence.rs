//! When the next turn comes, and how long a host that is away is left alone.

use std::time::Duration;

/// How far a turn is moved at random, either way, in parts of the interval: a restarted fleet must not report in step.
const JITTER: f64 = 0.10;

/// How soon a media server that has never answered is asked again: rooms may be waiting for it to start.
pub(crate) const BOOTING_WAIT: Duration = Duration::from_secs(1);

/// The longest wait between two looks while the agent leaves: a machine that shuts down waits for it. Not less, since who was sent to a
/// room a moment before the host knew needs some seconds to come.
pub(crate) const LEAVING_WAIT: Duration = Duration::from_secs(5);

/// The longest wait for a host that is away: it is found again within half a minute of its return.
const BACK_OFF_MAX: Duration = Duration::from_secs(30);

/// How long a host that refuses our token is left alone: a human has to act first.
pub(crate) const DENIED_WAIT: Duration = Duration::from_secs(60);

/// The longest wait that a host may ask for by `Retry-After`; longer would make the server look dead.
pub(crate) const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// Returns how long to wait for the next turn: the interval, moved by `chance` from 0 to 1.
pub(crate) fn next_turn(interval: Duration, chance: f64) -> Duration {
    interval.mul_f64(1.0 - JITTER + 2.0 * JITTER * chance)
}

/// Waits longer the longer the host is away.
#[derive(Debug, Default)]
pub(crate) struct BackOff {
    failures: u32,
}

impl BackOff {
    /// Returns how long to leave the host alone after one more failure: twice as long each time, of which `chance` takes
    /// up to a half away.
    pub(crate) fn failed(&mut self, interval: Duration, chance: f64) -> Duration {
        let whole = interval
            .saturating_mul(1u32 << self.failures.min(16))
            .min(BACK_OFF_MAX.max(interval));
        self.failures = self.failures.saturating_add(1);
        whole.mul_f64(1.0 - chance / 2.0)
    }

    /// Begins anew: the host has answered.
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIVE: Duration = Duration::from_secs(5);

    #[test]
    fn a_turn_comes_within_a_tenth_of_its_interval() {
        assert_eq!(next_turn(FIVE, 0.0), Duration::from_millis(4500));
        assert_eq!(next_turn(FIVE, 0.5), FIVE);
        assert!(next_turn(FIVE, 0.999) < Duration::from_millis(5500));
    }

    #[test]
    fn the_wait_doubles_up_to_half_a_minute_and_begins_anew() {
        let mut back_off = BackOff::default();
        let waits: Vec<u64> = (0..5).map(|_| back_off.failed(FIVE, 0.0).as_secs()).collect();
        assert_eq!(waits, [5, 10, 20, 30, 30]);
        for _ in 0..100 {
            assert!(back_off.failed(FIVE, 0.5) <= BACK_OFF_MAX);
        }
        back_off.succeeded();
        assert_eq!(back_off.failed(FIVE, 0.0), FIVE);
    }

    #[test]
    fn an_interval_above_the_longest_wait_is_not_shortened() {
        let minute = Duration::from_secs(60);
        assert_eq!(BackOff::default().failed(minute, 0.0), minute);
    }
}
