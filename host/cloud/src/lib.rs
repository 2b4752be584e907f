//! Who makes servers, and how they are probed: the fleet's effects go in, its observations come out.

pub mod config;

pub use config::{ExecConfig, PoolSetup, ProbeConfig, ProbeTiming, ProviderConfig, SimulatedConfig};
