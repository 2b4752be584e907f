//! Who is alive. Silence alone stops placement and nothing more; a loss needs a second witness; and when many fall silent at
//! once, the trouble is ours.

use std::collections::VecDeque;
use std::time::Duration;

use super::changes::Thing;
use super::state::{Pool, Server};
use super::{Fleet, examining::EXAMINED_WITHIN, timers::Timer};
use crate::effect::{Effect, Watch};
use crate::event::What;
use crate::ids::{PoolName, RoomId, ServerNo};
use crate::observation::Probed;
use crate::server::{Booting, Draining, Failed, Health, Hold, HoldOwner, Launching, Lost, Phase};
use crate::units::Timestamp;

/// Losses by silence are counted over this span; at most a tenth of the servers, and one at least, are declared within it.
const MINUTE: Duration = Duration::from_secs(60);

/// How many timestamps of losses are kept: a tenth of the most servers that there can be.
const DECLARED_MAX: usize = super::SERVERS_MAX / 10;

/// What is known of the fleet's health as a whole. Volatile.
#[derive(Debug, Default)]
pub(super) struct FleetHealth {
    pub(super) frozen: bool,
    declared: VecDeque<Timestamp>,
    /// When everybody was last given time to be heard anew.
    pub(super) heard_anew: Timestamp,
    pub(super) budget_near: [bool; 2],
}

impl Fleet {
    /// A server has shown life.
    pub(super) fn sign_of_life(&mut self, no: ServerNo, how: &str) {
        let Some(server) = self.servers.get_mut(&no) else {
            return;
        };
        server.sign = self.now;
        match &server.record.phase {
            Phase::Requested(_) | Phase::Failed(_) | Phase::Terminating(_) => return,
            Phase::Launching(_) | Phase::Booting(_) => {
                self.set_health(no, Health::Ok);
                self.became_ready(no, how);
            }
            Phase::Ready(_) => match server.health {
                Health::Ok => {}
                Health::Unknown => self.set_health(no, Health::Ok),
                Health::Silent { .. } => self.recovered(no, how),
                Health::Lost => self.came_back(no, how),
            },
        }
        self.time_server(no);
    }

    fn set_health(&mut self, no: ServerNo, health: Health) {
        let now = self.now;
        let Some(server) = self.servers.get_mut(&no) else {
            return;
        };
        if server.health == health {
            return;
        }
        server.health = health;
        server.changed = now;
        self.changes.touch(Thing::Usage(no));
        self.grown.insert(no);
        self.emptied.insert(no);
    }

    fn recovered(&mut self, no: ServerNo, how: &str) {
        self.set_health(no, Health::Ok);
        let Some(server) = self.servers.get(&no) else { return };
        let told = self.server_event(server, how.to_owned());
        let (pool, rooms) = (server.record.pool.clone(), server.rooms.iter().cloned().collect());
        self.tell(What::ServerRecovered(told));
        self.hear_rooms_anew(rooms);
        self.note_silence(no);
        self.judge_freeze(&pool);
    }

    /// A lost server shows life: its rooms live elsewhere by now, so it goes when empty.
    fn came_back(&mut self, no: ServerNo, how: &str) {
        let Some(server) = self.servers.get(&no) else { return };
        let told = self.server_event(server, format!("{how}, after it was declared lost"));
        // Somebody else's drain stands, with its deadline; a policy's would let it be resumed.
        let is_leaving = server.is_draining() && !server.is_drained_by_policy();
        let reason = "it came back after it was declared lost".into();
        let drain = Draining {
            owner: HoldOwner::Health,
            reason,
            since: self.now,
            deadline: None,
        };
        self.change_server(no, |record| record.lost = None);
        self.set_health(no, Health::Ok);
        self.tell(What::ServerRecovered(told));
        if !is_leaving {
            self.hold(no, Hold::Draining(drain));
        }
    }

    /// Takes in a probe's end.
    pub(super) fn probed(&mut self, probed: Probed) {
        let Some(no) = self.server_numbers.get(&probed.server).copied() else {
            return;
        };
        let Some(server) = self.servers.get(&no) else { return };
        if server.record.url.as_ref() != Some(&probed.url) {
            return;
        }
        let is_probed = self.pools.get(&server.record.pool).is_some_and(Pool::is_probed);
        match probed.result {
            // Where an agent reports, an open port alone is no sign of life; it only keeps the server from being lost.
            Ok(()) if is_probed => self.sign_of_life(no, "its URL answers"),
            Ok(()) => {}
            Err(why) => self.witness_says_dead(no, &why),
        }
    }

    fn witness_says_dead(&mut self, no: ServerNo, why: &str) {
        let Some(server) = self.servers.get(&no) else { return };
        let Health::Silent { since } = server.health else {
            return;
        };
        let silence = self.now.since(since);
        if silence < self.config.lost_after || !self.may_declare_lost(no) {
            return;
        }
        self.health.declared.push_back(self.now);
        self.lose(
            no,
            format!("silent for {} s, and its URL does not answer: {why}", silence.as_secs()),
        );
    }

