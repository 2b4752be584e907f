//! LiveKit and Jitsi's videobridge as their documentation has them, and a Janus that misbehaves.

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};

use crate::fakes::{Fake, Reply, Request, held, start, well};

const METRICS: &str = "livekit_participant_total{node_id=\"a\"} 9\nlivekit_track_published_total{kind=\"AUDIO\"} 4\n\
                       livekit_track_published_total{kind=\"VIDEO\"} 3\n";

async fn livekit() -> Fake {
    Fake::start(|request| match (&request.method, request.uri.path()) {
        (&Method::POST, "/twirp/livekit.RoomService/ListRooms") if request.token().is_some() => Reply::Json(json!({
            "rooms": [{"sid": "RM_x", "name": "standup-42", "num_participants": 3}, {"name": "camel", "numParticipants": 2}, {"name": "empty"}]
        })),
        (&Method::GET, "/metrics") => Reply::Status(200, METRICS.into()),
        _ => Reply::Status(401, r#"{"code":"unauthenticated"}"#.into()),
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn livekit_tells_its_rooms_and_is_told_nothing() {
    let (host, livekit) = (Fake::host(held("draining")).await, livekit().await);
    let metrics = format!("{}/metrics", livekit.url);
    let keys = ["--livekit-api-key", "key", "--livekit-api-secret", "secret"];
    let mut arguments = vec![
        "--media",
        "livekit",
        "--media-url",
        &livekit.url,
        "--livekit-metrics-url",
        &metrics,
    ];
    arguments.extend(keys);
    let _agent = start(&host, &arguments);
    let report = host.request(3).await.json();
    let rooms = json!([
        {"room": "camel", "participants": 2}, {"room": "empty", "participants": 0}, {"room": "standup-42", "participants": 3}
    ]);
    assert_eq!((&report["rooms"], &report["participants"]), (&rooms, &json!(5)));
    assert_eq!(report["figures"]["tracks_published"], 7);
    let others = |request: &&Request| request.method == Method::POST && !request.uri.path().ends_with("/ListRooms");
    assert_eq!(livekit.got().iter().filter(others).count(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_node_of_a_livekit_cluster_speaks_for_itself_only() {
    let (host, livekit) = (Fake::host(well()).await, livekit().await);
    let metrics = format!("{}/metrics", livekit.url);
    let arguments = [
        "--media",
        "livekit",
        "--media-url",
        &livekit.url,
        "--livekit-cluster",
        "--livekit-metrics-url",
        &metrics,
    ];
    let _agent = start(&host, &arguments);
    let report = host.request(1).await.json();
    assert_eq!((report.get("rooms"), &report["participants"]), (None, &json!(9)));
}

async fn bridge(health: u16, drain_status: u16) -> Fake {
    Fake::start(move |request| match (&request.method, request.uri.path()) {
        (&Method::GET, "/about/health") => Reply::Status(health, String::new()),
        (&Method::GET, "/colibri/stats") => Reply::Json(json!({
            "participants": 12, "conferences": 3, "stress_level": 0.4567, "overall_loss": 0.012, "drain": false,
            "graceful_shutdown": false, "threads": 117, "current_timestamp": "2026-08-14 23:26:14.782"
        })),
        (&Method::POST, "/colibri/drain/enable" | "/colibri/drain/disable") => {
            Reply::Status(drain_status, String::new())
        }
        _ => Reply::Status(404, String::new()),
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn a_videobridge_tells_people_and_stress_and_drains() {
    let (host, bridge) = (Fake::host(held("draining")).await, bridge(200, 200).await);
    let _agent = start(&host, &["--media", "jvb", "--media-url", &bridge.url]);
    let report = host.request(1).await.json();
    assert_eq!(
        (report.get("rooms"), &report["participants"], &report["loss_permille"]),
        (None, &json!(12), &json!(12))
    );
    assert_eq!(report["figures"]["stress_permille"], 457);
    assert_eq!(report["figures"]["conferences"], 3);
    bridge
        .find(1, |request| request.uri.path() == "/colibri/drain/enable")
        .await;
    host.now(|_| Reply::Json(well()));
    bridge
        .find(1, |request| request.uri.path() == "/colibri/drain/disable")
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_videobridge_that_others_have_drained_is_told_of_and_left_so() {
    let (host, bridge) = (Fake::host(well()).await, bridge(200, 200).await);
    let _agent = start(&host, &["--media", "jvb", "--media-url", &bridge.url]);
    let may_accept = |request: &Request| request.uri.path() == "/colibri/drain/disable";
    bridge.find(1, may_accept).await;
    let mut asked = 0;
    bridge.now(move |request| match request.uri.path() {
        "/about/health" => {
            asked += 1;
            Reply::Status(if asked == 5 { 500 } else { 200 }, String::new())
        }
        _ => Reply::Json(json!({"participants": 0, "drain": true})),
    });
    let told = |request: &Request| request.json()["figures"]["refuses_rooms"] == 1;
    host.find(5, told).await;
    assert_eq!(bridge.got().iter().filter(|request| may_accept(request)).count(), 1);
    assert!(
        host.got()
            .iter()
            .all(|request| request.json().get("draining").is_none())
    );
}

#[tokio::test(start_paused = true)]
async fn a_videobridge_that_finds_itself_ill_is_no_sign_of_life() {
    let (host, bridge) = (Fake::host(well()).await, bridge(500, 200).await);
    let _agent = start(&host, &["--media", "jvb", "--media-url", &bridge.url]);
    bridge.find(5, |request| request.uri.path() == "/about/health").await;
    assert!(host.got().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_page_of_somebody_elses_is_no_sign_of_life_of_a_livekit_node() {
    let host = Fake::host(well()).await;
    let page = Fake::start(|_| Reply::Status(200, "<html>it works</html>".into())).await;
    let arguments = [
        "--media",
        "livekit",
        "--livekit-cluster",
        "--livekit-metrics-url",
        &page.url,
    ];
    let _agent = start(&host, &arguments);
    page.request(5).await;
    assert!(host.got().is_empty());
    page.now(|_| Reply::Status(200, METRICS.into()));
    assert_eq!(host.request(1).await.json()["participants"], 9);
}

/// A Janus that answers each question with what `answer` makes of it.
async fn janus(answer: impl Fn(&Value) -> Value + Send + 'static) -> Fake {
    Fake::start(move |request| Reply::Json(answer(&request.json()))).await
}

#[tokio::test(start_paused = true)]
async fn a_janus_that_refuses_or_answers_another_question_is_no_sign_of_life() {
    let refuses = janus(
        |question| json!({"janus": "error", "transaction": question["transaction"], "error": {"code": 403, "reason": "Unauthorized"}}),
    );
    let wrong_key = janus(|question| {
        json!({"janus": "success", "transaction": question["transaction"],
               "response": {"videoroom": "event", "error_code": 433, "error": "Unauthorized (wrong admin_key)"}})
    });
    let confused =
        janus(|_| json!({"janus": "success", "transaction": "x", "response": {"videoroom": "success", "list": []}}));
    for janus in [refuses.await, wrong_key.await, confused.await] {
        let host = Fake::host(well()).await;
        let agent = start(&host, &["--media", "janus", "--media-url", &janus.url]);
        janus.request(12).await;
        assert!(host.got().is_empty());
        agent.stop.urge();
        agent.leave().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_janus_that_was_started_anew_is_told_again_to_refuse() {
    let host = Fake::host(well()).await;
    let janus = janus(|question| {
        let mut answer = json!({"janus": "success", "transaction": question["transaction"]});
        match question["janus"].as_str() {
            // As one that has forgotten what it was told.
            Some("info") => answer["accepting-new-sessions"] = json!(true),
            Some("accept_new_sessions") => answer["accept"] = question["accept"].clone(),
            _ => {
                let room = json!({"room": 42, "description": "", "num_participants": 1});
                answer["response"] = json!({"videoroom": "success", "list": [room]});
            }
        }
        answer
    })
    .await;
    let agent = start(&host, &["--media", "janus", "--media-url", &janus.url]);
    host.request(1).await;
    agent.stop.urge();
    janus.find(3, |request| request.json()["accept"] == false).await;
}

/// What a Janus with these rooms says.
fn says(question: &Value, rooms: &[Value]) -> Value {
    let mut answer = json!({"janus": "success", "transaction": question["transaction"]});
    match question["janus"].as_str() {
        Some("info") => answer["accepting-new-sessions"] = json!(true),
        Some("accept_new_sessions") => answer["accept"] = question["accept"].clone(),
        _ => answer["response"] = json!({"videoroom": "success", "list": rooms}),
    }
    answer
}

fn is_destroy(request: &Request) -> bool {
    request.json()["request"]["request"] == "destroy"
}

#[tokio::test(start_paused = true)]
async fn a_janus_that_hangs_at_ending_rooms_delays_no_report_for_long() {
    let rooms: Vec<Value> = (0..20)
        .map(|room| json!({"room": room, "num_participants": 0}))
        .collect();
    let mut answer = well();
    answer["moved"] = (0..20)
        .map(|room| json!({"room": room.to_string(), "server": "media-8"}))
        .collect();
    let host = Fake::host(answer).await;
    let seen = rooms.clone();
    let janus = Fake::start(move |request| match is_destroy(request) {
        true => Reply::Hang,
        false => Reply::Json(says(&request.json(), &seen)),
    })
    .await;
    let keys = [
        "--media",
        "janus",
        "--janus-admin-key",
        "key",
        "--media-url",
        &janus.url,
    ];
    let _agent = start(&host, &keys);
    let reports: Vec<_> = [host.request(1).await, host.request(2).await, host.request(3).await].into();
    for pair in reports.windows(2) {
        let gap = pair[1].at - pair[0].at;
        assert!(gap < Duration::from_secs(8), "{gap:?}");
    }
    assert_eq!(
        janus.got().iter().filter(|request| is_destroy(request)).count(),
        2,
        "one a turn"
    );

    // Slow, and it answers: two fit into the time.
    let destroyed = janus.got().iter().filter(|request| is_destroy(request)).count();
    janus.now(move |request| match is_destroy(request) {
        true => Reply::Slow(
            Duration::from_millis(1800),
            json!({
                "janus": "success", "transaction": request.json()["transaction"], "response": {"videoroom": "destroyed"}
            }),
        ),
        false => Reply::Json(says(&request.json(), &rooms)),
    });
    let reported = host.got().len();
    host.request(reported + 3).await;
    let destroyed = janus.got().iter().filter(|request| is_destroy(request)).count() - destroyed;
    assert!((4..=6).contains(&destroyed), "two a turn: {destroyed}");
}
