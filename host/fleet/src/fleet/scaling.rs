//! When servers are launched and which go: scale policies are asked link by link, away from the requests' path, and their
//! advice is checked against the state of the moment in which it comes back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::timers::Timer;
use super::{Fleet, placing};
use crate::advice::{
    Demand, Direction, Fault, Growth, Retirement, ScaleAdvice, ScaleAnswer, ScaleAsk, Shrinkage, Subject,
    VerdictOutcome, WANTS_MAX, Want,
};
use crate::config::{FleetConfig, PoolConfig};
use crate::decision::{Advised, Decision, DecisionPoint, PolicyRef};
use crate::effect::Effect;
use crate::event::{PolicyEventBody, ScaleRefused, ScaleWanted, What};
use crate::ids::{DecisionNo, PoolName, PoolNo, ServerName, ServerNo};
use crate::pool::{Circuit, PoolBill, PoolRecord};
use crate::record::{Meta, Record, RecordKey};
use crate::server::HoldOwner;
use crate::units::Timestamp;

/// A scale policy that has not answered for so long is given up for this decision; its fuel allows far less.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// How many named servers or pools one answer may have; more are not read.
const ROWS_MAX: usize = 1000;

/// How many servers one growth may ask for before the guards are even looked at.
const GROWTH_MAX: u32 = 10_000;

/// Which decisions are owed, and which is under way.
#[derive(Debug, Default)]
pub(super) struct Scaling {
    owes_up: bool,
    owes_down: bool,
    asking: Option<Asking>,
    /// Who asked for the servers that are starting, for verdicts.
    asked_by: BTreeMap<ServerNo, (PolicyRef, DecisionNo)>,
}

/// A decision under way.
#[derive(Debug)]
struct Asking {
    decision: DecisionNo,
    direction: Direction,
    link: usize,
    since: Timestamp,
    /// Pools that an earlier policy in the chain has spoken for.
    spoken_for: BTreeSet<PoolNo>,
}

impl Scaling {
    /// Notes that scale-up is to be asked for at the end of this batch.
    pub(super) fn owe_up(&mut self) {
        self.owes_up = true;
    }

    pub(super) fn asked_by(&mut self, no: ServerNo) -> Option<(PolicyRef, DecisionNo)> {
        self.asked_by.remove(&no)
    }
}

impl Fleet {
    /// What is due regularly.
    pub(super) fn tick(&mut self) {
        self.timers.set(self.now + self.config.tick, Timer::Tick);
        self.scaling.owes_up = true;
        self.scaling.owes_down = true;
        for name in self.pools.keys().cloned().collect::<Vec<PoolName>>() {
            self.keep_minimum(&name);
            self.rebill(&name);
        }
        self.watch_budget();
        let servers = &self.servers;
        self.scaling
            .asked_by
            .retain(|no, _| servers.get(no).is_some_and(|server| server.record.phase.is_starting()));
    }

    /// Keeps `servers_min` by the fleet's own hand.
    fn keep_minimum(&mut self, name: &PoolName) {
        let Some(pool) = self.pools.get(name) else { return };
        let missing = self.below_minimum(pool);
        if missing == 0 || !pool.config.automatic || pool.retired || self.is_frozen_for(pool) {
            return;
        }
        let resumed = self.resume_drained(name, missing, "servers_min of its pool");
        let Some(pool) = self.pools.get(name) else { return };
        let granted = self.new_launches(pool).servers.min(missing - resumed);
        for _ in 0..granted {
            self.launch(name, "servers_min of its pool");
        }
    }

    /// Begins the next scale decision that is owed, if none is under way.
    pub(super) fn begin_scaling(&mut self) {
        if let Some(asking) = &self.scaling.asking {
            if self.now.since(asking.since) < ANSWER_MAX {
                return;
            }
            self.scaling.asking = None;
        }
        let direction = if std::mem::take(&mut self.scaling.owes_up) {
            Direction::Up
        } else if std::mem::take(&mut self.scaling.owes_down) {
            Direction::Down
        } else {
            return;
        };
        if direction == Direction::Down && self.is_frozen() {
            return;
        }
        let decision = self.next_decision();
        let asking = Asking {
            decision,
            direction,
            link: 0,
            since: self.now,
            spoken_for: BTreeSet::new(),
        };
        self.scaling.asking = Some(asking);
        self.ask_link();
    }

