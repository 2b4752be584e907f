//! An app of your own that answers a GET with JSON: what a mediasoup app needs to be asked.
//!
//! ```json
//! {"rooms": [{"room": "standup-42", "participants": 3, "load": 12, "placement": 7}],
//!  "participants": 3, "figures": {"consumers": 1800}, "draining": false, "url": "wss://media-7.example.com"}
//! ```
//!
//! Every field may be left out, and then is not known; of a room, `load` and `placement`. `draining` is the app's own wish to
//! take no new rooms, not an echo of what it was told. An unknown field is an error: a misspelt one would be lost in
//! silence for ever. The same address is told, by POST, `{"draining": true}` and `{"draining": false}`, and
//! `{"end_rooms": ["standup-42"]}` for rooms that live elsewhere by now; an app that answers 404, 405 or 501 is not told again.

use std::collections::BTreeMap;

use reqwest::{Client, Url};
use serde::Deserialize;
use serde_json::{Value, json};

use super::bounded::{self, List};
use super::question::{MediaError, ask, client_for, parsed};
use super::{Obeyed, Sight};
use crate::duty::Order;
use crate::report::{FIGURES_MAX, is_client_url};
use crate::room::{PARTICIPANTS_MAX, RoomId, Rooms, Told};

/// Figures that an app may have: the agent's own need a place too.
const APP_FIGURES_MAX: usize = FIGURES_MAX - 8;

/// The longest name of a figure, as the host takes it.
const FIGURE_CHARS_MAX: usize = 64;

/// Rooms that are told to be ended at once: the others come with the host's next answer.
const ENDED_MAX: usize = 1000;

/// An app that tells what lives in it.
#[derive(Debug)]
pub(crate) struct HttpJson {
    client: Client,
    url: Url,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    rooms: Option<List<PageRoom>>,
    participants: Option<u32>,
    #[serde(default, deserialize_with = "bounded::figures::<_, APP_FIGURES_MAX>")]
    figures: BTreeMap<String, u32>,
    #[serde(default)]
    draining: bool,
    url: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PageRoom {
    room: String,
    participants: u64,
    load: Option<u64>,
    placement: Option<u64>,
}

impl HttpJson {
    pub(super) fn new(url: Url) -> Result<HttpJson, MediaError> {
        Ok(HttpJson {
            client: client_for(&url)?,
            url,
        })
    }

    pub(super) async fn look(&mut self) -> Result<Sight, MediaError> {
        let bytes = ask(&self.client, self.client.get(self.url.clone())).await?;
        let page: Page = parsed(&self.url, &bytes)?;
        page.sight().map_err(|why| MediaError::Unreadable {
            url: self.url.clone(),
            why,
        })
    }

