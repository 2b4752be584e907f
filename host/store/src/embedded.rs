//! The store of one host: fjall, a log-structured store in pure Rust, in one folder that one process has open.
//!
//! Two keyspaces: `records`, with the store's own progress among them, and `events`. A batch is one fjall batch over both,
//! written to fjall's journal and synced (`fdatasync`) before any of it can be read. The journal's file is made and synced
//! in whole before it is used, and `fdatasync` takes along what is needed to read the data back, so that `fsync` would add
//! a wait and no safety. A write or sync that fails surfaces as an error and poisons fjall; it poisons us too.

mod folder;

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use fjall::{Database, Keyspace, OwnedWriteBatch, PersistMode, Readable};
use serde::{Deserialize, Serialize};
use usher_fleet::{Record, RecordKey, Write};

use crate::batch::{Batch, BatchNo, EventId, Snapshot};
use crate::disk::free_bytes;
use crate::error::{StoreError, cause};
use crate::event_log::{EventLog, Extent, PublishedEnds, Retention};
use crate::key::{self, Kind};
use crate::{Store, format};
use folder::FolderLock;

/// How many writes and events a batch should hold: at a microsecond or two each, some 10 ms beside a sync of one or two.
const OPS_MAX: usize = 8192;

/// How many bytes a batch should come to: some 10 ms of a slow disk's writing, and half of a memtable.
const BYTES_MAX: usize = 8 << 20;

/// How long a commit waits for flushes and compactions that have fallen behind. A disk that has not written 16 MiB by then
/// does not work.
const BACKLOG_WAIT_MAX: Duration = Duration::from_secs(30);

/// How often it looks: fjall tells nobody when a flush is done, and a flush takes some 50 ms.
const BACKLOG_POLL: Duration = Duration::from_millis(1);

/// How many full memtables of a keyspace may wait to be flushed when a commit begins.
const BACKLOG_MEMTABLES_MAX: usize = 2;

/// How many tables that were flushed and not yet compacted a keyspace may have when a commit begins.
const BACKLOG_TABLES_MAX: usize = 24;

/// What an operator chooses about the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How long events are kept, counted back from the newest one.
    pub events_retention: Duration,
    /// How many bytes of events are kept; the oldest go first, the newest batch's stay in any case.
    pub events_bytes_max: u64,
}

/// Keeps records in a folder of this host.
pub struct Embedded {
    shared: Arc<Shared>,
    retention: Retention,
    last: BatchNo,
    extent: Extent,
    has_failed: bool,
}

/// What the store and its readers share. Fields are dropped in this order: the lock is let go of last.
pub(crate) struct Shared {
    pub(crate) ends: PublishedEnds,
    records: Keyspace,
    pub(crate) events: Keyspace,
    pub(crate) db: Database,
    dir: PathBuf,
    _lock: FolderLock,
}

/// How far the store has come; written with each batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// The last batch.
    pub(crate) batch: BatchNo,
    /// The newest event that is not kept any more.
    pub(crate) dropped: EventId,
    /// How many bytes of events have been dropped, ever.
    pub(crate) bytes_dropped: u64,
}

impl Progress {
    fn read(view: &fjall::Snapshot, records: &Keyspace, dir: &Path) -> Result<Progress, StoreError> {
        let name = || key::name(&key::PROGRESS);
        let value = view.get(records, key::PROGRESS).map_err(|error| StoreError::Read {
            dir: dir.to_owned(),
            source: cause(error),
        })?;
        let value = value.ok_or_else(|| StoreError::Corrupt {
            record: name(),
            reason: "it is missing".to_owned(),
        })?;
        format::decode(&value, name)
    }
}

impl Shared {
    /// Reads how far the store has come.
    pub(crate) fn progress(&self, view: &fjall::Snapshot) -> Result<Progress, StoreError> {
        Progress::read(view, &self.records, &self.dir)
    }

