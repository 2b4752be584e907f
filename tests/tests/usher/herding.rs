//! No herding: a burst never puts more on a server than it holds, whatever is reported meanwhile.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::chance::Chance;
use crate::http::Client;
use crate::patience::{eventually, seconds};
use crate::site::Site;

/// Servers report, and what they report may be late or a lie.
const POOL: &str = r#"
[[pool]]
name = "media"
provider = "external"
rooms_per_server = 20
health = "report"
"#;

const SERVERS: usize = 50;
const ROOMS: usize = 1000;

/// Reports for random servers: that they are idle and empty, that they are full, that they hold others' rooms.
async fn lie(client: Client, seed: u64, must_end: Arc<AtomicBool>) -> u32 {
    let mut chance = Chance::new(seed);
    let mut told = 0;
    while !must_end.load(Ordering::Relaxed) {
        let report = match chance.below(3) {
            0 => json!({ "cpu_permille": 0, "egress_kbps": 0, "participants": 0, "rooms": [] }),
            1 => json!({ "cpu_permille": 10, "rooms":
                [{ "room": format!("room-{}", chance.below(ROOMS)), "participants": 0, "load": 0 }] }),
            _ => json!({ "participants": 5, "rooms":
                [{ "room": format!("room-{}", chance.below(ROOMS)), "placement": chance.below(9), "participants": 900 }] }),
        };
        let server = chance.below(SERVERS);
        client
            .post(&format!("/v1/servers/media-{server}/report"), report)
            .await
            .expect(200);
        told += 1;
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_rooms_at_once_onto_fifty_servers_never_exceed_a_capacity() {
    let site = Site::new(POOL);
    let host = site.start().await;
    let client = host.client();
    for server in 0..SERVERS {
        let body = json!({ "pool": "media", "url": format!("ws://media-{server}") });
        client
            .put(&format!("/v1/servers/media-{server}"), body)
            .await
            .expect(201);
        client
            .post(&format!("/v1/servers/media-{server}/report"), json!({ "rooms": [] }))
            .await
            .expect(200);
    }
    let must_end = Arc::new(AtomicBool::new(false));
    let liars: Vec<_> = (0..4)
        .map(|seed| tokio::spawn(lie(client.clone(), seed, Arc::clone(&must_end))))
        .collect();
    let askers: Vec<_> = (0..ROOMS)
        .map(|room| {
            let client = client.clone();
            tokio::spawn(async move {
                client
                    .put(&format!("/v1/rooms/room-{room}"), json!({ "wait_seconds": 30 }))
                    .await
            })
        })
        .collect();
    let mut held = HashMap::<String, usize>::new();
    for asker in askers {
        let answer = asker.await.unwrap();
        assert!([200, 201, 202].contains(&answer.status), "{}", answer.text);
        if let Some(server) = answer.json["server"]["name"].as_str() {
            *held.entry(server.to_owned()).or_default() += 1;
        }
    }
    must_end.store(true, Ordering::Relaxed);
    for liar in liars {
        assert!(liar.await.unwrap() > 0);
    }
    assert!(held.values().all(|rooms| *rooms <= 20), "{held:?}");

    // Whoever was kept out by what a server said it holds comes in once all tell the truth: they fit exactly.
    for server in 0..SERVERS {
        let rooms = rooms_on(&client, server).await;
        let truth: Vec<Value> = rooms
            .iter()
            .map(|room| json!({ "room": room, "participants": 1 }))
            .collect();
        client
            .post(&format!("/v1/servers/media-{server}/report"), json!({ "rooms": truth }))
            .await
            .expect(200);
    }
    eventually("all rooms are placed", seconds(30), async || {
        let waiting = client.get("/v1/rooms?state=waiting&limit=1000").await.expect(200).json;
        waiting["rooms"].as_array().unwrap().is_empty().then_some(())
    })
    .await;
    for server in 0..SERVERS {
        assert_eq!(rooms_on(&client, server).await.len(), 20);
    }
    client.put("/v1/rooms/one-too-many", json!({})).await.expect(202);
}

async fn rooms_on(client: &Client, server: usize) -> Vec<String> {
    let list = client
        .get(&format!("/v1/rooms?server=media-{server}&limit=1000"))
        .await
        .expect(200)
        .json;
    assert!(list["next"].is_null());
    list["rooms"]
        .as_array()
        .unwrap()
        .iter()
        .map(|room| room["room"].as_str().unwrap().to_owned())
        .collect()
}
