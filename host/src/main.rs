//! The program `usher`: reads its command line and does what it says.

use std::process::ExitCode;

use clap::Parser;
use usher::cli::{self, Cli};

fn main() -> ExitCode {
    match cli::run(Cli::parse(), &mut std::io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(&mut std::io::stderr().lock()),
    }
}
