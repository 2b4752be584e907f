//! An instance: what it was launched as, the phase that it is in, and what reads have been shown of it since.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::setup::{Market, ShutdownBehavior};

/// An instance's id: `i-` and 17 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InstanceId(String);

impl InstanceId {
    /// Returns it as a text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for InstanceId {
    fn from(id: &str) -> InstanceId {
        InstanceId(id.to_owned())
    }
}

impl From<String> for InstanceId {
    fn from(id: String) -> InstanceId {
        InstanceId(id)
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// EC2's states of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceState {
    /// Launched, and not up yet.
    Pending,
    /// Up.
    Running,
    /// On its way to `terminated`.
    ShuttingDown,
    /// Gone for good, and still shown for a while.
    Terminated,
    /// Shut down by itself, and kept.
    Stopped,
}

impl InstanceState {
    /// Returns EC2's word.
    pub fn name(self) -> &'static str {
        match self {
            InstanceState::Pending => "pending",
            InstanceState::Running => "running",
            InstanceState::ShuttingDown => "shutting-down",
            InstanceState::Terminated => "terminated",
            InstanceState::Stopped => "stopped",
        }
    }

    /// Returns EC2's number.
    pub fn code(self) -> u16 {
        match self {
            InstanceState::Pending => 0,
            InstanceState::Running => 16,
            InstanceState::ShuttingDown => 32,
            InstanceState::Terminated => 48,
            InstanceState::Stopped => 80,
        }
    }
}

/// Why an instance is in its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateReason {
    /// Such as `Server.SpotInstanceTermination`.
    pub code: String,
    /// The same in words.
    pub message: String,
}

impl StateReason {
    fn new(code: &str, words: &str) -> StateReason {
        StateReason {
            code: code.into(),
            message: format!("{code}: {words}"),
        }
    }

    pub(crate) fn user_initiated() -> StateReason {
        StateReason::new("Client.UserInitiatedShutdown", "User initiated shutdown")
    }

    pub(crate) fn own_shutdown() -> StateReason {
        StateReason::new("Client.InstanceInitiatedShutdown", "Instance initiated shutdown")
    }

    pub(crate) fn spot_interruption() -> StateReason {
        StateReason::new("Server.SpotInstanceTermination", "Spot instance termination")
    }

    pub(crate) fn internal_error() -> StateReason {
        StateReason::new("Server.InternalError", "Internal error")
    }

    pub(crate) fn internal_error_on_launch() -> StateReason {
        StateReason::new("Server.InternalError", "Internal error on launch")
    }

    pub(crate) fn pending() -> StateReason {
        StateReason {
            code: "pending".into(),
            message: "pending".into(),
        }
    }
}

/// An instance.
#[derive(Debug, Clone)]
pub(crate) struct Instance {
    /// Counts launches from 1.
    pub(crate) number: u64,
    pub(crate) id: InstanceId,
    pub(crate) reservation: String,
    /// Its number within its reservation.
    pub(crate) launch_index: u32,
    pub(crate) launched_at: Timestamp,
    pub(crate) client_token: Option<String>,
    pub(crate) image_id: String,
    pub(crate) architecture: String,
    pub(crate) instance_type: String,
    pub(crate) vcpus: u32,
    pub(crate) market: Market,
    pub(crate) spot_request: Option<String>,
    pub(crate) zone: String,
    pub(crate) subnet_id: String,
    pub(crate) private_ip: String,
    /// The public address that it gets when it is up.
    pub(crate) public_ip: Option<String>,
    pub(crate) shutdown_behavior: ShutdownBehavior,
    pub(crate) user_data: Option<Vec<u8>>,
    pub(crate) volume_id: String,
    pub(crate) volume_tags: BTreeMap<String, String>,
    pub(crate) fate: Fate,
    pub(crate) phase: Phase,
    pub(crate) interruption: Option<Interruption>,
    /// Whether a process of this machine runs for it.
    pub(crate) has_process: bool,
    pub(crate) console: Vec<u8>,
    /// What it has looked like, the newest last; never empty.
    pub(super) history: VecDeque<Shown>,
}

/// What becomes of an instance if nobody interferes, drawn when it is launched.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fate {
    pub(crate) life_seconds: Option<f64>,
    pub(crate) spot_life_seconds: Option<f64>,
}

/// Where an instance stands.
#[derive(Debug, Clone)]
pub(crate) enum Phase {
    Pending(Pending),
    Running(Running),
    ShuttingDown(ShuttingDown),
    Stopped,
    Terminated,
}

