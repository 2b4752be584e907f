//! Starting it all: the built-in decides from the first moment, the folder's policies join as they pass their gates.

use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use usher_fleet::advice::ScaleAsk;
use usher_fleet::view::{Cursor, ViewChange};

use crate::built_in::BuiltInLink;
use crate::chain::{Handover, PlaceChain};
use crate::counters::Counters;
use crate::folder::Folder;
use crate::loader::{BuiltInState, Loader, Message};
use crate::loading::Kitchen;
use crate::options::{Options, PolicyHost};
use crate::quarantine::Quarantine;
use crate::scale::{ScaleMessage, ScaleQueue, ScaleThread};
use crate::settings::Settings;
use crate::status::{Board, PolicyStatus};
use crate::version::Hash;
use crate::wasm::Compiler;
use crate::watch::Watch;

/// The loader's stack, in bytes: guest code has half a MiB of it, and the compiler recurses over what a guest nests.
const LOADER_STACK_BYTES: usize = 16 << 20;
/// The scale thread's stack, in bytes: guest code and as much again.
const SCALE_STACK_BYTES: usize = 2 << 20;

/// The policies' threads, and what may be asked of them from any other.
pub struct Policies {
    board: Arc<Board>,
    scale: ScaleQueue,
    loader: Sender<Message>,
    threads: Vec<JoinHandle<()>>,
}

/// Starts the policies: a chain for the driver's thread, and the threads behind it.
///
/// The built-in is in the chain at once, with the settings of `standard.toml` if they can be had; the folder's policies follow
/// through [`PlaceChain::swap`]. The thread that asks the chain needs 2 MiB of stack.
///
/// # Panics
/// If the built-in does not take empty settings, the platform has no compiler back end, or a thread cannot be started.
pub fn start(options: Options, host: Arc<dyn PolicyHost>) -> (PlaceChain, Policies) {
    let Options {
        dir,
        built_in,
        log,
        poll,
        quiet,
    } = options;
    let (make, counters) = (Arc::new(built_in), Arc::new(Counters::default()));
    let folder = dir.map(|dir| Folder::new(dir, quiet, Instant::now()));
    let settings = folder.as_ref().and_then(Folder::built_in_settings).unwrap_or_default();
    let link = |settings: Settings| BuiltInLink::new(&make, settings, &counters);
    let configured = Settings::read(&settings)
        .map_err(|error| error.to_string())
        .and_then(|read| Ok((link(read.clone())?, link(read)?)));
    // What is wrong with the file, the loader says when it reads it.
    let (place, scaling, settings) = match configured {
        Ok((place, scaling)) => (place, scaling, Hash::of(&settings)),
        Err(_) => {
            let empty = || link(Settings::default()).expect("the built-in takes empty settings");
            (empty(), empty(), Hash::of(b""))
        }
    };
    let policy = place.policy();

    let (loader, inbox) = mpsc::channel();
    let (scale, scale_inbox) = ScaleQueue::new();
    let (handover, board): (Arc<Handover>, Arc<Board>) = Default::default();
    let compiler = Compiler::new().expect("wasmtime compiles for this platform");
    let work = Loader {
        host: host.clone(),
        folder: folder.map(|folder| {
            let watch = Watch::new(folder.dir(), loader.clone());
            (folder, watch)
        }),
        poll,
        kitchen: Kitchen::new(compiler, log),
        handover: handover.clone(),
        scale: scale.clone(),
        board: board.clone(),
        policies: Default::default(),
        quarantine: Quarantine::default(),
        built_in: BuiltInState {
            make: make.clone(),
            policy,
            settings,
            counters: counters.clone(),
        },
    };
    let scaling = ScaleThread::new(host, scale.clone(), scale_inbox, loader.clone(), scaling);
    let threads = vec![
        spawn("policy-loader", LOADER_STACK_BYTES, move || work.run(&inbox)),
        spawn("policy-scale", SCALE_STACK_BYTES, move || scaling.run()),
    ];
    (
        PlaceChain::new(place, handover, loader.clone()),
        Policies {
            board,
            scale,
            loader,
            threads,
        },
    )
}

fn spawn(name: &str, stack_bytes: usize, work: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    thread::Builder::new()
        .name(name.to_owned())
        .stack_size(stack_bytes)
        .spawn(work)
        .expect("a thread can be started while the process starts")
}

impl Policies {
    /// Asks a scale policy; the answer comes through [`PolicyHost::scaled`]. Never blocks.
    ///
    /// `changes` are the newest rows of what has changed since the call before, the first time the whole view; `cursor` is the
    /// fleet's after them. Every call's changes are needed, in order: the thread keeps its own copy of the view from them.
    pub fn scale(&self, ask: ScaleAsk, cursor: Cursor, changes: Vec<ViewChange>) {
        self.scale.ask(ask, cursor, changes);
    }

    /// Returns what is wanted, what serves and what was counted, in the chain's order.
    pub fn status(&self) -> Vec<PolicyStatus> {
        self.board.status()
    }

    /// Returns whether every file has been decided upon once since the start.
    pub fn has_decided(&self) -> bool {
        self.board.has_decided()
    }

    /// Returns how often a module was compiled since the start: once for each different one.
    pub fn compilations(&self) -> u64 {
        self.board.compilations()
    }

    /// Ends the threads and waits for them: at most for one compilation and one scale decision. The host must answer
    /// [`PolicyHost::snapshot`] meanwhile, if only with none.
    pub fn stop(self) {
        self.loader.send(Message::Stop).ok();
        self.scale.send(ScaleMessage::Stop);
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a policy thread has panicked");
            }
        }
    }
}

impl std::fmt::Debug for Policies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Policies").finish_non_exhaustive()
    }
}
