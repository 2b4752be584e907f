//! How a world's cloud behaves, and what is the matter with it for a while.

use std::collections::BTreeMap;
use std::time::Duration;

use usher_fleet::config::Offer;
use usher_fleet::observation::ProviderError;
use usher_fleet::units::Timestamp;

use crate::simulation::chance::Chance;

/// The longest that an order is under way.
pub(crate) const ORDER_MAX: Duration = Duration::from_secs(20);

/// How a cloud is, for good.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Habits {
    /// What lists show is at most so old.
    pub(crate) lag: Duration,
    /// The longest from the order to end to the end.
    pub(crate) shutdown: Duration,
    /// Whether what has ended is listed for a while.
    pub(crate) shows_ended: bool,
}

impl Habits {
    pub(crate) fn new(chance: &mut Chance) -> Habits {
        let seconds = |chance: &mut Chance, low, high| Duration::from_secs(chance.between(low, high).into());
        match chance.below(3) {
            0 => Habits {
                lag: Duration::ZERO,
                shutdown: Duration::ZERO,
                shows_ended: chance.one_in(2),
            },
            _ => Habits {
                lag: seconds(chance, 1, 120),
                shutdown: seconds(chance, 0, 90),
                shows_ended: true,
            },
        }
    }

    /// Whether it does all it is told at once, as a provider on this machine does.
    pub(crate) fn is_at_once(self) -> bool {
        self.lag.is_zero()
    }

    /// After so long what was ordered has arrived, and is listed.
    pub(crate) fn visible_after(self) -> Duration {
        match self.is_at_once() {
            true => Duration::ZERO,
            false => self.lag + ORDER_MAX + ORDER_MAX,
        }
    }
}

/// What is the matter for a while.
#[derive(Debug, Default)]
pub(crate) struct Weather {
    /// Every call is throttled until then.
    throttled: Timestamp,
    /// No call is allowed until then.
    unauthorized: Timestamp,
    machines: BTreeMap<(String, String, String), Timestamp>,
    addresses: BTreeMap<String, Timestamp>,
    /// The launch template's version that is configured.
    pub(crate) template: u32,
}

impl Weather {
    /// Everything clears up.
    pub(crate) fn clear(&mut self) {
        let template = self.template;
        *self = Weather {
            template,
            ..Weather::default()
        };
    }

    /// Something begins to be the matter; `offers` are those that somebody may order.
    pub(crate) fn turn(&mut self, offers: &[Offer], now: Timestamp, chance: &mut Chance) {
        let until = now + Duration::from_secs(chance.between(5, 400).into());
        match (chance.below(8), chance.pick(offers)) {
            (0, _) => self.throttled = until,
            (1, _) => self.unauthorized = now + Duration::from_secs(chance.between(5, 60).into()),
            (2, _) => self.template += 1,
            (3, Some(offer)) => {
                self.addresses.insert(offer.zone.clone(), until);
            }
            (_, Some(offer)) => {
                self.machines.insert(machines(offer), until);
            }
            (_, None) => {}
        }
    }

    pub(super) fn is_throttled(&self, now: Timestamp) -> bool {
        now < self.throttled
    }

    pub(super) fn is_unauthorized(&self, now: Timestamp) -> bool {
        now < self.unauthorized
    }

    /// Returns what stands in the way of making what is offered.
    pub(super) fn shortage(&self, offer: &Offer, now: Timestamp) -> Option<ProviderError> {
        let lasts = |until: Option<&Timestamp>| until.is_some_and(|until| now < *until);
        if lasts(self.machines.get(&machines(offer))) {
            return Some(ProviderError::NoCapacity(format!("no {}", offer.instance_type)));
        }
        lasts(self.addresses.get(&offer.zone)).then(|| ProviderError::NoAddresses(format!("none in {}", offer.zone)))
    }
}

fn machines(offer: &Offer) -> (String, String, String) {
    (offer.instance_type.clone(), offer.market.clone(), offer.zone.clone())
}
