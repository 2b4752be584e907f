//! Servers of their own for tenants who pay for them: nobody else ever lands there, and one is always warm.
//!
//! For whom: you sell some customers an instance of their own ("no noisy neighbours", "our data on our machines") and run
//! everybody else on shared servers. Whose a pool is stands in `usher.toml`, as a label:
//!
//! ```toml
//! [[pool]]
//! name = "acme"
//! labels = { reserved_for = "acme" }
//! only = { tenant = ["acme"] }
//! ```
//!
//! `only` is for the policies after this one, which know nothing of the label: with it they launch nothing there for rooms of other
//! tenants, nor take what is free there for room that all may have. Usher enforces it as well.
//!
//! - *Place*: a tenant's rooms go to its own servers or wait for them. Everybody else's go to the fullest server of a shared pool;
//!   where no reserved pool would let them in, they are left to the next policy.
//! - *Scale up*, *scale down*: keep [`Settings::warm_servers`] of each reserved pool; shared pools are left to the next policy.
//!
//! Keep `on_fault = "wait"` in the settings, so that while this policy is broken no other places its rooms.
//!
//! # Settings
//!
//! ```toml
#![doc = include_str!(concat!("../", env!("CARGO_PKG_NAME"), ".toml"))]
//! ```

use serde::Deserialize;
use usher_sdk::{
    Demand, Fleet, Growth, Moment, Place, PlacementAdvice, Policy, Pool, Retirement, RoomRequest, ScaleDown, ScaleUp,
    Server, Shrinkage, Want, export_policy,
};

/// The label that says whose a pool is.
const RESERVED_FOR: &str = "reserved_for";

/// How full a warm server is at most, in the SDK's 63 steps: half, so that a few rooms at once find place before the next
/// server has booted.
const WARM_FULLNESS_MAX: u8 = 31;

/// How long a reserved server stays empty before it goes, in seconds: ten minutes, since the tenant pays for readiness.
const IDLE_SECONDS: u32 = 600;

/// How many servers with room are looked at for one that carries what the room requires, so that a decision stays within its
/// fuel in a fleet of any size.
const LOOKED_AT_MAX: usize = 1_000;

/// Reported processor use above which a server gets no new rooms, in thousandths. Usher refuses by itself above 900 (unless it
/// is told otherwise), and would then ask the next policy, which knows of no reservation: stay below.
const CPU_PERMILLE_MAX: u32 = 800;

/// What `10-reserved.toml` may say.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Servers of each reserved pool that are at most half full, beyond what its tenant's rooms need. Default 1.
    pub warm_servers: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { warm_servers: 1 }
    }
}

/// The policy.
#[derive(Debug)]
pub struct Reserved {
    settings: Settings,
}

impl Policy for Reserved {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, String> {
        Ok(Reserved { settings })
    }
}

impl Place for Reserved {
    fn place(&self, room: &RoomRequest, fleet: &Fleet, _: Moment) -> PlacementAdvice {
        let lets_in = |pool: &Pool| pool.lets_in(&room.tenant, &room.labels);
        let is_own = |pool: &Pool| owner(pool) == Some(&room.tenant) && is_in_reach(pool, room);
        let has_own = fleet.pools().any(is_own);
        if !has_own && !fleet.pools().any(|pool| owner(pool).is_some() && lets_in(pool)) {
            return PlacementAdvice::defer();
        }
        let is_meant = |pool: &Pool| match has_own {
            true => is_own(pool),
            false => owner(pool).is_none() && lets_in(pool),
        };
        let is_searched = |pool: &Pool| is_meant(pool) && fleet.may_carry(pool, &room.labels);
        let fitting = fleet
            .fitting(room.size())
            .in_region(&room.region)
            .in_pools(&is_searched);
        let mut suited = fitting
            .take(LOOKED_AT_MAX)
            .filter(|server| fleet.suits(server, room) && !is_hot(server));
        let whose = if has_own { "reserved for its tenant" } else { "shared" };
        if let Some(server) = suited.next() {
            return PlacementAdvice::on(server.id()).because(format!("fullest server that is {whose}"));
        }
        // Named, so that whoever scales up launches there, and not in a pool where the room may not go.
        let best = |pool: &&Pool| (launchable(fleet, pool) == 0, pool.price_microdollars_per_hour, pool.id);
        let pool = fleet
            .pools()
            .filter(|pool| is_meant(pool) && pool.suits(room))
            .min_by_key(best);
        PlacementAdvice::wait(pool.map(|pool| pool.id)).because(format!("no server that is {whose} has room"))
    }
}

