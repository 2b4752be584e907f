use std::fs;
use std::path::PathBuf;

use super::*;

fn name(text: &str) -> Name {
    Name::of_file(&format!("{text}.wasm")).unwrap()
}

fn contents(wasm: &str, settings: Option<&str>) -> Contents {
    Contents {
        wasm: wasm.into(),
        settings: settings.map(Into::into),
    }
}

fn good(contents: &Contents) -> Good {
    Good {
        version: crate::loading::version(contents),
        named: "1.0.0".into(),
        since: Timestamp::UNIX_EPOCH,
        rooms_wait: false,
    }
}

fn serve(shelf: &mut Shelf, policy: &str, wasm: &str) -> Version {
    let files = contents(wasm, None);
    shelf.serves(&name(policy), good(&files), Some(&files));
    good(&files).version
}

fn quarantine(shelf: &mut Shelf, policy: &str, version: Version) {
    let out = Quarantined {
        version,
        named: "1.0.0".into(),
        decision: DecisionPoint::Place,
        why: "3 faults".into(),
        at: Timestamp::UNIX_EPOCH,
    };
    shelf.quarantine(&name(policy), out);
}

fn all_files(dir: &Path) -> Vec<PathBuf> {
    let inner = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<PathBuf> = inner
        .flat_map(|path| if path.is_dir() { all_files(&path) } else { vec![path] })
        .collect();
    all.sort();
    all
}

#[test]
fn the_last_two_good_versions_outlive_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("kept").join("policies");
    let mut shelf = Shelf::open(Some(&dir));
    let first = serve(&mut shelf, "a", "1");
    let files = contents("2", Some("spare = 1"));
    shelf.serves(&name("a"), good(&files), Some(&files));

    let shelf = Shelf::open(Some(&dir));
    assert_eq!(shelf.expected(), [name("a")]);
    assert_eq!(shelf.current(&name("a")).unwrap(), &good(&files));
    assert_eq!(shelf.previous(&name("a")).unwrap().version, first);
    let kept = shelf.contents(&name("a"), good(&files).version).unwrap().unwrap();
    assert_eq!((kept.wasm, kept.settings), (b"2".to_vec(), Some(b"spare = 1".to_vec())));
    assert_eq!(shelf.contents(&name("a"), first).unwrap().unwrap().settings, None);
}

#[test]
fn a_third_version_pushes_the_first_off_the_shelf_and_off_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let mut shelf = Shelf::open(Some(dir.path()));
    let versions = ["1", "2", "3"].map(|wasm| serve(&mut shelf, "a", wasm));
    assert_eq!(shelf.previous(&name("a")).unwrap().version, versions[1]);
    assert_eq!(all_files(dir.path()).len(), 3, "two modules and the state");
    assert!(shelf.contents(&name("a"), versions[0]).unwrap().is_none());
}

#[test]
fn a_quarantined_version_does_not_push_the_good_one_before_it_off() {
    let mut shelf = Shelf::open(None);
    let first = serve(&mut shelf, "a", "1");
    let second = serve(&mut shelf, "a", "2");
    quarantine(&mut shelf, "a", second);
    serve(&mut shelf, "a", "3");
    assert_eq!(shelf.previous(&name("a")).unwrap().version, first);
    assert!(shelf.contents(&name("a"), first).unwrap().is_some());
}

