//! What clients ask of the fleet, and what they are answered. A lawful no is a [`Rejection`], not an error.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::{Labels, Limits};
use crate::ids::{PlacementNo, PoolName, RoomId, ServerName, ServerNo, Tenant};
use crate::room::RoomWish;
use crate::status::{RoomStatus, ServerStatus};

/// What a client asks.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Place a room, or find it where it is. Answered by [`Reply::Room`].
    PlaceRoom(PlaceRoom),
    /// Say what really came, or change the seats. Answered by [`Reply::Room`].
    UpdateRoom(UpdateRoom),
    /// Release a room. Idempotent; answered by [`Reply::Done`], always.
    ReleaseRoom(ReleaseRoom),
    /// Say that a room could not be created on its server. It is placed elsewhere, and the server is blamed. Answered by
    /// [`Reply::Room`].
    FailRoom(FailRoom),
    /// Register an external server, or describe it anew. Answered by [`Reply::Server`].
    RegisterServer(RegisterServer),
    /// Put or lift a hold. Legal in every phase but `terminating`. Answered by [`Reply::Server`].
    HoldServer(HoldServer),
    /// End a server, or forget an external one. Refused while rooms are on it, unless forced. Answered by [`Reply::Done`].
    RemoveServer(RemoveServer),
    /// Declare a server lost. Answered by [`Reply::Server`].
    DeclareLost(DeclareLost),
    /// Switch a pool's scaling by policies on or off. Answered by [`Reply::Done`].
    SetScaling(SetScaling),
    /// Revoke a server's tokens, and number the next one. Answered by [`Reply::Token`].
    RenewToken(ServerName),
    /// Use a server's token. Answered by [`Reply::Token`]: the one to use from now on.
    UseToken(TokenNo),
}

/// Names one token of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenNo {
    /// The server.
    pub server: ServerName,
    /// The fleet's number for it: another server of this name has other tokens.
    pub no: ServerNo,
    /// Which of its tokens.
    pub generation: u32,
}

/// See [`Command::PlaceRoom`].
#[derive(Debug, Clone, PartialEq)]
pub struct PlaceRoom {
    /// The room.
    pub room: RoomId,
    /// What it asks for.
    pub wish: RoomWish,
    /// The app's own lease, if it chose one.
    pub lease_seconds: Option<u32>,
}

/// See [`Command::UpdateRoom`].
#[derive(Debug, Clone, PartialEq)]
pub struct UpdateRoom {
    /// The room.
    pub room: RoomId,
    /// The tenant that the caller is bound to, if any.
    pub tenant: Option<Tenant>,
    /// How many are in it.
    pub participants: Option<u32>,
    /// More or fewer seats.
    pub seats: Option<u32>,
}

/// See [`Command::ReleaseRoom`].
#[derive(Debug, Clone, PartialEq)]
pub struct ReleaseRoom {
    /// The room.
    pub room: RoomId,
    /// The tenant that the caller is bound to, if any; another tenant's room is left alone.
    pub tenant: Option<Tenant>,
    /// Only this placement; a room that has been placed anew is left alone.
    pub placement: Option<PlacementNo>,
}

/// See [`Command::FailRoom`].
#[derive(Debug, Clone, PartialEq)]
pub struct FailRoom {
    /// The room.
    pub room: RoomId,
    /// The tenant that the caller is bound to, if any.
    pub tenant: Option<Tenant>,
    /// Only this placement; a room that has been placed anew stays where it is.
    pub placement: Option<PlacementNo>,
    /// What the media server said, for people.
    pub reason: String,
}

/// See [`Command::RegisterServer`].
#[derive(Debug, Clone, PartialEq)]
pub struct RegisterServer {
    /// The server.
    pub server: ServerName,
    /// Its pool; it must be `external`.
    pub pool: PoolName,
    /// Where clients reach it.
    pub url: String,
    /// Other addresses by name.
    pub endpoints: BTreeMap<String, String>,
    /// The zone it stands in.
    pub zone: Option<String>,
    /// What it holds, where that differs from its pool's.
    pub limits: Limits,
    /// Its own words, over its pool's.
    pub labels: Labels,
}

/// See [`Command::HoldServer`].
#[derive(Debug, Clone, PartialEq)]
pub struct HoldServer {
    /// The server.
    pub server: ServerName,
    /// Which hold.
    pub action: HoldAction,
    /// Why, for people.
    pub reason: Option<String>,
}

/// Which hold is put or lifted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldAction {
    /// No new rooms.
    Cordon,
    /// No new rooms, and it goes when empty, or after `deadline`.
    Drain {
        /// From now; `None` takes the pool's default.
        deadline: Option<Duration>,
    },
    /// Rooms may come again.
    Uncordon,
}

/// See [`Command::RemoveServer`].
#[derive(Debug, Clone, PartialEq)]
pub struct RemoveServer {
    /// The server.
    pub server: ServerName,
    /// Also with rooms on it.
    pub force: bool,
}

