//! What really exists: instances under their keys, whatever anybody was told of them.

use std::collections::{BTreeMap, BTreeSet};

use std::time::Duration;

use usher_fleet::config::FleetConfig;
use usher_fleet::effect::{LaunchOrder, TerminateOrder, Watch};
use usher_fleet::ids::{PoolName, ServerName, ServerNo};
use usher_fleet::observation::{
    Found, Instance, InstanceState, Launched, Listed, OrderKey, Owner, Probed, ProviderError, Terminated,
};
use usher_fleet::units::{Microdollars, Timestamp};
use usher_fleet::{Effect, Observation};

use super::chance::Chance;

/// How often, in percent, an order goes wrong in each of several ways.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Faults {
    pub(crate) percent: u64,
}

/// An instance that was made.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    no: ServerNo,
    pub(crate) pool: PoolName,
    pub(crate) runs_at: Timestamp,
    /// When it shows that it serves; never, for some.
    pub(crate) serves_at: Option<Timestamp>,
    pub(crate) url: String,
    pub(crate) price: Option<Microdollars>,
    /// It ended by itself: it is listed as ended, or not at all.
    pub(crate) has_died: bool,
}

/// An observation that is under way.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) due: Timestamp,
    pub(crate) observation: Observation,
}

#[derive(Debug, Default)]
pub(crate) struct Cloud {
    pub(crate) instances: BTreeMap<OrderKey, Made>,
    /// Keys that were refused stay refused.
    refused: BTreeMap<OrderKey, ProviderError>,
    /// Keys that were told to end: nothing is launched under them ever after.
    pub(crate) ended: BTreeSet<OrderKey>,
    /// Keys about which the provider has lied: what exists under them is not the fleet's fault.
    pub(crate) foreign: BTreeSet<OrderKey>,
    /// Pools whose servers somebody else makes.
    pub(crate) external: BTreeSet<PoolName>,
    pub(crate) watched: BTreeMap<ServerName, Watch>,
    pub(crate) messages: Vec<Message>,
    /// Which pool each key was launched in, for ever.
    pub(crate) pools: BTreeMap<OrderKey, PoolName>,
}

impl Cloud {
    pub(crate) fn new(config: &FleetConfig) -> Cloud {
        let external = config.pools.iter().filter(|pool| !pool.automatic);
        Cloud {
            external: external.map(|pool| pool.name.clone()).collect(),
            ..Cloud::default()
        }
    }

    /// Runs an effect that has left the process, and lets its answer come in its time, if ever. Scale decisions are asked
    /// elsewhere.
    pub(crate) fn run(
        &mut self,
        effect: &Effect,
        muted: &BTreeSet<ServerName>,
        faults: Faults,
        now: Timestamp,
        chance: &mut Chance,
    ) {
        match effect {
            Effect::Launch(order) => self.launch(order, faults, now, chance),
            Effect::Terminate(order) => self.terminate(order, faults, now, chance),
            Effect::List(pool) => self.list(pool, faults, now, chance),
            Effect::Watch(watch) => {
                self.watched.insert(watch.server.clone(), watch.clone());
            }
            Effect::Unwatch(server) => {
                self.watched.remove(server);
            }
            Effect::Probe(watch) => {
                let is_muted = muted.contains(&watch.server);
                let observation = self.probe(watch, is_muted, now);
                self.answer(observation, faults, now, chance);
            }
            Effect::Scale(_) => {}
        }
    }

    /// Lets an observation come: mostly soon, sometimes late, sometimes twice.
    pub(crate) fn answer(&mut self, observation: Observation, faults: Faults, now: Timestamp, chance: &mut Chance) {
        let pause = match chance.below(10) {
            0..=5 => chance.between(0, 300),
            6..=8 => chance.between(0, 5_000),
            _ => chance.between(0, 300 + 900 * u32::try_from(faults.percent).unwrap_or(0)),
        };
        let due = now + Duration::from_millis(pause.into());
        if chance.percent(faults.percent) {
            let late = now + Duration::from_secs(chance.between(0, 200).into());
            self.messages.push(Message {
                due: late,
                observation: observation.clone(),
            });
        }
        self.messages.push(Message { due, observation });
    }

