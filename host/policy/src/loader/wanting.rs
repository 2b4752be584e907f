//! What becomes of a file of the folder: taken in, waited for, refused, or gone.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use usher_fleet::event::PolicyEvent;

use super::policy::{Wanted, WantedNow};
use super::returning::Why;
use super::{Loader, body};
use crate::folder::{Contents, FileError};
use crate::kitchen::{Errand, Order, Prepared};
use crate::loading::{self, LoadError};
use crate::policies::RollbackError;
use crate::scale::ScaleMessage;
use crate::version::{Name, Version};
use crate::wasm::{CheckError, CompileError};

/// How long a file that ends in the middle is waited for before it is refused: a copy over a slow network pauses for seconds.
const INCOMPLETE_WAIT: Duration = Duration::from_secs(10);

impl Loader {
    /// Takes in a file that has come to rest.
    pub(super) fn settled(&mut self, name: &Name, contents: Result<Contents, FileError>) {
        let contents = match contents {
            Ok(contents) => contents,
            Err(error) => {
                if error.is_left_out() {
                    self.gone(name, &error.to_string());
                }
                return self.refuse(name, None, LoadError::File(error));
            }
        };
        let version = loading::version(&contents);
        let policy = self.policies.entry(name.clone()).or_default();
        if policy.wanted_version() == Some(version) && !policy.may_be_tried_again() {
            return;
        }
        let served = policy.served_version();
        let rollback = self.shelf.rollback(name);
        let is_held = rollback.is_some_and(|rollback| rollback.held == Some(version));
        if is_held || self.shelf.quarantined(name, version).next().is_some() {
            self.shelf.is_back(name);
        }
        if is_held {
            self.want(name, Some(version), WantedNow::RolledBack);
            return self.serve_last_good(name, Why::NotWanted);
        }
        if served == Some(version) {
            self.shelf.release(name);
            self.policies.entry(name.clone()).or_default().refused = None;
            return self.want(name, Some(version), WantedNow::Serving);
        }
        if self.is_kept_out(name, version) {
            tracing::error!(
                policy = &**name.text(),
                "the file holds a version that is in quarantine: the good one before it serves"
            );
            self.shelf.release(name);
            self.want(name, Some(version), WantedNow::Quarantined);
            // The host ended before the one before it served again.
            if self.shelf.current(name).is_some_and(|good| good.version == version) {
                self.shelf.step_back(name);
            }
            return self.serve_last_good(name, Why::NotWanted);
        }
        self.want(name, Some(version), WantedNow::Preparing);
        self.orders.put(Order {
            name: name.clone(),
            errand: Errand::Wanted,
            was_good: self.shelf.named(name, version).is_some(),
            contents,
        });
    }

    /// Returns whether a version was quarantined for a decision that a good version before it may take: then that one serves,
    /// and this one is not tried again.
    fn is_kept_out(&self, name: &Name, version: Version) -> bool {
        let served = self.policies.get(name).and_then(|policy| policy.served_version());
        let good = [self.shelf.current(name), self.shelf.previous(name)];
        let good = good.into_iter().flatten().map(|good| good.version);
        let Some(before) = served.into_iter().chain(good).find(|before| *before != version) else {
            return false;
        };
        let mut quarantined = self.shelf.quarantined(name, version);
        quarantined.any(|out| !self.shelf.is_out(name, before, out.decision))
    }

