//! A policy for the tests of the host: rooms go where the fewest are, which the standard policy never does; one with the label
//! `reject` is refused, and one with the label `panic` makes it panic.

use usher_sdk::{Fleet, Moment, Place, PlacementAdvice, Policy, RoomRequest, export_policy};

/// The policy.
#[derive(Debug)]
pub struct Spread;

impl Policy for Spread {
    const NAME: Option<&'static str> = Some("spread");
    type Settings = ();

    fn new(_: ()) -> Result<Self, String> {
        Ok(Spread)
    }
}

impl Place for Spread {
    fn place(&self, room: &RoomRequest, fleet: &Fleet, _: Moment) -> PlacementAdvice {
        let has = |key: &str| room.labels.iter().any(|label| label.key == key);
        assert!(!has("panic"), "it was asked to");
        if has("reject") {
            return PlacementAdvice::reject().because("the label says so");
        }
        let fitting = fleet.fitting(room.size()).in_region(&room.region);
        match fitting.min_by_key(|server| (server.usage().rooms, server.id())) {
            Some(server) => PlacementAdvice::on(server.id()).because("the emptiest"),
            None => PlacementAdvice::defer(),
        }
    }
}

export_policy!(Spread: place);
