//! Servers: register, read, hold, remove, declare lost.

mod report;
mod shown_server;
mod tokens;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use usher_fleet::command::{
    Command, DeclareLost, HoldAction, HoldServer, Rejection, RemoveServer, Reply, ServerOutcome,
};
use usher_fleet::config::{Labels, Limits};
use usher_fleet::ids::{PoolName, ServerName};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::request::{
    self, Id, Json, LABELS_MAX, PLACE_CHARS_MAX, Query, REASON_CHARS_MAX, Reach, beyond_reach, keyed, short, whole,
    within,
};
use super::respond::{self, Problem};
use super::rooms::unreachable_reply;
use super::shown;
use crate::auth::Caller;

pub(super) use report::{FIGURES_MAX, ReportAnswer};
pub(super) use shown_server::{Registered, Server, ServerHold};
pub(super) use tokens::NewToken;

/// The most that a server is said to hold of anything.
const MAXIMUM_MAX: u32 = 1_000_000_000;
/// The longest drain, in seconds: 30 days.
const DEADLINE_SECONDS_MAX: u32 = 30 * 24 * 3600;

/// Returns the calls on servers.
pub(super) fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(put_server, get_server, delete_server))
        .routes(routes!(list_servers))
        .routes(routes!(cordon_server))
        .routes(routes!(drain_server))
        .routes(routes!(uncordon_server))
        .routes(routes!(declare_lost))
        .merge(report::router())
        .merge(tokens::router())
}

/// A server that somebody else has made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ServerRegistration {
    /// Its pool; it must be external, and never changes.
    #[schema(schema_with = shown::id)]
    pool: PoolName,
    /// Where clients reach it.
    #[schema(schema_with = shown::url)]
    url: String,
    /// Other addresses by name.
    #[serde(default)]
    #[schema(schema_with = shown::endpoints)]
    endpoints: BTreeMap<String, String>,
    /// The zone it stands in.
    #[schema(schema_with = shown::place_or_null)]
    zone: Option<String>,
    /// The most rooms; by default its pool's. 0 = it takes none.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    #[serde(default, deserialize_with = "whole")]
    rooms_max: Option<u32>,
    /// The most seats over all rooms; by default its pool's.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    #[serde(default, deserialize_with = "whole")]
    seats_max: Option<u32>,
    /// The most load over all rooms; by default its pool's.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    #[serde(default, deserialize_with = "whole")]
    load_max: Option<u32>,
    /// Its own words, over its pool's.
    #[serde(default)]
    #[schema(schema_with = shown::labels)]
    labels: Labels,
}

impl ServerRegistration {
    fn into_command(self, server: ServerName) -> Result<usher_fleet::command::RegisterServer, Problem> {
        keyed("endpoints", &self.endpoints, LABELS_MAX)?;
        let endpoint = |(key, address): (String, String)| {
            request::url(&format!("endpoints.{key}"), address).map(|address| (key, address))
        };
        Ok(usher_fleet::command::RegisterServer {
            server,
            pool: self.pool,
            url: request::url("url", self.url)?,
            endpoints: self.endpoints.into_iter().map(endpoint).collect::<Result<_, _>>()?,
            zone: short("zone", self.zone, PLACE_CHARS_MAX)?,
            limits: Limits {
                rooms_max: within("rooms_max", self.rooms_max, 0..=MAXIMUM_MAX)?,
                seats_max: within("seats_max", self.seats_max, 0..=MAXIMUM_MAX)?,
                load_max: within("load_max", self.load_max, 0..=MAXIMUM_MAX)?,
            },
            labels: request::labels("labels", self.labels)?,
        })
    }
}

/// Registers an external server, or describes it anew. Its hold and pool stay.
#[utoipa::path(
    put, path = "/v1/servers/{server}", tag = "servers", params(ServerPath), request_body = ServerRegistration,
    responses(respond::PutServer), security(("token" = ["register"]), ("token" = ["admin"])),
)]
async fn put_server(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Id(server): Id<ServerName>,
    Json(registration): Json<ServerRegistration>,
) -> Result<Response, Problem> {
    let reach = caller.with_servers()?;
    let register = registration.into_command(server)?;
    if let Reach::Pool(own) = &reach
        && *own != register.pool
    {
        return Err(beyond_reach(own).at("pool"));
    }
    match api.mailbox.command(Command::RegisterServer(register)).await? {
        Reply::Server(status, ServerOutcome::Created) => Ok(respond::created(&Registered {
            token: tokens::first(&api, &status),
            server: Server::of(&status),
        })),
        reply => answer(reply),
    }
}

