//! Servers that say they go: by their own shutdown, or because their cloud takes the machine away.

use usher_fleet::config::{HealthSource, PoolConfig};
use usher_fleet::event::What;
use usher_fleet::observation::Report;

use crate::world::{World, automatic, code, config, rooms_report};

/// Two servers of 10 rooms, with two rooms on the first.
fn world() -> World {
    let mut world = World::new(config(vec![automatic("cloud")]));
    for _ in 0..2 {
        world.launch("cloud");
    }
    world.place("standup");
    world.place("retro");
    assert_eq!(world.place_of("standup"), "on cloud-1");
    world
}

fn draining() -> Report {
    Report {
        draining: true,
        ..Report::default()
    }
}

fn taken_away(rooms: &[(&str, u32)]) -> Report {
    Report {
        taken_away_seconds: Some(120),
        participants: Some(rooms.iter().map(|(_, participants)| participants).sum()),
        ..rooms_report(rooms)
    }
}

#[test]
fn a_server_that_says_no_more_that_it_shuts_down_takes_rooms_again() {
    let mut world = world();
    world.report("cloud-1", draining());
    assert_eq!(world.hold_of("cloud-1").unwrap(), "draining by server");
    assert_eq!(world.place_of("standup"), "on cloud-1", "a drain moves nobody");
    world.report("cloud-1", Report::default());
    assert_eq!(world.hold_of("cloud-1"), None);
    // What somebody else ordered it does not lift.
    world.cordon("cloud-1");
    world.report("cloud-1", draining());
    world.report("cloud-1", Report::default());
    assert!(world.told(|what| matches!(what, What::ServerUncordoned(_))) >= 1);
}

#[test]
fn a_drain_waits_for_people_whose_rooms_nobody_can_name() {
    let mut world = world();
    let counted = |participants| Report {
        participants: Some(participants),
        ..Report::default()
    };
    world.report("cloud-1", counted(7));
    world.drain("cloud-1", None);
    world.release("standup");
    world.release("retro");
    assert_eq!(world.phase_of("cloud-1"), "ready", "seven are on it still");
    assert_eq!(code(world.remove("cloud-1", false)), "server_has_rooms");
    // A look at the media server that failed counts nobody, and says nothing.
    world.report("cloud-1", Report::default());
    assert_eq!(world.phase_of("cloud-1"), "ready");
    assert_eq!(code(world.remove("cloud-1", false)), "server_has_rooms");
    world.report("cloud-1", counted(1));
    assert_eq!(world.phase_of("cloud-1"), "ready");
    world.report("cloud-1", counted(0));
    assert_eq!(world.phase_of("cloud-1"), "terminating");
}

#[test]
fn after_a_restart_a_probe_does_not_say_that_nobody_is_there() {
    let probed = PoolConfig {
        health: HealthSource::Probe,
        ..automatic("cloud")
    };
    let mut world = World::new(config(vec![probed]));
    let server = world.launch("cloud");
    let counted = |participants| Report {
        participants: Some(participants),
        ..Report::default()
    };
    world.report(&server, counted(7));
    world.drain(&server, None);
    world.restart();
    world.probed(&server, true);
    world.pass(5);
    assert_eq!(
        world.phase_of(&server),
        "ready",
        "its agent may say that somebody is there"
    );
    world.report(&server, counted(7));
    world.pass(60);
    world.probed(&server, true);
    assert_eq!(world.phase_of(&server), "ready");
    // One that has no agent is waited for no longer than any sign is.
    world.restart();
    world.probed(&server, true);
    world.pass(14);
    assert_eq!(world.phase_of(&server), "ready");
    world.probed(&server, true);
    world.pass(1);
    assert_eq!(world.phase_of(&server), "terminating");
}

#[test]
fn rooms_move_at_once_from_a_machine_that_its_cloud_takes_away() {
    let mut world = world();
    world.report("cloud-1", taken_away(&[("standup", 3), ("retro", 2)]));
    assert_eq!(world.hold_of("cloud-1").unwrap(), "draining by spot");
    for room in ["standup", "retro"] {
        assert_eq!(world.place_of(room), "on cloud-2");
    }
    assert!(world.told(|what| matches!(what, What::RoomMoved(_))) >= 2);
    // People are on their way; nobody ends the machine under them.
    world.report("cloud-1", taken_away(&[("standup", 1)]));
    world.report("cloud-1", taken_away(&[]));
    assert_eq!(world.phase_of("cloud-1"), "terminating");
}

#[test]
fn a_machine_that_is_taken_away_is_not_ended_while_people_are_on_it() {
    let mut world = world();
    world.mute = Some(Default::default());
    for _ in 0..5 {
        world.report("cloud-1", taken_away(&[("standup", 1)]));
        world.pass(5);
    }
    assert_eq!(world.phase_of("cloud-1"), "ready");
    assert_eq!(world.terminations("cloud-1"), 0);
}
