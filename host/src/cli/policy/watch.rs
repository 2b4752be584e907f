//! `usher policy watch`: builds and places a policy at every save, and says what the host makes of it.

mod host;
mod sources;

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use clap::Args;

use super::build::{Built, make};
use super::destination::{Destination, DestinationArgs};
use super::interrupt::until_interrupted;
use super::manifest::PolicyCrate;
use super::report::seconds;
use super::toolchain::Toolchain;
use crate::cli::client::block_on;
use crate::cli::failure::Failure;
use crate::cli::{EXIT_CODES, HostArgs};
use host::Host;
use sources::Sources;

/// What stands under `usher policy watch --help`.
const EXAMPLES: &str = "\
Examples:
  usher policy watch                        the policy in this folder, to where usher.toml says
  usher policy watch night --to policies    the one in night, to policies/50-night.wasm

It builds at once, and again at every save, as `usher policy build` does: what does not build, or
does not pass every gate, leaves the module alone that is there. Where a host answers, it also
says when that serves the module. Ctrl-C ends it.";

/// Arguments of `usher policy watch`.
#[derive(Debug, Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(in crate::cli) struct WatchArgs {
    /// The policy's folder, with its Cargo.toml; by default this one.
    #[arg(value_name = "DIR", default_value = ".", hide_default_value = true)]
    folder: PathBuf,
    #[command(flatten)]
    destination: DestinationArgs,
    #[command(flatten)]
    host: HostArgs,
}

/// Watches until it is told to stop.
pub(super) fn watch(args: &WatchArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let policy = PolicyCrate::read(&args.folder).map_err(Failure::Undone)?;
    let to = args.destination.of(&policy)?;
    let host = Host::new(&args.host)?;
    // It must be there before the first module: it may lie within the crate, where all else counts as source.
    let made = fs::create_dir_all(to.folder());
    made.with_context(|| format!("the folder {} cannot be made", to.folder().display()))
        .map_err(Failure::Undone)?;
    block_on(async {
        match until_interrupted(rounds(&policy, &to, host, out)).await? {
            Some(ended) => ended,
            None => Ok(()),
        }
    })
}

/// Builds and places, waits for a change, and so on.
async fn rounds(policy: &PolicyCrate, to: &Destination, mut host: Host, out: &mut dyn Write) -> Result<(), Failure> {
    writeln!(
        out,
        "{}: building now and at every save, to {}; Ctrl-C ends it",
        policy.name,
        to.module().display()
    )?;
    out.flush()?;
    let mut sources = Sources::of(&policy.folder, to.folder());
    let mut saved = None;
    loop {
        let toolchain = Toolchain {
            is_installing: false,
            // The first time of all takes most of a minute, and cargo shows why.
            is_quiet: saved.is_some(),
        };
        match make(policy, to, toolchain).await {
            Ok(built) => {
                told(&built, saved, out)?;
                tokio::select! {
                    () = sources.begin_to_change() => {}
                    followed = host.follow(to.name().text(), &built.report.sha256) => {
                        if let Some(line) = followed? {
                            writeln!(out, "          {line}")?;
                        }
                    }
                }
            }
            Err(error) => writeln!(out, "{}  {error:#}", clock())?,
        }
        out.flush()?;
        saved = Some(sources.change().await);
    }
}

/// Says what a round came to.
fn told(built: &Built, saved: Option<SystemTime>, out: &mut dyn Write) -> Result<(), Failure> {
    for warning in &built.report.warnings {
        writeln!(out, "          warning: {warning}")?;
    }
    let after = saved.and_then(|saved| saved.elapsed().ok());
    let after = after.map(|after: Duration| format!(", {} after the save", seconds(after)));
    writeln!(out, "{}  {}{}", clock(), built.line(), after.unwrap_or_default())?;
    Ok(out.flush()?)
}

/// Returns the time of day, as long as a line that has none is indented.
fn clock() -> String {
    jiff::Zoned::now().strftime("%H:%M:%S").to_string()
}
