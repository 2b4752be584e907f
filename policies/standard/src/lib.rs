//! The standard policy: packs rooms so that servers empty, keeps headroom so that nobody waits, gives empty servers back.
//!
//! One crate, compiled twice: to a module for `policies/`, and natively as the built-in that ends every chain. It speaks for every
//! room and for every pool, so that nothing it leaves alone is decided by a policy after it.
//!
//! - *Place*: the wanted region first, then those that the settings allow. Of the servers with room the fullest, but rather
//!   one whose rooms outlast the new one ([`place::Score`] has the order). Where nothing fits the room waits for the cheapest pool,
//!   one that Usher launches in itself before one whose servers somebody else makes.
//! - *Scale up*: what waits, less what fits the servers that are starting; then what the headroom lacks, or a window that lasts or
//!   begins soon; each from the cheapest pool that suits and may still launch.
//! - *Scale down*: servers that have been empty for a while, or whose few rooms end soon, as long as headroom and windows have
//!   their spare rooms.
//!
//! What it does not do: it learns nothing, and uses no floats; the same view and the same question give the same answer, natively
//! and in WebAssembly.
//!
//! # Settings
//!
//! All keys with their defaults; `examples/` has files to begin with.
//!
//! ```toml
#![doc = include_str!("../standard.toml")]
//! ```

pub mod place;
mod pools;
mod scale_down;
mod scale_up;
mod settings;
mod stock;

pub use settings::{Clock, Days, GoesFirst, PoolSettings, Settings, Table, Window};
use usher_sdk::{
    Demand, Fleet, Growth, Moment, Place, PlacementAdvice, Policy, RoomRequest, ScaleDown, ScaleUp, Shrinkage,
};

/// The standard policy.
///
/// ```
/// use usher_sdk::{Fleet, Moment, Place, Placement, Policy, RoomRequest};
/// use usher_standard::{Settings, Standard};
///
/// let fleet = Fleet::builder()
///     .pool("frankfurt", |pool| pool.rooms_per_server = 10)
///     .server("a", |server| server.usage.rooms = 3)
///     .server("b", |server| server.usage.rooms = 9)
///     .build();
/// let standard = Standard::new(Settings::default())?;
/// let advice = standard.place(&RoomRequest::new("standup-42", 50), &fleet, Moment::at(1_000));
/// assert!(matches!(advice.placement, Placement::On(server) if fleet.server(server).is_some_and(|it| it.name() == "b")));
/// # Ok::<(), String>(())
/// ```
#[derive(Debug)]
pub struct Standard {
    settings: Settings,
    /// Pools of the settings that were not there when the fleet was last looked at.
    unknown_pools: Vec<String>,
}

impl Policy for Standard {
    const NAME: Option<&'static str> = Some("standard");
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, String> {
        settings.check()?;
        Ok(Standard {
            settings,
            unknown_pools: Vec::new(),
        })
    }
}

impl Standard {
    /// Says once which of the settings' pools are not there. No error: pools come and go.
    fn look_for_pools(&mut self, fleet: &Fleet) {
        let mut unknown = self.settings.pools_named();
        unknown.retain(|(_, name)| fleet.pools().all(|pool| pool.name != *name));
        let mut names = Vec::new();
        for (key, name) in unknown {
            if !self.unknown_pools.iter().any(|known| known == name) {
                usher_sdk::warn!("setting `{key}`: there is no pool {name:?} now");
            }
            names.push(name.to_owned());
        }
        self.unknown_pools = names;
    }
}

impl Place for Standard {
    fn place(&self, room: &RoomRequest, fleet: &Fleet, moment: Moment) -> PlacementAdvice {
        place::place(&self.settings, room, fleet, moment)
    }
}

impl ScaleUp for Standard {
    fn scale_up(&mut self, demand: &Demand, fleet: &Fleet, moment: Moment) -> Vec<Growth> {
        self.look_for_pools(fleet);
        scale_up::scale_up(&self.settings, demand, fleet, moment)
    }
}

impl ScaleDown for Standard {
    fn scale_down(&mut self, fleet: &Fleet, moment: Moment) -> Vec<Shrinkage> {
        scale_down::scale_down(&self.settings, fleet, moment)
    }
}

// A module has one policy's exports: one that holds this policy inside its own leaves these out.
#[cfg(feature = "exports")]
usher_sdk::export_policy!(Standard: place, scale_up, scale_down);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_that_are_not_there_are_no_error_and_are_looked_for_at_each_turn() {
        let settings: Settings = toml::from_str("scale_up_prefer = ['a', 'b']\n[pool.b]\n[pool.c]").unwrap();
        let mut standard = Standard::new(settings).unwrap();
        let fleet = |name: &str| Fleet::builder().pool(name, |_| {}).build();
        for (there, unknown) in [
            ("a", vec!["b", "c", "b"]),
            ("b", vec!["c", "a"]),
            ("d", vec!["b", "c", "a", "b"]),
        ] {
            standard.scale_up(&Demand::of(vec![]), &fleet(there), Moment::at(1_000));
            assert_eq!(standard.unknown_pools, unknown, "{there} is there");
        }
    }
}
