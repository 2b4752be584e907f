//! The scale decisions, on a thread of their own with instances of their own: a slow forecast stands in no room's way.
//!
//! The host sends each question with what has changed in the view since the one before. Instances are made here, from the
//! version's recipe and this thread's own copy of the view ([`Mirror`]), when they are first asked and again after a fault.

mod link;
mod mirror;
mod verdicts;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use usher_fleet::advice::{Direction, Fault, ScaleAdvice, ScaleAnswer, ScaleAsk};
use usher_fleet::ids::DecisionNo;
use usher_fleet::view::{Cursor, ViewChange};

use crate::built_in::BuiltInLink;
use crate::counters::{Came, decision};
use crate::loader::Message;
use crate::options::PolicyHost;
use crate::version::{Name, Version};
use crate::wasm::ViewSource;
pub(crate) use link::{Part, ScaleLink};
use mirror::Mirror;
use verdicts::Verdicts;

/// How long after the start questions wait for the folder's policies: who had a say before the restart has one again. The fleet gives
/// a question up after as long.
const DECIDED_WAIT: Duration = Duration::from_secs(10);
/// A reader is let go that is so many questions with news behind, and was not asked for [`UNASKED_MAX`]: what is gone would be kept for
/// it for ever.
const BEHIND_MAX: u64 = 1_000;
const UNASKED_MAX: Duration = Duration::from_secs(3_600);

/// What the thread is told.
pub(crate) enum ScaleMessage {
    /// Answer this. The fleet asks one thing at a time and gives it up after 10 s, so that few ever wait.
    Ask {
        ask: ScaleAsk,
        cursor: Cursor,
        changes: Vec<ViewChange>,
    },
    /// A version serves from now on.
    Install(ScaleLink),
    /// A policy is gone, or takes no scale decision any more.
    Remove(Name),
    /// A version may not take this decision any more.
    Quarantine(Name, Version, Direction),
    /// The built-in has other settings.
    BuiltIn(BuiltInLink),
    /// Every file of the folder has been decided upon once.
    Decided,
    /// End.
    Stop,
}

/// The other threads' end of it.
#[derive(Clone)]
pub(crate) struct ScaleQueue(Sender<ScaleMessage>);

impl ScaleQueue {
    /// Makes a queue and the thread's end of it.
    pub(crate) fn new() -> (ScaleQueue, Receiver<ScaleMessage>) {
        let (sender, receiver) = mpsc::channel();
        (ScaleQueue(sender), receiver)
    }

    /// Tells the thread something. After its end nobody listens, and nothing is lost by it.
    pub(crate) fn send(&self, message: ScaleMessage) {
        self.0.send(message).ok();
    }
}

/// The thread.
pub(crate) struct ScaleThread {
    host: Arc<dyn PolicyHost>,
    inbox: Receiver<ScaleMessage>,
    loader: Sender<Message>,
    mirror: Mirror,
    links: Vec<ScaleLink>,
    /// Who was asked last, for which decision.
    asked: Option<(DecisionNo, Name)>,
    built_in: BuiltInLink,
    built_in_asked: Instant,
    built_in_verdicts: Verdicts,
}

impl ScaleThread {
    /// Makes it; [`run`](ScaleThread::run) is its life.
    pub(crate) fn new(
        host: Arc<dyn PolicyHost>,
        inbox: Receiver<ScaleMessage>,
        loader: Sender<Message>,
        built_in: BuiltInLink,
    ) -> ScaleThread {
        ScaleThread {
            host,
            inbox,
            loader,
            mirror: Mirror::default(),
            links: Vec::new(),
            asked: None,
            built_in,
            built_in_asked: Instant::now(),
            built_in_verdicts: Verdicts::default(),
        }
    }

    /// Answers until it is told to stop.
    pub(crate) fn run(mut self) {
        let mut put_off = self.await_policies();
        loop {
            match put_off.pop_front().map_or_else(|| self.inbox.recv(), Ok) {
                Ok(ScaleMessage::Stop) | Err(_) => break,
                Ok(message) => self.take(message),
            }
        }
        self.links.iter_mut().for_each(|link| link.save_last(&self.loader));
    }