/// Shows a server.
#[utoipa::path(
    get, path = "/v1/servers/{server}", tag = "servers", params(ServerPath),
    responses(respond::GetServer), security(("token" = ["register"]), ("token" = ["admin"])),
)]
async fn get_server(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Id(server): Id<ServerName>,
) -> Result<Response, Problem> {
    let reach = caller.with_servers()?;
    within_reach(&api, &server, reach).await?;
    let name = server.clone();
    match api.mailbox.read(move |fleet, _| fleet.server(&name)).await? {
        Some(status) => Ok(respond::found(&Server::of(&status))),
        None => Err(Rejection::NoSuchServer(server).into()),
    }
}

/// Lists all servers, the oldest first; with a `register` token those of its pool.
#[utoipa::path(
    get, path = "/v1/servers", tag = "servers",
    responses(respond::ListServers), security(("token" = ["register"]), ("token" = ["admin"])),
)]
async fn list_servers(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(NoQuery {}): Query<NoQuery>,
) -> Result<Response, Problem> {
    let reach = caller.with_servers()?;
    let (servers, as_of) = api
        .mailbox
        .read(|fleet, moment| (fleet.servers(), moment.as_of))
        .await?;
    let is_shown = |pool: &PoolName| match &reach {
        Reach::All => true,
        Reach::Pool(own) => own == pool,
    };
    let servers = servers
        .iter()
        .filter(|server| is_shown(&server.card.pool))
        .map(Server::of)
        .collect();
    Ok(respond::found(&ServerList {
        servers,
        as_of: as_of.to_string(),
    }))
}

/// Ends a server, or forgets an external one. Refused while rooms are on it, unless forced.
#[utoipa::path(
    delete, path = "/v1/servers/{server}", tag = "servers", params(ServerPath, ForceQuery),
    responses(respond::DeleteServer), security(("token" = ["register"]), ("token" = ["admin"])),
)]
async fn delete_server(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Id(server): Id<ServerName>,
    Query(query): Query<ForceQuery>,
) -> Result<Response, Problem> {
    let reach = caller.with_servers()?;
    within_reach(&api, &server, reach).await?;
    let remove = RemoveServer {
        server,
        force: query.force.unwrap_or(false),
    };
    match api.mailbox.command(Command::RemoveServer(remove)).await? {
        Reply::Done => Ok(respond::done()),
        reply => answer(reply),
    }
}

/// Keeps new rooms away; the server stays.
#[utoipa::path(
    post, path = "/v1/servers/{server}/cordon", tag = "servers", params(ServerPath),
    request_body(content = Option<ReasonGiven>),
    responses(respond::HoldServer), security(("token" = ["register"]), ("token" = ["admin"])),
)]
async fn cordon_server(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Id(server): Id<ServerName>,
    Json(given): Json<ReasonGiven>,
) -> Result<Response, Problem> {
    hold(&api, caller, server, HoldAction::Cordon, given.reason).await
}

/// Keeps new rooms away; the server goes when it is empty, or at the deadline. A drain never moves a room.
#[utoipa::path(
    post, path = "/v1/servers/{server}/drain", tag = "servers", params(ServerPath), request_body(content = Option<Drain>),
    responses(respond::HoldServer), security(("token" = ["register"]), ("token" = ["admin"])),
)]
async fn drain_server(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Id(server): Id<ServerName>,
    Json(drain): Json<Drain>,
) -> Result<Response, Problem> {
    let seconds = within("deadline_seconds", drain.deadline_seconds, 0..=DEADLINE_SECONDS_MAX)?;
    let deadline = seconds.map(|seconds| Duration::from_secs(u64::from(seconds)));
    hold(&api, caller, server, HoldAction::Drain { deadline }, drain.reason).await
}

/// Lets rooms come again; it lifts both holds.
#[utoipa::path(
    post, path = "/v1/servers/{server}/uncordon", tag = "servers", params(ServerPath),
    request_body(content = Option<ReasonGiven>),
    responses(respond::HoldServer), security(("token" = ["register"]), ("token" = ["admin"])),
)]
async fn uncordon_server(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Id(server): Id<ServerName>,
    Json(given): Json<ReasonGiven>,
) -> Result<Response, Problem> {
    hold(&api, caller, server, HoldAction::Uncordon, given.reason).await
}

/// Declares a server lost: its rooms are placed elsewhere.
#[utoipa::path(
    post, path = "/v1/servers/{server}/lost", tag = "servers", params(ServerPath),
    request_body(content = Option<ReasonGiven>),
    responses(respond::HoldServer), security(("token" = ["admin"])),
)]
async fn declare_lost(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Id(server): Id<ServerName>,
    Json(given): Json<ReasonGiven>,
) -> Result<Response, Problem> {
    caller.admin()?;
    let lost = DeclareLost {
        server,
        reason: short("reason", given.reason, REASON_CHARS_MAX)?,
    };
    answer(api.mailbox.command(Command::DeclareLost(lost)).await?)
}

