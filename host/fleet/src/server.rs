//! A media server: its durable record, told as three facts, and nothing of what the ledger counts on it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::config::{Labels, Limits, Offer};
use crate::ids::{Attempt, PoolName, ServerName, ServerNo};
use crate::units::{Microdollars, Timestamp};

/// What is kept of a server over restarts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServerRecord {
    /// The fleet's number for it.
    pub no: ServerNo,
    /// Its name.
    pub name: ServerName,
    /// The pool it belongs to.
    pub pool: PoolName,
    /// Which launch of it this is; with the name the key of every order to a provider.
    pub attempt: Attempt,
    /// The provider's own name for it, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Where clients reach it, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Other addresses by name, such as `admin`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub endpoints: BTreeMap<String, String>,
    /// The zone it stands in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Arc<str>>,
    /// What it holds.
    pub limits: Limits,
    /// Its words, the pool's included.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Arc<Labels>,
    /// What it costs an hour.
    pub price_per_hour: Microdollars,
    /// What this attempt ordered; none where the provider chooses. It is durable before the order, and changes only with
    /// the attempt: a provider that is asked again is asked for the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<Offer>,
    /// When its record was made.
    pub created: Timestamp,
    /// How far it is.
    pub phase: Phase,
    /// What keeps new rooms away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// That it was declared lost; its rooms are placed elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<Lost>,
    /// Which token its agent reports with.
    #[serde(default, skip_serializing_if = "AgentToken::is_first")]
    pub token: AgentToken,
    /// External servers only: that its drain has ended and `server.left` was told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub left: bool,
}

impl ServerRecord {
    /// Whether it was adopted and not heard since: nobody knows who is on it, nor whether it ever will serve.
    pub fn is_adopted_unheard(&self) -> bool {
        // A registered server has no instance, and a launched one a deadline.
        let has_no_deadline = matches!(&self.phase, Phase::Booting(booting) if booting.deadline.is_none());
        has_no_deadline && self.instance.is_some()
    }
}

/// Which of a server's tokens counts. They are numbered; whoever holds the installation's key makes and checks them, so that none is
/// kept here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentToken {
    /// The newest one's number.
    pub generation: u32,
    /// Whether the newest one was used; until then the one before it counts too, since the answer that brought the newest may have
    /// been lost.
    pub is_taken: bool,
}

impl AgentToken {
    /// Returns whether a token of this number counts. A later one than the newest was made after the store was saved of which this
    /// is a copy.
    pub fn accepts(self, generation: u32) -> bool {
        generation >= self.generation || (!self.is_taken && Some(generation) == self.generation.checked_sub(1))
    }

    fn is_first(&self) -> bool {
        *self == AgentToken::default()
    }
}

/// How far a server is. It only moves down this list, and `Terminating` is irreversible.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The intent to launch is durable; the provider has not answered yet.
    Requested(Requested),
    /// The provider has named an instance, which does not run yet.
    Launching(Launching),
    /// It runs, and has not yet shown that it serves.
    Booting(Booting),
    /// It has shown that it serves.
    Ready(Ready),
    /// It was launched and never became ready: it is being examined, and then ended or kept.
    Failed(Failed),
    /// It is being ended; the record goes when the provider has confirmed that nothing is left.
    Terminating(Terminating),
}

/// See [`Phase::Requested`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Requested {
    /// Since when.
    pub since: Timestamp,
}

/// See [`Phase::Launching`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Launching {
    /// When the provider answered.
    pub since: Timestamp,
    /// When it counts as failed.
    pub deadline: Timestamp,
}

/// See [`Phase::Booting`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Booting {
    /// When it was launched, registered or adopted.
    pub since: Timestamp,
    /// When it counts as failed; none for external servers, which cost nothing here, and adopted ones, on which people may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
}

/// See [`Phase::Ready`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ready {
    /// Since when.
    pub since: Timestamp,
}

/// See [`Phase::Failed`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failed {
    /// Since when.
    pub since: Timestamp,
    /// Why, for people.
    pub reason: String,
    /// How far it had come.
    pub last_phase: BootPhase,
    /// Whether its instance has ended by itself, as far as its provider's word is known: then there is nothing to keep.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_ended: bool,
    /// Whether it stays until an operator removes it, to be looked at. Otherwise it is ended once its provider has said what it
    /// finds.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_kept: bool,
}

/// How far a server had come that never became ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BootPhase {
    /// See [`Phase::Launching`].
    Launching,
    /// See [`Phase::Booting`].
    Booting,
}

