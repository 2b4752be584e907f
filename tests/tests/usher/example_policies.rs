//! The policies worth copying (`examples/policies`), as modules in the folder of a real host: each does what its readme promises,
//! and leaves alone what it promises to leave alone. The standard policy ends the chain.

mod copying;
mod launching;
mod learning;
mod placing;
mod together;

use std::collections::BTreeMap;
use std::fs;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::http::Client;
use crate::patience::{eventually, seconds};
use crate::policies::{built, drop_in};
use crate::site::{Site, repository};
use crate::sse::all_events;

/// How many turns of a decision are enough to say that a policy leaves something alone.
const TURNS: u64 = 3;

/// Returns a policy's module, built once in a run.
fn module(policy: &str) -> &'static [u8] {
    static RESERVED: OnceLock<Vec<u8>> = OnceLock::new();
    static ZONES: OnceLock<Vec<u8>> = OnceLock::new();
    static DOLLARS: OnceLock<Vec<u8>> = OnceLock::new();
    static BUSINESS_HOURS: OnceLock<Vec<u8>> = OnceLock::new();
    static DAILY_CURVE: OnceLock<Vec<u8>> = OnceLock::new();
    let cell = match policy {
        "reserved" => &RESERVED,
        "zones" => &ZONES,
        "dollars" => &DOLLARS,
        "business-hours" => &BUSINESS_HOURS,
        "daily-curve" => &DAILY_CURVE,
        _ => panic!("{policy} is no example"),
    };
    built(&format!("examples/policies/{policy}"), cell)
}

/// Returns a policy's own example of its settings.
fn example_settings(policy: &str) -> String {
    let file = repository().join(format!("examples/policies/{policy}/{policy}.toml"));
    fs::read_to_string(file).unwrap()
}

/// Puts a policy and its settings into the folder, the settings first: some policies refuse to start without.
fn install(site: &Site, file: &str, policy: &str, settings: &str) {
    site.write(&format!("policies/{file}.toml"), settings);
    drop_in(site, &format!("{file}.wasm"), module(policy));
}

async fn policy(client: &Client, file: &str) -> Value {
    client.get(&format!("/v1/policies/{file}")).await.expect(200).json
}

/// Gives a policy other settings, and waits until it serves with them.
async fn reconfigure(site: &Site, client: &Client, file: &str, settings: &str) {
    let before = policy(client, file).await["serving"]["settings_sha256"].clone();
    site.write(&format!("policies/{file}.toml"), settings);
    eventually("the new settings serve", seconds(40), async || {
        let now = policy(client, file).await;
        let is_new = now["wanted"]["state"] == "serving" && now["serving"]["settings_sha256"] != before;
        is_new.then_some(())
    })
    .await;
}

/// Waits until a policy has been asked for a decision a few times more.
async fn turns(client: &Client, file: &str, decision: &str) {
    let asked = async || policy(client, file).await[decision]["asked"].as_u64().unwrap_or(0);
    let before = asked().await;
    let what = format!("{file} is asked for {decision}");
    eventually(&what, seconds(40), async || {
        (asked().await >= before + TURNS).then_some(())
    })
    .await;
}

/// Returns the servers of a pool, by name.
async fn servers(client: &Client, pool: &str) -> BTreeMap<String, Value> {
    let list = client.get("/v1/servers").await.expect(200).json;
    let servers = list["servers"].as_array().unwrap().iter();
    let of_pool = servers.filter(|server| server["pool"] == pool);
    of_pool
        .map(|server| (server["name"].as_str().unwrap().to_owned(), server.clone()))
        .collect()
}

/// Waits until so many of a pool's servers are ready and no others are there.
async fn ready(client: &Client, pool: &str, count: usize) -> BTreeMap<String, Value> {
    eventually(&format!("{pool} has {count} servers"), seconds(40), async || {
        let servers = servers(client, pool).await;
        let is_so = servers.len() == count && servers.values().all(|server| server["phase"] == "ready");
        is_so.then_some(servers)
    })
    .await
}

async fn register(client: &Client, server: &str, body: Value) {
    client.put(&format!("/v1/servers/{server}"), body).await.expect(201);
}

/// Asks for a room, and returns it as it then is.
async fn ask(client: &Client, room: &str, body: Value) -> Value {
    let answer = client.put(&format!("/v1/rooms/{room}"), body).await;
    assert!([201, 202].contains(&answer.status), "{}", answer.text);
    answer.json
}

async fn placed(client: &Client, room: &str) -> Value {
    eventually(&format!("{room} is placed"), seconds(40), async || {
        let answer = client.get(&format!("/v1/rooms/{room}")).await.expect(200).json;
        (answer["state"] == "placed").then_some(answer)
    })
    .await
}

/// Returns for each launch in which pool it was and why.
async fn launches(client: &Client) -> Vec<(String, String)> {
    let events = all_events(client).await.into_iter();
    let requested = events.filter(|event| event.kind == "server.requested");
    let text = |data: &Value, key: &str| data[key].as_str().unwrap().to_owned();
    requested
        .map(|event| (text(&event.data, "pool"), text(&event.data, "reason")))
        .collect()
}

/// Returns a zone in which it is noon, or up to an hour later, and the minutes since midnight there: no test that counts
/// from it comes near midnight.
fn noon_zone() -> (String, u64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let minutes = now / 60 % (24 * 60);
    // In these names east is minus.
    let zone = match minutes / 60 {
        hour @ 0..=12 => format!("Etc/GMT-{}", 12 - hour),
        hour => format!("Etc/GMT+{}", hour - 12),
    };
    (zone, 12 * 60 + minutes % 60)
}
