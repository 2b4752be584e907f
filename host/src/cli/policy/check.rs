//! `usher policy check`: every gate, and what a policy does on a made-up fleet.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::compile_in;
use super::rehearse::{SERVERS_DEFAULT, rehearse};
use super::report;
use crate::cli::EXIT_CODES;
use crate::cli::failure::Failure;

/// What stands under `usher policy check --help`.
const EXAMPLES: &str = "\
Examples:
  usher policy check policies/*.wasm                          would a host take them?
  usher policy check 50-night.wasm --servers 100000           what would a large fleet cost?
  usher policy check 50-night.wasm --settings tomorrow.toml   with these instead of 50-night.toml

The gates are the host's own: read, check, compile, settings, start, describe, configure, view,
trial; the trial asks for more servers of a full fleet, too. What a policy does on the made-up
fleet otherwise refuses nothing, but may warn: of questions without an answer or near the limit of
their fuel, of placements that a fleet would refuse, and of answers that differ where they must not.";

/// The most servers that are made up: more than anybody has, and a few seconds of work.
const SERVERS_MAX: u32 = 1_000_000;

/// Arguments of `usher policy check`.
#[derive(Debug, Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(in crate::cli) struct CheckArgs {
    /// The modules.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The settings, as TOML; by default what stands beside the module under its name, if anything does.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// How many servers the made-up fleet has.
    #[arg(long, default_value_t = SERVERS_DEFAULT as u32, value_parser = clap::value_parser!(u32).range(0..=SERVERS_MAX as i64))]
    servers: u32,
    /// Print JSON: {"files": [...]}, each a report or why it was refused.
    #[arg(long)]
    json: bool,
}

/// Checks the files. All are looked at, also behind one that is refused.
pub(super) fn check(args: &CheckArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let mut reports: Vec<Value> = Vec::new();
    let mut refusals = Vec::new();
    for (index, file) in args.files.iter().enumerate() {
        let settings = args.settings.clone().or_else(|| beside(file));
        let compile = compile_in().map_err(Failure::Undone)?;
        let shown = file.display().to_string();
        match rehearse(file, settings.as_deref(), args.servers as usize, compile) {
            Ok(report) if args.json => reports.push(json!(report)),
            Ok(report) => {
                if index > 0 {
                    writeln!(out)?;
                }
                report.write(out)?;
            }
            Err(refusal) => {
                reports.push(report::refusal_json(&shown, &refusal));
                refusals.push(report::refusal(&shown, &refusal));
            }
        }
    }
    if args.json {
        writeln!(out, "{}", json!({ "files": reports }))?;
    }
    match refusals.is_empty() {
        true => Ok(()),
        false => Err(Failure::Undone(anyhow::Error::msg(refusals.join("\n")))),
    }
}

/// Returns the settings beside a module, if there are any.
fn beside(module: &Path) -> Option<PathBuf> {
    let settings = module.with_extension("toml");
    settings.is_file().then_some(settings)
}
