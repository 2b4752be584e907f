//! Runs the host in this process.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::EXIT_CODES;
use super::failure::Failure;
use crate::config::{self, Config, Overrides};
use crate::serve;
use crate::telemetry::{self, LogFormat};

/// Arguments of `usher serve`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct ServeArgs {
    /// The config file; without it usher.toml in this folder, and without that an empty fleet with an external pool.
    #[arg(long, env = "USHER_CONFIG")]
    config: Option<PathBuf>,
    /// Listen here instead of where the file says.
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Keep the records here instead of where the file says.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// How log lines are written, to stderr; USHER_LOG says which (for example usher=debug,warn).
    #[arg(long, value_enum, default_value_t)]
    log: LogFormat,
}

/// Serves until it is told to stop.
pub(super) fn serve(args: ServeArgs) -> Result<(), Failure> {
    let _lines = telemetry::start(args.log).map_err(|error| Failure::Usage(error.to_string()))?;
    let overrides = Overrides {
        listen: args.listen,
        data_dir: args.data_dir,
    };
    let config = Config::load_with(args.config.as_deref(), &overrides)?;
    let file = args
        .config
        .or_else(|| Some(PathBuf::from(config::FILE_NAME)).filter(|file| file.exists()));
    say(&config, file.as_ref());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Ended(error.into()))?;
    runtime.block_on(serve::run(config, file)).map_err(Failure::Ended)
}

/// Says what holds, and what is missing.
fn say(config: &Config, file: Option<&PathBuf>) {
    match file {
        Some(file) => tracing::info!("usher {} with {}", env!("CARGO_PKG_VERSION"), file.display()),
        None => tracing::info!("usher {} without a config file", env!("CARGO_PKG_VERSION")),
    }
    for line in config::summary(config) {
        tracing::info!("{line}");
    }
    for line in config::missing(config) {
        tracing::warn!("{line}");
    }
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
}
