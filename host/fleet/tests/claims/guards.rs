//! The guards, each under its key: true whatever a policy says.

use std::time::Duration;

use usher_fleet::advice::{Direction, Placement, ScaleAdvice};
use usher_fleet::config::{FleetConfig, FleetGuards, HealthSource, PoolGuards};
use usher_fleet::event::What;
use usher_fleet::ids::ServerNo;
use usher_fleet::observation::{InstanceState, Report};
use usher_fleet::units::Microdollars;
use usher_fleet::{Effect, Fleet, Timestamp};

use crate::world::{
    World, automatic, config, external, first_fit, guarded, id, instance, labels, of_tenant, plain, seats,
};

/// Guards that do not stand in the way of scaling down.
fn eager() -> PoolGuards {
    PoolGuards {
        server_life_min: Duration::ZERO,
        scale_down_cooldown: Duration::ZERO,
        ..PoolGuards::default()
    }
}

fn cloud(guards: PoolGuards) -> World {
    let mut world = World::new(config(vec![guarded("cloud", guards)]));
    world.mute = Some(Default::default());
    world
}

fn fleet_wide(change: impl FnOnce(&mut FleetConfig)) -> World {
    let mut other = automatic("other");
    other.price_per_hour = Microdollars(100_000);
    let mut config = config(vec![automatic("cloud"), other]);
    change(&mut config);
    let mut world = World::new(config);
    world.mute = Some(Default::default());
    world
}

/// A policy that insists on the first server, whatever it sees.
fn insist(world: &mut World) {
    world.chain.links = vec![Box::new(|_, _| Ok(Placement::On(ServerNo(1))))];
}

fn refused(world: &World) -> &'static str {
    world.decisions.last().expect("it was asked for").code
}

#[test]
fn the_defaults_are_those_of_the_design() {
    let seconds = Duration::from_secs;
    let expected = PoolGuards {
        servers_min: 0,
        servers_max: 10,
        launches_in_flight_max: 10,
        launches_per_minute_max: 60,
        drains_in_flight_max: None,
        server_life_min: seconds(300),
        scale_up_cooldown: seconds(0),
        scale_down_cooldown: seconds(60),
        boot_failures_max: 2,
        boot_failures_window: 4,
        boot_max: seconds(900),
        cpu_permille_max: Some(900),
        egress_kbps_max: None,
        room_failures_max: 5,
        drain_deadline: None,
    };
    assert_eq!(PoolGuards::default(), expected);
    let expected = FleetGuards {
        servers_max: 100,
        price_per_hour_max: None,
        price_per_month_max: None,
        waiting_rooms_max: 10_000,
        waiting_max: seconds(1200),
        freeze_silent_percent: 45,
    };
    assert_eq!(FleetGuards::default(), expected);
}

#[test]
fn a_policy_that_insists_never_exceeds_a_limit() {
    let mut world = World::with_servers(&["s1"]);
    insist(&mut world);
    world.place_as("a", seats(451));
    world.place_as("b", seats(50));
    assert_eq!(
        (world.place_of("b").as_str(), refused(&world)),
        ("waiting", "seats_max")
    );
    for n in 0..9 {
        world.place_as(&format!("one-{n}"), seats(1));
    }
    world.place_as("eleventh", seats(2));
    assert_eq!(
        (world.place_of("eleventh").as_str(), refused(&world)),
        ("waiting", "rooms_max")
    );
}

#[test]
fn a_server_that_does_not_exist_is_no_place() {
    let mut world = World::with_servers(&[]);
    insist(&mut world);
    world.place("room");
    assert_eq!(
        (world.place_of("room").as_str(), refused(&world)),
        ("waiting", "unknown_server")
    );
}

#[test]
fn a_pools_only_is_enforced_whatever_a_policy_answers() {
    let mut vip = external("site");
    vip.only = [("tenant".to_owned(), vec!["acme".to_owned()])].into();
    let mut world = World::new(config(vec![vip, external("rest")]));
    world.register("site", "s1");
    insist(&mut world);
    world.place_as("theirs", of_tenant("acme"));
    world.place_as("others", of_tenant("blue"));
    world.place_as("nobodys", plain());
    assert_eq!(world.place_of("theirs"), "on s1");
    assert_eq!(
        (world.place_of("others"), world.place_of("nobodys")),
        ("waiting".into(), "waiting".into())
    );
    assert_eq!(refused(&world), "only");
}

