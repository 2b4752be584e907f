//! The chain of place policies, on the thread that changes the fleet.
//!
//! It changes only in [`PlaceChain::swap`], which the driver calls between two inputs. An instance that faults is taken out at
//! once and sent away to be dropped; until the loader has made another, its link answers "unavailable".
//!
//! A link is told what has changed when it is asked. One that nobody asks for long, because those before it always answer, is
//! told in parts between two inputs ([`PlaceChain::keep_up`]): the room that needs it at last waits for one part, unless a single
//! input has just changed much of the fleet.

use std::collections::BTreeMap;
use std::hash::{Hash as _, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use usher_fleet::advice::{Fault, FaultKind, PlaceAdvice, PlaceAnswer, PlaceAsk, Placement};
use usher_fleet::decision::{DecisionPoint, PolicyRef};
use usher_fleet::{Advisor, Fleet, Timestamp};

use crate::built_in::BuiltInLink;
use crate::counters::{Came, Counters};
use crate::loader::{FaultReport, Message};
use crate::options::{PART_CHANGES_MAX, Snapshot};
use crate::shelf::{Good, Shelf};
use crate::version::{Name, Version};
use crate::wasm::{Pace, PartedView, Serving, ViewSource};

/// The place policies in the order of their files, the built-in last.
pub struct PlaceChain {
    links: Vec<PlaceLink>,
    built_in: BuiltInLink,
    handover: Arc<Handover>,
    loader: Sender<Message>,
}

/// One policy's place in the chain.
pub(crate) struct PlaceLink {
    pub(crate) name: Name,
    pub(crate) version: Version,
    pub(crate) policy: PolicyRef,
    /// Whether a room waits when this policy faults.
    pub(crate) waits: bool,
    pub(crate) counters: Arc<Counters>,
    /// None after a fault, and after a restart until it is back.
    pub(crate) instance: Option<Box<Serving>>,
    /// Inputs on which it is not asked until a moment: it has failed on them more than once.
    pub(crate) spared: BTreeMap<u64, Instant>,
}

/// What the loader has finished and the chain has not taken in yet: the newest for each policy, so that it never grows
/// beyond the number of policies.
#[derive(Default)]
pub(crate) struct Handover {
    waiting: Mutex<Waiting>,
    is_waiting: AtomicBool,
}

#[derive(Default)]
struct Waiting {
    links: BTreeMap<Name, Option<PlaceLink>>,
    built_in: Option<BuiltInLink>,
}

impl Handover {
    /// Gives a link to the chain, or takes it out of it with `None`. What was given before and not taken in is dropped here.
    pub(crate) fn put(&self, name: Name, link: Option<PlaceLink>) {
        let before = self.lock().links.insert(name, link);
        self.is_waiting.store(true, Ordering::Release);
        drop(before);
    }

    /// Gives the chain another built-in.
    pub(crate) fn put_built_in(&self, built_in: BuiltInLink) {
        self.lock().built_in = Some(built_in);
        self.is_waiting.store(true, Ordering::Release);
    }

    fn take(&self) -> Option<Waiting> {
        self.is_waiting
            .swap(false, Ordering::Acquire)
            .then(|| std::mem::take(&mut *self.lock()))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Advisor for PlaceChain {
    fn place(&mut self, link: usize, fleet: &Fleet, ask: &PlaceAsk<'_>) -> Option<PlaceAnswer> {
        self.ask(link, fleet, ask)
    }
}

impl PlaceChain {
    /// Makes a chain of links in their order.
    pub(crate) fn new(
        links: Vec<PlaceLink>,
        built_in: BuiltInLink,
        handover: Arc<Handover>,
        loader: Sender<Message>,
    ) -> PlaceChain {
        PlaceChain {
            links,
            built_in,
            handover,
            loader,
        }
    }

    /// Takes in what the loader has finished; returns whether the chain has changed. To be called between two inputs.
    ///
    /// Costs an atomic read where there is nothing. What is replaced is dropped on the loader's thread: giving back a large
    /// memory takes milliseconds.
    pub fn swap(&mut self) -> bool {
        let Some(waiting) = self.handover.take() else {
            return false;
        };
        for (name, link) in waiting.links {
            let before = match (self.links.binary_search_by(|link| link.name.cmp(&name)), link) {
                (Ok(at), Some(link)) => Some(std::mem::replace(&mut self.links[at], link)),
                (Ok(at), None) => Some(self.links.remove(at)),
                (Err(at), Some(link)) => {
                    self.links.insert(at, link);
                    None
                }
                (Err(_), None) => None,
            };
            if let Some(before) = before {
                before.counters.set_memory(DecisionPoint::Place, 0);
                if let Some(instance) = before.instance {
                    retire(&self.loader, instance);
                }
            }
        }
        if let Some(built_in) = waiting.built_in {
            let before = std::mem::replace(&mut self.built_in, built_in);
            retire(&self.loader, Box::new(before));
        }
        true
    }

    /// Tells the link that is furthest behind the fleet a part of what has changed, where it is a whole part behind. To be called
    /// between two inputs.
    ///
    /// Costs a look at each link where there is nothing. A policy that faults at it is taken out as if it had been asked.
    pub fn keep_up(&mut self, fleet: &Fleet, now: Timestamp) {
        self.keep_up_with(fleet, now);
    }

    pub(crate) fn keep_up_with(&mut self, view: &impl PartedView, now: Timestamp) {
        let known = |link: &PlaceLink| {
            link.instance
                .as_ref()
                .filter(|instance| instance.is_told())
                .map(|it| it.cursor())
        };
        let links = self.links.iter().map(known).chain([self.built_in.keeps_up()]);
        let furthest = links.zip(0..).filter_map(|(cursor, at)| Some((cursor?, at))).min();
        let Some((cursor, at)) = furthest.filter(|(cursor, _)| view.lag(*cursor) >= PART_CHANGES_MAX) else {
            return;
        };
        let mut rows = Vec::with_capacity(PART_CHANGES_MAX);
        let cursor = view.part(cursor, PART_CHANGES_MAX, &mut rows);
        let part = Snapshot { cursor, now, rows };
        match self.links.get_mut(at) {
            Some(link) => link.keep_up(&part, &self.loader),
            None => {
                if let Err(fault) = self.built_in.keep_up(&part) {
                    BuiltInLink::tell_fault(&self.loader, DecisionPoint::Place, &fault);
                }
            }
        }
    }

    /// Asks one link; what changed since it was last asked comes from `view`.
    pub(crate) fn ask(&mut self, link: usize, view: &impl ViewSource, ask: &PlaceAsk<'_>) -> Option<PlaceAnswer> {
        let asked = Instant::now();
        if let Some(link) = self.links.get_mut(link) {
            let (advice, fuel) = link.ask(view, ask, &self.loader);
            let took = asked.elapsed();
            link.counters.of(DecisionPoint::Place).count(came(&advice), fuel, took);
            return Some(PlaceAnswer {
                policy: link.policy.clone(),
                advice,
                isolates: link.waits,
                took,
            });
        }
        if link > self.links.len() {
            return None;
        }
        let advice = self.built_in.place(view, ask);
        let took = asked.elapsed();
        if let Err(fault) = &advice {
            BuiltInLink::tell_fault(&self.loader, DecisionPoint::Place, fault);
        }
        self.built_in
            .counters
            .of(DecisionPoint::Place)
            .count(came(&advice), 0, took);
        Some(PlaceAnswer {
            policy: self.built_in.policy(),
            advice,
            isolates: false,
            took,
        })
    }
}

impl PlaceLink {
    /// Returns a place for each policy that is to come back after a restart and for which rooms wait meanwhile.
    pub(crate) fn awaited(shelf: &Shelf) -> Vec<PlaceLink> {
        let link = |(name, good): (&Name, &Good)| PlaceLink {
            name: name.clone(),
            version: good.version,
            policy: PolicyRef {
                name: name.text().clone(),
                version: good.named.as_str().into(),
            },
            waits: true,
            counters: Arc::default(),
            instance: None,
            spared: BTreeMap::new(),
        };
        shelf.awaited().map(link).collect()
    }

    fn ask(
        &mut self,
        view: &impl ViewSource,
        ask: &PlaceAsk<'_>,
        loader: &Sender<Message>,
    ) -> (Result<PlaceAdvice, Fault>, u64) {
        let unavailable = |message: &str| Fault {
            kind: FaultKind::Unavailable,
            message: message.to_owned(),
        };
        let Some(instance) = &mut self.instance else {
            return (Err(unavailable("the policy is away and not back yet")), 0);
        };
        if !self.spared.is_empty()
            && self
                .spared
                .get(&input(ask))
                .is_some_and(|until| Instant::now() < *until)
        {
            return (
                Err(unavailable("the policy has failed on this very room more than once")),
                0,
            );
        }
        let answer = instance.place(view, ask);
        let (fuel, memory) = instance.used();
        self.counters.set_memory(DecisionPoint::Place, memory);
        // One that faulted before it was asked has stumbled over what it was told, and not over the room.
        let input = if fuel > 0 { input(ask) } else { view.cursor().0 };
        let advice = answer.map_err(|fault| self.give_up(fault, input, loader));
        (advice, fuel)
    }

    /// Tells a part of what has changed. Each part is another input for the quarantine: three that it cannot take are three rooms
    /// that it would have failed.
    fn keep_up(&mut self, part: &Snapshot, loader: &Sender<Message>) {
        let Some(instance) = &mut self.instance else { return };
        let told = instance.feed(part.now, part, &[], Pace::Live);
        self.counters.set_memory(DecisionPoint::Place, instance.used().1);
        if let Err(fault) = told {
            self.counters.of(DecisionPoint::Place).count_fault(fault.kind);
            self.give_up(fault, part.cursor.0, loader);
        }
    }

    /// Sends the instance away after a fault, and has another one made.
    fn give_up(&mut self, fault: Fault, input: u64, loader: &Sender<Message>) -> Fault {
        if let Some(instance) = self.instance.take() {
            retire(loader, instance);
        }
        let report = FaultReport {
            name: self.name.clone(),
            version: self.version,
            policy: self.policy.clone(),
            decision: DecisionPoint::Place,
            kind: fault.kind,
            message: fault.message.clone(),
            input,
        };
        // The loader is gone only when the host goes down.
        loader.send(Message::Faulted(report)).ok();
        fault
    }
}

/// Sends an instance away to be dropped elsewhere; each instance is sent at most once, which bounds the queue.
fn retire(loader: &Sender<Message>, instance: Box<dyn Send>) {
    loader.send(Message::Retired(instance)).ok();
}

fn came(advice: &Result<PlaceAdvice, Fault>) -> Came {
    match advice {
        Ok(PlaceAdvice {
            placement: Placement::Defer,
            ..
        }) => Came::Deferral,
        Ok(_) => Came::Answer,
        Err(fault) => Came::Fault(fault.kind),
    }
}

/// Tells inputs apart for the quarantine: the same room asking again is the same input.
fn input(ask: &PlaceAsk<'_>) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    (ask.room, ask.seats, ask.load, ask.region, ask.tenant, ask.labels).hash(&mut hasher);
    hasher.finish()
}

impl std::fmt::Debug for PlaceChain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.links.iter().map(|link| &link.policy))
            .finish()
    }
}
