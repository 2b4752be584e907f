//! The world behind the API: one account's instances in one region, as values.
//!
//! It is pure: time comes in as an argument, chance from the seed, and what is to happen outside (processes to start and
//! to stop) goes out as [`Effect`]s. What is due happens when it is next told the time, in the order in which it fell due.

mod catalogue;
mod dying;
mod instance;
mod launching;
mod reading;
mod room;
mod tags;
mod tokens;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

pub(crate) use instance::{Instance, Phase, Shown};
pub use instance::{InstanceId, InstanceState, InstanceView, StateReason};
pub(crate) use launching::LaunchOrder;
pub(crate) use reading::Row;
pub(crate) use tags::check_tags;

use crate::calls::CallLog;
use crate::chance::Chance;
use crate::faults::Faults;
use crate::setup::{Market, Setup, ShutdownBehavior};
use crate::throttle::Buckets;
use room::Room;
use tokens::Tokens;

/// The most instances that are kept; of those that have gone from sight the oldest are forgotten beyond it.
const INSTANCES_KEPT_MAX: usize = 20_000;

/// The longest span, whatever the settings say: ten years, which no clock overflows.
const SPAN_SECONDS_MAX: f64 = 10.0 * 365.0 * 86_400.0;

/// How much of an instance's console is kept: as much as EC2 keeps.
const CONSOLE_BYTES_MAX: usize = 64 * 1024;

/// Something to be done outside of the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Run an instance's user data.
    Run {
        /// The instance.
        instance: InstanceId,
        /// The script.
        user_data: Vec<u8>,
    },
    /// Ask an instance's processes to end, and make them.
    Stop {
        /// The instance.
        instance: InstanceId,
    },
    /// End an instance's processes at once.
    Kill {
        /// The instance.
        instance: InstanceId,
    },
}

/// One account's EC2 in one region.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) setup: Setup,
    pub(crate) faults: Faults,
    pub(crate) buckets: Buckets,
    pub(crate) log: CallLog,
    pub(crate) requests: Chance,
    instances: BTreeMap<InstanceId, Instance>,
    tokens: Tokens,
    room: Room,
    ids: Chance,
    fates: Chance,
    lags: Chance,
    launched: u64,
    boots_to_fail: u32,
    effects: Vec<Effect>,
}

impl World {
    /// Makes a world without instances.
    pub(crate) fn new(setup: Setup) -> World {
        let seed = setup.seed;
        World {
            faults: Faults::new(setup.faults.clone(), seed),
            buckets: Buckets::default(),
            log: CallLog::default(),
            requests: Chance::new(seed, "requests"),
            instances: BTreeMap::new(),
            tokens: Tokens::default(),
            room: Room::new(&setup),
            ids: Chance::new(seed, "ids"),
            fates: Chance::new(seed, "fates"),
            lags: Chance::new(seed, "lags"),
            launched: 0,
            boots_to_fail: 0,
            effects: Vec::new(),
            setup,
        }
    }

    /// Lets everything happen that is due by `now`. Returns whether anything did.
    pub(crate) fn tick(&mut self, now: Timestamp) -> bool {
        let mut has_happened = false;
        while let Some((at, id)) = self.first_due().filter(|(at, _)| *at <= now) {
            self.happen(at, &id);
            has_happened = true;
        }
        self.forget(now);
        has_happened
    }

