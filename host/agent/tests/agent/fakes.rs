//! A host, a media server and the agent between them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::IntoResponse;
use clap::Parser;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use usher_agent::{CannotStart, Options, Stop, StopSender};

/// How long a fact is waited for, in the time of the test: longer than any wait of the agent's.
pub(crate) const DEADLINE: Duration = Duration::from_secs(600);

/// One request that a fake has got.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) at: Instant,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    pub(crate) fn token(&self) -> Option<&str> {
        self.headers
            .get("authorization")?
            .to_str()
            .ok()?
            .strip_prefix("Bearer ")
    }
}

/// What a fake does with a request.
pub(crate) enum Reply {
    Json(Value),
    Status(u16, String),
    /// This, after some time.
    Slow(Duration, Value),
    /// Nothing, for ever.
    Hang,
}

type Script = Box<dyn FnMut(&Request) -> Reply + Send>;

/// An HTTP server that keeps what it gets and answers as its script says.
#[derive(Clone)]
pub(crate) struct Fake {
    shared: Arc<Shared>,
    pub(crate) url: String,
}

struct Shared {
    script: Mutex<Script>,
    got: watch::Sender<Vec<Request>>,
}

impl Fake {
    pub(crate) async fn start(script: impl FnMut(&Request) -> Reply + Send + 'static) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            script: Mutex::new(Box::new(script)),
            got: watch::channel(Vec::new()).0,
        });
        let router = Router::new().fallback(serve).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Fake { shared, url }
    }

    /// A host that takes every report and says this.
    pub(crate) async fn host(answer: Value) -> Fake {
        Fake::start(move |_| Reply::Json(answer.clone())).await
    }

    /// Answers differently from now on.
    pub(crate) fn now(&self, script: impl FnMut(&Request) -> Reply + Send + 'static) {
        *self.shared.script.lock().unwrap() = Box::new(script);
    }

    /// Everything it has got so far.
    pub(crate) fn got(&self) -> Vec<Request> {
        self.shared.got.borrow().clone()
    }

    /// Waits until it has got so many requests, and returns the last of them.
    pub(crate) async fn request(&self, count: usize) -> Request {
        self.find(count, |_| true).await
    }

    /// Waits for the first request, after so many others, that is as asked for.
    pub(crate) async fn after(&self, count: usize, is_it: impl Fn(&Request) -> bool) -> Request {
        let mut got = self.shared.got.subscribe();
        let found = |got: &[Request]| got.iter().skip(count).find(|request| is_it(request)).cloned();
        let waited = timeout(DEADLINE, got.wait_for(|got| found(got).is_some())).await;
        match waited {
            Ok(got) => found(&got.unwrap()).unwrap(),
            Err(_) => panic!("this never came; so many came: {}", self.got().len()),
        }
    }

    /// Waits until it has got so many requests that are as asked for, and returns the last of them.
    pub(crate) async fn find(&self, count: usize, is_it: impl Fn(&Request) -> bool) -> Request {
        let mut got = self.shared.got.subscribe();
        let found = |got: &[Request]| got.iter().filter(|request| is_it(request)).nth(count - 1).cloned();
        let waited = timeout(DEADLINE, got.wait_for(|got| found(got).is_some())).await;
        match waited {
            Ok(got) => found(&got.unwrap()).unwrap(),
            Err(_) => panic!("this never came; so many came: {}", self.got().len()),
        }
    }
}

async fn serve(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> axum::response::Response {
    let request = Request {
        at: Instant::now(),
        method,
        uri,
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let reply = (shared.script.lock().unwrap())(&request);
    shared.got.send_modify(|got| got.push(request));
    match reply {
        Reply::Json(json) => axum::Json(json).into_response(),
        Reply::Status(status, body) => (StatusCode::from_u16(status).unwrap(), body).into_response(),
        Reply::Slow(time, json) => {
            tokio::time::sleep(time).await;
            axum::Json(json).into_response()
        }
        Reply::Hang => std::future::pending().await,
    }
}

/// What a host says when all is well.
pub(crate) fn well() -> Value {
    json!({"phase": "ready", "hold": null, "health": "ok", "moved": []})
}

/// What a host says when it keeps new rooms away.
pub(crate) fn held(kind: &str) -> Value {
    json!({
        "phase": "ready", "health": "ok", "moved": [],
        "hold": {"kind": kind, "owner": "operator", "reason": "patching", "since": "2026-11-22T09:00:00Z", "deadline": null}
    })
}

/// The page of an app with so many people in one room.
pub(crate) fn page(participants: u32) -> Value {
    json!({"rooms": [{"room": "standup-42", "participants": participants}]})
}

/// A media server that answers with such a page, and takes orders.
pub(crate) async fn app(participants: u32) -> Fake {
    Fake::start(move |_| Reply::Json(page(participants))).await
}

/// An agent that runs.
pub(crate) struct Running {
    pub(crate) stop: StopSender,
    pub(crate) ended: JoinHandle<Result<(), CannotStart>>,
}

impl Running {
    /// Waits until the agent has left.
    pub(crate) async fn leave(self) {
        timeout(DEADLINE, self.ended)
            .await
            .expect("it leaves")
            .unwrap()
            .unwrap();
    }
}

/// Starts an agent for the server `media-7`.
pub(crate) fn start(host: &Fake, arguments: &[&str]) -> Running {
    let fixed = ["usher-agent", "--server", "media-7", "--url", &host.url];
    let options = Options::try_parse_from(fixed.iter().chain(arguments)).unwrap();
    let (sender, stop) = Stop::pair();
    Running {
        stop: sender,
        ended: tokio::spawn(usher_agent::run(options, stop)),
    }
}

/// Starts an agent beside an app.
pub(crate) fn start_beside(host: &Fake, app: &Fake, more: &[&str]) -> Running {
    let mut arguments = vec!["--media", "http-json", "--media-url", app.url.as_str()];
    arguments.extend(more);
    start(host, &arguments)
}

pub(crate) fn is_order(request: &Request) -> bool {
    request.method == Method::POST
}

pub(crate) fn is_draining(request: &Request) -> bool {
    request.json()["draining"] == true
}
