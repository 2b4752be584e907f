//! The whole state, and the one function that changes it.

use crate::advice::Advisor;
use crate::command::Command;
use crate::config::FleetConfig;
use crate::effect::Effect;
use crate::ids::{PoolName, RoomId, ServerName};
use crate::observation::Observation;
use crate::outcome::Outcome;
use crate::record::{Record, Write};
use crate::status::{PoolStatus, RoomStatus, ServerStatus};
use crate::units::Timestamp;
use crate::view::{Cursor, ViewChange};

/// What the fleet is handed, one at a time.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A client asks.
    Command(Command),
    /// The world reports.
    Observation(Observation),
    /// Time has passed.
    Tick,
}

/// The whole state.
#[derive(Debug)]
pub struct Fleet {}
#[expect(unused_variables, reason = "signatures first")]
impl Fleet {
    /// Makes an empty fleet.
    pub fn new(config: FleetConfig, now: Timestamp) -> Fleet {
        Fleet {}
    }
    /// Rebuilds a fleet from its records. Then call [`Fleet::resume`].
    pub fn recover(config: FleetConfig, records: impl IntoIterator<Item = Record>, now: Timestamp) -> Fleet {
        Fleet {}
    }
    /// Returns what was owed when the process ended (launches, terminations, watches, lists) and what the new config changes.
    pub fn resume(&mut self, now: Timestamp) -> Outcome {
        Outcome::default()
    }
    /// Handles one input at a moment that never runs backwards.
    pub fn handle(&mut self, now: Timestamp, input: Input, advisor: &mut dyn Advisor) -> Outcome {
        Outcome::default()
    }
    /// Returns what is asked of the world once at the end of each batch of inputs: scale-up where a room began to wait.
    pub fn end_batch(&mut self, now: Timestamp) -> Outcome {
        Outcome::default()
    }
    /// Returns when [`Input::Tick`] is wanted next.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        None
    }
    /// Makes one durable change.
    pub fn apply(&mut self, write: &Write) {}
    /// Returns all durable records, in a fixed order; the same as were written.
    pub fn records(&self) -> Vec<Record> {
        Vec::new()
    }
    /// Returns the cursor of the newest change of the view.
    pub fn cursor(&self) -> Cursor {
        Cursor::START
    }
    /// Returns the newest row of each thing that changed after `cursor`, in an order in which pools come before their
    /// servers and servers before their usage.
    pub fn changes_since(&self, cursor: Cursor) -> impl Iterator<Item = ViewChange> + '_ {
        std::iter::empty()
    }
    /// Returns a room.
    pub fn room(&self, room: &RoomId) -> Option<RoomStatus> {
        None
    }
    /// Returns rooms in the order of their names, after `after`, at most `limit`, those of one server or state if named.
    pub fn rooms(&self, filter: &RoomFilter, after: Option<&RoomId>, limit: usize) -> Vec<RoomStatus> {
        Vec::new()
    }
    /// Returns a server.
    pub fn server(&self, server: &ServerName) -> Option<ServerStatus> {
        None
    }
    /// Returns all servers in the order in which they were made.
    pub fn servers(&self) -> Vec<ServerStatus> {
        Vec::new()
    }
    /// Returns all pools in the order of their names, with their cost up to `now`.
    pub fn pools(&self, now: Timestamp) -> Vec<PoolStatus> {
        Vec::new()
    }
    /// Returns a pool's name by number.
    pub fn pool_name(&self, pool: crate::ids::PoolNo) -> Option<&PoolName> {
        None
    }
    /// Returns whether launches and scale-down are frozen anywhere.
    pub fn is_frozen(&self) -> bool {
        false
    }
    /// Returns how many rooms wait.
    pub fn waiting_rooms(&self) -> u32 {
        0
    }
    /// Returns how many rooms there are.
    pub fn room_count(&self) -> usize {
        0
    }
}

/// Which rooms a page shows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RoomFilter {
    /// Only rooms of this server.
    pub server: Option<ServerName>,
    /// Only rooms in this state.
    pub state: Option<RoomStateFilter>,
    /// Only this tenant's rooms.
    pub tenant: Option<crate::ids::Tenant>,
}

/// Which state a page shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomStateFilter {
    /// Waiting.
    Waiting,
    /// Placed.
    Placed,
    /// Moving.
    Moving,
}
const _: fn(Effect) = |_| ();