    pub(super) async fn obey(&mut self, order: Order) -> Result<Obeyed, MediaError> {
        let told = self.tell(json!({"draining": order == Order::Refuse})).await;
        match told {
            Ok(()) => Ok(Obeyed::Done),
            Err(error) if error.is_no_such_call() => Ok(Obeyed::CannotBeTold),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn end_rooms(&mut self, rooms: &[RoomId]) -> Result<(), MediaError> {
        let rooms = &rooms[..rooms.len().min(ENDED_MAX)];
        self.tell(json!({"end_rooms": rooms})).await
    }

    async fn tell(&self, body: Value) -> Result<(), MediaError> {
        let request = self.client.post(self.url.clone()).json(&body);
        ask(&self.client, request).await.map(|_| ())
    }
}

impl Page {
    fn sight(self) -> Result<Sight, String> {
        self.check()?;
        let rooms = self.rooms.map(|list| {
            let mut rooms = Rooms::default();
            for room in &list.0 {
                rooms.see(Told {
                    name: &room.room,
                    participants: room.participants,
                    load: room.load,
                    placement: room.placement,
                });
            }
            rooms
        });
        Ok(Sight {
            rooms,
            participants: self.participants,
            figures: self.figures,
            is_draining: self.draining,
            url: self.url,
            ..Sight::default()
        })
    }

    fn check(&self) -> Result<(), String> {
        if self
            .participants
            .is_some_and(|people| u64::from(people) > PARTICIPANTS_MAX)
        {
            return Err(format!("`participants` is at most {PARTICIPANTS_MAX}"));
        }
        if let Some(name) = self.figures.keys().find(|name| !is_figure(name)) {
            return Err(format!(
                "a name in `figures` has 1 to {FIGURE_CHARS_MAX} characters A-Z a-z 0-9 . _ : / -, not {name:?}"
            ));
        }
        match &self.url {
            Some(url) if !is_client_url(url) => Err(format!(
                "`url` is an address such as wss://media-7.example.com, not {url:?}"
            )),
            _ => Ok(()),
        }
    }
}

fn is_figure(name: &str) -> bool {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/-".contains(&byte);
    (1..=FIGURE_CHARS_MAX).contains(&name.len()) && name.bytes().all(is_good)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sight_of(json: &str) -> Result<Sight, String> {
        serde_json::from_str::<Page>(json)
            .map_err(|error| error.to_string())
            .and_then(Page::sight)
    }

    #[test]
    fn the_page_of_the_documentation_is_read() {
        let json = r#"{"rooms": [{"room": "standup-42", "participants": 3, "load": 12, "placement": 7}],
            "participants": 3, "figures": {"consumers": 1800}, "draining": false, "url": "wss://media-7.example.com"}"#;
        let sight = sight_of(json).unwrap();
        assert_eq!(sight.participants, Some(3));
        assert_eq!(sight.figures["consumers"], 1800);
        let rooms = sight.rooms.unwrap().into_rooms();
        assert_eq!((rooms[0].load, rooms[0].placement), (Some(12), Some(7)));
    }

    #[test]
    fn what_is_left_out_is_not_known() {
        let sight = sight_of("{}").unwrap();
        assert!(sight.rooms.is_none() && sight.participants.is_none() && !sight.is_draining);
    }

    #[test]
    fn what_is_not_understood_is_an_error_that_names_it() {
        for (json, named) in [
            (r#"{"room": []}"#, "room"),
            (r#"{"rooms": [{"room": "a", "participants": 1, "lod": 3}]}"#, "lod"),
            (r#"{"rooms": [{"room": "a"}]}"#, "participants"),
            (r#"{"participants": -1}"#, "-1"),
            (r#"{"participants": 1000001}"#, "participants"),
            (r#"{"figures": {"a b": 1}}"#, "figures"),
            (r#"{"figures": {"a": 1.5}}"#, "1.5"),
            (r#"{"url": "media-7"}"#, "url"),
            (r#"{"url": "ftp://media-7"}"#, "url"),
            ("[]", "struct Page"),
            ("", "EOF"),
        ] {
            let error = sight_of(json).unwrap_err();
            assert!(error.contains(named), "{json}: {error}");
        }
    }

    #[test]
    fn so_many_figures_and_no_more_are_read() {
        let of = |count: usize| {
            (0..count)
                .map(|n| (format!("f{n}"), 1))
                .collect::<BTreeMap<String, u32>>()
        };
        let read = |count: usize| sight_of(&json!({"figures": of(count)}).to_string());
        assert_eq!(read(APP_FIGURES_MAX).unwrap().figures.len(), APP_FIGURES_MAX);
        assert!(read(APP_FIGURES_MAX + 1).unwrap_err().contains("at most 56 entries"));
    }

    #[test]
    fn a_room_whose_name_is_no_id_does_not_spoil_the_others() {
        let sight = sight_of(r#"{"rooms": [{"room": "a b", "participants": 1}, {"room": "c", "participants": 2}]}"#);
        let rooms = sight.unwrap().rooms.unwrap();
        assert_eq!((rooms.unreadable(), rooms.participants()), (1, 3));
    }
}
