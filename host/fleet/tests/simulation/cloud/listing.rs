//! Lists: late, incomplete, and with more in them than is ours.

use std::collections::BTreeMap;
use std::time::Duration;

use usher_fleet::Observation;
use usher_fleet::ids::{Attempt, PoolName, ServerName};
use usher_fleet::observation::{Found, Instance, InstanceState, Listed, OrderKey, Owner, ProviderError};
use usher_fleet::units::Timestamp;

use super::launching::FORGOTTEN;
use super::made::Made;
use super::{Cloud, Faults};
use crate::simulation::chance::Chance;

impl Cloud {
    pub(super) fn list(&mut self, pool: &PoolName, faults: Faults, now: Timestamp, chance: &mut Chance) {
        let result = match self.no_list(faults, now, chance) {
            Some(error) => Err(error),
            None => Ok(self.found(pool, faults, now, chance)),
        };
        let listed = Listed {
            pool: pool.clone(),
            // What is made later may be missing from it rightly.
            asked: now - self.habits.lag,
            result,
        };
        self.answer(Observation::Listed(listed), faults, now, chance);
    }

    /// Returns how old what is seen now is.
    pub(super) fn seen_at(&self, now: Timestamp, chance: &mut Chance) -> Timestamp {
        now - Duration::from_millis(chance.below(1 + self.habits.lag.as_millis() as u64))
    }

    /// Returns why there is no list. One whose second page cannot be had is none.
    fn no_list(&mut self, faults: Faults, now: Timestamp, chance: &mut Chance) -> Option<ProviderError> {
        if self.weather.is_throttled(now) {
            self.met.count("list.throttled");
            return Some(ProviderError::Unknown("RequestLimitExceeded".into()));
        }
        if self.weather.is_unauthorized(now) {
            self.met.count("list.unauthorized");
            return Some(ProviderError::Misconfigured("UnauthorizedOperation".into()));
        }
        chance.percent(faults.percent).then(|| {
            self.met.count("list.cut_short");
            ProviderError::Unknown("no second page".into())
        })
    }

    fn found(&mut self, pool: &PoolName, faults: Faults, now: Timestamp, chance: &mut Chance) -> Vec<Found> {
        let mut found = Vec::new();
        let ours: Vec<OrderKey> = self.instances.keys().cloned().collect();
        for key in ours {
            let seen_at = self.seen_at(now, chance);
            let made = self.instances.get_mut(&key).expect("it is one of them");
            if made.pool != *pool || self.habits.has_forgotten(made, now) {
                continue;
            }
            let Some(instance) = made.describe(&key, seen_at) else {
                self.met.count("list.lacks_what_is_new");
                continue;
            };
            if made.state(seen_at) != made.state(now) {
                self.met.count("list.shows_what_was");
            }
            if !made.was_omitted && made.lives(now) && chance.percent(faults.percent / 4) {
                self.met.count("list.lacks_what_is_there");
                made.was_omitted = true;
                continue;
            }
            let is_kept = made.kept_since.is_some();
            let owner = Owner::Us(made.no);
            found.push(Found {
                owner,
                is_kept,
                ..Found::from((key, instance))
            });
        }
        for (key, made) in &self.others {
            if made.pool == *pool && made.is_up(now) {
                self.met.count("list.of_another_installation");
                found.push(Found {
                    owner: Owner::Another,
                    is_kept: made.kept_since.is_some(),
                    ..Found::from((key.clone(), made.describe(key, now).expect("it was made before")))
                });
            }
        }
        if chance.percent(faults.percent) {
            self.met.count("list.has_a_stranger");
            found.extend(self.stranger(pool, now, chance));
        }
        found
    }

    /// An instance that a list has by mistake: one of nobody, or one under a name of
    /// another pool's server.
    fn stranger(&self, pool: &PoolName, now: Timestamp, chance: &mut Chance) -> Option<Found> {
        let attempt = Attempt(1);
        let other = self.instances.iter().find(|(_, made)| made.pool != *pool);
        match other {
            Some((key, made)) if chance.one_in(2) => Some(Found::from((key.clone(), made.describe(key, now)?))),
            Some(_) | None => {
                let server: ServerName = ["p0-1000", "x1", "x2"][chance.index(3)].parse().expect("a valid id");
                let states = [InstanceState::Running, InstanceState::Stopped, InstanceState::Ended];
                let state = states[chance.index(3)];
                let owner = [Owner::Unknown, Owner::Another][chance.index(2)];
                let instance = Instance {
                    instance: "i-stranger".into(),
                    state,
                    url: Some("wss://stranger.test".into()),
                    endpoints: BTreeMap::new(),
                    zone: None,
                    price_per_hour: None,
                };
                Some(Found {
                    owner,
                    ..Found::from((OrderKey { server, attempt }, instance))
                })
            }
        }
    }
}

impl super::Habits {
    /// Whether an instance that is gone is not shown any more.
    fn has_forgotten(self, made: &Made, now: Timestamp) -> bool {
        let Some(gone_at) = made.gone_at.filter(|at| *at <= now) else {
            return false;
        };
        !self.shows_ended || gone_at + FORGOTTEN < now
    }
}
