//! One server of the view: its description, its usage, and what follows from the two.

use super::open::{self, Standing};
use crate::request::value_of;
use crate::{Figure, Health, Hold, Left, Phase, PoolId, ServerId, ServerRow, Size, Timestamp, Usage};

/// Stands in a row for a number that no report has.
pub(super) const NOT_REPORTED: u32 = u32::MAX;

/// A server as a policy knows it.
///
/// ```
/// use usher_sdk::Fleet;
///
/// let fleet = Fleet::builder()
///     .pool("p", |pool| pool.rooms_per_server = 10)
///     .server("a", |server| {
///         server.usage.rooms = 4;
///         server.usage.seats = 200;
///     })
///     .build();
/// let server = fleet.server_named("a").expect("it was set");
/// assert!(server.is_open());
/// assert_eq!(server.left().rooms, 6);
/// assert_eq!(server.cpu_permille(), None, "it never reported");
/// ```
///
/// What it is, what it does, and what it said:
///
/// ```
/// use usher_sdk::{Fleet, Label, Size};
///
/// let fleet = Fleet::builder()
///     .at(1_000)
///     .pool("p", |pool| pool.rooms_per_server = 4)
///     .server("a", |server| {
///         server.row.zone = "eu-central-1a".into();
///         server.row.labels.push(Label::new("gpu", "yes"));
///         (server.usage.rooms, server.usage.busy_until) = (1, 4_600);
///         (server.usage.reported, server.usage.participants) = (990, 17);
///         (server.usage.cpu_permille, server.usage.egress_kbps) = (310, 42_000);
///         server.figures = vec![1_800];
///     })
///     .build();
/// let server = fleet.server(1).expect("it was set");
/// assert_eq!((server.id(), server.name(), server.pool_id()), (1, "a", 1));
/// assert_eq!((server.zone(), server.label("gpu")), ("eu-central-1a", Some("yes")));
/// assert_eq!((server.row().rooms_max, server.usage().rooms), (4, 1));
///
/// assert!(server.is_serving() && !server.is_starting() && !server.is_empty());
/// assert!(server.fits(Size { seats: 50, load: 50 }));
/// assert_eq!(server.fullness(), 15, "of 63: a quarter");
/// assert_eq!((server.busy_until(), server.empty_since()), (Some(4_600), None));
///
/// assert_eq!((server.reported(), server.participants()), (Some(990), Some(17)));
/// assert_eq!((server.cpu_permille(), server.egress_kbps()), (Some(310), Some(42_000)));
/// assert_eq!((server.figure(0), server.figure(1)), (Some(1_800), None));
/// ```
#[derive(Debug, Clone)]
pub struct Server {
    row: ServerRow,
    usage: Usage,
    /// By their place in `Policy::FIGURES`; grows only as far as something was reported.
    figures: Vec<Option<u32>>,
    /// Where it stands among the open servers of its pool; none while it takes no rooms.
    standing: Option<Standing>,
}

impl Server {
    /// Makes a server of which only the description is known: it counts as starting until its usage comes.
    pub(super) fn new(now: Timestamp, row: ServerRow) -> Self {
        let usage = Usage {
            id: row.id,
            phase: Phase::Starting,
            hold: Hold::Free,
            health: Health::Unknown,
            since: now,
            rooms: 0,
            seats: 0,
            load: 0,
            seats_largest: 0,
            rooms_open_ended: 0,
            busy_until: 0,
            newest_room: 0,
            empty_since: 0,
            reported: 0,
            participants: NOT_REPORTED,
            cpu_permille: NOT_REPORTED,
            egress_kbps: NOT_REPORTED,
        };
        Server {
            row,
            usage,
            figures: Vec::new(),
            standing: None,
        }
    }

    /// Returns its handle.
    pub fn id(&self) -> ServerId {
        self.row.id
    }

    /// Returns its name, as people know it.
    pub fn name(&self) -> &str {
        &self.row.name
    }

    /// Returns its pool's handle.
    pub fn pool_id(&self) -> PoolId {
        self.row.pool
    }

    /// Returns its zone; empty where it has none.
    pub fn zone(&self) -> &str {
        &self.row.zone
    }

    /// Returns the value of one of its own labels.
    pub fn label(&self, key: &str) -> Option<&str> {
        value_of(&self.row.labels, key)
    }

