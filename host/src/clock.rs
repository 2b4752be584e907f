//! Which time it is: wall time when the process started, plus monotonic time since, never before the last durable `now`.
//!
//! A step of the wall clock moves no timer. Time in which the machine was suspended counts, so that a suspend shows as a gap.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use usher_fleet::Timestamp;

/// A wall clock that has moved by more than this against ours was stepped: what NTP slews stays well below it.
const STEP_MIN: Duration = Duration::from_secs(2);

/// A clock that never runs backwards, also over restarts.
#[derive(Debug, Clone)]
pub struct Clock {
    origin: Timestamp,
    began: Duration,
    /// Wall time less ours, in milliseconds, when last looked at.
    offset_millis: i64,
}

impl Clock {
    /// Starts a clock at the wall's time, or at `at_least` where that is later.
    pub fn start(at_least: Timestamp) -> Clock {
        let wall = wall();
        let origin = wall.max(at_least);
        Clock {
            origin,
            began: monotonic(),
            offset_millis: difference(wall, origin),
        }
    }

    /// Returns the present moment.
    pub fn now(&self) -> Timestamp {
        self.origin + monotonic().saturating_sub(self.began)
    }

    /// Returns by how many milliseconds the wall clock was stepped since this was last asked; `None` where it was not.
    pub fn stepped_millis(&mut self) -> Option<i64> {
        let offset = difference(wall(), self.now());
        let step = offset - self.offset_millis;
        if step.unsigned_abs() < STEP_MIN.as_millis() as u64 {
            return None;
        }
        self.offset_millis = offset;
        Some(step)
    }
}

fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn difference(a: Timestamp, b: Timestamp) -> i64 {
    i64::try_from(i128::from(a.0) - i128::from(b.0)).unwrap_or(i64::MAX)
}

/// Linux's `Instant` stands still while the machine is suspended; this clock does not.
#[cfg(target_os = "linux")]
fn monotonic() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

#[cfg(not(target_os = "linux"))]
fn monotonic() -> Duration {
    use std::sync::OnceLock;
    use std::time::Instant;
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    BEGAN.get_or_init(Instant::now).elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_lies_before_the_last_durable_moment() {
        let future = wall() + Duration::from_secs(86_400);
        let clock = Clock::start(future);
        let first = clock.now();
        assert!(first >= future);
        assert!(clock.now() >= first);
        assert!(clock.now().since(future) < Duration::from_secs(3600));
    }

    #[test]
    fn a_clock_that_nobody_touches_was_not_stepped() {
        assert_eq!(Clock::start(Timestamp(0)).stepped_millis(), None);
        let mut stepped = Clock::start(Timestamp(0));
        stepped.offset_millis -= 3_600_000;
        assert!(
            stepped
                .stepped_millis()
                .is_some_and(|step| (3_599_000..3_601_000).contains(&step))
        );
        assert_eq!(stepped.stepped_millis(), None);
    }
}
