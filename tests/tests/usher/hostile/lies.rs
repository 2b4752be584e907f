//! Placements where no room may go: each is refused by what is so, recorded with its code, and the next policy decides.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::set_loose;
use crate::http::Client;
use crate::patience::{eventually, seconds};
use crate::site::Site;
use crate::sse::all_events;

/// One pool for everybody, one for another tenant.
const CONFIG: &str = r#"
[[pool]]
name = "media"
provider = "external"
rooms_per_server = 100
health = "none"
[[pool]]
name = "acme"
provider = "external"
rooms_per_server = 100
health = "none"
only = { tenant = ["acme"] }
"#;

async fn register(client: &Client, server: &str, pool: &str, rooms_max: u32) {
    let body = json!({ "pool": pool, "url": format!("ws://{server}"), "rooms_max": rooms_max });
    client.put(&format!("/v1/servers/{server}"), body).await.expect(201);
}

/// Places a room, and returns what each policy that was asked advised, and what came of it: policy, verdict, code, server.
async fn decided(client: &Client, room: &str) -> Vec<[String; 4]> {
    let placed = client
        .put(&format!("/v1/rooms/{room}"), json!({}))
        .await
        .expect(201)
        .json;
    assert_eq!(placed["server"]["name"], "good", "{placed}");
    let parts = client.get(&format!("/v1/decisions?room={room}")).await.expect(200).json;
    let text = |part: &Value, key: &str| part[key].as_str().unwrap_or_default().to_owned();
    let mut parts: Vec<[String; 4]> = parts["decisions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| ["policy", "verdict", "code", "server"].map(|key| text(part, key)))
        .collect();
    parts.reverse();
    parts
}

#[tokio::test]
async fn a_room_goes_nowhere_that_it_may_not_whatever_a_policy_says() {
    let site = Site::new(CONFIG);
    let host = site.start().await;
    let client = host.client();
    register(&client, "full", "media", 1).await;
    let placed = client.put("/v1/rooms/fills-it", json!({})).await.expect(201).json;
    assert_eq!(placed["server"]["name"], "full");
    for (server, hold) in [("cordoned", "cordon"), ("leaving", "drain")] {
        register(&client, server, "media", 100).await;
        let room = format!("/v1/rooms/keeps-it-{server}");
        // A server without rooms that is drained is gone.
        client.put(&room, json!({})).await.expect(201);
        client
            .post(&format!("/v1/servers/{server}/{hold}"), json!({}))
            .await
            .expect(200);
    }
    register(&client, "of-acme", "acme", 100).await;
    register(&client, "good", "media", 100).await;
    let lies = ["unknown", "full", "cordoned", "leaving", "foreign", "fickle"];
    for (number, lie) in (0..).zip(lies) {
        set_loose(&site, &format!("{number}-{lie}"), lie);
    }
    let policy = async |name: String| client.get(&format!("/v1/policies/{name}")).await.json;
    for (number, lie) in (0..).zip(lies) {
        eventually("it serves", seconds(60), async || {
            let shown = policy(format!("{number}-{lie}")).await;
            (shown["wanted"]["state"] == "serving").then_some(())
        })
        .await;
    }

    let mut fickle = BTreeSet::new();
    for room in 0..10 {
        let parts = decided(&client, &format!("room-{room}")).await;
        let is = |at: usize, policy: &str, verdict: &str, code: &str, server: &str| {
            assert_eq!(parts[at], [policy, verdict, code, server], "{parts:?}");
        };
        is(0, "0-unknown", "refused", "unknown_server", "");
        is(1, "1-full", "refused", "rooms_max", "full");
        is(2, "2-cordoned", "refused", "held", "cordoned");
        is(3, "3-leaving", "refused", "held", "leaving");
        is(4, "4-foreign", "refused", "only", "of-acme");
        let [policy, verdict, code, _] = &parts[5];
        assert_eq!((policy.as_str(), verdict.as_str()), ("5-fickle", "refused"));
        fickle.insert(code.clone());
        is(6, "standard", "accepted", "", "good");
    }
    assert_eq!(
        fickle.into_iter().collect::<Vec<_>>(),
        ["held", "only", "rooms_max", "unknown_server"]
    );
    let servers = client.get("/v1/servers").await.expect(200).json;
    for server in servers["servers"].as_array().unwrap() {
        let rooms = match server["name"].as_str().unwrap() {
            "good" => 10,
            "of-acme" => 0,
            _ => 1,
        };
        assert_eq!(server["rooms"], rooms, "{server}");
    }
    // Being wrong is no fault: nobody is put in quarantine for it.
    let events = all_events(&client).await;
    assert!(
        events
            .iter()
            .all(|event| !["policy.fault", "policy.quarantined"].contains(&event.kind.as_str()))
    );
}
