//! A room's life: asked for, asked for again, grown, released, leased, emptied, forgotten, moved.

use usher_fleet::advice::Placement;
use usher_fleet::command::{PlaceRoom, ReleaseRoom, RoomOutcome, UpdateRoom};
use usher_fleet::config::{HealthSource, Labels, Limits};
use usher_fleet::event::What;
use usher_fleet::ids::PlacementNo;
use usher_fleet::observation::Report;
use usher_fleet::room::RoomWish;
use usher_fleet::{Command, Input, Observation, Rejection, Reply};

use crate::world::{World, code, config, external, id, of_tenant, plain, rejected, seats};

/// A world with one pool whose servers report, and these servers, ready.
fn reporting(servers: &[&str]) -> World {
    let mut site = external("site");
    site.health = HealthSource::Report;
    let mut world = World::new(config(vec![site]));
    for server in servers {
        world.register("site", server);
        world.report(server, Report::default());
    }
    world.mute = Some(Default::default());
    world
}

fn outcome(reply: Reply) -> RoomOutcome {
    match reply {
        Reply::Room(_, outcome) => outcome,
        Reply::Server(..) | Reply::Done | Reply::Token(_) | Reply::Rejected(_) => {
            panic!("no room was answered: {reply:?}")
        }
    }
}

#[test]
fn asking_again_never_moves_a_placed_room() {
    let mut world = World::with_servers(&["s1"]);
    assert_eq!(outcome(world.place("room")), RoomOutcome::Placed);
    world.register("site", "s0");
    world.cordon("s1");
    let placement = world.placement_of("room");
    assert_eq!(outcome(world.place("room")), RoomOutcome::Found);
    assert_eq!(
        (world.place_of("room"), world.placement_of("room")),
        ("on s1".into(), placement)
    );
    assert_eq!(world.chain.asked, ["room"], "no policy is asked again");
}

#[test]
fn asking_again_takes_in_how_long_the_room_will_live_and_forgets_nothing() {
    let mut world = World::with_servers(&["s1"]);
    let wish = RoomWish {
        expected_minutes: Some(30),
        ..seats(7)
    };
    world.place_as("room", wish);
    world.place("room");
    let room = world.room("room").unwrap();
    assert_eq!(room.seats, Some(7), "who says nothing asks for no fewer seats");
}

#[test]
fn more_seats_are_given_only_where_they_fit() {
    let mut world = World::with_servers(&["s1"]);
    world.place_as("big", seats(400));
    world.place_as("room", seats(50));
    assert_eq!(outcome(world.place_as("room", seats(100))), RoomOutcome::Found);
    assert_eq!(world.used_of("s1"), (2, 500, 500));
    assert_eq!(code(world.place_as("room", seats(101))), "does_not_fit");
    assert_eq!(code(world.update("room", None, Some(101))), "does_not_fit");
    assert_eq!(world.used_of("s1"), (2, 500, 500), "what is refused changes nothing");
    assert_eq!(world.place_of("room"), "on s1");
}

#[test]
fn fewer_seats_are_taken_by_patch_and_not_by_asking_again() {
    let mut world = World::with_servers(&["s1"]);
    world.place_as("room", seats(50));
    world.place_as("room", seats(10));
    assert_eq!(world.used_of("s1").1, 50);
    world.update("room", None, Some(10));
    assert_eq!(world.used_of("s1").1, 10);
}

#[test]
fn more_seats_do_not_raise_a_load_of_its_own() {
    let mut world = World::new(config(vec![external("site")]));
    let limits = Limits {
        load_max: Some(100),
        ..Limits::default()
    };
    world.register_as("site", "s1", limits, Labels::new());
    let wish = RoomWish {
        load: Some(100),
        ..seats(10)
    };
    world.place_as("room", wish.clone());
    let more = RoomWish {
        seats: Some(20),
        ..wish
    };
    assert_eq!(outcome(world.place_as("room", more)), RoomOutcome::Found);
    assert_eq!(world.used_of("s1"), (1, 20, 100));
}

