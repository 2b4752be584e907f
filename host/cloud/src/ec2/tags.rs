//! How an instance says whose it is. Ownership is these tags and never a name; an instance without them is not ours.

use aws_sdk_ec2::types::{ResourceType, Tag, TagSpecification};

use usher_fleet::effect::LaunchOrder;
use usher_fleet::ids::{Attempt, ServerName, ServerNo};
use usher_fleet::observation::{OrderKey, Owner};

use super::Ec2;
use crate::config::PoolSetup;

/// The fleet's name.
pub(super) const FLEET: &str = "usher:fleet";
/// Which installation of that name launched it.
pub(super) const INSTALLATION: &str = "usher:installation";
/// The pool.
pub(super) const POOL: &str = "usher:pool";
/// The server's name.
pub(super) const SERVER: &str = "usher:server";
/// The fleet's number for the server.
pub(super) const NO: &str = "usher:no";
/// Which launch of it.
pub(super) const ATTEMPT: &str = "usher:attempt";
/// Set by people, to any value: this instance is not to be ended, whatever Usher thinks of it.
pub(super) const KEEP: &str = "usher:keep";
/// What the console shows.
const NAME: &str = "Name";

impl Ec2 {
    /// Returns the tags that an instance and its volumes get with their creation.
    pub(super) fn tags_at_creation(&self, order: &LaunchOrder) -> Vec<TagSpecification> {
        let setup = &self.setup;
        let own = [
            (NAME, order.key.server.to_string()),
            (FLEET, setup.fleet.clone()),
            (INSTALLATION, self.installation.id.clone()),
            (POOL, setup.name.to_string()),
            (SERVER, order.key.server.to_string()),
            (NO, order.no.to_string()),
            (ATTEMPT, order.key.attempt.to_string()),
        ];
        let more = self
            .config
            .tags
            .iter()
            .filter(|(key, _)| own.iter().all(|(own, _)| own != key));
        let tags: Vec<Tag> = own
            .iter()
            .map(|(key, value)| tag(key, value))
            .chain(more.map(|(key, value)| tag(key, value)))
            .collect();
        let on = |kind: ResourceType| {
            TagSpecification::builder()
                .resource_type(kind)
                .set_tags(Some(tags.clone()))
                .build()
        };
        vec![on(ResourceType::Instance), on(ResourceType::Volume)]
    }

    /// Reads an instance's tags; none where they are not ours, or were changed into something that we never write.
    pub(super) fn read_tags(&self, tags: &[Tag]) -> Option<Tagged> {
        read(&self.setup, &self.installation.id, tags)
    }
}

/// Whether somebody has marked an instance to be kept.
pub(super) fn is_kept(tags: &[Tag]) -> bool {
    tags.iter().any(|tag| tag.key() == Some(KEEP))
}

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build()
}

/// What an instance's tags say.
#[derive(Debug, PartialEq)]
pub(super) struct Tagged {
    pub(super) key: OrderKey,
    pub(super) owner: Owner,
    pub(super) is_kept: bool,
}

fn read(setup: &PoolSetup, installation: &str, tags: &[Tag]) -> Option<Tagged> {
    let value = |key: &str| {
        let found = tags.iter().find(|tag| tag.key() == Some(key));
        found.and_then(Tag::value)
    };
    if value(FLEET)? != setup.fleet || value(POOL)? != setup.name.as_str() {
        return None;
    }
    let server: ServerName = value(SERVER)?.parse().ok()?;
    let attempt = Attempt(value(ATTEMPT)?.parse().ok()?);
    let no = value(NO).and_then(|no| no.parse().ok()).map(ServerNo);
    let owner = match (value(INSTALLATION), no) {
        (Some(launcher), Some(no)) if launcher == installation => Owner::Us(no),
        (Some(_) | None, _) => Owner::Another,
    };
    Some(Tagged {
        key: OrderKey { server, attempt },
        owner,
        is_kept: is_kept(tags),
    })
}
