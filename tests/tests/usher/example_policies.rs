//! The policies worth copying (`examples/policies`), as modules in the folder of a real host: each does what its readme promises,
//! and leaves alone what it promises to leave alone. The standard policy ends the chain.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

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
    let cell = match policy {
        "reserved" => &RESERVED,
        "zones" => &ZONES,
        "dollars" => &DOLLARS,
        "business-hours" => &BUSINESS_HOURS,
        _ => panic!("{policy} is no example"),
    };
    built(&format!("examples/policies/{policy}"), cell)
}

/// Returns a policy's own example of its settings.
fn example_settings(policy: &str) -> String {
    let file = repository().join(format!("examples/policies/{policy}/settings.toml"));
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

#[tokio::test]
async fn a_tenant_has_servers_of_its_own_that_are_warm_and_nobody_elses() {
    let site = Site::new(
        r#"
        tick_seconds = 1
        [[pool]]
        name = "acme"
        provider = "simulated"
        rooms_per_server = 4
        labels = { reserved_for = "acme" }
        [pool.simulated]
        boot_seconds = 0.1
        [[pool]]
        name = "everyone"
        provider = "external"
        rooms_per_server = 2
        health = "none"
        "#,
    );
    install(&site, "10-reserved", "reserved", &example_settings("reserved"));
    let host = site.start().await;
    let client = host.client();
    assert_eq!(policy(&client, "10-reserved").await["serving"]["on_fault"], "wait");

    let warm = ready(&client, "acme", 1).await;
    register(
        &client,
        "everyone-1",
        json!({ "pool": "everyone", "url": "ws://everyone-1" }),
    )
    .await;
    let of_acme = ask(&client, "acme-1", json!({ "tenant": "acme" })).await;
    assert!(
        warm.contains_key(of_acme["server"]["name"].as_str().unwrap()),
        "{of_acme}"
    );
    assert_eq!(of_acme["decision"]["policy"], "10-reserved");

    for room in ["beta-1", "nobodys-2"] {
        let body = if room == "beta-1" {
            json!({ "tenant": "beta" })
        } else {
            json!({})
        };
        assert_eq!(ask(&client, room, body).await["server"]["name"], "everyone-1");
    }
    let third = ask(&client, "beta-3", json!({ "tenant": "beta" })).await;
    assert_eq!(third["state"], "waiting", "{third}");
    eventually(
        "the standard policy wants a server where the room may go",
        seconds(20),
        async || {
            let pools = client.get("/v1/pools").await.expect(200).json;
            let everyone = pools["pools"]
                .as_array()
                .unwrap()
                .iter()
                .find(|pool| pool["name"] == "everyone")?;
            (everyone["servers_wanted"] == 2).then_some(())
        },
    )
    .await;
    turns(&client, "10-reserved", "scale_up").await;
    let acmes = servers(&client, "acme").await;
    assert_eq!(
        acmes
            .values()
            .map(|server| server["rooms"].as_u64().unwrap())
            .sum::<u64>(),
        1
    );
    assert_eq!(acmes.len(), 1, "nobody launches acme's servers for others");
    client.delete("/v1/rooms/beta-1").await.expect(204);
    assert_eq!(placed(&client, "beta-3").await["server"]["name"], "everyone-1");

    for room in 2..=3 {
        ask(&client, &format!("acme-{room}"), json!({ "tenant": "acme" })).await;
    }
    ready(&client, "acme", 2).await;
    for room in 4..=5 {
        let room = ask(&client, &format!("acme-{room}"), json!({ "tenant": "acme" })).await;
        assert_eq!(room["server"]["pool"], "acme", "{room}");
    }
}

#[tokio::test]
async fn big_rooms_and_a_tenants_rooms_are_spread_over_zones_and_small_ones_packed() {
    let site = Site::new(
        r#"
        [[pool]]
        name = "media"
        provider = "external"
        seats_per_server = 500
        health = "none"
        "#,
    );
    let settings = example_settings("zones").replace("tenants = []", "tenants = [\"acme\"]");
    install(&site, "20-zones", "zones", &settings);
    let host = site.start().await;
    let client = host.client();
    for server in 0..6 {
        let zone = ["a", "b", "c"][server % 3];
        let body = json!({ "pool": "media", "url": format!("ws://media-{server}"), "zone": zone });
        register(&client, &format!("media-{server}"), body).await;
    }
    let zones_of = async |rooms: usize, name: &str, body: Value, policy: &str| {
        let mut zones = BTreeMap::<String, BTreeSet<String>>::new();
        for room in 0..rooms {
            let room = ask(&client, &format!("{name}-{room}"), body.clone()).await;
            assert_eq!(room["decision"]["policy"], policy, "{room}");
            let zone = room["server"]["zone"].as_str().unwrap().to_owned();
            zones
                .entry(zone)
                .or_default()
                .insert(room["room"].as_str().unwrap().to_owned());
        }
        zones
    };
    let small = zones_of(6, "small", json!({ "seats": 10 }), "standard").await;
    assert_eq!(small.len(), 1, "the standard policy packs them: {small:?}");
    let big = zones_of(6, "big", json!({ "seats": 200 }), "20-zones").await;
    assert!(big.len() == 3 && big.values().all(|rooms| rooms.len() == 2), "{big:?}");
    // The chance that one zone of three gets none of thirty is 1 in 60,000.
    let acmes = zones_of(30, "acme", json!({ "seats": 1, "tenant": "acme" }), "20-zones").await;
    assert_eq!(acmes.len(), 3, "{acmes:?}");
}

#[tokio::test]
async fn a_room_is_launched_for_where_it_costs_least_and_a_pool_that_failed_is_left_alone() {
    let pool = |name: &str, market: &str, rooms: u32, price: f64, failure_rate: f64| {
        format!(
            r#"
            [[pool]]
            name = "{name}"
            provider = "simulated"
            market = "{market}"
            rooms_per_server = {rooms}
            price_per_hour = {price}
            [pool.guards]
            boot_seconds_max = 1
            [pool.simulated]
            boot_seconds = 0.1
            boot_failure_rate = {failure_rate:?}
            "#
        )
    };
    let pools = [
        // By the server `small` is the cheapest that works, by the room `spot` and then `large`.
        pool("broken", "on-demand", 20, 0.20, 1.0),
        pool("large", "on-demand", 10, 0.30, 0.0),
        pool("small", "on-demand", 2, 0.10, 0.0),
        pool("spot", "spot", 10, 0.15, 0.0),
    ];
    let site = Site::new(&format!("tick_seconds = 1\n{}", pools.concat()));
    let settings = "spare_rooms = 0\npatience_seconds = 0\n";
    install(&site, "30-dollars", "dollars", settings);
    let host = site.start().await;
    let client = host.client();

    ask(&client, "room-0", json!({})).await;
    let first = placed(&client, "room-0").await;
    assert_eq!(
        first["server"]["pool"], "large",
        "the first server may not be a spot server"
    );
    for room in 1..11 {
        ask(&client, &format!("room-{room}"), json!({})).await;
    }
    let eleventh = placed(&client, "room-10").await;
    assert_eq!(eleventh["server"]["pool"], "spot", "but the second, at half the price");
    turns(&client, "30-dollars", "scale_up").await;

    let launches = launches(&client).await;
    let pools: Vec<&str> = launches.iter().map(|(pool, _)| pool.as_str()).collect();
    assert_eq!(pools, ["broken", "large", "spot"], "{launches:?}");
    assert_eq!(launches[1].1, "1 rooms, at most $0.0300 an hour each");
    let log = host.log();
    assert!(
        log.contains("is left alone until") && log.contains("boot_failed"),
        "it says why in the log"
    );
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

#[tokio::test]
async fn spare_rooms_are_launched_before_the_office_opens_stay_while_it_works_and_go_when_it_closes() {
    let site = Site::new(
        r#"
        tick_seconds = 1
        [guards]
        server_life_seconds_min = 0
        scale_down_cooldown_seconds = 0
        [[pool]]
        name = "frankfurt"
        provider = "simulated"
        rooms_per_server = 5
        [pool.simulated]
        boot_seconds = 0.1
        "#,
    );
    site.write("policies/standard.toml", "idle_seconds = 1\n");
    let (zone, now) = noon_zone();
    let clock = |minutes: u64| format!("{:02}:{:02}", minutes / 60, minutes % 60);
    let open = |from: u64, to: u64| {
        let settings = example_settings("business-hours").replace("\"Europe/Berlin\"", &format!("{zone:?}"));
        let settings = settings.replace("spare_rooms = 20", "spare_rooms = 6");
        let settings = settings.replace("\"friday\"", "\"friday\", \"saturday\", \"sunday\"");
        let settings = settings.replace("\"08:00\"", &format!("{:?}", clock(from)));
        settings.replace("\"18:00\"", &format!("{:?}", clock(to)))
    };
    let file = "40-business-hours";
    install(&site, file, "business-hours", &open(now + 90, now + 300));
    let host = site.start().await;
    let client = host.client();
    turns(&client, file, "scale_up").await;
    assert_eq!(launches(&client).await, [], "an hour and a half before opening");

    // How long a boot takes is not known yet, so ten minutes ahead are early enough.
    reconfigure(&site, &client, file, &open(now + 5, now + 300)).await;
    eventually("servers come before the office opens", seconds(20), async || {
        let launches = launches(&client).await;
        let is_for_it = |(_, reason): &(String, String)| reason.starts_with("6 rooms");
        (launches.len() >= 2 && launches.iter().all(is_for_it)).then_some(())
    })
    .await;

    reconfigure(&site, &client, file, &open(now - 60, now + 300)).await;
    let kept = ready(&client, "frankfurt", 2).await;
    turns(&client, file, "scale_down").await;
    let still: Vec<_> = servers(&client, "frankfurt").await.into_keys().collect();
    assert_eq!(still, kept.into_keys().collect::<Vec<_>>(), "idle as they are");

    reconfigure(&site, &client, file, &open(now - 300, now - 60)).await;
    ready(&client, "frankfurt", 0).await;
}
