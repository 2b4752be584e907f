//! What rooms cost servers. Reserved at placement, so that nobody herds; figures that come later only refine it.

use std::collections::BTreeMap;
use std::ops::{Add, AddAssign, SubAssign};
use std::time::Duration;

use super::state::Known;
use crate::config::Limits;
use crate::room::{Placed, RoomWish};
use crate::units::Timestamp;

/// What one room costs a server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Cost {
    pub(super) seats: u32,
    pub(super) load: u32,
}

/// What all rooms of a server cost it. The sums are wide enough never to overflow, whatever was reported: a sum that
/// saturates would come out too small when a room is taken off again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Used {
    pub(super) rooms: u32,
    pub(super) seats: u64,
    pub(super) load: u64,
}

impl Add for Used {
    type Output = Used;

    fn add(self, other: Used) -> Used {
        Used {
            rooms: self.rooms.saturating_add(other.rooms),
            seats: self.seats.saturating_add(other.seats),
            load: self.load.saturating_add(other.load),
        }
    }
}

impl AddAssign<Cost> for Used {
    /// Adds a room.
    fn add_assign(&mut self, cost: Cost) {
        *self = *self
            + Used {
                rooms: 1,
                seats: cost.seats.into(),
                load: cost.load.into(),
            };
    }
}

impl SubAssign<Cost> for Used {
    /// Takes a room off.
    fn sub_assign(&mut self, cost: Cost) {
        self.rooms = self.rooms.saturating_sub(1);
        self.seats = self.seats.saturating_sub(cost.seats.into());
        self.load = self.load.saturating_sub(cost.load.into());
    }
}

impl Used {
    /// Says which limit stands in the way of one more room, if any, by its stable word.
    pub(super) fn refusal(self, cost: Cost, limits: &Limits) -> Option<&'static str> {
        let over = |used: u64, more: u32, max: Option<u32>| {
            max.is_some_and(|max| used.saturating_add(more.into()) > u64::from(max))
        };
        if over(self.rooms.into(), 1, limits.rooms_max) {
            Some("rooms_max")
        } else if over(self.seats, cost.seats, limits.seats_max) {
            Some("seats_max")
        } else if over(self.load, cost.load, limits.load_max) {
            Some("load_max")
        } else {
            None
        }
    }
}

/// Returns a sum as it is shown outside, where 32 bits are enough for anything true.
pub(super) fn shown(sum: u64) -> u32 {
    u32::try_from(sum).unwrap_or(u32::MAX)
}

/// Returns what a placed room costs: the larger of reserved and known, and once figures have come for `settle`, what is
/// known and a quarter more instead of what was reserved, never above it unless more came.
pub(super) fn cost(wish: &RoomWish, placed: &Placed, known: Option<&Known>, settle: Duration, now: Timestamp) -> Cost {
    let reserved = Cost {
        seats: placed.seats,
        load: placed.load,
    };
    let Some(known) = known else { return reserved };
    // Where the app gave no load of its own, a seat is the unit.
    let load = known.load.or(wish.load.is_none().then_some(known.participants));
    let is_settled = !settle.is_zero() && now.since(known.since) >= settle;
    let figure = |reserved: u32, known: u32| {
        let counts = if is_settled {
            reserved.min(known.saturating_add(known.div_ceil(4)))
        } else {
            reserved
        };
        counts.max(known)
    };
    Cost {
        seats: figure(reserved.seats, known.participants),
        load: load.map_or(reserved.load, |load| figure(reserved.load, load)),
    }
}

/// Numbers of which several may be equal, with the largest at hand.
#[derive(Debug, Clone, Default)]
pub(super) struct Multiset(BTreeMap<u32, u32>);

impl Multiset {
    pub(super) fn insert(&mut self, number: u32) {
        *self.0.entry(number).or_insert(0) += 1;
    }

    pub(super) fn remove(&mut self, number: u32) {
        if let Some(count) = self.0.get_mut(&number) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&number);
            }
        }
    }

    pub(super) fn largest(&self) -> Option<u32> {
        self.0.last_key_value().map(|(number, _)| *number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::{DecisionNote, PolicyRef};
    use crate::ids::{PlacementNo, ServerNo};

    fn placed(seats: u32, load: u32) -> Placed {
        let policy = PolicyRef {
            name: "p".into(),
            version: "1".into(),
        };
        Placed {
            server: ServerNo(1),
            placement: PlacementNo(1),
            at: Timestamp(0),
            seats,
            load,
            decision: DecisionNote { policy, reason: None },
        }
    }

    const SETTLE: Duration = Duration::from_secs(600);

    #[track_caller]
    fn check(reserved: u32, known: Option<u32>, minutes: u64, settle: Duration, seats: u32) {
        let known = known.map(|participants| Known {
            participants,
            load: None,
            since: Timestamp(0),
        });
        let cost = cost(
            &wish(None),
            &placed(reserved, reserved),
            known.as_ref(),
            settle,
            Timestamp(minutes * 60_000),
        );
        assert_eq!(cost, Cost { seats, load: seats });
    }

    fn wish(load: Option<u32>) -> RoomWish {
        RoomWish {
            seats: None,
            load,
            expected_minutes: None,
            region: None,
            tenant: None,
            labels: Default::default(),
            require: Default::default(),
        }
    }

    #[test]
    fn participants_are_no_load_where_the_app_gave_one_even_if_it_equals_the_seats() {
        let known = Known {
            participants: 26,
            load: None,
            since: Timestamp(0),
        };
        let cost = cost(&wish(Some(7)), &placed(7, 7), Some(&known), SETTLE, Timestamp(0));
        assert_eq!(cost, Cost { seats: 26, load: 7 });
    }

    #[test]
    fn a_room_counts_what_it_reserved_until_figures_have_settled() {
        check(50, None, 60, SETTLE, 50);
        check(50, Some(4), 9, SETTLE, 50);
        check(50, Some(4), 10, SETTLE, 5);
        check(50, Some(4), 60, Duration::ZERO, 50);
    }

    #[test]
    fn a_settled_room_never_counts_above_its_reservation_unless_more_came() {
        check(50, Some(48), 10, SETTLE, 50);
        check(50, Some(60), 10, SETTLE, 60);
        check(50, Some(60), 1, SETTLE, 60);
        check(50, Some(0), 10, SETTLE, 0);
    }

    #[test]
    fn a_wild_figure_leaves_no_hole_in_the_sum_when_its_room_goes() {
        let (wild, true_cost) = (
            Cost {
                seats: u32::MAX,
                load: u32::MAX,
            },
            Cost { seats: 50, load: 50 },
        );
        let mut used = Used::default();
        used += true_cost;
        used += wild;
        used -= wild;
        assert_eq!((used.rooms, used.seats, used.load), (1, 50, 50));
    }

    #[test]
    fn a_limit_of_none_does_not_limit() {
        let used = Used {
            rooms: 10,
            seats: 90,
            load: u64::MAX,
        };
        let cost = Cost { seats: 10, load: 1 };
        assert_eq!(used.refusal(cost, &Limits::default()), None);
        let limits = |rooms, seats, load| Limits {
            rooms_max: rooms,
            seats_max: seats,
            load_max: load,
        };
        assert_eq!(used.refusal(cost, &limits(Some(11), Some(100), None)), None);
        assert_eq!(used.refusal(cost, &limits(Some(10), None, None)), Some("rooms_max"));
        assert_eq!(used.refusal(cost, &limits(None, Some(99), None)), Some("seats_max"));
        assert_eq!(used.refusal(cost, &limits(None, None, Some(7))), Some("load_max"));
    }
}
