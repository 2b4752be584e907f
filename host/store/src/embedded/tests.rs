//! Claims about the store as its callers see it; those about dying and full disks are in `tests/`, in processes of their own.

mod samples;

use std::collections::BTreeMap;

use usher_fleet::Event;

use super::*;
use crate::event_log::Page;
use samples::{events_of_every_shape, meta, pools, released, room, rooms, servers};

const KEEP_ALL: Options = Options {
    events_retention: Duration::from_secs(3600),
    events_bytes_max: u64::MAX,
};

fn open(dir: &Path) -> Embedded {
    Embedded::open(dir, KEEP_ALL).unwrap()
}

fn commit(store: &mut Embedded, writes: Vec<Write>, events: Vec<Event>) -> BatchNo {
    let no = store.last.next();
    store.commit(&Batch { no, writes, events }).unwrap();
    no
}

fn put_room(id: &str, seats: u32) -> Write {
    Write::Put(Record::Room(Box::new(room(id, seats))))
}

#[test]
fn every_kind_of_record_and_event_comes_back_as_it_was_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let all: Vec<Record> = [vec![meta()], pools(), servers(), rooms()].concat();
    let events = events_of_every_shape();
    // Given out of order, they come back in theirs.
    let writes = all.iter().rev().cloned().map(Write::Put).collect();
    let no = commit(&mut store, writes, events.clone());
    let expected = Snapshot { records: all, last: no };
    assert_eq!(store.load().unwrap(), expected);
    drop(store);

    let mut store = open(dir.path());
    assert_eq!(store.load().unwrap(), expected);
    let log = store.events();
    let page = log.after(log.oldest(), usize::MAX).unwrap();
    let ids: Vec<EventId> = page.events.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, (0..12).map(|index| EventId::new(no, index)).collect::<Vec<_>>());
    assert_eq!(
        page.events.into_iter().map(|(_, event)| event).collect::<Vec<_>>(),
        events
    );
    assert_eq!(log.newest(), EventId::new(no, 11));
}

#[test]
fn the_last_write_of_a_record_within_a_batch_counts() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let gone = Write::Delete(RecordKey::Room("b".parse().unwrap()));
    let back = Write::Delete(RecordKey::Room("c".parse().unwrap()));
    let writes = vec![
        put_room("a", 1),
        put_room("b", 1),
        put_room("a", 2),
        gone,
        back,
        put_room("c", 3),
    ];
    commit(&mut store, writes, Vec::new());
    let expected = [room("a", 2), room("c", 3)].map(|room| Record::Room(Box::new(room)));
    assert_eq!(store.load().unwrap().records, expected);
}

#[test]
fn a_batch_that_does_not_follow_or_is_empty_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let last = commit(
        &mut store,
        vec![meta()].into_iter().map(Write::Put).collect(),
        Vec::new(),
    );
    let before = store.load().unwrap();
    for no in [last, last.next().next(), BatchNo(0), BatchNo(u64::MAX)] {
        let refused = store.commit(&Batch {
            no,
            writes: vec![put_room("a", 1)],
            events: Vec::new(),
        });
        assert!(matches!(refused, Err(StoreError::NotNext { last: l, found }) if l == last && found == no));
    }
    let empty = Batch {
        no: last.next(),
        writes: Vec::new(),
        events: Vec::new(),
    };
    assert!(matches!(store.commit(&empty), Err(StoreError::Empty { .. })));
    assert_eq!(store.load().unwrap(), before);
    commit(&mut store, vec![put_room("a", 1)], Vec::new());
}

#[test]
fn a_second_opener_is_refused_by_the_folders_name_until_the_first_and_its_readers_are_gone() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let log = store.events();
    let refused = |dir: &Path| match Embedded::open(dir, KEEP_ALL) {
        Err(error @ StoreError::AlreadyOpen { .. }) => error.to_string().contains(&dir.display().to_string()),
        Err(_) | Ok(_) => false,
    };
    assert!(refused(dir.path()));
    drop(store);
    assert!(refused(dir.path()));
    drop(log);
    open(dir.path());
}

