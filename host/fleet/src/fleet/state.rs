//! What the fleet holds of each server, room and pool: the durable record, and beside it what starts anew after a restart.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::disagreeing::Met;
use super::failing::Past;
use super::ledger::{Cost, Multiset, Used};
use super::offers::Shortage;
use crate::config::{HealthSource, PoolConfig};
use crate::event::ServerEvent;
use crate::ids::{RoomId, ServerNo};
use crate::observation::{OrderKey, Report};
use crate::pool::{Circuit, PoolRecord};
use crate::room::{RoomRecord, RoomState};
use crate::server::{Health, Hold, HoldOwner, ServerRecord};
use crate::status::ServerCard;
use crate::units::{Microdollars, Timestamp};
use crate::view::{PoolRow, PoolStateRow};

/// A server.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) record: ServerRecord,
    pub(super) card: Arc<ServerCard>,
    /// The rooms whose home it is, in the ledger.
    pub(super) rooms: BTreeSet<RoomId>,
    /// What the ledger counts for them.
    pub(super) used: Used,
    /// What its last report names that the ledger does not know.
    pub(super) unknown: Used,
    pub(super) room_seats: Multiset,
    pub(super) room_ends: Multiset,
    pub(super) rooms_open_ended: u32,
    pub(super) newest_room: Timestamp,
    /// What stands in the way of the order that its provider was given, as it was told.
    pub(super) hindrance: Option<String>,
    /// When somebody was last known to be on it.
    pub(super) last_busy: Timestamp,
    pub(super) health: Health,
    /// When it was last heard of, or when waiting for a sign began.
    pub(super) sign: Timestamp,
    /// Its newest report, and when it came; the figures of all its reports are in `figures`.
    pub(super) reported: Option<(Timestamp, Report)>,
    /// The newest value of each figure that it has ever reported.
    pub(super) figures: BTreeMap<Arc<str>, u32>,
    /// People on it, whether in rooms that it can name or not, as the newest report says that counts them. One that does not, since the
    /// media server gave no answer, says nothing of them; nor does what one that was lost last said.
    pub(super) participants: u32,
    /// Rooms that left it lately: a report that was under way still names them.
    pub(super) left_lately: BTreeMap<RoomId, Timestamp>,
    /// Rooms that it reports and nobody asked for.
    pub(super) met: BTreeMap<RoomId, Met>,
    /// The long-waiting room that it is kept for.
    pub(super) kept_for: Option<RoomId>,
    /// When an order to its provider is repeated, and how often it was.
    pub(super) retry: Option<Retry>,
    /// Its launch was ordered before, and what came of that is not known.
    pub(super) may_exist: bool,
    /// How often this process has ordered its launch, in this attempt.
    pub(super) orders: u32,
    /// Lists of its provider in a row that lacked it.
    pub(super) missing: u32,
    /// How it has done lately.
    pub(super) past: Past,
    /// When phase, hold or health last changed.
    pub(super) changed: Timestamp,
    /// Whether a prober watches it, and where.
    pub(super) watched: Option<String>,
    pub(super) timer: Option<Timestamp>,
}

/// An order to a provider that is to be repeated.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retry {
    pub(super) at: Timestamp,
    pub(super) times: u32,
}

impl Server {
    pub(super) fn no(&self) -> ServerNo {
        self.record.no
    }

    /// What counts against its limits.
    pub(super) fn use_now(&self) -> Used {
        self.used + self.unknown
    }

    /// Rooms in the ledger, and rooms that only its last report knows.
    pub(super) fn rooms_known(&self) -> u32 {
        self.used.rooms.saturating_add(self.unknown.rooms)
    }

    /// Whether it may be sold or left: nobody is on it, as far as anyone can tell. A server that cannot name its rooms still counts
    /// people.
    pub(super) fn is_empty(&self) -> bool {
        self.rooms.is_empty() && self.unknown.rooms == 0 && self.participants == 0
    }

    /// Whether its cloud takes the machine back: its rooms move, and it ends without us.
    pub(super) fn is_taken_away(&self) -> bool {
        self.record.hold.as_ref().map(Hold::owner) == Some(HoldOwner::Spot)
    }

    /// Whether its newest report says that nobody is on it.
    pub(super) fn reports_nobody(&self) -> bool {
        let participants = self.reported.as_ref().and_then(|(_, report)| report.participants);
        participants == Some(0)
    }

