//! Which pools suit which rooms, and which of them are preferred.

use std::cmp::Reverse;

use usher_sdk::{Fleet, Pool, PoolId, Size};

use crate::Settings;

/// Orders pools by which a new server is best had from: those that the operator named, in that order; then those where Usher launches
/// it itself, as nobody may be there to make one elsewhere and rooms wait; then cheaper servers, then larger ones, then the id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Preference {
    /// Its place in the operator's list; those that are not in it come after.
    place: usize,
    is_external: bool,
    microdollars_per_hour: u32,
    rooms: Reverse<u32>,
    pool: PoolId,
}

impl Preference {
    pub(crate) fn of(settings: &Settings, pool: &Pool) -> Self {
        let named = settings.scale_up_prefer.iter().position(|name| *name == pool.name);
        let rooms = Reverse(pool.left_when_new().rooms);
        Preference {
            place: named.unwrap_or(usize::MAX),
            is_external: !pool.automatic,
            microdollars_per_hour: pool.price_microdollars_per_hour,
            rooms,
            pool: pool.id,
        }
    }
}

/// Returns how many servers of a pool may be launched now; as many as it may have where that was never told.
pub(crate) fn launchable(fleet: &Fleet, pool: &Pool) -> u32 {
    fleet
        .pool_state(pool.id)
        .map_or(pool.servers_max, |state| state.launchable)
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
