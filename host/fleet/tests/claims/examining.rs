//! What is found out about a server that never became ready, and which ones stay to be looked at.

use usher_fleet::config::PoolConfig;
use usher_fleet::event::{ServerFailed, What};
use usher_fleet::observation::{Evidence, Examined, InstanceState};
use usher_fleet::server::BootPhase;
use usher_fleet::units::Microdollars;
use usher_fleet::{Effect, Observation};

use crate::world::{World, automatic, config, instance, key};

/// A pool whose provider has consoles, and which keeps so many.
fn cloud(keep_failed_servers: u32) -> World {
    World::new(config(vec![PoolConfig {
        leaves_evidence: true,
        keep_failed_servers,
        ..automatic("cloud")
    }]))
}

/// Launches a server that runs and never says a word.
fn failed(world: &mut World) -> String {
    assert_eq!(world.grow("cloud", 1), ("accepted", ""));
    let server = world.newest();
    world.launched(&server, Ok(instance(InstanceState::Running)));
    world.pass(901);
    server
}

fn examined(world: &mut World, server: &str, cause: Option<&str>, console: &str) {
    let evidence = Evidence {
        cause: cause.map(str::to_owned),
        console: Some(console.to_owned()),
    };
    let key = key(server);
    world.observe(Observation::Examined(Examined { key, evidence }));
}

fn examinations(world: &World) -> usize {
    let is_one = |effect: &&Effect| matches!(effect, Effect::Examine(_));
    world.effects.iter().filter(is_one).count()
}

/// Returns what was told of the servers that have failed.
fn told(world: &World) -> Vec<&ServerFailed> {
    let all = world.events.iter().filter_map(|event| match &event.what {
        What::ServerFailed(failed) => Some(failed),
        _ => None,
    });
    all.collect()
}

#[test]
fn what_never_became_ready_is_examined_before_it_is_ended() {
    let mut world = cloud(0);
    let server = failed(&mut world);
    assert_eq!((world.phase_of(&server), examinations(&world)), ("failed", 1));
    assert_eq!((told(&world).len(), world.terminations(&server)), (0, 0));
    assert_eq!(world.pool("cloud").servers_ending, 1);
    examined(&mut world, &server, None, "agent: no route to host");
    let [told] = told(&world)[..] else { panic!("once") };
    assert_eq!(told.console.as_deref(), Some("agent: no route to host"));
    assert_eq!((told.last_phase, told.is_kept), (Some(BootPhase::Booting), false));
    assert!(
        told.server.reason.contains("boot_seconds_max"),
        "{}",
        told.server.reason
    );
    assert_eq!(
        (world.phase_of(&server), world.terminations(&server)),
        ("terminating", 1)
    );
    // Another answer is none.
    examined(&mut world, &server, None, "late");
    assert_eq!(world.told(|what| matches!(what, What::ServerFailed(_))), 1);
}

#[test]
fn why_an_instance_ended_by_itself_stands_in_the_reason() {
    let mut world = cloud(1);
    assert_eq!(world.grow("cloud", 1), ("accepted", ""));
    world.launched("cloud-1", Ok(instance(InstanceState::Ended)));
    let cause = "Server.InternalError: Internal error on launch";
    examined(&mut world, "cloud-1", Some(cause), "");
    let [told] = told(&world)[..] else { panic!("once") };
    assert!(told.server.reason.ends_with(cause), "{}", told.server.reason);
    assert_eq!(told.last_phase, Some(BootPhase::Launching));
    assert_eq!(world.phase_of("cloud-1"), "terminating", "there is nothing to look at");
}

#[test]
fn a_provider_that_finds_nothing_in_time_holds_up_no_end() {
    let mut world = cloud(0);
    let server = failed(&mut world);
    world.pass(18);
    assert_eq!(world.phase_of(&server), "failed");
    world.pass(2);
    assert_eq!(
        (world.phase_of(&server), world.terminations(&server)),
        ("terminating", 1)
    );
    assert_eq!(told(&world)[0].console.as_deref(), Some("not read within 20 s"));
}

#[test]
fn it_is_examined_again_after_a_restart() {
    let mut world = cloud(0);
    let server = failed(&mut world);
    world.effects.clear();
    world.restart();
    assert_eq!((world.phase_of(&server), examinations(&world)), ("failed", 1));
    examined(&mut world, &server, None, "login:");
    assert_eq!((told(&world).len(), world.terminations(&server)), (1, 1));
}

#[test]
fn an_operator_may_end_it_meanwhile() {
    let mut world = cloud(1);
    let server = failed(&mut world);
    world.remove(&server, false);
    assert_eq!(world.phase_of(&server), "terminating");
    examined(&mut world, &server, None, "login:");
    assert_eq!(
        (world.phase_of(&server), world.terminations(&server)),
        ("terminating", 1)
    );
}

#[test]
fn so_many_are_kept_and_paid_for_until_they_are_removed() {
    let mut world = cloud(1);
    let kept = failed(&mut world);
    examined(&mut world, &kept, None, "login:");
    assert_eq!((world.phase_of(&kept), told(&world)[0].is_kept), ("failed", true));
    let next = failed(&mut world);
    examined(&mut world, &next, None, "login:");
    assert_eq!((world.phase_of(&next), told(&world)[1].is_kept), ("terminating", false));
    world.terminated(&next, Ok(()));
    world.restart();
    world.pass(3600);
    assert_eq!((world.phase_of(&kept), world.terminations(&kept)), ("failed", 0));
    assert_eq!(world.pool("cloud").price_per_hour, Microdollars(348_000));
    world.remove(&kept, false);
    assert_eq!((world.phase_of(&kept), world.terminations(&kept)), ("terminating", 1));
}

#[test]
fn a_kept_one_does_not_stand_in_the_way_of_the_next_server() {
    let mut world = World::new(config(vec![PoolConfig {
        keep_failed_servers: 1,
        guards: usher_fleet::config::PoolGuards {
            servers_max: 1,
            ..Default::default()
        },
        ..automatic("cloud")
    }]));
    let kept = failed(&mut world);
    assert_eq!(world.phase_of(&kept), "failed", "also where there are no consoles");
    assert_eq!(world.grow("cloud", 1), ("accepted", ""));
}

#[test]
fn a_kept_one_whose_instance_has_gone_is_forgotten() {
    let mut world = cloud(1);
    let kept = failed(&mut world);
    examined(&mut world, &kept, None, "login:");
    for _ in 0..2 {
        world.pass(60);
        world.listed("cloud", Vec::new());
    }
    assert_eq!((world.phase_of(&kept), world.terminations(&kept)), ("terminating", 1));
    world.terminated(&kept, Ok(()));
    assert_eq!(world.phase_of(&kept), "gone");
}
