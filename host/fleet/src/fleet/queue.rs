//! The queue of waiting rooms, grouped by what they ask: what fits nowhere is asked again only when that may have changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ids::{PoolNo, QueueNo, RoomId};
use crate::room::RoomWish;
use crate::units::Timestamp;

/// Rooms whose server was lost come before all that were never placed: people are in them.
const NEVER_PLACED: u64 = 1 << 63;

/// How many queue numbers one count of [`Queue::position`] spans.
const BLOCK: u64 = 256;

/// The waiting rooms.
#[derive(Debug, Default)]
pub(super) struct Queue {
    next: u64,
    groups: BTreeMap<Arc<RoomWish>, Group>,
    /// Every group under its oldest room's number.
    heads: BTreeMap<QueueNo, Arc<RoomWish>>,
    /// The same, of the groups that may fit somewhere.
    open: BTreeMap<QueueNo, Arc<RoomWish>>,
    all: BTreeMap<QueueNo, RoomId>,
    /// How many rooms have numbers in each block of [`BLOCK`].
    blocks: BTreeMap<u64, u32>,
}

/// Rooms that ask the same.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) rooms: BTreeMap<QueueNo, RoomId>,
    /// Was asked, and fits nowhere for now.
    blocked: bool,
    /// What the policy said that let it wait.
    pub(super) hint: Hint,
    /// Could not be placed on a server launched for it: counts no longer as demand.
    pub(super) unplaceable: bool,
    /// Since when newer rooms have been placed where this group's could have gone.
    pub(super) overtaken: Option<Timestamp>,
}

/// What a policy said when it let a room wait.
#[derive(Debug, Clone, Default)]
pub(super) struct Hint {
    /// A server of this pool would do.
    pub(super) pool: Option<PoolNo>,
    /// It wants to be asked again then even if nothing changes.
    pub(super) again: Option<Timestamp>,
}

/// Returns the wish under which a room waits: how long it will live does not decide whether it fits.
pub(super) fn key(wish: &RoomWish) -> RoomWish {
    RoomWish {
        expected_minutes: None,
        ..wish.clone()
    }
}

impl Group {
    /// Returns the oldest room and its number.
    pub(super) fn oldest(&self) -> Option<(QueueNo, &RoomId)> {
        self.rooms.first_key_value().map(|(no, room)| (*no, room))
    }
}

impl Queue {
    /// Returns the number for a room that begins to wait.
    pub(super) fn number(&mut self, is_moving: bool) -> QueueNo {
        self.next += 1;
        QueueNo(if is_moving { self.next } else { NEVER_PLACED | self.next })
    }

    pub(super) fn insert(&mut self, no: QueueNo, room: RoomId, wish: &RoomWish) {
        self.next = self.next.max(no.0 & !NEVER_PLACED);
        let wish = Arc::new(key(wish));
        let group = self.groups.entry(wish.clone()).or_default();
        let old_head = group.rooms.first_key_value().map(|(no, _)| *no);
        group.rooms.insert(no, room.clone());
        self.move_head(old_head, &wish);
        self.all.insert(no, room);
        *self.blocks.entry(no.0 / BLOCK).or_insert(0) += 1;
    }

    pub(super) fn remove(&mut self, no: QueueNo, wish: &RoomWish) {
        if self.all.remove(&no).is_none() {
            return;
        }
        if let Some(count) = self.blocks.get_mut(&(no.0 / BLOCK)) {
            *count -= 1;
            if *count == 0 {
                self.blocks.remove(&(no.0 / BLOCK));
            }
        }
        let wish = Arc::new(key(wish));
        let Some(group) = self.groups.get_mut(&wish) else {
            return;
        };
        let old_head = group.rooms.first_key_value().map(|(no, _)| *no);
        group.rooms.remove(&no);
        let is_empty = group.rooms.is_empty();
        self.move_head(old_head, &wish);
        if is_empty {
            self.groups.remove(&wish);
        }
    }

    /// Returns the oldest room whose group may fit somewhere.
    pub(super) fn next_open(&self) -> Option<&RoomId> {
        let (no, _) = self.open.first_key_value()?;
        self.all.get(no)
    }

    /// Whether rooms with this wish wait already.
    pub(super) fn has(&self, wish: &RoomWish) -> bool {
        self.groups.contains_key(&key(wish))
    }

    /// Notes that a group fits nowhere now.
    pub(super) fn block(&mut self, wish: &RoomWish, hint: Hint) {
        if let Some(group) = self.groups.get_mut(&key(wish)) {
            group.blocked = true;
            group.hint = hint;
            if let Some((no, _)) = group.rooms.first_key_value() {
                self.open.remove(no);
            }
        }
    }

