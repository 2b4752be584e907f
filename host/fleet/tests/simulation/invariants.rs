//! What must hold after each step, by name. Each looks at the writes of one input against the state before it, or at the whole.

pub(crate) mod orders;
pub(crate) mod placements;
pub(crate) mod rooms;
pub(crate) mod scaling;
pub(crate) mod servers;
pub(crate) mod waiting;
pub(crate) mod whole;

use std::collections::BTreeMap;

use usher_fleet::ids::{PlacementNo, RoomId};
use usher_fleet::room::RoomRecord;
use usher_fleet::{Input, Outcome, Record, RecordKey, Write};

use super::cloud::Cloud;
use super::model::{Model, placed};

/// What an invariant remembers over inputs.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// The newest placement's number, as far as this process goes.
    pub(crate) placement: PlacementNoOrNone,
    /// The newest that is durable.
    pub(crate) durable_placement: PlacementNoOrNone,
}

/// A placement's number, or none yet.
pub(crate) type PlacementNoOrNone = Option<PlacementNo>;

/// Follows the writes of one outcome, and checks each against the state before it. `input` is none where the fleet acted by
/// itself: at a start, and at the end of a batch.
pub(crate) fn follow(model: &mut Model, memory: &mut Memory, input: Option<&Input>, outcome: &Outcome, cloud: &Cloud) {
    if let Some(input) = input {
        model.observe(input, outcome.reply.as_ref());
    }
    orders::invariant_what_is_to_be_kept_is_kept(model, input, outcome);
    let mut touched: BTreeMap<RoomId, Option<RoomRecord>> = BTreeMap::new();
    for write in &outcome.writes {
        match write {
            Write::Put(Record::Room(room)) => {
                touched
                    .entry(room.id.clone())
                    .or_insert_with(|| model.rooms.get(&room.id).cloned());
                put_room(model, memory, write, room);
            }
            Write::Delete(RecordKey::Room(id)) => {
                touched
                    .entry(id.clone())
                    .or_insert_with(|| model.rooms.get(id).cloned());
                rooms::invariant_no_room_ends_before_its_time(model, id, input, outcome);
                model.apply(write);
            }
            Write::Put(Record::Server(server)) => {
                match model.servers.get(&server.no).cloned() {
                    Some(old) => servers::changed(model, &old, server, input, cloud),
                    None => scaling::made(model, server, input),
                }
                model.apply(write);
            }
            Write::Delete(RecordKey::Server(no)) => {
                servers::invariant_records_go_only_when_nothing_is_left(model, *no, input, cloud);
                model.apply(write);
            }
            Write::Put(Record::Pool(pool)) => {
                if let Some(old) = model.pools.get(&pool.name) {
                    scaling::invariant_cool_downs_pass(model, old, pool);
                    scaling::invariant_only_a_list_looks_at_a_pool(old, pool, input);
                }
                model.apply(write);
            }
            Write::Put(Record::Meta(meta)) => {
                if let Some(old) = &model.meta {
                    let grows = old.next_server <= meta.next_server
                        && old.next_pool <= meta.next_pool
                        && old.placements_reserved <= meta.placements_reserved
                        && old.now <= meta.now;
                    assert!(grows, "invariant_counters_only_grow: {old:?} -> {meta:?}");
                }
                model.apply(write);
            }
            Write::Delete(RecordKey::Pool(_) | RecordKey::Meta) => model.apply(write),
        }
    }
    for (id, before) in &touched {
        rooms::invariant_a_placed_room_stays_until_an_event_says_otherwise(model, id, before.as_ref(), outcome);
    }
}

fn put_room(model: &mut Model, memory: &mut Memory, write: &Write, room: &RoomRecord) {
    let old = model.rooms.get(&room.id).cloned();
    match (old.as_ref().and_then(placed), placed(room)) {
        (Some(old), Some(new)) if old.placement == new.placement => {
            assert_eq!(
                (old.server, old.at),
                (new.server, new.at),
                "invariant_a_placement_never_moves: {room:?}"
            );
            let before = model.usage(new.server).1;
            model.apply(write);
            placements::invariant_no_capacity_is_exceeded_by_growth(model, new.server, before);
        }
        (_, Some(new)) => {
            placements::checked(model, room, new);
            assert!(
                memory.placement.is_none_or(|last| last < new.placement),
                "invariant_placement_numbers_grow: {:?} after {:?}",
                new.placement,
                memory.placement
            );
            memory.placement = Some(new.placement);
            model.apply(write);
        }
        (_, None) => {
            if old.is_none() {
                rooms::invariant_the_queue_is_bounded(model);
            }
            model.apply(write);
        }
    }
}
