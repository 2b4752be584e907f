//! Rooms: ask for a place, find, change, release, list.

mod failed;
mod shown_room;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use usher_fleet::command::{Command, PlaceRoom, Rejection, ReleaseRoom, Reply, RoomOutcome, UpdateRoom};
use usher_fleet::config::Labels;
use usher_fleet::ids::{PlacementNo, RoomId, ServerName, Tenant};
use usher_fleet::room::RoomWish;
use usher_fleet::status::{RoomPlace, RoomStatus};
use usher_fleet::{RoomFilter, RoomStateFilter};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::request::{self, Id, Json, PLACE_CHARS_MAX, PLACEMENT_MAX, Query, short, whole, within};
use super::respond::{self, Code, Problem};
use super::shown;
use crate::auth::Caller;
use crate::driver::Answer;

use shown_room::RoomState;
pub(super) use shown_room::{Card, Room, RoomPage};

/// The largest conference that is asked for: far beyond what any server holds.
const SEATS_MAX: u32 = 1_000_000;
/// The largest load: seats with a unit of a thousand each.
const LOAD_MAX: u32 = 1_000_000_000;
/// The longest expected life, in minutes: 30 days.
const EXPECTED_MINUTES_MAX: u32 = 60 * 24 * 30;
/// The longest lease, in seconds: 7 days.
const LEASE_SECONDS_MAX: u32 = 604_800;
/// The longest that an answer is held back, in seconds: what proxies between let pass.
const WAIT_SECONDS_MAX: u32 = 60;
/// The most rooms on a page.
const LIMIT_MAX: u32 = 1000;
/// Rooms on a page that does not say.
const LIMIT_USUAL: u32 = 100;

/// Returns the calls on rooms.
pub(super) fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(put_room, get_room, patch_room, delete_room))
        .routes(routes!(list_rooms))
        .merge(failed::router())
}

/// What a room asks for.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RoomRequest {
    /// How many participants are expected; by default what the pool says.
    #[schema(minimum = 1, maximum = 1_000_000, example = 50)]
    #[serde(default, deserialize_with = "whole")]
    seats: Option<u32>,
    /// What it costs a server in the operator's unit; by default its seats.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    #[serde(default, deserialize_with = "whole")]
    load: Option<u32>,
    /// How long it will live; policies pack better when they know.
    #[schema(minimum = 1, maximum = 43_200)]
    #[serde(default, deserialize_with = "whole")]
    expected_minutes: Option<u32>,
    /// Where it should be.
    #[schema(schema_with = shown::place_or_null)]
    region: Option<String>,
    /// To whom it belongs. A token that is bound to a tenant needs not say.
    #[schema(schema_with = shown::id_or_null)]
    tenant: Option<Tenant>,
    /// Words for policies.
    #[serde(default)]
    #[schema(schema_with = shown::labels)]
    labels: Labels,
    /// Words that the server must carry.
    #[serde(default)]
    #[schema(schema_with = shown::labels)]
    require: Labels,
    /// The room ends so long after it was last asked for, changed or reported.
    #[schema(minimum = 1, maximum = 604_800)]
    #[serde(default, deserialize_with = "whole")]
    lease_seconds: Option<u32>,
    /// Holds the answer so long until the room is placed.
    #[schema(minimum = 0, maximum = 60)]
    #[serde(default, deserialize_with = "whole")]
    wait_seconds: Option<u32>,
}

impl RoomRequest {
    fn into_command(self, room: RoomId, bound_to: Option<Tenant>) -> Result<(PlaceRoom, Duration), Problem> {
        let tenant = match (bound_to, self.tenant) {
            (Some(bound), Some(asked)) if bound != asked => {
                let detail = format!("this token is bound to the tenant {bound}");
                return Err(Problem::new(Code::WrongScope, detail).at("tenant"));
            }
            (Some(bound), _) => Some(bound),
            (None, asked) => asked,
        };
        let wish = RoomWish {
            seats: within("seats", self.seats, 1..=SEATS_MAX)?,
            load: within("load", self.load, 0..=LOAD_MAX)?,
            expected_minutes: within("expected_minutes", self.expected_minutes, 1..=EXPECTED_MINUTES_MAX)?,
            region: short("region", self.region, PLACE_CHARS_MAX)?,
            tenant,
            labels: request::labels("labels", self.labels)?,
            require: request::labels("require", self.require)?,
        };
        let lease_seconds = within("lease_seconds", self.lease_seconds, 1..=LEASE_SECONDS_MAX)?;
        let wait = within("wait_seconds", self.wait_seconds, 0..=WAIT_SECONDS_MAX)?.unwrap_or(0);
        Ok((
            PlaceRoom {
                room,
                wish,
                lease_seconds,
            },
            Duration::from_secs(u64::from(wait)),
        ))
    }
}

