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
    /// What the policy calls itself, as `usher policy check` shows it; by default the package's name. Decisions are recorded under the
    /// name of its file.
    ///
    /// ```
    /// # use usher_sdk::Policy;
    /// # struct Night;
    /// # impl Policy for Night {
    /// const NAME: Option<&'static str> = Some("night");
    /// #   type Settings = ();
    /// #   fn new(_: ()) -> Result<Self, String> { Ok(Night) }
    /// # }
    /// # assert_eq!(Night::NAME, Some("night"));
    /// ```
    const NAME: Option<&'static str> = None;

    /// Reported numbers that the policy wants to see beside the usual ones, by name, such as `consumers`; read with
    /// [`Server::figure`](crate::Server::figure) by their place in this list.
    ///
    /// ```
    /// # use usher_sdk::Policy;
    /// # struct Night;
    /// # impl Policy for Night {
    /// const FIGURES: &'static [&'static str] = &["consumers"]; // server.figure(0)
    /// #   type Settings = ();
    /// #   fn new(_: ()) -> Result<Self, String> { Ok(Night) }
    /// # }
    /// # assert_eq!(Night::FIGURES, ["consumers"]);
    /// ```
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
/// [`guide::placing`](crate::guide::placing) says what the answers mean.
///
/// ```
/// use usher_sdk::{Fleet, Moment, Place, PlacementAdvice, Policy, RoomRequest};
///
/// struct Pack;
///
/// impl Policy for Pack {
///     type Settings = ();
///     fn new(_: ()) -> Result<Self, String> {
///         Ok(Pack)
///     }
/// }
///
/// impl Place for Pack {
///     fn place(&self, room: &RoomRequest, fleet: &Fleet, _: Moment) -> PlacementAdvice {
///         match fleet.fitting(room.size()).in_region(&room.region).next() {
///             Some(server) => PlacementAdvice::on(server.id()).because("fullest server with room"),
///             None => PlacementAdvice::defer(),
///         }
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` says nowhere where a room goes: write `impl Place for {Self}`, or leave `place` out of `export_policy!`"
)]
pub trait Place: Policy {
    /// Places one room.
    ///
    /// The same room, fleet and moment must give the same advice, however often it is asked: hence `&self`. A panic is a
    /// fault, and the next policy in the chain is asked.
    fn place(&self, room: &RoomRequest, fleet: &Fleet, moment: Moment) -> PlacementAdvice;
}

/// Says how many servers more are needed.
///
/// [`guide::scaling`](crate::guide::scaling) says what the answers mean, and what becomes of them.
///
/// ```
/// use usher_sdk::{Demand, Fleet, Growth, Moment, Policy, ScaleUp};
///
/// /// Keeps a server more on its way while anybody waits.
/// struct OneAhead;
///
/// impl Policy for OneAhead {
///     type Settings = ();
///     fn new(_: ()) -> Result<Self, String> {
///         Ok(OneAhead)
///     }
/// }
///
/// impl ScaleUp for OneAhead {
///     fn scale_up(&mut self, demand: &Demand, fleet: &Fleet, _: Moment) -> Vec<Growth> {
///         let is_needed = demand.waiting_rooms > 0 && !fleet.servers().any(|server| server.is_starting());
///         let pool = fleet.pools().find(|_| is_needed);
///         pool.map(|pool| Growth { pool: pool.id, servers: 1, reason: "rooms wait".into() }).into_iter().collect()
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` says nowhere how many servers more are needed: write `impl ScaleUp for {Self}`, or leave `scale_up` out of `export_policy!`"
)]
pub trait ScaleUp: Policy {
    /// Orders servers, on top of those that are starting; asked when a room begins to wait, and at every tick.
    ///
    /// The answer speaks only for the pools it names, and 0 servers is an answer too; other pools are left to the next policy.
    fn scale_up(&mut self, demand: &Demand, fleet: &Fleet, moment: Moment) -> Vec<Growth>;
}

/// Says which servers may go.
///
/// [`guide::scaling`](crate::guide::scaling) says what the answers mean, and what becomes of them.
///
/// ```
/// use usher_sdk::{Fleet, Moment, Policy, Retirement, ScaleDown, Shrinkage};
///
/// /// Gives back what has been empty for ten minutes.
/// struct Idle;
///
/// impl Policy for Idle {
///     type Settings = ();
///     fn new(_: ()) -> Result<Self, String> {
///         Ok(Idle)
///     }
/// }
///
/// impl ScaleDown for Idle {
///     fn scale_down(&mut self, fleet: &Fleet, moment: Moment) -> Vec<Shrinkage> {
///         let idle = |since| moment.seconds_since(since) >= 600;
///         let retire = |pool| {
///             let servers = fleet.servers().filter(move |server| server.pool_id() == pool && server.is_serving());
///             let idle = servers.filter(|server| server.empty_since().is_some_and(idle));
///             idle.map(|server| Retirement::new(server.id(), "empty for ten minutes")).collect()
///         };
///         fleet.pools().map(|pool| Shrinkage { pool: pool.id, servers: retire(pool.id) }).collect()
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` says nowhere which servers may go: write `impl ScaleDown for {Self}`, or leave `scale_down` out of `export_policy!`"
)]
pub trait ScaleDown: Policy {
    /// Retires servers; asked at every tick. A server that still has rooms is drained, and never moves one.
    ///
    /// The answer speaks only for the pools it names, and an empty list is an answer too (keep all); other pools are left to
    /// the next policy.
    fn scale_down(&mut self, fleet: &Fleet, moment: Moment) -> Vec<Shrinkage>;
}

/// The most that is kept of what a policy has learned, in bytes: a daily curve by the minute for ten pools fits with room to
/// spare, and the host can keep it for every policy.
///
/// ```
/// let minutes_of_a_day = 1_440;
/// assert!(minutes_of_a_day * size_of::<u16>() * 10 < usher_sdk::LEARNED_BYTES_MAX);
/// ```
pub const LEARNED_BYTES_MAX: usize = 64 << 10;

