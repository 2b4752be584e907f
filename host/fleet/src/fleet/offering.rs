//! Capacity that appears is offered to the queue, the oldest first, before any newer request; and no room is overtaken for
//! ever.

use std::time::Duration;

use super::changes::Thing;
use super::choosing::Choice;
use super::ledger::Used;
use super::queue::Group;
use super::rooms::End;
use super::state::Server;
use super::timers::Timer;
use super::{Fleet, OFFERS_PER_INPUT_MAX};
use crate::advice::Advisor;
use crate::event::{RoomWaiting, What};
use crate::ids::{QueueNo, RoomId, ServerNo};
use crate::room::RoomWish;

/// A group of rooms that newer ones have overtaken for so long has the next server that could hold it kept for it.
const OVERTAKEN_MAX: Duration = Duration::from_secs(30);

/// How many of the oldest groups are looked at for having been overtaken: more would make each placement dearer the
/// longer the queue is.
const OVERTAKEN_GROUPS_MAX: usize = 16;

impl Fleet {
    /// Offers what room there is to the queue, the oldest first, as far as one input may go.
    pub(super) fn offer_queue(&mut self, advisor: &mut dyn Advisor) {
        for _ in 0..OFFERS_PER_INPUT_MAX {
            self.open_groups_that_may_fit();
            let Some(id) = self.queue.next_open().cloned() else {
                return;
            };
            self.offer_room(&id, advisor);
        }
    }

    fn offer_room(&mut self, id: &RoomId, advisor: &mut dyn Advisor) {
        let Some(room) = self.rooms.get(id) else { return };
        let record = (*room.record).clone();
        // To everybody else the server that is kept for it is closed; to the policies too, but for this question.
        let kept = self.lend_kept(id);
        match self.choose(&record, advisor) {
            Choice::On(server, note) => {
                let place = self.queue.group(&record.wish).and_then(Group::oldest);
                let by = place.map_or(QueueNo(0), |(no, _)| no);
                if let Some(group) = self.queue.group_mut(&record.wish) {
                    group.unplaceable = false;
                }
                self.grown.extend(kept);
                self.settle_on(record, server, note);
                self.note_overtaken(server, by);
            }
            Choice::Wait(hint) => {
                for no in kept {
                    self.keep(no, id.clone());
                }
                self.judge_placeable(&record.wish);
                self.block_group(&record.wish, hint);
                self.scaling.owe_up();
            }
            Choice::Reject(policy, reason) => {
                self.grown.extend(kept);
                let reason = reason.unwrap_or_else(|| "no reason given".into());
                self.end_room(id, End::Expired, format!("rejected by {}: {reason}", policy.name));
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

    /// Notes on the oldest groups that a newer room, with the number `by`, was placed where they could have gone.
    pub(super) fn note_overtaken(&mut self, no: ServerNo, by: QueueNo) {
        if self.queue.is_empty() {
            return;
        }
        let Some(server) = self.servers.get(&no) else { return };
        let could = |wish: &RoomWish| self.could_ever_take(server, wish);
        let overtaken: Vec<RoomWish> = self
            .queue
            .oldest_groups()
            .take(OVERTAKEN_GROUPS_MAX)
            .take_while(|(_, group)| group.oldest().is_some_and(|(oldest, _)| oldest < by))
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
        self.keep_only_what_it_could_take(no);
        let Some(server) = self.servers.get(&no).filter(|server| server.kept_for.is_none()) else {
            return;
        };
        let is_kept_elsewhere = |wish: &RoomWish, room: &RoomId| {
            let mut kept = self.kept.iter().filter_map(|no| self.servers.get(no));
            kept.any(|server| server.kept_for.as_ref() == Some(room) && self.could_ever_take(server, wish))
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
            .find_map(|(wish, group)| {
                let (_, room) = group.oldest()?;
                (!is_kept_elsewhere(wish, room)).then(|| room.clone())
            });
        if let Some(room) = candidate {
            // One that was kept for it before and is held or lost by now need not be kept as well.
            self.lend_kept(&room);
            self.keep(no, room);
        }
    }

    /// A server may have been described anew since it is kept: too small, or with other labels, it is kept no more.
    fn keep_only_what_it_could_take(&mut self, no: ServerNo) {
        let Some(server) = self.servers.get(&no) else { return };
        let Some(room) = server.kept_for.as_ref().and_then(|room| self.rooms.get(room)) else {
            return;
        };
        if !self.could_ever_take(server, &room.record.wish) {
            self.open_to_all(no);
        }
    }

    fn keep(&mut self, no: ServerNo, room: RoomId) {
        let Some(server) = self.servers.get_mut(&no) else {
            return;
        };
        server.kept_for = Some(room);
        self.kept.insert(no);
        self.changes.touch(Thing::Usage(no));
    }

    /// Shows the servers that are kept for a room as open, and returns them.
    fn lend_kept(&mut self, room: &RoomId) -> Vec<ServerNo> {
        let is_for = |no: &ServerNo| {
            self.servers
                .get(no)
                .is_some_and(|server| server.kept_for.as_ref() == Some(room))
        };
        let lent: Vec<ServerNo> = self.kept.iter().copied().filter(is_for).collect();
        for no in &lent {
            self.open_to_all(*no);
        }
        lent
    }

    fn open_to_all(&mut self, no: ServerNo) {
        self.kept.remove(&no);
        if let Some(server) = self.servers.get_mut(&no) {
            server.kept_for = None;
        }
        self.changes.touch(Thing::Usage(no));
    }

    /// A room waits no longer: what was kept for it is open to all.
    pub(super) fn keep_no_more(&mut self, room: &RoomId) {
        let lent = self.lend_kept(room);
        self.grown.extend(lent);
    }

    /// Whether a server could take a room once others have left it.
    fn could_ever_take(&self, server: &Server, wish: &RoomWish) -> bool {
        let Some(pool) = self.pools.get(&server.record.pool) else {
            return false;
        };
        server.record.phase.is_ready()
            && server.record.hold.is_none()
            && !server.is_lost()
            && !pool.retired
            && self.not_let_in(server, &pool.config, wish).is_none()
            && Used::default()
                .refusal(self.reservation(pool, wish), &server.record.limits)
                .is_none()
    }

    /// Notes that a group could have been placed on a server launched for it and was not: it buys no more servers until one
    /// of it is placed, or the policies change.
    ///
    /// Which server was launched for whom nobody says; one that came since, has room for it and has no rooms yet could not
    /// serve it better.
    fn judge_placeable(&mut self, wish: &RoomWish) {
        let Some(group) = self.queue.group(wish) else { return };
        let Some((_, oldest)) = group.oldest() else { return };
        let Some(since) = self.rooms.get(oldest).map(|room| room.record.created) else {
            return;
        };
        let came_for_it = |server: &Server| {
            let pool = self.pools.get(&server.record.pool);
            server.record.created >= since
                && server.rooms.is_empty()
                && pool.is_some_and(|pool| {
                    let cost = self.reservation(pool, wish);
                    self.refusal(server, wish, cost, Some(oldest)).is_none()
                })
        };
        if group.unplaceable || !self.servers.values().any(came_for_it) {
            return;
        }
        let room = oldest.clone();
        if let Some(group) = self.queue.group_mut(wish) {
            group.unplaceable = true;
        }
        self.tell(What::RoomUnplaceable(RoomWaiting {
            room,
            seats: wish.seats,
            region: wish.region.clone(),
            tenant: wish.tenant.clone(),
            reason: "a server launched since it waits has room for it, and the policies place it nowhere".into(),
        }));
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
