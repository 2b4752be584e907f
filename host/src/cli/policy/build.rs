//! `usher policy build`: from a crate to a module in the folder, if it passes every gate.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use clap::Args;

use super::compile_in;
use super::destination::{Destination, DestinationArgs, SettingsAre};
use super::interrupt::until_interrupted;
use super::manifest::PolicyCrate;
use super::rehearse::{SERVERS_DEFAULT, rehearse};
use super::report::{self, Report, seconds, size};
use super::toolchain::Toolchain;
use crate::cli::EXIT_CODES;
use crate::cli::client::block_on;
use crate::cli::failure::Failure;

/// What stands under `usher policy build --help`.
const EXAMPLES: &str = "\
Examples:
  usher policy build                      the policy in this folder, to where usher.toml says
  usher policy build night --to policies  the one in night, to policies/50-night.wasm
  usher policy build night --as 10-night  asked before those whose names begin with a greater number

A module that does not pass every gate is not put anywhere, and what serves goes on serving.
A settings file that is there is never overwritten; where the module is new, the crate's
NAME.toml is put beside it.";

/// How many digits of a hash people are shown.
const HASH_DIGITS_SHOWN: usize = 12;

/// Arguments of `usher policy build`.
#[derive(Debug, Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(in crate::cli) struct BuildArgs {
    /// The policy's folder, with its Cargo.toml; by default this one.
    #[arg(value_name = "DIR", default_value = ".", hide_default_value = true)]
    folder: PathBuf,
    /// Install what builds for WebAssembly if it is missing (with rustup, or as root with apt-get), instead of saying what is.
    #[arg(long)]
    install: bool,
    #[command(flatten)]
    destination: DestinationArgs,
}

/// A module that was put into the folder.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) report: Report,
    /// Whether it is another than the one that was there.
    pub(super) is_new: bool,
    pub(super) settings: SettingsAre,
    building: Duration,
    checking: Duration,
}

/// Builds, checks and places.
pub(super) fn build(args: &BuildArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let policy = PolicyCrate::read(&args.folder).map_err(Failure::Undone)?;
    let to = args.destination.of(&policy)?;
    let toolchain = Toolchain {
        is_installing: args.install,
        is_quiet: false,
    };
    let made = block_on(async { Ok(until_interrupted(make(&policy, &to, toolchain)).await?) })?;
    let built = made.unwrap_or_else(|| Err(anyhow!("interrupted; nothing was put anywhere")));
    let built = built.map_err(Failure::Undone)?;
    for warning in &built.report.warnings {
        writeln!(out, "warning: {warning}")?;
    }
    writeln!(out, "{}", built.line())?;
    if let SettingsAre::Copied { to, .. } = &built.settings {
        writeln!(out, "{}: its settings; what they say there counts", to.display())?;
    }
    Ok(())
}

/// Builds a policy, passes it through every gate, and puts it there.
///
/// # Errors
/// It does not build, a gate refuses it, or the disk does. Then nothing is put anywhere.
pub(super) async fn make(policy: &PolicyCrate, to: &Destination, toolchain: Toolchain) -> anyhow::Result<Built> {
    let began = Instant::now();
    let scratch = tempfile::tempdir().context("there is no place for what is being built")?;
    let module = scratch.path().join(to.name().file());
    let made = toolchain.build(&policy.folder, &module).await;
    made.with_context(|| format!("{} stays as it is", to.module().display()))?;
    let building = began.elapsed();

    let began = Instant::now();
    let settings = to.settings(policy);
    let rehearsed = rehearse(&module, settings.file(), SERVERS_DEFAULT, compile_in()?);
    let mut report = rehearsed.map_err(|refusal| {
        let refusal = report::refusal(&module.file_name().unwrap_or_default().to_string_lossy(), &refusal);
        anyhow!("{refusal}\n{} stays as it is", to.module().display())
    })?;
    let checking = began.elapsed();

    let wasm = fs::read(&module).context("what was built has gone")?;
    let is_new = to.place(&wasm, &settings)?;
    report.file = to.module().display().to_string();
    Ok(Built {
        report,
        is_new,
        settings,
        building,
        checking,
    })
}

impl Built {
    /// Says in one line what happened.
    pub(super) fn line(&self) -> String {
        let report = &self.report;
        format!(
            "{}{}: {}, decides {}, sha256 {}, built in {}, checked in {}",
            report.file,
            if self.is_new { "" } else { " is as it was" },
            size(report.wasm_bytes as u64),
            report.decisions.join(" + "),
            &report.sha256[..HASH_DIGITS_SHOWN],
            seconds(self.building),
            seconds(self.checking)
        )
    }
}