#[test]
fn a_store_that_was_left_half_made_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    // What fjall leaves when it dies while making a store, and cannot open again.
    std::fs::create_dir_all(dir.path().join("store.new/keyspaces")).unwrap();
    std::fs::write(dir.path().join("store.new/0.jnl"), b"").unwrap();
    let mut store = open(dir.path());
    commit(&mut store, vec![put_room("a", 1)], Vec::new());
    assert!(!dir.path().join("store.new").exists());
}

#[test]
fn a_value_of_a_newer_version_is_refused_by_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    commit(&mut store, vec![put_room("a", 1)], Vec::new());
    let key = key::encode(&RecordKey::Room("a".parse().unwrap()));
    store
        .shared
        .records
        .insert(key, r#"{"v":2,"body":{"new":true}}"#)
        .unwrap();
    let error = store.load().unwrap_err();
    assert!(matches!(&error, StoreError::NewerVersion { record, found: 2, known: 1 } if record == "room a"));

    store.shared.records.insert(key::PROGRESS, r#"{"v":2}"#).unwrap();
    drop(store);
    let refused = Embedded::open(dir.path(), KEEP_ALL).err();
    assert!(
        matches!(refused, Some(StoreError::NewerVersion { found: 2, .. })),
        "before it writes anything"
    );
}

#[test]
fn a_damaged_value_is_told_by_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    commit(
        &mut store,
        vec![put_room("a", 1), put_room("b", 2)],
        vec![released(1, "a")],
    );
    let record_of = |error: StoreError| match error {
        StoreError::Corrupt { record, .. } => record,
        other => panic!("{other:?}"),
    };
    let key = |id: &str| key::encode(&RecordKey::Room(id.parse().unwrap()));
    let (a, b) = (store.shared.records.get(key("a")).unwrap().unwrap(), key("b"));

    store.shared.records.insert(b.clone(), &a[..a.len() / 2]).unwrap();
    assert_eq!(record_of(store.load().unwrap_err()), "room b");
    store.shared.records.insert(b.clone(), a).unwrap();
    assert_eq!(record_of(store.load().unwrap_err()), "room b", "another room's value");
    store.shared.records.remove(b).unwrap();
    store.shared.records.insert(b"\x09later", "{}").unwrap();
    assert_eq!(record_of(store.load().unwrap_err()), "record \\tlater");

    let log = store.events();
    let item = store.shared.events.iter().next().unwrap();
    store.shared.events.insert(item.key().unwrap(), "{").unwrap();
    let name = record_of(log.after(log.oldest(), 9).unwrap_err());
    assert_eq!(name, format!("the events of batch {}", store.last));
}

#[test]
fn events_are_read_in_pages_without_gaps_over_batches_that_have_none() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let log = store.events();
    let start = log.newest();
    assert_eq!(
        log.after(start, 9).unwrap(),
        Page {
            events: Vec::new(),
            gone: false
        }
    );
    let mut told = Vec::new();
    for batch in 0..20u64 {
        let events: Vec<Event> = (0..batch % 4).map(|index| released(batch * 10 + index, "a")).collect();
        told.extend(events.clone());
        commit(&mut store, vec![put_room("a", 1)], events);
    }
    for limit in [1, 2, 3, 7, 1000] {
        let (mut at, mut read) = (start, Vec::new());
        loop {
            let page = log.after(at, limit).unwrap();
            assert!(!page.gone && page.events.len() <= limit);
            let Some((id, _)) = page.events.last() else { break };
            at = *id;
            read.extend(page.events.into_iter().map(|(_, event)| event));
        }
        assert_eq!(read, told, "pages of {limit}");
        assert_eq!(at, log.newest());
    }
    assert_eq!(
        log.after(start, 0).unwrap(),
        Page {
            events: Vec::new(),
            gone: false
        }
    );
}

