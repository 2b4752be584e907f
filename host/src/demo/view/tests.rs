use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::super::scene::Act;
use super::super::scene::tests::midst;
use super::*;

fn drawn(scene: &Scene, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, scene)).unwrap();
    terminal.backend().to_string()
}

fn check(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing:\n{text}");
    }
}

#[test]
fn eighty_by_twenty_four_tells_the_whole_story() {
    let text = drawn(&midst(), 80, 24);
    check(
        &text,
        &[
            "usher",
            "09:25",
            "1 office minute = 1.5 s here",
            "http://127.0.0.1:7070",
            "08:55 ━",
            "─ 09:55",
        ],
    );
    check(
        &text,
        &["now      $1.39", "one big  $3.49", "so far $0.70 not $1.75: 60 % less"],
    );
    check(
        &text,
        &["4 servers  2 open 1 starting 1 going ", "─ rooms 18 ─", "─ seats 900 ─"],
    );
    check(
        &text,
        &[
            "● cloud-1  ready",
            "■■■■■■■■■■ 10/10",
            "■■■■■■■··· 350/500",
            "○ cloud-3  ready       draining",
            "booting",
        ],
    );
    check(&text, &["rooms waiting 2", "1 sync-31", "boot 2 s"]);
    check(
        &text,
        &[
            "▲ cloud launch 1 server · 2 rooms wait",
            "→ 2 rooms on cloud-2 · fullest server",
            "▼ cloud-3 retire refused",
        ],
    );
    check(
        &text,
        &[
            "asks 90-standard 0.1.0 (wasm) first",
            "try   ",
            "q  quit",
            "b  ten rooms more",
        ],
    );
    assert_eq!(text.lines().count(), 24);
}

#[test]
fn a_large_terminal_has_room_for_reasons_and_for_all_that_can_be_tried() {
    let text = drawn(&midst(), 160, 50);
    check(
        &text,
        &["policy: empty for 60 s", "fullest server with room", "90-standard"],
    );
    check(&text, &["one big: 72 cores, on day and night"]);
    check(
        &text,
        &[
            "curl -X PUT http://127.0.0.1:7070/v1/rooms/mine",
            "usher drain cloud-2",
            "usher decisions",
        ],
    );
    check(
        &text,
        &[
            "cp YOUR-POLICY.wasm /tmp/usher-demo-abc/policies/",
            "it is asked from then on",
        ],
    );
    check(&text, &["■■■■■■■■■■■■■■■■■■■■ 10/10"]);
}

#[test]
fn more_than_fits_is_said() {
    let mut scene = midst();
    for _ in 0..3 {
        let more = scene.look.servers.clone();
        scene.look.servers.extend(more);
        let more = scene.look.waiting.clone();
        scene.look.waiting.extend(more);
    }
    let text = drawn(&scene, 80, 24);
    check(&text, &["32 servers", "and 27 more", "rooms waiting 16", "and 12 more"]);
}

#[test]
fn an_empty_fleet_says_that_it_costs_nothing() {
    let mut scene = midst();
    scene.look = super::super::watcher::Look {
        is_ready: true,
        ..Default::default()
    };
    scene.act = Act::Closing;
    let text = drawn(&scene, 80, 24);
    check(
        &text,
        &[
            "now      $0.00",
            "nothing is paid for",
            "nobody",
            "nothing was decided yet",
            "all leave; servers go",
        ],
    );
}

#[test]
fn a_pause_a_problem_and_a_refused_policy_are_seen() {
    let mut scene = midst();
    scene.is_paused = true;
    scene.tally.problem = Some("503: the queue is full".to_owned());
    scene.look.policies[0].problem = Some("it has no component-type section".to_owned());
    let text = drawn(&scene, 120, 40);
    check(
        &text,
        &[
            "paused",
            "p  go on",
            "503: the queue is full",
            "✗ 90-standard does not serve: it has no component-type",
        ],
    );
}

#[test]
fn a_terminal_that_is_too_small_says_what_it_needs() {
    check(&drawn(&midst(), 40, 10), &["needs 60 × 18"]);
    drawn(&midst(), 60, 18);
    drawn(&midst(), 400, 120);
}
