//! What the chain does with rooms.

use usher_fleet::advice::{Fault, FaultKind, Placement};
use usher_fleet::event::PolicyEvent;
use usher_fleet::ids::ServerNo;
use usher_fleet::view::ViewChange;

use super::guests::Guest;
use super::host::{BUILT_IN, Stage};
use super::rows::{World, figure, pool, pool_state, server, usage};

fn on(server: u32) -> Placement {
    Placement::On(ServerNo(server))
}

fn fault_of(stage: &mut Stage, link: usize, room: &str) -> Fault {
    stage.ask(link, room).unwrap().advice.unwrap_err()
}

/// A guest that defers for the trial (its room has 11 letters) and else does this.
fn after_the_trial(body: &str) -> Guest {
    Guest::places(&format!(
        "(if (i32.ne (local.get 4) (i32.const 11)) (then {body})) (call $defer)"
    ))
}

#[test]
fn policies_are_asked_in_the_order_of_their_files_and_the_built_in_last() {
    let mut stage = Stage::serving(&[
        ("50-b.wasm", &Guest::places("(call $on (i32.const 50))").build()),
        ("10-a.wasm", &Guest::places("(call $defer)").build()),
        ("90-c.wasm", &Guest::places("(call $reject)").build()),
    ]);
    let names: Vec<String> = (0..4)
        .map(|link| stage.ask(link, "room").unwrap().policy.name.to_string())
        .collect();
    assert_eq!(names, ["10-a", "50-b", "90-c", "last"]);
    assert_eq!(stage.ask(4, "room"), None);
    assert_eq!(stage.decide("room"), ("50-b".into(), on(50)));
    let status = stage.policies.status();
    let place = |at: usize| status[at].place.clone().unwrap();
    assert_eq!((place(0).asked, place(0).deferred, place(0).answered), (2, 2, 0));
    assert_eq!((place(1).asked, place(1).answered), (2, 2));
    assert!(place(1).fuel_p50 > 0 && status[1].memory_bytes > 0);
    assert!(status[3].built_in);
    stage.stop();
}

#[test]
fn every_placement_is_understood() {
    let mut stage = Stage::serving(&[
        ("a.wasm", &Guest::places("(call $wait)").build()),
        ("b.wasm", &Guest::places("(call $reject)").build()),
    ]);
    let placement = |stage: &mut Stage, link| stage.ask(link, "room").unwrap().advice.unwrap().placement;
    assert_eq!(
        placement(&mut stage, 0),
        Placement::Wait {
            pool: None,
            again_seconds: 0
        }
    );
    assert_eq!(placement(&mut stage, 1), Placement::Reject);
    stage.stop();
}

#[test]
fn a_policy_that_faults_is_replaced_by_the_next_for_that_very_room_and_comes_back() {
    let mut stage = Stage::serving(&[
        (
            "a.wasm",
            &after_the_trial(
                "(if (i32.eq (local.get 4) (i32.const 6)) (then unreachable)) (return (call $on (i32.const 1)))",
            )
            .build(),
        ),
        ("b.wasm", &Guest::places("(call $on (i32.const 2))").build()),
    ]);
    assert_eq!(stage.decide("good"), ("a".into(), on(1)));
    let fault = fault_of(&mut stage, 0, "poison");
    assert_eq!(fault.kind, FaultKind::Trap);
    assert!(fault.message.contains("unreachable"), "{}", fault.message);
    assert_eq!(fault_of(&mut stage, 0, "good").kind, FaultKind::Unavailable);
    assert_eq!(stage.decide("good"), ("b".into(), on(2)));
    let PolicyEvent::Fault(event) = stage.event() else {
        panic!("a fault is told")
    };
    assert_eq!((&*event.policy, &*event.step), ("a", "place"));
    assert!(event.reason.starts_with("trap: "), "{}", event.reason);
    stage.changed();
    assert_eq!(stage.decide("good"), ("a".into(), on(1)));
    let place = stage.policies.status()[0].place.clone().unwrap();
    assert_eq!((place.faults.trap, place.faults.unavailable), (1, 2));
    stage.stop();
}

