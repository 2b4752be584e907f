//! The scale decisions, on a thread of their own with instances of their own: a slow forecast stands in no room's way.
//!
//! The host sends each question with what has changed in the view since the one before. Instances are made here, from the
//! version's recipe and this thread's own copy of the view ([`Mirror`]), when they are first asked and again after a fault.

mod mirror;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use usher_fleet::advice::{Direction, Fault, FaultKind, ScaleAdvice, ScaleAnswer, ScaleAsk, VerdictRow};
use usher_fleet::decision::PolicyRef;
use usher_fleet::view::{Cursor, ViewChange};

use crate::backoff::Backoff;
use crate::built_in::BuiltInLink;
use crate::counters::{Came, Counters, decision};
use crate::loader::{FaultReport, Message};
use crate::options::PolicyHost;
use crate::recipe::Recipe;
use crate::version::{Name, Version};
use crate::wasm::{CallFault, Pace, Serving, ViewSource};
use mirror::Mirror;

/// How many questions may wait; later ones are answered "unavailable" when their turn comes. The fleet asks one link of one
/// direction at a time, so that more than a few mean a policy that takes longer than a tick.
const QUESTIONS_MAX: usize = 16;
/// The most verdicts that wait for one policy; the oldest go. As many as a view call has rows.
const VERDICTS_MAX: usize = 1_024;

/// What the thread is told.
pub(crate) enum ScaleMessage {
    /// Answer this; `is_late` when too many are before it.
    Ask {
        ask: ScaleAsk,
        cursor: Cursor,
        changes: Vec<ViewChange>,
        is_late: bool,
    },
    /// A version serves from now on.
    Install(ScaleLink),
    /// A policy is gone, or takes no scale decision any more.
    Remove(Name),
    /// A version may not take this decision any more.
    Quarantine(Name, Version, Direction),
    /// The built-in has other settings.
    BuiltIn(BuiltInLink),
    /// End.
    Stop,
}

/// The host's end of the thread.
#[derive(Clone)]
pub(crate) struct ScaleQueue {
    sender: Sender<ScaleMessage>,
    /// Questions sent and not answered.
    open: Arc<AtomicUsize>,
}

impl ScaleQueue {
    /// Makes a queue and the thread's end of it.
    pub(crate) fn new() -> (ScaleQueue, Receiver<ScaleMessage>) {
        let (sender, receiver) = std::sync::mpsc::channel();
        (
            ScaleQueue {
                sender,
                open: Arc::default(),
            },
            receiver,
        )
    }

    /// Sends a question. Beyond [`QUESTIONS_MAX`] it brings its changes along and is answered without asking anyone.
    pub(crate) fn ask(&self, ask: ScaleAsk, cursor: Cursor, changes: Vec<ViewChange>) {
        let is_late = self.open.fetch_add(1, Ordering::Relaxed) >= QUESTIONS_MAX;
        self.send(ScaleMessage::Ask {
            ask,
            cursor,
            changes,
            is_late,
        });
    }

    /// Sends anything else. After the thread's end nobody listens, and nothing is lost by it.
    pub(crate) fn send(&self, message: ScaleMessage) {
        self.sender.send(message).ok();
    }
}

/// One policy's place in the scale chains.
pub(crate) struct ScaleLink {
    recipe: Arc<Recipe>,
    policy: PolicyRef,
    counters: Arc<Counters>,
    up: Part,
    down: Part,
    instance: Option<Box<Serving>>,
    verdicts: VecDeque<VerdictRow>,
    backoff: Backoff,
    not_before: Option<Instant>,
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
    /// Makes a link whose instance is made when it is first asked.
    pub(crate) fn new(
        recipe: Arc<Recipe>,
        policy: PolicyRef,
        counters: Arc<Counters>,
        up: Part,
        down: Part,
    ) -> ScaleLink {
        ScaleLink {
            recipe,
            policy,
            counters,
            up,
            down,
            instance: None,
            verdicts: VecDeque::new(),
            backoff: Backoff::default(),
            not_before: None,
        }
    }

