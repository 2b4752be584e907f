//! The traits that an author implements: one for the policy itself, one for each decision.

use serde::de::DeserializeOwned;

use crate::{Demand, Fleet, Growth, PlacementAdvice, RoomRequest, Shrinkage, Timestamp};

/// Makes a type a policy: what it reads from its settings file, and how it starts.
///
/// ```
/// use serde::Deserialize;
/// use usher_sdk::Policy;
///
/// /// What `10-night.toml` may say. `deny_unknown_fields` turns a misspelt key into an error that names it.
/// #[derive(Deserialize)]
/// #[serde(deny_unknown_fields, default)]
/// struct Settings {
///     /// Seconds; default 60.
///     idle_seconds: u32,
/// }
///
/// impl Default for Settings {
///     fn default() -> Self {
///         Settings { idle_seconds: 60 }
///     }
/// }
///
/// struct Night(Settings);
///
/// impl Policy for Night {
///     type Settings = Settings;
///     fn new(settings: Settings) -> Result<Self, String> {
///         if settings.idle_seconds == 0 {
///             return Err("`idle_seconds` must be at least 1".into());
///         }
///         Ok(Night(settings))
///     }
/// }
/// ```
pub trait Policy: Sized + 'static {
    /// The name under which decisions are recorded; by default the package's name.
    const NAME: Option<&'static str> = None;

    /// Reported numbers that the policy wants to see beside the usual ones, by name, such as `consumers`; read with
    /// [`Server::figure`](crate::Server::figure) by their place in this list.
    const FIGURES: &'static [&'static str] = &[];

    /// What the settings file may say. Where there is no file, or it says nothing, it is `Settings::default()`.
    type Settings: DeserializeOwned + Default;

    /// Makes a policy that has not seen the fleet yet. New settings make a new one.
    ///
    /// # Errors
    /// A sentence for the operator that names the setting; the version that serves then goes on serving.
    fn new(settings: Self::Settings) -> Result<Self, String>;
}

/// Says where a room goes.
///
/// It is asked on the way of a request, so it should be quick; [`Fleet::fitting`] is, at any size of the fleet.
pub trait Place: Policy {
    /// Places one room.
    ///
    /// The same room, fleet and moment must give the same advice, however often it is asked: hence `&self`. A panic is a
    /// fault, and the next policy in the chain is asked.
    fn place(&self, room: &RoomRequest, fleet: &Fleet, moment: Moment) -> PlacementAdvice;
}

/// Says how many servers more are needed.
pub trait ScaleUp: Policy {
    /// Orders servers, on top of those that are starting; asked when a room begins to wait, and at every tick.
    ///
    /// The answer speaks only for the pools it names, and 0 servers is an answer too; other pools are left to the next policy.
    fn scale_up(&mut self, demand: &Demand, fleet: &Fleet, moment: Moment) -> Vec<Growth>;
}

/// Says which servers may go.
pub trait ScaleDown: Policy {
    /// Retires servers; asked at every tick. A server that still has rooms is drained, and never moves one.
    ///
    /// The answer speaks only for the pools it names, and an empty list is an answer too (keep all); other pools are left to
    /// the next policy.
    fn scale_down(&mut self, fleet: &Fleet, moment: Moment) -> Vec<Shrinkage>;
}

/// When a decision is asked for; the only clock and the only chance that a policy has.
///
/// ```
/// use usher_sdk::Moment;
///
/// let moment = Moment::at(1_000);
/// assert_eq!(moment.seconds_since(940), 60);
/// assert_eq!(moment.seconds_until(940), 0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The time, in seconds since 1970-01-01T00:00:00Z. It never runs backwards between two calls.
    pub now: Timestamp,
    /// For chance that can be repeated: the same decision has the same seed in a replay.
    pub seed: u32,
    /// The number by which verdicts will name this turn; 0 where a room is placed.
    pub decision: u32,
}

impl Moment {
    /// Makes a moment for a test, with seed and decision 0.
    pub fn at(now: Timestamp) -> Self {
        Moment {
            now,
            seed: 0,
            decision: 0,
        }
    }

    /// Returns the seconds that have passed since `then`; 0 if it is yet to come.
    pub fn seconds_since(self, then: Timestamp) -> u32 {
        self.now.saturating_sub(then)
    }

    /// Returns the seconds left until `then`; 0 if it has passed.
    pub fn seconds_until(self, then: Timestamp) -> u32 {
        then.saturating_sub(self.now)
    }
}

/// What a package says of itself; `export_policy!` fills it in where the author's crate is compiled.
#[derive(Debug, Clone, Copy)]
pub struct Package {
    /// The package's name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// Its description.
    pub summary: &'static str,
}

/// A policy whose package is known.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not exported: write `export_policy!({Self}: place)` in its crate"
)]
pub trait Packaged: Policy {
    /// The package.
    const PACKAGE: Package;
}
