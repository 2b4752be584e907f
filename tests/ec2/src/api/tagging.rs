//! `CreateTags`, `DeleteTags` and `DescribeTags`, for instances.

use std::collections::BTreeMap;

use super::attributes::done;
use super::filters::{self, filters};
use super::pages::Page;
use super::{Answer, Asked, instance_id};
use crate::error::Ec2Error;
use crate::query::Query;
use crate::world::{InstanceId, check_tags};

/// The smallest page of tags.
const PAGE_MIN: usize = 5;

pub(super) fn create_tags(asked: &mut Asked<'_>) -> Result<Answer, Ec2Error> {
    let ids = resources(asked.query)?;
    let entries = asked.query.entries("Tag");
    if entries.is_empty() {
        return Err(Ec2Error::MissingParameter("Tag".into()));
    }
    let tags = tags_of(&entries)?;
    check_tags(&tags)?;
    asked.world.find_for_change(asked.now, &ids)?;
    asked.end_dry_run()?;
    asked.world.set_tags(asked.now, &ids, &tags)?;
    Ok(done(ids))
}

pub(super) fn delete_tags(asked: &mut Asked<'_>) -> Result<Answer, Ec2Error> {
    let ids = resources(asked.query)?;
    let mut tags = Vec::new();
    for entry in asked.query.entries("Tag") {
        // An empty value is one, and not the same as none.
        let value = entry
            .has("Value")
            .then(|| entry.get("Value").unwrap_or_default().to_owned());
        tags.push((entry.required("Key")?.to_owned(), value));
    }
    asked.world.find_for_change(asked.now, &ids)?;
    asked.end_dry_run()?;
    asked.world.delete_tags(asked.now, &ids, &tags);
    Ok(done(ids))
}

pub(super) fn describe_tags(asked: &mut Asked<'_>) -> Result<Answer, Ec2Error> {
    let page = Page::asked(asked.query, PAGE_MIN)?;
    let filters = filters(asked.query)?;
    filters::check(&filters, |name| {
        matches!(name, "resource-id" | "resource-type" | "key" | "value")
    })?;
    asked.end_dry_run()?;
    let seen_at = asked.world.seen_at(asked.now);
    let mut matching = Vec::new();
    for row in asked.world.rows(seen_at) {
        for (key, value) in &row.shown.tags {
            let of = |name: &str| match name {
                "resource-id" => Some(vec![row.instance.id.to_string()]),
                "resource-type" => Some(vec!["instance".into()]),
                "key" => Some(vec![key.clone()]),
                "value" => Some(vec![value.clone()]),
                _ => None,
            };
            if filters::matches(&filters, of)? {
                matching.push((row.instance.id.clone(), key.clone(), value.clone()));
            }
        }
    }
    let (tags, next) = page.cut_list(matching);
    let mut answer = Answer::default();
    answer.content.list("tagSet", tags, |xml, (id, key, value)| {
        xml.leaf("resourceId", id);
        xml.leaf("resourceType", "instance");
        xml.leaf("key", key);
        xml.leaf("value", value);
    });
    answer.content.leaf_if("nextToken", next);
    Ok(answer)
}

/// Reads a list of tags.
pub(super) fn tags_of(entries: &[Query]) -> Result<BTreeMap<String, String>, Ec2Error> {
    let mut tags = BTreeMap::new();
    for entry in entries {
        let key = entry.required("Key")?;
        let value = entry.get("Value").unwrap_or_default();
        if tags.insert(key.to_owned(), value.to_owned()).is_some() {
            let words = format!("Duplicate tag key '{key}' specified.");
            return Err(Ec2Error::InvalidParameterValue(words));
        }
    }
    Ok(tags)
}

fn resources(query: &Query) -> Result<Vec<InstanceId>, Ec2Error> {
    let texts = query.list("ResourceId");
    if texts.is_empty() {
        return Err(Ec2Error::MissingParameter("ResourceId".into()));
    }
    let read = |text: &&str| match text.starts_with("i-") {
        true => instance_id(text),
        false => Err(Ec2Error::InvalidId((*text).to_owned())),
    };
    texts.iter().map(read).collect()
}
