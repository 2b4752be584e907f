//! The whole state, and the one function that changes it.
//!
//! Durable state lives in records and changes by [`Fleet::apply`] alone, which also keeps every index; the submodules
//! below decide which records to write. What they want told, done or answered collects in one [`Outcome`].

mod adopting;
mod apply;
mod billing;
mod booting;
mod changes;
mod choosing;
mod configuring;
mod disagreeing;
mod examining;
mod failing;
mod freezing;
mod growing;
mod guards;
mod health;
mod holding;
mod launching;
mod ledger;
mod listing;
mod moving;
mod offering;
mod offers;
mod placing;
mod queries;
mod queue;
mod reports;
mod rooms;
mod rows;
mod scaling;
mod shrinking;
mod state;
mod timers;
mod tokens;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::advice::{Advisor, Verdict};
use crate::command::{Command, Reply, RoomOutcome};
use crate::config::FleetConfig;
use crate::event::{Event, What};
use crate::ids::{DecisionNo, PlacementNo, PoolName, PoolNo, RoomId, ServerName, ServerNo};
use crate::observation::Observation;
use crate::outcome::Outcome;
use crate::record::{Meta, Record, RecordKey, Write};
use crate::units::Timestamp;

use changes::Changes;
pub use queries::{RoomFilter, RoomStateFilter};
use queue::Queue;
use scaling::Scaling;
use state::{Pool, Room, Server};
use timers::{Timer, Timers};

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

/// Waiting rooms that are offered to policies within one input; the rest follow at once in the next. With the dearest
/// decision that fuel allows this bounds the pause that one input can cause.
const OFFERS_PER_INPUT_MAX: u32 = 256;

/// Rooms of lost or ended servers that go back into the queue within one input.
const MOVES_PER_INPUT_MAX: usize = 128;

/// Placement numbers that one durable write reserves; what a crash leaves unused is skipped.
const PLACEMENTS_RESERVED: u64 = 10_000;

/// The most servers that a fleet holds, whatever its guards say: the design's limit, with room to spare.
const SERVERS_MAX: usize = 100_000;

/// How often the newest durable moment is written where nothing else writes it.
const NOW_WRITTEN_EVERY: Duration = Duration::from_secs(60);

/// The whole state.
#[derive(Debug)]
pub struct Fleet {
    config: FleetConfig,
    now: Timestamp,
    meta: Meta,
    pools: BTreeMap<PoolName, Pool>,
    pool_names: BTreeMap<PoolNo, PoolName>,
    servers: BTreeMap<ServerNo, Server>,
    server_numbers: BTreeMap<ServerName, ServerNo>,
    rooms: BTreeMap<RoomId, Room>,
    queue: Queue,
    /// Servers with rooms that must go elsewhere: they are lost, or being ended.
    leaving: BTreeSet<ServerNo>,
    /// Servers that gained room in this input; the queue is offered it before the input ends.
    grown: BTreeSet<ServerNo>,
    /// Draining servers that may have become empty in this input.
    emptied: BTreeSet<ServerNo>,
    /// Servers that are kept for a room which was overtaken for long.
    kept: BTreeSet<ServerNo>,
    changes: Changes,
    timers: Timers,
    scaling: Scaling,
    health: health::FleetHealth,
    arrivals: rooms::Arrivals,
    verdicts: Vec<Verdict>,
    next_placement: PlacementNo,
    /// The next server's number when this process began.
    began_at: ServerNo,
    next_decision: u32,
    out: Outcome,
}

impl Fleet {
    /// Makes an empty fleet. Then call [`Fleet::resume`].
    pub fn new(config: FleetConfig, now: Timestamp) -> Fleet {
        let meta = Meta {
            next_server: ServerNo(1),
            servers_elsewhere: Vec::new(),
            next_pool: PoolNo(1),
            placements_reserved: PlacementNo(1),
            now: Timestamp(0),
        };
        Fleet {
            config,
            now,
            meta,
            pools: BTreeMap::new(),
            pool_names: BTreeMap::new(),
            servers: BTreeMap::new(),
            server_numbers: BTreeMap::new(),
            rooms: BTreeMap::new(),
            queue: Queue::default(),
            leaving: BTreeSet::new(),
            grown: BTreeSet::new(),
            emptied: BTreeSet::new(),
            kept: BTreeSet::new(),
            changes: Changes::default(),
            timers: Timers::default(),
            scaling: Scaling::default(),
            health: health::FleetHealth::default(),
            arrivals: rooms::Arrivals::default(),
            verdicts: Vec::new(),
            next_placement: PlacementNo(1),
            began_at: ServerNo(1),
            next_decision: 1,
            out: Outcome::default(),
        }
    }

    /// Rebuilds a fleet from its records, in any order. Then call [`Fleet::resume`].
    pub fn recover(config: FleetConfig, records: impl IntoIterator<Item = Record>, now: Timestamp) -> Fleet {
        let mut fleet = Fleet::new(config, now);
        let mut later = Vec::new();
        for record in records {
            match &record {
                // Rooms stand on servers, and servers in pools: those come first.
                Record::Room(_) | Record::Server(_) => later.push(record),
                Record::Pool(_) | Record::Meta(_) => fleet.apply(&Write::Put(record)),
            }
        }
        later.sort_by_key(|record| matches!(record, Record::Room(_)));
        for record in later {
            fleet.apply(&Write::Put(record));
        }
        fleet.now = now.max(fleet.meta.now);
        fleet.next_placement = fleet.meta.placements_reserved;
        fleet
    }

