//! Who is alive: silence, the second witness, loss, the return of the lost, and the freeze.

use usher_fleet::config::{HealthSource, PoolConfig};
use usher_fleet::event::What;
use usher_fleet::observation::{InstanceState, Probed, Report};
use usher_fleet::{Effect, Observation};

use crate::world::{World, automatic, config, external, id, instance, key, rooms_report};

fn looked_at(health: HealthSource) -> PoolConfig {
    PoolConfig {
        health,
        ..external("site")
    }
}

/// A world whose servers are looked at in this way; so many are ready, and heard as time passes.
fn world_of(health: HealthSource, servers: usize) -> World {
    let mut world = World::new(config(vec![looked_at(health)]));
    for n in 0..servers {
        let server = format!("s{n}");
        world.register("site", &server);
        sign(&mut world, health, &server);
    }
    world.mute = Some(Default::default());
    world
}

fn sign(world: &mut World, health: HealthSource, server: &str) {
    match health {
        HealthSource::Report | HealthSource::None => world.report(server, Report::default()),
        HealthSource::Probe => world.probed(server, true),
    }
}

fn mute(world: &mut World, servers: impl IntoIterator<Item = usize>) {
    world.mute = Some(servers.into_iter().map(|n| id(&format!("s{n}"))).collect());
}

fn lost(world: &World) -> usize {
    world.told(|what| matches!(what, What::ServerLost(_)))
}

/// Answers each probe that was asked for since the last time.
fn fail_probes(world: &mut World) -> usize {
    let effects = std::mem::take(&mut world.effects);
    let mut count = 0;
    for effect in effects {
        if let Effect::Probe(watch) = effect {
            count += 1;
            world.observe(Observation::Probed(Probed {
                server: watch.server,
                url: watch.url,
                result: Err("connection refused".into()),
            }));
        }
    }
    count
}

#[test]
fn a_booting_server_is_ready_with_its_first_success_and_running_is_not_ready() {
    for health in [HealthSource::Report, HealthSource::Probe] {
        let mut pool = automatic("cloud");
        pool.health = health;
        let mut world = World::new(config(vec![pool]));
        world.grow("cloud", 1);
        world.launched("cloud-1", Ok(instance(InstanceState::Running)));
        assert_eq!(world.phase_of("cloud-1"), "booting");
        world.probed("cloud-1", false);
        assert_eq!(world.phase_of("cloud-1"), "booting");
        sign(&mut world, health, "cloud-1");
        assert_eq!(world.phase_of("cloud-1"), "ready");
    }
}

#[test]
fn where_nobody_looks_the_providers_word_counts() {
    let mut pool = automatic("cloud");
    pool.health = HealthSource::None;
    let mut world = World::new(config(vec![pool]));
    world.grow("cloud", 1);
    world.launched("cloud-1", Ok(instance(InstanceState::Pending)));
    assert_eq!(world.phase_of("cloud-1"), "launching");
    world.listed("cloud", vec![(key("cloud-1"), instance(InstanceState::Running))]);
    assert_eq!(
        (world.phase_of("cloud-1"), world.health_of("cloud-1")),
        ("ready", "unknown")
    );
    world.place("room");
    world.pass(3600);
    assert_eq!(world.health_of("cloud-1"), "unknown");
    assert_eq!(world.place_of("room"), "on cloud-1");
}

#[test]
fn an_open_port_makes_no_reporting_server_ready_or_heard() {
    let mut world = World::new(config(vec![looked_at(HealthSource::Report)]));
    world.register("site", "s0");
    world.probed("s0", true);
    assert_eq!(world.phase_of("s0"), "booting");
}

#[test]
fn a_probe_of_an_old_url_says_nothing() {
    let mut world = World::new(config(vec![looked_at(HealthSource::Probe)]));
    world.register("site", "s0");
    world.observe(Observation::Probed(Probed {
        server: id("s0"),
        url: "wss://elsewhere.example".into(),
        result: Ok(()),
    }));
    assert_eq!(world.phase_of("s0"), "booting");
}

