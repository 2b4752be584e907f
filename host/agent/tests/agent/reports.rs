//! What reports hold, when they come, and when they do not.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::fakes::{Fake, Reply, app, page, start, start_beside, well};

#[tokio::test(start_paused = true)]
async fn a_report_says_what_lives_and_how_the_machine_does() {
    let host = Fake::host(well()).await;
    let app = Fake::start(|_| {
        Reply::Json(json!({
            "rooms": [{"room": "standup-42", "participants": 3, "load": 12, "placement": 7}, {"room": "no id", "participants": 1}],
            "figures": {"consumers": 1800}, "url": "wss://media-7.example.com"
        }))
    })
    .await;
    let _agent = start_beside(&host, &app, &["--token", "s3cret"]);
    let first = host.request(1).await;
    assert_eq!(first.uri.path(), "/v1/servers/media-7/report");
    assert_eq!(first.token(), Some("s3cret"));
    let report = first.json();
    let rooms = json!([{"room": "standup-42", "participants": 3, "load": 12, "placement": 7}]);
    assert_eq!(report["rooms"], rooms);
    assert_eq!(report["participants"], 4);
    assert_eq!(report["url"], "wss://media-7.example.com");
    assert_eq!(report["figures"]["consumers"], 1800);
    assert_eq!(report["figures"]["rooms_unreadable"], 1);
    assert!(report["figures"]["memory_permille"].is_u64());
    assert!(
        report.get("cpu_permille").is_none(),
        "one reading alone says nothing: {report}"
    );
    assert!(report.get("draining").is_none());
}

#[tokio::test(start_paused = true)]
async fn reports_come_within_a_tenth_of_the_interval_and_not_in_step() {
    let host = Fake::host(well()).await;
    let _agent = start(&host, &["--media", "none"]);
    host.request(20).await;
    let times: Vec<_> = host.got().iter().map(|request| request.at).collect();
    let gaps: Vec<Duration> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let bounds = Duration::from_millis(4490)..Duration::from_millis(5600);
    assert!(gaps.iter().all(|gap| bounds.contains(gap)), "{gaps:?}");
    assert!(
        gaps.iter().max().unwrap().abs_diff(*gaps.iter().min().unwrap()) > Duration::from_millis(50),
        "{gaps:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_before_the_media_server_has_answered() {
    let host = Fake::host(well()).await;
    let app = Fake::start(|_| Reply::Hang).await;
    let _agent = start_beside(&host, &app, &[]);
    app.request(10).await;
    assert!(host.got().is_empty());
    let started = Instant::now();
    app.now(|_| Reply::Json(page(1)));
    let first = host.request(1).await;
    assert_eq!(first.json()["participants"], 1);
    // A question of two seconds may be under way; the next one comes a second later.
    assert!(
        first.at - started < Duration::from_millis(3500),
        "{:?}",
        first.at - started
    );
}

#[tokio::test(start_paused = true)]
async fn a_media_server_that_hangs_is_silent_at_the_host_after_its_grace() {
    let host = Fake::host(well()).await;
    let app = app(3).await;
    let _agent = start_beside(&host, &app, &[]);
    host.request(2).await;
    app.now(|_| Reply::Hang);
    let asked = app.got().len();
    app.request(asked + 10).await;
    let blind: Vec<_> = host
        .got()
        .iter()
        .map(|request| request.json())
        .filter(|report| report.get("rooms").is_none())
        .collect();
    assert_eq!(blind.len(), 2, "two missed questions are forgiven: {blind:?}");
    assert!(blind.iter().all(|report| report.get("participants").is_none()));
    let silent = host.got().len();
    app.now(|_| Reply::Json(page(4)));
    assert_eq!(host.request(silent + 1).await.json()["participants"], 4);
}

#[tokio::test(start_paused = true)]
async fn a_media_server_that_talks_garbage_is_no_sign_of_life() {
    let host = Fake::host(well()).await;
    let app = Fake::start(|_| Reply::Status(200, "<html>".into())).await;
    let _agent = start_beside(&host, &app, &[]);
    app.request(3).await;
    app.now(|_| Reply::Status(500, "no".into()));
    app.request(6).await;
    app.now(|_| Reply::Json(json!({"rooms": [], "particpants": 3})));
    app.request(9).await;
    app.now(|_| Reply::Status(200, format!("{{\"url\":\"{}\"}}", "x".repeat(9 * 1024 * 1024))));
    app.request(12).await;
    assert!(host.got().is_empty());
}

#[tokio::test(start_paused = true)]
async fn rooms_above_the_limit_are_cut_and_counted() {
    let host = Fake::host(well()).await;
    let rooms: Vec<_> = (0..10_005)
        .map(|number| json!({"room": format!("room-{number}"), "participants": 1}))
        .collect();
    let app = Fake::start(move |_| Reply::Json(json!({"rooms": rooms}))).await;
    let _agent = start_beside(&host, &app, &[]);
    let report = host.request(1).await.json();
    let told = report["rooms"].as_array().unwrap().len() as u64;
    assert_eq!(report["figures"]["rooms_cut"], 10_005 - told);
    assert_eq!(report["participants"], 10_005);
}
