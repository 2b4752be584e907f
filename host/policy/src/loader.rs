//! The loader's thread: follows the folder, lets serve what has passed the gates, builds again what has faulted.
//!
//! Whatever may take a second happens here or in the kitchen, and nothing that either does can take away a version that serves,
//! except another one that has passed every gate, or the file's removal.
//!
//! | file | says what becomes of |
//! |---|---|
//! | `wanting` | a file of the folder |
//! | `serving` | a version that has passed the gates |
//! | `returning` | a version that was good and is to serve again: after a restart, a quarantine, an order |
//! | `faults` | a policy that has faulted |
//! | `built_in` | the built-in's settings |
//! | `policy` | what is known of one file |

mod built_in;
mod faults;
mod policy;
mod returning;
mod serving;
mod wanting;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use usher_fleet::advice::Fault;
use usher_fleet::decision::{DecisionPoint, PolicyRef};
use usher_fleet::event::{PolicyEvent, PolicyEventBody};

use crate::chain::Handover;
use crate::folder::{Finding, Folder};
use crate::kitchen::{Errand, Orders, Prepared};
use crate::options::PolicyHost;
use crate::quarantine::Quarantine;
use crate::scale::{ScaleMessage, ScaleQueue};
use crate::shelf::Shelf;
use crate::status::Board;
use crate::version::{Name, Version};
use crate::watch::Watch;
pub(crate) use built_in::BuiltInState;
pub(crate) use faults::{FaultReport, LearningFault};
use policy::Policy;
pub(crate) use returning::RollbackOrder;

/// How soon the host is asked again for the view when it has none: it is starting, or going down.
const SNAPSHOT_RETRY: Duration = Duration::from_millis(500);
/// How far apart two readings are at least that hints ask for: a file that is being written gives thousands.
const HINT_GAP: Duration = Duration::from_millis(20);
/// The loader sleeps no longer than this where there is no folder.
const IDLE: Duration = Duration::from_secs(60);

/// What the loader is told.
pub(crate) enum Message {
    /// The folder may have changed.
    Look,
    /// The kitchen is done with an order.
    Prepared(Box<Prepared>),
    /// Somebody wants the version before.
    RollBack(RollbackOrder),
    /// A policy has faulted; its instance is gone.
    Faulted(FaultReport),
    /// The built-in has faulted.
    BuiltInFaulted(DecisionPoint, Fault),
    /// A policy has said what it has learned.
    Learned(Name, Vec<u8>),
    /// A policy could not say what it has learned, or not go on with it.
    LearningFault(LearningFault),
    /// An instance to drop, of a guest or the built-in.
    Retired(Box<dyn Send>),
    /// End.
    Stop,
}

/// What the loader works with.
pub(crate) struct Loader {
    pub(crate) host: Arc<dyn PolicyHost>,
    pub(crate) folder: Option<(Folder, Watch)>,
    pub(crate) poll: Duration,
    /// See [`Options::retry`](crate::Options::retry).
    pub(crate) retry: Duration,
    pub(crate) orders: Orders,
    pub(crate) handover: Arc<Handover>,
    pub(crate) scale: ScaleQueue,
    pub(crate) board: Arc<Board>,
    pub(crate) policies: BTreeMap<Name, Policy>,
    /// What is put off, and until when; the newest of each policy and errand.
    pub(crate) postponed: BTreeMap<(Name, Errand), (Instant, Prepared)>,
    pub(crate) quarantine: Quarantine,
    pub(crate) shelf: Shelf,
    pub(crate) built_in: BuiltInState,
}

