//! The chain of place policies, on the thread that changes the fleet.
//!
//! It changes only in [`PlaceChain::swap`], which the driver calls between two inputs. An instance that faults is taken out at
//! once and sent away to be dropped; until the loader has made another, its link answers "unavailable".

use std::collections::BTreeMap;
use std::hash::{Hash as _, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use usher_fleet::advice::{Fault, FaultKind, PlaceAdvice, PlaceAnswer, PlaceAsk, Placement};
use usher_fleet::decision::{DecisionPoint, PolicyRef};
use usher_fleet::{Advisor, Fleet};

use crate::built_in::BuiltInLink;
use crate::counters::{Came, Counters};
use crate::loader::{FaultReport, Message};
use crate::version::{Name, Version};
use crate::wasm::{CallFault, Pace, Serving, ViewSource};

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
    /// None after a fault.
    pub(crate) instance: Option<Box<Serving>>,
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
    pub(crate) fn new(built_in: BuiltInLink, handover: Arc<Handover>, loader: Sender<Message>) -> PlaceChain {
        PlaceChain {
            links: Vec::new(),
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
                (Ok(at), Some(link)) => std::mem::replace(&mut self.links[at], link).instance,
                (Ok(at), None) => self.links.remove(at).instance,
                (Err(at), Some(link)) => {
                    self.links.insert(at, link);
                    None
                }
                (Err(_), None) => None,
            };
            if let Some(before) = before {
                retire(&self.loader, before);
            }
        }
        if let Some(built_in) = waiting.built_in {
            let before = std::mem::replace(&mut self.built_in, built_in);
            retire(&self.loader, Box::new(before));
        }
        true
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
            let told = Message::BuiltInFaulted(DecisionPoint::Place, fault.clone());
            // The loader is gone only when the host goes down.
            self.loader.send(told).ok();
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
    fn ask(
        &mut self,
        view: &impl ViewSource,
        ask: &PlaceAsk<'_>,
        loader: &Sender<Message>,
    ) -> (Result<PlaceAdvice, Fault>, u64) {
        let Some(instance) = &mut self.instance else {
            let message = "the policy has faulted and is not back yet".to_owned();
            return (
                Err(Fault {
                    kind: FaultKind::Unavailable,
                    message,
                }),
                0,
            );
        };
        let answer = instance
            .feed(ask.now, view, &[], Pace::Live)
            .and_then(|()| instance.place(ask));
        let (fuel, memory) = instance.used();
        self.counters.set_memory(DecisionPoint::Place, memory);
        let advice = answer.map_err(|CallFault { kind, message }| {
            if let Some(instance) = self.instance.take() {
                retire(loader, instance);
            }
            let report = FaultReport {
                name: self.name.clone(),
                version: self.version,
                policy: self.policy.clone(),
                decision: DecisionPoint::Place,
                kind,
                message: message.clone(),
                input: input(ask),
            };
            // The loader is gone only when the host goes down.
            loader.send(Message::Faulted(report)).ok();
            Fault { kind, message }
        });
        (advice, fuel)
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
