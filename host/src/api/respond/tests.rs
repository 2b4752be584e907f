use std::collections::BTreeSet;

use super::*;

fn rejections() -> Vec<Rejection> {
    let (room, server, pool): (RoomId, _, _) = ("r".parse().unwrap(), "s".parse().unwrap(), "p".parse().unwrap());
    let server_of = |name: &str| name.parse().unwrap();
    vec![
        Rejection::Rejected {
            policy: "vip".into(),
            reason: "no".into(),
        },
        Rejection::RoomTaken(room.clone()),
        Rejection::DoesNotFit {
            room: room.clone(),
            server,
            seats: 9,
        },
        Rejection::RoomTooLarge { seats: 9, load: 9 },
        Rejection::NoSuchRegion("mars".into()),
        Rejection::NoSuchPoolForRoom,
        Rejection::QueueFull(9),
        Rejection::NoSuchRoom(room),
        Rejection::NoSuchServer(server_of("s")),
        Rejection::NoSuchPool("p".parse().unwrap()),
        Rejection::ServerInOtherPool {
            server: server_of("s"),
            pool,
        },
        Rejection::PoolNotExternal("p".parse().unwrap()),
        Rejection::ServerHasRooms {
            server: server_of("s"),
            rooms: 3,
            participants: 7,
        },
        Rejection::ServerTerminating(server_of("s")),
        Rejection::FleetFull(100),
    ]
}

#[test]
fn a_rejections_code_is_the_same_inside_and_outside() {
    for rejection in rejections() {
        let word = rejection.code();
        let problem = Problem::from(rejection);
        assert_eq!(problem.code.describe().1, word);
    }
}

#[test]
fn codes_are_told_apart_by_their_words() {
    let words: BTreeSet<_> = Code::ALL.iter().map(|code| code.describe().1).collect();
    assert_eq!(words.len(), Code::ALL.len());
    assert!(Code::ALL.is_sorted(), "ALL is in the order of the declaration");
    assert!(Code::ALL.is_sorted_by_key(|code| (code.describe().0.as_u16() >= 500, code.describe().0)));
}

#[tokio::test]
async fn a_problem_is_sent_as_rfc_9457_has_it() {
    let response = Problem::from(Refused::Busy).into_response();
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert_eq!(response.headers()["retry-after"], "1");
    let body = axum::body::to_bytes(response.into_body(), 4096).await.unwrap();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let expected = serde_json::json!({
        "type": "urn:usher:problem:busy", "title": "Too many requests wait", "status": 503,
        "detail": "too many requests wait already", "code": "busy", "retry_after_seconds": 1,
    });
    assert_eq!(body, expected);
}

#[test]
fn who_is_not_known_is_told_how_to_be() {
    let response = Problem::from(Denied::Missing).into_response();
    assert_eq!(response.status(), 401);
    assert_eq!(response.headers()["www-authenticate"], "Bearer realm=\"usher\"");
}
