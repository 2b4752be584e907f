//! The notice that the machine is taken away, from a metadata service that insists on its second version.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::http::Method;
use tokio::time::Instant;

use crate::fakes::{Fake, Reply, app, is_draining, is_order, start_beside, well};

/// A metadata service that has a notice once it is taken away.
async fn metadata(is_taken: Arc<AtomicBool>) -> Fake {
    Fake::start(move |request| {
        let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok());
        match (&request.method, request.uri.path()) {
            (&Method::PUT, "/latest/api/token") if header("X-aws-ec2-metadata-token-ttl-seconds").is_some() => {
                Reply::Status(200, "metadata-token".into())
            }
            (&Method::GET, _) if header("X-aws-ec2-metadata-token") != Some("metadata-token") => {
                Reply::Status(401, String::new())
            }
            (&Method::GET, "/latest/meta-data/spot/instance-action") if is_taken.load(Ordering::SeqCst) => {
                Reply::Status(
                    200,
                    format!(r#"{{"action": "terminate", "time": "{}"}}"#, in_two_minutes()),
                )
            }
            _ => Reply::Status(404, String::new()),
        }
    })
    .await
}

/// Two minutes from now, as EC2 writes it.
fn in_two_minutes() -> String {
    let at = jiff::Timestamp::now() + Duration::from_secs(120);
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[tokio::test(start_paused = true)]
async fn a_notice_is_reported_at_once_and_keeps_new_rooms_away() {
    let is_taken = Arc::new(AtomicBool::new(false));
    let metadata = metadata(is_taken.clone()).await;
    let host = Fake::host(well()).await;
    let app = app(3).await;
    let arguments = [
        "--spot-notices",
        "--imds",
        metadata.url.as_str(),
        "--report-seconds",
        "60",
    ];
    let agent = start_beside(&host, &app, &arguments);
    host.request(2).await;
    assert!(!host.got().iter().any(is_draining));
    let since = Instant::now();
    is_taken.store(true, Ordering::SeqCst);
    let report = host.find(1, is_draining).await;
    assert!(report.at - since < Duration::from_secs(8), "{:?}", report.at - since);
    let left = report.json()["taken_away_seconds"].as_u64().unwrap();
    assert!((100..=120).contains(&left), "{left}");
    app.find(1, |request| is_order(request) && is_draining(request)).await;
    assert!(!agent.ended.is_finished(), "the machine goes, not the agent");
}

#[tokio::test(start_paused = true)]
async fn a_notice_that_is_taken_back_counts_no_more() {
    let is_taken = Arc::new(AtomicBool::new(true));
    let metadata = metadata(is_taken.clone()).await;
    let host = Fake::host(well()).await;
    let app = app(3).await;
    let _agent = start_beside(&host, &app, &["--spot-notices", "--imds", metadata.url.as_str()]);
    host.find(1, is_draining).await;
    is_taken.store(false, Ordering::SeqCst);
    let seen = host.got().len();
    host.after(seen, |request| !is_draining(request)).await;
}

#[tokio::test(start_paused = true)]
async fn a_metadata_service_that_does_not_answer_changes_nothing() {
    let metadata = Fake::start(|_| Reply::Hang).await;
    let host = Fake::host(well()).await;
    let app = app(3).await;
    let _agent = start_beside(&host, &app, &["--spot-notices", "--imds", metadata.url.as_str()]);
    host.request(5).await;
    assert!(!host.got().iter().any(is_draining));
}
