//! Which version serves: after a quarantine, a restart, an order to go back.

use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;

use usher_fleet::advice::{FaultKind, Placement};
use usher_fleet::event::PolicyEvent;
use usher_fleet::ids::ServerNo;

use super::guests::Guest;
use super::host::{BUILT_IN, Stage};
use super::rows::{World, pool};
use crate::Policies;
use crate::policies::RollbackError;
use crate::status::{PolicyStatus, WantedState};

fn on(server: u32) -> Placement {
    Placement::On(ServerNo(server))
}

fn places(server: u32, version: &'static str) -> Guest {
    Guest::places(&format!("(call $on (i32.const {server}))")).version(version)
}

/// A guest that faults for every room but the trial's.
fn faulty(version: &'static str) -> Guest {
    Guest::places("(if (i32.ne (local.get 4) (i32.const 11)) (then unreachable)) (call $defer)").version(version)
}

/// Has the version that serves fault on three rooms, and waits until that is told.
fn provoke(stage: &mut Stage) -> String {
    for room in ["one", "two", "three"] {
        assert!(stage.ask(0, room).unwrap().advice.is_err(), "{room} is a fault");
        assert!(matches!(stage.event(), PolicyEvent::Fault(_)));
        if room != "three" {
            stage.changed();
        }
    }
    match stage.event() {
        PolicyEvent::Quarantined(event) => {
            stage.changed();
            event.reason
        }
        other => panic!("expected a quarantine, not {other:?}"),
    }
}

fn replace(stage: &mut Stage, guest: &Guest) {
    stage.rename_in("a.wasm", &guest.build());
    stage.loaded();
}

fn status(stage: &Stage) -> PolicyStatus {
    stage.policies.status()[0].clone()
}

fn wanted(stage: &Stage) -> (WantedState, Option<String>) {
    let wanted = status(stage).wanted.unwrap();
    (wanted.state, wanted.version)
}

fn serving(stage: &Stage) -> String {
    status(stage).serving.unwrap().version
}

fn same(dir: &Path) {
    assert!(dir.is_dir());
}

#[test]
fn a_version_that_is_quarantined_gives_way_to_the_one_before_it() {
    let mut stage = Stage::serving(&[("a.wasm", &places(1, "1.0.0").build())]);
    replace(&mut stage, &faulty("2.0.0"));
    assert_eq!(status(&stage).previous.unwrap().version, "1.0.0");
    let why = provoke(&mut stage);
    let event = stage.rolled_back();
    assert_eq!((&*event.policy, &*event.version), ("a", "1.0.0"));
    assert!(
        event.reason.contains(&why) && event.reason.contains("place of 2.0.0"),
        "{}",
        event.reason
    );
    assert_eq!(stage.decide("four"), ("a".into(), on(1)));
    assert_eq!(wanted(&stage), (WantedState::Quarantined, Some("2.0.0".into())));
    let status = status(&stage);
    assert!(
        status.problem.clone().unwrap().contains(&format!("place: {why}")),
        "{status:?}"
    );
    assert_eq!(
        (status.serving.unwrap().version.as_str(), status.previous),
        ("1.0.0", None)
    );
    // It was at hand: nothing was compiled again.
    assert_eq!(stage.policies.compilations(), 2);
    stage.stop();
}

#[test]
fn a_version_is_one_piece_and_goes_with_all_its_decisions() {
    let mut stage = Stage::serving(&[("a.wasm", &places(1, "1.0.0").build())]);
    let half_faulty = Guest {
        scale_up: Some("(call $rows (i32.const 0))".into()),
        ..faulty("2.0.0")
    };
    replace(&mut stage, &half_faulty);
    assert_eq!(status(&stage).serving.unwrap().decisions, ["place", "scale_up"]);
    provoke(&mut stage);
    stage.rolled_back();
    assert_eq!(status(&stage).serving.unwrap().decisions, ["place"]);
    stage.stop();
}

