//! The program `usher-agent`: reads its command line and reports until it is told to stop.

use std::process::ExitCode;

use clap::Parser;
use usher_agent::{CannotStart, Options, Stop};

/// As `usher` has it: the command line was not understood.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let options = Options::parse();
    let _lines = match usher_agent::start_logging(options.log_json) {
        Ok(lines) => lines,
        Err(error) => {
            eprintln!("usher-agent: {error}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    match serve(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            let is_usage = matches!(error.downcast_ref(), Some(CannotStart::Options(_)));
            ExitCode::from(if is_usage { EXIT_USAGE } else { 1 })
        }
    }
}

fn serve(options: Options) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = Stop::on_signals()?;
        Ok(usher_agent::run(options, stop).await?)
    })
}
