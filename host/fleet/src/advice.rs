//! What policies are asked and what they answer; advice is a wish until the fleet has checked it.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::Fleet;
use crate::config::Labels;
use crate::decision::PolicyRef;
use crate::ids::{DecisionNo, PoolNo, RoomId, ServerNo};
use crate::units::Timestamp;

/// Decides where rooms go: the chain of place policies, on the thread that changes the fleet.
///
/// The fleet asks link by link and checks each advice before it takes it or goes on to the next.
pub trait Advisor {
    /// Asks the policy at place `link` of the chain; `None` when the chain has ended before it.
    ///
    /// The advisor brings the policy's view up to date from `fleet` first.
    fn place(&mut self, link: usize, fleet: &Fleet, ask: &PlaceAsk<'_>) -> Option<PlaceAnswer>;
}

/// One room, for a place policy.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each is the contract's field of the same name")]
pub struct PlaceAsk<'a> {
    pub now: Timestamp,
    pub room: &'a RoomId,
    pub seats: u32,
    pub load: u32,
    /// 0 = the app did not say.
    pub expected_minutes: u32,
    /// Empty = any.
    pub region: &'a str,
    /// Empty = none.
    pub tenant: &'a str,
    pub labels: &'a Labels,
    pub waited_seconds: u32,
    /// The server that the room must not go back to, if it is moving.
    pub avoid: Option<ServerNo>,
}

/// What came of asking one policy.
#[derive(Debug, Clone, PartialEq)]
pub struct PlaceAnswer {
    /// Who answered.
    pub policy: PolicyRef,
    /// Its advice, or why there is none.
    pub advice: Result<PlaceAdvice, Fault>,
    /// Whether the room waits, rather than being offered to the next policy, where this one faults or its advice is refused
    /// (`on_fault = "wait"`).
    pub isolates: bool,
    /// How long it took.
    pub took: Duration,
}

/// A place policy's advice.
#[derive(Debug, Clone, PartialEq)]
pub struct PlaceAdvice {
    /// Where.
    pub placement: Placement,
    /// Why, in the author's words.
    pub reason: Option<String>,
}

/// Where a room should go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// On this server.
    On(ServerNo),
    /// In the queue.
    Wait {
        /// A server of this pool would do.
        pool: Option<PoolNo>,
        /// Ask again after so long even if nothing changes; 0 = only when something does.
        again_seconds: u32,
    },
    /// Nowhere: the room is refused.
    Reject,
    /// The next policy in the chain shall say.
    Defer,
}

/// Says why a policy gave no advice.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// What kind of fault.
    pub kind: FaultKind,
    /// The guest's own message.
    pub message: String,
}

/// The kinds of faults, as the API counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultKind {
    /// The guest trapped.
    Trap,
    /// It used up its fuel, or the time that its fuel is worth.
    OutOfFuel,
    /// It answered with an error.
    Error,
    /// It answered nonsense.
    BadAnswer,
    /// It cannot be asked: it is being rebuilt, or its thread does not answer.
    Unavailable,
}

impl FaultKind {
    /// Returns the kind's stable word.
    pub fn word(self) -> &'static str {
        match self {
            FaultKind::Trap => "trap",
            FaultKind::OutOfFuel => "out_of_fuel",
            FaultKind::Error => "error",
            FaultKind::BadAnswer => "bad_answer",
            FaultKind::Unavailable => "unavailable",
        }
    }
}

/// Which way the fleet is asked to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// More servers.
    Up,
    /// Fewer servers.
    Down,
}

/// Asks the next policy of a scale chain; answered by [`Observation::Scaled`](crate::Observation::Scaled).
///
/// The driver sends the view's changes along, so that the next link sees as starting what was ordered before it.
#[derive(Debug, Clone, PartialEq)]
pub struct ScaleAsk {
    /// Which decision.
    pub decision: DecisionNo,
    /// When.
    pub now: Timestamp,
    /// Which way.
    pub direction: Direction,
    /// How many were asked for this decision before.
    pub link: usize,
    /// The pools for which they have answered: what is ordered for those is not done any more.
    pub spoken_for: BTreeSet<PoolNo>,
    /// What waits; empty when the direction is down.
    pub demand: Demand,
    /// What became of earlier orders, each for the policy that gave them.
    pub verdicts: Vec<Verdict>,
}

