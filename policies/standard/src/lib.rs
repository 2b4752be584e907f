//! The standard policy: packs rooms so that servers empty, keeps headroom so that nobody waits, gives empty servers back.
//!
//! One crate, compiled twice: to a module for `policies/`, and natively as the built-in that ends every chain. It speaks for every
//! room and for every pool, so that nothing it leaves alone is decided by a policy after it.
//!
//! - *Place*: the wanted region first, then those that the settings allow. Of the servers with room the fullest, but rather
//!   one whose rooms outlast the new one ([`place::Score`] has the order). Where nothing fits the room waits for the cheapest pool,
//!   one that Usher launches in itself before one whose servers somebody else makes.
//! - *Scale up*: what waits, less what fits the servers that are starting; then what the headroom lacks; each from the cheapest pool
//!   that suits and may still launch.
//! - *Scale down*: servers that have been empty for a while, or whose few rooms end soon, as long as the headroom stays.
//!
//! What it does not do: it learns nothing, knows no calendar, and uses no floats; the same view and the same question give the same
//! answer, natively and in WebAssembly.
//!
//! # Settings
//!
//! ```toml
#![doc = include_str!("../standard.toml")]
//! ```

pub mod place;
mod pools;
mod scale_down;
mod scale_up;
mod settings;

pub use settings::Settings;
use usher_sdk::{
    Demand, Fleet, Growth, Moment, Place, PlacementAdvice, Policy, RoomRequest, ScaleDown, ScaleUp, Shrinkage,
    export_policy,
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
}

impl Policy for Standard {
    const NAME: Option<&'static str> = Some("standard");
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, String> {
        settings.check()?;
        Ok(Standard { settings })
    }
}

impl Place for Standard {
    fn place(&self, room: &RoomRequest, fleet: &Fleet, moment: Moment) -> PlacementAdvice {
        place::place(&self.settings, room, fleet, moment)
    }
}

impl ScaleUp for Standard {
    fn scale_up(&mut self, demand: &Demand, fleet: &Fleet, _: Moment) -> Vec<Growth> {
        scale_up::scale_up(&self.settings, demand, fleet)
    }
}

impl ScaleDown for Standard {
    fn scale_down(&mut self, fleet: &Fleet, moment: Moment) -> Vec<Shrinkage> {
        scale_down::scale_down(&self.settings, fleet, moment)
    }
}

export_policy!(Standard: place, scale_up, scale_down);
