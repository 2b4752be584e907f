//! The ledger: reserved at placement, refined by figures, never beyond a limit by our own doing.

use std::time::Duration;

use usher_fleet::config::{HealthSource, Labels, Limits};
use usher_fleet::ids::PlacementNo;
use usher_fleet::observation::{Report, ReportedRoom};
use usher_fleet::room::RoomWish;
use usher_fleet::view::{Cursor, ViewChange};

use crate::world::{World, config, external, id, rooms_report, seats};

fn reporting() -> World {
    let mut site = external("site");
    site.health = HealthSource::Report;
    let mut world = World::new(config(vec![site]));
    world.register("site", "s1");
    world.report("s1", Report::default());
    world.mute = Some(Default::default());
    world
}

fn named(room: &str, placement: Option<u64>, participants: u32, load: Option<u32>) -> Report {
    Report {
        rooms: Some(vec![ReportedRoom {
            room: id(room),
            placement: placement.map(PlacementNo),
            participants,
            load,
        }]),
        ..Report::default()
    }
}

#[test]
fn a_burst_never_exceeds_a_capacity_however_old_the_figures_are() {
    let mut world = World::with_servers(&["s1", "s2", "s3"]);
    for n in 0..1000 {
        world.place(&format!("room-{n}"));
        if n == 500 {
            world.report_rooms("s1", &[]);
        }
    }
    for server in ["s1", "s2", "s3"] {
        assert_eq!(world.used_of(server), (10, 500, 500));
    }
    assert_eq!(world.fleet.waiting_rooms(), 970);
}

#[test]
fn each_limit_stands_by_itself() {
    for (limits, fit) in [
        ((Some(3), None, None), 3),
        ((None, Some(100), None), 4),
        ((None, None, Some(100)), 2),
        ((Some(9), Some(100), Some(150)), 3),
    ] {
        let mut pool = external("site");
        let (rooms_max, seats_max, load_max) = limits;
        pool.limits = Limits {
            rooms_max,
            seats_max,
            load_max,
        };
        let mut world = World::new(config(vec![pool]));
        world.register("site", "s1");
        for n in 0..12 {
            let wish = RoomWish {
                load: Some(50),
                ..seats(25)
            };
            world.place_as(&format!("room-{n}"), wish);
        }
        assert_eq!(world.used_of("s1").0, fit, "{limits:?}");
    }
}

#[test]
fn a_room_that_does_not_say_reserves_its_pools_default_and_load_is_seats() {
    let mut world = World::with_servers(&["s1"]);
    world.place("room");
    assert_eq!(world.used_of("s1"), (1, 50, 50));
    world.place_as("more", seats(7));
    assert_eq!(world.used_of("s1"), (2, 57, 57));
}

#[test]
fn a_room_counts_the_larger_of_reserved_and_known() {
    let mut world = reporting();
    world.place_as("room", seats(50));
    world.report_rooms("s1", &[("room", 20)]);
    assert_eq!(world.used_of("s1"), (1, 50, 50));
    world.report_rooms("s1", &[("room", 80)]);
    assert_eq!(world.used_of("s1"), (1, 80, 80));
    world.report_rooms("s1", &[("room", 30)]);
    assert_eq!(world.used_of("s1"), (1, 50, 50));
}

#[test]
fn what_an_app_says_of_its_participants_counts_as_what_a_server_says() {
    let mut world = World::with_servers(&["s1"]);
    world.place_as("room", seats(50));
    world.update("room", Some(80), None);
    assert_eq!(world.used_of("s1"), (1, 80, 80));
}

#[test]
fn growth_past_a_limit_is_recorded_and_nobody_is_evicted() {
    let mut world = reporting();
    world.place_as("a", seats(250));
    world.place_as("b", seats(250));
    world.report_rooms("s1", &[("a", 400), ("b", 400)]);
    assert_eq!(world.used_of("s1"), (2, 800, 800));
    assert_eq!(
        (world.place_of("a"), world.place_of("b")),
        ("on s1".into(), "on s1".into())
    );
    world.place_as("c", seats(1));
    assert_eq!(world.place_of("c"), "waiting");
    world.report_rooms("s1", &[("a", 250), ("b", 240)]);
    assert_eq!(world.place_of("c"), "waiting", "what is reserved stays so");
}

#[test]
fn with_figures_for_settle_seconds_a_room_counts_known_and_a_quarter() {
    let mut world = reporting();
    world.place_as("room", seats(400));
    world.place_as("next", seats(300));
    world.report_rooms("s1", &[("room", 100)]);
    world.pass(599);
    assert_eq!(
        (world.used_of("s1").1, world.place_of("next").as_str()),
        (400, "waiting")
    );
    world.pass(2);
    assert_eq!(world.place_of("next"), "on s1", "what time frees is offered at once");
    assert_eq!(world.used_of("s1").1, 125 + 300);
    world.report_rooms("s1", &[("room", 390)]);
    assert_eq!(
        world.used_of("s1").1,
        400 + 300,
        "never above what it reserved, unless more came"
    );
}

