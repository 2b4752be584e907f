//! A room's life after its first placement: asked for again, figures, lease, release, and its quiet ends.

use std::collections::VecDeque;
use std::time::Duration;

use super::Fleet;
use super::ledger::Cost;
use super::state::{Known, Room};
use crate::command::{PlaceRoom, Rejection, ReleaseRoom, Reply, RoomOutcome, UpdateRoom};
use crate::event::{RoomEnded, What};
use crate::ids::{RoomId, ServerNo};
use crate::record::{Record, RecordKey};
use crate::room::{Placed, RoomState};
use crate::units::Timestamp;

/// How long a room that has left a server is remembered there: longer than any report is under way.
const LEFT_LATELY: Duration = Duration::from_secs(60);

/// How many such rooms a server remembers; beyond that the oldest names are forgotten, and may be counted until the
/// next report.
const LEFT_LATELY_MAX: usize = 1024;

/// Rooms that came within the last minute, in slots of ten seconds.
#[derive(Debug, Default)]
pub(super) struct Arrivals(VecDeque<(u64, u32, u32)>);

impl Arrivals {
    const SLOT_MILLIS: u64 = 10_000;
    const SLOTS: u64 = 6;

    pub(super) fn note(&mut self, now: Timestamp, seats: u32) {
        let slot = now.0 / Self::SLOT_MILLIS;
        match self.0.back_mut() {
            Some((last, rooms, sum)) if *last == slot => {
                *rooms = rooms.saturating_add(1);
                *sum = sum.saturating_add(seats);
            }
            _ => self.0.push_back((slot, 1, seats)),
        }
        while self.0.len() as u64 > Self::SLOTS {
            self.0.pop_front();
        }
    }

    /// Returns rooms and seats of the last minute.
    pub(super) fn last_minute(&self, now: Timestamp) -> (u32, u32) {
        let oldest = (now.0 / Self::SLOT_MILLIS).saturating_sub(Self::SLOTS - 1);
        let recent = self.0.iter().filter(|(slot, _, _)| *slot >= oldest);
        recent.fold((0u32, 0u32), |(rooms, seats), (_, r, s)| {
            (rooms.saturating_add(*r), seats.saturating_add(*s))
        })
    }
}

/// How a room ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Somebody released it, or its time was up.
    Released,
    /// It waited too long, or was refused while it waited.
    Expired,
}

impl Fleet {
    /// A room that exists was asked for again: it stays where it is.
    pub(super) fn ask_again_for(&mut self, command: PlaceRoom) -> Result<Reply, Rejection> {
        let Some(room) = self.rooms.get(&command.room) else {
            return Err(Rejection::NoSuchRoom(command.room));
        };
        if room.record.wish.tenant != command.wish.tenant {
            return Err(Rejection::RoomTaken(command.room));
        }
        let mut record = (*room.record).clone();
        record.lease_seconds = command.lease_seconds.or(record.lease_seconds);
        record.wish.expected_minutes = command.wish.expected_minutes.or(record.wish.expected_minutes);
        let outcome = match &mut record.state {
            RoomState::Placed(placed) => {
                if let Some(seats) = command.wish.seats.filter(|seats| *seats > placed.seats) {
                    self.check_growth(room, placed, seats)?;
                    resize(placed, record.wish.load, seats);
                    record.wish.seats = Some(seats);
                }
                RoomOutcome::Found
            }
            RoomState::Waiting(_) | RoomState::Moving(_) => {
                let wish = crate::room::RoomWish {
                    expected_minutes: record.wish.expected_minutes,
                    ..command.wish
                };
                if wish != record.wish {
                    self.check_possible(&wish)?;
                    record.wish = wish;
                }
                RoomOutcome::Waiting
            }
        };
        if *room.record != record {
            self.put(Record::Room(Box::new(record)));
        }
        self.heard_of(&command.room);
        Ok(self.room_reply(&command.room, outcome))
    }

    /// Returns a room, to those whom it concerns.
    pub(super) fn their_room(&self, id: &RoomId, tenant: Option<&crate::ids::Tenant>) -> Result<&Room, Rejection> {
        let room = self.rooms.get(id).filter(|room| is_theirs(room, tenant));
        room.ok_or_else(|| Rejection::NoSuchRoom(id.clone()))
    }

