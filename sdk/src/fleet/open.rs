//! The index of a pool's open servers, ordered so that the fullest one with room is found without looking at the rest.

use std::collections::{BTreeSet, btree_set};

use super::{Row, Server};
use crate::{ServerId, Size};

/// How full a server is, in steps: 0 for an empty one, then 1 to 63 by the scarcest of rooms, seats and load.
///
/// Steps rather than exact figures, so that within one the servers can be ordered by what is left and a look-up can skip all
/// that are too full; 64, so that the steps in use fit one machine word.
pub(super) type Step = u8;

const STEP_MAX: u64 = 63;

/// Where an open server stands: by step, then by what is left, then by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OpenKey {
    pub(super) step: Step,
    seats_left: u32,
    load_left: u32,
    /// Tells servers apart that nothing limits: the one with more rooms is fuller.
    rooms_before_max: u32,
    server: ServerId,
    pub(super) row: Row,
}

impl OpenKey {
    /// The least key of a server in this step with so much left.
    fn least(step: Step, seats_left: u32, load_left: u32) -> Self {
        OpenKey {
            step,
            seats_left,
            load_left,
            rooms_before_max: 0,
            server: 0,
            row: 0,
        }
    }
}

/// Returns where a server stands; none while it takes no rooms.
pub(super) fn key_of(server: &Server, row: Row) -> Option<OpenKey> {
    let left = server.left();
    server.is_open().then(|| OpenKey {
        step: step_of(server),
        seats_left: left.seats,
        load_left: left.load,
        rooms_before_max: u32::MAX - server.usage().rooms,
        server: server.id(),
        row,
    })
}

/// Returns how full a server is.
pub(super) fn step_of(server: &Server) -> Step {
    let (row, usage) = (server.row(), server.usage());
    if usage.rooms == 0 {
        return 0;
    }
    let share = |used: u32, max: u32| (u64::from(used) * STEP_MAX).checked_div(u64::from(max)).unwrap_or(0);
    let scarcest = share(usage.rooms, row.rooms_max)
        .max(share(usage.seats, row.seats_max))
        .max(share(usage.load, row.load_max));
    scarcest.clamp(1, STEP_MAX) as Step
}

/// The open servers of one pool.
#[derive(Debug)]
pub(super) struct OpenServers {
    keys: BTreeSet<OpenKey>,
    /// How many keys each step has, and one bit for each step that has any.
    counts: [u32; STEP_MAX as usize + 1],
    steps: u64,
}

impl Default for OpenServers {
    fn default() -> Self {
        OpenServers {
            keys: BTreeSet::new(),
            counts: [0; STEP_MAX as usize + 1],
            steps: 0,
        }
    }
}

impl OpenServers {
    /// Moves a server from where it stood to where it stands.
    pub(super) fn replace(&mut self, before: Option<OpenKey>, after: Option<OpenKey>) {
        if let Some(key) = before.filter(|key| self.keys.remove(key)) {
            let count = &mut self.counts[usize::from(key.step)];
            *count -= 1;
            if *count == 0 {
                self.steps &= !(1 << key.step);
            }
        }
        if let Some(key) = after.filter(|key| self.keys.insert(*key)) {
            self.counts[usize::from(key.step)] += 1;
            self.steps |= 1 << key.step;
        }
    }

    /// Returns the steps that have servers, one bit each.
    pub(super) fn steps(&self) -> u64 {
        self.steps
    }

    /// Returns the servers of one step with room for this size, those with the least left first.
    pub(super) fn fitting(&self, step: Step, size: Size) -> Run<'_> {
        // A room without seats still needs a server that is not full, and all in here are.
        let run = self.from(OpenKey::least(step, size.seats, size.load));
        Run {
            servers: self,
            step,
            size,
            run,
        }
    }

    fn from(&self, key: OpenKey) -> btree_set::Range<'_, OpenKey> {
        self.keys.range(key..)
    }
}

/// A walk over one step of one pool.
#[derive(Debug, Clone)]
pub(super) struct Run<'a> {
    servers: &'a OpenServers,
    step: Step,
    size: Size,
    run: btree_set::Range<'a, OpenKey>,
}

impl Iterator for Run<'_> {
    type Item = OpenKey;

    fn next(&mut self) -> Option<OpenKey> {
        loop {
            let key = *self.run.next().filter(|key| key.step == self.step)?;
            if key.load_left >= self.size.load {
                return Some(key);
            }
            // Too little load left: jump over all that have as many seats and too little load.
            self.run = self
                .servers
                .from(OpenKey::least(self.step, key.seats_left, self.size.load));
        }
    }
}
