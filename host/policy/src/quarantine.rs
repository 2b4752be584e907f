//! When a version has faulted too often to be asked on. Counted in memory; who is out is kept on the [shelf](crate::shelf).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use usher_fleet::decision::DecisionPoint;

use crate::version::{Name, Version};

/// Faults on so many different inputs within [`MINUTE`] quarantine: one poisonous room that is asked again and again does not, and is
/// not asked about a third time ([`Quarantine::repeated`]).
const DIFFERENT_INPUTS_MAX: usize = 3;
const MINUTE: Duration = Duration::from_secs(60);
/// So many faults within [`HOUR`] quarantine, whatever the inputs.
const FAULTS_MAX: usize = 10;
const HOUR: Duration = Duration::from_secs(3_600);

/// Counts faults.
#[derive(Debug, Default)]
pub(crate) struct Quarantine {
    faults: BTreeMap<(Name, Version, DecisionPoint), VecDeque<(Instant, u64)>>,
}

impl Quarantine {
    /// Counts a fault on an input; returns why if the version shall not take this decision any more.
    pub(crate) fn count(
        &mut self,
        name: &Name,
        version: Version,
        decision: DecisionPoint,
        input: u64,
        now: Instant,
    ) -> Option<String> {
        let key = (name.clone(), version, decision);
        let faults = self.faults.entry(key.clone()).or_default();
        faults.retain(|(at, _)| now.duration_since(*at) < HOUR);
        faults.push_back((now, input));
        let recent = faults.iter().filter(|(at, _)| now.duration_since(*at) < MINUTE);
        let different = recent.map(|(_, input)| input).collect::<BTreeSet<_>>().len();
        let why = if different >= DIFFERENT_INPUTS_MAX {
            format!("{different} faults on different inputs within a minute")
        } else if faults.len() >= FAULTS_MAX {
            format!("{} faults within an hour", faults.len())
        } else {
            return None;
        };
        self.faults.remove(&key);
        Some(why)
    }

    /// Returns the inputs on which a version has faulted more than once, each with the moment from which on it may be asked about it
    /// again: a room that waits is asked about first when an instance was built again, and would take every one from the other rooms.
    pub(crate) fn repeated(
        &self,
        name: &Name,
        version: Version,
        decision: DecisionPoint,
        now: Instant,
    ) -> BTreeMap<u64, Instant> {
        let faults = self.faults.get(&(name.clone(), version, decision));
        let recent = faults
            .into_iter()
            .flatten()
            .filter(|(at, _)| now.duration_since(*at) < HOUR);
        let mut seen = BTreeSet::new();
        let repeated = recent.filter(|(_, input)| !seen.insert(*input));
        repeated.map(|(at, input)| (*input, *at + HOUR)).collect()
    }

    /// Forgets the counts of a policy's other versions.
    pub(crate) fn forget_counts(&mut self, name: &Name, but: Option<Version>) {
        self.faults
            .retain(|(n, version, _), _| n != name || Some(*version) == but);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::Hash;

    fn version(text: &str) -> Version {
        Version {
            wasm: Hash::of(text.as_bytes()),
            settings: Hash::of(b""),
        }
    }

    #[test]
    fn three_different_inputs_in_a_minute_quarantine_one_decision_of_one_version() {
        let (name, now) = (Name::of_file("a.wasm").unwrap(), Instant::now());
        let mut quarantine = Quarantine::default();
        for input in [1, 2, 2, 1] {
            assert_eq!(
                quarantine.count(&name, version("1"), DecisionPoint::Place, input, now),
                None
            );
        }
        assert!(
            quarantine
                .count(&name, version("1"), DecisionPoint::Place, 3, now)
                .is_some()
        );
        for (version, decision) in [
            (version("1"), DecisionPoint::ScaleUp),
            (version("2"), DecisionPoint::Place),
        ] {
            assert_eq!(quarantine.count(&name, version, decision, 4, now), None);
        }
    }

    #[test]
    fn an_input_that_has_failed_twice_is_spared_for_an_hour() {
        let (name, start) = (Name::of_file("a.wasm").unwrap(), Instant::now());
        let mut quarantine = Quarantine::default();
        let minutes = |minutes: u64| start + Duration::from_secs(60 * minutes);
        for (input, at) in [(7, 0), (8, 2), (7, 4)] {
            quarantine.count(&name, version("1"), DecisionPoint::Place, input, minutes(at));
        }
        let repeated =
            |text: &str, at: u64| quarantine.repeated(&name, version(text), DecisionPoint::Place, minutes(at));
        assert_eq!(repeated("1", 5), BTreeMap::from([(7, minutes(64))]));
        assert_eq!(repeated("2", 5), BTreeMap::new());
        assert_eq!(repeated("1", 61), BTreeMap::new(), "the first is an hour old");
    }

    #[test]
    fn ten_faults_in_an_hour_quarantine_even_on_one_input() {
        let (name, start) = (Name::of_file("a.wasm").unwrap(), Instant::now());
        let mut quarantine = Quarantine::default();
        let mut count = |minutes: u64| {
            let at = start + Duration::from_secs(60 * minutes);
            quarantine
                .count(&name, version("1"), DecisionPoint::Place, 7, at)
                .is_some()
        };
        assert!(!count(0));
        // The first is more than an hour old by the end.
        assert!(!(61..70).any(&mut count));
        assert!(count(71));
    }
}
