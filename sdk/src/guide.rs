//! From the first line of a policy to one that decides in production.
//!
//! Read the first three chapters and write a policy; come back for the others when you need them. Each stands alone, and all of
//! their code compiles and runs.
//!
//! 1. [`first`]: the shortest policy, its crate, and how it gets into the folder.
//! 2. [`settings`]: what the operator may change without a compiler.
//! 3. [`testing`]: fleets of a few lines, and the check that a policy is pure.
//! 4. [`view`]: what a policy knows, what it does not know, and what a look costs.
//! 5. [`placing`]: where a room goes, waits, or is left to others.
//! 6. [`scaling`]: when servers come and go, and what becomes of an order.
//! 7. [`chain`]: several policies in one folder.
//! 8. [`rules`]: the same question, the same answer; time, time zones and chance.
//! 9. [`learning`]: what is kept over reloads and restarts.
//! 10. [`speaking`]: logs, and what a panic does.
//! 11. [`limits`]: fuel, memory and prices, and how far they reach.
//! 12. [`production`]: building, checking, watching; faults, quarantine, going back, and reading decisions.
//!
//! ```
//! // The whole API, as most policies import it.
//! use usher_sdk::{
//!     Demand, Fleet, Growth, Moment, Place, PlacementAdvice, Policy, RoomRequest, ScaleDown, ScaleUp, Shrinkage,
//!     export_policy,
//! };
//! # fn main() {}
//! ```

#[doc = include_str!("guide/first.md")]
pub mod first {}

#[doc = include_str!("guide/settings.md")]
pub mod settings {}

#[doc = include_str!("guide/testing.md")]
pub mod testing {}

#[doc = include_str!("guide/view.md")]
pub mod view {}

#[doc = include_str!("guide/placing.md")]
pub mod placing {}

#[doc = include_str!("guide/scaling.md")]
pub mod scaling {}

#[doc = include_str!("guide/chain.md")]
pub mod chain {}

#[doc = include_str!("guide/rules.md")]
pub mod rules {}

#[doc = include_str!("guide/learning.md")]
pub mod learning {}

#[doc = include_str!("guide/speaking.md")]
pub mod speaking {}

#[doc = include_str!("guide/limits.md")]
pub mod limits {}

#[doc = include_str!("guide/production.md")]
pub mod production {}
