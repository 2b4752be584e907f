//! Asks a host over HTTP or HTTPS.

mod trust;

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use super::HostArgs;
use super::failure::{Failure, Problem};
use super::query::Query;
use crate::cause::root_cause;

/// How long a connection may take: a host in another continent answers in a tenth of it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an answer may take: longer than `wait_seconds` (60) may hold it, with a sync on a slow disk.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(90);

/// The largest answer that is read, in bytes: every list of ten thousand servers fits.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A host, and as whom it is asked.
pub(super) struct Client {
    base: String,
    authorization: Option<HeaderValue>,
    pool: Pool<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// An answer that was not a refusal.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) text: String,
    pub(super) json: Value,
}

impl Client {
    /// Makes a client; it connects when it is asked something.
    pub(super) fn new(host: &HostArgs) -> Result<Client, Failure> {
        let base = host.url.trim_end_matches('/').to_owned();
        let is_https = is_https(&base)?;
        let authorization = match host.token.as_deref().filter(|token| !token.is_empty()) {
            Some(token) => Some(bearer(token)?),
            None => None,
        };
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let tls = match is_https {
            true => trust::settings(host.ca_file.as_deref())?,
            // The system's authorities take their time, and are not asked.
            false => trust::nobody()?,
        };
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        Ok(Client {
            base,
            authorization,
            pool: Pool::builder(TokioExecutor::new()).build(connector),
        })
    }

    /// Returns what a GET of `path` (with its query) is answered.
    pub(super) async fn get(&self, path: &str) -> Result<Answer, Failure> {
        self.ask(Method::GET, path, None).await
    }

    /// Sends a request, with a body if there is one, and returns its answer.
    pub(super) async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, Failure> {
        let request = self.request(method, path, body)?;
        let whole = async { self.answered(self.send(request).await?).await };
        match tokio::time::timeout(ANSWER_TIMEOUT, whole).await {
            Ok(answer) => answer,
            Err(_) => Err(self.unreachable(format!("no answer within {} s", ANSWER_TIMEOUT.as_secs()))),
        }
    }

    /// Opens the stream of events after `last`. With `follow` it goes on, and begins now where none is named; without, it
    /// ends with the newest, and begins with the oldest that is kept.
    pub(super) async fn events(&self, last: Option<&str>, follow: bool) -> Result<Incoming, Failure> {
        let mut query = Query::default();
        query.add("after", last);
        query.add("follow", (!follow).then_some(false));
        let request = self.request(Method::GET, &query.of("/v1/events"), None)?;
        let response = self.send(request).await?;
        if response.status().is_success() {
            return Ok(response.into_body());
        }
        match self.answered(response).await {
            Err(failure) => Err(failure),
            Ok(answer) => Err(self.strange(format!("status {}", answer.status))),
        }
    }

    /// Returns the failure that the host was not reached.
    pub(super) fn unreachable(&self, why: String) -> Failure {
        Failure::Unreachable {
            url: self.base.clone(),
            why,
        }
    }

    fn strange(&self, why: String) -> Failure {
        Failure::Strange {
            url: self.base.clone(),
            why,
        }
    }

    fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Request<Full<Bytes>>, Failure> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let bytes = match body {
            Some(body) => {
                request = request.header(CONTENT_TYPE, "application/json");
                Bytes::from(body.to_string())
            }
            None => Bytes::new(),
        };
        request
            .body(Full::new(bytes))
            .map_err(|error| Failure::Usage(format!("{}{path} is no URL: {error}", self.base)))
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Failure> {
        self.pool
            .request(request)
            .await
            .map_err(|error| trust::refusal(&self.base, &error).unwrap_or_else(|| self.unreachable(root_cause(&error))))
    }

    async fn answered(&self, response: Response<Incoming>) -> Result<Answer, Failure> {
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let bytes = body
            .map_err(|error| self.strange(format!("its answer broke off: {error}")))?
            .to_bytes();
        let text = String::from_utf8(bytes.into()).map_err(|_| self.strange("an answer that is no text".to_owned()))?;
        if !status.is_success() {
            let problem = serde_json::from_str::<Problem>(&text);
            return Err(problem.map_or_else(
                |_| self.strange(format!("{status} without a problem document")),
                Failure::Refused,
            ));
        }
        let json = match text.is_empty() {
            true => Value::Null,
            false => serde_json::from_str(&text)
                .map_err(|error| self.strange(format!("an answer that is no JSON: {error}")))?,
        };
        Ok(Answer {
            status: status.as_u16(),
            text,
            json,
        })
    }
}

/// Runs what asks a host, on this thread.
pub(super) fn block_on<T>(asking: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::Ended(error.into()))?.block_on(asking)
}

fn is_https(url: &str) -> Result<bool, Failure> {
    let parsed: Uri = url
        .parse()
        .map_err(|error| Failure::Usage(format!("--url {url}: {error}")))?;
    match (parsed.scheme_str(), parsed.host()) {
        (Some("http"), Some(_)) => Ok(false),
        (Some("https"), Some(_)) => Ok(true),
        (Some(_) | None, _) => Err(Failure::Usage(format!(
            "--url {url}: write for example --url http://127.0.0.1:7070 or --url https://usher.example.com"
        ))),
    }
}

fn bearer(token: &str) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| Failure::Usage("the token has characters that no token has; is it cut or wrapped?".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}