#[test]
fn a_grown_room_counts_what_it_asks_for_until_figures_settle_anew() {
    let mut world = reporting(&["s1"]);
    world.place_as("room", seats(50));
    world.report_rooms("s1", &[("room", 4)]);
    world.pass(601);
    assert_eq!(world.used_of("s1").1, 5, "known and a quarter");
    world.place_as("room", seats(400));
    assert_eq!(world.used_of("s1").1, 400);
    assert_eq!(world.place_of("room"), "on s1");
    world.place_as("other", seats(200));
    assert_eq!(world.place_of("other"), "waiting");
    world.pass(601);
    assert_eq!(world.place_of("other"), "on s1");
}

#[test]
fn a_waiting_room_that_is_asked_for_again_keeps_its_place_in_the_queue() {
    let mut world = World::with_servers(&[]);
    world.place("first");
    world.place_as("second", seats(3));
    world.place("first");
    assert_eq!((world.wait_of("first").0, world.wait_of("second").0), (1, 2));
}

#[test]
fn a_waiting_room_that_asks_for_less_is_asked_for_at_once_in_its_old_place() {
    let mut world = World::with_servers(&["s1"]);
    world.place_as("big", seats(480));
    world.place_as("room", seats(50));
    world.place_as("later", seats(51));
    assert_eq!(world.place_of("room"), "waiting");
    let reply = world.place_as("room", seats(20));
    assert_eq!(
        outcome(reply),
        RoomOutcome::Placed,
        "the reply tells of a placement in the same input"
    );
    assert_eq!(world.place_of("room"), "on s1");
    assert_eq!(world.wait_of("later").0, 1);
}

#[test]
fn a_waiting_room_that_asks_for_more_than_could_ever_be_is_refused_and_waits_on() {
    let mut world = World::with_servers(&[]);
    world.place("room");
    assert_eq!(code(world.place_as("room", seats(501))), "room_too_large");
    assert_eq!(code(world.update("room", None, Some(501))), "room_too_large");
    assert_eq!(world.place_of("room"), "waiting");
}

#[test]
fn another_tenant_is_refused_and_learns_nothing_else() {
    let mut world = World::with_servers(&["s1"]);
    world.place_as("room", of_tenant("acme"));
    assert_eq!(code(world.place_as("room", of_tenant("evil"))), "room_taken");
    assert_eq!(code(world.place("room")), "room_taken");
    let theirs = UpdateRoom {
        room: id("room"),
        tenant: Some(id("evil")),
        participants: Some(0),
        seats: None,
    };
    assert_eq!(code(world.command(Command::UpdateRoom(theirs))), "no_such_room");
    let release = |tenant: &str| {
        Command::ReleaseRoom(ReleaseRoom {
            room: id("room"),
            tenant: Some(id(tenant)),
            placement: None,
        })
    };
    assert_eq!(world.command(release("evil")), Reply::Done);
    assert_eq!(world.place_of("room"), "on s1");
    assert_eq!(world.command(release("acme")), Reply::Done);
    assert_eq!(world.place_of("room"), "nowhere");
}

#[test]
fn releasing_is_idempotent_also_for_a_room_that_never_was_and_one_whose_server_is_gone() {
    let mut world = World::with_servers(&["s1"]);
    world.place("room");
    world.release("room");
    world.release("room");
    world.release("never");
    assert_eq!(world.told(|what| matches!(what, What::RoomReleased(_))), 1);
    world.place("other");
    world.remove("s1", true);
    assert_eq!(world.phase_of("s1"), "gone");
    assert_eq!(world.place_of("other"), "moving from gone-1");
    world.release("other");
    assert_eq!(world.place_of("other"), "nowhere");
}

#[test]
fn yesterdays_late_release_does_not_end_todays_room() {
    let mut world = World::with_servers(&["s1"]);
    world.place("room");
    let first = world.placement_of("room");
    world.release("room");
    world.place("room");
    let second = world.placement_of("room");
    assert!(second > first);
    let mut release = |placement| {
        let release = ReleaseRoom {
            room: id("room"),
            tenant: None,
            placement: Some(PlacementNo(placement)),
        };
        assert_eq!(world.command(Command::ReleaseRoom(release)), Reply::Done);
        world.place_of("room")
    };
    assert_eq!(release(first), "on s1");
    assert_eq!(release(second), "nowhere");
}

