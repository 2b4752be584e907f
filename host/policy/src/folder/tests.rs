use super::*;

/// Reads at these milliseconds since the start and returns how often something was found.
fn found(folder: &mut Folder, start: Instant, at: u64) -> Vec<String> {
    let reading = folder.read(start + Duration::from_millis(at));
    let name = |finding: Finding| match finding {
        Finding::Settled(name, Ok(_)) => Some(format!("+{}", name.text())),
        Finding::Settled(name, Err(_)) => Some(format!("!{}", name.text())),
        Finding::Gone(name) => Some(format!("-{}", name.text())),
        Finding::BuiltInSettings(_) => None,
    };
    reading.findings.into_iter().filter_map(name).collect()
}

#[test]
fn a_file_counts_after_it_has_rested_and_is_gone_after_two_readings() {
    let dir = tempfile::tempdir().unwrap();
    let (start, file) = (Instant::now(), dir.path().join("a.wasm"));
    let mut folder = Folder::new(dir.path().to_path_buf(), Duration::from_millis(300), start);
    fs::write(&file, "1").unwrap();
    assert!(found(&mut folder, start, 0).is_empty());
    assert!(found(&mut folder, start, 299).is_empty());
    fs::write(&file, "12").unwrap();
    assert!(found(&mut folder, start, 400).is_empty());
    assert!(found(&mut folder, start, 600).is_empty());
    assert_eq!(found(&mut folder, start, 700), ["+a"]);
    assert!(found(&mut folder, start, 5_000).is_empty());

    fs::remove_file(&file).unwrap();
    assert!(found(&mut folder, start, 6_000).is_empty());
    assert!(found(&mut folder, start, 6_100).is_empty());
    assert_eq!(found(&mut folder, start, 6_300), ["-a"]);
}

#[test]
fn a_file_that_is_missed_once_was_never_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (start, file) = (Instant::now(), dir.path().join("a.wasm"));
    let mut folder = Folder::new(dir.path().to_path_buf(), Duration::from_millis(300), start);
    fs::write(&file, "1").unwrap();
    found(&mut folder, start, 0);
    assert_eq!(found(&mut folder, start, 300), ["+a"]);
    fs::rename(&file, dir.path().join("aside")).unwrap();
    assert!(found(&mut folder, start, 1_000).is_empty());
    fs::rename(dir.path().join("aside"), &file).unwrap();
    // It is the same file, but for its change time: read again, to be found unchanged by its hash.
    found(&mut folder, start, 2_000);
    let again = found(&mut folder, start, 2_400);
    assert!(again.is_empty() || again == ["+a"], "{again:?}");
    assert!(found(&mut folder, start, 9_000).is_empty());
}

#[test]
fn settings_that_appear_or_vanish_are_a_change_of_their_policy() {
    let dir = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let mut folder = Folder::new(dir.path().to_path_buf(), Duration::from_millis(300), start);
    fs::write(dir.path().join("a.wasm"), "1").unwrap();
    found(&mut folder, start, 0);
    assert_eq!(found(&mut folder, start, 300), ["+a"]);
    fs::write(dir.path().join("a.toml"), "x = 1").unwrap();
    assert!(found(&mut folder, start, 1_000).is_empty());
    assert_eq!(found(&mut folder, start, 1_300), ["+a"]);
    fs::remove_file(dir.path().join("a.toml")).unwrap();
    assert!(found(&mut folder, start, 2_000).is_empty());
    assert_eq!(found(&mut folder, start, 2_300), ["+a"]);
}

#[test]
fn a_missing_folder_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (start, inner) = (Instant::now(), dir.path().join("policies"));
    fs::create_dir(&inner).unwrap();
    let mut folder = Folder::new(inner.clone(), Duration::from_millis(300), start);
    fs::write(inner.join("a.wasm"), "1").unwrap();
    found(&mut folder, start, 0);
    assert_eq!(found(&mut folder, start, 300), ["+a"]);
    fs::remove_dir_all(&inner).unwrap();
    for at in [1_000, 2_000, 3_000] {
        assert!(found(&mut folder, start, at).is_empty());
    }
}

#[test]
fn a_pipe_is_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let status = std::process::Command::new("mkfifo")
        .arg(dir.path().join("a.wasm"))
        .status()
        .unwrap();
    assert!(status.success());
    let mut folder = Folder::new(dir.path().to_path_buf(), Duration::from_millis(300), start);
    found(&mut folder, start, 0);
    assert_eq!(found(&mut folder, start, 300), ["!a"]);
}

#[test]
fn of_too_many_policies_those_with_the_first_names_are_taken() {
    let dir = tempfile::tempdir().unwrap();
    let (start, put) = (Instant::now(), |name: &str| {
        fs::write(dir.path().join(name), "1").unwrap()
    });
    let mut folder = Folder::new(dir.path().to_path_buf(), Duration::from_millis(300), start);
    (0..POLICIES_MAX).for_each(|number| put(&format!("b{number:02}.wasm")));
    found(&mut folder, start, 0);
    assert_eq!(found(&mut folder, start, 300).len(), POLICIES_MAX);
    put("a.wasm");
    found(&mut folder, start, 1_000);
    assert_eq!(found(&mut folder, start, 1_300), ["+a", "!b63"]);
    assert!(found(&mut folder, start, 2_000).is_empty());
    fs::remove_file(dir.path().join("b00.wasm")).unwrap();
    found(&mut folder, start, 3_000);
    assert_eq!(found(&mut folder, start, 3_300), ["-b00", "+b63"]);
}

#[test]
fn no_file_is_called_like_the_built_in() {
    let dir = tempfile::tempdir().unwrap();
    let start = Instant::now();
    fs::write(dir.path().join("standard.wasm"), "1").unwrap();
    let mut folder = Folder::new(dir.path().to_path_buf(), Duration::from_millis(300), start);
    folder.read(start);
    let reading = folder.read(start + Duration::from_millis(300));
    let refused = reading.findings.iter().find_map(|finding| match finding {
        Finding::Settled(_, Err(error)) => Some(error.to_string()),
        Finding::Settled(_, Ok(_)) | Finding::Gone(_) | Finding::BuiltInSettings(_) => None,
    });
    assert!(refused.is_some_and(|error| error.contains("`90-standard.wasm`")));
}

#[test]
fn a_folder_that_cannot_be_read_is_not_called_missing() {
    let dir = tempfile::tempdir().unwrap();
    let (start, file) = (Instant::now(), dir.path().join("policies"));
    fs::write(&file, "no folder").unwrap();
    let missing = |dir: PathBuf| Folder::new(dir, Duration::ZERO, start).read(start).missing.unwrap();
    assert!(missing(file).contains("cannot be read: Not a directory"));
    assert!(missing(dir.path().join("none")).contains("is missing"));
}

#[test]
fn settings_without_a_module_are_found() {
    let dir = tempfile::tempdir().unwrap();
    for file in ["50-a.wasm", "50-a.toml", "a.toml", ".b.toml", "standard.toml"] {
        fs::write(dir.path().join(file), "").unwrap();
    }
    let listed = list(dir.path()).unwrap();
    assert_eq!(listed.strays, BTreeSet::from(["a".to_owned()]));
}
