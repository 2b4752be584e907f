//! What waits to become durable, and leaves only then: persist, then act, then answer.
//!
//! The driver puts what each turn came to; the store's thread takes all that has gathered while it synced the batch before
//! (group commit), commits it, and lets it out. A turn without writes goes the same way, behind the batches whose state it
//! speaks of; with nothing in flight it leaves at once.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use usher_fleet::advice::ScaleAsk;
use usher_fleet::command::Rejection;
use usher_fleet::{Cursor, Decision, Effect, Event, Outcome, ViewChange, Write};
use usher_store::{BatchNo, EventId};

use super::mailbox::lanes::{Say, Tell, TellReport};
use super::mailbox::{Answer, ReportAnswer};

/// What is done in the world when a batch is durable.
pub trait World: Send + Sync {
    /// Starts an effect; never blocks. [`Effect::Scale`] comes by [`World::scale`].
    fn run(&self, effect: Effect);
    /// Asks a scale policy, with the view's changes since the last ask, up to `cursor`.
    fn scale(&self, ask: ScaleAsk, cursor: Cursor, changes: Vec<ViewChange>);
}

/// One thing that leaves when its batch is durable.
pub(super) enum Parcel {
    Answer(Tell, Answer),
    Report(Vec<TellReport>, Result<Box<ReportAnswer>, Rejection>),
    Say(Say),
    Effect(Effect),
    Scale(Box<ScaleAsk>, Cursor, Vec<ViewChange>),
}

impl fmt::Debug for Parcel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Parcel::Answer(..) => "Answer",
            Parcel::Report(..) => "Report",
            Parcel::Say(..) => "Say",
            Parcel::Effect(..) => "Effect",
            Parcel::Scale(..) => "Scale",
        })
    }
}

/// What becomes durable together, and what leaves then.
#[derive(Debug, Default)]
pub(super) struct Bundle {
    /// `None` while it has neither writes nor events.
    pub(super) no: Option<BatchNo>,
    pub(super) writes: Vec<Write>,
    pub(super) events: Vec<Event>,
    pub(super) bytes: usize,
    pub(super) inputs: usize,
    pub(super) decisions: Vec<Decision>,
    pub(super) parcels: Vec<Parcel>,
}

impl Bundle {
    /// Whether nothing of it must become durable.
    pub(super) fn is_quiet(&self) -> bool {
        self.writes.is_empty() && self.events.is_empty()
    }

    /// Adds what must become durable, and the decisions; effects and the reply are the caller's to turn into parcels.
    pub(super) fn keep(&mut self, outcome: &mut Outcome) {
        self.bytes += bytes_of(outcome);
        self.writes.append(&mut outcome.writes);
        self.events.append(&mut outcome.events);
        self.decisions.append(&mut outcome.decisions);
    }

    fn append(&mut self, mut later: Bundle) {
        self.writes.append(&mut later.writes);
        self.events.append(&mut later.events);
        self.decisions.append(&mut later.decisions);
        self.parcels.append(&mut later.parcels);
        self.bytes += later.bytes;
        self.inputs += later.inputs;
    }
}

/// The most that one batch may hold; an outcome larger than that goes alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) ops_max: usize,
    pub(super) bytes_max: usize,
}

impl Limits {
    pub(super) fn let_in(self, bundle: &Bundle, writes: usize, bytes: usize) -> bool {
        bundle.is_quiet() || (bundle.writes.len() + writes < self.ops_max && bundle.bytes + bytes <= self.bytes_max)
    }
}

/// An upper estimate of a record's JSON without its labels, endpoints and long texts; the store's limit has slack enough.
const RECORD_BYTES: usize = 1024;

/// Estimates what an outcome takes in the store, in bytes.
pub(super) fn bytes_of(outcome: &Outcome) -> usize {
    (outcome.writes.len() + outcome.events.len()) * RECORD_BYTES
}

/// The store's thread has ended: the store failed, or all was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended;

#[derive(Debug)]
struct State {
    open: Option<Bundle>,
    is_committing: bool,
    is_closed: bool,
    has_failed: bool,
    last: EventId,
    last_no: BatchNo,
}

/// The hand-over between driver and store: one batch being committed, one gathering.
#[derive(Debug)]
pub(super) struct Outbox {
    state: Mutex<State>,
    changed: Condvar,
    pub(super) limits: Limits,
}

impl Outbox {
    /// Makes an empty one that follows the batch `last_no` and the event `last`.
    pub(super) fn new(last_no: BatchNo, last: EventId, limits: Limits) -> Arc<Outbox> {
        let state = State {
            open: None,
            is_committing: false,
            is_closed: false,
            has_failed: false,
            last,
            last_no,
        };
        Arc::new(Outbox {
            state: Mutex::new(state),
            changed: Condvar::new(),
            limits,
        })
    }

    /// Puts a turn's bundle; waits while the gathering batch is full. Gives a bundle back that may leave at once.
    pub(super) fn put(&self, bundle: Bundle) -> Result<Option<Bundle>, Ended> {
        let mut state = self.state();
        loop {
            if state.has_failed {
                return Err(Ended);
            }
            match &state.open {
                Some(open) if !bundle.is_quiet() && !self.limits.let_in(open, bundle.writes.len(), bundle.bytes) => {
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                Some(_) => break,
                None if bundle.is_quiet() && !state.is_committing => return Ok(Some(bundle)),
                None => break,
            }
        }
        state.merge(bundle);
        let must_wake = !state.is_committing;
        drop(state);
        if must_wake {
            self.changed.notify_all();
        }
        Ok(None)
    }

    /// Returns the newest event of all that was put.
    pub(super) fn last_event(&self) -> EventId {
        self.state().last
    }

    /// Takes what has gathered; waits for it. `None` = closed and empty.
    pub(super) fn take(&self) -> Option<Bundle> {
        let mut state = self.state();
        loop {
            if let Some(bundle) = state.open.take() {
                state.is_committing = true;
                self.changed.notify_all();
                return Some(bundle);
            }
            if state.is_closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Says that what was taken is durable and has left.
    pub(super) fn done(&self) {
        self.state().is_committing = false;
    }

    /// Says that nothing will be committed any more.
    pub(super) fn fail(&self) {
        self.state().has_failed = true;
        self.changed.notify_all();
    }

    /// Says that nothing comes any more.
    pub(super) fn close(&self) {
        self.state().is_closed = true;
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn merge(&mut self, bundle: Bundle) {
        let is_loud = !bundle.is_quiet();
        match &mut self.open {
            Some(open) => open.append(bundle),
            None => self.open = Some(bundle),
        }
        let Some(open) = &mut self.open else { return };
        if is_loud && open.no.is_none() {
            self.last_no = self.last_no.next();
            open.no = Some(self.last_no);
        }
        if let (Some(no), Some(index)) = (open.no, open.events.len().checked_sub(1)) {
            self.last = EventId::new(no, u32::try_from(index).unwrap_or(u32::MAX));
        }
    }
}

#[cfg(test)]
mod tests;
