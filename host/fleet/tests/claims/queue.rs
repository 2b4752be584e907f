//! The queue: who comes first, who is asked again, what a room waits for, and for how long.

use usher_fleet::advice::{Direction, Placement, ScaleAdvice};
use usher_fleet::command::RoomOutcome;
use usher_fleet::config::{HealthSource, Labels, Limits};
use usher_fleet::event::What;
use usher_fleet::observation::{InstanceState, Report};
use usher_fleet::status::WaitingFor;
use usher_fleet::{Input, Observation, Reply};

use crate::world::{World, automatic, code, config, external, first_fit, instance, of_tenant, seats};

fn wait(again_seconds: u32) -> Placement {
    Placement::Wait {
        pool: None,
        again_seconds,
    }
}

fn small(rooms_max: u32) -> Limits {
    Limits {
        rooms_max: Some(rooms_max),
        ..Limits::default()
    }
}

#[test]
fn capacity_that_appears_goes_to_the_oldest_first() {
    let mut world = World::with_servers(&[]);
    for n in 0..12 {
        world.place_as(&format!("room-{n}"), seats(1 + n % 3));
    }
    world.register("site", "s1");
    for n in 0..10 {
        assert_eq!(world.place_of(&format!("room-{n}")), "on s1");
    }
    assert_eq!((world.wait_of("room-10").0, world.wait_of("room-11").0), (1, 2));
}

#[test]
fn a_newer_request_waits_behind_what_has_not_been_offered_yet() {
    let mut world = World::with_servers(&[]);
    // More groups than one input offers.
    for n in 0..300 {
        world.place_as(&format!("room-{n}"), seats(100 + n));
    }
    let limits = Limits {
        rooms_max: Some(300),
        seats_max: Some(1_000_000),
        load_max: None,
    };
    let register = |server: &str| {
        usher_fleet::Command::RegisterServer(usher_fleet::command::RegisterServer {
            server: crate::world::id(server),
            pool: crate::world::id("site"),
            url: "wss://s1.example".into(),
            endpoints: Default::default(),
            zone: None,
            limits,
            labels: Labels::new(),
        })
    };
    world.step(Input::Command(register("s1")));
    assert_eq!(world.used_of("s1").0, 256, "one input offers so many");
    assert_eq!(
        world.fleet.next_deadline(),
        Some(world.now),
        "and the next is wanted at once"
    );
    world.place_as("newer", seats(1));
    assert_eq!(world.place_of("room-299"), "on s1");
    assert_eq!(
        world.place_of("newer"),
        "waiting",
        "the last place went to the older room"
    );
}

#[test]
fn a_room_that_fits_nowhere_does_not_block_those_behind_it() {
    let mut world = World::with_servers(&["s1"]);
    world.place_as("most", seats(400));
    world.place_as("big", seats(200));
    world.place_as("small", seats(50));
    assert_eq!(
        (world.place_of("big"), world.place_of("small")),
        ("waiting".into(), "on s1".into())
    );
}

#[test]
fn a_group_that_fits_nowhere_is_asked_for_again_only_when_capacity_that_it_could_use_has_grown() {
    let mut world = World::with_servers(&["s1"]);
    world.place_as("most", seats(400));
    for n in 0..50 {
        world.place_as(&format!("big-{n}"), seats(200));
    }
    world.place_as("small", seats(50));
    let asked = |world: &World| world.chain.asked.iter().filter(|room| room.starts_with("big")).count();
    assert_eq!(asked(&world), 1, "the first speaks for all that ask the same");
    world.release("small");
    world.pass(600);
    assert_eq!(asked(&world), 1, "what has grown is too small for it");
    world.release("most");
    assert_eq!(asked(&world), 4, "two fit, and the third shows that no more do");
    assert_eq!(
        (world.place_of("big-0"), world.place_of("big-1")),
        ("on s1".into(), "on s1".into())
    );
    assert_eq!(world.wait_of("big-2").0, 1);
}

#[test]
fn a_change_of_policies_has_every_group_asked_for_again() {
    let mut world = World::with_servers(&["s1"]);
    world.chain.links = vec![Box::new(|_, _| Ok(wait(0)))];
    world.place_as("one", seats(1));
    world.place_as("two", seats(2));
    world.chain.links = vec![Box::new(first_fit)];
    world.pass(60);
    assert_eq!(world.place_of("one"), "waiting");
    world.observe(Observation::PoliciesChanged);
    assert_eq!(
        (world.place_of("one"), world.place_of("two")),
        ("on s1".into(), "on s1".into())
    );
}