impl Loader {
    /// Works until it is told to stop.
    pub(crate) fn run(mut self, inbox: &Receiver<Message>) {
        let mut next_reading = Instant::now();
        let mut next_hinted = next_reading;
        let mut is_settled = false;
        loop {
            let now = Instant::now();
            if now >= next_reading {
                let look_again = self.read_folder(now);
                is_settled = look_again.is_none();
                next_hinted = now + HINT_GAP;
                next_reading = now + if self.folder.is_some() { self.poll } else { IDLE };
                next_reading = look_again.map_or(next_reading, |at| at.min(next_reading));
            }
            self.work_due(now);
            self.post();
            if !self.board.has_decided() && is_settled && self.policies.values().all(Policy::is_decided) {
                self.board.set_decided();
                self.scale.send(ScaleMessage::Decided);
            }
            let due = self.policies.values().filter_map(Policy::due);
            let postponed = self.postponed.values().map(|(until, _)| *until);
            let wake = due.chain(postponed).chain([next_reading]).min();
            let wait = wake.map_or(IDLE, |wake| wake.saturating_duration_since(Instant::now()));
            match inbox.recv_timeout(wait) {
                Ok(Message::Look) => next_reading = next_reading.min(next_hinted.max(now)),
                Ok(Message::Prepared(prepared)) => self.prepared(*prepared),
                Ok(Message::RollBack(order)) => self.roll_back(order),
                Ok(Message::Faulted(report)) => self.faulted(report),
                Ok(Message::BuiltInFaulted(decision, fault)) => self.built_in_faulted(decision, &fault),
                Ok(Message::Learned(name, bytes)) => self.shelf.keep_learned(&name, &bytes),
                Ok(Message::LearningFault(report)) => self.learning_faulted(report),
                Ok(Message::Retired(instance)) => drop(instance),
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Reads the folder and takes in what has come to rest; returns when to look again before the next regular reading.
    fn read_folder(&mut self, now: Instant) -> Option<Instant> {
        let (folder, watch) = self.folder.as_mut()?;
        watch.begin_reading();
        let reading = folder.read(now);
        if let Some(problem) = &reading.missing {
            self.folder_is_missing(problem);
        }
        for finding in reading.findings {
            match finding {
                Finding::Settled(name, contents) => self.settled(&name, contents),
                Finding::Gone(name) => self.gone(&name, "its file is gone"),
                Finding::BuiltInSettings(settings) => self.built_in_settings(settings),
            }
        }
        reading.look_again
    }

    /// Takes in what the kitchen has made.
    fn prepared(&mut self, prepared: Prepared) {
        match prepared.errand {
            Errand::Wanted => self.wanted_prepared(prepared),
            Errand::Kept => self.kept_prepared(prepared),
        }
    }

    /// Puts something off: until the host has a view, or the machine time.
    fn postpone(&mut self, prepared: Prepared, wait: Duration) {
        let key = (prepared.name.clone(), prepared.errand);
        self.postponed.insert(key, (Instant::now() + wait, prepared));
    }

    /// Does what was put off and is due now.
    fn work_due(&mut self, now: Instant) {
        let is_due = |_: &(Name, Errand), (until, _): &mut (Instant, Prepared)| *until <= now;
        let postponed: Vec<_> = self.postponed.extract_if(.., is_due).collect();
        for (_, (_, prepared)) in postponed {
            match prepared.made {
                Ok(_) => self.prepared(prepared),
                Err(_) => self.send_for(&prepared.name, prepared.version),
            }
        }
        let due: Vec<Name> = self
            .policies
            .iter()
            .filter(|(_, policy)| policy.due().is_some_and(|due| due <= now))
            .map(|(name, _)| name.clone())
            .collect();
        for name in due {
            let is_rebuilt = |policy: &mut Policy| policy.rebuild.take_if(|at| *at <= now).is_some();
            if self.policies.get_mut(&name).is_some_and(is_rebuilt) {
                self.rebuild(&name, now);
            }
            self.waited_enough(&name, now);
        }
    }

    /// Has the host take in what was handed over, then shows and tells it: whoever sees that a version serves is decided by it.
    fn tell_change(&self, event: PolicyEvent) {
        self.host.chain_changed();
        self.tell(event);
    }

    /// Tells the host, and shows first what it will find when it looks.
    fn tell(&self, event: PolicyEvent) {
        self.post();
        self.host.event(event);
    }

    fn post(&self) {
        let posted = self
            .policies
            .iter()
            .map(|(name, policy)| policy.posted(name, &self.shelf));
        let built_in = self.built_in.posted();
        self.board.post(posted.chain([built_in]).collect());
    }
}

fn body(
    name: &Name,
    policy: Option<&PolicyRef>,
    version: Option<Version>,
    step: &str,
    reason: &str,
) -> PolicyEventBody {
    PolicyEventBody {
        policy: name.text().clone(),
        version: policy.map_or_else(|| "".into(), |policy| policy.version.clone()),
        sha256: version.map_or_else(|| "".into(), |version| version.wasm.to_string().into()),
        step: step.to_owned(),
        reason: reason.to_owned(),
    }
}
