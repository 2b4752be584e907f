use usher_fleet::RecordKey;
use usher_fleet::Timestamp;
use usher_fleet::event::{PoolEvent, What};

use super::*;

fn outbox(ops_max: usize) -> Arc<Outbox> {
    let last = EventId::new(BatchNo(7), 2);
    Outbox::new(
        BatchNo(7),
        last,
        Limits {
            ops_max,
            bytes_max: usize::MAX,
        },
    )
}

fn loud(writes: usize, events: usize) -> Bundle {
    let event = PoolEvent {
        pool: "demo".parse().unwrap(),
        server: None,
        offer: None,
        price_per_hour: Default::default(),
        reason: String::new(),
    };
    let event = Event {
        at: Timestamp(0),
        what: What::ScalingSwitched(event),
    };
    Bundle {
        writes: vec![Write::Delete(RecordKey::Meta); writes],
        events: vec![event; events],
        ..Bundle::default()
    }
}

#[test]
fn a_quiet_turn_leaves_at_once_only_with_nothing_in_flight() {
    let outbox = outbox(100);
    assert!(outbox.put(Bundle::default()).unwrap().is_some());
    assert!(outbox.put(loud(1, 0)).unwrap().is_none());
    let taken = outbox.take().unwrap();
    assert_eq!(taken.no, Some(BatchNo(8)));
    assert!(
        outbox.put(Bundle::default()).unwrap().is_none(),
        "the batch before is not durable yet"
    );
    outbox.done();
    assert!(outbox.put(Bundle::default()).unwrap().is_none(), "one waits before it");
    assert_eq!(outbox.take().unwrap().no, None);
    outbox.done();
    assert!(outbox.put(Bundle::default()).unwrap().is_some());
}

#[test]
fn what_gathers_while_the_store_syncs_is_one_batch_with_the_next_number() {
    let outbox = outbox(100);
    outbox.put(loud(1, 1)).unwrap();
    outbox.take().unwrap();
    outbox.put(Bundle::default()).unwrap();
    assert_eq!(outbox.last_event(), EventId::new(BatchNo(8), 0));
    outbox.put(loud(2, 2)).unwrap();
    outbox.put(loud(3, 1)).unwrap();
    outbox.done();
    let taken = outbox.take().unwrap();
    assert_eq!(
        (taken.no, taken.writes.len(), taken.events.len()),
        (Some(BatchNo(9)), 5, 3)
    );
    assert_eq!(outbox.last_event(), EventId::new(BatchNo(9), 2));
}

#[test]
fn a_batch_never_grows_beyond_the_stores_limit() {
    let outbox = outbox(4);
    outbox.put(loud(3, 0)).unwrap();
    let driver = std::thread::spawn({
        let outbox = Arc::clone(&outbox);
        move || outbox.put(loud(2, 0)).map(|back| back.is_none())
    });
    assert_eq!(outbox.take().unwrap().writes.len(), 3);
    assert_eq!(driver.join().unwrap(), Ok(true));
    assert_eq!(outbox.take().unwrap().writes.len(), 2);
}

#[test]
fn after_a_failure_nothing_is_taken_or_given_back() {
    let outbox = outbox(4);
    outbox.put(loud(1, 0)).unwrap();
    outbox.take().unwrap();
    outbox.fail();
    assert_eq!(outbox.put(Bundle::default()).unwrap_err(), Ended);
    assert_eq!(outbox.put(loud(1, 0)).unwrap_err(), Ended);
}

#[test]
fn a_closed_outbox_gives_out_what_it_has_and_then_ends() {
    let outbox = outbox(4);
    outbox.put(loud(1, 0)).unwrap();
    outbox.close();
    assert!(outbox.take().is_some());
    assert!(outbox.take().is_none());
}
