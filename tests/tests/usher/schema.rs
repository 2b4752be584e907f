//! The running host and its own OpenAPI document do not contradict each other: schemathesis, a fuzzer driven by the document,
//! looks for where they do.

use std::path::PathBuf;
use std::process::Command;

use serde_json::json;

use crate::patience::{at_most, seconds};
use crate::site::{Site, written};

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

/// A stream that follows never ends, and is tested elsewhere; here it ends with the newest event.
const SETTINGS: &str = r#"
[[operations]]
include-path = "/v1/events"
[operations.parameters]
"query.follow" = false
"#;

/// The environment that `tests/prepare.sh` makes.
fn schemathesis() -> PathBuf {
    let venv = std::env::var_os("USHER_VENV").map(PathBuf::from);
    let venv = venv.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/usher/venv"));
    venv.join("bin/schemathesis")
}

#[tokio::test]
async fn a_fuzzer_finds_no_contradiction_between_the_document_and_the_host() {
    let program = schemathesis();
    assert!(
        program.exists(),
        "{} is missing: run tests/prepare.sh",
        program.display()
    );
    let site = Site::new(POOLS);
    site.write("schemathesis.toml", SETTINGS);
    let host = site.start().await;
    host.client()
        .put("/v1/servers/media-1", json!({ "pool": "media", "url": "ws://a" }))
        .await
        .expect(201);
    let mut command = Command::new(program);
    command
        .arg("--config-file")
        .arg(site.path("schemathesis.toml"))
        .args(["run", &format!("{}/openapi.json", site.url())])
        .args([
            "--max-examples",
            "25",
            "--workers",
            "2",
            "--seed",
            "20261122",
            "--no-color",
        ])
        .args([
            "--request-timeout",
            "20",
            "--phases",
            "examples,coverage,fuzzing,stateful",
        ])
        .args(["--suppress-health-check", "all", "--generation-database", "none"])
        .current_dir(site.path("."));
    let run = tokio::task::spawn_blocking(move || command.output().unwrap());
    let found = at_most("the fuzzer ends", seconds(240), run).await.unwrap();
    assert!(found.status.success(), "{}", written(&found));
    host.client().get("/readyz").await.expect(200);
}