    /// Takes in the configuration, and returns what was owed when the process ended: launches, terminations, watches,
    /// lists.
    pub fn resume(&mut self, now: Timestamp) -> Outcome {
        self.now = self.now.max(now);
        self.configure_pools();
        self.resume_servers();
        self.hear_all_anew();
        self.timers.set(self.now, Timer::Tick);
        self.take_outcome()
    }

    /// Handles one input at a moment that never runs backwards; an earlier one counts as the latest so far.
    pub fn handle(&mut self, now: Timestamp, input: Input, advisor: &mut dyn Advisor) -> Outcome {
        self.now = self.now.max(now);
        match input {
            Input::Command(command) => {
                let reply = self.command(command, advisor);
                self.out.reply = Some(reply);
            }
            Input::Observation(observation) => self.observe(observation),
            Input::Tick => {}
        }
        self.run_due();
        self.finish_drains();
        self.move_rooms();
        self.offer_queue(advisor);
        self.finish_drains();
        self.renew_reply();
        self.take_outcome()
    }

    /// A room that began to wait may have been offered capacity in the same input: its app is told where it is.
    fn renew_reply(&mut self) {
        if let Some(Reply::Room(status, RoomOutcome::Waiting)) = &self.out.reply
            && let Some(room) = self.rooms.get(&status.room)
            && room.server().is_some()
        {
            let id = room.record.id.clone();
            self.out.reply = Some(self.room_reply(&id, RoomOutcome::Placed));
        }
    }

    /// Returns what is asked of the world once at the end of a batch of inputs: the scale decisions that are owed.
    pub fn end_batch(&mut self, now: Timestamp) -> Outcome {
        self.now = self.now.max(now);
        self.begin_scaling();
        self.take_outcome()
    }

    /// Returns when [`Input::Tick`] is wanted next; a moment that has passed means at once.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let is_owed = !self.leaving.is_empty()
            || self.queue.next_open().is_some()
            || (!self.grown.is_empty() && !self.queue.is_empty());
        if is_owed { Some(self.now) } else { self.timers.next() }
    }

    fn command(&mut self, command: Command, advisor: &mut dyn Advisor) -> Reply {
        let answer = match command {
            Command::PlaceRoom(command) => self.place_room(command, advisor),
            Command::UpdateRoom(command) => self.update_room(command),
            Command::ReleaseRoom(command) => {
                self.release_room(command);
                Ok(Reply::Done)
            }
            Command::FailRoom(command) => self.fail_room(command),
            Command::RegisterServer(command) => self.register_server(command),
            Command::HoldServer(command) => self.hold_server(command),
            Command::RemoveServer(command) => self.remove_server(command),
            Command::DeclareLost(command) => self.declare_lost(command),
            Command::SetScaling(command) => self.set_scaling(command),
            Command::RenewToken(server) => self.renew_token(&server),
            Command::UseToken(token) => self.use_token(token),
        };
        answer.unwrap_or_else(Reply::Rejected)
    }

    fn observe(&mut self, observation: Observation) {
        match observation {
            Observation::Launched(launched) => self.launched(launched),
            Observation::Terminated(terminated) => self.terminated(terminated),
            Observation::Listed(listed) => self.listed(listed),
            Observation::Examined(examined) => self.examined(examined),
            Observation::Probed(probed) => self.probed(probed),
            Observation::Reported(reported) => self.reported(reported),
            Observation::Scaled(answer) => self.scaled(answer),
            Observation::Policy(event) => self.tell(What::from(event)),
            Observation::Webhook(event) => self.tell(What::from(event)),
            Observation::PoliciesChanged => self.queue.begin_anew(),
            Observation::Configured(config) => {
                self.config = *config;
                self.configure_pools();
            }
            Observation::Gap => self.hear_all_anew(),
        }
    }

    /// Makes a durable change, in the state and in the outcome.
    fn write(&mut self, write: Write) {
        self.apply(&write);
        self.out.writes.push(write);
    }

    fn put(&mut self, record: Record) {
        self.write(Write::Put(record));
    }

    fn delete(&mut self, key: RecordKey) {
        self.write(Write::Delete(key));
    }

    fn tell(&mut self, what: What) {
        self.out.events.push(Event { at: self.now, what });
    }

    fn next_decision(&mut self) -> DecisionNo {
        let no = DecisionNo(self.next_decision);
        self.next_decision = self.next_decision.checked_add(1).unwrap_or(1);
        no
    }

    fn take_outcome(&mut self) -> Outcome {
        let is_old = self.now.since(self.meta.now) >= NOW_WRITTEN_EVERY;
        if is_old && !self.out.writes.is_empty() {
            self.put(Record::Meta(Meta {
                now: self.now,
                ..self.meta.clone()
            }));
        }
        std::mem::take(&mut self.out)
    }
}