#[test]
fn without_a_good_version_before_it_a_version_stays_and_only_that_decision_is_cut_out() {
    let half_faulty = Guest {
        scale_up: Some("(call $rows (i32.const 0))".into()),
        ..faulty("1.0.0")
    };
    let mut stage = Stage::serving(&[("a.wasm", &half_faulty.build())]);
    let why = provoke(&mut stage);
    assert_eq!(stage.decide("four").1, on(BUILT_IN));
    let is_cut = |stage: &Stage| {
        let status = status(stage);
        let serving = status.serving.unwrap();
        assert_eq!(
            (serving.quarantined, serving.decisions),
            (vec!["place"], vec!["place", "scale_up"])
        );
        assert_eq!(serving.quarantines[0].why, why);
        assert_eq!(status.wanted.unwrap().state, WantedState::Serving);
        assert!(status.problem.unwrap().contains(&why));
    };
    is_cut(&stage);

    let mut stage = stage.restart(same);
    stage.loaded();
    is_cut(&stage);
    assert_eq!(stage.decide("four").1, on(BUILT_IN));
    stage.stop();
}

#[test]
fn one_whose_every_decision_is_cut_out_is_shown_as_quarantined() {
    let mut stage = Stage::serving(&[("a.wasm", &faulty("1.0.0").build())]);
    provoke(&mut stage);
    assert_eq!(wanted(&stage), (WantedState::Quarantined, Some("1.0.0".into())));
    stage.stop();
}

#[test]
fn a_quarantined_version_is_not_tried_again_until_its_module_or_settings_change() {
    let mut stage = Stage::serving(&[("a.wasm", &places(1, "1.0.0").build())]);
    replace(&mut stage, &faulty("2.0.0"));
    provoke(&mut stage);
    stage.rolled_back();

    let mut stage = stage.restart(same);
    assert_eq!(stage.rolled_back().version.as_ref(), "1.0.0");
    assert_eq!(wanted(&stage), (WantedState::Quarantined, Some("2.0.0".into())));
    assert_eq!(stage.decide("room").1, on(1));
    assert_eq!(
        stage.policies.compilations(),
        1,
        "the one in quarantine is not even compiled"
    );
    // The same module once more is the same version.
    stage.rename_in("a.wasm", &faulty("2.0.0").build());
    assert!(stage.is_quiet_for(4));
    assert_eq!(serving(&stage), "1.0.0");
    // The one before it, and back again.
    stage.rename_in("a.wasm", &places(1, "1.0.0").build());
    assert!(stage.is_quiet_for(4));
    assert_eq!(wanted(&stage), (WantedState::Serving, Some("1.0.0".into())));
    stage.rename_in("a.wasm", &faulty("2.0.0").build());
    assert!(stage.is_quiet_for(4));
    assert_eq!(wanted(&stage).0, WantedState::Quarantined);

    stage.rename_in("a.toml", b"careful = true");
    assert_eq!(stage.loaded().version.as_ref(), "2.0.0");
    stage.stop();
}

#[test]
fn a_third_version_falls_back_to_the_first_over_a_quarantined_second() {
    let mut stage = Stage::serving(&[("a.wasm", &places(1, "1.0.0").build())]);
    for version in ["2.0.0", "3.0.0"] {
        replace(&mut stage, &faulty(version));
        provoke(&mut stage);
        assert_eq!(stage.rolled_back().version.as_ref(), "1.0.0");
        assert_eq!(stage.decide("room").1, on(1));
    }
    stage.stop();
}

#[test]
fn a_restart_over_a_bad_file_serves_the_last_good_version_and_says_so() {
    let stage = Stage::serving(&[("a.wasm", &places(1, "1.0.0").build()), ("a.toml", b"spare = 1")]);
    let settings = status(&stage).serving.unwrap().settings_sha256;
    let mut stage = stage.restart(|dir| fs::write(dir.join("a.wasm"), "nonsense").unwrap());
    assert_eq!(stage.refused().0, "check");
    assert_eq!(stage.rolled_back().version.as_ref(), "1.0.0");
    assert_eq!(stage.decide("room"), ("a".into(), on(1)));
    let status = status(&stage);
    assert_eq!(status.wanted.unwrap().state, WantedState::Refused);
    assert_eq!(
        status.serving.unwrap().settings_sha256,
        settings,
        "with the settings that it had"
    );
    let problem = status.problem.unwrap();
    assert!(
        problem.contains("this is text") && problem.contains("the last good version serves"),
        "{problem}"
    );
    stage.has_decided();

    replace(&mut stage, &places(2, "2.0.0"));
    assert_eq!(stage.policies.status()[0].problem, None);
    assert_eq!(stage.decide("room").1, on(2));
    stage.stop();
}

