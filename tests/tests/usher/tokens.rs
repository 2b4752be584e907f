//! Tokens: who may do what, with tokens as `usher token new` makes them.

use std::net::TcpStream;

use serde_json::{Value, json};

use crate::http::{Answer, Client};
use crate::site::{Host, Site, written};

const POOLS: &str = r#"
[[pool]]
name = "media"
provider = "external"
rooms_per_server = 10
health = "none"
[[pool]]
name = "other"
provider = "external"
rooms_per_server = 10
health = "none"
"#;

/// Makes a token, and returns it and its line for `[auth]`.
pub(crate) fn token(site: &Site, arguments: &[&str]) -> (String, String) {
    let output = site.usher(&[&["token", "new", "--scope"], arguments].concat());
    assert!(output.status.success(), "{}", written(&output));
    let text = written(&output);
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("    "));
    (lines.next().unwrap().to_owned(), lines.next().unwrap().to_owned())
}

struct Clients {
    _host: Host,
    nobody: Client,
    admin: Client,
    app: Client,
    acme: Client,
    register: Client,
}

async fn clients(site: &Site) -> Clients {
    let (admin, admin_line) = token(site, &["admin"]);
    let (app, app_line) = token(site, &["app"]);
    let (acme, acme_line) = token(site, &["app", "--tenant", "acme"]);
    let (register, register_line) = token(site, &["register", "--pool", "media"]);
    // Two lines of one key are one list.
    let acme_entry = acme_line.strip_prefix("app_tokens = [").unwrap();
    let apps = format!("{}, {acme_entry}", app_line.strip_suffix(']').unwrap());
    let auth = [admin_line, apps, register_line].join("\n");
    site.configure(&format!("[auth]\n{auth}\n{POOLS}"));
    let host = site.start().await;
    let nobody = host.client();
    Clients {
        admin: nobody.with_token(&admin),
        app: nobody.with_token(&app),
        acme: nobody.with_token(&acme),
        register: nobody.with_token(&register),
        nobody,
        _host: host,
    }
}

async fn register(client: &Client, server: &str, pool: &str) -> Answer {
    client
        .put(
            &format!("/v1/servers/{server}"),
            json!({ "pool": pool, "url": "ws://a" }),
        )
        .await
}

#[tokio::test]
async fn a_token_does_what_its_scope_lets_it_and_nothing_else() {
    let site = Site::new(POOLS);
    let clients = clients(&site).await;

    for client in [&clients.nobody, &clients.nobody.with_token("usher_app_wrong")] {
        let denied = client.put("/v1/rooms/a", json!({})).await;
        denied.expect_problem(401, "unauthenticated");
        assert!(
            denied.headers["www-authenticate"]
                .to_str()
                .unwrap()
                .starts_with("Bearer")
        );
        client.get("/metrics").await.expect_problem(401, "unauthenticated");
        for open in ["/healthz", "/readyz", "/openapi.json"] {
            client.get(open).await.expect(200);
        }
    }

    let registered = register(&clients.register, "media-1", "media").await.expect(201).json;
    let agent = clients.nobody.with_token(registered["token"].as_str().unwrap());
    register(&clients.register, "other-1", "other")
        .await
        .expect_problem(403, "wrong_scope");
    register(&clients.admin, "other-1", "other").await.expect(201);
    clients
        .register
        .get("/v1/servers/other-1")
        .await
        .expect_problem(403, "wrong_scope");
    clients
        .register
        .post("/v1/servers/other-1/drain", json!({}))
        .await
        .expect_problem(403, "wrong_scope");
    let own = clients.register.get("/v1/servers").await.expect(200).json;
    assert_eq!(own["servers"].as_array().unwrap().len(), 1);
    for client in [&clients.register, &clients.app] {
        let refused = client.post("/v1/servers/media-1/report", json!({})).await;
        refused.expect_problem(403, "wrong_scope");
    }
    clients.app.put("/v1/rooms/a", json!({})).await.expect(201);

    for (client, path) in [
        (&clients.app, "/v1/servers"),
        (&clients.app, "/v1/pools"),
        (&clients.app, "/v1/decisions"),
        (&clients.app, "/v1/bill"),
        (&clients.app, "/v1/policies"),
        (&clients.register, "/v1/rooms"),
        (&clients.register, "/v1/events"),
        (&clients.register, "/v1/pools"),
        (&agent, "/v1/rooms/a"),
        (&agent, "/v1/servers"),
        (&agent, "/v1/events"),
    ] {
        client.get(path).await.expect_problem(403, "wrong_scope");
    }
    for path in [
        "/v1/servers",
        "/v1/pools",
        "/v1/decisions",
        "/v1/bill",
        "/v1/policies",
        "/v1/rooms",
        "/metrics",
    ] {
        clients.admin.get(path).await.expect(200);
    }
    agent
        .post("/v1/servers/media-1/lost", json!({}))
        .await
        .expect_problem(403, "wrong_scope");
    clients
        .register
        .post("/v1/servers/media-1/lost", json!({}))
        .await
        .expect_problem(403, "wrong_scope");
    for client in [&clients.app, &clients.register, &agent] {
        let order = client.post("/v1/policies/standard/rollback", json!({})).await;
        order.expect_problem(403, "wrong_scope");
        client
            .get("/v1/policies/standard")
            .await
            .expect_problem(403, "wrong_scope");
    }
}

