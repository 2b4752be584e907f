//! The only way in which durable state changes, live and at recovery, and with it every index over it.

use std::collections::BTreeMap;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::Fleet;
use super::changes::Thing;
use super::failing::Past;
use super::ledger::{self, Cost, Multiset, Used};
use super::queue;
use super::rows;
use super::state::{Pool, Room, Server};
use super::timers::Timer;
use crate::config::{HealthSource, Limits, PoolConfig, PoolGuards};
use crate::ids::{PoolName, RoomId, ServerNo};
use crate::pool::PoolRecord;
use crate::record::{Record, RecordKey, Write};
use crate::room::{Placed, RoomRecord, RoomState};
use crate::server::{Health, ServerRecord};
use crate::status::ServerCard;
use crate::units::{Microdollars, Timestamp};

impl Fleet {
    /// Makes one durable change.
    pub fn apply(&mut self, write: &Write) {
        match write {
            Write::Put(Record::Server(record)) => self.put_server(record),
            Write::Put(Record::Room(record)) => self.put_room(record),
            Write::Put(Record::Pool(record)) => self.put_pool(record),
            Write::Put(Record::Meta(meta)) => self.meta = meta.clone(),
            Write::Delete(RecordKey::Server(no)) => self.drop_server(*no),
            Write::Delete(RecordKey::Room(id)) => self.drop_room(id),
            Write::Delete(RecordKey::Pool(name)) => self.drop_pool(name),
            Write::Delete(RecordKey::Meta) => {}
        }
    }

    /// Returns all durable records, in a fixed order; the same as were written.
    pub fn records(&self) -> Vec<Record> {
        let pools = self
            .pools
            .values()
            .map(|pool| Record::Pool(Box::new(pool.record.clone())));
        let servers = self
            .servers
            .values()
            .map(|server| Record::Server(Box::new(server.record.clone())));
        let rooms = self.rooms.values().map(|room| Record::Room(room.record.clone()));
        std::iter::once(Record::Meta(self.meta.clone()))
            .chain(pools)
            .chain(servers)
            .chain(rooms)
            .collect()
    }

    fn put_pool(&mut self, record: &PoolRecord) {
        self.pool_names.insert(record.no, record.name.clone());
        match self.pools.get_mut(&record.name) {
            Some(pool) => pool.record = record.clone(),
            None => {
                let config = unconfigured(record);
                let pool = Pool {
                    row: rows::pool_row(record.no, &config),
                    config,
                    retired: true,
                    record: record.clone(),
                    servers: BTreeSet::new(),
                    price_per_hour: Microdollars(0),
                    launches: VecDeque::new(),
                    blocked: None,
                    shortages: Vec::new(),
                    frozen: false,
                    told: None,
                    listed: None,
                    lists_failed: 0,
                    strangers: BTreeMap::new(),
                    drained_for_failures: None,
                };
                self.pools.insert(record.name.clone(), pool);
                self.changes.touch(Thing::Pool(record.no));
            }
        }
    }

    fn drop_pool(&mut self, name: &PoolName) {
        if let Some(pool) = self.pools.remove(name) {
            self.pool_names.remove(&pool.record.no);
            self.changes.pool_gone(pool.record.no);
        }
    }

    fn put_server(&mut self, record: &ServerRecord) {
        let card = Arc::new(self.card(record));
        let now = self.now;
        match self.servers.get_mut(&record.no) {
            Some(server) => {
                let is_otherwise = server.record.phase.word() != record.phase.word()
                    || server.record.hold != record.hold
                    || server.record.lost != record.lost;
                if is_otherwise {
                    server.changed = now;
                }
                if record.lost.is_some() {
                    server.health = Health::Lost;
                }
                let is_described_otherwise = server.card != card
                    || server.record.limits != record.limits
                    || server.record.price_per_hour != record.price_per_hour;
                if is_described_otherwise {
                    self.changes.touch(Thing::Server(record.no));
                }
                let price_before = server.record.price_per_hour;
                server.card = card;
                server.record = record.clone();
                if let Some(pool) = self.pools.get_mut(&record.pool) {
                    pool.price_per_hour = pool.price_per_hour + record.price_per_hour - price_before;
                }
            }
            None => {
                self.servers.insert(record.no, new_server(record, card, now));
                self.server_numbers.insert(record.name.clone(), record.no);
                if let Some(pool) = self.pools.get_mut(&record.pool) {
                    pool.servers.insert(record.no);
                    pool.price_per_hour = pool.price_per_hour + record.price_per_hour;
                }
                self.changes.touch(Thing::Server(record.no));
            }
        }
        self.changes.touch(Thing::Usage(record.no));
        self.note_leaving(record.no);
    }

