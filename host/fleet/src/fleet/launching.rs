//! From the intent to launch to a server that serves, and to the proof that nothing is left of it.

use std::time::Duration;

use super::Fleet;
use super::offers::SHORTAGE;
use super::state::{Retry, Server};
use crate::advice::{Subject, Verdict, VerdictOutcome, VerdictRow};
use crate::decision::{Decision, PolicyRef};
use crate::effect::{Effect, LaunchOrder, TerminateOrder};
use crate::event::What;
use crate::ids::{Attempt, DecisionNo, ID_BYTES_MAX, PoolName, ServerName, ServerNo};
use crate::observation::{Instance, Launched, OrderKey, ProviderError, Terminated};
use crate::server::{AgentToken, Phase, Requested, ServerRecord};
use crate::units::Timestamp;

/// An order whose outcome is unknown is repeated after this, doubling up to [`RETRY_MAX`].
const RETRY_FIRST: Duration = Duration::from_secs(1);

/// The longest pause between two repeats of an order: providers' outages last minutes.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// An order that was not answered at all is repeated after so long: far beyond any provider's own time limit.
const ANSWER_MAX: Duration = Duration::from_secs(600);

/// A launch whose outcome is not known for so long is told: most are settled with the first repeat.
const DOUBT_TOLD_AFTER: Duration = Duration::from_secs(60);

/// A server whose end is not confirmed for so long is told: shutting down takes a cloud minutes.
const END_TOLD_AFTER: Duration = Duration::from_secs(900);

/// How it is said that an end is owed still.
pub(super) const NOT_ENDED_YET: &str = "not ended yet, and tried again";

/// A pool whose provider refused is not asked for so long.
const REFUSED_PAUSE: Duration = Duration::from_secs(30);

/// A pool that only a human can mend is tried again after so long.
const MISCONFIGURED_PAUSE: Duration = Duration::from_secs(300);

/// Verdicts that wait for the next scale decision; the oldest are dropped beyond that.
const VERDICTS_MAX: usize = 1000;

impl Fleet {
    /// Launches a server; the guards have been asked.
    pub(super) fn launch(&mut self, pool: &PoolName, reason: &str) -> Option<ServerNo> {
        let known = self.pools.get(pool)?;
        let (config, limits) = (known.config.clone(), known.config.limits);
        let offer = self.next_offer(known);
        if offer.is_none() && !config.offers.is_empty() {
            return None;
        }
        let no = self.next_server_no();
        let name = self.new_name(pool, no);
        let record = ServerRecord {
            no,
            url: config.url_of(&name),
            name,
            pool: pool.clone(),
            attempt: Attempt(1),
            instance: None,
            endpoints: Default::default(),
            zone: offer.as_ref().map(|offer| offer.zone.as_str().into()),
            limits,
            labels: config.labels.into(),
            price_per_hour: offer
                .as_ref()
                .map_or(config.price_per_hour, |offer| offer.price_per_hour),
            offer,
            created: self.now,
            phase: Phase::Requested(Requested { since: self.now }),
            hold: None,
            lost: None,
            token: AgentToken::default(),
            left: false,
        };
        self.add_server(record);
        self.order_launch(no);
        let now = self.now;
        if let Some(pool) = self.pools.get_mut(pool) {
            pool.launches.push_back(now);
            while pool.launches.len() > pool.config.guards.launches_per_minute_max as usize {
                pool.launches.pop_front();
            }
        }
        let server = self.servers.get(&no)?;
        let told = self.server_event(server, reason.to_owned());
        self.tell(What::ServerRequested(told));
        Some(no)
    }

    /// Makes a name that no server has: the pool's and the number, unless somebody registered that one.
    fn new_name(&self, pool: &PoolName, no: ServerNo) -> ServerName {
        let mut candidates = (0..).map(|twist: u32| {
            let suffix = if twist == 0 {
                format!("-{no}")
            } else {
                format!("-{no}-{twist}")
            };
            let room = ID_BYTES_MAX - suffix.len();
            let stem = &pool.as_str()[..pool.as_str().len().min(room)];
            format!("{stem}{suffix}")
                .parse::<ServerName>()
                .expect("a pool's name with a number is a valid id")
        });
        candidates
            .find(|name| !self.server_numbers.contains_key(name))
            .expect("there are more numbers than servers")
    }

