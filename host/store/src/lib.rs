//! Durable records: what the fleet knows is kept here, and nothing leaves the host before it is.
//!
//! | who | does |
//! |---|---|
//! | the driver | gathers a [`Batch`] of writes and events, hands it to [`Store::commit`] on the store's thread, and only then lets replies and effects go |
//! | **this crate** | makes a batch durable as a whole or not at all, in the order of its numbers; hands all records back at start by [`Store::load`] |
//! | the API | follows what happened through [`EventLog`], beside the commits |
//!
//! A batch that failed leaves the store poisoned: whether it is durable is not known, so the process must end and start
//! again from what is. This crate does not decide anything, does not know what a record means, and does not retry.
//! Nothing above it knows which store it is: today [`Embedded`], in one folder of one host.

mod batch;
mod disk;
mod embedded;
mod error;
mod event_log;
mod format;
mod key;

pub use batch::{Batch, BatchNo, EventId, EventIdError, Snapshot};
pub use disk::free_bytes;
pub use embedded::{Embedded, Options};
pub use error::StoreError;
pub use event_log::{EventLog, Page};

/// Keeps records, one batch after the other.
///
/// One thread owns it; [`commit`](Store::commit) blocks it for as long as the disk takes.
pub trait Store: Send {
    /// Returns every record, and the number of the last batch that is durable.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] and [`StoreError::NewerVersion`] name the record; [`StoreError::Read`] if the disk fails.
    fn load(&mut self) -> Result<Snapshot, StoreError>;

    /// Makes a batch durable, all of it or nothing, before it returns.
    ///
    /// Where a batch writes the same record twice, the last write counts. A batch without writes and events has nothing
    /// to make durable: the caller skips it and does not use up its number.
    ///
    /// # Errors
    ///
    /// [`StoreError::Commit`] if the disk is full or fails: whether the batch is durable is then unknown, and every later
    /// commit answers [`StoreError::Poisoned`]. [`StoreError::NotNext`] and [`StoreError::Empty`] change nothing.
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError>;

    /// Returns how many writes and events a batch should hold at most; the driver closes its batch before it has more.
    /// A batch of more may be refused.
    fn ops_max(&self) -> usize;

    /// Returns how many bytes a batch's writes and events should come to at most, as JSON; like
    /// [`ops_max`](Store::ops_max).
    fn bytes_max(&self) -> usize;
}
