//! Starting it all: the built-in decides from the first moment, the folder's policies join as they pass their gates.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use usher_fleet::advice::ScaleAsk;
use usher_fleet::view::{Cursor, ViewChange};

use crate::chain::{Handover, PlaceChain, PlaceLink};
use crate::folder::Folder;
use crate::kitchen::{self, Orders};
use crate::loader::{BuiltInState, Loader, Message, RollbackOrder};
use crate::loading::Kitchen;
use crate::native::MakeBuiltIn;
use crate::options::{FOLDER_QUIET, Options, PolicyHost};
use crate::quarantine::Quarantine;
use crate::scale::{ScaleMessage, ScaleQueue, ScaleThread};
use crate::settings::Settings;
use crate::shelf::Shelf;
use crate::status::{Board, PolicyStatus};
use crate::wasm::Compiler;
use crate::watch::Watch;

/// The kitchen's stack, in bytes: where it compiles itself, it recurses over what a guest nests.
const KITCHEN_STACK_BYTES: usize = 16 << 20;
/// The stack of threads that run guests, in bytes: guest code has half a MiB of it and needs as much again.
const GUEST_STACK_BYTES: usize = 2 << 20;
/// The longest that somebody waits for a rollback: a module that was good compiles in a second, and on a busy machine in some.
const ROLLBACK_WAIT: Duration = Duration::from_secs(20);

/// The policies' threads, and what may be asked of them from any other.
pub struct Policies {
    board: Arc<Board>,
    scale: ScaleQueue,
    loader: Sender<Message>,
    orders: Orders,
    scaling: JoinHandle<()>,
    others: [JoinHandle<()>; 2],
}

/// Starts the policies: a chain for the driver's thread, and the threads behind it.
///
/// The built-in is in the chain at once, with the settings of `standard.toml` if they can be had, behind those whose settings say that
/// rooms wait for them; the folder's policies follow through [`PlaceChain::swap`]. No policy is asked to scale before they have, or for
/// 10 s. The thread that asks the chain needs 2 MiB of stack.
///
/// # Panics
/// If the built-in does not take empty settings, the platform has no compiler back end, or a thread cannot be started.
pub fn start(options: Options, host: Arc<dyn PolicyHost>) -> (PlaceChain, Policies) {
    let Options {
        dir,
        keep,
        built_in,
        log,
        poll,
        quiet,
        retry,
        compile,
    } = options;
    let now = Instant::now();
    let shelf = Shelf::open(keep.as_deref());
    let folder = dir.map(|dir| {
        let mut folder = Folder::new(dir, quiet, now);
        folder.expect(shelf.expected(), now);
        folder
    });
    let (built_in, [place, scaling]) = BuiltInState::begin(built_in, folder.as_ref(), &shelf);
    let awaited = if folder.is_some() {
        PlaceLink::awaited(&shelf)
    } else {
        Vec::new()
    };

    let (loader, inbox) = mpsc::channel();
    let (scale, scale_inbox) = ScaleQueue::new();
    let (handover, board): (Arc<Handover>, Arc<Board>) = Default::default();
    let compiler = Compiler::new(compile).expect("wasmtime compiles for this platform");
    let orders = Orders::new(compiler.children());
    let kitchen = Kitchen::new(compiler, log);
    let work = Loader {
        host: host.clone(),
        folder: folder.map(|folder| {
            let watch = Watch::new(folder.dir(), loader.clone());
            (folder, watch)
        }),
        poll,
        retry,
        orders: orders.clone(),
        handover: handover.clone(),
        scale: scale.clone(),
        board: board.clone(),
        policies: Default::default(),
        postponed: Default::default(),
        quarantine: Quarantine::default(),
        shelf,
        built_in,
    };
    let cooking = {
        let (orders, board, loader) = (orders.clone(), board.clone(), loader.clone());
        move || kitchen::run(kitchen, &orders, &board, &loader)
    };
    let scaling = ScaleThread::new(host, scale_inbox, loader.clone(), scaling);
    let scaling = spawn("policy-scale", GUEST_STACK_BYTES, move || scaling.run());
    let others = [
        spawn("policy-loader", GUEST_STACK_BYTES, move || work.run(&inbox)),
        spawn("policy-kitchen", KITCHEN_STACK_BYTES, cooking),
    ];
    (
        PlaceChain::new(awaited, place, handover, loader.clone()),
        Policies {
            board,
            scale,
            loader,
            orders,
            scaling,
            others,
        },
    )
}

