//! Spreads big rooms, and the rooms of important tenants, over zones, so that one zone's failure does not take them all.
//!
//! For whom: your servers stand in several zones of a region, and an all-hands meeting, or a customer with a promise in its
//! contract, must not go down with its neighbours. Small rooms are left to the next policy, which packs them: spreading all
//! would keep every server half empty.
//!
//! - A *big* room goes to the zone with the fewest seats on servers that hold a big room, so each zone gets its share of them.
//! - Whose small rooms are where a policy is not told, and `place` keeps no notes: a listed *tenant's* rooms go to a zone by
//!   chance. Of thirty rooms each of three zones gets about ten.
//! - Within the zone it is the fullest server with room. Where no server has room, the next policy says what to wait for.
//!
//! A server without a zone stands in a zone of its own kind, the nameless one. Which zone a new server comes to is decided by
//! the pool's provider: a pool of one zone each, with a `servers_min`, keeps room in all of them.
//!
//! # Settings
//!
//! ```toml
#![doc = include_str!(concat!("../", env!("CARGO_PKG_NAME"), ".toml"))]
//! ```

use std::collections::BTreeMap;

use serde::Deserialize;
use usher_sdk::{Fitting, Fleet, Moment, Place, PlacementAdvice, Policy, Pool, RoomRequest, Server, export_policy};

/// How many servers with room are looked at, the fullest first, for one in each zone, so that a decision stays within its fuel
/// in a fleet of any size.
const LOOKED_AT_MAX: usize = 1_000;

/// In a larger fleet than this chance alone spreads big rooms, too: among so many it does so evenly, and to look at every server
/// would take more fuel than a decision has.
const SERVERS_COUNTED_MAX: usize = 10_000;

/// Reported processor use above which a server gets no new rooms, in thousandths: the mark at which others call a media server
/// overloaded. Usher itself refuses above 900, unless it is told otherwise.
const CPU_PERMILLE_MAX: u32 = 800;

/// What `20-zones.toml` may say.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// From how many seats on a room is big. Default 200.
    pub big_seats: u32,
    /// Tenants whose rooms are spread whatever their size. Default: none.
    pub tenants: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            big_seats: 200,
            tenants: Vec::new(),
        }
    }
}

/// The policy.
#[derive(Debug)]
pub struct Zones {
    settings: Settings,
}

impl Policy for Zones {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, String> {
        if settings.big_seats == 0 {
            return Err("setting `big_seats`: every room would be big; name a size above 0".into());
        }
        Ok(Zones { settings })
    }
}

impl Place for Zones {
    fn place(&self, room: &RoomRequest, fleet: &Fleet, moment: Moment) -> PlacementAdvice {
        let is_big = room.seats >= self.settings.big_seats;
        if !is_big && !self.settings.tenants.contains(&room.tenant) {
            return PlacementAdvice::defer();
        }
        let may_carry = |pool: &Pool| fleet.may_carry(pool, &room.labels);
        let fitting = fleet.fitting(room.size()).in_region(&room.region).letting_in(room);
        let open = fullest_by_zone(fitting.in_pools(&may_carry), room, fleet);
        let is_counted = is_big && fleet.servers_len() <= SERVERS_COUNTED_MAX;
        let at_stake = if is_counted {
            self.seats_at_stake(fleet)
        } else {
            BTreeMap::new()
        };
        let stake = |zone: &str| at_stake.get(zone).copied().unwrap_or(0);
        let least = open.keys().map(|zone| stake(zone)).min();
        let equal: Vec<_> = open
            .into_iter()
            .filter(|(zone, _)| Some(stake(zone)) == least)
            .collect();
        let Some((zone, server)) = moment.chance().pick(&equal) else {
            return PlacementAdvice::defer();
        };
        PlacementAdvice::on(server.id()).because(if is_counted {
            let seats = stake(zone);
            format!("zone {zone:?}: {seats} seats are there with big rooms, and nowhere fewer")
        } else {
            format!("zone {zone:?}, by chance: such rooms are spread")
        })
    }
}

impl Zones {
    /// Returns how many seats are taken in each zone on servers that hold a big room.
    fn seats_at_stake<'a>(&self, fleet: &'a Fleet) -> BTreeMap<&'a str, u64> {
        let has_big = |server: &&Server| server.usage().seats_largest >= self.settings.big_seats;
        let mut seats = BTreeMap::new();
        for server in fleet.servers().filter(has_big) {
            *seats.entry(server.zone()).or_insert(0) += u64::from(server.usage().seats);
        }
        seats
    }
}

/// Returns the fullest server of each zone, of those with room, that may be taken.
fn fullest_by_zone<'a>(fitting: Fitting<'a>, room: &RoomRequest, fleet: &Fleet) -> BTreeMap<&'a str, &'a Server> {
    let is_hot = |server: &Server| server.cpu_permille().is_some_and(|cpu| cpu > CPU_PERMILLE_MAX);
    let mut fullest = BTreeMap::new();
    for server in fitting.take(LOOKED_AT_MAX) {
        if fleet.suits(server, room) && !is_hot(server) {
            fullest.entry(server.zone()).or_insert(server);
        }
    }
    fullest
}

export_policy!(Zones: place);

#[cfg(test)]
mod tests;
