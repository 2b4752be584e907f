//! Which kinds of events are told: their names, or a group's, as the operator writes them.

use std::collections::BTreeSet;

use usher_fleet::event::What;

/// What is told unless the operator chooses: what somebody should look at, what apps have to follow, and when this itself falters.
const DEFAULT: [&str; 13] = [
    "room.moved",
    "room.unplaceable",
    "server.failed",
    "server.lost",
    "server.unknown",
    "scale.budget_near",
    "scale.circuit_closed",
    "scale.circuit_opened",
    "scale.frozen",
    "scale.thawed",
    "policy.quarantined",
    "webhook.behind",
    "webhook.caught_up",
];

/// Some kinds of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice(BTreeSet<&'static str>);

impl Choice {
    /// Returns the kinds that a name stands for: one, or with `group.*` all of a group; none where there is no such kind.
    pub fn named(name: &str) -> Vec<&'static str> {
        let is_meant = |kind: &&&'static str| match name.strip_suffix('*') {
            Some(group) => group.ends_with('.') && kind.starts_with(group),
            None => **kind == name,
        };
        What::KINDS.iter().filter(is_meant).copied().collect()
    }

    /// Chooses these kinds.
    pub fn of(kinds: impl IntoIterator<Item = &'static str>) -> Choice {
        Choice(kinds.into_iter().collect())
    }

    /// Whether an event is told.
    pub fn takes(&self, what: &What) -> bool {
        self.has(what.kind())
    }

    /// Whether events of this kind are told.
    pub fn has(&self, kind: &str) -> bool {
        self.0.contains(kind)
    }

    /// Returns how many kinds are told.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

impl Default for Choice {
    fn default() -> Self {
        Choice::of(DEFAULT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_for_one_kind_and_a_group_for_all_of_its() {
        assert_eq!(Choice::named("server.lost"), ["server.lost"]);
        assert_eq!(Choice::named("webhook.*"), ["webhook.behind", "webhook.caught_up"]);
        for nothing in [
            "",
            "*",
            ".*",
            "server",
            "server.",
            "server*",
            "serv.*",
            "server.l*",
            "server.lst",
        ] {
            assert!(Choice::named(nothing).is_empty(), "{nothing}");
        }
    }

    #[test]
    fn the_default_names_kinds_that_exist() {
        for kind in DEFAULT {
            assert!(What::KINDS.contains(&kind), "{kind}");
        }
    }
}
