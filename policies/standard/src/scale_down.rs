//! *Scale down*: which servers may go while the headroom stays.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use usher_sdk::{Fleet, Moment, PoolId, Retirement, Server, ServerId, Shrinkage, Timestamp};

use crate::Settings;
use crate::pools::{Group, Rooms};

/// Which server goes first; the least does. Empty ones before those that must be drained, then the dearest, then the one that is done
/// soonest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Leaving {
    rooms: u32,
    price: Reverse<u32>,
    /// Since when it has been empty, or when its last room ends.
    done: Timestamp,
    server: ServerId,
}

/// Answers for every pool.
pub(crate) fn scale_down(settings: &Settings, fleet: &Fleet, moment: Moment) -> Vec<Shrinkage> {
    let mut answer: BTreeMap<PoolId, Shrinkage> = fleet
        .pools()
        .map(|pool| (pool.id, Shrinkage::keep_all(pool.id)))
        .collect();
    for members in groups(fleet).into_values() {
        for server in leaving(settings, fleet, moment, &members) {
            if let Some(shrinkage) = answer.get_mut(&server.pool_id()) {
                shrinkage
                    .servers
                    .push(Retirement::new(server.id(), reason(server, moment)));
            }
        }
    }
    answer.into_values().collect()
}

fn reason(server: &Server, moment: Moment) -> String {
    match server.empty_since() {
        Some(since) => format!("empty for {} s", moment.seconds_since(since)),
        None => {
            let seconds = server.busy_until().map_or(0, |until| moment.seconds_until(until));
            format!("{} rooms, the last ends in {seconds} s", server.usage().rooms)
        }
    }
}

/// Returns the servers of each group of pools.
fn groups(fleet: &Fleet) -> BTreeMap<Group<'_>, Vec<&Server>> {
    let mut by_pool: BTreeMap<PoolId, Vec<&Server>> = BTreeMap::new();
    for server in fleet.servers() {
        by_pool.entry(server.pool_id()).or_default().push(server);
    }
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for pool in fleet.pools() {
        groups
            .entry(Group::of(pool))
            .or_default()
            .extend(by_pool.remove(&pool.id).unwrap_or_default());
    }
    groups
}

/// Returns which servers of a group may go without taking its headroom.
fn leaving<'a>(settings: &Settings, fleet: &Fleet, moment: Moment, members: &[&'a Server]) -> Vec<&'a Server> {
    let mut living = Rooms::default();
    for server in members {
        living.add(server.usage().rooms, server.usage().seats, server.usage().load);
    }
    let size = living.size_average();
    let spare_on = |server: &Server| {
        let is_spare = server.is_open() && !settings.is_hot(server);
        if is_spare {
            u64::from(server.left().rooms_of(size))
        } else {
            0
        }
    };
    let wanted = settings.headroom(living.count);
    let mut spare: u64 = members.iter().map(|server| spare_on(server)).sum();
    let mut candidates: Vec<_> = members
        .iter()
        .filter_map(|server| Some((candidate(settings, server, moment)?, *server)))
        .collect();
    candidates.sort_by_key(|(order, _)| *order);
    let mut retirable: BTreeMap<PoolId, u32> = BTreeMap::new();
    let mut gone = Vec::new();
    for (_, server) in candidates {
        let pool = server.pool_id();
        let retirable = retirable
            .entry(pool)
            .or_insert_with(|| fleet.pool_state(pool).map_or(u32::MAX, |state| state.retirable));
        let rest = spare - spare_on(server);
        if *retirable > 0 && rest >= wanted {
            *retirable -= 1;
            spare = rest;
            gone.push(server);
        }
    }
    gone
}

/// Returns whether a server may go, and how soon before others.
///
/// A silent server is none: no data is not zero load. Nor is one that somebody holds: it is theirs.
fn candidate(settings: &Settings, server: &Server, moment: Moment) -> Option<Leaving> {
    let usage = server.usage();
    if !server.is_serving() {
        return None;
    }
    let done = match server.empty_since() {
        Some(since) => (moment.seconds_since(since) >= settings.idle_seconds).then_some(since),
        None => ends_soon(settings, server, moment),
    }?;
    Some(Leaving {
        rooms: usage.rooms,
        price: Reverse(server.row().price_microdollars_per_hour),
        done,
        server: server.id(),
    })
}

/// Returns when a server's few rooms end, if they all do soon. One that is overdue may stay for long: it does not count as soon.
fn ends_soon(settings: &Settings, server: &Server, moment: Moment) -> Option<Timestamp> {
    let within = 1..=settings.ending_within_minutes.saturating_mul(60);
    let until = server.busy_until()?;
    let is_few = server.usage().rooms <= settings.ending_rooms_max;
    (is_few && within.contains(&moment.seconds_until(until))).then_some(until)
}

#[cfg(test)]
mod tests;
