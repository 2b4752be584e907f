//! A policy for the tests of the host: it decides about rooms whose label `policy` names it, and its reason is its version; so
//! a test can tell which version has decided.

use serde::Deserialize;
use usher_sdk::{Fleet, Moment, Place, PlacementAdvice, Policy, RoomRequest, export_policy};

/// The policy; its settings say who it is.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Versioned {
    /// Which rooms are its.
    name: String,
    /// What it says.
    version: u32,
}

impl Policy for Versioned {
    type Settings = Versioned;

    fn new(settings: Versioned) -> Result<Self, String> {
        Ok(settings)
    }
}

impl Place for Versioned {
    fn place(&self, room: &RoomRequest, fleet: &Fleet, _: Moment) -> PlacementAdvice {
        let is_mine = room
            .labels
            .iter()
            .any(|label| label.key == "policy" && label.value == self.name);
        match fleet.fitting(room.size()).next().filter(|_| is_mine) {
            Some(server) => PlacementAdvice::on(server.id()).because(self.version.to_string()),
            None => PlacementAdvice::defer(),
        }
    }
}

export_policy!(Versioned: place);
