//! The notice that EC2 takes a spot instance away, from the instance's own metadata (IMDSv2).
//!
//! It comes two minutes ahead, and not always. The host moves the rooms at once, while people can still be told; the agent has the media
//! server take no new ones.

mod moment;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::{Client, Url};
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::CannotStart;
use crate::media::{MediaError, ask, client_for};

/// How often it is asked for: as EC2 recommends.
const POLL: Duration = Duration::from_secs(5);

/// How long a token of the metadata service is asked for, and after which time a new one is.
const TOKEN_SECONDS: u64 = 21_600;
const TOKEN_USED_FOR: Duration = Duration::from_secs(TOKEN_SECONDS / 2);

/// A notice is two minutes ahead; where clocks differ it is not believed to be more than this.
const AHEAD_MAX: Duration = Duration::from_secs(600);

/// Where the loop hears of notices: when the machine is taken away, if it is.
pub(crate) type Notices = watch::Receiver<Option<Instant>>;

/// `{"action": "terminate", "time": "2026-09-18T08:22:00Z"}`
#[derive(Debug, Deserialize)]
struct Notice {
    action: String,
    time: String,
}

/// Begins to watch, if there is a base address to watch; without one no notice ever comes.
///
/// # Errors
/// No client for the address can be made.
pub(crate) fn watch(base: Option<&Url>) -> Result<Notices, CannotStart> {
    let (sender, notices) = watch::channel(None);
    if let Some(base) = base {
        let metadata = Metadata::new(base.clone()).map_err(|error| CannotStart::Client {
            url: base.to_string(),
            why: error.to_string(),
        })?;
        tokio::spawn(metadata.watch(sender));
    }
    Ok(notices)
}

/// Waits until there is other news than the one seen last.
pub(crate) async fn changed(notices: &mut Notices) {
    if notices.changed().await.is_err() {
        std::future::pending().await
    }
}

/// The instance metadata service.
struct Metadata {
    client: Client,
    base: Url,
    token: Option<(String, Instant)>,
    has_told_rebalance: bool,
    trouble: crate::log::Pacer,
}

impl Metadata {
    fn new(base: Url) -> Result<Metadata, MediaError> {
        Ok(Metadata {
            client: client_for(&base)?,
            base,
            token: None,
            has_told_rebalance: false,
            trouble: crate::log::Pacer::default(),
        })
    }

    async fn watch(mut self, sender: watch::Sender<Option<Instant>>) {
        loop {
            if sender.is_closed() {
                return;
            }
            match self.poll().await {
                Ok(notice) => tell(&sender, notice),
                // What is not known changes nothing.
                Err(error) => {
                    let text = error.to_string();
                    if self.trouble.is_due(&text, Instant::now()) {
                        tracing::warn!("spot notices cannot be read: {text}");
                    }
                }
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn poll(&mut self) -> Result<Option<Notice>, MediaError> {
        let notice = self.read("/latest/meta-data/spot/instance-action").await?;
        if !self.has_told_rebalance
            && let Some(bytes) = self.read("/latest/meta-data/events/recommendations/rebalance").await?
        {
            self.has_told_rebalance = true;
            let text = String::from_utf8_lossy(&bytes).chars().take(100).collect::<String>();
            tracing::warn!("EC2 recommends to replace this instance: {text}");
        }
        let Some(bytes) = notice else { return Ok(None) };
        let unreadable = |why: String| MediaError::Unreadable {
            url: self.base.clone(),
            why,
        };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| unreadable(format!("the notice: {error}")))
    }

    /// Reads one thing; none where there is none, which is the usual case.
    async fn read(&mut self, path: &str) -> Result<Option<Vec<u8>>, MediaError> {
        let token = self.token().await?;
        let url = crate::media::below(&self.base, path);
        let request = self.client.get(url).header("X-aws-ec2-metadata-token", token);
        match ask(&self.client, request).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => {
                // It may be that the token is not good any more.
                self.token = None;
                Err(error)
            }
        }
    }

    async fn token(&mut self) -> Result<String, MediaError> {
        if let Some((token, since)) = &self.token
            && since.elapsed() < TOKEN_USED_FOR
        {
            return Ok(token.clone());
        }
        let url = crate::media::below(&self.base, "/latest/api/token");
        let request = self
            .client
            .put(url.clone())
            .header("X-aws-ec2-metadata-token-ttl-seconds", TOKEN_SECONDS);
        let bytes = ask(&self.client, request).await?;
        let token = String::from_utf8_lossy(&bytes).trim().to_owned();
        if token.is_empty() || token.len() > 512 || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            let why = "this is no token".to_owned();
            return Err(MediaError::Unreadable { url, why });
        }
        self.token = Some((token.clone(), Instant::now()));
        Ok(token)
    }
}

fn tell(sender: &watch::Sender<Option<Instant>>, notice: Option<Notice>) {
    let was_told = sender.borrow().is_some();
    match notice {
        Some(notice) if !was_told => {
            let left = left(&notice, SystemTime::now());
            tracing::warn!(
                action = notice.action,
                "EC2 takes this instance away in {} s; it takes no new rooms from now on, and its rooms move",
                left.as_secs()
            );
            sender.send_replace(Some(Instant::now() + left));
        }
        None if was_told => {
            tracing::warn!("EC2 has taken its notice back");
            sender.send_replace(None);
        }
        Some(_) | None => {}
    }
}

/// Returns how much time is left. What is no time counts as none left: the notice itself is what matters.
fn left(notice: &Notice, now: SystemTime) -> Duration {
    let at = moment::seconds(&notice.time).unwrap_or(0);
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    Duration::from_secs(at).saturating_sub(now).min(AHEAD_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_of(time: &str, now: u64) -> u64 {
        let notice = Notice {
            action: "terminate".into(),
            time: time.into(),
        };
        left(&notice, UNIX_EPOCH + Duration::from_secs(now)).as_secs()
    }

    #[test]
    fn the_time_left_is_never_less_than_none_nor_more_than_can_be() {
        let at = moment::seconds("2026-09-18T08:22:00Z").unwrap();
        assert_eq!(left_of("2026-09-18T08:22:00Z", at - 120), 120);
        assert_eq!(left_of("2026-09-18T08:22:00Z", at + 1), 0);
        assert_eq!(left_of("2026-09-18T08:22:00Z", 0), 600);
        assert_eq!(left_of("soon", at), 0);
    }
}
