//! Rooms that their apps could not create where they were placed.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use usher_fleet::command::{Command, FailRoom, Reply};
use usher_fleet::ids::{PlacementNo, RoomId};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::Api;
use super::super::request::{Id, Json, PLACEMENT_MAX, REASON_CHARS_MAX, short, whole, within};
use super::super::respond::{self, Problem};
use super::{RoomPath, no_room, placed};
use crate::auth::Caller;
use crate::driver::Answer;

/// Returns the call.
pub(super) fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(fail_room))
}

/// What went wrong with a room.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct RoomFailure {
    /// What the media server said, for people: it stands in the events.
    #[schema(min_length = 1, max_length = 500, example = "503 from POST /rooms: no port is free")]
    reason: String,
    /// Only this placement: a room that has been placed anew since stays where it is, so that saying it twice moves it once.
    #[schema(minimum = 0, maximum = 9_007_199_254_740_991_u64)]
    #[serde(default, deserialize_with = "whole")]
    placement: Option<u64>,
}

/// Says that a room could not be created on its server. It is placed elsewhere; its server takes no rooms for a while, and is drained
/// where rooms fail far more often than on the others of its pool.
#[utoipa::path(
    post, path = "/v1/rooms/{room}/failed", tag = "rooms", params(RoomPath), request_body(content = RoomFailure),
    responses(respond::FailRoom), security(("token" = ["app"]), ("token" = ["admin"])),
)]
async fn fail_room(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Id(room): Id<RoomId>,
    Json(failure): Json<RoomFailure>,
) -> Result<Response, Problem> {
    let fail = FailRoom {
        room,
        tenant: caller.with_rooms()?,
        placement: within("placement", failure.placement, 0..=PLACEMENT_MAX)?.map(PlacementNo),
        reason: short("reason", Some(failure.reason), REASON_CHARS_MAX)?.unwrap_or_default(),
    };
    match Answer::Reply(api.mailbox.command(Command::FailRoom(fail)).await?) {
        Answer::Reply(Reply::Room(status, outcome)) => Ok(placed(&status, outcome)),
        answer => Err(no_room(answer)),
    }
}
