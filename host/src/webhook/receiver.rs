//! One call of the receiver: signed, within a time, and what came of it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER, USER_AGENT};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;

use super::call::Call;
use super::patience::retry_after;
use super::secret::Secrets;
use crate::cause::root_cause;
use crate::tls;

/// The most of an answer that is read, in bytes: what it says counts by its status, and is shown in part.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// How long the rest of an answer that counts already is waited for.
const REST_TIMEOUT: Duration = Duration::from_secs(1);
/// What of an answer is shown, in characters.
const SHOWN_CHARS_MAX: usize = 200;

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was taken.
    Delivered,
    /// It was answered otherwise.
    Refused { why: String, retry_after: Option<Duration> },
    /// The receiver wants no more calls: 410.
    Gone { why: String },
    /// There was no answer in time.
    TimedOut { why: String },
    /// There was no answer.
    Unreachable { why: String },
}

impl Outcome {
    /// Returns the word of it in metrics.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Outcome::Delivered => "delivered",
            Outcome::Refused { .. } => "refused",
            Outcome::Gone { .. } => "gone",
            Outcome::TimedOut { .. } => "timed_out",
            Outcome::Unreachable { .. } => "unreachable",
        }
    }
}

/// Whom to call.
#[derive(Debug)]
pub(super) struct Receiver {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    url: Uri,
    timeout: Duration,
}

impl Receiver {
    /// Makes a client that keeps its connection.
    ///
    /// # Errors
    /// This machine has no authorities to check certificates by.
    pub(super) fn new(url: &Uri, timeout: Duration) -> Result<Receiver, rustls::Error> {
        let config = ClientConfig::builder_with_provider(tls::provider()).with_safe_default_protocol_versions()?;
        let config = match url.scheme_str() {
            Some("https") => config.with_platform_verifier()?,
            // The system's authorities cost a megabyte, and are not asked.
            _ => config.with_root_certificates(RootCertStore::empty()),
        };
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(timeout));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config.with_no_client_auth())
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(1)
            .build(connector);
        Ok(Receiver {
            client,
            url: url.clone(),
            timeout,
        })
    }

    /// Makes a call; whatever comes of it, within the time.
    pub(super) async fn call(&self, call: &Call, secrets: &Secrets) -> Outcome {
        let request = match self.request(call, secrets) {
            Ok(request) => request,
            Err(error) => return Outcome::Unreachable { why: error.to_string() },
        };
        let exchange = async {
            match self.client.request(request).await {
                Ok(response) => outcome(response, &self.url).await,
                Err(error) => Outcome::Unreachable {
                    why: root_cause(&error),
                },
            }
        };
        let late = |_| Outcome::TimedOut {
            why: format!("no answer within {} s", self.timeout.as_secs()),
        };
        tokio::time::timeout(self.timeout, exchange).await.unwrap_or_else(late)
    }

    fn request(&self, call: &Call, secrets: &Secrets) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let id = call.id();
        let signatures = secrets.signatures(&id, now, &call.body);
        Request::post(&self.url)
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("usher/", env!("CARGO_PKG_VERSION")))
            .header("webhook-id", id)
            .header("webhook-timestamp", now)
            .header("webhook-signature", signatures)
            .body(Full::new(call.body.clone()))
    }
}

async fn outcome(response: Response<Incoming>, url: &Uri) -> Outcome {
    let status = response.status();
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let retry_after = header(RETRY_AFTER).and_then(|text| retry_after(text, jiff::Timestamp::now()));
    let location = header(LOCATION).map(str::to_owned);
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect();
    if status.is_success() {
        // Read to its end, so that the connection can be used again; its status has spoken already.
        let _ = tokio::time::timeout(REST_TIMEOUT, body).await;
        return Outcome::Delivered;
    }
    let body = body.await;
    let said = body.map(|body| shown(&body.to_bytes(), url)).unwrap_or_default();
    let why = match location.filter(|_| status.is_redirection()) {
        Some(to) => {
            let to = shown(to.as_bytes(), url);
            format!("it answers {status}, and leads elsewhere{to}; nothing is sent after that: write the new url")
        }
        None => format!("it answers {status}{said}"),
    };
    match status {
        StatusCode::GONE => Outcome::Gone { why },
        _ => Outcome::Refused { why, retry_after },
    }
}

/// Returns what somebody answers, for logs and events: bounded, and without the URL's path, which may be a secret.
fn shown(said: &[u8], url: &Uri) -> String {
    let text = String::from_utf8_lossy(said);
    let text = match url.path() {
        "" | "/" => text.into_owned(),
        path => text.replace(path, "/…"),
    };
    let text: String = text.trim().chars().take(SHOWN_CHARS_MAX).collect();
    match text.is_empty() {
        true => String::new(),
        false => format!(": {text:?}"),
    }
}