#[test]
fn a_pools_only_may_name_labels_of_rooms_and_refuses_what_no_pool_lets_in() {
    let mut pool = external("site");
    pool.only = [("kind".to_owned(), vec!["webinar".to_owned()])].into();
    let mut world = World::new(config(vec![pool]));
    world.register("site", "s1");
    let of_kind = |kind| usher_fleet::room::RoomWish {
        labels: labels(&[("kind", kind)]),
        ..plain()
    };
    world.place_as("webinar", of_kind("webinar"));
    assert_eq!(world.place_of("webinar"), "on s1");
    assert_eq!(
        crate::world::code(world.place_as("call", of_kind("call"))),
        "no_such_pool_for_room"
    );
    assert_eq!(crate::world::code(world.place("plain")), "no_such_pool_for_room");
}

#[test]
fn what_a_room_requires_its_server_has() {
    let mut world = World::with_servers(&["s1"]);
    let wish = usher_fleet::room::RoomWish {
        require: labels(&[("gpu", "yes")]),
        ..plain()
    };
    assert_eq!(
        crate::world::code(world.place_as("room", wish.clone())),
        "no_such_pool_for_room"
    );
    world.register_as("site", "s2", Default::default(), labels(&[("gpu", "yes")]));
    insist(&mut world);
    world.place_as("room", wish.clone());
    assert_eq!(
        (world.place_of("room").as_str(), refused(&world)),
        ("waiting", "require")
    );
    world.chain.links = vec![Box::new(|_, _| Ok(Placement::On(ServerNo(2))))];
    world.observe(usher_fleet::Observation::PoliciesChanged);
    assert_eq!(world.place_of("room"), "on s2");
}

#[test]
fn not_above_the_marks_where_they_are_reported() {
    let mut site = external("site");
    site.guards.egress_kbps_max = Some(800_000);
    let mut world = World::new(config(vec![site]));
    world.register("site", "s1");
    let report = |cpu, egress| Report {
        cpu_permille: cpu,
        egress_kbps: egress,
        ..Report::default()
    };
    for (n, (report, code)) in [
        (report(None, None), ""),
        (report(Some(900), None), ""),
        (report(Some(901), None), "cpu_permille_max"),
        (report(None, Some(800_000)), ""),
        (report(Some(10), Some(800_001)), "egress_kbps_max"),
    ]
    .into_iter()
    .enumerate()
    {
        world.report("s1", report);
        insist(&mut world);
        let room = format!("room-{n}");
        world.place_as(&room, seats(n as u32 + 1));
        assert_eq!(refused(&world), code);
        world.release(&room);
    }
}

#[test]
fn a_server_with_rooms_is_not_terminated_before_its_drains_deadline() {
    let mut world = cloud(PoolGuards::default());
    let (none, some) = (world.launch("cloud"), world.launch("cloud"));
    insist(&mut world);
    world.place("in-the-ledger");
    world.report_rooms(&some, &[("in-its-report", 4)]);
    world.drain(&none, None);
    world.drain(&some, Some(3600));
    world.mute = Some([id(&some)].into());
    for _ in 0..359 {
        world.pass(10);
        world.report_rooms(&some, &[("in-its-report", 4)]);
    }
    assert_eq!((world.phase_of(&none), world.phase_of(&some)), ("ready", "ready"));
    world.pass(11);
    assert_eq!((world.phase_of(&none), world.phase_of(&some)), ("ready", "terminating"));
    world.release("in-the-ledger");
    assert_eq!(world.phase_of(&none), "terminating");
}

#[test]
fn at_the_deadline_of_a_drain_its_rooms_are_placed_elsewhere() {
    let mut world = cloud(PoolGuards::default());
    let first = world.launch("cloud");
    world.place("room");
    let second = world.launch("cloud");
    world.drain(&first, Some(60));
    world.pass(59);
    assert_eq!(
        world.place_of("room"),
        format!("on {first}"),
        "a drain never moves a room"
    );
    world.pass(2);
    assert_eq!(
        (world.phase_of(&first), world.place_of("room")),
        ("terminating", format!("on {second}"))
    );
}

