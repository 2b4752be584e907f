//! Questions that wait for a room to be placed (`wait_seconds`): by room, and by when their time ends.

use std::collections::{BTreeMap, HashMap};

use usher_fleet::Timestamp;
use usher_fleet::ids::RoomId;

use super::mailbox::lanes::Tell;

/// Questions that wait at the same time: as many as connections may be open. One more is answered at once with what is so.
pub(super) const PARKED_MAX: usize = 20_000;

type Key = (Timestamp, u64);

/// The questions that wait.
#[derive(Debug, Default)]
pub(super) struct Parked {
    by_room: HashMap<RoomId, Vec<(Key, Tell)>>,
    by_end: BTreeMap<Key, RoomId>,
    next: u64,
}

impl Parked {
    /// Keeps a question until its room is resolved or `until` has come; gives it back where too many wait.
    pub(super) fn park(&mut self, room: RoomId, until: Timestamp, tell: Tell) -> Result<(), Tell> {
        if self.by_end.len() >= PARKED_MAX {
            self.forget_the_gone();
        }
        if self.by_end.len() >= PARKED_MAX {
            return Err(tell);
        }
        let key = (until, self.next);
        self.next += 1;
        self.by_end.insert(key, room.clone());
        self.by_room.entry(room).or_default().push((key, tell));
        Ok(())
    }

    /// Returns whether anyone waits at all.
    pub(super) fn is_empty(&self) -> bool {
        self.by_end.is_empty()
    }

    /// Takes all who wait for a room.
    pub(super) fn take(&mut self, room: &RoomId) -> Vec<Tell> {
        let waiting = self.by_room.remove(room).unwrap_or_default();
        waiting
            .into_iter()
            .map(|(key, tell)| {
                self.by_end.remove(&key);
                tell
            })
            .collect()
    }

    /// Takes one whose time has ended.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Option<(RoomId, Tell)> {
        let first = self.by_end.first_entry()?;
        if first.key().0 > now {
            return None;
        }
        let (key, room) = first.remove_entry();
        let waiting = self.by_room.get_mut(&room)?;
        let at = waiting.iter().position(|(k, _)| *k == key)?;
        let (_, tell) = waiting.swap_remove(at);
        if waiting.is_empty() {
            self.by_room.remove(&room);
        }
        Some((room, tell))
    }

    /// Returns when the next one's time ends.
    pub(super) fn next_end(&self) -> Option<Timestamp> {
        self.by_end.first_key_value().map(|(key, _)| key.0)
    }

    /// Forgets those whose clients have gone.
    fn forget_the_gone(&mut self) {
        let by_end = &mut self.by_end;
        self.by_room.retain(|_, waiting| {
            waiting.retain(|(key, tell)| {
                let is_there = !tell.is_closed();
                if !is_there {
                    by_end.remove(key);
                }
                is_there
            });
            !waiting.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    fn room(name: &str) -> RoomId {
        name.parse().unwrap()
    }

    #[test]
    fn who_waits_is_taken_by_room_or_by_time_and_once() {
        let mut parked = Parked::default();
        let mut ends = Vec::new();
        for (name, until) in [("a", 30), ("b", 10), ("a", 20)] {
            let (tell, told) = oneshot::channel();
            parked.park(room(name), Timestamp(until), tell).unwrap();
            ends.push(told);
        }
        assert_eq!(parked.next_end(), Some(Timestamp(10)));
        assert!(parked.take_due(Timestamp(9)).is_none());
        assert_eq!(parked.take_due(Timestamp(10)).unwrap().0, room("b"));
        assert!(!parked.by_room.contains_key(&room("b")));
        assert_eq!(parked.take(&room("a")).len(), 2);
        assert!(parked.is_empty() && parked.take(&room("a")).is_empty() && parked.next_end().is_none());
    }

    #[test]
    fn those_who_have_gone_make_place() {
        let mut parked = Parked::default();
        let (tell, mut stays) = oneshot::channel();
        parked.park(room("stays"), Timestamp(1), tell).unwrap();
        for _ in 1..PARKED_MAX {
            let (tell, _) = oneshot::channel();
            parked.park(room("gone"), Timestamp(2), tell).unwrap();
        }
        let (tell, _told) = oneshot::channel();
        assert!(parked.park(room("new"), Timestamp(3), tell).is_ok());
        assert!(parked.by_room.contains_key(&room("stays")) && !parked.by_room.contains_key(&room("gone")));
        assert_eq!(parked.by_end.len(), 2);
        assert!(stays.try_recv().is_err());
    }

    #[test]
    fn beyond_the_limit_a_question_is_given_back() {
        let mut parked = Parked::default();
        let mut told = Vec::new();
        for _ in 0..PARKED_MAX {
            let (tell, wait) = oneshot::channel();
            told.push(wait);
            parked.park(room("a"), Timestamp(1), tell).unwrap();
        }
        let (tell, _wait) = oneshot::channel();
        assert!(parked.park(room("a"), Timestamp(1), tell).is_err());
    }
}