    fn order_launch(&mut self, no: ServerNo) {
        let Some(server) = self.servers.get_mut(&no) else {
            return;
        };
        server.orders = server.orders.saturating_add(1);
        let order = LaunchOrder {
            key: key(server),
            no,
            pool: server.record.pool.clone(),
            labels: (*server.record.labels).clone(),
            offer: server.record.offer.clone(),
            nth: server.orders,
        };
        self.out.effects.push(Effect::Launch(order));
        self.await_answer(no);
    }

    pub(super) fn order_termination(&mut self, no: ServerNo) {
        let Some(server) = self.servers.get(&no) else { return };
        if !self.is_automatic(server) {
            return;
        }
        let order = TerminateOrder {
            key: key(server),
            pool: server.record.pool.clone(),
            instance: server.record.instance.clone(),
            since: server.record.phase.since(),
        };
        self.out.effects.push(Effect::Terminate(order));
        self.await_answer(no);
    }

    /// Has an order repeated that is never answered. The count stays until an answer comes, so that pauses go on growing.
    fn await_answer(&mut self, no: ServerNo) {
        let Some(server) = self.servers.get(&no) else { return };
        let times = server.retry.map_or(0, |retry| retry.times);
        let at = self.now + ANSWER_MAX;
        self.set_retry(no, Some(Retry { at, times }));
    }

    /// Takes in a provider's answer to a launch. A late success is recorded in any phase, and ended where unwanted.
    pub(super) fn launched(&mut self, launched: Launched) {
        let Some(no) = self.by_key(&launched.key) else { return };
        let Some(server) = self.servers.get_mut(&no) else {
            return;
        };
        let is_requested = matches!(server.record.phase, Phase::Requested(_));
        let is_newest = launched.nth >= server.orders;
        match launched.result {
            Ok(instance) => {
                self.set_retry(no, None);
                self.describe(no, &instance);
                if is_requested {
                    self.begin_boot(no, instance.state);
                } else if self
                    .servers
                    .get(&no)
                    .is_some_and(|server| matches!(server.record.phase, Phase::Terminating(_)))
                {
                    self.order_termination(no);
                }
            }
            // Whatever it says, nothing moves on from an answer that is not one.
            Err(error @ ProviderError::Unknown(_)) if is_requested => {
                self.note_may_exist(no);
                self.tell_hindrance(no, &error);
                self.retry_later(no);
            }
            // A later order of this key may have made something: the last one has the last word.
            Err(_) if is_requested && !is_newest => self.retry_later(no),
            Err(error) if is_requested => self.launch_refused(no, &error),
            Err(_) => {}
        }
    }

    fn launch_refused(&mut self, no: ServerNo, error: &ProviderError) {
        let (code, pause) = match error {
            ProviderError::Refused(_) => ("launch_refused", REFUSED_PAUSE),
            ProviderError::NoCapacity(_) | ProviderError::NoAddresses(_) => {
                if self.orders_another_offer(no, error) {
                    return;
                }
                ("no_capacity", SHORTAGE)
            }
            ProviderError::Misconfigured(_) => ("misconfigured", MISCONFIGURED_PAUSE),
            ProviderError::Unknown(_) => return,
        };
        let Some(server) = self.servers.get(&no) else { return };
        let pool = server.record.pool.clone();
        let until = self.now + pause;
        let told = self.server_event(server, error.to_string());
        self.tell(What::ServerFailed(told.into()));
        // Where there are offers, each has its own shortage.
        if let Some(pool) = self.pools.get_mut(&pool)
            && (code != "no_capacity" || pool.config.offers.is_empty())
        {
            pool.blocked = Some((code, until));
        }
        self.verdict_failed(no, code, until);
        let may_exist = self.servers.get(&no).is_some_and(|server| server.may_exist);
        if may_exist && matches!(error, ProviderError::Misconfigured(_)) {
            // Who may not call any more is not told what an earlier call has made: that is ended, and its end proven.
            return self.terminate(no, format!("whether it was launched is not known: {error}"));
        }
        // Nothing exists under the key, says the provider: the record may go.
        self.forget(no, format!("never launched: {error}"));
    }

    fn note_may_exist(&mut self, no: ServerNo) {
        if let Some(server) = self.servers.get_mut(&no) {
            server.may_exist = true;
        }
    }

