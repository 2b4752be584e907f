//! Who makes servers, and how they are probed: the fleet's effects go in, its observations come out.
//!
//! | effect | who runs it | answered by |
//! |---|---|---|
//! | `Launch`, `Terminate` | the pool's [`Provider`], one order after the other per key | `Launched`, `Terminated` |
//! | `List` | the pool's [`Provider`] | `Listed` |
//! | `Watch`, `Unwatch`, `Probe` | probes of the server's URL, by the pool's [`ProbeConfig`] | `Probed`, each time |
//! | (of its own accord) | the simulation's servers | `Reported` |
//!
//! It decides nothing. It does not ask again when something fails: the fleet does, with the same key, and knows when. It
//! counts no failed probes: each one is told, and the fleet has the thresholds. It remembers nothing over restarts. It
//! asks for no scale advice: `Effect::Scale` is the policies'.

pub mod cloud;
pub mod config;
#[cfg(feature = "ec2")]
pub mod ec2;
pub mod exec;
pub mod finding;
pub mod provider;
pub mod simulated;
pub mod user_data;

mod chance;
mod orders;
mod probe;
mod task;
mod watches;

#[cfg(test)]
mod heard;

pub use cloud::{Clock, Cloud, Installation, Observe, Tokens};
pub use config::{Ec2Config, ExecConfig, PoolSetup, ProbeConfig, ProbeTiming, ProviderConfig, SimulatedConfig};
#[cfg(feature = "ec2")]
pub use ec2::Ec2;
pub use exec::Exec;
pub use finding::{Finding, Verdict};
pub use provider::{Answer, Examination, Findings, Provider};
pub use simulated::Simulated;
pub use user_data::{USER_DATA, USER_DATA_BYTES_MAX, WORDS, unknown_words};
