//! What the operator may set, with units and defaults, and what follows from it directly.

mod goes_first;
mod table;
mod window;

use serde::Deserialize;
use usher_sdk::{Pool, Server};

pub use goes_first::GoesFirst;
pub use table::Table;
pub use window::{Clock, Days, Window};

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
    /// Which pools servers are launched in first, by name, in order; the others come after them, the cheapest first. Default: none.
    pub scale_up_prefer: Vec<String>,
    /// Which servers go first, in order; what the list leaves open the default's order decides, and at last the id. Default: the
    /// emptiest, of those the dearest, of those the one that is done soonest.
    #[serde(deserialize_with = "goes_first::read")]
    pub scale_down_prefer: Vec<GoesFirst>,
    /// For each region where its rooms may go instead, in order; `*` = anywhere. Default: nowhere.
    pub fallback_regions: Table<Vec<String>>,
    /// What single pools have of their own, by name. Default: nothing.
    pub pool: Table<PoolSettings>,
    /// When more rooms are kept spare. Default: never. At most 32.
    pub window: Vec<Window>,
}

/// What one pool has of its own; a key that is left out is as for all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PoolSettings {
    /// As in [`Settings`], of the rooms that live in this pool. With this or the next key it keeps its headroom for itself.
    pub headroom_percent: Option<u32>,
    /// As in [`Settings`], likewise.
    pub headroom_rooms_min: Option<u32>,
    /// As in [`Settings`].
    pub cpu_permille_max: Option<u32>,
    /// As in [`Settings`].
    pub egress_kbps_max: Option<u32>,
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
            scale_up_prefer: Vec::new(),
            scale_down_prefer: GoesFirst::DEFAULT.into(),
            fallback_regions: Table::default(),
            pool: Table::default(),
            window: Vec::new(),
        }
    }
}

/// More headroom than this is a slip of the pen: ten spare rooms for each that lives.
const HEADROOM_PERCENT_MAX: u32 = 1_000;
/// As many rooms as the host lets wait.
const SPARE_ROOMS_MAX: u32 = 10_000;
/// All of a server's processors.
const CPU_PERMILLE_MAX: u32 = 1_000;
/// If more lasted at once, a scale decision over 100,000 servers would run out of fuel; a calendar of more belongs into a policy of one's
/// own.
const WINDOWS_MAX: usize = 32;
/// Stands for all regions in `fallback_regions`.
const ANYWHERE: &str = "*";

