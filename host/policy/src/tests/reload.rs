//! The folder while it changes under a serving chain.

use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use usher_fleet::advice::Placement;
use usher_fleet::event::PolicyEvent;
use usher_fleet::ids::ServerNo;

use super::guests::Guest;
use super::host::{QUIET, Stage};
use super::rows::World;
use crate::status::WantedState;

fn on(server: u32) -> Placement {
    Placement::On(ServerNo(server))
}

fn places(server: u32) -> Vec<u8> {
    Guest::places(&format!("(call $on (i32.const {server}))")).build()
}

#[test]
fn a_file_renamed_into_the_folder_serves_and_nothing_changes_before_the_swap() {
    let mut stage = Stage::serving(&[("a.wasm", &places(1))]);
    assert_eq!(stage.decide("room").1, on(1));
    stage.rename_in("a.wasm", &places(2));
    let PolicyEvent::Loaded(event) = stage.event() else {
        panic!("it is loaded")
    };
    assert_eq!((&*event.policy, &*event.version), ("a", "1.0.0"));
    assert_eq!(event.sha256.len(), 64);
    assert_eq!(stage.decide("room").1, on(1));
    stage.changed();
    assert_eq!(stage.decide("room").1, on(2));
    assert!(!stage.chain.swap());
    stage.stop();
}

#[test]
fn a_half_written_file_is_waited_for_and_not_blamed() {
    let mut stage = Stage::serving(&[("a.wasm", &places(1))]);
    let whole = places(2);
    for part in [0, 4, whole.len() / 2, whole.len() - 1] {
        std::fs::write(stage.path("a.wasm"), &whole[..part]).unwrap();
        assert!(stage.is_quiet_for(3), "after {part} bytes");
        assert_eq!(
            stage.policies.status()[0].wanted.clone().unwrap().state,
            WantedState::Waiting
        );
        assert_eq!(stage.decide("room").1, on(1));
    }
    std::fs::write(stage.path("a.wasm"), &whole).unwrap();
    stage.loaded();
    assert_eq!(stage.decide("room").1, on(2));
    stage.stop();
}

#[test]
fn a_removed_file_leaves_the_chain() {
    let mut stage = Stage::serving(&[("a.wasm", &places(1)), ("b.wasm", &places(2))]);
    std::fs::remove_file(stage.path("a.wasm")).unwrap();
    let PolicyEvent::Removed(event) = stage.event() else {
        panic!("the removal is told")
    };
    assert_eq!((&*event.policy, &*event.version), ("a", "1.0.0"));
    assert_eq!(stage.decide("room").1, on(1));
    stage.changed();
    assert_eq!(stage.decide("room").1, on(2));
    assert_eq!(stage.policies.status().len(), 2);
    stage.stop();
}

#[test]
fn a_folder_that_vanishes_changes_nothing_and_may_come_back() {
    let mut stage = Stage::serving(&[("a.wasm", &places(1))]);
    let aside = stage.dir.path().with_extension("aside");
    std::fs::rename(stage.dir.path(), &aside).unwrap();
    assert!(stage.is_quiet_for(4));
    assert_eq!(stage.decide("room").1, on(1));
    std::fs::rename(&aside, stage.dir.path()).unwrap();
    stage.rename_in("a.wasm", &places(2));
    stage.loaded();
    assert_eq!(stage.decide("room").1, on(2));
    stage.stop();
}

#[test]
fn other_settings_are_another_version_of_the_same_code() {
    let mut stage = Stage::serving(&[("a.wasm", &places(1)), ("b.wasm", &places(1))]);
    let before = stage.policies.status()[0].serving.clone().unwrap();
    stage.rename_in("a.toml", b"spare = 1");
    stage.loaded();
    let after = stage.policies.status()[0].serving.clone().unwrap();
    assert_eq!(before.sha256, after.sha256);
    assert_ne!(before.settings_sha256, after.settings_sha256);
    // One module in two files and under other settings.
    assert_eq!(stage.policies.compilations(), 1);
    stage.stop();
}

#[test]
fn a_module_whose_settings_were_refused_is_not_compiled_again_for_better_ones() {
    let guest = Guest {
        configure: "(if (i32.gt_u (local.get 1) (i32.const 2)) (then (return (call $error)))) (call $ok)".into(),
        ..Guest::places("(call $on (i32.const 1))")
    };
    let mut stage = Stage::new(&[("a.wasm", &guest.build()), ("a.toml", b"colour = \"red\"")]);
    assert_eq!(stage.refused().0, "configure");
    stage.rename_in("a.toml", b"");
    stage.loaded();
    assert_eq!(stage.policies.compilations(), 1);
    stage.stop();
}

