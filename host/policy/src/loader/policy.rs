//! One file of the folder, as the loader knows it: what is wanted, what serves, what is put off.

use std::sync::Arc;
use std::time::Instant;

use usher_fleet::decision::{DecisionPoint, PolicyRef};

use super::returning::{Return, ordered};
use crate::backoff::Backoff;
use crate::counters::Counters;
use crate::loading::{self, LoadError};
use crate::recipe::Recipe;
use crate::shelf::Shelf;
use crate::status::{Posted, QuarantinedStatus, ServingStatus, VersionStatus, WantedState, WantedStatus, moment};
use crate::version::{Name, Version};

/// One file of the folder.
#[derive(Default)]
pub(crate) struct Policy {
    pub(super) wanted: Option<Wanted>,
    pub(super) served: Option<Served>,
    /// The good version before, compiled, as long as it is known: it can serve again at once.
    pub(super) previous: Option<Arc<Recipe>>,
    pub(super) returning: Option<Return>,
    /// Which version was refused last, and at which gate, or why nothing could be read; none since one has served.
    pub(super) refused: Option<(Option<Version>, String)>,
    /// What an operator should know beyond what is wrong with the file.
    pub(super) note: Option<String>,
    pub(super) counters: Arc<Counters>,
    /// When the place instance is built again; none while it serves.
    pub(super) rebuild: Option<Instant>,
    pub(super) backoff: Backoff,
}

/// What the folder holds.
pub(super) struct Wanted {
    /// None where it could not be read.
    pub(super) version: Option<Version>,
    /// What it says its version is, where it has been started before.
    pub(super) named: Option<String>,
    pub(super) now: WantedNow,
}

/// How far it has come.
pub(super) enum WantedNow {
    /// It is in the kitchen, or the host has no view for it yet.
    Preparing,
    /// It ends in the middle; until then it is waited for.
    Incomplete { until: Instant },
    /// It serves.
    Serving,
    /// It was refused, and is tried again where that may help.
    Refused { error: LoadError, retry: Option<Instant> },
    /// It has faulted too often: the good version before it serves.
    Quarantined,
    /// The version before it serves, by order.
    RolledBack,
}

/// The version that is asked.
pub(super) struct Served {
    pub(super) recipe: Arc<Recipe>,
    pub(super) policy: PolicyRef,
    pub(super) summary: String,
}

impl Policy {
    /// Returns whether it is known which version serves.
    pub(super) fn is_decided(&self) -> bool {
        let is_waiting = |wanted: &Wanted| wanted.state() == WantedState::Waiting;
        !self.returning.as_ref().is_some_and(Return::is_under_way) && !self.wanted.as_ref().is_some_and(is_waiting)
    }

    /// Returns when there is something to do for it.
    pub(super) fn due(&self) -> Option<Instant> {
        let wanted = self.wanted.as_ref().and_then(Wanted::due);
        self.rebuild.into_iter().chain(wanted).min()
    }

    /// Returns which version the folder holds.
    pub(super) fn wanted_version(&self) -> Option<Version> {
        self.wanted.as_ref()?.version
    }

    /// Returns which version serves.
    pub(super) fn served_version(&self) -> Option<Version> {
        Some(self.served.as_ref()?.recipe.version)
    }

    /// Returns whether the version that the folder holds could pass if it came again: the fleet or the machine was in its way.
    pub(super) fn may_be_tried_again(&self) -> bool {
        let now = self.wanted.as_ref().map(|wanted| &wanted.now);
        matches!(now, Some(WantedNow::Refused { error, .. }) if !error.is_for_good())
    }

    /// Returns whether a good version is to serve instead of the folder's.
    pub(super) fn is_kept_out(&self) -> bool {
        self.wanted.as_ref().is_some_and(Wanted::is_kept_out)
    }

    /// Returns what is shown of it.
    pub(super) fn posted(&self, name: &Name, shelf: &Shelf) -> Posted {
        let rollback = shelf.rollback(name);
        Posted {
            name: name.text().to_string(),
            built_in: false,
            wanted: self.wanted.as_ref().map(|wanted| wanted.status(name, shelf, self)),
            serving: self.served.as_ref().map(|served| served.status(name, shelf)),
            previous: shelf.previous(name).map(VersionStatus::of),
            rolled_back_at: rollback.map(|rollback| moment(rollback.at)),
            note: self.note.clone(),
            learned_bytes: shelf.learned_bytes(name),
            counters: self.counters.clone(),
        }
    }
}

