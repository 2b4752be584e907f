//! What was acknowledged is so: the real process is killed again and again under load, and clients that remember every answer
//! find nothing lost, no room with two homes, and releases that stay.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};

use crate::chance::Chance;
use crate::http::{Answer, Client, NoAnswer};
use crate::patience::{eventually, seconds};
use crate::site::Site;
use crate::sse::{Event, all_events};

const POOL: &str = r#"
[[pool]]
name = "media"
provider = "external"
rooms_per_server = 15
health = "none"
"#;

const KILLS: usize = 22;
const SERVERS: usize = 24;
const CLIENTS: usize = 6;
/// Fewer in all than the servers hold, so that a room never waits.
const ROOMS_PER_CLIENT: usize = 50;

/// A placement: its number, and the server.
type Home = (u64, String);

/// What a client knows of one of its rooms, from its own answers alone.
#[derive(Debug, Clone, PartialEq)]
enum Belief {
    Released,
    Placed(Home),
    /// The answer to a placing never came: it is released as before, or placed anew.
    PlacingUnknown,
    /// The answer to a release never came: it is there as before, or released.
    ReleasingUnknown(Home),
}

#[derive(Debug)]
struct Room {
    name: String,
    belief: Belief,
    /// The highest placement that it was told.
    last: u64,
}

impl Room {
    fn new(name: String) -> Room {
        Room {
            name,
            belief: Belief::Released,
            last: 0,
        }
    }

    fn path(&self) -> String {
        format!("/v1/rooms/{}", self.name)
    }

    /// Takes in that it is placed; `is_new` if the answer said that it is placed just now.
    fn is_placed(&mut self, answer: &Answer, is_new: Option<bool>) {
        let room = &answer.json;
        assert_eq!(room["state"], "placed", "{}", answer.text);
        let home: Home = (
            room["placement"].as_u64().unwrap(),
            room["server"]["name"].as_str().unwrap().to_owned(),
        );
        let may_be_old = match &self.belief {
            Belief::Placed(known) | Belief::ReleasingUnknown(known) => *known == home,
            Belief::Released | Belief::PlacingUnknown => false,
        };
        let may_be_new = !matches!(self.belief, Belief::Placed(_)) && home.0 > self.last;
        let is_right = match (is_new, &self.belief) {
            (Some(true), _) => may_be_new,
            (Some(false), Belief::PlacingUnknown) => may_be_new,
            // Nobody but us places it, so that only an answer that says so makes it new.
            (Some(false), _) => may_be_old,
            (None, Belief::PlacingUnknown) => may_be_new,
            (None, _) => may_be_old,
        };
        assert!(is_right, "{} was {self:?}, and is now {}", self.name, answer.text);
        self.last = home.0;
        self.belief = Belief::Placed(home);
    }

    fn is_gone(&mut self) {
        assert!(!matches!(self.belief, Belief::Placed(_)), "lost: {self:?}");
        self.belief = Belief::Released;
    }

    async fn place(&mut self, client: &Client) -> Result<(), NoAnswer> {
        let asked = client.ask(Method::PUT, &self.path(), Some(json!({ "seats": 3 }))).await;
        match asked {
            Ok(answer) => {
                assert!([200, 201].contains(&answer.status), "{}", answer.text);
                self.is_placed(&answer, Some(answer.status == 201));
                Ok(())
            }
            Err(error) => {
                self.belief = match &self.belief {
                    Belief::Released | Belief::PlacingUnknown => Belief::PlacingUnknown,
                    Belief::Placed(home) => Belief::Placed(home.clone()),
                    // Released before, perhaps, and placed anew, perhaps: looking tells.
                    Belief::ReleasingUnknown(_) => unreachable!("it is looked at first"),
                };
                Err(error)
            }
        }
    }

    async fn release(&mut self, client: &Client) -> Result<(), NoAnswer> {
        let Belief::Placed(home) = self.belief.clone() else {
            return Ok(());
        };
        let path = format!("{}?placement={}", self.path(), home.0);
        match client.ask(Method::DELETE, &path, None).await {
            Ok(answer) => {
                assert_eq!(answer.status, 204, "{}", answer.text);
                self.belief = Belief::Released;
                Ok(())
            }
            Err(error) => {
                self.belief = Belief::ReleasingUnknown(home);
                Err(error)
            }
        }
    }

    async fn look(&mut self, client: &Client) -> Result<(), NoAnswer> {
        let answer = client.ask(Method::GET, &self.path(), None).await?;
        match answer.status {
            200 => self.is_placed(&answer, None),
            404 => self.is_gone(),
            _ => panic!("{}", answer.text),
        }
        Ok(())
    }
}

/// What the clients have seen together.
#[derive(Debug, Default)]
struct Seen {
    answers: AtomicU64,
    /// Calls that broke: what was asked may have been done or not.
    broken: AtomicU64,
    must_end: AtomicBool,
}

