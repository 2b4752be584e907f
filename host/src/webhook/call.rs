//! What is told with the next call: some events of the log, in order, and nothing that is not in it.

use bytes::Bytes;
use serde_json::Value;
use sha2::{Digest, Sha256};
use usher_fleet::event::What;
use usher_fleet::{Event, Timestamp};
use usher_store::{EventId, EventLog, Page, StoreError};

use super::choice::Choice;
use super::moves::{self, Departure, Gathered};
use super::position::Position;
use crate::api::events::{data_of, reset_data};

/// Events of one call: enough that a backlog of ten thousand is told in a hundred calls, few enough for a receiver that does
/// something slow with each.
const EVENTS_MAX: usize = 100;
/// Bytes of one call's events; one that is larger goes alone.
const BYTES_MAX: usize = 256 * 1024;
/// Events that are read from the log at once.
pub(super) const PAGE_EVENTS: usize = 256;
/// Pages that are read without a pause where nothing is to be told: 50 ms, so that a stop does not wait.
const PAGES_MAX: usize = 64;

/// What is read: the log of what happened.
pub(super) trait Log {
    /// See [`EventLog::after`].
    fn after(&self, id: EventId, limit: usize) -> Result<Page, StoreError>;
    /// See [`EventLog::newest`].
    fn newest(&self) -> EventId;
}

impl Log for EventLog {
    fn after(&self, id: EventId, limit: usize) -> Result<Page, StoreError> {
        self.after(id, limit)
    }

    fn newest(&self) -> EventId {
        self.newest()
    }
}

/// A call, ready to be made as often as it takes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call {
    /// The body, as it is signed.
    pub(super) body: Bytes,
    /// How many events it has.
    pub(super) events: usize,
    /// When the oldest of them happened. Those about the webhook itself do not count: they must never be why it is behind.
    pub(super) oldest: Option<Timestamp>,
    /// How far the receiver has been told once it has taken this.
    pub(super) position: Position,
}

impl Call {
    /// Returns the id by which a receiver knows a call that it has had: the same for the same events, over restarts too.
    pub(super) fn id(&self) -> String {
        let digest = Sha256::digest(&self.body);
        let digits: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        format!("msg_{digits}")
    }
}

/// What there is to tell.
#[derive(Debug, PartialEq)]
pub(super) enum Next {
    /// This.
    Call(Call),
    /// Nothing up to here; with `true` there is nothing more.
    Nothing(Position, bool),
    /// Nothing yet: a server was lost and its rooms are being placed, at most until then.
    Later(Position, Timestamp),
}

/// Reads what is told next to a receiver that has been told so far.
pub(super) fn next(log: &impl Log, choice: &Choice, told: Position, now: Timestamp) -> Result<Next, StoreError> {
    let mut draft = Draft::new(told);
    for _ in 0..PAGES_MAX {
        let page = log.after(draft.position.after, PAGE_EVENTS)?;
        if page.gone && draft.is_empty() {
            return Ok(Next::Call(reset(log.newest(), now)));
        }
        if page.events.is_empty() {
            return Ok(draft.finish(true));
        }
        for (id, event) in &page.events {
            match draft.take(log, choice, (*id, event), now)? {
                Taken::Yes => {}
                Taken::Full => return Ok(draft.finish(false)),
                Taken::Later(_) if !draft.is_empty() => return Ok(draft.finish(false)),
                Taken::Later(until) => return Ok(Next::Later(draft.position, until)),
            }
        }
    }
    Ok(draft.finish(false))
}

fn reset(newest: EventId, now: Timestamp) -> Call {
    let mut draft = Draft::new(Position::after(newest));
    draft.put(reset_data(newest).to_string());
    draft.oldest = Some(now);
    draft.call()
}

/// A call that is being written.
#[derive(Debug)]
struct Draft {
    /// The events, with commas between.
    text: String,
    events: usize,
    oldest: Option<Timestamp>,
    position: Position,
}

enum Taken {
    Yes,
    /// It belongs into the next call.
    Full,
    /// It cannot be told yet.
    Later(Timestamp),
}

impl Draft {
    fn new(position: Position) -> Draft {
        Draft {
            text: String::new(),
            events: 0,
            oldest: None,
            position,
        }
    }

    fn is_empty(&self) -> bool {
        self.events == 0
    }

    fn put(&mut self, event: String) {
        if !self.text.is_empty() {
            self.text.push(',');
        }
        self.text.push_str(&event);
        self.events += 1;
    }

    fn take(
        &mut self,
        log: &impl Log,
        choice: &Choice,
        (id, event): (EventId, &Event),
        now: Timestamp,
    ) -> Result<Taken, StoreError> {
        if !choice.takes(&event.what) || self.position.was_told(id, &event.what) {
            self.position.advance(id);
            return Ok(Taken::Yes);
        }
        if self.events == EVENTS_MAX {
            return Ok(Taken::Full);
        }
        let Some(mut data) = data_of(id, event) else {
            self.position.advance(id);
            return Ok(Taken::Yes);
        };
        let mut moves = None;
        if let Some((server, departure)) = moves::departure(&event.what) {
            match moves::gather(log, (id, event), (server, departure), now)? {
                Gathered::Waits(until) => return Ok(Taken::Later(until)),
                Gathered::Settled(found) => {
                    if departure == Departure::Certain || !found.rooms.is_empty() {
                        data["moved"] = serde_json::to_value(&found.rooms).unwrap_or(Value::Null);
                    }
                    moves = Some((&server.server, found.through));
                }
            }
        }
        let text = data.to_string();
        if !self.is_empty() && self.text.len() + text.len() > BYTES_MAX {
            return Ok(Taken::Full);
        }
        self.put(text);
        if !is_of_webhook(&event.what) {
            self.oldest = self.oldest.or(Some(event.at));
        }
        self.position.advance(id);
        if let Some((server, through)) = moves {
            self.position.has_told_moves(server, through);
        }
        Ok(Taken::Yes)
    }

    fn call(self) -> Call {
        Call {
            body: format!("{{\"events\":[{}]}}", self.text).into(),
            events: self.events,
            oldest: self.oldest,
            position: self.position,
        }
    }

    fn finish(self, is_all: bool) -> Next {
        match self.is_empty() {
            true => Next::Nothing(self.position, is_all),
            false => Next::Call(self.call()),
        }
    }
}

fn is_of_webhook(what: &What) -> bool {
    matches!(what, What::WebhookBehind(_) | What::WebhookCaughtUp(_))
}

#[cfg(test)]
pub(super) mod tests;
