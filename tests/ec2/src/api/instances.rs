//! Instances as answers show them, and `DescribeInstances`.

use super::filters::{self, filters, tag_values};
use super::pages::Page;
use super::{Answer, Asked, instance_ids};
use crate::error::Ec2Error;
use crate::setup::Market;
use crate::world::{InstanceState, Row};
use crate::xml::Xml;

/// The smallest page of instances.
const PAGE_MIN: usize = 5;

pub(super) fn describe_instances(asked: &mut Asked<'_>) -> Result<Answer, Ec2Error> {
    let ids = instance_ids(&asked.query.list("InstanceId"))?;
    let page = Page::asked(asked.query, PAGE_MIN)?;
    let filters = filters(asked.query)?;
    filters::check(&filters, is_filter)?;
    if !ids.is_empty() && page.is_asked() {
        let words = "The parameter instancesSet cannot be used with the parameter maxResults";
        return Err(Ec2Error::InvalidParameterCombination(words.into()));
    }
    asked.end_dry_run()?;
    let seen_at = asked.world.seen_at(asked.now);
    let rows = match ids.is_empty() {
        true => asked.world.rows(seen_at),
        false => asked.world.rows_of(seen_at, &ids)?,
    };
    let mut matching = Vec::with_capacity(rows.len());
    for row in rows {
        if filters::matches(&filters, |name| filter_values(name, row))? {
            matching.push(row);
        }
    }
    let (rows, next) = page.cut(matching, |row| row.instance.number);
    let mut answer = Answer {
        instances: rows.iter().map(|row| row.instance.id.clone()).collect(),
        ..Answer::default()
    };
    answer
        .content
        .list("reservationSet", by_reservation(&rows), |xml, rows| {
            write_reservation(xml, &asked.world.setup.account, rows);
        });
    answer.content.leaf_if("nextToken", next);
    Ok(answer)
}

/// Writes a reservation with these of its instances; nothing if there are none.
pub(super) fn write_reservation(xml: &mut Xml, account: &str, rows: &[Row<'_>]) {
    let Some(first) = rows.first() else {
        return;
    };
    xml.leaf("reservationId", &first.instance.reservation);
    xml.leaf("ownerId", account);
    xml.list("groupSet", [(); 0], |_, ()| {});
    xml.list("instancesSet", rows, |xml, row| write_instance(xml, *row));
}

/// Writes a state by its number and name.
pub(super) fn write_state(xml: &mut Xml, name: &str, state: InstanceState) {
    xml.element(name, |xml| {
        xml.leaf("code", state.code());
        xml.leaf("name", state.name());
    });
}

/// Groups rows of the same reservation that follow each other.
fn by_reservation<'a, 'b>(rows: &'a [Row<'b>]) -> impl Iterator<Item = &'a [Row<'b>]> {
    rows.chunk_by(|one, next| one.instance.reservation == next.instance.reservation)
}

fn write_instance(xml: &mut Xml, row: Row<'_>) {
    let Row { instance, shown } = row;
    let state = shown.state;
    let has_network = state != InstanceState::Terminated;
    xml.leaf("instanceId", &instance.id);
    xml.leaf("imageId", &instance.image_id);
    write_state(xml, "instanceState", state);
    let private_name = format!("ip-{}.ec2.internal", instance.private_ip.replace('.', "-"));
    xml.leaf("privateDnsName", if has_network { &private_name } else { "" });
    xml.leaf("dnsName", "");
    xml.leaf("reason", user_reason(row));
    xml.leaf("amiLaunchIndex", instance.launch_index);
    xml.leaf("instanceType", &instance.instance_type);
    xml.leaf("launchTime", whole_seconds(instance.launched_at));
    xml.element("placement", |xml| {
        xml.leaf("availabilityZone", &instance.zone);
        xml.leaf("groupName", "");
        xml.leaf("tenancy", "default");
    });
    xml.element("monitoring", |xml| xml.leaf("state", "disabled"));
    if has_network {
        xml.leaf("subnetId", &instance.subnet_id);
        xml.leaf("vpcId", super::region::VPC);
        xml.leaf("privateIpAddress", &instance.private_ip);
        xml.leaf_if("ipAddress", instance.public_ip_in(state));
    }
    if let Some(reason) = &shown.reason {
        xml.element("stateReason", |xml| {
            xml.leaf("code", &reason.code);
            xml.leaf("message", &reason.message);
        });
    }
    xml.leaf("architecture", &instance.architecture);
    xml.leaf("rootDeviceType", "ebs");
    xml.leaf("rootDeviceName", super::region::ROOT_DEVICE);
    write_volume(xml, row);
    xml.leaf("virtualizationType", "hvm");
    xml.leaf_if("clientToken", instance.client_token.as_deref());
    xml.leaf("hypervisor", "xen");
    if instance.market == Market::Spot {
        xml.leaf("instanceLifecycle", "spot");
        xml.leaf_if("spotInstanceRequestId", instance.spot_request.as_deref());
    }
    if !shown.tags.is_empty() {
        xml.list("tagSet", &shown.tags, |xml, (key, value)| {
            xml.leaf("key", key);
            xml.leaf("value", value);
        });
    }
}