#[test]
fn a_restart_over_a_half_written_file_serves_the_last_good_version_while_it_waits() {
    let stage = Stage::serving(&[("a.wasm", &places(1, "1.0.0").build())]);
    let next = places(2, "2.0.0").build();
    let mut stage = stage.restart(|dir| fs::write(dir.join("a.wasm"), &next[..next.len() / 2]).unwrap());
    assert_eq!(stage.rolled_back().version.as_ref(), "1.0.0");
    assert_eq!(wanted(&stage).0, WantedState::Waiting);
    fs::write(stage.path("a.wasm"), &next).unwrap();
    assert_eq!(stage.loaded().version.as_ref(), "2.0.0");
    stage.stop();
}

#[test]
fn a_restart_over_settings_that_are_refused_serves_the_last_good_version() {
    let stage = Stage::serving(&[("a.wasm", &places(1, "1.0.0").build()), ("a.toml", b"spare = 1")]);
    let mut stage = stage.restart(|dir| fs::write(dir.join("a.toml"), "spare =").unwrap());
    assert_eq!(stage.refused().0, "settings");
    assert_eq!(stage.rolled_back().version.as_ref(), "1.0.0");
    assert_eq!(stage.decide("room").1, on(1));
    stage.stop();
}

#[test]
fn a_restart_without_a_folder_serves_what_served_until_the_folder_says_otherwise() {
    let stage = Stage::serving(&[
        ("a.wasm", &places(1, "1.0.0").build()),
        ("b.wasm", &places(2, "1.0.0").build()),
    ]);
    let aside = stage.dir.path().with_extension("aside");
    let mut stage = stage.restart(|dir| fs::rename(dir, &aside).unwrap());
    let names: Vec<String> = (0..2).map(|_| stage.rolled_back().policy.to_string()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(stage.decide("room"), ("a".into(), on(1)));
    let shown = status(&stage);
    assert_eq!(shown.wanted, None);
    assert!(shown.problem.unwrap().contains("folder is missing"));
    stage.has_decided();

    fs::remove_file(aside.join("b.wasm")).unwrap();
    fs::rename(&aside, stage.dir.path()).unwrap();
    match stage.event() {
        PolicyEvent::Removed(event) => assert_eq!(&*event.policy, "b"),
        other => panic!("expected b to be gone, not {other:?}"),
    }
    stage.until(|policies| policies.status()[0].wanted.is_some());
    assert_eq!(wanted(&stage).0, WantedState::Serving);
    assert_eq!(status(&stage).problem, None);
    assert_eq!(stage.policies.status().len(), 2);
    stage.stop();
}

#[test]
fn a_file_that_went_while_the_host_was_down_takes_its_policy_along() {
    let stage = Stage::serving(&[("a.wasm", &places(1, "1.0.0").build())]);
    let mut stage = stage.restart(|dir| fs::remove_file(dir.join("a.wasm")).unwrap());
    assert!(matches!(stage.event(), PolicyEvent::Removed(event) if &*event.policy == "a"));
    assert_eq!(stage.decide("room").1, on(BUILT_IN));
    let mut stage = stage.restart(|dir| fs::rename(dir, dir.with_extension("aside")).unwrap());
    assert!(stage.is_quiet_for(4), "it does not come back from the shelf");
    assert_eq!(stage.decide("room").1, on(BUILT_IN));
    fs::rename(stage.dir.path().with_extension("aside"), stage.dir.path()).unwrap();
    stage.stop();
}

#[test]
fn an_order_to_go_back_holds_over_restarts_until_the_file_changes() {
    let mut stage = Stage::serving(&[("a.wasm", &places(1, "1.0.0").build())]);
    replace(&mut stage, &places(2, "2.0.0"));
    assert_eq!(stage.policies.rollback("a", "rooms pile up").wait(), Ok(()));
    let event = stage.rolled_back();
    assert_eq!(event.version.as_ref(), "1.0.0");
    assert!(
        event.reason.contains("an operator") && event.reason.contains("rooms pile up"),
        "{}",
        event.reason
    );
    let is_back = |stage: &mut Stage| {
        assert_eq!(stage.decide("room").1, on(1));
        let status = status(stage);
        let wanted = status.wanted.unwrap();
        assert_eq!(
            (wanted.state, wanted.version.as_deref()),
            (WantedState::RolledBack, Some("2.0.0"))
        );
        assert!(status.rolled_back_at.is_some() && status.problem.unwrap().contains("rooms pile up"));
    };
    is_back(&mut stage);
    // Once more is done already: nothing goes back any further, and nothing is told.
    assert_eq!(stage.policies.rollback("a", "again").wait(), Ok(()));
    assert!(stage.is_quiet_for(2));
    is_back(&mut stage);

    let mut stage = stage.restart(same);
    assert_eq!(stage.rolled_back().version.as_ref(), "1.0.0");
    is_back(&mut stage);
    assert_eq!(stage.policies.rollback("a", "and again").wait(), Ok(()));
    is_back(&mut stage);

    replace(&mut stage, &places(3, "3.0.0"));
    assert_eq!(stage.decide("room").1, on(3));
    let after = status(&stage);
    assert_eq!((after.rolled_back_at, after.problem), (None, None));
    assert_eq!(after.previous.unwrap().version, "1.0.0");
    stage.stop();
}

#[test]
fn an_order_to_go_back_outlives_a_deployment_that_deletes_and_copies() {
    let (one, two) = (places(1, "1.0.0"), places(2, "2.0.0"));
    let mut stage = Stage::serving(&[("a.wasm", &one.build())]);
    replace(&mut stage, &two);
    stage.policies.rollback("a", "rooms pile up").wait().unwrap();
    stage.rolled_back();
    let remove = |stage: &Stage| {
        fs::remove_file(stage.path("a.wasm")).unwrap();
        assert!(matches!(stage.event(), PolicyEvent::Removed(_)));
    };
    remove(&stage);
    let mut stage = stage.restart(same);
    assert!(
        stage.is_quiet_for(4),
        "a file that is gone does not come back from the shelf"
    );
    assert_eq!(stage.decide("room").1, on(BUILT_IN));
    stage.rename_in("a.wasm", &two.build());
    assert_eq!(stage.rolled_back().version.as_ref(), "1.0.0");
    assert_eq!(stage.decide("room").1, on(1));
    assert_eq!(wanted(&stage), (WantedState::RolledBack, Some("2.0.0".into())));
    // Another file ends it, and what was kept for its sake.
    remove(&stage);
    stage.rename_in("a.wasm", &places(3, "3.0.0").build());
    stage.loaded();
    stage.changed();
    assert_eq!(stage.decide("room").1, on(3));
    assert_eq!(status(&stage).previous, None);
    stage.stop();
}

#[test]
fn a_quarantine_whose_way_back_a_restart_cut_off_is_gone_back_from_then() {
    let mut stage = Stage::serving(&[("a.wasm", &places(1, "1.0.0").build())]);
    replace(&mut stage, &faulty("2.0.0"));
    for room in ["one", "two", "three"] {
        assert!(stage.ask(0, room).unwrap().advice.is_err(), "{room} is a fault");
        assert!(matches!(stage.event(), PolicyEvent::Fault(_)));
        if room == "two" {
            stage.changed();
            // The host goes down, and shows the fleet to nobody any more.
            stage.host.has_view.store(false, Ordering::SeqCst);
        } else if room == "one" {
            stage.changed();
        }
    }
    assert!(matches!(stage.event(), PolicyEvent::Quarantined(_)));
    let mut stage = stage.restart(same);
    assert_eq!(stage.rolled_back().version.as_ref(), "1.0.0");
    assert_eq!(stage.decide("four"), ("a".into(), on(1)));
    assert_eq!(wanted(&stage), (WantedState::Quarantined, Some("2.0.0".into())));
    stage.stop();
}

#[test]
fn an_order_to_go_back_is_released_by_new_settings_and_by_the_earlier_file() {
    let mut stage = Stage::serving(&[("a.wasm", &places(1, "1.0.0").build())]);
    replace(&mut stage, &places(2, "2.0.0"));
    stage.policies.rollback("a", "").wait().unwrap();
    stage.rolled_back();
    stage.rename_in("a.toml", b"x = 1");
    assert_eq!(stage.loaded().version.as_ref(), "2.0.0");

    stage.policies.rollback("a", "").wait().unwrap();
    stage.rolled_back();
    fs::remove_file(stage.path("a.toml")).unwrap();
    stage.rename_in("a.wasm", &places(1, "1.0.0").build());
    assert!(stage.is_quiet_for(4), "what serves is what is wanted");
    let after = status(&stage);
    assert_eq!(
        (after.wanted.unwrap().state, after.rolled_back_at),
        (WantedState::Serving, None)
    );
    stage.stop();
}

#[test]
fn after_a_restart_the_version_before_is_made_again_from_its_kept_files() {
    let mut stage = Stage::serving(&[("a.wasm", &places(1, "1.0.0").build()), ("a.toml", b"x = 1")]);
    replace(&mut stage, &places(2, "2.0.0"));
    let mut stage = stage.restart(same);
    assert_eq!(stage.loaded().version.as_ref(), "2.0.0");
    assert_eq!(stage.policies.rollback("a", "").wait(), Ok(()));
    assert_eq!(stage.rolled_back().version.as_ref(), "1.0.0");
    assert_eq!(stage.decide("room").1, on(1));
    stage.stop();
}

#[test]
fn an_order_that_was_given_without_a_folder_holds_when_the_folder_returns() {
    let mut stage = Stage::serving(&[("a.wasm", &places(1, "1.0.0").build())]);
    replace(&mut stage, &places(2, "2.0.0"));
    let aside = stage.dir.path().with_extension("aside");
    let mut stage = stage.restart(|dir| fs::rename(dir, &aside).unwrap());
    stage.rolled_back();
    assert_eq!(stage.decide("room").1, on(2));
    for _ in 0..2 {
        assert_eq!(stage.policies.rollback("a", "").wait(), Ok(()));
    }
    stage.rolled_back();
    fs::rename(&aside, stage.dir.path()).unwrap();
    stage.until(|policies| policies.status()[0].wanted.is_some());
    assert_eq!(wanted(&stage).0, WantedState::RolledBack);
    assert_eq!(stage.decide("room").1, on(1));
    stage.stop();
}

#[test]
fn a_good_version_that_does_not_pass_the_gates_any_more_is_tried_once_and_shown() {
    let stage = Stage::serving(&[("a.wasm", &places(1, "1.0.0").build())]);
    *stage.host.world.lock().unwrap() = World::default();
    let mut stage = stage.restart(same);
    assert_eq!(stage.refused().0, "trial");
    assert!(stage.is_quiet_for(4));
    stage.has_decided();
    assert_eq!(status(&stage).serving, None);
    assert_eq!(stage.decide("room").1, on(BUILT_IN));
    assert_eq!(stage.policies.compilations(), 1);
    stage.stop();
}

#[test]
fn what_cannot_go_back_says_why() {
    let mut stage = Stage::serving(&[("a.wasm", &places(1, "1.0.0").build())]);
    let order = |stage: &Stage, policy: &str| stage.policies.rollback(policy, "").wait().unwrap_err();
    assert_eq!(order(&stage, "a"), RollbackError::NoEarlierVersion("a".into()));
    assert_eq!(order(&stage, "b"), RollbackError::NoSuchPolicy("b".into()));
    assert_eq!(order(&stage, "../a"), RollbackError::NoSuchPolicy("../a".into()));
    assert_eq!(order(&stage, "last"), RollbackError::BuiltIn);
    stage.rename_in("b.wasm", b"text");
    stage.refused();
    assert_eq!(order(&stage, "b"), RollbackError::NoEarlierVersion("b".into()));
    assert!(stage.is_quiet_for(1));
    assert_eq!(stage.decide("room").1, on(1));
    stage.stop();
}

#[test]
fn a_version_before_that_does_not_pass_the_gates_any_more_does_not_come_back() {
    let picky = Guest {
        view: Some(["(if (i32.eq (global.get $told) (i32.const 1)) (then (return (call $error)))) (global.set $told (i32.const 1)) (call $ok)"; 3].map(String::from)),
        more: "(global $told (mut i32) (i32.const 0))".into(),
        ..places(1, "1.0.0")
    };
    let mut stage = Stage::serving(&[("a.wasm", &picky.build())]);
    replace(&mut stage, &places(2, "2.0.0"));
    // With usages there is a second call of the view.
    stage
        .host
        .world
        .lock()
        .unwrap()
        .set([super::rows::usage(1, 1), pool(2)]);
    let refused = stage.policies.rollback("a", "").wait().unwrap_err();
    assert!(
        matches!(&refused, RollbackError::Refused { policy, problem } if policy == "a" && problem.contains("oh no")),
        "{refused}"
    );
    assert_eq!(stage.decide("room").1, on(2));
    assert_eq!(wanted(&stage), (WantedState::Serving, Some("2.0.0".into())));
    assert_eq!(status(&stage).rolled_back_at, None);
    stage.stop();
}

#[test]
fn with_the_good_version_lost_the_one_in_quarantine_serves_without_that_decision() {
    let mut stage = Stage::serving(&[("a.wasm", &places(1, "1.0.0").build())]);
    let half_faulty = Guest {
        scale_up: Some("(call $rows (i32.const 0))".into()),
        ..faulty("2.0.0")
    };
    replace(&mut stage, &half_faulty);
    provoke(&mut stage);
    stage.rolled_back();
    let kept = stage.keep.path().join("a");
    let mut stage = stage.restart(|_| {
        for entry in fs::read_dir(&kept).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "wasm") {
                fs::write(path, "spoilt").unwrap();
            }
        }
    });
    assert_eq!(stage.loaded().version.as_ref(), "2.0.0");
    assert_eq!(status(&stage).serving.unwrap().quarantined, ["place"]);
    assert_eq!(stage.decide("room").1, on(BUILT_IN));
    stage.stop();
}