#[test]
fn a_release_by_placement_leaves_a_room_alone_that_was_never_placed() {
    let mut world = World::with_servers(&[]);
    world.place("room");
    let release = ReleaseRoom {
        room: id("room"),
        tenant: None,
        placement: Some(PlacementNo(1)),
    };
    world.command(Command::ReleaseRoom(release));
    assert_eq!(world.place_of("room"), "waiting");
}

#[test]
fn placement_numbers_grow_over_restarts_and_are_never_given_twice() {
    let mut world = World::with_servers(&["s1"]);
    let mut last = 0;
    for round in 0..3 {
        for n in 0..3 {
            let room = format!("room-{round}-{n}");
            world.place(&room);
            assert!(world.placement_of(&room) > last);
            last = world.placement_of(&room);
        }
        world.restart();
        assert_eq!(world.placement_of(&format!("room-{round}-2")), last);
    }
}

#[test]
fn a_lease_that_nobody_renews_ends_its_room_and_another_does_not() {
    let mut world = reporting(&["s1"]);
    world.place_leased("leased", plain(), Some(60));
    world.place("unleased");
    world.pass(59);
    assert_eq!(world.place_of("leased"), "on s1");
    world.pass(2);
    assert_eq!(
        (world.place_of("leased"), world.place_of("unleased")),
        ("nowhere".into(), "on s1".into())
    );
    assert_eq!(
        world.told(|what| matches!(what, What::RoomReleased(ended) if ended.reason.contains("lease"))),
        1
    );
}

#[test]
fn a_lease_is_renewed_by_asking_again_by_patch_and_by_a_report() {
    let mut world = reporting(&["s1"]);
    for room in ["asked", "patched", "reported", "neither"] {
        world.place_leased(room, plain(), Some(60));
    }
    for _ in 0..4 {
        world.pass(40);
        world.place("asked");
        world.update("patched", Some(3), None);
        world.report_rooms("s1", &[("reported", 2)]);
    }
    assert_eq!(world.place_of("asked"), "on s1");
    assert_eq!(world.place_of("patched"), "on s1");
    assert_eq!(world.place_of("reported"), "on s1");
    assert_eq!(world.place_of("neither"), "nowhere");
}

#[test]
fn a_room_that_reports_nobody_for_empty_seconds_is_released() {
    let mut world = reporting(&["s1"]);
    world.place("empty");
    world.place("came-back");
    world.place("never-told");
    world.report_rooms("s1", &[("empty", 0), ("came-back", 0)]);
    world.pass(290);
    world.report_rooms("s1", &[("empty", 0), ("came-back", 1)]);
    world.pass(11);
    assert_eq!(world.place_of("empty"), "nowhere");
    assert_eq!(world.place_of("came-back"), "on s1");
    assert_eq!(world.place_of("never-told"), "on s1", "no data is not zero");
}

#[test]
fn a_room_of_which_nothing_is_heard_for_a_day_is_told_as_stale_and_then_released() {
    let mut world = World::with_servers(&["s1"]);
    world.place("forgotten");
    world.place("remembered");
    world.pass(12 * 3600);
    world.place("remembered");
    world.pass(12 * 3600 - 10);
    assert_eq!(world.place_of("forgotten"), "on s1");
    world.pass(20);
    assert_eq!(world.place_of("forgotten"), "nowhere");
    assert_eq!(world.place_of("remembered"), "on s1");
    let ends: Vec<_> = world
        .events
        .iter()
        .filter(|event| matches!(event.what, What::RoomStale(_) | What::RoomReleased(_)))
        .collect();
    assert!(matches!(ends[..], [stale, released]
        if matches!(stale.what, What::RoomStale(_)) && matches!(released.what, What::RoomReleased(_))));
}

#[test]
fn leases_and_emptiness_stand_still_while_the_server_is_silent() {
    let mut world = reporting(&["s1"]);
    world.place_leased("leased", plain(), Some(60));
    world.place("empty");
    world.report_rooms("s1", &[("empty", 0), ("leased", 1)]);
    world.mute = None;
    world.pass(1000);
    assert_eq!(world.health_of("s1"), "silent");
    assert_eq!(
        (world.place_of("leased"), world.place_of("empty")),
        ("on s1".into(), "on s1".into())
    );
    // Heard again, each begins anew.
    world.mute = Some(Default::default());
    world.report("s1", Report::default());
    world.pass(50);
    assert_eq!(world.place_of("leased"), "on s1");
    world.pass(15);
    assert_eq!(world.place_of("leased"), "nowhere");
    assert_eq!(
        world.place_of("empty"),
        "on s1",
        "nobody has said again that it is empty"
    );
}