impl Settings {
    /// Checks what types cannot.
    ///
    /// # Errors
    /// A sentence that names the key.
    pub(crate) fn check(&self) -> Result<(), String> {
        let general = PoolSettings {
            headroom_percent: Some(self.headroom_percent),
            headroom_rooms_min: Some(self.headroom_rooms_min),
            cpu_permille_max: Some(self.cpu_permille_max),
            egress_kbps_max: None,
        };
        general.check("")?;
        for (name, pool) in self.pool.iter() {
            pool.check(&format!("pool.{name}."))?;
        }
        for (region, regions) in self.fallback_regions.iter() {
            if regions.iter().any(String::is_empty) {
                return Err(format!("setting `fallback_regions.{region}`: a region's name is empty"));
            }
        }
        check_once("scale_up_prefer", &self.scale_up_prefer)?;
        check_once("scale_down_prefer", &self.scale_down_prefer)?;
        if self.window.len() > WINDOWS_MAX {
            return Err(format!(
                "setting `window`: {} windows are more than {WINDOWS_MAX}",
                self.window.len()
            ));
        }
        for (at, window) in self.window.iter().enumerate() {
            check_most(
                &format!("window[{at}].spare_rooms"),
                window.spare_rooms,
                SPARE_ROOMS_MAX,
            )?;
            let named = |(key, why)| format!("setting `window[{at}].{key}`: {why}");
            window.check().map_err(named)?;
        }
        Ok(())
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

    /// Returns the headroom of pools that have none of their own.
    pub(crate) fn headroom(&self) -> Headroom {
        Headroom {
            percent: self.headroom_percent,
            rooms_min: self.headroom_rooms_min,
        }
    }

    /// Returns the headroom that a pool keeps for itself, if it does.
    pub(crate) fn own_headroom(&self, pool: &Pool) -> Option<Headroom> {
        let own = self.pool.get(&pool.name)?;
        let has_own = own.headroom_percent.is_some() || own.headroom_rooms_min.is_some();
        has_own.then(|| Headroom {
            percent: own.headroom_percent.unwrap_or(self.headroom_percent),
            rooms_min: own.headroom_rooms_min.unwrap_or(self.headroom_rooms_min),
        })
    }

    /// Returns the marks of servers whose pool has none of its own.
    pub(crate) fn marks(&self) -> Marks {
        Marks {
            cpu_permille_max: self.cpu_permille_max,
            egress_kbps_max: self.egress_kbps_max,
        }
    }

    /// Returns the marks of a pool's servers.
    pub(crate) fn marks_of(&self, pool: &Pool) -> Marks {
        let marks = self.marks();
        self.pool.get(&pool.name).map_or(marks, |own| Marks {
            cpu_permille_max: own.cpu_permille_max.unwrap_or(marks.cpu_permille_max),
            egress_kbps_max: own.egress_kbps_max.unwrap_or(marks.egress_kbps_max),
        })
    }

    /// Returns what lets a server go before others, the weightiest first.
    pub(crate) fn goes_first(&self) -> impl Iterator<Item = GoesFirst> {
        let listed = self.scale_down_prefer.iter().copied();
        listed.chain(
            GoesFirst::DEFAULT
                .into_iter()
                .filter(|other| !self.scale_down_prefer.contains(other)),
        )
    }

    /// Returns the names of pools that stand in the settings, each with its key.
    pub(crate) fn pools_named(&self) -> Vec<(&'static str, &str)> {
        let mut named = Vec::new();
        named.extend(self.pool.iter().map(|(name, _)| ("pool", name)));
        named.extend(
            self.scale_up_prefer
                .iter()
                .map(|name| ("scale_up_prefer", name.as_str())),
        );
        named.extend(self.window.iter().map(|window| ("window.pool", window.pool.as_str())));
        named.retain(|(_, name)| !name.is_empty());
        named
    }
}

impl PoolSettings {
    fn check(&self, path: &str) -> Result<(), String> {
        for (key, value, max) in [
            ("headroom_percent", self.headroom_percent, HEADROOM_PERCENT_MAX),
            ("headroom_rooms_min", self.headroom_rooms_min, SPARE_ROOMS_MAX),
            ("cpu_permille_max", self.cpu_permille_max, CPU_PERMILLE_MAX),
        ] {
            check_most(&format!("{path}{key}"), value.unwrap_or(0), max)?;
        }
        Ok(())
    }
}

fn check_most(key: &str, value: u32, max: u32) -> Result<(), String> {
    if value > max {
        return Err(format!("setting `{key}`: {value} is more than {max}"));
    }
    Ok(())
}

fn check_once<T: PartialEq>(key: &str, list: &[T]) -> Result<(), String> {
    match list.iter().enumerate().find(|(at, one)| list[..*at].contains(one)) {
        Some((at, _)) => Err(format!("setting `{key}[{at}]`: it is in the list already")),
        None => Ok(()),
    }
}

/// How many spare rooms are kept for those that live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Headroom {
    percent: u32,
    rooms_min: u32,
}

impl Headroom {
    /// Returns how many spare rooms are kept for so many that live.
    pub(crate) fn rooms(self, living: u64) -> u64 {
        if living == 0 {
            return 0;
        }
        (living * u64::from(self.percent))
            .div_ceil(100)
            .max(u64::from(self.rooms_min))
    }

    /// Returns whether none is ever kept.
    pub(crate) fn is_none(self) -> bool {
        self.percent == 0 && self.rooms_min == 0
    }
}

/// What a server may report and still get new rooms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marks {
    cpu_permille_max: u32,
    egress_kbps_max: u32,
}

impl Marks {
    /// Returns whether a server reported to be above a mark.
    pub(crate) fn is_hot(self, server: &Server) -> bool {
        let above = |reported: Option<u32>, max: u32| max > 0 && reported.is_some_and(|value| value > max);
        above(server.cpu_permille(), self.cpu_permille_max) || above(server.egress_kbps(), self.egress_kbps_max)
    }
}

#[cfg(test)]
mod tests;
