//! An app that keeps one room after the other, through whatever happens to the host, and remembers where it was told each was.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hyper::Method;
use jiff::Timestamp;
use serde_json::json;
use usher_fake_ec2::Control;

use crate::chance::Chance;
use crate::http::{Answer, Client};

/// The longest that a room waits: a kill, a shortage, a boot that fails and one that does not.
const SEATED_WITHIN: Duration = Duration::from_secs(75);

/// How many rooms an app keeps at least, one after the other: on a busy machine the storm may be over with the first.
pub(super) const ROOMS_MIN: usize = 2;

/// From one look at a room to the next.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// That a room was on a server: from the first answer that said so to the last moment at which its app wanted it there and had not
/// been told otherwise.
#[derive(Debug, Clone)]
pub(super) struct Stay {
    room: String,
    pub(super) server: String,
    told: Timestamp,
    until: Timestamp,
}

impl Stay {
    pub(super) fn lasts_at(&self, at: Timestamp) -> bool {
        self.told <= at && at < self.until
    }
}

pub(super) struct App {
    client: Client,
    control: Control,
    number: usize,
    chance: Chance,
    is_over: Arc<AtomicBool>,
    stays: Vec<Stay>,
}

impl App {
    pub(super) fn new(client: Client, control: Control, number: usize, seed: u64, is_over: Arc<AtomicBool>) -> App {
        App {
            client,
            control,
            number,
            chance: Chance::new(seed.wrapping_mul(1_000).wrapping_add(number as u64 + 1)),
            is_over,
            stays: Vec::new(),
        }
    }

    /// Keeps rooms until the storm is over, [`ROOMS_MIN`] at least, and returns where they were.
    pub(super) async fn run(mut self) -> Vec<Stay> {
        for turn in 1.. {
            let room = format!("r{}-{turn}", self.number);
            self.keep(&room).await;
            if turn >= ROOMS_MIN && self.is_over.load(Ordering::Acquire) {
                break;
            }
            self.pause(1_500).await;
        }
        self.stays
    }

    /// A room's whole life.
    async fn keep(&mut self, room: &str) {
        let path = format!("/v1/rooms/{room}");
        self.place(&path).await;
        let mut lasts = None;
        let mut waits_since = Instant::now();
        loop {
            let asked = self.control.now();
            let answer = self.client.insist(Method::GET, &path, None).await;
            match answer.json["state"].as_str() {
                Some("placed") => {
                    self.is_on(room, &answer, asked);
                    // The room's time begins when people can come.
                    lasts.get_or_insert_with(|| {
                        Instant::now() + Duration::from_millis(1_500 + self.chance.below(5_000) as u64)
                    });
                    waits_since = Instant::now();
                }
                Some("waiting" | "moving") => {
                    let waited = waits_since.elapsed();
                    assert!(
                        waited < SEATED_WITHIN,
                        "{room} was not seated within {waited:?}: {}",
                        answer.text
                    );
                }
                // It was acknowledged.
                _ => panic!("{room} is lost: {} {}", answer.status, answer.text),
            }
            if lasts.is_some_and(|until| until <= Instant::now()) {
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        self.release(&path).await;
    }

    /// Asks until the host has taken the room in.
    async fn place(&mut self, path: &str) {
        let began = Instant::now();
        loop {
            let answer = self.client.insist(Method::PUT, path, Some(json!({ "seats": 2 }))).await;
            match answer.status {
                200..=202 => return,
                // It is busy, or its disk is.
                503 if began.elapsed() < SEATED_WITHIN => self.pause(500).await,
                _ => panic!("{path}: {}", answer.text),
            }
        }
    }

    async fn release(&mut self, path: &str) {
        let answer = self.client.insist(Method::DELETE, path, None).await;
        assert_eq!(answer.status, 204, "{}", answer.text);
    }

    /// An answer says where the room is; the question was asked then.
    fn is_on(&mut self, room: &str, answer: &Answer, asked: Timestamp) {
        let server = answer.json["server"]["name"].as_str().unwrap_or_default();
        let now = self.control.now();
        match self
            .stays
            .last_mut()
            .filter(|stay| stay.room == room && stay.server == server)
        {
            // It was still there when this was asked, and all the time between.
            Some(stay) => stay.until = asked,
            None => self.stays.push(Stay {
                room: room.to_owned(),
                server: server.to_owned(),
                told: now,
                until: now,
            }),
        }
    }

    async fn pause(&mut self, millis_max: usize) {
        let pause = self.chance.below(millis_max) as u64;
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
}