/// See [`Command::DeclareLost`].
#[derive(Debug, Clone, PartialEq)]
pub struct DeclareLost {
    /// The server.
    pub server: ServerName,
    /// Why, for people.
    pub reason: Option<String>,
}

/// See [`Command::SetScaling`].
#[derive(Debug, Clone, PartialEq)]
pub struct SetScaling {
    /// The pool.
    pub pool: PoolName,
    /// Whether policies may launch and retire there.
    pub enabled: bool,
}

/// What a command is answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// A room, and whether this command placed it.
    Room(RoomStatus, RoomOutcome),
    /// A server, and whether this command made it.
    Server(ServerStatus, ServerOutcome),
    /// It is so.
    Done,
    /// A server's token that counts.
    Token(TokenNo),
    /// A lawful no.
    Rejected(Rejection),
}

/// What a command did to a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomOutcome {
    /// It was placed now.
    Placed,
    /// It stood as it stands.
    Found,
    /// It waits.
    Waiting,
}

/// What a command did to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerOutcome {
    /// It was made now.
    Created,
    /// It was there.
    Found,
}

/// A lawful no, with a stable code for programs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// A policy refused the room.
    #[error("the policy {policy} refused the room: {reason}")]
    Rejected {
        /// Which policy.
        policy: String,
        /// In its words.
        reason: String,
    },
    /// The room belongs to another tenant.
    #[error("the room {0} belongs to another tenant")]
    RoomTaken(RoomId),
    /// The room's server has no room for more seats.
    #[error("{room} is on {server}, which has no room for {seats} seats")]
    DoesNotFit {
        /// The room.
        room: RoomId,
        /// Its server.
        server: ServerName,
        /// What was asked.
        seats: u32,
    },
    /// No pool could ever hold it.
    #[error("no pool that may take the room could ever hold it: it asks for {seats} seats and load {load}")]
    RoomTooLarge {
        /// What was asked.
        seats: u32,
        /// What was asked.
        load: u32,
    },
    /// No pool stands in that region.
    #[error("no pool is in the region {0:?}")]
    NoSuchRegion(String),
    /// No pool lets the room in, or has the labels that it requires.
    #[error("no pool lets this room in: its tenant, labels or required labels match none")]
    NoSuchPoolForRoom,
    /// Too many rooms wait.
    #[error("{0} rooms wait already; try again later")]
    QueueFull(u32),
    /// No such room.
    #[error("there is no room {0}")]
    NoSuchRoom(RoomId),
    /// No such server.
    #[error("there is no server {0}")]
    NoSuchServer(ServerName),
    /// No such pool.
    #[error("there is no pool {0}")]
    NoSuchPool(PoolName),
    /// The server is known in another pool.
    #[error("the server {server} is in the pool {pool}; a server cannot change its pool")]
    ServerInOtherPool {
        /// The server.
        server: ServerName,
        /// Its pool.
        pool: PoolName,
    },
    /// Servers of that pool are launched, not registered.
    #[error("the pool {0} launches its own servers; only external pools take registrations")]
    PoolNotExternal(PoolName),
    /// The server has rooms.
    #[error("{server} has {rooms} rooms, and reports {participants} participants; drain it first, or use force")]
    ServerHasRooms {
        /// The server.
        server: ServerName,
        /// How many, in the ledger or in its last report.
        rooms: u32,
        /// How many people its last report counts.
        participants: u32,
    },
    /// The token was revoked, or is another server's.
    #[error("this token of {0} does not count any more; give its agent a new one: POST /v1/servers/{0}/token")]
    TokenRevoked(ServerName),
    /// The server is being ended.
    #[error("{0} is being terminated, which cannot be undone")]
    ServerTerminating(ServerName),
    /// The fleet cannot take more servers.
    #[error("the fleet holds {0} servers, the most that it can")]
    FleetFull(u32),
}

impl Rejection {
    /// Returns the stable code, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Rejection::Rejected { .. } => "rejected",
            Rejection::RoomTaken(_) => "room_taken",
            Rejection::DoesNotFit { .. } => "does_not_fit",
            Rejection::RoomTooLarge { .. } => "room_too_large",
            Rejection::NoSuchRegion(_) => "no_such_region",
            Rejection::NoSuchPoolForRoom => "no_such_pool_for_room",
            Rejection::QueueFull(_) => "queue_full",
            Rejection::NoSuchRoom(_) => "no_such_room",
            Rejection::NoSuchServer(_) => "no_such_server",
            Rejection::NoSuchPool(_) => "no_such_pool",
            Rejection::ServerInOtherPool { .. } => "server_in_other_pool",
            Rejection::PoolNotExternal(_) => "pool_not_external",
            Rejection::ServerHasRooms { .. } => "server_has_rooms",
            Rejection::TokenRevoked(_) => "unauthenticated",
            Rejection::ServerTerminating(_) => "server_terminating",
            Rejection::FleetFull(_) => "fleet_full",
        }
    }
}
