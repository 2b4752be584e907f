//! Janus by its admin API: `info`, `message_plugin` and `accept_new_sessions`. Tried with Janus 1.1.2 of Debian 12.
//!
//! Janus knows new sessions, not new rooms: told to refuse, it also turns away people who come late to a meeting that is
//! already there. So it is told only when the server leaves, and never where the agent runs with `--watch-only`; Usher places no
//! new rooms on a server that it holds either way.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use reqwest::{Client, Url};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::bounded::List;
use super::question::{MediaError, ask, below, client_for, parsed, shown};
use super::{Obeyed, Sight};
use crate::chance;
use crate::duty::Order;
use crate::options::RoomFrom;
use crate::room::{RoomId, Rooms, Told};
use crate::settings::JanusSettings;

const VIDEOROOM: &str = "janus.plugin.videoroom";
const AUDIOBRIDGE: &str = "janus.plugin.audiobridge";

/// The plugins' answer where a room has gone in the meantime: videoroom's code, and audiobridge's.
const NO_SUCH_ROOM: [i64; 2] = [426, 485];

/// Rooms that are ended after one answer of the host: the others come with the next one.
const ENDED_MAX: usize = 100;

/// How long rooms are ended for after one answer of the host. With one question that is not answered (2 s) a turn stays far below the 15 s
/// after which the host takes the server for silent.
const ENDING_LIMIT: Duration = Duration::from_secs(3);

/// A Janus with its admin API.
#[derive(Debug)]
pub(crate) struct Janus {
    client: Client,
    settings: JanusSettings,
    /// Where a room of the last look is: its plugin, and its id in Janus' words.
    places: BTreeMap<RoomId, Vec<(&'static str, RawId)>>,
}

/// A room's id as Janus has it: a number, or with `string_ids` a text.
#[derive(Debug, Clone)]
enum RawId {
    Number(u64),
    Text(String),
}

/// Of all of Janus' answers, what is used; the rest of them is skipped unread.
#[derive(Debug, serde::Deserialize)]
struct Answer {
    janus: String,
    transaction: Option<String>,
    error: Option<Trouble>,
    response: Option<PluginAnswer>,
    #[serde(rename = "accepting-new-sessions")]
    accepts: Option<bool>,
    accept: Option<bool>,
}

#[derive(Debug, serde::Deserialize)]
struct Trouble {
    code: i64,
    reason: String,
}

#[derive(Debug, serde::Deserialize)]
struct PluginAnswer {
    list: Option<List<JanusRoom>>,
    error_code: Option<i64>,
    error: Option<String>,
}

#[derive(Debug, serde::Deserialize)]
struct JanusRoom {
    room: RawId,
    #[serde(default)]
    description: String,
    num_participants: u64,
}

impl JanusRoom {
    fn name(&self, from: RoomFrom) -> String {
        match (from, &self.room) {
            (RoomFrom::Description, _) => self.description.clone(),
            (RoomFrom::Room, RawId::Number(number)) => number.to_string(),
            (RoomFrom::Room, RawId::Text(text)) => text.clone(),
        }
    }
}

impl RawId {
    fn json(&self) -> Value {
        match self {
            RawId::Number(number) => json!(number),
            RawId::Text(text) => json!(text),
        }
    }
}

/// Not derived: an untagged enum would first keep all that stands there, whatever it is.
impl<'de> Deserialize<'de> for RawId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RawId, D::Error> {
        struct Id;
        impl Visitor<'_> for Id {
            type Value = RawId;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a room's number or text")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<RawId, E> {
                Ok(RawId::Number(number))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<RawId, E> {
                Ok(RawId::Text(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Id)
    }
}

impl Janus {
    pub(super) fn new(settings: JanusSettings) -> Result<Janus, MediaError> {
        Ok(Janus {
            client: client_for(&settings.url)?,
            settings,
            places: BTreeMap::new(),
        })
    }

    /// Returns whether rooms can be ended: whoever has the plugins' key may.
    pub(super) fn ends_rooms(&self) -> bool {
        self.settings.admin_key.is_some()
    }

    pub(super) async fn look(&mut self) -> Result<Sight, MediaError> {
        let audio = async {
            match self.settings.has_audiobridge {
                true => self.list(AUDIOBRIDGE).await.map(Some),
                false => Ok(None),
            }
        };
        let (status, video, audio) =
            tokio::try_join!(self.request(json!({"janus": "info"})), self.list(VIDEOROOM), audio)?;
        let from = self.settings.room_from;
        let mut places = BTreeMap::new();
        let mut rooms = told(VIDEOROOM, video, from, &mut places);
        if let Some(audio) = audio {
            rooms.overlay(told(AUDIOBRIDGE, audio, from, &mut places));
        }
        self.places = places;
        Ok(Sight {
            rooms: Some(rooms),
            accepts: status.accepts,
            ..Sight::default()
        })
    }

