//! What operators and registrars do with servers: register, cordon, drain, uncordon, remove, declare lost.

use std::time::Duration;

use super::state::{Pool, Server};
use super::{Fleet, SERVERS_MAX};
use crate::command::{
    DeclareLost, HoldAction, HoldServer, RegisterServer, Rejection, RemoveServer, Reply, ServerOutcome, SetScaling,
};
use crate::config::Limits;
use crate::event::{PoolEvent, ServerEvent, What};
use crate::ids::{Attempt, PoolName, ServerName, ServerNo};
use crate::record::{Meta, Record, RecordKey};
use crate::server::{
    AgentToken, Booting, Cordoned, Draining, Health, Hold, HoldOwner, Phase, Ready, ServerRecord, Terminating,
};
use crate::units::Timestamp;

impl Fleet {
    pub(super) fn register_server(&mut self, command: RegisterServer) -> Result<Reply, Rejection> {
        let Some(pool) = self.pools.get(&command.pool).filter(|pool| !pool.retired) else {
            return Err(Rejection::NoSuchPool(command.pool));
        };
        if pool.config.automatic {
            return Err(Rejection::PoolNotExternal(command.pool));
        }
        let mut labels = pool.config.labels.clone();
        labels.extend(command.labels);
        let limits = Limits {
            rooms_max: command.limits.rooms_max.or(pool.config.limits.rooms_max),
            seats_max: command.limits.seats_max.or(pool.config.limits.seats_max),
            load_max: command.limits.load_max.or(pool.config.limits.load_max),
        };
        if let Some(no) = self.server_numbers.get(&command.server).copied() {
            let server = self.known(no, &command.server)?;
            if server.record.pool != command.pool {
                let pool = server.record.pool.clone();
                return Err(Rejection::ServerInOtherPool {
                    server: command.server,
                    pool,
                });
            }
            if matches!(server.record.phase, Phase::Terminating(_)) {
                return Err(Rejection::ServerTerminating(command.server));
            }
            let mut record = server.record.clone();
            record.url = Some(command.url);
            record.endpoints = command.endpoints;
            record.zone = command.zone.map(Into::into);
            record.limits = limits;
            record.labels = labels.into();
            if record != server.record {
                self.put(Record::Server(Box::new(record)));
                self.grown.insert(no);
            }
            self.watch(no);
            return self.server_reply(no, ServerOutcome::Found);
        }
        if self.servers.len() >= SERVERS_MAX {
            return Err(Rejection::FleetFull(u32::try_from(SERVERS_MAX).unwrap_or(u32::MAX)));
        }
        let (is_looked_at, price_per_hour) = (pool.is_looked_at(), pool.config.price_per_hour);
        let phase = match is_looked_at {
            true => Phase::Booting(Booting {
                since: self.now,
                deadline: None,
            }),
            false => Phase::Ready(Ready { since: self.now }),
        };
        let record = ServerRecord {
            no: self.next_server_no(),
            name: command.server,
            pool: command.pool,
            attempt: Attempt(1),
            instance: None,
            url: Some(command.url),
            endpoints: command.endpoints,
            zone: command.zone.map(Into::into),
            limits,
            labels: labels.into(),
            price_per_hour,
            offer: None,
            created: self.now,
            phase,
            hold: None,
            lost: None,
            token: AgentToken::default(),
            left: false,
        };
        let no = record.no;
        self.add_server(record);
        if !is_looked_at {
            self.tell_ready(no, "registered; nobody looks at its health");
        }
        self.server_reply(no, ServerOutcome::Created)
    }

    /// Takes the next server's number.
    pub(super) fn next_server_no(&mut self) -> ServerNo {
        let no = self.meta.next_server;
        let next_server = ServerNo(no.0.saturating_add(1));
        self.put(Record::Meta(Meta {
            next_server,
            now: self.now,
            ..self.meta.clone()
        }));
        no
    }

    /// Makes a server known.
    pub(super) fn add_server(&mut self, record: ServerRecord) {
        let (no, pool) = (record.no, record.pool.clone());
        self.put(Record::Server(Box::new(record)));
        self.rebill(&pool);
        self.watch(no);
        self.time_server(no);
    }

    pub(super) fn hold_server(&mut self, command: HoldServer) -> Result<Reply, Rejection> {
        let no = self.number(&command.server)?;
        let server = self.known(no, &command.server)?;
        if matches!(server.record.phase, Phase::Terminating(_)) {
            return Err(Rejection::ServerTerminating(command.server));
        }
        let reason = command.reason.unwrap_or_else(|| "no reason given".into());
        match command.action {
            HoldAction::Cordon => {
                let hold = Cordoned {
                    owner: HoldOwner::Operator,
                    reason,
                    since: self.now,
                    until: None,
                };
                self.hold(no, Hold::Cordoned(hold));
            }
            HoldAction::Drain { deadline } => self.drain(no, HoldOwner::Operator, reason, deadline),
            HoldAction::Uncordon => {
                self.forgive(no);
                self.uncordon(no, &reason);
            }
        }
        self.finish_drains();
        self.server_reply(no, ServerOutcome::Found)
    }

