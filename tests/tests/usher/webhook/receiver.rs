//! A receiver of the webhook, as an app would be one: it checks every signature, and behaves as a test wants.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use hmac::{Hmac, Mac as _};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};

use crate::site::Port;

/// How far the time in a call may be off, in seconds, as the specification recommends.
const TOLERANCE_SECONDS: u64 = 300;

/// What it does with a call.
#[derive(Debug, Clone, Copy)]
pub(super) enum Manner {
    Take,
    /// Answers with this status, and takes nothing.
    Answer(u16),
    /// Takes it after so long, if it is still asked.
    Late(Duration),
}

#[derive(Debug, Default)]
struct State {
    secret: Vec<u8>,
    manner: Option<Manner>,
    /// The ids of all signed calls, taken or not.
    attempts: Vec<String>,
    bodies: BTreeMap<String, BTreeSet<Bytes>>,
    taken: Vec<Value>,
    forged: u32,
    strayed: u32,
}

/// Listens on a port of its own.
pub(super) struct Receiver {
    port: Port,
    state: Arc<Mutex<State>>,
    listening: Option<AbortHandle>,
}

impl Receiver {
    pub(super) async fn start() -> Receiver {
        let mut receiver = Receiver {
            port: Port::free(),
            state: Arc::default(),
            listening: None,
        };
        receiver.listen().await;
        receiver
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port.number)
    }

    /// Gives it the secret.
    pub(super) fn knows(&self, secret: &str) {
        let bytes = BASE64.decode(secret.trim().strip_prefix("whsec_").unwrap());
        self.state.lock().unwrap().secret = bytes.unwrap();
    }

    pub(super) fn behaves(&self, manner: Manner) {
        self.state.lock().unwrap().manner = Some(manner);
    }

    /// Is not there any more, and breaks off all connections.
    pub(super) fn stop(&mut self) {
        if let Some(listening) = self.listening.take() {
            listening.abort();
        }
    }

    pub(super) async fn listen(&mut self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port.number)).await.unwrap();
        let state = Arc::clone(&self.state);
        let accepting = tokio::spawn(async move {
            // Dropped with this task, and with them all connections.
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let state = Arc::clone(&state);
                connections.spawn(async move {
                    let answer = service_fn(move |request| answer(request, Arc::clone(&state)));
                    // The host may be killed at any time.
                    let _ = http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), answer)
                        .await;
                });
            }
        });
        self.listening = Some(accepting.abort_handle());
    }

    /// Returns the events of all calls that it has taken, in order.
    pub(super) fn taken(&self) -> Vec<Value> {
        self.state.lock().unwrap().taken.clone()
    }

    /// Returns the ids of all calls, taken or not.
    pub(super) fn attempts(&self) -> Vec<String> {
        self.state.lock().unwrap().attempts.clone()
    }

    /// Returns the bodies that came under each id.
    pub(super) fn calls_by_id(&self) -> BTreeMap<String, BTreeSet<Bytes>> {
        self.state.lock().unwrap().bodies.clone()
    }

    /// Returns how many calls were not signed well.
    pub(super) fn forged(&self) -> u32 {
        self.state.lock().unwrap().forged
    }

    /// Returns how many calls came to where a redirect leads.
    pub(super) fn strayed(&self) -> u32 {
        self.state.lock().unwrap().strayed
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn answer(request: Request<Incoming>, state: Arc<Mutex<State>>) -> Result<Response<Full<Bytes>>, Infallible> {
    let with = |status: u16| {
        let answer = Response::builder().status(status).header("location", "/elsewhere");
        Ok(answer.body(Full::new(Bytes::from("so be it"))).unwrap())
    };
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        return with(400);
    };
    let body = body.to_bytes();
    let header = |name: &str| head.headers.get(name).map_or("", |value| value.to_str().unwrap());
    let (id, sent, signatures) = (
        header("webhook-id").to_owned(),
        header("webhook-timestamp"),
        header("webhook-signature"),
    );
    let manner = {
        let mut state = state.lock().unwrap();
        if head.uri.path() != "/hook" {
            state.strayed += 1;
            return with(404);
        }
        if !is_signed(&state.secret, (&id, sent, signatures), &body) {
            state.forged += 1;
            return with(401);
        }
        state.attempts.push(id.clone());
        state.bodies.entry(id).or_default().insert(body.clone());
        state.manner.unwrap_or(Manner::Take)
    };
    match manner {
        Manner::Take => {}
        Manner::Answer(status) => return with(status),
        Manner::Late(span) => tokio::time::sleep(span).await,
    }
    let mut events: Value = serde_json::from_slice(&body).unwrap();
    let events = events["events"].as_array_mut().unwrap();
    state.lock().unwrap().taken.append(events);
    with(204)
}

fn is_signed(secret: &[u8], (id, sent, signatures): (&str, &str, &str), body: &[u8]) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let is_recent = sent
        .parse()
        .is_ok_and(|sent: u64| now.abs_diff(sent) <= TOLERANCE_SECONDS);
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
    mac.update(format!("{id}.{sent}.").as_bytes());
    mac.update(body);
    let wanted = format!("v1,{}", BASE64.encode(mac.finalize().into_bytes()));
    is_recent && signatures.split(' ').any(|signature| signature == wanted)
}
