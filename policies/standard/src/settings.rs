//! What the operator may set, with units and defaults, and what follows from it directly.

use std::collections::BTreeMap;

use serde::Deserialize;
use usher_sdk::Server;

/// The settings; a key that is left out has its default.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Spare rooms kept in each region, in per cent of the rooms that live there, rounded up. Default 20, at most 1,000.
    pub headroom_percent: u32,
    /// Spare rooms kept at least while any room lives there, in rooms. Default 2, at most 10,000.
    pub headroom_rooms_min: u32,
    /// How long a server must have been empty before it may go, in seconds. Default 60.
    pub idle_seconds: u32,
    /// With how many rooms at most a server is drained when all of them end soon, in rooms; 0 = never. Default 2.
    pub ending_rooms_max: u32,
    /// What *soon* means there, in minutes. Default 10.
    pub ending_within_minutes: u32,
    /// Reported processor use above which a server gets no new rooms, in thousandths; 0 = not looked at. Default 800, the mark at
    /// which others call a media server overloaded.
    pub cpu_permille_max: u32,
    /// Reported sending above which a server gets no new rooms, in kilobits a second; 0 = not looked at. Default 0: only the
    /// operator knows the line.
    pub egress_kbps_max: u32,
    /// For each region where its rooms may go instead, in order; `*` = anywhere. Default: nowhere.
    pub fallback_regions: BTreeMap<String, Vec<String>>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            headroom_percent: 20,
            headroom_rooms_min: 2,
            idle_seconds: 60,
            ending_rooms_max: 2,
            ending_within_minutes: 10,
            cpu_permille_max: 800,
            egress_kbps_max: 0,
            fallback_regions: BTreeMap::new(),
        }
    }
}

/// More headroom than this is a slip of the pen: ten spare rooms for each that lives.
const HEADROOM_PERCENT_MAX: u32 = 1_000;
/// As many rooms as the host lets wait.
const HEADROOM_ROOMS_MIN_MAX: u32 = 10_000;
/// Stands for all regions in `fallback_regions`.
const ANYWHERE: &str = "*";

impl Settings {
    /// Checks what types cannot.
    ///
    /// # Errors
    /// A sentence that names the key.
    pub(crate) fn check(&self) -> Result<(), String> {
        for (key, value, max) in [
            ("headroom_percent", self.headroom_percent, HEADROOM_PERCENT_MAX),
            ("headroom_rooms_min", self.headroom_rooms_min, HEADROOM_ROOMS_MIN_MAX),
        ] {
            if value > max {
                return Err(format!("setting `{key}`: {value} is more than {max}"));
            }
        }
        match self
            .fallback_regions
            .iter()
            .find(|(_, regions)| regions.iter().any(String::is_empty))
        {
            Some((region, _)) => Err(format!("setting `fallback_regions.{region}`: a region's name is empty")),
            None => Ok(()),
        }
    }

    /// Returns where a room that wants this region (empty = any) may go, in order; an empty name is any region.
    pub(crate) fn regions<'a>(&'a self, wanted: &'a str) -> impl Iterator<Item = &'a str> {
        let fallbacks = self
            .fallback_regions
            .get(wanted)
            .filter(|_| !wanted.is_empty())
            .into_iter()
            .flatten();
        std::iter::once(wanted).chain(fallbacks.map(|region| if region == ANYWHERE { "" } else { region.as_str() }))
    }

    /// Returns how many spare rooms are kept for so many that live.
    pub(crate) fn headroom(&self, rooms: u64) -> u64 {
        if rooms == 0 {
            return 0;
        }
        (rooms * u64::from(self.headroom_percent))
            .div_ceil(100)
            .max(u64::from(self.headroom_rooms_min))
    }

    /// Returns whether a server reported to be above a mark.
    pub(crate) fn is_hot(&self, server: &Server) -> bool {
        let above = |reported: Option<u32>, max: u32| max > 0 && reported.is_some_and(|value| value > max);
        above(server.cpu_permille(), self.cpu_permille_max) || above(server.egress_kbps(), self.egress_kbps_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_file_says_the_defaults() {
        let example: Settings = toml::from_str(include_str!("../standard.toml")).unwrap();
        assert_eq!(example, Settings::default());
    }

    #[test]
    fn headroom_is_a_share_with_a_floor_and_nothing_for_nobody() {
        let settings = Settings::default();
        for (rooms, headroom) in [(0, 0), (1, 2), (8, 2), (10, 2), (11, 3), (100, 20), (1_001, 201)] {
            assert_eq!(settings.headroom(rooms), headroom, "{rooms} rooms");
        }
    }

    #[test]
    fn settings_that_cannot_be_meant_are_refused_by_name() {
        for (settings, error) in [
            (
                Settings {
                    headroom_percent: 1_001,
                    ..Settings::default()
                },
                "setting `headroom_percent`: 1001 is more than 1000",
            ),
            (
                Settings {
                    fallback_regions: [("eu".into(), vec![String::new()])].into(),
                    ..Settings::default()
                },
                "setting `fallback_regions.eu`: a region's name is empty",
            ),
        ] {
            assert_eq!(settings.check().unwrap_err(), error);
        }
        assert_eq!(Settings::default().check(), Ok(()));
    }
}
