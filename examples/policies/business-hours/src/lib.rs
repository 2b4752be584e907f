//! Keeps spare rooms while the office works, and none while it sleeps.
//!
//! For whom: your users sit in one country and all meet on the hour. What is spare when the first of them comes must have been
//! launched before, and at night it should cost nothing. The standard policy's `[[window]]` does the same as data; copy this
//! one for what a window cannot say, such as the holidays here.
//!
//! - *Scale up*: from twice a boot before opening until closing, launches what is missing for the waiting rooms and
//!   [`Settings::spare_rooms`].
//! - *Scale down*: until closing keeps every server that the spare rooms may need.
//! - At all other times, and in all other pools, it says nothing: the next policy decides, and gives back what is idle.
//!
//! Whether the office works is asked of the clock on its wall at a moment, now or one boot from now. Nothing is ever added to
//! a clock's reading, so nights in which it is put forward or back need no rule.
//!
//! # Settings
//!
//! ```toml
#![doc = include_str!(concat!("../", env!("CARGO_PKG_NAME"), ".toml"))]
//! ```

use serde::Deserialize;
use usher_sdk::{
    Demand, Fleet, Growth, LocalTime, Moment, Policy, Pool, ScaleDown, ScaleUp, Server, Shrinkage, Size, Timestamp,
    Want, export_policy, local_time, warn,
};

/// How long before opening servers are launched while the pool's boots are unknown, in seconds: others measured 3 to 11 minutes
/// from launch to ready.
const AHEAD_SECONDS_UNKNOWN: u32 = 600;

/// How long before opening servers are launched at most, in seconds. Office hours are no shorter, so that who looks that
/// far ahead does not look past them.
const AHEAD_SECONDS_MAX: u32 = 3_600;

/// What `30-business-hours.toml` may say.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The pool whose servers are kept. It must be named.
    pub pool: String,
    /// The zone of the clock, from the IANA database. Default UTC.
    pub time_zone: String,
    /// The days on which the office works. Default Monday to Friday.
    pub days: Vec<Day>,
    /// When it opens, as `08:00`, the default.
    pub from: String,
    /// When it closes, as `18:00`, the default.
    pub to: String,
    /// Days on which it does not work, as `2026-12-25`. Default: none.
    pub holidays: Vec<String>,
    /// Rooms that may begin at once. Default 20.
    pub spare_rooms: u32,
    /// Seats of each of them, and as much load. Default 50.
    pub room_seats: u32,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the days of the week")]
pub enum Day {
    Monday = 1,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            pool: String::new(),
            time_zone: "UTC".into(),
            days: vec![Day::Monday, Day::Tuesday, Day::Wednesday, Day::Thursday, Day::Friday],
            from: "08:00".into(),
            to: "18:00".into(),
            holidays: Vec::new(),
            spare_rooms: 20,
            room_seats: 50,
        }
    }
}

/// The policy.
#[derive(Debug)]
pub struct BusinessHours {
    settings: Settings,
    /// In minutes since midnight.
    from: u32,
    to: u32,
    was_there: bool,
}

impl Policy for BusinessHours {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, String> {
        if settings.pool.is_empty() {
            return Err("setting `pool`: name the pool whose servers are kept".into());
        }
        local_time(0, &settings.time_zone).map_err(|why| format!("setting `time_zone`: {why}"))?;
        let (from, to) = (
            minute_of_day("from", &settings.from)?,
            minute_of_day("to", &settings.to)?,
        );
        if to < from + AHEAD_SECONDS_MAX / 60 {
            return Err("setting `to`: it must be an hour after `from` at least, on the same day".into());
        }
        Ok(BusinessHours {
            settings,
            from,
            to,
            was_there: true,
        })
    }
}

