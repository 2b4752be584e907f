//! What a policy knows: rows, as plain data. The contract's types are the same in wasm's words.
//!
//! A reader remembers the [`Cursor`] up to which it has read; [`Fleet::changes_since`](crate::Fleet::changes_since) gives
//! the newest row of each thing that changed after it, and from [`Cursor::START`] the whole view. Who must not keep the fleet
//! waiting takes the whole view in parts ([`Fleet::view_part`](crate::Fleet::view_part)).

use std::sync::Arc;

use crate::config::Labels;
use crate::ids::{PoolNo, ServerName, ServerNo};

/// How far a reader has read the view.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor(pub u64);

impl Cursor {
    /// Nothing was read yet.
    pub const START: Cursor = Cursor(0);
}

/// One changed thing, as it is now. Small, as there are hundreds of thousands of them. What takes memory is shared with the fleet:
/// rows are read on the thread that places rooms, and dropped on others.
#[derive(Debug, Clone, PartialEq)]
pub enum ViewChange {
    /// A pool is new or was configured otherwise.
    PoolSet(Arc<PoolRow>),
    /// What the guards would let be done with a pool has changed.
    PoolState(PoolStateRow),
    /// A pool is gone.
    PoolRemoved(PoolNo),
    /// A server is new or was described otherwise.
    ServerSet(ServerRow),
    /// A server's figures; it was set before.
    Usage(UsageRow),
    /// A reported figure beyond those of the usage row.
    Figure(FigureRow),
    /// A server is gone.
    ServerRemoved(ServerNo),
}

/// Servers of one kind.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each is the contract's field of the same name")]
pub struct PoolRow {
    pub no: PoolNo,
    pub name: String,
    pub region: String,
    pub zones: Vec<String>,
    pub instance_type: String,
    pub market: String,
    pub automatic: bool,
    pub servers_min: u32,
    pub servers_max: u32,
    /// 0 = this figure does not limit, here and below.
    pub rooms_per_server: u32,
    pub seats_per_server: u32,
    pub load_per_server: u32,
    pub price_microdollars_per_hour: u32,
    pub labels: Labels,
}

/// What the guards let be done with a pool now.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolStateRow {
    /// The pool.
    pub no: PoolNo,
    /// How many servers may be started or resumed now.
    pub launchable: u32,
    /// How many of its servers may be retired now.
    pub retirable: u32,
    /// What stands in the way of launching, or where something may be launched, of retiring; empty = nothing.
    pub code: &'static str,
    /// When the clock alone may change that, in seconds since 1970; 0 = not known.
    pub again: u32,
    /// From launch to ready, the median of the last boots, in seconds; 0 = none yet.
    pub boot_seconds: u32,
}

/// How far a server is, as policies see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PhaseView {
    /// From `requested` to `booting`.
    Starting,
    /// Serving.
    Ready,
    /// `failed`, `terminating`, or lost.
    Ending,
}

/// What keeps new rooms away, as policies see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldView {
    /// Nothing.
    Free,
    /// Cordoned, or kept for a room that has waited long.
    Cordoned,
    /// Drained by a policy; may be resumed.
    Draining,
    /// Drained by anyone else; never comes back.
    Leaving,
}

/// How a server does, as policies see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthView {
    /// Nothing was heard, or nobody looks.
    Unknown,
    /// A sign came lately.
    Ok,
    /// No sign for a while.
    Silent,
}

/// The part of a server that hardly ever changes.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each is the contract's field of the same name")]
pub struct ServerRow {
    pub no: ServerNo,
    pub pool: PoolNo,
    pub name: ServerName,
    pub zone: Option<Arc<str>>,
    pub rooms_max: u32,
    pub seats_max: u32,
    pub load_max: u32,
    pub price_microdollars_per_hour: u32,
    pub started: u32,
    pub labels: Arc<Labels>,
}

/// Stands for a number that no report has: no data is not zero.
pub const NOT_REPORTED: u32 = u32::MAX;

/// The part of a server that changes all the time. Times are in seconds since 1970; of the last three each may be
/// [`NOT_REPORTED`].
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(missing_docs, reason = "each is the contract's field of the same name")]
pub struct UsageRow {
    pub no: ServerNo,
    pub phase: PhaseView,
    pub hold: HoldView,
    pub health: HealthView,
    pub since: u32,
    pub rooms: u32,
    pub seats: u32,
    pub load: u32,
    pub seats_largest: u32,
    pub rooms_open_ended: u32,
    pub busy_until: u32,
    pub newest_room: u32,
    pub empty_since: u32,
    pub reported: u32,
    pub participants: u32,
    pub cpu_permille: u32,
    pub egress_kbps: u32,
}

/// One more reported number of a server, by the name under which it is reported.
#[derive(Debug, Clone, PartialEq)]
pub struct FigureRow {
    /// The server.
    pub server: ServerNo,
    /// The figure's name, such as `consumers`.
    pub name: Arc<str>,
    /// Its value.
    pub value: u32,
}
