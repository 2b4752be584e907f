//! What a call costs on a trivial guest; `cargo test --release -p usher-policy speed -- --nocapture` prints it.

use std::time::{Duration, Instant};

use usher_fleet::config::Labels;
use usher_fleet::ids::RoomId;

use super::guests::Guest;
use super::host::{Stage, place_ask};
use super::rows::{World, server, usage};
use crate::wasm::ViewSource;
use usher_fleet::view::{Cursor, ViewChange};

/// One server whose usage changes at each look.
struct OneChange(u64);

impl ViewSource for OneChange {
    fn cursor(&self) -> Cursor {
        Cursor(self.0)
    }

    fn changes_since(&self, _: Cursor) -> impl Iterator<Item = ViewChange> {
        std::iter::once(usage(1, 1))
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "a figure for whoever asks for it")]
fn one_changed_row_and_one_placement_take_microseconds() {
    let mut stage = Stage::new(&[]);
    *stage.host.world.lock().unwrap() = World::with([server(1), usage(1, 0)]);
    let body = "(call $ok)".to_owned();
    let guest = Guest {
        view: Some([body.clone(), body.clone(), body]),
        ..Guest::places("(call $on (i32.const 1))")
    };
    stage.rename_in("a.wasm", &guest.build());
    stage.loaded();
    let (room, labels): (RoomId, _) = (
        "standup-42-2026-11-22".parse().unwrap(),
        Labels::from([("kind".into(), "webinar".into())]),
    );
    let mut view = OneChange(10);
    let mut best = Duration::MAX;
    for _ in 0..40 {
        let started = Instant::now();
        for _ in 0..1_000 {
            view.0 += 1;
            let answer = stage.chain.ask(0, &view, &place_ask(&room, &labels)).unwrap();
            assert!(answer.advice.is_ok());
        }
        best = best.min(started.elapsed() / 1_000);
    }
    println!("usage_and_place_ns {} ns", best.as_nanos());
    // Far above what any machine needs: a call that allocates or compiles something each time would show.
    assert!(best < Duration::from_micros(100), "{best:?}");
    stage.stop();
}