#[tokio::test]
async fn whoever_registers_a_server_gets_the_token_for_its_agent() {
    let site = Site::new("");
    let clients = clients(&site).await;
    let registered = register(&clients.register, "media-1", "media").await.expect(201).json;
    let token = registered["token"].as_str().expect("a token stands in the answer");
    let agent = clients.nobody.with_token(token);
    let report = json!({ "cpu_permille": 100 });
    agent
        .post("/v1/servers/media-1/report", report.clone())
        .await
        .expect(200);
    // It is that server's alone, and shown once.
    register(&clients.register, "media-2", "media").await.expect(201);
    agent.post("/v1/servers/media-2/report", report).await.expect(403);
    let again = register(&clients.register, "media-1", "media").await.expect(200).json;
    assert_eq!(again.get("token"), None);
    let shown = clients.admin.get("/v1/servers/media-1").await.expect(200).json;
    assert_eq!(shown.get("token"), None);
}

#[tokio::test]
async fn a_bound_token_sees_its_own_tenants_rooms_alone() {
    let site = Site::new(POOLS);
    let clients = clients(&site).await;
    register(&clients.admin, "media-1", "media").await.expect(201);

    let own = clients.acme.put("/v1/rooms/own", json!({})).await.expect(201).json;
    assert_eq!(own["tenant"], "acme");
    clients
        .acme
        .put("/v1/rooms/x", json!({ "tenant": "evil" }))
        .await
        .expect_problem(403, "wrong_scope");
    clients
        .app
        .put("/v1/rooms/evils", json!({ "tenant": "evil" }))
        .await
        .expect(201);

    clients
        .acme
        .get("/v1/rooms/evils")
        .await
        .expect_problem(404, "no_such_room");
    clients
        .acme
        .patch("/v1/rooms/evils", json!({ "participants": 1 }))
        .await
        .expect_problem(404, "no_such_room");
    clients
        .acme
        .put("/v1/rooms/evils", json!({}))
        .await
        .expect_problem(409, "room_taken");
    clients.acme.delete("/v1/rooms/evils").await.expect(204);
    clients.app.get("/v1/rooms/evils").await.expect(200);
    let list = clients.acme.get("/v1/rooms").await.expect(200).json;
    let rooms: Vec<&Value> = list["rooms"]
        .as_array()
        .unwrap()
        .iter()
        .map(|room| &room["room"])
        .collect();
    assert_eq!(rooms, ["own"]);

    let seen = crate::sse::all_events(&clients.acme).await;
    assert!(
        !seen.is_empty() && seen.iter().all(|event| event.data["room"] == "own"),
        "{seen:?}"
    );
    let all = crate::sse::all_events(&clients.admin).await;
    assert!(all.len() > seen.len());
}

#[tokio::test]
async fn without_tokens_the_host_listens_on_loopback_alone() {
    let site = Site::new(POOLS);
    let output = site.usher(&["serve", "--config", "usher.toml", "--listen", "0.0.0.0:0"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(written(&output).contains("without [auth]"), "{}", written(&output));
    assert!(TcpStream::connect(site.address()).is_err());
}
