//! Every call of the API, as it is meant to be used.

use serde_json::{Value, json};

use crate::http::{Answer, Client};
use crate::patience::{eventually, seconds};
use crate::site::{Host, Site};

/// One external pool, whose servers' health nobody looks at.
const EXTERNAL: &str = r#"
[bill]
baseline_per_hour = 3.492
[[pool]]
name = "media"
provider = "external"
region = "here"
rooms_per_server = 3
seats_per_server = 20
seats_default = 5
price_per_hour = 0.348
health = "none"
"#;

async fn register(client: &Client, server: &str) -> Answer {
    let body = json!({ "pool": "media", "url": format!("wss://{server}.example.com"), "zone": "a" });
    client.put(&format!("/v1/servers/{server}"), body).await
}

async fn started() -> (Site, Host, Client) {
    let site = Site::new(EXTERNAL);
    let host = site.start().await;
    let client = host.client();
    (site, host, client)
}

fn names<'a>(list: &'a Value, key: &str) -> Vec<&'a str> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|item| item[key].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_room_is_placed_found_changed_and_released() {
    let (_site, _host, client) = started().await;
    register(&client, "media-1").await.expect(201);

    let placed = client
        .put("/v1/rooms/standup", json!({ "seats": 6, "labels": { "team": "a" } }))
        .await;
    let room = placed.expect(201).json;
    assert_eq!(
        (&room["state"], &room["placement"], &room["seats"]),
        (&json!("placed"), &json!(1), &json!(6))
    );
    let server = &room["server"];
    assert_eq!((&server["name"], &server["pool"]), (&json!("media-1"), &json!("media")));
    assert_eq!((&server["region"], &server["zone"]), (&json!("here"), &json!("a")));
    assert_eq!(server["url"], "wss://media-1.example.com");
    assert_eq!(room["decision"]["policy"], "standard");
    assert!(room["placed_at"].as_str().unwrap().ends_with('Z'));

    let again = client
        .put("/v1/rooms/standup", json!({ "seats": 6 }))
        .await
        .expect(200)
        .json;
    assert_eq!((&again["placement"], &again["server"]), (&room["placement"], server));
    let found = client.get("/v1/rooms/standup").await.expect(200).json;
    assert_eq!(found["placed_at"], room["placed_at"]);

    let came = client
        .patch("/v1/rooms/standup", json!({ "participants": 4, "seats": 8 }))
        .await
        .expect(200)
        .json;
    assert_eq!((&came["participants"], &came["seats"]), (&json!(4), &json!(8)));
    client
        .patch("/v1/rooms/standup", json!({ "seats": 21 }))
        .await
        .expect_problem(409, "does_not_fit");

    client.delete("/v1/rooms/standup?placement=77").await.expect(204);
    client.get("/v1/rooms/standup").await.expect(200);
    client.delete("/v1/rooms/standup?placement=1").await.expect(204);
    client
        .get("/v1/rooms/standup")
        .await
        .expect_problem(404, "no_such_room");
    client.delete("/v1/rooms/standup").await.expect(204);
    let anew = client.put("/v1/rooms/standup", Value::Null).await;
    anew.expect_problem(422, "invalid_field");
    let anew = client.put("/v1/rooms/standup", json!({})).await.expect(201).json;
    assert_eq!((&anew["placement"], &anew["seats"]), (&json!(2), &json!(5)));
}

