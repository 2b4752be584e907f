//! How far the receiver has been told, durable: the last event, and the moves that were told ahead of their turn.

use std::path::Path;
use std::{fs, io};

use serde::{Deserialize, Serialize};
use usher_fleet::Timestamp;
use usher_fleet::event::What;
use usher_fleet::ids::ServerName;
use usher_store::EventId;

use crate::durable_file;

/// The file's name in the data folder.
pub(super) const FILE: &str = "webhook.json";

/// How far the receiver has been told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// The last event that it has, or was not to have.
    pub(super) after: EventId,
    /// Moves after it that it has already.
    #[serde(default)]
    told: Vec<Told>,
}

/// The moves off a server were told with its loss, up to this event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    server: ServerName,
    through: EventId,
}

impl Position {
    /// Returns that everything up to an event was told.
    pub(super) fn after(after: EventId) -> Position {
        Position {
            after,
            told: Vec::new(),
        }
    }

    /// Notes that the next event was told, or is not to be.
    pub(super) fn advance(&mut self, id: EventId) {
        self.after = id;
        self.told.retain(|told| told.through > id);
    }

    /// Notes that the moves off a server up to this event were told, whose turn is still to come.
    pub(super) fn has_told_moves(&mut self, server: &ServerName, through: EventId) {
        if through > self.after {
            self.told.push(Told {
                server: server.clone(),
                through,
            });
        }
    }

    /// Whether an event is a move that was told already.
    pub(super) fn was_told(&self, id: EventId, what: &What) -> bool {
        let What::RoomMoved(moved) = what else { return false };
        let is_told = |told: &Told| told.server == moved.from && id <= told.through;
        self.told.iter().any(is_told)
    }
}

/// What is kept over restarts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// How far the receiver has been told.
    pub(super) position: Position,
    /// Since when it is behind, if that was told.
    #[serde(default)]
    pub(super) behind_since: Option<Timestamp>,
}

impl Kept {
    /// Reads what was kept; `None` where nothing was.
    ///
    /// # Errors
    /// The file cannot be read, or is damaged ([`io::ErrorKind::InvalidData`]).
    pub(super) fn read(data_dir: &Path) -> io::Result<Option<Kept>> {
        match fs::read(data_dir.join(FILE)) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps it.
    ///
    /// # Errors
    /// It cannot be written; what was kept before still is.
    pub(super) fn keep(&self, data_dir: &Path) -> io::Result<()> {
        durable_file::replace(data_dir, FILE, &serde_json::to_vec(self)?)
    }
}

#[cfg(test)]
mod tests {
    use usher_fleet::event::RoomMoved;
    use usher_fleet::ids::PlacementNo;
    use usher_store::BatchNo;

    use super::*;

    fn id(batch: u64) -> EventId {
        EventId::new(BatchNo(batch), 0)
    }

    fn moved(from: &str) -> What {
        What::RoomMoved(RoomMoved {
            room: "standup".parse().unwrap(),
            from: from.parse().unwrap(),
            to: None,
            url: None,
            placement: PlacementNo(1),
            tenant: None,
            reason: String::new(),
        })
    }

    #[test]
    fn moves_that_were_told_are_known_until_their_turn_has_come() {
        let mut position = Position::after(id(3));
        position.has_told_moves(&"a".parse().unwrap(), id(5));
        assert!(position.was_told(id(5), &moved("a")));
        assert!(!position.was_told(id(6), &moved("a")));
        assert!(!position.was_told(id(5), &moved("b")));
        position.advance(id(4));
        assert!(position.was_told(id(5), &moved("a")));
        position.advance(id(5));
        assert_eq!(position, Position::after(id(5)));
    }

    #[test]
    fn what_is_kept_is_read_again_and_what_is_damaged_is_told() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Kept::read(folder.path()).unwrap(), None);
        let mut position = Position::after(id(3));
        position.has_told_moves(&"a".parse().unwrap(), id(5));
        let kept = Kept {
            position,
            behind_since: Some(Timestamp(7)),
        };
        kept.keep(folder.path()).unwrap();
        assert_eq!(Kept::read(folder.path()).unwrap(), Some(kept));
        fs::write(folder.path().join(FILE), "{\"position\":").unwrap();
        let error = Kept::read(folder.path()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
    }
}
