//! Pools: figures, circuit, dollars, and the switch that stops policies from scaling.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use usher_fleet::command::{Command, Reply, SetScaling};
use usher_fleet::ids::PoolName;
use usher_fleet::status::PoolStatus;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::request::{Id, Json, Query};
use super::respond::{self, Problem};
use super::rooms::unreachable_reply;
use super::servers::NoQuery;
use super::shown::{self, Dollars, Time};
use crate::auth::Caller;

/// Returns the calls on pools.
pub(super) fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(list_pools))
        .routes(routes!(set_scaling))
}

/// Lists all pools, in the order of their names.
#[utoipa::path(get, path = "/v1/pools", tag = "pools", responses(respond::ListPools), security(("token" = ["admin"])))]
async fn list_pools(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(NoQuery {}): Query<NoQuery>,
) -> Result<Response, Problem> {
    caller.admin()?;
    let read = api
        .mailbox
        .read(|fleet, moment| (fleet.pools(moment.now), fleet.is_frozen(), moment.as_of));
    let (pools, frozen, as_of) = read.await?;
    let pools = pools.iter().map(Pool::of).collect();
    Ok(respond::found(&PoolList {
        pools,
        frozen,
        as_of: as_of.to_string(),
    }))
}

/// Lets policies launch and retire servers of a pool, or stops them. The fleet keeps the pool's minimum all the same.
#[utoipa::path(
    post, path = "/v1/pools/{pool}/scaling", tag = "pools", params(PoolPath), request_body = Switch,
    responses(respond::Scaling), security(("token" = ["admin"])),
)]
async fn set_scaling(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Id(pool): Id<PoolName>,
    Json(switch): Json<Switch>,
) -> Result<Response, Problem> {
    caller.admin()?;
    let set = SetScaling {
        pool: pool.clone(),
        enabled: switch.enabled,
    };
    match api.mailbox.command(Command::SetScaling(set)).await? {
        Reply::Done => Ok(respond::found(&Scaling {
            pool: &pool,
            scaling_enabled: switch.enabled,
        })),
        Reply::Rejected(rejection) => Err(rejection.into()),
        Reply::Room(..) | Reply::Server(..) | Reply::Token(_) => Err(unreachable_reply()),
    }
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "documentation of the path")]
struct PoolPath {
    /// The pool's name.
    #[param(
        pattern = "^[A-Za-z0-9._:-]{1,128}$",
        min_length = 1,
        max_length = 128,
        example = "frankfurt"
    )]
    pool: String,
}

/// Whether policies may launch and retire.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Switch {
    enabled: bool,
}

/// What was switched.
#[derive(Serialize, ToSchema)]
pub(super) struct Scaling<'a> {
    #[schema(schema_with = shown::id)]
    pool: &'a PoolName,
    scaling_enabled: bool,
}

/// All pools.
#[derive(Serialize, ToSchema)]
pub(super) struct PoolList<'a> {
    pools: Vec<Pool<'a>>,
    /// Whether too many servers are silent at once, in a pool or the fleet, to conclude anything from it.
    frozen: bool,
    /// The event up to which this list is true: follow `/v1/events` from here.
    as_of: String,
}

/// Servers of one kind.
#[derive(Serialize, ToSchema)]
pub(super) struct Pool<'a> {
    #[schema(schema_with = shown::id)]
    name: &'a PoolName,
    /// Who makes its servers: `external`, `simulated`, `exec` or `ec2`.
    provider: &'a str,
    region: &'a str,
    /// Whether Usher launches and ends its servers.
    automatic: bool,
    /// Gone from the config file: it takes no rooms and launches nothing.
    retired: bool,
    /// Whether policies may launch and retire here.
    scaling_enabled: bool,
    /// On their way to `ready`.
    servers_starting: u32,
    servers_ready: u32,
    /// Cordoned or draining.
    servers_held: u32,
    servers_silent: u32,
    /// Failed or being terminated.
    servers_ending: u32,
    servers_min: u32,
    servers_max: u32,
    /// External pools: how many servers there should be; somebody else follows it.
    servers_wanted: Option<u32>,
    rooms: u32,
    seats: u32,
    load: u32,
    /// Rooms that its servers could still take; null = nothing limits them.
    rooms_free: Option<u32>,
    seats_free: Option<u32>,
    /// Too many boots failed: no launches until then.
    circuit_open_until: Option<Time>,
    frozen: bool,
    /// How many servers may be launched or resumed now.
    launchable: u32,
    /// How many may be retired now.
    retirable: u32,
    /// The guard that stands in the way of launching; null = none.
    code: Option<&'static str>,
    /// From launch to ready, the median of the last boots; null = none yet.
    boot_seconds: Option<u32>,
    /// Dollars that one more server costs an hour.
    price_per_hour: Dollars,
    /// What its servers cost now.
    dollars_per_hour: Dollars,
    /// Since midnight UTC.
    dollars_today: Dollars,
    /// Since the first of the month, UTC.
    dollars_this_month: Dollars,
}

impl<'a> Pool<'a> {
    fn of(status: &'a PoolStatus) -> Pool<'a> {
        Pool {
            name: &status.name,
            provider: &status.provider,
            region: &status.region,
            automatic: status.automatic,
            retired: status.retired,
            scaling_enabled: status.scaling_enabled,
            servers_starting: status.servers_starting,
            servers_ready: status.servers_ready,
            servers_held: status.servers_held,
            servers_silent: status.servers_silent,
            servers_ending: status.servers_ending,
            servers_min: status.servers_min,
            servers_max: status.servers_max,
            servers_wanted: status.servers_wanted,
            rooms: status.rooms,
            seats: status.seats,
            load: status.load,
            rooms_free: status.rooms_free,
            seats_free: status.seats_free,
            circuit_open_until: status.circuit_open_until.map(Time),
            frozen: status.frozen,
            launchable: status.launchable,
            retirable: status.retirable,
            code: Some(status.code).filter(|code| !code.is_empty()),
            boot_seconds: status.boot_seconds,
            price_per_hour: Dollars(status.price_per_hour),
            dollars_per_hour: Dollars(status.bill.per_hour),
            dollars_today: Dollars(status.bill.today),
            dollars_this_month: Dollars(status.bill.month),
        }
    }
}
