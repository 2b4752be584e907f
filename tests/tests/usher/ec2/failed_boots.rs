//! What an instance leaves to be read that never reported.

use serde_json::Value;

use super::{Cloud, place, servers};
use crate::patience::{eventually, seconds};
use crate::sse::all_events;

#[tokio::test]
async fn a_boot_that_fails_leaves_its_last_words_and_one_machine_to_look_at() {
    let cloud = Cloud::new(|_| {}).await;
    cloud.site.write(
        "user-data.sh",
        "#!/bin/sh\necho 'the disk image has no agent'\nexec sleep 600\n",
    );
    let config = cloud.config("keep_failed_servers = 1");
    cloud.site.configure(&config.replace(
        "[guards]\n",
        "[guards]\nboot_seconds_max = 3\nboot_failures_max = 100\nboot_failures_window = 100\n",
    ));
    let (_host, client) = cloud.start().await;
    place(&client, &["a"]).await;
    let failures = eventually("two boots have failed", seconds(60), async || {
        let mut events = all_events(&client).await;
        events.retain(|event| event.kind == "server.failed");
        (events.len() >= 2).then_some(events)
    })
    .await;
    for (failure, is_kept) in failures.iter().zip([true, false]) {
        let told = &failure.data;
        assert_eq!(told["console"], "the disk image has no agent", "{told}");
        assert_eq!(told["last_phase"], "booting");
        assert_eq!(told["offer"]["price_per_hour"], 0.4, "{told}");
        assert_eq!(told["is_kept"].as_bool().unwrap_or_default(), is_kept, "{told}");
    }
    client.delete("/v1/rooms/a").await.expect(204);
    let is_kept_alone = |servers: &[Value]| servers.len() == 1 && servers[0]["name"] == "cloud-1";
    let kept = eventually("one machine stays", seconds(60), async || {
        Some(servers(&client).await).filter(|servers| is_kept_alone(servers))
    })
    .await;
    assert_eq!(kept[0]["phase"], "failed");
    assert!(
        kept[0]["phase_reason"].as_str().unwrap().contains("kept"),
        "{}",
        kept[0]
    );
    assert_eq!(cloud.living().len(), 1);
    client.delete("/v1/servers/cloud-1").await.expect(204);
    eventually("it goes when it is removed", seconds(60), async || {
        cloud.living().is_empty().then_some(())
    })
    .await;
}
