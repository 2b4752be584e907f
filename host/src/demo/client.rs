//! Asks the host over HTTP, as any app and any dashboard would.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::Client as Connections;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// How long an answer may take: longer than `wait_seconds` may hold it.
const ANSWER_MAX: Duration = Duration::from_secs(70);

/// The largest answer that is read, in bytes: a thousand rooms, with much to spare.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A client of one host; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Client {
    base: String,
    connections: Connections<HttpConnector, Full<Bytes>>,
}

/// What the host answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// Null where there was no body, or none in JSON.
    pub(super) json: Value,
}

impl Client {
    /// Makes a client of the host at `address`; it connects when it is used.
    pub(super) fn new(address: SocketAddr) -> Client {
        let connections = Connections::builder(TokioExecutor::new()).build(HttpConnector::new());
        Client {
            base: format!("http://{address}"),
            connections,
        }
    }

    /// Returns where the host is.
    pub(super) fn url(&self) -> &str {
        &self.base
    }

    /// Sends a request, with a body if there is one.
    ///
    /// # Errors
    /// The host was not reached, broke off, or took too long. A refusal is an answer.
    pub(super) async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let bytes = body.map_or_else(Bytes::new, |body| body.to_string().into());
        let request = request.body(Full::new(bytes))?;
        let whole = async {
            let response = self.connections.request(request).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
            let bytes = body
                .map_err(|error| anyhow!("its answer broke off: {error}"))?
                .to_bytes();
            Ok(Answer {
                status,
                json: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            })
        };
        let answer = tokio::time::timeout(ANSWER_MAX, whole).await;
        answer.unwrap_or_else(|_| Err(anyhow!("no answer within {} s", ANSWER_MAX.as_secs())))
    }

    /// Returns what a GET of `path` is answered, if that is of the kind that is expected.
    ///
    /// # Errors
    /// See [`Client::ask`]; or it is something else.
    pub(super) async fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let answer = self.ask(Method::GET, path, None).await?;
        if !answer.status.is_success() {
            return Err(anyhow!("GET {path} was answered {}: {}", answer.status, answer.json));
        }
        serde_json::from_value(answer.json).with_context(|| format!("GET {path} was answered in another shape"))
    }
}
