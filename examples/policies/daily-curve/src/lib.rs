//! Learns how many rooms each quarter of an hour of the week brings, and launches ahead of them.
//!
//! For whom: your load repeats itself week by week, but nobody could write it down: school hours, shifts, the pub quiz on
//! Thursdays. One policy looks after one pool; for more pools copy the module under more names, each with its own settings.
//!
//! - *Learns*: the most rooms that lived or waited in each slot of the week, by the clock on the wall. The newest week counts a
//!   quarter, so that a new habit is known after a month and one odd day is forgotten as fast.
//! - *Scale up*: launches what the rooms lack that are expected until a server launched now is ready, twice a boot ahead.
//! - *Scale down*: keeps every server while more rooms are expected than there would be room for without the idle ones.
//! - Where it expects nothing it says nothing: the next policy decides, and keeps a headroom for what was never seen.
//!
//! What it has learned is kept by Usher ([`Learned`]), under the file's name, over new versions, new settings and restarts.
//!
//! # Settings
//!
//! ```toml
#![doc = include_str!(concat!("../", env!("CARGO_PKG_NAME"), ".toml"))]
//! ```

mod curve;

use serde::Deserialize;
use usher_sdk::{
    Demand, Fleet, Growth, Learned, Moment, Policy, Pool, ScaleDown, ScaleUp, Server, Shrinkage, Size, Timestamp, Want,
    export_policy, local_time, warn,
};

use curve::Curve;

/// How far ahead servers are launched while the pool's boots are unknown, in seconds: others measured 3 to 11 minutes from
/// launch to ready.
const AHEAD_SECONDS_UNKNOWN: u32 = 600;

/// How far ahead is looked at most, in seconds: longer than any boot that Usher waits for by default, and a handful of slots.
const AHEAD_SECONDS_MAX: u32 = 3_600;

/// What `30-daily-curve.toml` may say.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The pool that is looked after. It must be named.
    pub pool: String,
    /// The zone of the clock, from the IANA database. Default UTC.
    pub time_zone: String,
    /// How long a slot of the week is, in minutes, 5 to 1,440, of which a day is a multiple. Default 15.
    pub slot_minutes: u32,
    /// Seats of a room, and as much load. Default 50.
    pub room_seats: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            pool: String::new(),
            time_zone: "UTC".into(),
            slot_minutes: 15,
            room_seats: 50,
        }
    }
}

/// The policy.
#[derive(Debug)]
pub struct DailyCurve {
    settings: Settings,
    curve: Curve,
    was_there: bool,
}

impl Policy for DailyCurve {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, String> {
        if settings.pool.is_empty() {
            return Err("setting `pool`: name the pool that is to be looked after".into());
        }
        local_time(0, &settings.time_zone).map_err(|why| format!("setting `time_zone`: {why}"))?;
        let curve = Curve::new(settings.slot_minutes).map_err(|why| format!("setting `slot_minutes`: {why}"))?;
        Ok(DailyCurve {
            settings,
            curve,
            was_there: true,
        })
    }
}

impl ScaleUp for DailyCurve {
    fn scale_up(&mut self, demand: &Demand, fleet: &Fleet, moment: Moment) -> Vec<Growth> {
        self.look_for_pool(fleet);
        let Some(pool) = self.pool(fleet) else { return vec![] };
        let living = self.living(fleet, pool);
        let waits_for_it = |want: &&Want| want.pool.is_none_or(|named| named == pool.id) && pool.suits_all(want);
        let waiting = demand.wants.iter().filter(waits_for_it);
        let rooms = living + waiting.map(|want| want.rooms).sum::<u32>();
        self.curve.watch(self.minute_of_week(moment.now), rooms);
        // What is there and what waits has just been taken in: it is part of what is expected.
        let expected = self.expected(fleet, pool, moment);
        let is_coming = |server: &Server| server.is_open() || server.is_starting();
        let place = u64::from(living) + self.room_on(fleet, pool, is_coming);
        let missing = u64::from(expected).saturating_sub(place);
        let on_each = pool.left_when_new().rooms_of(self.room());
        let launchable = fleet.pool_state(pool.id).map_or(0, |state| state.launchable);
        // Where nothing is missing, or nothing would help, the next policy may know better.
        if missing == 0 || on_each == 0 || launchable == 0 {
            return vec![];
        }
        vec![Growth {
            pool: pool.id,
            servers: missing.div_ceil(on_each.into()).min(launchable.into()) as u32,
            reason: format!("{expected} rooms are expected, {rooms} are there or wait"),
        }]
    }
}

