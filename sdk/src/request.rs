//! What is asked for and what it needs: sizes of rooms, what is left on a server, and the labels that bind.

use crate::{Demand, Label, Pool, RoomRequest, Want};

/// Marks a pool's labels that say whom it lets in: `only.tenant = "acme,beta"`, or `only.KEY` for a label of the room.
///
/// Usher enforces it whatever a policy answers; a policy that respects it does not propose what would be refused.
///
/// ```
/// use usher_sdk::{ONLY_PREFIX, Pool};
///
/// /// Returns whether everybody may come.
/// fn is_open_to_all(pool: &Pool) -> bool {
///     !pool.labels.iter().any(|label| label.key.starts_with(ONLY_PREFIX))
/// }
/// # let fleet = usher_sdk::Fleet::builder().pool("p", |_| {}).build();
/// # assert!(fleet.pools().all(is_open_to_all));
/// ```
pub const ONLY_PREFIX: &str = "only.";

/// Marks a room's labels that a server, or its pool, must carry: `require.gpu = "yes"`. Enforced by Usher likewise.
///
/// ```
/// use usher_sdk::{Label, REQUIRE_PREFIX, RoomRequest};
///
/// let labels = vec![Label::new("require.gpu", "yes"), Label::new("kind", "webinar")];
/// let room = RoomRequest { labels, ..RoomRequest::new("townhall", 400) };
/// let required: Vec<_> = room.labels.iter().filter_map(|label| label.key.strip_prefix(REQUIRE_PREFIX)).collect();
/// assert_eq!(required, ["gpu"]);
/// ```
pub const REQUIRE_PREFIX: &str = "require.";

/// What one room takes of a server.
///
/// ```
/// use usher_sdk::{RoomRequest, Size};
///
/// let size = RoomRequest::new("standup-42", 50).size();
/// assert_eq!(size, Size { seats: 50, load: 50 }, "unless the app says otherwise, a seat is a unit of load");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size {
    /// Seats of participants.
    pub seats: u32,
    /// Load, in the operator's unit.
    pub load: u32,
}

impl Size {
    /// Adds seats that are to stay free beside the room.
    ///
    /// ```
    /// use usher_sdk::Size;
    ///
    /// let size = Size { seats: 8, load: 3 };
    /// assert_eq!(size.with_spare_seats(20), Size { seats: 28, load: 3 });
    /// ```
    #[must_use]
    pub fn with_spare_seats(self, seats: u32) -> Self {
        Size {
            seats: self.seats.saturating_add(seats),
            ..self
        }
    }
}

/// What is left on a server; `u32::MAX` where a figure does not limit it.
///
/// ```
/// use usher_sdk::{Left, Size};
///
/// let left = Left { rooms: 3, seats: 100, load: u32::MAX };
/// assert!(left.fits(Size { seats: 100, load: 7 }));
/// assert_eq!(left.rooms_of(Size { seats: 50, load: 50 }), 2);
/// assert_eq!(left.less(1, Size { seats: 50, load: 50 }), Left { rooms: 2, seats: 50, load: u32::MAX });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// Rooms, of any size.
    pub rooms: u32,
    /// Seats over all rooms.
    pub seats: u32,
    /// Load over all rooms.
    pub load: u32,
}

impl Left {
    /// Makes what is left of maxima (0 = not limited) when so much is used.
    pub(crate) fn of(maxima: [u32; 3], used: [u32; 3]) -> Self {
        let left = |i: usize| {
            if maxima[i] == 0 {
                u32::MAX
            } else {
                maxima[i].saturating_sub(used[i])
            }
        };
        Left {
            rooms: left(0),
            seats: left(1),
            load: left(2),
        }
    }

    /// Returns whether one more room of this size fits.
    pub fn fits(self, size: Size) -> bool {
        self.rooms > 0 && self.seats >= size.seats && self.load >= size.load
    }

