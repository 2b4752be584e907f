//! What becomes of a policy that has faulted: told, counted, built again with back-off, or put in quarantine.

use std::time::Instant;

use jiff::Timestamp;
use usher_fleet::advice::{Direction, Fault, FaultKind};
use usher_fleet::decision::{DecisionPoint, PolicyRef};
use usher_fleet::event::PolicyEvent;

use super::returning::Why;
use super::serving::place_link;
use super::{Loader, SNAPSHOT_RETRY, body};
use crate::recipe::Recipe;
use crate::scale::ScaleMessage;
use crate::shelf::Quarantined;
use crate::trial;
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

/// A policy's failure to say what it has learned, or to go on with it.
#[derive(Debug)]
pub(crate) struct LearningFault {
    pub(crate) name: Name,
    pub(crate) version: Version,
    pub(crate) policy: PolicyRef,
    /// `save` or `restore`.
    pub(crate) step: &'static str,
    pub(crate) message: String,
}

impl LearningFault {
    /// Says that a version could not take what was learned, and why.
    pub(super) fn starts_without(recipe: &Recipe, policy: &PolicyRef, why: &str) -> LearningFault {
        LearningFault {
            name: recipe.name.clone(),
            version: recipe.version,
            policy: policy.clone(),
            step: "restore",
            message: format!("it starts without it: {why}"),
        }
    }
}

impl Loader {
    /// Tells that a policy has not said what it has learned, which costs what it has learned since it did, or starts without.
    pub(super) fn learning_faulted(&self, report: LearningFault) {
        let LearningFault {
            name,
            version,
            policy,
            step,
            message,
        } = report;
        tracing::warn!(policy = &*policy.name, step, "what it has learned: {message}");
        self.tell(PolicyEvent::Fault(body(
            &name,
            Some(&policy),
            Some(version),
            step,
            &message,
        )));
    }

    /// Tells a fault of the built-in, which has made itself anew.
    pub(super) fn built_in_faulted(&self, decision: DecisionPoint, fault: &Fault) {
        let reason = format!("{}: {}", fault.kind.word(), fault.message);
        self.tell(PolicyEvent::Fault(self.built_in.event(decision.word(), &reason)));
    }

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
        let is_served = known.served_version() == Some(version);
        if !is_served || self.shelf.is_out(&name, version, decision) {
            return;
        }
        match self.quarantine.count(&name, version, decision, input, now) {
            Some(why) => self.quarantine(&name, version, &policy, decision, why),
            None if decision == DecisionPoint::Place => known.rebuild = Some(known.backoff.next_try(now)),
            None => {}
        }
    }

    /// Takes a decision from a version, for good; where there is a good version before it that may take it, that one serves
    /// again.
    fn quarantine(&mut self, name: &Name, version: Version, policy: &PolicyRef, decision: DecisionPoint, why: String) {
        tracing::error!(
            policy = &*policy.name,
            decision = decision.word(),
            "the policy is in quarantine: {why}"
        );
        self.cut_out(name, version, decision);
        let out = Quarantined {
            version,
            named: policy.version.to_string(),
            decision,
            why: why.clone(),
            at: Timestamp::now(),
        };
        self.shelf.quarantine(name, out);
        let event = body(name, Some(policy), Some(version), decision.word(), &why);
        self.tell_change(PolicyEvent::Quarantined(event));
        self.replace_quarantined(name);
    }

    /// Has the good version before serve again where it may take a decision that the one that serves may not take any more; not while
    /// one is on its way back.
    pub(super) fn replace_quarantined(&mut self, name: &Name) {
        let Some(policy) = self.policies.get(name).filter(|policy| policy.returning.is_none()) else {
            return;
        };
        let (served, before) = (
            policy.served_version(),
            self.shelf.previous(name).map(|good| good.version),
        );
        let (Some(served), Some(before)) = (served, before) else {
            return;
        };
        let out = self.shelf.quarantined(name, served);
        let newest = out.filter(|out| !self.shelf.is_out(name, before, out.decision)).last();
        if let Some(Quarantined {
            decision, named, why, ..
        }) = newest
        {
            let why = format!("{} of {named} is in quarantine: {why}", decision.word());
            self.bring_back(name, before, Why::Quarantined(why), Vec::new());
        }
    }

    /// Has the chains ask a version no more for a decision.
    fn cut_out(&mut self, name: &Name, version: Version, decision: DecisionPoint) {
        let scale = |direction| ScaleMessage::Quarantine(name.clone(), version, direction);
        match decision {
            DecisionPoint::Place => {
                let Some(policy) = self.policies.get_mut(name) else {
                    return;
                };
                policy.rebuild = None;
                // Where rooms wait for it, its link stays, and answers that it is not there.
                if !policy.served.as_ref().is_some_and(|served| served.recipe.waits()) {
                    self.handover.put(name.clone(), None);
                }
            }
            DecisionPoint::ScaleUp => self.scale.send(scale(Direction::Up)),
            DecisionPoint::ScaleDown => self.scale.send(scale(Direction::Down)),
        }
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
        let learned = self.shelf.learned(name);
        let before = self.shelf.previous(name).map(|good| good.version);
        let has_good_before = before.is_some_and(|before| !self.shelf.is_out(name, before, DecisionPoint::Place));
        match trial::try_out_placing(&*self.host, &recipe, learned.as_deref(), &view) {
            Ok(instance) => {
                let forgot = instance.forgot();
                let forgot = forgot.map(|why| LearningFault::starts_without(&recipe, &served.policy, why));
                let mut link = place_link(&recipe, &served.policy, &policy.counters, Some(Box::new(instance)));
                link.spared = self
                    .quarantine
                    .repeated(name, recipe.version, DecisionPoint::Place, now);
                self.handover.put(name.clone(), Some(link));
                policy.note = None;
                self.host.chain_changed();
                if let Some(forgot) = forgot {
                    self.learning_faulted(forgot);
                }
            }
            Err(error) if !has_good_before => {
                tracing::warn!(policy = &**name.text(), "the policy could not be built again: {error}");
                policy.note = Some(format!("it could not be built again after a fault: {error}"));
                policy.rebuild = Some(policy.backoff.next_try(now));
            }
            // One that never comes back gives way to the good version before it.
            Err(error) => {
                let report = FaultReport {
                    name: name.clone(),
                    version: recipe.version,
                    policy: served.policy.clone(),
                    decision: DecisionPoint::Place,
                    kind: FaultKind::Error,
                    message: format!("it could not be built again: {error}"),
                    // Each try sees another moment.
                    input: Timestamp::now().as_millisecond().unsigned_abs(),
                };
                self.faulted(report);
            }
        }
    }
}