impl ScaleUp for Reserved {
    fn scale_up(&mut self, demand: &Demand, fleet: &Fleet, _: Moment) -> Vec<Growth> {
        let growth = |pool: &Pool| {
            let tenant = owner(pool)?;
            let waits_for_it = |want: &&Want| {
                want.tenant == tenant && want.pool.is_none_or(|named| named == pool.id) && pool.suits_all(want)
            };
            let servers_for = |want: &Want| want.rooms.div_ceil(pool.left_when_new().rooms_of(want.size_average()));
            let for_waiting: u32 = demand.wants.iter().filter(waits_for_it).map(servers_for).sum();
            let count = |counts: fn(&Server) -> bool| {
                let of_pool = fleet.servers().filter(|server| server.pool_id() == pool.id);
                of_pool.filter(|server| counts(server)).count() as u32
            };
            let (starting, warm) = (count(Server::is_starting), count(is_warm));
            // A room that waits found no place on the warm ones: they do not count as servers for it.
            let missing = for_waiting
                .saturating_add(self.settings.warm_servers.saturating_sub(warm))
                .saturating_sub(starting);
            // 0 is an answer, too: nobody after this policy launches servers that others may not use.
            Some(Growth {
                pool: pool.id,
                servers: missing.min(launchable(fleet, pool)),
                reason: format!(
                    "{for_waiting} servers for rooms of {tenant} that wait, {} kept warm",
                    self.settings.warm_servers
                ),
            })
        };
        fleet.pools().filter_map(growth).collect()
    }
}

impl ScaleDown for Reserved {
    fn scale_down(&mut self, fleet: &Fleet, moment: Moment) -> Vec<Shrinkage> {
        let shrinkage = |pool: &Pool| {
            let tenant = owner(pool)?;
            let of_pool = fleet.servers().filter(|server| server.pool_id() == pool.id);
            let warm: Vec<&Server> = of_pool.filter(|server| is_warm(server)).collect();
            let surplus = warm.len().saturating_sub(self.settings.warm_servers as usize);
            let is_idle = |since| moment.seconds_since(since) >= IDLE_SECONDS;
            let idle = warm
                .into_iter()
                .filter(|server| server.empty_since().is_some_and(is_idle));
            let retire = |server: &Server| Retirement::new(server.id(), format!("{tenant} has others that are warm"));
            Some(Shrinkage {
                pool: pool.id,
                servers: idle.take(surplus).map(retire).collect(),
            })
        };
        fleet.pools().filter_map(shrinkage).collect()
    }
}

/// Returns the tenant for whom a pool is reserved.
fn owner(pool: &Pool) -> Option<&str> {
    pool.label(RESERVED_FOR).filter(|tenant| !tenant.is_empty())
}

/// Returns whether a room may and could live in a pool, whatever labels its servers carry.
fn is_in_reach(pool: &Pool, room: &RoomRequest) -> bool {
    (room.region.is_empty() || room.region == pool.region)
        && pool.lets_in(&room.tenant, &room.labels)
        && pool.left_when_new().fits(room.size())
}

fn is_hot(server: &Server) -> bool {
    server.cpu_permille().is_some_and(|cpu| cpu > CPU_PERMILLE_MAX)
}

fn launchable(fleet: &Fleet, pool: &Pool) -> u32 {
    fleet.pool_state(pool.id).map_or(0, |state| state.launchable)
}

fn is_warm(server: &Server) -> bool {
    server.is_open() && !is_hot(server) && server.fullness() <= WARM_FULLNESS_MAX
}

export_policy!(Reserved: place, scale_up, scale_down);

#[cfg(test)]
mod tests;