    /// Takes any message that is due, not the oldest first.
    pub(crate) fn take_due(&mut self, now: Timestamp, chance: &mut Chance) -> Option<Observation> {
        let due: Vec<usize> = (0..self.messages.len())
            .filter(|index| self.messages[*index].due <= now)
            .collect();
        let index = *chance.pick(&due)?;
        Some(self.messages.swap_remove(index).observation)
    }

    fn launch(&mut self, order: &LaunchOrder, faults: Faults, now: Timestamp, chance: &mut Chance) {
        let key = &order.key;
        assert!(
            !self.ended.contains(key),
            "invariant_a_key_is_never_launched_after_its_end: {key:?}"
        );
        let pool = self.pools.entry(key.clone()).or_insert_with(|| order.pool.clone());
        assert_eq!(*pool, order.pool, "invariant_a_key_is_launched_in_one_pool: {key:?}");
        let result = match self.refused.get(key) {
            Some(refusal) => Err(refusal.clone()),
            None if !self.instances.contains_key(key) && chance.percent(faults.percent) => {
                match self.refuse(key, chance) {
                    Some(error) => Err(error),
                    None => return,
                }
            }
            None => self.make(order, faults, now, chance),
        };
        if matches!(result, Ok(_) | Err(ProviderError::Unknown(_))) && chance.percent(faults.percent) {
            return;
        }
        let key = key.clone();
        self.answer(Observation::Launched(Launched { key, result }), faults, now, chance);
    }

    /// A launch that makes nothing; `None` = nor does it answer.
    fn refuse(&mut self, key: &OrderKey, chance: &mut Chance) -> Option<ProviderError> {
        let error = match chance.below(5) {
            0 => return None,
            1 => return Some(ProviderError::Unknown("it did not answer in time".into())),
            2 if chance.one_in(3) => ProviderError::NoAddresses("none left".into()),
            2 => ProviderError::NoCapacity("none left".into()),
            3 => ProviderError::Misconfigured("no such image".into()),
            _ => ProviderError::Refused("not you".into()),
        };
        self.refused.insert(key.clone(), error.clone());
        Some(error)
    }

    fn make(
        &mut self,
        order: &LaunchOrder,
        faults: Faults,
        now: Timestamp,
        chance: &mut Chance,
    ) -> Result<Instance, ProviderError> {
        let key = &order.key;
        if !self.instances.contains_key(key) {
            let runs_at = now + Duration::from_millis(chance.between(0, 20_000).into());
            let serves_at = runs_at + Duration::from_millis(chance.between(0, 20_000).into());
            let made = Made {
                no: order.no,
                pool: order.pool.clone(),
                runs_at,
                serves_at: (!chance.percent(faults.percent)).then_some(serves_at),
                url: format!("wss://{}.made.test", key.server),
                price: chance
                    .one_in(4)
                    .then(|| Microdollars(chance.between(1_000, 900_000).into())),
                has_died: false,
            };
            self.instances.insert(key.clone(), made);
        }
        if chance.percent(faults.percent / 2) {
            return Err(ProviderError::Unknown("the line broke".into()));
        }
        if chance.percent(faults.percent / 4) {
            // The provider lies: what it has made is its own business from now on.
            self.foreign.insert(key.clone());
            return Err(ProviderError::NoCapacity("none, it says".into()));
        }
        Ok(self.describe(key, now).expect("it was made above"))
    }

    fn describe(&self, key: &OrderKey, now: Timestamp) -> Option<Instance> {
        let made = self.instances.get(key)?;
        let state = match () {
            () if made.has_died => InstanceState::Ended,
            () if made.runs_at <= now => InstanceState::Running,
            () => InstanceState::Pending,
        };
        Some(Instance {
            instance: format!("i-{}-{}", key.server, key.attempt),
            state,
            url: Some(made.url.clone()),
            endpoints: BTreeMap::new(),
            zone: None,
            price_per_hour: made.price,
        })
    }

