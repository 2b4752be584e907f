use usher_fleet::event::{PoolEvent, RoomEnded, RoomMoved, ServerEvent, WebhookLag};
use usher_fleet::ids::PlacementNo;
use usher_fleet::units::Microdollars;
use usher_store::BatchNo;

use super::*;

/// A log in memory: each event a batch of its own, unless it is told otherwise.
#[derive(Debug, Default)]
pub(in crate::webhook) struct Story {
    events: Vec<(EventId, Event)>,
    dropped: u64,
}

impl Story {
    /// Adds what happened so many seconds after the beginning.
    pub(in crate::webhook) fn then(mut self, seconds: u64, what: What) -> Self {
        let batch = self.events.last().map_or(1, |(id, _)| id.batch().0 + 1);
        self.events.push((id(batch), event(seconds, what)));
        self
    }

    /// Adds what happened in the same batch.
    pub(in crate::webhook) fn and(mut self, what: What) -> Self {
        let (last, before) = self.events.last().expect("something happened before");
        let (id, at) = (EventId::new(last.batch(), last.index() + 1), before.at);
        self.events.push((id, Event { at, what }));
        self
    }

    fn dropped(mut self, batches: u64) -> Self {
        self.dropped = batches;
        self
    }
}

impl Log for Story {
    fn after(&self, after: EventId, limit: usize) -> Result<Page, StoreError> {
        let gone = after < id(self.dropped);
        let kept = self.events.iter().filter(|(id, _)| !gone && *id > after);
        Ok(Page {
            events: kept.take(limit).cloned().collect(),
            gone,
        })
    }

    fn newest(&self) -> EventId {
        self.events.last().map_or(id(0), |(id, _)| *id)
    }
}

pub(in crate::webhook) fn id(batch: u64) -> EventId {
    EventId::new(BatchNo(batch), 0)
}

pub(in crate::webhook) fn at(seconds: u64) -> Timestamp {
    Timestamp(1_795_338_000_000 + seconds * 1000)
}

pub(in crate::webhook) fn event(seconds: u64, what: What) -> Event {
    Event { at: at(seconds), what }
}

pub(in crate::webhook) fn server(name: &str, rooms: u32) -> ServerEvent {
    ServerEvent {
        server: name.parse().unwrap(),
        pool: "media".parse().unwrap(),
        instance: None,
        offer: None,
        price_per_hour: Microdollars(348_000),
        rooms,
        reason: "why".to_owned(),
    }
}

pub(in crate::webhook) fn lost(name: &str, rooms: u32) -> What {
    What::ServerLost(server(name, rooms))
}

/// A room begins to move.
pub(in crate::webhook) fn leaves(room: &str, from: &str) -> What {
    What::RoomMoved(RoomMoved {
        room: room.parse().unwrap(),
        from: from.parse().unwrap(),
        to: None,
        url: None,
        placement: PlacementNo(1),
        tenant: None,
        reason: "its server was lost".to_owned(),
    })
}

/// A room has its new home.
pub(in crate::webhook) fn arrives(room: &str, from: &str, to: &str) -> What {
    What::RoomMoved(RoomMoved {
        room: room.parse().unwrap(),
        from: from.parse().unwrap(),
        to: Some(to.parse().unwrap()),
        url: Some(format!("wss://{to}")),
        placement: PlacementNo(2),
        tenant: Some("acme".parse().unwrap()),
        reason: "room".to_owned(),
    })
}

pub(in crate::webhook) fn released(room: &str, server: Option<&str>) -> What {
    What::RoomReleased(RoomEnded {
        room: room.parse().unwrap(),
        placement: None,
        server: server.map(|server| server.parse().unwrap()),
        tenant: None,
        reason: "released".to_owned(),
    })
}

fn opened() -> What {
    What::CircuitOpened(PoolEvent {
        pool: "media".parse().unwrap(),
        server: None,
        offer: None,
        price_per_hour: Microdollars(0),
        reason: "why".to_owned(),
    })
}

fn behind() -> What {
    What::WebhookBehind(WebhookLag {
        receiver: "http://a".to_owned(),
        lag_seconds: 61,
        reason: "503".to_owned(),
    })
}

