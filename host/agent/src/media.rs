//! The media server: what lives in it, and how it is told to take no new rooms.
//!
//! One adapter a kind, each in its own file. Every question has a time limit and every answer a largest size, so that one
//! that hangs, lies or talks garbage costs a log line and nothing else.

mod bounded;
mod prometheus;
mod question;

mod http_json;
mod janus;
mod jvb;
mod livekit;

use std::collections::BTreeMap;

use crate::duty::{Answered, Order};
use crate::room::{RoomId, Rooms};
use crate::settings::MediaSettings;

use http_json::HttpJson;
use janus::Janus;
use jvb::Jvb;
use livekit::LiveKit;
pub(crate) use question::{MediaError, ask, below, chain, client_for};

/// What a media server has told of itself. What it did not tell is none.
#[derive(Debug, Default)]
pub(crate) struct Sight {
    pub(crate) rooms: Option<Rooms>,
    /// People in it, where it says so itself; else those of its rooms.
    pub(crate) participants: Option<u32>,
    /// Lost packets in thousandths.
    pub(crate) loss_permille: Option<u32>,
    pub(crate) figures: BTreeMap<String, u32>,
    pub(crate) url: Option<String>,
    /// That it is going, by its own wish.
    pub(crate) is_draining: bool,
    /// Whether it takes new rooms, where it can tell.
    pub(crate) accepts: Option<bool>,
}

impl Sight {
    /// Returns what matters for what the agent owes.
    pub(crate) fn answered(&self) -> Answered {
        Answered {
            participants: self.participants.or(self.rooms.as_ref().map(Rooms::participants)),
            is_draining: self.is_draining,
            accepts: self.accepts,
        }
    }
}

/// What became of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Obeyed {
    /// It is so.
    Done,
    /// It has no way to be told, now or later.
    CannotBeTold,
}

/// The media server beside the agent.
#[derive(Debug)]
pub(crate) enum Media {
    /// See [`Janus`].
    Janus(Janus),
    /// See [`LiveKit`].
    LiveKit(LiveKit),
    /// See [`Jvb`].
    Jvb(Jvb),
    /// See [`HttpJson`].
    HttpJson(HttpJson),
    /// There is nobody to ask.
    None,
}

impl Media {
    /// Makes the adapter for these settings.
    ///
    /// # Errors
    /// No client for the address can be made.
    pub(crate) fn of(settings: MediaSettings) -> Result<Media, MediaError> {
        Ok(match settings {
            MediaSettings::Janus(settings) => Media::Janus(Janus::new(settings)?),
            MediaSettings::LiveKit(settings) => Media::LiveKit(LiveKit::new(settings)?),
            MediaSettings::Jvb { url } => Media::Jvb(Jvb::new(url)?),
            MediaSettings::HttpJson { url } => Media::HttpJson(HttpJson::new(url)?),
            MediaSettings::None => Media::None,
        })
    }

    /// Returns its name, for log lines.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Media::Janus(_) => "janus",
            Media::LiveKit(_) => "livekit",
            Media::Jvb(_) => "the videobridge",
            Media::HttpJson(_) => "the media server",
            Media::None => "no media server",
        }
    }

    /// Returns whether it can be asked at all.
    pub(crate) fn is_there(&self) -> bool {
        !matches!(self, Media::None)
    }

    /// Returns why it cannot be told to take no new rooms, if it cannot.
    pub(crate) fn why_no_orders(&self) -> Option<&'static str> {
        match self {
            Media::Janus(_) | Media::Jvb(_) | Media::HttpJson(_) => None,
            Media::LiveKit(_) => Some("LiveKit drains by SIGTERM only"),
            Media::None => Some("there is no media server to tell"),
        }
    }

    /// Returns whether telling it to take no new rooms also turns away people who come late to one that is there. Such a server is told
    /// only when it goes: a hold keeps new rooms away, and Usher places none.
    pub(crate) fn turns_latecomers_away(&self) -> bool {
        match self {
            Media::Janus(_) => true,
            Media::LiveKit(_) | Media::Jvb(_) | Media::HttpJson(_) | Media::None => false,
        }
    }

    /// Returns whether it can be told to end rooms.
    pub(crate) fn ends_rooms(&self) -> bool {
        match self {
            Media::Janus(janus) => janus.ends_rooms(),
            Media::HttpJson(_) => true,
            Media::LiveKit(_) | Media::Jvb(_) | Media::None => false,
        }
    }

    /// Asks what lives in it.
    ///
    /// # Errors
    /// It did not answer in time, or not in a way that can be believed.
    pub(crate) async fn look(&mut self) -> Result<Sight, MediaError> {
        match self {
            Media::Janus(janus) => janus.look().await,
            Media::LiveKit(livekit) => livekit.look().await,
            Media::Jvb(jvb) => jvb.look().await,
            Media::HttpJson(app) => app.look().await,
            Media::None => Ok(Sight::default()),
        }
    }

    /// Tells it to take new rooms, or none.
    ///
    /// # Errors
    /// It did not confirm.
    pub(crate) async fn obey(&mut self, order: Order) -> Result<Obeyed, MediaError> {
        match self {
            Media::Janus(janus) => janus.obey(order).await,
            Media::Jvb(jvb) => jvb.obey(order).await,
            Media::HttpJson(app) => app.obey(order).await,
            Media::LiveKit(_) | Media::None => Ok(Obeyed::CannotBeTold),
        }
    }

    /// Tells it to end rooms that live elsewhere by now.
    ///
    /// # Errors
    /// One of them at least was not ended.
    pub(crate) async fn end_rooms(&mut self, rooms: &[RoomId]) -> Result<(), MediaError> {
        match self {
            Media::Janus(janus) => janus.end_rooms(rooms).await,
            Media::HttpJson(app) => app.end_rooms(rooms).await,
            Media::LiveKit(_) | Media::Jvb(_) | Media::None => Ok(()),
        }
    }
}
