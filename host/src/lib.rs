//! Usher, the host: one process that wires the pure fleet to HTTP, the store, the clouds and the policies.
//!
//! ```text
//! api ──Command──┐                                  ┌──> replies (api), effects (clouds, policies), events (SSE)
//! clouds, agents ┼─Observation─> mailbox ─> driver ─┴─> the store's thread: durable first, only then ──┘
//! clock ─────────┘                          (fleet, place policies)
//! ```
//!
//! Only [`driver`] changes the fleet, only its store thread lets anything out. [`api`] turns requests into commands and
//! replies into responses, and knows nothing of clouds, policies or the store. [`serve`] wires; nothing else names all of them.

pub mod api;
pub mod auth;
pub mod builtin;
mod cause;
pub mod cli;
pub mod clock;
pub mod config;
mod demo;
pub mod driver;
mod durable_file;
pub mod installation;
pub mod listen;
pub mod metrics;
pub mod policies;
pub mod serve;
pub mod telemetry;
pub mod tls;
mod watched;
pub mod webhook;
