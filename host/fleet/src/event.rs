//! What has happened, as those who follow are told. An event carries the thing itself and why, in one flat JSON object.

mod kind;

use serde::{Deserialize, Serialize};

use crate::config::Offer;
use crate::ids::{PlacementNo, PoolName, RoomId, ServerName, Tenant};
use crate::server::BootPhase;
use crate::units::{Microdollars, Timestamp};

/// Something that happened, and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When, in the fleet's time. The API shows it as RFC 3339.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happened; the JSON's `type` is the public name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum What {
    /// A room has its server.
    #[serde(rename = "room.placed")]
    RoomPlaced(RoomPlaced),
    /// A room waits for capacity.
    #[serde(rename = "room.waiting")]
    RoomWaiting(RoomWaiting),
    /// A room of a lost server has another one; told also when it begins to move, without `to`.
    #[serde(rename = "room.moved")]
    RoomMoved(RoomMoved),
    /// A room has ended.
    #[serde(rename = "room.released")]
    RoomReleased(RoomEnded),
    /// A room has waited too long.
    #[serde(rename = "room.expired")]
    RoomExpired(RoomEnded),
    /// Nothing was heard of a room for long; it is released next.
    #[serde(rename = "room.stale")]
    RoomStale(RoomEnded),
    /// A server reports a room that nobody asked for.
    #[serde(rename = "room.unknown")]
    RoomUnknown(RoomUnknown),
    /// A server reported a room, and reports it no more.
    #[serde(rename = "room.unreported")]
    RoomUnreported(RoomEnded),
    /// A room could not be placed on a server that was launched for it; it counts no longer as demand.
    #[serde(rename = "room.unplaceable")]
    RoomUnplaceable(RoomWaiting),
    /// A launch is intended.
    #[serde(rename = "server.requested")]
    ServerRequested(ServerEvent),
    /// A server takes rooms.
    #[serde(rename = "server.ready")]
    ServerReady(ServerEvent),
    /// No sign came from a server for a while.
    #[serde(rename = "server.silent")]
    ServerSilent(ServerEvent),
    /// A silent or lost server shows life again.
    #[serde(rename = "server.recovered")]
    ServerRecovered(ServerEvent),
    /// A server was declared lost; its rooms are placed elsewhere.
    #[serde(rename = "server.lost")]
    ServerLost(ServerEvent),
    /// A server takes no new rooms, and stays.
    #[serde(rename = "server.cordoned")]
    ServerCordoned(ServerEvent),
    /// A server takes no new rooms, and goes when empty.
    #[serde(rename = "server.draining")]
    ServerDraining(ServerEvent),
    /// A server takes rooms again.
    #[serde(rename = "server.uncordoned")]
    ServerUncordoned(ServerEvent),
    /// An external server's drain has ended; whoever made it may end it.
    #[serde(rename = "server.left")]
    ServerLeft(ServerEvent),
    /// A launched server never became ready, or the launch was refused.
    #[serde(rename = "server.failed")]
    ServerFailed(ServerFailed),
    /// A server is being ended.
    #[serde(rename = "server.terminating")]
    ServerTerminating(ServerEvent),
    /// The provider has confirmed that nothing is left of a server; or an external one was deleted.
    #[serde(rename = "server.terminated")]
    ServerTerminated(ServerEvent),
    /// An instance of this fleet exists that no record knows.
    #[serde(rename = "server.unknown")]
    ServerUnknown(ServerEvent),
    /// An instance that this installation launched after its store was saved is in the books again.
    #[serde(rename = "server.adopted")]
    ServerAdopted(ServerEvent),
    /// An instance that this installation launched and no record knows is ended.
    #[serde(rename = "server.reaped")]
    ServerReaped(ServerEvent),
    /// An external pool should have more servers.
    #[serde(rename = "scale.wanted")]
    ScaleWanted(ScaleWanted),
    /// An external pool could have fewer servers.
    #[serde(rename = "scale.unwanted")]
    ScaleUnwanted(ScaleWanted),
    /// A guard stood in a policy's way.
    #[serde(rename = "scale.refused")]
    ScaleRefused(ScaleRefused),
    /// Too many boots failed: no launches for a while.
    #[serde(rename = "scale.circuit_opened")]
    CircuitOpened(PoolEvent),
    /// Launches are let through again.
    #[serde(rename = "scale.circuit_closed")]
    CircuitClosed(PoolEvent),
    /// Too many servers are silent at once: nobody is declared lost, nothing is scaled down.
    #[serde(rename = "scale.frozen")]
    Frozen(FreezeEvent),
    /// That is over.
    #[serde(rename = "scale.thawed")]
    Thawed(FreezeEvent),
    /// The fleet's price nears a ceiling.
    #[serde(rename = "scale.budget_near")]
    BudgetNear(BudgetNear),
    /// A pool's scaling was switched on or off.
    #[serde(rename = "scale.switched")]
    ScalingSwitched(PoolEvent),
    /// A pool's provider does not say what exists: what ends behind our back goes unseen.
    #[serde(rename = "scale.list_failed")]
    ListFailed(PoolEvent),
    /// It says so again.
    #[serde(rename = "scale.list_recovered")]
    ListRecovered(PoolEvent),
    /// A policy's version serves now.
    #[serde(rename = "policy.loaded")]
    PolicyLoaded(PolicyEventBody),
    /// A file in the folder was refused.
    #[serde(rename = "policy.refused")]
    PolicyRefused(PolicyEventBody),
    /// A policy faulted.
    #[serde(rename = "policy.fault")]
    PolicyFault(PolicyEventBody),
    /// A version is not asked any more.
    #[serde(rename = "policy.quarantined")]
    PolicyQuarantined(PolicyEventBody),
    /// An earlier version serves again.
    #[serde(rename = "policy.rolled_back")]
    PolicyRolledBack(PolicyEventBody),
    /// A policy's file is gone.
    #[serde(rename = "policy.removed")]
    PolicyRemoved(PolicyEventBody),
    /// The webhook's receiver has not taken what happened a while ago.
    #[serde(rename = "webhook.behind")]
    WebhookBehind(WebhookLag),
    /// It has taken it by now.
    #[serde(rename = "webhook.caught_up")]
    WebhookCaughtUp(WebhookLag),
}