/// Places, places again, looks and releases until it is told to end; after each broken call it looks at all its rooms.
async fn live(client: Client, number: usize, seen: Arc<Seen>) -> Vec<Room> {
    let mut chance = Chance::new(u64::try_from(number).unwrap());
    let mut rooms: Vec<Room> = (0..ROOMS_PER_CLIENT)
        .map(|room| Room::new(format!("{number}-{room}")))
        .collect();
    while !seen.must_end.load(Ordering::Relaxed) {
        let at = chance.below(rooms.len());
        let room = &mut rooms[at];
        let done = match chance.below(10) {
            0..=5 => room.place(&client).await,
            6..=8 => room.release(&client).await,
            _ => room.look(&client).await,
        };
        match done {
            Ok(()) => _ = seen.answers.fetch_add(1, Ordering::Relaxed),
            Err(_) => {
                seen.broken.fetch_add(1, Ordering::Relaxed);
                look_at_all(&mut rooms, &client).await;
            }
        }
    }
    look_at_all(&mut rooms, &client).await;
    rooms
}

async fn look_at_all(rooms: &mut [Room], client: &Client) {
    for room in rooms {
        while room.look(client).await.is_err() {
            client.insist(Method::GET, "/healthz", None).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_and_no_room_has_two_homes_however_often_the_host_is_killed() {
    let site = Site::new(POOL);
    let mut host = site.start().await;
    let client = host.client();
    for server in 0..SERVERS {
        let body = json!({ "pool": "media", "url": format!("ws://media-{server}") });
        client
            .put(&format!("/v1/servers/media-{server}"), body)
            .await
            .expect(201);
    }
    let seen = Arc::new(Seen::default());
    let lives: Vec<_> = (0..CLIENTS)
        .map(|number| tokio::spawn(live(client.clone(), number, Arc::clone(&seen))))
        .collect();
    let mut chance = Chance::new(7);
    for kill in 0..KILLS {
        // Each life sees some answers first; when exactly it ends is chance.
        let enough = seen.answers.load(Ordering::Relaxed) + 200;
        let is_enough = async || (seen.answers.load(Ordering::Relaxed) >= enough).then_some(());
        eventually(&format!("life {kill} gets answers"), seconds(60), is_enough).await;
        tokio::time::sleep(Duration::from_millis(u64::try_from(chance.below(80)).unwrap())).await;
        host.kill();
        host = site.start().await;
    }
    seen.must_end.store(true, Ordering::Relaxed);
    let mut believed = BTreeMap::new();
    for life in lives {
        for room in life.await.unwrap() {
            believed.insert(room.name.clone(), room.belief);
        }
    }
    let broken = seen.broken.load(Ordering::Relaxed);
    assert!(
        broken >= u64::try_from(KILLS).unwrap(),
        "only {broken} calls broke: the kills met no load"
    );
    believed.retain(|_, belief| *belief != Belief::Released);
    let homes = homes(&client).await;
    let believed = believed.into_iter().map(|(room, belief)| match belief {
        Belief::Placed(home) => (room, home),
        other => panic!("{room} is still {other:?}"),
    });
    assert_eq!(homes, believed.collect::<BTreeMap<_, _>>());
    assert_no_server_holds_more(&client, &homes).await;
    assert_one_home_at_a_time(&all_events(&client).await, &homes);
}

/// Returns where every room is, by the lists.
async fn homes(client: &Client) -> BTreeMap<String, Home> {
    let list = client.get("/v1/rooms?limit=1000").await.expect(200).json;
    assert!(list["next"].is_null());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let home = |room: &Value| (room["placement"].as_u64().unwrap(), text(&room["server"]["name"]));
    list["rooms"]
        .as_array()
        .unwrap()
        .iter()
        .map(|room| (text(&room["room"]), home(room)))
        .collect()
}

async fn assert_no_server_holds_more(client: &Client, homes: &BTreeMap<String, Home>) {
    let mut held = HashMap::<&str, u64>::new();
    for (_, server) in homes.values() {
        *held.entry(server).or_default() += 1;
    }
    for server in client.get("/v1/servers").await.expect(200).json["servers"]
        .as_array()
        .unwrap()
    {
        let rooms = server["rooms"].as_u64().unwrap();
        assert!(rooms <= server["rooms_max"].as_u64().unwrap(), "{server}");
        assert_eq!(
            rooms,
            held.get(server["name"].as_str().unwrap()).copied().unwrap_or(0),
            "{server}"
        );
    }
}

/// Lives the events again: a room is placed only where it is nowhere, with a higher number than ever before.
fn assert_one_home_at_a_time(events: &[Event], homes: &BTreeMap<String, Home>) {
    let mut alive = BTreeMap::<String, Home>::new();
    let mut last = HashMap::<String, u64>::new();
    for event in events {
        let text = |field: &str| event.data[field].as_str().unwrap().to_owned();
        match event.kind.as_str() {
            "room.placed" => {
                let (room, placement) = (text("room"), event.data["placement"].as_u64().unwrap());
                assert!(
                    last.insert(room.clone(), placement)
                        .is_none_or(|before| before < placement),
                    "{event:?}"
                );
                let before = alive.insert(room, (placement, text("server")));
                assert_eq!(before, None, "two homes: {event:?}");
            }
            "room.released" => assert!(alive.remove(&text("room")).is_some(), "{event:?}"),
            "room.moved" | "room.expired" | "reset" => panic!("{event:?}"),
            _ => {}
        }
    }
    assert_eq!(&alive, homes);
}
