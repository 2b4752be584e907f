//! What becomes of a policy that has faulted: told, counted, built again with back-off, or put in quarantine.

use std::time::Instant;

use usher_fleet::advice::{Direction, FaultKind};
use usher_fleet::decision::{DecisionPoint, PolicyRef};
use usher_fleet::event::PolicyEvent;

use super::{Loader, SNAPSHOT_RETRY, body, place_link};
use crate::loading;
use crate::scale::ScaleMessage;
use crate::version::{Name, Version};

/// A policy's fault, as the thread saw it that asked.
#[derive(Debug)]
pub(crate) struct FaultReport {
    pub(crate) name: Name,
    pub(crate) version: Version,
    pub(crate) policy: PolicyRef,
    pub(crate) decision: DecisionPoint,
    pub(crate) kind: FaultKind,
    pub(crate) message: String,
    /// Tells inputs apart.
    pub(crate) input: u64,
}

impl Loader {
    /// Takes note of a fault. One of a version that serves no more is only told.
    pub(super) fn faulted(&mut self, report: FaultReport) {
        let FaultReport {
            name,
            version,
            policy,
            decision,
            kind,
            message,
            input,
        } = report;
        tracing::warn!(
            policy = &*policy.name,
            decision = decision.word(),
            kind = kind.word(),
            "fault: {message}"
        );
        let reason = format!("{}: {message}", kind.word());
        self.tell(PolicyEvent::Fault(body(
            &name,
            Some(&policy),
            Some(version),
            decision.word(),
            &reason,
        )));
        let now = Instant::now();
        let Some(known) = self.policies.get_mut(&name) else {
            return;
        };
        let Some(served) = known.served.as_ref().filter(|served| served.recipe.version == version) else {
            return;
        };
        let Some(why) = self.quarantine.count(&name, version, decision, input, now) else {
            if decision == DecisionPoint::Place {
                known.rebuild = Some(known.backoff.next_try(now));
            }
            return;
        };
        tracing::error!(
            policy = &*policy.name,
            decision = decision.word(),
            "the policy is in quarantine: {why}"
        );
        match decision {
            // Where rooms wait for it, its link stays, and answers that it is not there.
            DecisionPoint::Place if served.recipe.waits() => {}
            DecisionPoint::Place => self.handover.put(name.clone(), None),
            DecisionPoint::ScaleUp => {
                self.scale
                    .send(ScaleMessage::Quarantine(name.clone(), version, Direction::Up));
            }
            DecisionPoint::ScaleDown => {
                self.scale
                    .send(ScaleMessage::Quarantine(name.clone(), version, Direction::Down));
            }
        }
        self.tell(PolicyEvent::Quarantined(body(
            &name,
            Some(&policy),
            Some(version),
            decision.word(),
            &why,
        )));
        self.host.chain_changed();
    }

    /// Builds the place instance of the serving version again, after a fault.
    pub(super) fn rebuild(&mut self, name: &Name, now: Instant) {
        let Some(policy) = self.policies.get_mut(name) else {
            return;
        };
        let Some(served) = &policy.served else { return };
        let recipe = served.recipe.clone();
        let Some(view) = self.host.snapshot() else {
            policy.rebuild = Some(now + SNAPSHOT_RETRY);
            return;
        };
        match loading::try_out(&recipe, &view, &[DecisionPoint::Place]) {
            Ok(instance) => {
                let link = place_link(&recipe, &served.policy, &policy.counters, Some(Box::new(instance)));
                self.handover.put(name.clone(), Some(link));
                self.host.chain_changed();
            }
            Err(error) => {
                tracing::warn!(policy = &**name.text(), "the policy could not be built again: {error}");
                policy.rebuild = Some(policy.backoff.next_try(now));
            }
        }
    }
}