    /// Returns when something is due next.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.first_due().map(|(at, _)| at)
    }

    /// Returns what is to be done outside, once.
    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Returns all instances as they truly are, in the order of their launches.
    pub(crate) fn views(&self) -> Vec<InstanceView> {
        let mut instances: Vec<&Instance> = self.instances.values().collect();
        instances.sort_unstable_by_key(|instance| instance.number);
        instances.into_iter().map(Instance::view).collect()
    }

    /// Returns an instance as it truly is.
    pub(crate) fn instance(&self, id: &InstanceId) -> Option<&Instance> {
        self.instances.get(id)
    }

    /// Returns every instance that was ever launched under each token.
    pub(crate) fn launched_by_token(&self) -> BTreeMap<String, Vec<InstanceId>> {
        self.tokens.launched().clone()
    }

    /// Makes the next so many launched instances fail their boots.
    pub(crate) fn fail_boots(&mut self, count: u32) {
        self.boots_to_fail = count;
    }

    /// Sets how many instances of a type a zone has room for, with those that exist; without end if `None`.
    pub(crate) fn set_capacity(&mut self, market: Market, instance_type: &str, zone: &str, instances: Option<u32>) {
        self.room.set(market, instance_type, zone, instances);
    }

    /// Writes at the end of an instance's console. Returns whether there is such an instance.
    pub(crate) fn write_console(&mut self, id: &InstanceId, text: &[u8]) -> bool {
        let Some(instance) = self.instances.get_mut(id) else {
            return false;
        };
        instance.console.extend_from_slice(text);
        let excess = instance.console.len().saturating_sub(CONSOLE_BYTES_MAX);
        instance.console.drain(..excess);
        true
    }

    /// Returns what is due first. Of those due at the same moment it is the one launched first.
    fn first_due(&self) -> Option<(Timestamp, InstanceId)> {
        self.instances
            .values()
            .filter_map(|instance| Some((instance.deadline()?, instance.number, &instance.id)))
            .min()
            .map(|(at, _, id)| (at, id.clone()))
    }

    fn happen(&mut self, at: Timestamp, id: &InstanceId) {
        let Some(instance) = self.instances.get(id) else {
            return;
        };
        let interrupted = instance
            .interruption
            .is_some_and(|interruption| interruption.ends_at <= at);
        match &instance.phase {
            Phase::Pending(_) | Phase::Running(_) if interrupted => self.end(at, id, StateReason::spot_interruption()),
            Phase::Pending(pending) if pending.fails => self.fail_boot(at, id),
            Phase::Pending(_) => self.boot(at, id),
            Phase::Running(_) => self.drop_dead(at, id, StateReason::internal_error()),
            Phase::ShuttingDown(_) => self.become_terminated(at, id, None),
            Phase::Stopped | Phase::Terminated => {}
        }
    }

    /// Forgets what nobody can see any more, once there is much of it.
    fn forget(&mut self, now: Timestamp) {
        let excess = self.instances.len().saturating_sub(INSTANCES_KEPT_MAX);
        if excess == 0 {
            return;
        }
        let unseen = seconds(self.setup.lag.terminated_seconds + self.setup.lag.visibility_seconds);
        let mut gone: Vec<(u64, InstanceId)> = self
            .instances
            .values()
            .filter(|instance| {
                matches!(instance.phase, Phase::Terminated) && earlier(now, unseen) > instance.shown().since
            })
            .map(|instance| (instance.number, instance.id.clone()))
            .collect();
        gone.sort_unstable();
        for (_, id) in gone.into_iter().take(excess) {
            self.instances.remove(&id);
        }
    }
}

/// Returns a span of so many seconds, within bounds that no clock overflows.
pub(crate) fn seconds(count: f64) -> SignedDuration {
    let count = if count.is_nan() {
        0.0
    } else {
        count.clamp(0.0, SPAN_SECONDS_MAX)
    };
    SignedDuration::from_secs_f64(count)
}

/// Returns the moment a span later, or the last one there is.
pub(crate) fn later(at: Timestamp, span: SignedDuration) -> Timestamp {
    at.checked_add(span).unwrap_or(Timestamp::MAX)
}

/// Returns the moment a span earlier, or the first one there is.
pub(crate) fn earlier(at: Timestamp, span: SignedDuration) -> Timestamp {
    at.checked_sub(span).unwrap_or(Timestamp::MIN)
}

/// Returns EC2's word for a shutdown behaviour.
pub(crate) fn behavior_word(behavior: ShutdownBehavior) -> &'static str {
    match behavior {
        ShutdownBehavior::Stop => "stop",
        ShutdownBehavior::Terminate => "terminate",
    }
}