#[test]
fn one_room_that_a_policy_always_fails_on_does_not_take_it_from_the_others() {
    let guest = after_the_trial(
        "(if (i32.eq (local.get 4) (i32.const 6)) (then unreachable)) (return (call $on (i32.const 1)))",
    );
    let mut stage = Stage::serving(&[("a.wasm", &guest.build())]);
    // A room that waits is asked about first whenever the policy is back.
    for _ in 0..2 {
        assert_eq!(fault_of(&mut stage, 0, "poison").kind, FaultKind::Trap);
        assert!(matches!(stage.event(), PolicyEvent::Fault(_)));
        stage.changed();
    }
    for _ in 0..20 {
        let spared = fault_of(&mut stage, 0, "poison");
        assert_eq!(spared.kind, FaultKind::Unavailable);
        assert!(spared.message.contains("this very room"), "{}", spared.message);
        assert_eq!(stage.decide("good"), ("a".into(), on(1)));
    }
    assert!(stage.is_quiet_for(2), "no fault, no quarantine");
    stage.stop();
}

#[test]
fn each_way_to_fail_has_its_kind_and_the_guests_words() {
    let cases = [
        (
            "(loop $for_ever (br $for_ever))",
            FaultKind::OutOfFuel,
            "used up its fuel of 1000000",
        ),
        ("(return (call $error))", FaultKind::Error, "oh no"),
        (
            "(return (call $placement (i32.const 9) (i32.const 0)))",
            FaultKind::BadAnswer,
            "discriminant",
        ),
        ("(return (i32.const 0x7ffffff0))", FaultKind::BadAnswer, "out of bounds"),
        // 100 MB of an error message.
        (
            "(call $store (i32.const 1024) (i32.const 1)) (call $store (i32.const 1028) (i32.const 0))
             (call $store (i32.const 1032) (i32.const 100000000)) (return (i32.const 1024))",
            FaultKind::BadAnswer,
            "",
        ),
        ("(call $deep)", FaultKind::Trap, "stack exhausted"),
    ];
    for (body, kind, words) in cases {
        let mut guest = after_the_trial(body);
        guest.more = "(func $deep (call $deep) (call $deep))".into();
        let mut stage = Stage::serving(&[("a.wasm", &guest.build())]);
        let fault = fault_of(&mut stage, 0, "room");
        assert_eq!(fault.kind, kind, "{body}: {}", fault.message);
        assert!(fault.message.contains(words), "{body}: {}", fault.message);
        assert_eq!(stage.decide("room"), ("last".into(), on(BUILT_IN)));
        stage.stop();
    }
}

#[test]
fn a_policy_that_isolates_lets_its_rooms_wait_when_it_faults() {
    let guest = after_the_trial("unreachable").build();
    let mut stage = Stage::serving(&[("a.wasm", &guest), ("a.toml", b"on_fault = \"wait\"")]);
    for room in ["one", "two", "three"] {
        assert_eq!(
            stage.decide(room),
            (
                "a".into(),
                Placement::Wait {
                    pool: None,
                    again_seconds: 0
                }
            )
        );
        assert!(matches!(stage.event(), PolicyEvent::Fault(_)));
        if room != "three" {
            stage.changed();
        }
    }
    // In quarantine it still holds its rooms back.
    assert!(matches!(stage.event(), PolicyEvent::Quarantined(_)));
    stage.changed();
    assert_eq!(fault_of(&mut stage, 0, "four").kind, FaultKind::Unavailable);
    assert!(matches!(stage.decide("four").1, Placement::Wait { .. }));
    assert_eq!(
        stage.policies.status()[0].serving.clone().unwrap().quarantined,
        ["place"]
    );
    stage.stop();
}

#[test]
fn three_faults_on_different_rooms_take_a_version_out_until_another_comes() {
    let mut stage = Stage::serving(&[("a.wasm", &after_the_trial("unreachable").build())]);
    for room in ["one", "two", "three"] {
        assert_eq!(stage.decide(room), ("last".into(), on(BUILT_IN)));
        assert!(matches!(stage.event(), PolicyEvent::Fault(_)));
        if room != "three" {
            stage.changed();
        }
    }
    let PolicyEvent::Quarantined(event) = stage.event() else {
        panic!("the quarantine is told")
    };
    assert_eq!((&*event.policy, &*event.step), ("a", "place"));
    stage.changed();
    assert_eq!(&*stage.ask(0, "four").unwrap().policy.name, "last");
    stage.rename_in(
        "a.wasm",
        &Guest::places("(call $on (i32.const 1))").version("1.0.1").build(),
    );
    stage.loaded();
    assert_eq!(stage.decide("four"), ("a".into(), on(1)));
    stage.stop();
}

