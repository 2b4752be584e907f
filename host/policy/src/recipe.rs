//! All that is needed to make instances of one version: the compiled module, its settings, its name.

use std::sync::Arc;

use usher_fleet::decision::PolicyRef;

use crate::options::LogLevel;
use crate::settings::{OnFault, Settings};
use crate::version::{Name, Version};
use crate::wasm::{Ready, Serving, StartError};

/// One version of one policy, ready to be started wherever an instance is needed.
pub(crate) struct Recipe {
    pub(crate) name: Name,
    pub(crate) version: Version,
    pub(crate) ready: Arc<Ready>,
    pub(crate) settings: Settings,
    pub(crate) log: LogLevel,
}

impl Recipe {
    /// Starts an instance that knows nothing of the fleet yet, and gives it what one before it had learned. One that does not
    /// take that is started without; [`Serving::forgot`] says why.
    ///
    /// # Errors
    /// Which step failed, in the guest's words.
    pub(crate) fn start(&self, learned: Option<&[u8]>) -> Result<Serving, StartError> {
        let fresh = || {
            self.ready
                .start(self.name.text().clone(), &self.settings.json, self.log)
        };
        let mut instance = fresh()?;
        let Some(Err(fault)) = learned.map(|learned| instance.restore(learned)) else {
            return Ok(instance);
        };
        let mut instance = fresh()?;
        instance.forget(fault.message);
        Ok(instance)
    }

    /// Returns the name under which an instance's decisions are recorded. An author without a version gets the hash's first digits.
    pub(crate) fn policy_ref(&self, instance: &Serving) -> PolicyRef {
        let version = match instance.description().version.as_str() {
            "" => self.version.wasm.to_string()[..8].into(),
            version => version.into(),
        };
        PolicyRef {
            name: self.name.text().clone(),
            version,
        }
    }

    /// Returns whether a room waits when this policy faults.
    pub(crate) fn waits(&self) -> bool {
        self.settings.on_fault == OnFault::Wait
    }
}