    /// Returns the error for a failed read.
    pub(crate) fn unreadable(&self, error: fjall::Error) -> StoreError {
        StoreError::Read {
            dir: self.dir.clone(),
            source: cause(error),
        }
    }

    /// Returns why a write failed. What failed in the background fjall only logs; the disk's free space is then the best hint.
    fn unwritable(&self, error: fjall::Error) -> io::Error {
        let is_background = matches!(error, fjall::Error::Poisoned);
        let source = cause(error);
        match free_bytes(&self.dir) {
            Ok(bytes) if is_background => io::Error::other(format!("{source}; {} MiB are free there", bytes >> 20)),
            Ok(_) | Err(_) => source,
        }
    }

    /// Whether flushes or compactions have fallen so far behind that fjall could block a commit.
    fn is_behind(&self) -> bool {
        [&self.records, &self.events].into_iter().any(|keyspace| {
            keyspace.sealed_memtable_count() >= BACKLOG_MEMTABLES_MAX || keyspace.l0_table_count() >= BACKLOG_TABLES_MAX
        })
    }

    /// Waits until flushes and compactions have caught up.
    ///
    /// fjall waits too, inside its commit and without end: for a flush that has failed, for ever. So we wait first, where a
    /// failure shows, and at a lower mark than fjall does.
    fn await_backlog(&self) -> io::Result<()> {
        let start = Instant::now();
        while self.is_behind() {
            // Flushes nothing here; it says whether the background has failed.
            self.db
                .persist(PersistMode::Buffer)
                .map_err(|error| self.unwritable(error))?;
            if start.elapsed() >= BACKLOG_WAIT_MAX {
                let seconds = BACKLOG_WAIT_MAX.as_secs();
                let message = format!("the disk has not kept up with writing for {seconds} s");
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            thread::sleep(BACKLOG_POLL);
        }
        Ok(())
    }
}

impl Embedded {
    /// Opens the store in `dir`, or makes one there.
    ///
    /// A folder that a dead process had open is free again; one that was being made when the process died is made anew.
    ///
    /// # Errors
    ///
    /// [`StoreError::AlreadyOpen`] if another process, or another store in this one, has the folder;
    /// [`StoreError::NewerVersion`] if a newer Usher wrote last; else [`StoreError::Open`] or [`StoreError::Corrupt`].
    pub fn open(dir: &Path, options: Options) -> Result<Embedded, StoreError> {
        let lock = FolderLock::take(dir)?;
        let opened = folder::open_or_make(dir)?;
        let progress = opened.progress;
        let extent = Extent::read(&opened.events, &progress, dir)?;
        Ok(Embedded {
            shared: Arc::new(Shared {
                ends: PublishedEnds::new(&extent),
                records: opened.records,
                events: opened.events,
                db: opened.db,
                dir: dir.to_owned(),
                _lock: lock,
            }),
            retention: Retention {
                age: options.events_retention,
                bytes_max: options.events_bytes_max,
            },
            last: progress.batch,
            extent,
            has_failed: false,
        })
    }

    /// Returns the log of what happened, for readers on other threads.
    pub fn events(&self) -> EventLog {
        EventLog::new(Arc::clone(&self.shared))
    }

    /// Writes a batch, and returns where the log of events then begins and ends.
    fn write(&self, batch: &Batch) -> io::Result<Extent> {
        self.shared.await_backlog()?;
        let mut extent = self.extent;
        let mut out = self.shared.db.batch().durability(Some(PersistMode::SyncData));
        self.put_records(&mut out, &batch.writes)?;
        if !batch.events.is_empty() {
            let value = format::encode(&batch.events)?;
            let entry = extent.push(batch.no, &batch.events, value.len());
            out.insert(&self.shared.events, entry.encode(), value);
        }
        let dropped = extent
            .drop_old(&self.shared.events, self.retention, &self.shared.dir)
            .map_err(io::Error::other)?;
        for entry in dropped {
            out.remove(&self.shared.events, entry.encode());
        }
        let progress = Progress {
            batch: batch.no,
            dropped: extent.dropped,
            bytes_dropped: extent.bytes_dropped,
        };
        out.insert(&self.shared.records, key::PROGRESS, format::encode(&progress)?);
        out.commit().map_err(|error| self.shared.unwritable(error))?;
        Ok(extent)
    }