#[test]
fn a_drain_has_no_deadline_unless_its_command_or_the_config_gives_one() {
    for (of_config, of_command, seconds) in [
        (None, None, None),
        (Some(100), None, Some(100)),
        (Some(100), Some(50), Some(50)),
    ] {
        let guards = PoolGuards {
            drain_deadline: of_config.map(Duration::from_secs),
            ..PoolGuards::default()
        };
        let mut world = cloud(guards);
        let server = world.launch("cloud");
        world.place("room");
        world.drain(&server, of_command);
        match seconds {
            None => {
                world.pass(48 * 3600 / 4);
                assert_eq!(world.phase_of(&server), "ready");
            }
            Some(seconds) => {
                world.pass(seconds - 1);
                assert_eq!(world.phase_of(&server), "ready");
                world.pass(2);
                assert_eq!(world.phase_of(&server), "terminating");
            }
        }
    }
}

#[test]
fn the_fleet_keeps_servers_min_itself_and_a_policy_cannot_go_below() {
    let guards = PoolGuards {
        servers_min: 2,
        ..eager()
    };
    let mut world = cloud(guards);
    world.pass(5);
    assert_eq!(world.launches().len(), 2, "without being asked by anybody");
    for server in ["cloud-1", "cloud-2"] {
        world.boot(server);
    }
    assert_eq!(world.shrink("cloud", &["cloud-1"]), ("refused", "servers_min"));
    world.drain("cloud-1", None);
    world.pass(5);
    assert_eq!(world.newest(), "cloud-3", "one that an operator takes away is replaced");
}

#[test]
fn servers_max_counts_from_requested_to_ready() {
    let guards = PoolGuards {
        servers_max: 3,
        ..PoolGuards::default()
    };
    let mut world = cloud(guards);
    world.grow("cloud", 1);
    world.boot("cloud-1");
    world.grow("cloud", 1);
    assert_eq!(world.grow("cloud", 5), ("clamped", "servers_max"));
    assert_eq!(world.launches().len(), 3);
    assert_eq!(world.grow("cloud", 1), ("refused", "servers_max"));
    assert_eq!(
        world.told(|what| matches!(what, What::ScaleRefused(refused) if refused.code == "servers_max")),
        2
    );
    world.remove("cloud-2", false);
    assert_eq!(
        world.grow("cloud", 1),
        ("accepted", ""),
        "one that is being ended counts no more"
    );
}

#[test]
fn fleet_servers_max_is_over_all_pools() {
    let mut world = fleet_wide(|config| config.guards.servers_max = 3);
    world.grow("cloud", 2);
    assert_eq!(world.grow("other", 2), ("clamped", "fleet_servers_max"));
    assert_eq!(world.launches().len(), 3);
    assert_eq!(world.grow("cloud", 1), ("refused", "fleet_servers_max"));
}

#[test]
fn dollars_per_hour_count_all_that_may_be_billed() {
    let mut world = fleet_wide(|config| config.guards.price_per_hour_max = Some(Microdollars(800_000)));
    assert_eq!(world.grow("cloud", 3), ("clamped", "fleet_dollars_per_hour_max"));
    assert_eq!(world.launches().len(), 2, "2 × 0.348 of 0.80");
    assert_eq!(world.grow("other", 2), ("clamped", "fleet_dollars_per_hour_max"));
    assert_eq!(world.launches().len(), 3);
    world.remove("cloud-1", false);
    assert_eq!(
        world.grow("cloud", 1),
        ("refused", "fleet_dollars_per_hour_max"),
        "it may be billed until it is gone"
    );
    world.terminated("cloud-1", Ok(()));
    assert_eq!(world.grow("cloud", 1), ("accepted", ""));
    assert_eq!(
        world.told(|what| matches!(what, What::BudgetNear(near) if near.key == "fleet_dollars_per_hour_max")),
        1
    );
}

