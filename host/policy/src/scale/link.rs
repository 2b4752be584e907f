//! One policy's place in the scale chains: its instance, what it is still to be told, and what it has learned.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use usher_fleet::advice::{Direction, Fault, FaultKind, ScaleAdvice, ScaleAsk};
use usher_fleet::decision::{DecisionPoint, PolicyRef};

use super::mirror::Mirror;
use super::verdicts::Verdicts;
use crate::backoff::Backoff;
use crate::counters::{Counters, decision};
use crate::loader::{FaultReport, LearningFault, Message};
use crate::recipe::Recipe;
use crate::shelf::LEARNED_BYTES_MAX;
use crate::wasm::{Pace, Serving};

/// A policy is asked for what it has learned no sooner than so long after the last time: a host that dies costs it no more, and
/// 64 KiB a minute wear out no disk.
const SAVE_EVERY: Duration = Duration::from_secs(60);

/// One policy's place in the scale chains.
pub(crate) struct ScaleLink {
    pub(super) recipe: Arc<Recipe>,
    pub(super) policy: PolicyRef,
    pub(super) counters: Arc<Counters>,
    up: Part,
    down: Part,
    pub(super) instance: Option<Box<Serving>>,
    /// When the instance was asked last.
    pub(super) asked: Instant,
    pub(super) verdicts: Verdicts,
    backoff: Backoff,
    not_before: Option<Instant>,
    /// What the last question took.
    pub(super) fuel: u64,
    /// What an instance gets that is made now.
    learned: Option<Vec<u8>>,
    /// Whether the instance has answered since it got that.
    is_proven: bool,
    saved: Saved,
}

/// When it was last asked for what it has learned.
#[derive(Debug, Default)]
struct Saved {
    at: Option<Instant>,
    /// Whether it has decided anything since.
    is_behind: bool,
}

/// How a policy stands to one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// It does not export it.
    Absent,
    /// It is asked.
    Asked,
    /// It is asked no more.
    Quarantined,
}

impl ScaleLink {
    /// Makes a link whose instance is made when it is first asked, and then gets what one before it has `learned`.
    pub(crate) fn new(
        recipe: Arc<Recipe>,
        policy: PolicyRef,
        counters: Arc<Counters>,
        [up, down]: [Part; 2],
        learned: Option<Vec<u8>>,
    ) -> ScaleLink {
        ScaleLink {
            recipe,
            policy,
            counters,
            up,
            down,
            instance: None,
            asked: Instant::now(),
            verdicts: Verdicts::default(),
            backoff: Backoff::default(),
            not_before: None,
            fuel: 0,
            learned,
            is_proven: false,
            saved: Saved::default(),
        }
    }

    /// Takes over from the link of another version of the same policy: what it has learned, and verdicts that it has not heard.
    pub(super) fn take_over(&mut self, mut before: ScaleLink, loader: &Sender<Message>) {
        before.save_last(loader);
        self.learned = before.learned.or(self.learned.take());
        self.verdicts = before.verdicts;
        self.counters.set_memory(DecisionPoint::ScaleUp, 0);
    }

    /// Has it say what it has learned for the last time, and ends it.
    pub(super) fn end(mut self, loader: &Sender<Message>) {
        self.save_last(loader);
        self.counters.set_memory(DecisionPoint::ScaleUp, 0);
    }

    /// Ends its instance, which has not been asked for long; what it has learned is kept.
    pub(super) fn let_go(&mut self, loader: &Sender<Message>) {
        self.save_last(loader);
        self.instance = None;
        self.counters.set_memory(DecisionPoint::ScaleUp, 0);
    }

    /// Returns whether it has a place in a direction's chain. In quarantine it keeps one where its silence means more than
    /// nothing: scaling down, where a fault keeps all servers, and where its settings say that rooms wait.
    pub(super) fn is_in(&self, direction: Direction) -> bool {
        match (self.part(direction), direction) {
            (Part::Absent, _) => false,
            (Part::Asked, _) | (Part::Quarantined, Direction::Down) => true,
            (Part::Quarantined, Direction::Up) => self.recipe.waits(),
        }
    }

    fn part(&self, direction: Direction) -> Part {
        match direction {
            Direction::Up => self.up,
            Direction::Down => self.down,
        }
    }

    /// Takes a decision from it.
    pub(super) fn quarantine(&mut self, direction: Direction) {
        match direction {
            Direction::Up => self.up = Part::Quarantined,
            Direction::Down => self.down = Part::Quarantined,
        }
    }

    /// Asks it; a fault ends its instance, and is told to the loader.
    pub(super) fn ask(
        &mut self,
        ask: &ScaleAsk,
        mirror: &Mirror,
        loader: &Sender<Message>,
    ) -> Result<ScaleAdvice, Fault> {
        let fault = match self.answer(ask, mirror, loader) {
            Ok(advice) => return Ok(advice),
            Err(fault) => fault,
        };
        match self.answer_without_learned(ask, mirror, &fault, loader) {
            Some(advice) => Ok(advice),
            None => Err(self.faulted(ask, fault, loader)),
        }
    }

