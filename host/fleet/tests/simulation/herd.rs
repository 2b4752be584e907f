//! A thousand rooms at once, all sent to the same place: what reports say in between, late or lying, lets none too many in.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use usher_fleet::advice::{PlaceAdvice, PlaceAnswer, PlaceAsk, Placement};
use usher_fleet::command::{Command, PlaceRoom, RegisterServer, Reply};
use usher_fleet::config::{FleetConfig, FleetGuards, HealthSource, Labels, Limits, PoolConfig, PoolGuards};
use usher_fleet::decision::PolicyRef;
use usher_fleet::event::What;
use usher_fleet::ids::{RoomId, ServerName, ServerNo};
use usher_fleet::observation::{Report, Reported, ReportedRoom};
use usher_fleet::room::RoomWish;
use usher_fleet::units::{Microdollars, Timestamp};
use usher_fleet::{Advisor, Fleet, Input, Observation};

use super::chance::Chance;

const SERVERS: u32 = 50;
const ROOMS_MAX: u32 = 20;
const SEATS_MAX: u32 = 900;

/// Sends each room to the server that was reported emptiest, as balancers do that herd; then to the next.
struct Herding {
    reported: BTreeMap<ServerNo, u32>,
}

impl Advisor for Herding {
    fn place(&mut self, link: usize, _: &Fleet, _: &PlaceAsk<'_>) -> Option<PlaceAnswer> {
        let mut servers: Vec<(u32, ServerNo)> = self.reported.iter().map(|(no, seats)| (*seats, *no)).collect();
        servers.sort();
        let (_, server) = *servers.get(link)?;
        Some(PlaceAnswer {
            policy: PolicyRef {
                name: "herding".into(),
                version: "1".into(),
            },
            advice: Ok(PlaceAdvice {
                placement: Placement::On(server),
                reason: None,
            }),
            isolates: false,
            took: Duration::ZERO,
        })
    }
}

/// Fifty servers, the policy that herds onto them, and every placement that was told.
struct Herd {
    fleet: Fleet,
    policy: Herding,
    chance: Chance,
    now: Timestamp,
    placed: BTreeMap<RoomId, (ServerName, u32)>,
}

fn pool() -> PoolConfig {
    PoolConfig {
        name: "here".parse().expect("a valid id"),
        automatic: false,
        provider: "external".into(),
        region: "eu".into(),
        zones: Vec::new(),
        instance_type: String::new(),
        market: String::new(),
        limits: Limits {
            rooms_max: Some(ROOMS_MAX),
            seats_max: Some(SEATS_MAX),
            load_max: None,
        },
        seats_default: 50,
        price_per_hour: Microdollars(0),
        labels: Labels::new(),
        only: BTreeMap::new(),
        health: HealthSource::Report,
        url: None,
        offers: Vec::new(),
        adopt_rooms: false,
        release_unreported_rooms: false,
        leaves_evidence: false,
        keep_failed_servers: 0,
        guards: PoolGuards {
            servers_max: SERVERS,
            cpu_permille_max: None,
            ..PoolGuards::default()
        },
    }
}

impl Herd {
    fn new(seed: u64) -> Herd {
        let now = Timestamp(1_793_491_200_000);
        let config = FleetConfig {
            pools: vec![pool()],
            guards: FleetGuards::default(),
            ..FleetConfig::default()
        };
        let mut fleet = Fleet::new(config, now);
        fleet.resume(now);
        let reported = (1..=SERVERS).map(|no| (ServerNo(no), 0)).collect();
        let mut herd = Herd {
            fleet,
            policy: Herding { reported },
            chance: Chance::new(seed),
            now,
            placed: BTreeMap::new(),
        };
        for no in 1..=SERVERS {
            herd.input(Input::Command(Command::RegisterServer(RegisterServer {
                server: name(no),
                pool: "here".parse().expect("a valid id"),
                url: format!("wss://{}.test", name(no)),
                endpoints: BTreeMap::new(),
                zone: None,
                limits: Limits::default(),
                labels: Labels::new(),
            })));
            herd.report(no, Vec::new());
        }
        herd
    }