fn start() -> Position {
    Position::after(id(0))
}

fn must_call(log: &Story, told: Position, now: Timestamp) -> Call {
    match next(log, &Choice::default(), told, now).unwrap() {
        Next::Call(call) => call,
        other => panic!("{other:?}"),
    }
}

fn events(call: &Call) -> Vec<Value> {
    let body: Value = serde_json::from_slice(&call.body).unwrap();
    let events = body["events"].as_array().unwrap().clone();
    assert_eq!(events.len(), call.events);
    events
}

fn types(call: &Call) -> Vec<String> {
    let kind = |event: &Value| event["type"].as_str().unwrap().to_owned();
    events(call).iter().map(kind).collect()
}

/// Takes all calls that there are at this time, and returns the types of their events.
fn told(log: &Story, now: Timestamp) -> Vec<Vec<String>> {
    let (mut position, mut told) = (start(), Vec::new());
    loop {
        match next(log, &Choice::default(), position, now).unwrap() {
            Next::Call(call) => {
                told.push(types(&call));
                position = call.position;
            }
            Next::Nothing(_, true) | Next::Later(..) => return told,
            Next::Nothing(further, false) => position = further,
        }
    }
}

#[test]
fn a_call_has_the_chosen_events_in_order_as_followers_see_them() {
    let log = Story::default()
        .then(1, opened())
        .then(2, released("a", None))
        .then(3, What::ServerFailed(server("media-1", 0).into()))
        .then(4, released("b", None));
    let call = must_call(&log, start(), at(5));
    assert_eq!(types(&call), ["scale.circuit_opened", "server.failed"]);
    assert_eq!(
        call.position,
        Position::after(id(4)),
        "what is not told is behind it, too"
    );
    assert_eq!(call.oldest, Some(at(1)));
    let (third, failed) = &log.events[2];
    assert_eq!(events(&call)[1], data_of(*third, failed).unwrap());
    assert_eq!(
        next(&log, &Choice::default(), call.position, at(5)).unwrap(),
        Next::Nothing(Position::after(id(4)), true)
    );
}

#[test]
fn the_same_events_are_the_same_call_and_others_another() {
    let log = Story::default().then(1, opened()).then(2, opened());
    let call = must_call(&log, start(), at(3));
    assert_eq!(call.id(), must_call(&log, start(), at(9)).id());
    assert_ne!(call.id(), must_call(&log, Position::after(id(1)), at(3)).id());
}

#[test]
fn a_backlog_is_told_in_calls_of_bounded_size() {
    let many = (0..250).fold(Story::default(), |log, n| log.then(n, opened()));
    let sizes: Vec<usize> = told(&many, at(300)).iter().map(Vec::len).collect();
    assert_eq!(sizes, [100, 100, 50]);

    let long = |n: u64| {
        let mut server = server("media-1", 0);
        server.reason = "x".repeat(100_000);
        (n, What::ServerFailed(server.into()))
    };
    let large = (0..5)
        .map(long)
        .fold(Story::default(), |log, (n, what)| log.then(n, what));
    let sizes: Vec<usize> = told(&large, at(300)).iter().map(Vec::len).collect();
    assert_eq!(sizes, [2, 2, 1]);
}

#[test]
fn a_single_event_that_is_too_large_goes_alone() {
    let mut server = server("media-1", 0);
    server.reason = "x".repeat(BYTES_MAX + 1);
    let log = Story::default()
        .then(1, opened())
        .then(2, What::ServerFailed(server.into()))
        .then(3, opened());
    let sizes: Vec<usize> = told(&log, at(9)).iter().map(Vec::len).collect();
    assert_eq!(sizes, [1, 1, 1]);
}

#[test]
fn who_has_missed_events_that_are_gone_is_told_and_goes_on_from_the_newest() {
    let log = Story::default().then(1, opened()).then(2, opened()).dropped(1);
    let call = must_call(&log, start(), at(3));
    assert_eq!(types(&call), ["reset"]);
    assert_eq!(events(&call)[0]["id"], "2-0");
    assert_eq!(call.position, Position::after(id(2)));
}

