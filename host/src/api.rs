//! The HTTP API: turns requests into commands and observations, and what became of them into responses.
//!
//! | file | holds |
//! |---|---|
//! | `request` | names, queries, bodies and callers, checked before anything else sees them |
//! | `rooms`, `servers`, `pools`, ... | one resource each: its calls, what they take, how it is shown |
//! | `respond` | problems and answers; the only place that knows status codes |
//! | `shown` | how times, money and names look |
//!
//! It sees the fleet's types and the driver's mailbox. It decides nothing, and keeps nothing between two requests.

#![allow(
    unused_qualifications,
    reason = "utoipa's macros write full paths where short ones would do"
)]

mod bill;
mod decisions;
pub(crate) mod events;
mod health;
mod policies;
mod pools;
mod request;
mod respond;
mod rooms;
mod servers;
mod shown;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use bytes::Bytes;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::{Semaphore, watch};
use usher_fleet::units::Microdollars;
use usher_policy::{PolicyStatus, Rollback};
use usher_store::{EventId, EventLog};
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Content, PathItem, RefOr, Schema};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;

use self::respond::{Code, Problem};
use crate::auth::Doorkeeper;
use crate::driver::{Decisions, Mailbox};

/// Takes a policy's name and why.
pub type RollBack = Box<dyn Fn(&str, &str) -> Option<Rollback> + Send + Sync>;

/// What the API is given to work with.
pub struct Parts {
    /// Where commands, observations and reads go.
    pub mailbox: Mailbox,
    /// The last decisions.
    pub decisions: Decisions,
    /// What has happened.
    pub events: EventLog,
    /// The newest durable event.
    pub newest: watch::Receiver<EventId>,
    /// Who is asking.
    pub doorkeeper: Doorkeeper,
    /// What the one big server costs an hour.
    pub baseline_per_hour: Option<Microdollars>,
    /// What renders the figures.
    pub metrics: PrometheusHandle,
    /// What the policies are and do.
    pub policies: Box<dyn Fn() -> Vec<PolicyStatus> + Send + Sync>,
    /// Orders the version before of a policy, with a reason; none when the policies are stopped.
    pub roll_back: RollBack,
    /// Whether the host is ready.
    pub is_ready: Box<dyn Fn() -> bool + Send + Sync>,
    /// That the disk is nearly full.
    pub is_disk_low: Arc<AtomicBool>,
    /// Becomes true when the host stops: streams end.
    pub stopping: watch::Receiver<bool>,
}

/// What every call sees.
struct Api {
    mailbox: Mailbox,
    decisions: Decisions,
    events: EventLog,
    newest: watch::Receiver<EventId>,
    doorkeeper: Doorkeeper,
    baseline_per_hour: Option<Microdollars>,
    metrics: PrometheusHandle,
    policies: Box<dyn Fn() -> Vec<PolicyStatus> + Send + Sync>,
    roll_back: RollBack,
    is_ready: Box<dyn Fn() -> bool + Send + Sync>,
    is_disk_low: Arc<AtomicBool>,
    stopping: watch::Receiver<bool>,
    followers: Arc<Semaphore>,
    openapi: Bytes,
}

impl Api {
    fn is_disk_low(&self) -> bool {
        self.is_disk_low.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parts")
    }
}

/// Makes the whole API.
pub fn router(parts: Parts) -> Router {
    let (router, document) = documented(parts.doorkeeper.is_open());
    let openapi = document
        .to_json()
        .expect("the document has text keys and serialises without fail");
    let api = Api {
        mailbox: parts.mailbox,
        decisions: parts.decisions,
        events: parts.events,
        newest: parts.newest,
        doorkeeper: parts.doorkeeper,
        baseline_per_hour: parts.baseline_per_hour,
        metrics: parts.metrics,
        policies: parts.policies,
        roll_back: parts.roll_back,
        is_ready: parts.is_ready,
        is_disk_low: parts.is_disk_low,
        stopping: parts.stopping,
        followers: Arc::new(Semaphore::new(events::FOLLOWERS_MAX)),
        openapi: openapi.into(),
    };
    router
        .fallback(async || Problem::new(Code::NotFound, "no call has this path; /openapi.json lists all"))
        .method_not_allowed_fallback(async || {
            Problem::new(
                Code::MethodNotAllowed,
                "the header `Allow` lists the methods of this path",
            )
        })
        .with_state(Arc::new(api))
}

/// Answers who speaks plain HTTP where only HTTPS is spoken. It leads nobody on: a token would have been sent in clear by then.
pub fn only_https() -> Router {
    Router::new().fallback(async || Problem::new(Code::HttpsOnly, "write https:// instead of http://"))
}

/// Returns the OpenAPI document of a host with tokens.
pub fn openapi() -> utoipa::openapi::OpenApi {
    documented(false).1
}

/// Returns the calls and their document; that of an open host asks for no tokens.
fn documented(is_open: bool) -> (Router<Arc<Api>>, utoipa::openapi::OpenApi) {
    let (router, mut document) = OpenApiRouter::with_openapi(Document::openapi())
        .merge(rooms::router())
        .merge(servers::router())
        .merge(pools::router())
        .merge(policies::router())
        .merge(decisions::router())
        .merge(bill::router())
        .merge(events::router())
        .merge(health::router())
        .split_for_parts();
    for operation in document.paths.paths.values_mut().flat_map(operations) {
        if is_open {
            operation.security = None;
        }
        if let Some(RefOr::T(body)) = &mut operation.request_body {
            body.content.values_mut().for_each(take_no_null);
        }
    }
    (router, document)
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [
        &mut item.get,
        &mut item.put,
        &mut item.post,
        &mut item.patch,
        &mut item.delete,
    ]
    .into_iter()
    .flatten()
}

/// A body may be left out, which utoipa takes for a body that may be `null` too.
fn take_no_null(content: &mut RefOr<Content>) {
    if let RefOr::T(content) = content
        && let Some(RefOr::T(Schema::OneOf(either))) = &content.schema
        && let Some(body) = either.items.iter().find(|item| matches!(item, RefOr::Ref(_))).cloned()
    {
        content.schema = Some(body);
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Usher",
        description = "Places conference rooms on media servers, and has servers launched and ended as the rooms come and go.\n\n\
            Bodies are JSON with `Content-Type: application/json`; fields that are not known are refused. Times are RFC 3339 in \
            UTC, money is in dollars. Whatever is not done is told as an RFC 9457 problem with a stable `code`.",
    ),
    components(schemas(
        respond::Sent<'_>, rooms::Room<'_>, rooms::RoomPage<'_>, servers::Server<'_>, servers::Registered<'_>, servers::ServerList<'_>,
        servers::ReportAnswer<'_>, servers::NewToken<'_>, pools::PoolList<'_>, pools::Scaling<'_>, policies::PolicyList<'_>, policies::Shown<'_>,
        decisions::DecisionList<'_>, bill::Bill<'_>,
    )),
    modifiers(&Tokens),
    tags(
        (name = "rooms", description = "For apps: a server for a room."),
        (name = "servers", description = "For operators, registrars and agents."),
        (name = "pools", description = "Servers of one kind."),
        (name = "policies", description = "Who decides."),
        (name = "decisions", description = "Why."),
        (name = "bill", description = "At what price."),
        (name = "events", description = "What happens."),
        (name = "host", description = "The process itself."),
    ),
)]
struct Document;

struct Tokens;

impl Modify for Tokens {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.description = Some(
            "Scopes: `app`, `register`, `server`, `admin`. Not asked for where no tokens are configured.".to_owned(),
        );
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(bearer));
    }
}

#[cfg(test)]
mod tests;
