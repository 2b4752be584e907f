//! The scale decisions.

use usher_fleet::advice::{
    Demand, Direction, FaultKind, Growth, Retirement, ScaleAdvice, ScaleAnswer, ScaleAsk, Shrinkage, Subject, Verdict,
    VerdictOutcome, VerdictRow,
};
use usher_fleet::decision::PolicyRef;
use usher_fleet::event::PolicyEvent;
use usher_fleet::ids::{DecisionNo, PoolNo, ServerNo};
use usher_fleet::view::Cursor;

use super::guests::Guest;
use super::host::{BUILT_IN, Stage, now};
use super::rows::{World, pool, server, usage};
use crate::wasm::ViewSource as _;

fn ask(direction: Direction, link: usize, decision: u32) -> ScaleAsk {
    ScaleAsk {
        decision: DecisionNo(decision),
        now: now(),
        direction,
        link,
        spoken_for: Default::default(),
        demand: Demand::default(),
        verdicts: Vec::new(),
    }
}

fn scales(up: Option<&str>, down: Option<&str>) -> Guest {
    Guest {
        scale_up: up.map(Into::into),
        scale_down: down.map(Into::into),
        ..Guest::new()
    }
}

/// A body that is only run after the trial, whose decision is 0.
fn after_the_trial(body: &str) -> String {
    format!("(if (i32.ne (local.get 1) (i32.const 0)) (then {body})) (call $rows (i32.const 0))")
}

fn who(answer: &ScaleAnswer) -> (&str, bool) {
    (&answer.policy.name, answer.last)
}

#[test]
fn each_direction_has_its_own_chain_and_the_built_in_ends_it() {
    let mut stage = Stage::serving(&[
        (
            "a.wasm",
            &scales(Some("(call $growth (i32.const 1) (i32.const 2))"), None).build(),
        ),
        (
            "b.wasm",
            &scales(None, Some("(call $retire (i32.const 1) (i32.const 5))")).build(),
        ),
        ("c.wasm", &Guest::places("(call $defer)").build()),
    ]);
    let up = stage.scale(ask(Direction::Up, 0, 1), Cursor::START);
    assert_eq!(who(&up), ("a", false));
    assert_eq!(up.decision, DecisionNo(1));
    let growth = Growth {
        pool: PoolNo(1),
        servers: 2,
        reason: "guest".into(),
    };
    assert_eq!(up.advice, Ok(ScaleAdvice::Up(vec![growth])));
    let last = stage.scale(ask(Direction::Up, 1, 1), Cursor::START);
    assert_eq!(who(&last), ("last", true));
    assert!(matches!(last.advice, Ok(ScaleAdvice::Up(rows)) if rows[0].pool == PoolNo(BUILT_IN)));

    let down = stage.scale(ask(Direction::Down, 0, 2), Cursor::START);
    assert_eq!(who(&down), ("b", false));
    let servers = vec![Retirement {
        server: ServerNo(5),
        reason: "guest".into(),
    }];
    assert_eq!(
        down.advice,
        Ok(ScaleAdvice::Down(vec![Shrinkage {
            pool: PoolNo(1),
            servers
        }]))
    );
    assert_eq!(
        who(&stage.scale(ask(Direction::Down, 1, 2), Cursor::START)),
        ("last", true)
    );

    // Nobody else is asked to place rooms.
    assert_eq!(&*stage.ask(0, "room").unwrap().policy.name, "c");
    stage.stop();
}

#[test]
fn a_policy_that_leaves_or_joins_between_two_questions_of_a_decision_takes_nobodys_turn() {
    let guest = scales(Some("(call $rows (i32.const 0))"), None).build();
    let mut stage = Stage::serving(&[("a.wasm", &guest), ("c.wasm", &guest), ("d.wasm", &guest)]);
    let whose = |stage: &mut Stage, link, decision| {
        let answer = stage.scale(ask(Direction::Up, link, decision), Cursor::START);
        answer.policy.name.to_string()
    };
    assert_eq!(whose(&mut stage, 0, 1), "a");
    std::fs::remove_file(stage.path("a.wasm")).unwrap();
    assert!(matches!(stage.event(), PolicyEvent::Removed(_)));
    assert_eq!(whose(&mut stage, 1, 1), "c");
    stage.rename_in("b.wasm", &guest);
    assert!(matches!(stage.event(), PolicyEvent::Loaded(_)));
    assert_eq!(whose(&mut stage, 2, 1), "d");
    assert_eq!(whose(&mut stage, 3, 1), "last");
    let chain: Vec<String> = (0..4).map(|link| whose(&mut stage, link, 2)).collect();
    assert_eq!(chain, ["b", "c", "d", "last"]);
    stage.stop();
}

