//! Which offer is ordered: the preferred one that its provider has not been short of lately.
//!
//! Shortages are remembered in this process only: a restart asks once more, and learns.

use std::time::Duration;

use super::Fleet;
use super::state::Pool;
use crate::config::Offer;
use crate::observation::ProviderError;
use crate::units::{Microdollars, Timestamp};

/// What a provider was short of is not asked for again for so long; EC2's own shortages last about as long.
pub(super) const SHORTAGE: Duration = Duration::from_secs(180);

/// What a provider did not have, and until when it is not asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shortage {
    of: Short,
    until: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Short {
    /// Machines of a type in a market and a zone.
    Machines {
        instance_type: String,
        market: String,
        zone: String,
    },
    /// Addresses in a zone, for any machine.
    Addresses { zone: String },
}

impl Short {
    fn concerns(&self, offer: &Offer) -> bool {
        match self {
            Short::Machines {
                instance_type,
                market,
                zone,
            } => *instance_type == offer.instance_type && *market == offer.market && *zone == offer.zone,
            Short::Addresses { zone } => *zone == offer.zone,
        }
    }
}

impl Fleet {
    /// Returns the offer to order next: of the cheapest that are there the one in the zone with the fewest of the pool's servers, so
    /// that a zone's failure takes few; then by the order of the configuration.
    pub(super) fn next_offer(&self, pool: &Pool) -> Option<Offer> {
        let price = self.cheapest(pool)?;
        let in_zone = |zone: &str| {
            self.of(pool)
                .filter(|server| server.record.phase.counts() && server.record.zone.as_deref() == Some(zone))
                .count()
        };
        self.there(pool)
            .filter(|offer| offer.price_per_hour == price)
            .min_by_key(|offer| in_zone(&offer.zone))
            .cloned()
    }

    /// Returns what the next server of a pool would cost an hour.
    pub(super) fn next_price(&self, pool: &Pool) -> Microdollars {
        self.cheapest(pool).unwrap_or(pool.config.price_per_hour)
    }

    /// Returns until when nothing that a pool may order is there; none where something is, or its provider chooses.
    pub(super) fn short_until(&self, pool: &Pool) -> Option<Timestamp> {
        if pool.config.offers.is_empty() || self.cheapest(pool).is_some() {
            return None;
        }
        pool.shortages.iter().map(|shortage| shortage.until).min()
    }

    fn cheapest(&self, pool: &Pool) -> Option<Microdollars> {
        self.there(pool).map(|offer| offer.price_per_hour).min()
    }

    /// Returns the offers that the provider has not been short of lately.
    fn there<'a>(&'a self, pool: &'a Pool) -> impl Iterator<Item = &'a Offer> {
        let is_short = |offer: &Offer| {
            let mut lasting = pool.shortages.iter().filter(|shortage| shortage.until > self.now);
            lasting.any(|shortage| shortage.of.concerns(offer))
        };
        pool.config.offers.iter().filter(move |offer| !is_short(offer))
    }
}

impl Pool {
    /// Remembers what its provider did not have.
    pub(super) fn note_shortage(&mut self, offer: &Offer, error: &ProviderError, now: Timestamp) {
        let zone = offer.zone.clone();
        let of = match error {
            ProviderError::NoAddresses(_) => Short::Addresses { zone },
            ProviderError::NoCapacity(_) => Short::Machines {
                instance_type: offer.instance_type.clone(),
                market: offer.market.clone(),
                zone,
            },
            ProviderError::Refused(_) | ProviderError::Misconfigured(_) | ProviderError::Unknown(_) => return,
        };
        self.shortages
            .retain(|shortage| shortage.until > now && shortage.of != of);
        self.shortages.push(Shortage {
            of,
            until: now + SHORTAGE,
        });
    }
}