#[test]
fn dollars_per_month_stop_launches_and_end_with_the_month() {
    let mut world = fleet_wide(|config| config.guards.price_per_month_max = Some(Microdollars(2_000_000)));
    world.launch("cloud");
    world.pass(5 * 3600);
    assert_eq!(world.grow("cloud", 1), ("refused", "fleet_dollars_per_month_max"));
    assert_eq!(world.phase_of("cloud-1"), "ready", "what runs goes on");
    // From 22 November to 1 December.
    world.mute = None;
    world.now = Timestamp(world.now.0 + 9 * 24 * 3_600_000);
    world.observe(usher_fleet::Observation::Gap);
    world.mute = Some(Default::default());
    assert_eq!(
        world.grow("cloud", 1).1,
        "fleet_dollars_per_month_max",
        "a night of one server is dear already"
    );
    world.remove("cloud-1", false);
    world.terminated("cloud-1", Ok(()));
    world.now = Timestamp(world.now.0 + 31 * 24 * 3_600_000);
    assert_eq!(world.grow("cloud", 1), ("accepted", ""));
}

#[test]
fn launches_in_flight_are_those_that_no_provider_has_answered() {
    let guards = PoolGuards {
        launches_in_flight_max: 2,
        ..PoolGuards::default()
    };
    let mut world = cloud(guards);
    assert_eq!(world.grow("cloud", 5), ("clamped", "launches_in_flight_max"));
    assert_eq!(world.launches().len(), 2);
    world.launched("cloud-1", Ok(instance(InstanceState::Pending)));
    assert_eq!(world.grow("cloud", 5), ("clamped", "launches_in_flight_max"));
    assert_eq!(world.launches().len(), 3);
}

#[test]
fn launches_per_minute_are_counted_over_any_minute() {
    let guards = PoolGuards {
        launches_per_minute_max: 3,
        ..PoolGuards::default()
    };
    let mut world = cloud(guards);
    assert_eq!(world.grow("cloud", 2), ("accepted", ""));
    let begun = world.now;
    world.pass(30);
    assert_eq!(world.grow("cloud", 5), ("clamped", "launches_per_minute_max"));
    assert_eq!(world.grow("cloud", 1), ("refused", "launches_per_minute_max"));
    world.pass(60 - world.now.since(begun).as_secs());
    assert_eq!(world.grow("cloud", 5), ("clamped", "launches_per_minute_max"));
    assert_eq!(world.launches().len(), 5);
}

#[test]
fn drains_in_flight_are_those_of_policies_on_servers_with_rooms() {
    let mut world = cloud(eager());
    let servers: Vec<String> = (0..4).map(|_| world.launch("cloud")).collect();
    for n in 0..4 {
        world.chain.links = vec![Box::new(move |_, _| Ok(Placement::On(ServerNo(n + 1))))];
        world.place(&format!("room-{n}"));
    }
    world.drain(&servers[0], None);
    assert_eq!(
        world.shrink("cloud", &[&servers[1]]),
        ("accepted", ""),
        "an operator's drain does not count"
    );
    assert_eq!(
        world.shrink("cloud", &[&servers[2]]),
        ("refused", "drains_in_flight_max"),
        "one, or 10 %"
    );
    world.release("room-3");
    assert_eq!(
        world.shrink("cloud", &[&servers[3]]),
        ("accepted", ""),
        "an empty one is not in flight"
    );
    world.release("room-1");
    assert_eq!(world.phase_of(&servers[1]), "terminating");
    assert_eq!(world.shrink("cloud", &[&servers[2]]), ("accepted", ""));
}

#[test]
fn drains_in_flight_max_of_the_config_counts() {
    let guards = PoolGuards {
        drains_in_flight_max: Some(2),
        ..eager()
    };
    let mut world = cloud(guards);
    let servers: Vec<String> = (0..3).map(|_| world.launch("cloud")).collect();
    for n in 0..3 {
        world.chain.links = vec![Box::new(move |_, _| Ok(Placement::On(ServerNo(n + 1))))];
        world.place(&format!("room-{n}"));
    }
    let all: Vec<&str> = servers.iter().map(String::as_str).collect();
    assert_eq!(world.shrink("cloud", &all), ("refused", "drains_in_flight_max"));
    let held = servers.iter().filter(|server| world.hold_of(server).is_some()).count();
    assert_eq!(held, 2);
}