#[test]
fn settle_seconds_of_zero_turns_that_off() {
    let mut site = external("site");
    site.health = HealthSource::Report;
    let mut config = config(vec![site]);
    config.settle = Duration::ZERO;
    let mut world = World::new(config);
    world.register("site", "s1");
    world.report("s1", Report::default());
    world.mute = Some(Default::default());
    world.place_as("room", seats(400));
    world.report_rooms("s1", &[("room", 1)]);
    world.pass(3600);
    assert_eq!(world.used_of("s1").1, 400);
}

#[test]
fn what_a_server_reports_and_the_ledger_does_not_know_counts_on_top() {
    let mut world = reporting();
    world.place_as("room", seats(50));
    world.report_rooms("s1", &[("room", 10), ("stranger", 300)]);
    assert_eq!(world.used_of("s1"), (2, 350, 350));
    assert_eq!(world.server("s1").unwrap().rooms_unknown, 1);
    world.place_as("big", seats(200));
    assert_eq!(world.place_of("big"), "waiting");
    world.report_rooms("s1", &[("room", 10)]);
    assert_eq!(world.place_of("big"), "on s1", "and what it frees is offered at once");
}

#[test]
fn a_room_released_after_a_report_was_taken_follows_the_ledger() {
    let mut world = reporting();
    world.place_as("room", seats(50));
    world.release("room");
    world.report_rooms("s1", &[("room", 10)]);
    assert_eq!(world.used_of("s1"), (0, 0, 0), "the report was under way");
    world.pass(61);
    world.report_rooms("s1", &[("room", 10)]);
    assert_eq!(world.used_of("s1"), (1, 10, 10), "it is alive, whatever its app thinks");
}

#[test]
fn a_room_placed_after_a_report_was_taken_follows_the_ledger() {
    let mut world = reporting();
    world.place_as("room", seats(50));
    world.report_rooms("s1", &[]);
    assert_eq!(world.used_of("s1"), (1, 50, 50));
}

#[test]
fn figures_of_an_earlier_placement_are_not_this_ones() {
    let mut world = reporting();
    world.place_as("room", seats(50));
    let first = world.placement_of("room");
    world.release("room");
    world.place_as("room", seats(50));
    let second = world.placement_of("room");
    world.report("s1", named("room", Some(first), 80, None));
    assert_eq!(world.room("room").unwrap().participants, None);
    world.report("s1", named("room", Some(second), 7, None));
    assert_eq!(world.room("room").unwrap().participants, Some(7));
}

#[test]
fn load_is_counted_in_the_operators_unit_apart_from_seats() {
    let mut world = World::new(config(vec![{
        let mut site = external("site");
        site.health = HealthSource::Report;
        site
    }]));
    let limits = Limits {
        load_max: Some(1000),
        ..Limits::default()
    };
    world.register_as("site", "s1", limits, Labels::new());
    world.report("s1", Report::default());
    let mesh = |n: u32| RoomWish {
        load: Some(2 * n * (n - 1)),
        ..seats(n)
    };
    world.place_as("a", mesh(20));
    assert_eq!(world.used_of("s1"), (1, 20, 760));
    world.place_as("b", mesh(20));
    assert_eq!(world.place_of("b"), "waiting");
    assert_eq!(world.decisions.last().unwrap().code, "");
    world.report("s1", named("a", None, 20, Some(900)));
    assert_eq!(world.used_of("s1"), (1, 20, 900));
}

#[test]
fn a_report_without_figures_says_nothing() {
    let mut world = reporting();
    world.place_as("room", seats(50));
    world.report_rooms("s1", &[("stranger", 5)]);
    world.report("s1", Report::default());
    assert_eq!(
        world.used_of("s1"),
        (2, 55, 55),
        "who cannot tell its rooms has not said that they are gone"
    );
}

#[test]
fn policies_are_told_since_when_a_server_is_empty_whenever_they_begin_to_look() {
    let mut world = reporting();
    let empty_since = |world: &World| {
        let row = world
            .fleet
            .changes_since(Cursor::START)
            .find_map(|change| match change {
                ViewChange::Usage(row) => Some(row),
                _ => None,
            });
        row.unwrap().empty_since
    };
    let ready = world.now.seconds();
    assert_eq!(empty_since(&world), ready, "since it became ready");
    world.pass(100);
    world.place("standup");
    assert_eq!(empty_since(&world), 0, "a room is on it");
    world.pass(100);
    world.release("standup");
    assert_eq!(empty_since(&world), ready + 200, "since the last room left");
    world.pass(100);
    assert_eq!(empty_since(&world), ready + 200, "looking later changes nothing");
    world.report("s1", named("whose", None, 3, None));
    assert_eq!(empty_since(&world), 0, "people are on it that nobody placed there");
    world.report("s1", rooms_report(&[]));
    assert_eq!(
        empty_since(&world),
        ready + 300,
        "since they were last heard of, or later"
    );
}