#[test]
fn what_the_fleet_stood_in_the_way_of_is_tried_again_until_it_passes() {
    let mut stage = Stage::trying_again();
    stage.rename_in("a.wasm", &places(77, "1.0.0").build());
    let (step, reason) = stage.refused();
    assert_eq!(step, "trial");
    assert!(reason.contains("server 77"), "{reason}");
    assert!(stage.is_quiet_for(10), "told once, however often it is tried");
    assert_eq!(stage.policies.compilations(), 1);
    stage.host.world.lock().unwrap().set([super::rows::server(77)]);
    stage.loaded();
    assert_eq!(stage.decide("room").1, on(77));
    assert_eq!(stage.policies.compilations(), 1);
    stage.stop();
}

/// A guest that cannot take usages.
fn blind(version: &'static str) -> Guest {
    Guest {
        view: Some(["(call $ok)", "unreachable", "(call $ok)"].map(Into::into)),
        place: Some("(if (local.get 2) (then unreachable)) (call $on (i32.const 2))".into()),
        ..Guest::new().version(version)
    }
}

#[test]
fn one_that_cannot_be_built_again_gives_way_to_the_version_before_it() {
    let mut stage = Stage::serving(&[("a.wasm", &places(1, "1.0.0").build())]);
    replace(&mut stage, &blind("2.0.0"));
    stage.host.world.lock().unwrap().set([super::rows::usage(1, 1)]);
    assert!(stage.ask(0, "one").unwrap().advice.is_err(), "it is told a usage");
    for words in ["unreachable", "could not be built again", "could not be built again"] {
        let PolicyEvent::Fault(event) = stage.event() else {
            panic!("a fault is told")
        };
        assert!(event.reason.contains(words), "{event:?}");
    }
    assert!(matches!(stage.event(), PolicyEvent::Quarantined(_)));
    stage.changed();
    assert_eq!(stage.rolled_back().version.as_ref(), "1.0.0");
    assert_eq!(stage.decide("two"), ("a".into(), on(1)));
    stage.stop();
}

