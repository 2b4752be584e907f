//! Policies: the chain, what serves, what was wanted and refused, and what was counted.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use usher_policy::{PolicyStatus, TallyStatus};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::request::Query;
use super::respond::{self, Problem};
use super::servers::NoQuery;
use crate::auth::Caller;

/// Returns the call for policies.
pub(super) fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(list_policies))
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
    /// The version that the folder holds; null for the built-in.
    wanted: Option<Wanted<'a>>,
    /// The version that is asked; null while none has ever passed the gates.
    serving: Option<Serving<'a>>,
    /// Which decisions it takes: `place`, `scale_up`, `scale_down`.
    decisions: &'a [&'static str],
    /// Why the version that the folder holds does not serve; null where it does.
    problem: Option<&'a str>,
    /// Questions since it was first seen, all decisions together.
    asked: u64,
    answered: u64,
    /// Left to the next in the chain.
    deferred: u64,
    /// Without an answer.
    faults: u64,
    /// Memory of the instance that was asked last.
    memory_bytes: u64,
    place: Option<Tally>,
    scale_up: Option<Tally>,
    scale_down: Option<Tally>,
}

/// The version that the folder holds.
#[derive(Serialize, ToSchema)]
pub(super) struct Wanted<'a> {
    sha256: &'a str,
    /// `waiting` (to be at rest, or for the host), `serving`, or `refused`.
    state: &'static str,
    /// The gate that it did not pass.
    step: Option<&'static str>,
    /// Why, for its author.
    problem: Option<&'a str>,
}

/// The version that is asked.
#[derive(Serialize, ToSchema)]
pub(super) struct Serving<'a> {
    version: &'a str,
    summary: &'a str,
    sha256: &'a str,
    settings_sha256: &'a str,
    decisions: &'a [&'static str],
    /// Decisions that it may not take any more, after too many faults.
    quarantined: &'a [&'static str],
    /// `next` or `wait`.
    on_fault: &'static str,
}

/// What came of the questions about one decision.
#[derive(Serialize, ToSchema)]
pub(super) struct Tally {
    asked: u64,
    answered: u64,
    deferred: u64,
    faults: Faults,
    fuel_last: u64,
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
            fuel_last: tally.fuel_last,
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

impl<'a> Shown<'a> {
    fn of(status: &'a PolicyStatus) -> Shown<'a> {
        let [place, scale_up, scale_down] =
            [&status.place, &status.scale_up, &status.scale_down].map(|tally| tally.as_ref().map(Tally::of));
        let sum = |of: fn(&Tally) -> u64| [&place, &scale_up, &scale_down].into_iter().flatten().map(of).sum();
        Shown {
            name: &status.name,
            built_in: status.built_in,
            wanted: status.wanted.as_ref().map(|wanted| Wanted {
                sha256: &wanted.sha256,
                state: wanted.state.word(),
                step: wanted.step,
                problem: wanted.problem.as_deref(),
            }),
            serving: status.serving.as_ref().map(|serving| Serving {
                version: &serving.version,
                summary: &serving.summary,
                sha256: &serving.sha256,
                settings_sha256: &serving.settings_sha256,
                decisions: &serving.decisions,
                quarantined: &serving.quarantined,
                on_fault: serving.on_fault,
            }),
            decisions: status.serving.as_ref().map_or(&[], |serving| &serving.decisions),
            problem: status.problem.as_deref(),
            asked: sum(|tally| tally.asked),
            answered: sum(|tally| tally.answered),
            deferred: sum(|tally| tally.deferred),
            faults: sum(Tally::faults),
            memory_bytes: status.memory_bytes,
            place,
            scale_up,
            scale_down,
        }
    }
}
