//! A policy that nobody asks, because one before it always answers, knows the fleet all the same: it answers as the one that is
//! asked for every room, and was told before it was asked.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use usher::builtin;
use usher::config::{Config, Overrides};
use usher_fleet::advice::{PlaceAsk, Placement, ScaleAnswer};
use usher_fleet::command::{PlaceRoom, RegisterServer, ReleaseRoom, RemoveServer};
use usher_fleet::config::{Labels, Limits};
use usher_fleet::event::PolicyEvent;
use usher_fleet::ids::{RoomId, ServerName};
use usher_fleet::room::RoomWish;
use usher_fleet::{Advisor as _, Command, Fleet, Input, Timestamp};
use usher_policy::{Look, Options, PolicyHost};

use crate::policies::standard;

/// Monday, 2026-11-23T09:00:00Z.
const NOW: Timestamp = Timestamp(1_795_424_400_000);
const LOADED_MAX: Duration = Duration::from_secs(60);
const ROUNDS: usize = 3_000;
/// A server comes every so many rounds, and one goes every ten times as many.
const SERVER_EVERY: usize = 5;

const CONFIG: &str = r#"
[[pool]]
name = "media"
provider = "external"
region = "eu-central-1"
rooms_per_server = 4
seats_default = 5
health = "none"
"#;

/// What the policies see of the process around them.
struct Beside(Sender<Look>);

impl PolicyHost for Beside {
    fn look(&self, look: Look) {
        // Nobody looks any more when the test ends.
        self.0.send(look).ok();
    }

    fn event(&self, _: PolicyEvent) {}

    fn scaled(&self, _: ScaleAnswer) {}

    fn chain_changed(&self) {}
}

#[test]
fn policies_that_nobody_asks_answer_as_the_one_that_is_asked_for_every_room() {
    let dir = tempfile::tempdir().unwrap();
    for file in ["10-asked.wasm", "20-idle.wasm"] {
        std::fs::write(dir.path().join(file), standard()).unwrap();
    }
    let (look, looks) = channel();
    let options = Options::new(Some(dir.path().into()), builtin::make);
    let (mut chain, policies) = usher_policy::start(options, Arc::new(Beside(look)));
    let config = Config::parse(CONFIG, Path::new("."), &Overrides::default()).unwrap();
    let mut fleet = Fleet::new(config.fleet, NOW);
    fleet.resume(NOW);
    let began = Instant::now();
    while !policies.has_decided() {
        assert!(
            began.elapsed() < LOADED_MAX,
            "they never serve: {:?}",
            policies.status()
        );
        looks.try_iter().for_each(|look| look(&fleet, NOW));
        std::thread::sleep(Duration::from_millis(1));
    }
    chain.swap();

    for round in 0..ROUNDS {
        let mut commands = vec![place(round)];
        if round.is_multiple_of(SERVER_EVERY) {
            commands.push(register(round / SERVER_EVERY));
        }
        if round.is_multiple_of(10 * SERVER_EVERY) && round > 0 {
            commands.push(remove(round / SERVER_EVERY / 10));
        }
        if round.is_multiple_of(3) {
            commands.push(release(round / 2));
        }
        for command in commands {
            fleet.handle(NOW, Input::Command(command), &mut chain);
            chain.keep_up(&fleet, NOW);
        }
        fleet.end_batch(NOW);
        if round == ROUNDS / 2 {
            let idle = policies.status()[1].clone();
            assert_eq!(idle.name, "20-idle");
            assert!(idle.place.is_none_or(|place| place.asked == 0) && idle.memory_bytes > 0);
        }
    }
    let room: RoomId = "last".parse().unwrap();
    let mut on = |link| {
        chain
            .place(link, &fleet, &ask(&room))
            .unwrap()
            .advice
            .unwrap()
            .placement
    };
    let asked = on(0);
    assert!(matches!(asked, Placement::On(_)), "{asked:?}");
    assert_eq!((on(1), on(2)), (asked, asked), "the idle one and the built-in");
    policies.stop();
}

fn register(number: usize) -> Command {
    Command::RegisterServer(RegisterServer {
        server: server(number),
        pool: "media".parse().unwrap(),
        url: format!("wss://media-{number}.example.com"),
        endpoints: Default::default(),
        zone: number.is_multiple_of(2).then(|| "a".to_owned()),
        limits: Limits::default(),
        labels: Labels::new(),
    })
}

fn remove(number: usize) -> Command {
    Command::RemoveServer(RemoveServer {
        server: server(number),
        force: true,
    })
}

fn server(number: usize) -> ServerName {
    format!("media-{number}").parse().unwrap()
}

fn place(number: usize) -> Command {
    let wish = RoomWish {
        seats: Some(5),
        load: None,
        expected_minutes: number.is_multiple_of(2).then_some(30),
        region: Some("eu-central-1".to_owned()),
        tenant: None,
        labels: Labels::new(),
        require: Labels::new(),
    };
    Command::PlaceRoom(PlaceRoom {
        room: format!("room-{number}").parse().unwrap(),
        wish,
        lease_seconds: None,
    })
}

fn release(number: usize) -> Command {
    Command::ReleaseRoom(ReleaseRoom {
        room: format!("room-{number}").parse().unwrap(),
        tenant: None,
        placement: None,
    })
}

fn ask(room: &RoomId) -> PlaceAsk<'_> {
    static NONE: Labels = Labels::new();
    PlaceAsk {
        now: NOW,
        room,
        seats: 5,
        load: 5,
        expected_minutes: 30,
        region: "eu-central-1",
        tenant: "",
        labels: &NONE,
        waited_seconds: 0,
        avoid: None,
    }
}