    /// Moves on to the next offer after a shortage: another attempt, as durable as the first. False where there is none, or the
    /// guards over dollars forbid it.
    fn orders_another_offer(&mut self, no: ServerNo, error: &ProviderError) -> bool {
        let Some(server) = self.servers.get(&no) else {
            return false;
        };
        let Some(short) = server.record.offer.clone() else {
            return false;
        };
        let (name, now) = (server.record.pool.clone(), self.now);
        let Some(pool) = self.pools.get_mut(&name) else {
            return false;
        };
        pool.note_shortage(&short, error, now);
        let Some(pool) = self.pools.get(&name).filter(|pool| !pool.retired) else {
            return false;
        };
        let Some(offer) = self.next_offer(pool) else {
            return false;
        };
        if !self.affords(offer.price_per_hour, short.price_per_hour) {
            return false;
        }
        self.change_server(no, |record| {
            record.attempt = record.attempt.next();
            record.zone = Some(offer.zone.as_str().into());
            record.price_per_hour = offer.price_per_hour;
            record.phase = Phase::Requested(Requested { since: now });
            record.offer = Some(offer);
        });
        self.rebill(&name);
        if let Some(server) = self.servers.get(&no) {
            let told = self.server_event(server, format!("{error}; the next offer is ordered"));
            self.tell(What::ServerRequested(told));
        }
        self.set_retry(no, None);
        if let Some(server) = self.servers.get_mut(&no) {
            (server.may_exist, server.orders, server.hindrance) = (false, 0, None);
        }
        self.order_launch(no);
        true
    }

    /// Takes in what a provider says of an instance.
    pub(super) fn describe(&mut self, no: ServerNo, instance: &Instance) {
        let Some(server) = self.servers.get(&no) else { return };
        let has_template = self
            .pools
            .get(&server.record.pool)
            .is_some_and(|pool| pool.config.url.is_some());
        let pool = server.record.pool.clone();
        self.change_server(no, |record| {
            record.instance = Some(instance.instance.clone());
            if !has_template && instance.url.is_some() {
                record.url = instance.url.clone();
            }
            if !instance.endpoints.is_empty() {
                record.endpoints = instance.endpoints.clone();
            }
            record.zone = instance.zone.as_deref().map(Into::into).or(record.zone.take());
            record.price_per_hour = instance.price_per_hour.unwrap_or(record.price_per_hour);
        });
        // A probe of an old URL is not heeded: the new one is to be probed.
        self.watch(no);
        self.rebill(&pool);
    }

    /// Takes in a provider's answer to a terminate.
    pub(super) fn terminated(&mut self, terminated: Terminated) {
        let Some(no) = self.by_key(&terminated.key) else {
            if let Err(error) = terminated.result {
                self.reaping_hindered(&terminated.key, &error);
            }
            return;
        };
        let Some(server) = self.servers.get(&no) else { return };
        if !matches!(server.record.phase, Phase::Terminating(_)) {
            return;
        }
        match terminated.result {
            Ok(()) if server.rooms.is_empty() => {
                self.forget(no, "its provider has confirmed that nothing is left".into())
            }
            // Its rooms are still on their way elsewhere: the next confirmation finds them gone.
            Ok(()) => self.retry_later(no),
            // Whatever stands in the way, what may exist must be ended: ask again.
            Err(error) => {
                self.tell_hindrance(no, &error);
                self.retry_later(no);
            }
        }
    }

    /// Tells why an order is not done: at once where only a human can help, and again when it is something else; once, and after a
    /// while, where it may still come right by itself.
    fn tell_hindrance(&mut self, no: ServerNo, error: &ProviderError) {
        let now = self.now;
        let Some(server) = self.servers.get_mut(&no) else {
            return;
        };
        let phase = &server.record.phase;
        let is_launch = matches!(phase, Phase::Requested(_));
        let patience = if is_launch { DOUBT_TOLD_AFTER } else { END_TOLD_AFTER };
        let why = error.to_string();
        let is_told = match error {
            ProviderError::Unknown(_) => server.hindrance.is_some() || now.since(phase.since()) < patience,
            _ => server.hindrance.as_ref() == Some(&why),
        };
        if is_told {
            return;
        }
        server.hindrance = Some(why.clone());
        let Some(server) = self.servers.get(&no) else { return };
        if is_launch {
            let reason = format!("whether it was launched is not known yet, and asked again: {why}");
            self.tell(What::ServerRequested(self.server_event(server, reason)));
        } else {
            let reason = format!("{NOT_ENDED_YET}: {why}");
            self.tell(What::ServerTerminating(self.server_event(server, reason)));
        }
    }