#[test]
fn one_that_cannot_be_built_again_and_has_none_before_it_says_so_and_tries_on() {
    let mut stage = Stage::serving(&[("a.wasm", &blind("2.0.0").build())]);
    let usage = super::rows::usage(1, 1);
    stage.host.world.lock().unwrap().set([usage]);
    assert!(stage.ask(0, "one").unwrap().advice.is_err(), "it is told a usage");
    assert!(matches!(stage.event(), PolicyEvent::Fault(_)));
    let problem = |policies: &Policies| policies.status()[0].problem.clone();
    stage.until(|policies| problem(policies).is_some_and(|problem| problem.contains("could not be built again")));
    // A fleet that it can take.
    *stage.host.world.lock().unwrap() = World::of_sixty();
    stage.changed();
    // What serves is shown after it has been swapped in.
    stage.until(|policies| problem(policies).is_none());
    assert_eq!(stage.decide("two"), ("a".into(), on(2)));
    stage.stop();
}

#[test]
fn what_the_fleet_stood_in_the_way_of_is_tried_again_when_the_file_is_put_there_again() {
    let mut stage = Stage::new(&[]);
    let guest = places(77, "1.0.0").build();
    stage.rename_in("a.wasm", &guest);
    let (step, reason) = stage.refused();
    assert_eq!(step, "trial");
    assert!(reason.contains("server 77"), "{reason}");
    stage.host.world.lock().unwrap().set([super::rows::server(77)]);
    stage.rename_in("a.wasm", &guest);
    stage.loaded();
    assert_eq!(stage.decide("room").1, on(77));
    stage.stop();
}