    fn drop_server(&mut self, no: ServerNo) {
        let Some(server) = self.servers.remove(&no) else { return };
        self.server_numbers.remove(&server.record.name);
        if let Some(at) = server.timer {
            self.timers.unset(at, Timer::Server(no));
        }
        if let Some(pool) = self.pools.get_mut(&server.record.pool) {
            pool.servers.remove(&no);
            pool.price_per_hour = pool.price_per_hour - server.record.price_per_hour;
        }
        self.leaving.remove(&no);
        self.grown.remove(&no);
        self.emptied.remove(&no);
        self.kept.remove(&no);
        self.changes.server_gone(no);
    }

    fn put_room(&mut self, record: &RoomRecord) {
        let old = self.rooms.remove(&record.id);
        let stays = old.as_ref().is_some_and(|old| stays_in_queue(&old.record, record));
        if let Some(old) = old.as_ref().filter(|_| !stays) {
            self.leave(old);
        }
        let heard = old.as_ref().map_or(self.now, |old| old.heard);
        let is_same_placement = old.as_ref().is_some_and(|old| placement(old) == placement_of(record));
        let mut room = Room {
            record: Box::new(record.clone()),
            counted: Cost::default(),
            known: old.as_ref().filter(|_| is_same_placement).and_then(|old| old.known),
            heard,
            named: old.as_ref().filter(|_| is_same_placement).and_then(|old| old.named),
            is_missed: old.as_ref().is_some_and(|old| is_same_placement && old.is_missed),
            empty: old.as_ref().filter(|_| is_same_placement).and_then(|old| old.empty),
            stale: false,
            timer: old.as_ref().and_then(|old| old.timer),
        };
        // Who asks for more seats expects more people: what was known so far says nothing of them.
        if let (Some(known), true) = (
            &mut room.known,
            old.as_ref().is_some_and(|old| seats(&old.record) < seats(record)),
        ) {
            known.since = self.now;
        }
        if !stays {
            self.enter(&mut room);
        }
        self.rooms.insert(record.id.clone(), room);
    }

    fn drop_room(&mut self, id: &RoomId) {
        if let Some(room) = self.rooms.remove(id) {
            self.leave(&room);
            if let Some(at) = room.timer {
                self.timers.unset(at, Timer::Room(id.clone()));
            }
        }
    }

    /// Takes a room off where it stands: its server's ledger, or the queue.
    fn leave(&mut self, room: &Room) {
        match &room.record.state {
            RoomState::Waiting(waiting) => {
                self.queue.remove(waiting.queue, &room.record.wish);
                self.keep_no_more(&room.record.id);
            }
            RoomState::Moving(moving) => {
                self.queue.remove(moving.queue, &room.record.wish);
                self.keep_no_more(&room.record.id);
            }
            RoomState::Placed(placed) => {
                let Some(server) = self.servers.get_mut(&placed.server) else {
                    return;
                };
                server.rooms.remove(&room.record.id);
                server.used -= room.counted;
                server.room_seats.remove(room.counted.seats);
                match end(placed, &room.record) {
                    Some(end) => server.room_ends.remove(end),
                    None => server.rooms_open_ended = server.rooms_open_ended.saturating_sub(1),
                }
                server.last_busy = self.now;
                self.grown.insert(placed.server);
                self.emptied.insert(placed.server);
                self.changes.touch(Thing::Usage(placed.server));
                self.note_leaving(placed.server);
            }
        }
    }

    /// Puts a room where its record says that it stands.
    fn enter(&mut self, room: &mut Room) {
        match &room.record.state {
            RoomState::Waiting(waiting) => {
                self.queue
                    .insert(waiting.queue, room.record.id.clone(), &room.record.wish);
            }
            RoomState::Moving(moving) => self
                .queue
                .insert(moving.queue, room.record.id.clone(), &room.record.wish),
            RoomState::Placed(placed) => {
                let Some(server) = self.servers.get_mut(&placed.server) else {
                    return;
                };
                room.counted = ledger::cost(
                    &room.record.wish,
                    placed,
                    room.known.as_ref(),
                    self.config.settle,
                    self.now,
                );
                server.rooms.insert(room.record.id.clone());
                server.used += room.counted;
                server.room_seats.insert(room.counted.seats);
                match end(placed, &room.record) {
                    Some(end) => server.room_ends.insert(end),
                    None => server.rooms_open_ended += 1,
                }
                server.newest_room = server.newest_room.max(placed.at);
                server.left_lately.remove(&room.record.id);
                self.changes.touch(Thing::Usage(placed.server));
                self.note_leaving(placed.server);
            }
        }
    }