    fn ask_link(&mut self) {
        self.refresh_pool_states();
        let Some(asking) = &self.scaling.asking else { return };
        let (decision, direction, link) = (asking.decision, asking.direction, asking.link);
        let demand = match direction {
            Direction::Up => self.demand(),
            Direction::Down => Demand::default(),
        };
        let word: crate::ids::RoomId = "scale".parse().expect("a plain word is a valid id");
        let ask = ScaleAsk {
            decision,
            now: self.now,
            seed: placing::seed(&word, decision),
            direction,
            link,
            demand,
            verdicts: std::mem::take(&mut self.verdicts),
        };
        self.out.effects.push(Effect::Scale(ask));
    }

    fn demand(&self) -> Demand {
        type Key<'a> = (&'a str, &'a str, &'a crate::config::Labels, Option<PoolNo>);
        let mut wants: BTreeMap<Key<'_>, (usize, Want)> = BTreeMap::new();
        let mut demand = Demand::default();
        for (order, (wish, group)) in self.queue.oldest_groups().enumerate() {
            if group.unplaceable {
                continue;
            }
            let rooms = u32::try_from(group.rooms.len()).unwrap_or(u32::MAX);
            let (seats, load) = self.asked(wish);
            let region = wish.region.as_deref().unwrap_or("");
            let tenant = wish.tenant.as_ref().map_or("", |tenant| tenant.as_str());
            let oldest = group.rooms.first_key_value().and_then(|(_, room)| self.rooms.get(room));
            let waited = oldest.map_or(0, |room| self.now.since(room.record.created).as_secs());
            let new = || Want {
                region: region.to_owned(),
                tenant: tenant.to_owned(),
                labels: wish.labels.clone(),
                pool: group.hint.pool,
                rooms: 0,
                seats: 0,
                load: 0,
                seats_largest: 0,
                load_largest: 0,
                longest_wait_seconds: 0,
            };
            let (_, want) = wants
                .entry((region, tenant, &wish.labels, group.hint.pool))
                .or_insert_with(|| (order, new()));
            want.rooms = want.rooms.saturating_add(rooms);
            want.seats = want.seats.saturating_add(seats.saturating_mul(rooms));
            want.load = want.load.saturating_add(load.saturating_mul(rooms));
            want.seats_largest = want.seats_largest.max(seats);
            want.load_largest = want.load_largest.max(load);
            want.longest_wait_seconds = want.longest_wait_seconds.max(u32::try_from(waited).unwrap_or(u32::MAX));
            demand.waiting_rooms = demand.waiting_rooms.saturating_add(rooms);
            demand.waiting_seats = demand.waiting_seats.saturating_add(seats.saturating_mul(rooms));
        }
        let mut wants: Vec<(usize, Want)> = wants.into_values().collect();
        wants.sort_by_key(|(order, _)| *order);
        demand.wants = wants.into_iter().take(WANTS_MAX).map(|(_, want)| want).collect();
        (demand.rooms_last_minute, demand.seats_last_minute) = self.arrivals.last_minute(self.now);
        demand
    }

    /// Takes in a scale policy's answer; one that was given up is not heeded.
    pub(super) fn scaled(&mut self, answer: ScaleAnswer) {
        let Some(asking) = &self.scaling.asking else { return };
        if asking.decision != answer.decision || asking.link != answer.link {
            return;
        }
        let mut ends = answer.last;
        let mut report = Decision {
            no: answer.decision,
            at: self.now,
            point: point(asking.direction),
            room: None,
            server: None,
            pool: None,
            policy: answer.policy.clone(),
            advice: Advised::Nothing,
            verdict: "deferred",
            code: "",
            reason: None,
            took: answer.took,
        };
        match answer.advice {
            Ok(ScaleAdvice::Up(growths)) if asking.direction == Direction::Up => {
                for growth in growths.into_iter().take(ROWS_MAX) {
                    self.judge_growth(&report, growth);
                }
            }
            Ok(ScaleAdvice::Down(shrinkages)) if asking.direction == Direction::Down => {
                for shrinkage in shrinkages.into_iter().take(ROWS_MAX) {
                    self.judge_shrinkage(&report, shrinkage);
                }
            }
            Ok(ScaleAdvice::Up(_) | ScaleAdvice::Down(_)) => {}
            Err(fault) => {
                // A fault must never sell a warm pool: nothing goes down in this tick, whatever the next policy says.
                ends = ends || asking.direction == Direction::Down;
                report.verdict = "fault";
                report.code = fault.kind.word();
                report.reason = Some(fault.message.clone());
                self.tell_fault(&report, &fault);
                self.out.decisions.push(report);
            }
        }
        match &mut self.scaling.asking {
            Some(asking) if !ends => {
                asking.link += 1;
                asking.since = self.now;
                self.ask_link();
            }
            Some(_) | None => self.scaling.asking = None,
        }
    }

    fn tell_fault(&mut self, report: &Decision, fault: &Fault) {
        if fault.kind != crate::advice::FaultKind::Unavailable {
            self.tell(What::PolicyFault(PolicyEventBody {
                policy: report.policy.name.clone(),
                version: report.policy.version.clone(),
                sha256: "".into(),
                step: report.point.word().into(),
                reason: format!("{}: {}", fault.kind.word(), fault.message),
            }));
        }
    }

    /// Whether a policy may speak for a pool: none before it in the chain has.
    fn may_speak_for(&mut self, no: PoolNo) -> bool {
        self.scaling
            .asking
            .as_mut()
            .is_some_and(|asking| asking.spoken_for.insert(no))
    }

    fn judge_growth(&mut self, report: &Decision, growth: Growth) {
        let mut decision = Decision {
            advice: Advised::Launch(growth.servers),
            reason: Some(growth.reason.clone()).filter(|reason| !reason.is_empty()),
            verdict: "accepted",
            ..report.clone()
        };
        let Some(name) = self.pool_name(growth.pool).cloned() else {
            decision.verdict = "refused";
            decision.code = "unknown_pool";
            return self.out.decisions.push(decision);
        };
        decision.pool = Some(name.clone());
        if !self.may_speak_for(growth.pool) {
            return;
        }
        let asked = growth.servers.min(GROWTH_MAX);
        if asked == 0 {
            return self.out.decisions.push(decision);
        }
        let Some(pool) = self.pools.get(&name) else { return };
        let allowance = self.allowance(pool, Direction::Up);
        let granted = match pool.config.automatic {
            true => self.grow(&name, asked.min(allowance.servers), &growth, &decision),
            false => self.want(&name, asked.min(allowance.servers), &growth, &decision.policy),
        };
        let is_short = granted < asked;
        let outcome = match (granted, is_short) {
            (0, _) => VerdictOutcome::Refused,
            (_, true) => VerdictOutcome::Clamped,
            (_, false) => VerdictOutcome::Accepted,
        };
        decision.verdict = outcome.word();
        decision.code = if is_short { allowance.code } else { "" };
        let until = allowance.until.filter(|_| is_short).map_or(0, Timestamp::seconds);
        self.verdict(
            decision.policy.clone(),
            decision.no,
            Subject::Launch(growth.pool),
            outcome,
            granted,
            decision.code,
            until,
        );
        if is_short {
            self.tell(What::ScaleRefused(ScaleRefused {
                pool: name,
                policy: decision.policy.name.clone(),
                asked,
                granted,
                code: allowance.code.into(),
                reason: growth.reason,
            }));
        }
        self.out.decisions.push(decision);
    }

    /// Resumes and launches servers; the guards have been asked.
    fn grow(&mut self, name: &PoolName, granted: u32, growth: &Growth, decision: &Decision) -> u32 {
        let resumed = self.resume_drained(name, granted, &growth.reason);
        let Some(pool) = self.pools.get(name) else {
            return resumed;
        };
        let new = self.new_launches(pool).servers.min(granted - resumed);
        for _ in 0..new {
            if let Some(no) = self.launch(name, &growth.reason) {
                self.scaling.asked_by.insert(no, (decision.policy.clone(), decision.no));
            }
        }
        if resumed + new > 0 {
            self.note_scaled(name, |record, now| record.scaled_up = now);
        }
        resumed + new
    }

    /// Resumes up to `most` servers that a policy drained, the fullest first: they go on living anyway.
    fn resume_drained(&mut self, name: &PoolName, most: u32, reason: &str) -> u32 {
        let Some(pool) = self.pools.get(name) else { return 0 };
        let mut candidates: Vec<ServerNo> = self.resumable(pool).collect();
        let rooms = |no: &ServerNo| self.servers.get(no).map_or(0, |server| server.rooms_known());
        candidates.sort_by_key(|no| (std::cmp::Reverse(rooms(no)), *no));
        candidates.truncate(most as usize);
        for no in &candidates {
            self.uncordon(*no, &format!("resumed: {reason}"));
        }
        u32::try_from(candidates.len()).unwrap_or(u32::MAX)
    }

    /// Raises the level of servers wanted in a pool whose servers somebody else creates.
    fn want(&mut self, name: &PoolName, granted: u32, growth: &Growth, policy: &PolicyRef) -> u32 {
        let resumed = self.resume_drained(name, granted, &growth.reason);
        let Some(pool) = self.pools.get(name) else {
            return resumed;
        };
        let staying = self
            .of(pool)
            .filter(|server| server.record.phase.counts() && !server.is_draining())
            .count();
        let level = u32::try_from(staying)
            .unwrap_or(u32::MAX)
            .saturating_add(granted - resumed);
        if level > pool.record.servers_wanted {
            self.set_wanted(name, level, Vec::new(), policy, &growth.reason);
        }
        granted
    }

    fn set_wanted(&mut self, name: &PoolName, level: u32, servers: Vec<ServerName>, policy: &PolicyRef, reason: &str) {
        let Some(pool) = self.pools.get(name) else { return };
        let mut record = pool.record.clone();
        let before = std::mem::replace(&mut record.servers_wanted, level);
        if before == level && servers.is_empty() {
            return;
        }
        self.put(Record::Pool(Box::new(record)));
        let event = ScaleWanted {
            pool: name.clone(),
            servers_wanted: level,
            before,
            servers,
            policy: policy.name.clone(),
            reason: reason.to_owned(),
        };
        self.tell(if level > before {
            What::ScaleWanted(event)
        } else {
            What::ScaleUnwanted(event)
        });
    }

    fn judge_shrinkage(&mut self, report: &Decision, shrinkage: Shrinkage) {
        let Some(name) = self.pool_name(shrinkage.pool).cloned() else {
            let verdict = "refused";
            let decision = Decision {
                advice: Advised::Retire,
                verdict,
                code: "unknown_pool",
                ..report.clone()
            };
            return self.out.decisions.push(decision);
        };
        if !self.may_speak_for(shrinkage.pool) {
            return;
        }
        let mut gone = Vec::new();
        for retirement in shrinkage.servers.into_iter().take(ROWS_MAX) {
            let mut decision = Decision {
                advice: Advised::Retire,
                pool: Some(name.clone()),
                reason: Some(retirement.reason.clone()).filter(|reason| !reason.is_empty()),
                verdict: "accepted",
                ..report.clone()
            };
            let refusal = self.judge_retirement(&name, &mut decision, &retirement);
            let outcome = match refusal {
                None => VerdictOutcome::Accepted,
                Some((code, _)) => {
                    decision.code = code;
                    VerdictOutcome::Refused
                }
            };
            decision.verdict = outcome.word();
            let until = refusal.and_then(|(_, until)| until).map_or(0, Timestamp::seconds);
            let subject = Subject::Retire(retirement.server);
            self.verdict(
                decision.policy.clone(),
                decision.no,
                subject,
                outcome,
                1,
                decision.code,
                until,
            );
            if refusal.is_none() {
                gone.extend(decision.server.clone());
                self.drain(retirement.server, HoldOwner::Policy, retirement.reason, None);
            }
            self.out.decisions.push(decision);
        }
        if !gone.is_empty() {
            self.note_scaled(&name, |record, now| record.scaled_down = now);
            self.lower_wanted(&name, gone, &report.policy);
        }
    }

    fn judge_retirement(
        &self,
        name: &PoolName,
        decision: &mut Decision,
        retirement: &Retirement,
    ) -> Option<(&'static str, Option<Timestamp>)> {
        let known = self
            .servers
            .get(&retirement.server)
            .filter(|server| server.record.pool == *name);
        let Some(server) = known else {
            decision.advice = Advised::Unknown(retirement.server.0);
            return Some(("unknown_server", None));
        };
        decision.server = Some(server.record.name.clone());
        let pool = self.pools.get(name)?;
        let allowance = self.allowance(pool, Direction::Down);
        if allowance.servers == 0 {
            return Some((allowance.code, allowance.until));
        }
        self.retire_refusal(pool, server)
    }

    fn lower_wanted(&mut self, name: &PoolName, gone: Vec<ServerName>, policy: &PolicyRef) {
        let Some(pool) = self.pools.get(name).filter(|pool| !pool.config.automatic) else {
            return;
        };
        let staying = self
            .of(pool)
            .filter(|server| server.record.phase.counts() && !server.is_draining())
            .count();
        let level = u32::try_from(staying)
            .unwrap_or(u32::MAX)
            .min(pool.record.servers_wanted);
        self.set_wanted(name, level, gone, policy, "its policy can do without these servers");
    }

    fn note_scaled(&mut self, name: &PoolName, note: impl FnOnce(&mut PoolRecord, Timestamp)) {
        let Some(pool) = self.pools.get(name) else { return };
        let mut record = pool.record.clone();
        note(&mut record, self.now);
        self.put(Record::Pool(Box::new(record)));
    }

    /// Takes in the pools of the configuration: new ones, changed ones, and those that are gone from it.
    pub(super) fn configure_pools(&mut self) {
        let FleetConfig { pools, .. } = self.config.clone();
        let names: BTreeSet<PoolName> = pools.iter().map(|pool| pool.name.clone()).collect();
        for config in pools {
            self.configure_pool(config);
        }
        for name in self.pools.keys().cloned().collect::<Vec<PoolName>>() {
            if names.contains(&name) {
                continue;
            }
            if let Some(pool) = self.pools.get_mut(&name) {
                pool.retired = true;
            }
            self.renew_cards(&name);
            self.drop_retired_pool(&name);
        }
        // What is configured otherwise may fit otherwise.
        self.queue.unblock(|_, _| true);
    }

    fn configure_pool(&mut self, config: PoolConfig) {
        let name = config.name.clone();
        let is_new = !self.pools.contains_key(&name);
        if is_new {
            let no = self.meta.next_pool;
            let next_pool = PoolNo(no.0.saturating_add(1));
            self.put(Record::Meta(Meta {
                next_pool,
                now: self.now,
                ..self.meta.clone()
            }));
            self.put(Record::Pool(Box::new(new_pool(no, name.clone(), self.now))));
        }
        let Some(pool) = self.pools.get_mut(&name) else { return };
        let is_automatic = config.automatic;
        let was_otherwise = pool.retired || pool.config != config;
        pool.config = config;
        pool.retired = false;
        pool.blocked = None;
        if was_otherwise {
            self.changes.touch(super::changes::Thing::Pool(pool.record.no));
            self.renew_cards(&name);
        }
        if is_automatic && is_new {
            self.timers.set(self.now + self.config.reconcile, Timer::List(name));
        }
    }

    /// Forgets a pool that the configuration does not have, once its last server is gone.
    pub(super) fn drop_retired_pool(&mut self, name: &PoolName) {
        let is_over = self
            .pools
            .get(name)
            .is_some_and(|pool| pool.retired && pool.servers.is_empty());
        if is_over {
            self.delete(RecordKey::Pool(name.clone()));
        }
    }
}

fn point(direction: Direction) -> DecisionPoint {
    match direction {
        Direction::Up => DecisionPoint::ScaleUp,
        Direction::Down => DecisionPoint::ScaleDown,
    }
}

fn new_pool(no: PoolNo, name: PoolName, now: Timestamp) -> PoolRecord {
    PoolRecord {
        no,
        name,
        scaling_enabled: true,
        servers_wanted: 0,
        circuit: Circuit::Closed,
        boots: Vec::new(),
        boot_millis: Vec::new(),
        scaled_up: Timestamp(0),
        scaled_down: Timestamp(0),
        bill: PoolBill {
            until: now,
            ..PoolBill::default()
        },
    }
}
