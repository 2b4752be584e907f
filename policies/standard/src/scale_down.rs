//! *Scale down*: which servers may go while the headroom stays.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use usher_sdk::{Fleet, Moment, PoolId, Retirement, Server, ServerId, Shrinkage, Size, Timestamp};

use crate::Settings;
use crate::pools::{Rooms, groups};

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
    let pools: Vec<_> = fleet.pools().collect();
    let mut answer: Vec<_> = pools.iter().map(|pool| Shrinkage::keep_all(pool.id)).collect();
    for group in groups(&pools) {
        let mut yard = Yard::of(settings, fleet, group.iter().map(|at| pools[*at].id).collect());
        for server in yard.leaving(moment) {
            if let Some(shrinkage) = answer.iter_mut().find(|shrinkage| shrinkage.pool == server.pool_id()) {
                shrinkage
                    .servers
                    .push(Retirement::new(server.id(), reason(server, moment)));
            }
        }
    }
    answer
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

/// The servers of pools that share their headroom.
struct Yard<'a> {
    settings: &'a Settings,
    fleet: &'a Fleet,
    servers: Vec<&'a Server>,
    /// How many of each pool's servers may still be retired.
    retirable: Vec<(PoolId, u32)>,
    /// The average room that lives here.
    size: Size,
    /// How many spare rooms must stay.
    headroom: u64,
}

impl<'a> Yard<'a> {
    fn of(settings: &'a Settings, fleet: &'a Fleet, pools: Vec<PoolId>) -> Self {
        let mut living = Rooms::default();
        let mut servers = Vec::new();
        for server in fleet.servers().filter(|server| pools.contains(&server.pool_id())) {
            living.add(server.usage().rooms, server.usage().seats, server.usage().load);
            servers.push(server);
        }
        let retirable = |pool: PoolId| fleet.pool_state(pool).map_or(u32::MAX, |state| state.retirable);
        let retirable = pools.into_iter().map(|pool| (pool, retirable(pool))).collect();
        let headroom = settings.headroom(living.count);
        Yard {
            settings,
            fleet,
            servers,
            retirable,
            size: living.size_average(),
            headroom,
        }
    }

    /// Returns which servers may go without taking the headroom.
    fn leaving(&mut self, moment: Moment) -> Vec<&'a Server> {
        let mut spare: u64 = self.servers.iter().map(|server| self.spare_on(server)).sum();
        let candidates = self
            .servers
            .iter()
            .filter_map(|server| candidate(self.settings, server, moment));
        let mut candidates: BinaryHeap<_> = candidates.map(Reverse).collect();
        let mut gone = Vec::new();
        while let Some(Reverse(least)) = candidates.pop() {
            let Some(server) = self.fleet.server(least.server) else {
                continue;
            };
            let rest = spare - self.spare_on(server);
            if rest >= self.headroom && self.may_retire(server.pool_id()) {
                spare = rest;
                gone.push(server);
            }
        }
        gone
    }

    /// Returns how many rooms more a server takes; none where it takes no rooms at all now.
    fn spare_on(&self, server: &Server) -> u64 {
        let is_spare = server.is_open() && !self.settings.is_hot(server);
        if is_spare {
            u64::from(server.left().rooms_of(self.size))
        } else {
            0
        }
    }

    /// Takes one off what may be retired in a pool, if anything is left.
    fn may_retire(&mut self, pool: PoolId) -> bool {
        let left = self.retirable.iter_mut().find(|(id, left)| *id == pool && *left > 0);
        left.map(|(_, left)| *left -= 1).is_some()
    }
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
