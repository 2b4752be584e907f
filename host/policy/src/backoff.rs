//! How soon an instance that faulted is built again.

use std::time::{Duration, Instant};

/// The first wait: long enough that a policy which faults at every call costs the machine little.
const FIRST: Duration = Duration::from_millis(100);
/// The longest wait: a policy that was repaired by the world (a server came) is back within it.
const LONGEST: Duration = Duration::from_secs(30);
/// After so long without a fault the next one counts as the first.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// Doubles the wait with each fault.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
    last: Option<Instant>,
}

impl Backoff {
    /// Notes a failure and returns when to try again.
    pub(crate) fn next_try(&mut self, now: Instant) -> Instant {
        if self.last.is_some_and(|last| now.duration_since(last) > FORGOTTEN) {
            self.failures = 0;
        }
        let wait = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures += 1;
        self.last = Some(now + wait);
        now + wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_doubles_the_wait_up_to_a_bound() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        assert_eq!(backoff.next_try(now), now + FIRST);
        assert_eq!(backoff.next_try(now), now + FIRST * 2);
        for _ in 0..20 {
            backoff.next_try(now);
        }
        assert_eq!(backoff.next_try(now), now + LONGEST);
        let later = now + LONGEST + FORGOTTEN * 2;
        assert_eq!(backoff.next_try(later), later + FIRST);
    }
}
