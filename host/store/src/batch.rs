//! What is made durable together, what comes back at start, and how both are numbered.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use usher_fleet::{Event, Record, Write};

/// Numbers a batch; grows by one with each that is durable.
///
/// A new store does not begin at zero: its first number comes from the moment of its making, so that ids from the life of
/// an earlier store in the same place are not taken for its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BatchNo(pub u64);

impl BatchNo {
    /// Returns the number of the batch after this one.
    pub fn next(self) -> BatchNo {
        BatchNo(self.0.saturating_add(1))
    }
}

impl fmt::Display for BatchNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// What becomes durable together.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Its number: that of the batch before it, plus one.
    pub no: BatchNo,
    /// The changes, in order.
    pub writes: Vec<Write>,
    /// What happened, in order.
    pub events: Vec<Event>,
}

impl Batch {
    /// Whether there is nothing in it to make durable; such a batch is not committed.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.events.is_empty()
    }
}

/// Everything that is durable, at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The records: meta, then pools, servers and rooms, each kind in the order of its ids; so nothing comes before what
    /// it refers to.
    pub records: Vec<Record>,
    /// The last batch that they contain.
    pub last: BatchNo,
}

/// Names an event; ids grow in the order in which things happened, over restarts too.
///
/// To clients it is an opaque text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId {
    batch: BatchNo,
    index: u32,
}

impl EventId {
    /// Makes the id of an event from its batch and its index in it, counted from 0.
    pub fn new(batch: BatchNo, index: u32) -> EventId {
        EventId { batch, index }
    }

    /// Returns the batch that the event belongs to.
    pub fn batch(self) -> BatchNo {
        self.batch
    }

    /// Returns the event's index in its batch, counted from 0.
    pub fn index(self) -> u32 {
        self.index
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.batch, self.index)
    }
}

/// Says that a text is no event id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is no event id; take one as it came with an event")]
pub struct EventIdError;

impl FromStr for EventId {
    type Err = EventIdError;

    fn from_str(text: &str) -> Result<EventId, EventIdError> {
        let (batch, index) = text.split_once('-').ok_or(EventIdError)?;
        let id = EventId {
            batch: BatchNo(batch.parse().map_err(|_| EventIdError)?),
            index: index.parse().map_err(|_| EventIdError)?,
        };
        // One id has one text: no sign, no leading zeros.
        if id.to_string() == text {
            Ok(id)
        } else {
            Err(EventIdError)
        }
    }
}

impl Serialize for EventId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<EventId, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_id_survives_its_text_and_has_only_one() {
        let id = EventId::new(BatchNo(u64::MAX), u32::MAX);
        assert_eq!(id.to_string().parse(), Ok(id));
        for text in [
            "",
            "-",
            "1",
            "1-",
            "-1",
            "1-2-3",
            "+1-2",
            "1-02",
            " 1-2",
            "1-4294967296",
            "a-b",
        ] {
            assert_eq!(text.parse::<EventId>(), Err(EventIdError), "{text:?}");
        }
    }

    #[test]
    fn event_ids_grow_with_the_batch_and_then_the_index() {
        assert!(EventId::new(BatchNo(9), 7) < EventId::new(BatchNo(10), 0));
        assert!(EventId::new(BatchNo(10), 9) < EventId::new(BatchNo(10), 10));
    }
}
