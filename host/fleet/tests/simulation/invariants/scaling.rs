//! Launches and retirements: what the guards promise.

use usher_fleet::command::Command;
use usher_fleet::config::PoolConfig;
use usher_fleet::ids::PoolName;
use usher_fleet::pool::{Circuit, PoolRecord};
use usher_fleet::server::{Hold, Phase, ServerRecord};
use usher_fleet::units::Microdollars;
use usher_fleet::{Input, Observation};

use std::time::Duration;

use crate::simulation::model::Model;

/// A server's record is about to be made: launched, or registered by whoever created it.
pub(super) fn made(model: &mut Model, server: &ServerRecord, input: Option<&Input>) {
    let is_known = model.servers.values().any(|other| other.name == server.name);
    assert!(!is_known, "invariant_a_name_is_one_server: {server:?}");
    let next = model.meta.as_ref().map(|meta| meta.next_server);
    assert!(
        next.is_some_and(|next| server.no < next),
        "invariant_server_numbers_are_reserved: {server:?}, next is {next:?}"
    );
    match server.phase {
        Phase::Requested(_) => {
            invariant_launches_stay_within_every_ceiling(model, server);
            invariant_a_new_pool_is_looked_at_before_anything_is_launched(model, server);
        }
        Phase::Launching(_) | Phase::Booting(_) | Phase::Ready(_) | Phase::Failed(_) | Phase::Terminating(_) => {
            assert!(
                matches!(input, Some(Input::Command(Command::RegisterServer(command))) if command.server == server.name),
                "invariant_external_servers_are_registered: {server:?}"
            );
        }
    }
}

fn in_pool<'a>(model: &'a Model, name: &'a PoolName) -> impl Iterator<Item = &'a ServerRecord> {
    model.servers.values().filter(move |server| server.pool == *name)
}

fn invariant_launches_stay_within_every_ceiling(model: &mut Model, server: &ServerRecord) {
    let name = "invariant_launches_stay_within_every_ceiling";
    let pool = model
        .pool(&server.pool)
        .cloned()
        .unwrap_or_else(|| panic!("{name}: {server:?} in a pool that is gone"));
    assert!(pool.automatic, "{name}: {server:?} in an external pool");
    let guards = &pool.guards;
    let counting = |server: &&ServerRecord| server.phase.counts();
    let in_pool_now = in_pool(model, &pool.name).filter(counting).count();
    assert!(
        in_pool_now < guards.servers_max as usize,
        "{name}: servers_max of {}",
        pool.name
    );
    let in_fleet = model.servers.values().filter(counting).count();
    let fleet = &model.config.guards;
    assert!(in_fleet < fleet.servers_max as usize, "{name}: fleet_servers_max");
    let in_flight = in_pool(model, &pool.name)
        .filter(|server| matches!(server.phase, Phase::Requested(_)))
        .count();
    assert!(
        in_flight < guards.launches_in_flight_max as usize,
        "{name}: launches_in_flight_max of {}",
        pool.name
    );
    assert!(
        is_affordable(model, server.price_per_hour),
        "{name}: fleet_dollars_per_hour_max or fleet_dollars_per_month_max: {} more",
        server.price_per_hour
    );
    let record = &model.pools[&pool.name];
    if let Circuit::Open(open) = &record.circuit {
        assert!(open.until <= model.now, "{name}: the circuit of {} is open", pool.name);
    }
    if !record.scaling_enabled {
        assert!(
            staying(model, &pool) < guards.servers_min as usize,
            "{name}: scaling of {} is switched off",
            pool.name
        );
    }
    let now = model.now;
    let per_minute = guards.launches_per_minute_max as usize;
    let recent = model.launches.entry(pool.name.clone()).or_default();
    recent.retain(|at| now.since(*at) < Duration::from_secs(60));
    assert!(
        recent.len() < per_minute,
        "{name}: launches_per_minute_max of {}",
        pool.name
    );
}

/// Whether the operator's own figures let one more server of a pool be launched: no cool-down, circuit or shortage counts.
pub(crate) fn is_below_every_ceiling(model: &Model, pool: &PoolConfig) -> bool {
    let counting = |server: &&ServerRecord| server.phase.counts();
    let fleet = &model.config.guards;
    let price = pool.offers.iter().map(|offer| offer.price_per_hour).min();
    let price = price.unwrap_or(pool.price_per_hour);
    in_pool(model, &pool.name).filter(counting).count() < pool.guards.servers_max as usize
        && model.servers.values().filter(counting).count() < fleet.servers_max as usize
        && is_affordable(model, price)
}