#[test]
fn silence_alone_stops_placement_and_nothing_more() {
    let mut world = world_of(HealthSource::Report, 1);
    world.place("room");
    mute(&mut world, [0]);
    world.pass(14);
    assert_eq!(world.health_of("s0"), "ok");
    world.pass(3600);
    assert_eq!(
        (
            world.health_of("s0"),
            world.phase_of("s0"),
            world.place_of("room").as_str()
        ),
        ("silent", "ready", "on s0")
    );
    world.place("next");
    assert_eq!(world.place_of("next"), "waiting");
    assert_eq!(lost(&world), 0);
    world.report("s0", Report::default());
    assert_eq!(
        (world.health_of("s0"), world.place_of("next").as_str()),
        ("ok", "on s0")
    );
    assert_eq!(world.told(|what| matches!(what, What::ServerSilent(_))), 1);
    assert_eq!(world.told(|what| matches!(what, What::ServerRecovered(_))), 1);
}

#[test]
fn lost_is_silence_for_lost_seconds_and_a_failed_probe() {
    let mut world = world_of(HealthSource::Report, 1);
    world.place("room");
    mute(&mut world, [0]);
    world.pass(15 + 50);
    assert_eq!(fail_probes(&mut world), 0, "nobody is asked yet");
    world.probed("s0", false);
    assert_eq!(lost(&world), 0, "a failed probe before that is no witness");
    world.pass(15);
    assert_eq!(fail_probes(&mut world), 1);
    assert_eq!((lost(&world), world.health_of("s0")), (1, "lost"));
    assert_eq!(world.place_of("room"), "moving from s0");
}

#[test]
fn a_probe_that_answers_keeps_a_silent_server_from_being_lost() {
    let mut world = world_of(HealthSource::Report, 1);
    mute(&mut world, [0]);
    world.pass(80);
    world.probed("s0", true);
    assert_eq!((world.health_of("s0"), lost(&world)), ("silent", 0));
    world.effects.clear();
    world.pass(60);
    assert!(fail_probes(&mut world) >= 1, "it is asked again and again");
    assert_eq!(lost(&world), 1);
}

#[test]
fn a_lost_server_is_terminated_after_lost_terminate_seconds_without_a_sign() {
    let mut world = World::new(config(vec![automatic("cloud")]));
    let server = world.launch("cloud");
    world.declare_lost(&server);
    world.pass(890);
    assert_eq!(world.phase_of(&server), "ready");
    world.pass(15);
    assert_eq!(
        (world.phase_of(&server), world.terminations(&server)),
        ("terminating", 1)
    );
}

#[test]
fn a_lost_server_that_shows_life_comes_back_draining_and_its_rooms_are_elsewhere() {
    let mut world = world_of(HealthSource::Report, 1);
    world.place("room");
    let old = world.placement_of("room");
    world.declare_lost("s0");
    world.register("site", "s1");
    world.report("s1", Report::default());
    assert_eq!(world.place_of("room"), "on s1");
    let report = rooms_report(&[("room", 3)]);
    world.report("s0", report.clone());
    assert_eq!(
        (world.health_of("s0"), world.hold_of("s0")),
        ("ok", Some("draining by health".into()))
    );
    assert_eq!(world.place_of("room"), "on s1");
    let told = world.fleet.moved_rooms(&id("s0"), report.rooms.as_deref().unwrap());
    assert_eq!(
        (told.len(), told[0].2.as_ref().map(|s| s.as_str())),
        (1, Some("s1")),
        "its agent is told so"
    );
    assert!(told[0].1.0 > old);
    assert!(!world.server("s0").unwrap().left, "people are on it still");
    world.report_rooms("s0", &[]);
    assert!(world.server("s0").unwrap().left);
}

#[test]
fn a_launched_server_that_comes_back_is_not_ended_while_its_report_names_rooms() {
    let mut world = World::new(config(vec![automatic("cloud")]));
    let server = world.launch("cloud");
    world.place("room");
    world.declare_lost(&server);
    world.report_rooms(&server, &[("room", 3)]);
    assert_eq!(world.phase_of(&server), "ready");
    world.report_rooms(&server, &[]);
    assert_eq!(world.phase_of(&server), "terminating");
}

