//! A server as the API shows it: phase, hold and health as three facts, and what the ledger counts.

use serde::Serialize;
use usher_fleet::config::Offer;
use usher_fleet::server::{Health, Hold, Phase};
use usher_fleet::status::ServerStatus;
use utoipa::ToSchema;

use super::super::rooms::Card;
use super::super::shown::{Dollars, Time};

/// A server.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Server<'a> {
    #[serde(flatten)]
    card: Card<'a>,
    /// The provider's own name for it, once known.
    instance: Option<&'a str>,
    /// Which launch of it this is.
    attempt: u32,
    /// What this launch ordered; null where the provider chooses, or somebody else made the server.
    offer: Option<ShownOffer<'a>>,
    /// How far it is: `requested`, `launching`, `booting`, `ready`, `failed` or `terminating`.
    phase: &'static str,
    phase_since: Time,
    /// Why it has failed or is being terminated.
    #[serde(skip_serializing_if = "Option::is_none")]
    phase_reason: Option<&'a str>,
    /// What keeps new rooms away; null = nothing.
    hold: Option<ServerHold<'a>>,
    /// How it does: `unknown`, `ok`, `silent` or `lost`.
    health: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    silent_since: Option<Time>,
    /// External servers: that its drain has ended, and it may be ended and deleted.
    left: bool,
    /// What the ledger counts.
    rooms: u32,
    seats: u32,
    load: u32,
    /// The most that it holds; null = this figure does not limit it.
    rooms_max: Option<u32>,
    seats_max: Option<u32>,
    load_max: Option<u32>,
    /// Dollars an hour.
    price_per_hour: Dollars,
    created_at: Time,
    /// When its newest report came; null = none yet, and the figures below are not known.
    reported_at: Option<Time>,
    participants: Option<u32>,
    cpu_permille: Option<u32>,
    egress_kbps: Option<u32>,
    loss_permille: Option<u32>,
    /// Rooms in its last report that Usher has not placed there.
    rooms_unknown: u32,
}

/// A server that was registered just now.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Registered<'a> {
    #[serde(flatten)]
    pub(super) server: Server<'a>,
    /// The token for its agent (`usher-agent --token-file`); it is shown only now, and only where tokens are asked for. Another one:
    /// `POST /v1/servers/{server}/token`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) token: Option<String>,
}

/// A machine that a provider offers.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct ShownOffer<'a> {
    instance_type: &'a str,
    /// `on-demand` or `spot`.
    market: &'a str,
    zone: &'a str,
    /// Dollars an hour.
    price_per_hour: Dollars,
}

impl<'a> ShownOffer<'a> {
    fn of(offer: &'a Offer) -> ShownOffer<'a> {
        ShownOffer {
            instance_type: &offer.instance_type,
            market: &offer.market,
            zone: &offer.zone,
            price_per_hour: Dollars(offer.price_per_hour),
        }
    }
}

/// What keeps new rooms away from a server.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct ServerHold<'a> {
    /// `cordoned` (it stays) or `draining` (it goes when empty).
    kind: &'static str,
    /// Who ordered it: `operator`, `policy`, `server` (its own shutdown), `spot` (its cloud takes it away) or `health`.
    owner: &'static str,
    reason: &'a str,
    since: Time,
    /// When its rooms end with it; null waits for them.
    deadline: Option<Time>,
    /// When a `cordoned` server takes rooms again by itself; null until somebody lifts it.
    until: Option<Time>,
}

impl<'a> ServerHold<'a> {
    pub(super) fn of(hold: &'a Hold) -> ServerHold<'a> {
        let (deadline, until) = match hold {
            Hold::Cordoned(cordoned) => (None, cordoned.until),
            Hold::Draining(draining) => (draining.deadline, None),
        };
        ServerHold {
            kind: hold.word(),
            owner: hold.owner().word(),
            reason: hold.reason(),
            since: Time(hold.since()),
            deadline: deadline.map(Time),
            until: until.map(Time),
        }
    }
}

impl<'a> Server<'a> {
    pub(in crate::api) fn of(status: &'a ServerStatus) -> Server<'a> {
        Server {
            card: Card::of(&status.card),
            instance: status.instance.as_deref(),
            attempt: status.attempt.0,
            offer: status.offer.as_deref().map(ShownOffer::of),
            phase: status.phase.word(),
            phase_since: Time(status.phase.since()),
            phase_reason: phase_reason(&status.phase),
            hold: status.hold.as_ref().map(ServerHold::of),
            health: status.health.word(),
            silent_since: match status.health {
                Health::Silent { since } => Some(Time(since)),
                Health::Unknown | Health::Ok | Health::Lost => None,
            },
            left: status.left,
            rooms: status.rooms,
            seats: status.seats,
            load: status.load,
            rooms_max: status.limits.rooms_max,
            seats_max: status.limits.seats_max,
            load_max: status.limits.load_max,
            price_per_hour: Dollars(status.price_per_hour),
            created_at: Time(status.created),
            reported_at: status.reported.map(Time),
            participants: status.participants,
            cpu_permille: status.cpu_permille,
            egress_kbps: status.egress_kbps,
            loss_permille: status.loss_permille,
            rooms_unknown: status.rooms_unknown,
        }
    }
}

fn phase_reason(phase: &Phase) -> Option<&str> {
    match phase {
        Phase::Failed(failed) => Some(&failed.reason),
        Phase::Terminating(terminating) => Some(&terminating.reason),
        Phase::Requested(_) | Phase::Launching(_) | Phase::Booting(_) | Phase::Ready(_) => None,
    }
}