    /// Returns whether it has a place in a direction's chain. In quarantine it keeps one where its silence means more than
    /// nothing: scaling down, where a fault keeps all servers, and where its settings say that rooms wait.
    fn is_in(&self, direction: Direction) -> bool {
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

    fn ask(&mut self, ask: &ScaleAsk, mirror: &Mirror) -> Result<ScaleAdvice, CallFault> {
        let unavailable = |message: &str| CallFault {
            kind: FaultKind::Unavailable,
            message: message.to_owned(),
        };
        if self.part(ask.direction) == Part::Quarantined {
            return Err(unavailable("the version is in quarantine for this decision"));
        }
        if self.not_before.is_some_and(|moment| Instant::now() < moment) {
            return Err(unavailable("the policy has faulted and is not back yet"));
        }
        let mut instance = match self.instance.take() {
            Some(instance) => instance,
            None => Box::new(self.recipe.start().map_err(|error| CallFault {
                kind: FaultKind::Error,
                message: error.to_string(),
            })?),
        };
        let verdicts: Vec<VerdictRow> = self.verdicts.drain(..).collect();
        let answer = instance
            .feed(ask.now, mirror, &verdicts, Pace::Whole)
            .and_then(|()| instance.scale(ask));
        let (_, memory) = instance.used();
        self.counters.set_memory(memory);
        if answer.is_ok() {
            self.instance = Some(instance);
        }
        answer
    }

    fn fuel(&self) -> u64 {
        self.instance.as_ref().map_or(0, |instance| instance.used().0)
    }
}

/// The thread.
pub(crate) struct ScaleThread {
    host: Arc<dyn PolicyHost>,
    queue: ScaleQueue,
    inbox: Receiver<ScaleMessage>,
    loader: Sender<Message>,
    mirror: Mirror,
    links: Vec<ScaleLink>,
    built_in: BuiltInLink,
    built_in_verdicts: Vec<VerdictRow>,
}

impl ScaleThread {
    /// Makes it; [`run`](ScaleThread::run) is its life.
    pub(crate) fn new(
        host: Arc<dyn PolicyHost>,
        queue: ScaleQueue,
        inbox: Receiver<ScaleMessage>,
        loader: Sender<Message>,
        built_in: BuiltInLink,
    ) -> ScaleThread {
        ScaleThread {
            host,
            queue,
            inbox,
            loader,
            mirror: Mirror::default(),
            links: Vec::new(),
            built_in,
            built_in_verdicts: Vec::new(),
        }
    }

    /// Answers until it is told to stop.
    pub(crate) fn run(mut self) {
        while let Ok(message) = self.inbox.recv() {
            match message {
                ScaleMessage::Ask {
                    ask,
                    cursor,
                    changes,
                    is_late,
                } => {
                    self.mirror.apply(cursor, changes);
                    self.note_verdicts(&ask);
                    let answer = self.answer(&ask, is_late);
                    self.mirror.forget_gone(self.read_by_all());
                    self.queue.open.fetch_sub(1, Ordering::Relaxed);
                    self.host.scaled(answer);
                }
                ScaleMessage::Install(link) => self.install(link),
                ScaleMessage::Remove(name) => self.links.retain(|link| link.recipe.name != name),
                ScaleMessage::Quarantine(name, version, direction) => self.quarantine(&name, version, direction),
                ScaleMessage::BuiltIn(built_in) => self.built_in = built_in,
                ScaleMessage::Stop => return,
            }
        }
    }

    fn install(&mut self, link: ScaleLink) {
        match self
            .links
            .binary_search_by(|other| other.recipe.name.cmp(&link.recipe.name))
        {
            Ok(at) => self.links[at] = link,
            Err(at) => self.links.insert(at, link),
        }
    }

    fn quarantine(&mut self, name: &Name, version: Version, direction: Direction) {
        let link = self
            .links
            .iter_mut()
            .find(|link| link.recipe.name == *name && link.recipe.version == version);
        if let Some(link) = link {
            match direction {
                Direction::Up => link.up = Part::Quarantined,
                Direction::Down => link.down = Part::Quarantined,
            }
        }
    }

