//! Which pools suit which rooms, and which of them stand in for one another.

use std::cmp::Reverse;

use usher_sdk::{Fleet, Label, ONLY_PREFIX, Pool, REQUIRE_PREFIX, Size};

/// What a room, or a group of rooms, asks of a pool.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) tenant: &'a str,
    pub(crate) labels: &'a [Label],
    /// Of the largest room.
    pub(crate) size: Size,
}

impl Asked<'_> {
    /// Returns whether a new server of this pool would do, in this region (empty = any).
    pub(crate) fn is_suited(&self, pool: &Pool, region: &str) -> bool {
        let mut required = self
            .labels
            .iter()
            .filter_map(|label| Some((label.key.strip_prefix(REQUIRE_PREFIX)?, &label.value)));
        (region.is_empty() || region == pool.region)
            && pool.left_when_new().fits(self.size)
            && pool.lets_in(self.tenant, self.labels)
            && required.all(|(key, value)| pool.label(key) == Some(value))
    }
}

/// Orders pools by price: cheaper servers first, then larger ones, then the id.
pub(crate) fn by_price(pool: &Pool) -> impl Ord + use<> {
    let rooms = pool.left_when_new().rooms;
    (pool.price_microdollars_per_hour, Reverse(rooms), pool.id)
}

/// Returns how many servers of a pool may be launched now; as many as it may have where that was never told.
pub(crate) fn launchable(fleet: &Fleet, pool: &Pool) -> u32 {
    fleet
        .pool_state(pool.id)
        .map_or(pool.servers_max, |state| state.launchable)
}

/// Names pools that share their headroom: those of a region that let in the same rooms.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Group<'a> {
    region: &'a str,
    only: Vec<(&'a str, &'a str)>,
}

impl<'a> Group<'a> {
    /// Returns the group that a pool belongs to.
    pub(crate) fn of(pool: &'a Pool) -> Self {
        let only = pool.labels.iter().filter(|label| label.key.starts_with(ONLY_PREFIX));
        let mut only: Vec<_> = only.map(|label| (label.key.as_str(), label.value.as_str())).collect();
        only.sort_unstable();
        Group {
            region: &pool.region,
            only,
        }
    }
}

/// Sums up rooms, for their number and their average size.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rooms {
    pub(crate) count: u64,
    seats: u64,
    load: u64,
}

impl Rooms {
    pub(crate) fn add(&mut self, rooms: u32, seats: u32, load: u32) {
        self.count += u64::from(rooms);
        self.seats += u64::from(seats);
        self.load += u64::from(load);
    }

    pub(crate) fn join(&mut self, other: Rooms) {
        self.count += other.count;
        self.seats += other.seats;
        self.load += other.load;
    }

    /// Returns the average room's size, rounded up.
    pub(crate) fn size_average(&self) -> Size {
        let each = |sum: u64| u32::try_from(sum.div_ceil(self.count.max(1))).unwrap_or(u32::MAX);
        Size {
            seats: each(self.seats),
            load: each(self.load),
        }
    }
}
