//! Waiting for facts: looks until it is so, with a deadline; never a sleep that hopes.

use std::time::{Duration, Instant};

/// From one look to the next.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Looks until `look` finds something.
///
/// # Panics
/// It is not so within `within`; `what` says what was waited for.
pub(crate) async fn eventually<T>(what: &str, within: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + within;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < end, "not within {within:?}: {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Waits for `future`.
///
/// # Panics
/// It takes longer than `within`.
pub(crate) async fn at_most<T>(what: &str, within: Duration, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(within, future).await {
        Ok(done) => done,
        Err(_) => panic!("not within {within:?}: {what}"),
    }
}

/// Seconds, shortly.
pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