#[test]
fn an_id_that_this_log_never_gave_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let first = commit(
        &mut store,
        vec![put_room("a", 1)],
        vec![released(1, "a"), released(1, "b")],
    );
    let quiet = commit(&mut store, vec![put_room("a", 1)], Vec::new());
    commit(&mut store, vec![put_room("a", 1)], vec![released(2, "a")]);
    let log = store.events();
    let strangers = [
        EventId::new(BatchNo(0), 0),
        EventId::new(BatchNo(first.0 - 2), 5),
        EventId::new(first, 2),
        EventId::new(quiet, 0),
        EventId::new(log.newest().batch(), 1),
        EventId::new(log.newest().batch().next(), 0),
        EventId::new(BatchNo(u64::MAX), u32::MAX),
    ];
    for id in strangers {
        assert_eq!(
            log.after(id, 9).unwrap(),
            Page {
                events: Vec::new(),
                gone: true
            },
            "{id}"
        );
    }
    assert_eq!(log.after(EventId::new(first, 1), 9).unwrap().events.len(), 1);
}

#[test]
fn ids_of_an_earlier_store_in_the_same_folder_are_gone() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    commit(&mut store, Vec::new(), vec![released(1, "a")]);
    let old = store.events().newest();
    drop(store);
    std::fs::remove_dir_all(dir.path().join("store")).unwrap();
    // Numbers of a new store grow by the second.
    let made = Instant::now();
    let mut store = loop {
        let store = open(dir.path());
        if store.last > old.batch() {
            break store;
        }
        assert!(made.elapsed() < Duration::from_secs(5));
        drop(store);
        std::fs::remove_dir_all(dir.path().join("store")).unwrap();
    };
    commit(&mut store, Vec::new(), vec![released(1, "a")]);
    assert!(store.events().after(old, 9).unwrap().gone);
}

#[test]
fn events_beyond_their_hours_are_dropped_and_readers_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        events_retention: Duration::from_secs(10),
        ..KEEP_ALL
    };
    let mut store = Embedded::open(dir.path(), options).unwrap();
    let log = store.events();
    let start = log.newest();
    let first = commit(&mut store, Vec::new(), vec![released(1_000, "a"), released(1_000, "b")]);
    commit(&mut store, Vec::new(), vec![released(11_000, "c")]);
    assert_eq!(
        log.after(start, 9).unwrap().events.len(),
        3,
        "ten seconds are not over ten"
    );
    commit(&mut store, Vec::new(), vec![released(11_001, "d")]);

    for id in [start, EventId::new(first, 0)] {
        assert_eq!(
            log.after(id, 9).unwrap(),
            Page {
                events: Vec::new(),
                gone: true
            }
        );
    }
    // Who had read the last of what was dropped has missed nothing.
    assert_eq!(log.oldest(), EventId::new(first, 1));
    let page = log.after(log.oldest(), 9).unwrap();
    assert!(!page.gone && page.events.len() == 2);

    let quiet = log.newest();
    commit(&mut store, Vec::new(), vec![released(99_000, "e")]);
    assert!(
        !log.after(quiet, 9).unwrap().gone,
        "a reader that was up to date is not reset by a long silence"
    );
    assert_eq!(log.after(log.oldest(), 9).unwrap().events.len(), 1);
    let ends = (log.oldest(), log.newest());
    drop((store, log));
    let log = Embedded::open(dir.path(), options).unwrap().events();
    assert_eq!((log.oldest(), log.newest()), ends);
    assert!(log.after(quiet, 9).unwrap().events.len() == 1 && log.after(start, 9).unwrap().gone);
}

