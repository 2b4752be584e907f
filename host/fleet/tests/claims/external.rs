//! Pools whose servers somebody else creates: an absolute level, told by events; servers that leave.

use std::time::Duration;

use usher_fleet::Reply;
use usher_fleet::advice::{Direction, ScaleAdvice};
use usher_fleet::command::ServerOutcome;
use usher_fleet::config::{PoolConfig, PoolGuards};
use usher_fleet::event::{ScaleWanted, What};

use crate::world::{World, automatic, code, config, external};

fn site(guards: PoolGuards) -> World {
    let guards = PoolGuards {
        server_life_min: Duration::ZERO,
        scale_down_cooldown: Duration::ZERO,
        ..guards
    };
    World::new(config(vec![PoolConfig {
        guards,
        ..external("site")
    }]))
}

fn wanted(world: &World) -> Option<u32> {
    world.pool("site").servers_wanted
}

/// Returns the changes of the level, as they were told: from, to, and which servers may go.
fn levels(world: &World) -> Vec<(u32, u32, Vec<String>)> {
    let change = |told: &ScaleWanted| {
        let servers = told.servers.iter().map(|server| server.to_string()).collect();
        (told.before, told.servers_wanted, servers)
    };
    let told = world.events.iter().filter_map(|event| match &event.what {
        What::ScaleWanted(told) => {
            assert!(told.servers_wanted > told.before);
            Some(change(told))
        }
        What::ScaleUnwanted(told) => {
            assert!(told.servers_wanted <= told.before);
            Some(change(told))
        }
        _ => None,
    });
    told.collect()
}

#[test]
fn the_level_is_absolute_and_asking_again_changes_nothing() {
    let mut world = site(PoolGuards::default());
    assert_eq!(wanted(&world), Some(0));
    for _ in 0..3 {
        assert_eq!(world.grow("site", 2), ("accepted", ""));
        assert_eq!(wanted(&world), Some(2));
    }
    world.register("site", "s1");
    assert_eq!(wanted(&world), Some(2), "one came, and one is missing still");
    world.grow("site", 1);
    assert_eq!(wanted(&world), Some(2));
    world.register("site", "s2");
    world.grow("site", 1);
    assert_eq!(wanted(&world), Some(3));
    assert_eq!(levels(&world), [(0, 2, vec![]), (2, 3, vec![])]);
    assert!(world.launches().is_empty(), "we launch nothing there");
}

#[test]
fn the_level_falls_to_what_is_there_when_no_more_is_needed() {
    let mut world = site(PoolGuards::default());
    world.grow("site", 3);
    world.register("site", "s1");
    world.grow("site", 1);
    assert_eq!(wanted(&world), Some(2), "one is there, and one more is asked for");
    for _ in 0..2 {
        world.grow("site", 0);
        assert_eq!(wanted(&world), Some(1));
    }
    assert_eq!(levels(&world), [(0, 3, vec![]), (3, 2, vec![]), (2, 1, vec![])]);
    assert_eq!(world.hold_of("s1"), None, "what is there stays");
}

#[test]
fn the_level_holds_over_a_restart() {
    let mut world = site(PoolGuards::default());
    world.grow("site", 2);
    world.restart();
    assert_eq!(wanted(&world), Some(2));
    assert_eq!(levels(&world).len(), 1);
}

#[test]
fn what_a_policy_can_do_without_is_told_by_name_drained_and_leaves() {
    let mut world = site(PoolGuards::default());
    world.grow("site", 2);
    world.register("site", "s1");
    world.register("site", "s2");
    world.place("room");
    assert_eq!(world.shrink("site", &["s1"]), ("accepted", ""));
    assert_eq!(levels(&world)[1], (2, 1, vec!["s1".into()]));
    assert_eq!(
        world.told(|what| matches!(what, What::ServerLeft(_))),
        0,
        "a room is on it"
    );
    world.release("room");
    assert_eq!(world.told(|what| matches!(what, What::ServerLeft(_))), 1);
    assert_eq!(
        (world.phase_of("s1"), world.terminations("s1")),
        ("ready", 0),
        "we never end it"
    );
    assert!(world.server("s1").unwrap().left);
    world.remove("s1", false);
    assert_eq!(world.phase_of("s1"), "gone");
}

#[test]
fn an_external_server_that_a_policy_drained_is_resumed_first() {
    let mut world = site(PoolGuards::default());
    world.grow("site", 1);
    world.register("site", "s1");
    world.place("room");
    world.shrink("site", &["s1"]);
    assert_eq!(wanted(&world), Some(0));
    assert_eq!(world.grow("site", 1), ("accepted", ""));
    assert_eq!((world.hold_of("s1"), wanted(&world)), (None, Some(1)));
}

