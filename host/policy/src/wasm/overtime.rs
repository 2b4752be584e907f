//! Ends a call that takes far longer than its fuel says.
//!
//! Fuel bounds a call the same way on every machine, but not its time: a load that misses every cache takes three hundred times
//! as long as one that does not, for the same unit. So the engine's epoch ticks, and a guest that tick after tick finds at work
//! ends when it has had the processor for longer than [`Budget::time`](super::limits::Budget::time). Only a guest that is
//! hostile, or as bad as one, ever notices: what others answer depends on nothing but their inputs.
//!
//! A pause of the machine, or of this thread, is nobody's fault. However long it is, it looks like one tick, and the
//! thread has not had the processor meanwhile; so both are asked for, several ticks and the processor's time.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::thread::{self, Thread};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use wasmtime::{Engine, Store, UpdateDeadline};

use super::imports::HostState;

/// From one tick to the next: short beside what a person notices, long beside what a tick costs.
const TICK: Duration = Duration::from_millis(5);
/// So many ticks must have found one call at work before it may end.
const TICKS_MIN: u32 = 3;
/// After so many ticks without a call they rest: a second, so that a host that places rooms wakes nobody for each.
const TICKS_IDLE: u32 = 200;

/// Lets an engine's epoch tick while guests are at work, and for a while after.
pub(super) struct Ticks {
    engine: Engine,
    is_wanted: AtomicBool,
    is_resting: AtomicBool,
    thread: OnceLock<Thread>,
}

/// Watches over one instance's calls.
#[derive(Debug)]
pub(super) struct Overtime {
    ticks: Arc<Ticks>,
    call: Call,
}

/// What the ticks know of the call that runs.
#[derive(Debug, Default)]
struct Call {
    allowed: Duration,
    ticks: u32,
    /// What the thread had had of the processor at the first tick.
    since: Duration,
}

/// Says that a call has had more than its time.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("used up its time of {} ms before its fuel", .0.as_millis())]
pub(super) struct TimeUp(Duration);

impl Ticks {
    /// Makes an engine's epoch tick for as long as somebody holds what is returned.
    ///
    /// # Errors
    /// There is no thread for it.
    pub(super) fn of(engine: &Engine) -> io::Result<Arc<Ticks>> {
        let ticks = Arc::new(Ticks {
            engine: engine.clone(),
            is_wanted: AtomicBool::new(false),
            is_resting: AtomicBool::new(false),
            thread: OnceLock::new(),
        });
        let held = Arc::downgrade(&ticks);
        let thread = thread::Builder::new().name("policy-ticks".to_owned());
        let thread = thread.spawn(move || tick(&held))?;
        ticks.thread.get_or_init(|| thread.thread().clone());
        Ok(ticks)
    }

    /// Sees to it that they come; where they come anyway, that is a look at a flag.
    fn want(&self) {
        if !self.is_wanted.load(Ordering::Relaxed) {
            self.is_wanted.store(true, Ordering::SeqCst);
            if self.is_resting.load(Ordering::SeqCst) {
                self.wake();
            }
        }
    }

    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}

impl Drop for Ticks {
    fn drop(&mut self) {
        self.wake();
    }
}

impl std::fmt::Debug for Ticks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ticks")
            .field("is_resting", &self.is_resting)
            .finish_non_exhaustive()
    }
}

/// Ticks until nobody holds `ticks` any more.
fn tick(ticks: &Weak<Ticks>) {
    let mut idle = 0;
    while let Some(held) = ticks.upgrade() {
        held.engine.increment_epoch();
        idle = if held.is_wanted.swap(false, Ordering::SeqCst) {
            0
        } else {
            idle + 1
        };
        if idle < TICKS_IDLE {
            drop(held);
            thread::sleep(TICK);
            continue;
        }
        held.is_resting.store(true, Ordering::SeqCst);
        // Whoever wants them from here on sees that they rest.
        let rests = !held.is_wanted.load(Ordering::SeqCst);
        drop(held);
        if rests {
            thread::park();
        }
        if let Some(held) = ticks.upgrade() {
            held.is_resting.store(false, Ordering::SeqCst);
        }
        idle = 0;
    }
}

impl Overtime {
    /// Makes the watch over a new instance.
    pub(super) fn new(ticks: Arc<Ticks>) -> Overtime {
        Overtime {
            ticks,
            call: Call::default(),
        }
    }
}

/// Has a store's guest meet the ticks.
pub(super) fn watch(store: &mut Store<HostState>) {
    store.epoch_deadline_callback(|mut cx| {
        let overtime = &mut cx.data_mut().overtime;
        overtime.ticks.want();
        overtime.call.met(processor_time())?;
        Ok(UpdateDeadline::Continue(1))
    });
}

/// Begins to watch over a call of the guest.
pub(super) fn begin(store: &mut Store<HostState>, allowed: Duration) {
    let overtime = &mut store.data_mut().overtime;
    overtime.ticks.want();
    overtime.call = Call {
        allowed,
        ..Call::default()
    };
    store.set_epoch_deadline(1);
}

impl Call {
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
pub(super) fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    // A clock that counts from zero up is never negative.
    Duration::try_from(time).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn call(allowed: Duration) -> Call {
        Call {
            allowed,
            ..Call::default()
        }
    }

    #[test]
    fn the_ticks_rest_where_nobody_is_at_work_and_come_again() {
        let ticks = Ticks::of(&Engine::default()).unwrap();
        let until = |is_resting: bool| {
            while ticks.is_resting.load(Ordering::SeqCst) != is_resting {
                thread::yield_now();
            }
        };
        ticks.want();
        until(true);
        ticks.want();
        until(false);
        let held = Arc::downgrade(&ticks);
        drop(ticks);
        // Its thread may look at them just now.
        while held.strong_count() > 0 {
            thread::yield_now();
        }
    }

    #[test]
    fn a_call_ends_after_its_time_and_several_ticks() {
        let mut call = call(12 * MS);
        for at in [100, 105, 110] {
            assert_eq!(call.met(at * MS), Ok(()));
        }
        assert_eq!(call.met(112 * MS), Err(TimeUp(12 * MS)));
    }

    #[test]
    fn a_pause_is_one_tick_however_long_it_is() {
        let mut call = call(5 * MS);
        assert_eq!(call.met(Duration::ZERO), Ok(()));
        // The machine stood still, and counts it as the thread's time.
        assert_eq!(call.met(5_000 * MS), Ok(()));
    }

    #[test]
    fn a_thread_that_others_keep_from_the_processor_is_not_blamed() {
        let mut call = call(5 * MS);
        assert!((0..1_000).all(|_| call.met(3 * MS).is_ok()));
    }
}
