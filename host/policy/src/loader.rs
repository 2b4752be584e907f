//! The loader's thread: follows the folder, passes files through the gates, builds again what has faulted.
//!
//! Everything that may be slow happens here, and nothing that it does can take away a version that serves, except another one
//! that has passed every gate, or the file's removal.

mod built_in;
mod faults;
mod policy;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use usher_fleet::decision::{DecisionPoint, PolicyRef};
use usher_fleet::event::{PolicyEvent, PolicyEventBody};

use crate::chain::{Handover, PlaceLink};
use crate::counters::Counters;
use crate::folder::{Contents, FileError, Finding, Folder};
use crate::loading::{self, Kitchen, LoadError};
use crate::options::PolicyHost;
use crate::quarantine::Quarantine;
use crate::recipe::Recipe;
use crate::scale::{Part, ScaleLink, ScaleMessage, ScaleQueue};
use crate::status::Board;
use crate::version::{Name, Version};
use crate::wasm::{CheckError, Serving};
use crate::watch::Watch;
pub(crate) use built_in::BuiltInState;
pub(crate) use faults::FaultReport;
use policy::{Policy, Served, Wanted, WantedNow};

/// How long a file that ends in the middle is waited for before it is refused: a copy over a slow network pauses for seconds.
const INCOMPLETE_WAIT: Duration = Duration::from_secs(10);
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
    /// A policy has faulted; its instance is gone.
    Faulted(FaultReport),
    /// An instance to drop.
    Retired(Box<Serving>),
    /// End.
    Stop,
}

