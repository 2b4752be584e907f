//! What a region has: subnets, images, types and zones.

use super::filters::{self, Filter, filters, tag_values};
use super::pages::Page;
use super::{Answer, Asked};
use crate::error::Ec2Error;
use crate::setup::{Image, Subnet};
use crate::xml::Xml;

/// The one network that all subnets are in.
pub(super) const VPC: &str = "vpc-0fa4e0000000000c1";
/// Where an instance's volume is.
pub(super) const ROOT_DEVICE: &str = "/dev/xvda";
/// The smallest page.
const PAGE_MIN: usize = 5;

pub(super) fn describe_subnets(asked: &mut Asked<'_>) -> Result<Answer, Ec2Error> {
    let page = Page::asked(asked.query, PAGE_MIN)?;
    let filters = filters(asked.query)?;
    let ids = asked.query.list("SubnetId");
    let subnets: Vec<&Subnet> = match ids.is_empty() {
        true => asked.world.setup.subnets.iter().collect(),
        false => ids.iter().map(|id| asked.world.subnet(id)).collect::<Result<_, _>>()?,
    };
    asked.end_dry_run()?;
    let subnets = matching(subnets, &filters, subnet_values)?;
    let (subnets, next) = page.cut_list(subnets);
    let mut answer = Answer::default();
    answer.content.list("subnetSet", subnets, |xml, subnet| {
        let [a, b, c] = subnet.network;
        xml.leaf("subnetId", &subnet.id);
        xml.leaf("state", "available");
        xml.leaf("vpcId", VPC);
        xml.leaf("cidrBlock", format!("{a}.{b}.{c}.0/24"));
        xml.leaf("availableIpAddressCount", asked.world.free_addresses(subnet));
        xml.leaf("availabilityZone", &subnet.zone);
        xml.leaf("availabilityZoneId", zone_id(&subnet.zone));
        xml.leaf("defaultForAz", false);
        xml.leaf("mapPublicIpOnLaunch", subnet.has_public_addresses);
        xml.leaf("ownerId", &asked.world.setup.account);
        write_tags(xml, &subnet.tags);
    });
    answer.content.leaf_if("nextToken", next);
    Ok(answer)
}

pub(super) fn describe_images(asked: &mut Asked<'_>) -> Result<Answer, Ec2Error> {
    let page = Page::asked(asked.query, 1)?;
    let filters = filters(asked.query)?;
    let ids = asked.query.list("ImageId");
    let images: Vec<&Image> = match ids.is_empty() {
        true => asked.world.setup.images.iter().collect(),
        false => ids.iter().map(|id| asked.world.image(id)).collect::<Result<_, _>>()?,
    };
    asked.end_dry_run()?;
    let images = matching(images, &filters, image_values)?;
    let (images, next) = page.cut_list(images);
    let mut answer = Answer::default();
    answer.content.list("imagesSet", images, |xml, image| {
        xml.leaf("imageId", &image.id);
        xml.leaf("imageState", &image.state);
        xml.leaf("imageOwnerId", &asked.world.setup.account);
        xml.leaf("isPublic", false);
        xml.leaf("architecture", &image.architecture);
        xml.leaf("imageType", "machine");
        xml.leaf("name", &image.name);
        xml.leaf("rootDeviceType", "ebs");
        xml.leaf("rootDeviceName", ROOT_DEVICE);
        xml.leaf("virtualizationType", "hvm");
        xml.leaf("hypervisor", "xen");
        write_tags(xml, &image.tags);
    });
    answer.content.leaf_if("nextToken", next);
    Ok(answer)
}

pub(super) fn describe_instance_type_offerings(asked: &mut Asked<'_>) -> Result<Answer, Ec2Error> {
    let page = Page::asked(asked.query, PAGE_MIN)?;
    let filters = filters(asked.query)?;
    let location_type = asked.query.get("LocationType").unwrap_or("region");
    asked.end_dry_run()?;
    let setup = &asked.world.setup;
    let locations: Vec<String> = match location_type {
        "region" => vec![setup.region.clone()],
        "availability-zone" => setup.zones.clone(),
        "availability-zone-id" => setup.zones.iter().map(|zone| zone_id(zone)).collect(),
        other => {
            return Err(Ec2Error::invalid_value(
                "LocationType",
                other,
                "Expected region or availability-zone",
            ));
        }
    };
    let mut offerings = Vec::new();
    for name in setup.instance_types.keys() {
        for (index, location) in locations.iter().enumerate() {
            let is_offered = match location_type {
                "region" => setup.zones.iter().any(|zone| asked.world.is_offered(name, zone)),
                _ => asked.world.is_offered(name, &setup.zones[index]),
            };
            if is_offered {
                offerings.push((name.clone(), location.clone()));
            }
        }
    }
    let offerings = matching(offerings, &filters, |name, (instance_type, location)| match name {
        "instance-type" => Some(vec![instance_type.clone()]),
        "location" => Some(vec![location.clone()]),
        _ => None,
    })?;
    let (offerings, next) = page.cut_list(offerings);
    let mut answer = Answer::default();
    answer.content.list(
        "instanceTypeOfferingSet",
        offerings,
        |xml, (instance_type, location)| {
            xml.leaf("instanceType", instance_type);
            xml.leaf("locationType", location_type);
            xml.leaf("location", location);
        },
    );
    answer.content.leaf_if("nextToken", next);
    Ok(answer)
}

