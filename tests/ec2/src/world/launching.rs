//! Launches: from an order with everything decided to pending instances, or to the reason why there are none.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::instance::{Fate, Instance, Interruption, Pending, Phase, Running, Shown};
use super::tokens::{Fingerprint, TokenKey};
use super::{Effect, InstanceId, InstanceState, StateReason, World, earlier, later, seconds};
use crate::error::Ec2Error;
use crate::setup::{Market, ShutdownBehavior, Subnet};

/// A launch, with the template's words and the defaults filled in.
#[derive(Debug, Clone)]
pub(crate) struct LaunchOrder {
    pub(crate) count_min: u32,
    pub(crate) count_max: u32,
    pub(crate) client_token: Option<String>,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) image_id: String,
    pub(crate) architecture: String,
    pub(crate) instance_type: String,
    pub(crate) market: Market,
    /// The zone that was asked for, itself or by its subnet.
    pub(crate) zone: Option<String>,
    /// The subnets that come into question, the preferred ones first; never empty.
    pub(crate) subnets: Vec<Subnet>,
    pub(crate) is_protected: bool,
    pub(crate) shutdown_behavior: ShutdownBehavior,
    pub(crate) user_data: Option<Vec<u8>>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) volume_tags: BTreeMap<String, String>,
}

impl World {
    /// Returns the instances that were launched before under the order's token, if any.
    ///
    /// # Errors
    ///
    /// The token is none, belongs to another request, or its instances have been terminated.
    pub(crate) fn launched_before(
        &mut self,
        now: Timestamp,
        order: &LaunchOrder,
    ) -> Result<Option<Vec<InstanceId>>, Ec2Error> {
        match order.token_key() {
            Some(key) => self.find_token(now, &key, &order.fingerprint),
            None => Ok(None),
        }
    }

    /// Launches as many instances as there is room for, up to the most that the order asks for.
    ///
    /// # Errors
    ///
    /// There is room for fewer than the order needs: no quota, no address, no capacity.
    pub(crate) fn launch(&mut self, now: Timestamp, order: &LaunchOrder) -> Result<Vec<InstanceId>, Ec2Error> {
        let vcpus = self.vcpus(&order.instance_type);
        let quota = self.quota_for(order, vcpus)?;
        let (subnet, room) = self.choose_subnet(order)?;
        let count = order.count_max.min(quota).min(room);
        let reservation = self.ids.id("r");
        let instances: Vec<InstanceId> = (0..count)
            .map(|index| self.begin_instance(now, order, &subnet, &reservation, index))
            .collect();
        if let Some(key) = order.token_key() {
            self.keep_token(key, order.fingerprint.clone(), instances.clone());
        }
        Ok(instances)
    }

    /// Brings an instance up.
    pub(super) fn boot(&mut self, at: Timestamp, id: &InstanceId) {
        let (notice, runs, kept) = (self.spot_notice(), self.setup.run_user_data, self.history_kept(at));
        let Some(instance) = self.instances.get_mut(id) else {
            return;
        };
        let dies_at = instance.fate.life_seconds.map(|life| later(at, seconds(life)));
        instance.phase = Phase::Running(Running { dies_at });
        if let (Some(life), None) = (instance.fate.spot_life_seconds, instance.interruption) {
            let noticed_at = later(at, seconds(life));
            instance.interruption = Some(Interruption {
                noticed_at,
                ends_at: later(noticed_at, notice),
            });
        }
        instance.show(at, kept, |shown| {
            shown.state = InstanceState::Running;
            shown.reason = None;
        });
        let script = instance.user_data.clone().filter(|data| data.starts_with(b"#!"));
        if let Some(user_data) = script.filter(|_| runs) {
            instance.has_process = true;
            self.effects.push(Effect::Run {
                instance: id.clone(),
                user_data,
            });
        }
    }

    /// Returns the moment before which nobody reads any more.
    pub(super) fn history_kept(&self, now: Timestamp) -> Timestamp {
        earlier(now, seconds(self.setup.lag.visibility_seconds))
    }

    pub(super) fn spot_notice(&self) -> jiff::SignedDuration {
        seconds(self.setup.life.spot_notice_seconds)
    }

    fn vcpus(&self, instance_type: &str) -> u32 {
        self.setup
            .instance_types
            .get(instance_type)
            .map_or(1, |known| known.vcpus)
    }

