//! What an onlooker knows who sees only inputs, replies and writes: the records, and what was heard since the last start.

use std::collections::{BTreeMap, VecDeque};

use usher_fleet::command::{Command, Reply};
use usher_fleet::config::{FleetConfig, HealthSource, PoolConfig};
use usher_fleet::ids::{PlacementNo, PoolName, RoomId, ServerName, ServerNo};
use usher_fleet::observation::{Probed, Reported};
use usher_fleet::pool::PoolRecord;
use usher_fleet::record::Meta;
use usher_fleet::room::{Placed, RoomRecord, RoomState};
use usher_fleet::server::{Phase, ServerRecord};
use usher_fleet::units::Timestamp;
use usher_fleet::{Input, Observation, Record, RecordKey, Write};

use std::time::Duration;

use super::ledger::{self, Known, Usage};

/// A report that names a room which has left so lately may have been under way.
const LEFT_LATELY: Duration = Duration::from_secs(60);

/// What was heard of a server since the last start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heard {
    pub(crate) sign: Timestamp,
    pub(crate) is_heard: bool,
    /// What its last report names that is not at home there.
    pub(crate) unknown: Usage,
    pub(crate) left: BTreeMap<RoomId, Timestamp>,
    /// People on it, after its last report.
    pub(crate) participants: u32,
    pub(crate) cpu: Option<u32>,
    pub(crate) egress: Option<u32>,
}

#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) config: FleetConfig,
    pub(crate) now: Timestamp,
    pub(crate) meta: Option<Meta>,
    pub(crate) pools: BTreeMap<PoolName, PoolRecord>,
    pub(crate) servers: BTreeMap<ServerNo, ServerRecord>,
    pub(crate) rooms: BTreeMap<RoomId, RoomRecord>,
    pub(crate) heard: BTreeMap<ServerNo, Heard>,
    pub(crate) known: BTreeMap<RoomId, Known>,
    /// When each room was last named, at least.
    pub(crate) named: BTreeMap<RoomId, Timestamp>,
    pub(crate) launches: BTreeMap<PoolName, VecDeque<Timestamp>>,
    /// The newest moment at which nothing was due any more.
    pub(crate) ticked: Timestamp,
}

impl Model {
    /// What is known after a start: what is durable, and nothing else.
    pub(crate) fn recovered(config: FleetConfig, records: &BTreeMap<RecordKey, Record>, now: Timestamp) -> Model {
        let mut model = Model {
            config,
            now,
            ..Model::default()
        };
        for record in records.values() {
            model.apply(&Write::Put(record.clone()));
        }
        let written = model.meta.as_ref().map_or(Timestamp(0), |meta| meta.now);
        model.now = now.max(written);
        // How many were launched within a minute is not durable, nor what was heard.
        model.launches.clear();
        model.hear_anew();
        model
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        let meta = self.meta.iter().cloned().map(Record::Meta);
        let pools = self.pools.values().map(|pool| Record::Pool(Box::new(pool.clone())));
        let servers = self
            .servers
            .values()
            .map(|server| Record::Server(Box::new(server.clone())));
        let rooms = self.rooms.values().map(|room| Record::Room(Box::new(room.clone())));
        meta.chain(pools).chain(servers).chain(rooms).collect()
    }

    pub(crate) fn server(&self, name: &ServerName) -> Option<&ServerRecord> {
        self.servers.values().find(|server| server.name == *name)
    }

    pub(crate) fn pool(&self, name: &PoolName) -> Option<&PoolConfig> {
        self.config.pools.iter().find(|pool| pool.name == *name)
    }

    pub(crate) fn placed(&self, room: &RoomId) -> Option<&Placed> {
        self.rooms.get(room).and_then(placed)
    }

    pub(crate) fn rooms_on(&self, no: ServerNo) -> impl Iterator<Item = (&RoomId, &Placed)> {
        self.rooms
            .iter()
            .filter_map(|(id, room)| Some((id, placed(room)?)))
            .filter(move |(_, placed)| placed.server == no)
    }

    pub(crate) fn waiting(&self) -> impl Iterator<Item = &RoomRecord> {
        self.rooms.values().filter(|room| placed(room).is_none())
    }

