//! What the operator has decided, resolved: no default is left to be found here.
//!
//! Reading and checking the file is the host's; [`FleetConfig`] is handed over whole and replaced whole.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{PoolName, ServerName};
use crate::units::Microdollars;

/// Words that operators and apps attach to pools, servers and rooms.
pub type Labels = BTreeMap<String, String>;

/// All that the fleet needs to know of the configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct FleetConfig {
    /// The guards over the whole fleet.
    pub guards: FleetGuards,
    /// The pools, in the order of the file.
    pub pools: Vec<PoolConfig>,
    /// How often the scale decisions are asked for.
    pub tick: Duration,
    /// How often each provider is asked what really exists.
    pub reconcile: Duration,
    /// With figures for so long, a room counts known × 1.25 instead of what it reserved; zero turns that off.
    pub settle: Duration,
    /// A room that reports nobody in it for so long is released.
    pub room_empty: Duration,
    /// A room of which nothing was heard for so long is told as stale, then released.
    pub room_silence_max: Duration,
    /// A reporting or probed server is silent after so long without a sign.
    pub silent_after: Duration,
    /// A silent server may be declared lost after so long, with a second witness.
    pub lost_after: Duration,
    /// A lost server is terminated after so long without any sign.
    pub lost_terminate: Duration,
}

/// Ceilings over the whole fleet; no pool lifts them.
#[derive(Debug, Clone, PartialEq)]
pub struct FleetGuards {
    /// Servers from `requested` to `ready`.
    pub servers_max: u32,
    /// What all that may be billed costs an hour.
    pub price_per_hour_max: Option<Microdollars>,
    /// What a calendar month (UTC) may cost.
    pub price_per_month_max: Option<Microdollars>,
    /// Rooms that wait at the same time.
    pub waiting_rooms_max: u32,
    /// The longest that a room waits.
    pub waiting_max: Duration,
    /// So much of a pool or the fleet silent at once is our own problem, in percent.
    pub freeze_silent_percent: u32,
}

/// Servers of one kind.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolConfig {
    /// The pool's name.
    pub name: PoolName,
    /// Whether Usher launches and ends its servers; false where somebody else does (`external`).
    pub automatic: bool,
    /// The provider's word in the config file, for people.
    pub provider: String,
    /// Where the servers stand.
    pub region: String,
    /// The zones in the region, if they matter.
    pub zones: Vec<String>,
    /// The type of machine, for people and policies.
    pub instance_type: String,
    /// `on-demand` or `spot`; empty where that means nothing.
    pub market: String,
    /// What one server holds, unless it says otherwise when it registers.
    pub limits: Limits,
    /// Seats of a room that does not say.
    pub seats_default: u32,
    /// What one server costs an hour.
    pub price_per_hour: Microdollars,
    /// Words that every server of the pool carries.
    pub labels: Labels,
    /// Which rooms may come here: for each key (`tenant`, or a label of the room) the values that are let in. Empty: all.
    pub only: BTreeMap<String, Vec<String>>,
    /// How the health of its servers is known.
    pub health: HealthSource,
    /// A launched server's URL with `{server}` in it; none where the provider's answer has the URL.
    pub url: Option<String>,
    /// What may be ordered, the preferred first; empty where the provider chooses.
    pub offers: Vec<Offer>,
    /// Whether rooms with people in them that a server reports and nobody asked for are taken into the books.
    pub adopt_rooms: bool,
    /// Whether rooms that their server reported, and reports no more, are released after `room_empty`.
    pub release_unreported_rooms: bool,
    /// Whether its provider can say why a server never became ready.
    pub leaves_evidence: bool,
    /// How many servers that never became ready are kept to be looked at.
    pub keep_failed_servers: u32,
    /// The pool's guards.
    pub guards: PoolGuards,
}

impl PoolConfig {
    /// Returns the URL of a launched server, where the pool and not its provider says it.
    pub fn url_of(&self, server: &ServerName) -> Option<String> {
        let url = self.url.as_ref()?;
        Some(url.replace("{server}", server.as_str()))
    }
}

