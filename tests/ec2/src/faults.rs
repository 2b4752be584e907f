//! What goes wrong on the way: replies that are lost or late, and errors that mean nothing was done, or all of it.
//!
//! A fault is armed for the next so many calls, or strikes by chance. The first that matches a call strikes it; one that is
//! used up is dropped.

use serde::{Deserialize, Serialize};

use crate::chance::Chance;
use crate::error::InjectedError;

/// Something that goes wrong with calls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The action that it strikes; all if absent.
    #[serde(default)]
    pub action: Option<String>,
    /// What happens.
    pub what: FaultKind,
    /// When it happens.
    pub when: FaultWhen,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum FaultKind {
    /// Nothing is done, and the connection is closed without an answer.
    LostBefore,
    /// All is done, and the connection is closed without an answer.
    LostAfter,
    /// All is done, and the answer comes so much later, by the fake's clock.
    Late {
        /// How much later.
        seconds: f64,
    },
    /// Nothing is done, and the answer is an error.
    ErrorBefore {
        /// The error.
        error: InjectedError,
    },
    /// All is done, and the answer is an error.
    ErrorAfter {
        /// The error.
        error: InjectedError,
    },
}

/// When a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum FaultWhen {
    /// The next so many calls of its action.
    Next {
        /// How many.
        calls: u32,
    },
    /// Each call of its action, with this chance.
    Chance {
        /// From 0.0 to 1.0.
        chance: f64,
    },
}

impl Fault {
    /// Makes a fault that strikes the next `calls` calls of `action`.
    pub fn next(action: &str, calls: u32, what: FaultKind) -> Fault {
        Fault {
            action: Some(action.into()),
            what,
            when: FaultWhen::Next { calls },
        }
    }

    /// Makes a fault that strikes calls of `action` by chance.
    pub fn by_chance(action: &str, chance: f64, what: FaultKind) -> Fault {
        Fault {
            action: Some(action.into()),
            what,
            when: FaultWhen::Chance { chance },
        }
    }
}

/// The faults that are armed.
#[derive(Debug)]
pub(crate) struct Faults {
    armed: Vec<Fault>,
    chance: Chance,
}

impl Faults {
    pub(crate) fn new(armed: Vec<Fault>, seed: u64) -> Faults {
        Faults {
            armed,
            chance: Chance::new(seed, "faults"),
        }
    }

    /// Arms one more.
    pub(crate) fn arm(&mut self, fault: Fault) {
        self.armed.push(fault);
    }

    /// Disarms all.
    pub(crate) fn clear(&mut self) {
        self.armed.clear();
    }

    /// Returns what goes wrong with this call, if anything does.
    pub(crate) fn strike(&mut self, action: &str) -> Option<FaultKind> {
        let chance = &mut self.chance;
        let struck = self.armed.iter_mut().find_map(|fault| {
            if fault.action.as_deref().is_some_and(|only| only != action) {
                return None;
            }
            let strikes = match &mut fault.when {
                FaultWhen::Next { calls } if *calls > 0 => {
                    *calls -= 1;
                    true
                }
                FaultWhen::Next { .. } => false,
                FaultWhen::Chance { chance: likely } => chance.happens(*likely),
            };
            strikes.then(|| fault.what.clone())
        });
        self.armed.retain(|fault| fault.when != FaultWhen::Next { calls: 0 });
        struck
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, FaultKind, Faults};

    #[test]
    fn a_fault_for_the_next_calls_strikes_its_action_so_often_and_is_gone() {
        let mut faults = Faults::new(vec![Fault::next("RunInstances", 2, FaultKind::LostAfter)], 1);
        assert_eq!(faults.strike("DescribeInstances"), None);
        assert_eq!(faults.strike("RunInstances"), Some(FaultKind::LostAfter));
        assert_eq!(faults.strike("RunInstances"), Some(FaultKind::LostAfter));
        assert_eq!(faults.strike("RunInstances"), None);
        assert!(faults.armed.is_empty());
    }

    #[test]
    fn faults_by_chance_repeat_with_the_seed() {
        let run = |seed| {
            let mut faults = Faults::new(vec![Fault::by_chance("A", 0.5, FaultKind::LostBefore)], seed);
            (0..64).map(|_| faults.strike("A").is_some()).collect::<Vec<_>>()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
        let struck = run(1).into_iter().filter(|struck| *struck).count();
        assert!((16..48).contains(&struck), "{struck}");
    }
}
