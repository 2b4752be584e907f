//! Ends a call that takes far longer than its fuel says.
//!
//! Fuel bounds a call the same way on every machine, but not its time: a load that misses every cache takes three hundred times
//! as long as one that does not, for the same unit. So the engine's epoch ticks, and a guest that tick after tick finds at work
//! ends when it has had the processor for longer than [`Budget::time`](super::limits::Budget::time). Only a guest that is
//! hostile, or as bad as one, ever notices: what others answer depends on nothing but their inputs.
//!
//! A pause of the machine, or of this thread, is nobody's fault. However long it is, it looks like one tick, and the
//! thread has not had the processor meanwhile; so both are asked for, several ticks and the processor's time.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use wasmtime::{Engine, Store, UpdateDeadline};

use super::imports::HostState;

/// From one tick to the next: short beside what a person notices, long beside what a tick costs.
pub(super) const TICK: Duration = Duration::from_millis(5);
/// So many ticks must have found one call at work before it may end.
pub(super) const TICKS_MIN: u32 = 3;

/// What the ticks know of the call that runs.
#[derive(Debug, Default)]
pub(super) struct Overtime {
    allowed: Duration,
    ticks: u32,
    /// What the thread had had of the processor at the first tick.
    since: Duration,
}

/// Says that a call has had more than its time.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("used up its time of {} ms before its fuel", .0.as_millis())]
pub(super) struct TimeUp(Duration);

/// Lets an engine's epoch tick for as long as the engine is there.
///
/// # Errors
/// There is no thread for it.
pub(super) fn tick(engine: &Engine) -> std::io::Result<()> {
    let engine = engine.weak();
    let ticking = move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(TICK);
        }
    };
    std::thread::Builder::new()
        .name("policy-ticks".to_owned())
        .spawn(ticking)?;
    Ok(())
}

/// Has a store's guest meet the ticks.
pub(super) fn watch(store: &mut Store<HostState>) {
    store.epoch_deadline_callback(|mut cx| {
        cx.data_mut().overtime.met(processor_time())?;
        Ok(UpdateDeadline::Continue(1))
    });
}

/// Begins to watch over a call of the guest.
pub(super) fn begin(store: &mut Store<HostState>, allowed: Duration) {
    store.data_mut().overtime = Overtime {
        allowed,
        ..Overtime::default()
    };
    store.set_epoch_deadline(1);
}

impl Overtime {
    fn met(&mut self, processor_time: Duration) -> Result<(), TimeUp> {
        if self.ticks == 0 {
            self.since = processor_time;
        }
        self.ticks += 1;
        if self.ticks >= TICKS_MIN && processor_time.saturating_sub(self.since) >= self.allowed {
            return Err(TimeUp(self.allowed));
        }
        Ok(())
    }
}

/// Returns how long this thread has had a processor.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    // A clock that counts from zero up is never negative.
    Duration::try_from(time).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn call(allowed: Duration) -> Overtime {
        Overtime {
            allowed,
            ..Overtime::default()
        }
    }

    #[test]
    fn a_call_ends_after_its_time_and_several_ticks() {
        let mut overtime = call(12 * MS);
        for at in [100, 105, 110] {
            assert_eq!(overtime.met(at * MS), Ok(()));
        }
        assert_eq!(overtime.met(112 * MS), Err(TimeUp(12 * MS)));
    }

    #[test]
    fn a_pause_is_one_tick_however_long_it_is() {
        let mut overtime = call(5 * MS);
        assert_eq!(overtime.met(Duration::ZERO), Ok(()));
        // The machine stood still, and counts it as the thread's time.
        assert_eq!(overtime.met(5_000 * MS), Ok(()));
    }

    #[test]
    fn a_thread_that_others_keep_from_the_processor_is_not_blamed() {
        let mut overtime = call(5 * MS);
        assert!((0..1_000).all(|_| overtime.met(3 * MS).is_ok()));
    }
}