#[test]
fn an_order_to_go_back_outlives_a_copy_of_the_same_file_that_pauses() {
    let two = places(2, "2.0.0").build();
    let mut stage = Stage::serving(&[("a.wasm", &places(1, "1.0.0").build())]);
    replace(&mut stage, &places(2, "2.0.0"));
    stage.policies.rollback("a", "").wait().unwrap();
    stage.rolled_back();
    fs::write(stage.path("a.wasm"), &two[..two.len() / 2]).unwrap();
    stage.until(|policies| wanted_of(policies) == WantedState::Waiting);
    fs::write(stage.path("a.wasm"), &two).unwrap();
    stage.until(|policies| wanted_of(policies) == WantedState::RolledBack);
    assert!(stage.is_quiet_for(3));
    assert_eq!(stage.decide("room").1, on(1));
    let stage = stage.restart(same);
    assert!(
        matches!(stage.event(), PolicyEvent::RolledBack(_)),
        "it is in force still"
    );
    stage.stop();
}

fn wanted_of(policies: &Policies) -> WantedState {
    let status = &policies.status()[0];
    status
        .wanted
        .as_ref()
        .map_or(WantedState::Serving, |wanted| wanted.state)
}

#[test]
fn a_quarantine_outlives_a_deployment_that_deletes_and_copies_as_one_piece() {
    let half_faulty = Guest {
        scale_up: Some("(call $rows (i32.const 0))".into()),
        ..faulty("2.0.0")
    };
    let mut stage = Stage::serving(&[("a.wasm", &places(1, "1.0.0").build())]);
    replace(&mut stage, &half_faulty);
    provoke(&mut stage);
    stage.rolled_back();
    fs::remove_file(stage.path("a.wasm")).unwrap();
    assert!(matches!(stage.event(), PolicyEvent::Removed(_)));
    stage.changed();
    stage.rename_in("a.wasm", &half_faulty.build());
    assert_eq!(stage.rolled_back().version.as_ref(), "1.0.0");
    assert_eq!((stage.decide("room").1, serving(&stage)), (on(1), "1.0.0".into()));
    stage.stop();
}

