//! Where the rooms of a server that has gone went: read ahead in the log, so that its loss is told with their new servers.
//!
//! What is found depends on the log alone: after a crash the same is found again. What has not settled [`MOVES_WAIT`] after the
//! loss is told by itself when it does.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use serde::Serialize;
use usher_fleet::event::{RoomEnded, RoomMoved, ServerEvent, What};
use usher_fleet::ids::{PlacementNo, RoomId, ServerName, Tenant};
use usher_fleet::{Event, Timestamp};
use usher_store::{EventId, StoreError};

use super::call::{Log, PAGE_EVENTS};

/// How long a loss waits for its rooms' new homes. Where a server has room they are placed within the same second; where one has
/// to boot it takes a minute, and who is called should rather know now.
pub(super) const MOVES_WAIT: Duration = Duration::from_secs(10);

/// Rooms that are told with one loss: 0.3 MB at most. The rest come by themselves.
const ROOMS_MAX: usize = 1000;

/// Events that are read ahead for one loss: what is placed at full speed while some thousand rooms move, read in 0.1 s.
const AHEAD_EVENTS_MAX: usize = 20_000;

/// A room that was on the server, as far as that is known by then.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct MovedRoom {
    room: RoomId,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<Tenant>,
    state: State,
    /// The new placement; while the room waits the one that has ended.
    placement: PlacementNo,
    /// None while it waits, and once it has ended.
    server: Option<Home>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Placed,
    Moving,
    Released,
    Expired,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Home {
    name: ServerName,
    url: Option<String>,
}

/// What has become of a server's rooms.
#[derive(Debug, PartialEq)]
pub(super) struct Moves {
    /// Those that have moved, or wait for another server.
    pub(super) rooms: Vec<MovedRoom>,
    /// The last event that this takes in.
    pub(super) through: EventId,
}

/// How far it is.
#[derive(Debug, PartialEq)]
pub(super) enum Gathered {
    /// There is no more to wait for.
    Settled(Moves),
    /// Rooms are still being placed; at the latest then it is told as it is.
    Waits(Timestamp),
}

/// Why rooms leave a server, as the event says that it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Departure {
    /// Its rooms move for certain.
    Certain,
    /// They move if its cloud takes the machine away; then the first move is in the same batch. In other drains none does.
    Perhaps,
}

/// Returns the server that rooms leave with this event.
pub(super) fn departure(what: &What) -> Option<(&ServerEvent, Departure)> {
    if let What::ServerLost(server) = what {
        Some((server, Departure::Certain))
    } else if let What::ServerTerminating(server) = what {
        (server.rooms > 0).then_some((server, Departure::Certain))
    } else if let What::ServerDraining(server) = what {
        (server.rooms > 0).then_some((server, Departure::Perhaps))
    } else {
        None
    }
}

/// Reads what has become of the rooms of a server that goes with the event `id`.
pub(super) fn gather(
    log: &impl Log,
    (id, event): (EventId, &Event),
    (server, departure): (&ServerEvent, Departure),
    now: Timestamp,
) -> Result<Gathered, StoreError> {
    let until = event.at + MOVES_WAIT;
    let mut gathering = Gathering {
        server: &server.server,
        batch: id.batch(),
        batch_only: (departure == Departure::Perhaps).then(|| id.batch()),
        until,
        left: server.rooms,
        waiting: 0,
        rooms: BTreeMap::new(),
        through: id,
    };
    if gathering.is_complete() {
        return Ok(Gathered::Settled(gathering.moves()));
    }
    let mut read = 0;
    let mut after = id;
    while read < AHEAD_EVENTS_MAX {
        let page = log.after(after, PAGE_EVENTS)?;
        let Some((last, _)) = page.events.last() else {
            // What lies ahead is the newest there is; or it has gone, which its turn will show.
            let is_over = page.gone || now > until || gathering.has_no_moves();
            return Ok(match is_over {
                true => Gathered::Settled(gathering.moves()),
                false => Gathered::Waits(until),
            });
        };
        (after, read) = (*last, read + page.events.len());
        for (id, event) in &page.events {
            if gathering.take(*id, event).is_break() {
                return Ok(Gathered::Settled(gathering.moves()));
            }
        }
    }
    Ok(Gathered::Settled(gathering.moves()))
}

/// What was found so far.
struct Gathering<'l> {
    server: &'l ServerName,
    /// The batch in which it goes.
    batch: usher_store::BatchNo,
    /// The batch in which the first move must be.
    batch_only: Option<usher_store::BatchNo>,
    until: Timestamp,
    /// Rooms that are still on the server.
    left: u32,
    /// Rooms that have no server.
    waiting: u32,
    rooms: BTreeMap<RoomId, MovedRoom>,
    through: EventId,
}

impl Gathering<'_> {
    fn is_complete(&self) -> bool {
        self.left == 0 && self.waiting == 0
    }

    fn has_no_moves(&self) -> bool {
        self.batch_only.is_some() && self.rooms.is_empty()
    }

    /// Takes in the next event; breaks where there is no more to wait for.
    fn take(&mut self, id: EventId, event: &Event) -> ControlFlow<()> {
        let is_other_batch = self.batch_only.is_some_and(|batch| batch != id.batch());
        if event.at > self.until || is_other_batch && self.rooms.is_empty() {
            return ControlFlow::Break(());
        }
        if let What::RoomMoved(moved) = &event.what
            && moved.from == *self.server
        {
            if self.rooms.len() == ROOMS_MAX && !self.rooms.contains_key(&moved.room) {
                return ControlFlow::Break(());
            }
            self.moved(moved);
        } else if let What::RoomReleased(ended) = &event.what {
            self.ended(ended, State::Released);
        } else if let What::RoomExpired(ended) = &event.what {
            self.ended(ended, State::Expired);
        } else if id.batch() != self.batch
            && departure(&event.what).is_some_and(|(other, _)| other.server == *self.server && other.rooms > 0)
        {
            // It came back, and goes again: the moves from there on are told with that.
            return ControlFlow::Break(());
        } else {
            return ControlFlow::Continue(());
        }
        self.through = id;
        match self.is_complete() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    fn moved(&mut self, moved: &RoomMoved) {
        let was_waiting = self
            .rooms
            .get(&moved.room)
            .is_some_and(|room| room.state == State::Moving);
        match &moved.to {
            None => {
                self.left = self.left.saturating_sub(1);
                self.waiting += u32::from(!was_waiting);
            }
            Some(_) => self.waiting -= u32::from(was_waiting),
        }
        let room = MovedRoom {
            room: moved.room.clone(),
            tenant: moved.tenant.clone(),
            state: if moved.to.is_some() {
                State::Placed
            } else {
                State::Moving
            },
            placement: moved.placement,
            server: moved.to.clone().map(|name| Home {
                name,
                url: moved.url.clone(),
            }),
        };
        self.rooms.insert(moved.room.clone(), room);
    }

    fn ended(&mut self, ended: &RoomEnded, state: State) {
        if let Some(room) = self.rooms.get_mut(&ended.room) {
            self.waiting -= u32::from(room.state == State::Moving);
            room.state = state;
            room.server = None;
        } else if ended.server.as_ref() == Some(self.server) {
            self.left = self.left.saturating_sub(1);
        }
    }

    fn moves(self) -> Moves {
        Moves {
            rooms: self.rooms.into_values().collect(),
            through: self.through,
        }
    }
}

#[cfg(test)]
mod tests;
