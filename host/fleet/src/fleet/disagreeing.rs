//! Rooms that only one side knows: a server reports them and nobody asked for them, or they were reported and are no more. Both are told, and
//! where the pool says so put right.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Fleet;
use super::rooms::End;
use super::state::{Room, Server};
use crate::decision::{DecisionNote, PolicyRef};
use crate::event::{RoomUnknown, What};
use crate::ids::{RoomId, ServerNo};
use crate::observation::{Report, ReportedRoom};
use crate::room::{RoomRecord, RoomState, RoomWish, Waiting};
use crate::units::Timestamp;

/// How long the two must disagree before it is told: a room that is just being created or ended is under way in one of them.
const DISAGREE_MIN: Duration = Duration::from_secs(30);

/// How many rooms that nobody asked for are remembered of a server; the others are met when these have gone.
const MET_MAX: usize = 1024;

/// The figure by which an agent says how many rooms did not fit its report: what that lacks is not gone.
const ROOMS_CUT: &str = "rooms_cut";

/// A room that a server reports and nobody asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Met {
    since: Timestamp,
    is_told: bool,
}

impl Fleet {
    /// Compares a report with the books.
    pub(super) fn compare_rooms(&mut self, no: ServerNo, report: &Report) {
        let Some(rooms) = &report.rooms else { return };
        self.meet_unknown(no, rooms);
        if report.figures.get(ROOMS_CUT).is_none_or(|cut| *cut == 0) {
            self.miss_rooms(no);
        }
    }

    fn meet_unknown(&mut self, no: ServerNo, rooms: &[ReportedRoom]) {
        let Some(server) = self.servers.get(&no) else { return };
        let mut met = BTreeMap::new();
        let mut told = Vec::new();
        for reported in rooms {
            let id = &reported.room;
            // One that lives elsewhere, or has just left, is no stranger: its agent is told so.
            if met.len() >= MET_MAX || self.rooms.contains_key(id) || self.has_left_lately(server, id) {
                continue;
            }
            let first = Met {
                since: self.now,
                is_told: false,
            };
            let mut known = server.met.get(id).copied().unwrap_or(first);
            // One that people come to later is told again, as it is adopted then.
            let is_news = !known.is_told || self.is_to_be_adopted(server, reported);
            if is_news && self.now.since(known.since) >= DISAGREE_MIN {
                known.is_told = true;
                told.push(reported.clone());
            }
            met.insert(id.clone(), known);
        }
        if let Some(server) = self.servers.get_mut(&no) {
            server.met = met;
        }
        for reported in told {
            self.tell_unknown(no, reported);
        }
    }

    fn tell_unknown(&mut self, no: ServerNo, reported: ReportedRoom) {
        let Some(server) = self.servers.get(&no) else { return };
        let adopts = self.is_to_be_adopted(server, &reported);
        let reason = match adopts {
            true => "its server reports it, and nobody asked for it: it is adopted",
            false => "its server reports it, and nobody asked for it: it counts there until it ends",
        };
        self.tell(What::RoomUnknown(RoomUnknown {
            room: reported.room.clone(),
            server: server.record.name.clone(),
            pool: server.record.pool.clone(),
            participants: reported.participants,
            reason: reason.into(),
        }));
        if adopts {
            self.adopt_room(no, reported);
        }
    }

    /// A room that its app has released may stand empty on its media server for ever.
    fn is_to_be_adopted(&self, server: &Server, reported: &ReportedRoom) -> bool {
        let pool = self.pools.get(&server.record.pool);
        reported.participants > 0 && pool.is_some_and(|pool| pool.config.adopt_rooms)
    }

    /// Takes a room into the books where it is, whatever it costs there: it is there already.
    fn adopt_room(&mut self, no: ServerNo, reported: ReportedRoom) {
        let record = RoomRecord {
            id: reported.room.clone(),
            wish: RoomWish {
                seats: None,
                load: None,
                expected_minutes: None,
                region: None,
                tenant: None,
                labels: Default::default(),
                require: Default::default(),
            },
            lease_seconds: None,
            created: self.now,
            failures: 0,
            state: RoomState::Waiting(Waiting {
                since: self.now,
                queue: self.queue.number(false),
                expires: self.now,
            }),
        };
        let note = DecisionNote {
            policy: PolicyRef {
                name: "usher".into(),
                version: "".into(),
            },
            reason: Some("adopted: its server reports it, and nobody asked for it".into()),
        };
        self.settle_on(record, no, note);
        self.learn(&reported.room, reported.participants, reported.load);
        self.note_named(&reported.room);
    }

    /// Notes that its server's report names a room.
    pub(super) fn note_named(&mut self, id: &RoomId) {
        let now = self.now;
        if let Some(room) = self.rooms.get_mut(id) {
            room.named = Some(now);
            room.is_missed = false;
        }
    }

    /// Looks for rooms of a server that its reports named, and name no more.
    fn miss_rooms(&mut self, no: ServerNo) {
        let Some(server) = self.servers.get(&no) else { return };
        let releases = self
            .pools
            .get(&server.record.pool)
            .is_some_and(|pool| pool.config.release_unreported_rooms);
        let rooms = server.rooms.iter().filter_map(|id| self.rooms.get(id));
        let missing: Vec<(RoomId, Duration)> = rooms
            .filter_map(|room| Some((room.record.id.clone(), self.missing_for(room)?)))
            .collect();
        for (id, span) in missing {
            if releases && span >= self.config.room_empty {
                let reason = "its server has not reported it for empty_seconds";
                self.end_room(&id, End::Released, reason.into());
            } else if let Some(room) = self.rooms.get_mut(&id)
                && !std::mem::replace(&mut room.is_missed, true)
            {
                self.tell_missed(&id, releases);
            }
        }
    }

    /// Returns for how long a server's reports have lacked a room that they named before, if that is long enough to be told.
    fn missing_for(&self, room: &Room) -> Option<Duration> {
        let span = self.now.since(room.named?);
        (span >= DISAGREE_MIN).then_some(span)
    }

    fn tell_missed(&mut self, id: &RoomId, releases: bool) {
        let Some(room) = self.rooms.get(id) else { return };
        let reason = match releases {
            true => "its server does not report it any more; it is released after empty_seconds",
            false => "its server does not report it any more; it stays until its app releases it",
        };
        let told = self.ended(room, reason.into());
        self.tell(What::RoomUnreported(told));
    }
}