/// Says whether the built-in takes its settings in a folder of policies.
///
/// # Errors
/// What is wrong with them.
pub fn check_built_in_settings(dir: &Path, built_in: MakeBuiltIn) -> Result<(), String> {
    let folder = Folder::new(dir.to_path_buf(), FOLDER_QUIET, Instant::now());
    let bytes = folder.built_in_settings().map_err(|error| error.to_string())?;
    let settings = Settings::read_built_in(&bytes.unwrap_or_default()).map_err(|error| error.to_string())?;
    built_in(&settings.json).map(drop)
}

fn spawn(name: &str, stack_bytes: usize, work: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    thread::Builder::new()
        .name(name.to_owned())
        .stack_size(stack_bytes)
        .spawn(work)
        .expect("a thread can be started while the process starts")
}

fn join(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        tracing::error!("a policy thread has panicked");
    }
}

impl Policies {
    /// Asks a scale policy; the answer comes through [`PolicyHost::scaled`]. Never blocks.
    ///
    /// `changes` are the newest rows of what has changed since the call before, the first time the whole view; `cursor` is the
    /// fleet's after them. Every call's changes are needed, in order: the thread keeps its own copy of the view from them.
    pub fn scale(&self, ask: ScaleAsk, cursor: Cursor, changes: Vec<ViewChange>) {
        self.scale.send(ScaleMessage::Ask { ask, cursor, changes });
    }

    /// Returns what is wanted, what serves and what was counted, in the chain's order.
    pub fn status(&self) -> Vec<PolicyStatus> {
        self.board.status()
    }

    /// Returns whether every file has been decided upon once since the start.
    pub fn has_decided(&self) -> bool {
        self.board.has_decided()
    }

    /// Returns how often a module was compiled since the start: once for each different one, as long as it is in use.
    pub fn compilations(&self) -> u64 {
        self.board.compilations()
    }

    /// Orders the version before to serve, until the file or its settings change; holds over restarts. `why` is for people.
    ///
    /// An order that is in force already is done: asking again changes nothing, also where the good version before serves
    /// because of a quarantine.
    pub fn rollback(&self, policy: &str, why: &str) -> Rollback {
        let (reply, answer) = mpsc::sync_channel(1);
        let order = RollbackOrder {
            policy: policy.to_owned(),
            why: why.to_owned(),
            reply,
        };
        // With the loader gone, the reply's other end is dropped here.
        self.loader.send(Message::RollBack(order)).ok();
        Rollback(answer)
    }

    /// Ends the threads and waits for them: at most for one scale decision, and for one compilation where this process does
    /// them. The host must answer [`PolicyHost::snapshot`] meanwhile, if only with none.
    pub fn stop(self) {
        self.orders.close();
        self.scale.send(ScaleMessage::Stop);
        join(self.scaling);
        // Only now: the scale thread's last words are what its policies have learned.
        self.loader.send(Message::Stop).ok();
        self.others.into_iter().for_each(join);
    }
}

/// An order to roll back, on its way.
#[derive(Debug)]
pub struct Rollback(Receiver<Result<(), RollbackError>>);

impl Rollback {
    /// Waits until the version before serves, for at most 20 s.
    ///
    /// # Errors
    /// Why it does not, or not yet.
    pub fn wait(self) -> Result<(), RollbackError> {
        match self.0.recv_timeout(ROLLBACK_WAIT) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => Err(RollbackError::Unfinished),
            Err(RecvTimeoutError::Disconnected) => Err(RollbackError::Stopping),
        }
    }
}

/// Says why the version before does not serve.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RollbackError {
    /// There is no file of this name.
    #[error("there is no policy `{0}`")]
    NoSuchPolicy(String),
    /// The built-in is part of the program.
    #[error("the built-in policy has no earlier version; its settings are `standard.toml` in the policies' folder")]
    BuiltIn,
    /// No other version was ever good, or it is the one that serves.
    #[error(
        "there is no version of `{0}` before this one that was good; take its file out of the folder, and the next policy decides"
    )]
    NoEarlierVersion(String),
    /// It was good once and does not pass the gates now.
    #[error("the version of `{policy}` before this one does not serve any more: {problem}")]
    Refused {
        /// Which policy.
        policy: String,
        /// What stopped it.
        problem: String,
    },
    /// After a restart, what served last does not serve again yet.
    #[error("the last good version of `{0}` is still on its way back; order again when it serves")]
    LastGoodReturns(String),
    /// It is still being prepared.
    #[error("the version before is still being prepared; it serves when it is ready")]
    Unfinished,
    /// The host is going down.
    #[error("the host stops")]
    Stopping,
}

impl std::fmt::Debug for Policies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Policies").finish_non_exhaustive()
    }
}