    /// Returns how many rooms of this size fit; `u32::MAX` where nothing limits them.
    pub fn rooms_of(self, size: Size) -> u32 {
        let part = |left: u32, each: u32| {
            if left == u32::MAX {
                left
            } else {
                left.checked_div(each).unwrap_or(u32::MAX)
            }
        };
        self.rooms
            .min(part(self.seats, size.seats))
            .min(part(self.load, size.load))
    }

    /// Takes so many rooms of this size away.
    #[must_use]
    pub fn less(self, rooms: u32, size: Size) -> Self {
        let take = |left: u32, used: u32| {
            if left == u32::MAX {
                left
            } else {
                left.saturating_sub(used)
            }
        };
        Left {
            rooms: take(self.rooms, rooms),
            seats: take(self.seats, size.seats.saturating_mul(rooms)),
            load: take(self.load, size.load.saturating_mul(rooms)),
        }
    }
}

impl RoomRequest {
    /// Makes a request for a test: so many seats, as much load, any region, no tenant, nothing known of its end.
    ///
    /// ```
    /// use usher_sdk::RoomRequest;
    ///
    /// let room = RoomRequest { expected_minutes: 30, ..RoomRequest::new("standup-42", 50) };
    /// assert_eq!(room.size().load, 50);
    /// ```
    pub fn new(room: &str, seats: u32) -> Self {
        RoomRequest {
            room: room.into(),
            seats,
            load: seats,
            expected_minutes: 0,
            region: String::new(),
            tenant: String::new(),
            labels: Vec::new(),
            waited_seconds: 0,
            avoid: 0,
        }
    }

    /// Returns what the room takes of a server.
    pub fn size(&self) -> Size {
        Size {
            seats: self.seats,
            load: self.load,
        }
    }
}

impl Want {
    /// Makes a group of equal rooms for a test: so many, of so many seats each, as much load, any region, no tenant.
    pub fn new(rooms: u32, seats_each: u32) -> Self {
        Want {
            region: String::new(),
            tenant: String::new(),
            labels: Vec::new(),
            pool: None,
            rooms,
            seats: rooms * seats_each,
            load: rooms * seats_each,
            seats_largest: seats_each,
            load_largest: seats_each,
            longest_wait_seconds: 0,
        }
    }

    /// Returns the size of its average room, rounded up.
    ///
    /// ```
    /// use usher_sdk::{Size, Want};
    ///
    /// let want = Want { seats: 101, load: 101, seats_largest: 80, load_largest: 80, ..Want::new(2, 0) };
    /// assert_eq!(want.size_average(), Size { seats: 51, load: 51 });
    /// assert_eq!(want.size_largest(), Size { seats: 80, load: 80 });
    /// ```
    pub fn size_average(&self) -> Size {
        let rooms = self.rooms.max(1);
        Size {
            seats: self.seats.div_ceil(rooms),
            load: self.load.div_ceil(rooms),
        }
    }

    /// Returns the size of its largest room.
    pub fn size_largest(&self) -> Size {
        Size {
            seats: self.seats_largest,
            load: self.load_largest,
        }
    }
}

impl Demand {
    /// Makes the demand of these groups for a test, with the totals that they add up to.
    ///
    /// ```
    /// use usher_sdk::{Demand, Want};
    ///
    /// let demand = Demand::of(vec![Want::new(23, 50)]);
    /// assert_eq!(demand.waiting_seats, 1_150);
    /// ```
    pub fn of(wants: Vec<Want>) -> Self {
        let waiting_rooms = wants.iter().map(|want| want.rooms).sum();
        let waiting_seats = wants.iter().map(|want| want.seats).sum();
        Demand {
            wants,
            waiting_rooms,
            waiting_seats,
            rooms_last_minute: 0,
            seats_last_minute: 0,
        }
    }
}

