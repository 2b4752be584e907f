//! A data folder that was put back as it was: what was launched since is ours, and no record knows it.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Cloud, place, placed, servers};
use crate::patience::{eventually, seconds};
use crate::sse::{Event, all_events};

#[tokio::test]
async fn an_older_copy_of_the_data_folder_adopts_what_was_launched_since() {
    let cloud = Cloud::new(|_| {}).await;
    let (host, client) = cloud.start().await;
    place(&client, &["a", "b"]).await;
    placed(&client, "b").await;
    assert!(host.terminate().await.success());
    let (data, copy) = (cloud.site.path("usher-data"), cloud.site.path("copy"));
    copied(&data, &copy);
    let (host, client) = cloud.start().await;
    place(&client, &["c"]).await;
    assert_eq!(placed(&client, "c").await["server"]["name"], "cloud-2");
    assert!(host.terminate().await.success());
    fs::remove_dir_all(&data).unwrap();
    fs::rename(&copy, &data).unwrap();

    let (_host, client) = cloud.start().await;
    let is_there = |event: &Event, kind: &str| event.kind == kind && event.data["server"] == "cloud-2";
    eventually(
        "what was launched since is adopted, and heard",
        seconds(60),
        async || {
            let events = all_events(&client).await;
            let is_told = |kind| events.iter().any(|event| is_there(event, kind));
            (is_told("server.adopted") && is_told("server.ready")).then_some(())
        },
    )
    .await;
    // It is empty, as far as this copy knows and its agent reports, and goes as any other does; those that are not stay.
    eventually("only what is used is left", seconds(60), async || {
        let names: Vec<_> = servers(&client)
            .await
            .iter()
            .map(|server| server["name"].clone())
            .collect();
        (names == ["cloud-1"] && cloud.living().len() == 1).then_some(())
    })
    .await;
    place(&client, &["c"]).await;
    assert_eq!(placed(&client, "c").await["server"]["name"], "cloud-3");
    cloud.assert_none_was_launched_twice();
}

fn copied(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(done.success());
}
