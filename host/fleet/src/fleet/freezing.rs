//! Many silent at once is our own trouble: nobody is declared lost by silence, and nothing is scaled down.

use super::Fleet;
use super::state::{Pool, Server};
use crate::event::{FreezeEvent, What};
use crate::ids::PoolName;

/// The freeze needs so many silent servers: one that is silent is no sign of trouble of ours.
const FREEZE_SERVERS_MIN: usize = 2;

impl Fleet {
    /// Whether the fleet as a whole or any pool is frozen: many of its servers are silent at once.
    pub fn is_frozen(&self) -> bool {
        self.health.frozen || self.pools.values().any(|pool| pool.frozen)
    }

    pub(super) fn is_fleet_frozen(&self) -> bool {
        self.health.frozen
    }

    pub(super) fn is_frozen_for(&self, pool: &Pool) -> bool {
        self.health.frozen || pool.frozen
    }

    /// Freezes or thaws a pool and the fleet, by how many of their servers are silent.
    pub(super) fn judge_freeze(&mut self, name: &PoolName) {
        if let Some(pool) = self.pools.get(name) {
            let (silent, all) = count_silent(self.of(pool));
            let frozen = self.is_too_silent(silent, all);
            if frozen != pool.frozen {
                self.tell_freeze(Some(name.clone()), frozen, silent, all);
                if let Some(pool) = self.pools.get_mut(name) {
                    pool.frozen = frozen;
                }
            }
        }
        let (silent, all) = count_silent(self.servers.values());
        let frozen = self.is_too_silent(silent, all);
        if frozen != self.health.frozen {
            self.tell_freeze(None, frozen, silent, all);
            self.health.frozen = frozen;
        }
    }

    /// Judges every pool: servers come and go without a word about their health.
    pub(super) fn judge_freezes(&mut self) {
        for name in self.pools.keys().cloned().collect::<Vec<PoolName>>() {
            self.judge_freeze(&name);
        }
    }

    fn is_too_silent(&self, silent: usize, all: usize) -> bool {
        let percent = self.config.guards.freeze_silent_percent as usize;
        silent >= FREEZE_SERVERS_MIN && silent * 100 >= all * percent
    }

    fn tell_freeze(&mut self, pool: Option<PoolName>, frozen: bool, silent: usize, servers: usize) {
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let event = FreezeEvent {
            pool,
            silent: count(silent),
            servers: count(servers),
            reason: match frozen {
                true => {
                    "so many at once are our own trouble: none is declared lost for silence, and nothing is scaled down"
                }
                false => "enough of them are heard again, or gone",
            }
            .into(),
        };
        self.tell(if frozen {
            What::Frozen(event)
        } else {
            What::Thawed(event)
        });
    }
}

/// Counts the silent among the servers that serve; whoever made one that has left may have ended it.
fn count_silent<'a>(servers: impl Iterator<Item = &'a Server>) -> (usize, usize) {
    let serving = servers.filter(|server| server.record.phase.is_ready() && !server.is_lost() && !server.record.left);
    serving.fold((0, 0), |(silent, all), server| {
        (silent + usize::from(server.is_silent()), all + 1)
    })
}
