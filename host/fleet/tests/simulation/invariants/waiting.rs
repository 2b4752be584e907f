//! The negative answer: that nothing fits.

use usher_fleet::Fleet;
use usher_fleet::config::PoolConfig;
use usher_fleet::room::RoomWish;
use usher_fleet::server::{Health, Phase, ServerRecord};

use crate::simulation::ledger::{self, Usage};
use crate::simulation::model::Model;
use crate::simulation::policies;
use crate::simulation::reader::Reader;

/// Whether a server would take a room if nobody were on it.
fn could_ever_take(model: &Model, server: &ServerRecord, wish: &RoomWish) -> bool {
    model.pool(&server.pool).is_some_and(|pool| {
        ledger::lets_in(pool, server, wish) && ledger::reservation(pool, wish).is_within(&server.limits)
    })
}

/// Whether a server takes a room now, given that it is open and holds `used` at most.
fn admits(model: &Model, server: &ServerRecord, used: Usage, wish: &RoomWish) -> bool {
    let Some(pool) = model.pool(&server.pool) else {
        return false;
    };
    let heard = &model.heard[&server.no];
    let within = |known: Option<u32>, max: Option<u32>| known.is_none_or(|known| max.is_none_or(|max| known <= max));
    within(heard.cpu, pool.guards.cpu_permille_max)
        && within(heard.egress, pool.guards.egress_kbps_max)
        && ledger::lets_in(pool, server, wish)
        && used.plus(ledger::reservation(pool, wish)).is_within(&server.limits)
}

/// Whether rooms may come to a server at all.
fn is_open(fleet: &Fleet, model: &Model, server: &ServerRecord) -> bool {
    let may_hear = || match fleet.server(&server.name).map(|status| status.health) {
        Some(Health::Ok) => true,
        Some(Health::Unknown) => model.health(server) == Some(usher_fleet::config::HealthSource::None),
        Some(Health::Silent { .. } | Health::Lost) | None => false,
    };
    matches!(server.phase, Phase::Ready(_)) && server.hold.is_none() && server.lost.is_none() && may_hear()
}

/// With policies that propose every server, no room waits that one of them would take, but for servers that are kept for
/// rooms that were overtaken.
pub(crate) fn invariant_nothing_that_fits_waits(fleet: &Fleet, model: &Model, reader: &Reader) {
    if model.waiting().next().is_none() {
        return;
    }
    for server in model.servers.values() {
        if !is_open(fleet, model, server) || reader.is_kept(server) {
            continue;
        }
        let used = model.usage(server.no).0;
        for room in model.waiting() {
            assert!(
                !admits(model, server, used, &room.wish),
                "invariant_nothing_that_fits_waits: {room:?} waits although {server:?} holds only {used:?}"
            );
        }
    }
}

/// Each kept server is kept for one waiting room, and for one that it could take.
pub(crate) fn invariant_servers_are_kept_only_for_rooms_that_wait(model: &Model, reader: &Reader) {
    let is_configured = |server: &&ServerRecord| model.pool(&server.pool).is_some();
    let kept: Vec<&ServerRecord> = model
        .servers
        .values()
        .filter(|server| reader.is_kept(server))
        .filter(is_configured)
        .collect();
    let waiting = model.waiting().count();
    let name = "invariant_servers_are_kept_only_for_rooms_that_wait";
    assert!(kept.len() <= waiting, "{name}: {} kept, {waiting} wait", kept.len());
    for server in kept {
        assert!(
            model.waiting().any(|room| could_ever_take(model, server, &room.wish)),
            "{name}: {server:?} is kept, and no room that waits could ever go there"
        );
    }
}

/// Whether a new server of a pool would take a room.
pub(crate) fn could_be_launched_for(pool: &PoolConfig, wish: &RoomWish) -> bool {
    let only = pool.only.iter().all(|(key, values)| {
        let value = match key.as_str() {
            "tenant" => wish.tenant.as_ref().map(|tenant| tenant.as_str()),
            label => wish.labels.get(label).map(String::as_str),
        };
        value.is_some_and(|value| values.iter().any(|allowed| allowed == value))
    });
    let has_all = wish
        .require
        .iter()
        .all(|(key, value)| pool.labels.get(key) == Some(value));
    only && has_all && pool.automatic && policies::would_hold(pool, wish)
}
