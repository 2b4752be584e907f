//! Each mistake has its own answer: a problem document with a stable code, and never a 5xx.

use bytes::Bytes;
use hyper::Method;
use serde_json::json;

use crate::http::{Answer, Client};
use crate::site::Site;

const POOLS: &str = r#"
[[pool]]
name = "media"
provider = "external"
region = "here"
rooms_per_server = 2
seats_per_server = 20
seats_default = 5
health = "none"
[[pool]]
name = "other"
provider = "external"
region = "there"
rooms_per_server = 2
health = "none"
only = { tenant = ["acme"] }
[[pool]]
name = "cloud"
provider = "simulated"
region = "nowhere"
rooms_per_server = 2
seats_per_server = 20
seats_default = 5
servers_max = 0
"#;

const JSON: (&str, &str) = ("content-type", "application/json");

async fn send(client: &Client, call: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
    let (method, path) = call.split_once(' ').unwrap();
    client
        .send(
            Method::from_bytes(method.as_bytes()).unwrap(),
            path,
            headers,
            body.into(),
        )
        .await
        .unwrap()
}

#[tokio::test]
async fn every_wrong_body_is_told_by_its_field() {
    let site = Site::new(POOLS);
    let host = site.start().await;
    let client = host.client();
    let long = "x".repeat(257);
    let labels: serde_json::Map<_, _> = (0..33).map(|n| (format!("label-{n}"), json!("x"))).collect();
    for (call, body, field) in [
        ("PUT /v1/rooms/a", json!({ "seatz": 1 }), Some("seatz")),
        ("PUT /v1/rooms/a", json!({ "seats": "six" }), Some("seats")),
        ("PUT /v1/rooms/a", json!({ "seats": -1 }), Some("seats")),
        ("PUT /v1/rooms/a", json!({ "seats": 0 }), Some("seats")),
        ("PUT /v1/rooms/a", json!({ "seats": 1.5 }), Some("seats")),
        ("PUT /v1/rooms/a", json!({ "tenant": "a b" }), Some("tenant")),
        ("PUT /v1/rooms/a", json!({ "region": "" }), Some("region")),
        ("PUT /v1/rooms/a", json!({ "wait_seconds": 61 }), Some("wait_seconds")),
        (
            "PUT /v1/rooms/a",
            json!({ "lease_seconds": 604_801 }),
            Some("lease_seconds"),
        ),
        (
            "PUT /v1/rooms/a",
            json!({ "labels": { "key": long } }),
            Some("labels.key"),
        ),
        ("PUT /v1/rooms/a", json!({ "labels": labels }), Some("labels")),
        ("PUT /v1/rooms/a", json!({ "require": { "a b": "c" } }), Some("require")),
        ("PUT /v1/rooms/a", json!([]), None),
        (
            "PATCH /v1/rooms/a",
            json!({ "participants": true }),
            Some("participants"),
        ),
        ("PATCH /v1/rooms/a", json!({ "server": "media-1" }), Some("server")),
        ("PUT /v1/servers/a", json!({ "url": "ws://a" }), None),
        ("PUT /v1/servers/a", json!({ "pool": "media", "url": "a" }), Some("url")),
        (
            "PUT /v1/servers/a",
            json!({ "pool": "media", "url": "ws://a", "hold": 1 }),
            Some("hold"),
        ),
        (
            "POST /v1/servers/a/report",
            json!({ "cpu_permille": 1001 }),
            Some("cpu_permille"),
        ),
        (
            "POST /v1/servers/a/report",
            json!({ "rooms": [{ "room": "a" }] }),
            Some("rooms[0]"),
        ),
        ("POST /v1/servers/a/cordon", json!({ "reason": "" }), Some("reason")),
        (
            "POST /v1/servers/a/drain",
            json!({ "deadline_seconds": -1 }),
            Some("deadline_seconds"),
        ),
        ("POST /v1/servers/a/uncordon", json!({ "why": "x" }), Some("why")),
        ("POST /v1/pools/media/scaling", json!({ "enabled": 1 }), Some("enabled")),
        ("POST /v1/pools/media/scaling", json!({}), None),
        ("POST /v1/policies/a/rollback", json!({ "reason": "" }), Some("reason")),
        ("POST /v1/policies/a/rollback", json!({ "to": "1.0.0" }), Some("to")),
    ] {
        let answer = send(&client, call, &[JSON], body.to_string()).await;
        answer.expect_problem(422, "invalid_field");
        assert_eq!(answer.json["field"].as_str(), field, "{call} {body}: {}", answer.text);
    }
}