pub(super) fn describe_availability_zones(asked: &mut Asked<'_>) -> Result<Answer, Ec2Error> {
    let (names, ids) = (asked.query.list("ZoneName"), asked.query.list("ZoneId"));
    let filters = filters(asked.query)?;
    let setup = &asked.world.setup;
    if let Some(unknown) = names.iter().find(|name| !setup.zones.iter().any(|zone| zone == **name)) {
        let words = format!("Invalid availability zone: [{unknown}]");
        return Err(Ec2Error::InvalidParameterValue(words));
    }
    asked.end_dry_run()?;
    let is_named = |zone: &&String| {
        (names.is_empty() || names.contains(&zone.as_str())) && (ids.is_empty() || ids.contains(&&*zone_id(zone)))
    };
    let zones: Vec<&String> = setup.zones.iter().filter(is_named).collect();
    let zones = matching(zones, &filters, |name, zone| match name {
        "zone-name" => Some(vec![(*zone).clone()]),
        "zone-id" => Some(vec![zone_id(zone)]),
        "region-name" => Some(vec![setup.region.clone()]),
        "state" => Some(vec!["available".into()]),
        "zone-type" => Some(vec!["availability-zone".into()]),
        "opt-in-status" => Some(vec!["opt-in-not-required".into()]),
        _ => None,
    })?;
    let mut answer = Answer::default();
    answer.content.list("availabilityZoneInfo", zones, |xml, zone| {
        xml.leaf("zoneName", zone);
        xml.leaf("zoneId", zone_id(zone));
        xml.leaf("zoneState", "available");
        xml.leaf("regionName", &setup.region);
        xml.leaf("zoneType", "availability-zone");
        xml.leaf("optInStatus", "opt-in-not-required");
    });
    Ok(answer)
}

pub(super) fn describe_regions(asked: &mut Asked<'_>) -> Result<Answer, Ec2Error> {
    asked.end_dry_run()?;
    let region = &asked.world.setup.region;
    let mut answer = Answer::default();
    answer.content.list("regionInfo", [region], |xml, region| {
        xml.leaf("regionName", region);
        xml.leaf("regionEndpoint", format!("ec2.{region}.amazonaws.com"));
        xml.leaf("optInStatus", "opt-in-not-required");
    });
    Ok(answer)
}

fn matching<T>(
    things: Vec<T>,
    filters: &[Filter],
    values: impl Fn(&str, &T) -> Option<Vec<String>>,
) -> Result<Vec<T>, Ec2Error> {
    let mut matching = Vec::with_capacity(things.len());
    for thing in things {
        if filters::matches(filters, |name| values(name, &thing))? {
            matching.push(thing);
        }
    }
    Ok(matching)
}

fn write_tags(xml: &mut Xml, tags: &std::collections::BTreeMap<String, String>) {
    xml.list("tagSet", tags, |xml, (key, value)| {
        xml.leaf("key", key);
        xml.leaf("value", value);
    });
}

fn subnet_values(name: &str, subnet: &&Subnet) -> Option<Vec<String>> {
    match name {
        "subnet-id" => Some(vec![subnet.id.clone()]),
        "availability-zone" | "availabilityZone" => Some(vec![subnet.zone.clone()]),
        "vpc-id" => Some(vec![VPC.into()]),
        "state" => Some(vec!["available".into()]),
        other => tag_values(other, &subnet.tags),
    }
}

fn image_values(name: &str, image: &&Image) -> Option<Vec<String>> {
    match name {
        "image-id" => Some(vec![image.id.clone()]),
        "name" => Some(vec![image.name.clone()]),
        "architecture" => Some(vec![image.architecture.clone()]),
        "state" => Some(vec![image.state.clone()]),
        other => tag_values(other, &image.tags),
    }
}

/// Returns a zone's id, which in EC2 is the same zone for every account.
fn zone_id(zone: &str) -> String {
    format!("fake-{zone}")
}
