//! What an instance has learned, taken from it and given to it: bytes that mean something to the guest alone.

use usher_fleet::advice::Fault;

use super::{Budget, Serving, run};

impl Serving {
    /// Returns what it has learned; none if it keeps nothing.
    ///
    /// # Errors
    /// The guest faulted. After its own error it can still be asked; after anything else it cannot.
    pub(crate) fn save(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        let Some(part) = &self.exports.learned else {
            return Ok(None);
        };
        let ran = run(&mut self.store, Budget::Learned, |store| {
            part.usher_policy_learned().call_save(store)
        });
        ran.result.map(Some)
    }

    /// Gives it what an instance before it had learned. One that keeps nothing is told nothing.
    ///
    /// # Errors
    /// The guest faulted, and is not to be asked again.
    pub(crate) fn restore(&mut self, learned: &[u8]) -> Result<(), Fault> {
        let Some(part) = &self.exports.learned else {
            return Ok(());
        };
        let ran = run(&mut self.store, Budget::Learned, |store| {
            part.usher_policy_learned().call_restore(store, learned)
        });
        ran.result
    }

    /// Notes that it was started without what was learned before.
    pub(crate) fn forget(&mut self, why: String) {
        self.forgot = Some(why);
    }

    /// Returns why it was started without what was learned before, if it was.
    pub(crate) fn forgot(&self) -> Option<&str> {
        self.forgot.as_deref()
    }
}
