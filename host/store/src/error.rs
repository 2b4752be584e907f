//! What can go wrong with the store, told so that an operator knows what to do.

use std::io;
use std::path::PathBuf;

use crate::batch::BatchNo;

/// Says what the store could not do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the folder open.
    #[error("{} is in use by another usher: stop that one, or give this one a data_dir of its own", dir.display())]
    AlreadyOpen {
        /// The folder.
        dir: PathBuf,
    },
    /// The folder cannot be opened or made.
    #[error("cannot open the store in {}", dir.display())]
    Open {
        /// The folder.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A value is not what was written.
    #[error("{record} in the store is damaged ({reason}): restore the data folder from a backup")]
    Corrupt {
        /// Which record, such as `room standup-42`.
        record: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A value was written by a version of Usher that came after this one.
    #[error(
        "{record} in the store was written by a newer usher (format {found}, this one knows {known}): start the newer one"
    )]
    NewerVersion {
        /// Which record.
        record: String,
        /// Its format.
        found: u32,
        /// The newest format that this build reads.
        known: u32,
    },
    /// The disk failed while the store was read.
    #[error("cannot read the store in {}", dir.display())]
    Read {
        /// The folder.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A batch could not be made durable; whether it is, is unknown. The process must end.
    #[error("cannot make batch {batch} durable in {}: check that disk and its free space, then start again", dir.display())]
    Commit {
        /// The batch.
        batch: BatchNo,
        /// The folder.
        dir: PathBuf,
        /// Why; its kind is `StorageFull` where the disk said so itself.
        source: io::Error,
    },
    /// An earlier commit failed, so this one was not tried.
    #[error("the store in {} takes nothing more since a commit failed: start again", dir.display())]
    Poisoned {
        /// The folder.
        dir: PathBuf,
    },
    /// A batch does not follow the last one that is durable: a mistake in the program.
    #[error("batch {found} does not follow batch {last}")]
    NotNext {
        /// The last batch that is durable.
        last: BatchNo,
        /// The batch that was refused.
        found: BatchNo,
    },
    /// A batch has neither writes nor events: a mistake in the program.
    #[error("batch {batch} is empty")]
    Empty {
        /// The batch that was refused.
        batch: BatchNo,
    },
}

/// Returns what lies beneath one of fjall's errors, so that its kind can be asked for and its text reads well.
pub(crate) fn cause(error: fjall::Error) -> io::Error {
    match error {
        fjall::Error::Io(error) => error,
        fjall::Error::Poisoned => io::Error::other("an earlier write in the background failed"),
        other => io::Error::other(other),
    }
}
