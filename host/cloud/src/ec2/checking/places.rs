//! Where servers may stand: subnets with their zones and addresses, and which types each zone offers.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::{Filter, LocationType, Subnet, SubnetState};

use usher_fleet::config::Offer;

use super::super::Ec2;
use super::answer::refusal_of;
use crate::finding::{Finding, listed};

/// What was found of the subnets.
#[derive(Default)]
pub(super) struct Subnets {
    pub(super) found: Vec<Finding>,
    /// The zones in which no launch can succeed.
    pub(super) wrong_zones: BTreeSet<String>,
}

/// What was found of the types.
#[derive(Default)]
pub(super) struct Types {
    pub(super) found: Vec<Finding>,
    /// Each type with each zone that offers it; none where EC2 does not tell.
    pub(super) offered: Option<BTreeSet<(String, String)>>,
}

impl Ec2 {
    pub(super) async fn look_at_subnets(&self) -> Subnets {
        const ACTION: &str = "DescribeSubnets";
        let ids: Vec<String> = self.config.subnets.values().cloned().collect();
        // By a filter: one unknown id among others would fail the whole question.
        let call = self.client().await.describe_subnets();
        let mut pages = call.filters(filter("subnet-id", ids)).into_paginator().send();
        let mut known: BTreeMap<String, Subnet> = BTreeMap::new();
        while let Some(page) = pages.next().await {
            match page {
                Ok(page) => known.extend(page.subnets.unwrap_or_default().into_iter().filter_map(by_id)),
                Err(error) => {
                    let ids = listed(self.config.subnets.values());
                    let found = vec![refusal_of(&error, ACTION).hides(&format!("the subnets {ids}"))];
                    return Subnets {
                        found,
                        ..Subnets::default()
                    };
                }
            }
        }
        let mut subnets = Subnets::default();
        for (zone, id) in &self.config.subnets {
            match self.judge_subnet(zone, id, known.get(id)) {
                Ok(well) => subnets.found.push(Finding::well(well)),
                Err(wrong) => {
                    subnets.found.push(Finding::problem(wrong));
                    subnets.wrong_zones.insert(zone.clone());
                }
            }
        }
        subnets
    }

    /// Says how a subnet stands that is to be a zone's, or what is wrong with it.
    pub(in crate::ec2) fn judge_subnet(&self, zone: &str, id: &str, known: Option<&Subnet>) -> Result<String, String> {
        let Some(subnet) = known else {
            let region = &self.setup.region;
            return Err(format!(
                "there is no subnet {id} in {region}: write one of {zone} that `aws ec2 describe-subnets` lists"
            ));
        };
        let truly = subnet.availability_zone().unwrap_or_default();
        let zones = &self.setup.zones;
        if !zones.is_empty() && !zones.iter().any(|zone| zone == truly) {
            return Err(format!(
                "subnet {id} is in {truly}, which zones does not name: add it there, or name a subnet of {}",
                listed(zones)
            ));
        }
        if truly != zone {
            return Err(format!(
                "subnet {id} is in {truly}, not in {zone}: write {truly} = {id:?}"
            ));
        }
        if let Some(state) = subnet.state().filter(|state| **state != SubnetState::Available) {
            return Err(format!("subnet {id} in {zone} is {state}: wait until it is available"));
        }
        let needs_public = self.config.url.as_ref().is_some_and(|url| url.contains("{public_ip}"));
        if needs_public && subnet.map_public_ip_on_launch() == Some(false) {
            return Err(format!(
                "subnet {id} in {zone} gives no public addresses, and url has {{public_ip}}: no server in it would ever have a URL; \
                 `aws ec2 modify-subnet-attribute --subnet-id {id} --map-public-ip-on-launch`"
            ));
        }
        match subnet.available_ip_address_count() {
            Some(..=0) => Err(format!(
                "subnet {id} in {zone} has no free address: end what uses them, or name a larger subnet"
            )),
            Some(1) => Ok(format!("subnet {id} is in {zone}, and has 1 free address")),
            Some(free) => Ok(format!("subnet {id} is in {zone}, and has {free} free addresses")),
            None => Ok(format!("subnet {id} is in {zone}")),
        }
    }

    pub(super) async fn look_at_types(&self, offers: &[Offer]) -> Types {
        const ACTION: &str = "DescribeInstanceTypeOfferings";
        let types: BTreeSet<&str> = offers.iter().map(|offer| offer.instance_type.as_str()).collect();
        let zones: BTreeSet<&str> = offers.iter().map(|offer| offer.zone.as_str()).collect();
        let call = self.client().await.describe_instance_type_offerings();
        let mut pages = call
            .location_type(LocationType::AvailabilityZone)
            .filters(filter("instance-type", owned(&types)))
            .filters(filter("location", owned(&zones)))
            .into_paginator()
            .send();
        let mut offered = BTreeSet::new();
        while let Some(page) = pages.next().await {
            match page {
                Ok(page) => offered.extend(
                    page.instance_type_offerings()
                        .iter()
                        .filter_map(|one| Some((one.instance_type()?.as_str().to_owned(), one.location()?.to_owned()))),
                ),
                Err(error) => {
                    let found = vec![refusal_of(&error, ACTION).hides(&format!("which zone offers {}", listed(types)))];
                    return Types { found, offered: None };
                }
            }
        }
        let is_offered = |kind: &str, zone: &str| offered.contains(&(kind.to_owned(), zone.to_owned()));
        let mut found: Vec<Finding> = types.iter().map(|kind| by_zone(kind, &zones, is_offered)).collect();
        for zone in &zones {
            let is_empty = !types.iter().any(|kind| is_offered(kind, zone));
            if is_empty && !offered.is_empty() {
                found.push(Finding::problem(format!(
                    "{zone} offers none of {}: add a type to offers, or take the zone out of subnets",
                    listed(&types)
                )));
            }
        }
        Types {
            found,
            offered: Some(offered),
        }
    }
}

fn by_zone(kind: &str, zones: &BTreeSet<&str>, is_offered: impl Fn(&str, &str) -> bool) -> Finding {
    let (with, without): (Vec<&str>, Vec<&str>) = zones.iter().partition(|zone| is_offered(kind, zone));
    if with.is_empty() {
        return Finding::problem(format!(
            "{kind} is not offered in {}: is it spelt right? `aws ec2 describe-instance-type-offerings` lists what is",
            listed(without)
        ));
    }
    let mut says = format!("{kind} is offered in {}", listed(with));
    if !without.is_empty() {
        says.push_str(&format!("; not in {}, where the other offers count", listed(without)));
    }
    Finding::well(says)
}

fn by_id(subnet: Subnet) -> Option<(String, Subnet)> {
    Some((subnet.subnet_id()?.to_owned(), subnet))
}

fn filter(name: &str, values: Vec<String>) -> Filter {
    Filter::builder().name(name).set_values(Some(values)).build()
}

fn owned(words: &BTreeSet<&str>) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