#[test]
fn what_a_policy_drained_is_resumed_before_anything_is_launched() {
    let mut world = cloud(eager());
    let server = world.launch("cloud");
    world.place("room");
    assert_eq!(world.shrink("cloud", &[&server]), ("accepted", ""));
    assert_eq!(world.hold_of(&server).unwrap(), "draining by policy");
    let launches = world.launches().len();
    assert_eq!(world.grow("cloud", 1), ("accepted", ""));
    assert_eq!((world.hold_of(&server), world.launches().len()), (None, launches));
    assert_eq!(world.grow("cloud", 1), ("accepted", ""));
    assert_eq!(world.launches().len(), launches + 1);
}

#[test]
fn nothing_but_a_policys_drain_is_ever_resumed() {
    let mut world = cloud(eager());
    let (operators, own, cordoned) = (world.launch("cloud"), world.launch("cloud"), world.launch("cloud"));
    for n in 0..3 {
        world.chain.links = vec![Box::new(move |_, _| Ok(Placement::On(ServerNo(n + 1))))];
        world.place(&format!("room-{n}"));
    }
    world.drain(&operators, None);
    // It would say in its next report that it stays.
    world.mute = Some([id(&own)].into());
    world.report(
        &own,
        Report {
            draining: true,
            ..Report::default()
        },
    );
    world.cordon(&cordoned);
    let launches = world.launches().len();
    assert_eq!(world.grow("cloud", 2), ("accepted", ""));
    assert_eq!(world.launches().len(), launches + 2);
    assert_eq!(world.hold_of(&operators).unwrap(), "draining by operator");
    assert_eq!(world.hold_of(&own).unwrap(), "draining by server");
    assert_eq!(world.hold_of(&cordoned).unwrap(), "cordoned by operator");
}

#[test]
fn a_server_lives_server_life_seconds_min_from_ready_on() {
    let guards = PoolGuards {
        scale_down_cooldown: Duration::ZERO,
        ..PoolGuards::default()
    };
    let mut world = cloud(guards);
    world.grow("cloud", 1);
    world.pass(200);
    world.boot("cloud-1");
    let ready = world.now;
    world.restart();
    world.report("cloud-1", Report::default());
    world.pass(280);
    assert_eq!(
        world.shrink("cloud", &["cloud-1"]),
        ("refused", "server_life_seconds_min")
    );
    world.pass(300u64.saturating_sub(world.now.since(ready).as_secs()));
    assert_eq!(world.shrink("cloud", &["cloud-1"]), ("accepted", ""));
    assert_eq!(world.phase_of("cloud-1"), "terminating");
}

#[test]
fn the_cool_downs_hold_over_a_restart() {
    let guards = PoolGuards {
        scale_up_cooldown: Duration::from_secs(120),
        server_life_min: Duration::ZERO,
        ..PoolGuards::default()
    };
    let mut world = cloud(guards);
    assert_eq!(world.grow("cloud", 2), ("accepted", ""));
    world.boot("cloud-1");
    world.boot("cloud-2");
    assert_eq!(world.grow("cloud", 1), ("refused", "scale_up_cooldown"));
    assert_eq!(world.shrink("cloud", &["cloud-1"]), ("accepted", ""));
    assert_eq!(world.shrink("cloud", &["cloud-2"]), ("refused", "scale_down_cooldown"));
    world.restart();
    world.report("cloud-2", Report::default());
    assert_eq!(world.grow("cloud", 1), ("refused", "scale_up_cooldown"));
    assert_eq!(world.shrink("cloud", &["cloud-2"]), ("refused", "scale_down_cooldown"));
    world.pass(120);
    assert_eq!(world.grow("cloud", 1), ("accepted", ""));
    assert_eq!(world.shrink("cloud", &["cloud-2"]), ("accepted", ""));
}

#[test]
fn the_minimum_is_kept_in_spite_of_a_cool_down_and_of_the_kill_switch() {
    let guards = PoolGuards {
        servers_min: 1,
        scale_up_cooldown: Duration::from_secs(600),
        ..PoolGuards::default()
    };
    let mut world = cloud(guards);
    world.set_scaling("cloud", false);
    world.pass(5);
    assert_eq!(world.launches().len(), 1);
    assert_eq!(world.grow("cloud", 1), ("refused", "scaling_disabled"));
}

