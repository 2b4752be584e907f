//! Tags, and the other things that can be changed of an instance.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{InstanceId, World};
use crate::error::Ec2Error;
use crate::setup::ShutdownBehavior;

/// The most tags that a resource may have, without those of AWS's own.
const TAGS_MAX: usize = 50;
/// The longest key, in characters.
const TAG_KEY_CHARACTERS_MAX: usize = 127;
/// The longest value, in characters.
const TAG_VALUE_CHARACTERS_MAX: usize = 255;

/// Says whether tags are such as a caller may set.
pub(crate) fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), Ec2Error> {
    for (key, value) in tags {
        if key.starts_with("aws:") {
            let why = "Tag keys starting with 'aws:' are reserved for internal use";
            return Err(Ec2Error::InvalidParameterValue(why.into()));
        }
        if key.is_empty() || key.chars().count() > TAG_KEY_CHARACTERS_MAX {
            let why = "Tag key exceeds the maximum length of 127 characters, or is empty";
            return Err(Ec2Error::InvalidParameterValue(why.into()));
        }
        if value.chars().count() > TAG_VALUE_CHARACTERS_MAX {
            let why = "Tag value exceeds the maximum length of 255 characters";
            return Err(Ec2Error::InvalidParameterValue(why.into()));
        }
    }
    if tags.len() > TAGS_MAX {
        Err(Ec2Error::TagLimitExceeded)
    } else {
        Ok(())
    }
}

impl World {
    /// Sets tags of instances.
    ///
    /// # Errors
    ///
    /// One of them would have too many, and none has been changed.
    pub(crate) fn set_tags(
        &mut self,
        now: Timestamp,
        ids: &[InstanceId],
        tags: &BTreeMap<String, String>,
    ) -> Result<(), Ec2Error> {
        let kept = self.history_kept(now);
        for id in ids {
            let Some(instance) = self.instances.get(id) else {
                continue;
            };
            let mut own: BTreeMap<String, String> = instance.shown().tags.clone();
            own.extend(tags.clone());
            own.retain(|key, _| !key.starts_with("aws:"));
            check_tags(&own)?;
        }
        for id in ids {
            if let Some(instance) = self.instances.get_mut(id) {
                instance.show(now, kept, |shown| shown.tags.extend(tags.clone()));
            }
        }
        Ok(())
    }

    /// Deletes tags of instances: those with this key, and with this value where one is given; all but AWS's own if none are named.
    pub(crate) fn delete_tags(&mut self, now: Timestamp, ids: &[InstanceId], tags: &[(String, Option<String>)]) {
        let kept = self.history_kept(now);
        let is_named = |key: &str, value: &str| {
            let matches = |(wanted, only): &(String, Option<String>)| {
                wanted == key && only.as_deref().is_none_or(|only| only == value)
            };
            tags.is_empty() || tags.iter().any(matches)
        };
        for id in ids {
            if let Some(instance) = self.instances.get_mut(id) {
                instance.show(now, kept, |shown| {
                    shown
                        .tags
                        .retain(|key, value| key.starts_with("aws:") || !is_named(key, value));
                });
            }
        }
    }

    /// Protects an instance against termination, or no longer.
    pub(crate) fn protect(&mut self, now: Timestamp, id: &InstanceId, is_protected: bool) {
        let kept = self.history_kept(now);
        if let Some(instance) = self.instances.get_mut(id) {
            instance.show(now, kept, |shown| shown.is_protected = is_protected);
        }
    }

    /// Sets what an instance's own shutdown does to it.
    pub(crate) fn set_shutdown_behavior(&mut self, id: &InstanceId, behavior: ShutdownBehavior) {
        if let Some(instance) = self.instances.get_mut(id) {
            instance.shutdown_behavior = behavior;
        }
    }
}
