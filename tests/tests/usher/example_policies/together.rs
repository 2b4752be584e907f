//! All five in one folder, each with the settings of its own example.

use serde_json::json;

use super::{ask, example_settings, install, placed, policy, ready, turns};
use crate::site::Site;

const CHAIN: [(&str, &str); 5] = [
    ("10-reserved", "reserved"),
    ("20-zones", "zones"),
    ("30-business-hours", "business-hours"),
    ("30-daily-curve", "daily-curve"),
    ("40-dollars", "dollars"),
];

#[tokio::test]
async fn each_has_its_say_and_the_standard_policy_the_rest() {
    let site = Site::new(
        r#"
        tick_seconds = 1
        [[pool]]
        name = "acme"
        provider = "simulated"
        rooms_per_server = 10
        labels = { reserved_for = "acme" }
        only = { tenant = ["acme"] }
        [pool.simulated]
        boot_seconds = 0.1
        [[pool]]
        name = "frankfurt"
        provider = "simulated"
        seats_per_server = 500
        [pool.simulated]
        boot_seconds = 0.1
        "#,
    );
    for (file, name) in CHAIN {
        install(&site, file, name, &example_settings(name));
    }
    let host = site.start().await;
    let client = host.client();
    ready(&client, "acme", 1).await;
    for (room, body, by) in [
        ("of-acme", json!({ "tenant": "acme" }), "10-reserved"),
        ("big", json!({ "seats": 300 }), "20-zones"),
        ("small", json!({ "seats": 10 }), "standard"),
    ] {
        ask(&client, room, body).await;
        let room = placed(&client, room).await;
        assert_eq!(room["decision"]["policy"], by, "{room}");
    }
    turns(&client, "40-dollars", "scale_up").await;
    for (file, _) in CHAIN {
        let policy = policy(&client, file).await;
        assert_eq!(
            (&policy["wanted"]["state"], &policy["faults"]),
            (&json!("serving"), &json!(0)),
            "{policy}"
        );
        assert!(policy["asked"].as_u64().unwrap() > 0, "{policy}");
    }
}

#[tokio::test]
async fn what_one_has_spoken_for_the_next_leaves_out_and_launches_elsewhere() {
    let site = Site::new(
        r#"
        tick_seconds = 1
        [[pool]]
        name = "acme"
        provider = "simulated"
        rooms_per_server = 10
        price_per_hour = 0.1
        labels = { reserved_for = "acme" }
        [pool.simulated]
        boot_seconds = 0.1
        [[pool]]
        name = "shared"
        provider = "simulated"
        rooms_per_server = 10
        price_per_hour = 0.4
        [pool.simulated]
        boot_seconds = 0.1
        "#,
    );
    for (file, name) in [("10-reserved", "reserved"), ("40-dollars", "dollars")] {
        install(&site, file, name, &example_settings(name));
    }
    let host = site.start().await;
    let client = host.client();
    ready(&client, "acme", 1).await;
    // `dollars` would take the cheaper pool, and nothing be launched for this room at all.
    ask(&client, "of-beta", json!({ "tenant": "beta" })).await;
    let room = placed(&client, "of-beta").await;
    assert_eq!(room["server"]["pool"], "shared", "{room}");
}
