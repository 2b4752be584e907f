//! Client tokens: the same request again gives the same instances, and another request under the same token none.
//!
//! A token that a request uses with a zone or subnet counts in that zone only, as EC2 documents it: the same token with
//! another zone is another launch. That is the trap for a caller who moves on to the next zone with the same token.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{InstanceId, InstanceState, World, earlier, seconds};
use crate::error::Ec2Error;

/// The longest token, in characters.
const TOKEN_CHARACTERS_MAX: usize = 64;

/// What was launched under which token.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    known: BTreeMap<TokenKey, Remembered>,
    launched: BTreeMap<String, Vec<InstanceId>>,
}

/// A token where it counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TokenKey {
    /// The token.
    pub(crate) token: String,
    /// The zone that the request named, itself or by its subnet.
    pub(crate) zone: Option<String>,
}

/// What makes a request the same request.
pub(crate) type Fingerprint = Vec<(String, String)>;

#[derive(Debug)]
struct Remembered {
    fingerprint: Fingerprint,
    instances: Vec<InstanceId>,
}

impl Tokens {
    /// Returns every instance that was ever launched under each token, in any zone.
    pub(super) fn launched(&self) -> &BTreeMap<String, Vec<InstanceId>> {
        &self.launched
    }
}

impl World {
    /// Returns the instances of an earlier launch under this token, if there was one.
    ///
    /// # Errors
    ///
    /// The token belongs to another request, or its instances have been terminated.
    pub(super) fn find_token(
        &mut self,
        now: Timestamp,
        key: &TokenKey,
        fingerprint: &Fingerprint,
    ) -> Result<Option<Vec<InstanceId>>, Ec2Error> {
        check_token(&key.token)?;
        if self.is_token_forgotten(now, key) {
            self.tokens.known.remove(key);
        }
        let Some(remembered) = self.tokens.known.get(key) else {
            return Ok(None);
        };
        if remembered.fingerprint != *fingerprint {
            return Err(Ec2Error::IdempotentParameterMismatch);
        }
        let is_terminated = |id: &InstanceId| match self.instances.get(id) {
            Some(instance) => instance.shown().state == InstanceState::Terminated,
            None => true,
        };
        if remembered.instances.iter().any(is_terminated) {
            return Err(Ec2Error::IdempotentInstanceTerminated);
        }
        Ok(Some(remembered.instances.clone()))
    }

    /// Remembers what was launched under a token.
    pub(super) fn keep_token(&mut self, key: TokenKey, fingerprint: Fingerprint, instances: Vec<InstanceId>) {
        let launched = self.tokens.launched.entry(key.token.clone()).or_default();
        launched.extend(instances.iter().cloned());
        self.tokens.known.insert(key, Remembered { fingerprint, instances });
    }

    fn is_token_forgotten(&self, now: Timestamp, key: &TokenKey) -> bool {
        let Some(remembered) = self.tokens.known.get(key) else {
            return false;
        };
        let before = earlier(now, seconds(self.setup.token_memory_seconds));
        remembered.instances.iter().all(|id| match self.instances.get(id) {
            Some(instance) => instance.shown().state == InstanceState::Terminated && instance.shown().since < before,
            None => true,
        })
    }
}

fn check_token(token: &str) -> Result<(), Ec2Error> {
    if token.is_ascii() && token.len() <= TOKEN_CHARACTERS_MAX {
        return Ok(());
    }
    let why = "Client tokens are up to 64 ASCII characters";
    Err(Ec2Error::invalid_value("clientToken", token, why))
}
