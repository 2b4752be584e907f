//! What the world reports: providers' results, signs of life, policies' answers. Never refused, only heeded or not.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::advice::ScaleAnswer;
use crate::config::{FleetConfig, Offer};
use crate::event::{PolicyEvent, WebhookEvent};
use crate::ids::{Attempt, PlacementNo, PoolName, RoomId, ServerName, ServerNo};
use crate::units::Microdollars;

/// What the world reports.
#[derive(Debug, Clone, PartialEq)]
pub enum Observation {
    /// A provider answered a launch. Heeded in every phase: a late success is recorded and, if unwanted, ended.
    Launched(Launched),
    /// A provider answered a terminate: nothing is left under the key, or why that is not known.
    Terminated(Terminated),
    /// A provider listed what exists in a pool.
    Listed(Listed),
    /// A provider has looked at a server that never became ready.
    Examined(Examined),
    /// A probe of a server's URL ended.
    Probed(Probed),
    /// A server reported on itself.
    Reported(Reported),
    /// A scale policy answered.
    Scaled(ScaleAnswer),
    /// Something happened to a policy; it becomes an event.
    Policy(PolicyEvent),
    /// Something happened to the webhook; it becomes an event.
    Webhook(WebhookEvent),
    /// The chain of policies has changed: whatever waits is asked again.
    PoliciesChanged,
    /// The configuration was read anew.
    Configured(Box<FleetConfig>),
    /// The clock ran on without us (suspend, a stalled disk): silence and leases start anew.
    Gap,
}

/// Which launch of which server: the key of every order to a provider.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrderKey {
    /// The server.
    pub server: ServerName,
    /// Which launch of it.
    pub attempt: Attempt,
}

/// See [`Observation::Launched`].
#[derive(Debug, Clone, PartialEq)]
pub struct Launched {
    /// Which launch.
    pub key: OrderKey,
    /// Which order of this key was answered, as it said itself.
    pub nth: u32,
    /// What the provider made, or why not.
    pub result: Result<Instance, ProviderError>,
}

/// What a provider has under a key.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    /// The provider's own name for it.
    pub instance: String,
    /// How far it is.
    pub state: InstanceState,
    /// Where clients reach it, if the provider knows.
    pub url: Option<String>,
    /// Other addresses by name.
    pub endpoints: BTreeMap<String, String>,
    /// The zone that it came to.
    pub zone: Option<String>,
    /// What it really costs an hour, where that differs from the pool's price.
    pub price_per_hour: Option<Microdollars>,
}

/// How far an instance is, in its provider's eyes; of several under one key the one that comes first here counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstanceState {
    /// It will run.
    Pending,
    /// It runs; that does not mean that it serves.
    Running,
    /// Somebody has stopped it: it serves nobody and is still there, with what its disks cost.
    Stopped,
    /// It has ended, or is ending.
    Ended,
}

/// Says why a provider did not do what it was asked, by what to do next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// Refused for good: nothing exists under the key and nothing will. Ends the record.
    #[error("refused: {0}")]
    Refused(String),
    /// Nothing exists under the key; another offer, or a later time, may do.
    #[error("no capacity: {0}")]
    NoCapacity(String),
    /// Nothing exists under the key; the offer's zone has no addresses left, whatever the machine.
    #[error("no addresses: {0}")]
    NoAddresses(String),
    /// This call has made nothing, and only a human can help: stop and alarm. Of an earlier call with the key it says nothing.
    #[error("{0}")]
    Misconfigured(String),
    /// Not known: it may exist. Ask again with the same key; never move on.
    #[error("outcome unknown: {0}")]
    Unknown(String),
}

/// See [`Observation::Terminated`].
#[derive(Debug, Clone, PartialEq)]
pub struct Terminated {
    /// Which launch.
    pub key: OrderKey,
    /// `Ok` when nothing is left under the key.
    pub result: Result<(), ProviderError>,
}

