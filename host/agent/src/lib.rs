//! The process beside a media server that reports how it does, and tells the media server what the host has decided.
//!
//! ```text
//!  decides, without I/O                 |  touches the world
//!  -------------------------------------+-------------------------------------------------
//!  duty      what is owed to whom       |  agent     the loop: look, report, obey
//!  cadence   when the next turn comes   |  media     the media server: janus, livekit, ...
//!  report    what a report holds        |  machine   processors, memory, the interface
//!  settings  what the options mean      |  host      the host's API;  token  its token file
//!                                       |  spot      the notice that the machine is taken away
//!                                       |  stop      signals
//! ```
//!
//! A report is a sign of life of the *media server*. So nothing is sent before it has answered for the first time, and
//! nothing any more once it has missed more than [`GRACE_QUESTIONS`] questions in a row: a dead media server with a live
//! agent is silent. What is not known is left out of a report: no data is not zero.
//!
//! The agent keeps nothing but the token. It queues no reports, it restarts no media server, it moves no rooms, and it
//! never decides where a room goes. All waiting is by monotonic time: a step of the clock does no harm.

mod cadence;
mod chance;
mod duty;
mod report;
mod room;
mod settings;

mod agent;
mod host;
mod machine;
mod media;
mod spot;
mod stop;
mod token;

mod log;
mod options;

pub use duty::GRACE_QUESTIONS;
pub use log::start as start_logging;
pub use options::{MediaKind, Options, RoomFrom};
pub use settings::{Secret, Wrong};
pub use stop::{Level, Stop, StopSender};

use agent::Agent;
use settings::Settings;

/// Says why an agent could not start.
#[derive(Debug, thiserror::Error)]
pub enum CannotStart {
    /// Options are missing or wrong; all of them are told.
    #[error("{0}")]
    Options(Wrong),
    /// No client for the host's address could be made.
    #[error("cannot make a client for {url}: {why}")]
    Client {
        /// Whom it was for.
        url: String,
        /// What went wrong.
        why: String,
    },
}

/// Reports for one server until `stop` says to leave, and the media server is empty or the time to drain is over.
///
/// # Errors
/// The options are wrong, or a client could not be made; once it runs it does not fail.
pub async fn run(options: Options, stop: Stop) -> Result<(), CannotStart> {
    // It fails only where the process has one already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let settings = Settings::of(options).map_err(CannotStart::Options)?;
    let spot = spot::watch(settings.spot.as_ref())?;
    Agent::new(settings)?.run(stop, spot).await;
    Ok(())
}
