//! Answers about rooms: at once, or parked until the room is placed, gone, or the client's time has ended.

use std::time::Duration;

use usher_fleet::command::{Reply, RoomOutcome};
use usher_fleet::event::{RoomEnded, What};
use usher_fleet::ids::RoomId;
use usher_fleet::status::{RoomPlace, RoomStatus};
use usher_fleet::{Event, Timestamp};

use super::mailbox::Answer;
use super::mailbox::lanes::Tell;
use super::outbox::Parcel;
use super::{Chain, Driver};

impl<C: Chain> Driver<C> {
    /// Answers with a room, or parks the question where the room waits and the client would rather wait too.
    pub(super) fn answer_room(
        &mut self,
        now: Timestamp,
        status: RoomStatus,
        outcome: RoomOutcome,
        wait: Duration,
        tell: Tell,
    ) {
        let is_waiting = matches!(status.place, RoomPlace::Waiting { .. });
        let tell = if is_waiting && !wait.is_zero() {
            match self.parked.park(status.room.clone(), now + wait, tell) {
                Ok(()) => return,
                Err(tell) => tell,
            }
        } else {
            tell
        };
        self.bundle
            .parcels
            .push(Parcel::Answer(tell, Answer::Reply(Reply::Room(status, outcome))));
    }

    /// Answers those who wait for rooms that these events have resolved.
    pub(super) fn resolve(&mut self, events: &[Event]) {
        for event in events {
            if let What::RoomPlaced(placed) = &event.what {
                self.answer_placed(&placed.room);
            } else if let What::RoomMoved(moved) = &event.what
                && moved.to.is_some()
            {
                self.answer_placed(&moved.room);
            } else if let What::RoomReleased(ended) = &event.what {
                self.answer_ended(ended, |ended| Answer::Released(ended.room.clone()));
            } else if let What::RoomExpired(ended) = &event.what {
                self.answer_ended(ended, |ended| Answer::Expired(ended.room.clone(), ended.reason.clone()));
            }
        }
    }

    fn answer_placed(&mut self, room: &RoomId) {
        for tell in self.parked.take(room) {
            let answer = match self.fleet.room(room) {
                Some(status) => Answer::Reply(Reply::Room(status, RoomOutcome::Placed)),
                None => Answer::Released(room.clone()),
            };
            self.bundle.parcels.push(Parcel::Answer(tell, answer));
        }
    }

    fn answer_ended(&mut self, ended: &RoomEnded, answer: fn(&RoomEnded) -> Answer) {
        for tell in self.parked.take(&ended.room) {
            self.bundle.parcels.push(Parcel::Answer(tell, answer(ended)));
        }
    }

    pub(super) fn answer_as_it_is(&mut self, room: &RoomId, tell: Tell) {
        let answer = match self.fleet.room(room) {
            Some(status) => Answer::Reply(Reply::Room(status, RoomOutcome::Waiting)),
            None => Answer::Released(room.clone()),
        };
        self.bundle.parcels.push(Parcel::Answer(tell, answer));
    }
}
