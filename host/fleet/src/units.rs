//! Time and money as this crate counts them: integers, with the unit in the type.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment in milliseconds since 1970-01-01T00:00:00Z. The fleet never asks a clock: every moment is handed to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Returns how long ago `earlier` was; zero if it was not.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// Returns whole seconds since 1970, as policies see time; it saturates in 2106.
    pub fn seconds(self) -> u32 {
        u32::try_from(self.0 / 1000).unwrap_or(u32::MAX)
    }
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;

    fn add(self, span: Duration) -> Timestamp {
        Timestamp(
            self.0
                .saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)),
        )
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Timestamp;

    fn sub(self, span: Duration) -> Timestamp {
        Timestamp(
            self.0
                .saturating_sub(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)),
        )
    }
}

/// An amount in millionths of a dollar.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Microdollars(pub u64);

impl Microdollars {
    /// Returns what this hourly price comes to over a span.
    pub fn per_hour_over(self, span: Duration) -> Microdollars {
        let amount = u128::from(self.0) * span.as_millis() / 3_600_000;
        Microdollars(u64::try_from(amount).unwrap_or(u64::MAX))
    }

    /// Returns the amount in dollars, for people.
    pub fn dollars(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

impl Add for Microdollars {
    type Output = Microdollars;

    fn add(self, other: Microdollars) -> Microdollars {
        Microdollars(self.0.saturating_add(other.0))
    }
}

impl Sub for Microdollars {
    type Output = Microdollars;

    fn sub(self, other: Microdollars) -> Microdollars {
        Microdollars(self.0.saturating_sub(other.0))
    }
}

impl std::iter::Sum for Microdollars {
    fn sum<I: Iterator<Item = Microdollars>>(amounts: I) -> Microdollars {
        amounts.fold(Microdollars(0), Add::add)
    }
}

impl fmt::Display for Microdollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${:.3}", self.dollars())
    }
}