/// Whether the ceilings over dollars let the fleet cost `more` an hour: what all records cost an hour, and what this month has
/// cost, by the bills that were written.
fn is_affordable(model: &Model, more: Microdollars) -> bool {
    let guards = &model.config.guards;
    let per_hour: Microdollars = model.servers.values().map(|server| server.price_per_hour).sum();
    let month: Microdollars = model
        .pools
        .values()
        .map(|pool| pool.bill.month + pool.bill.rate.per_hour_over(model.now.since(pool.bill.until)))
        .sum();
    let is_within = |used: Microdollars, max: Option<Microdollars>| max.is_none_or(|max| used + more <= max);
    more == Microdollars(0)
        || is_within(per_hour, guards.price_per_hour_max) && is_within(month, guards.price_per_month_max)
}

/// A dearer offer is about to be ordered than the one before.
pub(super) fn invariant_another_offer_stays_within_the_dollars(model: &Model, old: &ServerRecord, new: &ServerRecord) {
    let more = Microdollars(new.price_per_hour.0.saturating_sub(old.price_per_hour.0));
    assert!(
        is_affordable(model, more),
        "invariant_another_offer_stays_within_the_dollars: {old:?} -> {new:?}"
    );
}

/// A pool without a record of its own knows nothing of what may have been launched before.
fn invariant_a_new_pool_is_looked_at_before_anything_is_launched(model: &Model, server: &ServerRecord) {
    let name = "invariant_a_new_pool_is_looked_at_before_anything_is_launched";
    assert!(!model.pools[&server.pool].is_unlisted, "{name}: {server:?}");
    let found_others = model.pools[&server.pool].has_found_others;
    assert!(!found_others, "{name}: {server:?}, and nobody has switched scaling on");
}

fn staying(model: &Model, pool: &PoolConfig) -> usize {
    in_pool(model, &pool.name)
        .filter(|server| server.phase.counts() && !matches!(server.hold, Some(Hold::Draining(_))))
        .count()
}

/// A policy's drain is about to begin on a server.
pub(super) fn invariant_policies_retire_within_the_guards(model: &Model, server: &ServerRecord, input: Option<&Input>) {
    let name = "invariant_policies_retire_within_the_guards";
    assert!(
        matches!(input, Some(Input::Observation(Observation::Scaled(_)))),
        "{name}: {server:?} by {input:?}"
    );
    let pool = model
        .pool(&server.pool)
        .unwrap_or_else(|| panic!("{name}: {server:?} in a pool that is gone"));
    let Phase::Ready(ready) = &server.phase else {
        panic!("{name}: {server:?} is not ready")
    };
    assert!(server.hold.is_none(), "{name}: {server:?} is held already");
    assert!(
        ready.since + pool.guards.server_life_min <= model.now,
        "{name}: {server:?} is too young"
    );
    let record = &model.pools[&pool.name];
    assert!(record.scaling_enabled, "{name}: {server:?}: switched off");
    assert!(
        staying(model, pool) > pool.guards.servers_min as usize,
        "{name}: {server:?}: servers_min"
    );
    let since = record.scaled_down + pool.guards.scale_down_cooldown;
    assert!(
        pool.guards.scale_down_cooldown.is_zero() || since <= model.now,
        "{name}: {server:?}: cool-down"
    );
    let with_rooms = in_pool(model, &pool.name)
        .filter(|server| matches!(&server.hold, Some(Hold::Draining(hold)) if hold.owner == usher_fleet::server::HoldOwner::Policy))
        .filter(|server| !model.is_empty(server.no))
        .count();
    let tenth = in_pool(model, &pool.name).count() / 10;
    let max = pool
        .guards
        .drains_in_flight_max
        .map_or(tenth.max(1), |max| max as usize);
    assert!(
        model.is_empty(server.no) || with_rooms < max,
        "{name}: {server:?}: drains_in_flight_max"
    );
}

pub(super) fn invariant_cool_downs_pass(model: &Model, old: &PoolRecord, new: &PoolRecord) {
    let Some(pool) = model.pool(&new.name) else { return };
    let guards = &pool.guards;
    for (old, new, cooldown) in [
        (old.scaled_up, new.scaled_up, guards.scale_up_cooldown),
        (old.scaled_down, new.scaled_down, guards.scale_down_cooldown),
    ] {
        assert!(
            new == old || old + cooldown <= new,
            "invariant_cool_downs_pass: {}: {old:?} -> {new:?}",
            pool.name
        );
    }
    assert_eq!(old.no, new.no, "invariant_a_pool_keeps_its_number: {}", new.name);
}

/// Only a list says what is there.
pub(super) fn invariant_only_a_list_looks_at_a_pool(old: &PoolRecord, new: &PoolRecord, input: Option<&Input>) {
    let is_listed = matches!(
        input,
        Some(Input::Observation(Observation::Listed(listed))) if listed.pool == new.name && listed.result.is_ok()
    );
    let is_looked_at = old.is_unlisted && !new.is_unlisted;
    assert!(
        !is_looked_at || is_listed || !new.automatic,
        "invariant_only_a_list_looks_at_a_pool: {new:?} by {input:?}"
    );
}
