//! An independent count of what servers hold: from room records and what was reported, never from the fleet's own sums.

use usher_fleet::config::{Limits, PoolConfig};
use usher_fleet::ids::PlacementNo;
use usher_fleet::room::{Placed, RoomWish};
use usher_fleet::server::ServerRecord;
use usher_fleet::units::Timestamp;

use std::time::Duration;

/// Rooms, seats and load.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) rooms: u64,
    pub(crate) seats: u64,
    pub(crate) load: u64,
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Usage) {
        self.rooms += other.rooms;
        self.seats += other.seats;
        self.load += other.load;
    }
}

impl Usage {
    pub(crate) fn is_within(self, limits: &Limits) -> bool {
        let within = |used: u64, max: Option<u32>| max.is_none_or(|max| used <= u64::from(max));
        within(self.rooms, limits.rooms_max)
            && within(self.seats, limits.seats_max)
            && within(self.load, limits.load_max)
    }

    /// As it is shown: in 32 bits, and no more than those hold.
    pub(crate) fn as_shown(self) -> Usage {
        let shown = |figure: u64| figure.min(u32::MAX.into());
        Usage {
            rooms: shown(self.rooms),
            seats: shown(self.seats),
            load: shown(self.load),
        }
    }

    pub(crate) fn plus(mut self, other: Usage) -> Usage {
        self += other;
        self
    }
}

/// What was reported of a room in one placement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    pub(crate) placement: PlacementNo,
    pub(crate) participants: u32,
    pub(crate) load: Option<u32>,
    pub(crate) since: Timestamp,
}

/// What a placed room costs: before its figures have settled, and now.
pub(crate) fn cost(
    wish: &RoomWish,
    placed: &Placed,
    known: Option<&Known>,
    settle: Duration,
    now: Timestamp,
) -> (Usage, Usage) {
    let (seats, load) = (u64::from(placed.seats), u64::from(placed.load));
    let reserved = Usage { rooms: 1, seats, load };
    let Some(known) = known.filter(|known| known.placement == placed.placement) else {
        return (reserved, reserved);
    };
    let came = u64::from(known.participants);
    let cost = match known.load {
        Some(load) => Some(u64::from(load)),
        None if wish.load.is_none() => Some(came),
        None => None,
    };
    let most = Usage {
        rooms: 1,
        seats: seats.max(came),
        load: cost.map_or(load, |cost| cost.max(load)),
    };
    if settle.is_zero() || now < known.since + settle {
        return (most, most);
    }
    let settled = |reserved: u64, known: u64| known.max(reserved.min((known * 5).div_ceil(4)));
    let exact = Usage {
        rooms: 1,
        seats: settled(seats, came),
        load: cost.map_or(load, |cost| settled(load, cost)),
    };
    (most, exact)
}

/// What a room reserves in a pool.
pub(crate) fn reservation(pool: &PoolConfig, wish: &RoomWish) -> Usage {
    let seats = u64::from(wish.seats.unwrap_or(pool.seats_default));
    Usage {
        rooms: 1,
        seats,
        load: wish.load.map_or(seats, u64::from),
    }
}

/// Whether a pool's `only` and a server's words let a room in.
pub(crate) fn lets_in(pool: &PoolConfig, server: &ServerRecord, wish: &RoomWish) -> bool {
    let only = pool.only.iter().all(|(key, values)| {
        let value = match key.as_str() {
            "tenant" => wish.tenant.as_ref().map(|tenant| tenant.as_str().to_owned()),
            label => wish.labels.get(label).cloned(),
        };
        value.is_some_and(|value| values.contains(&value))
    });
    only && wish
        .require
        .iter()
        .all(|(key, value)| server.labels.get(key) == Some(value))
}