/// A stage that tries again soon, on which this version serves and had a good one before it.
fn serving_after_the_first(guest: &Guest) -> Stage {
    let mut stage = Stage::trying_again();
    *stage.host.world.lock().unwrap() = World::of_sixty();
    stage.rename_in("a.wasm", &places(1, "1.0.0").build());
    stage.loaded();
    replace(&mut stage, guest);
    stage
}

#[test]
fn a_version_that_was_ordered_out_stays_out_while_the_one_before_stumbles_over_the_fleet() {
    let mut stage = serving_after_the_first(&places(2, "2.0.0"));
    stage.policies.rollback("a", "rooms pile up").wait().unwrap();
    stage.rolled_back();
    *stage.host.world.lock().unwrap() = World::default();
    let mut stage = stage.restart(same);
    // Nothing is shown before the folder was read.
    let problem = |policies: &Policies| {
        let status = policies.status();
        status.first().and_then(|it| it.problem.clone()).unwrap_or_default()
    };
    stage.until(|policies| problem(policies).contains("does not serve yet"));
    assert!(
        problem(&stage.policies).contains("server 1"),
        "{}",
        problem(&stage.policies)
    );
    stage.has_decided();
    assert!(stage.is_quiet_for(4), "however often it is tried");
    assert_eq!(stage.decide("room").1, on(BUILT_IN));
    assert_eq!(stage.policies.rollback("a", "still").wait(), Ok(()), "it is in force");
    *stage.host.world.lock().unwrap() = World::of_sixty();
    assert_eq!(stage.rolled_back().version.as_ref(), "1.0.0");
    assert_eq!(stage.decide("room").1, on(1));
    assert_eq!(wanted(&stage).0, WantedState::RolledBack);
    stage.stop();
}

#[test]
fn a_good_version_before_that_the_fleet_keeps_away_after_a_quarantine_is_tried_again() {
    let mut stage = serving_after_the_first(&faulty("2.0.0"));
    *stage.host.world.lock().unwrap() = World::default();
    provoke(&mut stage);
    stage.until(|policies| {
        let problem = policies.status()[0].problem.clone();
        problem.is_some_and(|problem| problem.contains("does not serve yet"))
    });
    *stage.host.world.lock().unwrap() = World::of_sixty();
    assert_eq!(stage.rolled_back().version.as_ref(), "1.0.0");
    assert_eq!(stage.decide("room").1, on(1));
    stage.stop();
}

