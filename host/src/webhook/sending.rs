//! Makes one call after the other, each until it is taken, or the configuration changes.

use std::pin::pin;
use std::time::Duration;

use tokio::sync::watch;
use usher_fleet::Timestamp;
use usher_store::EventId;

use super::books::Books;
use super::call::{self, Call, Next};
use super::patience::{self, Patience};
use super::receiver::{Outcome, Receiver};
use super::secret::Secrets;
use super::{Changed, Webhook, WebhookConfig, changed};
use crate::metrics;

/// How long events gather after the first that comes: what happens together is told together, and a host that places thousands of
/// rooms a second is not read batch by batch.
const GATHER: Duration = Duration::from_millis(50);
/// How often it is looked at whether the receiver is behind, while it is waited for.
const JUDGE_EVERY: Duration = Duration::from_secs(1);
/// The least time from one look to the next while a lost server's rooms are placed: each reads on from the loss.
const MOVES_LOOK_EVERY: Duration = Duration::from_millis(250);
/// After which is tried again what this machine could not do: read the log, or find authorities.
const TRY_AGAIN: Duration = Duration::from_secs(10);

/// The calls under one configuration.
pub(super) struct Sending<'h> {
    host: &'h Webhook,
    config: WebhookConfig,
    newest: watch::Receiver<EventId>,
    changes: &'h mut watch::Receiver<Option<WebhookConfig>>,
    secrets: Secrets,
    patience: Patience,
}

