//! How much faster the demo's office is than the clock, and what that makes of spans.
//!
//! The host keeps real time whatever is shown. So that an hour of the office fits into a minute and a half, everything that
//! lasts is shortened alike: meetings, boots, the policy's patience, the guards' cool-downs. Prices are not: they are an hour's,
//! and an hour of the office is an hour of it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The fastest: an hour in 15 s. Beyond it a boot is shorter than the time between two looks at it.
const SPEED_MAX: f64 = 240.0;

/// How many office minutes pass in a minute.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pace(f64);

impl Pace {
    /// Returns how long a span of the office lasts here.
    pub(super) fn here(self, office: Duration) -> Duration {
        office.div_f64(self.0)
    }

    /// Returns how much of the office passes in a span here.
    pub(super) fn office(self, here: Duration) -> Duration {
        here.mul_f64(self.0)
    }

    /// Returns how many of something pass in a minute here if so many do in a minute of the office.
    pub(super) fn per_minute(self, office: u32) -> u32 {
        (f64::from(office) * self.0).ceil() as u32
    }

    /// Returns how many whole seconds it lasts here, rounded, at least one: for settings that know no fractions.
    pub(super) fn whole_seconds(self, office_seconds: u32) -> u32 {
        ((f64::from(office_seconds) / self.0).round() as u32).max(1)
    }

    /// Returns how many whole minutes it lasts here, rounded; none where it is far below one.
    pub(super) fn whole_minutes(self, office_minutes: u32) -> u32 {
        (f64::from(office_minutes) / self.0).round() as u32
    }

    /// Returns the `expected_minutes` of a room, which the API has in whole minutes of its own clock, rounded up.
    pub(super) fn expected_minutes(self, office: Duration) -> u32 {
        (self.here(office).as_secs_f64() / 60.0).ceil().max(1.0) as u32
    }

    /// Returns what the spectator must know: `1 office minute = 1.5 s here`.
    pub(super) fn explained(self) -> String {
        format!("1 office minute = {} s here", trimmed(60.0 / self.0, 2))
    }
}

impl FromStr for Pace {
    type Err = String;

    fn from_str(text: &str) -> Result<Pace, String> {
        match text.parse::<f64>() {
            Ok(speed) if (1.0..=SPEED_MAX).contains(&speed) => Ok(Pace(speed)),
            Ok(_) | Err(_) => Err(format!(
                "a speed is a number from 1 (an hour takes an hour) to {SPEED_MAX}"
            )),
        }
    }
}

/// Shows the factor: `×40`.
impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "×{}", trimmed(self.0, 1))
    }
}

fn trimmed(number: f64, digits: usize) -> String {
    let text = format!("{number:.digits$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_at_forty_is_ninety_seconds_and_back() {
        let pace: Pace = "40".parse().unwrap();
        assert_eq!(pace.here(Duration::from_secs(3600)), Duration::from_secs(90));
        assert_eq!(pace.office(Duration::from_secs(90)), Duration::from_secs(3600));
        assert_eq!(pace.explained(), "1 office minute = 1.5 s here");
        assert_eq!(pace.to_string(), "×40");
        assert_eq!("2.5".parse::<Pace>().unwrap().to_string(), "×2.5");
    }

    #[test]
    fn settings_in_whole_units_never_become_nothing_where_nothing_means_something_else() {
        let pace: Pace = "40".parse().unwrap();
        assert_eq!(pace.whole_seconds(60), 2);
        assert_eq!(pace.whole_seconds(1), 1);
        assert_eq!(pace.whole_minutes(10), 0, "far below a minute: the caller turns it off");
        assert_eq!(pace.expected_minutes(Duration::from_secs(15 * 60)), 1);
        assert_eq!(pace.expected_minutes(Duration::from_secs(60 * 60)), 2);
        assert_eq!(pace.per_minute(60), 2400);
    }

    #[test]
    fn a_speed_that_cannot_be_shown_is_refused_with_the_range() {
        for wrong in ["0", "-3", "241", "NaN", "inf", "fast"] {
            let error = wrong.parse::<Pace>().unwrap_err();
            assert!(error.contains("from 1"), "{wrong}: {error}");
        }
    }
}