#[test]
fn an_order_goes_back_also_while_the_folder_holds_an_older_version_in_quarantine() {
    let mut stage = Stage::serving(&[("a.wasm", &places(1, "1.0.0").build())]);
    replace(&mut stage, &faulty("2.0.0"));
    provoke(&mut stage);
    stage.rolled_back();
    replace(&mut stage, &places(3, "3.0.0"));
    // Somebody reverts to what they take for the version before.
    stage.rename_in("a.wasm", &faulty("2.0.0").build());
    stage.until(|policies| wanted_of(policies) == WantedState::Quarantined);
    assert_eq!(stage.decide("room").1, on(3));
    assert_eq!(stage.policies.rollback("a", "it is slow").wait(), Ok(()));
    stage.rolled_back();
    assert_eq!(stage.decide("room").1, on(1));
    assert_eq!(
        stage.policies.rollback("a", "it is slow").wait(),
        Ok(()),
        "it is in force"
    );
    stage.stop();
}

#[test]
fn an_order_goes_back_where_the_folders_version_waits_for_another_fleet() {
    let mut stage = Stage::trying_again();
    *stage.host.world.lock().unwrap() = World::of_sixty();
    stage.rename_in("a.wasm", &places(1, "1.0.0").build());
    stage.loaded();
    stage.host.world.lock().unwrap().set([super::rows::server(77)]);
    replace(&mut stage, &places(77, "2.0.0"));
    *stage.host.world.lock().unwrap() = World::of_sixty();
    let mut stage = stage.restart(same);
    assert_eq!(stage.refused().0, "trial");
    assert_eq!(stage.decide("room").1, on(BUILT_IN));
    assert_eq!(stage.policies.rollback("a", "").wait(), Ok(()));
    stage.rolled_back();
    assert_eq!(stage.decide("room").1, on(1));
    stage.stop();
}

#[test]
fn a_version_that_comes_while_another_is_put_off_can_go_back_itself() {
    let mut stage = serving_after_the_first(&faulty("2.0.0"));
    *stage.host.world.lock().unwrap() = World::default();
    provoke(&mut stage);
    stage.until(|policies| {
        let problem = policies.status()[0].problem.clone();
        problem.is_some_and(|problem| problem.contains("does not serve yet"))
    });
    let defers = Guest::places("(if (i32.eq (local.get 4) (i32.const 6)) (then unreachable)) (call $defer)");
    replace(&mut stage, &defers.version("3.0.0"));
    *stage.host.world.lock().unwrap() = World::of_sixty();
    assert_eq!(
        stage.policies.rollback("a", "").wait(),
        Ok(()),
        "the first, for the third"
    );
    stage.rolled_back();
    assert_eq!(stage.decide("room").1, on(1));
    stage.stop();
}

#[test]
fn a_room_waits_for_a_policy_that_is_not_back_yet_after_a_restart() {
    let guest = places(1, "1.0.0").build();
    let mut stage = Stage::serving(&[("a.wasm", &guest), ("a.toml", b"on_fault = \"wait\"")]);
    assert_eq!(stage.decide("room"), ("a".into(), on(1)));
    let mut stage = stage.restart(same);
    let before_it_is_back = stage.ask(0, "room").expect("it has its place");
    assert!(before_it_is_back.isolates);
    assert_eq!(before_it_is_back.advice.unwrap_err().kind, FaultKind::Unavailable);
    assert_eq!(&*before_it_is_back.policy.version, "1.0.0");
    assert!(matches!(
        stage.event(),
        PolicyEvent::Loaded(_) | PolicyEvent::RolledBack(_)
    ));
    stage.changed();
    assert_eq!(stage.decide("room"), ("a".into(), on(1)));
    // The file goes while the host is down: nobody waits for it for ever.
    let mut stage = stage.restart(|dir| fs::remove_file(dir.join("a.wasm")).unwrap());
    assert!(matches!(stage.event(), PolicyEvent::Removed(_)));
    stage.changed();
    assert_eq!(stage.decide("room").1, on(BUILT_IN));
    stage.stop();
}
