//! Runs other people's policies: takes WebAssembly modules from a folder, checks them, asks them, and survives them.
//!
//! | who | does |
//! |---|---|
//! | the loader's thread | follows the folder; passes each version through the gates that need the fleet (start, whole view, trial); builds again what has faulted; goes back to a good version |
//! | the kitchen's thread | passes each file through the gates before: check and compile, which a [child process](compile_child) does, and settings |
//! | the driver's thread | owns the [`PlaceChain`]: [`swap`](PlaceChain::swap) takes in what the loader has finished, between two inputs; then each room is asked along the chain |
//! | the scale thread | owns a second set of instances and its own copy of the view; answers [`Policies::scale`] |
//! | [`PolicyHost`] | what they need of the process: looks at the fleet, and where events and answers go |
//!
//! A policy is asked what the contract says (`sdk/wit/policy.wit`) within fuel and memory limits. Whatever it does wrong is a
//! [`Fault`](usher_fleet::advice::Fault) for the fleet, and the instance is gone; whatever is wrong with a file leaves the version
//! serving that served. What a policy has learned (`save`, `restore`) outlives its instances, its versions and the host.
//!
//! What this crate does *not* do: it does not judge advice (the fleet does), gives policies neither
//! clock nor files nor network, and lets nobody outside of its `wasm` module name wasmtime.

mod backoff;
mod built_in;
mod chain;
mod counters;
mod folder;
mod kitchen;
mod loader;
mod loading;
mod made_up;
mod native;
mod options;
mod policies;
mod quarantine;
mod recipe;
mod rehearsal;
mod scale;
mod settings;
mod shelf;
mod status;
mod trial;
mod version;
mod wasm;
mod watch;

#[cfg(test)]
mod tests;

pub use chain::PlaceChain;
pub use counters::{FaultCounts, TallyStatus};
pub use folder::{BUILT_IN, FileError, WASM_BYTES_MAX};
pub use loading::LoadError;
pub use made_up::{MadeUpFleet, MadeUpRoom};
pub use native::{MakeBuiltIn, Native};
pub use options::{
    ChildProgram, CompileIn, FOLDER_POLL, FOLDER_QUIET, LogLevel, Look, Options, PolicyHost, REFUSED_RETRY, Snapshot,
};
pub use policies::{Policies, Rollback, RollbackError, check_built_in_settings, start};
pub use rehearsal::{Asked, Described, Rehearsal, Rehearsed, fuel_budget};
pub use settings::SettingsError;
pub use status::{PolicyStatus, QuarantinedStatus, ServingStatus, VersionStatus, WantedState, WantedStatus};
pub use wasm::{CheckError, CompileError, MEMORY_BYTES_MAX, StartError, compile_child};