#[tokio::test]
async fn bodies_that_are_no_json_too_large_or_too_deep_are_refused() {
    let site = Site::new(POOLS);
    let host = site.start().await;
    let client = host.client();
    let room = "PUT /v1/rooms/a";
    send(&client, room, &[JSON], "{")
        .await
        .expect_problem(400, "invalid_json");
    send(&client, room, &[JSON], "{} {}")
        .await
        .expect_problem(400, "invalid_json");
    send(&client, room, &[JSON], &b"{\"region\":\"\xff\"}"[..])
        .await
        .expect_problem(400, "invalid_json");
    let form = ("content-type", "application/x-www-form-urlencoded");
    send(&client, room, &[form], "seats=1")
        .await
        .expect_problem(415, "unsupported_media_type");
    send(&client, room, &[], "{}")
        .await
        .expect_problem(415, "unsupported_media_type");
    let utf8 = ("content-type", "application/json; charset=utf-8");
    send(&client, room, &[utf8], "{}").await.expect(202);

    let padded = |bytes: usize| format!("{{{}}}", " ".repeat(bytes - 2));
    send(&client, room, &[JSON], padded(64 * 1024)).await.expect(202);
    send(&client, room, &[JSON], padded(64 * 1024 + 1))
        .await
        .expect_problem(413, "body_too_large");
    client
        .put("/v1/servers/media-1", json!({ "pool": "media", "url": "ws://a" }))
        .await
        .expect(201);
    let report = "POST /v1/servers/media-1/report";
    send(&client, report, &[JSON], padded(1024 * 1024)).await.expect(200);
    send(&client, report, &[JSON], padded(1024 * 1024 + 1))
        .await
        .expect_problem(413, "body_too_large");

    for deep in [
        "[".repeat(60_000),
        "{\"labels\":".repeat(6_000),
        format!("{{\"x\":{}", "[".repeat(60_000)),
    ] {
        let answer = send(&client, room, &[JSON], deep).await;
        let code = answer.json["code"].as_str().unwrap().to_owned();
        assert!(
            ["invalid_json", "invalid_field"].contains(&code.as_str()),
            "{}",
            answer.text
        );
        answer.expect_problem(if code == "invalid_json" { 400 } else { 422 }, &code);
    }
}

