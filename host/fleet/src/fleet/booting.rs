//! From an instance to a server that serves; and the circuit that stops launches when too many never do.

use std::time::Duration;

use super::Fleet;
use super::launching::push_bounded;
use super::listing::LAUNCHING_LIST;
use super::state::Pool;
use super::timers::Timer;
use crate::event::{PoolEvent, What};
use crate::ids::{PoolName, ServerNo};
use crate::observation::InstanceState;
use crate::pool::{Circuit, Open, PoolRecord};
use crate::record::Record;
use crate::server::{BootPhase, Booting, Failed, Launching, Phase, Ready};

/// How long an opened circuit stays open at first, in seconds; failing again doubles it.
const CIRCUIT_SECONDS: u32 = 300;

/// The longest that a circuit stays open, in seconds.
const CIRCUIT_SECONDS_MAX: u32 = 3600;

/// How many boots a pool remembers for the median of their times.
const BOOTS_REMEMBERED: usize = 16;

impl Fleet {
    pub(super) fn begin_boot(&mut self, no: ServerNo, state: InstanceState) {
        let Some(server) = self.servers.get(&no) else { return };
        let Some(pool) = self.pools.get(&server.record.pool) else {
            return;
        };
        let deadline = self.now + pool.config.guards.boot_max;
        let is_looked_at = pool.is_looked_at();
        let since = self.now;
        let phase = match state {
            InstanceState::Pending => Phase::Launching(Launching { since, deadline }),
            InstanceState::Running => Phase::Booting(Booting {
                since,
                deadline: Some(deadline),
            }),
            InstanceState::Stopped | InstanceState::Ended => {
                return self.boot_failed(no, "its instance ended at once".into(), true);
            }
        };
        let is_running = matches!(phase, Phase::Booting(_));
        if !is_running {
            self.timers
                .set(since + LAUNCHING_LIST, Timer::List(pool.config.name.clone()));
        }
        self.change_server(no, |record| record.phase = phase);
        if is_running && !is_looked_at {
            self.became_ready(no, "its provider says that it runs; nobody looks at its health");
        } else {
            self.watch(no);
        }
        self.time_server(no);
    }

    /// The provider says that a launching server runs now.
    pub(super) fn runs(&mut self, no: ServerNo) {
        let Some(server) = self.servers.get(&no) else { return };
        let Phase::Launching(launching) = &server.record.phase else {
            return;
        };
        let deadline = Some(launching.deadline);
        let is_looked_at = self.pools.get(&server.record.pool).is_none_or(Pool::is_looked_at);
        let phase = Phase::Booting(Booting {
            since: launching.since,
            deadline,
        });
        self.change_server(no, |record| record.phase = phase);
        if is_looked_at {
            self.watch(no);
            self.time_server(no);
        } else {
            self.became_ready(no, "its provider says that it runs; nobody looks at its health");
        }
    }

    /// A starting server has shown that it serves.
    pub(super) fn became_ready(&mut self, no: ServerNo, reason: &str) {
        let Some(server) = self.servers.get(&no) else { return };
        if !matches!(server.record.phase, Phase::Launching(_) | Phase::Booting(_)) {
            return;
        }
        // How long one booted that was adopted nobody knows.
        let is_adopted = server.record.is_adopted_unheard();
        let (pool, boot) = (server.record.pool.clone(), self.now.since(server.record.created));
        let phase = Phase::Ready(Ready { since: self.now });
        self.change_server(no, |record| record.phase = phase);
        self.tell_ready(no, reason);
        if !is_adopted && self.pools.get(&pool).is_some_and(|pool| pool.config.automatic) {
            self.boot_ended(&pool, no, Some(boot));
        }
        self.time_server(no);
    }

    pub(super) fn tell_ready(&mut self, no: ServerNo, reason: &str) {
        let Some(server) = self.servers.get(&no) else { return };
        let told = self.server_event(server, reason.to_owned());
        self.tell(What::ServerReady(told));
        self.grown.insert(no);
    }

    /// A launched server will not become ready: it counts against its pool's circuit, is examined, and then ended or kept.
    pub(super) fn boot_failed(&mut self, no: ServerNo, reason: String, has_ended: bool) {
        let Some(server) = self.servers.get(&no) else { return };
        let pool = server.record.pool.clone();
        let is_adopted = server.record.is_adopted_unheard();
        let last_phase = match &server.record.phase {
            Phase::Booting(_) => BootPhase::Booting,
            _ => BootPhase::Launching,
        };
        let phase = Phase::Failed(Failed {
            since: self.now,
            reason,
            last_phase,
            has_ended,
            is_kept: false,
        });
        self.change_server(no, |record| record.phase = phase);
        self.unwatch(no);
        self.verdict_failed(no, "boot_failed", self.now);
        if !is_adopted {
            self.boot_ended(&pool, no, None);
        }
        self.examine(no);
    }

    /// Counts how a boot ended, and opens or closes the pool's circuit.
    fn boot_ended(&mut self, name: &PoolName, no: ServerNo, took: Option<Duration>) {
        let Some(pool) = self.pools.get(name) else { return };
        let is_trial = self.servers.get(&no).is_some_and(|server| pool.is_trial(server));
        let mut record = pool.record.clone();
        let (max, window) = (
            pool.config.guards.boot_failures_max,
            pool.config.guards.boot_failures_window,
        );
        push_bounded(&mut record.boots, took.is_some(), window as usize);
        if let Some(took) = took {
            let millis = u32::try_from(took.as_millis()).unwrap_or(u32::MAX);
            push_bounded(&mut record.boot_millis, millis, BOOTS_REMEMBERED);
        }
        let failures = record.boots.iter().filter(|became_ready| !**became_ready).count();
        let opens = took.is_none() && (is_trial || failures >= max as usize);
        let told = match &record.circuit {
            Circuit::Open(open) if opens && is_trial => {
                let seconds = open.seconds.saturating_mul(2).min(CIRCUIT_SECONDS_MAX);
                Some(self.open_circuit(&mut record, no, seconds))
            }
            Circuit::Closed if opens => Some(self.open_circuit(&mut record, no, CIRCUIT_SECONDS)),
            Circuit::Open(_) if took.is_some() => {
                record.circuit = Circuit::Closed;
                record.boots.clear();
                Some(What::CircuitClosed(self.circuit_event(
                    name,
                    no,
                    "a server became ready".into(),
                )))
            }
            Circuit::Open(_) | Circuit::Closed => None,
        };
        self.put(Record::Pool(Box::new(record)));
        if let Some(told) = told {
            self.tell(told);
        }
    }

    fn open_circuit(&self, record: &mut PoolRecord, no: ServerNo, seconds: u32) -> What {
        let until = self.now + Duration::from_secs(seconds.into());
        record.circuit = Circuit::Open(Open { until, seconds });
        let failures = record.boots.iter().filter(|became_ready| !**became_ready).count();
        let reason = format!(
            "{failures} of the last {} launched servers never became ready; no launches for {seconds} s, then one trial",
            record.boots.len()
        );
        What::CircuitOpened(self.circuit_event(&record.name, no, reason))
    }

    fn circuit_event(&self, pool: &PoolName, no: ServerNo, reason: String) -> PoolEvent {
        let mut event = self.pool_event(pool, reason);
        if let Some(server) = self.servers.get(&no) {
            event.server = Some(server.record.name.clone());
            event.offer = server.record.offer.clone();
            event.price_per_hour = server.record.price_per_hour;
        }
        event
    }
}
