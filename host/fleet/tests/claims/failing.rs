//! Servers that live and do harm: rooms that cannot be created or die young, and silence that comes and goes.

use usher_fleet::command::RoomOutcome;
use usher_fleet::config::HealthSource;
use usher_fleet::event::What;
use usher_fleet::observation::Report;
use usher_fleet::{Rejection, Reply};

use crate::world::{World, config, external, id};

/// A world with ready servers `s0`, `s1`, ... of one pool, that report as time passes; rooms go to the first that is open.
fn world_of(servers: usize) -> World {
    let mut site = external("site");
    site.health = HealthSource::Report;
    let mut world = World::new(config(vec![site]));
    for n in 0..servers {
        world.register("site", &format!("s{n}"));
        world.report(&format!("s{n}"), Report::default());
    }
    world.mute = Some(Default::default());
    world
}

/// Has ten rooms live and end on the other server than `s0`.
fn let_the_other_do_well(world: &mut World) {
    world.cordon("s0");
    for n in 0..10 {
        world.place(&format!("well-{n}"));
    }
    world.pass(60);
    for n in 0..10 {
        world.release(&format!("well-{n}"));
    }
    world.uncordon("s0");
}

fn is_placed_anew(reply: &Reply) -> bool {
    matches!(reply, Reply::Room(_, RoomOutcome::Placed))
}

fn drained(world: &World) -> Vec<String> {
    let told = world.events.iter().filter_map(|event| match &event.what {
        What::ServerDraining(told) => Some(told.server.to_string()),
        _ => None,
    });
    told.collect()
}

/// Places a room and says that it could not be created, so often; each time after the server has rested.
fn fail_rooms(world: &mut World, prefix: &str, count: usize) {
    for n in 0..count {
        let room = format!("{prefix}-{n}");
        world.place(&room);
        world.fail(&room, None);
        world.release(&room);
        world.pass(90);
    }
}

#[test]
fn a_room_that_could_not_be_created_is_placed_elsewhere_at_once() {
    let mut world = world_of(2);
    world.place("standup");
    assert_eq!(world.place_of("standup"), "on s0");
    let before = world.placement_of("standup");
    let reply = world.fail("standup", Some(before));
    assert!(is_placed_anew(&reply), "{reply:?}");
    assert_eq!(world.place_of("standup"), "on s1");
    assert!(world.placement_of("standup") > before);
    let moved = |what: &What| matches!(what, What::RoomMoved(told) if told.reason.contains("no port is free"));
    assert_eq!(world.told(moved), 1);
}

#[test]
fn a_failure_of_yesterdays_placement_moves_nothing() {
    let mut world = world_of(2);
    world.place("standup");
    let first = world.placement_of("standup");
    world.fail("standup", Some(first));
    // The reply was lost, and the app says it again.
    let reply = world.fail("standup", Some(first));
    assert!(matches!(reply, Reply::Room(_, RoomOutcome::Found)), "{reply:?}");
    assert_eq!(world.place_of("standup"), "on s1");
    assert_eq!(world.hold_of("s1"), None);
}

#[test]
fn a_failure_of_an_unknown_room_is_told_so() {
    let mut world = world_of(1);
    assert_eq!(
        world.fail("nobody", None),
        Reply::Rejected(Rejection::NoSuchRoom(id("nobody")))
    );
}

#[test]
fn a_server_that_failed_a_room_rests_before_it_takes_the_next_and_longer_each_time() {
    let mut world = world_of(1);
    for (room, seconds) in [("a", 10), ("b", 20), ("c", 40)] {
        world.place(room);
        assert_eq!(world.place_of(room), "on s0");
        world.fail(room, None);
        assert_eq!(world.hold_of("s0"), Some("cordoned by health".into()));
        world.pass(seconds - 1);
        assert_eq!(world.place_of(room), "moving from s0");
        world.pass(2);
        assert_eq!(world.hold_of("s0"), None);
        assert_eq!(world.place_of(room), "on s0", "there is nowhere else");
    }
}

#[test]
fn a_room_that_fails_wherever_it_comes_closes_a_server_once() {
    let mut world = world_of(1);
    world.place("poison");
    world.fail("poison", None);
    world.pass(11);
    for _ in 0..5 {
        world.fail("poison", None);
        assert_eq!(world.hold_of("s0"), None);
        world.pass(1);
    }
}

#[test]
fn a_room_goes_back_to_where_it_failed_only_if_no_other_server_would_have_it() {
    let mut world = world_of(3);
    world.place("other");
    world.fail("other", None);
    let rests = world.place_of("other");
    world.place("room");
    let failed_on = world.place_of("room");
    world.fail("room", None);
    assert_ne!(world.place_of("room"), failed_on, "while one rests, {rests}");
}

#[test]
fn what_an_operator_holds_is_not_drained_for_its_failures() {
    let mut world = world_of(2);
    world.place_all("r", 10);
    let on = |world: &World, server: &str| -> Vec<String> {
        let names = (0..10).map(|no| format!("r-{no}"));
        names
            .filter(|room| world.place_of(room) == format!("on {server}"))
            .collect()
    };
    let rooms = on(&world, "s0");
    world.cordon("s0");
    for room in rooms {
        world.fail(&room, None);
    }
    assert_eq!(world.hold_of("s0"), Some("cordoned by operator".into()));
}

