//! The index of a pool's open servers, ordered so that the fullest one with room is found without looking at the rest.

use super::Server;
use super::places::{Place, Places, Walk};
use crate::{ServerId, Size};

/// How full a server is, in steps: 0 for an empty one, then 1 to 63 by the scarcest of rooms, seats and load.
///
/// Steps rather than exact figures, so that within one the servers can be ordered by what is left and a look-up can skip all
/// that are too full; 64, so that the steps in use fit one machine word.
pub(super) type Step = u8;

/// The last step.
pub(super) const STEP_MAX: Step = 63;

/// Where an open server stands: in which step, and where in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) step: Step,
    place: Place,
}

impl Standing {
    /// Returns where a server stands; none where it takes no rooms, or is full.
    pub(super) fn of(server: &Server) -> Option<Self> {
        let left = server.left();
        let is_open = server.is_serving() && left.rooms > 0 && left.seats > 0 && left.load > 0;
        is_open.then(|| Standing {
            step: step_of(server),
            place: Place::new([left.seats, left.load], [u32::MAX - server.usage().rooms, server.id()]),
        })
    }
}

/// Returns how full a server is.
#[inline(always)]
pub(super) fn step_of(server: &Server) -> Step {
    let (row, usage) = (server.row(), server.usage());
    if usage.rooms == 0 {
        return 0;
    }
    let share = |used: u32, max: u32| {
        (u64::from(used) * u64::from(STEP_MAX))
            .checked_div(u64::from(max))
            .unwrap_or(0)
    };
    let scarcest = share(usage.rooms, row.rooms_max)
        .max(share(usage.seats, row.seats_max))
        .max(share(usage.load, row.load_max));
    scarcest.clamp(1, u64::from(STEP_MAX)) as Step
}

/// The open servers of one pool.
#[derive(Debug)]
pub(super) struct OpenServers {
    /// The servers of each step, in their order; apart, so that pools lie close together.
    places: Box<[Places; STEP_MAX as usize + 1]>,
    /// One bit for each step that has any.
    steps: u64,
}

impl Default for OpenServers {
    fn default() -> Self {
        OpenServers {
            places: Box::new([const { Places::new() }; STEP_MAX as usize + 1]),
            steps: 0,
        }
    }
}

impl OpenServers {
    /// Adds a server where it stands.
    #[inline(always)]
    pub(super) fn insert(&mut self, at: Standing) {
        self.places[usize::from(at.step)].insert(at.place);
        self.steps |= 1 << at.step;
    }

    /// Takes a server from where it stood.
    #[inline(always)]
    pub(super) fn remove(&mut self, at: Standing) {
        let places = &mut self.places[usize::from(at.step)];
        places.remove(at.place);
        if places.is_empty() {
            self.steps &= !(1 << at.step);
        }
    }

    /// Returns the steps that have servers, one bit each.
    pub(super) fn steps(&self) -> u64 {
        self.steps
    }

    /// Returns the servers of one step with room for this size, those with the least left first.
    #[inline(always)]
    pub(super) fn fitting(&self, step: Step, size: Size) -> Run<'_> {
        let places = &self.places[usize::from(step)];
        // A room without seats still needs a server that is not full, and all in here are.
        Run {
            places,
            size,
            run: places.from(Place::least(size.seats, size.load)),
        }
    }
}

/// A walk over one step of one pool.
#[derive(Debug, Clone)]
pub(super) struct Run<'a> {
    places: &'a Places,
    size: Size,
    run: Walk<'a>,
}

impl Iterator for Run<'_> {
    type Item = ServerId;

    #[inline(always)]
    fn next(&mut self) -> Option<ServerId> {
        loop {
            let place = self.run.next()?;
            if place.load_left() >= self.size.load {
                return Some(place.server());
            }
            // Too little load left: jump over all that have as many seats and too little load.
            self.run = self.places.from(Place::least(place.seats_left(), self.size.load));
        }
    }
}