    /// Counts a room anew on its server, after new figures or with time.
    pub(super) fn recount(&mut self, id: &RoomId) {
        let Some(room) = self.rooms.get_mut(id) else { return };
        let RoomState::Placed(placed) = &room.record.state else {
            return;
        };
        let cost = ledger::cost(
            &room.record.wish,
            placed,
            room.known.as_ref(),
            self.config.settle,
            self.now,
        );
        let old = std::mem::replace(&mut room.counted, cost);
        if old == cost {
            return;
        }
        let no = placed.server;
        let Some(server) = self.servers.get_mut(&no) else {
            return;
        };
        server.used -= old;
        server.used += cost;
        server.room_seats.remove(old.seats);
        server.room_seats.insert(cost.seats);
        if cost.seats < old.seats || cost.load < old.load {
            self.grown.insert(no);
        }
        self.changes.touch(Thing::Usage(no));
    }

    fn card(&self, record: &ServerRecord) -> ServerCard {
        let pool = self.pools.get(&record.pool);
        ServerCard {
            name: record.name.clone(),
            pool: record.pool.clone(),
            region: pool.map(|pool| pool.config.region.clone()).unwrap_or_default(),
            zone: record.zone.as_deref().map(str::to_owned),
            url: record.url.clone(),
            endpoints: record.endpoints.clone(),
            labels: (*record.labels).clone(),
        }
    }

    /// Makes every card of a pool anew: its configuration has changed.
    pub(super) fn renew_cards(&mut self, pool: &PoolName) {
        let Some(pool) = self.pools.get(pool) else { return };
        for no in pool.servers.clone() {
            let Some(record) = self.servers.get(&no).map(|server| server.record.clone()) else {
                continue;
            };
            let card = Arc::new(self.card(&record));
            if let Some(server) = self.servers.get_mut(&no) {
                server.card = card;
            }
            self.changes.touch(Thing::Server(no));
            self.changes.touch(Thing::Usage(no));
        }
    }
}

fn placement(room: &Room) -> Option<crate::ids::PlacementNo> {
    placement_of(&room.record)
}

fn placement_of(record: &RoomRecord) -> Option<crate::ids::PlacementNo> {
    match &record.state {
        RoomState::Placed(placed) => Some(placed.placement),
        RoomState::Waiting(_) | RoomState::Moving(_) => None,
    }
}

/// Whether a room waits on in its place and in its group, whatever else has changed of it.
fn stays_in_queue(old: &RoomRecord, new: &RoomRecord) -> bool {
    let place = |record: &RoomRecord| match &record.state {
        RoomState::Waiting(waiting) => Some(waiting.queue),
        RoomState::Moving(moving) => Some(moving.queue),
        RoomState::Placed(_) => None,
    };
    place(old).is_some() && place(old) == place(new) && queue::key(&old.wish) == queue::key(&new.wish)
}

/// Returns the seats that a placed room reserves.
fn seats(record: &RoomRecord) -> Option<u32> {
    match &record.state {
        RoomState::Placed(placed) => Some(placed.seats),
        RoomState::Waiting(_) | RoomState::Moving(_) => None,
    }
}

/// Returns when a room is expected to end, in seconds since 1970, if its app said how long it lives.
fn end(placed: &Placed, record: &RoomRecord) -> Option<u32> {
    let minutes = record.wish.expected_minutes?;
    Some(placed.at.seconds().saturating_add(minutes.saturating_mul(60)))
}

fn new_server(record: &ServerRecord, card: Arc<ServerCard>, now: Timestamp) -> Server {
    Server {
        record: record.clone(),
        card,
        rooms: BTreeSet::new(),
        used: Used::default(),
        unknown: Used::default(),
        room_seats: Multiset::default(),
        room_ends: Multiset::default(),
        rooms_open_ended: 0,
        newest_room: Timestamp(0),
        hindrance: None,
        may_exist: false,
        orders: 0,
        last_busy: now,
        health: if record.lost.is_some() {
            Health::Lost
        } else {
            Health::Unknown
        },
        sign: now,
        reported: None,
        figures: BTreeMap::new(),
        participants: 0,
        left_lately: BTreeMap::new(),
        met: BTreeMap::new(),
        kept_for: None,
        retry: None,
        missing: 0,
        past: Past::default(),
        changed: now,
        watched: None,
        timer: None,
    }
}

/// A pool that has a record and no configuration: it takes no rooms and launches nothing.
fn unconfigured(record: &PoolRecord) -> PoolConfig {
    PoolConfig {
        name: record.name.clone(),
        automatic: record.automatic,
        provider: "none".into(),
        region: String::new(),
        zones: Vec::new(),
        instance_type: String::new(),
        market: String::new(),
        limits: Limits::default(),
        seats_default: 1,
        price_per_hour: Microdollars(0),
        labels: BTreeMap::new(),
        only: BTreeMap::new(),
        health: HealthSource::None,
        url: None,
        offers: Vec::new(),
        adopt_rooms: false,
        release_unreported_rooms: false,
        leaves_evidence: false,
        keep_failed_servers: 0,
        guards: PoolGuards {
            servers_max: 0,
            ..PoolGuards::default()
        },
    }
}
