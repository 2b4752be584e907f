//! Rooms that come and go one after another, and how long each was waited for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinHandle;

use crate::http::Client;

/// How many rooms say what is usual.
const USUAL_ROOMS: usize = 200;
/// Half of the rooms take no longer than this many times the usual median, and [`MEDIAN_SLACK`].
const MEDIAN_RATIO: u32 = 3;
/// Modules are read, compiled and tried on the same two processors meanwhile, beside other tests.
const MEDIAN_SLACK: Duration = Duration::from_millis(20);
/// No room takes longer than the longest usual one, and this: ten times what the worst chain here stalls on an idle machine,
/// where some thirty guests loop until their fuel is used up, 3 ms each, and one until its time is, 35 ms (`wasm/limits.rs`).
const LONGEST_SLACK: Duration = Duration::from_secs(1);

/// How long rooms took.
#[derive(Debug)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    fn median(&self) -> Duration {
        self.0[self.0.len() / 2]
    }

    fn longest(&self) -> Duration {
        self.0[self.0.len() - 1]
    }

    /// Checks that rooms took no longer than is usual.
    #[track_caller]
    #[expect(clippy::print_stdout, reason = "figures for whoever asks for them")]
    pub(crate) fn are_like(&self, usual: &Times) {
        let (median, longest) = (self.median(), self.longest());
        let said = format!(
            "{} rooms took {median:?}, {longest:?} at most; usual are {:?} and {:?}",
            self.0.len(),
            usual.median(),
            usual.longest()
        );
        assert!(median <= usual.median() * MEDIAN_RATIO + MEDIAN_SLACK, "{said}");
        assert!(longest <= usual.longest() + LONGEST_SLACK, "{said}");
        println!("{said}");
    }
}

/// Rooms that come and go in the background.
pub(crate) struct Crowd {
    must_end: Arc<AtomicBool>,
    task: JoinHandle<Times>,
}

impl Crowd {
    /// Begins to place rooms.
    pub(crate) fn begin(client: &Client) -> Crowd {
        let must_end = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(come_and_go(client.clone(), usize::MAX, Arc::clone(&must_end)));
        Crowd { must_end, task }
    }

    /// Lets the last room go, and says how long they took.
    pub(crate) async fn end(self) -> Times {
        self.must_end.store(true, Ordering::SeqCst);
        self.task.await.unwrap()
    }
}

/// Says how long rooms take when nobody means harm.
pub(crate) async fn usual(client: &Client) -> Times {
    come_and_go(client.clone(), USUAL_ROOMS, Arc::default()).await
}

async fn come_and_go(client: Client, most: usize, must_end: Arc<AtomicBool>) -> Times {
    let mut times = Vec::new();
    for number in 0..most {
        if must_end.load(Ordering::SeqCst) && !times.is_empty() {
            break;
        }
        let room = format!("/v1/rooms/room-of-crowd-{number}");
        let body = json!({ "labels": { "kind": "meeting" }, "tenant": "nobody" });
        let asked = Instant::now();
        let placed = client.put(&room, body).await;
        times.push(asked.elapsed());
        assert_eq!(placed.expect(201).json["state"], "placed");
        client.delete(&room).await.expect(204);
    }
    times.sort();
    Times(times)
}