fn write_volume(xml: &mut Xml, row: Row<'_>) {
    let volumes = match row.shown.state {
        InstanceState::Running | InstanceState::ShuttingDown | InstanceState::Stopped => vec![row.instance],
        InstanceState::Pending | InstanceState::Terminated => Vec::new(),
    };
    xml.list("blockDeviceMapping", volumes, |xml, instance| {
        xml.leaf("deviceName", super::region::ROOT_DEVICE);
        xml.element("ebs", |xml| {
            xml.leaf("volumeId", &instance.volume_id);
            xml.leaf("status", "attached");
            xml.leaf("attachTime", whole_seconds(instance.launched_at));
            xml.leaf("deleteOnTermination", true);
        });
    });
}

/// Returns EC2's old words for why an instance ended, which it still sends.
fn user_reason(row: Row<'_>) -> String {
    match &row.shown.reason {
        Some(reason) if reason.code == "Client.UserInitiatedShutdown" => {
            let at = row.shown.since.strftime("%Y-%m-%d %H:%M:%S GMT");
            format!("User initiated ({at})")
        }
        _ => String::new(),
    }
}

/// Writes a moment as EC2 does in answers: whole seconds, in UTC, with three zeros.
pub(super) fn whole_seconds(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string()
}

fn is_filter(name: &str) -> bool {
    matches!(
        name,
        "instance-state-name"
            | "instance-state-code"
            | "instance-id"
            | "client-token"
            | "instance-type"
            | "instance-lifecycle"
            | "availability-zone"
            | "subnet-id"
            | "vpc-id"
            | "image-id"
            | "reservation-id"
            | "private-ip-address"
            | "ip-address"
            | "tag-key"
            | "tag-value"
    ) || name.starts_with("tag:")
}

fn filter_values(name: &str, row: Row<'_>) -> Option<Vec<String>> {
    let Row { instance, shown } = row;
    let one = |text: &str| Some(vec![text.to_owned()]);
    match name {
        "instance-state-name" => one(shown.state.name()),
        "instance-state-code" => one(&shown.state.code().to_string()),
        "instance-id" => one(instance.id.as_str()),
        "client-token" => Some(instance.client_token.iter().cloned().collect()),
        "instance-type" => one(&instance.instance_type),
        "instance-lifecycle" => Some(match instance.market {
            Market::Spot => vec!["spot".into()],
            Market::OnDemand => Vec::new(),
        }),
        "availability-zone" => one(&instance.zone),
        "subnet-id" => one(&instance.subnet_id),
        "vpc-id" => one(super::region::VPC),
        "image-id" => one(&instance.image_id),
        "reservation-id" => one(&instance.reservation),
        "private-ip-address" => one(&instance.private_ip),
        "ip-address" => Some(
            instance
                .public_ip_in(shown.state)
                .map(str::to_owned)
                .into_iter()
                .collect(),
        ),
        other => tag_values(other, &shown.tags),
    }
}