/// Keeps what a policy has learned and the fleet cannot tell it again: over new versions, new settings and restarts.
///
/// What the fleet shows anyway does not belong in it. Scale decisions learn, in `&mut self`; a placement only reads what
/// was restored when its own instance was made. What is learned meanwhile does not reach that one until it is made anew
/// (a new version, new settings, a fault of its own, a restart): read in `place` it would be stale. The format is the
/// author's own, and a new version reads what an older one wrote: begin it with a number.
///
/// ```
/// use usher_sdk::{Demand, Fleet, Growth, Learned, Moment, Policy, ScaleUp, export_policy};
///
/// /// Remembers the most rooms that ever waited.
/// struct Peak {
///     rooms: u32,
/// }
///
/// impl Policy for Peak {
///     type Settings = ();
///     fn new(_: ()) -> Result<Self, String> {
///         Ok(Peak { rooms: 0 })
///     }
/// }
///
/// impl ScaleUp for Peak {
///     fn scale_up(&mut self, demand: &Demand, _: &Fleet, _: Moment) -> Vec<Growth> {
///         self.rooms = self.rooms.max(demand.waiting_rooms);
///         vec![]
///     }
/// }
///
/// impl Learned for Peak {
///     fn save(&self) -> Vec<u8> {
///         self.rooms.to_le_bytes().into()
///     }
///
///     fn restore(&mut self, saved: &[u8]) -> Result<(), String> {
///         let saved = saved.try_into().map_err(|_| format!("{} bytes instead of 4", saved.len()))?;
///         self.rooms = u32::from_le_bytes(saved);
///         Ok(())
///     }
/// }
///
/// export_policy!(Peak: scale_up, learned);
/// # fn main() {}
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` says nowhere what it has learned: write `impl Learned for {Self}`, or leave `learned` out of `export_policy!`"
)]
pub trait Learned: Policy {
    /// Returns what is to be kept, at most [`LEARNED_BYTES_MAX`]. It is asked about once a minute, and before the policy is
    /// replaced or Usher stops.
    fn save(&self) -> Vec<u8>;

    /// Takes what was saved last, by this or another version. It is called once, after [`Policy::new`] and before anything
    /// else; where nothing was ever saved it is not called.
    ///
    /// # Errors
    /// What is wrong with it. The policy is then made anew and starts without, and the log says so.
    fn restore(&mut self, saved: &[u8]) -> Result<(), String>;
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
    /// For chance that can be repeated: it follows from the room and the time, or from the decision's number.
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
#[doc(hidden)]
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
#[doc(hidden)]
pub trait Packaged: Policy {
    /// The package.
    const PACKAGE: Package;
}