#[test]
fn a_server_that_comes_back_keeps_an_operators_drain() {
    let mut world = world_of(HealthSource::Report, 1);
    world.place("room");
    world.drain("s0", Some(500));
    world.declare_lost("s0");
    world.report_rooms("s0", &[("room", 1)]);
    assert_eq!(world.hold_of("s0").unwrap(), "draining by operator");
    world.pass(501);
    assert!(world.server("s0").unwrap().left, "its deadline stands");
}

#[test]
fn many_silent_at_once_freeze_the_fleet_and_none_is_declared_lost() {
    let mut world = world_of(HealthSource::Report, 20);
    mute(&mut world, 0..9);
    world.pass(200);
    assert!(world.fleet.is_frozen());
    assert_eq!(
        world.told(|what| matches!(what, What::Frozen(_))),
        2,
        "the pool, and the fleet"
    );
    fail_probes(&mut world);
    for n in 0..9 {
        world.probed(&format!("s{n}"), false);
    }
    assert_eq!(lost(&world), 0);
    assert_eq!(
        world.pool("site").code,
        "frozen",
        "nothing is launched that would only replace them"
    );
    assert_eq!(world.pool("site").retirable, 0);
}

#[test]
fn one_fewer_does_not_freeze() {
    let mut world = world_of(HealthSource::Report, 20);
    mute(&mut world, 0..8);
    world.pass(200);
    assert!(!world.fleet.is_frozen());
}

#[test]
fn a_single_silent_server_is_no_trouble_of_ours() {
    let mut world = world_of(HealthSource::Report, 2);
    mute(&mut world, [0]);
    world.pass(100);
    assert!(!world.fleet.is_frozen());
}

#[test]
fn a_frozen_fleet_asks_no_policy_which_servers_go() {
    let mut world = world_of(HealthSource::Report, 4);
    mute(&mut world, 0..4);
    world.pass(30);
    for _ in 0..20 {
        world.pass(5);
        assert_ne!(world.is_asking(), Some(usher_fleet::advice::Direction::Down));
    }
}

#[test]
fn one_frozen_pool_lets_the_others_shrink() {
    let mut dead = looked_at(HealthSource::Report);
    dead.name = id("dead");
    let mut world = World::new(config(vec![dead, external("site")]));
    for n in 0..2 {
        world.register("dead", &format!("d{n}"));
        world.report(&format!("d{n}"), Report::default());
    }
    for n in 0..5 {
        world.register("site", &format!("s{n}"));
    }
    world.pass(400);
    assert!(world.fleet.is_frozen());
    assert_eq!(world.shrink("site", &["s0"]), ("accepted", ""));
    world.pass(60);
    assert_eq!(world.shrink("dead", &["d0"]), ("refused", "frozen"));
}

#[test]
fn a_frozen_fleet_still_launches_for_rooms_that_wait() {
    let mut world = World::new(config(vec![automatic("cloud")]));
    let servers = [world.launch("cloud"), world.launch("cloud")];
    world.pass(60);
    assert!(servers.iter().all(|server| world.health_of(server) == "silent"));
    assert_eq!(world.grow("cloud", 1), ("refused", "frozen"));
    world.place("room");
    assert_eq!(world.grow("cloud", 1), ("accepted", ""));
}

#[test]
fn thawed_at_most_a_tenth_a_minute_is_declared_lost() {
    let mut world = world_of(HealthSource::Report, 40);
    mute(&mut world, 0..18);
    world.pass(100);
    assert!(world.fleet.is_frozen());
    mute(&mut world, 0..17);
    world.pass(5);
    assert!(!world.fleet.is_frozen());
    assert!(world.told(|what| matches!(what, What::Thawed(_))) >= 1);
    let mut most = 0;
    let mut before = 0;
    for _ in 0..3 {
        for _ in 0..11 {
            for n in 0..17 {
                world.probed(&format!("s{n}"), false);
            }
            world.pass(5);
        }
        most = most.max(lost(&world) - before);
        before = lost(&world);
        world.pass(6);
    }
    assert_eq!(most, 4);
    assert!(before >= 12, "but every minute some");
}