#[test]
fn links_are_followed_beneath_the_folder_and_swapped_as_kubernetes_does() {
    let mut stage = Stage::new(&[]);
    for (version, server) in [("..v1", 1), ("..v2", 2)] {
        std::fs::create_dir(stage.path(version)).unwrap();
        std::fs::write(stage.path(version).join("a.wasm"), places(server)).unwrap();
    }
    symlink("..v1", stage.path("..data")).unwrap();
    symlink("..data/a.wasm", stage.path("a.wasm")).unwrap();
    stage.loaded();
    assert_eq!(stage.decide("room").1, on(1));
    symlink("..v2", stage.path("..new")).unwrap();
    std::fs::rename(stage.path("..new"), stage.path("..data")).unwrap();
    stage.loaded();
    assert_eq!(stage.decide("room").1, on(2));
    stage.stop();
}

#[test]
fn a_kubernetes_volume_that_is_swapped_never_takes_the_policy_away() {
    let mut stage = Stage::new(&[]);
    let volume = |stage: &Stage, name: &str, server: u32| {
        std::fs::create_dir(stage.path(name)).unwrap();
        std::fs::write(stage.path(name).join("a.wasm"), places(server)).unwrap();
    };
    volume(&stage, "..2026_11_01", 1);
    symlink("..2026_11_01", stage.path("..data")).unwrap();
    symlink("..data/a.wasm", stage.path("a.wasm")).unwrap();
    stage.loaded();
    for server in 2..5 {
        // The kubelet's steps: a new folder, a link swapped by a rename, the old folder removed.
        let (old, new) = (format!("..2026_11_0{}", server - 1), format!("..2026_11_0{server}"));
        volume(&stage, &new, server);
        symlink(&new, stage.path("..data_tmp")).unwrap();
        std::fs::rename(stage.path("..data_tmp"), stage.path("..data")).unwrap();
        std::fs::remove_dir_all(stage.path(&old)).unwrap();
        stage.loaded();
        assert_eq!(stage.decide("room").1, on(server));
    }
    assert!(stage.is_quiet_for(4));
    stage.stop();
}

#[test]
fn whichever_way_an_editor_saves_the_new_version_serves_once() {
    type Save = fn(&Stage, &[u8]);
    let ways: [(&str, Save); 5] = [
        ("in place", |stage, bytes| {
            std::fs::write(stage.path("a.wasm"), bytes).unwrap()
        }),
        ("in place and in pieces", |stage, bytes| {
            let mut file = std::fs::File::create(stage.path("a.wasm")).unwrap();
            for piece in bytes.chunks(bytes.len() / 5) {
                file.write_all(piece).unwrap();
                file.flush().unwrap();
                std::thread::sleep(Duration::from_millis(5));
            }
        }),
        ("beside it and renamed", |stage, bytes| stage.rename_in("a.wasm", bytes)),
        ("removed and made anew", |stage, bytes| {
            std::fs::remove_file(stage.path("a.wasm")).unwrap();
            std::fs::write(stage.path("a.wasm"), bytes).unwrap();
        }),
        ("the old one moved aside", |stage, bytes| {
            std::fs::rename(stage.path("a.wasm"), stage.path("a.wasm~")).unwrap();
            std::fs::write(stage.path("a.wasm"), bytes).unwrap();
        }),
    ];
    let mut stage = Stage::serving(&[("a.wasm", &places(1))]);
    for (server, (way, save)) in (2..).zip(ways) {
        let began = Instant::now();
        save(&stage, &places(server));
        let took = began.elapsed();
        loop {
            match stage.event() {
                PolicyEvent::Loaded(_) => break,
                // On a busy machine a file can be away for longer than it must rest to be gone.
                PolicyEvent::Removed(_) if took >= QUIET => {}
                other => panic!("{way}: {other:?}"),
            }
        }
        stage.until(|policies| policies.status()[0].wanted.as_ref().unwrap().state == WantedState::Serving);
        stage.chain.swap();
        assert_eq!(stage.decide("room").1, on(server), "{way}");
        assert!(stage.is_quiet_for(3), "{way}");
    }
    stage.stop();
}

#[test]
fn a_folder_that_is_another_one_from_now_on_is_read_all_the_same() {
    let mut stage = Stage::serving(&[("a.wasm", &places(1)), ("b.wasm", &places(2))]);
    let aside = stage.dir.path().with_extension("aside");
    let next = stage.dir.path().with_extension("next");
    std::fs::create_dir(&next).unwrap();
    std::fs::write(next.join("a.wasm"), places(3)).unwrap();
    std::fs::rename(stage.dir.path(), &aside).unwrap();
    std::fs::rename(&next, stage.dir.path()).unwrap();
    let mut told = [stage.event(), stage.event()].map(|event| match event {
        PolicyEvent::Loaded(event) => format!("+{}", event.policy),
        PolicyEvent::Removed(event) => format!("-{}", event.policy),
        other => panic!("neither loaded nor removed: {other:?}"),
    });
    told.sort();
    assert_eq!(told, ["+a", "-b"]);
    stage.chain.swap();
    assert_eq!(stage.decide("room").1, on(3));
    std::fs::remove_dir_all(aside).unwrap();
    stage.stop();
}

