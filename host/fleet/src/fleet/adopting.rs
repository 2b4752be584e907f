//! Instances that this installation launched after its store was saved: whoever puts back an older copy of the data folder has
//! them again.
//!
//! Nothing else is adopted. What another installation of the fleet's name has launched may be served by that one this very moment,
//! and what has a number that our ledger gave out was ended by us.

use super::Fleet;
use super::state::Pool;
use crate::config::PoolConfig;
use crate::event::What;
use crate::ids::{PoolName, ServerNo};
use crate::observation::{Found, Owner};
use crate::record::{Meta, Record};
use crate::server::{AgentToken, Booting, Phase, ServerRecord};

impl Fleet {
    /// Takes into the books what we launched and they do not know yet; returns the others.
    pub(super) fn adopt_newer(&mut self, pool: &PoolName, strangers: Vec<Found>) -> Vec<Found> {
        let is_newer = |found: &Found| matches!(found.owner, Owner::Us(no) if no >= self.meta.next_server);
        let (mut newer, mut others): (Vec<_>, Vec<_>) = strangers.into_iter().partition(is_newer);
        // Of two attempts of one server the older is a leftover.
        newer.sort_by_key(|found| std::cmp::Reverse(found.key.attempt));
        for found in newer {
            let Owner::Us(no) = found.owner else { continue };
            let is_free = !self.servers.contains_key(&no) && !self.server_numbers.contains_key(&found.key.server);
            match is_free && !found.is_kept {
                true => self.adopt_one(pool, no, found),
                false => others.push(found),
            }
        }
        others
    }

    fn adopt_one(&mut self, pool: &PoolName, no: ServerNo, found: Found) {
        let Some(config) = self.pools.get(pool).map(|pool| &pool.config) else {
            return;
        };
        let record = adopted(config, no, found, self.now);
        // The numbers up to this one were given out, to whomever.
        let next_server = self.meta.next_server.max(ServerNo(no.0.saturating_add(1)));
        self.put(Record::Meta(Meta {
            next_server,
            now: self.now,
            ..self.meta.clone()
        }));
        self.add_server(record);
        let Some(server) = self.servers.get(&no) else { return };
        let reason = "we launched it after this store was saved; it takes rooms once it is heard".to_owned();
        let told = self.server_event(server, reason);
        self.tell(What::ServerAdopted(told));
        if !self.pools.get(pool).is_some_and(Pool::is_looked_at) {
            self.became_ready(no, "its provider says that it runs; nobody looks at its health");
        }
    }
}

/// Nobody knows who is on it: it has no deadline to be heard by.
fn adopted(config: &PoolConfig, no: ServerNo, found: Found, now: crate::units::Timestamp) -> ServerRecord {
    let (key, instance) = (found.key, found.instance);
    let url = config
        .url
        .as_ref()
        .map(|url| url.replace("{server}", key.server.as_str()));
    ServerRecord {
        no,
        url: url.or(instance.url),
        name: key.server,
        pool: config.name.clone(),
        attempt: key.attempt,
        instance: Some(instance.instance),
        endpoints: instance.endpoints,
        zone: instance.zone,
        limits: config.limits,
        labels: config.labels.clone(),
        price_per_hour: instance.price_per_hour.unwrap_or(config.price_per_hour),
        offer: None,
        created: now,
        phase: Phase::Booting(Booting {
            since: now,
            deadline: None,
        }),
        hold: None,
        lost: None,
        token: AgentToken::default(),
        left: false,
    }
}
