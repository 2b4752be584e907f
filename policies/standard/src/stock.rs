//! The stock: how many spare rooms are kept, and on the servers of which pools.
//!
//! Scale up orders what a stock lacks, scale down leaves it untouched; both ask here, so that one never takes what the other brings.
//! Each window is a stock beside the headroom, and what is spare counts for all stocks that its server is part of: hence a window
//! is a floor and no addition.

use usher_sdk::{Fleet, Label, ONLY_PREFIX, Pool, Size, Timestamp};

use crate::Settings;
use crate::pools::Rooms;
use crate::settings::{Headroom, Window};

/// Spare rooms that are kept.
#[derive(Debug)]
pub(crate) struct Stock<'a> {
    /// On the servers of these pools, told by their places in the list.
    pub(crate) pools: Vec<usize>,
    pub(crate) rooms: u64,
    /// The size that they are counted with.
    pub(crate) size: Size,
    /// The window that asks for so many; none where the headroom does.
    window: Option<&'a Window>,
}

/// What stocks are looked up for, and so how long before it begins a window counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To launch servers: early enough for them to be ready when the window begins.
    Launch,
    /// To keep servers: those that would soon be launched again, and those that were launched for the window and came up faster
    /// than the ones before them.
    Keep,
}

/// How long a server takes to boot where none did yet, in seconds. Others measured 3 to 11 minutes.
const BOOT_SECONDS_ASSUMED: u32 = 300;

/// How much earlier than a median boot asks for servers are launched, in seconds: half of the boots take longer, and guards let only
/// so many begin at once.
const MARGIN_SECONDS: u32 = 60;

/// How long before a window begins nothing that it needs is given back, in seconds; as long as the host waits for a boot by default.
const KEEP_SECONDS: u32 = 900;

impl Stock<'_> {
    /// Says what so many spare rooms are for.
    pub(crate) fn reason(&self) -> String {
        match self.window {
            None => format!("headroom of {} rooms", self.rooms),
            Some(window) => format!("{} spare rooms from {} to {}", self.rooms, window.from, window.to),
        }
    }
}

/// Returns what is kept on these pools, each of which is told with the rooms that live there; the stocks of single pools come first.
pub(crate) fn stocks<'a>(
    settings: &'a Settings,
    fleet: &'a Fleet,
    pools: &[(&Pool, Rooms)],
    purpose: Purpose,
    now: Timestamp,
) -> Vec<Stock<'a>> {
    let calendar = Calendar::of(settings, fleet, purpose, now);
    let mut stocks = Vec::new();
    for (at, (pool, _)) in pools.iter().enumerate() {
        calendar.add_stocks(&mut stocks, pools, &[at], &pool.name);
    }
    for group in groups(settings, pools) {
        let own = group.first().and_then(|at| settings.own_headroom(pools[*at].0));
        if !own.is_some_and(Headroom::is_none) {
            calendar.add_stocks(&mut stocks, pools, &group, "");
        }
        let mut living = Rooms::default();
        group.iter().for_each(|at| living.join(pools[*at].1));
        let headroom = own.unwrap_or_else(|| settings.headroom());
        stocks.push(Stock {
            pools: group,
            rooms: headroom.rooms(living.count),
            size: living.size_average(),
            window: None,
        });
    }
    stocks
}

/// The windows that last or begin within the hour.
struct Calendar<'a> {
    fleet: &'a Fleet,
    purpose: Purpose,
    /// Each with the seconds until it begins.
    windows: Vec<(&'a Window, u32)>,
}

impl<'a> Calendar<'a> {
    fn of(settings: &'a Settings, fleet: &'a Fleet, purpose: Purpose, now: Timestamp) -> Self {
        let begins = |window: &'a Window| Some((window, window.begins_in(now)?));
        Calendar {
            fleet,
            purpose,
            windows: settings.window.iter().filter_map(begins).collect(),
        }
    }

    /// Adds what windows of this name (empty = of none) ask for on these pools, but for what another one asks for anyway.
    fn add_stocks(&self, stocks: &mut Vec<Stock<'a>>, pools: &[(&Pool, Rooms)], members: &[usize], name: &str) {
        let slowest = members.iter().map(|at| self.boot_seconds(pools[*at].0)).max();
        let launch = slowest.unwrap_or(0).saturating_add(MARGIN_SECONDS);
        let ahead = match self.purpose {
            Purpose::Launch => launch,
            Purpose::Keep => launch.max(KEEP_SECONDS),
        };
        let counting = self
            .windows
            .iter()
            .filter(|(window, begins_in)| window.pool == name && *begins_in <= ahead);
        let counting: Vec<_> = counting.map(|(window, _)| *window).collect();
        for (at, window) in counting.iter().enumerate() {
            let is_covered =
                |(place, other): (usize, &&Window)| other.covers(window) && (place < at || !window.covers(other));
            if !counting.iter().enumerate().any(is_covered) {
                stocks.push(Stock {
                    pools: members.to_vec(),
                    rooms: window.spare_rooms.into(),
                    size: window.room_size(),
                    window: Some(window),
                });
            }
        }
    }

    fn boot_seconds(&self, pool: &Pool) -> u32 {
        let known = self.fleet.pool_state(pool.id).map(|state| state.boot_seconds);
        known.filter(|seconds| *seconds > 0).unwrap_or(BOOT_SECONDS_ASSUMED)
    }
}

/// Sorts pools, told by their places in a list, into those that share their headroom: of one region, letting in the same rooms, and
/// without a headroom of their own.
///
/// The order within a group is that of the list. Pools are few, so each is simply compared with each group.
fn groups(settings: &Settings, pools: &[(&Pool, Rooms)]) -> Vec<Vec<usize>> {
    let shares = |a: &Pool, b: &Pool| {
        is_same_kind(a, b) && settings.own_headroom(a).is_none() && settings.own_headroom(b).is_none()
    };
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (at, (pool, _)) in pools.iter().enumerate() {
        let is_its = |group: &&mut Vec<usize>| group.first().is_some_and(|first| shares(pools[*first].0, pool));
        match groups.iter_mut().find(is_its) {
            Some(group) => group.push(at),
            None => groups.push(vec![at]),
        }
    }
    groups
}

fn is_same_kind(a: &Pool, b: &Pool) -> bool {
    let is_only = |label: &&Label| label.key.starts_with(ONLY_PREFIX);
    a.region == b.region && a.labels.iter().filter(is_only).eq(b.labels.iter().filter(is_only))
}

#[cfg(test)]
mod tests;
