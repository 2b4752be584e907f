//! What exists: instances by their tags.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{Filter, Instance as Described, InstanceLifecycleType, InstanceStateName};

use usher_fleet::config::Offer;
use usher_fleet::ids::ServerName;
use usher_fleet::observation::{Found, Instance, InstanceState, OrderKey, Owner, ProviderError};

use super::launching::SPOT;
use super::{Ec2, refusal, tags};

/// How many instances a page of a list has: EC2's most.
const PAGE: i32 = 1000;

impl Ec2 {
    /// Lists all that carries the fleet's and the pool's names. Ended instances stay in EC2's list for about an hour: that one has
    /// ended is known for certain from being told, and not from its absence.
    pub(super) async fn list_now(&self) -> Result<Vec<Found>, ProviderError> {
        let filters = [
            by_tag(tags::FLEET, &self.setup.fleet),
            by_tag(tags::POOL, self.setup.name.as_str()),
        ];
        let instances = self.described(filters.into()).await?;
        let found = instances.iter().filter_map(|described| {
            let tagged = self.read_tags(described.tags())?;
            let instance = self.instance(&tagged.key.server, described)?;
            Some(Found {
                key: tagged.key,
                instance,
                owner: tagged.owner,
                is_kept: tagged.is_kept,
                offer: self.offer_of(described),
            })
        });
        // One that has ended, or was stopped, says nothing of another under the same key that runs; nor does another installation's.
        let mut by_key: BTreeMap<(OrderKey, bool), Found> = BTreeMap::new();
        for one in found {
            let key = (one.key.clone(), matches!(one.owner, Owner::Us(_)));
            match by_key.get(&key) {
                Some(known) if known.instance.state as u8 <= one.instance.state as u8 => {}
                Some(_) | None => {
                    by_key.insert(key, one);
                }
            }
        }
        Ok(by_key.into_values().collect())
    }

    /// Returns all that this installation has launched under a key, ended instances too.
    pub(super) async fn under(&self, key: &OrderKey) -> Result<Vec<Described>, ProviderError> {
        let filters = [
            by_tag(tags::FLEET, &self.setup.fleet),
            by_tag(tags::INSTALLATION, &self.installation.id),
            by_tag(tags::SERVER, key.server.as_str()),
            by_tag(tags::ATTEMPT, &key.attempt.to_string()),
        ];
        self.described(filters.into()).await
    }

    async fn described(&self, filters: Vec<Filter>) -> Result<Vec<Described>, ProviderError> {
        let mut pages = self
            .client()
            .await
            .describe_instances()
            .set_filters(Some(filters))
            .into_paginator()
            .page_size(PAGE)
            .send();
        let mut instances = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| refusal::class(&error))?;
            let reservations = page.reservations.unwrap_or_default();
            instances.extend(
                reservations
                    .into_iter()
                    .flat_map(|one| one.instances.unwrap_or_default()),
            );
        }
        Ok(instances)
    }

    /// Returns an instance as the fleet knows it; none where EC2 gives it no id.
    pub(super) fn instance(&self, server: &ServerName, described: &Described) -> Option<Instance> {
        Some(Instance {
            instance: described.instance_id()?.to_owned(),
            state: state(described),
            url: self.url(server, described),
            endpoints: BTreeMap::new(),
            zone: described
                .placement()
                .and_then(|placement| placement.availability_zone())
                .map(str::to_owned),
            price_per_hour: None,
        })
    }

    /// Returns which of the pool's offers an instance is; none where the pool has it no more.
    fn offer_of(&self, described: &Described) -> Option<Offer> {
        let is_spot = described.instance_lifecycle() == Some(&InstanceLifecycleType::Spot);
        let zone = described.placement()?.availability_zone()?;
        let instance_type = described.instance_type()?.as_str();
        let offers = self.config.offers.iter();
        let mut alike = offers.filter(|offer| offer.zone == zone && offer.instance_type == instance_type);
        alike.find(|offer| (offer.market == SPOT) == is_spot).cloned()
    }

    /// Returns the URL by the pool's template; none before the addresses in it are known.
    fn url(&self, server: &ServerName, described: &Described) -> Option<String> {
        let mut url = self.config.url.clone()?.replace("{server}", server.as_str());
        for (word, address) in [
            ("{public_ip}", described.public_ip_address()),
            ("{private_ip}", described.private_ip_address()),
        ] {
            if url.contains(word) {
                url = url.replace(word, address.filter(|address| !address.is_empty())?);
            }
        }
        Some(url)
    }
}

pub(super) fn by_tag(key: &str, value: &str) -> Filter {
    Filter::builder().name(format!("tag:{key}")).values(value).build()
}

/// Returns how far an instance is.
pub(super) fn state(described: &Described) -> InstanceState {
    match described.state().and_then(|state| state.name()) {
        Some(InstanceStateName::Pending) => InstanceState::Pending,
        Some(InstanceStateName::ShuttingDown | InstanceStateName::Terminated) => InstanceState::Ended,
        Some(InstanceStateName::Stopping | InstanceStateName::Stopped) => InstanceState::Stopped,
        // A state that is new to this program is one in which it exists.
        Some(_) => InstanceState::Running,
        None => InstanceState::Pending,
    }
}

/// Whether nothing is left of an instance.
pub(super) fn is_terminated(described: &Described) -> bool {
    described.state().and_then(|state| state.name()) == Some(&InstanceStateName::Terminated)
}