    /// Keeps verdicts for the policies that they are for, until those are asked next. By name: a new version hears what became
    /// of the one before it.
    fn note_verdicts(&mut self, ask: &ScaleAsk) {
        for verdict in &ask.verdicts {
            for link in self
                .links
                .iter_mut()
                .filter(|link| link.policy.name == verdict.policy.name)
            {
                if link.verdicts.len() == VERDICTS_MAX {
                    link.verdicts.pop_front();
                }
                link.verdicts.push_back(verdict.row.clone());
            }
            if self.built_in.policy().name == verdict.policy.name && self.built_in_verdicts.len() < VERDICTS_MAX {
                self.built_in_verdicts.push(verdict.row.clone());
            }
        }
    }

    fn answer(&mut self, ask: &ScaleAsk, is_late: bool) -> ScaleAnswer {
        let chain: Vec<usize> = (0..self.links.len())
            .filter(|at| self.links[*at].is_in(ask.direction))
            .collect();
        let asked = Instant::now();
        let answer = |policy, last, advice, took: Duration| ScaleAnswer {
            decision: ask.decision,
            link: ask.link,
            last,
            policy,
            advice,
            took,
        };
        let last = ask.link >= chain.len();
        if is_late || ask.link > chain.len() {
            let message = if is_late {
                "too many scale questions wait"
            } else {
                "the chain has become shorter"
            };
            let policy = chain
                .get(ask.link)
                .map_or_else(|| self.built_in.policy(), |at| self.links[*at].policy.clone());
            let fault = Fault {
                kind: FaultKind::Unavailable,
                message: message.to_owned(),
                wait: false,
            };
            return answer(policy, last, Err(fault), Duration::ZERO);
        }
        let Some(at) = chain.get(ask.link) else {
            let verdicts = std::mem::take(&mut self.built_in_verdicts);
            let advice = self.built_in.scale(&self.mirror, &verdicts, ask);
            let took = asked.elapsed();
            self.built_in
                .counters
                .of(decision(ask.direction))
                .count(came(&advice), 0, took);
            return answer(self.built_in.policy(), last, advice, took);
        };
        let link = &mut self.links[*at];
        let advice = link
            .ask(ask, &self.mirror)
            .map_err(|fault| faulted(link, ask, fault, &self.loader));
        let took = asked.elapsed();
        link.counters
            .of(decision(ask.direction))
            .count(came(&advice), link.fuel(), took);
        answer(link.policy.clone(), last, advice, took)
    }

    /// Returns how far the slowest reader has read. One that does not exist yet starts with the whole view, gone things left out.
    fn read_by_all(&self) -> Cursor {
        let guests = self
            .links
            .iter()
            .filter_map(|link| link.instance.as_ref())
            .map(|instance| instance.cursor());
        guests
            .chain([self.built_in.cursor()])
            .min()
            .unwrap_or(self.mirror.cursor())
    }
}

fn faulted(link: &mut ScaleLink, ask: &ScaleAsk, fault: CallFault, loader: &Sender<Message>) -> Fault {
    if fault.kind != FaultKind::Unavailable {
        link.not_before = Some(link.backoff.next_try(Instant::now()));
        let report = FaultReport {
            name: link.recipe.name.clone(),
            version: link.recipe.version,
            policy: link.policy.clone(),
            decision: decision(ask.direction),
            kind: fault.kind,
            message: fault.message.clone(),
            // Each turn sees another moment: every one is another input.
            input: u64::from(ask.decision.0),
        };
        // The loader is gone only when the host goes down.
        loader.send(Message::Faulted(report)).ok();
    }
    Fault {
        kind: fault.kind,
        message: fault.message,
        wait: link.recipe.waits(),
    }
}

fn came(advice: &Result<ScaleAdvice, Fault>) -> Came {
    match advice {
        Ok(ScaleAdvice::Up(rows)) if rows.is_empty() => Came::Deferral,
        Ok(ScaleAdvice::Down(rows)) if rows.is_empty() => Came::Deferral,
        Ok(ScaleAdvice::Up(_) | ScaleAdvice::Down(_)) => Came::Answer,
        Err(fault) => Came::Fault(fault.kind),
    }
}
