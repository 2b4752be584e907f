//! The last decisions, for whoever asks why.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use usher_fleet::Decision;
use usher_fleet::ids::{DecisionNo, RoomId, ServerName};

/// Decisions that are kept: some megabytes, and minutes of a busy fleet.
pub const DECISIONS_MAX: usize = 10_000;

/// The last [`DECISIONS_MAX`] decisions; cheap to clone. What is in it is durable as far as it changed anything.
#[derive(Debug, Clone, Default)]
pub struct Decisions(Arc<Mutex<VecDeque<Arc<Decision>>>>);

/// Which decisions are asked for; `None` is any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DecisionFilter {
    /// About this room.
    pub room: Option<RoomId>,
    /// About this server.
    pub server: Option<ServerName>,
    /// With this number.
    pub decision: Option<DecisionNo>,
}

impl DecisionFilter {
    fn lets_through(&self, decision: &Decision) -> bool {
        self.room
            .as_ref()
            .is_none_or(|room| decision.room.as_ref() == Some(room))
            && self
                .server
                .as_ref()
                .is_none_or(|server| decision.server.as_ref() == Some(server))
            && self.decision.is_none_or(|no| decision.no == no)
    }
}

impl Decisions {
    /// Adds decisions; the oldest go.
    pub(super) fn add(&self, decisions: Vec<Decision>) {
        if decisions.is_empty() {
            return;
        }
        let fresh: Vec<_> = decisions.into_iter().map(Arc::new).collect();
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ring.extend(fresh);
        let surplus = ring.len().saturating_sub(DECISIONS_MAX);
        ring.drain(..surplus);
    }

    /// Returns the newest decisions that the filter lets through, the newest first, at most `limit`.
    pub fn newest(&self, filter: &DecisionFilter, limit: usize) -> Vec<Arc<Decision>> {
        let ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ring.iter()
            .rev()
            .filter(|decision| filter.lets_through(decision))
            .take(limit)
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use usher_fleet::Timestamp;
    use usher_fleet::decision::{Advised, DecisionPoint, PolicyRef};

    use super::*;

    fn decision(no: u32, room: &str) -> Decision {
        Decision {
            no: DecisionNo(no),
            at: Timestamp(0),
            point: DecisionPoint::Place,
            room: Some(room.parse().unwrap()),
            server: None,
            pool: None,
            policy: PolicyRef {
                name: "standard".into(),
                version: "1".into(),
            },
            advice: Advised::Defer,
            verdict: "deferred",
            code: "",
            reason: None,
            took: Duration::ZERO,
        }
    }

    #[test]
    fn the_newest_are_kept_and_come_first() {
        let decisions = Decisions::default();
        decisions.add((0..DECISIONS_MAX as u32 + 5).map(|no| decision(no, "a")).collect());
        let all = decisions.newest(&DecisionFilter::default(), usize::MAX);
        assert_eq!(all.len(), DECISIONS_MAX);
        assert_eq!(
            (all[0].no.0, all[DECISIONS_MAX - 1].no.0),
            (DECISIONS_MAX as u32 + 4, 5)
        );
    }

    #[test]
    fn a_filter_lets_through_what_it_names() {
        let decisions = Decisions::default();
        decisions.add(vec![decision(1, "a"), decision(2, "b"), decision(3, "a")]);
        let of = |filter: DecisionFilter| -> Vec<u32> {
            decisions
                .newest(&filter, 10)
                .iter()
                .map(|decision| decision.no.0)
                .collect()
        };
        let room = Some("a".parse().unwrap());
        assert_eq!(
            of(DecisionFilter {
                room: room.clone(),
                ..Default::default()
            }),
            [3, 1]
        );
        assert_eq!(
            of(DecisionFilter {
                room,
                decision: Some(DecisionNo(1)),
                ..Default::default()
            }),
            [1]
        );
        assert_eq!(
            of(DecisionFilter {
                server: Some("s".parse().unwrap()),
                ..Default::default()
            }),
            [0; 0]
        );
    }
}