    fn terminate(&mut self, order: &TerminateOrder, faults: Faults, now: Timestamp, chance: &mut Chance) {
        let key = order.key.clone();
        self.ended.insert(key.clone());
        if chance.percent(faults.percent) {
            let error = match chance.below(4) {
                0 => return,
                1 => ProviderError::Refused("not now".into()),
                2 => ProviderError::NoCapacity("of all things".into()),
                _ => ProviderError::Unknown("the line broke".into()),
            };
            let result = Err(error);
            return self.answer(Observation::Terminated(Terminated { key, result }), faults, now, chance);
        }
        self.instances.remove(&key);
        if chance.percent(faults.percent) {
            return;
        }
        let result = if chance.percent(faults.percent) {
            Err(ProviderError::Unknown("it did not say".into()))
        } else {
            Ok(())
        };
        self.answer(Observation::Terminated(Terminated { key, result }), faults, now, chance);
    }

    fn list(&mut self, pool: &PoolName, faults: Faults, now: Timestamp, chance: &mut Chance) {
        let of_pool = self.instances.iter().filter(|(_, made)| made.pool == *pool);
        let mut keys: Vec<OrderKey> = of_pool.map(|(key, _)| key.clone()).collect();
        keys.retain(|key| !self.instances[key].has_died || chance.one_in(2));
        let ours = |key: OrderKey, instance: Instance| Found {
            owner: self
                .instances
                .get(&key)
                .map_or(Owner::Unknown, |made| Owner::Us(made.no)),
            is_kept: false,
            key,
            instance,
        };
        let mut found: Vec<Found> = keys
            .into_iter()
            .filter(|_| !chance.percent(faults.percent / 4))
            .filter_map(|key| self.describe(&key, now).map(|instance| ours(key, instance)))
            .collect();
        if chance.percent(faults.percent)
            && let Some((key, instance)) = self.stranger(pool, now, chance)
        {
            found.push(Found::from((key, instance)));
        }
        let result = if chance.percent(faults.percent) {
            Err(ProviderError::Unknown("no list".into()))
        } else {
            Ok(found)
        };
        let listed = Listed {
            pool: pool.clone(),
            asked: now,
            result,
        };
        self.answer(Observation::Listed(listed), faults, now, chance);
    }

    /// An instance that a list has by mistake: one of nobody, or one under a name of another pool's server.
    fn stranger(&self, pool: &PoolName, now: Timestamp, chance: &mut Chance) -> Option<(OrderKey, Instance)> {
        let attempt = usher_fleet::ids::Attempt(1);
        let other = self.instances.iter().find(|(_, made)| made.pool != *pool);
        match other {
            Some((key, _)) if chance.one_in(2) => Some((key.clone(), self.describe(key, now)?)),
            Some(_) | None => {
                let server: ServerName = ["p0-1000", "x1", "x2"][chance.index(3)].parse().expect("a valid id");
                let state = [InstanceState::Running, InstanceState::Ended][chance.index(2)];
                let instance = Instance {
                    instance: "i-stranger".into(),
                    state,
                    url: Some("wss://stranger.test".into()),
                    endpoints: BTreeMap::new(),
                    zone: None,
                    price_per_hour: None,
                };
                Some((OrderKey { server, attempt }, instance))
            }
        }
    }

    /// Whether the instance of a server serves, as far as it is one of ours.
    pub(crate) fn serves(&self, key: &OrderKey, now: Timestamp) -> bool {
        self.instances
            .get(key)
            .is_some_and(|made| !made.has_died && made.serves_at.is_some_and(|at| at <= now))
    }

    /// What comes of looking at a server's URL; what nobody here has launched answers unless it is mute.
    pub(crate) fn probe(&self, watch: &Watch, is_muted: bool, now: Timestamp) -> Observation {
        let attempt = usher_fleet::ids::Attempt(1);
        let server = watch.server.clone();
        let is_external = self.external.contains(&watch.pool);
        let key = OrderKey { server, attempt };
        let result = if !is_muted && (is_external || self.serves(&key, now)) {
            Ok(())
        } else {
            Err("connection refused".into())
        };
        Observation::Probed(Probed {
            server: key.server,
            url: watch.url.clone(),
            result,
        })
    }

    /// The process has ended: what it was told is lost, what exists goes on.
    pub(crate) fn forget_the_process(&mut self) {
        self.messages.clear();
        self.watched.clear();
    }
}
