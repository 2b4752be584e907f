//! Jitsi's videobridge by its private REST API: `/about/health`, `/colibri/stats` and `/colibri/drain`.
//!
//! A bridge knows its conferences by ids that mean nothing outside, so only people and figures are reported, and no rooms.
//! The calls have to be on in its `jvb.conf`: `videobridge.apis.rest.enabled = true`.

use std::collections::BTreeMap;

use reqwest::{Client, Url};
use serde::Deserialize;

use super::question::{MediaError, ask, below, client_for, parsed};
use super::{Obeyed, Sight};
use crate::duty::Order;
use crate::room::PARTICIPANTS_MAX;

/// A videobridge.
#[derive(Debug)]
pub(crate) struct Jvb {
    client: Client,
    url: Url,
}

/// The statistics that are of use. They are a few seconds old, and older bridges have fewer of them.
#[derive(Debug, Deserialize)]
struct Stats {
    participants: u64,
    conferences: Option<u32>,
    /// 1.0 = fully loaded; may be more.
    stress_level: Option<f64>,
    /// From 0 to 1.
    overall_loss: Option<f64>,
    drain: Option<bool>,
    graceful_shutdown: Option<bool>,
    shutting_down: Option<bool>,
}

impl Jvb {
    pub(super) fn new(url: Url) -> Result<Jvb, MediaError> {
        Ok(Jvb {
            client: client_for(&url)?,
            url,
        })
    }

    pub(super) async fn look(&mut self) -> Result<Sight, MediaError> {
        let stats_url = below(&self.url, "/colibri/stats");
        // A bridge that finds itself ill answers 500, and then counts as one that does not answer.
        let (_, bytes) = tokio::try_join!(
            ask(&self.client, self.client.get(below(&self.url, "/about/health"))),
            ask(&self.client, self.client.get(stats_url.clone())),
        )?;
        let stats: Stats = parsed(&stats_url, &bytes)?;
        if stats.participants > PARTICIPANTS_MAX {
            return Err(MediaError::Unreadable {
                url: stats_url,
                why: format!("{} participants are beyond belief", stats.participants),
            });
        }
        Ok(stats.sight())
    }

    pub(super) async fn obey(&mut self, order: Order) -> Result<Obeyed, MediaError> {
        let path = match order {
            Order::Refuse => "/colibri/drain/enable",
            Order::Accept => "/colibri/drain/disable",
        };
        match ask(&self.client, self.client.post(below(&self.url, path))).await {
            Ok(_) => Ok(Obeyed::Done),
            Err(error) if error.is_no_such_call() => {
                tracing::warn!("{error}; the bridge cannot be told to drain: switch its drain API on in jvb.conf");
                Ok(Obeyed::CannotBeTold)
            }
            Err(error) => Err(error),
        }
    }
}

impl Stats {
    fn sight(self) -> Sight {
        let stress = self.stress_level.and_then(|level| permille(level, u32::MAX));
        let figures = [("conferences", self.conferences), ("stress_permille", stress)];
        let figures = figures
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Sight {
            participants: Some(self.participants as u32),
            loss_permille: self.overall_loss.and_then(|loss| permille(loss, 1000)),
            figures: figures.collect::<BTreeMap<String, u32>>(),
            // `drain` may be our own doing; a shutdown never is.
            is_draining: self.graceful_shutdown == Some(true) || self.shutting_down == Some(true),
            accepts: self.drain.map(|is_draining| !is_draining),
            ..Sight::default()
        }
    }
}

/// Returns thousandths, or none for what is no share of anything.
fn permille(share: f64, max: u32) -> Option<u32> {
    let permille = (share * 1000.0).round();
    (permille.is_finite() && (0.0..=f64::from(max)).contains(&permille)).then_some(permille as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_that_is_none_is_not_known() {
        assert_eq!(permille(0.0125, 1000), Some(13));
        for odd in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert_eq!(permille(odd, 1000), None, "{odd}");
        }
        assert_eq!(permille(1.4, u32::MAX), Some(1400));
    }
}
