//! What policies have learned: taken from the instance that decides, kept, and given to those after it.

use usher_fleet::advice::{Demand, Direction, FaultKind, Placement, ScaleAdvice, ScaleAsk};
use usher_fleet::event::PolicyEvent;
use usher_fleet::ids::{DecisionNo, PoolNo, ServerNo};
use usher_fleet::view::Cursor;

use super::guests::Guest;
use super::host::{Stage, now};
use super::rows::{World, pool, server};

/// The decision at which [`counts`] traps.
const TRAP: u32 = 99;
/// The bytes that it keeps.
const SAVE: &str = "(i32.store (i32.const 6000) (global.get $count))
    (call $store (i32.const 1028) (i32.const 6000)) (call $store (i32.const 1032) (i32.const 4)) (call $ok)";
const RESTORE: &str = "(global.set $count (i32.load (local.get 0))) (call $ok)";

/// A guest that wants one server more at each decision, and keeps how many that is; it places rooms on the server of that number.
pub(crate) fn counts() -> Guest {
    let count = format!(
        "(if (i32.eq (local.get 1) (i32.const {TRAP})) (then unreachable))
         (if (i32.ne (local.get 1) (i32.const 0))
             (then (global.set $count (i32.add (global.get $count) (i32.const 1)))))
         (call $growth (i32.const 1) (global.get $count))"
    );
    Guest {
        scale_up: Some(count),
        learned: Some([SAVE, RESTORE].map(Into::into)),
        more: "(global $count (mut i32) (i32.const 0))".into(),
        ..Guest::places(
            "(if (i32.eqz (global.get $count)) (then (return (call $defer)))) (call $on (global.get $count))",
        )
    }
}

/// A stage whose fleet knows what guests name.
fn stage() -> Stage {
    let stage = Stage::new(&[]);
    *stage.host.world.lock().unwrap() = World::with([pool(1)].into_iter().chain((1..9).map(server)));
    stage
}

/// The servers that the policy wants at a decision.
fn wants(stage: &mut Stage, decision: u32) -> Result<u32, FaultKind> {
    let ask = ScaleAsk {
        decision: DecisionNo(decision),
        now: now(),
        direction: Direction::Up,
        link: 0,
        spoken_for: Default::default(),
        demand: Demand::default(),
        verdicts: Vec::new(),
    };
    match stage.scale(ask, Cursor::START).advice {
        Ok(ScaleAdvice::Up(rows)) => {
            assert_eq!(rows[0].pool, PoolNo(1));
            Ok(rows[0].servers)
        }
        Ok(other) => panic!("expected growth, not {other:?}"),
        Err(fault) => Err(fault.kind),
    }
}

/// The step and the reason of the next fault.
fn fault(stage: &Stage) -> (String, String) {
    match stage.event() {
        PolicyEvent::Fault(body) => (body.step, body.reason),
        other => panic!("expected a fault, not {other:?}"),
    }
}

#[test]
fn what_was_learned_survives_another_version_and_reaches_those_that_place_rooms() {
    let mut stage = stage();
    stage.rename_in("a.wasm", &counts().build());
    stage.loaded();
    assert_eq!(
        [1, 2, 3].map(|decision| wants(&mut stage, decision)),
        [Ok(1), Ok(2), Ok(3)]
    );
    stage.rename_in("a.wasm", &counts().version("2.0.0").build());
    stage.loaded();
    // All that the version before has learned, not only what was kept after its first decision.
    assert_eq!([4, 5].map(|decision| wants(&mut stage, decision)), [Ok(4), Ok(5)]);
    // What places rooms is made before the version before it is gone, of what was kept by then.
    stage.rename_in("a.wasm", &counts().version("3.0.0").build());
    stage.loaded();
    assert_eq!(stage.decide("room").1, Placement::On(ServerNo(4)));
    assert_eq!(wants(&mut stage, 6), Ok(6));
    stage.stop();
}

#[test]
fn what_was_learned_survives_a_restart() {
    let mut stage = stage();
    stage.rename_in("a.wasm", &counts().build());
    stage.loaded();
    assert_eq!(
        [1, 2, 3].map(|decision| wants(&mut stage, decision)),
        [Ok(1), Ok(2), Ok(3)]
    );
    let mut stage = stage.restart(|_| {});
    stage.loaded();
    assert_eq!(stage.decide("room").1, Placement::On(ServerNo(3)));
    assert_eq!(wants(&mut stage, 4), Ok(4));
    stage.stop();
}

#[test]
fn what_was_learned_waits_for_a_file_that_was_away() {
    let mut stage = stage();
    stage.rename_in("a.wasm", &counts().build());
    stage.loaded();
    assert_eq!([1, 2].map(|decision| wants(&mut stage, decision)), [Ok(1), Ok(2)]);
    std::fs::remove_file(stage.path("a.wasm")).unwrap();
    assert!(matches!(stage.event(), PolicyEvent::Removed(_)));
    stage.changed();
    stage.rename_in("a.wasm", &counts().build());
    stage.loaded();
    assert_eq!(wants(&mut stage, 3), Ok(3));
    stage.stop();
}

