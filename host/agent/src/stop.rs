//! That it is time to leave: once, or at once.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::Instant;

/// Two signals within this time are one: a terminal or `timeout` sends it to the process and to its group.
const SAME_SIGNAL: Duration = Duration::from_millis(200);

/// How urgently the agent is to leave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Not at all.
    #[default]
    Serve,
    /// Once the media server is empty, or the time to drain is over.
    Drain,
    /// At once, and without a word to the host.
    Now,
}

/// Where the agent hears that it is to leave.
#[derive(Debug, Clone)]
pub struct Stop {
    level: watch::Receiver<Level>,
}

/// Where the agent is told to leave.
#[derive(Debug)]
pub struct StopSender {
    level: watch::Sender<Level>,
}

impl Stop {
    /// Makes both ends.
    pub fn pair() -> (StopSender, Stop) {
        let (sender, receiver) = watch::channel(Level::Serve);
        (StopSender { level: sender }, Stop { level: receiver })
    }

    /// Listens to SIGTERM and SIGINT: the first one drains, a second one leaves at once. SIGHUP leaves at once, too: who starts the
    /// agent anew has it read its settings, and the host hears of no farewell by which an idle server would be ended.
    ///
    /// # Errors
    /// The system lets no handler be set.
    pub fn on_signals() -> std::io::Result<Stop> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let (sender, stop) = Stop::pair();
        tokio::spawn(async move {
            let mut last: Option<Instant> = None;
            loop {
                let name = tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                    _ = hangup.recv() => {
                        tracing::info!("SIGHUP received");
                        sender.end();
                        continue;
                    }
                };
                if last.is_some_and(|last| last.elapsed() < SAME_SIGNAL) {
                    continue;
                }
                last = Some(Instant::now());
                tracing::info!("{name} received");
                sender.urge();
            }
        });
        Ok(stop)
    }

    /// Returns the level now, which then counts as heard.
    pub(crate) fn level(&mut self) -> Level {
        *self.level.borrow_and_update()
    }

    /// Waits until the level is another than the one heard last.
    pub(crate) async fn changed(&mut self) {
        if self.level.changed().await.is_err() {
            // Nobody is left who could tell: the agent runs on.
            std::future::pending().await
        }
    }
}

impl StopSender {
    /// Tells the agent to leave at once.
    pub fn end(&self) {
        self.level.send_replace(Level::Now);
    }

    /// Tells the agent to drain or, if it has been told before, to leave at once.
    pub fn urge(&self) {
        self.level.send_modify(|level| {
            *level = match level {
                Level::Serve => Level::Drain,
                Level::Drain | Level::Now => Level::Now,
            }
        });
    }
}
