//! `DescribeLaunchTemplates` and `DescribeLaunchTemplateVersions`.

use super::filters::{self, filters, tag_values};
use super::instances::whole_seconds;
use super::pages::Page;
use super::{Answer, Asked};
use crate::error::Ec2Error;
use crate::setup::{LaunchTemplate, Market, TemplateVersion};
use crate::world::{World, behavior_word};
use crate::xml::Xml;

pub(super) fn describe_launch_templates(asked: &mut Asked<'_>) -> Result<Answer, Ec2Error> {
    let (ids, names) = (
        asked.query.list("LaunchTemplateId"),
        asked.query.list("LaunchTemplateName"),
    );
    let page = Page::asked(asked.query, 1)?;
    let filters = filters(asked.query)?;
    filters::check(&filters, |name| values(name, None).is_some())?;
    let mut templates: Vec<&LaunchTemplate> = Vec::new();
    for id in &ids {
        templates.push(asked.world.template(Some(id), None)?);
    }
    for name in &names {
        templates.push(asked.world.template(None, Some(name))?);
    }
    if ids.is_empty() && names.is_empty() {
        templates.extend(&asked.world.setup.launch_templates);
    }
    asked.end_dry_run()?;
    let mut matching = Vec::new();
    for template in templates {
        if filters::matches(&filters, |name| values(name, Some(template)))? {
            matching.push(template);
        }
    }
    let (templates, next) = page.cut_list(matching);
    let mut answer = Answer::default();
    answer.content.list("launchTemplates", templates, |xml, template| {
        write_names(xml, asked, template);
        xml.leaf("defaultVersionNumber", template.default_version);
        xml.leaf("latestVersionNumber", template.versions.len());
        xml.list("tagSet", &template.tags, |xml, (key, value)| {
            xml.leaf("key", key);
            xml.leaf("value", value);
        });
    });
    answer.content.leaf_if("nextToken", next);
    Ok(answer)
}

pub(super) fn describe_launch_template_versions(asked: &mut Asked<'_>) -> Result<Answer, Ec2Error> {
    let query = asked.query;
    let template = asked
        .world
        .template(query.get("LaunchTemplateId"), query.get("LaunchTemplateName"))?;
    let page = Page::asked(query, 1)?;
    let written = query.list("LaunchTemplateVersion");
    let found = match written.is_empty() {
        false => written
            .iter()
            .map(|version| World::version(template, version))
            .collect::<Result<Vec<_>, _>>()?,
        true => {
            let newest = template.versions.len() as u64;
            let first = query.number("MinVersion")?.unwrap_or(1).max(1);
            let last = query.number("MaxVersion")?.unwrap_or(newest).min(newest);
            // The newest comes first, as in EC2.
            (first..=last)
                .rev()
                .map(|number| World::version(template, &number.to_string()))
                .collect::<Result<Vec<_>, _>>()?
        }
    };
    asked.end_dry_run()?;
    let (versions, next) = page.cut_list(found);
    let mut answer = Answer::default();
    answer
        .content
        .list("launchTemplateVersionSet", versions, |xml, version| {
            write_names(xml, asked, template);
            xml.leaf("versionNumber", version.number);
            xml.leaf("defaultVersion", version.number == template.default_version);
            xml.element("launchTemplateData", |xml| write_content(xml, &version.content));
        });
    answer.content.leaf_if("nextToken", next);
    Ok(answer)
}

fn write_names(xml: &mut Xml, asked: &Asked<'_>, template: &LaunchTemplate) {
    xml.leaf("launchTemplateId", &template.id);
    xml.leaf("launchTemplateName", &template.name);
    xml.leaf("createTime", whole_seconds(jiff::Timestamp::UNIX_EPOCH));
    xml.leaf("createdBy", format!("arn:aws:iam::{}:root", asked.world.setup.account));
}

fn write_content(xml: &mut Xml, content: &TemplateVersion) {
    xml.leaf_if("imageId", content.image_id.as_deref());
    xml.leaf_if("instanceType", content.instance_type.as_deref());
    if let Some(zone) = &content.zone {
        xml.element("placement", |xml| xml.leaf("availabilityZone", zone));
    }
    if let Some(subnet) = &content.subnet_id {
        xml.list("networkInterfaceSet", [subnet], |xml, subnet| {
            xml.leaf("deviceIndex", 0);
            xml.leaf("subnetId", subnet);
        });
    }
    if content.market == Some(Market::Spot) {
        xml.element("instanceMarketOptions", |xml| xml.leaf("marketType", "spot"));
    }
    let behavior = content.shutdown_behavior.map(behavior_word);
    xml.leaf_if("instanceInitiatedShutdownBehavior", behavior);
    xml.leaf_if("disableApiTermination", content.disable_api_termination);
    xml.leaf_if("userData", content.user_data.as_deref());
    if !content.instance_tags.is_empty() {
        xml.list("tagSpecificationSet", [&content.instance_tags], |xml, tags| {
            xml.leaf("resourceType", "instance");
            xml.list("tagSet", tags, |xml, (key, value)| {
                xml.leaf("key", key);
                xml.leaf("value", value);
            });
        });
    }
}

/// Returns what a template has under a filter's name; without one, whether there is such a filter.
fn values(name: &str, template: Option<&LaunchTemplate>) -> Option<Vec<String>> {
    match name {
        "launch-template-name" => Some(template.map(|template| template.name.clone()).into_iter().collect()),
        other => tag_values(other, template.into_iter().flat_map(|template| &template.tags)),
    }
}