#[test]
fn a_fault_costs_what_was_learned_since_it_was_last_kept() {
    let mut stage = stage();
    stage.rename_in("a.wasm", &counts().build());
    stage.loaded();
    // Kept after the first decision, and not again within a minute.
    assert_eq!(
        [1, 2, 3].map(|decision| wants(&mut stage, decision)),
        [Ok(1), Ok(2), Ok(3)]
    );
    assert_eq!(wants(&mut stage, TRAP), Err(FaultKind::Trap));
    assert_eq!(fault(&stage).0, "scale_up");
    let back = loop {
        match wants(&mut stage, 5) {
            // Until the back-off is over.
            Err(FaultKind::Unavailable) => {}
            other => break other,
        }
    };
    assert_eq!(back, Ok(2));
    stage.stop();
}

#[test]
fn a_version_that_does_not_take_what_was_learned_starts_without_and_says_so() {
    for (restore, words) in [("unreachable", "unreachable"), ("(call $error)", "oh no")] {
        let mut stage = stage();
        stage.rename_in("a.wasm", &counts().build());
        stage.loaded();
        assert_eq!([1, 2].map(|decision| wants(&mut stage, decision)), [Ok(1), Ok(2)]);
        let mut stage = stage.restart(|dir| {
            let mut guest = counts().version("2.0.0");
            guest.learned = Some([SAVE, restore].map(Into::into));
            std::fs::write(dir.join("a.wasm"), guest.build()).unwrap();
        });
        let (step, reason) = fault(&stage);
        assert_eq!(step, "restore");
        assert!(reason.contains(words), "{reason}");
        stage.loaded();
        assert_eq!(wants(&mut stage, 3), Ok(1));
        stage.stop();
    }
}

#[test]
fn a_version_that_stumbles_over_what_was_learned_starts_without() {
    let mut stage = stage();
    stage.rename_in("a.wasm", &counts().build());
    stage.loaded();
    assert_eq!([1, 2].map(|decision| wants(&mut stage, decision)), [Ok(1), Ok(2)]);
    let mut stage = stage.restart(|dir| {
        let mut guest = counts().version("2.0.0");
        let trap = "(if (i32.gt_u (global.get $count) (i32.const 1)) (then unreachable))";
        guest.place = Some(format!("{trap} (call $defer)"));
        std::fs::write(dir.join("a.wasm"), guest.build()).unwrap();
    });
    let (step, reason) = fault(&stage);
    assert_eq!(step, "restore");
    assert!(reason.contains("`place` failed"), "{reason}");
    stage.loaded();
    assert_eq!(
        stage.ask(0, "room").unwrap().advice.unwrap().placement,
        Placement::Defer
    );
    stage.stop();
}

#[test]
fn faults_that_what_was_learned_did_not_bring_about_leave_it() {
    let mut stage = stage();
    stage.rename_in("a.wasm", &counts().build());
    stage.loaded();
    assert_eq!(wants(&mut stage, 1), Ok(1));
    let next = |stage: &mut Stage, decision| loop {
        match wants(stage, decision) {
            // Until the back-off is over.
            Err(FaultKind::Unavailable) => {}
            other => break other,
        }
    };
    for _ in 0..2 {
        assert_eq!(next(&mut stage, TRAP), Err(FaultKind::Trap));
        assert_eq!(fault(&stage).0, "scale_up");
    }
    assert_eq!(next(&mut stage, 5), Ok(2), "the first decision was kept");
    stage.stop();
}

#[test]
fn a_save_that_fails_costs_nothing_but_the_save() {
    let too_long =
        "(call $store (i32.const 1028) (i32.const 6000)) (call $store (i32.const 1032) (i32.const 65537)) (call $ok)";
    for (save, words, then) in [
        (too_long, "`save` gives 65537 bytes; at most 65536 are kept", Ok(2)),
        ("(call $error)", "oh no", Ok(2)),
        // A trap ends the instance; another one takes its place at once.
        ("unreachable", "`save` failed: trap", Ok(1)),
    ] {
        let mut guest = counts();
        guest.learned = Some([save, RESTORE].map(Into::into));
        let mut stage = stage();
        stage.rename_in("a.wasm", &guest.build());
        stage.loaded();
        assert_eq!(wants(&mut stage, 1), Ok(1));
        let (step, reason) = fault(&stage);
        assert_eq!(step, "save");
        assert!(reason.contains(words), "{reason}");
        assert_eq!(wants(&mut stage, 2), then, "{words}");
        assert!(
            stage.policies.status()[0]
                .serving
                .as_ref()
                .unwrap()
                .quarantined
                .is_empty()
        );
        stage.stop();
    }
}

#[test]
fn a_policy_that_keeps_nothing_is_asked_for_nothing() {
    let mut guest = counts();
    guest.learned = None;
    let mut stage = stage();
    stage.rename_in("a.wasm", &guest.build());
    stage.loaded();
    assert_eq!([1, 2].map(|decision| wants(&mut stage, decision)), [Ok(1), Ok(2)]);
    let mut stage = stage.restart(|_| {});
    stage.loaded();
    assert_eq!(wants(&mut stage, 3), Ok(1));
    assert_eq!(stage.policies.status()[0].learned_bytes, 0);
    stage.stop();
}