#[test]
fn a_policy_is_told_the_view_in_the_contracts_order_before_it_is_asked() {
    let mut stage = Stage::new(&[]);
    *stage.host.world.lock().unwrap() = World::with([
        usage(1, 0),
        server(1),
        pool(1),
        pool_state(1),
        figure(1, "consumers", 5),
        figure(1, "unasked", 5),
    ]);
    stage.rename_in("a.wasm", &Guest::traces().build());
    stage.loaded();
    let change = |stage: &Stage, rows: Vec<ViewChange>| stage.host.world.lock().unwrap().set(rows);
    assert_eq!(stage.decide("room").1, on(123));
    // Nothing has changed: nothing is told.
    assert_eq!(stage.decide("room").1, on(123));
    change(&stage, vec![usage(1, 1)]);
    assert_eq!(stage.decide("room").1, on(1234));
    change(&stage, vec![figure(1, "unasked", 6)]);
    assert_eq!(stage.decide("room").1, on(1234));
    change(
        &stage,
        vec![ViewChange::ServerRemoved(ServerNo(1)), server(2), usage(2, 0)],
    );
    assert_eq!(stage.decide("room").1, on(123_414));
    // What it never knew it is not told to forget.
    change(&stage, vec![ViewChange::ServerRemoved(ServerNo(77))]);
    assert_eq!(stage.decide("room").1, on(123_414));
    stage.stop();
}

/// Two policies, of which the first answers always.
fn one_before(second: &Guest) -> Stage {
    let first = Guest::places("(call $on (i32.const 1))");
    Stage::serving(&[("a.wasm", &first.build()), ("b.wasm", &second.build())])
}

/// Changes the usage of one server after the other.
fn change_usages(stage: &Stage, servers: u32) {
    let mut world = stage.host.world.lock().unwrap();
    (1..=servers).for_each(|no| world.set([usage(no, 1)]));
}

#[test]
fn a_policy_that_nobody_asks_is_told_in_parts_and_a_room_waits_for_the_last_only() {
    let mut stage = one_before(&Guest::traces());
    let trace = |stage: &mut Stage| stage.ask(1, "room").unwrap().advice.unwrap().placement;
    change_usages(&stage, 600);
    stage.keep_up();
    // Two parts of 256 each; the 88 that are left are told with the question: too many to be beside it.
    assert_eq!(trace(&mut stage), on(1222));
    change_usages(&stage, 255);
    stage.keep_up();
    assert_eq!(
        trace(&mut stage),
        on(12_222),
        "fewer than a part are left until it is asked"
    );
    // So is the built-in: it had the pool, the sixty servers and two parts of usages before.
    let built_in = stage.ask(2, "room").unwrap().advice.unwrap();
    assert_eq!(built_in.reason.unwrap(), "{} after 916 rows");
    stage.stop();
}

#[test]
fn a_policy_that_faults_at_what_it_is_told_between_two_rooms_costs_no_room_a_question() {
    let mut stage = one_before(&Guest {
        view: Some(["(call $ok)", "unreachable", "(call $ok)"].map(Into::into)),
        ..Guest::places("(call $on (i32.const 2))")
    });
    change_usages(&stage, 300);
    stage.keep_up();
    let PolicyEvent::Fault(event) = stage.event() else {
        panic!("a fault is told")
    };
    assert_eq!((&*event.policy, &*event.step), ("b", "place"));
    assert_eq!(fault_of(&mut stage, 1, "room").kind, FaultKind::Unavailable);
    assert_eq!(stage.decide("room"), ("a".into(), on(1)));
    let place = stage.policies.status()[1].place.clone().unwrap();
    assert_eq!((place.faults.trap, place.faults.unavailable), (1, 1));
    stage.stop();
}

#[test]
fn no_call_of_the_view_has_more_than_1024_rows() {
    let mut stage = Stage::new(&[]);
    let servers = (0..2_100).map(server).chain((0..2_100).map(|no| usage(no, 0)));
    *stage.host.world.lock().unwrap() = World::with(servers);
    // Two thousand one hundred of each make three calls of each.
    let mut guest = Guest::traces();
    let bounded = |body: &mut String, most: usize| {
        *body = format!("(if (i32.gt_u (local.get 2) (i32.const {most})) (then unreachable)) {body}");
    };
    let [update, usages, figures] = guest.view.as_mut().unwrap();
    bounded(update, 1_024);
    bounded(usages, 1_024 * 17);
    bounded(figures, 1_024);
    stage.rename_in("a.wasm", &guest.build());
    stage.loaded();
    assert_eq!(stage.decide("room").1, on(111_222));
    stage.stop();
}

