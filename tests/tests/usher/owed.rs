//! What was owed when the process died is finished by the next one: a launch that was intended, a termination that was not
//! confirmed. The pool's programs are scripts that note every call, and hang where the test says so.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::patience::{eventually, seconds};
use crate::site::Site;

const POOL: &str = r#"
fleet = "owed"
tick_seconds = 1
[guards]
scale_down_cooldown_seconds = 0
server_life_seconds_min = 0
[servers]
reconcile_seconds = 1
[[pool]]
name = "scripts"
provider = "exec"
rooms_per_server = 10
health = "none"
[pool.exec]
launch = ["./launch"]
terminate = ["./terminate"]
list = ["./list"]
timeout_seconds = 30
"#;

/// Notes the call and its key; hangs while the file `hang-CALL` is there, also when its caller has died, but not for ever.
const BEGIN: &str = r#"#!/bin/sh
order=$(cat)
field() { printf '%s' "$order" | sed -n 's/.*"'"$1"'": *"\{0,1\}\([^",}]*\).*/\1/p'; }
key="$(field server)@$(field attempt)"
call=$(basename "$0")
echo "$call $key" >>calls
tries=0
while [ -e "hang-$call" ] && [ $tries -lt 600 ]; do sleep 0.1; tries=$((tries + 1)); done
"#;

const LAUNCH: &str = r#"
mkdir -p running && : >"running/$key"
echo "{\"instance\": \"i-$key\", \"url\": \"ws://127.0.0.1:9\"}"
"#;

const TERMINATE: &str = r#"
rm -f "running/$key"
echo "{}"
"#;

const LIST: &str = r#"#!/bin/sh
cat >/dev/null
mkdir -p running
comma=
printf '{"instances": ['
for key in $(ls running); do
    printf '%s{"server": "%s", "attempt": %s, "instance": "i-%s", "state": "running"}' "$comma" "${key%@*}" "${key##*@}" "$key"
    comma=,
done
echo ']}'
"#;

fn site() -> Site {
    let site = Site::new(POOL);
    for (name, text) in [
        ("launch", format!("{BEGIN}{LAUNCH}")),
        ("terminate", format!("{BEGIN}{TERMINATE}")),
        ("list", LIST.to_owned()),
    ] {
        site.write(name, &text);
        fs::set_permissions(site.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    site.write("policies/standard.toml", "idle_seconds = 0\n");
    site
}

/// Returns the keys with which a program was called.
fn calls(site: &Site, program: &str) -> Vec<String> {
    let calls = fs::read_to_string(site.path("calls")).unwrap_or_default();
    let keys = calls
        .lines()
        .filter_map(|line| line.strip_prefix(program)?.strip_prefix(' ').map(str::to_owned));
    keys.collect()
}

fn running(site: &Site) -> usize {
    fs::read_dir(site.path("running")).map_or(0, |entries| entries.count())
}

#[tokio::test]
async fn a_launch_that_was_intended_is_finished_with_the_same_key() {
    let site = site();
    site.write("hang-launch", "");
    let host = site.start().await;
    host.client().put("/v1/rooms/standup", json!({})).await.expect(202);
    eventually("the launch is under way", seconds(20), async || {
        (!calls(&site, "launch").is_empty()).then_some(())
    })
    .await;
    host.kill();
    fs::remove_file(site.path("hang-launch")).unwrap();

    let host = site.start().await;
    let room = host
        .client()
        .get("/v1/rooms/standup?wait_seconds=30")
        .await
        .expect(200)
        .json;
    assert_eq!(room["state"], "placed");
    let mut keys = calls(&site, "launch");
    assert!(keys.len() >= 2, "{keys:?}");
    keys.dedup();
    assert_eq!(keys.len(), 1, "one launch, however often it was asked for: {keys:?}");
    assert_eq!(running(&site), 1);
    let servers = host.client().get("/v1/servers").await.expect(200).json;
    assert_eq!(servers["servers"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_termination_that_was_not_confirmed_is_asked_for_again() {
    let site = site();
    let host = site.start().await;
    let client = host.client();
    let room = client.put("/v1/rooms/standup", json!({ "wait_seconds": 30 })).await;
    assert_eq!(room.json["state"], "placed", "{}", room.text);
    site.write("hang-terminate", "");
    client.delete("/v1/rooms/standup").await.expect(204);
    let begun = async || (!calls(&site, "terminate").is_empty()).then_some(());
    eventually("the termination is under way", seconds(30), begun).await;
    host.kill();
    assert_eq!(running(&site), 1);

    // What hangs stays so until the new process has asked by itself.
    let host = site.start().await;
    let again = async || (calls(&site, "terminate").len() >= 2).then_some(());
    eventually("the termination is asked for again", seconds(30), again).await;
    let shown = host.client().get("/v1/servers").await.expect(200).json;
    assert_eq!(
        shown["servers"][0]["phase"], "terminating",
        "no record goes before nothing is left"
    );
    let name = shown["servers"][0]["name"].as_str().unwrap();
    let kept = host
        .client()
        .post(&format!("/v1/servers/{name}/uncordon"), json!({}))
        .await;
    kept.expect_problem(409, "server_terminating");
    fs::remove_file(site.path("hang-terminate")).unwrap();
    eventually("the record ends", seconds(40), async || {
        let servers = host.client().get("/v1/servers").await.expect(200).json;
        servers["servers"].as_array().unwrap().is_empty().then_some(())
    })
    .await;
    assert_eq!(running(&site), 0);
    let mut keys = calls(&site, "terminate");
    keys.dedup();
    assert_eq!(keys, calls(&site, "launch"));
}
