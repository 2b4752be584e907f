//! What the hour has cost, and what the one big server would have cost in the same time.

use std::time::Duration;

use usher_fleet::units::Microdollars;

/// One 72-core server, an hour: what the company behind the story paid.
pub(super) const BIG_SERVER: Microdollars = Microdollars(3_492_000);

/// Dollars, accumulated over the office's time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Costs {
    lasted: Duration,
    dollars: f64,
}

impl Costs {
    /// Counts so much more time of the office at so many dollars an hour.
    pub(super) fn add(&mut self, span: Duration, dollars_per_hour: f64) {
        self.lasted += span;
        self.dollars += dollars_per_hour * hours(span);
    }

    /// Returns what the servers have cost, in dollars.
    pub(super) fn servers(&self) -> f64 {
        self.dollars
    }

    /// Returns what the one big server would have cost, in dollars.
    pub(super) fn big_server(&self) -> f64 {
        BIG_SERVER.dollars() * hours(self.lasted)
    }

    /// Returns how much less that was, in percent of the big server; negative if it was more. None before the beginning.
    pub(super) fn saved_percent(&self) -> Option<f64> {
        (self.lasted > Duration::ZERO).then(|| 100.0 * (1.0 - self.servers() / self.big_server()))
    }

    /// Says it in words: `64 % less`.
    pub(super) fn saved(&self) -> String {
        match self.saved_percent() {
            None => "nothing yet".to_owned(),
            Some(percent) if percent < 0.0 => format!("{:.0} % more", -percent),
            Some(percent) => format!("{percent:.0} % less"),
        }
    }
}

fn hours(span: Duration) -> f64 {
    span.as_secs_f64() / 3600.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF_HOUR: Duration = Duration::from_secs(1800);

    #[test]
    fn an_hour_of_one_small_server_is_ninety_percent_less_than_the_big_one() {
        let mut costs = Costs::default();
        costs.add(HALF_HOUR, 0.348);
        costs.add(HALF_HOUR, 0.348);
        assert!((costs.servers() - 0.348).abs() < 1e-9);
        assert!((costs.big_server() - 3.492).abs() < 1e-9);
        assert_eq!(costs.saved(), "90 % less");
    }

    #[test]
    fn time_without_servers_costs_nothing_here_and_as_much_as_ever_there() {
        let mut costs = Costs::default();
        costs.add(HALF_HOUR, 0.0);
        assert_eq!((costs.servers(), costs.saved().as_str()), (0.0, "100 % less"));
        assert!((costs.big_server() - 1.746).abs() < 1e-9);
    }

    #[test]
    fn more_servers_than_the_big_one_is_worth_are_told_as_more() {
        let mut costs = Costs::default();
        assert_eq!(costs.saved(), "nothing yet");
        costs.add(HALF_HOUR, 6.984);
        assert_eq!(costs.saved(), "100 % more");
    }
}