    fn quota_for(&self, order: &LaunchOrder, vcpus: u32) -> Result<u32, Ec2Error> {
        let free = self.free_quota(order.market, vcpus)?;
        if free >= order.count_min {
            return Ok(free);
        }
        Err(match order.market {
            Market::OnDemand => Ec2Error::VcpuLimitExceeded(self.setup.quotas.on_demand_vcpus.unwrap_or_default()),
            Market::Spot => Ec2Error::MaxSpotInstanceCountExceeded,
        })
    }

    /// Returns the first subnet with room for enough instances, and for how many it has.
    fn choose_subnet(&self, order: &LaunchOrder) -> Result<(Subnet, u32), Ec2Error> {
        let mut without_addresses = None;
        for subnet in &order.subnets {
            if self.free_capacity(order.market, &order.instance_type, &subnet.zone) < order.count_min {
                continue;
            }
            let addresses = self.free_addresses(subnet);
            if addresses < order.count_min {
                without_addresses.get_or_insert(subnet.id.clone());
                continue;
            }
            let capacity = self.free_capacity(order.market, &order.instance_type, &subnet.zone);
            return Ok((subnet.clone(), addresses.min(capacity)));
        }
        if let Some(subnet) = without_addresses {
            return Err(Ec2Error::InsufficientFreeAddressesInSubnet(subnet));
        }
        let has_room = |zone: &&String| {
            order.zone.as_ref() != Some(*zone)
                && self.free_capacity(order.market, &order.instance_type, zone) >= order.count_min
        };
        Err(Ec2Error::InsufficientInstanceCapacity {
            instance_type: order.instance_type.clone(),
            zone: order.zone.clone(),
            others: self.setup.zones.iter().filter(has_room).cloned().collect(),
        })
    }

    fn begin_instance(
        &mut self,
        now: Timestamp,
        order: &LaunchOrder,
        subnet: &Subnet,
        reservation: &str,
        launch_index: u32,
    ) -> InstanceId {
        let id = InstanceId::from(self.ids.id("i"));
        let is_spot = order.market == Market::Spot;
        let (pending, fate) = self.draw_fate(now, is_spot);
        let instance = Instance {
            number: self.launched + 1,
            id: id.clone(),
            reservation: reservation.to_owned(),
            launch_index,
            launched_at: now,
            client_token: order.client_token.clone(),
            image_id: order.image_id.clone(),
            architecture: order.architecture.clone(),
            instance_type: order.instance_type.clone(),
            vcpus: self.vcpus(&order.instance_type),
            market: order.market,
            spot_request: is_spot.then(|| self.ids.id("sir")),
            zone: subnet.zone.clone(),
            subnet_id: subnet.id.clone(),
            private_ip: self.private_address(subnet),
            public_ip: subnet.has_public_addresses.then(|| self.public_address(self.launched)),
            shutdown_behavior: order.shutdown_behavior,
            user_data: order.user_data.clone(),
            volume_id: self.ids.id("vol"),
            volume_tags: order.volume_tags.clone(),
            fate,
            phase: Phase::Pending(pending),
            interruption: None,
            has_process: false,
            console: Vec::new(),
            history: Instance::no_history(),
        };
        let instance = instance.begin(Shown {
            since: now,
            state: InstanceState::Pending,
            reason: Some(StateReason::pending()),
            tags: order.tags.clone(),
            is_protected: order.is_protected,
        });
        self.launched += 1;
        self.instances.insert(id.clone(), instance);
        id
    }

    /// Draws all that becomes of an instance, the same number of times for each, so that no setting moves another's draws.
    fn draw_fate(&mut self, now: Timestamp, is_spot: bool) -> (Pending, Fate) {
        let life = self.setup.life.clone();
        let (spread, fails) = (self.fates.unit(), self.fates.happens(life.boot_failure));
        let (lasts, spot_lasts) = (self.fates.lasts(1.0), self.fates.lasts(1.0));
        let is_to_fail = self.boots_to_fail > 0;
        self.boots_to_fail = self.boots_to_fail.saturating_sub(1);
        let pending = Pending {
            boots_at: later(now, seconds(life.boot_seconds + spread * life.boot_spread_seconds)),
            fails: fails || is_to_fail,
        };
        let fate = Fate {
            life_seconds: life.mean_life_seconds.map(|mean| mean * lasts),
            spot_life_seconds: life
                .mean_spot_life_seconds
                .filter(|_| is_spot)
                .map(|mean| mean * spot_lasts),
        };
        (pending, fate)
    }
}

impl LaunchOrder {
    fn token_key(&self) -> Option<TokenKey> {
        Some(TokenKey {
            token: self.client_token.clone()?,
            zone: self.zone.clone(),
        })
    }
}
