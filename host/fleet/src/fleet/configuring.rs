//! The pools of the configuration: new ones, changed ones, and those that are gone from it.

use std::collections::BTreeSet;

use super::Fleet;
use super::changes::Thing;
use super::rows;
use super::timers::Timer;
use crate::config::PoolConfig;
use crate::ids::{PoolName, PoolNo};
use crate::pool::{Circuit, PoolBill, PoolRecord};
use crate::record::{Meta, Record, RecordKey};
use crate::units::{Microdollars, Timestamp};

impl Fleet {
    /// Takes in the pools of the configuration: new ones, changed ones, and those that are gone from it.
    pub(super) fn configure_pools(&mut self) {
        let pools = self.config.pools.clone();
        let names: BTreeSet<PoolName> = pools.iter().map(|pool| pool.name.clone()).collect();
        for config in pools {
            self.configure_pool(config);
        }
        for name in self.pools.keys().cloned().collect::<Vec<PoolName>>() {
            if names.contains(&name) {
                continue;
            }
            if let Some(pool) = self.pools.get_mut(&name) {
                pool.retired = true;
            }
            self.renew_cards(&name);
            self.drop_retired_pool(&name);
        }
        // What is configured otherwise may fit otherwise, and what is kept may be kept for the wrong room.
        self.queue.begin_anew();
        self.grown.extend(self.kept.iter().copied());
    }

    fn configure_pool(&mut self, config: PoolConfig) {
        let name = config.name.clone();
        let is_new = !self.pools.contains_key(&name);
        if is_new {
            let no = self.meta.next_pool;
            let next_pool = PoolNo(no.0.saturating_add(1));
            self.put(Record::Meta(Meta {
                next_pool,
                now: self.now,
                ..self.meta.clone()
            }));
            self.put(Record::Pool(Box::new(new_pool(no, name.clone(), self.now))));
        }
        let Some(pool) = self.pools.get(&name) else { return };
        if pool.record.automatic != config.automatic {
            // What its provider has made already no record knows: that is looked at first.
            let record = PoolRecord {
                automatic: config.automatic,
                is_unlisted: config.automatic,
                ..pool.record.clone()
            };
            self.put(Record::Pool(Box::new(record)));
        }
        let Some(pool) = self.pools.get_mut(&name) else { return };
        let was_otherwise = pool.retired || pool.config != config;
        pool.row = rows::pool_row(pool.record.no, &config);
        pool.config = config;
        pool.retired = false;
        pool.blocked = None;
        if was_otherwise {
            if pool.record.is_unlisted {
                self.timers.set(self.now, Timer::List(name.clone()));
            }
            self.changes.touch(Thing::Pool(pool.record.no));
            self.renew_cards(&name);
            self.look_anew(&name);
        }
    }

    /// Forgets a pool that the configuration does not have, once its last server is gone and the month over in which it cost
    /// something: until then it counts against the month's ceiling.
    pub(super) fn drop_retired_pool(&mut self, name: &PoolName) {
        let is_over = self.pools.get(name).is_some_and(|pool| {
            pool.retired && pool.servers.is_empty() && self.cost(pool, self.now).month == Microdollars(0)
        });
        if is_over {
            self.delete(RecordKey::Pool(name.clone()));
        }
    }
}

fn new_pool(no: PoolNo, name: PoolName, now: Timestamp) -> PoolRecord {
    PoolRecord {
        no,
        name,
        automatic: false,
        is_unlisted: false,
        scaling_enabled: true,
        has_found_others: false,
        servers_wanted: 0,
        circuit: Circuit::Closed,
        boots: Vec::new(),
        boot_millis: Vec::new(),
        scaled_up: Timestamp(0),
        scaled_down: Timestamp(0),
        bill: PoolBill {
            until: now,
            ..PoolBill::default()
        },
    }
}