impl<'h> Sending<'h> {
    /// Begins under a configuration, until `changes` has another.
    pub(super) fn begin(
        host: &'h Webhook,
        config: WebhookConfig,
        changes: &'h mut watch::Receiver<Option<WebhookConfig>>,
    ) -> Sending<'h> {
        Sending {
            host,
            newest: host.newest.clone(),
            changes,
            secrets: config.secrets.clone(),
            config,
            patience: Patience::default(),
        }
    }

    /// Calls until the configuration changes.
    pub(super) async fn run(mut self) -> Changed {
        let mut books = Books::open(self.host, &self.config).await;
        let receiver = loop {
            match Receiver::new(&self.config.url, self.config.timeout) {
                Ok(receiver) => break receiver,
                Err(error) => tracing::error!(
                    "the webhook's receiver cannot be called: this machine has no authorities to check certificates by \
                     ({error}); install them (ca-certificates)"
                ),
            }
            if let Err(changed) = rest(self.changes, TRY_AGAIN).await {
                return changed;
            }
        };
        tracing::info!(
            receiver = %self.config.receiver(), kinds = self.config.choice.count(), after = %books.position().after,
            "the webhook tells what happens"
        );
        loop {
            if let Err(changed) = self.turn(&receiver, &mut books).await {
                return changed;
            }
        }
    }

    /// Tells what is next, or waits for it.
    async fn turn(&mut self, receiver: &Receiver, books: &mut Books<'_>) -> Result<(), Changed> {
        // What comes while the log is read wakes us after it.
        self.newest.borrow_and_update();
        match self.next(books).await {
            Some(Next::Call(call)) => self.deliver(receiver, books, call).await,
            Some(Next::Nothing(position, is_all)) => {
                books.skipped(position).await;
                books.judge(None).await;
                if is_all {
                    let news = async {
                        something_new(&mut self.newest).await;
                        tokio::time::sleep(GATHER).await;
                    };
                    wait(self.changes, books, None, news).await?;
                }
                Ok(())
            }
            Some(Next::Later(position, until)) => {
                books.skipped(position).await;
                // At the end of its time it is told with what there is, whether something is new or not.
                let rest = (until + MOVES_LOOK_EVERY).since(self.host.clock.now());
                let look = async {
                    tokio::time::sleep(MOVES_LOOK_EVERY).await;
                    let _ = tokio::time::timeout(rest, something_new(&mut self.newest)).await;
                };
                wait(self.changes, books, None, look).await
            }
            None => rest(self.changes, TRY_AGAIN).await,
        }
    }

    /// Reads what is next; `None` where that cannot be read.
    async fn next(&self, books: &Books<'_>) -> Option<Next> {
        let (log, choice) = (self.host.log.clone(), self.config.choice.clone());
        let (told, now) = (books.position().clone(), self.host.clock.now());
        match tokio::task::spawn_blocking(move || call::next(&log, &choice, told, now)).await {
            Ok(Ok(next)) => Some(next),
            Ok(Err(error)) => {
                tracing::error!(%error, "the events cannot be read: the webhook waits");
                None
            }
            Err(_) => None,
        }
    }

    /// Makes a call until it is taken.
    async fn deliver(&mut self, receiver: &Receiver, books: &mut Books<'_>, call: Call) -> Result<(), Changed> {
        loop {
            books.judge(call.oldest).await;
            self.read_secrets().await;
            let calling = receiver.call(&call, &self.secrets);
            let outcome = wait(self.changes, books, call.oldest, calling).await?;
            metrics::webhook_called(outcome.word());
            let (why, asked) = match outcome {
                Outcome::Delivered => {
                    self.patience.succeeded();
                    books.delivered(call.position).await;
                    return Ok(());
                }
                Outcome::Gone { why } => return self.give_up(books, &call, &why).await,
                Outcome::Refused { why, retry_after } => (why, retry_after),
                Outcome::TimedOut { why } | Outcome::Unreachable { why } => (why, None),
            };
            let rest = self.patience.failed(patience::chance(), asked);
            let again_in_seconds = rest.as_millis().div_ceil(1000);
            tracing::warn!(
                receiver = %self.config.receiver(), events = call.events, again_in_seconds,
                "the webhook's call was not taken: {why}"
            );
            books.not_taken(&why);
            wait(self.changes, books, call.oldest, tokio::time::sleep(rest)).await?;
        }
    }

    /// The receiver has said that it will never take a call again.
    async fn give_up(&mut self, books: &mut Books<'_>, call: &Call, why: &str) -> Result<(), Changed> {
        tracing::error!(
            receiver = %self.config.receiver(),
            "the webhook's receiver wants no more calls ({why}): none is made until [webhook] changes, or Usher is restarted"
        );
        books.not_taken(why);
        books.gave_up(call.oldest).await;
        wait(self.changes, books, call.oldest, std::future::pending()).await
    }

    /// Reads the secrets' file again, so that they can be changed while all goes on.
    async fn read_secrets(&mut self) {
        let path = self.config.secret_file.clone();
        match tokio::task::spawn_blocking(move || Secrets::read(&path)).await {
            Ok(Ok(secrets)) => self.secrets = secrets,
            Ok(Err(error)) => tracing::warn!(
                "the webhook's secret_file {} {error}; calls are signed as before",
                self.config.secret_file.display()
            ),
            Err(_) => {}
        }
    }
}

/// Waits, unless the configuration changes, and has the receiver judged meanwhile by the oldest event that it has not taken.
async fn wait<T>(
    changes: &mut watch::Receiver<Option<WebhookConfig>>,
    books: &mut Books<'_>,
    oldest: Option<Timestamp>,
    what: impl Future<Output = T>,
) -> Result<T, Changed> {
    let mut what = pin!(what);
    loop {
        tokio::select! {
            done = &mut what => return Ok(done),
            changed = changed(changes) => return Err(changed),
            () = tokio::time::sleep(JUDGE_EVERY) => books.judge(oldest).await,
        }
    }
}

/// Waits, unless the configuration changes.
async fn rest(changes: &mut watch::Receiver<Option<WebhookConfig>>, span: Duration) -> Result<(), Changed> {
    tokio::select! {
        () = tokio::time::sleep(span) => Ok(()),
        changed = changed(changes) => Err(changed),
    }
}

async fn something_new(newest: &mut watch::Receiver<EventId>) {
    if newest.changed().await.is_err() {
        // The driver has ended, and the process does.
        std::future::pending::<()>().await;
    }
}
