//! Where rooms go.

use usher_fleet::config::HealthSource;
use usher_fleet::ids::ServerNo;
use usher_fleet::room::{Placed, RoomRecord};
use usher_fleet::server::{Phase, ServerRecord};

use crate::simulation::ledger::{self, Usage};
use crate::simulation::model::Model;

/// A room has just got this home; the model is as it was before.
pub(super) fn checked(model: &Model, room: &RoomRecord, placed: &Placed) {
    let server = model.servers.get(&placed.server).unwrap_or_else(|| {
        panic!(
            "invariant_every_room_has_one_home: {} on {}, which is not there",
            room.id, placed.server
        )
    });
    invariant_rooms_go_only_to_open_servers(model, server, room);
    invariant_only_and_require_hold(model, server, room);
    invariant_no_capacity_is_exceeded(model, server, room, placed);
    invariant_marks_hold(model, server, room);
}

fn invariant_rooms_go_only_to_open_servers(model: &Model, server: &ServerRecord, room: &RoomRecord) {
    let name = "invariant_rooms_go_only_to_open_servers";
    let is_open = matches!(server.phase, Phase::Ready(_)) && server.hold.is_none() && server.lost.is_none();
    assert!(is_open, "{name}: {} on {server:?}", room.id);
    let health = model
        .health(server)
        .unwrap_or_else(|| panic!("{name}: {} on {}, whose pool is gone", room.id, server.name));
    if health == HealthSource::None {
        return;
    }
    let heard = &model.heard[&server.no];
    assert!(heard.is_heard, "{name}: {} on {}, never heard", room.id, server.name);
    assert!(
        heard.sign + model.config.silent_after > model.ticked,
        "{name}: {} on {}, silent since {:?}",
        room.id,
        server.name,
        heard.sign
    );
}

fn invariant_only_and_require_hold(model: &Model, server: &ServerRecord, room: &RoomRecord) {
    let lets_in = model
        .pool(&server.pool)
        .is_some_and(|pool| ledger::lets_in(pool, server, &room.wish));
    assert!(lets_in, "invariant_only_and_require_hold: {room:?} on {}", server.name);
}

fn invariant_no_capacity_is_exceeded(model: &Model, server: &ServerRecord, room: &RoomRecord, placed: &Placed) {
    let pool = model.pool(&server.pool).expect("a room goes only to a configured pool");
    let reserved = ledger::reservation(pool, &room.wish);
    let got = Usage {
        rooms: 1,
        seats: placed.seats.into(),
        load: placed.load.into(),
    };
    assert_eq!(got, reserved, "invariant_what_is_asked_is_reserved: {room:?}");
    let after = model.usage(server.no).1.plus(reserved);
    assert!(
        after.is_within(&server.limits),
        "invariant_no_capacity_is_exceeded: {} on {}: {after:?} of {:?}",
        room.id,
        server.name,
        server.limits
    );
}

fn invariant_marks_hold(model: &Model, server: &ServerRecord, room: &RoomRecord) {
    let guards = &model.pool(&server.pool).expect("it was found above").guards;
    let heard = &model.heard[&server.no];
    let within = |known: Option<u32>, max: Option<u32>| known.is_none_or(|known| max.is_none_or(|max| known <= max));
    assert!(
        within(heard.cpu, guards.cpu_permille_max) && within(heard.egress, guards.egress_kbps_max),
        "invariant_marks_hold: {} on {}",
        room.id,
        server.name
    );
}

/// A placed room has changed in its place; `before` is what its server held.
pub(super) fn invariant_no_capacity_is_exceeded_by_growth(model: &Model, no: ServerNo, before: Usage) {
    let after = model.usage(no).1;
    let limits = model.servers[&no].limits;
    let figures = [
        (before.seats, after.seats, limits.seats_max),
        (before.load, after.load, limits.load_max),
    ];
    for (before, after, max) in figures {
        assert!(
            after <= before || max.is_none_or(|max| after <= u64::from(max)),
            "invariant_no_capacity_is_exceeded_by_growth: server {no}: {before} -> {after} of {max:?}"
        );
    }
}