impl Wanted {
    /// Returns whether the kitchen has this version.
    pub(super) fn is_preparing(&self, version: Version) -> bool {
        self.version == Some(version) && matches!(self.now, WantedNow::Preparing)
    }

    /// Returns whether this version waits for a fleet in which it passes.
    pub(super) fn waits_for_the_fleet(&self, version: Version) -> bool {
        self.version == Some(version)
            && matches!(&self.now, WantedNow::Refused { error, .. } if error.is_of_this_fleet())
    }

    /// Returns whether it was refused.
    pub(super) fn is_refused(&self) -> bool {
        matches!(self.now, WantedNow::Refused { .. })
    }

    /// Returns whether a good version before it is to serve instead.
    pub(super) fn is_kept_out(&self) -> bool {
        matches!(self.now, WantedNow::Quarantined | WantedNow::RolledBack)
    }

    /// Returns when something must become of it.
    pub(super) fn due(&self) -> Option<Instant> {
        match &self.now {
            WantedNow::Incomplete { until } => Some(*until),
            WantedNow::Refused { retry, .. } => *retry,
            WantedNow::Preparing | WantedNow::Serving | WantedNow::Quarantined | WantedNow::RolledBack => None,
        }
    }

    fn state(&self) -> WantedState {
        match &self.now {
            WantedNow::Preparing | WantedNow::Incomplete { .. } => WantedState::Waiting,
            WantedNow::Serving => WantedState::Serving,
            WantedNow::Refused { .. } => WantedState::Refused,
            WantedNow::Quarantined => WantedState::Quarantined,
            WantedNow::RolledBack => WantedState::RolledBack,
        }
    }

    fn status(&self, name: &Name, shelf: &Shelf, policy: &Policy) -> WantedStatus {
        let serving = policy.served.as_ref().filter(|_| self.state() == WantedState::Serving);
        let quarantined = self.version.and_then(|version| quarantine_told(name, shelf, version));
        let (step, problem) = match &self.now {
            WantedNow::Preparing => (None, None),
            WantedNow::Incomplete { .. } => (Some("read"), Some("half-written".to_owned())),
            WantedNow::Refused { error, .. } => (Some(error.step()), Some(error.to_string())),
            WantedNow::Serving | WantedNow::Quarantined => (None, quarantined),
            WantedNow::RolledBack => {
                let why = shelf.rollback(name).map_or("", |rollback| &rollback.why);
                (None, Some(ordered(why)))
            }
        };
        // One that serves and may decide nothing is as good as out.
        let is_idle = serving.is_some_and(|served| {
            let mut decisions = loading::decisions(&served.recipe).into_iter();
            decisions.all(|point| shelf.is_out(name, served.recipe.version, point))
        });
        let hash = |of: fn(Version) -> crate::version::Hash| self.version.map(|version| of(version).to_string());
        WantedStatus {
            version: serving
                .map(|served| served.policy.version.to_string())
                .or_else(|| self.named.clone()),
            sha256: hash(|version| version.wasm).unwrap_or_default(),
            settings_sha256: hash(|version| version.settings).unwrap_or_default(),
            state: if is_idle {
                WantedState::Quarantined
            } else {
                self.state()
            },
            step,
            problem,
        }
    }
}

/// Returns why a version may not take some of its decisions; none where it may take all.
fn quarantine_told(name: &Name, shelf: &Shelf, version: Version) -> Option<String> {
    let told: Vec<String> = shelf
        .quarantined(name, version)
        .map(|out| format!("{}: {}", out.decision.word(), out.why))
        .collect();
    (!told.is_empty()).then(|| {
        format!(
            "in quarantine for {}; another module or other settings are tried again",
            told.join("; ")
        )
    })
}

impl Served {
    fn status(&self, name: &Name, shelf: &Shelf) -> ServingStatus {
        let version = self.recipe.version;
        let decisions = loading::decisions(&self.recipe);
        let is_out = |point: &&DecisionPoint| shelf.is_out(name, version, **point);
        let good = shelf.current(name).filter(|good| good.version == version);
        ServingStatus {
            version: self.policy.version.to_string(),
            summary: self.summary.clone(),
            sha256: version.wasm.to_string(),
            settings_sha256: version.settings.to_string(),
            since: good.map(|good| moment(good.since)),
            quarantined: decisions.iter().filter(is_out).map(|point| point.word()).collect(),
            quarantines: shelf.quarantined(name, version).map(QuarantinedStatus::of).collect(),
            decisions: decisions.iter().map(|point| point.word()).collect(),
            on_fault: if self.recipe.waits() { "wait" } else { "next" },
        }
    }
}
