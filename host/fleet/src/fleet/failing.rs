//! Servers that live and do harm: rooms cannot be created on them or die young, or they fall silent again and again. One that fails at
//! once looks idle and would win every room, so it rests for a while; one that goes on failing is drained, to be replaced.
//!
//! What one room or one app does wrong shall not close a fleet: few servers rest at the same time, a room counts against a server
//! once in its life, and a server is compared with the others of its pool.

use std::collections::VecDeque;
use std::time::Duration;

use super::Fleet;
use super::moving::Cause;
use super::state::Server;
use crate::command::{FailRoom, Rejection, Reply, RoomOutcome};
use crate::ids::{PoolName, RoomId, ServerNo};
use crate::room::RoomState;
use crate::server::{Cordoned, Draining, Hold, HoldOwner};
use crate::units::Timestamp;

/// How far back a server's past is looked at.
const LATELY: Duration = Duration::from_secs(600);

/// A room that its app releases within so long, and in which nobody was ever seen, died young.
const YOUNG: Duration = Duration::from_secs(30);

/// How many ends of rooms are remembered of a server: enough to compare shares.
const ENDINGS_MAX: usize = 64;

/// How many others of its pool a server is compared with: the first of a large pool speak for the rest, for an app all of whose rooms
/// die young has this asked with each of them.
const OTHERS_MAX: usize = 32;

/// How long a server rests at first; each further time lately doubles it.
const REST_FIRST: Duration = Duration::from_secs(10);

/// The longest that a server rests.
const REST_MAX: Duration = Duration::from_secs(300);

/// Silences lately from which on a server that is heard again rests first: one may happen to anybody, and a second.
const SILENCES_MIN: usize = 3;

/// How a server has done lately. Volatile: after a restart everybody begins anew.
#[derive(Debug, Default)]
pub(super) struct Past {
    endings: VecDeque<(Timestamp, Ending)>,
    silences: VecDeque<Timestamp>,
    rests: VecDeque<Timestamp>,
}

/// How a room ended on a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Well,
    DiedYoung,
    Failed,
}

/// How rooms ended, counted.
#[derive(Debug, Clone, Copy, Default)]
struct Endings {
    all: usize,
    failed: usize,
    died_young: usize,
}

impl Endings {
    fn bad(self) -> usize {
        self.failed + self.died_young
    }

    /// Whether the share of bad ends is at least twice that of others.
    fn is_twice_as_bad_as(self, others: Endings) -> bool {
        self.bad() * others.all >= 2 * others.bad() * self.all
    }
}

impl Past {
    fn endings(&self, now: Timestamp) -> Endings {
        let lately = self.endings.iter().filter(|(at, _)| now.since(*at) < LATELY);
        lately.fold(Endings::default(), |mut sum, (_, ending)| {
            sum.all += 1;
            sum.failed += usize::from(*ending == Ending::Failed);
            sum.died_young += usize::from(*ending == Ending::DiedYoung);
            sum
        })
    }

    fn note(&mut self, now: Timestamp, ending: Ending) {
        if self.endings.len() >= ENDINGS_MAX {
            self.endings.pop_front();
        }
        self.endings.push_back((now, ending));
    }
}

/// Drops what is not of late any more, and returns how much is left.
fn count_lately(moments: &mut VecDeque<Timestamp>, now: Timestamp) -> usize {
    moments.retain(|at| now.since(*at) < LATELY);
    moments.len()
}

impl Fleet {
    /// An app could not create its room where it was placed: the room goes elsewhere, and the server is blamed.
    pub(super) fn fail_room(&mut self, command: FailRoom) -> Result<Reply, Rejection> {
        let room = self.their_room(&command.room, command.tenant.as_ref())?;
        let placed = match &room.record.state {
            RoomState::Placed(placed) => placed,
            RoomState::Waiting(_) | RoomState::Moving(_) => {
                return Ok(self.room_reply(&command.room, RoomOutcome::Waiting));
            }
        };
        if command.placement.is_some_and(|placement| placement != placed.placement) {
            return Ok(self.room_reply(&command.room, RoomOutcome::Found));
        }
        let (no, is_first) = (placed.server, room.record.failures == 0);
        let reason = format!("its app could not create it there: {}", command.reason);
        self.move_room(&command.room, no, Cause::RoomFailed(reason));
        // A room that fails wherever it comes shall not close one server after the other.
        if is_first {
            self.note(no, Ending::Failed);
            self.rest(
                no,
                format!("{} could not be created there: {}", command.room, command.reason),
            );
        }
        Ok(self.room_reply(&command.room, RoomOutcome::Waiting))
    }

    /// Notes how a room ends that its app releases now.
    pub(super) fn note_ending(&mut self, id: &RoomId) {
        let Some(room) = self.rooms.get(id) else { return };
        let RoomState::Placed(placed) = &room.record.state else {
            return;
        };
        let was_used = room.known.is_some_and(|known| known.participants > 0);
        let ending = match self.now.since(placed.at) < YOUNG && !was_used {
            true => Ending::DiedYoung,
            false => Ending::Well,
        };
        self.note(placed.server, ending);
    }

