//! An instance that was made, from its first moment to its last.

use std::collections::BTreeMap;

use usher_fleet::ids::{PoolName, ServerNo};
use usher_fleet::observation::{Instance, InstanceState, OrderKey};
use usher_fleet::units::{Microdollars, Timestamp};

/// An instance that was made.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub(crate) installation: u32,
    pub(crate) no: ServerNo,
    pub(crate) pool: PoolName,
    /// Which version of the launch template it was made with.
    pub(crate) template: u32,
    pub(crate) zone: Option<String>,
    pub(crate) is_spot: bool,
    pub(crate) made_at: Timestamp,
    pub(crate) runs_at: Timestamp,
    /// When it shows that it serves; never, for some.
    pub(crate) serves_at: Option<Timestamp>,
    pub(crate) url: String,
    pub(crate) price: Option<Microdollars>,
    /// From when on it shuts down, or is gone by itself.
    pub(crate) ends_at: Option<Timestamp>,
    /// From when on nothing is left of it.
    pub(crate) gone_at: Option<Timestamp>,
    /// When a spot instance was told that it is taken away at `ends_at`.
    pub(crate) is_noticed: bool,
    /// Protected against termination, by a human.
    pub(crate) is_protected: bool,
    /// Since when a human wants it kept.
    pub(crate) kept_since: Option<Timestamp>,
    /// A list has lacked it, wrongly: once in a life.
    pub(crate) was_omitted: bool,
}

impl Made {
    /// Whether it costs anything still.
    pub(crate) fn lives(&self, now: Timestamp) -> bool {
        self.gone_at.is_none_or(|at| now < at)
    }

    /// Whether it is up, or on its way there.
    pub(crate) fn is_up(&self, now: Timestamp) -> bool {
        self.ends_at.is_none_or(|at| now < at) && self.lives(now)
    }

    pub(crate) fn serves(&self, now: Timestamp) -> bool {
        self.is_up(now) && self.serves_at.is_some_and(|at| at <= now)
    }

    /// Whether it will ever serve, or does.
    pub(crate) fn has_hope(&self, now: Timestamp) -> bool {
        self.is_up(now) && self.serves_at.is_some()
    }

    /// It is gone, at once: it broke.
    pub(crate) fn die(&mut self, now: Timestamp) {
        self.shut_down(now, now);
    }

    /// It ends at one moment, and is gone at another, unless that is decided already for an earlier one.
    pub(crate) fn shut_down(&mut self, ends_at: Timestamp, gone_at: Timestamp) {
        self.ends_at = Some(self.ends_at.map_or(ends_at, |at| at.min(ends_at)));
        self.gone_at = Some(self.gone_at.map_or(gone_at, |at| at.min(gone_at)));
    }

    /// Returns what it looked like at a moment; none before it was made.
    pub(crate) fn state(&self, at: Timestamp) -> Option<InstanceState> {
        match () {
            () if at < self.made_at => None,
            () if !self.is_up(at) => Some(InstanceState::Ended),
            () if self.runs_at <= at => Some(InstanceState::Running),
            () => Some(InstanceState::Pending),
        }
    }

    /// Returns what its provider calls it.
    pub(crate) fn name(&self, key: &OrderKey) -> String {
        name(self.installation, key)
    }

    /// Describes it as it was at a moment.
    pub(crate) fn describe(&self, key: &OrderKey, at: Timestamp) -> Option<Instance> {
        Some(Instance {
            instance: self.name(key),
            state: self.state(at)?,
            url: Some(self.url.clone()),
            endpoints: BTreeMap::new(),
            zone: self.zone.clone(),
            price_per_hour: self.price,
        })
    }
}

/// Returns how the instance under a key of an installation is called.
pub(super) fn name(installation: u32, key: &OrderKey) -> String {
    format!("i-{installation}-{}-{}", key.server, key.attempt)
}
