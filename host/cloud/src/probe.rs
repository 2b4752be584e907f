//! One look at a server's URL, from outside, as a client would: by TCP or by HTTP.
//!
//! It tells what it saw and draws no conclusion. No redirect is followed: what a probe asks is what the operator wrote.

mod address;
mod http;

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::config::{ProbeConfig, ProbeTiming};
use address::{Address, Security};

/// How many servers that answered last time are probed at once: ten thousand at 10 ms each are through in half a second,
/// with a quarter of the 1,024 files that a process may usually open.
const PROBES_MAX: usize = 256;

/// How many servers that did not answer last time, or are suspected of it, are probed at once. They have a lane of their
/// own: those that let us wait must not make the answering ones look silent.
const PROBES_OF_FAILING_MAX: usize = 64;

/// The shortest interval, whatever the settings say: a zero would spin.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// The longest interval or patience, whatever the settings say: a day, which no clock overflows.
const SPAN_MAX: Duration = Duration::from_secs(24 * 3600);

/// Probes servers, a bounded number at a time.
#[derive(Debug)]
pub(crate) struct Prober {
    answering: Semaphore,
    failing: Semaphore,
}

/// How a server did when it was last looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LastSeen {
    /// It answered, or nobody has looked yet.
    Answering,
    /// It did not, or it is suspected of it.
    Failing,
}

impl Prober {
    pub(crate) fn new() -> Prober {
        Prober {
            answering: Semaphore::new(PROBES_MAX),
            failing: Semaphore::new(PROBES_OF_FAILING_MAX),
        }
    }

    /// Probes a URL once, in its turn; the patience counts from then. `Err` says what was wrong, for people.
    pub(crate) async fn probe(&self, config: &ProbeConfig, url: &str, last: LastSeen) -> Result<(), String> {
        let lane = match last {
            LastSeen::Answering => &self.answering,
            LastSeen::Failing => &self.failing,
        };
        let _turn = lane.acquire().await.expect("nobody closes it");
        let patience = timing(config).timeout;
        let Ok(result) = timeout(patience, look(config, url)).await else {
            return Err(format!("no answer within {} s", patience.as_secs_f64()));
        };
        result
    }
}

/// Returns a config's timing, within what can be kept; where there is none, the default.
pub(crate) fn timing(config: &ProbeConfig) -> ProbeTiming {
    let timing = match config {
        ProbeConfig::None => ProbeTiming::default(),
        ProbeConfig::Tcp(timing) | ProbeConfig::Http { timing, .. } => *timing,
    };
    ProbeTiming {
        interval: timing.interval.clamp(INTERVAL_MIN, SPAN_MAX),
        timeout: timing.timeout.min(SPAN_MAX),
    }
}

/// Returns what an operator should know of probing this URL, if the probe sees less than its config says.
pub(crate) fn shortfall(config: &ProbeConfig, url: &str) -> Option<&'static str> {
    let is_http = matches!(config, ProbeConfig::Http { .. });
    let is_tls = Address::parse(url).is_ok_and(|address| address.security == Security::Tls);
    (is_http && is_tls).then_some("no TLS in probes yet: this server is probed by a TCP connection, not by HTTP")
}

async fn look(config: &ProbeConfig, url: &str) -> Result<(), String> {
    let address = Address::parse(url)?;
    let stream = TcpStream::connect((address.host.as_str(), address.port))
        .await
        .map_err(|error| format!("cannot connect to {}:{}: {error}", address.host, address.port))?;
    match config {
        ProbeConfig::None | ProbeConfig::Tcp(_) => Ok(()),
        ProbeConfig::Http { path, .. } => match address.security {
            Security::Plain => http::get(stream, &address, path.as_deref()).await,
            Security::Tls => Ok(()),
        },
    }
}

#[cfg(test)]
mod tests;