impl Label {
    /// Makes a label.
    pub fn new(key: &str, value: &str) -> Self {
        Label {
            key: key.into(),
            value: value.into(),
        }
    }
}

impl Pool {
    /// Returns the value of one of its labels.
    pub fn label(&self, key: &str) -> Option<&str> {
        value_of(&self.labels, key)
    }

    /// Returns what a new server of this pool holds.
    ///
    /// ```
    /// use usher_sdk::{Fleet, Label, Size};
    ///
    /// let fleet = Fleet::builder()
    ///     .pool("p", |pool| {
    ///         pool.rooms_per_server = 10;
    ///         pool.labels.push(Label::new("tier", "gold"));
    ///     })
    ///     .build();
    /// let pool = fleet.pools().next().expect("there is one");
    /// assert_eq!(pool.left_when_new().rooms_of(Size { seats: 50, load: 50 }), 10);
    /// assert_eq!(pool.label("tier"), Some("gold"));
    /// ```
    pub fn left_when_new(&self) -> Left {
        Left::of(
            [self.rooms_per_server, self.seats_per_server, self.load_per_server],
            [0; 3],
        )
    }

    /// Returns whether the pool lets in rooms of this tenant (empty = none) with these labels; see [`ONLY_PREFIX`].
    ///
    /// ```
    /// use usher_sdk::{Fleet, Label};
    ///
    /// let fleet = Fleet::builder().pool("acme", |pool| pool.labels.push(Label::new("only.tenant", "acme"))).build();
    /// let pool = fleet.pools().next().expect("there is one");
    /// assert!(pool.lets_in("acme", &[]) && !pool.lets_in("", &[]));
    /// ```
    pub fn lets_in(&self, tenant: &str, labels: &[Label]) -> bool {
        self.labels
            .iter()
            .filter_map(|label| Some((label.key.strip_prefix(ONLY_PREFIX)?, &label.value)))
            .all(|(key, only)| {
                let value = if key == "tenant" {
                    Some(tenant)
                } else {
                    value_of(labels, key)
                };
                value.is_some_and(|value| !value.is_empty() && only.split(',').any(|one| one == value))
            })
    }

    /// Returns whether it lets in everybody.
    pub(crate) fn is_for_all(&self) -> bool {
        !self.labels.iter().any(|label| label.key.starts_with(ONLY_PREFIX))
    }

    /// Returns whether a new server of this pool would do for this room: it is in the room's region, large enough, lets the
    /// room in, and carries what the room requires.
    ///
    /// ```
    /// use usher_sdk::{Fleet, RoomRequest};
    ///
    /// let fleet = Fleet::builder().pool("small", |pool| pool.seats_per_server = 100).build();
    /// let small = fleet.pools().next().expect("there is one");
    /// assert!(small.suits(&RoomRequest::new("standup-42", 100)));
    /// assert!(!small.suits(&RoomRequest::new("all-hands", 101)));
    /// ```
    pub fn suits(&self, room: &RoomRequest) -> bool {
        self.would_do(&room.region, &room.tenant, &room.labels, room.size())
    }

    /// Returns whether a new server of this pool would do for each room of a group, also for the largest.
    ///
    /// ```
    /// use usher_sdk::{Fleet, Want};
    ///
    /// let fleet = Fleet::builder().pool("frankfurt", |pool| pool.region = "eu-central-1".into()).build();
    /// let frankfurt = fleet.pools().next().expect("there is one");
    /// assert!(frankfurt.suits_all(&Want::new(23, 50)));
    /// assert!(!frankfurt.suits_all(&Want { region: "us-east-1".into(), ..Want::new(23, 50) }));
    /// ```
    pub fn suits_all(&self, want: &Want) -> bool {
        self.would_do(&want.region, &want.tenant, &want.labels, want.size_largest())
    }