#[test]
fn a_lost_server_is_one_event_with_its_rooms_and_their_new_servers() {
    let log = Story::default()
        .then(1, opened())
        .then(2, lost("media-1", 2))
        .and(leaves("a", "media-1"))
        .and(leaves("b", "media-1"))
        .and(arrives("a", "media-1", "media-2"))
        .then(3, What::ServerFailed(server("media-9", 0).into()))
        .then(4, arrives("b", "media-1", "media-3"))
        .then(5, opened());
    let call = must_call(&log, start(), at(5));
    let kinds = [
        "scale.circuit_opened",
        "server.lost",
        "server.failed",
        "scale.circuit_opened",
    ];
    assert_eq!(types(&call), kinds);
    let moved = |room: &str, to: &str| {
        serde_json::json!({
            "room": room, "tenant": "acme", "state": "placed", "placement": 2,
            "server": { "name": to, "url": format!("wss://{to}") },
        })
    };
    let told = &events(&call)[1];
    assert_eq!(
        told["moved"],
        Value::Array(vec![moved("a", "media-2"), moved("b", "media-3")])
    );
    assert_eq!(
        (&told["server"], &told["rooms"], &told["id"]),
        (&"media-1".into(), &2.into(), &"2-0".into())
    );
    assert_eq!(call.position, Position::after(id(5)));
}

#[test]
fn a_loss_waits_for_its_rooms_what_was_before_it_does_not_and_what_comes_later_is_told_by_itself() {
    let log = Story::default()
        .then(1, opened())
        .then(2, lost("media-1", 2))
        .and(leaves("a", "media-1"))
        .and(leaves("b", "media-1"))
        .then(3, arrives("a", "media-1", "media-2"));
    let before = must_call(&log, start(), at(4));
    assert_eq!(types(&before), ["scale.circuit_opened"]);
    let later = next(&log, &Choice::default(), before.position.clone(), at(4)).unwrap();
    assert_eq!(later, Next::Later(before.position.clone(), at(12)));

    let call = must_call(&log, before.position, at(13));
    let told = &events(&call)[0];
    assert_eq!(
        told["moved"][1],
        serde_json::json!({ "room": "b", "state": "moving", "placement": 1, "server": null })
    );
    let log = log.then(60, arrives("b", "media-1", "media-3"));
    let last = must_call(&log, call.position, at(61));
    assert_eq!(types(&last), ["room.moved"]);
    assert_eq!(events(&last)[0]["url"], "wss://media-3");
}

#[test]
fn what_was_read_ahead_is_not_told_twice_over_a_restart_between_any_two_calls() {
    // The call with the loss is full, so that the moves that it has told still lie ahead.
    let mut log = (0..99).fold(Story::default(), |log, n| log.then(n, opened()));
    log = log
        .then(100, lost("media-1", 1))
        .then(101, leaves("a", "media-1"))
        .then(102, opened())
        .then(103, arrives("a", "media-1", "media-2"))
        .then(104, arrives("z", "media-9", "media-2"));
    let call = must_call(&log, start(), at(105));
    assert_eq!(call.events, 100);
    let kept = serde_json::to_string(&call.position).unwrap();
    let rest = must_call(&log, serde_json::from_str(&kept).unwrap(), at(105));
    assert_eq!(types(&rest), ["scale.circuit_opened", "room.moved"]);
    assert_eq!(events(&rest)[1]["room"], "z");
}

#[test]
fn where_losses_are_not_chosen_each_move_is_told() {
    let log = Story::default()
        .then(1, lost("media-1", 1))
        .and(leaves("a", "media-1"))
        .and(arrives("a", "media-1", "media-2"));
    let only_moves = Choice::of(["room.moved"]);
    let Next::Call(call) = next(&log, &only_moves, start(), at(2)).unwrap() else {
        panic!()
    };
    assert_eq!(types(&call), ["room.moved", "room.moved"]);
}

#[test]
fn a_call_about_the_webhook_alone_never_makes_it_late() {
    let log = Story::default().then(1, behind());
    assert_eq!(must_call(&log, start(), at(500)).oldest, None);
    let log = log.then(2, opened());
    assert_eq!(must_call(&log, start(), at(500)).oldest, Some(at(2)));
}
