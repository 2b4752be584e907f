//! What is left after a process was killed: this test program, started again as a child that commits until it dies.

#![expect(clippy::unwrap_used, reason = "a test program")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use usher_fleet::event::{Event, RoomEnded, What};
use usher_fleet::ids::QueueNo;
use usher_fleet::room::{RoomRecord, RoomState, RoomWish, Waiting};
use usher_fleet::{Record, Timestamp, Write};
use usher_store::{Batch, BatchNo, Embedded, EventId, Options, Store};

/// Says to this program that it is the child, and in which folder.
const CHILD: &str = "USHER_STORE_TEST_DYING";

/// How often a child is killed.
const ROUNDS: u64 = 24;

/// How many pairs of rooms the batches go round.
const PAIRS: u64 = 10;

const OPTIONS: Options = Options {
    events_retention: Duration::from_secs(3600),
    events_bytes_max: u64::MAX,
};

/// Makes the room of one batch; every third batch's are large, so that rounds end in flushes and compactions too.
fn room(side: &str, no: BatchNo) -> Write {
    let padding = if no.0.is_multiple_of(3) { 200_000 } else { 10 };
    Write::Put(Record::Room(Box::new(RoomRecord {
        id: format!("{side}-{}", no.0 % PAIRS).parse().unwrap(),
        wish: RoomWish {
            seats: None,
            load: None,
            expected_minutes: None,
            region: None,
            tenant: None,
            labels: BTreeMap::from([("padding".to_owned(), "x".repeat(padding))]),
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
    })))
}

/// How many events a batch tells; some none.
fn events_of(no: BatchNo) -> u32 {
    u32::try_from(no.0 % 3).unwrap()
}

fn batch(no: BatchNo) -> Batch {
    let event = |index: u32| Event {
        at: Timestamp(no.0),
        what: What::RoomReleased(RoomEnded {
            room: format!("event-{index}").parse().unwrap(),
            placement: None,
            server: None,
            tenant: None,
            reason: String::new(),
        }),
    };
    Batch {
        no,
        writes: vec![room("left", no), room("right", no)],
        events: (0..events_of(no)).map(event).collect(),
    }
}

/// The child: commits, and says each number once it is durable. In the test's own run it does nothing.
#[test]
fn child_commits_until_it_is_killed() {
    let Some(dir) = std::env::var_os(CHILD) else { return };
    let mut store = Embedded::open(Path::new(&dir), OPTIONS).unwrap();
    let mut no = store.load().unwrap().last;
    let mut out = std::io::stdout();
    writeln!(out, "\nopen {no}").unwrap();
    loop {
        no = no.next();
        store.commit(&batch(no)).unwrap();
        writeln!(out, "durable {no}").unwrap();
    }
}

fn start_child(dir: &Path) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_commits_until_it_is_killed", "--nocapture"])
        .env(CHILD, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    (child, out)
}

/// Reads lines until the child says that it has come so far.
fn await_word(out: &mut BufReader<ChildStdout>, word: &str) -> BatchNo {
    let mut line = String::new();
    loop {
        line.clear();
        assert_ne!(
            out.read_line(&mut line).unwrap(),
            0,
            "the child ended before it said {word:?}"
        );
        if let Some(no) = line.trim().strip_prefix(word) {
            return BatchNo(no.trim().parse().unwrap());
        }
    }
}

fn last_durable(rest: &str, before: BatchNo) -> BatchNo {
    let numbers = rest
        .lines()
        .filter_map(|line| line.strip_prefix("durable ")?.parse().ok());
    numbers.map(BatchNo).max().unwrap_or(before)
}

#[test]
fn what_was_acknowledged_survives_a_kill_and_every_batch_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let start = Embedded::open(dir.path(), OPTIONS).unwrap().load().unwrap().last;
    let mut random = u64::from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos());
    for round in 0..ROUNDS {
        let (mut child, mut out) = start_child(dir.path());
        let opened = await_word(&mut out, "open ");
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let first = if round % 4 == 0 {
            opened
        } else {
            await_word(&mut out, "durable ")
        };
        // When to kill is the test's dice, not a wait for something; the output is read meanwhile, or it would block the child.
        let reader = std::thread::spawn(move || {
            let mut rest = Vec::new();
            out.read_to_end(&mut rest).unwrap();
            String::from_utf8_lossy(&rest).into_owned()
        });
        std::thread::sleep(Duration::from_micros((random >> 33) % 120_000));
        child.kill().unwrap();
        child.wait().unwrap();
        let acknowledged = last_durable(&reader.join().unwrap(), first);

        let mut store = Embedded::open(dir.path(), OPTIONS).unwrap();
        let last = check_records(&mut store, start, round);
        let bounds = acknowledged..=acknowledged.next();
        assert!(
            bounds.contains(&last),
            "round {round}: {last} is durable, {acknowledged} was acknowledged"
        );
        check_events(&store, start, last, round);
    }
}

/// Checks that every pair of rooms is as the last batch that wrote it left both, and returns the last batch.
fn check_records(store: &mut Embedded, start: BatchNo, round: u64) -> BatchNo {
    let snapshot = store.load().unwrap();
    let written = (start.0 + 1..=snapshot.last.0).rev().take(PAIRS as usize).map(BatchNo);
    let mut expected: Vec<String> = written
        .flat_map(|no| ["left", "right"].map(|side| format!("{:?}", room(side, no))))
        .collect();
    let mut found: Vec<String> = snapshot
        .records
        .into_iter()
        .map(|record| format!("{:?}", Write::Put(record)))
        .collect();
    expected.sort();
    found.sort();
    assert!(
        expected == found,
        "round {round}: the rooms are not those of the last batches"
    );
    snapshot.last
}

/// Checks that every event of every batch is there, once and in order, read in pages.
fn check_events(store: &Embedded, start: BatchNo, last: BatchNo, round: u64) {
    let log = store.events();
    let (mut at, mut found) = (log.oldest(), Vec::new());
    loop {
        let page = log.after(at, 100).unwrap();
        assert!(!page.gone);
        let Some((id, _)) = page.events.last() else { break };
        at = *id;
        found.extend(page.events.into_iter().map(|(id, event)| (id, event.at.0)));
    }
    let numbers = (start.0 + 1..=last.0).map(BatchNo);
    let expected: Vec<(EventId, u64)> = numbers
        .flat_map(|no| (0..events_of(no)).map(move |index| (EventId::new(no, index), no.0)))
        .collect();
    assert!(
        found == expected,
        "round {round}: the events are not those of batches {start} to {last}"
    );
    assert_eq!(log.newest(), at, "round {round}");
}

#[test]
fn another_process_is_refused_until_the_first_is_dead_however_it_died() {
    let dir = tempfile::tempdir().unwrap();
    let (mut child, mut out) = start_child(dir.path());
    await_word(&mut out, "durable ");
    let error = Embedded::open(dir.path(), OPTIONS)
        .err()
        .expect("the child has it open");
    let told = error.to_string();
    assert!(
        told.contains(&dir.path().display().to_string()) && told.contains("in use by another usher"),
        "{told}"
    );
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(dir.path().join("store.lock").exists(), "its file stays");
    Embedded::open(dir.path(), OPTIONS).unwrap();
}
