//! Where rooms go: `reserved` and `zones`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{ask, example_settings, install, placed, policy, ready, register, servers, turns};
use crate::patience::{eventually, seconds};
use crate::site::Site;

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
