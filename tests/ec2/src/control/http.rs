//! The tests' handle over HTTP, for other processes: JSON beneath `/control`, without a signature.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Control;
use crate::calls::Call;
use crate::faults::Fault;
use crate::setup::{Lag, Life, Market, Quotas};
use crate::shared::Shared;
use crate::throttle::Throttles;
use crate::world::{InstanceId, InstanceView};

type Fake = State<Arc<Shared>>;

/// Returns the routes beneath `/control`.
pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/now", get(now))
        .route("/instances", get(instances))
        .route("/calls", get(calls))
        .route("/tokens", get(tokens))
        .route("/advance", post(advance))
        .route("/capacity", post(capacity))
        .route("/addresses", post(addresses))
        .route("/quotas", post(quotas))
        .route("/throttles", post(throttles))
        .route("/life", post(life))
        .route("/lag", post(lag))
        .route("/allowed", post(allowed))
        .route("/denied", post(denied))
        .route("/faults", post(arm).delete(disarm))
        .route("/fail-boots", post(fail_boots))
        .route("/kill", post(kill))
        .route("/notice-spot", post(notice_spot))
        .route("/console", post(console))
}

#[derive(Serialize)]
struct Now {
    now: Timestamp,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    seconds: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetCapacity {
    instance_type: String,
    zone: String,
    market: Market,
    /// Without end if absent.
    instances: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetAddresses {
    subnet: String,
    addresses: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetAllowed {
    access_key_id: String,
    /// All if absent.
    allowed: Option<BTreeSet<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetDenied {
    access_key_id: String,
    denied: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FailBoots {
    count: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kill {
    instance: InstanceId,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoticeSpot {
    instance: InstanceId,
    #[serde(default)]
    after_seconds: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WriteConsole {
    instance: InstanceId,
    text: String,
}

async fn now(State(shared): Fake) -> Json<Now> {
    let now = Control::new(shared).now();
    Json(Now { now })
}

async fn instances(State(shared): Fake) -> Json<Vec<InstanceView>> {
    Json(Control::new(shared).instances())
}

async fn calls(State(shared): Fake) -> Json<Vec<Call>> {
    Json(Control::new(shared).calls())
}

async fn tokens(State(shared): Fake) -> Json<BTreeMap<String, Vec<InstanceId>>> {
    Json(Control::new(shared).launched_by_token())
}

async fn advance(State(shared): Fake, Json(asked): Json<Advance>) -> Result<Json<Now>, StatusCode> {
    let control = Control::new(shared);
    control.advance(span(asked.seconds)?);
    Ok(Json(Now { now: control.now() }))
}

async fn capacity(State(shared): Fake, Json(asked): Json<SetCapacity>) -> StatusCode {
    Control::new(shared).set_capacity(&asked.instance_type, &asked.zone, asked.market, asked.instances);
    StatusCode::NO_CONTENT
}

async fn addresses(State(shared): Fake, Json(asked): Json<SetAddresses>) -> StatusCode {
    found(Control::new(shared).set_addresses(&asked.subnet, asked.addresses))
}

async fn quotas(State(shared): Fake, Json(quotas): Json<Quotas>) -> StatusCode {
    Control::new(shared).set_quotas(quotas);
    StatusCode::NO_CONTENT
}

async fn throttles(State(shared): Fake, Json(throttles): Json<Throttles>) -> StatusCode {
    Control::new(shared).set_throttles(throttles);
    StatusCode::NO_CONTENT
}

async fn life(State(shared): Fake, Json(life): Json<Life>) -> StatusCode {
    Control::new(shared).set_life(life);
    StatusCode::NO_CONTENT
}

async fn lag(State(shared): Fake, Json(lag): Json<Lag>) -> StatusCode {
    Control::new(shared).set_lag(lag);
    StatusCode::NO_CONTENT
}

async fn allowed(State(shared): Fake, Json(asked): Json<SetAllowed>) -> StatusCode {
    found(Control::new(shared).set_allowed(&asked.access_key_id, asked.allowed))
}

async fn denied(State(shared): Fake, Json(asked): Json<SetDenied>) -> StatusCode {
    found(Control::new(shared).set_denied(&asked.access_key_id, asked.denied))
}

async fn arm(State(shared): Fake, Json(fault): Json<Fault>) -> StatusCode {
    Control::new(shared).set_fault(fault);
    StatusCode::NO_CONTENT
}

async fn disarm(State(shared): Fake) -> StatusCode {
    Control::new(shared).clear_faults();
    StatusCode::NO_CONTENT
}

async fn fail_boots(State(shared): Fake, Json(asked): Json<FailBoots>) -> StatusCode {
    Control::new(shared).fail_boots(asked.count);
    StatusCode::NO_CONTENT
}

async fn kill(State(shared): Fake, Json(asked): Json<Kill>) -> StatusCode {
    found(Control::new(shared).kill(&asked.instance))
}

async fn notice_spot(State(shared): Fake, Json(asked): Json<NoticeSpot>) -> Result<StatusCode, StatusCode> {
    let after = span(asked.after_seconds)?;
    Ok(found(Control::new(shared).notice_spot(&asked.instance, after)))
}

async fn console(State(shared): Fake, Json(asked): Json<WriteConsole>) -> StatusCode {
    found(Control::new(shared).write_console(&asked.instance, &asked.text))
}

fn span(seconds: f64) -> Result<Duration, StatusCode> {
    Duration::try_from_secs_f64(seconds).map_err(|_| StatusCode::UNPROCESSABLE_ENTITY)
}

fn found(is_found: bool) -> StatusCode {
    if is_found {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::NOT_FOUND
    }
}
