//! What providers say that exists, beside what the records say.

use std::time::Duration;

use super::Fleet;
use super::launching::NOT_ENDED_YET;
use super::state::Stranger;
use super::timers::Timer;
use crate::effect::{Effect, TerminateOrder};
use crate::event::{ServerEvent, What};
use crate::ids::{PoolName, ServerNo};
use crate::observation::{Found, Instance, InstanceState, Listed, OrderKey, Owner, ProviderError};
use crate::pool::PoolRecord;
use crate::record::Record;
use crate::server::Phase;
use crate::units::Timestamp;

/// A server that its provider's list lacks so often in a row counts as ended: one list may be read too early.
const MISSING_LISTS: u32 = 2;

/// How many instances without a record are remembered in a pool, beside those that are ours to end; the others are seen again when these
/// have gone.
const STRANGERS_MAX: usize = 100;

/// While a launch has been answered and does not run yet, its provider is asked so often: the list has the address that rooms wait
/// for.
pub(super) const LAUNCHING_LIST: Duration = Duration::from_secs(10);

/// A first list that could not be made is asked for again so soon.
const FIRST_LIST_AGAIN: Duration = Duration::from_secs(5);

/// Lists that fail in a row before that is told: one may fail for anything, and the next comes in time.
const FAILED_LISTS_TOLD: u32 = 3;

/// An instance that we launched and that no record knows is ended so long after it was seen first: longer than any list lags
/// behind.
const ORPHAN_AFTER: Duration = Duration::from_secs(120);

/// How many of them one list ends at most: a mistake of ours must not cost everything at once.
const REAPED_MAX: usize = 10;

impl Fleet {
    /// Asks a pool's provider what exists, and sets the time of the next question.
    pub(super) fn ask_for_list(&mut self, name: PoolName) {
        let Some(pool) = self.pools.get(&name) else { return };
        if !pool.config.automatic {
            return;
        }
        let is_any_launching = self
            .of(pool)
            .any(|server| matches!(server.record.phase, Phase::Launching(_)));
        let pause = match is_any_launching {
            true => self.config.reconcile.min(LAUNCHING_LIST),
            false => self.config.reconcile,
        };
        self.out.effects.push(Effect::List(name.clone()));
        self.timers.set(self.now + pause, Timer::List(name));
    }

    pub(super) fn listed(&mut self, listed: Listed) {
        let mut instances = match listed.result {
            Ok(instances) => instances,
            Err(error) => return self.list_failed(listed.pool, &error),
        };
        self.list_succeeded(&listed.pool);
        let Some(pool) = self.pools.get_mut(&listed.pool) else {
            return;
        };
        // A list that is told twice, or late, is no second one: a server that it lacks is not missing for longer.
        if pool.listed >= Some(listed.asked) {
            return;
        }
        pool.listed = Some(listed.asked);
        instances.sort_by(|a, b| a.key.cmp(&b.key));
        let mut seen = Vec::new();
        let mut strangers = Vec::new();
        for found in instances {
            // A list speaks of its own pool's servers only, and of none that somebody else has made.
            match self.launched_in(&listed.pool, &found) {
                Some(no) => {
                    seen.push(no);
                    self.listed_one(no, &found.instance);
                }
                None if found.instance.state != InstanceState::Ended => strangers.push(found),
                None => {}
            }
        }
        self.first_list(&listed.pool, &strangers);
        let strangers = self.adopt_newer(&listed.pool, strangers);
        self.meet_strangers(&listed.pool, strangers, listed.asked);
        seen.sort_unstable();
        self.note_missing(&listed.pool, &seen, listed.asked);
    }

    /// The first list of a pool: servers of this fleet that exist already may be those that a lost store knew. Launching more
    /// beside them is a human's decision.
    fn first_list(&mut self, name: &PoolName, strangers: &[Found]) {
        let Some(pool) = self.pools.get(name).filter(|pool| pool.record.is_unlisted) else {
            return;
        };
        let is_alone = strangers.is_empty();
        let record = PoolRecord {
            is_unlisted: false,
            scaling_enabled: pool.record.scaling_enabled && is_alone,
            has_found_others: !is_alone,
            ..pool.record.clone()
        };
        self.put(Record::Pool(Box::new(record)));
        if is_alone {
            return;
        }
        let reason = format!(
            "off: this installation has not had the pool before, and {} servers of its fleet are in it already; end them or keep them, then switch \
             scaling on",
            strangers.len()
        );
        let told = self.pool_event(name, reason);
        self.tell(What::ScalingSwitched(told));
    }

