//! The configuration is read anew: pools that go and return, guards that change, health that is known otherwise.

use std::time::Duration;

use usher_fleet::config::{FleetConfig, HealthSource, PoolConfig};
use usher_fleet::observation::{InstanceState, Report};
use usher_fleet::{Effect, Observation};

use crate::world::{World, automatic, code, config, external, instance, seats};

fn reload(world: &mut World, config: FleetConfig) {
    world.config = config.clone();
    world.observe(Observation::Configured(Box::new(config)));
}

fn pools(world: &World) -> Vec<String> {
    let pools = world.fleet.pools(world.now);
    pools.iter().map(|pool| pool.name.to_string()).collect()
}

#[test]
fn a_pool_that_disappears_takes_no_rooms_launches_nothing_and_stays_until_its_last_server_is_gone() {
    let mut world = World::new(config(vec![automatic("cloud"), external("site")]));
    world.mute = Some(Default::default());
    let server = world.launch("cloud");
    world.place("room");
    reload(&mut world, config(vec![external("site")]));
    assert_eq!(world.place_of("room"), format!("on {server}"), "its rooms stay");
    world.place("next");
    assert_eq!(world.place_of("next"), "waiting");
    assert_eq!(world.grow("cloud", 1), ("refused", "pool_gone"));
    assert!(world.pool("cloud").retired);
    world.drain(&server, None);
    world.release("room");
    assert_eq!(
        (world.phase_of(&server), world.terminations(&server)),
        ("terminating", 1)
    );
    world.terminated(&server, Ok(()));
    assert_eq!(pools(&world), ["site"]);
}

#[test]
fn a_pool_without_servers_disappears_at_once() {
    let mut world = World::new(config(vec![automatic("cloud"), external("site")]));
    reload(&mut world, config(vec![external("site")]));
    assert_eq!(pools(&world), ["site"]);
    assert_eq!(code(world.register("cloud", "s1")), "no_such_pool");
}

#[test]
fn a_pool_that_returns_takes_rooms_again_under_its_old_number() {
    let mut world = World::new(config(vec![external("site")]));
    world.register("site", "s1");
    let no = world.pool_no("site");
    reload(&mut world, config(vec![]));
    assert_eq!(code(world.place("room")), "no_such_pool_for_room");
    reload(&mut world, config(vec![external("site")]));
    assert_eq!(world.pool_no("site"), no);
    world.place("room");
    assert_eq!(world.place_of("room"), "on s1");
}

#[test]
fn a_waiting_room_is_offered_what_a_reload_makes_fit() {
    let mut world = World::new(config(vec![external("site")]));
    world.register("site", "s1");
    let closed = PoolConfig {
        only: [("tenant".to_owned(), vec!["acme".to_owned()])].into(),
        ..external("site")
    };
    world.place_as("full", seats(480));
    world.place_as("room", seats(30));
    reload(&mut world, config(vec![closed, external("rest")]));
    world.release("full");
    assert_eq!(world.place_of("room"), "waiting");
    reload(&mut world, config(vec![external("site"), external("rest")]));
    assert_eq!(world.place_of("room"), "on s1");
}

#[test]
fn guards_change_with_the_file() {
    let mut world = World::new(config(vec![automatic("cloud")]));
    assert_eq!(world.pool("cloud").launchable, 10);
    let mut tight = automatic("cloud");
    tight.guards.servers_max = 2;
    reload(&mut world, config(vec![tight]));
    assert_eq!(world.grow("cloud", 9), ("clamped", "servers_max"));
    assert_eq!(world.launches().len(), 2);
    let mut wide = config(vec![automatic("cloud")]);
    wide.guards.servers_max = 3;
    reload(&mut world, wide);
    assert_eq!(world.grow("cloud", 9), ("clamped", "fleet_servers_max"));
    assert_eq!(world.launches().len(), 3);
}

#[test]
fn a_minimum_that_is_raised_is_kept_from_the_next_tick_on() {
    let mut world = World::new(config(vec![automatic("cloud")]));
    let mut more = automatic("cloud");
    more.guards.servers_min = 3;
    reload(&mut world, config(vec![more]));
    world.pass(5);
    assert_eq!(world.launches().len(), 3);
}

#[test]
fn servers_that_are_there_are_probed_once_their_pool_is() {
    let mut world = World::with_servers(&["s1"]);
    world.place("room");
    let probed = PoolConfig {
        health: HealthSource::Probe,
        ..external("site")
    };
    reload(&mut world, config(vec![probed]));
    assert!(matches!(world.effects.last(), Some(Effect::Watch(watch)) if watch.server.as_str() == "s1"));
    world.pass(10);
    assert_eq!(world.health_of("s1"), "unknown", "it is given time");
    world.pass(10);
    assert_eq!(world.health_of("s1"), "silent");
    reload(&mut world, config(vec![external("site")]));
    assert!(world.effects.iter().any(|effect| matches!(effect, Effect::Unwatch(_))));
    assert_ne!(world.health_of("s1"), "silent", "nobody looks any more");
    world.place_as("next", seats(3));
    assert_eq!(world.place_of("next"), "on s1");
}

#[test]
fn what_is_gone_from_the_file_over_a_restart_is_still_ended_and_confirmed() {
    let mut world = World::new(config(vec![automatic("cloud"), external("site")]));
    world.grow("cloud", 2);
    world.boot("cloud-1");
    world.remove("cloud-2", false);
    world.config = config(vec![external("site")]);
    world.restart();
    assert_eq!(world.terminations("cloud-2"), 1, "what was owed is owed");
    world.remove("cloud-1", false);
    assert_eq!(
        (world.phase_of("cloud-1"), world.terminations("cloud-1")),
        ("terminating", 1)
    );
    world.terminated("cloud-1", Ok(()));
    world.terminated("cloud-2", Ok(()));
    assert_eq!(pools(&world), ["site"]);
}

#[test]
fn settle_seconds_and_the_like_change_with_the_file() {
    let mut world = World::new(config(vec![automatic("cloud")]));
    world.grow("cloud", 1);
    world.launched("cloud-1", Ok(instance(InstanceState::Running)));
    world.report("cloud-1", Report::default());
    let mut patient = config(vec![automatic("cloud")]);
    patient.silent_after = Duration::from_secs(60);
    reload(&mut world, patient);
    world.pass(59);
    assert_eq!(world.health_of("cloud-1"), "ok");
    world.pass(2);
    assert_eq!(world.health_of("cloud-1"), "silent");
}