#[test]
fn what_was_quarantined_and_ordered_outlives_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let mut shelf = Shelf::open(Some(dir.path()));
    let first = serve(&mut shelf, "a", "1");
    let second = serve(&mut shelf, "a", "2");
    quarantine(&mut shelf, "a", second);
    shelf.step_back(&name("a"));
    let rollback = Rollback {
        held: Some(second),
        named: "2.0.0".into(),
        why: "an operator said so".into(),
        at: Timestamp::UNIX_EPOCH,
    };
    shelf.hold(&name("a"), rollback.clone());

    let mut shelf = Shelf::open(Some(dir.path()));
    assert!(shelf.is_out(&name("a"), second, DecisionPoint::Place));
    assert!(!shelf.is_out(&name("a"), second, DecisionPoint::ScaleUp));
    assert!(!shelf.is_out(&name("a"), first, DecisionPoint::Place));
    assert_eq!(shelf.current(&name("a")).unwrap().version, first);
    assert_eq!(shelf.previous(&name("a")), None);
    assert_eq!(shelf.rollback(&name("a")), Some(&rollback));
    assert_eq!(shelf.named(&name("a"), second).as_deref(), Some("2.0.0"));
    shelf.release(&name("a"));
    assert_eq!(Shelf::open(Some(dir.path())).rollback(&name("a")), None);
}

#[test]
fn a_kept_module_that_is_not_what_its_hash_says_is_not_used() {
    let dir = tempfile::tempdir().unwrap();
    let mut shelf = Shelf::open(Some(dir.path()));
    let version = serve(&mut shelf, "a", "1");
    let module = dir.path().join("a").join(format!("{}.wasm", version.wasm));
    fs::write(&module, "2").unwrap();
    assert!(shelf.contents(&name("a"), version).unwrap().is_none());
    fs::write(&module, vec![0; usize::try_from(WASM_BYTES_MAX).unwrap() + 1]).unwrap();
    assert!(shelf.contents(&name("a"), version).unwrap().is_none());
    fs::remove_file(&module).unwrap();
    assert!(shelf.contents(&name("a"), version).unwrap().is_none());
    // What cannot be read is not lost.
    fs::create_dir(&module).unwrap();
    assert!(shelf.contents(&name("a"), version).is_err());
}

#[test]
fn a_state_that_cannot_be_read_is_no_state() {
    let whole = {
        let dir = tempfile::tempdir().unwrap();
        let mut shelf = Shelf::open(Some(dir.path()));
        serve(&mut shelf, "a", "1");
        fs::read_to_string(dir.path().join("a/state.json")).unwrap()
    };
    let spoilt = [
        String::new(),
        whole[..whole.len() / 2].to_owned(),
        whole.replace("\"format\": 1", "\"format\": 2"),
        whole.replace("\"policy\": \"a\"", "\"policy\": \"b\""),
        whole.replace("\"policy\": \"a\"", "\"policy\": \"../a\""),
        " ".repeat(usize::try_from(STATE_BYTES_MAX).unwrap() + 1),
        "[]".to_owned(),
    ];
    for state in spoilt {
        assert_ne!(state, whole);
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("a")).unwrap();
        fs::write(dir.path().join("a/state.json"), &state).unwrap();
        let mut shelf = Shelf::open(Some(dir.path()));
        assert_eq!(shelf.expected(), [], "{state}");
        // And it is no obstacle to a new one.
        serve(&mut shelf, "a", "2");
        assert_eq!(Shelf::open(Some(dir.path())).expected(), [name("a")]);
    }
}

#[test]
fn what_a_power_cut_leaves_behind_is_swept() {
    let dir = tempfile::tempdir().unwrap();
    let mut shelf = Shelf::open(Some(dir.path()));
    serve(&mut shelf, "a", "1");
    for left in [".part", "0123.wasm", "4567.learned"] {
        fs::write(dir.path().join("a").join(left), "half").unwrap();
    }
    let mut shelf = Shelf::open(Some(dir.path()));
    serve(&mut shelf, "a", "2");
    assert_eq!(all_files(dir.path()).len(), 3, "two modules and the state");
}

