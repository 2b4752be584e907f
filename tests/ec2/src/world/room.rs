//! What an instance needs of the region before it can be: capacity of its kind, an address, and the account's quotas.

use std::collections::{BTreeMap, BTreeSet};

use super::{Instance, Phase, World};
use crate::error::Ec2Error;
use crate::setup::{Market, Setup, Subnet};

/// The capacity that is limited, by market, type and zone.
#[derive(Debug)]
pub(super) struct Room {
    limits: BTreeMap<(Market, String, String), u32>,
}

impl Room {
    pub(super) fn new(setup: &Setup) -> Room {
        let limits = setup.capacity.iter().map(|capacity| {
            let kind = (capacity.market, capacity.instance_type.clone(), capacity.zone.clone());
            (kind, capacity.instances)
        });
        Room {
            limits: limits.collect(),
        }
    }

    pub(super) fn set(&mut self, market: Market, instance_type: &str, zone: &str, instances: Option<u32>) {
        let kind = (market, instance_type.to_owned(), zone.to_owned());
        match instances {
            Some(instances) => self.limits.insert(kind, instances),
            None => self.limits.remove(&kind),
        };
    }
}

impl World {
    /// Returns how many more instances of a kind a zone has room for.
    pub(super) fn free_capacity(&self, market: Market, instance_type: &str, zone: &str) -> u32 {
        let kind = (market, instance_type.to_owned(), zone.to_owned());
        let Some(limit) = self.room.limits.get(&kind) else {
            return u32::MAX;
        };
        let taken = self.count(|instance| {
            takes_capacity(instance)
                && (instance.market, instance.instance_type.as_str(), instance.zone.as_str())
                    == (market, instance_type, zone)
        });
        limit.saturating_sub(taken)
    }

    /// Returns how many addresses a subnet still has.
    pub(crate) fn free_addresses(&self, subnet: &Subnet) -> u32 {
        let taken = self.count(|instance| has_address(instance) && instance.subnet_id == subnet.id);
        subnet.addresses.saturating_sub(taken)
    }

    /// Returns how many more instances of a type the account may have; an error if none.
    pub(super) fn free_quota(&self, market: Market, vcpus: u32) -> Result<u32, Ec2Error> {
        match market {
            Market::OnDemand => {
                let Some(limit) = self.setup.quotas.on_demand_vcpus else {
                    return Ok(u32::MAX);
                };
                let mine = |instance: &&Instance| takes_capacity(instance) && instance.market == Market::OnDemand;
                let taken: u32 = self
                    .instances
                    .values()
                    .filter(mine)
                    .map(|instance| instance.vcpus)
                    .sum();
                match limit.saturating_sub(taken) / vcpus.max(1) {
                    0 => Err(Ec2Error::VcpuLimitExceeded(limit)),
                    free => Ok(free),
                }
            }
            Market::Spot => {
                let Some(limit) = self.setup.quotas.spot_instances else {
                    return Ok(u32::MAX);
                };
                let taken = self.count(|instance| takes_capacity(instance) && instance.market == Market::Spot);
                match limit.saturating_sub(taken) {
                    0 => Err(Ec2Error::MaxSpotInstanceCountExceeded),
                    free => Ok(free),
                }
            }
        }
    }

    /// Returns the lowest private address that is free in a subnet.
    pub(super) fn private_address(&self, subnet: &Subnet) -> String {
        let taken: BTreeSet<&str> = self
            .instances
            .values()
            .filter(|instance| has_address(instance) && instance.subnet_id == subnet.id)
            .map(|instance| instance.private_ip.as_str())
            .collect();
        let [a, b, c] = subnet.network;
        // EC2 keeps the first four addresses of a subnet. A subnet of the setup may be larger than a /24.
        (4..)
            .map(|host: u32| format!("{a}.{b}.{}.{}", (u32::from(c) + host / 256) % 256, host % 256))
            .find(|address| !taken.contains(address.as_str()))
            .expect("there are more numbers than instances")
    }

    /// Returns the public address of launch number `launched`.
    pub(super) fn public_address(&self, launched: u64) -> String {
        let [a, b, c] = self.setup.public_network;
        let (net, host) = (launched / 254, launched % 254 + 1);
        format!("{a}.{b}.{}.{host}", (u64::from(c) + net) % 256)
    }

    fn count(&self, mut is_counted: impl FnMut(&Instance) -> bool) -> u32 {
        let count = self.instances.values().filter(|instance| is_counted(instance)).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }
}

fn takes_capacity(instance: &Instance) -> bool {
    match instance.phase {
        Phase::Pending(_) | Phase::Running(_) | Phase::ShuttingDown(_) => true,
        Phase::Stopped | Phase::Terminated => false,
    }
}

fn has_address(instance: &Instance) -> bool {
    !matches!(instance.phase, Phase::Terminated)
}
