//! Snapshots of rooms, servers and pools, owned, for whoever asks from outside.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::{Labels, Limits, Offer};
use crate::decision::DecisionNote;
use crate::ids::{Attempt, PlacementNo, PoolName, RoomId, ServerName, ServerNo, Tenant};
use crate::server::{AgentToken, Health, Hold, Phase};
use crate::units::{Microdollars, Timestamp};

/// A room, as its app sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct RoomStatus {
    /// Its name.
    pub room: RoomId,
    /// Where it stands.
    pub place: RoomPlace,
    /// Reserved seats; while it waits what it asked for, if it said.
    pub seats: Option<u32>,
    /// Reserved load, likewise.
    pub load: Option<u32>,
    /// Who is in it, as far as was reported.
    pub participants: Option<u32>,
    /// To whom it belongs.
    pub tenant: Option<Tenant>,
    /// The region that it asked for.
    pub region: Option<String>,
    /// When it was first asked for.
    pub created: Timestamp,
}

/// Where a room stands.
#[derive(Debug, Clone, PartialEq)]
pub enum RoomPlace {
    /// On a server.
    Placed {
        /// Which.
        server: Arc<ServerCard>,
        /// Which placement.
        placement: PlacementNo,
        /// When.
        at: Timestamp,
        /// Who decided it.
        decision: DecisionNote,
    },
    /// In the queue, for the first time or because its server was lost.
    Waiting {
        /// The server that was lost, and the placement that ended with it, if it is moving.
        moving: Option<(ServerName, PlacementNo)>,
        /// Since when.
        since: Timestamp,
        /// Its place in the queue, from 1.
        position: u32,
        /// What it waits for.
        waiting_for: WaitingFor,
        /// How long that may take; `None` = not known.
        expected_seconds: Option<u32>,
    },
}

/// What a waiting room waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitingFor {
    /// A server that could hold it is starting.
    Boot,
    /// Room on a server, or a launch.
    Capacity,
    /// A guard lets no server be launched.
    Limit,
    /// No pool that could hold it launches servers: somebody must.
    NobodyLaunches,
}

impl WaitingFor {
    /// Returns the stable word.
    pub fn word(self) -> &'static str {
        match self {
            WaitingFor::Boot => "boot",
            WaitingFor::Capacity => "capacity",
            WaitingFor::Limit => "limit",
            WaitingFor::NobodyLaunches => "nobody_launches",
        }
    }
}

/// What an app is told of a server. Made anew when the server changes, shared by all rooms on it.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerCard {
    /// Its name.
    pub name: ServerName,
    /// Its pool.
    pub pool: PoolName,
    /// Its pool's region.
    pub region: String,
    /// The zone it stands in.
    pub zone: Option<String>,
    /// Where clients reach it.
    pub url: Option<String>,
    /// Other addresses by name.
    pub endpoints: BTreeMap<String, String>,
    /// Its words.
    pub labels: Labels,
}

/// A server, as an operator sees it.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the glossary's words")]
pub struct ServerStatus {
    pub card: Arc<ServerCard>,
    pub no: ServerNo,
    pub attempt: Attempt,
    pub token: AgentToken,
    pub instance: Option<String>,
    pub offer: Option<Box<Offer>>,
    pub phase: Phase,
    pub hold: Option<Hold>,
    pub health: Health,
    pub limits: Limits,
    pub price_per_hour: Microdollars,
    pub created: Timestamp,
    /// What the ledger counts.
    pub rooms: u32,
    pub seats: u32,
    pub load: u32,
    /// When the newest report came.
    pub reported: Option<Timestamp>,
    pub participants: Option<u32>,
    pub cpu_permille: Option<u32>,
    pub egress_kbps: Option<u32>,
    pub loss_permille: Option<u32>,
    /// Rooms in its last report that the ledger does not know.
    pub rooms_unknown: u32,
    /// External servers: that its drain has ended.
    pub left: bool,
}

/// A pool, as an operator sees it.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the glossary's words")]
pub struct PoolStatus {
    pub name: PoolName,
    pub provider: String,
    pub region: String,
    pub automatic: bool,
    /// Gone from the config file: takes no rooms, launches nothing.
    pub retired: bool,
    pub scaling_enabled: bool,
    pub servers_starting: u32,
    pub servers_ready: u32,
    pub servers_held: u32,
    pub servers_silent: u32,
    pub servers_ending: u32,
    pub servers_min: u32,
    pub servers_max: u32,
    pub servers_wanted: Option<u32>,
    pub rooms: u32,
    pub seats: u32,
    pub load: u32,
    pub rooms_free: Option<u32>,
    pub seats_free: Option<u32>,
    pub circuit_open_until: Option<Timestamp>,
    pub frozen: bool,
    pub launchable: u32,
    pub retirable: u32,
    /// What stands in the way of launching; empty = nothing.
    pub code: &'static str,
    pub boot_seconds: Option<u32>,
    pub price_per_hour: Microdollars,
    pub bill: PoolCost,
}

/// What a pool costs.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PoolCost {
    /// What its servers cost an hour now.
    pub per_hour: Microdollars,
    /// Since midnight UTC.
    pub today: Microdollars,
    /// Since the first of the month, UTC.
    pub month: Microdollars,
}
