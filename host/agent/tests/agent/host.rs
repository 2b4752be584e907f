//! How the agent gets on with the host: its holds, its moved rooms, its tokens, its absences.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::fakes::{Fake, Reply, app, held, is_order, page, start, start_beside, well};

#[tokio::test(start_paused = true)]
async fn a_hold_is_told_to_the_media_server_once_and_lifted_again() {
    for kind in ["cordoned", "draining"] {
        let host = Fake::host(well()).await;
        let app = app(3).await;
        let _agent = start_beside(&host, &app, &[]);
        assert_eq!(app.find(1, is_order).await.json(), json!({"draining": false}));
        host.now(move |_| Reply::Json(held(kind)));
        assert_eq!(app.find(2, is_order).await.json(), json!({"draining": true}));
        let seen = host.got().len();
        host.request(seen + 5).await;
        host.now(|_| Reply::Json(well()));
        assert_eq!(app.find(3, is_order).await.json(), json!({"draining": false}));
    }
}

#[tokio::test(start_paused = true)]
async fn a_hold_of_the_hosts_is_never_reported_as_the_servers_own() {
    let host = Fake::host(held("cordoned")).await;
    let app = Fake::start(|_| Reply::Json(json!({"rooms": [], "draining": true}))).await;
    let _agent = start_beside(&host, &app, &[]);
    host.request(5).await;
    assert!(
        host.got()
            .iter()
            .all(|request| request.json().get("draining").is_none())
    );
}

#[tokio::test(start_paused = true)]
async fn an_order_that_fails_is_given_again() {
    let host = Fake::host(held("draining")).await;
    let mut refusals = 2;
    let app = Fake::start(move |request| {
        if is_order(request) && refusals > 0 {
            refusals -= 1;
            return Reply::Status(500, "not now".into());
        }
        Reply::Json(page(1))
    })
    .await;
    let _agent = start_beside(&host, &app, &[]);
    app.find(3, is_order).await;
    let seen = host.got().len();
    host.request(seen + 4).await;
    assert_eq!(app.got().iter().filter(|request| is_order(request)).count(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_app_that_takes_no_orders_is_not_bothered_again() {
    let host = Fake::host(held("draining")).await;
    let app = Fake::start(|request| match is_order(request) {
        true => Reply::Status(405, String::new()),
        false => Reply::Json(page(1)),
    })
    .await;
    let _agent = start_beside(&host, &app, &[]);
    host.request(5).await;
    assert_eq!(app.got().iter().filter(|request| is_order(request)).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn rooms_that_have_moved_are_ended_unless_it_only_watches() {
    let mut moved = well();
    moved["moved"] = json!([{"room": "standup-42", "server": "media-8"}, {"room": "not an id", "server": null}]);
    let host = Fake::host(moved).await;
    let told = app(3).await;
    let watched = app(3).await;
    let _agents = (
        start_beside(&host, &told, &[]),
        start_beside(&host, &watched, &["--watch-only"]),
    );
    let order = told.find(1, |request| request.body.contains("end_rooms")).await;
    assert_eq!(order.json(), json!({"end_rooms": ["standup-42"]}));
    watched.request(5).await;
    assert!(!watched.got().iter().any(is_order));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_was_away_gets_the_newest_figures_only() {
    let host = Fake::start(|_| Reply::Status(503, "{}".into())).await;
    let people = Arc::new(AtomicU32::new(0));
    let counter = people.clone();
    let app = Fake::start(move |request| match is_order(request) {
        true => Reply::Json(json!({})),
        false => Reply::Json(page(counter.fetch_add(1, Ordering::SeqCst))),
    })
    .await;
    let _agent = start_beside(&host, &app, &[]);
    let refused = host.request(6).await;
    let gap = refused.at - host.got()[4].at;
    assert!(
        gap > Duration::from_secs(14) && gap < Duration::from_secs(37),
        "it backs off: {gap:?}"
    );
    host.now(|_| Reply::Json(well()));
    let taken = host.request(7).await.json();
    assert_eq!(taken["participants"], people.load(Ordering::SeqCst) - 1);
    let next = host.request(8).await.json();
    assert_eq!(next["participants"], people.load(Ordering::SeqCst) - 1);
    assert!(
        host.got()[7].at - host.got()[6].at < Duration::from_secs(6),
        "and is itself again at once"
    );
}

#[tokio::test(start_paused = true)]
async fn a_host_that_hangs_costs_five_seconds_and_no_more() {
    let host = Fake::start(|_| Reply::Hang).await;
    let _agent = start(&host, &["--media", "none"]);
    host.request(2).await;
    let gap = host.got()[1].at - host.got()[0].at;
    assert!(gap < Duration::from_secs(16), "{gap:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_tried_slowly_and_read_again_from_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "old\n").unwrap();
    let host = Fake::start(|request| match request.token() {
        Some("new") => Reply::Json(well()),
        _ => Reply::Status(401, r#"{"detail":"this token is not known here"}"#.into()),
    })
    .await;
    let _agent = start(&host, &["--media", "none", "--token-file", file.to_str().unwrap()]);
    host.request(3).await;
    let gap = host.got()[2].at - host.got()[1].at;
    assert!(
        gap >= Duration::from_secs(60) && gap < Duration::from_secs(70),
        "{gap:?}"
    );
    std::fs::write(&file, "new\n").unwrap();
    let seen = host.after(3, |request| request.token() == Some("new")).await;
    assert!(seen.at - host.got()[3].at < Duration::from_secs(6));
}

#[tokio::test(start_paused = true)]
async fn a_stale_file_gives_way_to_a_rotated_variable() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "stale\n").unwrap();
    let host = Fake::start(|request| match request.token() {
        Some("rotated") => Reply::Json(well()),
        _ => Reply::Status(401, r#"{"detail":"this token is not known here"}"#.into()),
    })
    .await;
    let file = file.to_str().unwrap();
    let _agent = start(&host, &["--media", "none", "--token", "rotated", "--token-file", file]);
    let taken = host.request(2).await;
    assert_eq!(taken.token(), Some("rotated"));
    assert!(taken.at - host.got()[0].at < Duration::from_secs(6));
    assert_eq!(host.request(4).await.token(), Some("rotated"));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_not_known_yet_and_a_bad_report_are_tried_at_the_usual_pace() {
    for status in [404, 413, 422] {
        let host = Fake::start(move |_| Reply::Status(status, r#"{"detail":"no"}"#.into())).await;
        let _agent = start(&host, &["--media", "none"]);
        host.request(4).await;
        let gap = host.got()[3].at - host.got()[2].at;
        assert!(gap < Duration::from_secs(6), "{status}: {gap:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_token_is_used_from_then_on_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let host = Fake::start(|request| {
        let mut answer = well();
        if request.token() == Some("once") {
            answer["token"] = json!("for-good");
        }
        Reply::Json(answer)
    })
    .await;
    let arguments = [
        "--media",
        "none",
        "--token",
        "once",
        "--token-file",
        file.to_str().unwrap(),
    ];
    let _agent = start(&host, &arguments);
    host.request(3).await;
    let got = host.got();
    let tokens: Vec<_> = got.iter().map(|request| request.token().unwrap()).collect();
    assert_eq!(tokens[..3], ["once", "for-good", "for-good"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "for-good\n");
}
