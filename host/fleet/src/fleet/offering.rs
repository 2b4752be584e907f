//! Capacity that appears is offered to the queue, the oldest first, before any newer request; and no room is overtaken for
//! ever.

use std::time::Duration;

use super::changes::Thing;
use super::choosing::Choice;
use super::ledger::Used;
use super::rooms::End;
use super::state::Server;
use super::timers::Timer;
use super::{Fleet, OFFERS_PER_INPUT_MAX, guards};
use crate::advice::Advisor;
use crate::event::{RoomWaiting, What};
use crate::ids::{RoomId, ServerNo};
use crate::room::RoomWish;
use crate::units::Timestamp;

/// A group of rooms that newer ones have overtaken for so long has the next server that could hold it kept for it.
const OVERTAKEN_MAX: Duration = Duration::from_secs(30);

/// How many of the oldest groups are looked at for having been overtaken: more would make each placement dearer the
/// longer the queue is.
const OVERTAKEN_GROUPS_MAX: usize = 16;

impl Fleet {
    /// Offers what room there is to the queue, the oldest first, as far as one input may go.
    pub(super) fn offer_queue(&mut self, advisor: &mut dyn Advisor) {
        self.open_groups_that_may_fit();
        for _ in 0..OFFERS_PER_INPUT_MAX {
            let Some(id) = self.queue.next_open().cloned() else {
                return;
            };
            let Some(room) = self.rooms.get(&id) else { return };
            let record = (*room.record).clone();
            match self.choose(&record, advisor) {
                Choice::On(server, note) => self.settle_on(record, server, note),
                Choice::Wait(hint) => {
                    self.judge_placeable(&record.wish);
                    self.block_group(&record.wish, hint);
                    self.scaling.owe_up();
                }
                Choice::Reject(policy, reason) => {
                    let reason = reason.unwrap_or_else(|| "no reason given".into());
                    self.end_room(&id, End::Expired, format!("rejected by {}: {reason}", policy.name));
                }
            }
        }
    }

    /// Opens the groups that a server which gained room could take now, and keeps such servers for the overtaken.
    ///
    /// The work is bounded by the groups, and those by `waiting_rooms_max`.
    fn open_groups_that_may_fit(&mut self) {
        let grown = std::mem::take(&mut self.grown);
        if self.queue.is_empty() {
            return;
        }
        for no in grown {
            self.keep_for_overtaken(no);
            let Some(server) = self.servers.get(&no) else { continue };
            let Some(pool) = self.pools.get(&server.record.pool) else {
                continue;
            };
            let mut queue = std::mem::take(&mut self.queue);
            queue.unblock(|wish, group| {
                let oldest = group.rooms.first_key_value().map(|(_, room)| room);
                self.refusal(server, wish, self.reservation(pool, wish), oldest)
                    .is_none()
            });
            self.queue = queue;
        }
    }

    /// Notes on the oldest groups that a newer room was placed where they could have gone.
    pub(super) fn note_overtaken(&mut self, no: ServerNo) {
        if self.queue.is_empty() {
            return;
        }
        let Some(server) = self.servers.get(&no) else { return };
        let could = |wish: &RoomWish| self.could_ever_take(server, wish);
        let overtaken: Vec<RoomWish> = self
            .queue
            .oldest_groups()
            .take(OVERTAKEN_GROUPS_MAX)
            .filter(|(wish, group)| group.overtaken.is_none() && could(wish))
            .map(|(wish, _)| wish.clone())
            .collect();
        for wish in overtaken {
            if let Some(group) = self.queue.group_mut(&wish) {
                group.overtaken = Some(self.now);
            }
        }
    }

    fn keep_for_overtaken(&mut self, no: ServerNo) {
        let Some(server) = self.servers.get(&no) else { return };
        if server
            .kept_for
            .as_ref()
            .is_some_and(|room| self.rooms.get(room).is_some_and(|room| room.server().is_none()))
        {
            return;
        }
        let is_kept_elsewhere = |room: &RoomId| {
            self.servers
                .values()
                .any(|server| server.kept_for.as_ref() == Some(room))
        };
        let candidate = self
            .queue
            .oldest_groups()
            .take(OVERTAKEN_GROUPS_MAX)
            .filter(|(_, group)| {
                group
                    .overtaken
                    .is_some_and(|since| self.now.since(since) >= OVERTAKEN_MAX)
            })
            .filter(|(wish, _)| self.could_ever_take(server, wish))
            .find_map(|(_, group)| group.rooms.first_key_value().map(|(_, room)| room.clone()))
            .filter(|room| !is_kept_elsewhere(room));
        let is_otherwise = server.kept_for != candidate;
        if let Some(server) = self.servers.get_mut(&no) {
            server.kept_for = candidate;
        }
        if is_otherwise {
            self.changes.touch(Thing::Usage(no));
        }
    }

    /// Whether a server could take a room once others have left it.
    fn could_ever_take(&self, server: &Server, wish: &RoomWish) -> bool {
        let Some(pool) = self.pools.get(&server.record.pool) else {
            return false;
        };
        server.record.phase.is_ready()
            && server.record.hold.is_none()
            && guards::lets_in(&pool.config, wish)
            && Used::default()
                .refusal(self.reservation(pool, wish), &server.record.limits)
                .is_none()
    }

    /// Notes that a group could have been placed on a server launched for it and was not: it buys no more servers.
    fn judge_placeable(&mut self, wish: &RoomWish) {
        let fits = self.servers.values().any(|server| {
            let Some(pool) = self.pools.get(&server.record.pool) else {
                return false;
            };
            server.record.created >= self.oldest_wait(wish).unwrap_or(self.now)
                && self.refusal(server, wish, self.reservation(pool, wish), None).is_none()
        });
        let Some(group) = self.queue.group_mut(wish) else {
            return;
        };
        let was = std::mem::replace(&mut group.unplaceable, fits);
        let Some(room) = group.rooms.first_key_value().map(|(_, room)| room.clone()) else {
            return;
        };
        if fits && !was {
            self.tell(What::RoomUnplaceable(RoomWaiting {
                room,
                seats: wish.seats,
                region: wish.region.clone(),
                tenant: wish.tenant.clone(),
                reason: "a server launched since it waits has room for it, and the policies place it nowhere".into(),
            }));
        }
    }

    fn oldest_wait(&self, wish: &RoomWish) -> Option<Timestamp> {
        let (_, group) = self.queue.oldest_groups().find(|(key, _)| {
            RoomWish {
                expected_minutes: None,
                ..wish.clone()
            } == **key
        })?;
        let room = self.rooms.get(group.rooms.first_key_value()?.1)?;
        Some(room.record.created)
    }

    /// Opens the groups whose policy wanted to be asked again by now.
    pub(super) fn ask_again(&mut self) {
        let now = self.now;
        self.queue
            .unblock(|_, group| group.hint.again.is_some_and(|at| at <= now));
        if let Some(at) = self.queue.next_again() {
            self.timers.set(at, Timer::Queue);
        }
    }
}