/// A machine that a provider offers, and its price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The type of machine.
    pub instance_type: String,
    /// `on-demand` or `spot`.
    pub market: String,
    /// Where it would stand.
    pub zone: String,
    /// What it costs an hour.
    pub price_per_hour: Microdollars,
}

/// The most that a server holds; `None` where a figure does not limit it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Rooms.
    pub rooms_max: Option<u32>,
    /// Seats over all rooms.
    pub seats_max: Option<u32>,
    /// Load over all rooms, in the operator's unit.
    pub load_max: Option<u32>,
}

/// How the fleet learns that a server lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthSource {
    /// An agent beside the server, or the server itself, reports.
    Report,
    /// Usher probes the server's URL (`tcp` or `http`).
    Probe,
    /// Nobody looks; the provider's word counts.
    None,
}

/// The guards of one pool.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolGuards {
    /// The fleet keeps so many servers itself.
    pub servers_min: u32,
    /// Never more servers than this, from `requested` to `ready`.
    pub servers_max: u32,
    /// Launches not yet answered.
    pub launches_in_flight_max: u32,
    /// Launches started within a minute.
    pub launches_per_minute_max: u32,
    /// Drains that policies began on servers with rooms; `None` is max(1, 10 %).
    pub drains_in_flight_max: Option<u32>,
    /// The least life of a server, from `ready`, before a policy may take it down.
    pub server_life_min: Duration,
    /// The least time between two launches asked by policies.
    pub scale_up_cooldown: Duration,
    /// The least time between two retirements asked by policies.
    pub scale_down_cooldown: Duration,
    /// Failed boots that open the circuit.
    pub boot_failures_max: u32,
    /// Boots that are looked at for that.
    pub boot_failures_window: u32,
    /// From launch to ready.
    pub boot_max: Duration,
    /// No placement above this reported CPU, in thousandths of all cores.
    pub cpu_permille_max: Option<u32>,
    /// No placement above this reported outgoing traffic.
    pub egress_kbps_max: Option<u32>,
    /// Rooms that failed or died young on one server within ten minutes, beyond which it is drained; zero turns that off.
    pub room_failures_max: u32,
    /// A drain's deadline where a command gives none; `None` waits for the rooms.
    pub drain_deadline: Option<Duration>,
}

impl Default for PoolGuards {
    fn default() -> Self {
        PoolGuards {
            servers_min: 0,
            servers_max: 10,
            launches_in_flight_max: 10,
            launches_per_minute_max: 60,
            drains_in_flight_max: None,
            server_life_min: Duration::from_secs(300),
            scale_up_cooldown: Duration::ZERO,
            scale_down_cooldown: Duration::from_secs(60),
            boot_failures_max: 2,
            boot_failures_window: 4,
            boot_max: Duration::from_secs(900),
            cpu_permille_max: Some(900),
            egress_kbps_max: None,
            room_failures_max: 5,
            drain_deadline: None,
        }
    }
}

impl Default for FleetGuards {
    fn default() -> Self {
        FleetGuards {
            servers_max: 100,
            price_per_hour_max: None,
            price_per_month_max: None,
            waiting_rooms_max: 10_000,
            waiting_max: Duration::from_secs(1200),
            freeze_silent_percent: 45,
        }
    }
}

impl Default for FleetConfig {
    fn default() -> Self {
        FleetConfig {
            guards: FleetGuards::default(),
            pools: Vec::new(),
            tick: Duration::from_secs(5),
            reconcile: Duration::from_secs(60),
            settle: Duration::from_secs(600),
            room_empty: Duration::from_secs(300),
            room_silence_max: Duration::from_secs(24 * 3600),
            silent_after: Duration::from_secs(15),
            lost_after: Duration::from_secs(60),
            lost_terminate: Duration::from_secs(900),
        }
    }
}