    /// Puts a hold in the place of whatever hold there is.
    pub(super) fn hold(&mut self, no: ServerNo, hold: Hold) {
        let Some(server) = self.servers.get(&no) else { return };
        let told = self.server_event(server, hold.reason().to_owned());
        let what = match &hold {
            Hold::Cordoned(_) => What::ServerCordoned(told),
            Hold::Draining(_) => What::ServerDraining(told),
        };
        self.change_server(no, |record| {
            record.left &= matches!(hold, Hold::Draining(_));
            record.hold = Some(hold);
        });
        self.tell(what);
        self.emptied.insert(no);
        self.time_server(no);
    }

    /// Begins a drain; without a deadline of its own it has the pool's.
    pub(super) fn drain(&mut self, no: ServerNo, owner: HoldOwner, reason: String, deadline: Option<Duration>) {
        let Some(server) = self.servers.get(&no) else { return };
        let default = self
            .pools
            .get(&server.record.pool)
            .and_then(|pool| pool.config.guards.drain_deadline);
        let deadline = deadline.or(default).map(|span| self.now + span);
        self.hold(
            no,
            Hold::Draining(Draining {
                owner,
                reason,
                since: self.now,
                deadline,
            }),
        );
    }

    /// Lifts either hold.
    pub(super) fn uncordon(&mut self, no: ServerNo, reason: &str) {
        let Some(server) = self.servers.get(&no) else { return };
        if server.record.hold.is_none() {
            return;
        }
        let told = self.server_event(server, reason.to_owned());
        self.change_server(no, |record| {
            record.hold = None;
            record.left = false;
        });
        self.tell(What::ServerUncordoned(told));
        self.grown.insert(no);
    }

    /// Ends the drains of servers that have become empty, or whose deadline has passed.
    pub(super) fn finish_drains(&mut self) {
        for no in std::mem::take(&mut self.emptied) {
            let Some(server) = self.servers.get(&no) else { continue };
            if let Phase::Terminating(_) = &server.record.phase {
                self.forget_if_external(no);
                continue;
            }
            let Some(Hold::Draining(hold)) = &server.record.hold else {
                continue;
            };
            let is_over = hold.deadline.is_some_and(|deadline| deadline <= self.now);
            // Nobody knows who is on a server that is not heard: it goes when it is heard again, or was lost for long.
            // Its rooms have moved in the books, and people are still on their way.
            let has_gone = !server.is_taken_away() || server.reports_nobody();
            let is_known_empty = server.is_empty() && self.is_heard(server) && has_gone;
            if !is_over && !is_known_empty {
                continue;
            }
            let why = if is_over && !server.is_empty() {
                "its drain's deadline has passed"
            } else {
                "drained and empty"
            };
            let reason = format!("{why}: {}", hold.reason);
            self.let_go(no, reason);
        }
    }

    /// Whether what is known of a server's rooms can be believed: nothing can be on one that is starting, unless it was adopted; one that serves
    /// has been heard since this process started, where anybody looks.
    fn is_heard(&self, server: &Server) -> bool {
        if self.counted_by(server).is_some() {
            return false;
        }
        let is_looked_at = self.pools.get(&server.record.pool).is_some_and(Pool::is_looked_at);
        match server.health {
            Health::Ok => true,
            Health::Unknown if server.record.is_adopted_unheard() => false,
            Health::Unknown => !server.record.phase.is_ready() || !is_looked_at,
            Health::Silent { .. } | Health::Lost => false,
        }
    }

    /// Returns until when a server is waited for that was there before this process could hear it, to say how many are on it; none where
    /// nobody has to wait. A probe does not tell.
    pub(super) fn counted_by(&self, server: &Server) -> Option<Timestamp> {
        let heard_anew = self.health.heard_anew;
        let was_there = server.record.phase.is_ready() && server.record.phase.since() <= heard_anew;
        let by = heard_anew + self.config.silent_after;
        (was_there && server.reported.is_none() && self.now < by).then_some(by)
    }

    /// Lets a server go: ours is terminated, anybody else's leaves.
    pub(super) fn let_go(&mut self, no: ServerNo, reason: String) {
        let Some(server) = self.servers.get(&no) else { return };
        if self.is_automatic(server) {
            self.terminate(no, reason);
        } else if !server.record.left {
            let told = self.server_event(server, reason);
            self.change_server(no, |record| record.left = true);
            self.tell(What::ServerLeft(told));
        }
    }

