//! The record of a decision: what was advised, what the fleet made of it, and why.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{DecisionNo, PoolName, RoomId, ServerName};
use crate::units::Timestamp;

/// Which policy, in which version; `version` tells builds apart where the author did not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PolicyRef {
    /// The policy's name: its file's, without `.wasm`.
    pub name: std::sync::Arc<str>,
    /// What it says its version is.
    pub version: std::sync::Arc<str>,
}

/// Who placed a room and why; kept with the room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionNote {
    /// Which policy.
    #[serde(flatten)]
    pub policy: PolicyRef,
    /// Why, in the author's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One policy's part in one decision. Kept in a bounded ring by the host, for `GET /v1/decisions`.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// The decision; several policies of a chain share it.
    pub no: DecisionNo,
    /// When.
    pub at: Timestamp,
    /// What was decided.
    pub point: DecisionPoint,
    /// The room, if it is about one.
    pub room: Option<RoomId>,
    /// The server, if it is about one.
    pub server: Option<ServerName>,
    /// The pool, if it is about one.
    pub pool: Option<PoolName>,
    /// Who advised; the fleet itself where it keeps a pool's minimum.
    pub policy: PolicyRef,
    /// What was advised.
    pub advice: Advised,
    /// What became of it: `accepted`, `clamped`, `refused`, `deferred`, `fault`.
    pub verdict: &'static str,
    /// The guard that stood in the way, or the fault's kind; empty when accepted.
    pub code: &'static str,
    /// Why, in the author's words, or the fault's message.
    pub reason: Option<String>,
    /// How long the policy took.
    pub took: Duration,
}

/// What was advised; `Display` is for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Advised {
    /// The room on this server.
    On(ServerName),
    /// The room in the queue, perhaps for a server of this pool.
    Wait(Option<PoolName>),
    /// The room refused.
    Reject,
    /// Left to the next policy.
    Defer,
    /// So many servers more.
    Launch(u32),
    /// A server to go.
    Retire,
    /// Keep every server.
    Keep,
    /// A thing that does not exist.
    Unknown(u32),
    /// No advice: the policy faulted.
    Nothing,
}

impl std::fmt::Display for Advised {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Advised::On(server) => write!(f, "on {server}"),
            Advised::Wait(Some(pool)) => write!(f, "wait for {pool}"),
            Advised::Wait(None) => f.write_str("wait"),
            Advised::Reject => f.write_str("reject"),
            Advised::Defer => f.write_str("defer"),
            Advised::Launch(1) => f.write_str("launch 1 server"),
            Advised::Launch(n) => write!(f, "launch {n} servers"),
            Advised::Retire => f.write_str("retire"),
            Advised::Keep => f.write_str("keep all"),
            Advised::Unknown(no) => write!(f, "number {no}, which does not exist"),
            Advised::Nothing => f.write_str("nothing"),
        }
    }
}

/// What is decided by policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DecisionPoint {
    /// Where a room goes.
    Place,
    /// When servers are launched.
    ScaleUp,
    /// Which servers go.
    ScaleDown,
}

impl DecisionPoint {
    /// Returns the decision's word, as API and contract have it.
    pub fn word(self) -> &'static str {
        match self {
            DecisionPoint::Place => "place",
            DecisionPoint::ScaleUp => "scale_up",
            DecisionPoint::ScaleDown => "scale_down",
        }
    }
}
