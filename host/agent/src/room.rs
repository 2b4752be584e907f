//! Rooms as a media server tells them: which names are good, how many are taken, how they add up.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// Rooms of one report, as the host takes them.
pub(crate) const ROOMS_MAX: usize = 10_000;

/// The longest room id, in bytes, as the host takes it.
const NAME_BYTES_MAX: usize = 128;

/// Participants of one room or server, as the host takes them.
pub(crate) const PARTICIPANTS_MAX: u64 = 1_000_000;

/// The largest load, as the host takes it.
const LOAD_MAX: u64 = 1_000_000_000;

/// The largest number of a placement: what a JSON number holds exactly.
const PLACEMENT_MAX: u64 = (1 << 53) - 1;

/// Says that a text is no room id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a room id has 1 to {NAME_BYTES_MAX} of the characters A-Z a-z 0-9 . _ : -")]
pub(crate) struct NoRoomId;

/// Names a room to the host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub(crate) struct RoomId(String);

impl RoomId {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RoomId {
    type Err = NoRoomId;

    fn from_str(text: &str) -> Result<RoomId, NoRoomId> {
        if is_id(text) {
            Ok(RoomId(text.to_owned()))
        } else {
            Err(NoRoomId)
        }
    }
}

/// Returns whether a text may name a room or a server.
pub(crate) fn is_id(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".:_-".contains(&byte))
}

/// A room that is alive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Room {
    /// Its id.
    pub(crate) room: RoomId,
    /// How many are in it.
    pub(crate) participants: u32,
    /// What it costs, in the operator's unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) load: Option<u32>,
    /// Which placement of it this is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) placement: Option<u64>,
}

/// A room in the media server's words, not yet checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told<'a> {
    pub(crate) name: &'a str,
    pub(crate) participants: u64,
    pub(crate) load: Option<u64>,
    pub(crate) placement: Option<u64>,
}

/// The rooms that a media server has named, each once, at most [`ROOMS_MAX`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rooms {
    known: BTreeMap<RoomId, Room>,
    /// Those whose name is no id, or whose numbers are beyond belief.
    unreadable: u32,
    /// Those above the limit.
    cut: u32,
    /// People in unreadable rooms and in those above the limit: they are there all the same.
    elsewhere: u64,
}

impl Rooms {
    /// Takes one more room in; one that was named before gets the participants of both.
    pub(crate) fn see(&mut self, told: Told<'_>) {
        let Some(room) = checked(told) else {
            self.unreadable += 1;
            if told.participants <= PARTICIPANTS_MAX {
                self.elsewhere += told.participants;
            }
            return;
        };
        if let Some(known) = self.known.get_mut(&room.room) {
            known.participants = capped(u64::from(known.participants) + u64::from(room.participants));
            known.load = known.load.max(room.load);
        } else {
            self.add(room.room.clone(), room);
        }
    }

    /// Takes in the rooms of another part of the same media server, where the same people may be in both.
    pub(crate) fn overlay(&mut self, other: Rooms) {
        self.unreadable += other.unreadable;
        self.cut += other.cut;
        self.elsewhere += other.elsewhere;
        for (id, room) in other.known {
            if let Some(known) = self.known.get_mut(&id) {
                known.participants = known.participants.max(room.participants);
            } else {
                self.add(id, room);
            }
        }
    }

    fn add(&mut self, id: RoomId, room: Room) {
        if self.known.len() < ROOMS_MAX {
            self.known.insert(id, room);
        } else {
            self.cut += 1;
            self.elsewhere += u64::from(room.participants);
        }
    }

    /// Returns how many people are in all of them.
    pub(crate) fn participants(&self) -> u32 {
        let known: u64 = self.known.values().map(|room| u64::from(room.participants)).sum();
        capped(known + self.elsewhere)
    }

    /// Returns how many were left out because their name is no id or their numbers are beyond belief.
    pub(crate) fn unreadable(&self) -> u32 {
        self.unreadable
    }

    /// Returns how many were left out because they are too many.
    pub(crate) fn cut(&self) -> u32 {
        self.cut
    }

    /// Returns the rooms in the order of their ids.
    pub(crate) fn into_rooms(self) -> Vec<Room> {
        self.known.into_values().collect()
    }
}

fn checked(told: Told<'_>) -> Option<Room> {
    let load = match told.load {
        Some(load) if load > LOAD_MAX => return None,
        load => load.map(|load| load as u32),
    };
    if told.participants > PARTICIPANTS_MAX || told.placement.is_some_and(|placement| placement > PLACEMENT_MAX) {
        return None;
    }
    Some(Room {
        room: told.name.parse().ok()?,
        participants: told.participants as u32,
        load,
        placement: told.placement,
    })
}

fn capped(participants: u64) -> u32 {
    participants.min(PARTICIPANTS_MAX) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str, participants: u64) -> Told<'_> {
        Told {
            name,
            participants,
            load: None,
            placement: None,
        }
    }

    #[test]
    fn a_name_that_is_no_id_is_left_out_and_counted_with_its_people() {
        let mut rooms = Rooms::default();
        let long = "x".repeat(129);
        for name in ["standup-42", "", "a b", "Müller", long.as_str(), "a/b"] {
            rooms.see(told(name, 2));
        }
        assert_eq!((rooms.unreadable(), rooms.participants()), (5, 12));
        assert_eq!(rooms.into_rooms().len(), 1);
    }

    #[test]
    fn numbers_beyond_belief_leave_the_room_out() {
        let mut rooms = Rooms::default();
        rooms.see(told("a", u64::MAX));
        rooms.see(Told {
            load: Some(LOAD_MAX + 1),
            ..told("b", 1)
        });
        rooms.see(Told {
            placement: Some(PLACEMENT_MAX + 1),
            ..told("c", 1)
        });
        assert_eq!((rooms.unreadable(), rooms.participants()), (3, 2));
    }

    #[test]
    fn rooms_above_the_limit_are_cut_and_their_people_still_count() {
        let mut rooms = Rooms::default();
        for number in 0..ROOMS_MAX + 3 {
            rooms.see(told(&format!("room-{number}"), 1));
        }
        assert_eq!((rooms.cut(), rooms.participants()), (3, ROOMS_MAX as u32 + 3));
        assert_eq!(rooms.into_rooms().len(), ROOMS_MAX);
    }

    #[test]
    fn a_room_named_twice_is_one_room() {
        let mut rooms = Rooms::default();
        rooms.see(told("a", 2));
        rooms.see(told("a", 3));
        let mut sound = Rooms::default();
        sound.see(told("a", 4));
        sound.see(told("b", 1));
        rooms.overlay(sound);
        assert_eq!(rooms.participants(), 6);
        let list = rooms.into_rooms();
        assert_eq!((list[0].participants, list[1].participants), (5, 1));
    }
}
