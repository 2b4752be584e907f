use std::collections::BTreeMap;

use usher_fleet::Timestamp;
use usher_fleet::decision::{DecisionNote, PolicyRef};
use usher_fleet::status::{RoomStatus, ServerCard, WaitingFor};

use super::*;

fn request(json: &str) -> RoomRequest {
    request::parse(json.as_bytes()).unwrap()
}

fn standup() -> RoomId {
    "standup-42".parse().unwrap()
}

#[test]
fn a_request_becomes_a_command() {
    let json = r#"{"seats":50,"load":2450,"expected_minutes":30,"region":"eu","tenant":"acme","labels":{"a":"b"},
        "require":{"gpu":"yes"},"lease_seconds":600,"wait_seconds":5}"#;
    let (place, wait) = request(json).into_command(standup(), None).unwrap();
    let wish = RoomWish {
        seats: Some(50),
        load: Some(2450),
        expected_minutes: Some(30),
        region: Some("eu".to_owned()),
        tenant: Some("acme".parse().unwrap()),
        labels: Labels::from([("a".to_owned(), "b".to_owned())]),
        require: Labels::from([("gpu".to_owned(), "yes".to_owned())]),
    };
    assert_eq!(
        place,
        PlaceRoom {
            room: standup(),
            wish,
            lease_seconds: Some(600)
        }
    );
    assert_eq!(wait, Duration::from_secs(5));
    let (place, wait) = request("{}").into_command(standup(), None).unwrap();
    assert_eq!(
        (place.wish.seats, place.lease_seconds, wait),
        (None, None, Duration::ZERO)
    );
}

#[test]
fn a_number_beyond_its_range_is_told_by_name() {
    for (json, field) in [
        (r#"{"seats":0}"#, "seats"),
        (r#"{"seats":1000001}"#, "seats"),
        (r#"{"load":1000000001}"#, "load"),
        (r#"{"expected_minutes":43201}"#, "expected_minutes"),
        (r#"{"lease_seconds":0}"#, "lease_seconds"),
        (r#"{"lease_seconds":604801}"#, "lease_seconds"),
        (r#"{"wait_seconds":61}"#, "wait_seconds"),
        (r#"{"region":""}"#, "region"),
        (r#"{"labels":{"":"x"}}"#, "labels"),
        (r#"{"require":{"a b":"x"}}"#, "require"),
    ] {
        let problem = request(json).into_command(standup(), None).unwrap_err();
        assert_eq!(
            (problem.code, problem.field.as_deref()),
            (Code::InvalidField, Some(field)),
            "{json}"
        );
    }
}

#[test]
fn a_bound_token_speaks_for_its_own_tenant_alone() {
    let acme: Tenant = "acme".parse().unwrap();
    let tenant = |json: &str| {
        let command = request(json).into_command(standup(), Some(acme.clone()));
        command
            .map(|(place, _)| place.wish.tenant)
            .map_err(|problem| problem.code)
    };
    assert_eq!(tenant("{}"), Ok(Some(acme.clone())));
    assert_eq!(tenant(r#"{"tenant":"acme"}"#), Ok(Some(acme.clone())));
    assert_eq!(tenant(r#"{"tenant":"other"}"#), Err(Code::WrongScope));
}

fn status(place: RoomPlace) -> RoomStatus {
    RoomStatus {
        room: standup(),
        place,
        seats: Some(50),
        load: None,
        participants: None,
        tenant: None,
        region: None,
        created: Timestamp(1_795_338_000_000),
    }
}

#[test]
fn a_placed_room_is_shown_with_its_server_and_why() {
    let card = ServerCard {
        name: "demo-1".parse().unwrap(),
        pool: "demo".parse().unwrap(),
        region: "eu".to_owned(),
        zone: None,
        url: Some("wss://demo-1".to_owned()),
        endpoints: BTreeMap::new(),
        labels: Labels::new(),
    };
    let policy = PolicyRef {
        name: "standard".into(),
        version: "0.1.0".into(),
    };
    let placed = status(RoomPlace::Placed {
        server: Arc::new(card),
        placement: PlacementNo(1),
        at: Timestamp(1_795_338_000_000),
        decision: DecisionNote {
            policy,
            reason: Some("fullest server with room".to_owned()),
        },
    });
    let expected = serde_json::json!({
        "room": "standup-42", "state": "placed", "placement": 1, "seats": 50,
        "server": {"name": "demo-1", "pool": "demo", "region": "eu", "zone": null, "url": "wss://demo-1", "endpoints": {}, "labels": {}},
        "created_at": "2026-11-22T09:00:00Z", "placed_at": "2026-11-22T09:00:00Z",
        "decision": {"policy": "standard", "version": "0.1.0", "reason": "fullest server with room"},
    });
    assert_eq!(serde_json::to_value(Room::of(&placed)).unwrap(), expected);
}

#[test]
fn a_waiting_room_is_shown_with_what_it_waits_for() {
    let waiting = |moving| {
        status(RoomPlace::Waiting {
            moving,
            since: Timestamp(1_795_338_000_000),
            position: 3,
            waiting_for: WaitingFor::Boot,
            expected_seconds: Some(70),
        })
    };
    let mut expected = serde_json::json!({
        "room": "standup-42", "state": "waiting", "seats": 50, "server": null, "created_at": "2026-11-22T09:00:00Z",
        "position": 3, "waiting_since": "2026-11-22T09:00:00Z", "waiting_for": "boot", "expected_seconds": 70,
    });
    assert_eq!(serde_json::to_value(Room::of(&waiting(None))).unwrap(), expected);
    expected["state"] = "moving".into();
    expected["placement"] = 7.into();
    expected["moving_from"] = "demo-1".into();
    let moving = waiting(Some(("demo-1".parse().unwrap(), PlacementNo(7))));
    assert_eq!(serde_json::to_value(Room::of(&moving)).unwrap(), expected);
}