    fn input(&mut self, input: Input) -> Option<Reply> {
        let outcome = self.fleet.handle(self.now, input, &mut self.policy);
        for event in outcome.events {
            if let What::RoomPlaced(placed) = event.what {
                self.placed.insert(placed.room, (placed.server, placed.seats));
            }
        }
        outcome.reply
    }

    fn report(&mut self, no: u32, rooms: Vec<ReportedRoom>) {
        let report = Report {
            rooms: Some(rooms),
            ..Report::default()
        };
        let server = name(no);
        self.input(Input::Observation(Observation::Reported(Reported { server, report })));
    }

    fn ask(&mut self, room: u32) {
        let seats = self.chance.between(10, 60);
        let room: RoomId = format!("r{room}").parse().expect("a valid id");
        let reply = self.input(Input::Command(Command::PlaceRoom(PlaceRoom {
            room: room.clone(),
            wish: RoomWish {
                seats: Some(seats),
                load: None,
                expected_minutes: None,
                region: None,
                tenant: None,
                labels: Labels::new(),
                require: Labels::new(),
            },
            lease_seconds: None,
        })));
        assert!(matches!(reply, Some(Reply::Room(..))), "{room} was answered {reply:?}");
    }

    /// A report that is late, or lies: nobody is there, only some are, too few are in them, or rooms that nobody knows.
    fn lie(&mut self) {
        let no = self.chance.between(1, SERVERS);
        let server = name(no);
        let here: Vec<RoomId> = self
            .placed
            .iter()
            .filter(|(_, (on, _))| *on == server)
            .map(|(room, _)| room.clone())
            .collect();
        let mut rooms: Vec<ReportedRoom> = Vec::new();
        for room in here {
            if self.chance.one_in(2) {
                rooms.push(ReportedRoom {
                    room,
                    placement: None,
                    participants: self.chance.between(0, 3),
                    load: Some(0),
                });
            }
        }
        if self.chance.one_in(4) {
            rooms.push(ReportedRoom {
                room: "foreign".parse().expect("a valid id"),
                placement: None,
                participants: 7,
                load: None,
            });
        }
        let seats = rooms.iter().map(|room| room.participants).sum();
        self.policy.reported.insert(ServerNo(no), seats);
        self.report(no, rooms);
    }

    fn check_capacity(&self) {
        let mut sums: BTreeMap<&ServerName, (u32, u32)> = BTreeMap::new();
        for (server, seats) in self.placed.values() {
            let sum = sums.entry(server).or_default();
            *sum = (sum.0 + 1, sum.1 + seats);
        }
        for (server, (rooms, seats)) in sums {
            assert!(
                rooms <= ROOMS_MAX && seats <= SEATS_MAX,
                "{server} holds {rooms} rooms with {seats} seats"
            );
        }
    }
}

fn name(no: u32) -> ServerName {
    format!("media-{no}").parse().expect("a valid id")
}

/// Asks for a thousand rooms within less than the time in which figures settle.
pub(crate) fn a_thousand_rooms_herd(seed: u64) {
    let mut herd = Herd::new(seed);
    for room in 0..1_000 {
        herd.now = herd.now + Duration::from_millis(herd.chance.below(10));
        herd.ask(room);
        if herd.chance.one_in(2) {
            herd.lie();
        }
        herd.check_capacity();
    }
    let used: BTreeSet<&ServerName> = herd.placed.values().map(|(server, _)| server).collect();
    assert_eq!(
        used.len(),
        SERVERS as usize,
        "the last rooms go where the first did not fit"
    );
    let waiting = herd.fleet.waiting_rooms();
    assert_eq!(
        herd.placed.len() + waiting,
        1_000,
        "each room stands once: placed, or in the queue"
    );
}