/// See [`Phase::Terminating`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Terminating {
    /// Since when.
    pub since: Timestamp,
    /// Why, for people.
    pub reason: String,
}

impl Phase {
    /// Returns the phase's word, as the API shows it.
    pub fn word(&self) -> &'static str {
        match self {
            Phase::Requested(_) => "requested",
            Phase::Launching(_) => "launching",
            Phase::Booting(_) => "booting",
            Phase::Ready(_) => "ready",
            Phase::Failed(_) => "failed",
            Phase::Terminating(_) => "terminating",
        }
    }

    /// Returns when the server came into this phase.
    pub fn since(&self) -> Timestamp {
        match self {
            Phase::Requested(p) => p.since,
            Phase::Launching(p) => p.since,
            Phase::Booting(p) => p.since,
            Phase::Ready(p) => p.since,
            Phase::Failed(p) => p.since,
            Phase::Terminating(p) => p.since,
        }
    }

    /// Whether the server is on its way to `ready`.
    pub fn is_starting(&self) -> bool {
        matches!(self, Phase::Requested(_) | Phase::Launching(_) | Phase::Booting(_))
    }

    /// Whether the server is `ready`.
    pub fn is_ready(&self) -> bool {
        matches!(self, Phase::Ready(_))
    }

    /// Whether the server counts against `servers_max`: from `requested` to `ready`.
    pub fn counts(&self) -> bool {
        self.is_starting() || self.is_ready()
    }
}

/// What keeps new rooms away from a server. A drain never moves a room.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// It stays, without new rooms.
    Cordoned(Cordoned),
    /// It goes when empty, or at the deadline.
    Draining(Draining),
}

/// See [`Hold::Cordoned`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cordoned {
    /// Who ordered it.
    pub owner: HoldOwner,
    /// Why, for people.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
    /// When it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// See [`Hold::Draining`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Draining {
    /// Who ordered it.
    pub owner: HoldOwner,
    /// Why, for people.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
    /// When its rooms end with it; none waits for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
}

impl Hold {
    /// Returns the hold's word, as the API shows it.
    pub fn word(&self) -> &'static str {
        match self {
            Hold::Cordoned(_) => "cordoned",
            Hold::Draining(_) => "draining",
        }
    }

    /// Returns who ordered it.
    pub fn owner(&self) -> HoldOwner {
        match self {
            Hold::Cordoned(hold) => hold.owner,
            Hold::Draining(hold) => hold.owner,
        }
    }

    /// Returns why, for people.
    pub fn reason(&self) -> &str {
        match self {
            Hold::Cordoned(hold) => &hold.reason,
            Hold::Draining(hold) => &hold.reason,
        }
    }

    /// Returns since when.
    pub fn since(&self) -> Timestamp {
        match self {
            Hold::Cordoned(hold) => hold.since,
            Hold::Draining(hold) => hold.since,
        }
    }
}

/// Who ordered a hold. Only its owner or an admin lifts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldOwner {
    /// An admin, or whoever registered the server.
    Operator,
    /// A policy's scale-down; the fleet resumes such servers before it launches new ones.
    Policy,
    /// The server itself: it shuts down.
    Server,
    /// The cloud's notice that it takes the server away.
    Spot,
    /// The fleet itself, for the server's health.
    Health,
}

impl HoldOwner {
    /// Returns the owner's word, as the API shows it.
    pub fn word(self) -> &'static str {
        match self {
            HoldOwner::Operator => "operator",
            HoldOwner::Policy => "policy",
            HoldOwner::Server => "server",
            HoldOwner::Spot => "spot",
            HoldOwner::Health => "health",
        }
    }
}

/// That a server was declared lost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lost {
    /// Since when.
    pub since: Timestamp,
    /// What two witnesses said, for people.
    pub reason: String,
}

/// How a server does, as far as is known. Volatile but for `Lost`: after a start no server is silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// Nothing was heard yet.
    Unknown,
    /// A sign came lately.
    Ok,
    /// No sign for a while.
    Silent {
        /// Since when.
        since: Timestamp,
    },
    /// Declared lost.
    Lost,
}

impl Health {
    /// Returns the health's word, as the API shows it.
    pub fn word(self) -> &'static str {
        match self {
            Health::Unknown => "unknown",
            Health::Ok => "ok",
            Health::Silent { .. } => "silent",
            Health::Lost => "lost",
        }
    }
}
