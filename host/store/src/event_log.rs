//! The log of what happened: one value a batch under a key that says where it lies, dropped from the old end.
//!
//! A key carries the batch, the bytes written up to its end, the batch's time and how many events it has. So age and size
//! are known from keys alone, and nothing is ever summed up or scanned to learn what may go.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use fjall::{Keyspace, Readable};
use usher_fleet::{Event, Timestamp};

use crate::batch::{BatchNo, EventId};
use crate::embedded::{Progress, Shared};
use crate::error::{StoreError, cause};
use crate::format;

/// How many batches' events are dropped with one commit at most. More than one, so that a shortened retention is caught up
/// with; few, so that no commit pays for it: 16 reads of keys that lie side by side take microseconds.
const DROPS_PER_COMMIT_MAX: usize = 16;

/// How long events are kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retention {
    pub(crate) age: Duration,
    pub(crate) bytes_max: u64,
}

/// The key of one batch's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) batch: BatchNo,
    /// Bytes of all events ever written, this batch's included.
    pub(crate) bytes_end: u64,
    /// The time of its newest event.
    pub(crate) at: Timestamp,
    /// How many events it has; never 0.
    pub(crate) count: u32,
}

impl Entry {
    const BYTES: usize = 28;

    pub(crate) fn encode(self) -> [u8; Entry::BYTES] {
        let mut bytes = [0; Entry::BYTES];
        bytes[..8].copy_from_slice(&self.batch.0.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.bytes_end.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.at.0.to_be_bytes());
        bytes[24..].copy_from_slice(&self.count.to_be_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Entry, StoreError> {
        let damaged = || StoreError::Corrupt {
            record: format!("event key {}", bytes.escape_ascii()),
            reason: "it is no key of events".to_owned(),
        };
        let fixed: &[u8; Entry::BYTES] = bytes.try_into().map_err(|_| damaged())?;
        let number = |from: usize| {
            fixed[from..from + 8]
                .iter()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
        };
        let count = fixed[24..].iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
        if count == 0 {
            return Err(damaged());
        }
        Ok(Entry {
            batch: BatchNo(number(0)),
            bytes_end: number(8),
            at: Timestamp(number(16)),
            count,
        })
    }

    /// Returns the id of its last event.
    fn last(self) -> EventId {
        EventId::new(self.batch, self.count - 1)
    }
}

/// Returns the lowest key that the events of this batch can have.
pub(crate) fn key_from(batch: BatchNo) -> [u8; 8] {
    batch.0.to_be_bytes()
}

/// Where the log begins and ends. It changes only with a batch, and counts once that is durable.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    /// The newest event, or where the log began.
    pub(crate) newest: EventId,
    /// The newest event that is not kept any more, or where the log began.
    pub(crate) dropped: EventId,
    /// The time of the newest event.
    pub(crate) now: Timestamp,
    /// Bytes of all events ever written.
    pub(crate) bytes_end: u64,
    /// How many of them are not kept any more.
    pub(crate) bytes_dropped: u64,
    /// The oldest batch whose events are kept.
    pub(crate) oldest: Option<Entry>,
}

impl Extent {
    /// Finds out where the log in `dir` begins and ends.
    pub(crate) fn read(events: &Keyspace, progress: &Progress, dir: &Path) -> Result<Extent, StoreError> {
        let Progress {
            dropped, bytes_dropped, ..
        } = *progress;
        // From behind what was dropped: what lies before may be thousands of tombstones.
        let mut keys = events.range(key_from(dropped.batch().next())..);
        let oldest = keys.next().map(|item| entry_of(item, dir)).transpose()?;
        let newest = keys.next_back().map(|item| entry_of(item, dir)).transpose()?.or(oldest);
        Ok(Extent {
            newest: newest.map_or(dropped, Entry::last),
            dropped,
            now: newest.map_or(Timestamp(0), |entry| entry.at),
            bytes_end: newest.map_or(bytes_dropped, |entry| entry.bytes_end),
            bytes_dropped,
            oldest,
        })
    }

    /// Adds a batch's events at the new end, and returns their key.
    pub(crate) fn push(&mut self, batch: BatchNo, events: &[Event], value_bytes: usize) -> Entry {
        let newest = events.iter().map(|event| event.at).max().unwrap_or_default();
        self.now = self.now.max(newest);
        self.bytes_end = self
            .bytes_end
            .saturating_add(u64::try_from(Entry::BYTES + value_bytes).unwrap_or(u64::MAX));
        let entry = Entry {
            batch,
            bytes_end: self.bytes_end,
            at: self.now,
            count: u32::try_from(events.len()).unwrap_or(u32::MAX),
        };
        self.newest = entry.last();
        self.oldest = self.oldest.or(Some(entry));
        entry
    }

