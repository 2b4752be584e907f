//! `RunInstances`: from parameters, the launch template's words and the defaults to an order.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::instances::write_reservation;
use super::tagging::tags_of;
use super::{Answer, Asked};
use crate::error::Ec2Error;
use crate::query::Query;
use crate::setup::{Market, ShutdownBehavior, Subnet, TemplateVersion};
use crate::world::{LaunchOrder, World, check_tags};

/// The most user data, once decoded.
const USER_DATA_BYTES_MAX: usize = 16 * 1024;

/// The most instances that a request may ask for.
const COUNT_MAX: u32 = 1000;

/// The type where neither the request nor its template names one.
const TYPE_DEFAULT: &str = "m1.small";

pub(super) fn run_instances(asked: &mut Asked<'_>) -> Result<Answer, Ec2Error> {
    let (template, system_tags) = template(asked)?;
    let order = order(asked, &template, system_tags)?;
    if asked.query.has("TagSpecification") {
        asked.permit("CreateTags")?;
    }
    asked.end_dry_run()?;
    let launched = match asked.world.launched_before(asked.now, &order)? {
        Some(before) => before,
        None => {
            asked.take_resources("RunInstances", order.count_max)?;
            asked.world.launch(asked.now, &order)?
        }
    };
    let mut answer = Answer::default();
    let rows = asked.world.true_rows(&launched);
    write_reservation(&mut answer.content, &asked.world.setup.account, &rows);
    answer.instances = launched;
    Ok(answer)
}

/// Returns what the launch template says, and the tags that EC2 itself gives to what is launched from it.
fn template(asked: &Asked<'_>) -> Result<(TemplateVersion, BTreeMap<String, String>), Ec2Error> {
    if !asked.query.has("LaunchTemplate") {
        return Ok((TemplateVersion::default(), BTreeMap::new()));
    }
    let id = asked.query.get("LaunchTemplate.LaunchTemplateId");
    let name = asked.query.get("LaunchTemplate.LaunchTemplateName");
    let version = asked.query.get("LaunchTemplate.Version").unwrap_or("$Default");
    let found = World::version(asked.world.template(id, name)?, version)?;
    let system_tags = BTreeMap::from([
        ("aws:ec2launchtemplate:id".to_owned(), found.template_id),
        ("aws:ec2launchtemplate:version".to_owned(), found.number.to_string()),
    ]);
    Ok((found.content, system_tags))
}

fn order(
    asked: &Asked<'_>,
    template: &TemplateVersion,
    system_tags: BTreeMap<String, String>,
) -> Result<LaunchOrder, Ec2Error> {
    let query = asked.query;
    let (count_min, count_max) = counts(query)?;
    let image_id = query.get("ImageId").or(template.image_id.as_deref());
    let image = asked
        .world
        .image(image_id.ok_or_else(|| Ec2Error::MissingParameter("ImageId".into()))?)?;
    let instance_type = query
        .get("InstanceType")
        .or(template.instance_type.as_deref())
        .unwrap_or(TYPE_DEFAULT);
    if !asked.world.setup.instance_types.contains_key(instance_type) {
        let words = format!("Invalid value '{instance_type}' for InstanceType.");
        return Err(Ec2Error::InvalidParameterValue(words));
    }
    let (zone, subnets) = place(asked, template, instance_type)?;
    let asked_tags = specified_tags(query)?;
    let mut tags = template.instance_tags.clone();
    tags.extend(asked_tags.instance);
    check_tags(&tags)?;
    tags.extend(system_tags);
    let protected = query
        .flag("DisableApiTermination")?
        .or(template.disable_api_termination);
    Ok(LaunchOrder {
        count_min,
        count_max,
        client_token: query.get("ClientToken").map(str::to_owned),
        fingerprint: query.without(&["ClientToken", "DryRun"]),
        image_id: image.id.clone(),
        architecture: image.architecture.clone(),
        instance_type: instance_type.to_owned(),
        market: market(query)?.or(template.market).unwrap_or(Market::OnDemand),
        zone,
        subnets,
        is_protected: protected.unwrap_or(false),
        shutdown_behavior: shutdown_behavior(query, "InstanceInitiatedShutdownBehavior")?
            .or(template.shutdown_behavior)
            .unwrap_or(ShutdownBehavior::Stop),
        user_data: user_data(query.get("UserData").or(template.user_data.as_deref()))?,
        tags,
        volume_tags: asked_tags.volume,
    })
}

fn counts(query: &Query) -> Result<(u32, u32), Ec2Error> {
    query.required("MinCount")?;
    query.required("MaxCount")?;
    let count_min = query.number::<u32>("MinCount")?.unwrap_or_default();
    let count_max = query.number::<u32>("MaxCount")?.unwrap_or_default();
    if count_min == 0 {
        return Err(Ec2Error::invalid_value("minCount", "0", "Minimum allowed value is 1"));
    }
    if count_max < count_min || count_max > COUNT_MAX {
        let why = "It must be at least MinCount and at most 1000";
        return Err(Ec2Error::invalid_value("maxCount", &count_max.to_string(), why));
    }
    Ok((count_min, count_max))
}

