//! Ends: ordered, and proven only by what can be seen.

use std::time::Duration;

use usher_fleet::Observation;
use usher_fleet::effect::TerminateOrder;
use usher_fleet::observation::{InstanceState, ProviderError, Terminated};
use usher_fleet::units::Timestamp;

use super::{Cloud, Faults};
use crate::simulation::chance::Chance;

impl Cloud {
    /// An order to end arrives; none = no answer comes.
    pub(super) fn terminate(
        &mut self,
        order: &TerminateOrder,
        faults: Faults,
        now: Timestamp,
        chance: &mut Chance,
    ) -> Option<Observation> {
        let result = match self.obstacle(faults, now, chance) {
            Some(error) => Err(error),
            None => self.end(order, now, chance),
        };
        let is_lost = chance.percent(faults.percent);
        if is_lost {
            self.met.count("end.lost");
        }
        let key = order.key.clone();
        let result = match is_lost {
            true if chance.one_in(2) => return None,
            true => Err(ProviderError::Unknown("it did not say".into())),
            false => result,
        };
        Some(Observation::Terminated(Terminated { key, result }))
    }

    /// Returns why nothing is ended.
    fn obstacle(&mut self, faults: Faults, now: Timestamp, chance: &mut Chance) -> Option<ProviderError> {
        if self.weather.is_throttled(now) {
            self.met.count("end.throttled");
            return Some(ProviderError::Unknown("RequestLimitExceeded".into()));
        }
        if self.weather.is_unauthorized(now) {
            self.met.count("end.unauthorized");
            return Some(ProviderError::Misconfigured("UnauthorizedOperation".into()));
        }
        if !chance.percent(faults.percent) {
            return None;
        }
        self.met.count("end.refused");
        Some(match chance.below(3) {
            0 => ProviderError::Refused("not now".into()),
            1 => ProviderError::NoCapacity("of all things".into()),
            _ => ProviderError::Unknown("the line broke".into()),
        })
    }

    fn end(&mut self, order: &TerminateOrder, now: Timestamp, chance: &mut Chance) -> Result<(), ProviderError> {
        let seen_at = self.seen_at(now, chance);
        let (habits, is_at_once) = (self.habits, self.habits.is_at_once());
        let Some(made) = self.instances.get_mut(&order.key) else {
            // That it is not there proves nothing before it could be seen.
            if order.since + habits.visible_after() <= now {
                return Ok(());
            }
            self.met.count("end.of_what_is_not_visible_yet");
            return Err(ProviderError::Unknown("it may not be visible yet".into()));
        };
        if made.is_up(now) {
            if made.is_protected {
                self.met.count("end.protected");
                return Err(ProviderError::Refused("it is protected".into()));
            }
            let shutdown = Duration::from_millis(chance.below(1 + habits.shutdown.as_millis() as u64));
            made.shut_down(now, now + shutdown);
        }
        // EC2 says that it has ended when it is gone, and that can be seen.
        let is_seen_gone = !made.lives(seen_at) && made.state(seen_at) == Some(InstanceState::Ended);
        if is_at_once || is_seen_gone {
            return Ok(());
        }
        self.met.count("end.under_way");
        Err(ProviderError::Unknown("it is ending".into()))
    }
}