    /// Since when nobody has been on it, in books and reports; a change of phase, hold or health begins it anew, for nobody knows
    /// what went unseen.
    pub(super) fn empty_since(&self) -> Option<Timestamp> {
        self.is_empty().then(|| self.last_busy.max(self.changed))
    }

    pub(super) fn is_silent(&self) -> bool {
        matches!(self.health, Health::Silent { .. })
    }

    pub(super) fn is_lost(&self) -> bool {
        self.record.lost.is_some()
    }

    pub(super) fn is_draining(&self) -> bool {
        matches!(self.record.hold, Some(Hold::Draining(_)))
    }

    pub(super) fn is_drained_by_policy(&self) -> bool {
        self.is_draining()
            && self
                .record
                .hold
                .as_ref()
                .is_some_and(|hold| hold.owner() == HoldOwner::Policy)
    }
}

/// A room.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) record: Box<RoomRecord>,
    /// What the ledger counts for it on its server now.
    pub(super) counted: Cost,
    /// What was reported of it, since when in this placement.
    pub(super) known: Option<Known>,
    /// When its app or its server was last heard to name it.
    pub(super) heard: Timestamp,
    /// When its server's report last named it in this placement.
    pub(super) named: Option<Timestamp>,
    /// Whether `room.unreported` was told.
    pub(super) is_missed: bool,
    /// Since when nobody has been in it.
    pub(super) empty: Option<Timestamp>,
    /// Whether `room.stale` was told.
    pub(super) stale: bool,
    pub(super) timer: Option<Timestamp>,
}

/// What was reported of a room.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) participants: u32,
    pub(super) load: Option<u32>,
    pub(super) since: Timestamp,
}

impl Room {
    pub(super) fn server(&self) -> Option<ServerNo> {
        match &self.record.state {
            RoomState::Placed(placed) => Some(placed.server),
            RoomState::Waiting(_) | RoomState::Moving(_) => None,
        }
    }
}

/// An instance of this fleet that no record knows.
#[derive(Debug, Clone)]
pub(super) struct Stranger {
    /// When a list had it first.
    pub(super) first: Timestamp,
    /// When the newest list that has it was asked for.
    pub(super) seen: Timestamp,
    /// What was told of it last.
    pub(super) told: ServerEvent,
    /// Whether its end is ordered.
    pub(super) is_reaped: bool,
}

/// A pool.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) config: PoolConfig,
    /// What policies are shown of its configuration.
    pub(super) row: Arc<PoolRow>,
    /// Gone from the configuration: takes no rooms, launches nothing, waits for its last server to go.
    pub(super) retired: bool,
    pub(super) record: PoolRecord,
    pub(super) servers: BTreeSet<ServerNo>,
    /// Of all its servers together.
    pub(super) price_per_hour: Microdollars,
    /// When the last launches started; those within a minute count.
    pub(super) launches: VecDeque<Timestamp>,
    /// What the provider said that stands in the way of launching, and until when.
    pub(super) blocked: Option<(&'static str, Timestamp)>,
    /// Which offers its provider did not have lately.
    pub(super) shortages: Vec<Shortage>,
    pub(super) frozen: bool,
    /// When one of its servers was last drained for the rooms that failed on it.
    pub(super) drained_for_failures: Option<Timestamp>,
    /// What the policies' view says of its allowances.
    pub(super) told: Option<PoolStateRow>,
    /// When the newest list that was heeded was asked for.
    pub(super) listed: Option<Timestamp>,
    /// How often in a row its provider did not say what exists.
    pub(super) lists_failed: u32,
    /// Instances of this fleet that no record knows, as the newest list has them, each by what its provider calls it: several
    /// installations may have used a key.
    pub(super) strangers: BTreeMap<(OrderKey, String), Stranger>,
}

impl Pool {
    /// Whether anybody looks at its servers' health; else the provider's word counts.
    pub(super) fn is_looked_at(&self) -> bool {
        self.config.health != HealthSource::None
    }

    pub(super) fn is_probed(&self) -> bool {
        self.config.health == HealthSource::Probe
    }

    /// Whether a server was let through the open circuit as a trial: its outcome closes it or opens it anew.
    pub(super) fn is_trial(&self, server: &Server) -> bool {
        let is_since = matches!(&self.record.circuit, Circuit::Open(open) if server.record.created >= open.until);
        is_since && !server.record.is_adopted_unheard()
    }
}
