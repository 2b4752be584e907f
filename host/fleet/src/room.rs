//! A conference room: its durable record. A released or expired room has none.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::config::Labels;
use crate::decision::DecisionNote;
use crate::ids::{PlacementNo, QueueNo, RoomId, ServerNo, Tenant};
use crate::units::Timestamp;

/// What is kept of a room over restarts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoomRecord {
    /// Its name.
    pub id: RoomId,
    /// What it asks for.
    pub wish: RoomWish,
    /// Ends so long after the app was last heard of it, if the app chose so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_seconds: Option<u32>,
    /// When it was first asked for.
    pub created: Timestamp,
    /// How often its app could not create it where it was placed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failures: u32,
    /// Where it stands.
    pub state: RoomState,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// What a room asks for; rooms with equal wishes wait as one group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RoomWish {
    /// How many participants are expected; `None` takes the default of the pool it comes to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seats: Option<u32>,
    /// What it costs a server in the operator's unit; `None` is its seats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<u32>,
    /// How long the app expects it to live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_minutes: Option<u32>,
    /// Where it should be; how strictly is the policy's decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// To whom it belongs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Tenant>,
    /// Words for policies.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// Words that a server must carry; enforced whatever a policy answers.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub require: Labels,
}

impl RoomWish {
    /// Returns the labels as policies see them: the room's own, and `require.KEY` for each word that a server must carry, so
    /// that a policy need not propose what would be refused.
    pub fn labels_for_policies(&self) -> Cow<'_, Labels> {
        if self.require.is_empty() {
            return Cow::Borrowed(&self.labels);
        }
        let required = self
            .require
            .iter()
            .map(|(key, value)| (format!("require.{key}"), value.clone()));
        Cow::Owned(self.labels.clone().into_iter().chain(required).collect())
    }
}

/// Where a room stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoomState {
    /// In the queue.
    Waiting(Waiting),
    /// On a server.
    Placed(Placed),
    /// Its server was lost, or could not create it; it is in the queue for another.
    Moving(Moving),
}

/// See [`RoomState::Waiting`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// Since when.
    pub since: Timestamp,
    /// Its place in the queue.
    pub queue: QueueNo,
    /// When it expires.
    pub expires: Timestamp,
}

/// See [`RoomState::Placed`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Placed {
    /// Where.
    pub server: ServerNo,
    /// Which placement this is.
    pub placement: PlacementNo,
    /// When.
    pub at: Timestamp,
    /// Reserved seats: the wish's, or the pool's default.
    pub seats: u32,
    /// Reserved load: the wish's, or the seats.
    pub load: u32,
    /// Who decided it, and why.
    pub decision: DecisionNote,
}

/// See [`RoomState::Moving`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Moving {
    /// The server that it left.
    pub from: ServerNo,
    /// The placement that ended.
    pub placement: PlacementNo,
    /// Since when.
    pub since: Timestamp,
    /// Its place in the queue.
    pub queue: QueueNo,
}

impl RoomState {
    /// Returns the state's word, as the API shows it.
    pub fn word(&self) -> &'static str {
        match self {
            RoomState::Waiting(_) => "waiting",
            RoomState::Placed(_) => "placed",
            RoomState::Moving(_) => "moving",
        }
    }
}
