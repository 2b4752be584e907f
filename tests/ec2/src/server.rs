//! HTTP: the query protocol at `/`, the tests' handle beneath `/control`, instance metadata beneath `/imds`.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, Response, StatusCode};
use axum::response::IntoResponse;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tower::ServiceExt;

use crate::api::{self, Delivery};
use crate::control::http as control_http;
use crate::metadata;
use crate::shared::Shared;
use crate::signature::{self, Signed};

/// The largest body: a thousand ids, or 16 KB of user data twice encoded, with much to spare.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// In a response's extensions: it is not to be sent, and the connection closed.
#[derive(Clone)]
struct HangUp;

/// The connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the answer is lost on purpose")]
struct LostAnswer;

/// Serves until it is dropped; connections end with it.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let router = Router::new()
        .nest("/control", control_http::routes())
        .nest("/imds", metadata::routes())
        .fallback(query)
        .with_state(shared);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(converse(stream, router.clone()));
                }
                // Out of file handles, or the peer is gone already: the next may do better.
                Err(error) => tracing::warn!(%error, "a connection could not be accepted"),
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(stream: TcpStream, router: Router) {
    let service = service_fn(move |request: Request<Incoming>| {
        let router = router.clone();
        async move {
            let response = match router.oneshot(request.map(Body::new)).await {
                Ok(response) => response,
                Err(never) => {
                    let never: Infallible = never;
                    match never {}
                }
            };
            if response.extensions().get::<HangUp>().is_some() {
                return Err(LostAnswer);
            }
            Ok(response)
        }
    });
    let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection has ended");
    }
}

/// Answers a request of the query protocol.
async fn query(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let body = body.to_bytes();
    let (reply, now) = shared.act(|world, now| {
        let signed = Signed {
            method: head.method.as_str(),
            path: head.uri.path(),
            query: head.uri.query().unwrap_or_default(),
            headers: &head.headers,
            body: &body,
        };
        let caller = signature::check(&world.setup, &signed, Timestamp::now());
        (api::answer(world, now, &body, caller), now)
    });
    if let Delivery::Late(span) = reply.delivery {
        shared.clock.wait_until(crate::world::later(now, span)).await;
    }
    let response = Response::builder()
        .status(reply.status)
        .header("content-type", "text/xml;charset=UTF-8")
        .header("x-amzn-requestid", reply.request_id);
    let response = match reply.delivery {
        Delivery::Now | Delivery::Late(_) => response,
        Delivery::Never => response.extension(HangUp),
    };
    let response = response.body(Body::from(reply.body));
    response.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}
