//! Misdeeds with what a policy may keep: it costs what it has learned, never its place, nor the host its start or its end.

use serde_json::json;

use super::guests::Guest;
use super::{set_loose, shown};
use crate::patience::{eventually, seconds};
use crate::policies::drop_in;
use crate::site::Site;
use crate::sse::all_events;

const CONFIG: &str = r#"
tick_seconds = 1
[[pool]]
name = "media"
provider = "external"
rooms_per_server = 100
health = "none"
"#;

/// What each says when it is asked to save; none where it saves well, and does not take it back.
const MISDEEDS: [(&str, Option<&str>); 4] = [
    (
        "save-too-much",
        Some("`save` failed: error: `save` returned 1000000 bytes; at most 65536 are kept"),
    ),
    ("save-for-ever", Some("`save` failed: out_of_fuel: used up its fuel")),
    ("restore-panics", None),
    ("restore-for-ever", None),
];

/// A policy without the SDK, which would have counted: what it saves is fifteen times what is kept.
fn saves_a_megabyte() -> Guest {
    let megabyte = "(call $store (i32.const 1028) (i32.const 65536)) (call $store (i32.const 1032) (i32.const 1000000)) (call $ok)";
    Guest {
        scale_up: Some("(call $rows (i32.const 0))".into()),
        learned: Some([megabyte, "unreachable"].map(Into::into)),
        ..Guest::places("(call $defer)")
    }
}

#[tokio::test]
async fn what_a_policy_keeps_never_costs_it_its_place_nor_the_host_its_start() {
    let site = Site::new(CONFIG);
    for (misdeed, _) in MISDEEDS {
        set_loose(&site, misdeed, misdeed);
    }
    drop_in(&site, "save-a-megabyte.wasm", &saves_a_megabyte().build());
    let host = site.start().await;
    let client = host.client();
    let server = json!({ "pool": "media", "url": "ws://media" });
    client.put("/v1/servers/media", server).await.expect(201);
    eventually("what cannot be kept is told", seconds(60), async || {
        let events = all_events(&client).await;
        let megabyte = (
            "save-a-megabyte",
            Some("`save` gives 1000000 bytes; at most 65536 are kept"),
        );
        let is_told = |(misdeed, words): &(&str, Option<&str>)| {
            words.is_none_or(|words| {
                events.iter().any(|event| {
                    event.kind == "policy.fault"
                        && event.data["policy"] == *misdeed
                        && event.data["step"] == "save"
                        && event.data["reason"].as_str().unwrap().contains(words)
                })
            })
        };
        let policies = shown(&client).await;
        let all_were_asked = policies
            .iter()
            .all(|policy| policy["scale_up"]["asked"].as_u64() > Some(0));
        (all_were_asked && MISDEEDS.iter().chain([&megabyte]).all(is_told)).then_some(())
    })
    .await;
    assert!(host.terminate().await.success());

    let host = site.start().await;
    let client = host.client();
    client.put("/v1/rooms/standup", json!({})).await.expect(201);
    let policies = shown(&client).await;
    for (misdeed, words) in MISDEEDS {
        let policy = policies.iter().find(|policy| policy["name"] == misdeed).unwrap();
        assert_eq!(policy["wanted"]["state"], "serving", "{policy}");
        assert!(policy["place"]["deferred"].as_u64() > Some(0), "{policy}");
        let log = host.log();
        let mut lines = log
            .lines()
            .filter(|line| line.contains(&format!("policy=\"{misdeed}\"")));
        let starts_without = lines.any(|line| line.contains("it starts without it"));
        assert_eq!(starts_without, words.is_none(), "{misdeed}");
    }
}
