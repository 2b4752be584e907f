//! Packs rooms: each goes to the fullest server of its region that keeps some seats free for latecomers.

use usher_sdk::{Fleet, Moment, Place, PlacementAdvice, Policy, RoomRequest, export_policy};

/// What the settings file may say.
#[derive(serde::Deserialize, Debug, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Seats that stay free on every server.
    spare_seats: u32,
}

/// The policy.
pub struct MyPolicy(Settings);

impl Policy for MyPolicy {
    type Settings = Settings;
    fn new(settings: Settings) -> Result<Self, String> {
        Ok(MyPolicy(settings))
    }
}

impl Place for MyPolicy {
    fn place(&self, room: &RoomRequest, fleet: &Fleet, _: Moment) -> PlacementAdvice {
        let size = room.size().with_spare_seats(self.0.spare_seats);
        let mut fitting = fleet.fitting(size).in_region(&room.region).letting_in(room);
        match fitting.find(|server| fleet.suits(server, room)) {
            Some(server) => PlacementAdvice::on(server.id()).because("fullest with seats to spare"),
            None => PlacementAdvice::defer(), // to the next policy; the standard one is the last
        }
    }
}

export_policy!(MyPolicy: place);

#[cfg(test)]
mod tests;
