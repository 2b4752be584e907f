//! Where log lines go: stderr, as text for people or as JSON for machines, filtered by `USHER_LOG`.
//!
//! A thread of its own writes them, so that who reads stderr slowly, or has stopped, keeps no room waiting. Lines that it cannot take
//! any more are dropped, and counted: `usher_log_lines_dropped_total`.

use std::io::{IsTerminal, Write, stderr};
use std::sync::OnceLock;

use tracing::Level;
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use usher_policy::LogLevel;

/// The variable that says what is logged, as in `USHER_LOG=usher=debug,warn`.
pub const FILTER_VARIABLE: &str = "USHER_LOG";

/// What is logged unless the variable says otherwise: what Usher does, and what goes wrong in what it uses.
const FILTER_DEFAULT: &str = "warn,usher=info,usher_fleet=info,usher_policy=info,usher_store=info,usher_cloud=info";

/// Lines that wait for stderr; a policy's own may have 4 KiB each.
const LINES_WAITING_MAX: usize = 8_192;

/// Counts the lines that were dropped, once logging has started.
static DROPPED: OnceLock<ErrorCounter> = OnceLock::new();

/// How a log line is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people; in colours on a terminal.
    #[default]
    Text,
    /// For machines: one JSON object a line.
    Json,
}

/// Starts logging to stderr, until what is returned is dropped: the lines that wait are written then, for a second at most. A second call
/// in one process changes nothing.
///
/// # Errors
/// `USHER_LOG` cannot be understood.
pub fn start(format: LogFormat) -> anyhow::Result<WorkerGuard> {
    let written = std::env::var(FILTER_VARIABLE).unwrap_or_default();
    let filter = filter(&written)?;
    let (writer, guard) = writer(stderr());
    DROPPED.get_or_init(|| writer.error_counter());
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    // It fails only where a test has started logging before.
    let _ = match format {
        LogFormat::Text => lines.with_ansi(stderr().is_terminal()).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    Ok(guard)
}

/// Returns what takes lines and never waits, and what keeps the thread that writes them.
fn writer(to: impl Write + Send + 'static) -> (NonBlocking, WorkerGuard) {
    NonBlockingBuilder::default()
        .buffered_lines_limit(LINES_WAITING_MAX)
        .thread_name("log")
        .finish(to)
}

/// Returns how many lines were dropped because stderr did not take them.
pub fn lines_dropped() -> u64 {
    let dropped = DROPPED.get().map_or(0, ErrorCounter::dropped_lines);
    u64::try_from(dropped).unwrap_or(u64::MAX)
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
    use std::io;
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    /// A reader who has stopped, until somebody lets go of the other end.
    struct Stopped(Receiver<()>);

    impl Write for Stopped {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_nobody_reads_are_dropped_and_counted_and_keep_nobody_waiting() {
        let (reader, stopped) = channel();
        let (mut writer, guard) = writer(Stopped(stopped));
        let beyond = 100;
        for _ in 0..LINES_WAITING_MAX + beyond {
            writer.write_all(b"a line\n").unwrap();
        }
        // One may be in the writing thread's hands.
        let dropped = writer.error_counter().dropped_lines();
        assert!((beyond - 1..=beyond).contains(&dropped), "{dropped}");
        drop(reader);
        drop(guard);
    }

    #[test]
    fn a_filter_that_is_none_says_what_to_write() {
        assert!(filter("").is_ok());
        assert!(filter("usher=debug,warn").is_ok());
        let error = filter("usher=loud").unwrap_err().to_string();
        assert!(error.contains("USHER_LOG=usher=debug,warn"), "{error}");
    }
}
