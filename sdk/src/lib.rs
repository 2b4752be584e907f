//! Write an Usher policy: say where rooms go, and when servers come and go.
//!
//! A policy is a type that keeps what its author wants to keep, and one trait for each decision that it takes:
//!
//! ```
//! use usher_sdk::{Fleet, Moment, Place, PlacementAdvice, Policy, RoomRequest, export_policy};
//!
//! struct Pack;
//!
//! impl Policy for Pack {
//!     type Settings = ();
//!     fn new(_: ()) -> Result<Self, String> {
//!         Ok(Pack)
//!     }
//! }
//!
//! impl Place for Pack {
//!     fn place(&self, room: &RoomRequest, fleet: &Fleet, _: Moment) -> PlacementAdvice {
//!         let mut fitting = fleet.fitting(room.size()).in_region(&room.region).letting_in(room);
//!         match fitting.find(|server| fleet.suits(server, room)) {
//!             Some(server) => PlacementAdvice::on(server.id()).because("fullest server with room"),
//!             None => PlacementAdvice::defer(), // the next policy's, at last the standard one's
//!         }
//!     }
//! }
//!
//! export_policy!(Pack: place);
//! # fn main() {}
//! ```
//!
//! The **[`guide`]** goes from these lines to a policy in production: settings, tests, what the view holds, scaling, chains, time
//! zones, limits, and what happens when something goes wrong. `usher policy new NAME` writes a crate to begin with.
//!
//! | | |
//! |---|---|
//! | to implement | [`Policy`], then [`Place`], [`ScaleUp`], [`ScaleDown`], [`Learned`]; [`export_policy!`] |
//! | to look at | [`Fleet`], its [`Server`]s and [`Pool`]s; [`RoomRequest`], [`Demand`]; [`Moment`] |
//! | to answer | [`PlacementAdvice`]; [`Growth`]; [`Shrinkage`] |
//! | to help | [`Fleet::fitting`], [`Size`], [`Left`]; [`local_time()`], [`Chance`]; [`info!`] |
//! | to test | [`Fleet::builder`], [`Instance`], [`purity`] |
//!
//! What the crate does *not* do: no clock, no randomness, no I/O. The time and a seed come with each question ([`Moment`]).
//! Keep it that way in a policy: no `HashMap` (its order differs from instance to instance), no floats where it matters. All glue to
//! WebAssembly stands under `cfg(target_family = "wasm")`; natively a policy is plain Rust, and [`Instance`] asks it the same way.

mod advice;
#[cfg(any(test, all(target_family = "wasm", feature = "allocator")))]
mod allocator;
#[doc(hidden)]
pub mod bindings;
mod chance;
mod export;
mod fleet;
pub mod guide;
mod instance;
mod local_time;
#[doc(hidden)]
pub mod log;
mod policy;
#[cfg(not(target_family = "wasm"))]
pub mod purity;
mod request;
mod settings;
#[cfg(any(test, target_family = "wasm"))]
mod usage;

pub use bindings::base::exports::usher::policy::policy_info::Description;
pub use bindings::base::usher::policy::local_time::Local as LocalTime;
/// Orders pools, and names one in an answer.
///
/// ```
/// use usher_sdk::{Fleet, PoolId};
///
/// let fleet = Fleet::builder().pool("east", |_| {}).pool("west", |_| {}).build();
/// let west: Option<PoolId> = fleet.pools().find(|pool| pool.name == "west").map(|pool| pool.id);
/// assert_eq!(west, Some(2), "in a test they count from 1");
/// ```
pub use bindings::base::usher::policy::types::PoolId;
/// Orders servers, and names one in an answer.
///
/// ```
/// use usher_sdk::{Fleet, ServerId};
///
/// let fleet = Fleet::builder().pool("p", |_| {}).server("a", |_| {}).server("b", |_| {}).build();
/// let oldest: Option<ServerId> = fleet.servers().next().map(|server| server.id());
/// assert_eq!(oldest, Some(1), "a server that came later has a greater one");
/// ```
pub use bindings::base::usher::policy::types::ServerId;
/// A moment, in seconds.
///
/// ```
/// use usher_sdk::{Moment, Timestamp};
///
/// let new_year: Timestamp = 1_798_761_600; // 2027-01-01T00:00:00Z
/// assert_eq!(Moment::at(new_year - 60).seconds_until(new_year), 60);
/// ```
pub use bindings::base::usher::policy::types::Timestamp;
pub use bindings::base::usher::policy::types::{
    Change, Demand, Figure, Growth, Health, Hold, Label, Level, Outcome, Phase, Placement, PlacementAdvice, Pool,
    PoolState, Retirement, RoomRequest, Server as ServerRow, Shrinkage, Subject, Usage, Verdict, Wait, Want,
};
pub use chance::Chance;
#[doc(hidden)]
pub use export::glue;
pub use fleet::{Fitting, Fleet, FleetBuilder, Server, ServerSketch, VERDICTS_MAX};
pub use instance::Instance;
pub use local_time::local_time;
pub use policy::{LEARNED_BYTES_MAX, Learned, Moment, Place, Policy, ScaleDown, ScaleUp};
#[doc(hidden)]
pub use policy::{Package, Packaged};
pub use request::{Left, ONLY_PREFIX, REQUIRE_PREFIX, Size};
