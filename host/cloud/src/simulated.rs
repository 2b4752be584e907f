//! A cloud without machines: servers that boot, report and fail by seed. The demo's and the tests' cloud.
//!
//! What becomes of a launch is drawn from the seed and the launch's key alone, so that a run can be repeated and a
//! restart changes no fate. Its servers carry no load of their own, so their reports are signs of life and nothing more.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

use usher_fleet::Observation;
use usher_fleet::effect::{LaunchOrder, TerminateOrder};
use usher_fleet::ids::{Attempt, ServerName};
use usher_fleet::observation::{Found, Instance, InstanceState, OrderKey, ProviderError, Report, Reported};
use usher_fleet::server::Phase;
use usher_fleet::status::ServerStatus;

use crate::chance::draw;
use crate::cloud::Observe;
use crate::config::{PoolSetup, ProviderConfig, SimulatedConfig};
use crate::provider::{Answer, Provider};
use crate::task::Task;

/// The shortest time between two reports of a server, whatever the settings say: a zero would spin.
const REPORT_MIN: Duration = Duration::from_millis(10);

/// The longest span, whatever the settings say: a year, which no clock overflows.
const SPAN_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// The provider `simulated`. Its time is tokio's, so that a test can pause it.
pub struct Simulated {
    observe: Observe,
    runtime: Handle,
    state: Mutex<State>,
}

struct State {
    config: SimulatedConfig,
    zones: Vec<String>,
    servers: BTreeMap<OrderKey, SimulatedServer>,
}

struct SimulatedServer {
    boots_until: Instant,
    fate: Fate,
    zone: Option<String>,
    /// Sends its reports, if it ever does.
    _reports: Option<Task>,
}

/// What becomes of a launched server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It boots, and reports from then on.
    Serves,
    /// It never reports; the list says that it runs.
    StaysSilent,
    /// It never reports; the list says that it has ended, once its boot is over.
    Ends,
}

impl Simulated {
    /// Makes the provider of one pool, without servers. Its servers report by `observe`, on `runtime`.
    pub fn new(setup: &PoolSetup, config: SimulatedConfig, observe: Observe, runtime: Handle) -> Simulated {
        let state = State {
            config,
            zones: setup.zones.clone(),
            servers: BTreeMap::new(),
        };
        Simulated {
            observe,
            runtime,
            state: Mutex::new(state),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds this lock")
    }

    fn launch_now(&self, key: &OrderKey) -> Result<Instance, ProviderError> {
        let mut state = self.state();
        if !state.servers.contains_key(key) {
            let capacity = state.config.capacity;
            if state.servers.len() >= capacity as usize {
                let reason = format!("all {capacity} servers of the simulation exist already");
                return Err(ProviderError::NoCapacity(reason));
            }
            let fate = state.fate(key);
            let zone = state.zone(key);
            let boot = seconds(state.config.boot_seconds);
            let server = self.server(&state.config, key, fate, zone, boot);
            state.servers.insert(key.clone(), server);
        }
        Ok(state.servers[key].instance(key))
    }

    fn server(
        &self,
        config: &SimulatedConfig,
        key: &OrderKey,
        fate: Fate,
        zone: Option<String>,
        boot: Duration,
    ) -> SimulatedServer {
        let every = seconds(config.report_seconds).max(REPORT_MIN);
        let reports = match fate {
            Fate::Serves => {
                let reporting = report_for_ever(self.observe.clone(), key.server.clone(), boot, every);
                Some(Task::new(self.runtime.spawn(reporting)))
            }
            Fate::StaysSilent | Fate::Ends => None,
        };
        SimulatedServer {
            boots_until: Instant::now() + boot,
            fate,
            zone,
            _reports: reports,
        }
    }

    /// Rebuilds one server: a ready one reports at once, one that was booting starts its boot anew.
    fn recover_one(&self, status: &ServerStatus) {
        let key = OrderKey {
            server: status.card.name.clone(),
            attempt: status.attempt,
        };
        let mut state = self.state();
        let boot = seconds(state.config.boot_seconds);
        let (fate, boot) = match &status.phase {
            // Not known to have existed: its launch is asked again.
            Phase::Requested(_) => return,
            Phase::Launching(_) | Phase::Booting(_) => (state.fate(&key), boot),
            // It has served, whatever the settings say of it now.
            Phase::Ready(_) => (Fate::Serves, Duration::ZERO),
            Phase::Failed(_) => (Fate::StaysSilent, Duration::ZERO),
            // It is being ended: nothing left is what shall be found.
            Phase::Terminating(_) => return,
        };
        if !state.servers.contains_key(&key) {
            let zone = status.card.zone.clone();
            let server = self.server(&state.config, &key, fate, zone, boot);
            state.servers.insert(key, server);
        }
    }
}

impl Provider for Simulated {
    fn launch<'a>(&'a self, order: &'a LaunchOrder) -> Answer<'a, Instance> {
        Box::pin(async { self.launch_now(&order.key) })
    }

