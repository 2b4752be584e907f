//! Checks and explains the config file.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::EXIT_CODES;
use super::failure::Failure;
use crate::config::{self, Config};

/// Commands of `usher config`.
#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Name every problem of the config file at once, or say what it means.
    Check(CheckArgs),
    /// Print a config file with every key, its meaning and its default.
    Reference,
}

/// Arguments of `usher config check`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct CheckArgs {
    /// The config file; without it usher.toml in this folder.
    #[arg(long, env = "USHER_CONFIG")]
    config: Option<PathBuf>,
}

/// Does what `usher config` says.
pub(super) fn run(command: ConfigCommand, out: &mut dyn Write) -> Result<(), Failure> {
    match command {
        ConfigCommand::Check(args) => check(&args, out),
        ConfigCommand::Reference => Ok(write!(out, "{}", config::reference())?),
    }
}

fn check(args: &CheckArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let checked = Config::load(args.config.as_deref());
    let warnings = match &checked {
        Ok(config) => &config.warnings,
        Err(problems) => &problems.warnings,
    };
    for warning in warnings {
        writeln!(out, "warning: {warning}")?;
    }
    let config = checked?;
    for line in config::missing(&config) {
        writeln!(out, "missing: {line}")?;
    }
    for line in config::summary(&config) {
        writeln!(out, "{line}")?;
    }
    writeln!(out, "no problems")?;
    Ok(())
}
