//! What is kept of the deliveries, and told of them: how far the receiver is, durable; whether it is behind.

use std::io;
use std::time::{Duration, Instant};

use usher_fleet::event::WebhookEvent;
use usher_fleet::{Observation, Timestamp};

use super::lag::Lag;
use super::position::{FILE, Kept, Position};
use super::{Webhook, WebhookConfig};
use crate::metrics;

/// After which it is kept how far the log was read where nothing in it was to be told: after a crash so much is read again.
const SKIPPED_KEPT_EVERY: Duration = Duration::from_secs(10);
/// After which a file that could not be read is read again.
const READ_AGAIN: Duration = Duration::from_secs(10);

/// What is kept of the deliveries.
pub(super) struct Books<'h> {
    host: &'h Webhook,
    kept: Kept,
    kept_at: Instant,
    lag: Lag,
}

impl Books<'_> {
    /// Reads how far the receiver is; the first time it begins with what happens next.
    pub(super) async fn open<'h>(host: &'h Webhook, config: &WebhookConfig) -> Books<'h> {
        let (kept, must_keep) = read(host).await;
        let mut books = Books {
            host,
            lag: Lag::new(config.receiver(), host.clock.now(), kept.behind_since),
            kept,
            kept_at: Instant::now(),
        };
        if must_keep {
            books.keep().await;
        }
        books
    }

    /// Returns how far the receiver is.
    pub(super) fn position(&self) -> &Position {
        &self.kept.position
    }

    /// Notes that the receiver has been told up to here.
    pub(super) async fn delivered(&mut self, position: Position) {
        self.lag.note("its last call was taken".to_owned());
        self.kept.position = position;
        self.keep().await;
    }

    /// Notes that the receiver is not to be told what is up to here.
    pub(super) async fn skipped(&mut self, position: Position) {
        let is_other = position != self.kept.position;
        self.kept.position = position;
        if is_other && self.kept_at.elapsed() >= SKIPPED_KEPT_EVERY {
            self.keep().await;
        }
    }

    /// Notes why a call was not taken.
    pub(super) fn not_taken(&mut self, why: &str) {
        self.lag.note(why.to_owned());
    }

    /// Judges whether the receiver is behind, by the oldest event that it has not taken, and tells what is new.
    pub(super) async fn judge(&mut self, oldest: Option<Timestamp>) {
        let now = self.host.clock.now();
        metrics::webhook_lag(oldest.map(|oldest| now.since(oldest)).unwrap_or_default());
        let news = self.lag.judge(oldest, now);
        self.tell(news).await;
    }

    /// Notes that the receiver wants no more calls.
    pub(super) async fn gave_up(&mut self, oldest: Option<Timestamp>) {
        let news = self.lag.gave_up(oldest, self.host.clock.now());
        self.tell(news).await;
    }

    async fn tell(&mut self, news: Option<WebhookEvent>) {
        let Some(news) = news else { return };
        match &news {
            WebhookEvent::Behind(lag) => tracing::warn!(
                receiver = %lag.receiver, lag_seconds = lag.lag_seconds, reason = %lag.reason, "the webhook is behind"
            ),
            WebhookEvent::CaughtUp(lag) => tracing::info!(
                receiver = %lag.receiver, behind_seconds = lag.lag_seconds, "the webhook has caught up"
            ),
        }
        self.host.mailbox.observe(Observation::Webhook(news));
        self.kept.behind_since = self.lag.behind_since();
        self.keep().await;
    }

    /// What cannot be kept is told again after a crash; nothing is lost.
    async fn keep(&mut self) {
        let (kept, dir) = (self.kept.clone(), self.host.data_dir.clone());
        let result = tokio::task::spawn_blocking(move || kept.keep(&dir)).await;
        if let Err(error) = result.unwrap_or_else(|broken_off| Err(io::Error::other(broken_off))) {
            tracing::error!(%error, "{FILE} cannot be written: after a restart the webhook tells again what it has told");
        }
        self.kept_at = Instant::now();
    }
}

/// Returns what was kept, and whether that is new.
async fn read(host: &Webhook) -> (Kept, bool) {
    let from = |position| Kept {
        position,
        behind_since: None,
    };
    loop {
        let dir = host.data_dir.clone();
        let read = tokio::task::spawn_blocking(move || Kept::read(&dir)).await;
        match read.unwrap_or_else(|broken_off| Err(io::Error::other(broken_off))) {
            Ok(Some(kept)) => return (kept, false),
            Ok(None) => return (from(Position::after(host.log.newest())), true),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                tracing::error!(%error, "{FILE} is damaged: the webhook tells again every event that is kept");
                return (from(Position::after(host.log.oldest())), true);
            }
            Err(error) => tracing::error!(%error, "{FILE} cannot be read: the webhook waits"),
        }
        tokio::time::sleep(READ_AGAIN).await;
    }
}
