//! A million launches, and everything retired: the guards hold, and the records say which.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::set_loose;
use crate::http::Client;
use crate::patience::{eventually, seconds};
use crate::site::Site;
use crate::sse::all_events;

/// Each room has a server of its own, and a policy may do with servers what it wants as soon as they are there.
fn config(servers_max: u32) -> String {
    format!(
        r#"
tick_seconds = 1
[guards]
server_life_seconds_min = 0
scale_down_cooldown_seconds = 0
[[pool]]
name = "cloud"
provider = "simulated"
rooms_per_server = 1
servers_min = 1
servers_max = {servers_max}
[pool.simulated]
boot_seconds = 0.1
[[pool]]
name = "house"
provider = "external"
region = "elsewhere"
rooms_per_server = 5
servers_max = 7
health = "none"
"#
    )
}

/// Returns the verdicts and codes of what a policy has advised, and of which pool.
async fn verdicts(client: &Client, policy: &str) -> BTreeSet<(String, String, String)> {
    let decisions = client.get("/v1/decisions?limit=1000").await.expect(200).json;
    let of_it = decisions["decisions"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|part| part["policy"] == policy);
    let text = |part: &Value, key: &str| part[key].as_str().unwrap_or_default().to_owned();
    of_it
        .map(|part| (text(part, "pool"), text(part, "verdict"), text(part, "code")))
        .collect()
}

fn has(verdicts: &BTreeSet<(String, String, String)>, pool: &str, verdict: &str, code: &str) -> bool {
    verdicts.contains(&(pool.to_owned(), verdict.to_owned(), code.to_owned()))
}

async fn pool(client: &Client, name: &str) -> Value {
    let pools = client.get("/v1/pools").await.expect(200).json;
    pools["pools"]
        .as_array()
        .unwrap()
        .iter()
        .find(|pool| pool["name"] == name)
        .unwrap()
        .clone()
}

#[tokio::test]
async fn a_million_launches_are_as_many_as_the_pool_may_have_and_the_clamp_is_told() {
    let site = Site::new(&config(5));
    let host = site.start().await;
    let client = host.client();
    set_loose(&site, "10-million", "million");
    eventually("the pool is full, and no more is refused", seconds(60), async || {
        let cloud = pool(&client, "cloud").await;
        let servers = cloud["servers_ready"].as_u64().unwrap() + cloud["servers_starting"].as_u64().unwrap_or(0);
        assert!(servers <= 5, "{cloud}");
        let told = verdicts(&client, "10-million").await;
        let is_told = has(&told, "cloud", "clamped", "servers_max")
            && has(&told, "cloud", "refused", "servers_max")
            && has(&told, "house", "clamped", "servers_max")
            && has(&told, "", "refused", "unknown_pool");
        (cloud["servers_ready"] == 5 && is_told).then_some(())
    })
    .await;
    assert_eq!(pool(&client, "house").await["servers_wanted"], 7);
    let events = all_events(&client).await;
    let clamped = events
        .iter()
        .find(|event| event.kind == "scale.refused" && event.data["pool"] == "cloud");
    let clamped = &clamped.unwrap().data;
    assert_eq!(
        (&clamped["policy"], &clamped["code"]),
        (&json!("10-million"), &json!("servers_max"))
    );
    assert_eq!(
        events.iter().filter(|event| event.kind == "server.requested").count(),
        5
    );
    client
        .put("/v1/rooms/standup", json!({ "region": "default" }))
        .await
        .expect(201);
}

#[tokio::test]
async fn whoever_retires_everything_ends_no_room_and_leaves_the_least_that_the_pool_must_have() {
    const ROOMS: usize = 4;
    let site = Site::new(&config(8));
    let host = site.start().await;
    let client = host.client();
    let mut homes = Vec::new();
    for room in 0..ROOMS {
        let path = format!("/v1/rooms/room-{room}");
        client
            .put(&path, json!({ "region": "default", "wait_seconds": 30 }))
            .await;
        let placed = client.get(&format!("{path}?wait_seconds=30")).await.expect(200).json;
        assert_eq!(placed["state"], "placed", "{placed}");
        homes.push((path, placed["server"]["name"].clone(), placed["placement"].clone()));
    }
    set_loose(&site, "10-retire", "retire-all");
    eventually("its orders are judged", seconds(60), async || {
        let told = verdicts(&client, "10-retire").await;
        let is_told = has(&told, "cloud", "accepted", "")
            && has(&told, "cloud", "refused", "drains_in_flight_max")
            && has(&told, "cloud", "refused", "unknown_server")
            && has(&told, "", "refused", "unknown_pool");
        is_told.then_some(())
    })
    .await;
    // It goes on with it for a while.
    let ticks = async |client: &Client| {
        let shown = client.get("/v1/policies/10-retire").await.expect(200).json;
        shown["scale_down"]["answered"].as_u64().unwrap()
    };
    let until = ticks(&client).await + 4;
    eventually("it has been asked again and again", seconds(60), async || {
        (ticks(&client).await >= until).then_some(())
    })
    .await;

    for (path, server, placement) in &homes {
        let room = client.get(path).await.expect(200).json;
        assert_eq!(
            (&room["server"]["name"], &room["placement"]),
            (server, placement),
            "a drain moves no room"
        );
    }
    let events = all_events(&client).await;
    let ended =
        |event: &&crate::sse::Event| ["server.terminated", "server.left", "room.moved"].contains(&event.kind.as_str());
    let ended: Vec<_> = events.iter().filter(ended).collect();
    assert!(
        ended
            .iter()
            .all(|event| homes.iter().all(|(_, server, _)| event.data["server"] != *server)),
        "{ended:?}"
    );
    assert!(pool(&client, "cloud").await["servers_ready"].as_u64().unwrap() >= 4);

    // Who comes now is served: what was drained is resumed, or another is launched.
    for room in ROOMS..ROOMS + 2 {
        let path = format!("/v1/rooms/room-{room}");
        client.put(&path, json!({ "region": "default" })).await;
        let placed = client.get(&format!("{path}?wait_seconds=30")).await.expect(200).json;
        assert_eq!(placed["state"], "placed", "{placed}");
    }
}
