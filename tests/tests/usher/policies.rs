//! Policies of WebAssembly, dropped into the folder of a host that serves: they take over, are replaced, and never end it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::http::Client;
use crate::patience::{eventually, seconds};
use crate::site::{Host, Site, repository, written};
use crate::sse::all_events;

pub(crate) const POOL: &str = r#"
[[pool]]
name = "media"
provider = "external"
rooms_per_server = 100
health = "none"
"#;

const SERVERS: usize = 3;

/// A module with settings stays below this; the standard policy is the largest.
const MODULE_BYTES_MAX: usize = 256 << 10;

/// Builds a policy as its author would, once in a run.
pub(crate) fn built(policy: &str, module: &'static OnceLock<Vec<u8>>) -> &'static [u8] {
    module.get_or_init(|| {
        let name = policy.replace('/', "-");
        let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.wasm"));
        let build = Command::new(repository().join("sdk/toolchain.sh"))
            .args(["build", policy])
            .arg(&out)
            .current_dir(repository())
            .output()
            .unwrap();
        assert!(build.status.success(), "{}", written(&build));
        let module = fs::read(out).unwrap();
        assert!(module.len() < MODULE_BYTES_MAX, "{policy} has {} bytes", module.len());
        module
    })
}

/// The standard policy's module.
pub(crate) fn standard() -> &'static [u8] {
    static MODULE: OnceLock<Vec<u8>> = OnceLock::new();
    built("policies/standard", &MODULE)
}

/// The module of `tests/guests/spread`.
pub(crate) fn spread() -> &'static [u8] {
    static MODULE: OnceLock<Vec<u8>> = OnceLock::new();
    built("tests/guests/spread", &MODULE)
}

/// Puts a file into the folder, as a careful copy does: beside it first.
pub(crate) fn drop_in(site: &Site, file: &str, bytes: &[u8]) {
    let part = site.path(".part");
    fs::write(&part, bytes).unwrap();
    fs::rename(part, site.path("policies").join(file)).unwrap();
}

pub(crate) async fn started(site: &Site) -> (Host, Client) {
    let host = site.start().await;
    let client = host.client();
    for server in 0..SERVERS {
        let body = json!({ "pool": "media", "url": format!("ws://media-{server}") });
        client
            .put(&format!("/v1/servers/media-{server}"), body)
            .await
            .expect(201);
    }
    (host, client)
}

/// Places a room, and returns on which server, and who decided.
pub(crate) async fn place(client: &Client, room: &str) -> (String, String) {
    let placed = client
        .put(&format!("/v1/rooms/{room}"), json!({}))
        .await
        .expect(201)
        .json;
    let text = |pointer: &str| placed.pointer(pointer).and_then(Value::as_str).unwrap().to_owned();
    (text("/server/name"), text("/decision/policy"))
}

pub(crate) async fn policy(client: &Client, name: &str) -> Option<Value> {
    let policies = client.get("/v1/policies").await.expect(200).json;
    policies["policies"]
        .as_array()
        .unwrap()
        .iter()
        .find(|policy| policy["name"] == name)
        .cloned()
}

/// Waits until this file's policy is in a state.
pub(crate) async fn is(client: &Client, name: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let look = async || policy(client, name).await.filter(|policy| is_so(policy));
    eventually(&format!("{name} {what}"), seconds(40), look).await
}

pub(crate) fn wanted_serves(policy: &Value) -> bool {
    policy["wanted"]["state"] == "serving"
}

async fn kinds(client: &Client) -> Vec<String> {
    let events = all_events(client).await;
    events
        .into_iter()
        .map(|event| event.kind)
        .filter(|kind| kind.starts_with("policy."))
        .collect()
}

