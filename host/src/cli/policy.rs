//! A policy's author: from nothing to a module in the folder.
//!
//! Works on files, with cargo and the policies' own gates; a host need not run.

mod build;
mod check;
mod destination;
mod files;
mod interrupt;
mod manifest;
mod name;
mod new;
mod rehearse;
mod renew;
mod report;
mod sdk;
mod toolchain;
mod watch;

use std::io::Write;

use anyhow::Context as _;
use clap::Subcommand;
use usher_policy::CompileIn;

use super::failure::Failure;
use crate::policies::compile_in_child;
use build::BuildArgs;
use check::CheckArgs;
use new::NewArgs;
use renew::SdkArgs;
use watch::WatchArgs;

/// Commands of `usher policy`.
#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Write a crate for a new policy: it builds, and its tests pass.
    New(NewArgs),
    /// Build a policy, pass it through every gate, and put it into the folder of policies.
    Build(BuildArgs),
    /// Pass modules through every gate, and show what they cost and decide on a made-up fleet.
    Check(CheckArgs),
    /// Build and place a policy at every save, and say what the host makes of it.
    Watch(WatchArgs),
    /// Bring the copy of the SDK in a policy's folder up to date with this Usher.
    Sdk(SdkArgs),
}

/// Does what `usher policy` says.
pub(super) fn run(command: PolicyCommand, out: &mut dyn Write) -> Result<(), Failure> {
    match command {
        PolicyCommand::New(args) => new::new(&args, out),
        PolicyCommand::Build(args) => build::build(&args, out),
        PolicyCommand::Check(args) => check::check(&args, out),
        PolicyCommand::Watch(args) => watch::watch(&args, out),
        PolicyCommand::Sdk(args) => renew::renew(&args, out),
    }
}

/// Says where modules are compiled: in a child with the limits that a host sets, so that the same files pass.
fn compile_in() -> anyhow::Result<CompileIn> {
    compile_in_child().context("this program does not find itself")
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::cli::Cli;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn every_command_of_an_author_is_understood() {
        for line in [
            "usher policy new night --in src --sdk ../sdk",
            "usher policy build",
            "usher policy build night --to policies --as 10-night --install",
            "usher policy build night --config other.toml",
            "usher policy check a.wasm b.wasm --settings a.toml --servers 0 --json",
            "usher policy watch night --to policies --url http://h:1 --token t",
            "usher policy sdk night",
        ] {
            assert!(parse(line).is_ok(), "{line}: {}", parse(line).unwrap_err());
        }
        for line in [
            "usher policy",
            "usher policy new",
            "usher policy new 1",
            "usher policy build --as a/b",
            "usher policy build --as standard",
            "usher policy build --to policies --config usher.toml",
            "usher policy check",
            "usher policy check a.wasm --servers 1000001",
        ] {
            assert_eq!(parse(line).err().map(|error| error.exit_code()), Some(2), "{line}");
        }
    }

    #[test]
    fn help_shows_how_it_is_used() {
        for command in ["new", "build", "check", "watch"] {
            let help = parse(&format!("usher policy {command} --help"))
                .unwrap_err()
                .to_string();
            assert!(help.contains("Examples:") && help.contains("Exit codes:"), "{help}");
        }
    }
}
