//! The webhook: chosen events, signed, POSTed to one receiver, each at least once and in order.
//!
//! ```text
//! event log ──call (what comes next; moves: where a lost server's rooms went)──> Call ──receiver (signed by secret)──> somebody
//!     ^                                                                           │ 2xx: position, durable   otherwise: patience
//!     └──────────────── webhook.behind, webhook.caught_up (lag) <─────────────────┘
//! ```
//!
//! It reads the log at the speed at which the receiver takes the calls, one at a time, as the followers of `/v1/events` do. What it
//! sends follows from the log and the durable position alone, so that a crash costs nothing but a call made twice. It keeps
//! no queue, and nothing waits for it.

mod books;
mod call;
mod choice;
mod lag;
mod moves;
mod patience;
mod position;
mod receiver;
mod secret;
mod sending;

use std::path::PathBuf;
use std::time::Duration;

use hyper::Uri;
use tokio::sync::watch;
use usher_store::{EventId, EventLog};

pub use choice::Choice;
pub(crate) use secret::new_secret;
pub use secret::{SecretError, Secrets};

use crate::clock::Clock;
use crate::driver::Mailbox;
use crate::metrics;
use sending::Sending;

/// Whom to call, and about what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookConfig {
    /// Where calls go, by `http` or `https`.
    pub url: Uri,
    /// The file of the secrets, absolute; it is read again before each call, so that they can be changed.
    pub secret_file: PathBuf,
    /// What calls are signed with, as the file was when the configuration was read.
    pub secrets: Secrets,
    /// Which events are told.
    pub choice: Choice,
    /// How long a call may take.
    pub timeout: Duration,
}

impl WebhookConfig {
    /// Returns the receiver for logs and events: without the path, which may hold a secret.
    pub fn receiver(&self) -> String {
        let scheme = self.url.scheme_str().unwrap_or("http");
        let authority = self.url.authority().map_or("", |authority| authority.as_str());
        format!("{scheme}://{authority}")
    }
}

/// What the webhook needs of the host.
pub struct Webhook {
    /// What happened.
    pub log: EventLog,
    /// The newest durable event.
    pub newest: watch::Receiver<EventId>,
    /// Whom to call; it may change.
    pub config: watch::Receiver<Option<WebhookConfig>>,
    /// Where the position is kept.
    pub data_dir: PathBuf,
    /// The fleet's time.
    pub clock: Clock,
    /// Where is told that the receiver is behind.
    pub mailbox: Mailbox,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Webhook")
    }
}

impl Webhook {
    /// Calls for ever, as the configuration says at the time.
    pub async fn run(self) {
        let mut changes = self.config.clone();
        loop {
            let config = changes.borrow_and_update().clone();
            match config {
                Some(config) => Sending::begin(&self, config, &mut changes).run().await,
                None => {
                    metrics::webhook_lag(Duration::ZERO);
                    changed(&mut changes).await
                }
            };
        }
    }
}

/// The configuration is another one by now.
#[derive(Debug)]
struct Changed;

async fn changed(config: &mut watch::Receiver<Option<WebhookConfig>>) -> Changed {
    if config.changed().await.is_err() {
        // Nobody reads the file anew: it never changes.
        std::future::pending::<()>().await;
    }
    Changed
}