/// A room's new home.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the glossary's words")]
pub struct RoomPlaced {
    pub room: RoomId,
    pub placement: PlacementNo,
    pub server: ServerName,
    pub pool: PoolName,
    pub seats: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Tenant>,
    /// How long it waited, in seconds.
    pub waited_seconds: u32,
    pub policy: std::sync::Arc<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A room in the queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the glossary's words")]
pub struct RoomWaiting {
    pub room: RoomId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seats: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Tenant>,
    pub reason: String,
}

/// A room that lost its server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the glossary's words")]
pub struct RoomMoved {
    pub room: RoomId,
    pub from: ServerName,
    /// The new home; none while it waits for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<ServerName>,
    /// Where clients reach the new home, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The new placement, or the one that ended.
    pub placement: PlacementNo,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Tenant>,
    pub reason: String,
}

/// A room that only its server knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the glossary's words")]
pub struct RoomUnknown {
    pub room: RoomId,
    pub server: ServerName,
    pub pool: PoolName,
    pub participants: u32,
    pub reason: String,
}

/// A room's end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the glossary's words")]
pub struct RoomEnded {
    pub room: RoomId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<PlacementNo>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Tenant>,
    pub reason: String,
}

/// A server, at the time of the event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the glossary's words")]
pub struct ServerEvent {
    pub server: ServerName,
    pub pool: PoolName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// What was ordered; none where the provider chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<Offer>,
    pub price_per_hour: Microdollars,
    /// Rooms on it.
    pub rooms: u32,
    pub reason: String,
}

/// A server that never served.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the glossary's words")]
pub struct ServerFailed {
    #[serde(flatten)]
    pub server: ServerEvent,
    /// How far it had come; none where nothing was launched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_phase: Option<BootPhase>,
    /// The end of what it wrote on its console, or why that could not be read; none where its provider has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub console: Option<String>,
    /// Whether it stays to be looked at, after the pool's `keep_failed_servers`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_kept: bool,
}

impl From<ServerEvent> for ServerFailed {
    /// One of which nothing was launched, or nothing more is known.
    fn from(server: ServerEvent) -> ServerFailed {
        ServerFailed {
            server,
            last_phase: None,
            console: None,
            is_kept: false,
        }
    }
}

/// An external pool's level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the glossary's words")]
pub struct ScaleWanted {
    pub pool: PoolName,
    pub servers_wanted: u32,
    pub before: u32,
    /// What one server of the pool costs.
    pub price_per_hour: Microdollars,
    /// Which servers may go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<ServerName>,
    pub policy: std::sync::Arc<str>,
    pub reason: String,
}

/// A guard's no.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the glossary's words")]
pub struct ScaleRefused {
    pub pool: PoolName,
    pub policy: std::sync::Arc<str>,
    /// How many servers were asked for.
    pub asked: u32,
    /// How many were granted.
    pub granted: u32,
    /// Which guard.
    pub code: String,
    /// What would be ordered next; none where nothing can be, or the provider chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<Offer>,
    /// What one server of the pool costs, or that offer.
    pub price_per_hour: Microdollars,
    pub reason: String,
}

/// A pool, at the time of the event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the glossary's words")]
pub struct PoolEvent {
    pub pool: PoolName,
    /// The server that brought it about, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerName>,
    /// What was ordered for that server; none where the provider chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<Offer>,
    /// What that server costs, or one of the pool.
    #[serde(default)]
    pub price_per_hour: Microdollars,
    pub reason: String,
}

/// The freeze: how many of how many are silent; in one pool, or in the fleet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the glossary's words")]
pub struct FreezeEvent {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolName>,
    pub silent: u32,
    pub servers: u32,
    pub reason: String,
}

/// The fleet's price beside its ceiling.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the glossary's words")]
pub struct BudgetNear {
    /// Which ceiling, by its key.
    pub key: String,
    pub used: Microdollars,
    pub max: Microdollars,
    #[serde(default)]
    pub reason: String,
}

/// Something that happened to a policy, by kind; the fleet passes it on as an event.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "see the variants of What")]
pub enum PolicyEvent {
    Loaded(PolicyEventBody),
    Refused(PolicyEventBody),
    Fault(PolicyEventBody),
    Quarantined(PolicyEventBody),
    RolledBack(PolicyEventBody),
    Removed(PolicyEventBody),
}

impl From<PolicyEvent> for What {
    fn from(event: PolicyEvent) -> What {
        match event {
            PolicyEvent::Loaded(body) => What::PolicyLoaded(body),
            PolicyEvent::Refused(body) => What::PolicyRefused(body),
            PolicyEvent::Fault(body) => What::PolicyFault(body),
            PolicyEvent::Quarantined(body) => What::PolicyQuarantined(body),
            PolicyEvent::RolledBack(body) => What::PolicyRolledBack(body),
            PolicyEvent::Removed(body) => What::PolicyRemoved(body),
        }
    }
}

/// A policy's file and version, and what happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the glossary's words")]
pub struct PolicyEventBody {
    pub policy: std::sync::Arc<str>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub version: std::sync::Arc<str>,
    /// The wasm's sha256, in hex.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub sha256: std::sync::Arc<str>,
    /// The step that failed, or the decision that faulted.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub step: String,
    pub reason: String,
}

/// Something that happened to the webhook, by kind; the fleet passes it on as an event.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "see the variants of What")]
pub enum WebhookEvent {
    Behind(WebhookLag),
    CaughtUp(WebhookLag),
}

impl From<WebhookEvent> for What {
    fn from(event: WebhookEvent) -> What {
        match event {
            WebhookEvent::Behind(lag) => What::WebhookBehind(lag),
            WebhookEvent::CaughtUp(lag) => What::WebhookCaughtUp(lag),
        }
    }
}

/// How far behind the webhook is, or was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WebhookLag {
    /// Whom it calls: the URL without its path, which may hold a secret.
    pub receiver: String,
    /// The age of the oldest event that the receiver has not taken, or how long it was behind.
    pub lag_seconds: u64,
    /// What came of the last call.
    pub reason: String,
}
