//! The pure centre of Usher: which servers and rooms there are, and what becomes of them.
//!
//! It decides and does nothing else: no clock, no randomness, no I/O, no async, no logging. Time comes in as a value, and
//! what the world shall do goes out as one.
//!
//! | who | does |
//! |---|---|
//! | the host's API | turns a request into a [`Command`], a [`Reply`] into a response |
//! | providers, probes, agents | report [`Observation`]s |
//! | the driver | calls [`Fleet::handle`] with one input after the other, makes the [`Outcome`]'s writes durable, then starts its effects and sends its reply |
//! | **this crate** | changes state, checks advice against the [guards](config::PoolGuards), records every [`Decision`] |
//! | policies | advise through [`Advisor`] and [`Observation::Scaled`]; they propose, the fleet disposes |
//!
//! Durable state changes only by [`Fleet::apply`], which recovery uses too. What is not durable (reports, silence, leases
//! running) starts anew after a restart, to nobody's harm.

pub mod advice;
pub mod command;
pub mod config;
pub mod decision;
pub mod effect;
pub mod event;
pub mod ids;
pub mod observation;
pub mod outcome;
pub mod pool;
pub mod record;
pub mod room;
pub mod server;
pub mod status;
pub mod units;
pub mod view;

#[doc = include_str!("matrix.md")]
pub mod matrix {}

mod fleet;

pub use advice::Advisor;
pub use command::{Command, Rejection, Reply};
pub use decision::Decision;
pub use effect::Effect;
pub use event::Event;
pub use fleet::{Fleet, Input, RoomFilter, RoomStateFilter};
pub use observation::Observation;
pub use outcome::Outcome;
pub use record::{Record, RecordKey, Write};
pub use units::Timestamp;
pub use view::{Cursor, ViewChange};
