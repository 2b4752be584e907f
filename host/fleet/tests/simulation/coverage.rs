//! Whether the worlds have met what they are there to meet.

use std::collections::BTreeMap;

use usher_fleet::event::What;

/// How often each kind of event was told, and each kind of fault met.
#[derive(Debug, Clone, Default)]
pub(crate) struct Coverage(BTreeMap<&'static str, u64>);

/// Kinds that any long enough run of worlds tells.
const TOLD: [&str; 30] = [
    "room.placed",
    "room.waiting",
    "room.moved",
    "room.released",
    "room.expired",
    "room.stale",
    "room.unplaceable",
    "server.requested",
    "server.ready",
    "server.silent",
    "server.recovered",
    "server.lost",
    "server.cordoned",
    "server.draining",
    "server.uncordoned",
    "server.left",
    "server.failed",
    "server.terminating",
    "server.terminated",
    "server.unknown",
    "server.reaped",
    "scale.wanted",
    "scale.unwanted",
    "scale.refused",
    "scale.circuit_opened",
    "scale.circuit_closed",
    "scale.frozen",
    "scale.thawed",
    "scale.list_failed",
    "scale.list_recovered",
];

/// What every long enough run of worlds goes through.
const MET: [&str; 47] = [
    "answer.twice",
    "boot.died",
    "boot.never",
    "boot.slow",
    "crash",
    "crash.before_it_was_told",
    "end.lost",
    "end.of_what_is_not_visible_yet",
    "end.protected",
    "end.refused",
    "end.throttled",
    "end.unauthorized",
    "end.under_way",
    "examination.lost",
    "failed.kept",
    "instance.died",
    "instance.kept",
    "instance.noticed",
    "instance.told_its_notice",
    "launch.arrived_after_its_refusal",
    "launch.lied",
    "launch.lost_after",
    "launch.lost_before",
    "launch.no_addresses",
    "launch.no_machines",
    "launch.refused",
    "launch.repeated",
    "launch.repeated_after_its_end",
    "launch.repeated_with_other_parameters",
    "launch.throttled",
    "launch.unauthorized",
    "launch.unauthorized_after_it_was_made",
    "list.cut_short",
    "list.has_a_stranger",
    "list.lacks_what_is_new",
    "list.lacks_what_is_there",
    "list.of_another_installation",
    "list.shows_what_was",
    "list.throttled",
    "list.unauthorized",
    "offer.changed",
    "order.arrived_after_its_process",
    "orphan.kept",
    "orphan.ended",
    "server.people_without_a_room",
    "store.lost",
    "store.lost_with_servers",
];

impl Coverage {
    pub(crate) fn note(&mut self, what: &What) {
        self.count(what.kind());
        if matches!(what, What::ServerFailed(failed) if failed.is_kept) {
            self.count("failed.kept");
        }
    }

    /// One more of a kind.
    pub(crate) fn count(&mut self, kind: &'static str) {
        *self.0.entry(kind).or_insert(0) += 1;
    }

    pub(crate) fn add(&mut self, other: &Coverage) {
        for (kind, count) in &other.0 {
            *self.0.entry(kind).or_insert(0) += count;
        }
    }

    /// A world that never loses a server proves nothing of lost servers.
    pub(crate) fn check(&self) {
        let missing: Vec<&str> = TOLD
            .into_iter()
            .chain(MET)
            .filter(|kind| !self.0.contains_key(kind))
            .collect();
        assert!(
            missing.is_empty(),
            "no world has met {missing:?}; they met {:?}",
            self.0
        );
    }
}
