//! Which servers are probed regularly, and when each one's turn is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use tracing::warn;

use usher_fleet::Observation;
use usher_fleet::effect::Watch;
use usher_fleet::ids::ServerName;
use usher_fleet::observation::Probed;

use crate::chance::draw;
use crate::cloud::Shared;
use crate::config::ProbeConfig;
use crate::probe::{LastSeen, shortfall, timing};
use crate::task::Task;

/// How far the time between two probes strays from the interval, to either side, as a part of it: servers that were
/// launched together are soon probed apart.
const JITTER: f64 = 0.1;

/// How often a server is looked at that has never answered: rooms wait for its boot, and a boot ends at any moment.
const BOOT_INTERVAL: Duration = Duration::from_millis(500);
/// How many such looks there are; what has not answered in five minutes boots slowly, or is dead.
const BOOT_LOOKS_MAX: u64 = 600;

/// The servers that are probed regularly, each by a task of its own.
#[derive(Default)]
pub(crate) struct Watches(Mutex<HashMap<ServerName, Watched>>);

struct Watched {
    watch: Watch,
    _probes: Task,
}

impl Watches {
    /// Begins to probe a server. The same watch again changes nothing; another one takes its place.
    pub(crate) fn begin(&self, shared: &Arc<Shared>, watch: Watch) {
        let mut watches = self.0.lock().expect("nothing panics while it holds this lock");
        if watches.get(&watch.server).is_some_and(|watched| watched.watch == watch) {
            return;
        }
        let probing = probe_for_ever(Arc::clone(shared), watch.clone());
        let watched = Watched {
            watch: watch.clone(),
            _probes: Task::new(shared.runtime.spawn(probing)),
        };
        watches.insert(watch.server, watched);
    }

    /// Ends the probing of a server.
    pub(crate) fn end(&self, server: &ServerName) {
        self.0
            .lock()
            .expect("nothing panics while it holds this lock")
            .remove(server);
    }

    /// Ends the probing of all.
    pub(crate) fn end_all(&self) {
        self.0.lock().expect("nothing panics while it holds this lock").clear();
    }
}

/// Probes a server until the task is ended, by whatever its pool's setup says at the time.
async fn probe_for_ever(shared: Arc<Shared>, watch: Watch) {
    let mut last = LastSeen::Answering;
    let mut has_answered = false;
    let mut warned_of = None;
    // Soon, so that a server that has just booted is known soon; not at once, so that a restart probes not all together.
    let interval = timing(&shared.probe_config(&watch.pool)).interval;
    sleep(interval.mul_f64(JITTER * draw(0, watch.server.as_str(), 0))).await;
    for round in 1.. {
        let begun = Instant::now();
        let config = shared.probe_config(&watch.pool);
        if config != ProbeConfig::None {
            warn_once(&mut warned_of, &config, &watch);
            let result = shared.look(&config, &watch, last).await;
            has_answered |= result.is_ok();
            last = match result {
                Ok(()) => LastSeen::Answering,
                Err(_) => LastSeen::Failing,
            };
            (shared.observe)(Observation::Probed(Probed {
                server: watch.server.clone(),
                url: watch.url.clone(),
                result,
            }));
        }
        let usual = timing(&config).interval;
        let is_booting = !has_answered && round <= BOOT_LOOKS_MAX;
        let interval = if is_booting { usual.min(BOOT_INTERVAL) } else { usual };
        sleep_until(begun + jittered(interval, &watch.server, round)).await;
    }
}

/// Says once for each setup what its probe cannot see.
fn warn_once(warned_of: &mut Option<ProbeConfig>, config: &ProbeConfig, watch: &Watch) {
    if warned_of.as_ref() == Some(config) {
        return;
    }
    *warned_of = Some(config.clone());
    if let Some(shortfall) = shortfall(config, &watch.url) {
        warn!(server = %watch.server, pool = %watch.pool, url = watch.url, "{shortfall}");
    }
}

fn jittered(interval: Duration, server: &ServerName, round: u64) -> Duration {
    interval.mul_f64(1.0 - JITTER + 2.0 * JITTER * draw(0, server.as_str(), round))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_servers_watched_together_are_soon_probed_apart() {
        let interval = Duration::from_secs(4);
        let (one, other) = ("demo-1".parse().unwrap(), "demo-2".parse().unwrap());
        for round in 1..100 {
            let wait = jittered(interval, &one, round);
            assert!(
                wait >= Duration::from_millis(3600) && wait <= Duration::from_millis(4400),
                "{wait:?}"
            );
            assert_ne!(wait, jittered(interval, &other, round));
        }
    }
}
