//! Rooms that only one side knows: reported by a server and asked for by nobody, or in the books and reported no more.

use usher_fleet::config::HealthSource;
use usher_fleet::event::What;
use usher_fleet::observation::Report;

use crate::world::{World, config, external, id, rooms_report};

#[derive(Clone, Copy, PartialEq)]
enum Put {
    Right,
    Nothing,
}

/// A world with one reporting server `s0`, which reports these rooms whenever it is told to.
fn world_of(put: Put) -> World {
    let mut site = external("site");
    site.health = HealthSource::Report;
    site.adopt_rooms = put == Put::Right;
    site.release_unreported_rooms = put == Put::Right;
    let mut world = World::new(config(vec![site]));
    world.register("site", "s0");
    world.report("s0", Report::default());
    world
}

/// Time passes, while the server reports these rooms every 10 s.
fn report_for(world: &mut World, seconds: u64, rooms: &[(&str, u32)]) {
    for _ in 0..seconds / 10 {
        world.pass(10);
        world.report_rooms("s0", rooms);
    }
}

fn unknown(world: &World) -> usize {
    world.told(|what| matches!(what, What::RoomUnknown(_)))
}

fn unreported(world: &World) -> usize {
    world.told(|what| matches!(what, What::RoomUnreported(_)))
}

#[test]
fn a_room_that_nobody_asked_for_is_told_once_and_counts_on_its_server() {
    let mut world = world_of(Put::Nothing);
    report_for(&mut world, 30, &[("stray", 4)]);
    assert_eq!(unknown(&world), 0, "it may have been asked for a moment ago");
    report_for(&mut world, 300, &[("stray", 4)]);
    assert_eq!(unknown(&world), 1);
    assert_eq!(world.place_of("stray"), "nowhere");
    // Gone and come again, it is told again.
    report_for(&mut world, 10, &[]);
    report_for(&mut world, 60, &[("stray", 4)]);
    assert_eq!(unknown(&world), 2);
}

#[test]
fn where_the_pool_says_so_it_is_adopted_with_what_it_costs() {
    let mut world = world_of(Put::Right);
    report_for(&mut world, 60, &[("stray", 400)]);
    assert_eq!(unknown(&world), 1);
    assert_eq!(world.place_of("stray"), "on s0");
    let (rooms, seats, _) = world.used_of("s0");
    assert_eq!((rooms, seats), (1, 400));
    // Its app finds it there.
    world.place("stray");
    assert_eq!(world.place_of("stray"), "on s0");
    world.restart();
    assert_eq!(world.place_of("stray"), "on s0");
}

#[test]
fn an_empty_room_that_nobody_asked_for_is_not_adopted() {
    let mut world = world_of(Put::Right);
    report_for(&mut world, 600, &[("left-over", 0)]);
    assert_eq!(unknown(&world), 1);
    assert_eq!(world.place_of("left-over"), "nowhere");
}

#[test]
fn a_room_that_has_just_been_released_is_no_stranger() {
    let mut world = world_of(Put::Right);
    world.place("standup");
    report_for(&mut world, 20, &[("standup", 2)]);
    world.release("standup");
    report_for(&mut world, 50, &[("standup", 2)]);
    assert_eq!(unknown(&world), 0);
}

#[test]
fn a_room_that_is_reported_no_more_is_told_and_stays() {
    let mut world = world_of(Put::Nothing);
    world.place("standup");
    report_for(&mut world, 20, &[("standup", 2)]);
    report_for(&mut world, 20, &[]);
    assert_eq!(unreported(&world), 0, "a report may have been read too early");
    report_for(&mut world, 3600, &[]);
    assert_eq!(unreported(&world), 1);
    assert_eq!(world.place_of("standup"), "on s0");
}

#[test]
fn where_the_pool_says_so_it_is_released_after_empty_seconds() {
    let mut world = world_of(Put::Right);
    world.place("standup");
    report_for(&mut world, 20, &[("standup", 2)]);
    report_for(&mut world, 290, &[]);
    assert_eq!(world.place_of("standup"), "on s0");
    report_for(&mut world, 20, &[]);
    assert_eq!(world.place_of("standup"), "nowhere");
    assert_eq!(unreported(&world), 1);
}

#[test]
fn a_room_that_was_never_reported_is_not_missed() {
    // Its app may create it when the first participant comes.
    let mut world = world_of(Put::Right);
    world.place("tomorrow");
    report_for(&mut world, 3600, &[]);
    assert_eq!(unreported(&world), 0);
    assert_eq!(world.place_of("tomorrow"), "on s0");
}

#[test]
fn what_a_cut_report_lacks_is_not_missed() {
    let mut world = world_of(Put::Right);
    world.place("standup");
    report_for(&mut world, 20, &[("standup", 2)]);
    for _ in 0..60 {
        world.pass(10);
        let mut report = rooms_report(&[]);
        report.figures.insert("rooms_cut".into(), 1);
        world.report("s0", report);
    }
    assert_eq!(unreported(&world), 0);
    assert_eq!(world.place_of("standup"), "on s0");
}

#[test]
fn a_room_is_missed_anew_after_its_server_was_silent() {
    let mut world = world_of(Put::Right);
    world.place("standup");
    report_for(&mut world, 20, &[("standup", 2)]);
    world.mute = Some([id("s0")].into());
    world.pass(600);
    world.mute = None;
    report_for(&mut world, 20, &[]);
    assert_eq!(unreported(&world), 0);
    report_for(&mut world, 300, &[]);
    assert_eq!(world.place_of("standup"), "nowhere");
}
