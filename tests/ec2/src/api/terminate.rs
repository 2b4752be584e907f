//! `TerminateInstances`.

use super::instances::write_state;
use super::{Answer, Asked, instance_ids};
use crate::error::Ec2Error;

/// The most instances that a request may name.
const INSTANCES_MAX: usize = 1000;

pub(super) fn terminate_instances(asked: &mut Asked<'_>) -> Result<Answer, Ec2Error> {
    let texts = asked.query.list("InstanceId");
    if texts.is_empty() {
        return Err(Ec2Error::MissingParameter("InstanceId".into()));
    }
    if texts.len() > INSTANCES_MAX {
        let words = "A request names at most 1000 instances";
        return Err(Ec2Error::InvalidParameterValue(words.into()));
    }
    let mut ids = instance_ids(&texts)?;
    ids.sort_unstable();
    ids.dedup();
    asked.world.find_for_change(asked.now, &ids)?;
    if asked.is_dry_run()? {
        if let Some(id) = asked.world.protected_among(&ids) {
            return Err(Ec2Error::OperationNotPermitted(id.to_string()));
        }
        return Err(Ec2Error::DryRunOperation);
    }
    let count = u32::try_from(ids.len()).unwrap_or(u32::MAX);
    asked.take_resources("TerminateInstances", count)?;
    let changes = asked.world.terminate(asked.now, &ids)?;
    let mut answer = Answer {
        instances: ids,
        ..Answer::default()
    };
    answer.content.list("instancesSet", changes, |xml, change| {
        xml.leaf("instanceId", &change.instance);
        write_state(xml, "currentState", change.after);
        write_state(xml, "previousState", change.before);
    });
    Ok(answer)
}