#[test]
fn a_scale_policy_is_told_the_view_and_its_verdicts_first() {
    let mut traces = Guest::traces();
    traces.place = None;
    traces.scale_up = Some("(call $growth (i32.const 1) (global.get $trace))".into());
    let mut stage = Stage::new(&[]);
    *stage.host.world.lock().unwrap() = World::with([pool(1), server(1), usage(1, 0)]);
    stage.rename_in("a.wasm", &traces.build());
    stage.loaded();
    let servers = |answer: ScaleAnswer| match answer.advice {
        Ok(ScaleAdvice::Up(rows)) => rows[0].servers,
        other => panic!("expected growth, not {other:?}"),
    };
    let first = stage.scale(ask(Direction::Up, 0, 1), Cursor::START);
    assert_eq!(servers(first), 12);
    let read = stage.host.world.lock().unwrap().cursor();
    stage.host.world.lock().unwrap().set([usage(1, 1)]);
    let second = stage.scale(ask(Direction::Up, 0, 2), read);
    assert_eq!(servers(second), 122);

    let read = stage.host.world.lock().unwrap().cursor();
    let verdict = |name: &str| Verdict {
        policy: PolicyRef {
            name: name.into(),
            version: "1.0.0".into(),
        },
        row: VerdictRow {
            decision: DecisionNo(2),
            subject: Subject::Launch(PoolNo(1)),
            outcome: VerdictOutcome::Clamped,
            count: 1,
            code: "servers_max",
            until: 0,
        },
    };
    let mut third = ask(Direction::Up, 0, 3);
    third.verdicts = vec![verdict("somebody else")];
    assert_eq!(servers(stage.scale(third.clone(), read)), 122);
    third.verdicts = vec![verdict("a")];
    assert_eq!(servers(stage.scale(third, read)), 1_221);
    stage.stop();
}

#[test]
fn a_fault_is_answered_as_one_and_the_policy_comes_back_with_the_whole_view() {
    let body = "(if (i32.eq (local.get 1) (i32.const 6)) (then unreachable)) (return (call $growth (i32.const 1) (global.get $trace)))";
    let mut traces = Guest::traces();
    traces.place = None;
    traces.scale_up = Some(after_the_trial(body));
    let mut stage = Stage::new(&[]);
    *stage.host.world.lock().unwrap() = World::with([pool(1), server(1), usage(1, 0)]);
    stage.rename_in("a.wasm", &traces.build());
    stage.loaded();
    let fault = stage.scale(ask(Direction::Up, 0, 6), Cursor::START).advice.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Trap);
    let PolicyEvent::Fault(event) = stage.event() else {
        panic!("the fault is told")
    };
    assert_eq!((&*event.policy, &*event.step), ("a", "scale_up"));
    let read = stage.host.world.lock().unwrap().cursor();
    let back = loop {
        // Until the back-off is over it is "unavailable".
        match stage.scale(ask(Direction::Up, 0, 7), read).advice {
            Ok(advice) => break advice,
            Err(fault) => assert_eq!(fault.kind, FaultKind::Unavailable),
        }
    };
    let growth = Growth {
        pool: PoolNo(1),
        servers: 12,
        reason: "guest".into(),
    };
    assert_eq!(back, ScaleAdvice::Up(vec![growth]));
    stage.stop();
}

#[test]
fn a_quarantined_policy_still_keeps_its_servers() {
    let guest = scales(None, Some(&after_the_trial("unreachable"))).build();
    let mut stage = Stage::serving(&[("a.wasm", &guest)]);
    let mut decision = 0;
    for _ in 0..3 {
        loop {
            decision += 1;
            let answer = stage.scale(ask(Direction::Down, 0, decision), Cursor::START);
            if answer.advice.unwrap_err().kind == FaultKind::Trap {
                break;
            }
        }
        assert!(matches!(stage.event(), PolicyEvent::Fault(_)));
    }
    let PolicyEvent::Quarantined(event) = stage.event() else {
        panic!("the quarantine is told")
    };
    assert_eq!(event.step, "scale_down");
    let answer = stage.scale(ask(Direction::Down, 0, decision + 1), Cursor::START);
    assert_eq!(who(&answer), ("a", false));
    assert_eq!(answer.advice.unwrap_err().kind, FaultKind::Unavailable);
    stage.stop();
}

#[test]
fn nothing_scales_before_the_folders_policies_are_back() {
    let guest = scales(Some("(call $growth (i32.const 1) (i32.const 2))"), None).build();
    let stage = Stage::serving(&[("a.wasm", &guest)]);
    let mut stage = stage.restart(|_| ());
    // Asked at once, as a host does whose rooms wait since before the restart.
    let answer = stage.scale(ask(Direction::Up, 0, 1), Cursor::START);
    assert_eq!(who(&answer), ("a", false));
    assert!(answer.advice.is_ok());
    stage.stop();
}
