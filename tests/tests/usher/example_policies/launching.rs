//! When servers come and go: `dollars` and `business-hours`.

use serde_json::json;

use super::{ask, example_settings, install, launches, noon_zone, placed, ready, reconfigure, servers, turns};
use crate::patience::{eventually, seconds};
use crate::site::Site;

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
    install(&site, "40-dollars", "dollars", settings);
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
    turns(&client, "40-dollars", "scale_up").await;

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
    let file = "30-business-hours";
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