#[test]
fn removing_the_silent_servers_thaws_the_rest() {
    let mut world = world_of(HealthSource::Report, 4);
    mute(&mut world, 0..2);
    world.pass(60);
    assert!(world.fleet.is_frozen());
    for server in ["s0", "s1"] {
        world.remove(server, true);
    }
    world.pass(10);
    assert!(!world.fleet.is_frozen());
}

#[test]
fn servers_that_have_left_may_fall_silent_without_a_freeze() {
    let mut world = world_of(HealthSource::Report, 4);
    for server in ["s0", "s1"] {
        world.drain(server, None);
        assert!(world.server(server).unwrap().left);
    }
    mute(&mut world, 0..2);
    world.pass(60);
    assert_eq!(world.health_of("s0"), "silent");
    assert!(!world.fleet.is_frozen());
}

#[test]
fn after_a_restart_no_server_is_silent_and_none_takes_rooms_before_it_is_heard() {
    let mut world = world_of(HealthSource::Report, 1);
    mute(&mut world, [0]);
    world.pass(60);
    world.restart();
    assert_eq!(world.health_of("s0"), "unknown");
    world.place("room");
    assert_eq!(world.place_of("room"), "waiting");
    world.report("s0", Report::default());
    assert_eq!(world.place_of("room"), "on s0");
}

#[test]
fn a_gap_of_ours_makes_no_server_silent() {
    let mut world = world_of(HealthSource::Report, 3);
    world.now.0 += 24 * 3_600_000;
    world.observe(Observation::Gap);
    assert_eq!((0..3).filter(|n| world.health_of(&format!("s{n}")) == "ok").count(), 3);
    world.pass(14);
    assert_eq!(world.told(|what| matches!(what, What::ServerSilent(_))), 0);
}

#[test]
fn a_lost_server_stays_lost_over_a_restart() {
    let mut world = world_of(HealthSource::Report, 1);
    world.declare_lost("s0");
    world.restart();
    assert_eq!(world.health_of("s0"), "lost");
}

#[test]
fn a_drained_server_is_not_ended_before_it_is_heard_after_a_restart() {
    let mut world = World::new(config(vec![automatic("cloud")]));
    let server = world.launch("cloud");
    world.report_rooms(&server, &[("stranger", 3)]);
    world.drain(&server, None);
    assert_eq!(world.phase_of(&server), "ready", "a room in its last report is a room");
    world.restart();
    assert_eq!(world.phase_of(&server), "ready");
    world.report_rooms(&server, &[("stranger", 3)]);
    assert_eq!(world.phase_of(&server), "ready");
    world.report_rooms(&server, &[]);
    assert_eq!(world.phase_of(&server), "terminating");
}

#[test]
fn a_drained_server_that_falls_silent_waits_until_it_is_heard() {
    let mut world = World::new(config(vec![automatic("cloud")]));
    let server = world.launch("cloud");
    world.place("room");
    world.drain(&server, None);
    world.pass(20);
    world.release("room");
    assert_eq!((world.health_of(&server), world.phase_of(&server)), ("silent", "ready"));
    world.report(&server, Report::default());
    assert_eq!(world.phase_of(&server), "terminating");
}

#[test]
fn a_probed_server_is_watched_from_its_url_on_and_no_longer_than_it_lives() {
    let mut world = World::new(config(vec![looked_at(HealthSource::Probe)]));
    let watches = |world: &World| {
        let is = |effect: &&Effect| matches!(effect, Effect::Watch(_));
        world.effects.iter().filter(is).count()
    };
    world.register("site", "s0");
    world.register("site", "s0");
    assert_eq!(watches(&world), 1, "once for a URL");
    world.restart();
    assert_eq!(watches(&world), 1, "again after a restart");
    world.remove("s0", false);
    assert!(matches!(world.effects.last(), Some(Effect::Unwatch(server)) if server.as_str() == "s0"));
}