#[test]
fn events_beyond_their_bytes_are_dropped_a_few_with_each_commit() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    for batch in 0..100 {
        commit(&mut store, Vec::new(), vec![released(batch, "a")]);
    }
    let kept = |store: &Embedded| {
        let log = store.events();
        log.after(log.oldest(), usize::MAX).unwrap().events.len()
    };
    assert_eq!(kept(&store), 100);
    let bytes: u64 = store.extent.bytes_end;
    drop(store);

    let options = Options {
        events_bytes_max: bytes / 10,
        ..KEEP_ALL
    };
    let mut store = Embedded::open(dir.path(), options).unwrap();
    let mut before = kept(&store);
    for batch in 0..20 {
        commit(&mut store, Vec::new(), vec![released(100 + batch, "a")]);
        let now = kept(&store);
        assert!(before + 1 - now <= 16, "{before} and one more became {now}");
        before = now;
    }
    assert!((9..=10).contains(&before), "{before}");
    assert_eq!(store.shared.events.len().unwrap(), before, "nothing is left behind");
    drop(store);

    let options = Options {
        events_bytes_max: 0,
        ..KEEP_ALL
    };
    let mut store = Embedded::open(dir.path(), options).unwrap();
    commit(&mut store, Vec::new(), vec![released(200, "a")]);
    assert_eq!(kept(&store), 1, "the newest stay in any case");
}

#[test]
fn a_reader_beside_the_commits_sees_every_event_once_or_is_told_that_it_came_too_late() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        events_bytes_max: 20_000,
        ..KEEP_ALL
    };
    let mut store = Embedded::open(dir.path(), options).unwrap();
    let log = store.events();
    let start = log.newest();
    const EVENTS: u64 = 2_000;
    let reader = thread::spawn(move || {
        let (mut at, mut next) = (start, Some(0));
        while next != Some(EVENTS) {
            let page = log.after(at, 7).unwrap();
            if page.gone {
                (at, next) = (log.oldest(), None);
            }
            for (id, event) in page.events {
                assert!(
                    id > at && event.at.0 == next.unwrap_or(event.at.0),
                    "{event:?} instead of {next:?}"
                );
                (at, next) = (id, Some(event.at.0 + 1));
            }
        }
        assert_eq!(at, log.newest());
    });
    for at in (0..EVENTS).step_by(2) {
        commit(&mut store, Vec::new(), vec![released(at, "a"), released(at + 1, "b")]);
    }
    reader.join().unwrap();
}

#[test]
fn a_load_after_random_batches_equals_the_model() {
    for seed in 0..8u64 {
        let dir = tempfile::tempdir().unwrap();
        let mut random = Random(seed);
        let mut model: BTreeMap<Vec<u8>, Record> = BTreeMap::new();
        let mut store = open(dir.path());
        for _ in 0..60 {
            let writes: Vec<Write> = (0..=random.below(8)).map(|_| random.write()).collect();
            for write in &writes {
                match write {
                    Write::Put(record) => model.insert(key::encode(&record.key()), record.clone()),
                    Write::Delete(key) => model.remove(&key::encode(key)),
                };
            }
            let no = commit(&mut store, writes, Vec::new());
            if random.below(10) == 0 {
                drop(store);
                store = open(dir.path());
            }
            let expected = Snapshot {
                records: model.values().cloned().collect(),
                last: no,
            };
            assert_eq!(store.load().unwrap(), expected, "seed {seed}");
        }
    }
}

/// A seeded sequence (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }

    fn pick(&mut self, records: Vec<Record>) -> Record {
        let index = self.below(records.len() as u64) as usize;
        records.into_iter().nth(index).unwrap()
    }

    fn write(&mut self) -> Write {
        let record = match self.below(8) {
            0 => meta(),
            1 => self.pick(pools()),
            2 | 3 => self.pick(servers()),
            _ => {
                let id = format!("room-{}", self.below(12));
                Record::Room(Box::new(room(&id, self.below(1000) as u32)))
            }
        };
        if self.below(3) == 0 {
            Write::Delete(record.key())
        } else {
            Write::Put(record)
        }
    }
}
