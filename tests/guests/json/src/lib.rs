//! A policy for the benchmark, as policies elsewhere are asked: it keeps no view, and is told all servers as JSON with each question.
//!
//! The contract has no place for that, so the text comes as a label of what waits. It is asked by `scale_up`, which has fuel for a
//! long text; what it orders is no order but the server that it chose.

use serde::{Deserialize, Serialize};
use usher_sdk::{Demand, Fleet, Growth, Moment, Policy, ScaleUp, Size, export_policy};

/// What is needed of a server to choose one: numbers alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is the contract's field of the same name")]
pub struct Row {
    pub id: u32,
    pub is_serving: bool,
    pub rooms: u32,
    pub seats: u32,
    pub load: u32,
    pub rooms_max: u32,
    pub seats_max: u32,
    pub load_max: u32,
}

impl Row {
    fn fits(&self, size: Size) -> bool {
        let fits = |used: u32, more: u32, max: u32| max == 0 || used.saturating_add(more) <= max;
        self.is_serving
            && fits(self.rooms, 1, self.rooms_max)
            && fits(self.seats, size.seats, self.seats_max)
            && fits(self.load, size.load, self.load_max)
    }
}

/// Returns the fullest server with room.
pub fn fullest(rows: &[Row], size: Size) -> Option<u32> {
    let fitting = rows.iter().filter(|row| row.fits(size));
    fitting.max_by_key(|row| (row.rooms, row.seats)).map(|row| row.id)
}

/// The policy.
#[derive(Debug)]
pub struct Guest;

impl Policy for Guest {
    const NAME: Option<&'static str> = Some("json");
    type Settings = ();

    fn new(_: ()) -> Result<Self, String> {
        Ok(Guest)
    }
}

impl ScaleUp for Guest {
    fn scale_up(&mut self, demand: &Demand, _: &Fleet, _: Moment) -> Vec<Growth> {
        let asked = demand.wants.iter().filter_map(|want| {
            let rows: Vec<Row> = serde_json::from_str(&want.labels.first()?.value).ok()?;
            fullest(&rows, want.size_largest())
        });
        let growth = |servers| Growth {
            pool: 0,
            servers,
            reason: String::new(),
        };
        asked.map(growth).collect()
    }
}

export_policy!(Guest: scale_up);

#[cfg(test)]
mod tests {
    use usher_sdk::{Label, Want};

    use super::*;

    #[test]
    fn the_fullest_with_room_is_chosen_from_a_text() {
        let row = |id, rooms| Row {
            id,
            is_serving: true,
            rooms,
            seats: rooms * 50,
            load: 0,
            rooms_max: 10,
            seats_max: 500,
            load_max: 0,
        };
        let rows = [row(1, 3), row(2, 9), row(3, 10)];
        let text = serde_json::to_string(&rows).unwrap();
        let want = Want {
            labels: vec![Label::new("servers", &text)],
            ..Want::new(1, 50)
        };
        let fleet = Fleet::builder().build();
        let chosen = Guest.scale_up(&Demand::of(vec![want]), &fleet, Moment::at(1));
        assert_eq!(chosen[0].servers, 2);
    }
}