    fn note(&mut self, no: ServerNo, ending: Ending) {
        let now = self.now;
        if let Some(server) = self.servers.get_mut(&no) {
            server.past.note(now, ending);
        }
        if ending != Ending::Well {
            self.judge_failures(no);
        }
    }

    /// Drains a server on which rooms fail far more often than on the others of its pool; at most one of a pool within a while, for
    /// what befalls many is not theirs.
    fn judge_failures(&mut self, no: ServerNo) {
        let Some(server) = self.servers.get(&no) else { return };
        let Some(pool) = self.pools.get(&server.record.pool) else {
            return;
        };
        // What an operator holds is his to look at; what is lost or ending goes anyway.
        let is_free = server.record.hold.is_none() || is_closed(server) && !server.is_draining();
        if !is_free || !server.record.phase.is_ready() || server.is_lost() {
            return;
        }
        let max = pool.config.guards.room_failures_max as usize;
        let here = server.past.endings(self.now);
        let has_waited = pool.drained_for_failures.is_none_or(|at| self.now.since(at) >= LATELY);
        if max == 0 || here.bad() < max || 2 * here.bad() < here.all || !has_waited {
            return;
        }
        let name = server.record.pool.clone();
        let others = self.endings_beside(&name, no);
        // With nobody to compare with, only what the app says in so many words counts.
        let is_worse = match others.all < max {
            true => here.failed >= max,
            false => here.is_twice_as_bad_as(others),
        };
        if !is_worse {
            return;
        }
        let reason = format!(
            "of the last {} rooms that ended there {} could not be created and {} died young",
            here.all, here.failed, here.died_young
        );
        self.hold(
            no,
            Hold::Draining(Draining {
                owner: HoldOwner::Health,
                reason,
                since: self.now,
                deadline: None,
            }),
        );
        if let Some(pool) = self.pools.get_mut(&name) {
            pool.drained_for_failures = Some(self.now);
        }
    }

    fn endings_beside(&self, pool: &PoolName, no: ServerNo) -> Endings {
        let others = self.pools.get(pool).into_iter().flat_map(|pool| self.of(pool));
        others
            .filter(|server| server.no() != no)
            .take(OTHERS_MAX)
            .map(|server| server.past.endings(self.now))
            .fold(Endings::default(), |sum, of| Endings {
                all: sum.all + of.all,
                failed: sum.failed + of.failed,
                died_young: sum.died_young + of.died_young,
            })
    }

    /// A server that was silent is heard again. One that comes and goes rests before it takes rooms.
    pub(super) fn note_silence(&mut self, no: ServerNo) {
        let now = self.now;
        let Some(server) = self.servers.get_mut(&no) else {
            return;
        };
        server.past.silences.push_back(now);
        let times = count_lately(&mut server.past.silences, now);
        if times >= SILENCES_MIN {
            self.rest(no, format!("it fell silent {times} times within ten minutes"));
        }
    }

    /// Keeps new rooms off a server for a while, unless too many are closed so already.
    fn rest(&mut self, no: ServerNo, reason: String) {
        let now = self.now;
        let Some(server) = self.servers.get(&no) else { return };
        if server.record.hold.is_some() || !server.record.phase.is_ready() || !self.may_rest(server) {
            return;
        }
        let Some(server) = self.servers.get_mut(&no) else {
            return;
        };
        let times = count_lately(&mut server.past.rests, now);
        server.past.rests.push_back(now);
        let pause = REST_FIRST.saturating_mul(1 << times.min(16)).min(REST_MAX);
        let rest = Cordoned {
            owner: HoldOwner::Health,
            reason: format!("{reason}; it takes rooms again in {} s", pause.as_secs()),
            since: now,
            until: Some(now + pause),
        };
        self.hold(no, Hold::Cordoned(rest));
    }

    /// Whether so few of a pool's servers are closed by their health that one more may: the share is that from which on silence is our own trouble.
    fn may_rest(&self, server: &Server) -> bool {
        let Some(pool) = self.pools.get(&server.record.pool) else {
            return false;
        };
        let serving = self.of(pool).filter(|server| server.record.phase.is_ready());
        let (closed, all) = serving.fold((0, 0), |(closed, all), server| {
            (closed + usize::from(is_closed(server)), all + 1)
        });
        closed == 0 || (closed + 1) * 100 <= all * self.config.guards.freeze_silent_percent as usize
    }

    /// Ends a server's rest, if its time has come.
    pub(super) fn end_rest(&mut self, no: ServerNo) {
        let Some(server) = self.servers.get(&no) else { return };
        if let Some(Hold::Cordoned(Cordoned { until: Some(until), .. })) = &server.record.hold
            && *until <= self.now
        {
            self.uncordon(no, "it has rested");
        }
    }

    /// Forgets what is held against a server: an operator has looked at it.
    pub(super) fn forgive(&mut self, no: ServerNo) {
        if let Some(server) = self.servers.get_mut(&no) {
            server.past = Past::default();
        }
    }
}

fn is_closed(server: &Server) -> bool {
    server.record.hold.as_ref().map(Hold::owner) == Some(HoldOwner::Health)
}