    fn terminate<'a>(&'a self, order: &'a TerminateOrder) -> Answer<'a, ()> {
        Box::pin(async {
            self.state().servers.remove(&order.key);
            Ok(())
        })
    }

    fn list(&self) -> Answer<'_, Vec<Found>> {
        Box::pin(async {
            let state = self.state();
            let instances = state.servers.iter();
            Ok(instances
                .map(|(key, server)| Found::from((key.clone(), server.instance(key))))
                .collect())
        })
    }

    /// The servers that exist keep their fates and their rhythm; the new settings are for those to come.
    fn reconfigure(&self, setup: &PoolSetup) -> bool {
        match &setup.provider {
            ProviderConfig::Simulated(config) => {
                let mut state = self.state();
                state.config = config.clone();
                state.zones = setup.zones.clone();
                true
            }
            ProviderConfig::External | ProviderConfig::Exec(_) | ProviderConfig::Ec2(_) => false,
        }
    }

    fn recover(&self, servers: &[&ServerStatus]) {
        for status in servers {
            self.recover_one(status);
        }
    }

    fn probe(&self, server: &ServerName) -> Option<Result<(), String>> {
        let first = OrderKey {
            server: server.clone(),
            attempt: Attempt(0),
        };
        let state = self.state();
        let serves = state
            .servers
            .range(first..)
            .take_while(|(key, _)| key.server == *server)
            .any(|(_, simulated)| simulated.serves());
        Some(if serves {
            Ok(())
        } else {
            Err("the simulation has no such server that serves".to_owned())
        })
    }
}

impl State {
    fn fate(&self, key: &OrderKey) -> Fate {
        let name = key.server.as_str();
        let attempt = u64::from(key.attempt.0);
        if draw(self.config.seed, name, attempt) >= self.config.boot_failure_rate {
            return Fate::Serves;
        }
        // A draw of its own: another seed, so that how it fails does not follow from whether it does.
        if draw(!self.config.seed, name, attempt) < 0.5 {
            Fate::StaysSilent
        } else {
            Fate::Ends
        }
    }

    fn zone(&self, key: &OrderKey) -> Option<String> {
        let at = draw(self.config.seed, key.server.as_str(), u64::MAX) * self.zones.len() as f64;
        self.zones.get(at as usize).cloned()
    }
}

impl SimulatedServer {
    fn serves(&self) -> bool {
        self.fate == Fate::Serves && Instant::now() >= self.boots_until
    }

    fn instance(&self, key: &OrderKey) -> Instance {
        let state = match self.fate {
            Fate::Ends if Instant::now() >= self.boots_until => InstanceState::Ended,
            Fate::Ends | Fate::Serves | Fate::StaysSilent => InstanceState::Running,
        };
        // An id may have what a host name may not.
        let host = key.server.as_str().replace([':', '_'], "-");
        Instance {
            instance: format!("sim-{}-{}", key.server, key.attempt),
            state,
            url: Some(format!("wss://{host}.simulated.invalid")),
            endpoints: BTreeMap::new(),
            zone: self.zone.clone(),
            price_per_hour: None,
        }
    }
}

/// Reports after the boot and then regularly. No data is not zero: there is nothing that it could honestly measure.
async fn report_for_ever(observe: Observe, server: ServerName, boot: Duration, every: Duration) {
    sleep(boot).await;
    loop {
        observe(Observation::Reported(Reported {
            server: server.clone(),
            report: Report::default(),
        }));
        sleep(every).await;
    }
}

/// Turns a setting into a span, at most [`SPAN_MAX`]; what is no span (negative, endless, not a number) is none at all.
fn seconds(setting: f64) -> Duration {
    Duration::try_from_secs_f64(setting).unwrap_or_default().min(SPAN_MAX)
}

#[cfg(test)]
mod tests;
