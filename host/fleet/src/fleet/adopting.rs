//! Instances that this installation launched after its store was saved: whoever puts back an older copy of the data folder has
//! them again.
//!
//! Nothing else is adopted. What another installation of the fleet's name has launched may be served by that one this very moment,
//! and what has a number that only our ledger can have given out was ended by us.

use super::state::Pool;
use super::{Fleet, SERVERS_MAX};
use crate::config::{HealthSource, PoolConfig};
use crate::event::What;
use crate::ids::{PoolName, ServerNo};
use crate::observation::{Found, InstanceState, Owner};
use crate::record::{Meta, Record};
use crate::server::{AgentToken, Booting, Cordoned, Hold, HoldOwner, Phase, ServerRecord};

/// How many instances one list has adopted at most; the others are adopted with the next.
const ADOPTED_MAX: usize = 100;

impl Fleet {
    /// Takes into the books what we launched and they do not know; returns the others.
    pub(super) fn adopt_newer(&mut self, pool: &PoolName, strangers: Vec<Found>) -> Vec<Found> {
        self.note_newer_numbers(&strangers);
        let is_newer = |found: &Found| matches!(found.owner, Owner::Us(no) if self.is_given_out_elsewhere(no));
        let (mut newer, mut others): (Vec<_>, Vec<_>) = strangers.into_iter().partition(is_newer);
        // Of two attempts of one server the older is a leftover.
        newer.sort_by_key(|found| std::cmp::Reverse(found.key.attempt));
        let mut adopted = 0;
        for found in newer {
            let Owner::Us(no) = found.owner else { continue };
            let is_free = !self.servers.contains_key(&no) && !self.server_numbers.contains_key(&found.key.server);
            match found.instance.state {
                _ if !is_free || found.is_kept || self.servers.len() >= SERVERS_MAX => others.push(found),
                InstanceState::Running if adopted < ADOPTED_MAX => {
                    adopted += 1;
                    self.adopt_server(pool, no, found);
                }
                // What somebody has stopped is theirs to start, or to end.
                InstanceState::Stopped => others.push(found),
                // The next list has it again.
                InstanceState::Running | InstanceState::Pending | InstanceState::Ended => {}
            }
        }
        others
    }

    /// A number that our ledger has not given out shows that it is an older copy. Which ones the newer one gave out is not known but
    /// by the highest: it began with those that we have given out since we began.
    fn note_newer_numbers(&mut self, strangers: &[Found]) {
        let newer = strangers.iter().filter_map(|found| match found.owner {
            Owner::Us(no) if no >= self.meta.next_server => Some(no),
            _ => None,
        });
        let Some(highest) = newer.max() else { return };
        let mut servers_elsewhere = self.meta.servers_elsewhere.clone();
        match servers_elsewhere.last_mut() {
            Some((from, to)) if *from == self.began_at => *to = highest,
            _ => servers_elsewhere.push((self.began_at, highest)),
        }
        self.put(Record::Meta(Meta {
            next_server: ServerNo(highest.0.saturating_add(1)),
            servers_elsewhere,
            now: self.now,
            ..self.meta.clone()
        }));
    }

    /// Whether a newer copy of the store may have given out a server's number.
    pub(super) fn is_given_out_elsewhere(&self, no: ServerNo) -> bool {
        let mut ranges = self.meta.servers_elsewhere.iter();
        ranges.any(|(from, to)| (*from..=*to).contains(&no))
    }

    fn adopt_server(&mut self, pool: &PoolName, no: ServerNo, found: Found) {
        let Some(config) = self.pools.get(pool).map(|pool| &pool.config) else {
            return;
        };
        let record = adopted(config, no, found, self.now);
        let reason = match &record.hold {
            Some(hold) => hold.reason().to_owned(),
            None => "we launched it after this store was saved; it takes rooms once it reports".into(),
        };
        self.add_server(record);
        let Some(server) = self.servers.get(&no) else { return };
        let told = self.server_event(server, reason);
        self.tell(What::ServerAdopted(told));
        if !self.pools.get(pool).is_some_and(Pool::is_looked_at) {
            self.became_ready(no, "its provider says that it runs; nobody looks at its health");
        }
    }
}

/// Nobody knows who is on it: it has no deadline to be heard by, and where it does not report itself an operator has to say when it
/// may go.
fn adopted(config: &PoolConfig, no: ServerNo, found: Found, now: crate::units::Timestamp) -> ServerRecord {
    let price_per_hour = found.price_per_hour().unwrap_or(config.price_per_hour);
    let (key, instance, offer) = (found.key, found.instance, found.offer);
    ServerRecord {
        no,
        url: config.url_of(&key.server).or(instance.url),
        name: key.server,
        pool: config.name.clone(),
        attempt: key.attempt,
        instance: Some(instance.instance),
        endpoints: instance.endpoints,
        zone: instance.zone.map(Into::into),
        limits: config.limits,
        labels: config.labels.clone().into(),
        price_per_hour,
        offer,
        created: now,
        phase: Phase::Booting(Booting {
            since: now,
            deadline: None,
        }),
        hold: (config.health != HealthSource::Report).then(|| {
            Hold::Cordoned(Cordoned {
                owner: HoldOwner::Operator,
                reason: "we launched it after this store was saved, and nobody reports who is on it: uncordon it, or let it go".into(),
                since: now,
                until: None,
            })
        }),
        lost: None,
        token: AgentToken::default(),
        left: false,
    }
}
