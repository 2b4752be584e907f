//! The circuit: instances that existed and never became ready stop the launches of their pool.

use std::time::Duration;

use usher_fleet::config::PoolGuards;
use usher_fleet::event::What;
use usher_fleet::observation::{InstanceState, ProviderError};

use crate::world::{World, config, guarded, id, instance};

fn world() -> World {
    let guards = PoolGuards {
        boot_max: Duration::from_secs(60),
        ..PoolGuards::default()
    };
    let mut world = World::new(config(vec![guarded("cloud", guards)]));
    world.mute = Some(Default::default());
    world
}

/// Launches a server that exists and ends before it serves.
fn fail(world: &mut World) -> String {
    assert_eq!(world.grow("cloud", 1), ("accepted", ""));
    let server = world.newest();
    world.launched(&server, Ok(instance(InstanceState::Ended)));
    server
}

fn opened(world: &World) -> usize {
    world.told(|what| matches!(what, What::CircuitOpened(_)))
}

/// Waits until the open circuit lets a trial through.
fn wait(world: &mut World) -> u64 {
    let until = world.pool("cloud").circuit_open_until.expect("it is open");
    let seconds = until.since(world.now).as_secs();
    world.pass(seconds);
    seconds
}

#[test]
fn two_failed_boots_of_the_last_four_open_it() {
    let mut world = world();
    fail(&mut world);
    world.launch("cloud");
    world.launch("cloud");
    assert_eq!(opened(&world), 0);
    let last = fail(&mut world);
    assert_eq!(opened(&world), 1);
    let named = |what: &What| matches!(what, What::CircuitOpened(told) if told.server == Some(id(&last)));
    assert_eq!(world.told(named), 1, "the event names the last of them");
    assert_eq!(world.grow("cloud", 1), ("refused", "circuit_open"));
}

#[test]
fn two_failed_boots_further_apart_do_not() {
    let mut world = world();
    fail(&mut world);
    for _ in 0..3 {
        world.launch("cloud");
    }
    fail(&mut world);
    assert_eq!(opened(&world), 0);
}

#[test]
fn what_never_existed_does_not_count() {
    let mut world = world();
    for _ in 0..4 {
        world.grow("cloud", 1);
        let server = world.newest();
        world.launched(&server, Err(ProviderError::Refused("no".into())));
        world.pass(31);
    }
    assert_eq!(opened(&world), 0);
}

#[test]
fn a_boot_beyond_its_deadline_counts() {
    let mut world = world();
    world.grow("cloud", 2);
    for server in ["cloud-1", "cloud-2"] {
        world.launched(server, Ok(instance(InstanceState::Running)));
    }
    world.mute = None;
    world.pass(61);
    assert_eq!(opened(&world), 1);
}

#[test]
fn it_is_open_for_300_seconds_then_lets_one_trial_through() {
    let mut world = world();
    fail(&mut world);
    fail(&mut world);
    let seconds = wait(&mut world);
    assert!((290..=300).contains(&seconds), "{seconds}");
    assert_eq!(world.pool("cloud").launchable, 1);
    assert_eq!(world.grow("cloud", 3), ("clamped", "circuit_trial"));
    assert_eq!(world.grow("cloud", 1), ("refused", "circuit_trial"));
}

#[test]
fn a_trial_that_fails_doubles_the_time_up_to_an_hour() {
    let mut world = world();
    fail(&mut world);
    fail(&mut world);
    let mut spans = Vec::new();
    for _ in 0..6 {
        wait(&mut world);
        fail(&mut world);
        let until = world.pool("cloud").circuit_open_until.unwrap();
        spans.push(until.since(world.now).as_secs());
    }
    assert_eq!(spans, [600, 1200, 2400, 3600, 3600, 3600]);
}

#[test]
fn a_trial_that_serves_closes_it_and_forgets_the_failures() {
    let mut world = world();
    fail(&mut world);
    fail(&mut world);
    wait(&mut world);
    world.launch("cloud");
    assert_eq!(world.told(|what| matches!(what, What::CircuitClosed(_))), 1);
    assert_eq!(world.pool("cloud").circuit_open_until, None);
    fail(&mut world);
    assert_eq!(opened(&world), 1, "one failure after that is one of one");
}

#[test]
fn a_trial_that_an_operator_takes_away_is_followed_by_another() {
    let mut world = world();
    fail(&mut world);
    fail(&mut world);
    wait(&mut world);
    world.grow("cloud", 1);
    let trial = world.newest();
    world.remove(&trial, false);
    assert_eq!(world.grow("cloud", 1), ("accepted", ""));
}

#[test]
fn a_trial_that_was_refused_is_followed_by_another() {
    let mut world = world();
    fail(&mut world);
    fail(&mut world);
    wait(&mut world);
    world.grow("cloud", 1);
    let trial = world.newest();
    world.launched(&trial, Err(ProviderError::Refused("no".into())));
    world.pass(31);
    assert_eq!(world.grow("cloud", 1), ("accepted", ""));
}

#[test]
fn it_stays_open_over_a_restart_and_lets_no_second_trial_through() {
    let mut world = world();
    fail(&mut world);
    fail(&mut world);
    world.restart();
    assert_eq!(world.grow("cloud", 1), ("refused", "circuit_open"));
    wait(&mut world);
    world.grow("cloud", 1);
    world.restart();
    assert_eq!(world.grow("cloud", 1), ("refused", "circuit_trial"));
    let trial = world.newest();
    world.launched(&trial, Ok(instance(InstanceState::Ended)));
    let until = world.pool("cloud").circuit_open_until.unwrap();
    assert_eq!(
        until.since(world.now).as_secs(),
        600,
        "its failure is known as the trial's"
    );
}

#[test]
fn it_stops_the_fleets_own_minimum_too() {
    let guards = PoolGuards {
        servers_min: 1,
        ..PoolGuards::default()
    };
    let mut world = World::new(config(vec![guarded("cloud", guards)]));
    for _ in 0..2 {
        world.pass(5);
        let server = world.newest();
        world.launched(&server, Ok(instance(InstanceState::Ended)));
    }
    assert_eq!(opened(&world), 1);
    world.pass(200);
    assert_eq!(world.launches().len(), 2);
    world.pass(120);
    assert_eq!(world.launches().len(), 3);
}
