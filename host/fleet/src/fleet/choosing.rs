//! One room before the chain: the policies are asked link by link, and each advice is checked before it counts.

use std::time::Duration;

use super::Fleet;
use super::ledger::Cost;
use super::queue::Hint;
use crate::advice::{Advisor, Fault, PlaceAnswer, PlaceAsk, Placement};
use crate::decision::{Advised, Decision, DecisionNote, DecisionPoint, PolicyRef};
use crate::ids::{DecisionNo, ServerNo};
use crate::room::{RoomRecord, RoomState};

/// The most policies that one decision asks: more than a folder may hold and the built-in, so that no chain is endless.
const LINKS_MAX: usize = 128;

/// What the chain came to for one room.
pub(super) enum Choice {
    On(ServerNo, DecisionNote),
    Wait(Hint),
    Reject(PolicyRef, Option<String>),
}

impl Fleet {
    /// Whether any other server would have the room now.
    fn fits_beside(&self, no: ServerNo, record: &RoomRecord) -> bool {
        let others = self.servers.values().filter(|server| server.no() != no);
        others
            .filter_map(|server| Some((server, self.pools.get(&server.record.pool)?)))
            .any(|(server, pool)| {
                let cost = self.reservation(pool, &record.wish);
                self.refusal(server, &record.wish, cost, Some(&record.id)).is_none()
            })
    }

    /// Asks the chain for one room until an advice holds.
    pub(super) fn choose(&mut self, record: &RoomRecord, advisor: &mut dyn Advisor) -> Choice {
        let decision = self.next_decision();
        let (seats, load) = self.asked(&record.wish);
        let (since, left) = match &record.state {
            RoomState::Waiting(waiting) => (waiting.since, None),
            RoomState::Moving(moving) => (moving.since, Some(moving.from)),
            RoomState::Placed(placed) => (placed.at, Some(placed.server)),
        };
        // A server that takes rooms again may have this one, too; one on which it failed only where no other would.
        let may_return = |no| record.failures == 0 || !self.fits_beside(no, record);
        let avoid = left.filter(|no| !self.is_open(*no) || !may_return(*no));
        let labels = record.wish.labels_for_policies();
        for link in 0..LINKS_MAX {
            let ask = PlaceAsk {
                now: self.now,
                room: &record.id,
                seats,
                load,
                expected_minutes: record.wish.expected_minutes.unwrap_or(0),
                region: record.wish.region.as_deref().unwrap_or(""),
                tenant: record.wish.tenant.as_ref().map_or("", |tenant| tenant.as_str()),
                labels: &labels,
                waited_seconds: self.now.since(since).as_secs().try_into().unwrap_or(u32::MAX),
                avoid,
            };
            let Some(answer) = advisor.place(link, self, &ask) else {
                break;
            };
            if let Some(choice) = self.judge(decision, record, answer) {
                return choice;
            }
        }
        Choice::Wait(Hint::default())
    }

    /// Checks one policy's advice, and records what became of it; `None` = the next policy shall say.
    fn judge(&mut self, no: DecisionNo, record: &RoomRecord, answer: PlaceAnswer) -> Option<Choice> {
        let PlaceAnswer {
            policy,
            advice,
            isolates,
            took,
        } = answer;
        let wait = || isolates.then(|| Choice::Wait(Hint::default()));
        let mut decision = Decision {
            no,
            at: self.now,
            point: DecisionPoint::Place,
            room: Some(record.id.clone()),
            server: None,
            pool: None,
            policy: policy.clone(),
            advice: Advised::Nothing,
            verdict: "accepted",
            code: "",
            reason: None,
            took,
        };
        let choice = match advice {
            Err(fault) => {
                faulted(&mut decision, &fault);
                wait()
            }
            Ok(advice) => {
                decision.reason = advice.reason;
                match advice.placement {
                    Placement::On(server) => self.judge_server(&mut decision, record, server).or_else(wait),
                    Placement::Wait { pool, again_seconds } => {
                        decision.pool = pool.and_then(|no| self.pool_name(no).cloned());
                        decision.advice = Advised::Wait(decision.pool.clone());
                        let again = Duration::from_secs(again_seconds.into());
                        Some(Choice::Wait(Hint {
                            pool: decision.pool.is_some().then_some(pool).flatten(),
                            again: (again_seconds > 0).then(|| self.now + again),
                        }))
                    }
                    Placement::Reject => {
                        decision.advice = Advised::Reject;
                        Some(Choice::Reject(policy, decision.reason.clone()))
                    }
                    Placement::Defer => {
                        decision.advice = Advised::Defer;
                        decision.verdict = "deferred";
                        None
                    }
                }
            }
        };
        self.out.decisions.push(decision);
        choice
    }

    fn judge_server(&self, decision: &mut Decision, record: &RoomRecord, no: ServerNo) -> Option<Choice> {
        let Some(server) = self.servers.get(&no) else {
            decision.advice = Advised::Unknown(no.0);
            decision.verdict = "refused";
            decision.code = "unknown_server";
            return None;
        };
        decision.server = Some(server.record.name.clone());
        decision.pool = Some(server.record.pool.clone());
        decision.advice = Advised::On(server.record.name.clone());
        let cost = self
            .pools
            .get(&server.record.pool)
            .map_or_else(Cost::default, |pool| self.reservation(pool, &record.wish));
        match self.refusal(server, &record.wish, cost, Some(&record.id)) {
            None => Some(Choice::On(
                no,
                DecisionNote {
                    policy: decision.policy.clone(),
                    reason: decision.reason.clone(),
                },
            )),
            Some(code) => {
                decision.verdict = "refused";
                decision.code = code;
                None
            }
        }
    }
}

/// Marks a decision's record as a fault. The policies' host tells it: it knows which module that was.
pub(super) fn faulted(decision: &mut Decision, fault: &Fault) {
    decision.verdict = "fault";
    decision.code = fault.kind.word();
    decision.reason = Some(fault.message.clone());
}
