//! Launches where a room costs least, with a bounded share of spot servers.
//!
//! For whom: you have several pools that would do (machine types, markets, clouds), and the bill is what you look at. The
//! standard policy takes the pool with the cheapest *server*; this one the cheapest *room*, so that a big machine may win.
//!
//! *Scale up*:
//!
//! - Waiting rooms first fill the servers that are starting, then new ones: always the pool whose room costs least.
//! - After them come the rooms that a region lacks of [`Settings::spare_rooms`], likewise.
//! - Spot servers are at most [`Settings::spot_percent_max`] of all, counted server by server, so that one order mixes both. Where
//!   only spot pools would do for a room, they are launched in all the same.
//! - A pool that may launch nothing now is passed over, unless it may again before the rooms have waited
//!   [`Settings::patience_seconds`]: then they wait for it rather than pay more.
//! - A pool whose launch was refused or failed is left alone until the refusal ends, at least [`PAUSE_SECONDS`].
//! - Rooms that wait for a pool for which a policy before this one has answered are left to that policy, for as long.
//!
//! It speaks for every pool that Usher launches in.
//!
//! *Scale down*: keeps every server of a pool if with one less its region would have fewer than [`Settings::spare_rooms`], which
//! this policy would launch again. Of other pools it says nothing: the next policy decides, and gives back what is idle; where that is
//! several servers at once it may be one too many, which is launched again once.
//!
//! Pools whose servers somebody else makes are left to the next policy in both. Prices are microdollars an hour in whole numbers:
//! no float decides.
//!
//! # Settings
//!
//! ```toml
#![doc = include_str!(concat!("../", env!("CARGO_PKG_NAME"), ".toml"))]
//! ```

mod market;

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use usher_sdk::{
    Demand, Fleet, Growth, Moment, Outcome, Policy, PoolId, ScaleDown, ScaleUp, Shrinkage, Subject, Timestamp, Want,
    export_policy,
};

use market::Market;

/// How long a pool is left alone at least after a launch that failed, in seconds: long enough that the next try is not
/// the same failure, short enough that a cheap pool is not lost for long.
pub const PAUSE_SECONDS: u32 = 60;

/// What `40-dollars.toml` may say.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The largest share of spot servers, in per cent of all servers, where other pools would do as well. Default 50.
    pub spot_percent_max: u32,
    /// Rooms that may begin at once in each region; no server goes that they need. Default 5.
    pub spare_rooms: u32,
    /// Seats of each of them. Default 50.
    pub spare_seats: u32,
    /// How long a room may wait for a cheaper pool, in seconds. Default 20.
    pub patience_seconds: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            spot_percent_max: 50,
            spare_rooms: 5,
            spare_seats: 50,
            patience_seconds: 20,
        }
    }
}

/// The policy.
#[derive(Debug)]
pub struct Dollars {
    settings: Settings,
    /// Pools whose launches failed, and until when each is left alone.
    left_alone: BTreeMap<PoolId, Timestamp>,
}

impl Policy for Dollars {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, String> {
        if settings.spot_percent_max > 100 {
            let percent = settings.spot_percent_max;
            return Err(format!("setting `spot_percent_max`: {percent} is more than 100"));
        }
        Ok(Dollars {
            settings,
            left_alone: BTreeMap::new(),
        })
    }
}

impl ScaleUp for Dollars {
    fn scale_up(&mut self, demand: &Demand, fleet: &Fleet, moment: Moment) -> Vec<Growth> {
        self.hear(fleet, moment);
        let mut market = Market::of(&self.settings, &self.left_alone, fleet, moment);
        for want in &demand.wants {
            market.serve(want, want.rooms);
        }
        for spare in self.spare(fleet) {
            let missing = u64::from(self.settings.spare_rooms).saturating_sub(market.open_to(&spare));
            market.serve(&spare, missing as u32);
        }
        market.into_growths()
    }
}

impl ScaleDown for Dollars {
    fn scale_down(&mut self, fleet: &Fleet, moment: Moment) -> Vec<Shrinkage> {
        let market = Market::of(&self.settings, &self.left_alone, fleet, moment);
        let mut kept = BTreeSet::new();
        for spare in self.spare(fleet) {
            kept.extend(market.kept_for(&spare, self.settings.spare_rooms));
        }
        kept.into_iter().map(Shrinkage::keep_all).collect()
    }
}

impl Dollars {
    /// Returns for each region one of the rooms that are kept spare there.
    fn spare(&self, fleet: &Fleet) -> Vec<Want> {
        let regions: BTreeSet<&str> = fleet.pools().map(|pool| pool.region.as_str()).collect();
        let spare = |region: &str| Want {
            region: region.into(),
            ..Want::new(1, self.settings.spare_seats)
        };
        regions.into_iter().map(spare).collect()
    }

    /// Notes which pools are to be left alone after what became of earlier orders.
    fn hear(&mut self, fleet: &Fleet, moment: Moment) {
        for verdict in fleet.launch_verdicts() {
            if let (Subject::Launch(pool), Outcome::Refused | Outcome::Failed) = (verdict.subject, verdict.outcome) {
                let until = verdict.until.max(moment.now.saturating_add(PAUSE_SECONDS));
                usher_sdk::info!("pool {pool} is left alone until {until}: {}", verdict.code);
                self.left_alone.insert(pool, until);
            }
        }
        self.left_alone.retain(|_, until| *until > moment.now);
    }
}

export_policy!(Dollars: scale_up, scale_down);

#[cfg(test)]
mod tests;
