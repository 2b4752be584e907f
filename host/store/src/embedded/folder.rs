//! The folder: who has it open, and how a new store is made in it so that dying half-way leaves nothing in the way.
//!
//! `store.lock` is locked while a process has the folder; the lock goes with the process, the file stays and means nothing.
//! `store/` is fjall's. A new one is made as `store.new/` and renamed when complete: fjall itself does not open a folder in
//! which it was interrupted while making a store.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use crate::batch::{BatchNo, EventId};
use crate::embedded::Progress;
use crate::error::{StoreError, cause};
use crate::{format, key};

/// How large a memtable grows before it is flushed, in bytes: it is in memory, and read back from the journal at start.
const MEMTABLE_BYTES: u64 = 16 << 20;

/// How large fjall's journals grow before the keyspace that holds the oldest back is flushed, in bytes: at start they are
/// read whole, in about a second.
const JOURNALS_BYTES_MAX: u64 = 128 << 20;

/// How many batches a second of a store's life leaves numbers for. A disk syncs some thousands; no more than 2^20 on
/// average is all that keeps the numbers of two lives apart.
const BATCH_NUMBERS_PER_SECOND_BITS: u32 = 20;

/// Holds a folder for this process, until it is dropped.
pub(super) struct FolderLock {
    /// Locked for as long as it is open.
    _file: File,
}

impl FolderLock {
    /// Takes the folder, making it if it does not exist.
    pub(super) fn take(dir: &Path) -> Result<FolderLock, StoreError> {
        let unopened = |source| StoreError::Open {
            dir: dir.to_owned(),
            source,
        };
        fs::create_dir_all(dir).map_err(unopened)?;
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(dir.join("store.lock"))
            .map_err(unopened)?;
        match file.try_lock() {
            Ok(()) => Ok(FolderLock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StoreError::AlreadyOpen { dir: dir.to_owned() }),
            Err(TryLockError::Error(source)) => Err(unopened(source)),
        }
    }
}

/// A store that is open.
pub(super) struct Opened {
    pub(super) records: Keyspace,
    pub(super) events: Keyspace,
    pub(super) db: Database,
    pub(super) progress: Progress,
}

/// Opens the store in a folder that is locked, or makes one.
pub(super) fn open_or_make(dir: &Path) -> Result<Opened, StoreError> {
    let unopened = |source| StoreError::Open {
        dir: dir.to_owned(),
        source,
    };
    let store = dir.join("store");
    if !store.try_exists().map_err(unopened)? {
        make(dir, &store).map_err(unopened)?;
    }
    let (db, records, events) = open(&store).map_err(unopened)?;
    let progress = Progress::read(&db.snapshot(), &records, dir)?;
    Ok(Opened {
        records,
        events,
        db,
        progress,
    })
}

fn open(store: &Path) -> io::Result<(Database, Keyspace, Keyspace)> {
    let db = Database::builder(store)
        .max_journaling_size(JOURNALS_BYTES_MAX)
        .open()
        .map_err(cause)?;
    let keyspace = |name| {
        db.keyspace(name, || {
            KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES)
        })
        .map_err(cause)
    };
    let (records, events) = (keyspace("records")?, keyspace("events")?);
    Ok((db, records, events))
}

fn make(dir: &Path, store: &Path) -> io::Result<()> {
    let unfinished = dir.join("store.new");
    match fs::remove_dir_all(&unfinished) {
        Ok(()) => tracing::info!(dir = %dir.display(), "a store was left half made; making it anew"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    {
        let (db, records, _events) = open(&unfinished)?;
        let batch = first_number();
        let progress = Progress {
            batch,
            dropped: EventId::new(batch, 0),
            bytes_dropped: 0,
        };
        let mut out = db.batch().durability(Some(PersistMode::SyncAll));
        out.insert(&records, key::PROGRESS, format::encode(&progress)?);
        out.commit().map_err(cause)?;
    }
    fs::rename(&unfinished, store)?;
    File::open(dir)?.sync_all()
}

/// Returns the number before a new store's first batch: it grows with the time of the store's making.
fn first_number() -> BatchNo {
    // A clock before 1970 costs only that ids of an earlier store may be taken for this one's.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    BatchNo(since.as_secs() << BATCH_NUMBERS_PER_SECOND_BITS)
}