#[test]
fn a_policy_that_wants_to_be_asked_again_is_then_and_not_before() {
    let mut world = World::with_servers(&["s1"]);
    world.chain.links = vec![Box::new(|fleet, ask| match ask.waited_seconds {
        0..20 => Ok(wait(20)),
        _ => first_fit(fleet, ask),
    })];
    world.place("room");
    world.pass(19);
    assert_eq!(
        (world.place_of("room").as_str(), world.chain.asked.len()),
        ("waiting", 1)
    );
    world.pass(1);
    assert_eq!((world.place_of("room").as_str(), world.chain.asked.len()), ("on s1", 2));
}

#[test]
fn a_room_overtaken_for_30_seconds_has_the_next_server_that_could_hold_it_kept() {
    let mut world = World::with_servers(&["s1"]);
    world.place_as("a", seats(250));
    world.place_as("b", seats(150));
    world.place_as("big", seats(500));
    world.place_as("over-0", seats(10));
    world.pass(31);
    world.release("over-0");
    // The server gained room after 30 s of overtaking: nobody else comes in any more.
    world.place_as("over-1", seats(10));
    assert_eq!(world.place_of("over-1"), "waiting");
    world.release("a");
    world.place_as("over-2", seats(10));
    assert_eq!(world.place_of("over-2"), "waiting");
    world.release("b");
    assert_eq!(
        world.place_of("big"),
        "on s1",
        "the policy, too, sees the kept server as open for that room"
    );
}

#[test]
fn nothing_is_kept_for_a_room_that_was_overtaken_for_less() {
    let mut world = World::with_servers(&["s1"]);
    world.place_as("a", seats(400));
    world.place_as("big", seats(500));
    world.place_as("over-0", seats(10));
    world.pass(29);
    world.release("over-0");
    world.place_as("over-1", seats(10));
    assert_eq!(world.place_of("over-1"), "on s1");
}

#[test]
fn rooms_that_wait_are_overtaken_by_younger_ones_that_wait_too() {
    let mut world = World::with_servers(&["s1"]);
    world.place_as("full", seats(500));
    world.place_as("big", seats(500));
    world.place_as("a", seats(10));
    world.update("full", None, Some(480));
    assert_eq!(world.place_of("a"), "on s1");
    world.pass(31);
    world.update("full", None, Some(470));
    world.place_as("b", seats(10));
    assert_eq!(world.place_of("b"), "waiting");
}

#[test]
fn a_kept_server_is_open_to_all_when_its_room_goes() {
    for how in ["released", "expired", "placed elsewhere", "asks for less"] {
        let mut world = World::with_servers(&["s1"]);
        world.place_as("a", seats(400));
        world.place_as("big", seats(500));
        world.place_as("over", seats(10));
        world.pass(31);
        world.release("over");
        world.place_as("small", seats(10));
        assert_eq!(world.place_of("small"), "waiting", "{how}");
        match how {
            "released" => world.release("big"),
            "expired" => {
                world.pass(1200 - 32);
                world.place_as("young", seats(11));
                assert_eq!(world.place_of("young"), "waiting");
                world.pass(10);
                assert_eq!(world.place_of("young"), "on s1", "{how}");
                continue;
            }
            "placed elsewhere" => drop(world.register_as("site", "s0", Limits::default(), Labels::new())),
            _ => drop(world.place_as("big", seats(90))),
        }
        assert_eq!(world.place_of("small"), "on s1", "{how}");
    }
}

#[test]
fn a_kept_server_that_is_held_frees_its_room_for_another() {
    let mut world = World::with_servers(&["s1", "s2"]);
    world.place_as("a", seats(400));
    world.place_as("b", seats(400));
    world.place_as("big", seats(500));
    world.place_as("over", seats(10));
    world.pass(31);
    world.release("over");
    world.drain("s1", None);
    world.release("b");
    assert_eq!(world.place_of("big"), "on s2");
}

#[test]
fn a_room_is_told_its_position_and_what_it_waits_for() {
    let mut world = World::new(config(vec![automatic("cloud")]));
    world.place("first");
    world.place_as("second", seats(7));
    assert_eq!(world.wait_of("first"), (1, WaitingFor::Capacity, None));
    assert_eq!(world.wait_of("second"), (2, WaitingFor::Capacity, None));
    // One boot of 40 s, so that the next is expected to take as long.
    world.grow("cloud", 1);
    assert_eq!(world.wait_of("first").1, WaitingFor::Boot);
    let server = world.newest();
    let begun = world.now;
    world.launched(&server, Ok(instance(InstanceState::Running)));
    world.pass(40);
    world.report(&server, Report::default());
    assert_eq!(world.now.since(begun).as_secs(), 40);
    world.mute = Some(Default::default());
    assert_eq!(world.place_of("second"), format!("on {server}"));
    world.place_as("large", seats(490));
    assert_eq!(world.wait_of("large"), (1, WaitingFor::Capacity, Some(40)));
    world.grow("cloud", 1);
    let expected = world.wait_of("large").2.unwrap();
    world.pass(10);
    assert_eq!(world.wait_of("large"), (1, WaitingFor::Boot, Some(expected - 10)));
}

