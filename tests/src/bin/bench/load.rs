//! The load: many connections, each with one request at a time, that place rooms of their own and release them again.
//!
//! It checks every answer, and is the same for the host and for bare hyper.

use std::io::Write;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use tokio::task::JoinSet;

use crate::figures::Latencies;
use crate::wire::{self, Connection};

/// The region that all servers are in and all rooms ask for.
pub(crate) const REGION: &str = "eu-central-1";

/// What an app says of a conference that it has in its calendar.
pub(crate) const ROOM_JSON: &str = r#"{"seats":6,"expected_minutes":45,"region":"eu-central-1"}"#;

/// What each answer about a placed room contains.
const PLACED: &[u8] = br#""server":{"name":"#;

/// The rooms that a round placed: so many on each connection.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    round: Round,
    counts: Vec<usize>,
}

impl Rooms {
    /// Returns how many they are.
    pub(crate) fn len(&self) -> usize {
        self.counts.iter().sum()
    }
}

/// Makes the names of a round's rooms unique.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Round(pub(crate) usize);

/// When a round ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    /// After so long.
    pub(crate) after: Duration,
    /// With so many rooms, rounded to the same number for each connection.
    pub(crate) rooms_max: usize,
}

/// What a round came to.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) rooms: Rooms,
    pub(crate) per_second: f64,
    pub(crate) latencies: Latencies,
}

/// Places rooms on `connections` connections until the end; each answer must be 201 with a server.
///
/// # Errors
/// An answer was another one, or did not come.
pub(crate) async fn place(to: SocketAddr, connections: usize, round: Round, end: End) -> anyhow::Result<Placed> {
    let opened = open(to, connections).await?;
    let rooms_max = end.rooms_max.div_ceil(connections);
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for (index, connection) in opened.into_iter().enumerate() {
        let names = Names { round, index };
        tasks.spawn(place_on(connection, names, began + end.after, rooms_max));
    }
    let mut counts = vec![0; connections];
    let mut latencies = Latencies::default();
    while let Some(done) = tasks.join_next().await {
        let (index, count, took) = done.context("a connection's task has panicked")??;
        counts[index] = count;
        latencies.merge(&took);
    }
    let rooms = Rooms { round, counts };
    Ok(Placed {
        per_second: rooms.len() as f64 / began.elapsed().as_secs_f64(),
        rooms,
        latencies,
    })
}

async fn place_on(
    mut connection: Connection,
    names: Names,
    until: Instant,
    rooms_max: usize,
) -> anyhow::Result<(usize, usize, Latencies)> {
    let request = Parts::of(&wire::with_json("PUT", Parts::PATH, ROOM_JSON));
    let mut bytes = Vec::new();
    let mut latencies = Latencies::default();
    let mut count = 0;
    let mut now = Instant::now();
    while now < until && count < rooms_max {
        request.write(names, count, &mut bytes);
        let answer = connection.ask(&bytes).await?;
        if answer.status != 201 || !contains(answer.body, PLACED) {
            let (status, body) = (answer.status, String::from_utf8_lossy(answer.body));
            bail!("a room was not placed but answered {status}: {body}");
        }
        let done = Instant::now();
        latencies.add(done - now);
        now = done;
        count += 1;
    }
    Ok((names.index, count, latencies))
}

/// Releases what a round has placed.
///
/// # Errors
/// An answer was not 204, or did not come.
pub(crate) async fn release(to: SocketAddr, rooms: Rooms) -> anyhow::Result<()> {
    let opened = open(to, rooms.counts.len()).await?;
    let mut tasks = JoinSet::new();
    for ((index, connection), count) in opened.into_iter().enumerate().zip(rooms.counts) {
        let names = Names {
            round: rooms.round,
            index,
        };
        tasks.spawn(release_on(connection, names, count));
    }
    while let Some(done) = tasks.join_next().await {
        done.context("a connection's task has panicked")??;
    }
    Ok(())
}

async fn release_on(mut connection: Connection, names: Names, count: usize) -> anyhow::Result<()> {
    let request = Parts::of(&wire::plain("DELETE", Parts::PATH));
    let mut bytes = Vec::new();
    for number in 0..count {
        request.write(names, number, &mut bytes);
        let status = connection.ask(&bytes).await?.status;
        ensure!(status == 204, "a release was answered {status}");
    }
    Ok(())
}

async fn open(to: SocketAddr, connections: usize) -> anyhow::Result<Vec<Connection>> {
    let mut opened = Vec::with_capacity(connections);
    for _ in 0..connections {
        opened.push(Connection::open(to).await?);
    }
    Ok(opened)
}

/// A connection's rooms of a round.
#[derive(Debug, Clone, Copy)]
struct Names {
    round: Round,
    index: usize,
}

/// A request, cut where the room's name goes.
#[derive(Debug)]
struct Parts {
    before: Vec<u8>,
    after: Vec<u8>,
}

impl Parts {
    /// The path of a room, with a mark where its name goes.
    const PATH: &'static str = "/v1/rooms/{room}";
    const MARK: &'static [u8] = b"{room}";

    /// # Panics
    /// Never for a request to [`Parts::PATH`], which has the mark.
    fn of(request: &[u8]) -> Parts {
        let at = position(request, Parts::MARK).expect("the path has the mark");
        Parts {
            before: request[..at].to_vec(),
            after: request[at + Parts::MARK.len()..].to_vec(),
        }
    }

    fn write(&self, names: Names, number: usize, bytes: &mut Vec<u8>) {
        bytes.clear();
        bytes.extend_from_slice(&self.before);
        let (round, index) = (names.round.0, names.index);
        write!(bytes, "standup-{round}-{index}-{number}").expect("a vector takes what is written");
        bytes.extend_from_slice(&self.after);
    }
}

fn contains(body: &[u8], part: &[u8]) -> bool {
    position(body, part).is_some()
}

fn position(body: &[u8], part: &[u8]) -> Option<usize> {
    body.windows(part.len()).position(|bytes| bytes == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_written_with_the_name_of_its_room() {
        let request = Parts::of(&wire::plain("DELETE", Parts::PATH));
        let names = Names {
            round: Round(3),
            index: 17,
        };
        let mut bytes = b"what was there".to_vec();
        request.write(names, 5, &mut bytes);
        assert_eq!(
            bytes,
            b"DELETE /v1/rooms/standup-3-17-5 HTTP/1.1\r\nhost: localhost\r\n\r\n"
        );
    }
}
