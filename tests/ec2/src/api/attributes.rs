//! One attribute of one instance: read and changed; and its console.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::instances::whole_seconds;
use super::launch::shutdown_behavior;
use super::{Answer, Asked, instance_id};
use crate::error::Ec2Error;
use crate::world::{InstanceId, behavior_word};
use crate::xml::Xml;

pub(super) fn describe_instance_attribute(asked: &mut Asked<'_>) -> Result<Answer, Ec2Error> {
    let id = named_instance(asked)?;
    let attribute = asked.query.required("Attribute")?;
    asked.end_dry_run()?;
    let seen_at = asked.world.seen_at(asked.now);
    let rows = asked.world.rows_of(seen_at, std::slice::from_ref(&id))?;
    let mut answer = Answer::default();
    answer.content.leaf("instanceId", &id);
    for row in rows {
        let value = match attribute {
            "disableApiTermination" => Some(row.shown.is_protected.to_string()),
            "instanceInitiatedShutdownBehavior" => Some(behavior_word(row.instance.shutdown_behavior).to_owned()),
            "instanceType" => Some(row.instance.instance_type.clone()),
            "userData" => row.instance.user_data.as_ref().map(|data| STANDARD.encode(data)),
            other => return Err(Ec2Error::invalid_value("attribute", other, "The fake does not have it")),
        };
        answer.content.element(attribute, |xml| xml.leaf_if("value", value));
    }
    answer.instances = vec![id];
    Ok(answer)
}

pub(super) fn modify_instance_attribute(asked: &mut Asked<'_>) -> Result<Answer, Ec2Error> {
    let id = named_instance(asked)?;
    let query = asked.query;
    let by_name = |name| query.get("Attribute").is_some_and(|attribute| attribute == name);
    let protected = match by_name("disableApiTermination") {
        true => query.flag("Value")?,
        false => query.flag("DisableApiTermination.Value")?,
    };
    let behavior = match by_name("instanceInitiatedShutdownBehavior") {
        true => shutdown_behavior(query, "Value")?,
        false => shutdown_behavior(query, "InstanceInitiatedShutdownBehavior.Value")?,
    };
    if protected.is_none() && behavior.is_none() {
        let words = "No attributes specified that the fake can change";
        return Err(Ec2Error::InvalidParameterCombination(words.into()));
    }
    asked.world.find_for_change(asked.now, std::slice::from_ref(&id))?;
    asked.end_dry_run()?;
    let is_up = asked.world.instance(&id).is_some_and(|instance| instance.is_up());
    if !is_up {
        let words = format!("The instance '{id}' is not in a state from which its attributes can be modified.");
        return Err(Ec2Error::IncorrectInstanceState(words));
    }
    if let Some(is_protected) = protected {
        asked.world.protect(asked.now, &id, is_protected);
    }
    if let Some(behavior) = behavior {
        asked.world.set_shutdown_behavior(&id, behavior);
    }
    Ok(done(vec![id]))
}

pub(super) fn get_console_output(asked: &mut Asked<'_>) -> Result<Answer, Ec2Error> {
    let id = named_instance(asked)?;
    let is_latest = asked.query.flag("Latest")?.unwrap_or(false);
    let seen_at = asked.world.seen_at(asked.now);
    asked.world.rows_of(seen_at, std::slice::from_ref(&id))?;
    asked.end_dry_run()?;
    let rows = asked.world.rows_of(seen_at, std::slice::from_ref(&id))?;
    let mut answer = Answer::default();
    for row in rows {
        if is_latest && !asked.world.has_live_console(&row.instance.instance_type) {
            return Err(Ec2Error::UnsupportedOperation);
        }
        answer.content.leaf("instanceId", &id);
        answer.content.leaf("timestamp", whole_seconds(asked.now));
        answer.content.leaf("output", STANDARD.encode(&row.instance.console));
    }
    answer.instances = vec![id];
    Ok(answer)
}

/// Returns the answer of an action that has nothing to say but that it was done.
pub(super) fn done(instances: Vec<InstanceId>) -> Answer {
    let mut content = Xml::default();
    content.leaf("return", true);
    Answer { content, instances }
}

fn named_instance(asked: &Asked<'_>) -> Result<InstanceId, Ec2Error> {
    instance_id(asked.query.required("InstanceId")?)
}
