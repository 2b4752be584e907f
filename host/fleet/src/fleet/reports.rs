//! What servers report of themselves. Reports refine the ledger and show life; they never free what is reserved at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Fleet;
use super::changes::Thing;
use super::ledger::{Cost, Used};
use crate::ids::{PlacementNo, RoomId, ServerName, ServerNo};
use crate::observation::{Report, Reported, ReportedRoom};
use crate::room::RoomState;
use crate::server::{Draining, Hold, HoldOwner, Phase};

/// Figures of a server: as many as one report may have, and as a policy may ask for.
const FIGURES_MAX: usize = 64;

impl Fleet {
    pub(super) fn reported(&mut self, reported: Reported) {
        let Reported { server, mut report } = reported;
        let Some(no) = self.server_numbers.get(&server).copied() else {
            return;
        };
        let Some(known) = self.servers.get(&no) else { return };
        if matches!(
            known.record.phase,
            Phase::Requested(_) | Phase::Terminating(_) | Phase::Failed(_)
        ) {
            // Before the provider has answered nobody can say which attempt this is; afterwards it is too late.
            return;
        }
        self.take_url(no, &report);
        if let Some(rooms) = &report.rooms {
            self.take_rooms(no, rooms);
        }
        self.compare_rooms(no, &report);
        self.take_figures(no, std::mem::take(&mut report.figures));
        let (is_draining, taken_away) = (report.draining, report.taken_away_seconds);
        let Some(known) = self.servers.get_mut(&no) else { return };
        let had_more_load = known
            .reported
            .as_ref()
            .is_some_and(|(_, old)| old.cpu_permille > report.cpu_permille || old.egress_kbps > report.egress_kbps);
        known.participants = report.participants.unwrap_or(known.participants);
        known.reported = Some((self.now, report));
        if known.unknown.rooms > 0 || known.participants > 0 {
            known.last_busy = self.now;
        }
        self.changes.touch(Thing::Usage(no));
        if had_more_load {
            self.grown.insert(no);
        }
        self.emptied.insert(no);
        self.sign_of_life(no, "it reports");
        match taken_away {
            Some(seconds) => self.is_taken_away(no, seconds),
            None if is_draining => self.drains_itself(no),
            None => self.stays_after_all(no),
        }
    }

    /// Takes the URL that a launched server reports where neither its pool nor its provider has said one.
    fn take_url(&mut self, no: ServerNo, report: &Report) {
        let Some(server) = self.servers.get(&no) else { return };
        if !self.is_automatic(server) || server.record.url.is_some() || report.url.is_none() {
            return;
        }
        let url = report.url.clone();
        self.change_server(no, |record| record.url = url);
        self.watch(no);
    }

    /// Takes in figures. Those that are left out stand: policies that have seen them cannot be told that they are gone, and one that
    /// begins to look now must know no less. For the same reason none gives way to a new name.
    fn take_figures(&mut self, no: ServerNo, figures: BTreeMap<Arc<str>, u32>) {
        let Some(server) = self.servers.get_mut(&no) else {
            return;
        };
        if figures.is_empty() {
            return;
        }
        for (name, value) in figures {
            if server.figures.len() < FIGURES_MAX || server.figures.contains_key(&name) {
                server.figures.insert(name, value);
            }
        }
        self.changes.touch(Thing::Figures(no));
    }

    /// Takes in the rooms that are alive on a server: those of the ledger learn, the others count on top.
    fn take_rooms(&mut self, no: ServerNo, rooms: &[ReportedRoom]) {
        let mut unknown = Used::default();
        for reported in rooms {
            if self.is_home(no, reported) {
                self.heard_of(&reported.room);
                self.note_named(&reported.room);
                self.learn(&reported.room, reported.participants, reported.load);
                continue;
            }
            let Some(server) = self.servers.get(&no) else { return };
            if !self.has_left_lately(server, &reported.room) {
                let load = reported.load.unwrap_or(reported.participants);
                unknown += Cost {
                    seats: reported.participants,
                    load,
                };
            }
        }
        let Some(server) = self.servers.get_mut(&no) else {
            return;
        };
        let old = std::mem::replace(&mut server.unknown, unknown);
        if unknown.rooms < old.rooms || unknown.seats < old.seats || unknown.load < old.load {
            self.grown.insert(no);
        }
    }

    fn is_home(&self, no: ServerNo, reported: &ReportedRoom) -> bool {
        let Some(room) = self.rooms.get(&reported.room) else {
            return false;
        };
        match &room.record.state {
            RoomState::Placed(placed) => {
                placed.server == no && reported.placement.is_none_or(|placement| placement == placed.placement)
            }
            RoomState::Waiting(_) | RoomState::Moving(_) => false,
        }
    }

    fn drains_itself(&mut self, no: ServerNo) {
        let Some(server) = self.servers.get(&no) else { return };
        if server.is_draining() || !server.record.phase.is_ready() {
            return;
        }
        let reason = "it says that it shuts down".into();
        self.hold(
            no,
            Hold::Draining(Draining {
                owner: HoldOwner::Server,
                reason,
                since: self.now,
                deadline: None,
            }),
        );
    }

    /// The cloud has said when it takes a machine back. Its rooms move at once, while people can still be told; the machine is left to
    /// the cloud, unless it reports that nobody is on it.
    fn is_taken_away(&mut self, no: ServerNo, seconds: u32) {
        let Some(server) = self.servers.get(&no) else { return };
        let owner = server.record.hold.as_ref().map(Hold::owner);
        if owner == Some(HoldOwner::Spot) || !server.record.phase.is_ready() {
            return;
        }
        self.hold(
            no,
            Hold::Draining(Draining {
                owner: HoldOwner::Spot,
                reason: format!("its cloud takes the machine away in {seconds} s"),
                since: self.now,
                deadline: None,
            }),
        );
    }

    /// A server that said it would shut down, and says so no more, was only started anew.
    fn stays_after_all(&mut self, no: ServerNo) {
        let Some(server) = self.servers.get(&no) else { return };
        let is_its_own = server.record.hold.as_ref().map(Hold::owner) == Some(HoldOwner::Server);
        if is_its_own && server.record.phase.is_ready() {
            self.uncordon(no, "it does not say any more that it shuts down");
        }
    }

    /// Returns which of the rooms that a server names live elsewhere by now, and where: what its agent is told.
    pub fn moved_rooms<'a>(
        &self,
        server: &ServerName,
        rooms: impl IntoIterator<Item = &'a ReportedRoom>,
    ) -> Vec<(RoomId, PlacementNo, Option<ServerName>)> {
        let no = self.server_numbers.get(server);
        let elsewhere = |reported: &ReportedRoom| {
            let room = self.rooms.get(&reported.room)?;
            match &room.record.state {
                RoomState::Placed(placed) if Some(&placed.server) != no => Some((
                    reported.room.clone(),
                    placed.placement,
                    Some(self.server_name(placed.server)),
                )),
                RoomState::Moving(moving) => Some((reported.room.clone(), moving.placement, None)),
                RoomState::Placed(_) | RoomState::Waiting(_) => None,
            }
        };
        rooms.into_iter().filter_map(elsewhere).collect()
    }
}
