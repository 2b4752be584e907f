//! What the host gives to the policies: where they are, who decides last, and whom to tell.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use usher_fleet::advice::ScaleAnswer;
use usher_fleet::event::PolicyEvent;
use usher_fleet::ids::ServerNo;
use usher_fleet::view::{Cursor, ViewChange};
use usher_fleet::{Fleet, Timestamp};

use crate::native::MakeBuiltIn;

/// How often the folder is read where nothing hints at a change: a network folder gives no hints, and 2 s is no wait for a human.
pub const FOLDER_POLL: Duration = Duration::from_secs(2);
/// How long a file must not have changed before it counts: editors and copies write in steps.
pub const FOLDER_QUIET: Duration = Duration::from_millis(300);

/// How soon a file is tried again that was refused for something that is not its own: a machine that is too busy, or a fleet that
/// lacks what the policy looks for, stays so for a while.
pub const REFUSED_RETRY: Duration = Duration::from_secs(60);

/// How policies are run.
#[derive(Debug)]
pub struct Options {
    /// The folder of `*.wasm`; none = the built-in decides alone.
    pub dir: Option<PathBuf>,
    /// Where good versions, quarantines, rollbacks and what policies have learned are kept; none = in memory only.
    pub keep: Option<PathBuf>,
    /// The policy that is asked last. Its settings are `standard.toml` in the folder.
    pub built_in: MakeBuiltIn,
    /// What policies may log; messages below are dropped.
    pub log: LogLevel,
    /// How often the folder is read without a hint; [`FOLDER_POLL`] outside of tests.
    pub poll: Duration,
    /// How long a file must rest; [`FOLDER_QUIET`] outside of tests.
    pub quiet: Duration,
    /// How soon what was refused for the machine's or the fleet's sake is tried again; [`REFUSED_RETRY`] outside of tests.
    pub retry: Duration,
    /// Where modules are read and compiled; [`CompileIn::Child`] in a host that serves.
    pub compile: CompileIn,
}

impl Options {
    /// Returns options with the default times, the log from `info` on, and compilations in this process.
    pub fn new(dir: Option<PathBuf>, built_in: MakeBuiltIn) -> Options {
        Options {
            dir,
            keep: None,
            built_in,
            log: LogLevel::Info,
            poll: FOLDER_POLL,
            quiet: FOLDER_QUIET,
            retry: REFUSED_RETRY,
            compile: CompileIn::ThisProcess,
        }
    }
}

/// Where modules are read and compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CompileIn {
    /// Here: for bytes that the caller answers for. A hostile module can take half a minute and gigabytes.
    ThisProcess,
    /// In a child process for each module, within its limits.
    Child(ChildProgram),
}

/// A program that does nothing but [`compile_child`](crate::compile_child), on its stdin and stdout. It must be this very build:
/// its machine code is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildProgram {
    /// Its path.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
}

/// How serious a log message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the usual words")]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

/// How many servers' rows are made at once: a fifth of a millisecond, in which no room is placed.
const PART_SERVERS_MAX: usize = 256;
/// How many changes are made into rows at once; most are of usages, so this takes less.
pub(crate) const PART_CHANGES_MAX: usize = 256;
/// How many rows a part has, unless servers report more than two figures. Who asks for a part brings the memory for them: memory that the
/// thread which places rooms takes and another gives back makes its allocator wait for the other one's, up to 15 ms among 100,000
/// servers.
pub(crate) const PART_ROWS: usize = 4 * PART_SERVERS_MAX;

/// The whole view, or what has changed of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// What has changed after this is told later.
    pub cursor: Cursor,
    /// When.
    pub now: Timestamp,
    /// The rows, pools before servers and servers before their usage.
    pub rows: Vec<ViewChange>,
}

/// A look at the fleet.
pub type Look = Box<dyn FnOnce(&Fleet, Timestamp) + Send>;

/// What policies need of the process around them. Called from their threads; none of it may wait for a policy.
pub trait PolicyHost: Send + Sync {
    /// Takes a look at the fleet between two inputs, soon; drops it when the host is going down. No look takes long.
    fn look(&self, look: Look);

    /// Returns the whole view, or none when the host is going down. It is taken in parts, between many inputs.
    fn snapshot(&self) -> Option<Snapshot> {
        let (mut rows, mut from, mut first) = (Vec::new(), ServerNo(0), None);
        let mut filled_at_last = 0;
        loop {
            rows.reserve(PART_ROWS.max(2 * filled_at_last));
            let rows_before = rows.len();
            let (cursor, now, filled, next) = looked(self, move |fleet, now| {
                let next = fleet.view_part(from, PART_SERVERS_MAX, &mut rows);
                (fleet.cursor(), now, rows, next)
            })?;
            rows = filled;
            filled_at_last = rows.len() - rows_before;
            // What has changed since the first part is told again, by its cursor.
            let (cursor, now) = *first.get_or_insert((cursor, now));
            match next {
                Some(next) => from = next,
                None => return Some(Snapshot { cursor, now, rows }),
            }
        }
    }

    /// Returns the oldest changes after a cursor, as many as are made at once, or none when the host is going down.
    fn changes(&self, since: Cursor) -> Option<Snapshot> {
        let mut rows = Vec::with_capacity(PART_ROWS);
        looked(self, move |fleet, now| {
            let cursor = fleet.changes_part(since, PART_CHANGES_MAX, &mut rows);
            Snapshot { cursor, now, rows }
        })
    }

    /// Takes something that happened to a policy.
    fn event(&self, event: PolicyEvent);
    /// Takes the answer to a [`ScaleAsk`](usher_fleet::advice::ScaleAsk).
    fn scaled(&self, answer: ScaleAnswer);
    /// Hears that [`PlaceChain::swap`](crate::PlaceChain::swap) has something to take in, or that a scale chain has changed.
    fn chain_changed(&self);
}

/// Returns what a look has found; none when the host is going down.
fn looked<T: Send + 'static>(
    host: &(impl PolicyHost + ?Sized),
    look: impl FnOnce(&Fleet, Timestamp) -> T + Send + 'static,
) -> Option<T> {
    let (tell, told) = mpsc::sync_channel(1);
    host.look(Box::new(move |fleet, now| {
        // Whoever asked may have ended while it waited.
        tell.send(look(fleet, now)).ok();
    }));
    told.recv().ok()
}
