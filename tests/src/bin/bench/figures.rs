//! Lines, medians and percentiles.

use std::fmt::Display;
use std::io::Write;
use std::time::Duration;

use anyhow::Context;

/// Prints a figure's line.
pub(crate) fn figure(name: &str, value: impl Display, unit: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout().lock(), "{name} {value} {unit}").context("cannot print a figure")
}

/// Says on stderr what is going on.
pub(crate) fn progress(line: impl Display) {
    eprintln!("bench: {line}");
}

/// Returns the middle of these values, the mean of the two middle ones where there are as many above as below; 0 of none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let sorted = sorted(values);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// Returns the value that a twentieth of these do not exceed: what the code takes where nobody else has the processor's other half,
/// on a machine that others keep busy for most of the time; 0 of none.
pub(crate) fn fast(values: &[f64]) -> f64 {
    let sorted = sorted(values);
    sorted.get(sorted.len() / 20).copied().unwrap_or(0.0)
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// How long each of many requests took.
#[derive(Debug, Default)]
pub(crate) struct Latencies(Vec<u32>);

impl Latencies {
    /// Adds one; more than an hour counts as an hour.
    pub(crate) fn add(&mut self, took: Duration) {
        self.0.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
    }

    /// Adds all of another.
    pub(crate) fn merge(&mut self, other: &Latencies) {
        self.0.extend_from_slice(&other.0);
    }

    /// Returns the microseconds that `permille` of them did not exceed; 0 if there are none.
    pub(crate) fn micros_at(&mut self, permille: usize) -> u32 {
        self.0.sort_unstable();
        let rank = (self.0.len() * permille).div_ceil(1000).max(1);
        self.0.get(rank - 1).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle_whatever_the_order() {
        assert_eq!(median(&[]), 0.0);
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn a_twentieth_is_no_slower_than_what_is_fast() {
        assert_eq!(fast(&[]), 0.0);
        assert_eq!(fast(&[7.0]), 7.0);
        assert_eq!(fast(&[8.0, 3.0, 1.0, 2.0, 9.0, 4.0, 7.0, 6.0]), 1.0);
        let forty: Vec<f64> = (0..40).rev().map(f64::from).collect();
        assert_eq!(fast(&forty), 2.0);
    }

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.micros_at(500), 0);
        for micros in (1..=200).rev() {
            latencies.add(Duration::from_micros(micros));
        }
        assert_eq!(
            [500, 990, 1000].map(|permille| latencies.micros_at(permille)),
            [100, 198, 200]
        );
    }
}
