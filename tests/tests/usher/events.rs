//! Events: none lost, none twice, over every restart; and a plain word where they have gone.

use std::collections::BTreeMap;
use std::time::Duration;

use hyper::Method;
use serde_json::json;

use crate::chance::Chance;
use crate::http::Client;
use crate::patience::{at_most, seconds};
use crate::site::Site;
use crate::sse::{Event, Events, all_events, events_after};

const POOL: &str = r#"
[[pool]]
name = "media"
provider = "external"
rooms_per_server = 1000
health = "none"
"#;

async fn register(client: &Client, server: &str) {
    let body = json!({ "pool": "media", "url": format!("ws://{server}") });
    client.put(&format!("/v1/servers/{server}"), body).await.expect(201);
}

/// Returns the event up to which the lists are true now.
async fn as_of(client: &Client) -> String {
    let rooms = client.get("/v1/rooms").await.expect(200).json;
    rooms["as_of"].as_str().unwrap().to_owned()
}

/// Follows from there and resumes wherever the stream breaks, until the room `last` is placed.
async fn follow(client: Client, from: String) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    loop {
        let id = events.last().map_or(from.clone(), |event| event.id.clone());
        // It answers before it is asked to stream.
        client.insist(Method::GET, "/readyz", None).await;
        let Ok(mut stream) = Events::after(&client, &id).await else {
            continue;
        };
        while let Some(event) = stream.next().await {
            let is_last = event.data["room"] == "last";
            events.push(event);
            if is_last {
                return events;
            }
        }
    }
}

/// Asks until it is answered: a room is known by its name, so that asking again is safe.
async fn place(client: &Client, room: &str) -> u64 {
    let path = format!("/v1/rooms/{room}");
    let answer = client.insist(Method::PUT, &path, Some(json!({}))).await;
    assert!([200, 201].contains(&answer.status), "{}", answer.text);
    answer.json["placement"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_follows_misses_nothing_and_sees_nothing_twice_when_the_host_is_killed() {
    let site = Site::new(POOL);
    let mut host = site.start().await;
    let client = host.client();
    register(&client, "media-1").await;
    let from = as_of(&client).await;
    let follower = tokio::spawn(follow(client.clone(), from.clone()));
    let placer = tokio::spawn({
        let client = client.clone();
        async move {
            let mut placed = BTreeMap::new();
            for number in 0..400 {
                let room = format!("room-{number}");
                placed.insert(room.clone(), place(&client, &room).await);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            placed
        }
    });
    let mut chance = Chance::new(3);
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(200 + u64::try_from(chance.below(300)).unwrap())).await;
        host.kill();
        host = site.start().await;
    }
    let placed = placer.await.unwrap();
    place(&client, "last").await;
    let followed = at_most("the follower sees the last room", seconds(30), follower)
        .await
        .unwrap();

    let places: Vec<_> = followed.iter().map(Event::place).collect();
    assert!(places.is_sorted_by(|a, b| a < b), "ids grow, and none comes twice");
    assert!(followed.iter().all(|event| event.kind != "reset"));
    let seen: Vec<_> = followed.iter().filter(|event| event.kind == "room.placed").collect();
    assert_eq!(seen.len(), placed.len() + 1);
    for event in seen {
        let room = event.data["room"].as_str().unwrap();
        if let Some(placement) = placed.get(room) {
            assert_eq!(event.data["placement"], *placement);
        }
    }
    let kept = events_after(&client, &from).await;
    assert_eq!(kept[..followed.len()], followed[..]);
}

#[tokio::test]
async fn a_list_says_from_which_event_on_to_follow() {
    let site = Site::new(POOL);
    let host = site.start().await;
    let client = host.client();
    register(&client, "media-1").await;
    place(&client, "before").await;
    let as_of = as_of(&client).await;
    let mut stream = Events::after(&client, &as_of).await.unwrap();
    place(&client, "after").await;
    let next = at_most("the event comes", seconds(10), stream.next()).await.unwrap();
    assert_eq!(
        (next.kind.as_str(), &next.data["room"]),
        ("room.placed", &json!("after"))
    );
    assert!(next.data["at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(next.data["id"], next.id);
}

/// The least that may be kept: 16 MiB.
const FEW_KEPT: &str = r#"
[events]
size_mib_max = 16
[[pool]]
name = "media"
provider = "external"
rooms_per_server = 10
health = "none"
"#;

#[tokio::test]
async fn an_id_that_has_gone_is_answered_with_a_reset_and_then_with_what_comes() {
    let site = Site::new(FEW_KEPT);
    let host = site.start().await;
    let client = host.client();
    register(&client, "media-1").await;
    let first = all_events(&client).await.remove(0);

    let unknown = Events::after(&client, "999999999-0")
        .await
        .unwrap()
        .next()
        .await
        .unwrap();
    assert_eq!(unknown.kind, "reset");

    // Each cordon tells its reason, of 2 kB here.
    let reason = "🔥".repeat(500);
    let writers: Vec<_> = (0..40)
        .map(|number| {
            let (client, reason) = (client.clone(), reason.clone());
            tokio::spawn(async move {
                let server = format!("busy-{number}");
                register(&client, &server).await;
                for _ in 0..125 {
                    let body = json!({ "reason": reason });
                    client
                        .post(&format!("/v1/servers/{server}/cordon"), body.clone())
                        .await
                        .expect(200);
                    client
                        .post(&format!("/v1/servers/{server}/uncordon"), body)
                        .await
                        .expect(200);
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let mut stream = Events::after(&client, &first.id).await.unwrap();
    let reset = stream.next().await.unwrap();
    assert_eq!(reset.kind, "reset");
    assert_eq!(reset.data["type"], "reset");
    place(&client, "next").await;
    let next = at_most("what comes is told", seconds(10), stream.next()).await.unwrap();
    assert_eq!(next.data["room"], "next");
    assert!(next.place() > reset.place());
    // What is kept can be read to its end without one.
    let newest = events_after(&client, &reset.id).await;
    assert_eq!(newest, [next]);
}