#[derive(Debug, Clone)]
pub(crate) struct Pending {
    pub(crate) boots_at: Timestamp,
    pub(crate) fails: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Running {
    pub(crate) dies_at: Option<Timestamp>,
}

#[derive(Debug, Clone)]
pub(crate) struct ShuttingDown {
    /// When it has ended; not before its process has, if it has one.
    pub(crate) ends_at: Option<Timestamp>,
}

/// A spot instance's interruption.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Interruption {
    /// From when on the instance is told.
    pub(crate) noticed_at: Timestamp,
    /// When it is taken away.
    pub(crate) ends_at: Timestamp,
}

/// What there is to be seen of an instance from a moment on.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    pub(crate) since: Timestamp,
    pub(crate) state: InstanceState,
    pub(crate) reason: Option<StateReason>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) is_protected: bool,
}

/// An instance as it truly is, for tests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields are what they are named in EC2")]
pub struct InstanceView {
    pub id: InstanceId,
    pub state: InstanceState,
    pub reason: Option<StateReason>,
    pub client_token: Option<String>,
    pub instance_type: String,
    pub market: Market,
    pub zone: String,
    pub subnet_id: String,
    pub image_id: String,
    pub private_ip: String,
    pub public_ip: Option<String>,
    pub launched_at: Timestamp,
    /// Since when it is in its state.
    pub since: Timestamp,
    pub tags: BTreeMap<String, String>,
    pub volume_tags: BTreeMap<String, String>,
    pub is_protected: bool,
    pub shutdown_behavior: ShutdownBehavior,
    /// As text, with whatever is not text replaced.
    pub user_data: Option<String>,
    pub has_process: bool,
    /// When a spot instance is told that it ends, if it is decided.
    pub noticed_at: Option<Timestamp>,
}

impl Instance {
    /// Makes an instance out of what it was launched as and what is first seen of it.
    pub(crate) fn begin(mut self, first: Shown) -> Instance {
        self.history = VecDeque::from([first]);
        self
    }

    /// Returns an empty history, to be filled by [`Instance::begin`].
    pub(crate) fn no_history() -> VecDeque<Shown> {
        VecDeque::new()
    }

    /// Returns what there is to be seen of it now.
    pub(crate) fn shown(&self) -> &Shown {
        self.history
            .back()
            .expect("a history begins with the launch and keeps its newest entry")
    }

    /// Returns what there was to be seen of it at a moment, if there was anything.
    pub(crate) fn shown_at(&self, at: Timestamp) -> Option<&Shown> {
        self.history.iter().rev().find(|shown| shown.since <= at)
    }

    /// Changes what there is to be seen from `at` on; what is older than `kept` is of no use any more.
    pub(crate) fn show(&mut self, at: Timestamp, kept: Timestamp, change: impl FnOnce(&mut Shown)) {
        let mut shown = self.shown().clone();
        shown.since = at.max(shown.since);
        change(&mut shown);
        self.history.push_back(shown);
        while self.history.get(1).is_some_and(|second| second.since <= kept) {
            self.history.pop_front();
        }
    }

    /// Returns whether it is neither gone nor on its way.
    pub(crate) fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Pending(_) | Phase::Running(_))
    }

    /// Returns when something happens to it next.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        let own = match &self.phase {
            Phase::Pending(pending) => Some(pending.boots_at),
            Phase::Running(running) => running.dies_at,
            Phase::ShuttingDown(ending) => return ending.ends_at,
            Phase::Stopped | Phase::Terminated => return None,
        };
        let interrupted = self.interruption.map(|interruption| interruption.ends_at);
        own.into_iter().chain(interrupted).min()
    }

    /// Returns its public address, if it has it already.
    pub(crate) fn public_ip_in(&self, state: InstanceState) -> Option<&str> {
        self.public_ip.as_deref().filter(|_| state == InstanceState::Running)
    }

    pub(crate) fn view(&self) -> InstanceView {
        let shown = self.shown();
        InstanceView {
            id: self.id.clone(),
            state: shown.state,
            reason: shown.reason.clone(),
            client_token: self.client_token.clone(),
            instance_type: self.instance_type.clone(),
            market: self.market,
            zone: self.zone.clone(),
            subnet_id: self.subnet_id.clone(),
            image_id: self.image_id.clone(),
            private_ip: self.private_ip.clone(),
            public_ip: self.public_ip_in(shown.state).map(str::to_owned),
            launched_at: self.launched_at,
            since: shown.since,
            tags: shown.tags.clone(),
            volume_tags: self.volume_tags.clone(),
            is_protected: shown.is_protected,
            shutdown_behavior: self.shutdown_behavior,
            user_data: self
                .user_data
                .as_deref()
                .map(|data| String::from_utf8_lossy(data).into_owned()),
            has_process: self.has_process,
            noticed_at: self.interruption.map(|interruption| interruption.noticed_at),
        }
    }
}
