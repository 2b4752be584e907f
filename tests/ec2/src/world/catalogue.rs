//! What does not change while the world turns: zones, subnets, images, templates and types, found by their ids.

use super::World;
use crate::error::Ec2Error;
use crate::setup::{Image, LaunchTemplate, Subnet, TemplateVersion};

/// A launch template's version, found by what a request says of it.
#[derive(Debug, Clone)]
pub(crate) struct FoundVersion {
    pub(crate) template_id: String,
    pub(crate) number: u64,
    pub(crate) content: TemplateVersion,
}

impl World {
    /// Finds an image.
    pub(crate) fn image(&self, id: &str) -> Result<&Image, Ec2Error> {
        if !id.starts_with("ami-") {
            return Err(Ec2Error::ImageMalformed(id.into()));
        }
        let found = self.setup.images.iter().find(|image| image.id == id);
        found.ok_or_else(|| Ec2Error::ImageNotFound(id.into()))
    }

    /// Finds a subnet.
    pub(crate) fn subnet(&self, id: &str) -> Result<&Subnet, Ec2Error> {
        let found = self.setup.subnets.iter().find(|subnet| subnet.id == id);
        found.ok_or_else(|| Ec2Error::SubnetNotFound(id.into()))
    }

    /// Returns the default subnet of each zone, in the order of the zones.
    pub(crate) fn default_subnets(&self) -> Vec<&Subnet> {
        let zones = self.setup.zones.iter();
        let defaults = zones.filter_map(|zone| self.setup.subnets.iter().find(|subnet| subnet.zone == *zone));
        defaults.collect()
    }

    /// Returns whether a zone offers a type.
    pub(crate) fn is_offered(&self, instance_type: &str, zone: &str) -> bool {
        match self.setup.instance_types.get(instance_type) {
            Some(known) => known.zones.as_ref().is_none_or(|zones| zones.contains(zone)),
            None => false,
        }
    }

    /// Returns whether a type's console can be read as it is now.
    pub(crate) fn has_live_console(&self, instance_type: &str) -> bool {
        let known = self.setup.instance_types.get(instance_type);
        known.is_some_and(|known| known.has_live_console)
    }

    /// Finds a launch template by its id or its name.
    pub(crate) fn template(&self, id: Option<&str>, name: Option<&str>) -> Result<&LaunchTemplate, Ec2Error> {
        let templates = &self.setup.launch_templates;
        match (id, name) {
            (Some(_), Some(_)) => {
                let words = "LaunchTemplateId and LaunchTemplateName cannot be used together.";
                Err(Ec2Error::InvalidParameterCombination(words.into()))
            }
            (Some(id), None) => templates
                .iter()
                .find(|template| template.id == id)
                .ok_or_else(|| Ec2Error::TemplateNotFound(id.into())),
            (None, Some(name)) => templates
                .iter()
                .find(|template| template.name == name)
                .ok_or_else(|| Ec2Error::TemplateNameNotFound(name.into())),
            (None, None) => Err(Ec2Error::MissingParameter("LaunchTemplateId".into())),
        }
    }

    /// Finds a template's version by its number, `$Latest` or `$Default`.
    pub(crate) fn version(template: &LaunchTemplate, version: &str) -> Result<FoundVersion, Ec2Error> {
        let number = match version {
            "$Latest" => template.versions.len() as u64,
            "$Default" => template.default_version,
            written => written
                .parse()
                .map_err(|_| Ec2Error::invalid_value("Version", written, "Use a number, $Latest or $Default"))?,
        };
        let index = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        let content = index.and_then(|index| template.versions.get(index));
        let content = content.ok_or_else(|| Ec2Error::TemplateVersionNotFound {
            template: template.id.clone(),
            version: version.into(),
        })?;
        Ok(FoundVersion {
            template_id: template.id.clone(),
            number,
            content: content.clone(),
        })
    }
}
