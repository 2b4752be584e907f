//! The question "which open servers have room for this?", answered fullest first.

use core::fmt;

use super::open::{Run, Step};
use super::{Fleet, PoolEntry, Server};
use crate::{Pool, PoolId, Size};

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
    region: Option<&'a str>,
    pool: Option<PoolId>,
    pools: Option<&'a dyn Fn(&Pool) -> bool>,
    walk: Walk<'a>,
}

/// Where the walk is: it goes step by step, and in each step pool by pool.
#[derive(Debug, Clone)]
enum Walk<'a> {
    /// Not begun: it may still be narrowed.
    Start,
    /// In a step; `steps` are those that are yet to come, `pool` the place of the next pool.
    In {
        steps: u64,
        step: Step,
        pool: usize,
        run: Option<Run<'a>>,
    },
    Over,
}

impl<'a> Fitting<'a> {
    pub(super) fn new(fleet: &'a Fleet, size: Size) -> Self {
        Fitting {
            fleet,
            size,
            region: None,
            pool: None,
            pools: None,
            walk: Walk::Start,
        }
    }

    /// Narrows it to one region; an empty name is any, as in a room's request. It starts from the fullest again.
    #[must_use]
    pub fn in_region(mut self, region: &'a str) -> Self {
        self.region = (!region.is_empty()).then_some(region);
        self.walk = Walk::Start;
        self
    }

    /// Narrows it to one pool. It starts from the fullest again.
    #[must_use]
    pub fn in_pool(mut self, pool: PoolId) -> Self {
        self.pool = Some(pool);
        self.walk = Walk::Start;
        self
    }

    /// Narrows it to the pools that the question is answered with yes for; it is asked about each a few times. It starts from
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
    pub fn in_pools(mut self, pools: &'a dyn Fn(&Pool) -> bool) -> Self {
        self.pools = Some(pools);
        self.walk = Walk::Start;
        self
    }

    fn is_asked(&self, entry: &PoolEntry) -> bool {
        self.region.is_none_or(|region| region == entry.pool.region)
            && self.pool.is_none_or(|pool| pool == entry.pool.id)
            && self.pools.is_none_or(|is_asked| is_asked(&entry.pool))
    }

    /// Goes to the next pool in the step, or to the first of the next step.
    fn go_on(&self, steps: u64, step: Step, pool: usize) -> Walk<'a> {
        let fleet = self.fleet;
        let next = fleet
            .pools
            .iter()
            .enumerate()
            .skip(pool)
            .find(|(_, entry)| self.has(entry, step));
        match next {
            Some((at, entry)) => Walk::In {
                steps,
                step,
                pool: at + 1,
                run: Some(entry.open.fitting(step, self.size)),
            },
            None => Self::enter(steps),
        }
    }

    fn has(&self, entry: &PoolEntry, step: Step) -> bool {
        entry.open.steps() & (1 << step) != 0 && self.is_asked(entry)
    }

    /// Enters the fullest of the steps that are yet to come.
    fn enter(steps: u64) -> Walk<'a> {
        match steps.checked_ilog2() {
            Some(step) => Walk::In {
                steps: steps & !(1 << step),
                step: step as Step,
                pool: 0,
                run: None,
            },
            None => Walk::Over,
        }
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

    fn next(&mut self) -> Option<&'a Server> {
        loop {
            self.walk = match &mut self.walk {
                Walk::Start => {
                    let pools = self.fleet.pools.iter().filter(|entry| self.is_asked(entry));
                    Self::enter(pools.fold(0, |steps, entry| steps | entry.open.steps()))
                }
                Walk::In { steps, step, pool, run } => {
                    if let Some(server) = run.as_mut().and_then(Run::next) {
                        return self.fleet.server(server);
                    }
                    let (steps, step, pool) = (*steps, *step, *pool);
                    self.go_on(steps, step, pool)
                }
                Walk::Over => return None,
            };
        }
    }
}
