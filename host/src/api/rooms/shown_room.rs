//! A room as the API shows it, with its server or with what it waits for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use usher_fleet::config::Labels;
use usher_fleet::decision::DecisionNote;
use usher_fleet::ids::{RoomId, ServerName, Tenant};
use usher_fleet::status::{RoomPlace, RoomStatus, ServerCard};
use utoipa::ToSchema;

use super::super::shown::{self, Time};

/// Where a room stands.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::api) enum RoomState {
    /// In the queue.
    Waiting,
    /// On a server.
    Placed,
    /// In the queue again, because its server was lost.
    Moving,
}

/// A room.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Room<'a> {
    /// Its name.
    #[schema(schema_with = shown::id)]
    room: &'a RoomId,
    #[schema(inline)]
    state: RoomState,
    /// Which placement this is; releases and reports may name it. Of a moving room the one that ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    placement: Option<u64>,
    /// Reserved seats; while it waits what it asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    seats: Option<u32>,
    /// Reserved load, in the operator's unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    load: Option<u32>,
    /// How many are in it, as far as was reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    participants: Option<u32>,
    /// To whom it belongs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    tenant: Option<&'a Tenant>,
    /// The region that it asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<&'a str>,
    /// Its server; null while it waits.
    server: Option<Card<'a>>,
    /// When it was first asked for.
    created_at: Time,
    /// When it was placed.
    #[serde(skip_serializing_if = "Option::is_none")]
    placed_at: Option<Time>,
    /// Who decided that, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<Decided<'a>>,
    /// While it waits: its place in the queue, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<u32>,
    /// While it waits: since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting_since: Option<Time>,
    /// While it waits, for what: `boot` of a server that could hold it, `capacity`, a `limit` that lets no server be
    /// launched, or `nobody_launches` servers in the pools that could hold it.
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting_for: Option<&'static str>,
    /// While it waits: how long that may take, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_seconds: Option<u32>,
    /// While it moves: the server that was lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = shown::id_or_null)]
    moving_from: Option<&'a ServerName>,
}

/// A page of rooms.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct RoomPage<'a> {
    pub(super) rooms: Vec<Room<'a>>,
    /// The next page begins after this room; null when this one was the last. A page may be short and still have a next.
    #[schema(schema_with = shown::id_or_null)]
    pub(super) next: Option<&'a RoomId>,
    /// The event up to which this page is true: follow `/v1/events` from here.
    pub(super) as_of: String,
}

/// A server, as those who use a room need to know it.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Card<'a> {
    #[schema(schema_with = shown::id)]
    name: &'a ServerName,
    #[schema(value_type = String)]
    pool: &'a usher_fleet::ids::PoolName,
    region: &'a str,
    zone: Option<&'a str>,
    /// Where clients reach it.
    url: Option<&'a str>,
    /// Other addresses by name.
    #[schema(value_type = BTreeMap<String, String>)]
    endpoints: &'a BTreeMap<String, String>,
    #[schema(value_type = BTreeMap<String, String>)]
    labels: &'a Labels,
}

impl<'a> Card<'a> {
    pub(in crate::api) fn of(card: &'a ServerCard) -> Card<'a> {
        Card {
            name: &card.name,
            pool: &card.pool,
            region: &card.region,
            zone: card.zone.as_deref(),
            url: card.url.as_deref(),
            endpoints: &card.endpoints,
            labels: &card.labels,
        }
    }
}

/// Who placed a room, and why.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Decided<'a> {
    policy: &'a str,
    version: &'a str,
    /// In the author's words.
    reason: Option<&'a str>,
}

impl<'a> Decided<'a> {
    fn of(note: &'a DecisionNote) -> Decided<'a> {
        Decided {
            policy: &note.policy.name,
            version: &note.policy.version,
            reason: note.reason.as_deref(),
        }
    }
}

impl<'a> Room<'a> {
    pub(super) fn of(status: &'a RoomStatus) -> Room<'a> {
        let room = Room {
            room: &status.room,
            state: RoomState::Placed,
            placement: None,
            seats: status.seats,
            load: status.load,
            participants: status.participants,
            tenant: status.tenant.as_ref(),
            region: status.region.as_deref(),
            server: None,
            created_at: Time(status.created),
            placed_at: None,
            decision: None,
            position: None,
            waiting_since: None,
            waiting_for: None,
            expected_seconds: None,
            moving_from: None,
        };
        match &status.place {
            RoomPlace::Placed {
                server,
                placement,
                at,
                decision,
            } => Room {
                placement: Some(placement.0),
                server: Some(Card::of(server)),
                placed_at: Some(Time(*at)),
                decision: Some(Decided::of(decision)),
                ..room
            },
            RoomPlace::Waiting {
                moving,
                since,
                position,
                waiting_for,
                expected_seconds,
            } => Room {
                state: if moving.is_some() {
                    RoomState::Moving
                } else {
                    RoomState::Waiting
                },
                placement: moving.as_ref().map(|(_, placement)| placement.0),
                moving_from: moving.as_ref().map(|(server, _)| server),
                position: Some(*position),
                waiting_since: Some(Time(*since)),
                waiting_for: Some(waiting_for.word()),
                expected_seconds: *expected_seconds,
                ..room
            },
        }
    }
}
