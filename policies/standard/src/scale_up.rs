//! *Scale up*: how many servers more what waits and the headroom need.

use std::collections::BinaryHeap;

use usher_sdk::{Demand, Fleet, Growth, Left, Moment, Pool, PoolState, Server, Size, Want};

use crate::Settings;
use crate::pools::{Preference, Rooms, launchable};
use crate::settings::Marks;
use crate::stock::{Purpose, stocks};

/// Answers for every pool.
pub(crate) fn scale_up(settings: &Settings, demand: &Demand, fleet: &Fleet, moment: Moment) -> Vec<Growth> {
    let mut plan = Plan::of(settings, fleet);
    for want in &demand.wants {
        plan.serve(want);
    }
    plan.fill_stocks(moment);
    plan.pools.into_iter().map(PoolPlan::into_growth).collect()
}

/// What is there, what is starting, and what is about to be ordered.
struct Plan<'a> {
    settings: &'a Settings,
    fleet: &'a Fleet,
    /// The preferred first.
    pools: Vec<PoolPlan<'a>>,
}

struct PoolPlan<'a> {
    pool: &'a Pool,
    launchable: u32,
    /// Whether a policy before this one has answered for it at this turn.
    is_spoken_for: bool,
    marks: Marks,
    /// Rooms that live on its servers, and waiting ones for which there is room on servers that are starting.
    living: Rooms,
    /// What is left on servers that take rooms now.
    open: Vec<Left>,
    /// What is left on servers that are starting, and on those about to be ordered.
    starting: Vec<Left>,
    ordered: u32,
    /// Rooms that wait and are the reason for servers.
    for_waiting: u32,
    /// What else servers are for.
    for_stocks: Vec<String>,
}

impl<'a> PoolPlan<'a> {
    fn of(settings: &Settings, fleet: &Fleet, pool: &'a Pool) -> Self {
        PoolPlan {
            pool,
            launchable: launchable(fleet, pool),
            is_spoken_for: fleet.pool_state(pool.id).is_some_and(PoolState::is_spoken_for),
            marks: settings.marks_of(pool),
            living: Rooms::default(),
            open: Vec::new(),
            starting: Vec::new(),
            ordered: 0,
            for_waiting: 0,
            for_stocks: Vec::new(),
        }
    }

    /// Counts what lives on a server of this pool, and what is left on it.
    fn count(&mut self, server: &Server) {
        let usage = server.usage();
        self.living.add(usage.rooms, usage.seats, usage.load);
        if server.is_starting() {
            self.starting.push(server.left());
        } else if server.is_open() && !self.marks.is_hot(server) {
            self.open.push(server.left());
        }
    }

    /// Puts as many of these rooms as fit on servers that are starting; returns how many did not.
    fn fill(&mut self, rooms: u32, size: Size) -> u32 {
        let mut rest = rooms;
        for left in &mut self.starting {
            let taken = left.rooms_of(size).min(rest);
            *left = left.less(taken, size);
            rest -= taken;
        }
        let taken = rooms - rest;
        self.living
            .add(taken, size.seats.saturating_mul(taken), size.load.saturating_mul(taken));
        rest
    }

    /// Orders servers for so many rooms, as far as they may be launched; returns for how many rooms there are now servers.
    fn order(&mut self, rooms: u64, size: Size) -> u64 {
        let new = self.pool.left_when_new();
        let each = u64::from(new.rooms_of(size).max(1));
        let servers = u32::try_from(rooms.div_ceil(each))
            .unwrap_or(u32::MAX)
            .min(self.launchable);
        self.launchable -= servers;
        self.ordered += servers;
        self.starting.extend(std::iter::repeat_n(new, servers as usize));
        u64::from(servers) * each
    }

    fn spare(&self, size: Size) -> u64 {
        self.open
            .iter()
            .chain(&self.starting)
            .map(|left| u64::from(left.rooms_of(size)))
            .sum()
    }

