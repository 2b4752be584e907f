//! Policies: the chain, what serves, what was wanted and refused, and what was counted; and the way back to the version before.

use std::str::FromStr;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use usher_fleet::ids::IdError;
use usher_policy::{PolicyStatus, QuarantinedStatus, TallyStatus};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::request::{Id, Json, Query, REASON_CHARS_MAX, short};
use super::respond::{self, Code, Problem};
use super::servers::NoQuery;
use super::shown::{self, Time};
use crate::auth::Caller;
use crate::driver::Refused;

/// Returns the calls on policies.
pub(super) fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(list_policies))
        .routes(routes!(get_policy))
        .routes(routes!(roll_back))
}

/// Lists the policies in the order in which they are asked, the built-in last.
#[utoipa::path(
    get, path = "/v1/policies", tag = "policies", responses(respond::ListPolicies), security(("token" = ["admin"])),
)]
async fn list_policies(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(NoQuery {}): Query<NoQuery>,
) -> Result<Response, Problem> {
    caller.admin()?;
    let policies = (api.policies)();
    Ok(respond::found(&PolicyList {
        policies: policies.iter().map(Shown::of).collect(),
    }))
}

/// Returns one policy.
#[utoipa::path(
    get, path = "/v1/policies/{policy}", tag = "policies", params(PolicyPath), responses(respond::GetPolicy),
    security(("token" = ["admin"])),
)]
async fn get_policy(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Id(policy): Id<FileName>,
    Query(NoQuery {}): Query<NoQuery>,
) -> Result<Response, Problem> {
    caller.admin()?;
    show(&api, &policy)
}

/// Has the version before serve, until the policy's file or its settings change; this holds over restarts.
///
/// An order that is in force is done: asking again changes nothing and is answered alike, also where the version before serves
/// because of a quarantine. Answered once that version serves; where it takes longer than 20 s it is 503 `busy`, and goes on: ask again.
#[utoipa::path(
    post, path = "/v1/policies/{policy}/rollback", tag = "policies", params(PolicyPath), request_body = Order,
    responses(respond::RollBack), security(("token" = ["admin"])),
)]
async fn roll_back(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Id(policy): Id<FileName>,
    Json(order): Json<Order>,
) -> Result<Response, Problem> {
    caller.admin()?;
    let reason = short("reason", order.reason, REASON_CHARS_MAX)?.unwrap_or_default();
    let rollback = (api.roll_back)(&policy.0, &reason).ok_or(Refused::Stopping)?;
    let answered = tokio::task::spawn_blocking(|| rollback.wait()).await;
    // The task is only lost when the runtime ends.
    answered.map_err(|_| Refused::Stopping)??;
    show(&api, &policy)
}

fn show(api: &Api, policy: &FileName) -> Result<Response, Problem> {
    let policies = (api.policies)();
    // A file that is called like the built-in comes before it.
    match policies.iter().find(|shown| shown.name == policy.0) {
        Some(status) => Ok(respond::found(&Shown::of(status))),
        None => Err(Problem::new(
            Code::NoSuchPolicy,
            format!("there is no policy `{}`; /v1/policies lists all", policy.0),
        )),
    }
}

/// The name of a policy's file without `.wasm`. Any text may be one.
struct FileName(String);

impl FromStr for FileName {
    type Err = IdError;

    fn from_str(name: &str) -> Result<FileName, IdError> {
        Ok(FileName(name.to_owned()))
    }
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "documentation of the path")]
struct PolicyPath {
    /// The policy's name: its file's without `.wasm`.
    #[param(min_length = 1, max_length = 250, example = "50-main")]
    policy: String,
}

/// Why the version before shall serve.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RollbackOrder)]
struct Order {
    /// For people: it stands in the events, and with the policy.
    #[schema(schema_with = shown::reason_or_null)]
    reason: Option<String>,
}

/// The chain.
#[derive(Serialize, ToSchema)]
pub(super) struct PolicyList<'a> {
    policies: Vec<Shown<'a>>,
}

/// A policy.
#[derive(Serialize, ToSchema)]
#[schema(as = Policy)]
pub(super) struct Shown<'a> {
    /// Its file's name, without `.wasm`.
    name: &'a str,
    /// Whether it is the host's own.
    built_in: bool,
    /// The version that the folder holds; null for the built-in, and while the folder is missing.
    wanted: Option<Wanted<'a>>,
    /// The version that is asked; null while none has ever passed the gates.
    serving: Option<Serving<'a>>,
    /// The good version before the one that serves: what a rollback goes back to.
    previous: Option<Version<'a>>,
    /// When a rollback was ordered that is in force.
    rolled_back_at: Option<Time>,
    /// Which decisions it takes: `place`, `scale_up`, `scale_down`.
    decisions: &'a [&'static str],
    /// What is wrong: why the version that the folder holds does not serve, or what it may not decide any more.
    problem: Option<&'a str>,
    /// Questions since it was first seen, all decisions together.
    asked: u64,
    answered: u64,
    /// Left to the next in the chain.
    deferred: u64,
    /// Without an answer.
    faults: u64,
    /// Memory of its instances as they were last asked.
    memory_bytes: u64,
    /// What it has learned and the host keeps for it.
    learned_bytes: u64,
    place: Option<Tally>,
    scale_up: Option<Tally>,
    scale_down: Option<Tally>,
}

