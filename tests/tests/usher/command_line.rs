//! The command line beside a host: what it shows, what it does, and how it ends.

use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::site::{Site, USHER, written};

const POOL: &str = r#"
[[pool]]
name = "media"
provider = "external"
rooms_per_server = 10
health = "none"
"#;

/// Runs it, and returns what it wrote to stdout.
fn said(site: &Site, arguments: &str) -> String {
    let output = site.usher(&arguments.split(' ').collect::<Vec<_>>());
    assert!(output.status.success(), "{arguments}: {}", written(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn json_said(site: &Site, arguments: &str) -> Value {
    serde_json::from_str(&said(site, arguments)).unwrap_or_else(|error| panic!("{arguments}: {error}"))
}

/// Runs it, and returns its exit code and what it wrote to stderr.
fn failed(output: &Output) -> (Option<i32>, String) {
    assert!(output.stdout.is_empty(), "{}", written(output));
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn help_says_what_there_is() {
    let output = Command::new(USHER).arg("--help").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let help = written(&output);
    for word in [
        "serve",
        "demo",
        "rooms",
        "servers",
        "pools",
        "policies",
        "decisions",
        "events",
        "bill",
        "drain",
        "cordon",
        "token",
        "config",
        "Examples:",
        "Exit codes:",
    ] {
        assert!(help.contains(word), "{word}: {help}");
    }
    let output = Command::new(USHER).args(["drain", "--help"]).output().unwrap();
    assert!(written(&output).contains("--deadline-seconds"));
    let output = Command::new(USHER).arg("dance").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[tokio::test]
async fn what_an_operator_does_with_a_host() {
    let site = Site::new(POOL);
    let host = site.start().await;
    let client = host.client();
    assert!(said(&site, "rooms").contains("no rooms"));
    client
        .put("/v1/servers/media-1", json!({ "pool": "media", "url": "ws://a" }))
        .await
        .expect(201);

    assert!(said(&site, "place standup retro --seats 6").contains("media-1"));
    let rooms = json_said(&site, "rooms --json");
    let names: Vec<&Value> = rooms["rooms"]
        .as_array()
        .unwrap()
        .iter()
        .map(|room| &room["room"])
        .collect();
    assert_eq!(names, ["retro", "standup"]);
    assert_eq!(json_said(&site, "rooms standup --json")["server"]["name"], "media-1");
    let table = said(&site, "rooms --server media-1");
    assert!(
        ["ROOM", "standup", "retro", "placed", "standard"]
            .iter()
            .all(|word| table.contains(word)),
        "{table}"
    );

    let table = said(&site, "servers");
    assert!(
        ["SERVER", "media-1", "ready", "2/10"]
            .iter()
            .all(|word| table.contains(word)),
        "{table}"
    );
    assert_eq!(json_said(&site, "servers media-1 --json")["rooms"], 2);
    assert!(said(&site, "pools").contains("media"));
    assert_eq!(json_said(&site, "pools --json")["pools"][0]["servers_ready"], 1);
    assert!(said(&site, "policies").contains("standard"));
    assert!(said(&site, "decisions --room standup").contains("accepted"));
    assert!(said(&site, "bill").contains("today"));
    json_said(&site, "decisions --json");
    json_said(&site, "policies --json");
    json_said(&site, "bill --json");

    let table = said(&site, "drain media-1 --reason patching");
    assert!(table.contains("draining by operator"), "{table}");
    assert_eq!(
        client.get("/v1/servers/media-1").await.json["hold"]["reason"],
        "patching"
    );
    said(&site, "uncordon media-1");
    assert!(said(&site, "cordon media-1").contains("cordoned"));
    said(&site, "release standup retro");
    said(&site, "remove media-1");
    assert!(said(&site, "servers").contains("no servers"));
    said(&site, "scaling media off");
    assert_eq!(json_said(&site, "pools --json")["pools"][0]["scaling_enabled"], false);

    let events = said(&site, "events --json");
    let kinds: Vec<String> = events
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["type"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    for kind in [
        "server.ready",
        "room.placed",
        "server.draining",
        "room.released",
        "server.terminated",
    ] {
        assert!(kinds.iter().any(|other| other == kind), "{kind}: {kinds:?}");
    }
    assert!(said(&site, "events").contains("room.placed"));
}

#[tokio::test]
async fn exit_codes_tell_scripts_what_went_wrong() {
    let site = Site::new(POOL);
    let (code, why) = failed(&site.usher(&["rooms"]));
    assert_eq!(code, Some(4));
    assert!(why.contains("usher serve"), "{why}");

    let host = site.start().await;
    let (code, why) = failed(&site.usher(&["drain", "nobody"]));
    assert_eq!(code, Some(3));
    assert!(why.contains("no_such_server"), "{why}");
    let (code, _) = failed(&site.usher(&["drain", "no spaces"]));
    assert_eq!(code, Some(2));
    let (code, _) = failed(&site.usher(&["release", "a", "b", "--placement", "1"]));
    assert_eq!(code, Some(2));
    drop(host);
}

#[test]
fn a_broken_file_is_told_with_every_problem_at_once() {
    let site = Site::new(
        r#"
colour = "red"
[guards]
fleet_servers_max = 0
waiting_seconds_max = 60
[[pool]]
name = "media"
provider = "cloudy"
rooms_per_server = "ten"
[[pool]]
name = "media"
provider = "exec"
rooms_per_server = 10
servers_min = 5
servers_max = 2
"#,
    );
    for arguments in [
        ["config", "check", "--config", "usher.toml"],
        ["serve", "--config", "usher.toml", "--log=text"],
    ] {
        let output = site.usher(&arguments);
        assert_eq!(output.status.code(), Some(1));
        let told = written(&output);
        for word in ["colour", "fleet_servers_max", "cloudy", "rooms_per_server", "line "] {
            assert!(told.contains(word), "{word}: {told}");
        }
    }
    let checked = Site::new(POOL).usher(&["config", "check"]);
    assert!(checked.status.success(), "{}", written(&checked));
    assert!(written(&checked).contains("nobody launches servers of the pool media"));
    assert!(written(&checked).contains("no problems"));
}

#[test]
fn the_reference_is_a_file_that_can_be_served() {
    let site = Site::new(POOL);
    let reference = site.usher(&["config", "reference"]);
    site.write("usher.toml", std::str::from_utf8(&reference.stdout).unwrap());
    let checked = site.usher(&["config", "check"]);
    assert!(checked.status.success(), "{}", written(&checked));
}