#[test]
fn a_room_waits_for_a_limit_where_a_guard_lets_nothing_be_launched() {
    let mut pool = automatic("cloud");
    pool.guards.servers_max = 0;
    let mut world = World::new(config(vec![pool]));
    world.place("room");
    assert_eq!(world.wait_of("room"), (1, WaitingFor::Limit, None));
}

#[test]
fn a_room_that_only_external_pools_could_hold_waits_for_somebody() {
    let mut world = World::new(config(vec![automatic("cloud"), {
        let mut giants = external("giants");
        giants.limits.seats_max = Some(5000);
        giants
    }]));
    world.place("room");
    world.place_as("giant", seats(1000));
    assert_eq!(world.wait_of("room").1, WaitingFor::Capacity);
    assert_eq!(world.wait_of("giant").1, WaitingFor::NobodyLaunches);
}

#[test]
fn no_more_rooms_wait_than_waiting_rooms_max() {
    let mut config = config(vec![external("site")]);
    config.guards.waiting_rooms_max = 3;
    let mut world = World::new(config);
    for n in 0..3 {
        world.place_as(&format!("room-{n}"), seats(n + 1));
    }
    assert_eq!(code(world.place_as("one-more", seats(9))), "queue_full");
    assert_eq!(code(world.place_as("same", seats(1))), "queue_full");
    assert_eq!(world.place_of("one-more"), "nowhere");
    assert!(matches!(
        world.place_as("room-0", seats(1)),
        Reply::Room(_, RoomOutcome::Waiting)
    ));
    world.register("site", "s1");
    assert!(matches!(
        world.place_as("one-more", seats(9)),
        Reply::Room(_, RoomOutcome::Placed)
    ));
}

#[test]
fn the_queue_keeps_its_order_over_a_restart() {
    let mut world = World::with_servers(&[]);
    for n in 0..30 {
        world.place_as(&format!("room-{n}"), seats(1 + (n * 7) % 5));
    }
    world.restart();
    for n in 0..30 {
        assert_eq!(world.wait_of(&format!("room-{n}")).0, n + 1);
    }
    world.place_as("newest", seats(1));
    assert_eq!(world.wait_of("newest").0, 31);
}

/// A server was launched for the room, and the policy places it nowhere all the same.
fn unplaceable(world: &mut World) {
    world.chain.links = vec![Box::new(|fleet, ask| match ask.room.as_str() {
        "shunned" => Ok(wait(0)),
        _ => first_fit(fleet, ask),
    })];
    world.place_as("shunned", seats(7));
    let ask = world.asked_anew(Direction::Up);
    assert_eq!(ask.demand.waiting_rooms, 1);
    let growth = world.growth("cloud", 1);
    world.answer(&ask, Ok(ScaleAdvice::Up(vec![growth])), true);
    let server = world.newest();
    world.boot(&server);
    world.mute = Some(Default::default());
}

#[test]
fn a_room_still_unplaced_when_its_server_is_ready_buys_no_more() {
    let mut world = World::new(config(vec![automatic("cloud")]));
    unplaceable(&mut world);
    assert_eq!(world.told(|what| matches!(what, What::RoomUnplaceable(_))), 1);
    assert_eq!(world.place_of("shunned"), "waiting");
    let ask = world.asked_anew(Direction::Up);
    assert_eq!((ask.demand.waiting_rooms, ask.demand.wants.len()), (0, 0));
    // Nor when others have filled that server.
    world.place_all("room", 10);
    world.place_as("waits", seats(8));
    let ask = world.asked_anew(Direction::Up);
    assert_eq!(ask.demand.waiting_rooms, 1);
    assert_eq!(world.told(|what| matches!(what, What::RoomUnplaceable(_))), 1);
}

#[test]
fn an_unplaceable_room_is_demand_again_when_the_policies_change() {
    let mut world = World::new(config(vec![automatic("cloud")]));
    unplaceable(&mut world);
    world.place_all("room", 10);
    world.chain.links = vec![Box::new(first_fit)];
    world.observe(Observation::PoliciesChanged);
    assert_eq!(world.place_of("shunned"), "waiting");
    let ask = world.asked_anew(Direction::Up);
    assert_eq!(ask.demand.waiting_rooms, 1);
}

