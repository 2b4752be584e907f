//! Looks at the host as a dashboard would: what it has, what waits, what was decided, and what it costs.

use std::time::Duration;

use hyper::{Method, StatusCode};
use serde::Deserialize;
use tokio::sync::mpsc;

use super::client::Client;

/// From one look to the next: what moves on a screen seems to move at once.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Rooms, and decisions, in one look: more than the office has, and more than a screen shows.
const ROOMS_MAX: u32 = 1000;
const DECISIONS_MAX: u32 = 100;

/// The host, as it was at one look.
#[derive(Debug, Clone, Default)]
pub(super) struct Look {
    /// Whether every policy in the folder has been decided upon.
    pub(super) is_ready: bool,
    /// In the order in which they were launched.
    pub(super) servers: Vec<Server>,
    /// Those that wait, the first in the queue first.
    pub(super) waiting: Vec<Room>,
    /// How many are placed.
    pub(super) rooms_placed: u32,
    /// The newest first.
    pub(super) decisions: Vec<Decision>,
    /// In the order in which they are asked.
    pub(super) policies: Vec<Policy>,
    pub(super) dollars_per_hour: f64,
}

/// A server.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Server {
    pub(super) name: String,
    pub(super) phase: String,
    pub(super) hold: Option<Hold>,
    pub(super) health: String,
    pub(super) rooms: u32,
    pub(super) rooms_max: Option<u32>,
    pub(super) seats: u32,
    pub(super) seats_max: Option<u32>,
    created_at: String,
}

/// What keeps new rooms away from a server.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Hold {
    pub(super) kind: String,
    pub(super) owner: String,
    pub(super) reason: String,
}

/// A room.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Room {
    pub(super) room: String,
    state: String,
    pub(super) position: Option<u32>,
    pub(super) waiting_for: Option<String>,
    pub(super) expected_seconds: Option<u32>,
}

/// One policy's part in one decision.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Decision {
    /// Its number; several policies of a chain share it.
    #[serde(rename = "decision")]
    pub(super) no: u32,
    pub(super) point: String,
    pub(super) room: Option<String>,
    pub(super) server: Option<String>,
    pub(super) pool: Option<String>,
    pub(super) policy: String,
    pub(super) advice: String,
    pub(super) verdict: String,
    pub(super) code: Option<String>,
    pub(super) reason: Option<String>,
}

/// A policy of the chain.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Policy {
    pub(super) name: String,
    pub(super) built_in: bool,
    pub(super) serving: Option<Serving>,
    pub(super) problem: Option<String>,
    pub(super) faults: u64,
}

/// The version of a policy that is asked.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Serving {
    pub(super) version: String,
}

impl Decision {
    /// Returns whether it is about something that was to change, and not a policy that left it to others or kept all.
    pub(super) fn is_about_change(&self) -> bool {
        let is_nothing = ["keep all", "launch 0 servers"].contains(&self.advice.as_str());
        self.verdict != "deferred" && !(is_nothing && self.verdict == "accepted")
    }
}

#[derive(Deserialize)]
struct Servers {
    servers: Vec<Server>,
}

#[derive(Deserialize)]
struct Rooms {
    rooms: Vec<Room>,
}

#[derive(Deserialize)]
struct Decisions {
    decisions: Vec<Decision>,
}

#[derive(Deserialize)]
struct Policies {
    policies: Vec<Policy>,
}

#[derive(Deserialize)]
struct Bill {
    dollars_per_hour: f64,
}

/// Looks again and again, until nobody takes what was seen.
pub(super) async fn watch(client: Client, seen: mpsc::Sender<anyhow::Result<Look>>) {
    let mut every = tokio::time::interval(LOOK_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        if seen.send(look(&client).await).await.is_err() {
            return;
        }
    }
}

async fn look(client: &Client) -> anyhow::Result<Look> {
    let ready = client.ask(Method::GET, "/readyz", None).await?;
    let Servers { mut servers } = client.get("/v1/servers").await?;
    let Rooms { rooms } = client.get(&format!("/v1/rooms?limit={ROOMS_MAX}")).await?;
    let Decisions { decisions } = client.get(&format!("/v1/decisions?limit={DECISIONS_MAX}")).await?;
    let Policies { policies } = client.get("/v1/policies").await?;
    let Bill { dollars_per_hour } = client.get("/v1/bill").await?;
    servers.sort_by(|a, b| (&a.created_at, a.name.len(), &a.name).cmp(&(&b.created_at, b.name.len(), &b.name)));
    let (placed, mut waiting): (Vec<_>, Vec<_>) = rooms.into_iter().partition(|room| room.state == "placed");
    waiting.sort_by_key(|room| room.position);
    Ok(Look {
        is_ready: ready.status == StatusCode::OK,
        servers,
        waiting,
        rooms_placed: u32::try_from(placed.len()).unwrap_or(u32::MAX),
        decisions,
        policies,
        dollars_per_hour,
    })
}