    pub(super) fn remove_server(&mut self, command: RemoveServer) -> Result<Reply, Rejection> {
        let no = self.number(&command.server)?;
        let server = self.known(no, &command.server)?;
        if !server.is_empty() && !command.force {
            return Err(Rejection::ServerHasRooms {
                rooms: server.rooms_known(),
                participants: server.participants,
                server: command.server,
            });
        }
        if !matches!(server.record.phase, Phase::Terminating(_)) {
            self.terminate(no, "removed by an operator".into());
        }
        self.forget_if_external(no);
        Ok(Reply::Done)
    }

    /// Begins the end of a server. Its rooms, if any, are placed elsewhere.
    pub(super) fn terminate(&mut self, no: ServerNo, reason: String) {
        let Some(server) = self.servers.get(&no) else { return };
        let told = self.server_event(server, reason.clone());
        let phase = Phase::Terminating(Terminating {
            since: self.now,
            reason,
        });
        self.change_server(no, |record| record.phase = phase);
        if let Some(server) = self.servers.get_mut(&no) {
            server.hindrance = None;
        }
        self.tell(What::ServerTerminating(told));
        self.unwatch(no);
        self.order_termination(no);
        self.emptied.insert(no);
        self.time_server(no);
    }

    /// Forgets an external server that was removed, once its rooms have gone.
    fn forget_if_external(&mut self, no: ServerNo) {
        let Some(server) = self.servers.get(&no) else { return };
        let is_removed = matches!(server.record.phase, Phase::Terminating(_));
        if is_removed && !self.is_automatic(server) && server.rooms.is_empty() {
            self.forget(no, "removed".into());
        }
    }

    /// Forgets a server of which nothing is left.
    pub(super) fn forget(&mut self, no: ServerNo, reason: String) {
        let Some(server) = self.servers.get(&no) else { return };
        let told = self.server_event(server, reason);
        let pool = server.record.pool.clone();
        self.unwatch(no);
        self.delete(RecordKey::Server(no));
        self.rebill(&pool);
        self.tell(What::ServerTerminated(told));
        self.drop_retired_pool(&pool);
    }

    pub(super) fn declare_lost(&mut self, command: DeclareLost) -> Result<Reply, Rejection> {
        let no = self.number(&command.server)?;
        let server = self.known(no, &command.server)?;
        if matches!(server.record.phase, Phase::Terminating(_)) {
            return Err(Rejection::ServerTerminating(command.server));
        }
        let reason = command.reason.unwrap_or_else(|| "no reason given".into());
        self.lose(no, format!("declared lost by an operator: {reason}"));
        self.server_reply(no, ServerOutcome::Found)
    }

    pub(super) fn set_scaling(&mut self, command: SetScaling) -> Result<Reply, Rejection> {
        let Some(pool) = self.pools.get(&command.pool) else {
            return Err(Rejection::NoSuchPool(command.pool));
        };
        if pool.record.scaling_enabled == command.enabled {
            return Ok(Reply::Done);
        }
        let mut record = pool.record.clone();
        record.scaling_enabled = command.enabled;
        record.has_found_others &= !command.enabled;
        self.put(Record::Pool(Box::new(record)));
        let reason = if command.enabled { "switched on" } else { "switched off" };
        let told = self.pool_event(&command.pool, reason.into());
        self.tell(What::ScalingSwitched(told));
        Ok(Reply::Done)
    }

    /// Changes a server's record, if that changes anything.
    pub(super) fn change_server(&mut self, no: ServerNo, change: impl FnOnce(&mut ServerRecord)) {
        let Some(server) = self.servers.get(&no) else { return };
        let mut record = server.record.clone();
        change(&mut record);
        if record != server.record {
            self.put(Record::Server(Box::new(record)));
        }
    }

    pub(super) fn is_automatic(&self, server: &Server) -> bool {
        self.pools
            .get(&server.record.pool)
            .is_some_and(|pool| pool.config.automatic)
    }

    pub(super) fn server_event(&self, server: &Server, reason: String) -> ServerEvent {
        ServerEvent {
            server: server.record.name.clone(),
            pool: server.record.pool.clone(),
            instance: server.record.instance.clone(),
            offer: server.record.offer.clone(),
            price_per_hour: server.record.price_per_hour,
            rooms: server.rooms_known(),
            reason,
        }
    }

    pub(super) fn pool_event(&self, pool: &PoolName, reason: String) -> PoolEvent {
        let config = self.pools.get(pool).map(|pool| &pool.config);
        PoolEvent {
            pool: pool.clone(),
            server: None,
            offer: None,
            price_per_hour: config.map_or_else(Default::default, |config| config.price_per_hour),
            reason,
        }
    }

    pub(super) fn number(&self, name: &ServerName) -> Result<ServerNo, Rejection> {
        self.server_numbers
            .get(name)
            .copied()
            .ok_or_else(|| Rejection::NoSuchServer(name.clone()))
    }

    pub(super) fn known(&self, no: ServerNo, name: &ServerName) -> Result<&Server, Rejection> {
        self.servers
            .get(&no)
            .ok_or_else(|| Rejection::NoSuchServer(name.clone()))
    }
}
