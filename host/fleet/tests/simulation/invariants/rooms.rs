//! How rooms live and end.

use usher_fleet::command::Command;
use usher_fleet::event::What;
use usher_fleet::ids::RoomId;
use usher_fleet::room::{RoomRecord, RoomState};
use usher_fleet::{Input, Outcome};

use std::time::Duration;

use crate::simulation::model::{Model, placed};

/// A room is about to go: its app has released it, or one of its times is up.
pub(super) fn invariant_no_room_ends_before_its_time(
    model: &Model,
    id: &RoomId,
    input: Option<&Input>,
    outcome: &Outcome,
) {
    let Some(room) = model.rooms.get(id) else { return };
    let is_rejected = outcome
        .events
        .iter()
        .any(|event| matches!(&event.what, What::RoomExpired(end) if end.room == *id && end.reason.starts_with("rejected by ")));
    let is_over = match &room.state {
        RoomState::Waiting(waiting) => waiting.expires <= model.now || is_rejected,
        RoomState::Moving(_) => is_rejected || is_over(model, room),
        RoomState::Placed(_) => is_over(model, room),
    };
    assert!(
        is_over || is_released(room, input),
        "invariant_no_room_ends_before_its_time: {room:?} by {input:?}; named {:?}, known {:?}; told {:?}",
        model.named.get(id),
        model.known.get(id),
        outcome.events
    );
}

fn is_over(model: &Model, room: &RoomRecord) -> bool {
    let named = model.named.get(&room.id).copied().unwrap_or(room.created);
    let lease = room
        .lease_seconds
        .is_some_and(|seconds| named + Duration::from_secs(seconds.into()) <= model.now);
    let is_empty = placed(room).is_some_and(|placed| {
        model
            .known
            .get(&room.id)
            .is_some_and(|known| known.placement == placed.placement && known.participants == 0)
    });
    lease || is_empty || named + model.config.room_silence_max <= model.now
}

fn is_released(room: &RoomRecord, input: Option<&Input>) -> bool {
    let Some(Input::Command(Command::ReleaseRoom(command))) = input else {
        return false;
    };
    let placement = match &room.state {
        RoomState::Placed(placed) => Some(placed.placement),
        RoomState::Moving(moving) => Some(moving.placement),
        RoomState::Waiting(_) => None,
    };
    command.room == room.id
        && (command.tenant.is_none() || command.tenant == room.wish.tenant)
        && (command.placement.is_none() || command.placement == placement)
}

/// Compares a room before and after an input with what followers were told.
pub(super) fn invariant_a_placed_room_stays_until_an_event_says_otherwise(
    model: &Model,
    id: &RoomId,
    before: Option<&RoomRecord>,
    outcome: &Outcome,
) {
    let name = "invariant_a_placed_room_stays_until_an_event_says_otherwise";
    let Some(before) = before else {
        return told_of_a_new_room(model, id, outcome);
    };
    let after = model.rooms.get(id);
    let old = match &before.state {
        RoomState::Placed(placed) => Some(placed.placement),
        RoomState::Moving(moving) => Some(moving.placement),
        RoomState::Waiting(_) => None,
    };
    let tells_end = |what: &What| match what {
        What::RoomReleased(end) | What::RoomExpired(end) => end.room == *id && end.placement == old,
        _ => false,
    };
    let tells = |is: &dyn Fn(&What) -> bool| outcome.events.iter().any(|event| is(&event.what));
    match after {
        None => assert!(tells(&tells_end), "{name}: {before:?} is gone, and no event says so"),
        Some(after) => {
            let new = placed(after).map(|placed| placed.placement);
            if placed(before).is_some() && new != old {
                let tells_move = |what: &What| matches!(what, What::RoomMoved(moved) if moved.room == *id && Some(moved.placement) == old);
                assert!(
                    tells(&tells_move) || tells(&tells_end),
                    "{name}: {before:?} -> {after:?}, and no event says so"
                );
            }
            if let Some(new) = new.filter(|_| new != old) {
                let tells_home = |what: &What| match what {
                    What::RoomMoved(moved) => moved.room == *id && moved.to.is_some() && moved.placement == new,
                    What::RoomPlaced(placed) => placed.room == *id && placed.placement == new,
                    _ => false,
                };
                assert!(tells(&tells_home), "{name}: {after:?}, and no event says so");
            }
        }
    }
}

fn told_of_a_new_room(model: &Model, id: &RoomId, outcome: &Outcome) {
    let is_told = outcome.events.iter().any(|event| match &event.what {
        What::RoomPlaced(placed) => placed.room == *id,
        What::RoomWaiting(waiting) => waiting.room == *id,
        _ => false,
    });
    assert!(
        is_told || !model.rooms.contains_key(id),
        "invariant_a_new_room_is_told: {id}"
    );
}

/// A room that was never there is about to wait.
pub(super) fn invariant_the_queue_is_bounded(model: &Model) {
    let waiting = model.waiting().count();
    let max = model.config.guards.waiting_rooms_max;
    assert!(
        waiting < max as usize,
        "invariant_the_queue_is_bounded: {waiting} wait already, at most {max} may"
    );
}
