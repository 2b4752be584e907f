//! What clients were told, and may rely on.

use std::collections::BTreeMap;

use usher_fleet::command::{Command, ReleaseRoom, Reply};
use usher_fleet::event::What;
use usher_fleet::ids::{PlacementNo, RoomId, ServerName};
use usher_fleet::room::RoomState;
use usher_fleet::status::{RoomPlace, RoomStatus};
use usher_fleet::{Outcome, Record, RecordKey, Write};

/// What an app knows of its room.
#[derive(Debug, Clone, PartialEq)]
enum Told {
    Waiting,
    Placed(ServerName, PlacementNo),
}

/// The durable records, and what was said of them.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    pub(crate) durable: BTreeMap<RecordKey, Record>,
    told: BTreeMap<RoomId, Told>,
}

impl Clients {
    /// One outcome has become durable: its events are told, and with `answers` so is its reply.
    pub(crate) fn follow(&mut self, command: Option<&Command>, outcome: &Outcome, answers: bool) {
        for write in &outcome.writes {
            match write {
                Write::Put(record) => self.durable.insert(record.key(), record.clone()),
                Write::Delete(key) => self.durable.remove(key),
            };
        }
        // What happened to a room in the same input after its command was answered is told by the events.
        let reply = outcome.reply.as_ref().filter(|_| answers);
        if let Some(Reply::Room(status, _)) = reply {
            self.answered(status);
        }
        for event in &outcome.events {
            self.hear(&event.what);
        }
        if let (Some(Reply::Done), Some(Command::ReleaseRoom(command))) = (reply, command) {
            self.invariant_a_released_room_is_gone(command);
        }
    }

    /// Whoever follows the events knows what has become of its room.
    fn hear(&mut self, what: &What) {
        match what {
            What::RoomReleased(end) | What::RoomExpired(end) => {
                self.told.remove(&end.room);
            }
            What::RoomPlaced(placed) => {
                let told = Told::Placed(placed.server.clone(), placed.placement);
                self.told.insert(placed.room.clone(), told);
            }
            What::RoomMoved(moved) => {
                let told = match &moved.to {
                    Some(to) => Told::Placed(to.clone(), moved.placement),
                    None => Told::Waiting,
                };
                self.told.insert(moved.room.clone(), told);
            }
            _ => {}
        }
    }

    fn answered(&mut self, status: &RoomStatus) {
        let told = match &status.place {
            RoomPlace::Placed { server, placement, .. } => Told::Placed(server.name.clone(), *placement),
            RoomPlace::Waiting { .. } => Told::Waiting,
        };
        self.told.insert(status.room.clone(), told);
    }

    fn invariant_a_released_room_is_gone(&self, command: &ReleaseRoom) {
        let names_any = command.placement.is_none() && command.tenant.is_none();
        assert!(
            !names_any || !self.told.contains_key(&command.room),
            "invariant_a_released_room_is_gone: {}",
            command.room
        );
    }

    /// What anybody was told is durable, as it was told. A room that was placed while its app was told that it waits has an
    /// event that says so, which it has read by now.
    pub(crate) fn invariant_nothing_acknowledged_is_lost(&self) {
        let name = "invariant_nothing_acknowledged_is_lost";
        for (id, told) in &self.told {
            let Some(Record::Room(room)) = self.durable.get(&RecordKey::Room(id.clone())) else {
                panic!("{name}: {id}: {told:?}, and there is no such room")
            };
            let is = match &room.state {
                RoomState::Placed(placed) => {
                    let server = self.durable.get(&RecordKey::Server(placed.server));
                    let Some(Record::Server(server)) = server else {
                        panic!("{name}: {id} is on a server that is not there")
                    };
                    Told::Placed(server.name.clone(), placed.placement)
                }
                RoomState::Waiting(_) | RoomState::Moving(_) => Told::Waiting,
            };
            assert_eq!(is, *told, "{name}: {id}");
        }
    }
}