#[test]
fn a_memory_bomb_is_refused_and_said_to_be_one() {
    // Twenty MiB at a time until it is refused; then it traps, as an allocator would.
    let body = "(loop $more (if (i32.eq (memory.grow (i32.const 320)) (i32.const -1)) (then unreachable)) (br $more))";
    let mut stage = Stage::serving(&[("a.wasm", &after_the_trial(body).build())]);
    let fault = fault_of(&mut stage, 0, "room");
    assert_eq!(fault.kind, FaultKind::Trap);
    assert!(
        fault.message.contains("more memory than its 128 MiB"),
        "{}",
        fault.message
    );
    assert!(stage.policies.status()[0].memory_bytes <= 128 << 20);
    stage.stop();
}

#[test]
fn the_built_in_survives_its_own_faults() {
    let mut stage = Stage::new(&[]);
    *stage.host.world.lock().unwrap() = World::with([pool(1), server(1), usage(1, 0)]);
    let fault = fault_of(&mut stage, 0, "poison");
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Error, "poisoned"));
    // The fresh one is told everything again.
    assert_eq!(
        stage.ask(0, "room").unwrap().advice.unwrap().reason.unwrap(),
        "{} after 3 rows"
    );
    stage.stop();
}

#[test]
fn a_flood_of_logs_is_paid_for() {
    let mut guest = after_the_trial("(loop $more (call $log (i32.const 1) (i32.const 16) (i32.const 5)) (br $more))");
    guest.imports = r#"(import "usher:policy/host@0.1.0" "log" (func $log (param i32 i32 i32)))"#.into();
    let mut stage = Stage::serving(&[("a.wasm", &guest.build())]);
    let answer = stage.ask(0, "room").unwrap();
    assert_eq!(answer.advice.unwrap_err().kind, FaultKind::OutOfFuel);
    // A million units pay for fewer than 500 messages.
    assert!(answer.took.as_millis() < 100, "{:?}", answer.took);
    stage.stop();
}

#[test]
fn a_log_message_that_is_too_long_is_a_fault() {
    let mut guest = after_the_trial("(call $log (i32.const 1) (i32.const 16) (i32.const 4097))");
    guest.imports = r#"(import "usher:policy/host@0.1.0" "log" (func $log (param i32 i32 i32)))"#.into();
    let mut stage = Stage::serving(&[("a.wasm", &guest.build())]);
    let fault = fault_of(&mut stage, 0, "room");
    assert_eq!(fault.kind, FaultKind::Trap);
    assert!(
        fault.message.contains("a log message of 4097 bytes"),
        "{}",
        fault.message
    );
    stage.stop();
}

#[test]
fn what_a_policy_logged_last_as_an_error_explains_its_trap() {
    let mut guest = after_the_trial("(call $log (i32.const 3) (i32.const 26) (i32.const 5)) unreachable");
    guest.imports = r#"(import "usher:policy/host@0.1.0" "log" (func $log (param i32 i32 i32)))"#.into();
    let mut stage = Stage::serving(&[("a.wasm", &guest.build())]);
    let fault = fault_of(&mut stage, 0, "room");
    assert!(fault.message.starts_with("oh no (wasm trap: "), "{}", fault.message);
    stage.stop();
}

#[test]
fn the_civil_time_of_a_zone_can_be_asked() {
    // Answers with the server of the hour: result<local, string> at 3000, `hour` is its fifth number.
    let mut guest = Guest::places(
        "(call $at (local.get 0) (i32.const 31) (i32.const 13) (i32.const 3000))
         (call $on (i32.load (i32.const 3020)))",
    );
    guest.imports = r#"(import "usher:policy/local-time@0.1.0" "at" (func $at (param i32 i32 i32 i32)))"#.into();
    let mut stage = Stage::serving(&[("a.wasm", &guest.build())]);
    // 2026-11-18T11:06:40Z is 12:06:40 in Berlin.
    assert_eq!(stage.decide("room").1, on(12));
    stage.stop();
}
