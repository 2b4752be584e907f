//! The end of a server, and the proof that nothing is left of it.
//!
//! That nothing is left is only ever said when EC2's list says `terminated` of all that was made under the key; or when the list has
//! had nothing for longer than it may lag behind. An answer to `TerminateInstances` proves neither.

use std::collections::BTreeMap;

use aws_sdk_ec2::error::ProvideErrorMetadata as _;
use aws_sdk_ec2::types::Instance as Described;

use usher_fleet::effect::TerminateOrder;
use usher_fleet::observation::ProviderError;

use super::listing::is_terminated;
use super::tags::{KEEP, is_kept};
use super::{Ec2, LOCK, once, refusal};

impl Ec2 {
    pub(super) async fn terminate_now(&self, order: &TerminateOrder) -> Result<(), ProviderError> {
        self.unseen.lock().expect(LOCK).remove(&order.key);
        let made = self.under(&order.key).await?;
        let living: BTreeMap<&str, &Described> = made
            .iter()
            .filter(|described| !is_terminated(described))
            .filter_map(|described| Some((described.instance_id()?, described)))
            .collect();
        if living.is_empty() {
            return self.proven_gone(order, &made);
        }
        let mut hindrance = None;
        for described in living.values() {
            // One that cannot be ended stands in no other's way; what only a human can help with is told first.
            let is_told = matches!(
                hindrance,
                Some(ProviderError::Refused(_) | ProviderError::Misconfigured(_))
            );
            match self.end(described).await {
                Err(error) if !is_told => hindrance = Some(error),
                Ok(()) | Err(_) => {}
            }
        }
        let which = living.into_keys().collect::<Vec<_>>().join(", ");
        Err(hindrance.unwrap_or_else(|| ProviderError::Unknown(format!("{which} is ending"))))
    }

    /// Ends one instance, unless somebody wants it kept. Each is asked for alone: a protected one would fail a whole batch.
    async fn end(&self, described: &Described) -> Result<(), ProviderError> {
        let instance = described.instance_id().unwrap_or_default();
        if is_kept(described.tags()) {
            let reason = format!("{instance} has the tag {KEEP}: take it off, and it is ended");
            return Err(ProviderError::Refused(reason));
        }
        let (_turn, client) = self.turn().await;
        let call = client.terminate_instances().instance_ids(instance);
        match call.customize().config_override(once()).send().await {
            Ok(_) => Ok(()),
            Err(error) => match error.code() {
                Some(refusal::NOT_FOUND) => Ok(()),
                Some(refusal::NOT_PERMITTED) => {
                    let why = refusal::text(&error);
                    let reason =
                        format!("{instance} is protected from termination, which only a human may lift: {why}");
                    Err(ProviderError::Refused(reason))
                }
                Some(_) | None => Err(refusal::class(&error)),
            },
        }
    }

    fn proven_gone(&self, order: &TerminateOrder, made: &[Described]) -> Result<(), ProviderError> {
        let is_known = |id: &str| made.iter().any(|described| described.instance_id() == Some(id));
        let is_told = match &order.instance {
            Some(instance) => is_known(instance),
            // Whether the launch ever arrived is not known.
            None => !made.is_empty(),
        };
        if is_told || self.is_visible_by_now(order.since) {
            return Ok(());
        }
        let reason = "EC2 does not list it; what was launched just now may not be visible yet";
        Err(ProviderError::Unknown(reason.to_owned()))
    }
}