    /// Takes the batches at the old end whose events are too old or too many, at most [`DROPS_PER_COMMIT_MAX`]; the newest
    /// stays in any case. Age counts from the newest event: where nothing happens nothing grows old.
    pub(crate) fn drop_old(
        &mut self,
        events: &Keyspace,
        retention: Retention,
        dir: &Path,
    ) -> Result<Vec<Entry>, StoreError> {
        let mut taken = Vec::new();
        let mut following = None;
        while let Some(oldest) = self.oldest
            && oldest.batch < self.newest.batch()
            && taken.len() < DROPS_PER_COMMIT_MAX
        {
            let is_too_old = self.now.since(oldest.at) > retention.age;
            let is_too_much = self.bytes_end - self.bytes_dropped > retention.bytes_max;
            if !is_too_old && !is_too_much {
                break;
            }
            taken.push(oldest);
            self.dropped = oldest.last();
            self.bytes_dropped = oldest.bytes_end;
            let keys = following.get_or_insert_with(|| events.range(key_from(oldest.batch.next())..));
            self.oldest = keys.next().map(|item| entry_of(item, dir)).transpose()?;
        }
        Ok(taken)
    }
}

fn entry_of(item: fjall::Guard, dir: &Path) -> Result<Entry, StoreError> {
    let key = item.key().map_err(|error| StoreError::Read {
        dir: dir.to_owned(),
        source: cause(error),
    })?;
    Entry::decode(&key)
}

/// A page of what happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The events, in order, each with its id; the last one's id asks for the next page.
    pub events: Vec<(EventId, Event)>,
    /// Whether events after the id asked for are not kept any more, or the id is none of this log: one from the future, or
    /// from another store's life. Then `events` is empty: the reader must read the whole state anew and go on from
    /// [`EventLog::newest`].
    pub gone: bool,
}

/// Reads what happened, while commits go on; cheap to clone, and safe to use from many threads.
///
/// It holds the folder open: the next process can open it when the store and every log of it are dropped.
#[derive(Clone)]
pub struct EventLog {
    shared: Arc<Shared>,
}

/// The ends of the log, for those who do not read it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends {
    pub(crate) dropped: EventId,
    pub(crate) newest: EventId,
}

/// The ends as last published.
#[derive(Debug)]
pub(crate) struct PublishedEnds(RwLock<Ends>);

impl PublishedEnds {
    pub(crate) fn new(extent: &Extent) -> PublishedEnds {
        PublishedEnds(RwLock::new(Ends {
            dropped: extent.dropped,
            newest: extent.newest,
        }))
    }

    pub(crate) fn publish(&self, extent: &Extent) {
        // Two ids are written whole or not at all: a panic elsewhere cannot have left them half done.
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Ends {
            dropped: extent.dropped,
            newest: extent.newest,
        };
    }

    fn get(&self) -> Ends {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventLog {
    pub(crate) fn new(shared: Arc<Shared>) -> EventLog {
        EventLog { shared }
    }

    /// Returns the id of the newest durable event; on an empty log that of the place before the first one.
    pub fn newest(&self) -> EventId {
        self.shared.ends.get().newest
    }

    /// Returns the id after which everything that is kept follows.
    pub fn oldest(&self) -> EventId {
        self.shared.ends.get().dropped
    }

    /// Returns up to `limit` durable events that follow `id`, none left out.
    ///
    /// An empty page that is not `gone` means that nothing has happened since.
    ///
    /// # Errors
    ///
    /// As [`Store::load`](crate::Store::load).
    pub fn after(&self, id: EventId, limit: usize) -> Result<Page, StoreError> {
        // One view of both keyspaces: what is dropped meanwhile is still seen here.
        let view = self.shared.db.snapshot();
        let dropped = self.shared.progress(&view)?.dropped;
        let gone = Page {
            events: Vec::new(),
            gone: true,
        };
        if id < dropped {
            return Ok(gone);
        }
        let first = if id == dropped { id.batch().next() } else { id.batch() };
        let mut batches = view.range(&self.shared.events, key_from(first)..);
        let mut events = Vec::new();
        if id != dropped {
            let Some((entry, batch)) = batches.next().map(|item| self.batch_of(item)).transpose()? else {
                return Ok(gone);
            };
            if entry.batch != id.batch() || entry.last() < id {
                return Ok(gone);
            }
            events.extend(numbered(entry, batch).skip_while(|(other, _)| *other <= id).take(limit));
        }
        while events.len() < limit
            && let Some((entry, batch)) = batches.next().map(|item| self.batch_of(item)).transpose()?
        {
            let room = limit - events.len();
            events.extend(numbered(entry, batch).take(room));
        }
        Ok(Page { events, gone: false })
    }

    fn batch_of(&self, item: fjall::Guard) -> Result<(Entry, Vec<Event>), StoreError> {
        let (key, value) = item.into_inner().map_err(|error| self.shared.unreadable(error))?;
        let entry = Entry::decode(&key)?;
        let events: Vec<Event> = format::decode(&value, || format!("the events of batch {}", entry.batch))?;
        Ok((entry, events))
    }
}

fn numbered(entry: Entry, events: Vec<Event>) -> impl Iterator<Item = (EventId, Event)> {
    (0u32..).map(move |index| EventId::new(entry.batch, index)).zip(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_survives_its_key_and_keys_sort_by_batch() {
        let entry = |batch| Entry {
            batch: BatchNo(batch),
            bytes_end: 0x0102_0304_0506_0708,
            at: Timestamp(7),
            count: 0x0a0b_0c0d,
        };
        assert_eq!(Entry::decode(&entry(300).encode()).unwrap(), entry(300));
        assert!(entry(9).encode() < entry(300).encode());
        assert!(key_from(BatchNo(300)).as_slice() < entry(300).encode().as_slice());
    }

    #[test]
    fn a_damaged_key_is_told() {
        for key in [&[1u8, 2][..], &[0; 28][..]] {
            assert!(matches!(Entry::decode(key), Err(StoreError::Corrupt { .. })));
        }
    }
}