#[tokio::test]
async fn wrong_ids_queries_methods_and_paths_are_refused() {
    let site = Site::new(POOLS);
    let host = site.start().await;
    let client = host.client();
    let long = "x".repeat(129);
    client
        .put(&format!("/v1/rooms/{}", "x".repeat(128)), json!({}))
        .await
        .expect(202);
    for (call, status, code) in [
        (format!("PUT /v1/rooms/{long}"), 400, "invalid_id"),
        (format!("GET /v1/servers/{long}"), 400, "invalid_id"),
        ("DELETE /v1/rooms/a%20b".to_owned(), 400, "invalid_id"),
        ("GET /v1/rooms/%ff".to_owned(), 400, "invalid_id"),
        ("POST /v1/pools/a%2Fb/scaling".to_owned(), 400, "invalid_id"),
        ("GET /v1/rooms?limit=0".to_owned(), 400, "invalid_query"),
        ("GET /v1/rooms?limit=1001".to_owned(), 400, "invalid_query"),
        ("GET /v1/rooms?state=asleep".to_owned(), 400, "invalid_query"),
        ("GET /v1/rooms?colour=red".to_owned(), 400, "invalid_query"),
        ("GET /v1/rooms/a?wait_seconds=61".to_owned(), 400, "invalid_query"),
        ("DELETE /v1/rooms/a?placement=-1".to_owned(), 400, "invalid_query"),
        ("DELETE /v1/servers/a?force=maybe".to_owned(), 400, "invalid_query"),
        ("GET /v1/servers?limit=1".to_owned(), 400, "invalid_query"),
        ("GET /v1/decisions?decision=x".to_owned(), 400, "invalid_query"),
        ("GET /v1/events?after=yesterday".to_owned(), 400, "invalid_event_id"),
        ("POST /v1/rooms/a".to_owned(), 405, "method_not_allowed"),
        ("DELETE /v1/rooms".to_owned(), 405, "method_not_allowed"),
        ("PATCH /v1/servers/a".to_owned(), 405, "method_not_allowed"),
        ("PUT /healthz".to_owned(), 405, "method_not_allowed"),
        ("GET /v1/nothing".to_owned(), 404, "not_found"),
        ("GET /".to_owned(), 404, "not_found"),
        ("GET /v1/rooms/a".to_owned(), 404, "no_such_room"),
        ("PATCH /v1/rooms/a".to_owned(), 404, "no_such_room"),
        ("GET /v1/servers/a".to_owned(), 404, "no_such_server"),
        ("POST /v1/servers/a/report".to_owned(), 404, "no_such_server"),
        ("POST /v1/servers/a/drain".to_owned(), 404, "no_such_server"),
        ("POST /v1/servers/a/lost".to_owned(), 404, "no_such_server"),
        ("DELETE /v1/servers/a".to_owned(), 404, "no_such_server"),
        ("GET /v1/policies/a".to_owned(), 404, "no_such_policy"),
        ("GET /v1/policies/..%2Fa%20b".to_owned(), 404, "no_such_policy"),
        ("POST /v1/policies/a/rollback".to_owned(), 404, "no_such_policy"),
        ("POST /v1/policies/standard/rollback".to_owned(), 409, "policy_built_in"),
        ("GET /v1/policies/%ff".to_owned(), 400, "invalid_id"),
    ] {
        let answer = send(&client, &call, &[], "").await;
        answer.expect_problem(status, code);
        assert_eq!(answer.headers.contains_key("allow"), status == 405, "{call}");
    }
    let header = ("last-event-id", "the newest");
    send(&client, "GET /v1/events", &[header], "")
        .await
        .expect_problem(400, "invalid_event_id");
    client
        .post("/v1/pools/none/scaling", json!({ "enabled": true }))
        .await
        .expect_problem(404, "no_such_pool");
}

#[tokio::test]
async fn what_could_never_be_is_refused_at_once() {
    let site = Site::new(POOLS);
    let host = site.start().await;
    let client = host.client();
    for (body, code) in [
        (json!({ "seats": 21, "region": "nowhere" }), "room_too_large"),
        (json!({ "region": "mars" }), "no_such_region"),
        (json!({ "require": { "tier": "gold" } }), "no_such_pool_for_room"),
    ] {
        client.put("/v1/rooms/never", body).await.expect_problem(422, code);
    }
    client.get("/v1/rooms/never").await.expect_problem(404, "no_such_room");
    client
        .put("/v1/rooms/acmes", json!({ "region": "there", "tenant": "acme" }))
        .await
        .expect(202);
    client
        .put("/v1/rooms/acmes", json!({ "tenant": "evil" }))
        .await
        .expect_problem(409, "room_taken");

    let server = |pool: &str| json!({ "pool": pool, "url": "ws://a" });
    client
        .put("/v1/servers/a", server("none"))
        .await
        .expect_problem(404, "no_such_pool");
    client
        .put("/v1/servers/a", server("cloud"))
        .await
        .expect_problem(409, "pool_not_external");
    client.put("/v1/servers/a", server("media")).await.expect(201);
    client
        .put("/v1/servers/a", server("other"))
        .await
        .expect_problem(409, "server_in_other_pool");
}