/// Places a room, or finds it where it is. Asking again never moves it, and renews its lease. Of a room that has a server more seats, the lease
/// and `expected_minutes` are taken over, and nothing else: to be placed by another wish it has to be released. One that waits is asked for by
/// the newest wish.
#[utoipa::path(
    put, path = "/v1/rooms/{room}", tag = "rooms", params(RoomPath),
    request_body(content = Option<RoomRequest>, description = "What the room asks for; none at all is as good as `{}`."),
    responses(respond::PutRoom), security(("token" = ["app"]), ("token" = ["admin"])),
)]
async fn put_room(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Id(room): Id<RoomId>,
    Json(request): Json<RoomRequest>,
) -> Result<Response, Problem> {
    let (place, wait) = request.into_command(room, caller.with_rooms()?)?;
    if api.is_disk_low() && !is_known(&api, &place).await? {
        return Err(Problem::new(
            Code::DiskLow,
            "the disk is nearly full: rooms are released, and no new one is placed",
        ));
    }
    match api.mailbox.place(place, wait).await? {
        Answer::Reply(Reply::Room(status, outcome)) => Ok(placed(&status, outcome)),
        answer => Err(no_room(answer)),
    }
}

/// Says where a room is, and by the status whether it came there just now.
fn placed(status: &RoomStatus, outcome: RoomOutcome) -> Response {
    let room = Room::of(status);
    match (&status.place, outcome) {
        (RoomPlace::Waiting { .. }, _) => respond::accepted(&room),
        (RoomPlace::Placed { .. }, RoomOutcome::Placed) => respond::created(&room),
        (RoomPlace::Placed { .. }, RoomOutcome::Found | RoomOutcome::Waiting) => respond::found(&room),
    }
}

/// Whether asking for this place only finds a room again.
async fn is_known(api: &Api, place: &PlaceRoom) -> Result<bool, Problem> {
    let room = place.room.clone();
    Ok(api.mailbox.read(move |fleet, _| fleet.room(&room).is_some()).await?)
}

/// Tells where a room is.
#[utoipa::path(
    get, path = "/v1/rooms/{room}", tag = "rooms", params(RoomPath, WaitQuery),
    responses(respond::GetRoom), security(("token" = ["app"]), ("token" = ["admin"])),
)]
async fn get_room(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Id(room): Id<RoomId>,
    Query(query): Query<WaitQuery>,
) -> Result<Response, Problem> {
    let tenant = caller.with_rooms()?;
    let wait = query.wait_seconds.unwrap_or(0);
    if wait > WAIT_SECONDS_MAX {
        return Err(out_of_range("wait_seconds", format!("from 0 to {WAIT_SECONDS_MAX}")));
    }
    match api
        .mailbox
        .room(room, tenant, Duration::from_secs(u64::from(wait)))
        .await?
    {
        Answer::Reply(Reply::Room(status, _)) => Ok(respond::found(&Room::of(&status))),
        answer => Err(no_room(answer)),
    }
}

/// Says what really came, or changes the seats. It renews the lease. Nobody can be in a room that waits: `participants` of one count for
/// nothing.
#[utoipa::path(
    patch, path = "/v1/rooms/{room}", tag = "rooms", params(RoomPath), request_body(content = Option<RoomChange>),
    responses(respond::PatchRoom), security(("token" = ["app"]), ("token" = ["admin"])),
)]
async fn patch_room(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Id(room): Id<RoomId>,
    Json(change): Json<RoomChange>,
) -> Result<Response, Problem> {
    let update = UpdateRoom {
        room,
        tenant: caller.with_rooms()?,
        participants: within("participants", change.participants, 0..=SEATS_MAX)?,
        seats: within("seats", change.seats, 1..=SEATS_MAX)?,
    };
    match Answer::Reply(api.mailbox.command(Command::UpdateRoom(update)).await?) {
        Answer::Reply(Reply::Room(status, _)) => Ok(respond::found(&Room::of(&status))),
        answer => Err(no_room(answer)),
    }
}