/// Returns the zone that was asked for, and the subnets that come into question, the preferred ones first.
fn place(
    asked: &Asked<'_>,
    template: &TemplateVersion,
    instance_type: &str,
) -> Result<(Option<String>, Vec<Subnet>), Ec2Error> {
    let query = asked.query;
    let of_instance = query.get("SubnetId");
    let of_interface = query.get("NetworkInterface.1.SubnetId");
    if of_instance.is_some() && query.has("NetworkInterface") {
        let words = "Network interfaces and an instance-level subnet ID may not be specified on the same request";
        return Err(Ec2Error::InvalidParameterCombination(words.into()));
    }
    let own_zone = query.get("Placement.AvailabilityZone");
    let named = of_instance.or(of_interface);
    // A zone in the request speaks against the template's subnet no less than a subnet would.
    let subnet_id = named.or(template.subnet_id.as_deref().filter(|_| own_zone.is_none()));
    let zone = own_zone.or(template.zone.as_deref().filter(|_| named.is_none()));
    if let Some(id) = subnet_id {
        let subnet = asked.world.subnet(id)?;
        if let Some(zone) = zone.filter(|zone| *zone != subnet.zone) {
            let why = format!("Subnet '{id}' is in the availability zone {}", subnet.zone);
            return Err(Ec2Error::invalid_value("availabilityZone", zone, &why));
        }
        check_offered(asked, instance_type, &subnet.zone)?;
        return Ok((Some(subnet.zone.clone()), vec![subnet.clone()]));
    }
    let Some(zone) = zone else {
        let subnets = asked.world.default_subnets().into_iter();
        let offering = subnets.filter(|subnet| asked.world.is_offered(instance_type, &subnet.zone));
        return Ok((None, offering.cloned().collect()));
    };
    let subnets = asked.world.default_subnets();
    let Some(subnet) = subnets.into_iter().find(|subnet| subnet.zone == *zone) else {
        let words = format!("Invalid availability zone: [{zone}]");
        return Err(Ec2Error::InvalidParameterValue(words));
    };
    check_offered(asked, instance_type, zone)?;
    Ok((Some(zone.to_owned()), vec![subnet.clone()]))
}

fn check_offered(asked: &Asked<'_>, instance_type: &str, zone: &str) -> Result<(), Ec2Error> {
    if asked.world.is_offered(instance_type, zone) {
        return Ok(());
    }
    let zones = &asked.world.setup.zones;
    let offering = zones.iter().filter(|zone| asked.world.is_offered(instance_type, zone));
    let offering: Vec<&str> = offering.map(String::as_str).collect();
    Err(Ec2Error::Unsupported(format!(
        "Your requested instance type ({instance_type}) is not supported in your requested Availability Zone ({zone}). \
         Please retry your request by not specifying an Availability Zone or choosing {}.",
        offering.join(", ")
    )))
}

fn market(query: &Query) -> Result<Option<Market>, Ec2Error> {
    match query.get("InstanceMarketOptions.MarketType") {
        None => Ok(None),
        Some("spot") => Ok(Some(Market::Spot)),
        Some(other) => Err(Ec2Error::invalid_value(
            "InstanceMarketOptions.MarketType",
            other,
            "Expected spot",
        )),
    }
}

/// Reads what an instance's own shutdown does to it.
pub(super) fn shutdown_behavior(query: &Query, name: &str) -> Result<Option<ShutdownBehavior>, Ec2Error> {
    match query.get(name) {
        None => Ok(None),
        Some("stop") => Ok(Some(ShutdownBehavior::Stop)),
        Some("terminate") => Ok(Some(ShutdownBehavior::Terminate)),
        Some(other) => Err(Ec2Error::invalid_value(name, other, "Expected stop or terminate")),
    }
}

fn user_data(encoded: Option<&str>) -> Result<Option<Vec<u8>>, Ec2Error> {
    let Some(encoded) = encoded else {
        return Ok(None);
    };
    let data = STANDARD.decode(encoded).map_err(|_| Ec2Error::UserDataMalformed)?;
    if data.len() > USER_DATA_BYTES_MAX {
        let words = "User data is limited to 16384 bytes";
        return Err(Ec2Error::InvalidParameterValue(words.into()));
    }
    Ok(Some(data))
}

struct SpecifiedTags {
    instance: BTreeMap<String, String>,
    volume: BTreeMap<String, String>,
}

fn specified_tags(query: &Query) -> Result<SpecifiedTags, Ec2Error> {
    let mut specified = SpecifiedTags {
        instance: BTreeMap::new(),
        volume: BTreeMap::new(),
    };
    for entry in query.entries("TagSpecification") {
        let tags = tags_of(&entry.entries("Tag"))?;
        check_tags(&tags)?;
        match entry.required("ResourceType")? {
            "instance" => specified.instance.extend(tags),
            "volume" => specified.volume.extend(tags),
            // They are made with an instance, and nothing here shows their tags.
            "network-interface" | "spot-instances-request" => {}
            other => {
                let words = format!("'{other}' is not a valid taggable resource type for this operation.");
                return Err(Ec2Error::InvalidParameterValue(words));
            }
        }
    }
    Ok(specified)
}
