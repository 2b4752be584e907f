//! What goes wrong by itself: in the cloud, with the process, with its data folder.

use std::time::Duration;

use usher_fleet::Observation;
use usher_fleet::config::Offer;
use usher_fleet::observation::OrderKey;

use super::cloud::made::Made;
use super::policies::Temper;
use super::shapes;
use super::world::World;

/// How long before it is taken away a spot instance is told so.
const NOTICE: Duration = Duration::from_secs(120);

impl World {
    pub(crate) fn mishap(&mut self) {
        match self.chance.below(60) {
            0 => self.lose_the_store(),
            1..=19 => {
                let config = match self.chance.one_in(3) {
                    true => shapes::changed(&mut self.chance, &self.model.config, &self.all_pools),
                    false => self.model.config.clone(),
                };
                self.crash(config);
            }
            20..=29 => self.observe(Observation::Gap),
            _ => {
                let tempers = [Temper::Honest, Temper::Lying];
                let (place, scale) = (tempers[self.chance.index(2)], tempers[self.chance.index(2)]);
                self.change_policies(place, scale);
            }
        }
    }

    /// Something happens to an instance, or to its cloud as a whole.
    pub(crate) fn cloud_changes(&mut self) {
        if self.faults.percent == 0 {
            return self.something_dies();
        }
        match self.chance.below(10) {
            0 | 1 => self.something_dies(),
            2 | 3 => self.something_is_noticed(),
            4 => self.somebody_marks_something(),
            _ => {
                let offers: Vec<Offer> = self.all_pools.iter().flat_map(|pool| pool.offers.clone()).collect();
                let now = self.now;
                self.cloud.weather.turn(&offers, now, &mut self.chance);
            }
        }
    }

    fn any_instance(&mut self) -> Option<&mut Made> {
        let now = self.now;
        let up = self.cloud.instances.iter().filter(|(_, made)| made.is_up(now));
        let keys: Vec<OrderKey> = up.map(|(key, _)| key.clone()).collect();
        let key = self.chance.pick(&keys)?;
        self.cloud.instances.get_mut(key)
    }

    fn something_dies(&mut self) {
        let now = self.now;
        let Some(made) = self.any_instance() else { return };
        made.die(now);
        self.cloud.met.count("instance.died");
    }

    /// A spot instance is told that it is taken away.
    fn something_is_noticed(&mut self) {
        let now = self.now;
        let Some(made) = self.any_instance().filter(|made| made.is_spot && !made.is_noticed) else {
            return;
        };
        made.is_noticed = true;
        made.shut_down(now + NOTICE, now + NOTICE);
        self.cloud.met.count("instance.noticed");
    }

    /// A human protects an instance, or wants it kept, or no more.
    fn somebody_marks_something(&mut self) {
        let (now, is_kept) = (self.now, self.chance.one_in(2));
        let Some(made) = self.any_instance() else { return };
        if is_kept {
            made.kept_since = match made.kept_since {
                Some(_) => None,
                None => Some(now),
            };
            self.cloud.met.count("instance.kept");
        } else {
            made.is_protected = !made.is_protected;
        }
    }
}