#[test]
fn a_module_that_compiles_for_ever_keeps_neither_its_successor_waiting_nor_the_host() {
    let stage = Stage::compiling_by("if grep -q for-ever; then exec sleep 600; fi; exit 3");
    stage.rename_in("a.wasm", b"for-ever");
    stage.until(|policies| policies.status().first().is_some_and(|policy| !policy.built_in));
    stage.rename_in("a.wasm", b"something else");
    let (step, reason) = stage.refused();
    assert_eq!(step, "compile", "{reason}");
    stage.rename_in("a.wasm", b"again for-ever");
    stage.until(|policies| policies.status()[0].wanted.as_ref().unwrap().state == WantedState::Waiting);
    std::fs::remove_file(stage.path("a.wasm")).unwrap();
    assert!(matches!(stage.event(), PolicyEvent::Removed(_)));
    stage.rename_in("b.wasm", b"something else");
    assert_eq!(stage.refused().0, "compile");
    stage.stop();
}

#[test]
fn links_out_of_the_folder_and_other_things_are_refused() {
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::write(elsewhere.path().join("a.wasm"), places(1)).unwrap();
    let stage = Stage::new(&[]);
    symlink(elsewhere.path().join("a.wasm"), stage.path("a.wasm")).unwrap();
    let (step, reason) = stage.refused();
    assert_eq!(step, "read");
    assert!(reason.contains("leads out of the policies' folder"), "{reason}");
    std::fs::create_dir(stage.path("b.wasm")).unwrap();
    let (step, reason) = stage.refused();
    assert_eq!(step, "read");
    assert!(reason.contains("not a regular file"), "{reason}");
    stage.stop();
}

#[test]
fn what_is_no_policy_by_its_name_is_left_alone() {
    let mut stage = Stage::new(&[
        (".a.wasm", b"x"),
        ("a.wasm.tmp", b"x"),
        ("a.wasm~", b"x"),
        ("README.md", b"x"),
    ]);
    assert!(stage.is_quiet_for(4));
    assert!(stage.policies.has_decided());
    assert_eq!(stage.decide("room").0, "last");
    stage.stop();
}

#[test]
fn the_host_is_ready_when_every_file_has_been_decided_upon() {
    let mut stage = Stage::new(&[]);
    stage.host.has_view.store(false, Ordering::SeqCst);
    stage.rename_in("a.wasm", &places(1));
    stage.rename_in("b.wasm", b"text");
    stage.refused();
    assert!(!stage.policies.has_decided());
    stage.host.has_view.store(true, Ordering::SeqCst);
    stage.loaded();
    stage.rename_in("c.wasm", &places(3));
    stage.loaded();
    assert!(stage.policies.has_decided());
    stage.stop();
}

#[test]
fn a_refused_file_is_shown_beside_what_serves_and_going_back_is_no_new_version() {
    let stage = Stage::serving(&[("a.wasm", &places(1))]);
    stage.rename_in("a.wasm", b"nonsense");
    stage.refused();
    let status = stage.policies.status()[0].clone();
    let wanted = status.wanted.unwrap();
    assert_eq!((wanted.state, wanted.step), (WantedState::Refused, Some("check")));
    assert!(wanted.problem.unwrap().contains("text"));
    assert_eq!(status.serving.unwrap().version, "1.0.0");
    stage.rename_in("a.wasm", &places(1));
    assert!(stage.is_quiet_for(4));
    assert_eq!(
        stage.policies.status()[0].wanted.clone().unwrap().state,
        WantedState::Serving
    );
    stage.stop();
}

#[test]
fn the_built_in_reads_standard_toml_from_the_start_and_when_it_changes() {
    let mut stage = Stage::new(&[("standard.toml", b"spare = 1")]);
    *stage.host.world.lock().unwrap() = World::default();
    let settings = |stage: &mut Stage| stage.ask(0, "room").unwrap().advice.unwrap().reason.unwrap();
    assert_eq!(settings(&mut stage), r#"{"spare":1} after 0 rows"#);
    stage.rename_in("standard.toml", b"spare = 2");
    stage.loaded();
    assert_eq!(settings(&mut stage), r#"{"spare":2} after 0 rows"#);
    stage.rename_in("standard.toml", b"bad = 1");
    assert_eq!(
        stage.refused(),
        ("configure".into(), "the settings were refused: bad settings".into())
    );
    assert_eq!(settings(&mut stage), r#"{"spare":2} after 0 rows"#);
    let problem = |stage: &Stage| stage.policies.status()[0].problem.clone();
    stage.until(|policies| policies.status()[0].problem.is_some());
    assert_eq!(
        problem(&stage).unwrap(),
        "standard.toml was refused: the settings were refused: bad settings"
    );
    let mut stage = stage.restart(|_| {});
    assert_eq!(
        settings(&mut stage),
        r#"{"spare":2} after 0 rows"#,
        "what was good before"
    );
    stage.refused();
    stage.rename_in("standard.toml", b"spare = 3");
    stage.loaded();
    assert_eq!(problem(&stage), None);
    let mut stage = stage.restart(|dir| std::fs::remove_dir_all(dir).unwrap());
    assert_eq!(
        settings(&mut stage),
        r#"{"spare":3} after 0 rows"#,
        "a folder that is missing says nothing"
    );
    stage.stop();
}
