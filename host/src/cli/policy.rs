//! A policy's author: from nothing to a module in the folder.
//!
//! Works on files, with cargo and the policies' own gates; a host need not run.

mod files;
mod name;
mod new;
mod renew;
mod sdk;

use std::io::Write;

use clap::Subcommand;

use super::failure::Failure;
use new::NewArgs;
use renew::SdkArgs;

/// Commands of `usher policy`.
#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Write a crate for a new policy: it builds, and its tests pass.
    New(NewArgs),
    /// Bring the copy of the SDK in a policy's folder up to date with this Usher.
    Sdk(SdkArgs),
}

/// Does what `usher policy` says.
pub(super) fn run(command: PolicyCommand, out: &mut dyn Write) -> Result<(), Failure> {
    match command {
        PolicyCommand::New(args) => new::new(&args, out),
        PolicyCommand::Sdk(args) => renew::renew(&args, out),
    }
}