    /// Opens every blocked group that `may_fit` says yes to.
    pub(super) fn unblock(&mut self, mut may_fit: impl FnMut(&RoomWish, &Group) -> bool) {
        for (wish, group) in &mut self.groups {
            if group.blocked && may_fit(wish, group) {
                group.blocked = false;
                group.hint.again = None;
                if let Some((no, _)) = group.rooms.first_key_value() {
                    self.open.insert(*no, wish.clone());
                }
            }
        }
    }

    /// Opens every group, and forgets what was thought of it: who decides has changed.
    pub(super) fn begin_anew(&mut self) {
        for group in self.groups.values_mut() {
            group.unplaceable = false;
        }
        self.unblock(|_, _| true);
    }

    /// Returns when the first policy wants to be asked again.
    pub(super) fn next_again(&self) -> Option<Timestamp> {
        self.groups.values().filter_map(|group| group.hint.again).min()
    }

    /// Returns the groups, the one with the oldest room first.
    pub(super) fn oldest_groups(&self) -> impl Iterator<Item = (&RoomWish, &Group)> {
        self.heads
            .values()
            .filter_map(|wish| self.groups.get(wish).map(|group| (&**wish, group)))
    }

    pub(super) fn group(&self, wish: &RoomWish) -> Option<&Group> {
        self.groups.get(&key(wish))
    }

    pub(super) fn group_mut(&mut self, wish: &RoomWish) -> Option<&mut Group> {
        self.groups.get_mut(&key(wish))
    }

    /// Returns a room's place, from 1.
    pub(super) fn position(&self, no: QueueNo) -> u32 {
        let block = no.0 / BLOCK;
        let before: u32 = self.blocks.range(..block).map(|(_, count)| *count).sum();
        let within = self.all.range(QueueNo(block * BLOCK)..no).count();
        before + u32::try_from(within).unwrap_or(u32::MAX) + 1
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Returns the waiting rooms, the oldest first.
    pub(super) fn rooms(&self) -> impl Iterator<Item = &RoomId> {
        self.all.values()
    }

    fn move_head(&mut self, old: Option<QueueNo>, wish: &Arc<RoomWish>) {
        if let Some(old) = old {
            self.heads.remove(&old);
            self.open.remove(&old);
        }
        let Some(group) = self.groups.get(wish) else { return };
        if let Some((no, _)) = group.rooms.first_key_value() {
            self.heads.insert(*no, wish.clone());
            if !group.blocked {
                self.open.insert(*no, wish.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(seats: u32) -> RoomWish {
        RoomWish {
            seats: Some(seats),
            load: None,
            expected_minutes: Some(seats),
            region: None,
            tenant: None,
            labels: Default::default(),
            require: Default::default(),
        }
    }

    fn room(name: &str) -> RoomId {
        name.parse().expect("a valid id")
    }

    #[test]
    fn a_group_that_fits_nowhere_is_passed_over_until_it_may_fit() {
        let mut queue = Queue::default();
        for (name, seats) in [("big-1", 100), ("small", 5), ("big-2", 100)] {
            let no = queue.number(false);
            queue.insert(no, room(name), &wish(seats));
        }
        assert_eq!(queue.next_open(), Some(&room("big-1")));
        queue.block(&wish(100), Hint::default());
        assert_eq!(queue.next_open(), Some(&room("small")));
        queue.block(&wish(5), Hint::default());
        assert_eq!(queue.next_open(), None);
        queue.unblock(|wish, _| wish.seats == Some(100));
        assert_eq!(queue.next_open(), Some(&room("big-1")));
    }

    #[test]
    fn a_moving_room_stands_before_all_that_were_never_placed() {
        let mut queue = Queue::default();
        let (first, moving) = (queue.number(false), queue.number(true));
        queue.insert(first, room("new"), &wish(1));
        queue.insert(moving, room("moving"), &wish(1));
        assert_eq!((queue.position(moving), queue.position(first)), (1, 2));
        assert_eq!(queue.next_open(), Some(&room("moving")));
    }

    #[test]
    fn positions_hold_over_many_blocks_and_removals() {
        let mut queue = Queue::default();
        let numbers: Vec<QueueNo> = (0..2000).map(|_| queue.number(false)).collect();
        for no in &numbers {
            queue.insert(*no, room("r"), &wish(1));
        }
        for no in numbers.iter().step_by(2) {
            queue.remove(*no, &wish(1));
        }
        assert_eq!(queue.position(numbers[1]), 1);
        assert_eq!(queue.position(numbers[1999]), 1000);
        assert_eq!(queue.len(), 1000);
    }
}