    /// Adds the last write of each record: within one batch fjall does not order writes of the same key.
    fn put_records(&self, out: &mut OwnedWriteBatch, writes: &[Write]) -> io::Result<()> {
        let mut seen = HashSet::with_capacity(writes.len());
        for write in writes.iter().rev() {
            let key = match write {
                Write::Put(record) => key::encode(&record.key()),
                Write::Delete(key) => key::encode(key),
            };
            if !seen.insert(key.clone()) {
                continue;
            }
            match write {
                Write::Put(record) => out.insert(&self.shared.records, key, encode_record(record)?),
                Write::Delete(_) => out.remove(&self.shared.records, key),
            }
        }
        Ok(())
    }
}

impl Store for Embedded {
    fn load(&mut self) -> Result<Snapshot, StoreError> {
        let view = self.shared.db.snapshot();
        let last = self.shared.progress(&view)?.batch;
        let mut records = Vec::new();
        // One value at a time: beside the records themselves nothing is held.
        for item in view.range(&self.shared.records, [Kind::Meta as u8]..) {
            let (key, value) = item.into_inner().map_err(|error| self.shared.unreadable(error))?;
            records.push(decode_record(&key, &value)?);
        }
        Ok(Snapshot { records, last })
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        if self.has_failed {
            return Err(StoreError::Poisoned {
                dir: self.shared.dir.clone(),
            });
        }
        if batch.no != self.last.next() {
            return Err(StoreError::NotNext {
                last: self.last,
                found: batch.no,
            });
        }
        if batch.is_empty() {
            return Err(StoreError::Empty { batch: batch.no });
        }
        match self.write(batch) {
            Ok(extent) => {
                self.last = batch.no;
                self.extent = extent;
                self.shared.ends.publish(&extent);
                Ok(())
            }
            Err(source) => {
                self.has_failed = true;
                Err(StoreError::Commit {
                    batch: batch.no,
                    dir: self.shared.dir.clone(),
                    source,
                })
            }
        }
    }

    fn ops_max(&self) -> usize {
        OPS_MAX
    }

    fn bytes_max(&self) -> usize {
        BYTES_MAX
    }
}

fn encode_record(record: &Record) -> serde_json::Result<Vec<u8>> {
    match record {
        Record::Meta(meta) => format::encode(meta),
        Record::Pool(pool) => format::encode(pool),
        Record::Server(server) => format::encode(server),
        Record::Room(room) => format::encode(room),
    }
}

fn decode_record(key: &[u8], value: &[u8]) -> Result<Record, StoreError> {
    let name = || key::name(key);
    let damaged = |reason: &str| StoreError::Corrupt {
        record: name(),
        reason: reason.to_owned(),
    };
    let record = match Kind::of(key) {
        Some(Kind::Meta) => Record::Meta(format::decode(value, name)?),
        Some(Kind::Pool) => Record::Pool(format::decode(value, name)?),
        Some(Kind::Server) => Record::Server(format::decode(value, name)?),
        Some(Kind::Room) => Record::Room(format::decode(value, name)?),
        Some(Kind::Progress) => return Err(damaged("its key is longer than it can be")),
        None => return Err(damaged("this usher knows no such kind")),
    };
    let is_its_own = match record.key() {
        RecordKey::Room(id) => key[1..] == *id.as_str().as_bytes(),
        other => *key == *key::encode(&other),
    };
    if is_its_own {
        Ok(record)
    } else {
        Err(damaged("it is another one's value"))
    }
}

#[cfg(test)]
mod tests;
