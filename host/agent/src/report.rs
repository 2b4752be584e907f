//! What a report holds, within the host's limits. What is not known is left out.

mod url;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::machine::Reading;
use crate::media::Sight;
use crate::room::Room;

pub(crate) use url::is_client_url;

/// The largest report: 64 KiB below what the host takes, for all that is not rooms.
const ROOMS_BYTES_MAX: usize = (1024 - 64) * 1024;

/// Figures of a report, as the host takes them.
pub(crate) const FIGURES_MAX: usize = 64;

/// How a server does, as the host's `POST /v1/servers/{server}/report` takes it.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(crate) struct Report {
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_permille: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    egress_kbps: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    loss_permille: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    participants: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rooms: Option<Vec<Room>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    figures: BTreeMap<String, u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    draining: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    taken_away_seconds: Option<u32>,
}

/// What is told of the end that is coming.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Farewell {
    pub(crate) is_draining: bool,
    /// Seconds until the machine is taken away.
    pub(crate) taken_away_seconds: Option<u32>,
}

impl Report {
    /// Puts together what is known. Where the media server has not answered, `sight` is none, and nothing is said of it.
    pub(crate) fn of(machine: Reading, sight: Option<Sight>, farewell: Farewell) -> Report {
        let sight = sight.unwrap_or_default();
        let mut figures = sight.figures;
        let mut participants = sight.participants;
        let rooms = sight.rooms.map(|seen| {
            participants = participants.or(Some(seen.participants()));
            let (unreadable, mut cut) = (seen.unreadable(), seen.cut());
            let rooms = fitting(seen.into_rooms(), &mut cut);
            // Told also where there are none: a figure that is left out stays as it was.
            figures.insert("rooms_unreadable".into(), unreadable);
            figures.insert("rooms_cut".into(), cut);
            rooms
        });
        let own = [
            ("memory_permille", machine.memory_permille),
            ("egress_permille", machine.egress_permille),
        ];
        // What the agent measures itself counts before what the media server says of it.
        figures.extend(
            own.into_iter()
                .filter_map(|(name, value)| Some((name.to_owned(), value?))),
        );
        Report {
            cpu_permille: machine.cpu_permille,
            egress_kbps: machine.egress_kbps,
            loss_permille: sight.loss_permille,
            participants,
            rooms,
            figures,
            url: sight.url,
            draining: farewell.is_draining,
            taken_away_seconds: farewell.taken_away_seconds,
        }
    }

    /// Returns the same with where clients reach the server, unless the media server has said it.
    pub(crate) fn reached_at(self, url: Option<&str>) -> Report {
        Report {
            url: self.url.or_else(|| url.map(str::to_owned)),
            ..self
        }
    }

    /// Returns how many rooms had to be left out because they are too many.
    pub(crate) fn rooms_cut(&self) -> Option<u32> {
        self.figures.get("rooms_cut").copied()
    }
}

/// Keeps as many rooms as fit into a report, and counts the others.
fn fitting(mut rooms: Vec<Room>, cut: &mut u32) -> Vec<Room> {
    // The names and punctuation of a room's fields, and its three numbers at their longest.
    const ROOM_BYTES: usize = 100;
    let mut bytes = 0;
    let fit = rooms
        .iter()
        .take_while(|room| {
            bytes += room.room.as_str().len() + ROOM_BYTES;
            bytes <= ROOMS_BYTES_MAX
        })
        .count();
    *cut += (rooms.len() - fit) as u32;
    rooms.truncate(fit);
    rooms
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::room::{ROOMS_MAX, Rooms, Told};

    fn json(report: &Report) -> serde_json::Value {
        serde_json::to_value(report).unwrap()
    }

    fn sight_of(rooms: &[(&str, u64)]) -> Sight {
        let mut seen = Rooms::default();
        for (name, participants) in rooms {
            seen.see(Told {
                name,
                participants: *participants,
                load: None,
                placement: None,
            });
        }
        Sight {
            rooms: Some(seen),
            ..Sight::default()
        }
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let report = Report::of(Reading::default(), None, Farewell::default());
        assert_eq!(json(&report), serde_json::json!({}));
    }

    #[test]
    fn what_is_known_is_told_with_its_figures() {
        let machine = Reading {
            cpu_permille: Some(0),
            egress_kbps: Some(8000),
            egress_permille: Some(8),
            memory_permille: Some(500),
        };
        let farewell = Farewell {
            is_draining: true,
            taken_away_seconds: Some(110),
        };
        let report = Report::of(machine, Some(sight_of(&[("a", 2), ("b c", 1)])), farewell);
        assert_eq!(
            json(&report),
            serde_json::json!({
                "cpu_permille": 0, "egress_kbps": 8000, "participants": 3, "draining": true, "taken_away_seconds": 110,
                "rooms": [{"room": "a", "participants": 2}],
                "figures": {"memory_permille": 500, "egress_permille": 8, "rooms_unreadable": 1, "rooms_cut": 0},
            })
        );
    }

    #[test]
    fn the_largest_report_fits_into_what_the_host_takes() {
        let mut seen = Rooms::default();
        for number in 0..ROOMS_MAX {
            seen.see(Told {
                name: &format!("{number:0>128}"),
                participants: 1_000_000,
                load: Some(1_000_000_000),
                placement: Some((1 << 53) - 1),
            });
        }
        let sight = Sight {
            rooms: Some(seen),
            figures: (0..60).map(|n| (format!("{n:0>64}"), u32::MAX)).collect(),
            url: Some("u".repeat(2048)),
            ..Sight::default()
        };
        let report = Report::of(Reading::default(), Some(sight), Farewell::default());
        assert!(serde_json::to_vec(&report).unwrap().len() < 1024 * 1024);
        assert!(report.rooms_cut().unwrap() > 0);
        assert_eq!(report.participants, Some(1_000_000));
    }
}
