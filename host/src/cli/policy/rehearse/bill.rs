//! What one kind of question cost.

use std::time::Duration;

use usher_fleet::decision::DecisionPoint;
use usher_policy::{Asked, fuel_budget};

use crate::cli::policy::report::{Price, Spread, thousands};

/// Fuel and time of each question that was answered.
#[derive(Debug, Default)]
pub(super) struct Bill {
    fuel: Vec<u64>,
    took: Vec<Duration>,
}

impl Bill {
    /// Adds an answer.
    pub(super) fn add<T>(&mut self, asked: &Asked<T>) {
        self.fuel.push(asked.fuel);
        self.took.push(asked.took);
    }

    /// Returns what it came to; none where nothing was answered.
    pub(super) fn price(mut self, point: DecisionPoint, servers: usize) -> Option<Price> {
        self.fuel.sort_unstable();
        self.took.sort_unstable();
        let tenths = |duration: &Duration| (duration.as_nanos() as f64 / 100.0).round() / 10.0;
        let took: Vec<f64> = self.took.iter().map(tenths).collect();
        Some(Price {
            decision: point.word(),
            asked: self.fuel.len(),
            fuel: Spread::of(&self.fuel)?,
            fuel_max: fuel_budget(point, servers),
            microseconds: Spread::of(&took)?,
        })
    }

    /// Says that a question came near to what it may use.
    pub(super) fn warning(&self, point: DecisionPoint, servers: usize) -> Option<String> {
        let (dearest, budget) = (self.fuel.iter().copied().max()?, fuel_budget(point, servers));
        (dearest > budget / 2).then(|| {
            format!(
                "`{}` used up to {} of its {} fuel on {} servers, more than half; beyond it the question is a fault",
                point.word(),
                thousands(dearest),
                thousands(budget),
                thousands(servers as u64)
            )
        })
    }
}