#[tokio::test]
async fn a_policy_takes_over_is_replaced_survives_a_broken_file_and_leaves() {
    let site = Site::new(POOL);
    let (host, client) = started(&site).await;
    let (packed, by) = place(&client, "by-the-built-in").await;
    assert_eq!(by, "standard");
    assert!(policy(&client, "50-main").await.is_none());

    drop_in(&site, "50-main.wasm", standard());
    let first = is(&client, "50-main", "serves", wanted_serves).await;
    assert_eq!(first["decisions"], json!(["place", "scale_up", "scale_down"]));
    assert_eq!(
        place(&client, "by-the-module").await.0,
        packed,
        "the standard policy packs"
    );
    let asked = policy(&client, "50-main").await.unwrap();
    assert!(asked["place"]["answered"].as_u64().unwrap() >= 1, "{asked}");
    for figure in ["fuel_p50", "fuel_p99"] {
        assert!(asked["place"][figure].as_u64().unwrap() > 0, "{asked}");
    }
    assert!(asked["memory_bytes"].as_u64().unwrap() > 0, "{asked}");
    let figures = client.get("/metrics").await.expect(200).text;
    for figure in [
        "asked_total",
        "answered_total",
        "fuel",
        "seconds",
        "memory_bytes",
        "info",
    ] {
        let is = |line: &str| line.starts_with(&format!("usher_policy_{figure}")) && line.contains("\"50-main\"");
        assert!(figures.lines().any(is), "{figure}: {figures}");
    }

    drop_in(&site, "50-main.wasm", spread());
    let hash = first["serving"]["sha256"].clone();
    let second = is(&client, "50-main", "is replaced", |policy| {
        wanted_serves(policy) && policy["serving"]["sha256"] != hash
    });
    assert_eq!(second.await["decisions"], json!(["place"]));
    let (elsewhere, _) = place(&client, "by-another-module").await;
    assert_ne!(elsewhere, packed, "this one spreads");
    let decisions = client
        .get("/v1/decisions?room=by-another-module")
        .await
        .expect(200)
        .json;
    assert_eq!(decisions["decisions"][0]["reason"], "the emptiest", "{decisions}");

    drop_in(&site, "50-main.wasm", b"\0asm\x01\0\0\0 and then nothing of use");
    let refused = is(&client, "50-main", "is refused", |policy| {
        policy["wanted"]["state"] == "refused"
    })
    .await;
    assert!(
        refused["problem"].as_str().is_some_and(|problem| !problem.is_empty()),
        "{refused}"
    );
    let line = format!("the policy was refused: {}", refused["problem"].as_str().unwrap());
    eventually("the log has it, too", seconds(10), async || {
        let log = host.log();
        let mut lines = log.lines().filter(|told| told.contains(&line));
        lines
            .any(|told| told.contains("50-main") && told.contains("step=\"check\""))
            .then_some(())
    })
    .await;
    assert_eq!(refused["serving"]["decisions"], json!(["place"]));
    let (third, _) = place(&client, "with-a-broken-file").await;
    assert!(
        third != packed && third != elsewhere,
        "what served before still spreads"
    );

    fs::remove_file(site.path("policies/50-main.wasm")).unwrap();
    let gone = async || policy(&client, "50-main").await.is_none().then_some(());
    eventually("the policy leaves", seconds(40), gone).await;
    assert_eq!(
        place(&client, "by-the-built-in-again").await,
        (packed, "standard".to_owned())
    );
    eventually("its life is told", seconds(10), async || {
        let told = kinds(&client).await;
        (told == ["policy.loaded", "policy.loaded", "policy.refused", "policy.removed"]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_fault_is_answered_by_the_next_in_the_chain_and_told() {
    let site = Site::new(POOL);
    drop_in(&site, "50-main.wasm", spread());
    let (_host, client) = started(&site).await;
    let decides = async |room: &str| {
        place(&client, room).await;
        let decisions = client.get(&format!("/v1/decisions?room={room}")).await.expect(200).json;
        decisions["decisions"][0]["reason"].as_str() == Some("the emptiest")
    };
    assert!(
        decides("first").await,
        "it decides from the first room on: the host is ready no earlier"
    );

    let refused = client
        .put("/v1/rooms/unwelcome", json!({ "labels": { "reject": "yes" } }))
        .await;
    refused.expect_problem(409, "rejected");
    assert!(
        refused.json["detail"].as_str().unwrap().contains("the label says so"),
        "{}",
        refused.text
    );

    let placed = client
        .put("/v1/rooms/hurtful", json!({ "labels": { "panic": "yes" } }))
        .await
        .expect(201)
        .json;
    assert_eq!(placed["decision"]["policy"], "standard");
    let parts = client.get("/v1/decisions?room=hurtful").await.expect(200).json;
    let verdicts: Vec<&Value> = parts["decisions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| &part["verdict"])
        .collect();
    assert!(
        verdicts.contains(&&json!("fault")) && verdicts.contains(&&json!("accepted")),
        "{parts}"
    );
    eventually("the fault is told in the guest's own words", seconds(10), async || {
        let events = all_events(&client).await;
        let fault = events.into_iter().find(|event| event.kind == "policy.fault")?;
        fault.data["reason"]
            .as_str()
            .unwrap()
            .contains("it was asked to")
            .then_some(())
    })
    .await;
    let mut rooms = 0..;
    eventually("it decides again", seconds(20), async || {
        decides(&format!("after-{}", rooms.next()?)).await.then_some(())
    })
    .await;
    assert_eq!(policy(&client, "50-main").await.unwrap()["place"]["faults"]["trap"], 1);
}