#[test]
fn the_kill_switch_stops_policies_both_ways_and_holds_over_a_restart() {
    let mut world = cloud(eager());
    let server = world.launch("cloud");
    world.set_scaling("cloud", false);
    world.restart();
    world.report(&server, Report::default());
    assert_eq!(world.grow("cloud", 1), ("refused", "scaling_disabled"));
    assert_eq!(world.shrink("cloud", &[&server]), ("refused", "scaling_disabled"));
    world.set_scaling("cloud", true);
    assert_eq!(world.shrink("cloud", &[&server]), ("accepted", ""));
}

#[test]
fn a_server_that_is_silent_or_was_never_heard_is_not_idle() {
    let mut world = cloud(eager());
    let server = world.launch("cloud");
    world.mute = Some([id(&server)].into());
    world.pass(30);
    assert_eq!(world.shrink("cloud", &[&server]), ("refused", "silent"));
    world.restart();
    let ask = world.asked(Direction::Down);
    let shrinkage = world.shrinkage("cloud", &[&server]);
    world.answer(&ask, Ok(ScaleAdvice::Down(vec![shrinkage])), true);
    let code = world.decisions.last().unwrap().code;
    assert!(["not_heard_yet", "silent"].contains(&code), "{code}");
    assert_eq!(world.phase_of(&server), "ready");
}

#[test]
fn a_server_that_starts_or_is_held_is_not_retired() {
    let mut world = cloud(eager());
    world.grow("cloud", 1);
    assert_eq!(world.shrink("cloud", &["cloud-1"]), ("refused", "not_ready"));
    world.boot("cloud-1");
    world.cordon("cloud-1");
    assert_eq!(world.shrink("cloud", &["cloud-1"]), ("refused", "held"));
    let ask = world.asked(Direction::Down);
    let mut shrinkage = world.shrinkage("cloud", &["cloud-1"]);
    shrinkage.servers[0].server = ServerNo(77);
    world.answer(&ask, Ok(ScaleAdvice::Down(vec![shrinkage])), true);
    assert_eq!(world.decisions.last().unwrap().code, "unknown_server");
}

#[test]
fn what_the_guards_would_let_be_done_is_in_the_view() {
    let guards = PoolGuards {
        servers_max: 3,
        servers_min: 1,
        ..eager()
    };
    let mut world = cloud(guards);
    world.pass(5);
    world.boot("cloud-1");
    world.launch("cloud");
    let _ = world.asked_anew(Direction::Up);
    let states: Vec<_> = states(&world.fleet);
    assert_eq!((states[0].launchable, states[0].retirable), (1, 1));
}

fn states(fleet: &Fleet) -> Vec<usher_fleet::view::PoolStateRow> {
    let state = |change| match change {
        usher_fleet::ViewChange::PoolState(row) => Some(row),
        _ => None,
    };
    fleet
        .changes_since(usher_fleet::Cursor::START)
        .filter_map(state)
        .collect()
}

#[test]
fn a_refused_advice_goes_to_the_next_in_the_chain_and_is_recorded() {
    let mut world = World::with_servers(&["s1", "s2"]);
    world.cordon("s1");
    world.chain.links = vec![Box::new(|_, _| Ok(Placement::On(ServerNo(1)))), Box::new(first_fit)];
    world.place("room");
    assert_eq!(world.place_of("room"), "on s2");
    let verdicts: Vec<_> = world.decisions.iter().map(|made| (made.verdict, made.code)).collect();
    assert_eq!(verdicts, [("refused", "held"), ("accepted", "")]);
    assert_eq!(
        world.decisions[0].no, world.decisions[1].no,
        "one decision, two policies"
    );
}

#[test]
fn a_probed_pool_is_guarded_the_same() {
    let mut pool = automatic("cloud");
    pool.health = HealthSource::Probe;
    let mut world = World::new(config(vec![pool]));
    world.grow("cloud", 1);
    world.launched("cloud-1", Ok(instance(InstanceState::Running)));
    assert!(world.effects.iter().any(|effect| matches!(effect, Effect::Watch(_))));
    insist(&mut world);
    world.place("room");
    assert_eq!(refused(&world), "not_ready");
    world.probed("cloud-1", true);
    assert_eq!(world.place_of("room"), "on cloud-1");
}
