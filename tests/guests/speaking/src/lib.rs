//! A policy for the tests of the host: it does what a room's labels ask of the SDK. `say` makes it log or panic; `clock` and
//! `chance` have it say in its reason what the clock of a zone shows, and what numbers the seed gives.

use usher_sdk::{
    Fleet, Moment, Place, PlacementAdvice, Policy, RoomRequest, debug, export_policy, info, local_time, warn,
};

/// The policy.
#[derive(Debug)]
pub struct Speaking;

impl Policy for Speaking {
    type Settings = ();

    fn new(_: ()) -> Result<Self, String> {
        Ok(Speaking)
    }
}

impl Place for Speaking {
    fn place(&self, room: &RoomRequest, _: &Fleet, moment: Moment) -> PlacementAdvice {
        let mut reason = String::new();
        for label in &room.labels {
            match (label.key.as_str(), label.value.as_str()) {
                ("say", "debug") => debug!("{} is of no concern", room.room),
                ("say", "info") => info!("{} is of concern", room.room),
                // Two bytes each; a message may have 4,096.
                ("say", "much") => warn!("{}", "ä".repeat(5_000)),
                ("say", "panic") => panic!("{} asked for it", room.room),
                ("clock", zone) => reason += &format!("{:?} ", local_time(moment.now, zone)),
                ("chance", below) => reason += &numbers(moment, below.parse().unwrap_or(0)),
                _ => {}
            }
        }
        PlacementAdvice::defer().because(reason)
    }
}

fn numbers(moment: Moment, below: u32) -> String {
    let mut chance = moment.chance();
    let numbers: Vec<_> = (0..8).map(|_| chance.below(below)).collect();
    format!("{numbers:?} {:?}", chance.pick(&["a", "b", "c"]))
}

export_policy!(Speaking: place);
