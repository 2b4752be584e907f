use serde_json::json;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

fn from<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// A scene in the middle of the hour: two servers that serve, one that boots, one that goes, and two rooms that wait.
pub(in super::super) fn midst() -> Scene {
    let server = |name: &str, phase: &str, hold: serde_json::Value, rooms: u32| {
        from(json!({
            "name": name, "phase": phase, "hold": hold, "health": if phase == "ready" { "ok" } else { "unknown" },
            "rooms": rooms, "rooms_max": 10, "seats": rooms * 50, "seats_max": 500, "created_at": "2026-11-22T09:00:00Z",
        }))
    };
    let nothing = serde_json::Value::Null;
    let drained = json!({ "kind": "draining", "owner": "policy", "reason": "empty for 60 s" });
    let room = |name: &str, position: u32| {
        from(json!({
            "room": name, "state": "waiting", "position": position, "waiting_for": "boot", "expected_seconds": 2,
        }))
    };
    let mut no = 40;
    let mut decision = |point: &str,
                        room: Option<&str>,
                        server: Option<&str>,
                        advice: &str,
                        verdict: &str,
                        reason: &str| {
        no -= 1;
        let code = if verdict == "accepted" {
            None
        } else {
            Some("scale_down_cooldown")
        };
        from(json!({
            "decision": no, "point": point, "room": room, "server": server, "pool": "cloud", "policy": "90-standard", "advice": advice,
            "verdict": verdict, "code": code, "reason": reason,
        }))
    };
    let look = Look {
        is_ready: true,
        servers: vec![
            server("cloud-1", "ready", nothing.clone(), 10),
            server("cloud-2", "ready", nothing.clone(), 7),
            server("cloud-3", "ready", drained, 1),
            server("cloud-4", "booting", nothing, 0),
        ],
        waiting: vec![room("sync-31", 1), room("review-7", 2)],
        rooms_placed: 18,
        decisions: vec![
            decision("scale_up", None, None, "launch 1 server", "accepted", "2 rooms wait"),
            decision(
                "place",
                Some("sync-30"),
                Some("cloud-2"),
                "on cloud-2",
                "accepted",
                "fullest server with room",
            ),
            decision(
                "place",
                Some("sync-29"),
                Some("cloud-2"),
                "on cloud-2",
                "accepted",
                "fullest server with room",
            ),
            decision(
                "scale_down",
                None,
                Some("cloud-3"),
                "retire",
                "refused",
                "empty for 60 s",
            ),
        ],
        policies: vec![from(json!({
            "name": "90-standard", "built_in": false, "serving": { "version": "0.1.0" }, "problem": null, "faults": 0,
        }))],
        dollars_per_hour: 4.0 * 0.348,
    };
    let setting = Setting {
        pace: "40".parse().unwrap(),
        closes: OfficeTime(HOUR),
        url: "http://127.0.0.1:7070".to_owned(),
        policies_dir: "/tmp/usher-demo-abc/policies".to_owned(),
        program: "usher".to_owned(),
    };
    let mut scene = Scene::new(setting);
    scene.act = Act::Office;
    let tally = Tally {
        asked: 33,
        placed: 31,
        waited: 9,
        longest_wait: Duration::from_millis(2300),
        ..Tally::default()
    };
    scene.see(look, tally);
    for _ in 0..45 {
        scene.pass(Duration::from_secs(1));
        scene.see(scene.look.clone(), scene.tally.clone());
    }
    scene
}

#[test]
fn the_hour_costs_what_its_servers_cost_and_not_what_the_clearing_up_does() {
    let mut scene = midst();
    assert_eq!(scene.now.to_string(), "09:25");
    assert!((scene.costs.servers() - 0.696).abs() < 1e-6, "{:?}", scene.costs);
    assert!((scene.progress() - 0.5).abs() < 1e-6);
    scene.pass(Duration::from_secs(60));
    assert_eq!(scene.act, Act::Closing);
    assert!((scene.costs.big_server() - 3.492).abs() < 1e-6, "{:?}", scene.costs);
    scene.pass(Duration::from_secs(60));
    assert!((scene.costs.big_server() - 3.492).abs() < 1e-6, "the hour is over");
}

#[test]
fn a_pause_stops_the_office_and_its_costs() {
    let mut scene = midst();
    let before = (scene.now, scene.costs);
    scene.is_paused = true;
    scene.pass(Duration::from_secs(10));
    assert_eq!((scene.now, scene.costs), before);
}

#[test]
fn servers_are_counted_by_what_they_are_to_rooms() {
    let scene = midst();
    assert_eq!(
        scene.servers(),
        Counts {
            starting: 1,
            open: 2,
            going: 1
        }
    );
    assert_eq!(
        (scene.most.servers, scene.most.rooms, scene.most.launched()),
        (4, 18, 4)
    );
}

#[test]
fn the_history_fills_as_many_columns_as_the_hour_has_gone() {
    let scene = midst();
    for width in [10, 60, 240, 300] {
        let columns = scene.history.columns(width, |point| point.rooms);
        let half = width / 2;
        assert!(
            (half..=half + 2).contains(&columns.len()),
            "{} of {width}",
            columns.len()
        );
        assert!(columns.iter().all(|rooms| *rooms == 18), "{columns:?}");
    }
    assert_eq!(History::default().columns(10, |point| point.servers), Vec::<u64>::new());
}

#[test]
fn each_decision_is_counted_once_however_often_it_is_seen() {
    let scene = midst();
    let decided: Vec<_> = scene.decided.by_policy().collect();
    let deeds = Deeds {
        rooms_placed: 2,
        launches: 1,
        retirements: 0,
        against_guards: 1,
    };
    assert_eq!(decided, [("90-standard", deeds)]);
}