#[test]
fn a_rest_ends_over_a_restart() {
    let mut world = world_of(1);
    world.place("standup");
    world.fail("standup", None);
    world.restart();
    world.pass(11);
    assert_eq!(world.hold_of("s0"), None);
    assert_eq!(world.place_of("standup"), "on s0");
}

#[test]
fn a_failure_does_not_lift_or_shorten_anybody_elses_hold() {
    let mut world = world_of(2);
    world.place("standup");
    world.cordon("s0");
    world.fail("standup", None);
    world.pass(3600);
    assert_eq!(world.hold_of("s0"), Some("cordoned by operator".into()));
}

#[test]
fn an_app_whose_rooms_fail_everywhere_closes_few_servers_and_drains_none_but_the_first() {
    let mut world = world_of(10);
    for n in 0..100 {
        let room = format!("poison-{n}");
        world.place(&room);
        for _ in 0..5 {
            world.fail(&room, None);
        }
        let resting = (0..10).filter(|n| world.hold_of(&format!("s{n}")).is_some()).count();
        // Four rest, and one is drained.
        assert!(resting <= 5, "{resting} of 10 servers are closed");
        assert_ne!(world.place_of(&room), "nowhere");
    }
    assert!(drained(&world).len() <= 1, "{:?}", drained(&world));
}

#[test]
fn one_room_counts_once_however_often_it_fails() {
    let mut world = world_of(1);
    world.place("poison");
    for _ in 0..20 {
        world.fail("poison", None);
        world.pass(301);
    }
    assert_eq!(drained(&world), Vec::<String>::new());
}

#[test]
fn a_server_on_which_rooms_fail_far_more_often_than_elsewhere_is_drained() {
    let mut world = world_of(2);
    let_the_other_do_well(&mut world);
    fail_rooms(&mut world, "bad", 4);
    assert_eq!(drained(&world), Vec::<String>::new());
    fail_rooms(&mut world, "worse", 1);
    assert_eq!(drained(&world), ["s0"]);
    assert_eq!(world.hold_of("s0"), Some("draining by health".into()));
}

#[test]
fn rooms_that_die_young_count_where_other_servers_rooms_live() {
    let mut world = world_of(2);
    let_the_other_do_well(&mut world);
    for n in 0..5 {
        let room = format!("young-{n}");
        world.place(&room);
        assert_eq!(world.place_of(&room), "on s0");
        world.pass(5);
        world.release(&room);
    }
    assert_eq!(drained(&world), ["s0"]);
}

#[test]
fn short_calls_are_no_failure() {
    // Everywhere, or where nobody else can be compared with, or with people in them.
    for (servers, people) in [(2, 0), (1, 0), (2, 2)] {
        let mut world = world_of(servers);
        for n in 0..40 {
            let room = format!("short-{n}");
            if servers == 2 && people == 0 {
                // Both servers see them.
                let (open, closed) = (format!("s{}", n % 2), format!("s{}", 1 - n % 2));
                world.uncordon(&open);
                world.cordon(&closed);
            }
            world.place(&room);
            world.update(&room, Some(people), None);
            world.pass(5);
            world.release(&room);
        }
        assert_eq!(
            drained(&world),
            Vec::<String>::new(),
            "{servers} servers, {people} people"
        );
    }
}

#[test]
fn at_most_one_server_of_a_pool_is_drained_for_failures_within_ten_minutes() {
    let mut world = world_of(6);
    world.cordon("s0");
    world.cordon("s1");
    for n in 0..30 {
        world.place(&format!("well-{n}"));
    }
    world.pass(60);
    for n in 0..30 {
        world.release(&format!("well-{n}"));
    }
    world.uncordon("s0");
    world.uncordon("s1");
    for n in 0..12 {
        let room = format!("bad-{n}");
        world.place(&room);
        world.release(&room);
    }
    assert_eq!(drained(&world), ["s0"]);
    world.pass(500);
    assert_eq!(drained(&world), ["s0"]);
}

#[test]
fn zero_turns_the_judgement_off() {
    let mut site = external("site");
    site.guards.room_failures_max = 0;
    let mut world = World::new(config(vec![site]));
    world.register("site", "s0");
    fail_rooms(&mut world, "bad", 10);
    assert_eq!(drained(&world), Vec::<String>::new());
}

#[test]
fn a_server_that_falls_silent_again_and_again_rests_before_it_takes_rooms() {
    let mut world = world_of(5);
    let flap = |world: &mut World| {
        world.mute = Some([id("s0")].into());
        world.pass(20);
        assert_eq!(world.health_of("s0"), "silent");
        world.mute = Some(Default::default());
        world.pass(5);
        assert_eq!(world.health_of("s0"), "ok");
    };
    flap(&mut world);
    flap(&mut world);
    assert_eq!(world.hold_of("s0"), None, "once may happen to anybody, and twice");
    flap(&mut world);
    assert_eq!(world.hold_of("s0"), Some("cordoned by health".into()));
    world.pass(10);
    assert_eq!(world.hold_of("s0"), None);
    flap(&mut world);
    world.pass(15);
    assert_eq!(
        world.hold_of("s0"),
        Some("cordoned by health".into()),
        "longer each time"
    );
}
