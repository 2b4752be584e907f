//! Whether the process lives and is ready, and its figures. None of it waits for the driver.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::respond::{self, Code, Problem};
use crate::auth::Caller;

/// Returns the calls for probes and scrapers.
pub(super) fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(healthz))
        .routes(routes!(readyz))
        .routes(routes!(metrics))
        .routes(routes!(openapi_json))
}

/// Answers as long as the process does.
#[utoipa::path(get, path = "/healthz", tag = "host", responses(respond::Healthz), security(()))]
async fn healthz() -> Response {
    respond::text("text/plain; charset=utf-8", "ok\n")
}

/// Tells whether the records are recovered and every policy file was decided upon, or 30 s have passed.
#[utoipa::path(get, path = "/readyz", tag = "host", responses(respond::Readyz), security(()))]
async fn readyz(State(api): State<Arc<Api>>) -> Result<Response, Problem> {
    if (api.is_ready)() {
        Ok(respond::text("text/plain; charset=utf-8", "ready\n"))
    } else {
        Err(Problem::new(Code::NotReady, "policies are still being loaded").retry_busy())
    }
}

/// Shows the figures that `usher::metrics` documents, in Prometheus' text format. Any known token will do.
#[utoipa::path(get, path = "/metrics", tag = "host", responses(respond::Metrics), security(("token" = [])))]
async fn metrics(State(api): State<Arc<Api>>, _: Caller) -> Response {
    let figures = api.metrics.render() + &crate::metrics::policies(&(api.policies)());
    respond::text("text/plain; version=0.0.4; charset=utf-8", figures)
}

/// Returns this document.
#[utoipa::path(get, path = "/openapi.json", tag = "host", responses(respond::OpenApiJson), security(()))]
async fn openapi_json(State(api): State<Arc<Api>>) -> Response {
    respond::text("application/json", api.openapi.clone())
}