#[test]
fn one_that_has_left_is_not_resumed() {
    let mut world = site(PoolGuards::default());
    world.grow("site", 1);
    world.register("site", "s1");
    world.shrink("site", &["s1"]);
    assert!(world.server("s1").unwrap().left);
    world.grow("site", 1);
    assert_eq!(world.hold_of("s1").unwrap(), "draining by policy");
    assert_eq!(wanted(&world), Some(1), "another is wanted instead");
}

#[test]
fn the_level_keeps_servers_min_and_servers_max() {
    let mut world = site(PoolGuards {
        servers_min: 2,
        servers_max: 3,
        ..PoolGuards::default()
    });
    world.pass(5);
    assert_eq!(wanted(&world), Some(2));
    assert_eq!(world.grow("site", 9), ("clamped", "servers_max"));
    assert_eq!(wanted(&world), Some(3));
    for server in ["s1", "s2", "s3"] {
        world.register("site", server);
    }
    assert_eq!(world.grow("site", 1), ("refused", "servers_max"));
    assert_eq!(world.shrink("site", &["s1", "s2"]), ("refused", "servers_min"));
    assert_eq!(wanted(&world), Some(2), "one of the two went");
}

#[test]
fn the_fleets_ceilings_hold_for_what_is_wanted_too() {
    let mut config = config(vec![automatic("cloud"), external("site")]);
    config.guards.servers_max = 3;
    let mut world = World::new(config);
    world.grow("cloud", 2);
    assert_eq!(world.grow("site", 5), ("clamped", "fleet_servers_max"));
    assert_eq!(wanted(&world), Some(1));
}

#[test]
fn registering_again_describes_anew_and_never_changes_hold_or_pool() {
    let mut world = World::new(config(vec![external("site"), external("rest"), automatic("cloud")]));
    assert!(matches!(
        world.register("site", "s1"),
        Reply::Server(_, ServerOutcome::Created)
    ));
    world.cordon("s1");
    let limits = usher_fleet::config::Limits {
        rooms_max: Some(99),
        ..Default::default()
    };
    let reply = world.register_as("site", "s1", limits, Default::default());
    let Reply::Server(status, ServerOutcome::Found) = reply else {
        panic!("{reply:?}");
    };
    assert_eq!(
        (status.limits.rooms_max, status.limits.seats_max),
        (Some(99), Some(500))
    );
    assert_eq!(world.hold_of("s1").unwrap(), "cordoned by operator");
    assert_eq!(code(world.register("rest", "s1")), "server_in_other_pool");
    assert_eq!(code(world.register("cloud", "s2")), "pool_not_external");
    assert_eq!(code(world.register("nowhere", "s2")), "no_such_pool");
}

#[test]
fn a_server_that_grows_by_registering_again_is_offered_to_the_queue() {
    let mut world = World::with_servers(&["s1"]);
    world.place_all("room", 11);
    assert_eq!(world.place_of("room-10"), "waiting");
    let limits = usher_fleet::config::Limits {
        rooms_max: Some(11),
        seats_max: Some(1000),
        ..Default::default()
    };
    world.register_as("site", "s1", limits, Default::default());
    assert_eq!(world.place_of("room-10"), "on s1");
}

#[test]
fn deleting_refuses_while_rooms_are_on_it_unless_forced() {
    let mut world = World::with_servers(&["s1", "s2"]);
    world.place("room");
    assert_eq!(code(world.remove("s1", false)), "server_has_rooms");
    assert_eq!(world.remove("s1", true), Reply::Done);
    assert_eq!(
        (world.phase_of("s1"), world.place_of("room").as_str()),
        ("gone", "on s2")
    );
    assert_eq!(code(world.remove("s1", true)), "no_such_server");
}

#[test]
fn a_server_registers_again_only_after_it_was_removed_whole() {
    let mut world = World::with_servers(&["s1"]);
    world.place("room");
    let remove = usher_fleet::Command::RemoveServer(usher_fleet::command::RemoveServer {
        server: crate::world::id("s1"),
        force: true,
    });
    world.step(usher_fleet::Input::Command(remove));
    world.settle();
    assert!(matches!(
        world.register("site", "s1"),
        Reply::Server(_, ServerOutcome::Created)
    ));
    assert_eq!(world.place_of("room"), "on s1");
}

#[test]
fn a_policy_that_faults_wants_nothing() {
    let mut world = site(PoolGuards::default());
    let ask = world.asked(Direction::Up);
    world.answer(&ask, Err(crate::world::fault()), true);
    assert_eq!((wanted(&world), levels(&world).len()), (Some(0), 0));
    let ask = world.asked(Direction::Up);
    world.answer(&ask, Ok(ScaleAdvice::Down(Vec::new())), true);
    assert_eq!(wanted(&world), Some(0));
}