/// See [`Observation::Examined`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined {
    /// Which launch.
    pub key: OrderKey,
    /// What was found.
    pub evidence: Evidence,
}

/// What a provider knows of a server that never became ready. All of it is for people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Why its instance has ended by itself; none where it has not, or nobody can say.
    pub cause: Option<String>,
    /// The end of what it wrote on its console, or why that could not be read.
    pub console: Option<String>,
}

/// See [`Observation::Listed`].
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// The pool.
    pub pool: PoolName,
    /// When the list was asked for: a server launched since may be missing from it rightly.
    pub asked: crate::units::Timestamp,
    /// All that exists under this fleet's name in the pool, or why that is not known.
    pub result: Result<Vec<Found>, ProviderError>,
}

/// An instance in a provider's list.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Which launch of which server it says that it is.
    pub key: OrderKey,
    /// What there is.
    pub instance: Instance,
    /// Who launched it.
    pub owner: Owner,
    /// Whether somebody has marked it to be kept, whatever we think of it.
    pub is_kept: bool,
    /// Which of the pool's offers it is; none where its provider cannot say, or the pool has it no more.
    pub offer: Option<Offer>,
}

/// Who launched an instance that carries the fleet's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// This installation, for the server of this number.
    Us(ServerNo),
    /// Another installation with the fleet's name: perhaps this one before it lost its data folder.
    Another,
    /// Its provider cannot say.
    Unknown,
}

impl Found {
    /// Returns what it costs an hour, as far as its provider or its offer says.
    pub fn price_per_hour(&self) -> Option<Microdollars> {
        let offered = self.offer.as_ref().map(|offer| offer.price_per_hour);
        self.instance.price_per_hour.or(offered)
    }
}

impl From<(OrderKey, Instance)> for Found {
    /// For providers that cannot say who launched it.
    fn from((key, instance): (OrderKey, Instance)) -> Found {
        Found {
            key,
            instance,
            owner: Owner::Unknown,
            is_kept: false,
            offer: None,
        }
    }
}

/// See [`Observation::Probed`].
#[derive(Debug, Clone, PartialEq)]
pub struct Probed {
    /// The server.
    pub server: ServerName,
    /// The URL that was probed; an answer for an old one is not heeded.
    pub url: String,
    /// Whether it answered well, or why not.
    pub result: Result<(), String>,
}

/// See [`Observation::Reported`]. Only what was reported is there: no data is not zero.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// CPU in thousandths of all cores.
    pub cpu_permille: Option<u32>,
    /// Outgoing traffic.
    pub egress_kbps: Option<u32>,
    /// Packet loss in thousandths.
    pub loss_permille: Option<u32>,
    /// Participants over all rooms.
    pub participants: Option<u32>,
    /// The rooms that are alive; `None` where the server cannot tell.
    pub rooms: Option<Vec<ReportedRoom>>,
    /// More numbers by name. Each stands until a report has another value for it, or its server is gone: one that is left out is
    /// not taken back. A server has at most 64; further names are not taken in.
    pub figures: BTreeMap<Arc<str>, u32>,
    /// Where clients reach it; it counts where neither its pool nor its provider has said.
    pub url: Option<String>,
    /// That it takes no new rooms any more: it is about to shut down.
    pub draining: bool,
    /// In how many seconds its cloud takes the machine away (a spot instance's notice).
    pub taken_away_seconds: Option<u32>,
}

/// A room as its server sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportedRoom {
    /// The room.
    pub room: RoomId,
    /// Which placement of it, if the server knows.
    pub placement: Option<PlacementNo>,
    /// How many are in it.
    pub participants: u32,
    /// What it costs in the operator's unit.
    pub load: Option<u32>,
}

/// A report, with the server that it is from.
#[derive(Debug, Clone, PartialEq)]
pub struct Reported {
    /// The server.
    pub server: ServerName,
    /// What it says.
    pub report: Report,
}