    /// Takes in everything but questions until the folder's policies are here; returns what is to be taken in then.
    fn await_policies(&mut self) -> VecDeque<ScaleMessage> {
        let (until, mut put_off) = (Instant::now() + DECIDED_WAIT, VecDeque::new());
        loop {
            match self.inbox.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(message @ ScaleMessage::Ask { .. }) => put_off.push_back(message),
                Ok(ScaleMessage::Stop) => return VecDeque::from([ScaleMessage::Stop]),
                Ok(ScaleMessage::Decided) | Err(_) => return put_off,
                Ok(message) => self.take(message),
            }
        }
    }

    fn take(&mut self, message: ScaleMessage) {
        match message {
            ScaleMessage::Ask { ask, cursor, changes } => {
                self.mirror.apply(cursor, changes, &ask.spoken_for);
                self.note_verdicts(&ask);
                let answer = self.answer(&ask);
                self.let_go_far_behind();
                self.mirror.forget_gone(self.read_by_all());
                self.host.scaled(answer);
                // Nobody waits for what is kept now.
                self.links.iter_mut().for_each(|link| link.save_if_due(&self.loader));
            }
            ScaleMessage::Install(link) => self.install(link),
            ScaleMessage::Remove(name) => self.remove(&name),
            ScaleMessage::Quarantine(name, version, direction) => self.quarantine(&name, version, direction),
            ScaleMessage::BuiltIn(built_in) => self.built_in = built_in,
            // The first ends a wait, the other this thread.
            ScaleMessage::Decided | ScaleMessage::Stop => {}
        }
    }

    /// Ends instances that have not been asked for long; they are made anew, and told the whole view, when they are.
    fn let_go_far_behind(&mut self) {
        let (newest, now) = (self.mirror.cursor().0, Instant::now());
        let is_behind = |cursor: Cursor, asked: Instant| {
            newest.saturating_sub(cursor.0) > BEHIND_MAX && now.duration_since(asked) > UNASKED_MAX
        };
        for link in &mut self.links {
            let cursor = link.instance.as_ref().map(|instance| instance.cursor());
            if cursor.is_some_and(|cursor| is_behind(cursor, link.asked)) {
                link.let_go(&self.loader);
            }
        }
        if self.built_in.cursor() > Cursor::START && is_behind(self.built_in.cursor(), self.built_in_asked) {
            self.built_in.begin_anew();
        }
    }

    fn install(&mut self, mut link: ScaleLink) {
        match self
            .links
            .binary_search_by(|other| other.recipe.name.cmp(&link.recipe.name))
        {
            Ok(at) => {
                link.take_over(self.links.remove(at), &self.loader);
                self.links.insert(at, link);
            }
            Err(at) => self.links.insert(at, link),
        }
    }

    fn remove(&mut self, name: &Name) {
        for link in self.links.extract_if(.., |link| link.recipe.name == *name) {
            link.end(&self.loader);
        }
    }

    fn quarantine(&mut self, name: &Name, version: Version, direction: Direction) {
        let link = self
            .links
            .iter_mut()
            .find(|link| link.recipe.name == *name && link.recipe.version == version);
        if let Some(link) = link {
            link.quarantine(direction);
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
                link.verdicts.note(verdict.row.clone());
            }
            if self.built_in.policy().name == verdict.policy.name {
                self.built_in_verdicts.note(verdict.row.clone());
            }
        }
    }

    /// Returns whose turn a question is in a chain of links: the first one's, or who comes after the one that was asked last for this
    /// decision, which may have left since.
    fn turn(&self, chain: &[usize], ask: &ScaleAsk) -> usize {
        match &self.asked {
            Some((decision, name)) if *decision == ask.decision && ask.link > 0 => {
                chain.partition_point(|at| self.links[*at].recipe.name <= *name)
            }
            Some(_) | None => 0,
        }
    }

    fn answer(&mut self, ask: &ScaleAsk) -> ScaleAnswer {
        let chain: Vec<usize> = (0..self.links.len())
            .filter(|at| self.links[*at].is_in(ask.direction))
            .collect();
        let turn = self.turn(&chain, ask);
        self.asked = chain
            .get(turn)
            .map(|at| (ask.decision, self.links[*at].recipe.name.clone()));
        let asked = Instant::now();
        let answer = |policy, last, advice, took: Duration| ScaleAnswer {
            decision: ask.decision,
            link: ask.link,
            last,
            policy,
            advice,
            took,
        };
        let last = turn >= chain.len();
        let Some(at) = chain.get(turn) else {
            self.built_in_asked = asked;
            let verdicts = self.built_in_verdicts.take();
            let advice = self.built_in.scale(&self.mirror, &verdicts, ask);
            let took = asked.elapsed();
            if let Err(fault) = &advice {
                self.built_in_verdicts.give_back(verdicts);
                BuiltInLink::tell_fault(&self.loader, decision(ask.direction), fault);
            }
            self.built_in
                .counters
                .of(decision(ask.direction))
                .count(came(&advice), 0, took);
            return answer(self.built_in.policy(), last, advice, took);
        };
        let link = &mut self.links[*at];
        let advice = link.ask(ask, &self.mirror, &self.loader);
        let took = asked.elapsed();
        link.counters
            .of(decision(ask.direction))
            .count(came(&advice), link.fuel, took);
        answer(link.policy.clone(), last, advice, took)
    }

    /// Returns how far the slowest reader has read. One that does not exist yet, or was never asked, starts with the whole view.
    fn read_by_all(&self) -> Cursor {
        let guests = self
            .links
            .iter()
            .filter_map(|link| link.instance.as_ref())
            .map(|instance| instance.cursor());
        guests
            .chain([self.built_in.cursor()])
            .filter(|cursor| *cursor > Cursor::START)
            .min()
            .unwrap_or(self.mirror.cursor())
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