#[tokio::test]
async fn a_room_that_could_not_be_created_is_placed_elsewhere() {
    let (_site, _host, client) = started().await;
    register(&client, "media-1").await.expect(201);
    register(&client, "media-2").await.expect(201);
    let first = client.put("/v1/rooms/standup", json!({})).await.expect(201).json;
    let failed = json!({ "reason": "no port is free", "placement": first["placement"] });
    let second = client
        .post("/v1/rooms/standup/failed", failed.clone())
        .await
        .expect(201)
        .json;
    assert_ne!(second["server"]["name"], first["server"]["name"]);

    // The reply may have been lost: saying it again moves nothing.
    let again = client
        .post("/v1/rooms/standup/failed", failed.clone())
        .await
        .expect(200)
        .json;
    assert_eq!(again["server"], second["server"]);
    let server = first["server"]["name"].as_str().unwrap();
    let blamed = client.get(&format!("/v1/servers/{server}")).await.expect(200).json;
    let hold = &blamed["hold"];
    assert_eq!((&hold["kind"], &hold["owner"]), (&json!("cordoned"), &json!("health")));
    assert!(hold["until"].is_string(), "{hold}");
    let reason = hold["reason"].as_str().unwrap();
    assert!(reason.contains("no port is free"), "{reason}");

    client.post("/v1/rooms/nobody/failed", failed).await.expect(404);
    client.post("/v1/rooms/standup/failed", json!({})).await.expect(422);
    client
        .post("/v1/rooms/standup/failed", json!({ "reason": "" }))
        .await
        .expect(422);
}