    /// Takes in what the kitchen has made of a file. Another file than a rollback holds ends it, once it is known to be whole: a copy of
    /// the same may pause in the middle.
    pub(super) fn wanted_prepared(&mut self, prepared: Prepared) {
        let (name, version) = (prepared.name.clone(), prepared.version);
        let wanted = self.policies.get(&name).and_then(|policy| policy.wanted.as_ref());
        if !wanted.is_some_and(|wanted| wanted.is_preparing(version) || wanted.waits_for_the_fleet(version)) {
            return;
        }
        match &prepared.made {
            Ok(_) => {
                self.shelf.release(&name);
                self.install(prepared);
            }
            Err(LoadError::Check(CheckError::Incomplete)) => {
                let until = Instant::now() + INCOMPLETE_WAIT;
                self.want(&name, Some(version), WantedNow::Incomplete { until });
                self.serve_last_good(&name, Why::NotWanted);
            }
            // Nothing was decided, and nobody asks any more.
            Err(LoadError::Compile(CompileError::Stopped)) => {}
            Err(error) => {
                self.shelf.release(&name);
                self.refuse(&name, Some(version), error.clone());
            }
        }
    }

    /// Ends a wait that has lasted long enough.
    pub(super) fn waited_enough(&mut self, name: &Name, now: Instant) {
        let Some(policy) = self.policies.get_mut(name) else {
            return;
        };
        let Some(wanted) = policy
            .wanted
            .take_if(|wanted| wanted.due().is_some_and(|due| due <= now))
        else {
            return;
        };
        match wanted.now {
            // It was never whole, so it ends no rollback: the same file may be on its way still.
            WantedNow::Incomplete { .. } => {
                self.refuse(name, wanted.version, LoadError::Check(CheckError::Incomplete));
            }
            WantedNow::Refused { error, .. } => {
                self.want(name, wanted.version, WantedNow::Refused { error, retry: None });
                if let Some((folder, _)) = &mut self.folder {
                    folder.tell_again(name);
                }
            }
            WantedNow::Preparing | WantedNow::Serving | WantedNow::Quarantined | WantedNow::RolledBack => {}
        }
    }

    pub(super) fn want(&mut self, name: &Name, version: Option<Version>, now: WantedNow) {
        let named = version.and_then(|version| self.shelf.named(name, version));
        let policy = self.policies.entry(name.clone()).or_default();
        policy.note = None;
        policy.wanted = Some(Wanted { version, named, now });
    }

    /// Refuses what the folder holds. What served before still does; after a restart that is the last good version.
    pub(super) fn refuse(&mut self, name: &Name, version: Option<Version>, error: LoadError) {
        let (step, reason) = (error.step(), error.to_string());
        let retry = error.is_no_fault_of_the_file().then(|| Instant::now() + self.retry);
        self.want(name, version, WantedNow::Refused { error, retry });
        // What is tried again and again is told once; its newest reason is shown.
        let refused = (version, version.map_or_else(|| reason.clone(), |_| step.to_owned()));
        let policy = self.policies.entry(name.clone()).or_default();
        if policy.refused.replace(refused.clone()) != Some(refused) {
            tracing::error!(policy = &**name.text(), step, "the policy was refused: {reason}");
            self.tell(PolicyEvent::Refused(body(name, None, version, step, &reason)));
        }
        self.serve_last_good(name, Why::NotWanted);
    }

    /// Takes a policy out whose file is gone, or left out.
    pub(super) fn gone(&mut self, name: &Name, why: &str) {
        let is_known = self.shelf.current(name).is_some();
        let policy = self.policies.remove(name);
        if policy.is_none() && !is_known {
            return;
        }
        self.orders.cancel(name);
        self.shelf.gone(name, Timestamp::now());
        self.postponed.retain(|(of, _), _| of != name);
        self.quarantine.forget_counts(name, None);
        self.handover.put(name.clone(), None);
        self.scale.send(ScaleMessage::Remove(name.clone()));
        tracing::info!(policy = &**name.text(), "the policy is taken out: {why}");
        let (served, returning) = policy.map_or((None, None), |policy| (policy.served, policy.returning));
        if let Some(returning) = returning {
            returning.answer(Err(RollbackError::NoSuchPolicy(name.text().to_string())));
        }
        let (policy_ref, version) = served.map(|served| (served.policy, served.recipe.version)).unzip();
        let event = body(name, policy_ref.as_ref(), version, "", why);
        self.tell_change(PolicyEvent::Removed(event));
    }
}
