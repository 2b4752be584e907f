//! From the intent to launch to the proof that nothing is left: nothing is moved on from that is not known.

use usher_fleet::command::RemoveServer;
use usher_fleet::event::What;
use usher_fleet::ids::Attempt;
use usher_fleet::observation::{InstanceState, Launched, Listed, OrderKey, ProviderError, Report, Terminated};
use usher_fleet::units::Microdollars;
use usher_fleet::{Command, Effect, Input, Observation};

use crate::world::{World, automatic, config, id, instance, key, unknown};

fn cloud() -> World {
    World::new(config(vec![automatic("cloud")]))
}

fn requested() -> World {
    let mut world = cloud();
    assert_eq!(world.grow("cloud", 1), ("accepted", ""));
    world
}

#[test]
fn a_launch_is_durable_before_it_is_ordered_and_has_its_key() {
    let world = requested();
    let launches = world.launches();
    assert_eq!(launches.len(), 1);
    assert_eq!(launches[0].key, key("cloud-1"));
    assert_eq!(world.phase_of("cloud-1"), "requested");
    assert_eq!(
        world.server("cloud-1").unwrap().card.url.as_deref(),
        Some("wss://cloud-1.example")
    );
}

#[test]
fn an_unknown_outcome_is_asked_again_with_the_same_key_and_longer_pauses() {
    let mut world = requested();
    world.effects.clear();
    let mut pauses = Vec::new();
    for _ in 0..9 {
        world.launched("cloud-1", Err(unknown()));
        let begun = world.now;
        while world.launches().is_empty() {
            world.pass(1);
        }
        assert!(world.launches().iter().all(|order| order.key == key("cloud-1")));
        pauses.push(world.now.since(begun).as_secs());
        world.effects.clear();
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    assert_eq!(world.phase_of("cloud-1"), "requested", "it is never moved on from");
    world.launched("cloud-1", Ok(instance(InstanceState::Running)));
    world.pass(120);
    assert!(world.launches().is_empty(), "once answered it is not repeated");
}

#[test]
fn an_order_that_is_never_answered_is_repeated() {
    let mut world = requested();
    world.pass(590);
    assert_eq!(world.launches().len(), 1);
    world.pass(20);
    assert_eq!(world.launches().len(), 2);
    world.remove("cloud-1", false);
    assert_eq!(world.terminations("cloud-1"), 1);
    world.pass(610);
    assert_eq!(world.terminations("cloud-1"), 2);
}

fn misconfigured() -> ProviderError {
    ProviderError::Misconfigured("UnauthorizedOperation".into())
}

#[test]
fn who_may_not_call_any_more_does_not_know_that_an_earlier_call_made_nothing() {
    let mut world = requested();
    world.launched("cloud-1", Err(misconfigured()));
    assert_eq!(
        world.phase_of("cloud-1"),
        "gone",
        "the first and only call has made nothing"
    );
    let mut lost = requested();
    lost.launched("cloud-1", Err(unknown()));
    let mut killed = requested();
    killed.restart();
    for mut world in [lost, killed] {
        world.launched("cloud-1", Err(misconfigured()));
        assert_eq!(world.phase_of("cloud-1"), "terminating");
        assert_eq!(world.terminations("cloud-1"), 1);
        world.terminated("cloud-1", Ok(()));
        assert_eq!(world.phase_of("cloud-1"), "gone");
    }
}

#[test]
fn a_no_is_asked_once_more_while_another_order_of_its_key_is_not_answered() {
    let mut world = requested();
    world.pass(610);
    assert_eq!(world.launches().len(), 2, "repeated for want of an answer");
    let no = ProviderError::NoCapacity("none left".into());
    world.observe(Observation::Launched(Launched {
        key: key("cloud-1"),
        nth: 1,
        result: Err(no.clone()),
    }));
    assert_eq!(
        world.phase_of("cloud-1"),
        "requested",
        "the other may have made something"
    );
    world.pass(2);
    assert_eq!(world.launches().len(), 3);
    world.launched("cloud-1", Ok(instance(InstanceState::Running)));
    assert_eq!(world.phase_of("cloud-1"), "booting");
    // What the last of them was answered is believed, also where another never is.
    let mut world = requested();
    world.pass(610);
    world.launched("cloud-1", Err(no));
    assert_eq!(world.phase_of("cloud-1"), "gone");
}

#[test]
fn a_late_success_is_recorded_and_ended() {
    let mut world = requested();
    world.remove("cloud-1", false);
    world.effects.clear();
    world.launched("cloud-1", Ok(instance(InstanceState::Running)));
    assert_eq!(world.phase_of("cloud-1"), "terminating");
    let Some(Effect::Terminate(order)) = world.effects.last() else {
        panic!("it is not ended: {:?}", world.effects);
    };
    assert_eq!(order.instance.as_deref(), Some("i-1"), "by the name that is known now");
    world.terminated("cloud-1", Ok(()));
    assert_eq!(world.phase_of("cloud-1"), "gone");
}

#[test]
fn no_record_goes_before_the_provider_has_confirmed() {
    let mut world = cloud();
    let server = world.launch("cloud");
    world.remove(&server, false);
    for error in [
        unknown(),
        ProviderError::Refused("protected".into()),
        ProviderError::Misconfigured("token".into()),
    ] {
        let ordered = world.terminations(&server);
        world.terminated(&server, Err(error));
        assert_eq!(world.phase_of(&server), "terminating");
        world.pass(61);
        assert!(world.terminations(&server) > ordered, "it is asked again");
    }
    world.terminated(&server, Ok(()));
    assert_eq!(world.phase_of(&server), "gone");
    assert_eq!(world.told(|what| matches!(what, What::ServerTerminated(_))), 1);
}

#[test]
fn a_confirmed_end_waits_for_the_rooms_that_are_on_their_way() {
    let mut pool = automatic("cloud");
    pool.limits = Default::default();
    let mut world = World::new(config(vec![pool]));
    let server = world.launch("cloud");
    world.place_all("room", 300);
    let remove = Command::RemoveServer(RemoveServer {
        server: id(&server),
        force: true,
    });
    world.step(Input::Command(remove));
    let confirmed = Observation::Terminated(Terminated {
        key: key(&server),
        result: Ok(()),
    });
    world.step(Input::Observation(confirmed));
    assert_eq!(world.phase_of(&server), "terminating", "rooms are on it still");
    world.pass(2);
    assert_eq!(world.used_of(&server).0, 0);
    world.terminated(&server, Ok(()));
    assert_eq!(world.phase_of(&server), "gone");
    assert_eq!(world.place_of("room-299"), "moving from gone-1");
}

#[test]
fn an_answer_to_another_attempt_is_nobodys() {
    let mut world = requested();
    world.observe(Observation::Launched(Launched {
        key: OrderKey {
            server: id("cloud-1"),
            attempt: Attempt(2),
        },
        nth: 1,
        result: Ok(instance(InstanceState::Running)),
    }));
    assert_eq!(world.phase_of("cloud-1"), "requested");
}

#[test]
fn a_restart_orders_again_what_was_owed_and_nothing_else() {
    let mut world = cloud();
    world.grow("cloud", 4);
    world.boot("cloud-1");
    world.launched("cloud-2", Ok(instance(InstanceState::Running)));
    world.remove("cloud-3", false);
    world.restart();
    let launches: Vec<&str> = world.launches().iter().map(|order| order.key.server.as_str()).collect();
    assert_eq!(launches, ["cloud-4"]);
    let ends = |server: &str| world.terminations(server);
    assert_eq!(
        (ends("cloud-1"), ends("cloud-2"), ends("cloud-3"), ends("cloud-4")),
        (0, 0, 1, 0)
    );
    assert!(
        world
            .effects
            .iter()
            .any(|effect| matches!(effect, Effect::List(pool) if pool.as_str() == "cloud"))
    );
}

#[test]
fn numbers_and_names_of_servers_are_never_used_twice() {
    let mut world = requested();
    world.launched("cloud-1", Err(ProviderError::Refused("no".into())));
    assert_eq!(world.phase_of("cloud-1"), "gone");
    world.restart();
    world.pass(60);
    world.grow("cloud", 1);
    assert_eq!(world.newest(), "cloud-2");
}

#[test]
fn each_error_class_pauses_its_pool_and_names_itself() {
    for (error, code, seconds) in [
        (ProviderError::NoCapacity("none left".into()), "no_capacity", 180),
        (ProviderError::Refused("quota".into()), "launch_refused", 30),
        (
            ProviderError::Misconfigured("no such template".into()),
            "misconfigured",
            300,
        ),
    ] {
        let mut world = requested();
        let begun = world.now;
        world.launched("cloud-1", Err(error));
        assert_eq!(
            world.phase_of("cloud-1"),
            "gone",
            "{code}: nothing exists under the key"
        );
        assert_eq!(world.told(|what| matches!(what, What::ServerFailed(_))), 1);
        assert_eq!(world.grow("cloud", 1), ("refused", code));
        world.pass(seconds - world.now.since(begun).as_secs() - 1);
        assert_eq!(world.pool("cloud").code, code);
        world.pass(1);
        assert_eq!((world.pool("cloud").code, world.pool("cloud").launchable), ("", 10));
    }
}

#[test]
fn a_launch_whose_outcome_stays_unknown_is_told_once_after_a_minute() {
    let mut world = requested();
    let doubted = |world: &World| {
        world.told(|what| matches!(what, What::ServerRequested(told) if told.reason.contains("not known yet")))
    };
    let mut answered = 0;
    for second in 0..300 {
        if world.launches().len() > answered {
            answered = world.launches().len();
            world.launched("cloud-1", Err(unknown()));
        }
        // It is asked again after 1, 2, 4, … s, and so 63 s after the first time.
        assert_eq!(doubted(&world), usize::from(second >= 63), "after {second} s");
        world.pass(1);
    }
    assert!(answered >= 10, "it is asked again and again");
    // What stands in the way of its end is told apart.
    world.remove("cloud-1", false);
    world.terminated("cloud-1", Err(unknown()));
    let owed = |world: &World| {
        world.told(|what| matches!(what, What::ServerTerminating(told) if told.reason.contains("not ended yet")))
    };
    assert_eq!(owed(&world), 0);
    world.pass(900);
    world.terminated("cloud-1", Err(unknown()));
    world.pass(60);
    world.terminated("cloud-1", Err(unknown()));
    assert_eq!(owed(&world), 1);
}

#[test]
fn lists_that_fail_in_a_row_are_told_once_and_so_is_the_next_that_does_not() {
    let mut world = cloud();
    let told = |world: &World| {
        let is = |kind: &str| world.told(|what| what.kind() == kind);
        (is("scale.list_failed"), is("scale.list_recovered"))
    };
    let fail = |world: &mut World| {
        world.pass(60);
        world.observe(Observation::Listed(Listed {
            pool: id("cloud"),
            asked: world.now,
            result: Err(ProviderError::Misconfigured("not allowed".into())),
        }));
    };
    for times in 1..=5 {
        fail(&mut world);
        assert_eq!(told(&world), (usize::from(times >= 3), 0), "{times}");
    }
    world.pass(60);
    world.listed("cloud", Vec::new());
    assert_eq!(told(&world), (1, 1));
    fail(&mut world);
    world.pass(60);
    world.listed("cloud", Vec::new());
    assert_eq!(told(&world), (1, 1), "one that fails is nothing");
}

#[test]
fn a_boot_beyond_its_deadline_has_failed_and_is_ended() {
    let mut world = requested();
    world.launched("cloud-1", Ok(instance(InstanceState::Running)));
    world.pass(890);
    assert_eq!(world.phase_of("cloud-1"), "booting");
    world.pass(11);
    assert_eq!(
        (world.phase_of("cloud-1"), world.terminations("cloud-1")),
        ("terminating", 1)
    );
    assert_eq!(world.told(|what| matches!(what, What::ServerFailed(_))), 1);
}

#[test]
fn a_boots_deadline_waits_for_signs_after_a_restart_and_after_a_gap() {
    let mut world = requested();
    world.launched("cloud-1", Ok(instance(InstanceState::Running)));
    world.now.0 += 2 * 3_600_000;
    world.restart();
    world.pass(14);
    assert_eq!(world.phase_of("cloud-1"), "booting", "nobody could hear it");
    world.report("cloud-1", Report::default());
    assert_eq!(world.phase_of("cloud-1"), "ready");
}

#[test]
fn a_launch_that_ends_at_once_has_failed() {
    let mut world = requested();
    world.launched("cloud-1", Ok(instance(InstanceState::Ended)));
    assert_eq!(world.phase_of("cloud-1"), "terminating");
    assert_eq!(world.told(|what| matches!(what, What::ServerFailed(_))), 1);
}

#[test]
fn an_instance_that_its_provider_names_ended_is_lost_and_its_rooms_move() {
    let mut world = cloud();
    let server = world.launch("cloud");
    world.place("room");
    world.listed("cloud", vec![(key(&server), instance(InstanceState::Ended))]);
    assert_eq!(world.place_of("room"), format!("moving from {server}"));
    assert_eq!(world.phase_of(&server), "terminating");
    assert_eq!(world.told(|what| matches!(what, What::ServerLost(_))), 1);
}

#[test]
fn an_instance_missing_from_one_list_is_not_gone_yet() {
    let mut world = cloud();
    let server = world.launch("cloud");
    world.pass(5);
    world.listed("cloud", Vec::new());
    world.pass(1);
    world.listed("cloud", vec![(key(&server), instance(InstanceState::Running))]);
    world.pass(1);
    for _ in 0..3 {
        world.listed("cloud", Vec::new());
        assert_eq!(world.phase_of(&server), "ready", "the same list again is no second one");
    }
    world.pass(1);
    world.listed("cloud", Vec::new());
    assert_eq!(world.phase_of(&server), "terminating");
}

#[test]
fn a_list_older_than_a_server_says_nothing_of_it() {
    let mut world = cloud();
    let asked = world.now;
    let server = world.launch("cloud");
    for _ in 0..3 {
        world.observe(Observation::Listed(Listed {
            pool: id("cloud"),
            asked,
            result: Ok(Vec::new()),
        }));
    }
    assert_eq!(world.phase_of(&server), "ready");
}

#[test]
fn a_list_that_could_not_be_made_says_nothing() {
    let mut world = cloud();
    let server = world.launch("cloud");
    world.pass(5);
    for _ in 0..3 {
        world.observe(Observation::Listed(Listed {
            pool: id("cloud"),
            asked: world.now,
            result: Err(unknown()),
        }));
    }
    assert_eq!(world.phase_of(&server), "ready");
}

#[test]
fn pools_are_listed_regularly() {
    let mut world = cloud();
    world.pass(305);
    let lists = world
        .effects
        .iter()
        .filter(|effect| matches!(effect, Effect::List(_)))
        .count();
    assert_eq!(lists, 6, "at the start, and every minute");
}

#[test]
fn an_instance_that_no_record_knows_is_told_once_and_left_alone() {
    let mut world = cloud();
    for _ in 0..3 {
        world.listed("cloud", vec![(key("stranger-7"), instance(InstanceState::Running))]);
    }
    assert_eq!(world.told(|what| matches!(what, What::ServerUnknown(_))), 1);
    assert_eq!(world.terminations("stranger-7"), 0);
}

#[test]
fn a_server_that_only_a_human_can_end_is_told_once_and_asked_for_again() {
    let mut world = cloud();
    let server = world.launch("cloud");
    world.remove(&server, true);
    let told = |world: &World| world.told(|what| matches!(what, What::ServerTerminating(_)));
    let before = told(&world);
    for _ in 0..3 {
        world.terminated(&server, Err(ProviderError::Refused("it is protected".into())));
        world.pass(60);
    }
    assert_eq!(told(&world), before + 1);
    assert!(world.terminations(&server) >= 3);
    world.terminated(&server, Err(unknown()));
    assert_eq!(
        told(&world),
        before + 1,
        "an outcome that is unknown is nothing for people"
    );
    world.terminated(&server, Ok(()));
    assert_eq!(world.phase_of(&server), "gone");
}

#[test]
fn what_an_instance_really_costs_is_billed_from_then_on() {
    let mut world = requested();
    assert_eq!(world.pool("cloud").bill.per_hour, Microdollars(348_000));
    let mut dear = instance(InstanceState::Running);
    dear.price_per_hour = Some(Microdollars(500_000));
    world.launched("cloud-1", Ok(dear));
    assert_eq!(world.pool("cloud").bill.per_hour, Microdollars(500_000));
    world.report("cloud-1", Report::default());
    let begun = world.pool("cloud").bill.today;
    world.pass(3600);
    assert_eq!(world.pool("cloud").bill.today.0 - begun.0, 500_000);
    let mut cheap = instance(InstanceState::Running);
    cheap.price_per_hour = Some(Microdollars(100_000));
    world.listed("cloud", vec![(key("cloud-1"), cheap)]);
    assert_eq!(world.pool("cloud").bill.per_hour, Microdollars(100_000));
}

#[test]
fn a_server_is_billed_until_its_end_is_confirmed() {
    let mut world = cloud();
    let server = world.launch("cloud");
    world.remove(&server, false);
    assert_eq!(world.pool("cloud").bill.per_hour, Microdollars(348_000));
    world.terminated(&server, Ok(()));
    assert_eq!(world.pool("cloud").bill.per_hour, Microdollars(0));
}

#[test]
fn the_bill_is_the_same_after_a_restart() {
    let mut world = cloud();
    let _ = world.launch("cloud");
    world.pass(1800);
    let before = world.pool("cloud").bill;
    world.restart();
    assert_eq!(world.pool("cloud").bill, before);
}