    /// A list that could not be made says nothing; the next one is asked for in time. Nothing is launched before a pool's first: that
    /// one is not waited for as long as others.
    fn list_failed(&mut self, name: PoolName, error: &ProviderError) {
        let Some(pool) = self.pools.get_mut(&name) else { return };
        pool.lists_failed = pool.lists_failed.saturating_add(1);
        let is_unlisted = pool.record.is_unlisted;
        if pool.lists_failed == FAILED_LISTS_TOLD {
            let reason = format!("what exists is not known, and asked again: {error}");
            let told = self.pool_event(&name, reason);
            self.tell(What::ListFailed(told));
        }
        if is_unlisted {
            self.timers.set(self.now + FIRST_LIST_AGAIN, Timer::List(name));
        }
    }

    fn list_succeeded(&mut self, name: &PoolName) {
        let Some(pool) = self.pools.get_mut(name) else { return };
        let failed = std::mem::take(&mut pool.lists_failed);
        if failed >= FAILED_LISTS_TOLD {
            let told = self.pool_event(name, format!("{failed} lists had failed in a row"));
            self.tell(What::ListRecovered(told));
        }
    }

    /// Returns the server that an instance was launched for. Another installation of this fleet counts from 1 too, and has
    /// servers of the same names.
    fn launched_in(&self, pool: &PoolName, found: &Found) -> Option<ServerNo> {
        let no = self.by_key(&found.key)?;
        let is_ours = match found.owner {
            Owner::Us(owner) => owner == no,
            Owner::Another => false,
            Owner::Unknown => true,
        };
        let is_of_pool = self.servers.get(&no).is_some_and(|server| server.record.pool == *pool);
        (is_ours && is_of_pool).then_some(no)
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
            InstanceState::Stopped => {
                self.ended_behind_our_back(no, "its provider says that its instance was stopped");
            }
            InstanceState::Ended => self.ended_behind_our_back(no, "its provider says that its instance has ended"),
        }
    }

    fn note_missing(&mut self, pool: &PoolName, seen: &[ServerNo], asked: Timestamp) {
        let Some(pool) = self.pools.get(pool) else { return };
        let missing: Vec<ServerNo> = self
            .of(pool)
            .filter(|server| {
                (matches!(
                    server.record.phase,
                    Phase::Launching(_) | Phase::Booting(_) | Phase::Ready(_)
                ) || server.is_kept_failed())
                    && server.record.phase.since() < asked
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
            Phase::Launching(_) | Phase::Booting(_) => self.boot_failed(no, reason.into(), true),
            Phase::Ready(_) => {
                self.lose(no, reason.into());
                // Nothing can come back: whatever is left under its key may go at once.
                self.terminate(no, reason.into());
            }
            Phase::Failed(failed) if failed.is_kept => self.terminate(no, reason.into()),
            Phase::Requested(_) | Phase::Failed(_) | Phase::Terminating(_) => {}
        }
    }

    /// Tells of instances without a record, each once, and ends those that this installation launched itself.
    fn meet_strangers(&mut self, name: &PoolName, found: Vec<Found>, asked: Timestamp) {
        let mut reaped = 0;
        for found in found {
            let is_orphan = self.is_orphan(&found);
            let Some(pool) = self.pools.get_mut(name) else { return };
            // However many others there are, what is ours to end is not passed over.
            let is_full = pool.strangers.len() >= STRANGERS_MAX && !is_orphan;
            let stranger = (found.key.clone(), found.instance.instance.clone());
            match pool.strangers.get_mut(&stranger) {
                Some(stranger) => stranger.seen = asked,
                None if is_full => continue,
                None => {
                    let fresh = Stranger {
                        first: asked,
                        seen: asked,
                        told: self.stranger_event(name, &found, self.stranger_reason(&found)),
                        is_reaped: false,
                    };
                    self.tell(What::ServerUnknown(fresh.told.clone()));
                    if let Some(pool) = self.pools.get_mut(name) {
                        pool.strangers.insert(stranger, fresh);
                    }
                }
            }
            if is_orphan {
                self.reap(name, found, &mut reaped);
            }
        }
        if let Some(pool) = self.pools.get_mut(name) {
            pool.strangers.retain(|_, stranger| stranger.seen == asked);
        }
    }

    fn stranger_reason(&self, found: &Found) -> String {
        let attempt = found.key.attempt;
        let who = match found.owner {
            Owner::Us(no) if self.is_given_out_elsewhere(no) => {
                "we launched it after this store was saved, and cannot have it here: it is left alone"
            }
            Owner::Us(_) => "we launched it",
            Owner::Another => "another installation with this fleet's name launched it: it is left alone",
            Owner::Unknown => "it is left alone",
        };
        let kept = if found.is_kept {
            ", and it is marked to be kept"
        } else {
            ""
        };
        format!("its provider lists attempt {attempt} of it, and no record knows it; {who}{kept}")
    }

    /// Whether an instance is a leftover of ours: our own ledger gave out its number and knows of a later attempt, or of none,
    /// and nobody wants it kept.
    fn is_orphan(&self, found: &Found) -> bool {
        let Owner::Us(no) = found.owner else { return false };
        let is_ours = match self.servers.get(&no).map(|server| &server.record) {
            Some(known) => known.name == found.key.server && known.attempt > found.key.attempt,
            None => !self.is_given_out_elsewhere(no),
        };
        is_ours && !found.is_kept
    }

    /// Orders the end of a leftover, with every list anew for as long as it is there; that it is ordered is told once.
    fn reap(&mut self, name: &PoolName, found: Found, reaped: &mut usize) {
        let stranger = (found.key.clone(), found.instance.instance.clone());
        let Some(stranger) = self
            .pools
            .get_mut(name)
            .and_then(|pool| pool.strangers.get_mut(&stranger))
        else {
            return;
        };
        let is_due = stranger.seen.since(stranger.first) >= ORPHAN_AFTER;
        if !is_due || (!stranger.is_reaped && *reaped == REAPED_MAX) {
            return;
        }
        if !stranger.is_reaped {
            *reaped += 1;
            stranger.is_reaped = true;
            stranger.told.reason = "we launched it, and no record knows it any more".into();
            let told = stranger.told.clone();
            self.tell(What::ServerReaped(told));
        }
        self.out.effects.push(Effect::Terminate(TerminateOrder {
            key: found.key,
            pool: name.clone(),
            instance: Some(found.instance.instance),
            since: self.now,
        }));
    }

    /// Tells why a leftover is not ended, where only a human can help; once, and again when it is something else.
    pub(super) fn reaping_hindered(&mut self, key: &OrderKey, error: &ProviderError) {
        let (ProviderError::Refused(why) | ProviderError::Misconfigured(why)) = error else {
            return;
        };
        let reason = format!("{NOT_ENDED_YET}: {why}");
        let mut strangers = self.pools.values_mut().flat_map(|pool| &mut pool.strangers);
        let hindered = strangers.find(|((of, _), stranger)| of == key && stranger.is_reaped);
        let Some((_, stranger)) = hindered.filter(|(_, stranger)| stranger.told.reason != reason) else {
            return;
        };
        stranger.told.reason = reason;
        let told = stranger.told.clone();
        self.tell(What::ServerReaped(told));
    }

    fn stranger_event(&self, pool: &PoolName, found: &Found, reason: String) -> ServerEvent {
        let of_pool = self.pools.get(pool).map(|pool| pool.config.price_per_hour);
        let price_per_hour = found.price_per_hour().or(of_pool).unwrap_or_default();
        ServerEvent {
            server: found.key.server.clone(),
            pool: pool.clone(),
            instance: Some(found.instance.instance.clone()),
            offer: found.offer.clone(),
            price_per_hour,
            rooms: 0,
            reason,
        }
    }
}