impl ScaleDown for DailyCurve {
    fn scale_down(&mut self, fleet: &Fleet, moment: Moment) -> Vec<Shrinkage> {
        let Some(pool) = self.pool(fleet) else { return vec![] };
        // The next policy may give back every idle server only if the expected rooms find place even then.
        let is_in_use = |server: &Server| server.is_open() && !server.is_empty();
        let place = u64::from(self.living(fleet, pool)) + self.room_on(fleet, pool, is_in_use);
        match place < self.expected(fleet, pool, moment).into() {
            true => vec![Shrinkage::keep_all(pool.id)],
            false => vec![],
        }
    }
}

impl Learned for DailyCurve {
    fn save(&self) -> Vec<u8> {
        self.curve.to_bytes(&self.settings.pool)
    }

    fn restore(&mut self, saved: &[u8]) -> Result<(), String> {
        self.curve.read(saved, &self.settings.pool)
    }
}

impl DailyCurve {
    /// Says once that its pool is not there. No error: pools come and go.
    fn look_for_pool(&mut self, fleet: &Fleet) {
        let is_there = fleet.pools().any(|pool| pool.name == self.settings.pool);
        if self.was_there && !is_there {
            warn!("setting `pool`: there is no pool {:?} now", self.settings.pool);
        }
        self.was_there = is_there;
    }

    fn pool<'a>(&self, fleet: &'a Fleet) -> Option<&'a Pool> {
        fleet.pools().find(|pool| pool.name == self.settings.pool)
    }

    /// Returns the most rooms that are expected from now until a server launched now is ready.
    fn expected(&self, fleet: &Fleet, pool: &Pool, moment: Moment) -> u32 {
        let boot_seconds = fleet.pool_state(pool.id).map_or(0, |state| state.boot_seconds);
        // Half of all boots take longer than the median, hardly one twice as long.
        let ahead = match boot_seconds {
            0 => AHEAD_SECONDS_UNKNOWN,
            known => known.saturating_mul(2).min(AHEAD_SECONDS_MAX),
        };
        let until = moment.now.saturating_add(ahead);
        let moments = (moment.now..until)
            .step_by(self.settings.slot_minutes as usize * 60)
            .chain([until]);
        moments
            .map(|when| self.curve.expected(self.minute_of_week(when)))
            .max()
            .unwrap_or(0)
    }

    /// Returns the minute that the clock shows. Its zone was looked up when the policy was made.
    fn minute_of_week(&self, when: Timestamp) -> u32 {
        local_time(when, &self.settings.time_zone).map_or(0, |time| time.minute_of_week())
    }

    fn living(&self, fleet: &Fleet, pool: &Pool) -> u32 {
        let servers = fleet.servers().filter(|server| server.pool_id() == pool.id);
        servers.map(|server| server.usage().rooms).sum()
    }

    /// Returns how many rooms more find place on those of a pool's servers that count.
    fn room_on(&self, fleet: &Fleet, pool: &Pool, counts: impl Fn(&Server) -> bool) -> u64 {
        let servers = fleet
            .servers()
            .filter(|server| server.pool_id() == pool.id && counts(server));
        servers
            .map(|server| u64::from(server.left().rooms_of(self.room())))
            .sum()
    }

    fn room(&self) -> Size {
        Size {
            seats: self.settings.room_seats,
            load: self.settings.room_seats,
        }
    }
}

export_policy!(DailyCurve: scale_up, scale_down, learned);

#[cfg(test)]
mod tests;