    fn into_growth(self) -> Growth {
        let waiting = match self.for_waiting {
            0 => None,
            1 => Some("1 room waits".to_owned()),
            rooms => Some(format!("{rooms} rooms wait")),
        };
        let reasons: Vec<_> = waiting.into_iter().chain(self.for_stocks).collect();
        Growth {
            pool: self.pool.id,
            servers: self.ordered,
            reason: reasons.join("; "),
        }
    }
}

impl<'a> Plan<'a> {
    fn of(settings: &'a Settings, fleet: &'a Fleet) -> Self {
        let by_id: Vec<_> = fleet.pools().collect();
        let preferences = (0..).zip(&by_id).map(|(at, pool)| (Preference::of(settings, pool), at));
        let preferred = preferences.collect::<BinaryHeap<(_, usize)>>().into_sorted_vec();
        let mut pools = Vec::new();
        let mut places = vec![0; by_id.len()];
        for (_, at) in preferred {
            places[at] = pools.len();
            pools.push(PoolPlan::of(settings, fleet, by_id[at]));
        }
        for server in fleet.servers() {
            let Ok(at) = by_id.binary_search_by_key(&server.pool_id(), |pool| pool.id) else {
                continue;
            };
            pools[places[at]].count(server);
        }
        Plan { settings, fleet, pools }
    }

    /// Finds servers for a group of waiting rooms, region by region: starting ones, then new ones.
    fn serve(&mut self, want: &Want) {
        let size = want.size_average();
        let mut rest = want.rooms;
        for region in self.settings.regions(&want.region) {
            let is_suited = |at: &usize| {
                let pool = self.pools[*at].pool;
                pool.would_do(region, &want.tenant, &want.labels, want.size_largest())
            };
            // A pool that a place policy named comes first: that policy may place the room nowhere else.
            let is_named = |at: &usize| want.pool == Some(self.pools[*at].pool.id);
            let named = (0..self.pools.len()).filter(is_named).filter(is_suited);
            let others = (0..self.pools.len()).filter(|at| !is_named(at)).filter(is_suited);
            let suited: Vec<_> = named.chain(others).collect();
            for at in &suited {
                rest = self.pools[*at].fill(rest, size);
            }
            // Somebody before has decided that less is launched than might be: no reason to want servers of those who make them,
            // unless the rooms wait for just these.
            let is_decided = suited.iter().any(|at| self.pools[*at].is_spoken_for);
            for at in suited {
                let plan = &mut self.pools[at];
                if is_decided && !plan.pool.automatic && want.pool != Some(plan.pool.id) {
                    continue;
                }
                if rest > 0 && plan.order(rest.into(), size) > 0 {
                    let before = rest;
                    rest = plan.fill(rest, size);
                    plan.for_waiting += before - rest;
                }
            }
            if rest == 0 {
                return;
            }
        }
        usher_sdk::debug!(
            "no pool can launch servers for {rest} rooms that wait for region {:?}",
            want.region
        );
    }

    /// Orders what the stocks lack.
    fn fill_stocks(&mut self, moment: Moment) {
        let pools: Vec<_> = self.pools.iter().map(|plan| (plan.pool, plan.living)).collect();
        for stock in stocks(self.settings, self.fleet, &pools, Purpose::Launch, moment.now) {
            let spare: u64 = stock.pools.iter().map(|at| self.pools[*at].spare(stock.size)).sum();
            let mut missing = stock.rooms.saturating_sub(spare);
            let mut members = stock.pools.clone();
            members.retain(|at| self.pools[*at].pool.left_when_new().fits(stock.size));
            for at in members {
                let plan = &mut self.pools[at];
                // A stock is not worth a dearer pool: whoever has answered for this one may fill it at the next turn.
                if missing == 0 || plan.is_spoken_for {
                    break;
                }
                let came = plan.order(missing, stock.size);
                if came > 0 {
                    plan.for_stocks.push(stock.reason());
                    missing = missing.saturating_sub(came);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
