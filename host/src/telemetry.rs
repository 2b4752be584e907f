//! Where log lines go: stderr, as text for people or as JSON for machines, filtered by `USHER_LOG`.

use std::io::IsTerminal;

use tracing::Level;
use tracing_subscriber::EnvFilter;
use usher_policy::LogLevel;

/// The variable that says what is logged, as in `USHER_LOG=usher=debug,warn`.
pub const FILTER_VARIABLE: &str = "USHER_LOG";

/// What is logged unless the variable says otherwise: what Usher does, and what goes wrong in what it uses.
const FILTER_DEFAULT: &str = "warn,usher=info,usher_fleet=info,usher_policy=info,usher_store=info,usher_cloud=info";

/// How a log line is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people; in colours on a terminal.
    #[default]
    Text,
    /// For machines: one JSON object a line.
    Json,
}

/// Starts logging to stderr. A second call in one process changes nothing.
///
/// # Errors
/// `USHER_LOG` cannot be understood.
pub fn start(format: LogFormat) -> anyhow::Result<()> {
    let written = std::env::var(FILTER_VARIABLE).unwrap_or_default();
    let filter = filter(&written)?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // It fails only where a test has started logging before.
    let _ = match format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    Ok(())
}

/// Returns what is logged of what policies say: below that they need not format anything.
pub fn policy_level() -> LogLevel {
    // Where `usher-policy` writes their words.
    const TARGET: &str = "usher_policy::wasm::imports";
    match () {
        () if tracing::enabled!(target: TARGET, Level::DEBUG) => LogLevel::Debug,
        () if tracing::enabled!(target: TARGET, Level::INFO) => LogLevel::Info,
        () if tracing::enabled!(target: TARGET, Level::WARN) => LogLevel::Warn,
        () => LogLevel::Error,
    }
}

fn filter(written: &str) -> anyhow::Result<EnvFilter> {
    let text = if written.is_empty() { FILTER_DEFAULT } else { written };
    EnvFilter::try_new(text).map_err(|error| {
        anyhow::anyhow!(
            "{FILTER_VARIABLE}={written} is no filter ({error}); write for example {FILTER_VARIABLE}=usher=debug,warn"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_is_none_says_what_to_write() {
        assert!(filter("").is_ok());
        assert!(filter("usher=debug,warn").is_ok());
        let error = filter("usher=loud").unwrap_err().to_string();
        assert!(error.contains("USHER_LOG=usher=debug,warn"), "{error}");
    }
}