/// The version that the folder holds.
#[derive(Serialize, ToSchema)]
pub(super) struct Wanted<'a> {
    /// What it says its version is; null if it was never started.
    version: Option<&'a str>,
    sha256: &'a str,
    settings_sha256: &'a str,
    /// `waiting` (half-written, being compiled, or for the host); `serving`; `refused`; `quarantined` (it has faulted too often:
    /// the good version before it serves, or none); `rolled_back` (the version before it serves, by order).
    state: &'static str,
    /// The gate that it did not pass: `read`, `check`, `compile`, `settings`, `start`, `describe`, `configure`, `view` or `trial`.
    step: Option<&'static str>,
    /// Why, for its author.
    problem: Option<&'a str>,
}

/// A version that was good.
#[derive(Serialize, ToSchema)]
#[schema(as = PolicyVersion)]
pub(super) struct Version<'a> {
    version: &'a str,
    sha256: &'a str,
    settings_sha256: &'a str,
}

/// The version that is asked.
#[derive(Serialize, ToSchema)]
pub(super) struct Serving<'a> {
    version: &'a str,
    summary: &'a str,
    sha256: &'a str,
    settings_sha256: &'a str,
    /// Since when, restarts apart; null for the built-in.
    since: Option<Time>,
    decisions: &'a [&'static str],
    /// Decisions that it may not take any more, after too many faults.
    quarantined: &'a [&'static str],
    /// Why, and since when.
    quarantines: Vec<Quarantine<'a>>,
    /// `next` or `wait`.
    on_fault: &'static str,
}

/// A decision that a version may not take any more.
#[derive(Serialize, ToSchema)]
pub(super) struct Quarantine<'a> {
    decision: &'static str,
    why: &'a str,
    at: Time,
}

/// What came of the questions about one decision.
#[derive(Serialize, ToSchema)]
pub(super) struct Tally {
    asked: u64,
    answered: u64,
    deferred: u64,
    faults: Faults,
    fuel_p50: u64,
    fuel_p99: u64,
    fuel_max: u64,
    microseconds_p50: f64,
    microseconds_p99: f64,
}

/// Faults by kind.
#[derive(Serialize, ToSchema)]
pub(super) struct Faults {
    trap: u64,
    out_of_fuel: u64,
    error: u64,
    bad_answer: u64,
    unavailable: u64,
}

impl Tally {
    fn of(tally: &TallyStatus) -> Tally {
        let faults = tally.faults;
        Tally {
            asked: tally.asked,
            answered: tally.answered,
            deferred: tally.deferred,
            faults: Faults {
                trap: faults.trap,
                out_of_fuel: faults.out_of_fuel,
                error: faults.error,
                bad_answer: faults.bad_answer,
                unavailable: faults.unavailable,
            },
            fuel_p50: tally.fuel_p50,
            fuel_p99: tally.fuel_p99,
            fuel_max: tally.fuel_max,
            microseconds_p50: tally.microseconds_p50,
            microseconds_p99: tally.microseconds_p99,
        }
    }

    fn faults(&self) -> u64 {
        let faults = &self.faults;
        faults.trap + faults.out_of_fuel + faults.error + faults.bad_answer + faults.unavailable
    }
}

impl<'a> Quarantine<'a> {
    fn of(status: &'a QuarantinedStatus) -> Quarantine<'a> {
        Quarantine {
            decision: status.decision,
            why: &status.why,
            at: Time(status.at),
        }
    }
}

impl<'a> Shown<'a> {
    fn of(status: &'a PolicyStatus) -> Shown<'a> {
        let [place, scale_up, scale_down] =
            [&status.place, &status.scale_up, &status.scale_down].map(|tally| tally.as_ref().map(Tally::of));
        let sum = |of: fn(&Tally) -> u64| [&place, &scale_up, &scale_down].into_iter().flatten().map(of).sum();
        Shown {
            name: &status.name,
            built_in: status.built_in,
            wanted: status.wanted.as_ref().map(|wanted| Wanted {
                version: wanted.version.as_deref(),
                sha256: &wanted.sha256,
                settings_sha256: &wanted.settings_sha256,
                state: wanted.state.word(),
                step: wanted.step,
                problem: wanted.problem.as_deref(),
            }),
            serving: status.serving.as_ref().map(|serving| Serving {
                version: &serving.version,
                summary: &serving.summary,
                sha256: &serving.sha256,
                settings_sha256: &serving.settings_sha256,
                since: serving.since.map(Time),
                decisions: &serving.decisions,
                quarantined: &serving.quarantined,
                quarantines: serving.quarantines.iter().map(Quarantine::of).collect(),
                on_fault: serving.on_fault,
            }),
            previous: status.previous.as_ref().map(|previous| Version {
                version: &previous.version,
                sha256: &previous.sha256,
                settings_sha256: &previous.settings_sha256,
            }),
            rolled_back_at: status.rolled_back_at.map(Time),
            decisions: status.serving.as_ref().map_or(&[], |serving| &serving.decisions),
            problem: status.problem.as_deref(),
            asked: sum(|tally| tally.asked),
            answered: sum(|tally| tally.answered),
            deferred: sum(|tally| tally.deferred),
            faults: sum(Tally::faults),
            memory_bytes: status.memory_bytes,
            learned_bytes: status.learned_bytes,
            place,
            scale_up,
            scale_down,
        }
    }
}