/// Releases a room. It can be repeated, and says the same of a room that is not known.
#[utoipa::path(
    delete, path = "/v1/rooms/{room}", tag = "rooms", params(RoomPath, PlacementQuery),
    responses(respond::DeleteRoom), security(("token" = ["app"]), ("token" = ["admin"])),
)]
async fn delete_room(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Id(room): Id<RoomId>,
    Query(query): Query<PlacementQuery>,
) -> Result<Response, Problem> {
    if query.placement.is_some_and(|placement| placement > PLACEMENT_MAX) {
        return Err(out_of_range("placement", format!("from 0 to {PLACEMENT_MAX}")));
    }
    let release = ReleaseRoom {
        room,
        tenant: caller.with_rooms()?,
        placement: query.placement.map(PlacementNo),
    };
    api.mailbox.command(Command::ReleaseRoom(release)).await?;
    Ok(respond::done())
}

/// Lists rooms, page by page, in the order of their names.
#[utoipa::path(
    get, path = "/v1/rooms", tag = "rooms", params(RoomsQuery),
    responses(respond::ListRooms), security(("token" = ["app"]), ("token" = ["admin"])),
)]
async fn list_rooms(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(query): Query<RoomsQuery>,
) -> Result<Response, Problem> {
    let limit = query.limit.unwrap_or(LIMIT_USUAL);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(out_of_range("limit", format!("from 1 to {LIMIT_MAX}")));
    }
    let state = query.state.map(|state| match state {
        RoomState::Waiting => RoomStateFilter::Waiting,
        RoomState::Placed => RoomStateFilter::Placed,
        RoomState::Moving => RoomStateFilter::Moving,
    });
    let filter = RoomFilter {
        server: query.server,
        state,
        tenant: caller.with_rooms()?,
    };
    let limit = limit as usize;
    let read = api
        .mailbox
        .read(move |fleet, moment| (fleet.rooms(&filter, query.after.as_ref(), limit), moment.as_of));
    let ((rooms, next), as_of) = read.await?;
    let rooms = rooms.iter().map(Room::of).collect();
    Ok(respond::found(&RoomPage {
        rooms,
        next: next.as_ref(),
        as_of: as_of.to_string(),
    }))
}

pub(super) fn out_of_range(parameter: &str, range: String) -> Problem {
    Problem::new(Code::InvalidQuery, format!("`{parameter}` is {range}")).at(parameter)
}

/// Why there is no room to show.
fn no_room(answer: Answer) -> Problem {
    match answer {
        Answer::Reply(Reply::Rejected(rejection)) => rejection.into(),
        Answer::Expired(room, why) => Problem::expired(&room, &why),
        Answer::Released(room) => Problem::released(&room),
        Answer::Reply(Reply::Room(status, _)) => Rejection::NoSuchRoom(status.room).into(),
        Answer::Reply(Reply::Server(..) | Reply::Done | Reply::Token(_)) => unreachable_reply(),
    }
}

/// The fleet's commands say which reply each has; another one is a mistake in the program, told as such.
pub(super) fn unreachable_reply() -> Problem {
    debug_assert!(false, "a command was answered with another command's reply");
    Problem::new(
        Code::StoreUnreadable,
        "the fleet's reply was not one to this request; please report this",
    )
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "documentation of the path")]
struct RoomPath {
    /// The room's name, chosen by the app.
    #[param(
        pattern = "^[A-Za-z0-9._:-]{1,128}$",
        min_length = 1,
        max_length = 128,
        example = "standup-42"
    )]
    room: String,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct WaitQuery {
    /// Holds the answer so long until the room is placed.
    #[param(minimum = 0, maximum = 60)]
    wait_seconds: Option<u32>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PlacementQuery {
    /// Only this placement: a room that has been placed anew since is left alone.
    #[param(minimum = 0, maximum = 9_007_199_254_740_991_u64)]
    placement: Option<u64>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RoomsQuery {
    /// Only rooms of this server.
    #[param(value_type = Option<String>, pattern = "^[A-Za-z0-9._:-]{1,128}$", min_length = 1, max_length = 128)]
    server: Option<ServerName>,
    /// Only rooms in this state.
    #[param(inline)]
    state: Option<RoomState>,
    /// The most rooms on the page; default 100.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// Only rooms after this one: `next` of the page before.
    #[param(value_type = Option<String>, pattern = "^[A-Za-z0-9._:-]{1,128}$", min_length = 1, max_length = 128)]
    after: Option<RoomId>,
}

/// What is said of a room.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RoomChange {
    /// How many are in it.
    #[schema(minimum = 0, maximum = 1_000_000)]
    #[serde(default, deserialize_with = "whole")]
    participants: Option<u32>,
    /// More or fewer seats.
    #[schema(minimum = 1, maximum = 1_000_000)]
    #[serde(default, deserialize_with = "whole")]
    seats: Option<u32>,
}

#[cfg(test)]
mod tests;
