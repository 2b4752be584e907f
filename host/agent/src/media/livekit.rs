//! LiveKit by its server API: `ListRooms`, and its Prometheus metrics if it has them.
//!
//! LiveKit drains by SIGTERM only, and whoever sends that also has to keep it from being started again. That is not the
//! agent's to decide, so it tells LiveKit nothing.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Client;
use ring::hmac;
use serde::Deserialize;
use serde_json::json;

use super::Sight;
use super::bounded::List;
use super::prometheus;
use super::question::{MediaError, ask, below, client_for, parsed};
use crate::room::{PARTICIPANTS_MAX, Rooms, Told};
use crate::settings::LiveKitSettings;

/// How long a token for one question is good, either way: far more than the question takes, for clocks that differ.
const TOKEN_LIFE: Duration = Duration::from_secs(600);

/// Of its metrics: a figure's name, and the gauge whose samples are added up.
const FIGURES: [(&str, &str); 3] = [
    ("tracks_published", "livekit_track_published_total"),
    ("tracks_subscribed", "livekit_track_subscribed_total"),
    ("rooms_on_node", "livekit_room_total"),
];

/// The gauge of people on this node.
const PARTICIPANTS: &str = "livekit_participant_total";

/// A LiveKit server.
#[derive(Debug)]
pub(crate) struct LiveKit {
    client: Client,
    settings: LiveKitSettings,
}

#[derive(Debug, Deserialize)]
struct RoomList {
    #[serde(default)]
    rooms: List<LiveKitRoom>,
}

/// As protobuf has it in JSON, where a zero may be left out.
#[derive(Debug, Deserialize)]
struct LiveKitRoom {
    #[serde(default)]
    name: String,
    #[serde(default, alias = "numParticipants")]
    num_participants: u64,
}

impl LiveKit {
    pub(super) fn new(settings: LiveKitSettings) -> Result<LiveKit, MediaError> {
        Ok(LiveKit {
            client: client_for(&settings.url)?,
            settings,
        })
    }

    pub(super) async fn look(&mut self) -> Result<Sight, MediaError> {
        if self.settings.is_cluster {
            let text = self.metrics().await?.unwrap_or_default();
            let people = people(&text).ok_or_else(|| self.no_metrics())?;
            return Ok(Sight {
                participants: Some(people),
                ..figures(&text)
            });
        }
        let (list, metrics) = tokio::join!(self.rooms(), self.metrics());
        let mut rooms = Rooms::default();
        for room in list?.rooms.0 {
            rooms.see(Told {
                name: &room.name,
                participants: room.num_participants,
                load: None,
                placement: None,
            });
        }
        // Its rooms are what counts; without its metrics some figures are not known.
        let metrics = metrics.unwrap_or_else(|error| {
            tracing::debug!("figures are not known: {error}");
            None
        });
        Ok(Sight {
            rooms: Some(rooms),
            ..figures(&metrics.unwrap_or_default())
        })
    }

    async fn rooms(&self) -> Result<RoomList, MediaError> {
        let url = below(&self.settings.url, "/twirp/livekit.RoomService/ListRooms");
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let token = token(&self.settings.api_key, &self.settings.api_secret, seconds);
        let request = self.client.post(url.clone()).bearer_auth(token).json(&json!({}));
        let bytes = ask(&self.client, request).await?;
        parsed(&url, &bytes)
    }

    /// A page of somebody else's would be taken for life, whoever answers there.
    fn no_metrics(&self) -> MediaError {
        MediaError::Unreadable {
            url: self.settings.metrics_url.as_ref().unwrap_or(&self.settings.url).clone(),
            why: format!("it has no {PARTICIPANTS}; is --livekit-metrics-url the prometheus_port of LiveKit's config?"),
        }
    }

    async fn metrics(&self) -> Result<Option<String>, MediaError> {
        let Some(url) = &self.settings.metrics_url else {
            return Ok(None);
        };
        let bytes = ask(&self.client, self.client.get(url.clone())).await?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }
}

fn figures(text: &str) -> Sight {
    let figures = FIGURES.into_iter().filter_map(|(name, gauge)| {
        let value = prometheus::sum(text, gauge)?;
        Some((name.to_owned(), value.min(f64::from(u32::MAX)) as u32))
    });
    Sight {
        figures: figures.collect(),
        ..Sight::default()
    }
}

fn people(text: &str) -> Option<u32> {
    prometheus::sum(text, PARTICIPANTS).map(|people| people.min(PARTICIPANTS_MAX as f64) as u32)
}

/// Makes a token that may list rooms, signed with HMAC-SHA256.
fn token(key: &str, secret: &str, now: Duration) -> String {
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let head = part(json!({"alg": "HS256", "typ": "JWT"}));
    let claims = part(json!({
        "iss": key,
        "sub": "usher-agent",
        "nbf": now.saturating_sub(TOKEN_LIFE).as_secs(),
        "exp": (now + TOKEN_LIFE).as_secs(),
        "video": {"roomList": true},
    }));
    let signed = format!("{head}.{claims}");
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_signed_and_may_list_rooms_only() {
        let token = token("key", "secret", Duration::from_secs(1_000_000));
        let parts: Vec<&str> = token.split('.').collect();
        let [head, claims, signature] = parts[..] else {
            panic!("{token}")
        };
        let claims_json: serde_json::Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
        assert_eq!(claims_json["video"], json!({"roomList": true}));
        assert_eq!(
            (&claims_json["nbf"], &claims_json["exp"]),
            (&json!(999_400), &json!(1_000_600))
        );
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"secret");
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        assert!(hmac::verify(&key, format!("{head}.{claims}").as_bytes(), &signature).is_ok());
    }
}