    /// Asks once more without what was learned, if no instance has answered since it got that: it may be what it stumbles over, and
    /// can be learned again. Only where that answers is it given up.
    fn answer_without_learned(
        &mut self,
        ask: &ScaleAsk,
        mirror: &Mirror,
        fault: &Fault,
        loader: &Sender<Message>,
    ) -> Option<ScaleAdvice> {
        if fault.kind == FaultKind::Unavailable || self.is_proven {
            return None;
        }
        let learned = self.learned.take()?;
        let Ok(advice) = self.answer(ask, mirror, loader) else {
            self.learned = Some(learned);
            return None;
        };
        let message = format!(
            "it starts without it, for with it: {}: {}",
            fault.kind.word(),
            fault.message
        );
        self.tell_learning_fault("restore", message, loader);
        Some(advice)
    }

    fn answer(&mut self, ask: &ScaleAsk, mirror: &Mirror, loader: &Sender<Message>) -> Result<ScaleAdvice, Fault> {
        let unavailable = |message: &str| Fault {
            kind: FaultKind::Unavailable,
            message: message.to_owned(),
        };
        self.fuel = 0;
        if self.part(ask.direction) == Part::Quarantined {
            return Err(unavailable("the version is in quarantine for this decision"));
        }
        if self.not_before.is_some_and(|moment| Instant::now() < moment) {
            return Err(unavailable("the policy has faulted and is not back yet"));
        }
        let mut instance = match self.instance.take() {
            Some(instance) => instance,
            None => self.start(loader)?,
        };
        self.asked = Instant::now();
        let verdicts = self.verdicts.take();
        let answer = instance
            .feed(ask.now, mirror, &verdicts, Pace::Whole)
            .and_then(|()| instance.scale(ask));
        if answer.is_err() {
            self.verdicts.give_back(verdicts);
        }
        let (fuel, memory) = instance.used();
        self.fuel = fuel;
        self.counters.set_memory(decision(ask.direction), memory);
        if answer.is_ok() {
            self.instance = Some(instance);
            self.is_proven = true;
            self.saved.is_behind = true;
        }
        answer
    }

    fn start(&mut self, loader: &Sender<Message>) -> Result<Box<Serving>, Fault> {
        let started = self.recipe.start(self.learned.as_deref());
        let instance = started.map_err(|error| Fault {
            kind: FaultKind::Error,
            message: error.to_string(),
        })?;
        if let Some(why) = instance.forgot() {
            self.tell_learning_fault("restore", format!("it starts without it: {why}"), loader);
            self.learned = None;
        }
        self.is_proven = false;
        Ok(Box::new(instance))
    }

    fn faulted(&mut self, ask: &ScaleAsk, fault: Fault, loader: &Sender<Message>) -> Fault {
        if fault.kind != FaultKind::Unavailable {
            self.not_before = Some(self.backoff.next_try(Instant::now()));
            let report = FaultReport {
                name: self.recipe.name.clone(),
                version: self.recipe.version,
                policy: self.policy.clone(),
                decision: decision(ask.direction),
                kind: fault.kind,
                message: fault.message.clone(),
                // Each turn sees another moment: every one is another input.
                input: u64::from(ask.decision.0),
            };
            // The loader is gone only when the host goes down.
            loader.send(Message::Faulted(report)).ok();
        }
        fault
    }

    /// Has the loader keep what it has learned, if it has decided anything since and the last time is long enough ago.
    pub(super) fn save_if_due(&mut self, loader: &Sender<Message>) {
        if self.saved.at.is_none_or(|at| at.elapsed() >= SAVE_EVERY) {
            self.save_last(loader);
        }
    }

    /// Has the loader keep what it has learned since it was last asked for it: the last chance.
    pub(super) fn save_last(&mut self, loader: &Sender<Message>) {
        let Some(instance) = &mut self.instance else { return };
        if !std::mem::take(&mut self.saved.is_behind) {
            return;
        }
        self.saved.at = Some(Instant::now());
        let message = match instance.save() {
            Ok(None) => return,
            Ok(Some(learned)) if learned.len() > LEARNED_BYTES_MAX => {
                let length = learned.len();
                format!("`save` gives {length} bytes; at most {LEARNED_BYTES_MAX} are kept")
            }
            Ok(Some(learned)) => {
                if self.learned.as_ref() != Some(&learned) {
                    self.learned = Some(learned.clone());
                    // The loader is gone only when the host goes down.
                    loader.send(Message::Learned(self.recipe.name.clone(), learned)).ok();
                }
                return;
            }
            Err(fault) => {
                // Its own error is an answer; after anything else it cannot be asked again.
                if fault.kind != FaultKind::Error {
                    self.instance = None;
                }
                format!("`save` failed: {}: {}", fault.kind.word(), fault.message)
            }
        };
        self.tell_learning_fault("save", message, loader);
    }

    fn tell_learning_fault(&self, step: &'static str, message: String, loader: &Sender<Message>) {
        let report = LearningFault {
            name: self.recipe.name.clone(),
            version: self.recipe.version,
            policy: self.policy.clone(),
            step,
            message,
        };
        // The loader is gone only when the host goes down.
        loader.send(Message::LearningFault(report)).ok();
    }
}
