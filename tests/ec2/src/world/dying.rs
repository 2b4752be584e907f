//! Ends: asked for, by chance, by the market, or by the instance's own hand.

use jiff::{SignedDuration, Timestamp};

use super::instance::{Interruption, Phase, ShuttingDown};
use super::{Effect, InstanceId, InstanceState, StateReason, World, later, seconds};
use crate::error::Ec2Error;
use crate::setup::{Market, ShutdownBehavior};

/// An instance's state before and after a termination.
#[derive(Debug, Clone)]
pub(crate) struct StateChange {
    pub(crate) instance: InstanceId,
    pub(crate) before: InstanceState,
    pub(crate) after: InstanceState,
}

impl World {
    /// Terminates instances.
    ///
    /// One that is protected saves those in its zone with it; those in zones without one are terminated, and the answer is
    /// an error all the same. So EC2 documents it.
    ///
    /// # Errors
    ///
    /// An instance is not to be found, and nothing is done; or one is protected.
    pub(crate) fn terminate(&mut self, now: Timestamp, ids: &[InstanceId]) -> Result<Vec<StateChange>, Ec2Error> {
        self.find_for_change(now, ids)?;
        let protected: Vec<(String, InstanceId)> = ids
            .iter()
            .filter_map(|id| self.instances.get(id))
            .filter(|instance| instance.is_up() && instance.shown().is_protected)
            .map(|instance| (instance.zone.clone(), instance.id.clone()))
            .collect();
        let mut changes = Vec::with_capacity(ids.len());
        for id in ids {
            let Some(instance) = self.instances.get(id) else {
                continue;
            };
            if protected.iter().any(|(zone, _)| *zone == instance.zone) {
                continue;
            }
            let before = instance.shown().state;
            self.end(now, id, StateReason::user_initiated());
            changes.push(StateChange {
                instance: id.clone(),
                before,
                after: self.instances.get(id).map_or(before, |instance| instance.shown().state),
            });
        }
        match protected.into_iter().next() {
            Some((_, id)) => Err(Ec2Error::OperationNotPermitted(id.to_string())),
            None => Ok(changes),
        }
    }

    /// Returns the first of these instances that is protected.
    pub(crate) fn protected_among(&self, ids: &[InstanceId]) -> Option<InstanceId> {
        let is_protected = |id: &&InstanceId| {
            self.instances
                .get(id)
                .is_some_and(|instance| instance.is_up() && instance.shown().is_protected)
        };
        ids.iter().find(is_protected).cloned()
    }

    /// Begins to end an instance; nothing if it is on its way or gone.
    pub(super) fn end(&mut self, at: Timestamp, id: &InstanceId, reason: StateReason) {
        let (shutdown, kept) = (seconds(self.setup.life.shutdown_seconds), self.history_kept(at));
        let Some(instance) = self.instances.get_mut(id) else {
            return;
        };
        match instance.phase {
            Phase::ShuttingDown(_) | Phase::Terminated => return,
            Phase::Pending(_) | Phase::Running(_) | Phase::Stopped => {}
        }
        let ends_at = (!instance.has_process).then(|| later(at, shutdown));
        instance.phase = Phase::ShuttingDown(ShuttingDown { ends_at });
        instance.show(at, kept, |shown| {
            shown.state = InstanceState::ShuttingDown;
            shown.reason = Some(reason);
        });
        if instance.has_process {
            self.effects.push(Effect::Stop { instance: id.clone() });
        }
    }

    /// Ends an instance at once, as a machine that breaks does. Returns whether there was one to end.
    pub(crate) fn kill(&mut self, now: Timestamp, id: &InstanceId) -> bool {
        let is_there = self
            .instances
            .get(id)
            .is_some_and(|instance| !matches!(instance.phase, Phase::Terminated));
        if is_there {
            self.drop_dead(now, id, StateReason::internal_error());
        }
        is_there
    }

    /// Ends an instance that does not come up, with its last words on the console.
    pub(super) fn fail_boot(&mut self, at: Timestamp, id: &InstanceId) {
        let words = self.setup.life.boot_failure_console.clone();
        self.write_console(id, words.as_bytes());
        self.drop_dead(at, id, StateReason::internal_error_on_launch());
    }

    pub(super) fn drop_dead(&mut self, at: Timestamp, id: &InstanceId, reason: StateReason) {
        if self.instances.get(id).is_some_and(|instance| instance.has_process) {
            self.effects.push(Effect::Kill { instance: id.clone() });
        }
        self.become_terminated(at, id, Some(reason));
    }

    pub(super) fn become_terminated(&mut self, at: Timestamp, id: &InstanceId, reason: Option<StateReason>) {
        let kept = self.history_kept(at);
        let Some(instance) = self.instances.get_mut(id) else {
            return;
        };
        instance.phase = Phase::Terminated;
        instance.show(at, kept, |shown| {
            shown.state = InstanceState::Terminated;
            shown.reason = reason.or(shown.reason.take());
        });
    }

    /// Says that an instance's process has ended by itself or because it was told to.
    pub(crate) fn process_ended(&mut self, now: Timestamp, id: &InstanceId) {
        let kept = self.history_kept(now);
        let Some(instance) = self.instances.get_mut(id) else {
            return;
        };
        instance.has_process = false;
        match (&mut instance.phase, instance.shutdown_behavior) {
            (Phase::ShuttingDown(ending), _) => ending.ends_at = Some(now),
            (Phase::Pending(_) | Phase::Running(_), ShutdownBehavior::Terminate) => {
                self.end(now, id, StateReason::own_shutdown());
            }
            (Phase::Pending(_) | Phase::Running(_), ShutdownBehavior::Stop) => {
                instance.phase = Phase::Stopped;
                instance.show(now, kept, |shown| {
                    shown.state = InstanceState::Stopped;
                    shown.reason = Some(StateReason::own_shutdown());
                });
            }
            (Phase::Stopped | Phase::Terminated, _) => {}
        }
    }

    /// Decides that a spot instance is told after a while that it ends. Returns whether it is one that can be.
    pub(crate) fn notice_spot(&mut self, now: Timestamp, id: &InstanceId, after: SignedDuration) -> bool {
        let notice = self.spot_notice();
        let Some(instance) = self.instances.get_mut(id) else {
            return false;
        };
        let is_taken = instance.market == Market::Spot && instance.is_up();
        if is_taken {
            let noticed_at = later(now, after);
            instance.interruption = Some(Interruption {
                noticed_at,
                ends_at: later(noticed_at, notice),
            });
        }
        is_taken
    }
}