async fn hold(
    api: &Api,
    caller: Caller,
    server: ServerName,
    action: HoldAction,
    reason: Option<String>,
) -> Result<Response, Problem> {
    let reach = caller.with_servers()?;
    let reason = short("reason", reason, REASON_CHARS_MAX)?;
    within_reach(api, &server, reach).await?;
    answer(
        api.mailbox
            .command(Command::HoldServer(HoldServer { server, action, reason }))
            .await?,
    )
}

/// Lets through who may work with this server. A server never changes its pool, so asking first is safe.
async fn within_reach(api: &Api, server: &ServerName, reach: Reach) -> Result<(), Problem> {
    let Reach::Pool(own) = reach else { return Ok(()) };
    let name = server.clone();
    match api
        .mailbox
        .read(move |fleet, _| fleet.server(&name).map(|status| status.card.pool.clone()))
        .await?
    {
        Some(pool) if pool == own => Ok(()),
        Some(_) => Err(beyond_reach(&own)),
        None => Err(Rejection::NoSuchServer(server.clone()).into()),
    }
}

fn answer(reply: Reply) -> Result<Response, Problem> {
    match reply {
        Reply::Server(status, ServerOutcome::Created | ServerOutcome::Found) => {
            Ok(respond::found(&Server::of(&status)))
        }
        Reply::Rejected(rejection) => Err(rejection.into()),
        Reply::Room(..) | Reply::Done | Reply::Token(_) => Err(unreachable_reply()),
    }
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "documentation of the path")]
struct ServerPath {
    /// The server's name.
    #[param(
        pattern = "^[A-Za-z0-9._:-]{1,128}$",
        min_length = 1,
        max_length = 128,
        example = "media-1"
    )]
    server: String,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ForceQuery {
    /// Also with rooms on it.
    force: Option<bool>,
}

/// No parameter is known here.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NoQuery {}

/// Nothing is to be said here.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NoBody {}

/// Why something is done.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReasonGiven {
    /// For people.
    #[schema(schema_with = shown::reason_or_null)]
    reason: Option<String>,
}

/// How a server is drained.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Drain {
    /// For people.
    #[schema(schema_with = shown::reason_or_null)]
    reason: Option<String>,
    /// From now; by default its pool's, and without one it waits for the rooms.
    #[schema(minimum = 0, maximum = 2_592_000)]
    #[serde(default, deserialize_with = "whole")]
    deadline_seconds: Option<u32>,
}

/// All servers.
#[derive(Serialize, ToSchema)]
pub(super) struct ServerList<'a> {
    servers: Vec<Server<'a>>,
    /// The event up to which this list is true: follow `/v1/events` from here.
    as_of: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registration(json: &str) -> Result<usher_fleet::command::RegisterServer, Problem> {
        let registration: ServerRegistration = request::parse(json.as_bytes())?;
        registration.into_command("media-1".parse().unwrap())
    }

    #[test]
    fn a_registration_becomes_a_command() {
        let json = r#"{"pool":"on-premises","url":"wss://m1:8188/janus","endpoints":{"admin":"http://m1:7088/admin"},
            "zone":"a","rooms_max":10,"labels":{"tier":"gold"}}"#;
        let register = registration(json).unwrap();
        assert_eq!(register.pool.as_str(), "on-premises");
        assert_eq!(register.endpoints["admin"], "http://m1:7088/admin");
        assert_eq!(
            register.limits,
            Limits {
                rooms_max: Some(10),
                seats_max: None,
                load_max: None
            }
        );
    }

    #[test]
    fn what_is_wrong_with_a_registration_is_told_by_name() {
        for (json, field) in [
            (r#"{"url":"ws://a"}"#, None),
            (r#"{"pool":"a b","url":"ws://a"}"#, Some("pool")),
            (r#"{"pool":"p","url":"a"}"#, Some("url")),
            (
                r#"{"pool":"p","url":"ws://a","endpoints":{"admin":"x"}}"#,
                Some("endpoints.admin"),
            ),
            (
                r#"{"pool":"p","url":"ws://a","rooms_max":1000000001}"#,
                Some("rooms_max"),
            ),
            (r#"{"pool":"p","url":"ws://a","hold":"none"}"#, Some("hold")),
        ] {
            let problem = registration(json).unwrap_err();
            assert_eq!(problem.field.as_deref(), field, "{json}: {}", problem.detail);
        }
    }
}