    /// Returns whether a new server of this pool would do for a room of this size, in this region (empty = any): for a policy that
    /// looks in other regions than the room's own.
    ///
    /// ```
    /// use usher_sdk::{Fleet, RoomRequest};
    ///
    /// let fleet = Fleet::builder().pool("dublin", |pool| pool.region = "eu-west-1".into()).build();
    /// let dublin = fleet.pools().next().expect("there is one");
    /// let room = RoomRequest { region: "eu-central-1".into(), ..RoomRequest::new("standup-42", 50) };
    /// assert!(!dublin.suits(&room));
    /// assert!(dublin.would_do("eu-west-1", &room.tenant, &room.labels, room.size()));
    /// ```
    pub fn would_do(&self, region: &str, tenant: &str, labels: &[Label], size: Size) -> bool {
        (region.is_empty() || region == self.region)
            && self.left_when_new().fits(size)
            && self.lets_in(tenant, labels)
            && required(labels).all(|(key, value)| self.label(key) == Some(value))
    }
}

/// Returns what a room's labels require: keys and their values.
#[inline(always)]
pub(crate) fn required(labels: &[Label]) -> impl Iterator<Item = (&str, &str)> {
    labels
        .iter()
        .filter_map(|label| Some((label.key.strip_prefix(REQUIRE_PREFIX)?, label.value.as_str())))
}

/// Returns the value of the first label with this key.
pub(crate) fn value_of<'a>(labels: &'a [Label], key: &str) -> Option<&'a str> {
    labels
        .iter()
        .find(|label| label.key == key)
        .map(|label| label.value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_limit_is_never_used_up() {
        let left = Left::of([10, 0, 0], [4, 9, 9]);
        assert_eq!(
            left,
            Left {
                rooms: 6,
                seats: u32::MAX,
                load: u32::MAX
            }
        );
        assert_eq!(
            left.less(2, Size { seats: 50, load: 50 }),
            Left {
                rooms: 4,
                seats: u32::MAX,
                load: u32::MAX
            }
        );
        assert_eq!(left.rooms_of(Size { seats: 50, load: 50 }), 6);
        assert!(!Left { rooms: 0, ..left }.fits(Size::default()));
    }

    #[test]
    fn a_pool_suits_what_it_holds_lets_in_carries_and_is_near() {
        let fleet = crate::Fleet::builder()
            .pool("p", |pool| {
                (pool.region, pool.seats_per_server) = ("eu".into(), 100);
                pool.labels = vec![Label::new("gpu", "yes"), Label::new("only.tenant", "acme")];
            })
            .build();
        let pool = fleet.pools().next().unwrap();
        let room = |change: fn(&mut RoomRequest)| {
            let mut room = RoomRequest {
                tenant: "acme".into(),
                ..RoomRequest::new("r", 100)
            };
            change(&mut room);
            room
        };
        assert!(pool.suits(&room(|_| {})));
        assert!(pool.suits(&room(|room| room.region = "eu".into())));
        assert!(pool.suits(&room(|room| room.labels = vec![Label::new("require.gpu", "yes")])));
        assert!(!pool.suits(&room(|room| room.region = "us".into())));
        assert!(!pool.suits(&room(|room| room.seats = 101)));
        assert!(!pool.suits(&room(|room| room.tenant = "beta".into())));
        assert!(!pool.suits(&room(|room| room.labels = vec![Label::new("require.gpu", "no")])));
        let wants = |seats_largest| Want {
            tenant: "acme".into(),
            seats_largest,
            ..Want::new(5, 20)
        };
        assert!(pool.suits_all(&wants(100)) && !pool.suits_all(&wants(101)));
    }

    #[test]
    fn a_group_is_as_large_as_its_average_room_rounded_up() {
        let want = Want {
            rooms: 3,
            seats: 100,
            load: 10,
            ..Want::new(0, 0)
        };
        assert_eq!(want.size_average(), Size { seats: 34, load: 4 });
        assert_eq!(Want::new(0, 0).size_average(), Size::default());
    }
}