impl ScaleUp for BusinessHours {
    fn scale_up(&mut self, demand: &Demand, fleet: &Fleet, moment: Moment) -> Vec<Growth> {
        self.look_for_pool(fleet);
        let growth = |pool: &Pool| {
            let waits_for_it = |want: &&Want| want.pool.is_none_or(|named| named == pool.id) && pool.suits_all(want);
            let waiting = demand.wants.iter().filter(waits_for_it);
            let wanted = u64::from(self.settings.spare_rooms) + waiting.map(|want| u64::from(want.rooms)).sum::<u64>();
            let is_coming = |server: &Server| server.is_open() || server.is_starting();
            let missing = wanted.saturating_sub(self.room_on(fleet, pool, is_coming));
            let on_each = pool.left_when_new().rooms_of(self.room());
            let launchable = fleet.pool_state(pool.id).map_or(0, |state| state.launchable);
            // Where nothing is missing, or nothing would help, the next policy may know better.
            let is_of_use = missing > 0 && on_each > 0 && launchable > 0;
            is_of_use.then(|| Growth {
                pool: pool.id,
                servers: missing.div_ceil(on_each.into()).min(launchable.into()) as u32,
                reason: format!("{wanted} rooms wait or are kept spare while the office works"),
            })
        };
        self.pools_at_work(fleet, moment).filter_map(growth).collect()
    }
}

impl ScaleDown for BusinessHours {
    fn scale_down(&mut self, fleet: &Fleet, moment: Moment) -> Vec<Shrinkage> {
        // The next policy may give back every idle server only if the spare rooms are left even then.
        let is_in_use = |server: &Server| server.is_open() && !server.is_empty();
        let needs_all = |pool: &&Pool| self.room_on(fleet, pool, is_in_use) < self.settings.spare_rooms.into();
        let at_work = self.pools_at_work(fleet, moment);
        at_work
            .filter(needs_all)
            .map(|pool| Shrinkage::keep_all(pool.id))
            .collect()
    }
}

impl BusinessHours {
    /// Says once that its pool is not there. No error: pools come and go.
    fn look_for_pool(&mut self, fleet: &Fleet) {
        let is_there = fleet.pools().any(|pool| pool.name == self.settings.pool);
        if self.was_there && !is_there {
            warn!("setting `pool`: there is no pool {:?} now", self.settings.pool);
        }
        self.was_there = is_there;
    }

    /// Returns the pool, if the office works or will when a server launched now is ready.
    fn pools_at_work<'a>(&'a self, fleet: &'a Fleet, moment: Moment) -> impl Iterator<Item = &'a Pool> {
        let named = fleet.pools().filter(|pool| pool.name == self.settings.pool);
        named.filter(move |pool| {
            let boot_seconds = fleet.pool_state(pool.id).map_or(0, |state| state.boot_seconds);
            // Half of all boots take longer than the median, hardly one twice as long.
            let ahead = if boot_seconds > 0 {
                boot_seconds.saturating_mul(2)
            } else {
                AHEAD_SECONDS_UNKNOWN
            };
            self.works_at(moment.now) || self.works_at(moment.now.saturating_add(ahead.min(AHEAD_SECONDS_MAX)))
        })
    }

    fn works_at(&self, when: Timestamp) -> bool {
        local_time(when, &self.settings.time_zone).is_ok_and(|time| {
            (self.from..self.to).contains(&time.minute_of_day())
                && self.settings.days.iter().any(|day| *day as u32 == time.weekday)
                && !self.settings.holidays.contains(&date(&time))
        })
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

fn date(time: &LocalTime) -> String {
    format!("{:04}-{:02}-{:02}", time.year, time.month, time.day)
}

/// Reads `08:00`; a day ends at `24:00`.
fn minute_of_day(key: &str, text: &str) -> Result<u32, String> {
    let read = |text: &str| {
        let (hour, minute) = text.split_once(':')?;
        let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
        ((hour < 24 && minute < 60) || (hour, minute) == (24, 0)).then(|| hour * 60 + minute)
    };
    read(text).ok_or_else(|| format!("setting `{key}`: {text:?} is no time of day; write it as `08:00`"))
}

export_policy!(BusinessHours: scale_up, scale_down);

#[cfg(test)]
mod tests;