#[test]
fn no_name_leads_out_of_the_shelf_and_no_two_share_a_folder() {
    let long = "n".repeat(250);
    let names = [
        "50-main",
        "a.b",
        "a%b",
        "%61",
        "a/../../b",
        "ä",
        "a b",
        "a\\b",
        "a\0b",
        "A",
        "a",
        "a~",
        "lost+found",
        &long,
        &long[1..],
    ]
    .map(name);
    let folders: std::collections::BTreeSet<String> = names.iter().map(folder_of).collect();
    assert_eq!(folders.len(), names.len());
    assert!(folders.contains("50-main") && folders.contains("a.b"));
    for folder in &folders {
        assert!(
            folder.len() <= 255 && !folder.starts_with('.') && !folder.contains(['/', '\\', '\0']),
            "{folder}"
        );
    }
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("shelf");
    let mut shelf = Shelf::open(Some(&inner));
    for name in &names {
        let files = contents("1", None);
        shelf.serves(name, good(&files), Some(&files));
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    assert_eq!(Shelf::open(Some(&inner)).expected().len(), names.len());
}

#[test]
fn what_was_learned_stays_when_the_file_goes_and_returns() {
    let dir = tempfile::tempdir().unwrap();
    let mut shelf = Shelf::open(Some(dir.path()));
    let version = serve(&mut shelf, "a", "1");
    quarantine(&mut shelf, "a", version);
    shelf.keep_learned(&name("a"), b"monday");
    shelf.keep_learned(&name("a"), b"tuesday");
    shelf.keep_learned(&name("a"), &vec![0; LEARNED_BYTES_MAX + 1]);
    shelf.gone(&name("a"), Timestamp::UNIX_EPOCH);
    serve(&mut shelf, "b", "1");
    shelf.gone(&name("b"), Timestamp::UNIX_EPOCH);

    let mut shelf = Shelf::open(Some(dir.path()));
    assert_eq!(shelf.expected(), []);
    assert_eq!(shelf.learned(&name("a")).unwrap(), b"tuesday");
    assert_eq!(shelf.learned_bytes(&name("a")), 7);
    assert!(shelf.is_out(&name("a"), version, DecisionPoint::Place));
    assert_eq!(all_files(dir.path()).len(), 2, "what was learned, and the state");
    serve(&mut shelf, "a", "2");
    assert_eq!(Shelf::open(Some(dir.path())).learned(&name("a")).unwrap(), b"tuesday");
}

#[test]
fn only_so_many_policies_that_are_gone_are_remembered_the_last_ones() {
    let dir = tempfile::tempdir().unwrap();
    let mut shelf = Shelf::open(Some(dir.path()));
    for number in 0..GONE_MAX + 3 {
        let policy = name(&format!("p{number:03}"));
        serve(&mut shelf, policy.text(), "1");
        shelf.keep_learned(&policy, b"something");
        shelf.gone(&policy, Timestamp::from_second(i64::try_from(number).unwrap()).unwrap());
    }
    let shelf = Shelf::open(Some(dir.path()));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), GONE_MAX);
    assert_eq!(shelf.learned(&name("p002")), None);
    assert!(shelf.learned(&name("p003")).is_some());
}

#[test]
fn what_is_learned_after_the_file_has_gone_counts_as_gone_too() {
    let mut shelf = Shelf::open(None);
    for number in 0..GONE_MAX + 3 {
        shelf.keep_learned(&name(&format!("p{number:03}")), b"last words");
    }
    assert_eq!(shelf.records.len(), GONE_MAX);
}

#[test]
fn without_a_folder_it_keeps_in_memory() {
    let mut shelf = Shelf::open(None);
    let version = serve(&mut shelf, "a", "1");
    shelf.keep_learned(&name("a"), b"monday");
    assert_eq!(shelf.contents(&name("a"), version).unwrap().unwrap().wasm, b"1");
    assert_eq!(shelf.learned(&name("a")).unwrap(), b"monday");
    let unusable = tempfile::NamedTempFile::new().unwrap();
    let mut shelf = Shelf::open(Some(unusable.path()));
    assert!(serve(&mut shelf, "a", "1") == version && shelf.contents(&name("a"), version).unwrap().is_some());
}
