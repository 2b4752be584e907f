//! What a setup must not say: things that would make every test with it fail in a way that explains nothing.

use super::{ClockSetup, Setup};

/// How a setup contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// Nothing could ever be launched.
    #[error("there are no zones")]
    NoZones,
    /// A subnet lies nowhere.
    #[error("subnet {subnet} lies in {zone}, which is no zone of the setup")]
    SubnetWithoutZone {
        /// The subnet.
        subnet: String,
        /// Where it says that it lies.
        zone: String,
    },
    /// A template's default version does not exist.
    #[error("launch template {template} has no version {version}, which is its default")]
    NoDefaultVersion {
        /// The template.
        template: String,
        /// Its default version.
        version: u64,
    },
    /// A rate of the clock that is none.
    #[error("the clock's speed must be above zero and finite")]
    Speed,
}

impl Setup {
    /// Says whether it can be.
    ///
    /// # Errors
    ///
    /// It contradicts itself.
    pub fn check(&self) -> Result<(), SetupError> {
        if self.zones.is_empty() {
            return Err(SetupError::NoZones);
        }
        if let Some(subnet) = self.subnets.iter().find(|subnet| !self.zones.contains(&subnet.zone)) {
            return Err(SetupError::SubnetWithoutZone {
                subnet: subnet.id.clone(),
                zone: subnet.zone.clone(),
            });
        }
        for template in &self.launch_templates {
            let versions = 1..=template.versions.len() as u64;
            if !versions.contains(&template.default_version) {
                return Err(SetupError::NoDefaultVersion {
                    template: template.id.clone(),
                    version: template.default_version,
                });
            }
        }
        match &self.clock {
            ClockSetup::Real { speed } if !(speed.is_finite() && *speed > 0.0) => Err(SetupError::Speed),
            ClockSetup::Real { .. } | ClockSetup::Manual { .. } => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ClockSetup, Setup, SetupError};

    #[test]
    fn the_default_can_be_and_survives_json() {
        let setup = Setup::default();
        setup.check().unwrap();
        let text = serde_json::to_string(&setup).unwrap();
        assert_eq!(serde_json::from_str::<Setup>(&text).unwrap(), setup);
        assert_eq!(serde_json::from_str::<Setup>("{}").unwrap(), setup);
    }

    #[test]
    fn contradictions_are_named() {
        let mut setup = Setup::default();
        setup.zones.pop();
        assert!(matches!(setup.check(), Err(SetupError::SubnetWithoutZone { .. })));
        let mut setup = Setup::default();
        setup.launch_templates[0].default_version = 2;
        assert!(matches!(
            setup.check(),
            Err(SetupError::NoDefaultVersion { version: 2, .. })
        ));
        let setup = Setup {
            clock: ClockSetup::Real { speed: 0.0 },
            ..Setup::default()
        };
        assert_eq!(setup.check(), Err(SetupError::Speed));
    }
}