#[test]
fn a_server_that_merely_filled_up_with_others_makes_no_room_unplaceable() {
    let mut world = World::new(config(vec![automatic("cloud")]));
    world.place_all("older", 10);
    world.place_as("last", seats(7));
    world.launch("cloud");
    world.mute = Some(Default::default());
    assert_eq!(world.place_of("last"), "waiting");
    assert_eq!(world.told(|what| matches!(what, What::RoomUnplaceable(_))), 0);
    assert_eq!(world.asked_anew(Direction::Up).demand.waiting_rooms, 1);
}

#[test]
fn a_policy_that_fills_servers_less_far_than_their_limits_still_gets_servers_for_the_rest() {
    let mut world = World::new(config(vec![automatic("cloud")]));
    world.chain.links = vec![Box::new(|fleet, ask| {
        let servers = fleet.servers();
        let half_full = servers
            .iter()
            .all(|server| !server.phase.is_ready() || server.rooms >= 5);
        if half_full { Ok(wait(0)) } else { first_fit(fleet, ask) }
    })];
    world.mute = Some(Default::default());
    world.place_all("room", 12);
    world.launch("cloud");
    assert_eq!(world.used_of(&world.newest()).0, 5);
    assert_eq!(world.told(|what| matches!(what, What::RoomUnplaceable(_))), 0);
    assert_eq!(world.asked_anew(Direction::Up).demand.waiting_rooms, 7);
}

#[test]
fn a_policy_that_isolates_tenants_still_gets_a_server_for_the_next_tenant() {
    let mut world = World::new(config(vec![automatic("cloud")]));
    world.chain.links = vec![Box::new(|fleet, ask| {
        let is_mine = |server: &&usher_fleet::status::ServerStatus| {
            let filter = usher_fleet::RoomFilter {
                server: Some(server.card.name.clone()),
                ..Default::default()
            };
            let (rooms, _) = fleet.rooms(&filter, None, 100);
            server.phase.is_ready()
                && rooms
                    .iter()
                    .all(|room| room.tenant.as_ref().is_some_and(|t| t.as_str() == ask.tenant))
        };
        let servers = fleet.servers();
        let position = servers.iter().position(|server| is_mine(&server));
        Ok(position.map_or(wait(0), |n| Placement::On(usher_fleet::ids::ServerNo(n as u32 + 1))))
    })];
    world.mute = Some(Default::default());
    world.place_as("a", of_tenant("acme"));
    world.place_as("b", of_tenant("blue"));
    let first = world.launch("cloud");
    assert_eq!(
        (world.place_of("a"), world.place_of("b")),
        (format!("on {first}"), "waiting".into())
    );
    assert_eq!(world.asked_anew(Direction::Up).demand.waiting_rooms, 1);
}

#[test]
fn a_policy_may_refuse_a_room_that_waits() {
    let mut world = World::with_servers(&[]);
    world.place("room");
    world.place_as("other", seats(2));
    world.chain.links = vec![Box::new(|fleet, ask| match ask.room.as_str() {
        "room" => Ok(Placement::Reject),
        _ => first_fit(fleet, ask),
    })];
    world.register("site", "s1");
    assert_eq!(
        (world.place_of("room"), world.place_of("other")),
        ("nowhere".into(), "on s1".into())
    );
    assert_eq!(
        world.told(|what| matches!(what, What::RoomExpired(ended) if ended.reason.contains("rejected by link-0"))),
        1
    );
}

#[test]
fn a_room_begins_to_wait_and_scale_up_is_asked_for_in_the_same_batch() {
    let mut world = World::new(config(vec![automatic("cloud")]));
    world.asked(Direction::Down);
    // Nothing is under way now but that question.
    let ask = world.asked(Direction::Up);
    world.answer(&ask, Ok(ScaleAdvice::Up(Vec::new())), true);
    let before = world.now;
    world.place("room");
    let ask = world.asked(Direction::Up);
    assert_eq!((world.now, ask.demand.waiting_rooms), (before, 1));
    assert_eq!((ask.demand.wants[0].rooms, ask.demand.wants[0].seats), (1, 50));
}

#[test]
fn a_server_that_reports_makes_room_for_the_queue_when_its_marks_fall() {
    let mut site = external("site");
    site.health = HealthSource::Report;
    site.guards.egress_kbps_max = Some(1000);
    let mut world = World::new(config(vec![site]));
    world.register_as("site", "s1", small(5), Labels::new());
    let report = |cpu, egress| Report {
        cpu_permille: Some(cpu),
        egress_kbps: Some(egress),
        ..Report::default()
    };
    world.report("s1", report(901, 10));
    world.place("a");
    world.report("s1", report(900, 10));
    assert_eq!(world.place_of("a"), "on s1");
    world.report("s1", report(100, 1001));
    world.place("b");
    assert_eq!(world.decisions.last().unwrap().code, "egress_kbps_max");
    world.report("s1", report(100, 1000));
    assert_eq!(world.place_of("b"), "on s1");
}
