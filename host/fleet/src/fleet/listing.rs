//! What providers say that exists, beside what the records say.

use super::Fleet;
use super::timers::Timer;
use crate::effect::Effect;
use crate::event::{ServerEvent, What};
use crate::ids::{PoolName, ServerNo};
use crate::observation::{Instance, InstanceState, Listed, OrderKey};
use crate::server::Phase;
use crate::units::{Microdollars, Timestamp};

/// A server that its provider's list lacks so often in a row counts as ended: one list may be read too early.
const MISSING_LISTS: u32 = 2;

/// How many instances without a record are told of in a pool, each once; more would only fill the log.
const UNKNOWN_TOLD_MAX: usize = 100;

impl Fleet {
    /// Asks a pool's provider what exists, and sets the time of the next question.
    pub(super) fn ask_for_list(&mut self, name: PoolName) {
        let Some(pool) = self.pools.get(&name) else { return };
        if !pool.config.automatic {
            return;
        }
        self.out.effects.push(Effect::List(name.clone()));
        self.timers.set(self.now + self.config.reconcile, Timer::List(name));
    }

    pub(super) fn listed(&mut self, listed: Listed) {
        // A list that could not be made says nothing: the next one is asked for in time.
        let Ok(mut instances) = listed.result else { return };
        let Some(pool) = self.pools.get_mut(&listed.pool) else {
            return;
        };
        // A list that is told twice, or late, is no second one: a server that it lacks is not missing for longer.
        if pool.listed >= Some(listed.asked) {
            return;
        }
        pool.listed = Some(listed.asked);
        instances.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut seen = Vec::new();
        let mut unknown = Vec::new();
        for (key, instance) in &instances {
            // A list speaks of its own pool's servers only, and of none that somebody else has made.
            match self.launched_in(&listed.pool, key) {
                Some(no) => {
                    seen.push(no);
                    self.listed_one(no, instance);
                }
                None if instance.state != InstanceState::Ended => unknown.push((key, instance)),
                None => {}
            }
        }
        for (key, instance) in unknown {
            self.tell_unknown(&listed.pool, key, instance);
        }
        seen.sort_unstable();
        self.note_missing(&listed.pool, &seen, listed.asked);
    }

    fn launched_in(&self, pool: &PoolName, key: &OrderKey) -> Option<ServerNo> {
        self.by_key(key)
            .filter(|no| self.servers.get(no).is_some_and(|server| server.record.pool == *pool))
    }

    fn listed_one(&mut self, no: ServerNo, instance: &Instance) {
        let Some(server) = self.servers.get_mut(&no) else {
            return;
        };
        server.missing = 0;
        let phase = &server.record.phase;
        match instance.state {
            // The answer to the launch is still owed; it comes with the same key.
            _ if matches!(phase, Phase::Requested(_)) => {}
            InstanceState::Pending => self.describe(no, instance),
            InstanceState::Running => {
                self.describe(no, instance);
                self.runs(no);
            }
            InstanceState::Ended => self.ended_behind_our_back(no, "its provider says that its instance has ended"),
        }
    }

    fn note_missing(&mut self, pool: &PoolName, seen: &[ServerNo], asked: Timestamp) {
        let Some(pool) = self.pools.get(pool) else { return };
        let missing: Vec<ServerNo> = self
            .of(pool)
            .filter(|server| {
                matches!(
                    server.record.phase,
                    Phase::Launching(_) | Phase::Booting(_) | Phase::Ready(_)
                ) && server.record.phase.since() < asked
                    && seen.binary_search(&server.no()).is_err()
            })
            .map(super::state::Server::no)
            .collect();
        for no in missing {
            let Some(server) = self.servers.get_mut(&no) else {
                continue;
            };
            server.missing += 1;
            if server.missing >= MISSING_LISTS {
                self.ended_behind_our_back(no, "its provider does not list its instance any more");
            }
        }
    }

    /// A server's instance has ended without us: what was starting has failed, what served is lost.
    fn ended_behind_our_back(&mut self, no: ServerNo, reason: &str) {
        let Some(server) = self.servers.get(&no) else { return };
        match &server.record.phase {
            Phase::Launching(_) | Phase::Booting(_) => self.boot_failed(no, reason.into()),
            Phase::Ready(_) => {
                self.lose(no, reason.into());
                // Nothing can come back: whatever is left under its key may go at once.
                self.terminate(no, reason.into());
            }
            Phase::Requested(_) | Phase::Failed(_) | Phase::Terminating(_) => {}
        }
    }

    fn tell_unknown(&mut self, pool: &PoolName, key: &OrderKey, instance: &Instance) {
        let Some(known) = self.pools.get_mut(pool) else { return };
        if known.unknown_told.len() >= UNKNOWN_TOLD_MAX || !known.unknown_told.insert(key.clone()) {
            return;
        }
        self.tell(What::ServerUnknown(ServerEvent {
            server: key.server.clone(),
            pool: pool.clone(),
            instance: Some(instance.instance.clone()),
            price_per_hour: instance.price_per_hour.unwrap_or(Microdollars(0)),
            rooms: 0,
            reason: format!(
                "its provider lists attempt {} of it, and no record knows it",
                key.attempt
            ),
        }));
    }
}
