//! An HTTP client of the API: JSON in, JSON out, every call bounded.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use hyper::{Method, Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;

/// The longest that a call may take: the longest long-poll (60 s) and then some.
const ANSWER_WAIT: Duration = Duration::from_secs(75);

/// The longest until a host that was killed answers again.
const RESTART_WAIT: Duration = Duration::from_secs(60);

/// From one try to reach it to the next.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// Asks one host; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base: String,
    token: Option<String>,
}

/// Returns how TLS is spoken by who believes this authority, and nobody else.
pub(crate) fn tls_settings(authority: Option<&CertificateDer<'static>>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(authority.cloned());
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// What was answered.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    /// The text as JSON, null where it is none.
    pub(crate) json: Value,
}

/// That no answer came, or not all of it: what was asked may have been done or not.
#[derive(Debug)]
#[expect(dead_code, reason = "shown where a test fails")]
pub(crate) struct NoAnswer(String);

impl Client {
    pub(crate) fn new(base: &str) -> Client {
        Client::trusting(base, None)
    }

    /// Returns one that believes this authority over HTTPS, and nobody else.
    pub(crate) fn trusting(base: &str, authority: Option<&CertificateDer<'static>>) -> Client {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls_settings(authority))
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .build(connector);
        Client {
            http,
            base: base.to_owned(),
            token: None,
        }
    }

    /// Returns one that shows this token.
    pub(crate) fn with_token(&self, token: &str) -> Client {
        Client {
            token: Some(token.to_owned()),
            ..self.clone()
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.must(Method::GET, path, None).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.must(Method::PUT, path, Some(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.must(Method::PATCH, path, Some(body)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.must(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.must(Method::DELETE, path, None).await
    }

    async fn must(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        match self.ask(method.clone(), path, body).await {
            Ok(answer) => answer,
            Err(error) => panic!("{method} {path}: {error:?}"),
        }
    }

    /// Asks; the host may end before it has answered.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Result<Answer, NoAnswer> {
        let json = body.map(|body| body.to_string());
        let headers: &[_] = match json {
            Some(_) => &[(CONTENT_TYPE.as_str(), "application/json")],
            None => &[],
        };
        self.send(method, path, headers, json.unwrap_or_default().into()).await
    }

    /// Asks until it is answered, for a host that is killed and started again meanwhile: every call may be repeated.
    pub(crate) async fn insist(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let end = Instant::now() + RESTART_WAIT;
        loop {
            match self.ask(method.clone(), path, body.clone()).await {
                Ok(answer) => return answer,
                Err(error) => assert!(Instant::now() < end, "{method} {path}: {error:?}"),
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    /// Sends exactly this.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Answer, NoAnswer> {
        let call = async {
            let response = self.open(method, path, headers, body).await?;
            let (head, body) = response.into_parts();
            let body = body.collect().await.map_err(|error| NoAnswer(format!("{error:?}")))?;
            let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
            Ok(Answer {
                status: head.status.as_u16(),
                headers: head.headers,
                json: serde_json::from_str(&text).unwrap_or(Value::Null),
                text,
            })
        };
        match tokio::time::timeout(ANSWER_WAIT, call).await {
            Ok(answer) => answer,
            Err(_) => panic!("{path} was not answered within {ANSWER_WAIT:?}"),
        }
    }

    /// Sends exactly this, and returns the response before its body has come.
    pub(crate) async fn open(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Response<Incoming>, NoAnswer> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Full::new(body)).unwrap();
        self.http
            .request(request)
            .await
            .map_err(|error| NoAnswer(format!("{error:?}")))
    }
}

impl Answer {
    /// Returns it if it has this status.
    ///
    /// # Panics
    /// It has another one.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// Checks that it is a problem document in full, with this status and code.
    #[track_caller]
    pub(crate) fn expect_problem(&self, status: u16, code: &str) {
        let problem = &self.json;
        assert_eq!(
            (self.status, problem["code"].as_str()),
            (status, Some(code)),
            "{}",
            self.text
        );
        assert_eq!(self.headers[CONTENT_TYPE], "application/problem+json");
        assert_eq!(problem["type"], format!("urn:usher:problem:{code}"));
        assert_eq!(problem["status"], status);
        for field in ["title", "detail"] {
            assert!(
                problem[field].as_str().is_some_and(|text| !text.is_empty()),
                "{field}: {}",
                self.text
            );
        }
        let retry = self
            .headers
            .get("retry-after")
            .map(|value| value.to_str().unwrap().parse::<u64>().unwrap());
        assert_eq!(problem["retry_after_seconds"].as_u64(), retry, "{}", self.text);
    }
}
