//! What the SDK gives an author beyond traits, in a module: the log, a panic's place, civil time, chance. What a native test sees of
//! them is what the module does.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::json;
use usher_fleet::Timestamp;
use usher_fleet::advice::{FaultKind, PlaceAsk};
use usher_fleet::config::Labels;
use usher_fleet::ids::RoomId;
use usher_fleet::view::Cursor;
use usher_guest_speaking::Speaking;
use usher_policy::{Rehearsal, Rehearsed, Snapshot};
use usher_sdk::{Instance, Label, Level, Moment, RoomRequest};

use crate::patience::{eventually, seconds};
use crate::policies::{POOL, built, drop_in, started};
use crate::site::Site;
use crate::sse::all_events;

fn speaking() -> &'static [u8] {
    static MODULE: OnceLock<Vec<u8>> = OnceLock::new();
    built("tests/guests/speaking", &MODULE)
}

const ROOM: &str = "standup-42";

/// Asks a module about a room with one label, and returns its reason.
fn asked(module: &mut Rehearsal, now: u32, room: &str, label: (&str, &str)) -> Result<String, (FaultKind, String)> {
    let room: RoomId = room.parse().unwrap();
    let labels: Labels = BTreeMap::from([(label.0.into(), label.1.into())]);
    let ask = PlaceAsk {
        now: Timestamp(u64::from(now) * 1_000),
        room: &room,
        seats: 10,
        load: 10,
        expected_minutes: 0,
        region: "",
        tenant: "",
        labels: &labels,
        waited_seconds: 0,
        avoid: None,
    };
    let nothing = Snapshot {
        cursor: Cursor::START,
        now: ask.now,
        rows: Vec::new(),
    };
    let advice = module
        .place(&nothing, &ask)
        .advice
        .map_err(|fault| (fault.kind, fault.message))?;
    Ok(advice.reason.unwrap_or_default())
}

/// Asks the same of the same policy, compiled for this machine.
fn asked_natively(now: u32, room: &str, label: (&str, &str)) -> String {
    let native = Instance::<Speaking>::configure("{}", Level::Info).unwrap();
    let room = RoomRequest {
        labels: vec![Label::new(label.0, label.1)],
        ..RoomRequest::new(room, 10)
    };
    let moment = Moment::of_room(now, &room.room);
    native.place(&room, moment).reason.unwrap_or_default()
}

#[test]
fn a_module_reads_the_clock_and_draws_numbers_as_its_native_tests_do() {
    let module = Rehearsed::prepare("speaking.wasm", speaking().to_vec(), None).unwrap();
    let mut module = module.start().unwrap();
    let long = "x".repeat(100);
    let zones = ["Europe/Berlin", "Australia/Lord_Howe", "UTC", "Mars/Olympus", "", &long];
    // Around changes of the clock, and at both ends of what a moment can be.
    for now in [0, 1_774_745_999, 1_774_746_000, 1_792_889_999, 1_792_890_000, u32::MAX] {
        for zone in zones {
            let clock = ("clock", zone);
            assert_eq!(
                asked(&mut module, now, ROOM, clock),
                Ok(asked_natively(now, ROOM, clock)),
                "{now} in {zone}"
            );
        }
    }
    for room in ["a", "of-eight", "of-nine--", ROOM, &long] {
        for below in ["0", "6", "3221225472"] {
            let chance = ("chance", below);
            assert_eq!(
                asked(&mut module, 0, room, chance),
                Ok(asked_natively(0, room, chance)),
                "{room}"
            );
        }
    }
}

#[test]
fn a_panic_says_its_message_its_file_and_its_line() {
    let module = Rehearsed::prepare("speaking.wasm", speaking().to_vec(), None).unwrap();
    let (kind, message) = asked(&mut module.start().unwrap(), 0, ROOM, ("say", "panic")).unwrap_err();
    assert_eq!(kind, FaultKind::Trap);
    assert!(
        message.contains("panicked at tests/guests/speaking/src/lib.rs:"),
        "{message}"
    );
    assert!(message.contains("standup-42 asked for it"), "{message}");
}

#[tokio::test]
async fn what_a_policy_says_is_in_the_log_from_the_wanted_level_on_and_no_longer_than_allowed() {
    let site = Site::new(POOL);
    drop_in(&site, "50-speaking.wasm", speaking());
    let (host, client) = started(&site).await;
    for say in ["debug", "info", "much"] {
        let room = format!("/v1/rooms/{say}-room");
        client.put(&room, json!({ "labels": { "say": say } })).await;
    }
    eventually("the last of it is in the log", seconds(20), async || {
        host.log().contains("ääää").then_some(())
    })
    .await;
    let log = host.log();
    assert!(log.contains("info-room is of concern"), "{log}");
    assert!(!log.contains("is of no concern"), "{log}");
    assert!(
        log.contains(&"ä".repeat(2_048)) && !log.contains(&"ä".repeat(2_049)),
        "{log}"
    );
    let faults = all_events(&client)
        .await
        .into_iter()
        .filter(|event| event.kind == "policy.fault");
    assert_eq!(faults.count(), 0, "a long message is cut, and no fault");
}
