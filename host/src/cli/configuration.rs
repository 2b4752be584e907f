//! Checks and explains the config file.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use usher_cloud::{Cloud, Finding, Verdict};
use usher_fleet::ids::PoolName;

use super::EXIT_CODES;
use super::client::block_on;
use super::failure::Failure;
use crate::builtin;
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::installation::Installation;

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
    /// Look outside, too: whether credentials, launch template, subnets, types and permissions suffice, and programs answer. It only
    /// reads and dry-runs; nothing is launched.
    #[arg(long)]
    live: bool,
    /// Print what --live finds as JSON: {"pools": [{"pool", "findings": [{"verdict", "says"}]}]}, verdict "ok", "unknown" or "problem".
    #[arg(long, requires = "live")]
    json: bool,
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
    if !args.json {
        let warnings = match &checked {
            Ok(config) => &config.warnings,
            Err(problems) => &problems.warnings,
        };
        for warning in warnings {
            writeln!(out, "warning: {warning}")?;
        }
    }
    let config = checked?;
    if !args.json {
        for line in config::missing(&config) {
            writeln!(out, "missing: {line}")?;
        }
        for line in config::summary(&config) {
            writeln!(out, "{line}")?;
        }
    }
    if let Err(problem) = usher_policy::check_built_in_settings(&config.policies_dir, builtin::make) {
        let file = config.policies_dir.join("standard.toml");
        return Err(Failure::Undone(anyhow::anyhow!("{}: {problem}", file.display())));
    }
    if args.live {
        return look_outside(&config, args.json, out);
    }
    writeln!(out, "no problems")?;
    Ok(())
}

/// Has each pool's provider look whether it could do as configured.
fn look_outside(config: &Config, is_json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    // One that launches nothing: its tokens are as long as real ones, and the data folder is left alone.
    let nobody = Installation::new().map_err(Failure::Undone)?;
    let mut pools: Vec<(&PoolName, Vec<Finding>)> = Vec::new();
    block_on(async {
        let clock = Clock::start(Default::default());
        let cloud = Cloud::with(Arc::new(|_| {}), Arc::new(move || clock.now()), nobody.launcher());
        cloud.configure(config.pools.clone());
        for pool in &config.fleet.pools {
            let findings = cloud.check(&pool.name).await;
            if !is_json {
                for Finding { verdict, says } in &findings {
                    writeln!(out, "{:<9}pool {}: {says}", verdict.word(), pool.name)?;
                }
            }
            pools.push((&pool.name, findings));
        }
        Ok(())
    })?;
    if is_json {
        writeln!(out, "{}", shown(&pools))?;
    }
    let count = |wanted| {
        let findings = pools.iter().flat_map(|(_, findings)| findings);
        findings.filter(|finding| finding.verdict == wanted).count()
    };
    match (count(Verdict::Problem), count(Verdict::Unknown)) {
        (0, _) if is_json => {}
        (0, 0) => writeln!(out, "no problems")?,
        (0, unknown) => writeln!(out, "no problems, as far as can be told: {unknown} unknown")?,
        (1, _) => return Err(Failure::Undone(anyhow::anyhow!("1 problem outside of the config file"))),
        (problems, _) => {
            let words = anyhow::anyhow!("{problems} problems outside of the config file");
            return Err(Failure::Undone(words));
        }
    }
    Ok(())
}

fn shown(pools: &[(&PoolName, Vec<Finding>)]) -> Value {
    let findings = |findings: &[Finding]| -> Vec<Value> {
        let shown = findings.iter();
        shown
            .map(|Finding { verdict, says }| json!({ "verdict": verdict.word(), "says": says }))
            .collect()
    };
    let pools: Vec<Value> = pools
        .iter()
        .map(|(pool, found)| json!({ "pool": pool.as_str(), "findings": findings(found) }))
        .collect();
    json!({ "pools": pools })
}
