//! Launches: one instance under one key, whatever becomes of the answers.

use std::time::Duration;

use usher_fleet::Observation;
use usher_fleet::effect::LaunchOrder;
use usher_fleet::observation::{Instance, InstanceState, Launched, OrderKey, ProviderError};
use usher_fleet::units::{Microdollars, Timestamp};

use super::made::Made;
use super::{Cloud, Faults};
use crate::simulation::chance::Chance;

/// What has ended is forgotten after so long.
pub(super) const FORGOTTEN: Duration = Duration::from_secs(3600);

impl Cloud {
    /// A launch arrives; none = no answer comes.
    pub(super) fn launch(
        &mut self,
        order: &LaunchOrder,
        is_awaited: bool,
        faults: Faults,
        now: Timestamp,
        chance: &mut Chance,
    ) -> Option<Observation> {
        if chance.percent(faults.percent) {
            self.met.count("launch.lost_before");
            return chance
                .one_in(2)
                .then(|| launched(order, Err(ProviderError::Unknown("no answer in time".into()))));
        }
        let result = self.launch_outcome(order, is_awaited, faults, now, chance);
        let is_no = matches!(&result, Err(error) if !matches!(error, ProviderError::Unknown(_)));
        if is_no && is_awaited {
            self.refused.insert(order.key.clone());
        }
        // An answer that is lost is as good as one that says nothing.
        if !is_no && chance.percent(faults.percent) {
            self.met.count("launch.lost_after");
            return chance
                .one_in(2)
                .then(|| launched(order, Err(ProviderError::Unknown("the line broke".into()))));
        }
        Some(launched(order, result))
    }

    fn launch_outcome(
        &mut self,
        order: &LaunchOrder,
        is_awaited: bool,
        faults: Faults,
        now: Timestamp,
        chance: &mut Chance,
    ) -> Result<Instance, ProviderError> {
        let key = &order.key;
        let is_made = self.instances.contains_key(key);
        if self.weather.is_throttled(now) {
            self.met.count("launch.throttled");
            return Err(ProviderError::Unknown("RequestLimitExceeded".into()));
        }
        // Who may not call is not told what an earlier call has made.
        if self.weather.is_unauthorized(now) {
            self.met.count(match is_made {
                true => "launch.unauthorized_after_it_was_made",
                false => "launch.unauthorized",
            });
            return Err(ProviderError::Misconfigured("UnauthorizedOperation".into()));
        }
        if is_made {
            return self.made_before(key, now, chance);
        }
        if let Some(error) = self.refusal(order, faults, now, chance) {
            return Err(error);
        }
        if !is_awaited && self.refused.contains(key) {
            // The next process had been told no meanwhile.
            self.met.count("launch.arrived_after_its_refusal");
            self.foreign.insert(key.clone());
        }
        self.make(order, faults, now, chance);
        if chance.percent(faults.percent / 4) {
            // The provider lies: what it has made is its own business from now on.
            self.met.count("launch.lied");
            self.foreign.insert(key.clone());
            return Err(ProviderError::NoCapacity("none, it says".into()));
        }
        let made = &self.instances[key];
        Ok(made.describe(key, now).expect("it was made above"))
    }

    /// The key was used: what it made is told, as far as it can be seen.
    fn made_before(&mut self, key: &OrderKey, now: Timestamp, chance: &mut Chance) -> Result<Instance, ProviderError> {
        let made = &self.instances[key];
        let is_other = made.template != self.weather.template;
        let told = made.describe(key, now).expect("it was made before");
        if told.state != InstanceState::Ended && !is_other {
            self.met.count("launch.repeated");
            return Ok(told);
        }
        self.met.count(match is_other {
            true => "launch.repeated_with_other_parameters",
            false => "launch.repeated_after_its_end",
        });
        if made.gone_at.is_some_and(|at| at + FORGOTTEN < now) {
            return Err(ProviderError::Refused("IdempotentInstanceTerminated".into()));
        }
        let seen_at = self.seen_at(now, chance);
        let seen = self.instances[key].describe(key, seen_at);
        seen.ok_or_else(|| ProviderError::Unknown("it may not be visible yet".into()))
    }

    /// Returns why nothing is made.
    fn refusal(
        &mut self,
        order: &LaunchOrder,
        faults: Faults,
        now: Timestamp,
        chance: &mut Chance,
    ) -> Option<ProviderError> {
        let short = order.offer.as_ref().and_then(|offer| self.weather.shortage(offer, now));
        match &short {
            Some(ProviderError::NoAddresses(_)) => self.met.count("launch.no_addresses"),
            Some(_) => self.met.count("launch.no_machines"),
            None => {}
        }
        // A no to one that has overtaken another is rare, and to be met.
        let is_refused = match self.is_under_way_still(&order.key) {
            true => !chance.one_in(8),
            false => chance.percent(faults.percent),
        };
        if short.is_some() || !is_refused {
            return short;
        }
        self.met.count("launch.refused");
        Some(match chance.below(4) {
            0 if order.offer.is_none() => ProviderError::NoAddresses("none left".into()),
            0 | 1 => ProviderError::NoCapacity("none left".into()),
            2 => ProviderError::Misconfigured("no such image".into()),
            _ => ProviderError::Refused("not you".into()),
        })
    }

    fn make(&mut self, order: &LaunchOrder, faults: Faults, now: Timestamp, chance: &mut Chance) {
        let key = &order.key;
        self.invariant_no_intent_is_launched_twice(order, now);
        let boot = match chance.percent(faults.percent) {
            true => {
                self.met.count("boot.slow");
                200_000
            }
            false => 20_000,
        };
        let runs_at = now + Duration::from_millis(chance.between(0, boot).into());
        let serves_at = runs_at + Duration::from_millis(chance.between(0, 20_000).into());
        let is_hopeless = chance.percent(faults.percent);
        let mut made = Made {
            installation: self.installation,
            no: order.no,
            pool: order.pool.clone(),
            template: self.weather.template,
            zone: order.offer.as_ref().map(|offer| offer.zone.clone()),
            is_spot: order.offer.as_ref().is_some_and(|offer| offer.market == "spot"),
            made_at: now,
            runs_at,
            serves_at: (!is_hopeless).then_some(serves_at),
            url: format!("wss://{}.made.test", key.server),
            // Where there are offers, each has its price.
            price: (order.offer.is_none() && chance.one_in(4))
                .then(|| Microdollars(chance.between(1_000, 900_000).into())),
            ends_at: None,
            gone_at: None,
            is_noticed: false,
            is_protected: false,
            kept_since: None,
            was_omitted: false,
        };
        if is_hopeless && chance.one_in(2) {
            self.met.count("boot.died");
            made.die(runs_at);
        } else if is_hopeless {
            self.met.count("boot.never");
        }
        self.instances.insert(key.clone(), made);
    }

    /// For one intent to launch there is one instance at a time, and one only if its provider has never lied.
    fn invariant_no_intent_is_launched_twice(&self, order: &LaunchOrder, now: Timestamp) {
        let mut before = self.instances.iter().filter(|(key, made)| {
            made.no == order.no && made.lives(now) && !self.foreign.contains(*key) && !self.foreign.contains(&order.key)
        });
        if let Some((key, made)) = before.next() {
            panic!("invariant_no_intent_is_launched_twice: {order:?}, and {key:?} exists: {made:?}");
        }
    }
}

fn launched(order: &LaunchOrder, result: Result<Instance, ProviderError>) -> Observation {
    let (key, nth) = (order.key.clone(), order.nth);
    Observation::Launched(Launched { key, nth, result })
}