    pub(super) fn update_room(&mut self, command: UpdateRoom) -> Result<Reply, Rejection> {
        let room = self.their_room(&command.room, command.tenant.as_ref())?;
        if let Some(seats) = command.seats {
            let mut record = (*room.record).clone();
            record.wish.seats = Some(seats);
            match &mut record.state {
                RoomState::Placed(placed) => {
                    if seats > placed.seats {
                        self.check_growth(room, placed, seats)?;
                    }
                    resize(placed, record.wish.load, seats);
                }
                RoomState::Waiting(_) | RoomState::Moving(_) => self.check_possible(&record.wish)?,
            }
            if *room.record != record {
                self.put(Record::Room(Box::new(record)));
            }
        }
        self.heard_of(&command.room);
        if let Some(participants) = command.participants {
            self.learn(&command.room, participants, None);
        }
        let is_placed = self
            .rooms
            .get(&command.room)
            .is_some_and(|room| room.server().is_some());
        let outcome = if is_placed {
            RoomOutcome::Found
        } else {
            RoomOutcome::Waiting
        };
        Ok(self.room_reply(&command.room, outcome))
    }

    /// Refuses seats for which the room's server has no room: beside all others the room must fit with all that it asks.
    fn check_growth(&self, room: &Room, placed: &Placed, seats: u32) -> Result<(), Rejection> {
        let Some(server) = self.servers.get(&placed.server) else {
            return Ok(());
        };
        let mut others = server.use_now();
        others -= room.counted;
        let mut grown = placed.clone();
        resize(&mut grown, room.record.wish.load, seats);
        let cost = Cost {
            seats,
            load: grown.load,
        };
        match others.refusal(cost, &server.record.limits) {
            None => Ok(()),
            Some(_) => Err(Rejection::DoesNotFit {
                room: room.record.id.clone(),
                server: server.record.name.clone(),
                seats,
            }),
        }
    }

    pub(super) fn release_room(&mut self, command: ReleaseRoom) {
        let Some(room) = self.rooms.get(&command.room) else {
            return;
        };
        if !is_theirs(room, command.tenant.as_ref()) {
            return;
        }
        let placement = match &room.record.state {
            RoomState::Placed(placed) => Some(placed.placement),
            RoomState::Moving(moving) => Some(moving.placement),
            RoomState::Waiting(_) => None,
        };
        if command.placement.is_some() && command.placement != placement {
            return;
        }
        self.note_ending(&command.room);
        self.end_room(&command.room, End::Released, "released by its app".into());
    }

    /// Ends a room, wherever it stands.
    pub(super) fn end_room(&mut self, id: &RoomId, end: End, reason: String) {
        let Some(room) = self.rooms.get(id) else { return };
        let ended = self.ended(room, reason);
        let server = room.server();
        self.delete(RecordKey::Room(id.clone()));
        if let Some(server) = server {
            self.note_left(server, id);
        }
        self.tell(match end {
            End::Released => What::RoomReleased(ended),
            End::Expired => What::RoomExpired(ended),
        });
    }

    pub(super) fn ended(&self, room: &Room, reason: String) -> RoomEnded {
        let (placement, server) = match &room.record.state {
            RoomState::Placed(placed) => (Some(placed.placement), Some(self.server_name(placed.server))),
            RoomState::Moving(moving) => (Some(moving.placement), Some(self.server_name(moving.from))),
            RoomState::Waiting(_) => (None, None),
        };
        RoomEnded {
            room: room.record.id.clone(),
            placement,
            server,
            tenant: room.record.wish.tenant.clone(),
            reason,
        }
    }

    /// Remembers that a room has left a server, for reports that are under way.
    pub(super) fn note_left(&mut self, no: ServerNo, room: &RoomId) {
        let now = self.now;
        let Some(server) = self.servers.get_mut(&no) else {
            return;
        };
        if server.left_lately.len() >= LEFT_LATELY_MAX {
            server.left_lately.retain(|_, at| now.since(*at) < LEFT_LATELY);
        }
        if server.left_lately.len() < LEFT_LATELY_MAX {
            server.left_lately.insert(room.clone(), now);
        }
    }

    /// Whether a room has left a server so lately that a report may still name it rightly.
    pub(super) fn has_left_lately(&self, server: &super::state::Server, room: &RoomId) -> bool {
        server
            .left_lately
            .get(room)
            .is_some_and(|at| self.now.since(*at) < LEFT_LATELY)
    }

