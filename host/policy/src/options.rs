//! What the host gives to the policies: where they are, who decides last, and whom to tell.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use usher_fleet::Timestamp;
use usher_fleet::advice::ScaleAnswer;
use usher_fleet::event::PolicyEvent;
use usher_fleet::view::{Cursor, ViewChange};

use crate::native::Native;

/// How often the folder is read where nothing hints at a change: a network folder gives no hints, and 2 s is no wait for a human.
pub const FOLDER_POLL: Duration = Duration::from_secs(2);
/// How long a file must not have changed before it counts: editors and copies write in steps.
pub const FOLDER_QUIET: Duration = Duration::from_millis(300);

/// Makes one instance of the built-in policy.
pub type BuiltIn = Box<dyn Fn() -> Box<dyn Native> + Send + Sync>;

/// How policies are run.
pub struct Options {
    /// The folder of `*.wasm`; none = the built-in decides alone.
    pub dir: Option<PathBuf>,
    /// Where good versions, quarantines, rollbacks and what policies have learned are kept; none = in memory only.
    pub keep: Option<PathBuf>,
    /// The policy that is asked last. Its settings are `standard.toml` in the folder.
    pub built_in: BuiltIn,
    /// What policies may log; messages below are dropped.
    pub log: LogLevel,
    /// How often the folder is read without a hint; [`FOLDER_POLL`] outside of tests.
    pub poll: Duration,
    /// How long a file must rest; [`FOLDER_QUIET`] outside of tests.
    pub quiet: Duration,
    /// Where modules are read and compiled; [`CompileIn::Child`] in a host that serves.
    pub compile: CompileIn,
}

impl Options {
    /// Returns options with the default times, the log from `info` on, and compilations in this process.
    pub fn new(dir: Option<PathBuf>, built_in: BuiltIn) -> Options {
        Options {
            dir,
            keep: None,
            built_in,
            log: LogLevel::Info,
            poll: FOLDER_POLL,
            quiet: FOLDER_QUIET,
            compile: CompileIn::ThisProcess,
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("dir", &self.dir)
            .field("keep", &self.keep)
            .field("log", &self.log)
            .finish_non_exhaustive()
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the usual words")]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

/// The whole view at a moment between two inputs.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// How far `rows` reach.
    pub cursor: Cursor,
    /// When.
    pub now: Timestamp,
    /// Every row, as [`Fleet::changes_since`](usher_fleet::Fleet::changes_since) gives them from the start.
    pub rows: Vec<ViewChange>,
}

/// What policies need of the process around them. Called from their threads; none of it may wait for a policy.
pub trait PolicyHost: Send + Sync {
    /// Returns the whole view, or none when the host is going down; may block until the driver is between two inputs.
    fn snapshot(&self) -> Option<Snapshot>;
    /// Takes something that happened to a policy.
    fn event(&self, event: PolicyEvent);
    /// Takes the answer to a [`ScaleAsk`](usher_fleet::advice::ScaleAsk).
    fn scaled(&self, answer: ScaleAnswer);
    /// Hears that [`PlaceChain::swap`](crate::PlaceChain::swap) has something to take in, or that a scale chain has changed.
    fn chain_changed(&self);
}