    /// Returns all that hardly ever changes of it.
    pub fn row(&self) -> &ServerRow {
        &self.row
    }

    /// Returns all that changes all the time of it.
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    /// Returns whether new rooms may come: ready, free and not silent. It may be full.
    pub fn is_serving(&self) -> bool {
        self.usage.phase == Phase::Ready && self.usage.hold == Hold::Free && self.usage.health != Health::Silent
    }

    /// Returns whether it serves and is not full.
    pub fn is_open(&self) -> bool {
        self.standing.is_some()
    }

    /// Returns whether it is on its way and will take rooms when it is ready.
    pub fn is_starting(&self) -> bool {
        self.usage.phase == Phase::Starting && self.usage.hold == Hold::Free
    }

    /// Returns whether nothing is on it, neither in Usher's books nor in its own last report.
    pub fn is_empty(&self) -> bool {
        self.usage.rooms == 0 && self.participants().unwrap_or(0) == 0
    }

    /// Returns since when nobody has been on it; none while somebody is, or may be.
    pub fn empty_since(&self) -> Option<Timestamp> {
        (self.is_empty() && self.usage.empty_since > 0).then_some(self.usage.empty_since)
    }

    /// Returns what is left on it.
    pub fn left(&self) -> Left {
        let (row, usage) = (&self.row, &self.usage);
        Left::of(
            [row.rooms_max, row.seats_max, row.load_max],
            [usage.rooms, usage.seats, usage.load],
        )
    }

    /// Returns how full it is, in 64 steps: 0 without rooms, then 1 to 63 by the scarcest of rooms, seats and load.
    ///
    /// [`Fleet::fitting`](crate::Fleet::fitting) goes down these steps.
    #[inline(always)]
    pub fn fullness(&self) -> u8 {
        self.standing
            .map_or_else(|| open::step_of(self), |standing| standing.step)
    }

    /// Returns whether it is open and one more room of this size fits.
    pub fn fits(&self, size: Size) -> bool {
        self.is_open() && self.left().fits(size)
    }

    /// Returns when its last room is expected to end; none when it has no rooms or one did not say.
    pub fn busy_until(&self) -> Option<Timestamp> {
        let usage = &self.usage;
        (usage.rooms > 0 && usage.rooms_open_ended == 0 && usage.busy_until > 0).then_some(usage.busy_until)
    }

    /// Returns when the newest report came.
    pub fn reported(&self) -> Option<Timestamp> {
        (self.usage.reported > 0).then_some(self.usage.reported)
    }

    /// Returns how many participants its newest report has; none where it does not say.
    pub fn participants(&self) -> Option<u32> {
        self.said(self.usage.participants)
    }

    /// Returns the processor use in its newest report, in thousandths of all its processors; none where it does not say.
    pub fn cpu_permille(&self) -> Option<u32> {
        self.said(self.usage.cpu_permille)
    }

    /// Returns what it sends by its newest report, in kilobits a second; none where that does not say.
    pub fn egress_kbps(&self) -> Option<u32> {
        self.said(self.usage.egress_kbps)
    }

    fn said(&self, number: u32) -> Option<u32> {
        (self.usage.reported > 0 && number != NOT_REPORTED).then_some(number)
    }

    /// Returns one of the numbers in [`Policy::FIGURES`](crate::Policy::FIGURES), by its place there.
    pub fn figure(&self, place: usize) -> Option<u32> {
        *self.figures.get(place)?
    }

    /// Returns where it stands among the open servers of its pool; none while it takes no rooms.
    pub(super) fn standing(&self) -> Option<Standing> {
        self.standing
    }

    pub(super) fn describe(&mut self, row: ServerRow) {
        self.row = row;
        self.standing = Standing::of(self);
    }

    #[inline(always)]
    pub(super) fn set_usage(&mut self, usage: Usage) {
        self.usage = usage;
        self.standing = Standing::of(self);
    }

    /// A figure beyond any place that a policy can name is dropped: [`Instance`](crate::Instance) refuses it before.
    pub(super) fn set_figure(&mut self, figure: Figure) {
        let place = figure.figure as usize;
        if place >= self.figures.len() {
            self.figures.resize(place + 1, None);
        }
        self.figures[place] = Some(figure.value);
    }
}
