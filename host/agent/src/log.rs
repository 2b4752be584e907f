//! Where log lines go, and how often the same one is written.

use std::io::{IsTerminal, stderr};
use std::time::Duration;

use tokio::time::Instant;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

/// The variable that says what is logged, as in `USHER_LOG=usher_agent=debug`.
const FILTER_VARIABLE: &str = "USHER_LOG";

/// What the agent does, and what goes wrong in what it uses.
const FILTER_DEFAULT: &str = "warn,usher_agent=info";

/// How long the same trouble is not told again: often enough to be seen, seldom enough not to fill a disk.
const REPEAT_AFTER: Duration = Duration::from_secs(60);

/// Lines that wait for stderr. What comes beyond that is dropped: reports must go on where nobody reads the log.
const LINES_WAITING_MAX: usize = 1_024;

/// Starts logging to stderr, as text for people or as one JSON object a line, until what is returned is dropped. A second call
/// changes nothing.
///
/// # Errors
/// `USHER_LOG` is no filter.
pub fn start(as_json: bool) -> anyhow::Result<WorkerGuard> {
    let written = std::env::var(FILTER_VARIABLE).unwrap_or_default();
    let text = if written.is_empty() { FILTER_DEFAULT } else { &written };
    let filter = EnvFilter::try_new(text).map_err(|error| {
        anyhow::anyhow!("{FILTER_VARIABLE}={text} is no filter ({error}); write for example usher_agent=debug,warn")
    })?;
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(LINES_WAITING_MAX)
        .thread_name("log")
        .finish(stderr());
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    // It fails only where a test has started logging before.
    let _ = if as_json {
        lines.json().flatten_event(true).try_init()
    } else {
        lines.with_ansi(stderr().is_terminal()).try_init()
    };
    Ok(guard)
}

/// Says when a trouble is worth a line: when it is a new one, or the old one has not been told for [`REPEAT_AFTER`].
#[derive(Debug, Default)]
pub(crate) struct Pacer {
    told: Option<(String, Instant)>,
}

impl Pacer {
    /// Returns whether this is to be told now; it then counts as told.
    pub(crate) fn is_due(&mut self, trouble: &str, now: Instant) -> bool {
        let is_old = |(told, when): &(String, Instant)| told == trouble && now < *when + REPEAT_AFTER;
        if self.told.as_ref().is_some_and(is_old) {
            return false;
        }
        self.told = Some((trouble.to_owned(), now));
        true
    }

    /// Forgets the trouble, and returns whether there was one: that it is over is worth a line too.
    pub(crate) fn is_over(&mut self) -> bool {
        self.told.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_trouble_is_told_once_a_minute_and_another_at_once() {
        let start = Instant::now();
        let mut pacer = Pacer::default();
        assert!(!pacer.is_over());
        assert!(pacer.is_due("away", start));
        assert!(!pacer.is_due("away", start + Duration::from_secs(59)));
        assert!(pacer.is_due("away", start + Duration::from_secs(60)));
        assert!(pacer.is_due("denied", start + Duration::from_secs(61)));
        assert!(pacer.is_over());
        assert!(!pacer.is_over());
    }
}
