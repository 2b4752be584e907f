//! The fake's time: the wall clock's, faster or slower, or one that only tests move. It never goes back.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use crate::setup::ClockSetup;

/// The longest sleep at once, for a clock that stands still or nearly so; then it looks again.
const SLEEP_MAX: Duration = Duration::from_secs(3600);

/// The fake's clock.
#[derive(Debug)]
pub(crate) struct Clock {
    starts_at: Timestamp,
    began: Instant,
    /// Seconds of the fake in a second of the world; none for a clock that stands still.
    speed: f64,
    /// How far tests have moved it.
    advanced: watch::Sender<SignedDuration>,
}

impl Clock {
    /// Starts a clock.
    pub(crate) fn start(setup: &ClockSetup) -> Clock {
        let (starts_at, speed) = match setup {
            ClockSetup::Real { speed } => (Timestamp::now(), speed.max(0.0)),
            ClockSetup::Manual { starts_at } => (*starts_at, 0.0),
        };
        Clock {
            starts_at,
            began: Instant::now(),
            speed,
            advanced: watch::Sender::new(SignedDuration::ZERO),
        }
    }

    /// Returns what time it is.
    pub(crate) fn now(&self) -> Timestamp {
        let run = SignedDuration::from_secs_f64(self.began.elapsed().as_secs_f64() * self.speed);
        let passed = run.saturating_add(*self.advanced.borrow());
        self.starts_at.checked_add(passed).unwrap_or(Timestamp::MAX)
    }

    /// Moves the clock forward.
    pub(crate) fn advance(&self, span: SignedDuration) {
        self.advanced
            .send_modify(|advanced| *advanced = advanced.saturating_add(span));
    }

    /// Waits until it is so late.
    pub(crate) async fn wait_until(&self, at: Timestamp) {
        let mut moved = self.advanced.subscribe();
        loop {
            let left = at.duration_since(self.now());
            if left <= SignedDuration::ZERO {
                return;
            }
            let sleep = Duration::try_from_secs_f64(left.as_secs_f64() / self.speed).unwrap_or(SLEEP_MAX);
            tokio::select! {
                // A millisecond more, so that a rounded sleep does not end before the moment.
                () = tokio::time::sleep(sleep.min(SLEEP_MAX) + Duration::from_millis(1)) => {}
                _ = moved.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use jiff::SignedDuration;

    use super::Clock;
    use crate::setup::ClockSetup;

    #[tokio::test]
    async fn a_manual_clock_stands_until_it_is_advanced() {
        let clock = Clock::start(&ClockSetup::manual());
        let first = clock.now();
        assert_eq!(clock.now(), first);
        let mut waiting = pin!(clock.wait_until(first + SignedDuration::from_secs(5)));
        clock.advance(SignedDuration::from_secs(4));
        let waited = tokio::select! { biased; () = &mut waiting => true, () = std::future::ready(()) => false };
        assert!(!waited);
        clock.advance(SignedDuration::from_secs(1));
        waiting.await;
        assert_eq!(clock.now(), first + SignedDuration::from_secs(5));
    }

    #[tokio::test]
    async fn a_fast_clock_runs_ahead() {
        let clock = Clock::start(&ClockSetup::Real { speed: 100_000.0 });
        let first = clock.now();
        clock.wait_until(first + SignedDuration::from_secs(60)).await;
        assert!(clock.now() >= first + SignedDuration::from_secs(60));
    }
}