#[test]
fn leases_stand_still_while_the_fleet_is_frozen() {
    let mut world = reporting(&["s1", "s2", "s3"]);
    world.place_leased("room", plain(), Some(60));
    assert_eq!(world.place_of("room"), "on s1");
    world.mute = Some([id("s2"), id("s3")].into());
    world.pass(300);
    assert!(world.fleet.is_frozen());
    assert_eq!(
        (world.health_of("s1"), world.place_of("room").as_str()),
        ("ok", "on s1")
    );
    world.mute = Some(Default::default());
    world.pass(120);
    assert_eq!(world.place_of("room"), "nowhere", "thawed, it runs out");
}

#[test]
fn leases_run_anew_in_full_after_a_restart_and_after_a_gap() {
    let mut world = reporting(&["s1"]);
    world.place_leased("room", plain(), Some(60));
    world.pass(50);
    world.restart();
    world.pass(50);
    assert_eq!(world.place_of("room"), "on s1");
    world.now.0 += 3_600_000;
    world.observe(Observation::Gap);
    world.pass(50);
    assert_eq!(
        (world.place_of("room").as_str(), world.health_of("s1")),
        ("on s1", "ok")
    );
    world.pass(15);
    assert_eq!(world.place_of("room"), "nowhere");
}

#[test]
fn a_wait_that_runs_out_expires_the_room() {
    let mut world = World::with_servers(&[]);
    world.place("room");
    world.pass(1199);
    assert_eq!(world.place_of("room"), "waiting");
    world.place("room");
    world.pass(2);
    assert_eq!(
        world.place_of("room"),
        "nowhere",
        "asking again does not lengthen the wait"
    );
    assert_eq!(world.told(|what| matches!(what, What::RoomExpired(_))), 1);
    assert_eq!(world.told(|what| matches!(what, What::RoomReleased(_))), 0);
}

#[test]
fn a_thousand_rooms_of_a_lost_server_move_in_bounded_steps_and_each_has_one_home() {
    let mut world = World::new(config(vec![external("site")]));
    let huge = Limits {
        rooms_max: Some(2000),
        seats_max: Some(200_000),
        load_max: None,
    };
    world.register_as("site", "s1", huge, Labels::new());
    for n in 0..1000 {
        world.place(&format!("room-{n:03}"));
    }
    world.register_as("site", "s2", huge, Labels::new());
    let before = world.events.len();
    world.step(Input::Command(Command::DeclareLost(
        usher_fleet::command::DeclareLost {
            server: id("s1"),
            reason: None,
        },
    )));
    let mut steps = 0;
    let mut last = world.fleet.records().len();
    while world.fleet.next_deadline().is_some_and(|at| at <= world.now) {
        let told = world.events.len();
        world.step(Input::Tick);
        assert!(
            world.events.len() - told <= 2 * 128 + 256,
            "one input does not do it all"
        );
        steps += 1;
        assert!(steps < 100);
        assert_eq!(world.fleet.records().len(), last, "no room is dropped on the way");
        last = world.fleet.records().len();
    }
    assert!(steps >= 1000 / 128);
    assert_eq!(world.used_of("s1").0, 0);
    assert_eq!(world.used_of("s2").0, 1000);
    let moved = |to: bool| {
        world.events[before..]
            .iter()
            .filter(|event| matches!(&event.what, What::RoomMoved(moved) if moved.to.is_some() == to))
            .count()
    };
    assert_eq!(
        (moved(false), moved(true)),
        (1000, 1000),
        "each is told twice: that it moves, and whereto"
    );
}