    /// What a server holds: at most, and exactly.
    pub(crate) fn usage(&self, no: ServerNo) -> (Usage, Usage) {
        let unknown = self.heard.get(&no).map(|heard| heard.unknown).unwrap_or_default();
        let mut sums = (unknown, unknown);
        for (id, placed) in self.rooms_on(no) {
            let wish = &self.rooms[id].wish;
            let (most, exact) = ledger::cost(wish, placed, self.known.get(id), self.config.settle, self.now);
            sums.0 += most;
            sums.1 += exact;
        }
        sums
    }

    /// Whether anybody may be on a server, as far as records and its last report say.
    pub(crate) fn is_empty(&self, no: ServerNo) -> bool {
        let is_anybody_heard = |heard: &Heard| heard.unknown.rooms > 0 || heard.participants > 0;
        !self.heard.get(&no).is_some_and(is_anybody_heard) && self.rooms_on(no).next().is_none()
    }

    /// Takes in what an input says, before what the fleet wrote about it.
    pub(crate) fn observe(&mut self, input: &Input, reply: Option<&Reply>) {
        match input {
            Input::Command(Command::PlaceRoom(command)) if !matches!(reply, Some(Reply::Rejected(_))) => {
                self.named.insert(command.room.clone(), self.now);
            }
            Input::Command(Command::UpdateRoom(command)) if !matches!(reply, Some(Reply::Rejected(_))) => {
                self.named.insert(command.room.clone(), self.now);
                if let Some(participants) = command.participants {
                    self.learn(&command.room, participants, None);
                }
            }
            Input::Observation(Observation::Reported(reported)) => self.reported(reported),
            Input::Observation(Observation::Probed(probed)) => self.probed(probed),
            Input::Observation(Observation::Configured(config)) => self.configured(config),
            Input::Observation(Observation::Gap) => self.hear_anew(),
            Input::Command(_) | Input::Observation(_) | Input::Tick => {}
        }
    }

    /// Where a pool is configured otherwise its servers have time to be heard anew.
    fn configured(&mut self, config: &FleetConfig) {
        let old = std::mem::replace(&mut self.config, config.clone());
        for pool in &config.pools {
            if old.pools.contains(pool) {
                continue;
            }
            for server in self.servers.values().filter(|server| server.pool == pool.name) {
                let Some(heard) = self.heard.get_mut(&server.no) else {
                    continue;
                };
                heard.sign = self.now;
                heard.is_heard |= pool.health == HealthSource::None;
            }
        }
    }

    fn hear_anew(&mut self) {
        for heard in self.heard.values_mut() {
            heard.sign = self.now;
        }
        self.named = self.rooms.keys().map(|id| (id.clone(), self.now)).collect();
    }

    fn reported(&mut self, reported: &Reported) {
        let Some(server) = self.server(&reported.server) else {
            return;
        };
        let no = server.no;
        if !is_up(&server.phase) {
            return;
        }
        let mut unknown = Usage::default();
        for room in reported.report.rooms.iter().flatten() {
            let at_home = self.placed(&room.room).is_some_and(|placed| {
                placed.server == no && room.placement.is_none_or(|placement| placement == placed.placement)
            });
            if at_home {
                self.named.insert(room.room.clone(), self.now);
                self.learn(&room.room, room.participants, room.load);
            } else if !self.has_left_lately(no, &room.room) {
                unknown += Usage {
                    rooms: 1,
                    seats: room.participants.into(),
                    load: room.load.unwrap_or(room.participants).into(),
                };
            }
        }
        let now = self.now;
        let heard = self.heard.entry(no).or_default();
        if reported.report.rooms.is_some() {
            heard.unknown = unknown;
        }
        heard.participants = reported.report.participants.unwrap_or(heard.participants);
        heard.cpu = reported.report.cpu_permille;
        heard.egress = reported.report.egress_kbps;
        heard.sign = now;
        heard.is_heard = true;
    }

    fn has_left_lately(&self, no: ServerNo, room: &RoomId) -> bool {
        let left = self.heard.get(&no).and_then(|heard| heard.left.get(room));
        left.is_some_and(|at| self.now.since(*at) < LEFT_LATELY)
    }

