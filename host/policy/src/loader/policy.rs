//! One file of the folder, as the loader knows it: what is wanted, what serves, what is put off.

use std::sync::Arc;
use std::time::Instant;

use usher_fleet::decision::{DecisionPoint, PolicyRef};

use crate::backoff::Backoff;
use crate::counters::Counters;
use crate::loading::{self, LoadError};
use crate::quarantine::Quarantine;
use crate::recipe::Recipe;
use crate::status::{Posted, ServingStatus, WantedState, WantedStatus};
use crate::version::{Name, Version};

/// One file of the folder.
#[derive(Default)]
pub(crate) struct Policy {
    pub(super) wanted: Option<Wanted>,
    pub(super) served: Option<Served>,
    pub(super) counters: Arc<Counters>,
    /// When the place instance is built again; none while it serves.
    pub(super) rebuild: Option<Instant>,
    pub(super) backoff: Backoff,
}

/// What the folder holds.
pub(super) struct Wanted {
    /// None where it could not be read.
    pub(super) version: Option<Version>,
    pub(super) now: WantedNow,
}

/// How far it has come.
pub(super) enum WantedNow {
    /// It ends in the middle; until then it is waited for.
    Incomplete { until: Instant },
    /// The host has no view for it yet.
    Postponed { recipe: Arc<Recipe>, until: Instant },
    /// It serves.
    Serving,
    /// It was refused.
    Refused(LoadError),
}

/// The version that is asked.
pub(super) struct Served {
    pub(super) recipe: Arc<Recipe>,
    pub(super) policy: PolicyRef,
    pub(super) summary: String,
}

impl Policy {
    /// Returns whether it is known if the wanted version may serve.
    pub(super) fn is_decided(&self) -> bool {
        self.wanted.as_ref().is_none_or(|wanted| wanted.until().is_none())
    }

    /// Returns when there is something to do for it.
    pub(super) fn due(&self) -> Option<Instant> {
        let wanted = self.wanted.as_ref().and_then(Wanted::until);
        self.rebuild.into_iter().chain(wanted).min()
    }

    /// Takes a wanted version whose wait is over.
    pub(super) fn take_due_wanted(&mut self, now: Instant) -> Option<(Option<Version>, WantedNow)> {
        let due = self
            .wanted
            .take_if(|wanted| wanted.until().is_some_and(|until| until <= now))?;
        Some((due.version, due.now))
    }

    /// Returns what is shown of it.
    pub(super) fn posted(&self, name: &Name, quarantine: &Quarantine) -> Posted {
        Posted {
            name: name.text().to_string(),
            built_in: false,
            wanted: self.wanted.as_ref().map(Wanted::status),
            serving: self.served.as_ref().map(|served| served.status(name, quarantine)),
            counters: self.counters.clone(),
        }
    }
}

impl Wanted {
    fn until(&self) -> Option<Instant> {
        match &self.now {
            WantedNow::Incomplete { until } | WantedNow::Postponed { until, .. } => Some(*until),
            WantedNow::Serving | WantedNow::Refused(_) => None,
        }
    }

    fn status(&self) -> WantedStatus {
        let (state, step, problem) = match &self.now {
            WantedNow::Incomplete { .. } => (WantedState::Waiting, Some("read"), Some("half-written".to_owned())),
            WantedNow::Postponed { .. } => (WantedState::Waiting, None, None),
            WantedNow::Serving => (WantedState::Serving, None, None),
            WantedNow::Refused(error) => (WantedState::Refused, Some(error.step()), Some(error.to_string())),
        };
        let sha256 = self
            .version
            .map_or_else(String::new, |version| version.wasm.to_string());
        WantedStatus {
            sha256,
            state,
            step,
            problem,
        }
    }
}

impl Served {
    fn status(&self, name: &Name, quarantine: &Quarantine) -> ServingStatus {
        let version = self.recipe.version;
        let decisions = loading::decisions(&self.recipe);
        let is_out = |point: &&DecisionPoint| quarantine.holds(name, version, **point);
        ServingStatus {
            version: self.policy.version.to_string(),
            summary: self.summary.clone(),
            sha256: version.wasm.to_string(),
            settings_sha256: version.settings.to_string(),
            quarantined: decisions.iter().filter(is_out).map(|point| point.word()).collect(),
            decisions: decisions.iter().map(|point| point.word()).collect(),
            on_fault: if self.recipe.waits() { "wait" } else { "next" },
        }
    }
}
