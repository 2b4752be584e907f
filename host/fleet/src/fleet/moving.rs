//! Rooms whose server was lost, could not create them, or ends with them on it, go back into the queue: in bounded steps, derived from durable
//! marks, so that a crash in the middle changes nothing.

use super::state::Server;
use super::{Fleet, MOVES_PER_INPUT_MAX};
use crate::event::{RoomMoved, What};
use crate::ids::{RoomId, ServerName, ServerNo};
use crate::record::Record;
use crate::room::{Moving, RoomState};
use crate::server::Phase;

/// Why a room leaves its server, for people.
pub(super) enum Cause {
    ServerGoes(&'static str),
    RoomFailed(String),
}

impl Fleet {
    /// Keeps the index of servers with rooms that must go elsewhere.
    pub(super) fn note_leaving(&mut self, no: ServerNo) {
        let Some(server) = self.servers.get(&no) else { return };
        let must_leave = server.is_lost()
            || server.is_taken_away()
            || matches!(server.record.phase, Phase::Terminating(_) | Phase::Failed(_));
        if must_leave && !server.rooms.is_empty() {
            self.leaving.insert(no);
        } else {
            self.leaving.remove(&no);
        }
    }

    /// Takes the next rooms off such servers.
    pub(super) fn move_rooms(&mut self) {
        let mut budget = MOVES_PER_INPUT_MAX;
        for no in self.leaving.clone() {
            let Some(server) = self.servers.get(&no) else { continue };
            let rooms: Vec<RoomId> = server.rooms.iter().take(budget).cloned().collect();
            budget -= rooms.len();
            let reason = why_it_moves(server);
            for id in rooms {
                self.move_room(&id, no, Cause::ServerGoes(reason));
            }
            self.emptied.insert(no);
            if budget == 0 {
                return;
            }
        }
    }

    /// Takes a room off its server.
    pub(super) fn move_room(&mut self, id: &RoomId, from: ServerNo, cause: Cause) {
        let Some(room) = self.rooms.get(id) else { return };
        let RoomState::Placed(placed) = &room.record.state else {
            return;
        };
        let placement = placed.placement;
        let mut record = (*room.record).clone();
        let queue = self.queue.number(true);
        let reason = match cause {
            Cause::ServerGoes(reason) => reason.to_owned(),
            Cause::RoomFailed(reason) => {
                record.failures = record.failures.saturating_add(1);
                reason
            }
        };
        record.state = RoomState::Moving(Moving {
            from,
            placement,
            since: self.now,
            queue,
        });
        self.tell(What::RoomMoved(RoomMoved {
            room: id.clone(),
            from: self.server_name(from),
            to: None,
            url: None,
            placement,
            tenant: record.wish.tenant.clone(),
            reason,
        }));
        // Whoever was in it may be on the server still: it has not left there as a released room has, and counts if
        // the server comes back and names it.
        self.put(Record::Room(Box::new(record)));
        self.heard_of(id);
        self.scaling.owe_up();
    }

    /// Returns a server's name; a gone one is called by its number.
    pub(super) fn server_name(&self, no: ServerNo) -> ServerName {
        match self.servers.get(&no) {
            Some(server) => server.record.name.clone(),
            None => format!("gone-{no}")
                .parse()
                .expect("a word, a dash and a number make a valid id"),
        }
    }
}

fn why_it_moves(server: &Server) -> &'static str {
    match &server.record.phase {
        Phase::Terminating(_) | Phase::Failed(_) => "its server is being ended",
        _ if server.is_taken_away() => "its cloud takes the machine away",
        Phase::Requested(_) | Phase::Launching(_) | Phase::Booting(_) | Phase::Ready(_) => "its server was lost",
    }
}
