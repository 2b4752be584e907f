//! What `daily-curve` has learned, and when it still knows it.

use serde_json::json;

use super::{ask, example_settings, install, launches, noon_zone, placed, policy, ready, reconfigure, servers, turns};
use crate::http::Client;
use crate::site::Site;

/// The pool whose rooms are learned, and one for which the same module is there under another name.
const POOLS: &str = r#"
tick_seconds = 1
[[pool]]
name = "frankfurt"
region = "eu"
provider = "simulated"
rooms_per_server = 5
[pool.simulated]
boot_seconds = 0.1
[[pool]]
name = "virginia"
region = "us"
provider = "simulated"
rooms_per_server = 5
"#;

const FILE: &str = "30-daily-curve";

/// Ends all of Frankfurt's servers, and has none launched until [`let_launch`] is called.
async fn clear(client: &Client) {
    let off = json!({ "enabled": false });
    client.post("/v1/pools/frankfurt/scaling", off).await.expect(200);
    for server in servers(client, "frankfurt").await.into_keys() {
        client.delete(&format!("/v1/servers/{server}")).await;
    }
    ready(client, "frankfurt", 0).await;
}

/// Lets servers be launched again, and checks that the twelve rooms are expected that once were there.
async fn expects_twelve_rooms(client: &Client) {
    let before = launches(client).await.len();
    let on = json!({ "enabled": true });
    client.post("/v1/pools/frankfurt/scaling", on).await.expect(200);
    ready(client, "frankfurt", 3).await;
    let reason = "12 rooms are expected, 0 are there or wait".to_owned();
    let expected = vec![("frankfurt".to_owned(), reason); 3];
    assert_eq!(launches(client).await.split_off(before), expected);
}

#[tokio::test]
async fn the_curve_that_was_learned_outlives_new_settings_and_a_power_cut() {
    let site = Site::new(POOLS);
    // One slot a day, of which half is over: no two looks fall into different ones.
    let (zone, _) = noon_zone();
    let settings = example_settings("daily-curve").replace("\"UTC\"", &format!("{zone:?}"));
    let settings = settings.replace("slot_minutes = 15", "slot_minutes = 1440");
    install(&site, FILE, "daily-curve", &settings);
    let of_virginia = settings.replace("\"frankfurt\"", "\"virginia\"");
    install(&site, "31-daily-curve", "daily-curve", &of_virginia);
    let host = site.start().await;
    let client = host.client();
    turns(&client, FILE, "scale_up").await;
    assert_eq!(launches(&client).await, [], "it knows nothing yet, and nobody is there");

    for room in 0..12 {
        ask(&client, &format!("room-{room}"), json!({ "region": "eu" })).await;
    }
    for room in 0..12 {
        placed(&client, &format!("room-{room}")).await;
    }
    turns(&client, FILE, "scale_up").await;
    for room in 0..12 {
        client.delete(&format!("/v1/rooms/room-{room}")).await.expect(204);
    }
    clear(&client).await;

    // What one version saw, the next one knows, though nobody is there any more.
    let other = settings.replace("room_seats = 50", "room_seats = 40");
    reconfigure(&site, &client, FILE, &other).await;
    expects_twelve_rooms(&client).await;
    assert!(policy(&client, FILE).await["learned_bytes"].as_u64().unwrap() > 0);

    clear(&client).await;
    host.kill();
    let host = site.start().await;
    let client = host.client();
    expects_twelve_rooms(&client).await;
    turns(&client, "31-daily-curve", "scale_up").await;
    assert_eq!(
        servers(&client, "virginia").await.len(),
        0,
        "what one file has learned is no other's"
    );
}