    fn may_declare_lost(&self, no: ServerNo) -> bool {
        let Some(server) = self.servers.get(&no) else {
            return false;
        };
        let Some(pool) = self.pools.get(&server.record.pool) else {
            return false;
        };
        let recent = self
            .health
            .declared
            .iter()
            .filter(|at| self.now.since(**at) < MINUTE)
            .count();
        let most = (self.servers.len() / 10).max(1);
        !self.is_frozen_for(pool) && recent < most
    }

    /// Declares a server lost: its rooms are placed elsewhere.
    pub(super) fn lose(&mut self, no: ServerNo, reason: String) {
        let Some(server) = self.servers.get(&no) else { return };
        if server.is_lost() || !matches!(server.record.phase, Phase::Ready(_)) {
            return;
        }
        let told = self.server_event(server, reason.clone());
        let pool = server.record.pool.clone();
        let lost = Lost {
            since: self.now,
            reason,
        };
        self.change_server(no, |record| record.lost = Some(lost));
        self.set_health(no, Health::Lost);
        if let Some(server) = self.servers.get_mut(&no) {
            // What it last reported says nothing any more.
            server.unknown = Default::default();
            server.participants = 0;
        }
        self.tell(What::ServerLost(told));
        self.scaling.owe_up();
        self.judge_freeze(&pool);
        self.time_server(no);
        while self.health.declared.len() > DECLARED_MAX {
            self.health.declared.pop_front();
        }
    }

    /// Returns when a server must be looked at next.
    pub(super) fn server_deadline(&self, server: &Server) -> Option<Timestamp> {
        let retry = server.retry.map(|retry| retry.at);
        let hold = match &server.record.hold {
            Some(Hold::Draining(hold)) if !server.record.left => {
                [hold.deadline, self.counted_by(server)].into_iter().flatten().min()
            }
            Some(Hold::Cordoned(hold)) => hold.until,
            Some(Hold::Draining(_)) | None => None,
        };
        let phase = match &server.record.phase {
            Phase::Requested(_) | Phase::Terminating(_) => return retry,
            Phase::Failed(failed) => (!failed.is_kept).then(|| self.examined_until(failed)),
            Phase::Launching(launching) => Some(self.boot_deadline(launching.deadline)),
            Phase::Booting(booting) => booting.deadline.map(|deadline| self.boot_deadline(deadline)),
            Phase::Ready(_) => self.health_deadline(server),
        };
        // One that is overdue and could not be done must not hide the next.
        let due = [retry, hold, phase].into_iter().flatten();
        due.map(|at| self.not_overdue(at)).min()
    }

    /// Returns when a boot has failed: not before the server could be heard again after a time in which nobody could be.
    fn boot_deadline(&self, deadline: Timestamp) -> Timestamp {
        deadline.max(self.health.heard_anew + self.config.silent_after)
    }

    /// Returns until when a failed server's provider has time to say what it finds; after a restart it is asked again.
    fn examined_until(&self, failed: &Failed) -> Timestamp {
        failed.since.max(self.health.heard_anew) + EXAMINED_WITHIN
    }

    fn health_deadline(&self, server: &Server) -> Option<Timestamp> {
        if let Some(lost) = &server.record.lost {
            return (!server.record.left).then(|| lost.since.max(server.sign) + self.config.lost_terminate);
        }
        let is_looked_at = self.pools.get(&server.record.pool).is_some_and(Pool::is_looked_at);
        match server.health {
            _ if !is_looked_at => None,
            Health::Unknown | Health::Ok => Some(server.sign + self.config.silent_after),
            // From then on the second witness is asked again and again.
            Health::Silent { since } => Some((since + self.config.lost_after).max(self.now + self.config.silent_after)),
            Health::Lost => None,
        }
    }

    /// Looks at a server whose timer has rung.
    pub(super) fn check_server(&mut self, no: ServerNo) {
        self.repeat_order(no);
        let Some(server) = self.servers.get(&no) else { return };
        if server.is_draining() {
            self.emptied.insert(no);
        }
        self.end_rest(no);
        let Some(server) = self.servers.get(&no) else { return };
        match &server.record.phase {
            Phase::Requested(_) | Phase::Terminating(_) => {}
            Phase::Failed(failed) => {
                if !failed.is_kept && self.examined_until(failed) <= self.now {
                    self.examined_in_vain(no);
                }
            }
            Phase::Launching(Launching { deadline, .. })
            | Phase::Booting(Booting {
                deadline: Some(deadline),
                ..
            }) => {
                if self.boot_deadline(*deadline) <= self.now {
                    self.boot_timed_out(no);
                }
            }
            Phase::Booting(Booting { deadline: None, .. }) => {}
            Phase::Ready(_) => self.check_health(no),
        }
    }

