//! The built-in policy as the last link of each chain: the same questions, asked of plain Rust.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use usher_fleet::Timestamp;
use usher_fleet::advice::{Direction, Fault, FaultKind, PlaceAdvice, PlaceAsk, ScaleAdvice, ScaleAsk, VerdictRow};
use usher_fleet::decision::{DecisionPoint, PolicyRef};
use usher_fleet::view::{Cursor, ViewChange};

use crate::counters::Counters;
use crate::loader::Message;
use crate::native::{MakeBuiltIn, Native};
use crate::options::{PART_ROWS, Snapshot};
use crate::settings::Settings;
use crate::wasm::ViewSource;

/// One instance of the built-in, and how to make another after a fault.
pub(crate) struct BuiltInLink {
    make: MakeBuiltIn,
    settings: Settings,
    native: Box<dyn Native>,
    cursor: Cursor,
    /// Whether it is told of the fleet also between two questions; not any more after a fault.
    keeps_up: bool,
    rows: Vec<ViewChange>,
    pub(crate) counters: Arc<Counters>,
}

impl BuiltInLink {
    /// Makes an instance that knows nothing of the fleet: it is told in parts, and what is left when first asked.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub(crate) fn new(make: MakeBuiltIn, settings: Settings, counters: &Arc<Counters>) -> Result<BuiltInLink, String> {
        Ok(BuiltInLink {
            native: make(&settings.json)?,
            make,
            settings,
            cursor: Cursor::START,
            keeps_up: true,
            rows: Vec::new(),
            counters: counters.clone(),
        })
    }

    /// Returns its name and version.
    pub(crate) fn policy(&self) -> PolicyRef {
        self.native.policy()
    }

    /// Returns how far it has read the view.
    pub(crate) fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// Returns how far it has read the view, if it is told also between two questions.
    pub(crate) fn keeps_up(&self) -> Option<Cursor> {
        self.keeps_up.then_some(self.cursor)
    }

    /// Asks where a room goes.
    pub(crate) fn place(&mut self, view: &impl ViewSource, ask: &PlaceAsk<'_>) -> Result<PlaceAdvice, Fault> {
        let answer = self.feed(ask.now, view).and_then(|()| self.native.place(ask));
        answer.map_err(|message| self.fault(message))
    }

    /// Asks for more or fewer servers.
    pub(crate) fn scale(
        &mut self,
        view: &impl ViewSource,
        verdicts: &[VerdictRow],
        ask: &ScaleAsk,
    ) -> Result<ScaleAdvice, Fault> {
        let fed = self.feed(ask.now, view);
        if !verdicts.is_empty() {
            self.native.verdicts(verdicts);
        }
        let answer = fed.and_then(|()| match ask.direction {
            Direction::Up => self.native.scale_up(ask).map(ScaleAdvice::Up),
            Direction::Down => self.native.scale_down(ask).map(ScaleAdvice::Down),
        });
        answer.map_err(|message| self.fault(message))
    }

    /// Tells a part of what has changed.
    ///
    /// # Errors
    /// The fault, after which a fresh instance stands in its place.
    pub(crate) fn keep_up(&mut self, part: &Snapshot) -> Result<(), Fault> {
        self.feed(part.now, part).map_err(|message| {
            let fault = self.fault(message);
            self.counters.of(DecisionPoint::Place).count_fault(fault.kind);
            fault
        })
    }

    /// Tells what has changed.
    ///
    /// # Errors
    /// The built-in's words.
    pub(crate) fn feed(&mut self, now: Timestamp, view: &impl ViewSource) -> Result<(), String> {
        let until = view.cursor();
        if until <= self.cursor {
            return Ok(());
        }
        let mut changes = view.changes_since(self.cursor);
        self.cursor = until;
        loop {
            self.rows.extend(changes.by_ref().take(PART_ROWS));
            let is_last = self.rows.len() < PART_ROWS;
            let told = self.native.update(now, &self.rows);
            self.rows.clear();
            if is_last || told.is_err() {
                return told;
            }
        }
    }

    /// Has the loader tell a fault.
    pub(crate) fn tell_fault(loader: &Sender<Message>, decision: DecisionPoint, fault: &Fault) {
        let told = Message::BuiltInFaulted(decision, fault.clone());
        // The loader is gone only when the host goes down.
        loader.send(told).ok();
    }

    /// Puts a fresh instance in its place, which knows nothing of the fleet.
    pub(crate) fn begin_anew(&mut self) {
        if let Ok(fresh) = BuiltInLink::new(self.make, self.settings.clone(), &self.counters) {
            *self = fresh;
        }
    }

    /// Puts a fresh instance in the faulty one's place. It costs its maker microseconds, and reading the view anew at the
    /// next question, which natively is 1 to 2 ms at 10,000 servers: it is told only when asked from here on, so that what it cannot
    /// take is not told again and again.
    fn fault(&mut self, message: String) -> Fault {
        tracing::error!(
            policy = &*self.policy().name,
            "the built-in policy has faulted: {message}"
        );
        self.begin_anew();
        self.keeps_up = false;
        Fault {
            kind: FaultKind::Error,
            message,
        }
    }
}