    pub(super) fn retry_later(&mut self, no: ServerNo) {
        let Some(server) = self.servers.get(&no) else { return };
        let times = server.retry.map_or(0, |retry| retry.times);
        let pause = RETRY_FIRST.saturating_mul(1 << times.min(16)).min(RETRY_MAX);
        self.set_retry(
            no,
            Some(Retry {
                at: self.now + pause,
                times: times.saturating_add(1),
            }),
        );
    }

    fn set_retry(&mut self, no: ServerNo, retry: Option<Retry>) {
        if let Some(server) = self.servers.get_mut(&no) {
            server.retry = retry;
        }
        self.time_server(no);
    }

    /// Repeats an order to a server's provider, if that is due.
    pub(super) fn repeat_order(&mut self, no: ServerNo) {
        let now = self.now;
        let Some(server) = self.servers.get_mut(&no) else {
            return;
        };
        if server.retry.is_none_or(|retry| now < retry.at) {
            return;
        }
        match &server.record.phase {
            Phase::Requested(_) => {
                server.may_exist = true;
                self.order_launch(no);
            }
            Phase::Terminating(_) => self.order_termination(no),
            Phase::Launching(_) | Phase::Booting(_) | Phase::Ready(_) | Phase::Failed(_) => server.retry = None,
        }
    }

    /// Orders again what was owed when the process ended.
    pub(super) fn resume_servers(&mut self) {
        for no in self.servers.keys().copied().collect::<Vec<_>>() {
            let Some(server) = self.servers.get(&no) else { continue };
            match &server.record.phase {
                Phase::Requested(_) => {
                    self.note_may_exist(no);
                    self.order_launch(no);
                }
                Phase::Terminating(_) => {
                    self.order_termination(no);
                }
                Phase::Failed(failed) if failed.is_kept => {}
                Phase::Failed(_) => self.examine(no),
                Phase::Launching(_) | Phase::Booting(_) | Phase::Ready(_) => self.watch(no),
            }
            self.emptied.insert(no);
            self.time_server(no);
        }
        self.began_at = self.meta.next_server;
        // A new pool's first list is due as soon as it is configured.
        let known = self.pools.values().filter(|pool| !pool.record.is_unlisted);
        for name in known.map(|pool| pool.config.name.clone()).collect::<Vec<_>>() {
            self.ask_for_list(name);
        }
    }

    pub(super) fn verdict_failed(&mut self, no: ServerNo, code: &'static str, until: Timestamp) {
        let Some((policy, decision)) = self.scaling.asked_by(no) else {
            return;
        };
        let Some(pool) = self
            .servers
            .get(&no)
            .and_then(|server| self.pools.get(&server.record.pool))
        else {
            return;
        };
        let subject = Subject::Launch(pool.record.no);
        self.verdict(
            policy,
            decision,
            subject,
            VerdictOutcome::Failed,
            1,
            code,
            until.seconds(),
        );
    }

    /// Keeps what became of a decision for the policy that took it.
    pub(super) fn verdict_of(
        &mut self,
        decision: &Decision,
        subject: Subject,
        outcome: VerdictOutcome,
        count: u32,
        until: u32,
    ) {
        let (policy, code) = (decision.policy.clone(), decision.code);
        self.verdict(policy, decision.no, subject, outcome, count, code, until);
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of a verdict, each once")]
    fn verdict(
        &mut self,
        policy: PolicyRef,
        decision: DecisionNo,
        subject: Subject,
        outcome: VerdictOutcome,
        count: u32,
        code: &'static str,
        until: u32,
    ) {
        let row = VerdictRow {
            decision,
            subject,
            outcome,
            count,
            code,
            until,
        };
        push_bounded(&mut self.verdicts, Verdict { policy, row }, VERDICTS_MAX);
    }

    /// Returns a server by the key of an order to its provider; another attempt's key names nobody, nor does that of a server
    /// which somebody else has made.
    pub(super) fn by_key(&self, key: &OrderKey) -> Option<ServerNo> {
        let no = *self.server_numbers.get(&key.server)?;
        self.servers
            .get(&no)
            .filter(|server| server.record.attempt == key.attempt && self.is_automatic(server))
            .map(Server::no)
    }
}

pub(super) fn key(server: &Server) -> OrderKey {
    OrderKey {
        server: server.record.name.clone(),
        attempt: server.record.attempt,
    }
}

/// Adds to the end and drops from the front what is beyond `max`.
pub(super) fn push_bounded<T>(list: &mut Vec<T>, item: T, max: usize) {
    list.push(item);
    let excess = list.len().saturating_sub(max);
    list.drain(..excess);
}