    fn boot_timed_out(&mut self, no: ServerNo) {
        let Some(server) = self.servers.get(&no) else { return };
        let heard = match (&server.record.url, &server.record.phase) {
            (_, Phase::Launching(_)) => "its provider never said that it runs",
            (None, _) => "nothing was heard of it, and no URL is known to probe",
            (Some(_), _) => "it never showed that it serves",
        };
        self.boot_failed(no, format!("{heard} within boot_seconds_max"), false);
    }

    fn check_health(&mut self, no: ServerNo) {
        let Some(server) = self.servers.get(&no) else { return };
        if let Some(lost) = &server.record.lost {
            if lost.since.max(server.sign) + self.config.lost_terminate <= self.now {
                self.let_go(no, "lost, and no sign came for lost_terminate_seconds".into());
            }
            return;
        }
        let is_looked_at = self.pools.get(&server.record.pool).is_some_and(Pool::is_looked_at);
        match server.health {
            Health::Unknown | Health::Ok if is_looked_at && server.sign + self.config.silent_after <= self.now => {
                self.fell_silent(no);
            }
            Health::Silent { since } if since + self.config.lost_after <= self.now => self.ask_witness(no),
            Health::Unknown | Health::Ok | Health::Silent { .. } | Health::Lost => {}
        }
    }

    fn fell_silent(&mut self, no: ServerNo) {
        self.set_health(no, Health::Silent { since: self.now });
        let Some(server) = self.servers.get(&no) else { return };
        let span = self.now.since(server.sign).as_secs();
        let told = self.server_event(server, format!("no sign for {span} s"));
        let pool = server.record.pool.clone();
        self.tell(What::ServerSilent(told));
        self.judge_freeze(&pool);
    }

    fn ask_witness(&mut self, no: ServerNo) {
        let Some(server) = self.servers.get(&no) else { return };
        let Some(url) = server.record.url.clone().filter(|_| self.may_declare_lost(no)) else {
            return;
        };
        let watch = Watch {
            server: server.record.name.clone(),
            pool: server.record.pool.clone(),
            url,
        };
        self.out.effects.push(Effect::Probe(watch));
    }

    /// For a while nothing could be heard, by our own fault: silence and leases start anew.
    pub(super) fn hear_all_anew(&mut self) {
        self.health.heard_anew = self.now;
        for no in self.servers.keys().copied().collect::<Vec<ServerNo>>() {
            if let Some(server) = self.servers.get_mut(&no) {
                server.sign = self.now;
                if server.is_silent() {
                    server.health = Health::Silent { since: self.now };
                }
                if let Some(at) = server.timer.take() {
                    self.timers.unset(at, Timer::Server(no));
                }
            }
            self.time_server(no);
        }
        let rooms: Vec<RoomId> = self.rooms.keys().cloned().collect();
        self.hear_rooms_anew(rooms);
        if self.timers.next().is_none() {
            self.timers.set(self.now, Timer::Tick);
        }
    }

    /// Has a server's URL probed from now on, where its pool's health is known so.
    pub(super) fn watch(&mut self, no: ServerNo) {
        let Some(server) = self.servers.get(&no) else { return };
        let Some(pool) = self.pools.get(&server.record.pool) else {
            return;
        };
        let is_up = matches!(
            server.record.phase,
            Phase::Launching(_) | Phase::Booting(_) | Phase::Ready(_)
        );
        let Some(url) = server.record.url.clone().filter(|_| is_up && pool.is_probed()) else {
            return;
        };
        if server.watched.as_ref() == Some(&url) {
            return;
        }
        let watch = Watch {
            server: server.record.name.clone(),
            pool: server.record.pool.clone(),
            url: url.clone(),
        };
        self.out.effects.push(Effect::Watch(watch));
        if let Some(server) = self.servers.get_mut(&no) {
            server.watched = Some(url);
        }
    }

    /// A pool's configuration has changed, and with it perhaps who looks at its servers.
    pub(super) fn look_anew(&mut self, name: &PoolName) {
        let Some(pool) = self.pools.get(name) else { return };
        let (is_probed, is_looked_at) = (pool.is_probed(), pool.is_looked_at());
        for no in pool.servers.clone() {
            let Some(server) = self.servers.get_mut(&no) else {
                continue;
            };
            server.sign = self.now;
            let (is_silent, is_booting) = (server.is_silent(), matches!(server.record.phase, Phase::Booting(_)));
            match is_probed {
                true => self.watch(no),
                false => self.unwatch(no),
            }
            if !is_looked_at && is_silent {
                self.recovered(no, "nobody looks at its health any more");
            }
            if !is_looked_at && is_booting {
                self.became_ready(no, "nobody looks at its health any more");
            }
            self.time_server(no);
        }
    }

    pub(super) fn unwatch(&mut self, no: ServerNo) {
        let Some(server) = self.servers.get_mut(&no) else {
            return;
        };
        if server.watched.take().is_some() {
            self.out.effects.push(Effect::Unwatch(server.record.name.clone()));
        }
    }
}
