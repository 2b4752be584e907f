//! Fewer servers: what a policy would retire is drained, and goes when empty.

use super::Fleet;
use super::scaling::{ROWS_MAX, by_pool};
use crate::advice::{Retirement, Shrinkage, Subject, VerdictOutcome};
use crate::decision::{Advised, Decision, PolicyRef};
use crate::ids::{PoolName, ServerName};
use crate::server::HoldOwner;
use crate::units::Timestamp;

impl Fleet {
    /// Judges which servers one answer lets go; its rows for one pool are one list. What is beyond [`ROWS_MAX`] servers over all pools
    /// is not read: those are kept.
    pub(super) fn judge_shrinkages(&mut self, report: &Decision, mut shrinkages: Vec<Shrinkage>) {
        let mut servers_left = ROWS_MAX;
        for shrinkage in shrinkages.iter_mut().take(ROWS_MAX) {
            shrinkage.servers.truncate(servers_left);
            servers_left -= shrinkage.servers.len();
        }
        for shrinkage in by_pool(shrinkages, |shrinkage| shrinkage.pool, join) {
            self.judge_shrinkage(report, shrinkage);
        }
    }

    fn judge_shrinkage(&mut self, report: &Decision, shrinkage: Shrinkage) {
        let Some(name) = self.pool_name(shrinkage.pool).cloned() else {
            return self.refuse_unknown_pool(report, &shrinkage.servers);
        };
        if !self.may_speak_for(shrinkage.pool) {
            return;
        }
        let mut gone = Vec::new();
        for retirement in shrinkage.servers {
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
            self.verdict_of(&decision, Subject::Retire(retirement.server), outcome, 1, until);
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

    /// One record tells of the whole pool, and each server's verdict of it: who would keep all has ordered nothing.
    fn refuse_unknown_pool(&mut self, report: &Decision, servers: &[Retirement]) {
        let outcome = VerdictOutcome::Refused;
        let decision = Decision {
            advice: Advised::Retire,
            verdict: outcome.word(),
            code: "unknown_pool",
            ..report.clone()
        };
        for retirement in servers {
            self.verdict_of(&decision, Subject::Retire(retirement.server), outcome, 1, 0);
        }
        self.out.decisions.push(decision);
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
        let allowance = self.retire_allowance(pool);
        if allowance.servers == 0 {
            return Some((allowance.code, allowance.until));
        }
        self.retire_refusal(pool, server)
    }

    fn lower_wanted(&mut self, name: &PoolName, gone: Vec<ServerName>, policy: &PolicyRef) {
        let Some(pool) = self.pools.get(name).filter(|pool| !pool.config.automatic) else {
            return;
        };
        let level = self.staying(pool).min(pool.record.servers_wanted);
        self.set_wanted(name, level, gone, policy, "its policy can do without these servers");
    }
}

/// Adds the servers that another row for the same pool lets go.
fn join(shrinkage: &mut Shrinkage, more: Shrinkage) {
    shrinkage.servers.extend(more.servers);
}
