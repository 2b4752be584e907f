//! How the agent leaves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::fakes::{Fake, Reply, Running, app, is_draining, is_order, page, start, start_beside, well};

/// Tells the agent to leave, once more if it was told before, and returns how long that took.
async fn time_to_leave(agent: Running) -> Duration {
    let told = Instant::now();
    agent.stop.urge();
    agent.leave().await;
    told.elapsed()
}

#[tokio::test(start_paused = true)]
async fn it_says_so_at_once_and_leaves_when_the_media_server_is_empty() {
    let host = Fake::host(well()).await;
    let people = Arc::new(AtomicU32::new(3));
    let left = people.clone();
    let app = Fake::start(move |_| Reply::Json(page(left.load(Ordering::SeqCst)))).await;
    let agent = start_beside(&host, &app, &[]);
    host.request(1).await;
    app.find(1, is_order).await;
    let told = Instant::now();
    agent.stop.urge();
    let farewell = host.find(1, is_draining).await;
    assert!(farewell.at - told < Duration::from_secs(2), "{:?}", farewell.at - told);
    let order = app.find(1, |request| is_order(request) && is_draining(request)).await;
    assert_eq!(order.json(), json!({"draining": true}));
    host.find(4, is_draining).await;
    assert!(!agent.ended.is_finished());
    people.store(0, Ordering::SeqCst);
    agent.leave().await;
    assert_eq!(host.got().last().unwrap().json()["participants"], 0);
}

#[tokio::test(start_paused = true)]
async fn it_does_not_wait_for_ever() {
    let host = Fake::host(well()).await;
    let app = app(3).await;
    let agent = start_beside(&host, &app, &["--drain-seconds", "60"]);
    host.request(1).await;
    let took = time_to_leave(agent).await;
    assert!(
        took >= Duration::from_secs(60) && took < Duration::from_secs(62),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn being_told_twice_it_leaves_at_once_whatever_hangs() {
    let host = Fake::start(|_| Reply::Hang).await;
    let app = app(3).await;
    let agent = start_beside(&host, &app, &[]);
    host.request(1).await;
    agent.stop.urge();
    host.find(1, is_draining).await;
    let took = time_to_leave(agent).await;
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn without_a_media_server_it_says_so_once_and_leaves() {
    let host = Fake::host(well()).await;
    let agent = start(&host, &["--media", "none"]);
    host.request(1).await;
    agent.stop.urge();
    agent.leave().await;
    let got = host.got();
    assert_eq!(got.iter().filter(|request| is_draining(request)).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn it_leaves_a_media_server_that_has_died() {
    let host = Fake::host(well()).await;
    let app = app(3).await;
    let agent = start_beside(&host, &app, &[]);
    host.request(1).await;
    app.now(|_| Reply::Hang);
    let took = time_to_leave(agent).await;
    assert!(took < Duration::from_secs(30), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_cannot_hear_the_farewell_is_told_again() {
    for (media, status) in [("none", 503), ("http-json", 503), ("none", 401)] {
        let host = Fake::host(well()).await;
        let app = app(0).await;
        let agent = start(&host, &["--media", media, "--media-url", &app.url]);
        host.request(1).await;
        host.now(move |_| Reply::Status(status, "{}".into()));
        agent.stop.urge();
        host.find(3, is_draining).await;
        assert!(!agent.ended.is_finished(), "{media} {status}");
        host.now(|_| Reply::Json(well()));
        agent.leave().await;
        assert!(is_draining(host.got().last().unwrap()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_hears_nothing_is_not_waited_for_for_ever() {
    let host = Fake::host(well()).await;
    let agent = start(&host, &["--media", "none", "--drain-seconds", "60"]);
    host.request(1).await;
    host.now(|_| Reply::Status(503, "{}".into()));
    let took = time_to_leave(agent).await;
    assert!(
        took >= Duration::from_secs(60) && took < Duration::from_secs(62),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_host_that_does_not_know_the_server_is_not_waited_for() {
    let host = Fake::start(|_| Reply::Status(404, r#"{"detail":"no"}"#.into())).await;
    let agent = start(&host, &["--media", "none"]);
    host.request(1).await;
    let took = time_to_leave(agent).await;
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_room_that_was_placed_a_moment_before_the_farewell_is_waited_for() {
    let people = Arc::new(AtomicU32::new(0));
    let (coming, here) = (people.clone(), people.clone());
    let host = Fake::start(move |request| {
        // Who was sent there joins once the host has heard of the farewell.
        if is_draining(request) && request.json()["participants"] == 0 {
            coming.store(2, Ordering::SeqCst);
        }
        Reply::Json(well())
    })
    .await;
    let app = Fake::start(move |_| Reply::Json(page(here.load(Ordering::SeqCst)))).await;
    let agent = start_beside(&host, &app, &[]);
    host.request(1).await;
    agent.stop.urge();
    host.find(4, is_draining).await;
    assert!(!agent.ended.is_finished());
    assert_eq!(host.got().last().unwrap().json()["participants"], 2);
}

#[tokio::test(start_paused = true)]
async fn being_ended_it_says_nothing() {
    let host = Fake::host(well()).await;
    let app = app(3).await;
    let agent = start_beside(&host, &app, &[]);
    host.request(1).await;
    let told = Instant::now();
    agent.stop.end();
    agent.leave().await;
    assert!(told.elapsed() < Duration::from_secs(1), "{:?}", told.elapsed());
    assert!(!host.got().iter().any(is_draining));
    assert!(
        !app.got()
            .iter()
            .any(|request| is_order(request) && is_draining(request))
    );
}
