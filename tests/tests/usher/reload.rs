//! The config file is read again while the host serves; one with a problem changes nothing.

use serde_json::{Value, json};

use crate::http::Client;
use crate::patience::{eventually, seconds};
use crate::site::Site;

fn config(servers_max: u32, more: &str) -> String {
    format!(
        r#"
tick_seconds = 1
[[pool]]
name = "cloud"
provider = "simulated"
rooms_per_server = 1
servers_max = {servers_max}
[pool.simulated]
boot_seconds = 0.1
{more}
"#
    )
}

async fn pool(client: &Client, name: &str) -> Option<Value> {
    let pools = client.get("/v1/pools").await.expect(200).json;
    pools["pools"]
        .as_array()
        .unwrap()
        .iter()
        .find(|pool| pool["name"] == name)
        .cloned()
}

#[tokio::test]
async fn what_the_file_says_holds_without_a_restart_and_a_problem_changes_nothing() {
    let site = Site::new(&config(0, ""));
    let host = site.start().await;
    let client = host.client();
    client
        .put("/v1/rooms/standup", json!({ "region": "default" }))
        .await
        .expect(202);

    site.configure(&config(3, "boot_sekonds = 1\n"));
    eventually("the problem is told", seconds(20), async || {
        let log = host.log();
        (log.contains("boot_sekonds") && log.contains("nothing of it is taken over")).then_some(())
    })
    .await;
    assert_eq!(pool(&client, "cloud").await.unwrap()["servers_max"], 0);

    let other = "[[pool]]\nname = \"extra\"\nprovider = \"external\"\nregion = \"elsewhere\"\nrooms_per_server = 5\nhealth = \"none\"\n";
    site.configure(&config(3, other));
    let room = client.get("/v1/rooms/standup?wait_seconds=40").await.expect(200).json;
    assert_eq!(room["server"]["pool"], "cloud", "{room}");
    assert_eq!(pool(&client, "cloud").await.unwrap()["servers_max"], 3);
    assert!(pool(&client, "extra").await.is_some());
    client
        .put("/v1/servers/extra-1", json!({ "pool": "extra", "url": "ws://a" }))
        .await
        .expect(201);

    site.configure(&config(3, ""));
    eventually("the pool that is gone from the file retires", seconds(20), async || {
        pool(&client, "extra")
            .await
            .is_none_or(|pool| pool["retired"] == true)
            .then_some(())
    })
    .await;
    client.get("/v1/rooms/standup").await.expect(200);
}
