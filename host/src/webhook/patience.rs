//! How long a receiver that does not take a call is left alone.

use std::time::Duration;

use jiff::fmt::rfc2822;

/// The first wait: a receiver that is being restarted is back within seconds.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait: within five minutes of its return everything is told.
const LONGEST: Duration = Duration::from_secs(300);
/// The longest wait that a receiver may ask for by `Retry-After`; a slip of its author must not silence this for a week.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// Waits longer the longer a receiver does not take a call.
#[derive(Debug, Default)]
pub(super) struct Patience {
    failures: u32,
}

impl Patience {
    /// Returns how long to wait after one more failure: twice as long each time, of which `chance`, from 0 to 1, takes up to a half
    /// away; and no less than the receiver has asked for.
    pub(super) fn failed(&mut self, chance: f64, asked: Option<Duration>) -> Duration {
        let whole = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let asked = asked.unwrap_or_default().min(RETRY_AFTER_MAX);
        whole.mul_f64(1.0 - chance / 2.0).max(asked)
    }

    /// Begins anew: the receiver has taken a call.
    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
    }
}

/// Returns a number from 0.0 up to, not including, 1.0.
pub(super) fn chance() -> f64 {
    // Without randomness the jitter is a nicety that we can do without.
    let bits = getrandom::u64().unwrap_or(0);
    // The upper 53 bits are what a double holds exactly.
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

/// Reads a `Retry-After`: seconds, or a date.
pub(super) fn retry_after(text: &str, now: jiff::Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Duration::try_from(until.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_from_a_second_to_five_minutes_and_begins_anew() {
        let mut patience = Patience::default();
        let waits: Vec<u64> = (0..11).map(|_| patience.failed(0.0, None).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(patience.failed(0.999_999, None).as_secs(), 150);
        patience.succeeded();
        assert_eq!(patience.failed(0.0, None), FIRST);
    }

    #[test]
    fn a_receivers_wish_is_the_least_wait_within_an_hour() {
        let hour = Duration::from_secs(3600);
        assert_eq!(Patience::default().failed(0.5, Some(hour / 60)), hour / 60);
        assert_eq!(Patience::default().failed(0.5, Some(hour * 24)), hour);
        assert_eq!(Patience::default().failed(0.0, Some(Duration::ZERO)), FIRST);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now: jiff::Timestamp = "2026-11-22T09:00:00Z".parse().unwrap();
        for (text, seconds) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Sun, 22 Nov 2026 09:01:30 GMT", Some(90)),
            ("Sun, 22 Nov 2026 08:00:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(retry_after(text, now), seconds.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn a_chance_is_below_one() {
        assert!((0..1000).map(|_| chance()).all(|number| (0.0..1.0).contains(&number)));
    }
}
