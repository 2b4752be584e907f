//! What a full disk does: a child in a mount namespace of its own fills a file system of a few MiB in memory.
//!
//! That needs root, or user namespaces; where the machine lets us have neither, the tests say so and prove nothing.

#![expect(clippy::unwrap_used, reason = "a test program")]
#![expect(
    clippy::explicit_write,
    reason = "eprintln is swallowed by a test that passes, and a skip must be seen"
)]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use usher_fleet::ids::QueueNo;
use usher_fleet::room::{RoomRecord, RoomState, RoomWish, Waiting};
use usher_fleet::{Record, Timestamp, Write};
use usher_store::{Batch, BatchNo, Embedded, Options, Store, StoreError, free_bytes};

/// Says to this program that it is the child, and in which folder.
const CHILD: &str = "USHER_STORE_TEST_FULL_DISK";

/// More room than is left after a few commits, given back when the disk has been full: what is there must then be readable.
const BALLAST_BYTES: usize = 2 << 20;

const OPTIONS: Options = Options {
    events_retention: Duration::from_secs(3600),
    events_bytes_max: u64::MAX,
};

fn batch(no: BatchNo) -> Batch {
    let room = RoomRecord {
        id: format!("room-{}", no.0 % 500).parse().unwrap(),
        wish: RoomWish {
            seats: None,
            load: None,
            expected_minutes: None,
            region: None,
            tenant: None,
            labels: BTreeMap::from([("padding".to_owned(), "x".repeat(20_000))]),
            require: BTreeMap::new(),
        },
        lease_seconds: None,
        created: Timestamp(no.0),
        failures: 0,
        state: RoomState::Waiting(Waiting {
            since: Timestamp(0),
            queue: QueueNo(0),
            expires: Timestamp(0),
        }),
    };
    Batch {
        no,
        writes: vec![Write::Put(Record::Room(Box::new(room)))],
        events: Vec::new(),
    }
}

/// The child. In the test's own run it does nothing.
#[test]
fn child_fills_the_disk() {
    let Some(dir) = std::env::var_os(CHILD) else { return };
    let dir = Path::new(&dir);
    let ballast = dir.join("ballast");
    std::fs::write(&ballast, vec![1; BALLAST_BYTES]).unwrap();
    let store_dir = dir.join("data");
    let mut store = Embedded::open(&store_dir, OPTIONS).unwrap();
    let free = free_bytes(&store_dir).unwrap();
    let start = store.load().unwrap().last;
    let mut acknowledged = start;
    let error = loop {
        match store.commit(&batch(acknowledged.next())) {
            Ok(()) => acknowledged = acknowledged.next(),
            Err(error) => break error,
        }
        assert!(acknowledged.0 - start.0 < 10_000, "the disk never gets full");
    };
    assert!(free_bytes(&store_dir).unwrap() < free / 2);
    let StoreError::Commit { batch: failed, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(*failed, acknowledged.next());
    let again = store.commit(&batch(acknowledged.next()));
    assert!(matches!(again, Err(StoreError::Poisoned { .. })), "{again:?}");
    drop(store);

    std::fs::remove_file(&ballast).unwrap();
    let mut store = Embedded::open(&store_dir, OPTIONS).unwrap();
    let snapshot = store.load().unwrap();
    assert!(
        (acknowledged..=acknowledged.next()).contains(&snapshot.last),
        "{acknowledged} {}",
        snapshot.last
    );
    let written = snapshot.last.0 - start.0;
    assert_eq!(snapshot.records.len() as u64, written.min(500));
    let source = std::error::Error::source(&error).unwrap();
    writeln!(std::io::stdout(), "\nfull after {written} batches: {error}: {source}").unwrap();
}

/// Runs the child on a disk of so many MiB; `None` where that cannot be had here.
fn run_on_a_disk_of(mib: u32) -> Option<String> {
    let dir = tempfile::tempdir().unwrap();
    let script = r#"mount -t tmpfs -o size="$1"m tmpfs "$2" || exit 77
exec "$0" --exact child_fills_the_disk --nocapture"#;
    let run = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .arg(mib.to_string())
        .arg(dir.path())
        .env(CHILD, dir.path())
        .output();
    let run = match run {
        Ok(run) => run,
        Err(error) => {
            writeln!(
                std::io::stderr(),
                "SKIPPED: no full disk to be had, unshare does not start: {error}"
            )
            .unwrap();
            return None;
        }
    };
    let (out, err) = (
        String::from_utf8_lossy(&run.stdout),
        String::from_utf8_lossy(&run.stderr),
    );
    // Both come before this program runs: 77 is the script's own, 1 with unshare's words is a refused namespace.
    if run.status.code() == Some(77) || err.starts_with("unshare:") {
        writeln!(std::io::stderr(), "SKIPPED: no full disk to be had: {err}").unwrap();
        return None;
    }
    assert!(run.status.success(), "{out}\n{err}");
    Some(
        out.lines()
            .find(|line| line.starts_with("full after"))
            .expect("the child says how it went")
            .to_owned(),
    )
}

#[test]
fn a_journal_that_cannot_be_written_fails_the_commit_and_keeps_what_was_acknowledged() {
    // Less than a memtable: the journal fills the disk before anything is flushed.
    if let Some(told) = run_on_a_disk_of(12) {
        assert!(
            told.contains("No space left on device") && told.contains("cannot make batch"),
            "{told}"
        );
    }
}

#[test]
fn a_disk_that_fills_during_a_flush_fails_a_commit_and_keeps_what_was_acknowledged() {
    // More than the journal up to the first flush, less than that and the flushed table: now one of them is the first to
    // find the disk full, now the other.
    if let Some(told) = run_on_a_disk_of(26) {
        let by_flush = told.contains("write in the background failed; ") && told.contains("MiB are free there");
        assert!(by_flush || told.contains("No space left on device"), "{told}");
    }
}
