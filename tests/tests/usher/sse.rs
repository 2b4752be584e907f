//! A reader of `/v1/events`, as a client in any language would be one.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::Method;
use hyper::body::Incoming;
use serde_json::Value;

use crate::http::{Client, NoAnswer};

/// The longest until the next event or the end of the stream; quiet streams show that they live every 15 s.
const FRAME_WAIT: Duration = Duration::from_secs(30);

/// An event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) data: Value,
}

impl Event {
    /// Returns the place of its id: batch, and number in it.
    pub(crate) fn place(&self) -> (u64, u32) {
        let (batch, index) = self.id.split_once('-').expect("ids are batch-index");
        (batch.parse().unwrap(), index.parse().unwrap())
    }
}

/// A stream of events.
pub(crate) struct Events {
    body: Incoming,
    text: String,
}

impl Events {
    /// Follows what comes after this id.
    pub(crate) async fn after(client: &Client, id: &str) -> Result<Events, NoAnswer> {
        Events::open(client, "/v1/events", &[("last-event-id", id)]).await
    }

    async fn open(client: &Client, path: &str, headers: &[(&str, &str)]) -> Result<Events, NoAnswer> {
        let response = client.open(Method::GET, path, headers, Bytes::new()).await?;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Ok(Events {
            body: response.into_body(),
            text: String::new(),
        })
    }

    /// Returns the next event; `None` at the end of the stream, however it ended.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let frame: String = self.text.drain(..end + 2).collect();
                match parse(&frame) {
                    Some(event) => return Some(event),
                    None => continue,
                }
            }
            let frame = tokio::time::timeout(FRAME_WAIT, self.body.frame()).await;
            let frame = frame.expect("a stream shows that it lives").and_then(Result::ok)?;
            if let Ok(bytes) = frame.into_data() {
                self.text
                    .push_str(std::str::from_utf8(&bytes).expect("events end where packets end"));
            }
        }
    }
}

/// Returns all events after this id that there are now.
pub(crate) async fn events_after(client: &Client, id: &str) -> Vec<Event> {
    read(client, &format!("/v1/events?follow=false&after={id}")).await
}

/// Returns all events that are kept.
pub(crate) async fn all_events(client: &Client) -> Vec<Event> {
    read(client, "/v1/events?follow=false").await
}

async fn read(client: &Client, path: &str) -> Vec<Event> {
    let mut stream = Events::open(client, path, &[]).await.unwrap();
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        events.push(event);
    }
    events
}

fn parse(frame: &str) -> Option<Event> {
    let field = |name: &str| frame.lines().find_map(|line| line.strip_prefix(name));
    Some(Event {
        id: field("id: ")?.to_owned(),
        kind: field("event: ")?.to_owned(),
        data: serde_json::from_str(field("data: ")?).expect("data is JSON"),
    })
}
