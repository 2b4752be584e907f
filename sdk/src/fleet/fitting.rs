//! The question "which open servers have room for this?", answered fullest first.

use core::fmt;

use super::open::{Run, STEP_MAX, Step};
use super::{Fleet, PoolEntry, Server};
use crate::{Pool, PoolId, RoomRequest, Size};

/// The open servers with room for a size, the fullest first; made by [`Fleet::fitting`].
///
/// Each step to the next server is a look into an ordered index, so taking the first few costs the same in any fleet.
///
/// ```
/// use usher_sdk::{Fleet, Size};
///
/// let fleet = Fleet::builder()
///     .pool("east", |pool| pool.region = "us-east-1".into())
///     .server("a", |server| server.usage.rooms = 3)
///     .pool("west", |pool| pool.region = "us-west-2".into())
///     .server("b", |server| server.usage.rooms = 2)
///     .build();
/// let fitting = fleet.fitting(Size { seats: 50, load: 50 });
/// let first = |mut fitting: usher_sdk::Fitting<'_>| fitting.next().map(|server| server.id());
/// assert_eq!(first(fitting.clone().in_region("us-west-2")), Some(2));
/// assert_eq!(first(fitting.in_pool(1)), Some(1));
/// ```
#[derive(Clone)]
pub struct Fitting<'a> {
    fleet: &'a Fleet,
    size: Size,
    /// Its place in the fleet's list.
    region: Option<usize>,
    pool: Option<PoolId>,
    room: Option<&'a RoomRequest>,
    pools: Option<&'a dyn Fn(&Pool) -> bool>,
    /// Where the walk is; none before its first step.
    at: Option<At>,
    /// What is left there.
    run: Option<Run<'a>>,
}

/// A place in the walk: it goes step by step, the fullest first, and in each step pool by pool.
#[derive(Debug, Clone, Copy)]
struct At {
    step: Step,
    /// The pool's place in the fleet's list.
    pool: usize,
}

impl<'a> Fitting<'a> {
    pub(super) fn new(fleet: &'a Fleet, size: Size) -> Self {
        Fitting {
            fleet,
            size,
            region: None,
            pool: None,
            room: None,
            pools: None,
            at: None,
            run: None,
        }
    }

    /// Narrows it to one region; an empty name is any, as in a room's request. It starts from the fullest again.
    #[must_use]
    #[inline(always)]
    pub fn in_region(mut self, region: &str) -> Self {
        self.region = (!region.is_empty()).then(|| self.fleet.region_at(region));
        self.again()
    }

    /// Narrows it to one pool. It starts from the fullest again.
    #[must_use]
    pub fn in_pool(mut self, pool: PoolId) -> Self {
        self.pool = Some(pool);
        self.again()
    }

    /// Narrows it to the pools that let in a room with this tenant and these labels ([`Pool::lets_in`]). It starts from the fullest
    /// again.
    ///
    /// ```
    /// use usher_sdk::{Fleet, Label, RoomRequest};
    ///
    /// let fleet = Fleet::builder()
    ///     .pool("acme", |pool| pool.labels.push(Label::new("only.tenant", "acme")))
    ///     .server("a", |server| server.usage.rooms = 3)
    ///     .pool("all", |_| {})
    ///     .server("b", |_| {})
    ///     .build();
    /// let first = |room: &RoomRequest| fleet.fitting(room.size()).letting_in(room).next().map(|server| server.id());
    /// assert_eq!(first(&RoomRequest::new("standup-42", 50)), Some(2));
    /// assert_eq!(first(&RoomRequest { tenant: "acme".into(), ..RoomRequest::new("standup-43", 50) }), Some(1));
    /// ```
    #[must_use]
    #[inline(always)]
    pub fn letting_in(mut self, room: &'a RoomRequest) -> Self {
        self.room = Some(room);
        self.again()
    }

    /// Narrows it to the pools that the question is answered with yes for; it is asked about each once a step at most. It starts from
    /// the fullest again.
    ///
    /// ```
    /// use usher_sdk::{Fleet, Pool, Size};
    ///
    /// let fleet = Fleet::builder()
    ///     .pool("spot", |pool| pool.market = "spot".into())
    ///     .server("a", |server| server.usage.rooms = 3)
    ///     .pool("on demand", |_| {})
    ///     .server("b", |_| {})
    ///     .build();
    /// let lasts = |pool: &Pool| pool.market != "spot";
    /// let names: Vec<_> = fleet.fitting(Size::default()).in_pools(&lasts).map(|server| server.name()).collect();
    /// assert_eq!(names, ["b"]);
    /// ```
    #[must_use]
    #[inline(always)]
    pub fn in_pools(mut self, pools: &'a dyn Fn(&Pool) -> bool) -> Self {
        self.pools = Some(pools);
        self.again()
    }

    #[inline(always)]
    fn again(mut self) -> Self {
        (self.at, self.run) = (None, None);
        self
    }

    #[inline]
    fn is_asked(&self, entry: &PoolEntry) -> bool {
        let lets_in = |room: &RoomRequest| entry.is_for_all || entry.pool.lets_in(&room.tenant, &room.labels);
        self.region.is_none_or(|region| region == entry.region)
            && self.pool.is_none_or(|pool| pool == entry.pool.id)
            && self.room.is_none_or(lets_in)
            && self.pools.is_none_or(|is_asked| is_asked(&entry.pool))
    }

    /// Returns the next place that has servers: in the same step a pool further on, else any in the next step that is in use.
    #[inline(always)]
    fn next_at(&self) -> Option<At> {
        // The steps that are yet to come, in the pools up to the one where the walk is, and in those after it.
        let (here, up_to_here, after) = match self.at {
            None => (0, u64::MAX, u64::MAX),
            Some(at) => (at.pool, (1 << at.step) - 1, u64::MAX >> (STEP_MAX - at.step)),
        };
        // The step plus one: a loop that goes on in one place only is one loop in a module, too.
        let (mut next, mut in_pool) = (0, 0);
        for (pool, entry) in self.fleet.pools.iter().enumerate() {
            let yet_to_come = if pool > here { after } else { up_to_here };
            let step = u64::BITS - (entry.open.steps() & yet_to_come).leading_zeros();
            // The costlier question is asked last, and only where it matters.
            if step > next && self.is_asked(entry) {
                (next, in_pool) = (step, pool);
            }
        }
        let step = next.checked_sub(1)? as Step;
        Some(At { step, pool: in_pool })
    }
}

impl fmt::Debug for Fitting<'_> {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        text.debug_struct("Fitting")
            .field("size", &self.size)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

impl<'a> Iterator for Fitting<'a> {
    type Item = &'a Server;

    #[inline(always)]
    fn next(&mut self) -> Option<&'a Server> {
        loop {
            if let Some(server) = self.run.as_mut().and_then(Run::next) {
                return self.fleet.server(server);
            }
            let at = self.next_at()?;
            self.at = Some(at);
            self.run = Some(self.fleet.pools[at.pool].open.fitting(at.step, self.size));
        }
    }
}