/// What the loader works with.
pub(crate) struct Loader {
    pub(crate) host: Arc<dyn PolicyHost>,
    pub(crate) folder: Option<(Folder, Watch)>,
    pub(crate) poll: Duration,
    pub(crate) kitchen: Kitchen,
    pub(crate) handover: Arc<Handover>,
    pub(crate) scale: ScaleQueue,
    pub(crate) board: Arc<Board>,
    pub(crate) policies: BTreeMap<Name, Policy>,
    pub(crate) quarantine: Quarantine,
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
            if is_settled && self.policies.values().all(Policy::is_decided) {
                self.board.set_decided();
            }
            let wake = self
                .policies
                .values()
                .filter_map(Policy::due)
                .chain([next_reading])
                .min();
            let wait = wake.map_or(IDLE, |wake| wake.saturating_duration_since(Instant::now()));
            match inbox.recv_timeout(wait) {
                Ok(Message::Look) => next_reading = next_reading.min(next_hinted.max(now)),
                Ok(Message::Faulted(report)) => self.faulted(report),
                Ok(Message::Retired(instance)) => drop(instance),
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Reads the folder and loads what has come to rest; returns when to look again before the next regular reading.
    fn read_folder(&mut self, now: Instant) -> Option<Instant> {
        let (folder, watch) = self.folder.as_mut()?;
        watch.begin_reading();
        let reading = folder.read(now);
        for finding in reading.findings {
            match finding {
                Finding::Settled(name, contents) => self.settled(&name, contents, now),
                Finding::Gone(name) => self.gone(&name),
                Finding::BuiltInSettings(settings) => self.built_in_settings(settings),
            }
        }
        reading.look_again
    }

    fn settled(&mut self, name: &Name, contents: Result<Contents, FileError>, now: Instant) {
        let version = contents.as_ref().ok().map(loading::version);
        let policy = self.policies.entry(name.clone()).or_default();
        let is_known = version.is_some() && policy.wanted.as_ref().and_then(|wanted| wanted.version) == version;
        if is_known {
            return;
        }
        if version.is_some() && policy.served.as_ref().map(|served| served.recipe.version) == version {
            policy.wanted = Some(Wanted {
                version,
                now: WantedNow::Serving,
            });
            return;
        }
        let prepared = contents
            .map_err(LoadError::File)
            .and_then(|contents| self.kitchen.prepare(name, contents));
        match prepared {
            Ok(recipe) => self.install(name, Arc::new(recipe), now),
            Err(LoadError::Check(CheckError::Incomplete)) => {
                let until = now + INCOMPLETE_WAIT;
                self.want(name, version, WantedNow::Incomplete { until });
            }
            Err(error) => self.refuse(name, version, error),
        }
    }

    /// Tries a version out and lets it serve.
    fn install(&mut self, name: &Name, recipe: Arc<Recipe>, now: Instant) {
        let version = Some(recipe.version);
        let Some(view) = self.host.snapshot() else {
            self.want(
                name,
                version,
                WantedNow::Postponed {
                    recipe,
                    until: now + SNAPSHOT_RETRY,
                },
            );
            return;
        };
        let is_out = |point: &DecisionPoint| self.quarantine.holds(name, recipe.version, *point);
        let decisions: Vec<DecisionPoint> = loading::decisions(&recipe)
            .into_iter()
            .filter(|point| !is_out(point))
            .collect();
        let (place, scale): (Vec<_>, Vec<_>) = decisions.into_iter().partition(|point| *point == DecisionPoint::Place);
        // Scale decisions may learn from being asked, so they are tried in an instance that nobody is asked again.
        let tried = match scale.is_empty() {
            true => Ok(()),
            false => loading::try_out(&recipe, &view, &scale).map(drop),
        };
        match tried.and_then(|()| loading::try_out(&recipe, &view, &place)) {
            Ok(instance) => self.serve(name, recipe, instance, !place.is_empty()),
            Err(error) => self.refuse(name, version, error),
        }
    }

    /// Hands a version to the chains; `instance` has passed every gate, and is asked to place rooms if it `places`.
    fn serve(&mut self, name: &Name, recipe: Arc<Recipe>, instance: Serving, places: bool) {
        let policy_ref = recipe.policy_ref(&instance);
        let summary = instance.description().summary.clone();
        let policy = self.policies.entry(name.clone()).or_default();
        policy.wanted = Some(Wanted {
            version: Some(recipe.version),
            now: WantedNow::Serving,
        });
        policy.served = Some(Served {
            recipe: recipe.clone(),
            policy: policy_ref.clone(),
            summary,
        });
        policy.rebuild = None;
        let counters = policy.counters.clone();
        self.quarantine.forget_counts(name, Some(recipe.version));

        let parts = recipe.ready.parts();
        let keeps_waiting = recipe.waits() && self.quarantine.holds(name, recipe.version, DecisionPoint::Place);
        let placing = places.then(|| Box::new(instance));
        let link = (places || keeps_waiting).then(|| place_link(&recipe, &policy_ref, &counters, placing));
        self.handover.put(name.clone(), link);
        let part = |has: bool, point: DecisionPoint| match has {
            false => Part::Absent,
            true if self.quarantine.holds(name, recipe.version, point) => Part::Quarantined,
            true => Part::Asked,
        };
        let (up, down) = (
            part(parts.scale_up, DecisionPoint::ScaleUp),
            part(parts.scale_down, DecisionPoint::ScaleDown),
        );
        self.scale.send(match parts.scales() {
            true => ScaleMessage::Install(ScaleLink::new(recipe.clone(), policy_ref.clone(), counters, up, down)),
            false => ScaleMessage::Remove(name.clone()),
        });
        tracing::info!(
            policy = &**name.text(),
            version = &*policy_ref.version,
            "the policy serves"
        );
        self.tell(PolicyEvent::Loaded(body(
            name,
            Some(&policy_ref),
            Some(recipe.version),
            "",
            "serves",
        )));
        self.host.chain_changed();
    }

    fn want(&mut self, name: &Name, version: Option<Version>, now: WantedNow) {
        self.policies.entry(name.clone()).or_default().wanted = Some(Wanted { version, now });
    }

    fn refuse(&mut self, name: &Name, version: Option<Version>, error: LoadError) {
        let (step, reason) = (error.step(), error.to_string());
        tracing::error!(policy = &**name.text(), step, "the policy was refused: {reason}");
        self.want(name, version, WantedNow::Refused(error));
        self.tell(PolicyEvent::Refused(body(name, None, version, step, &reason)));
    }

    fn gone(&mut self, name: &Name) {
        let Some(policy) = self.policies.remove(name) else {
            return;
        };
        self.quarantine.forget_counts(name, None);
        self.handover.put(name.clone(), None);
        self.scale.send(ScaleMessage::Remove(name.clone()));
        tracing::info!(policy = &**name.text(), "the policy's file is gone");
        let (policy_ref, version) = policy
            .served
            .map(|served| (served.policy, served.recipe.version))
            .unzip();
        let event = body(name, policy_ref.as_ref(), version, "", "its file is gone");
        self.tell(PolicyEvent::Removed(event));
        self.host.chain_changed();
    }

    /// Does what was put off and is due now.
    fn work_due(&mut self, now: Instant) {
        let due: Vec<Name> = self
            .policies
            .iter()
            .filter(|(_, policy)| policy.due().is_some_and(|due| due <= now))
            .map(|(name, _)| name.clone())
            .collect();
        for name in due {
            let Some(policy) = self.policies.get_mut(&name) else {
                continue;
            };
            if policy.rebuild.take_if(|at| *at <= now).is_some() {
                self.rebuild(&name, now);
            }
            let Some(policy) = self.policies.get_mut(&name) else {
                continue;
            };
            match policy.take_due_wanted(now) {
                Some((_, WantedNow::Postponed { recipe, .. })) => self.install(&name, recipe, now),
                Some((version, WantedNow::Incomplete { .. })) => {
                    self.refuse(&name, version, LoadError::Check(CheckError::Incomplete));
                }
                Some((_, WantedNow::Serving | WantedNow::Refused(_))) | None => {}
            }
        }
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
            .map(|(name, policy)| policy.posted(name, &self.quarantine));
        let built_in = self.built_in.posted();
        self.board
            .post(posted.chain([built_in]).collect(), self.kitchen.compilations());
    }
}

fn place_link(
    recipe: &Recipe,
    policy: &PolicyRef,
    counters: &Arc<Counters>,
    instance: Option<Box<Serving>>,
) -> PlaceLink {
    PlaceLink {
        name: recipe.name.clone(),
        version: recipe.version,
        policy: policy.clone(),
        waits: recipe.waits(),
        counters: counters.clone(),
        instance,
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
