//! More servers: those that a policy drained are resumed first, then new ones are launched, or wanted of whoever creates
//! them.

use std::cmp::Reverse;

use super::Fleet;
use super::scaling::by_pool;
use crate::advice::{Growth, Subject, VerdictOutcome};
use crate::decision::{Advised, Decision, PolicyRef};
use crate::event::{ScaleRefused, ScaleWanted, What};
use crate::ids::{PoolName, ServerName, ServerNo};
use crate::record::Record;
use crate::units::Timestamp;

/// How many servers one growth may ask for before the guards are even looked at.
const GROWTH_MAX: u32 = 10_000;

impl Fleet {
    /// Keeps `servers_min` by the fleet's own hand.
    pub(super) fn keep_minimum(&mut self, name: &PoolName) {
        let Some(pool) = self.pools.get(name) else { return };
        if !pool.config.automatic && !pool.retired {
            let (level, wanted) = (pool.config.guards.servers_min, pool.record.servers_wanted);
            let fleet = PolicyRef {
                name: "usher".into(),
                version: "".into(),
            };
            if wanted < level {
                self.set_wanted(name, level, Vec::new(), &fleet, "servers_min of its pool");
            }
            return;
        }
        let missing = pool.config.guards.servers_min.saturating_sub(self.staying(pool));
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

    /// Judges what one answer asks for: an author may give a row for each group of waiting rooms, several of them for one pool.
    pub(super) fn judge_growths(&mut self, report: &Decision, growths: Vec<Growth>) {
        for growth in by_pool(growths, |growth| growth.pool, join) {
            self.judge_growth(report, growth);
        }
    }

    fn judge_growth(&mut self, report: &Decision, growth: Growth) {
        let mut decision = Decision {
            advice: Advised::Launch(growth.servers),
            reason: Some(growth.reason.clone()).filter(|reason| !reason.is_empty()),
            verdict: "accepted",
            ..report.clone()
        };
        let Some(name) = self.pool_name(growth.pool).cloned() else {
            let outcome = VerdictOutcome::Refused;
            decision.verdict = outcome.word();
            decision.code = "unknown_pool";
            self.verdict_of(&decision, Subject::Launch(growth.pool), outcome, 0, 0);
            return self.out.decisions.push(decision);
        };
        decision.pool = Some(name.clone());
        if !self.may_speak_for(growth.pool) {
            return;
        }
        let asked = growth.servers.min(GROWTH_MAX);
        // That nothing is needed is said every few seconds; a record of it would only push out the others.
        if asked == 0 {
            return self.want_no_more(&name, &growth, &decision.policy);
        }
        let Some(pool) = self.pools.get(&name) else { return };
        let allowance = self.launch_allowance(pool);
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
        self.verdict_of(&decision, Subject::Launch(growth.pool), outcome, granted, until);
        if is_short && let Some(pool) = self.pools.get(&name) {
            let event = ScaleRefused {
                policy: decision.policy.name.clone(),
                asked,
                granted,
                code: allowance.code.into(),
                offer: self.next_offer(pool),
                price_per_hour: self.next_price(pool),
                reason: growth.reason,
                pool: name,
            };
            self.tell(What::ScaleRefused(event));
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
        candidates.sort_by_key(|no| (Reverse(rooms(no)), *no));
        candidates.truncate(most as usize);
        for no in &candidates {
            self.uncordon(*no, &format!("resumed: {reason}"));
        }
        u32::try_from(candidates.len()).unwrap_or(u32::MAX)
    }

    /// Sets the level of servers wanted in a pool whose servers somebody else creates: what is there, and what is asked for.
    fn want(&mut self, name: &PoolName, granted: u32, growth: &Growth, policy: &PolicyRef) -> u32 {
        let resumed = self.resume_drained(name, granted, &growth.reason);
        let Some(pool) = self.pools.get(name) else {
            return resumed;
        };
        let level = self.staying(pool).saturating_add(granted - resumed);
        if level != pool.record.servers_wanted {
            self.set_wanted(name, level, Vec::new(), policy, &growth.reason);
        }
        granted
    }

    /// Lowers the level to what is there: whatever was wanted beyond it and nobody has made yet is needed no longer.
    fn want_no_more(&mut self, name: &PoolName, growth: &Growth, policy: &PolicyRef) {
        let Some(pool) = self.pools.get(name).filter(|pool| !pool.config.automatic) else {
            return;
        };
        let level = self.staying(pool).max(pool.config.guards.servers_min);
        if level < pool.record.servers_wanted {
            self.set_wanted(name, level, Vec::new(), policy, &growth.reason);
        }
    }

    pub(super) fn set_wanted(
        &mut self,
        name: &PoolName,
        level: u32,
        servers: Vec<ServerName>,
        policy: &PolicyRef,
        reason: &str,
    ) {
        let Some(pool) = self.pools.get(name) else { return };
        let (mut record, price_per_hour) = (pool.record.clone(), pool.config.price_per_hour);
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
            price_per_hour,
            policy: policy.name.clone(),
            reason: reason.to_owned(),
        };
        self.tell(if level > before {
            What::ScaleWanted(event)
        } else {
            What::ScaleUnwanted(event)
        });
    }
}

/// Adds what another row asks for in the same pool; the first that asks for servers says why.
fn join(growth: &mut Growth, more: Growth) {
    if growth.servers == 0 && more.servers > 0 {
        growth.reason = more.reason;
    }
    growth.servers = growth.servers.saturating_add(more.servers);
}
