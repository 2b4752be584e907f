//! What servers say of themselves, true or not, and what probes find.

use usher_fleet::Observation;
use usher_fleet::config::HealthSource;
use usher_fleet::ids::{PlacementNo, RoomId};
use usher_fleet::observation::{OrderKey, Report, Reported, ReportedRoom};
use usher_fleet::server::ServerRecord;

use super::model::{self, is_up};
use super::world::World;

impl World {
    /// Every server that lives shows it, each in its pool's way.
    pub(crate) fn pulse(&mut self) {
        self.pulsed = self.now;
        let servers: Vec<ServerRecord> = self.model.servers.values().cloned().collect();
        for server in servers {
            if !is_up(&server.phase) || !self.lives(&server) {
                continue;
            }
            let is_probed = self.model.health(&server) == Some(HealthSource::Probe);
            if !is_probed || self.chance.one_in(8) {
                let report = self.honest_report(&server);
                self.observe(Observation::Reported(report));
            }
        }
        let watched: Vec<_> = self.cloud.watched.values().cloned().collect();
        for watch in watched {
            let is_muted = self.muted.contains(&watch.server);
            let probed = self.cloud.probe(&watch, is_muted, self.now);
            self.observe(probed);
        }
    }

    fn lives(&self, server: &ServerRecord) -> bool {
        let key = OrderKey {
            server: server.name.clone(),
            attempt: server.attempt,
        };
        let is_external = self.cloud.external.contains(&server.pool);
        !self.muted.contains(&server.name) && (is_external || self.cloud.serves(&key, self.now))
    }

    fn honest_report(&mut self, server: &ServerRecord) -> Reported {
        let key = OrderKey {
            server: server.name.clone(),
            attempt: server.attempt,
        };
        let made = self.cloud.instances.get(&key);
        let taken_at = made.filter(|made| made.is_noticed).and_then(|made| made.ends_at);
        if taken_at.is_some() {
            self.cloud.met.count("instance.told_its_notice");
        }
        let rooms = self.model.rooms_on(server.no).map(|(id, placed)| ReportedRoom {
            room: id.clone(),
            placement: Some(placed.placement),
            participants: placed.seats / 2 + 1,
            load: None,
        });
        let rooms: Vec<ReportedRoom> = rooms.collect();
        // Somebody may be there whom no room's name tells of: in a room that another app made, or after their room was released.
        let is_nameless = server.no.0.is_multiple_of(3);
        let others = if self.chance.one_in(6) { 2 } else { 0 };
        let participants = rooms
            .iter()
            .fold(others, |sum: u32, room| sum.saturating_add(room.participants));
        if others > 0 && rooms.is_empty() {
            self.cloud.met.count("server.people_without_a_room");
        }
        // A look at the media server that has failed counts nobody, and names none.
        let has_looked = !self.chance.one_in(10);
        Reported {
            server: server.name.clone(),
            report: Report {
                cpu_permille: Some(300),
                egress_kbps: Some(100),
                participants: has_looked.then_some(participants),
                rooms: (has_looked && !is_nameless).then_some(rooms),
                taken_away_seconds: taken_at.map(|at| at.since(self.now).as_secs() as u32),
                ..Report::default()
            },
        }
    }

    /// A report that need not be true: foreign rooms, wrong placements, wild figures, no rooms at all.
    pub(crate) fn report_anything(&mut self) {
        let server = self.server_name();
        let names: Vec<RoomId> = self.model.rooms.keys().cloned().collect();
        let mut rooms = Vec::new();
        for _ in 0..self.chance.below(5) {
            let room = match self.chance.one_in(4) {
                true => format!("foreign{}", self.chance.between(0, 9)).parse().ok(),
                false => self.chance.pick(&names).cloned(),
            };
            let Some(room) = room else { continue };
            let placed = self.model.rooms.get(&room).and_then(model::placed);
            let placement = placed.map(|placed| placed.placement);
            rooms.push(ReportedRoom {
                placement: match self.chance.below(4) {
                    0 => None,
                    1 => Some(PlacementNo(self.chance.below(50))),
                    _ => placement,
                },
                participants: self
                    .chance
                    .pick(&[0, 0, 1, 7, 30, 1_000, u32::MAX])
                    .copied()
                    .unwrap_or(0),
                load: self.chance.maybe(2, 0, 100),
                room,
            });
        }
        let figures = ["consumers", "rooms"]
            .into_iter()
            .filter_map(|name| Some((name.into(), self.chance.maybe(2, 0, 9)?)));
        let figures = figures.collect();
        let report = Report {
            cpu_permille: self.chance.maybe(2, 0, 1_000),
            egress_kbps: self.chance.maybe(2, 0, 1_000),
            loss_permille: self.chance.maybe(2, 0, 1_000),
            participants: self.chance.maybe(2, 0, 1_000),
            rooms: (!self.chance.one_in(4)).then_some(rooms),
            figures,
            url: self.chance.one_in(4).then(|| format!("wss://said-{server}.test")),
            draining: self.chance.one_in(30),
            taken_away_seconds: self.chance.one_in(60).then_some(120),
        };
        let late = self.chance.one_in(5);
        let reported = Observation::Reported(Reported { server, report });
        if late {
            let (faults, now) = (self.faults, self.now);
            self.cloud.answer(reported, faults, now, &mut self.chance);
        } else {
            self.observe(reported);
        }
    }
}
