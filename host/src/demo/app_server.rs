//! The office's app server: asks for a room as each meeting begins, says how many came, and releases it. By HTTP, like any.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use super::client::{Answer, Client};
use super::office::{Meeting, OfficeTime};
use super::pace::Pace;

/// How long one question about a waiting room is held, in seconds: then it is asked again.
const WAIT_SECONDS: u32 = 20;

/// After a refusal that may pass, or a broken connection, it is asked again so much later.
const AGAIN_AFTER: Duration = Duration::from_millis(250);

/// What has become of the rooms that were asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) asked: u32,
    pub(super) placed: u32,
    /// Of those placed: how many had to wait.
    pub(super) waited: u32,
    /// How long the longest of them has waited, by the host's clock.
    pub(super) longest_wait: Duration,
    /// Meetings that were over before there was a room for them.
    pub(super) never_placed: u32,
    /// The last thing that went wrong, in the host's words.
    pub(super) problem: Option<String>,
}

/// The app server; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct AppServer {
    client: Client,
    pace: Pace,
    clock: watch::Receiver<OfficeTime>,
    closes: OfficeTime,
    tally: Arc<Mutex<Tally>>,
}

impl AppServer {
    /// Makes an app server whose day is over when the office `closes`.
    pub(super) fn new(client: Client, pace: Pace, clock: watch::Receiver<OfficeTime>, closes: OfficeTime) -> AppServer {
        AppServer {
            client,
            pace,
            clock,
            closes,
            tally: Arc::default(),
        }
    }

    /// Returns what has become of the rooms so far.
    pub(super) fn tally(&self) -> Tally {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Holds a meeting from its beginning to its end.
    pub(super) async fn hold(mut self, meeting: Meeting) {
        self.until(meeting.begins).await;
        let path = format!("/v1/rooms/{}", meeting.room);
        let ends = meeting.ends.min(self.closes);
        self.note(|tally| tally.asked += 1);
        let mut watching = self.clone();
        let is_placed = tokio::select! {
            () = self.place(&path, &meeting) => true,
            () = watching.until(ends) => false,
        };
        if is_placed {
            for (at, participants) in &meeting.attendance {
                if *at >= ends {
                    break;
                }
                self.until(*at).await;
                let change = json!({ "participants": participants });
                self.tell(Method::PATCH, &path, Some(&change)).await;
            }
            self.until(ends).await;
        } else if meeting.ends <= self.closes {
            // One that the office's closing cut short might still have had its room.
            self.note(|tally| tally.never_placed += 1);
        }
        while !self.tell(Method::DELETE, &path, None).await {
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    /// Asks until the room is placed.
    async fn place(&self, path: &str, meeting: &Meeting) {
        let asked = Instant::now();
        let mut wish = json!({ "seats": meeting.seats });
        if let Some(expected) = meeting.expected {
            wish["expected_minutes"] = self.pace.expected_minutes(expected).into();
        }
        let mut has_waited = false;
        let mut answer = self.client.ask(Method::PUT, path, Some(&wish)).await;
        loop {
            answer = match state(&answer) {
                Some("placed") => break,
                Some(_) => {
                    has_waited = true;
                    self.client
                        .ask(Method::GET, &format!("{path}?wait_seconds={WAIT_SECONDS}"), None)
                        .await
                }
                None => {
                    self.note_problem(&answer);
                    tokio::time::sleep(AGAIN_AFTER).await;
                    self.client.ask(Method::PUT, path, Some(&wish)).await
                }
            };
        }
        let waited = asked.elapsed();
        self.note(|tally| {
            tally.placed += 1;
            if has_waited {
                tally.waited += 1;
                tally.longest_wait = tally.longest_wait.max(waited);
            }
        });
    }

    /// Tells the host something, and returns whether it was heard.
    async fn tell(&self, method: Method, path: &str, body: Option<&Value>) -> bool {
        let answer = self.client.ask(method, path, body).await;
        let is_heard = answer.as_ref().is_ok_and(|answer| answer.status.is_success());
        if !is_heard {
            self.note_problem(&answer);
        }
        is_heard
    }

    async fn until(&mut self, at: OfficeTime) {
        // Where the clock has gone the demo is over, and so is this.
        if self.clock.wait_for(|now| *now >= at).await.is_err() {
            std::future::pending().await
        }
    }

    fn note(&self, change: impl FnOnce(&mut Tally)) {
        change(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn note_problem(&self, answer: &anyhow::Result<Answer>) {
        let problem = match answer {
            Ok(answer) => {
                let said = ["detail", "title"]
                    .iter()
                    .find_map(|key| answer.json.get(*key)?.as_str());
                format!("{}: {}", answer.status.as_u16(), said.unwrap_or("without a reason"))
            }
            Err(error) => format!("{error:#}"),
        };
        self.note(|tally| tally.problem = Some(problem));
    }
}

/// Returns the room's state, if the answer is one about a room.
fn state(answer: &anyhow::Result<Answer>) -> Option<&str> {
    let answer = answer.as_ref().ok().filter(|answer| {
        matches!(
            answer.status,
            StatusCode::OK | StatusCode::CREATED | StatusCode::ACCEPTED
        )
    })?;
    answer.json.get("state")?.as_str()
}
