//! The running host and its own OpenAPI document do not contradict each other: schemathesis, a fuzzer driven by the document,
//! looks for where they do.

use std::process::Command;

use serde_json::json;

use crate::patience::{at_most, seconds};
use crate::site::{Site, python_program, written};
use crate::tokens::token;

/// Waiting is short: what the fuzzer asks for may wait for ever.
const POOLS: &str = r#"
[guards]
waiting_seconds_max = 2
boot_seconds_max = 1
[[pool]]
name = "media"
provider = "external"
rooms_per_server = 100000
health = "none"
[[pool]]
name = "cloud"
provider = "simulated"
rooms_per_server = 10
servers_max = 3
[pool.simulated]
boot_seconds = 0.1
"#;

/// Where the fuzzer's general rules are not this API's: that the host is busy, or a room has waited too long, is a lawful 503; a
/// DELETE that names another placement leaves the room, and a room of a short lease is gone by itself; that a room fits nowhere, or
/// a region does not exist, is no mistake in the document. A stream that follows never ends, so here it ends with the newest
/// event; to its header the fuzzer gives values that the pattern excludes. All of that is tested elsewhere.
const SETTINGS: &str = r#"
[checks.not_a_server_error]
expected-statuses = ["2xx", "4xx", 503]
[checks.use_after_free]
enabled = false
[checks.ensure_resource_availability]
enabled = false

[[operations]]
include-path = "/v1/events"
[operations.parameters]
"query.follow" = "false"
"header.Last-Event-ID" = "0-0"

[[operations]]
include-path = "/v1/rooms/{room}"
include-method = "PUT"
[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", 401, 403, 404, 409, 422, "5xx"]
"#;

#[tokio::test]
async fn a_fuzzer_finds_no_contradiction_between_the_document_and_the_host() {
    let program = python_program("schemathesis");
    assert!(
        program.exists(),
        "{} is missing: run tests/prepare.sh",
        program.display()
    );
    let site = Site::new(POOLS);
    site.write("schemathesis.toml", SETTINGS);
    let (token, line) = token(&site, &["admin"]);
    site.configure(&format!("[auth]\n{line}\n{POOLS}"));
    let host = site.start().await;
    let client = host.client().with_token(&token);
    let body = json!({ "pool": "media", "url": "ws://a" });
    client.put("/v1/servers/media-1", body).await.expect(201);
    let mut command = Command::new(program);
    command
        .arg("--config-file")
        .arg(site.path("schemathesis.toml"))
        .args(["run", &format!("{}/openapi.json", site.url())])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args([
            "--max-examples",
            "60",
            "--max-time",
            "60",
            "--workers",
            "2",
            "--seed",
            "20261122",
        ])
        .args([
            "--request-timeout",
            "20",
            "--phases",
            "examples,coverage,fuzzing,stateful",
        ])
        .args([
            "--suppress-health-check",
            "all",
            "--generation-database",
            "none",
            "--no-color",
        ])
        .current_dir(site.path("."));
    let run = tokio::task::spawn_blocking(move || command.output().unwrap());
    let found = at_most("the fuzzer ends", seconds(240), run).await.unwrap();
    assert!(found.status.success(), "{}", written(&found));
    host.client().get("/readyz").await.expect(200);
}