    /// Notes that a room's app or server named it: its lease begins anew.
    pub(super) fn heard_of(&mut self, id: &RoomId) {
        if let Some(room) = self.rooms.get_mut(id) {
            room.heard = self.now;
            room.stale = false;
        }
        self.time_room(id);
    }

    /// Takes in what was reported of a room.
    pub(super) fn learn(&mut self, id: &RoomId, participants: u32, load: Option<u32>) {
        let Some(room) = self.rooms.get_mut(id) else { return };
        if room.server().is_none() {
            return;
        }
        let since = room.known.map_or(self.now, |known| known.since);
        room.known = Some(Known {
            participants,
            load,
            since,
        });
        room.empty = (participants == 0).then(|| room.empty.unwrap_or(self.now));
        self.recount(id);
        self.time_room(id);
    }

    /// Returns when a room must be looked at next.
    pub(super) fn room_deadline(&self, room: &Room) -> Option<Timestamp> {
        let lease = self.lease_end(room);
        let silence = self.silence_end(room);
        match &room.record.state {
            RoomState::Waiting(waiting) => Some(waiting.expires),
            // No server can report it while it has none: its lease stands still.
            RoomState::Moving(_) => Some(silence),
            RoomState::Placed(_) => {
                let empty = room.empty.map(|since| since + self.config.room_empty);
                let settle = room.known.map(|known| known.since + self.config.settle);
                let settle = settle.filter(|at| *at > self.now);
                let due = [lease, Some(silence), empty, settle].into_iter().flatten();
                due.map(|at| self.not_overdue(at)).min()
            }
        }
    }

    fn lease_end(&self, room: &Room) -> Option<Timestamp> {
        room.record
            .lease_seconds
            .map(|seconds| room.heard + Duration::from_secs(seconds.into()))
    }

    fn silence_end(&self, room: &Room) -> Timestamp {
        room.heard + self.config.room_silence_max
    }

    /// Looks at a room whose timer has rung.
    pub(super) fn check_room(&mut self, id: &RoomId) {
        self.recount(id);
        let Some(room) = self.rooms.get(id) else { return };
        let now = self.now;
        if let RoomState::Waiting(waiting) = &room.record.state {
            if waiting.expires <= now {
                self.end_room(id, End::Expired, "it waited longer than waiting_seconds_max".into());
            }
            return;
        }
        if self.stands_still(room) {
            if let Some(room) = self.rooms.get_mut(id) {
                room.heard = now;
                room.named = room.named.map(|_| now);
                room.empty = None;
            }
            return;
        }
        let is_placed = room.server().is_some();
        if is_placed && self.lease_end(room).is_some_and(|end| end <= now) {
            self.end_room(id, End::Released, "its lease ran out".into());
        } else if room.empty.is_some_and(|since| since + self.config.room_empty <= now) {
            self.end_room(id, End::Released, "nobody has been in it for empty_seconds".into());
        } else if self.silence_end(room) <= now {
            let ended = self.ended(room, "nothing was heard of it for room_seconds_max".into());
            self.tell(What::RoomStale(ended));
            self.end_room(id, End::Released, "nothing was heard of it for room_seconds_max".into());
        }
    }

    /// Whether a room's times stand still: its server is silent, or the fleet is frozen, so nothing can be heard of it.
    fn stands_still(&self, room: &Room) -> bool {
        let Some(server) = room.server().and_then(|no| self.servers.get(&no)) else {
            return self.is_frozen();
        };
        let is_frozen = self
            .pools
            .get(&server.record.pool)
            .is_some_and(|pool| self.is_frozen_for(pool));
        server.is_silent() || server.is_lost() || is_frozen
    }

    /// Starts every lease, emptiness and silence anew: for a while nothing could be heard.
    pub(super) fn hear_rooms_anew(&mut self, rooms: Vec<RoomId>) {
        for id in rooms {
            if let Some(room) = self.rooms.get_mut(&id) {
                room.heard = self.now;
                room.named = room.named.map(|_| self.now);
                room.empty = None;
            }
            self.time_room(&id);
        }
    }
}

/// Gives a placed room other seats; where its app gave no load of its own, that goes with them.
fn resize(placed: &mut Placed, load_asked: Option<u32>, seats: u32) {
    placed.load = load_asked.unwrap_or(seats);
    placed.seats = seats;
}

fn is_theirs(room: &Room, tenant: Option<&crate::ids::Tenant>) -> bool {
    tenant.is_none() || room.record.wish.tenant.as_ref() == tenant
}
