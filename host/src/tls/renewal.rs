//! Takes over a new certificate when its files change, and warns when the one that is shown comes to its end.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::certificate::{Certificate, TlsFiles};
use super::fault::{self, Fault};
use super::shown::Shown;
use crate::metrics;
use crate::watched::Watched;

/// How long files may not fit each other before it is told: they are replaced one after the other, by scripts too.
const PAIR_PATIENCE: Duration = Duration::from_secs(3);

/// How often it is looked how long the certificate is still good.
const LOOK_EVERY: Duration = Duration::from_secs(3600);

/// How often an end that is near is told.
const TELL_EVERY: Duration = Duration::from_secs(24 * 3600);

/// Watches the files of the certificate that is shown.
#[derive(Debug)]
pub struct Renewal {
    files: TlsFiles,
    watched: Watched,
    shown: Arc<Shown>,
    certificate: Certificate,
    end_told: Option<Timestamp>,
}

impl Renewal {
    pub(super) fn new(files: TlsFiles, watched: Watched, shown: Arc<Shown>, certificate: Certificate) -> Renewal {
        let renewal = Renewal {
            files,
            watched,
            shown,
            certificate,
            end_told: None,
        };
        renewal.say("serving with the certificate");
        renewal
    }

    /// Watches for ever.
    pub async fn run(mut self) {
        // The configuration has been judged at its start, this certificate's end with it.
        self.end_told = Some(Timestamp::now());
        loop {
            let changed = tokio::time::timeout(LOOK_EVERY, self.watched.changed()).await;
            if changed.is_ok() {
                self.renew().await;
            }
            self.look(Timestamp::now());
        }
    }

    /// Takes over what the files hold, as soon as they fit each other.
    async fn renew(&mut self) {
        while let Err(faults) = self.take_over().await {
            if tokio::time::timeout(PAIR_PATIENCE, self.watched.changed())
                .await
                .is_err()
            {
                tracing::error!(
                    "the certificate's files have changed and cannot be served; the one before stays, until {}: {}",
                    self.certificate.expires(),
                    fault::told(&faults).join("; ")
                );
                return;
            }
        }
    }

    async fn take_over(&mut self) -> Result<(), Vec<Fault>> {
        let certificate = super::read(self.files.clone()).await?;
        self.shown.replace(certificate.pair());
        self.certificate = certificate;
        self.end_told = None;
        self.say("the certificate's files have changed and are taken over");
        let now = Timestamp::now();
        for caution in self.certificate.cautions(now) {
            tracing::warn!("{caution}; {}", caution.remedy());
            self.end_told = Some(now);
        }
        Ok(())
    }

    fn say(&self, what: &str) {
        let names = self.certificate.names().join(", ");
        let expires = self.certificate.expires();
        tracing::info!(names, %expires, "{what}");
        metrics::certificate_expires(expires.as_second());
    }

    /// Tells, once a day, that the certificate is near its end.
    fn look(&mut self, now: Timestamp) {
        if let Some(caution) = self.certificate.end(now).filter(|_| is_due(self.end_told, now)) {
            tracing::warn!("{caution}; {}", caution.remedy());
            self.end_told = Some(now);
        }
    }
}

/// Says whether what was last told then is to be told again. A clock that was wrong by more than a day counts anew.
fn is_due(told: Option<Timestamp>, now: Timestamp) -> bool {
    told.is_none_or(|told| now.duration_since(told).unsigned_abs() >= TELL_EVERY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_that_is_near_is_told_once_a_day() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let told = at("2030-01-02T00:00:00Z");
        assert!(is_due(None, told));
        assert!(!is_due(Some(told), at("2030-01-02T23:59:59Z")));
        assert!(is_due(Some(told), at("2030-01-03T00:00:00Z")));
        assert!(
            !is_due(Some(told), at("2030-01-01T23:00:00Z")),
            "the clock was set back an hour"
        );
        assert!(is_due(Some(told), at("2029-06-01T00:00:00Z")), "it was wrong by months");
    }
}
