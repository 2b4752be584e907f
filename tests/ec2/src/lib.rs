//! A small EC2 that speaks the real query protocol, for tests.
//!
//! The real SDK signs, sends, parses and retries against it; what it proves is that a caller survives what EC2 does to
//! callers: replies that are lost, reads that lag, no capacity, throttling, boots that fail, spot instances that are taken away.
//!
//! ```text
//!  SDK ──form, signature──> server ──> signature (who) ──> api (what) ──> world (pure: instances, tokens, room, fates)
//!  agent ──metadata───────> server ──> metadata ───────────────────────────┤
//!  test ──Control, JSON───> control ───────────────────────────────────────┤
//!  clock ──what is due────> shared ────────────────────────────────────────┤
//!                                                                          └─> Effect: processes to run and to stop
//! ```
//!
//! `world` and `api` decide and do no I/O: time is an argument, chance comes from the seed, and the same calls have the same
//! outcomes. `server`, `shared` and `processes` do the rest.
//!
//! It knows instances and what is needed to launch them. It has no networks, volumes, security groups, roles or prices of its own:
//! parameters about these are accepted and ignored. It listens without TLS, and `/control` asks nobody who he is: it is
//! for this machine only.

mod setup;

mod error;
mod faults;
mod throttle;

mod calls;
mod chance;
mod clock;
mod query;
mod xml;

mod api;
mod world;

mod processes;
mod shared;
mod signature;

mod control;
mod metadata;
mod server;

mod fake;

pub use calls::{Call, Outcome};
pub use control::Control;
pub use error::{Ec2Error, InjectedError};
pub use fake::{FakeEc2, StartError};
pub use faults::{Fault, FaultKind, FaultWhen};
pub use setup::{
    ACCESS_KEY_ID, Capacity, ClockSetup, IMAGE, Image, InstanceType, Key, Lag, LaunchTemplate, Life, Market, Quotas,
    SECRET_ACCESS_KEY, Setup, SetupError, ShutdownBehavior, Subnet, TEMPLATE, TemplateVersion, default_subnet_id,
};
pub use throttle::{Rate, Throttles};
pub use world::{InstanceId, InstanceState, InstanceView, StateReason};