    fn learn(&mut self, room: &RoomId, participants: u32, load: Option<u32>) {
        let Some(placement) = self.placed(room).map(|placed| placed.placement) else {
            return;
        };
        let same = self.known.get(room).filter(|known| known.placement == placement);
        let since = same.map_or(self.now, |known| known.since);
        let known = Known {
            placement,
            participants,
            load,
            since,
        };
        self.known.insert(room.clone(), known);
    }

    fn probed(&mut self, probed: &Probed) {
        let Some(server) = self.server(&probed.server) else {
            return;
        };
        if probed.result.is_err() || server.url.as_ref() != Some(&probed.url) {
            return;
        }
        if self.health(server) != Some(HealthSource::Probe) {
            return;
        }
        let (no, is_up, now) = (server.no, is_up(&server.phase), self.now);
        let heard = self.heard.entry(no).or_default();
        heard.sign = now;
        heard.is_heard |= is_up;
    }

    pub(crate) fn health(&self, server: &ServerRecord) -> Option<HealthSource> {
        self.pool(&server.pool).map(|pool| pool.health)
    }

    /// Makes a write; whoever checks it has looked at the state before.
    pub(crate) fn apply(&mut self, write: &Write) {
        match write {
            Write::Put(Record::Meta(meta)) => self.meta = Some(meta.clone()),
            Write::Put(Record::Pool(pool)) => {
                self.pools.insert(pool.name.clone(), (**pool).clone());
            }
            Write::Put(Record::Server(server)) => self.put_server(server),
            Write::Put(Record::Room(room)) => {
                if let Some(placed) = placed(room) {
                    self.note_home(&room.id, placed);
                }
                self.rooms.insert(room.id.clone(), (**room).clone());
            }
            Write::Delete(RecordKey::Meta) => self.meta = None,
            Write::Delete(RecordKey::Pool(name)) => {
                self.pools.remove(name);
                self.launches.remove(name);
            }
            Write::Delete(RecordKey::Server(no)) => {
                self.servers.remove(no);
                self.heard.remove(no);
            }
            Write::Delete(RecordKey::Room(id)) => {
                self.note_left(id);
                self.rooms.remove(id);
                self.known.remove(id);
            }
        }
    }

    fn put_server(&mut self, server: &ServerRecord) {
        let old = self.servers.insert(server.no, server.clone());
        let now = self.now;
        let heard = self.heard.entry(server.no).or_insert_with(|| Heard {
            sign: now,
            ..Heard::default()
        });
        if server.lost.is_some() && old.as_ref().is_some_and(|old| old.lost.is_none()) {
            heard.unknown = Usage::default();
            heard.participants = 0;
        }
        if old.is_none() && matches!(server.phase, Phase::Requested(_)) {
            self.launches.entry(server.pool.clone()).or_default().push_back(now);
        }
    }

    fn note_home(&mut self, id: &RoomId, new: &Placed) {
        if let Some(heard) = self.heard.get_mut(&new.server) {
            heard.left.remove(id);
        }
        let has_grown = self
            .placed(id)
            .is_some_and(|old| old.placement == new.placement && old.seats < new.seats);
        // Who asks for more seats expects more people: what was known so far has not settled.
        if let Some(known) = self.known.get_mut(id).filter(|_| has_grown) {
            known.since = self.now;
        }
    }

    /// A room is released: a report of its server that is under way may name it still.
    fn note_left(&mut self, id: &RoomId) {
        let Some(server) = self.placed(id).map(|old| old.server) else {
            return;
        };
        let now = self.now;
        if let Some(heard) = self.heard.get_mut(&server) {
            heard.left.insert(id.clone(), now);
        }
    }

    pub(crate) fn last_placement(&self) -> PlacementNo {
        let placements = self
            .rooms
            .values()
            .filter_map(|room| placed(room).map(|placed| placed.placement));
        placements.max().unwrap_or(PlacementNo(0))
    }
}

pub(crate) fn placed(room: &RoomRecord) -> Option<&Placed> {
    match &room.state {
        RoomState::Placed(placed) => Some(placed),
        RoomState::Waiting(_) | RoomState::Moving(_) => None,
    }
}

/// Whether a server in this phase may be heard of.
pub(crate) fn is_up(phase: &Phase) -> bool {
    matches!(phase, Phase::Launching(_) | Phase::Booting(_) | Phase::Ready(_))
}