#[test]
fn a_move_that_a_crash_interrupts_goes_on_after_it() {
    let mut world = World::new(config(vec![external("site")]));
    let huge = Limits {
        rooms_max: Some(2000),
        seats_max: Some(200_000),
        load_max: None,
    };
    world.register_as("site", "s1", huge, Labels::new());
    world.place_all("room", 500);
    world.register_as("site", "s2", huge, Labels::new());
    let lost = usher_fleet::command::DeclareLost {
        server: id("s1"),
        reason: None,
    };
    world.step(Input::Command(Command::DeclareLost(lost)));
    world.step(Input::Tick);
    assert!(world.used_of("s1").0 > 0, "it is not done yet");
    world.restart();
    assert_eq!((world.used_of("s1").0, world.used_of("s2").0), (0, 500));
}

#[test]
fn a_lost_room_is_moved_before_those_that_were_never_placed() {
    let mut world = World::with_servers(&["s1"]);
    world.place_all("room", 10);
    world.place_as("never-placed", seats(5));
    world.declare_lost("s1");
    assert_eq!(world.wait_of("never-placed").0, 11);
    world.register("site", "s2");
    assert_eq!(world.place_of("room-9"), "on s2");
    assert_eq!(world.place_of("never-placed"), "waiting");
}

#[test]
fn a_moving_room_is_found_as_moving_released_and_asked_for_again() {
    let mut world = World::with_servers(&["s1"]);
    world.place("room");
    world.place("other");
    let placement = world.placement_of("room");
    world.declare_lost("s1");
    assert_eq!(outcome(world.place("room")), RoomOutcome::Waiting);
    assert_eq!(world.place_of("room"), "moving from s1");
    world.release("other");
    assert_eq!(world.place_of("other"), "nowhere");
    world.register("site", "s2");
    assert_eq!(world.place_of("room"), "on s2");
    assert!(world.placement_of("room") > placement);
}

#[test]
fn the_lease_of_a_moving_room_stands_still() {
    let mut world = reporting(&["s1"]);
    world.place_leased("room", plain(), Some(60));
    world.declare_lost("s1");
    world.mute = None;
    world.pass(600);
    assert_eq!(world.place_of("room"), "moving from s1");
    world.register("site", "s2");
    world.report("s2", Report::default());
    world.mute = Some([id("s1")].into());
    world.pass(50);
    assert_eq!(world.place_of("room"), "on s2");
    world.pass(15);
    assert_eq!(world.place_of("room"), "nowhere");
}

#[test]
fn what_no_pool_could_ever_hold_is_refused_at_once() {
    let mut world = World::with_servers(&["s1"]);
    let rejection = rejected(world.place_as("room", seats(501)));
    assert_eq!(rejection, Rejection::RoomTooLarge { seats: 501, load: 501 });
    let there = |region: &str| RoomWish {
        region: Some(region.into()),
        ..plain()
    };
    assert_eq!(code(world.place_as("room", there("mars"))), "no_such_region");
    assert_eq!(outcome(world.place_as("room", there("eu"))), RoomOutcome::Placed);
    assert_eq!(world.place_of("room"), "on s1");
}

#[test]
fn a_server_larger_than_its_pool_makes_larger_rooms_possible() {
    let mut world = World::with_servers(&["s1"]);
    assert_eq!(code(world.place_as("room", seats(800))), "room_too_large");
    let limits = Limits {
        seats_max: Some(1000),
        ..Limits::default()
    };
    world.register_as("site", "giant", limits, Labels::new());
    world.place_as("room", seats(800));
    assert_eq!(world.place_of("room"), "on giant");
}

#[test]
fn the_same_command_twice_is_the_same_state() {
    let mut world = World::with_servers(&["s1"]);
    let command = Command::PlaceRoom(PlaceRoom {
        room: id("room"),
        wish: seats(5),
        lease_seconds: Some(30),
    });
    world.command(command.clone());
    let records = world.fleet.records();
    world.command(command);
    assert_eq!(world.fleet.records(), records);
}

#[test]
fn a_room_is_never_placed_back_on_the_server_that_it_lost() {
    let mut world = World::with_servers(&["s1"]);
    world.place("room");
    let lost = world.server_no("s1");
    world.chain.links = vec![Box::new(move |_, ask| {
        assert_eq!(ask.avoid, Some(lost));
        Ok(Placement::On(lost))
    })];
    world.declare_lost("s1");
    assert_eq!(world.place_of("room"), "moving from s1");
    assert_eq!(world.decisions.last().unwrap().code, "lost");
}