/// Waiting rooms, in groups.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(missing_docs, reason = "each is the contract's field of the same name")]
pub struct Demand {
    /// The oldest first, at most [`WANTS_MAX`].
    pub wants: Vec<Want>,
    pub waiting_rooms: u32,
    pub waiting_seats: u32,
    pub rooms_last_minute: u32,
    pub seats_last_minute: u32,
}

/// The most groups of waiting rooms that a policy is told of; the totals count all.
pub const WANTS_MAX: usize = 256;

/// Waiting rooms that want the same.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each is the contract's field of the same name")]
pub struct Want {
    pub region: String,
    pub tenant: String,
    pub labels: Labels,
    pub pool: Option<PoolNo>,
    pub rooms: u32,
    pub seats: u32,
    pub load: u32,
    pub seats_largest: u32,
    pub load_largest: u32,
    pub longest_wait_seconds: u32,
}

/// What a scale policy answered.
#[derive(Debug, Clone, PartialEq)]
pub struct ScaleAnswer {
    /// Which decision this answers.
    pub decision: DecisionNo,
    /// See [`ScaleAsk::link`].
    pub link: usize,
    /// Whether the chain ends with it.
    pub last: bool,
    /// Who answered.
    pub policy: PolicyRef,
    /// Its advice, or why there is none.
    pub advice: Result<ScaleAdvice, Fault>,
    /// How long it took.
    pub took: Duration,
}

/// A scale policy's advice; what it does not name is left to the next in the chain. Rows for the same pool count together.
#[derive(Debug, Clone, PartialEq)]
pub enum ScaleAdvice {
    /// More servers.
    Up(Vec<Growth>),
    /// Fewer servers.
    Down(Vec<Shrinkage>),
}

/// So many servers more in a pool; 0 = none, and nobody after me either.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each is the contract's field of the same name")]
pub struct Growth {
    pub pool: PoolNo,
    pub servers: u32,
    pub reason: String,
}

/// These servers of a pool may go; an empty list = keep all, and nobody after me takes any.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each is the contract's field of the same name")]
pub struct Shrinkage {
    pub pool: PoolNo,
    pub servers: Vec<Retirement>,
}

/// One server that may go.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each is the contract's field of the same name")]
pub struct Retirement {
    pub server: ServerNo,
    pub reason: String,
}

/// What became of an order, for the policy that gave it.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Whom to tell.
    pub policy: PolicyRef,
    /// What to tell.
    pub row: VerdictRow,
}

/// What became of an order to launch or retire.
#[derive(Debug, Clone, PartialEq)]
pub struct VerdictRow {
    /// The decision in which it was ordered.
    pub decision: DecisionNo,
    /// What the order was about.
    pub subject: Subject,
    /// What became of it.
    pub outcome: VerdictOutcome,
    /// How many servers this is about.
    pub count: u32,
    /// Which guard or fault; empty when accepted.
    pub code: &'static str,
    /// The same refusal is certain until then, in seconds since 1970; 0 = not known.
    pub until: u32,
}

/// What an order was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// Launching in a pool.
    Launch(PoolNo),
    /// Retiring a server.
    Retire(ServerNo),
}

/// What became of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerdictOutcome {
    /// Done as asked.
    Accepted,
    /// Done in part.
    Clamped,
    /// Not done.
    Refused,
    /// Begun, and failed.
    Failed,
}

impl VerdictOutcome {
    /// Returns the outcome's stable word.
    pub fn word(self) -> &'static str {
        match self {
            VerdictOutcome::Accepted => "accepted",
            VerdictOutcome::Clamped => "clamped",
            VerdictOutcome::Refused => "refused",
            VerdictOutcome::Failed => "failed",
        }
    }
}
