//! A Janus' public API, as our app servers use it: rooms by number, named in their descriptions, and somebody who is in one.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::http::Client;

/// What a Janus of these tests asks of who creates rooms; its agent has it, too.
const ADMIN_KEY: &str = "key";

/// The Janus to which a room was sent.
pub(crate) struct Janus(Client);

impl Janus {
    /// The one at a server's URL.
    pub(crate) fn at(url: &str) -> Janus {
        Janus(Client::new(url))
    }

    pub(crate) async fn create(&self, room: &str) {
        let create = json!({ "request": "create", "room": number(room), "description": room, "admin_key": ADMIN_KEY });
        let answer = self.ask(create).await;
        assert_eq!(answer["plugindata"]["data"]["videoroom"], "created", "{answer}");
    }

    /// Lets somebody join who publishes nothing. A session that hears nothing more is kept for a minute.
    pub(crate) async fn join(&self, room: &str) {
        let join = json!({ "request": "join", "ptype": "publisher", "room": number(room) });
        let answer = self.ask(join).await;
        assert_eq!(answer["janus"], "ack", "{answer}");
    }

    pub(crate) async fn destroy(&self, room: &str) {
        let answer = self.ask(json!({ "request": "destroy", "room": number(room) })).await;
        assert_eq!(answer["plugindata"]["data"]["videoroom"], "destroyed", "{answer}");
    }

    /// Sends one message to the videoroom plugin, in a session of its own.
    async fn ask(&self, body: Value) -> Value {
        let session = self.post("", json!({ "janus": "create" })).await["data"]["id"].clone();
        let attach = json!({ "janus": "attach", "plugin": "janus.plugin.videoroom" });
        let handle = self.post(&format!("/{session}"), attach).await["data"]["id"].clone();
        let message = json!({ "janus": "message", "body": body });
        self.post(&format!("/{session}/{handle}"), message).await
    }

    async fn post(&self, path: &str, mut message: Value) -> Value {
        message["transaction"] = json!("test");
        self.0.post(path, message).await.expect(200).json
    }
}

/// The number of a room, as in `examples/app-server`: the first 48 bits of the hash of its name, and one.
fn number(room: &str) -> u64 {
    let digest = Sha256::digest(room.as_bytes());
    digest[..6]
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
        + 1
}
