//! When something is due. A timer may ring early or for nothing: whoever is rung looks, and sets the next one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Fleet;
use crate::ids::{PoolName, RoomId, ServerNo};
use crate::units::Timestamp;

/// Timers that ring within one input; the rest ring in the next, at once.
const RINGS_PER_INPUT_MAX: usize = 1024;

/// What is overdue and could not be done now is looked at again after so long.
const AGAIN: Duration = Duration::from_secs(1);

/// Who is rung.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The scale decisions, the pools' minimums, the bill.
    Tick,
    /// A group of waiting rooms that its policy wants to be asked for again.
    Queue,
    /// A list of the pool's instances.
    List(PoolName),
    /// A server's silence, deadlines, repeats.
    Server(ServerNo),
    /// A room's lease, emptiness, silence, wait.
    Room(RoomId),
}

/// The timers that are set: each of [`Timer::Tick`], [`Timer::Queue`] and the pools' lists once, at its earliest moment.
#[derive(Debug, Default)]
pub(super) struct Timers {
    by_time: BTreeSet<(Timestamp, Timer)>,
    once: BTreeMap<Timer, Timestamp>,
}

impl Timers {
    pub(super) fn set(&mut self, at: Timestamp, timer: Timer) {
        match &timer {
            // These note themselves when they ring.
            Timer::Server(_) | Timer::Room(_) => {}
            Timer::Tick | Timer::Queue | Timer::List(_) => match self.once.get(&timer) {
                Some(set) if *set <= at => return,
                Some(set) => {
                    let later = (*set, timer.clone());
                    self.by_time.remove(&later);
                    self.once.insert(timer.clone(), at);
                }
                None => {
                    self.once.insert(timer.clone(), at);
                }
            },
        }
        self.by_time.insert((at, timer));
    }

    /// Forgets a timer that was set.
    pub(super) fn unset(&mut self, at: Timestamp, timer: Timer) {
        self.once.remove(&timer);
        self.by_time.remove(&(at, timer));
    }

    pub(super) fn next(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(at, _)| *at)
    }

    fn take_due(&mut self, now: Timestamp) -> Option<Timer> {
        if self.by_time.first()?.0 > now {
            return None;
        }
        let (_, timer) = self.by_time.pop_first()?;
        self.once.remove(&timer);
        Some(timer)
    }
}

impl Fleet {
    /// Rings whoever is due.
    pub(super) fn run_due(&mut self) {
        for _ in 0..RINGS_PER_INPUT_MAX {
            let Some(timer) = self.timers.take_due(self.now) else {
                return;
            };
            match timer {
                Timer::Tick => self.tick(),
                Timer::Queue => self.ask_again(),
                Timer::List(pool) => self.ask_for_list(pool),
                Timer::Server(no) => self.server_due(no),
                Timer::Room(id) => self.room_due(&id),
            }
        }
    }

    /// Sets a room's timer where its next deadline lies before the one that is set; a later one is found when that rings.
    pub(super) fn time_room(&mut self, id: &RoomId) {
        let Some(room) = self.rooms.get(id) else { return };
        let Some(at) = self.room_deadline(room).map(|at| self.not_overdue(at)) else {
            return;
        };
        if room.timer.is_some_and(|set| set <= at) {
            return;
        }
        self.timers.set(at, Timer::Room(id.clone()));
        if let Some(room) = self.rooms.get_mut(id)
            && let Some(later) = room.timer.replace(at)
        {
            self.timers.unset(later, Timer::Room(id.clone()));
        }
    }

    /// Does the same for a server.
    pub(super) fn time_server(&mut self, no: ServerNo) {
        let Some(server) = self.servers.get(&no) else { return };
        let Some(at) = self.server_deadline(server).map(|at| self.not_overdue(at)) else {
            return;
        };
        if server.timer.is_some_and(|set| set <= at) {
            return;
        }
        self.timers.set(at, Timer::Server(no));
        if let Some(server) = self.servers.get_mut(&no)
            && let Some(later) = server.timer.replace(at)
        {
            self.timers.unset(later, Timer::Server(no));
        }
    }

    /// Returns when what was due at `at` is looked at: what is overdue could not be done just now.
    pub(super) fn not_overdue(&self, at: Timestamp) -> Timestamp {
        if at > self.now { at } else { self.now + AGAIN }
    }

    fn room_due(&mut self, id: &RoomId) {
        if let Some(room) = self.rooms.get_mut(id)
            && room.timer.is_some_and(|at| at <= self.now)
        {
            room.timer = None;
            self.check_room(id);
            self.time_room(id);
        }
    }

    fn server_due(&mut self, no: ServerNo) {
        if let Some(server) = self.servers.get_mut(&no)
            && server.timer.is_some_and(|at| at <= self.now)
        {
            server.timer = None;
            self.check_server(no);
            self.time_server(no);
        }
    }
}