    pub(super) async fn obey(&mut self, order: Order) -> Result<Obeyed, MediaError> {
        let accept = order == Order::Accept;
        let answer = self
            .request(json!({"janus": "accept_new_sessions", "accept": accept}))
            .await?;
        if answer.accept != Some(accept) {
            return Err(self.unreadable(format!("it was told accept={accept} and says {:?}", answer.accept)));
        }
        Ok(Obeyed::Done)
    }

    /// Ends rooms one after the other, for [`ENDING_LIMIT`] and until the first of them hangs: the next report waits. The host names the
    /// others again.
    pub(super) async fn end_rooms(&mut self, rooms: &[RoomId]) -> Result<(), MediaError> {
        let until = Instant::now() + ENDING_LIMIT;
        let rooms = rooms.iter().take(ENDED_MAX);
        let places: Vec<_> = rooms.filter_map(|room| self.places.get(room)).flatten().collect();
        let mut first_error = None;
        for (plugin, id) in places {
            if Instant::now() >= until {
                break;
            }
            match self.destroy(plugin, id).await {
                Ok(()) => {}
                Err(late @ MediaError::Late { .. }) => return Err(first_error.unwrap_or(late)),
                Err(error) => {
                    first_error.get_or_insert(error);
                }
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    async fn destroy(&self, plugin: &'static str, id: &RawId) -> Result<(), MediaError> {
        let mut request = json!({"request": "destroy", "room": id.json(), "permanent": false});
        if let Some(secret) = &self.settings.room_secret {
            request["secret"] = json!(secret);
        }
        let answer = self.plugin(plugin, request).await?;
        match answer.error_code {
            Some(code) if !NO_SUCH_ROOM.contains(&code) => Err(self.refused(plugin, answer)),
            _ => Ok(()),
        }
    }

    async fn list(&self, plugin: &'static str) -> Result<Vec<JanusRoom>, MediaError> {
        let mut answer = self.plugin(plugin, json!({"request": "list"})).await?;
        match answer.list.take() {
            Some(List(list)) if answer.error_code.is_none() => Ok(list),
            _ => Err(self.refused(plugin, answer)),
        }
    }

    async fn plugin(&self, plugin: &'static str, mut request: Value) -> Result<PluginAnswer, MediaError> {
        if let Some(key) = &self.settings.admin_key {
            request["admin_key"] = json!(key);
        }
        let answer = self
            .request(json!({"janus": "message_plugin", "plugin": plugin, "request": request}))
            .await?;
        let silent = || self.unreadable(format!("{plugin} has no `response` in it"));
        answer.response.ok_or_else(silent)
    }

    async fn request(&self, mut body: Value) -> Result<Answer, MediaError> {
        let mark = chance::mark();
        body["transaction"] = json!(mark);
        if let Some(secret) = &self.settings.admin_secret {
            body["admin_secret"] = json!(secret);
        }
        let url = below(&self.settings.url, "");
        let bytes = ask(&self.client, self.client.post(url).json(&body)).await?;
        let answer: Answer = parsed(&self.settings.url, &bytes)?;
        if let Some(trouble) = &answer.error {
            let why = format!("{} (code {})", shown(&trouble.reason), trouble.code);
            return Err(MediaError::Refused {
                url: self.settings.url.clone(),
                why: with_hint(trouble.code, why),
            });
        }
        if answer.transaction.as_ref() != Some(&mark) || answer.janus == "error" {
            return Err(self.unreadable("it is the answer to another question".to_owned()));
        }
        Ok(answer)
    }

    fn refused(&self, plugin: &str, answer: PluginAnswer) -> MediaError {
        let reason = answer.error.unwrap_or_else(|| "it names no rooms".to_owned());
        let hint = if reason.contains("admin_key") {
            ": set --janus-admin-key to the admin_key of the plugin's config"
        } else if reason.contains("secret") {
            ": set --janus-room-secret to the secret that the app gives its rooms"
        } else {
            ""
        };
        MediaError::Refused {
            url: self.settings.url.clone(),
            why: format!("{plugin} says {:?}{hint}", shown(&reason)),
        }
    }

    fn unreadable(&self, why: String) -> MediaError {
        let url: Url = self.settings.url.clone();
        MediaError::Unreadable { url, why }
    }
}

fn with_hint(code: i64, why: String) -> String {
    match code {
        403 => format!("{why}: set --janus-admin-secret to the admin_secret of janus.jcfg"),
        460 => format!("{why}: this Janus does not have the plugin"),
        _ => why,
    }
}

/// Turns one plugin's rooms into ours, and notes where each of them is.
fn told(
    plugin: &'static str,
    list: Vec<JanusRoom>,
    from: RoomFrom,
    places: &mut BTreeMap<RoomId, Vec<(&'static str, RawId)>>,
) -> Rooms {
    let mut rooms = Rooms::default();
    for room in list {
        let name = room.name(from);
        rooms.see(Told {
            name: &name,
            participants: room.num_participants,
            load: None,
            placement: None,
        });
        if let Ok(id) = name.parse() {
            places.entry(id).or_default().push((plugin, room.room));
        }
    }
    rooms
}