#[tokio::test]
async fn rooms_are_listed_page_by_page() {
    let (_site, _host, client) = started().await;
    for server in ["media-1", "media-2"] {
        register(&client, server).await.expect(201);
    }
    for room in ["a", "b", "c", "d", "e"] {
        client.put(&format!("/v1/rooms/{room}"), json!({})).await.expect(201);
    }
    let mut seen = Vec::new();
    let mut path = "/v1/rooms?limit=2".to_owned();
    loop {
        let page = client.get(&path).await.expect(200).json;
        assert!(page["as_of"].is_string());
        seen.extend(names(&page["rooms"], "room").into_iter().map(str::to_owned));
        match page["next"].as_str() {
            Some(next) => path = format!("/v1/rooms?limit=2&after={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ["a", "b", "c", "d", "e"]);
    let on_first = client
        .get("/v1/rooms?server=media-1&state=placed")
        .await
        .expect(200)
        .json;
    let on_second = client.get("/v1/rooms?server=media-2").await.expect(200).json;
    let (first, second) = (names(&on_first["rooms"], "room"), names(&on_second["rooms"], "room"));
    assert_eq!(first.len() + second.len(), 5);
    assert!(first.len() <= 3 && second.len() <= 3, "{first:?} {second:?}");
    let waiting = client.get("/v1/rooms?state=waiting").await.expect(200).json;
    assert_eq!(waiting["rooms"], json!([]));
}

#[tokio::test]
async fn whoever_waits_is_answered_when_the_room_is_placed() {
    let (_site, _host, client) = started().await;
    let queued = client.put("/v1/rooms/first", json!({})).await.expect(202).json;
    assert_eq!(
        (&queued["state"], &queued["server"], &queued["position"]),
        (&json!("waiting"), &json!(null), &json!(1))
    );
    assert_eq!(queued["waiting_for"], "nobody_launches");
    let asker = client.clone();
    let put = tokio::spawn(async move { asker.put("/v1/rooms/second", json!({ "wait_seconds": 60 })).await });
    let asker = client.clone();
    let get = tokio::spawn(async move { asker.get("/v1/rooms/first?wait_seconds=60").await });
    eventually("both rooms wait", seconds(10), async || {
        let waiting = client.get("/v1/rooms?state=waiting").await.expect(200).json;
        (waiting["rooms"].as_array().unwrap().len() == 2).then_some(())
    })
    .await;
    assert!(!put.is_finished() && !get.is_finished());
    register(&client, "media-1").await.expect(201);
    let put = put.await.unwrap();
    assert!([200, 201].contains(&put.status), "{}", put.text);
    assert_eq!(put.json["state"], "placed");
    assert_eq!(get.await.unwrap().expect(200).json["server"]["name"], "media-1");
}

#[tokio::test]
async fn whoever_waits_for_a_room_that_is_released_is_told_so() {
    let (_site, _host, client) = started().await;
    let asker = client.clone();
    let put = tokio::spawn(async move { asker.put("/v1/rooms/given-up", json!({ "wait_seconds": 60 })).await });
    let is_waiting = async || (client.get("/v1/rooms/given-up").await.status == 200).then_some(());
    eventually("the room waits", seconds(10), is_waiting).await;
    client.delete("/v1/rooms/given-up").await.expect(204);
    put.await.unwrap().expect_problem(409, "room_released");
    register(&client, "media-1").await.expect(201);
    client
        .get("/v1/rooms/given-up")
        .await
        .expect_problem(404, "no_such_room");
}

#[tokio::test]
async fn the_operators_hand_holds_lifts_and_removes() {
    let (_site, _host, client) = started().await;
    register(&client, "media-1").await.expect(201);
    register(&client, "media-1").await.expect(200);
    let shown = client.get("/v1/servers/media-1").await.expect(200).json;
    assert_eq!(
        (&shown["phase"], &shown["hold"], &shown["rooms_max"]),
        (&json!("ready"), &json!(null), &json!(3))
    );

    let cordoned = client
        .post("/v1/servers/media-1/cordon", json!({ "reason": "patching" }))
        .await
        .expect(200)
        .json;
    assert_eq!(cordoned["hold"]["kind"], "cordoned");
    assert_eq!(
        (&cordoned["hold"]["owner"], &cordoned["hold"]["reason"]),
        (&json!("operator"), &json!("patching"))
    );
    client.put("/v1/rooms/kept-away", json!({})).await.expect(202);
    client.post("/v1/servers/media-1/uncordon", json!({})).await.expect(200);
    let room = client.get("/v1/rooms/kept-away?wait_seconds=20").await.expect(200).json;
    assert_eq!(room["state"], "placed");

    let report = json!({ "cpu_permille": 300, "rooms": [{ "room": "kept-away", "participants": 2 },
        { "room": "unheard-of", "participants": 1 }], "figures": { "consumers": 9 } });
    let told = client.post("/v1/servers/media-1/report", report).await.expect(200).json;
    assert_eq!((&told["phase"], &told["moved"]), (&json!("ready"), &json!([])));
    let shown = client.get("/v1/servers/media-1").await.expect(200).json;
    assert_eq!(
        (&shown["cpu_permille"], &shown["rooms"], &shown["rooms_unknown"]),
        (&json!(300), &json!(2), &json!(1))
    );

    let drained = client
        .post("/v1/servers/media-1/drain", json!({ "deadline_seconds": 3600 }))
        .await
        .expect(200)
        .json;
    assert_eq!(
        (&drained["hold"]["kind"], &drained["rooms"]),
        (&json!("draining"), &json!(2))
    );
    assert!(drained["hold"]["deadline"].is_string());
    client
        .delete("/v1/servers/media-1")
        .await
        .expect_problem(409, "server_has_rooms");

    register(&client, "media-2").await.expect(201);
    client
        .post("/v1/servers/media-1/lost", json!({ "reason": "it burns" }))
        .await
        .expect(200);
    let moved = client.get("/v1/rooms/kept-away?wait_seconds=20").await.expect(200).json;
    assert_eq!(
        (&moved["server"]["name"], &moved["placement"]),
        (&json!("media-2"), &json!(2))
    );
    let late = json!({ "rooms": [{ "room": "kept-away", "placement": 1, "participants": 2 }] });
    let told = client.post("/v1/servers/media-1/report", late).await.expect(200).json;
    assert_eq!(told["moved"], json!([{ "room": "kept-away", "server": "media-2" }]));

    client.delete("/v1/servers/media-2?force=true").await.expect(204);
    let listed = client.get("/v1/servers").await.expect(200).json;
    assert!(!names(&listed["servers"], "name").contains(&"media-2"), "{listed}");
}

#[tokio::test]
async fn what_the_host_knows_can_be_read() {
    let (_site, host, client) = started().await;
    register(&client, "media-1").await.expect(201);
    client.put("/v1/rooms/standup", json!({})).await.expect(201);

    assert_eq!(client.get("/healthz").await.expect(200).text, "ok\n");
    assert_eq!(client.get("/readyz").await.expect(200).text, "ready\n");
    let openapi = client.get("/openapi.json").await.expect(200).json;
    assert!(openapi["openapi"].as_str().unwrap().starts_with("3.1"));

    let pools = client.get("/v1/pools").await.expect(200).json;
    let pool = &pools["pools"][0];
    assert_eq!(
        (&pool["name"], &pool["automatic"], &pool["rooms"]),
        (&json!("media"), &json!(false), &json!(1))
    );
    assert_eq!((&pool["servers_ready"], &pool["rooms_free"]), (&json!(1), &json!(2)));
    let off = client
        .post("/v1/pools/media/scaling", json!({ "enabled": false }))
        .await
        .expect(200)
        .json;
    assert_eq!(off, json!({ "pool": "media", "scaling_enabled": false }));
    assert_eq!(client.get("/v1/pools").await.json["pools"][0]["scaling_enabled"], false);

    let policies = client.get("/v1/policies").await.expect(200).json;
    let built_in = policies["policies"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&built_in["name"], &built_in["built_in"]),
        (&json!("standard"), &json!(true))
    );
    assert!(built_in["place"]["asked"].as_u64().unwrap() >= 1, "{built_in}");

    let decisions = client.get("/v1/decisions?room=standup").await.expect(200).json;
    let decision = &decisions["decisions"][0];
    assert_eq!(
        (&decision["point"], &decision["verdict"]),
        (&json!("place"), &json!("accepted"))
    );
    assert_eq!(
        (&decision["policy"], &decision["server"]),
        (&json!("standard"), &json!("media-1"))
    );
    assert!(decision["reason"].as_str().is_some_and(|reason| !reason.is_empty()));

    let bill = client.get("/v1/bill").await.expect(200).json;
    assert_eq!(
        (&bill["dollars_per_hour"], &bill["baseline"]["dollars_per_hour"]),
        (&json!(0.348), &json!(3.492))
    );
    assert_eq!(bill["pools"][0]["pool"], "media");

    eventually("the figures are published", seconds(10), async || {
        let figures = client.get("/metrics").await.expect(200).text;
        let has = |name: &str| figures.lines().any(|line| line.starts_with(name));
        ["usher_servers", "usher_rooms", "usher_dollars_per_hour"]
            .iter()
            .all(|name| has(name))
            .then_some(())
    })
    .await;
    assert!(host.log().contains("nobody launches servers of the pool media"));
}

/// What is asked at most waits for: `boot_seconds_max` is less, as the config asks.
const SHORT_QUEUE: &str = r#"
[guards]
waiting_rooms_max = 2
waiting_seconds_max = 2
boot_seconds_max = 1
[[pool]]
name = "media"
provider = "external"
rooms_per_server = 3
health = "none"
"#;

#[tokio::test]
async fn a_full_queue_and_a_room_that_waited_too_long_say_when_to_ask_again() {
    let site = Site::new(SHORT_QUEUE);
    let host = site.start().await;
    let client = host.client();
    let asker = client.clone();
    let waits = tokio::spawn(async move { asker.put("/v1/rooms/one", json!({ "wait_seconds": 30 })).await });
    let is_waiting = async || (client.get("/v1/rooms/one").await.status == 200).then_some(());
    eventually("the first room waits", seconds(10), is_waiting).await;
    client.put("/v1/rooms/two", json!({})).await.expect(202);
    let full = client.put("/v1/rooms/three", json!({})).await;
    full.expect_problem(503, "queue_full");
    assert!(full.headers.contains_key("retry-after"));
    let expired = waits.await.unwrap();
    expired.expect_problem(503, "expired");
    assert!(expired.headers.contains_key("retry-after"));
    client.get("/v1/rooms/one").await.expect_problem(404, "no_such_room");
}
