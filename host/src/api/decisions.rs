//! Decisions: why a room is where it is, and why a server came or went.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use usher_fleet::Decision;
use usher_fleet::ids::{DecisionNo, PoolName, RoomId, ServerName};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::request::Query;
use super::respond::{self, Problem};
use super::rooms::out_of_range;
use super::shown::{self, Time};
use crate::auth::Caller;
use crate::driver::DecisionFilter;

/// The most decisions in one answer.
const LIMIT_MAX: u32 = 1000;
/// Decisions in an answer to who does not say.
const LIMIT_USUAL: u32 = 100;

/// Returns the call for decisions.
pub(super) fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(list_decisions))
}

/// Lists the newest decisions since the process started, the newest first.
#[utoipa::path(
    get, path = "/v1/decisions", tag = "decisions", params(DecisionsQuery),
    responses(respond::ListDecisions), security(("token" = ["admin"])),
)]
async fn list_decisions(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(query): Query<DecisionsQuery>,
) -> Result<Response, Problem> {
    caller.admin()?;
    let limit = query.limit.unwrap_or(LIMIT_USUAL);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(out_of_range("limit", format!("from 1 to {LIMIT_MAX}")));
    }
    let filter = DecisionFilter {
        room: query.room,
        server: query.server,
        decision: query.decision.map(DecisionNo),
    };
    let newest = api.decisions.newest(&filter, limit as usize);
    Ok(respond::found(&DecisionList {
        decisions: newest.iter().map(|decision| Shown::of(decision)).collect(),
    }))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DecisionsQuery {
    /// Only those about this room.
    #[param(value_type = Option<String>, pattern = "^[A-Za-z0-9._:-]{1,128}$", min_length = 1, max_length = 128)]
    room: Option<RoomId>,
    /// Only those about this server.
    #[param(value_type = Option<String>, pattern = "^[A-Za-z0-9._:-]{1,128}$", min_length = 1, max_length = 128)]
    server: Option<ServerName>,
    /// Only this one; several policies of a chain may share it.
    #[param(minimum = 0, maximum = 4_294_967_295_u32)]
    decision: Option<u32>,
    /// The most decisions; default 100.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// Decisions.
#[derive(Serialize, ToSchema)]
pub(super) struct DecisionList<'a> {
    decisions: Vec<Shown<'a>>,
}

/// One policy's part in one decision.
#[derive(Serialize, ToSchema)]
#[schema(as = Decision)]
pub(super) struct Shown<'a> {
    /// The decision's number since the process started.
    decision: u32,
    at: Time,
    /// What was decided: `place`, `scale_up` or `scale_down`.
    point: &'static str,
    #[schema(schema_with = shown::id_or_null)]
    room: Option<&'a RoomId>,
    #[schema(schema_with = shown::id_or_null)]
    server: Option<&'a ServerName>,
    #[schema(schema_with = shown::id_or_null)]
    pool: Option<&'a PoolName>,
    /// Who advised.
    policy: &'a str,
    version: &'a str,
    /// What was advised, for people.
    advice: String,
    /// What became of it: `accepted`, `clamped`, `refused`, `deferred` or `fault`.
    verdict: &'static str,
    /// The guard that stood in the way, or the fault's kind; null when accepted.
    code: Option<&'static str>,
    /// Why, in the author's words, or the fault's message.
    reason: Option<&'a str>,
    /// How long the policy took.
    took_microseconds: u64,
}

impl<'a> Shown<'a> {
    fn of(decision: &'a Decision) -> Shown<'a> {
        Shown {
            decision: decision.no.0,
            at: Time(decision.at),
            point: decision.point.word(),
            room: decision.room.as_ref(),
            server: decision.server.as_ref(),
            pool: decision.pool.as_ref(),
            policy: &decision.policy.name,
            version: &decision.policy.version,
            advice: decision.advice.to_string(),
            verdict: decision.verdict,
            code: Some(decision.code).filter(|code| !code.is_empty()),
            reason: decision.reason.as_deref(),
            took_microseconds: u64::try_from(decision.took.as_micros()).unwrap_or(u64::MAX),
        }
    }
}
