//! Native equals wasm equals replay: whatever the fleet went through, the standard policy gives the same advice as the host's
//! built-in, as a module, as a module again from the recorded inputs, and in an instance that was told only how things are now.

use std::collections::BTreeMap;
use std::sync::Arc;

use usher::builtin::BuiltIn;
use usher_fleet::Timestamp;
use usher_fleet::advice::{Demand, Direction, PlaceAsk, ScaleAsk, Want};
use usher_fleet::config::Labels;
use usher_fleet::ids::{DecisionNo, PoolNo, RoomId, ServerNo};
use usher_fleet::view::{
    Cursor, HealthView, HoldView, PhaseView, PoolRow, PoolStateRow, ServerRow, UsageRow, ViewChange,
};
use usher_policy::{Native, Rehearsal, Rehearsed, Snapshot};

use crate::chance::Chance;
use crate::policies::standard;

/// Windows that begin, last and end within the time that the steps take, by clocks of two zones.
const SETTINGS: &str = r#"
headroom_percent = 30
cpu_permille_max = 700
ending_rooms_max = 3
scale_up_prefer = ["pool-3", "gone"]
scale_down_prefer = ["spot", "oldest"]
[fallback_regions]
"eu-central-1" = ["eu-west-1", "*"]
[pool.pool-2]
headroom_rooms_min = 4
egress_kbps_max = 600000
[[window]]
days = ["mon-fri"]
from = 11:00:00
to = "12:30"
time_zone = "Europe/Berlin"
spare_rooms = 30
room_seats = 20
[[window]]
from = "07:30"
to = "10:00"
time_zone = "America/New_York"
spare_rooms = 90
pool = "pool-4"
"#;
const SETTINGS_JSON: &str = r#"{"headroom_percent":30,"cpu_permille_max":700,"ending_rooms_max":3,"scale_up_prefer":["pool-3","gone"],
    "scale_down_prefer":["spot","oldest"],"fallback_regions":{"eu-central-1":["eu-west-1","*"]},
    "pool":{"pool-2":{"headroom_rooms_min":4,"egress_kbps_max":600000}},"window":[
    {"days":["mon-fri"],"from":"11:00:00","to":"12:30","time_zone":"Europe/Berlin","spare_rooms":30,"room_seats":20},
    {"from":"07:30","to":"10:00","time_zone":"America/New_York","spare_rooms":90,"pool":"pool-4"}]}"#;

const STEPS: usize = 3_000;
/// Each world's seed, and how many servers it begins with; it has three times as many at most. In the small ones servers are ordered for
/// both windows. In the large one the index of the view has many chunks, which are cut and go.
const WORLDS: [(u64, usize); 5] = [(1, 20), (3, 20), (4, 20), (5, 20), (6, 5_000)];
const POOLS: usize = 4;
/// An instance without a past joins in every so many steps.
const FRESH_EVERY: usize = 50;
const REGIONS: [&str; 3] = ["eu-central-1", "eu-west-1", "us-east-1"];
const TENANTS: [&str; 3] = ["", "acme", "umbrella"];

#[test]
fn native_wasm_and_replay_give_the_same_advice() {
    let module = Rehearsed::prepare("90-standard.wasm", standard().to_vec(), Some(SETTINGS.as_bytes())).unwrap();
    for (seed, servers) in WORLDS {
        let mut chance = Chance::new(seed);
        let mut world = World::new(servers, &mut chance);
        let (mut native, mut wasm) = (native(), module.start().unwrap());
        let mut recorded = Vec::new();
        let mut first = world.whole();
        for step in 0..STEPS {
            let told = if step == 0 {
                std::mem::take(&mut first)
            } else {
                world.step(&mut chance)
            };
            let question = world.question(&mut chance, step);
            let told = world.snapshot(told);
            native.update(told.now, &told.rows).unwrap();
            let answer = ask_native(&mut native, &question);
            assert_eq!(
                ask_wasm(&mut wasm, &told, &question),
                answer,
                "wasm, seed {seed}, step {step}: {question:?}"
            );
            if step % FRESH_EVERY == 0 {
                let whole = world.snapshot(world.whole());
                let mut fresh = module.start().unwrap();
                fresh.feed(&whole).unwrap();
                assert_eq!(
                    ask_wasm(&mut fresh, &whole, &question),
                    answer,
                    "fresh, seed {seed}, step {step}: {question:?}"
                );
            }
            recorded.push((told, question, answer));
        }
        let decided = recorded
            .iter()
            .filter(|(_, _, answer)| answer.contains("On(") || answer.contains("servers: [R"))
            .count();
        assert!(
            decided > STEPS / 10,
            "only {decided} of the answers place or retire anything"
        );
        // Thousands of servers have the spare rooms without an order.
        for end in ["12:30", "10:00"].iter().filter(|_| servers < 100) {
            let orders = |answer: &String| answer.contains(&format!("to {end}"));
            let is_kept = recorded.iter().any(|(_, _, answer)| orders(answer));
            assert!(is_kept, "no server was ordered for the window to {end}, seed {seed}");
        }
        let mut again = module.start().unwrap();
        for (step, (told, question, answer)) in recorded.iter().enumerate() {
            assert_eq!(
                &ask_wasm(&mut again, told, question),
                answer,
                "replayed, seed {seed}, step {step}"
            );
        }
    }
}

fn native() -> BuiltIn {
    BuiltIn::new(SETTINGS_JSON).unwrap()
}

/// The advice to the last byte: its reasons, orders and their order.
fn ask_native(native: &mut BuiltIn, question: &Question) -> String {
    match question {
        Question::Place(room) => format!("{:?}", native.place(&room.ask()).unwrap()),
        Question::Scale(ask) => match ask.direction {
            Direction::Up => format!("Up({:?})", native.scale_up(ask).unwrap()),
            Direction::Down => format!("Down({:?})", native.scale_down(ask).unwrap()),
        },
    }
}

/// Tells what has changed and asks; what goes with a question for a room comes in the same call.
fn ask_wasm(wasm: &mut Rehearsal, told: &Snapshot, question: &Question) -> String {
    match question {
        Question::Place(room) => format!("{:?}", wasm.place(told, &room.ask()).advice.unwrap()),
        Question::Scale(ask) => {
            wasm.feed(told).unwrap();
            format!("{:?}", wasm.scale(ask).advice.unwrap())
        }
    }
}

#[derive(Debug)]
enum Question {
    Place(Room),
    Scale(ScaleAsk),
}

#[derive(Debug)]
struct Room {
    now: Timestamp,
    room: RoomId,
    seats: u32,
    expected_minutes: u32,
    region: &'static str,
    tenant: &'static str,
    labels: Labels,
    waited_seconds: u32,
    avoid: Option<ServerNo>,
}

impl Room {
    fn ask(&self) -> PlaceAsk<'_> {
        PlaceAsk {
            now: self.now,
            room: &self.room,
            seats: self.seats,
            load: self.seats,
            expected_minutes: self.expected_minutes,
            region: self.region,
            tenant: self.tenant,
            labels: &self.labels,
            waited_seconds: self.waited_seconds,
            avoid: self.avoid,
        }
    }
}

/// A fleet that lives faster than any real one: whatever may change does.
struct World {
    now: u32,
    cursor: u64,
    next_server: u32,
    next_pool: u32,
    servers_max: usize,
    /// The pools' numbers; each keeps its place and its name, and has another number when it comes back.
    pool_nos: [PoolNo; POOLS],
    pools: BTreeMap<PoolNo, (PoolRow, PoolStateRow)>,
    servers: BTreeMap<ServerNo, (ServerRow, UsageRow)>,
}

impl World {
    fn new(servers: usize, chance: &mut Chance) -> World {
        let mut world = World {
            now: 1_795_424_400,
            cursor: 0,
            next_server: 1,
            next_pool: 5,
            servers_max: 3 * servers,
            pool_nos: [1, 2, 3, 4].map(PoolNo),
            pools: BTreeMap::new(),
            servers: BTreeMap::new(),
        };
        for at in 0..POOLS {
            world.set_pool(at, chance);
        }
        for _ in 0..servers {
            world.add_server(chance);
        }
        world
    }

    fn snapshot(&mut self, rows: Vec<ViewChange>) -> Snapshot {
        self.cursor += 1;
        Snapshot {
            cursor: Cursor(self.cursor),
            now: Timestamp(u64::from(self.now) * 1_000),
            rows,
        }
    }

    fn whole(&self) -> Vec<ViewChange> {
        let pools = self
            .pools
            .values()
            .map(|(pool, _)| ViewChange::PoolSet(Arc::new(pool.clone())));
        let states = self
            .pools
            .values()
            .map(|(_, state)| ViewChange::PoolState(state.clone()));
        let servers = self
            .servers
            .values()
            .map(|(server, _)| ViewChange::ServerSet(server.clone()));
        let usages = self.servers.values().map(|(_, usage)| ViewChange::Usage(*usage));
        pools.chain(states).chain(servers).chain(usages).collect()
    }

    /// Lets some time pass and some things happen; returns the rows that changed, in the fleet's order.
    fn step(&mut self, chance: &mut Chance) -> Vec<ViewChange> {
        self.now += [0, 0, 1, 5, 40][chance.below(5)];
        let (mut pools, mut servers, mut usages, mut gone) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut pools_gone = Vec::new();
        if chance.below(300) == 0 {
            let at = chance.below(POOLS);
            let (no, its_servers) = self.remove_pool(at);
            pools_gone.push(ViewChange::PoolRemoved(no));
            gone.extend(its_servers);
            pools.extend(self.set_pool(at, chance));
        }
        for _ in 0..chance.below(6) {
            match chance.below(20) {
                0 => {
                    pools.extend(self.set_pool(chance.below(POOLS), chance));
                }
                1 | 2 => {
                    let no = self.pool_nos[chance.below(POOLS)];
                    pools.push(ViewChange::PoolState(self.set_pool_state(no, chance)));
                }
                3 | 4 if self.servers.len() < self.servers_max => {
                    let no = self.add_server(chance);
                    servers.push(ViewChange::ServerSet(self.servers[&no].0.clone()));
                    usages.push(no);
                }
                5 => {
                    if let Some(no) = self.any_server(chance) {
                        self.servers.remove(&no);
                        gone.push(no);
                    }
                }
                _ => {
                    if let Some(no) = self.any_server(chance) {
                        self.servers.get_mut(&no).unwrap().1 = usage(no, self.now, chance);
                        usages.push(no);
                    }
                }
            }
        }
        let usages = usages
            .iter()
            .filter_map(|no| Some(ViewChange::Usage(self.servers.get(no)?.1)));
        let servers = servers.into_iter().filter(|row| match row {
            ViewChange::ServerSet(row) => self.servers.contains_key(&row.no),
            _ => true,
        });
        let gone = gone.into_iter().map(ViewChange::ServerRemoved);
        let all = pools.into_iter().chain(servers).chain(usages).chain(gone);
        all.chain(pools_gone).collect()
    }

    /// Takes a pool out with its servers; returns their numbers. Another takes its place.
    fn remove_pool(&mut self, at: usize) -> (PoolNo, Vec<ServerNo>) {
        let no = std::mem::replace(&mut self.pool_nos[at], PoolNo(self.next_pool));
        self.next_pool += 1;
        self.pools.remove(&no);
        let gone = self.servers.extract_if(.., |_, (server, _)| server.pool == no);
        (no, gone.map(|(no, _)| no).collect())
    }

    fn any_server(&self, chance: &mut Chance) -> Option<ServerNo> {
        let at = chance.below(self.servers.len().max(1));
        self.servers.keys().nth(at).copied()
    }

    fn set_pool(&mut self, at: usize, chance: &mut Chance) -> [ViewChange; 2] {
        let no = self.pool_nos[at];
        let only = ["acme", "acme,umbrella"][chance.below(2)];
        let labels = if chance.below(4) == 0 {
            Labels::from([("only.tenant".to_owned(), only.to_owned())])
        } else {
            Labels::new()
        };
        let pool = PoolRow {
            no,
            name: format!("pool-{}", at + 1),
            region: REGIONS[chance.below(3)].to_owned(),
            zones: vec!["a".to_owned(), "b".to_owned()],
            instance_type: "8-core".to_owned(),
            market: ["on-demand", "spot"][chance.below(2)].to_owned(),
            automatic: chance.below(4) > 0,
            servers_min: 0,
            servers_max: 40,
            rooms_per_server: [0, 5, 10][chance.below(3)],
            seats_per_server: [0, 100, 500][chance.below(3)],
            load_per_server: [0, 0, 300][chance.below(3)],
            price_microdollars_per_hour: [131_000, 348_000, 361_000][chance.below(3)],
            labels,
        };
        let state = PoolStateRow {
            no,
            launchable: 0,
            retirable: 0,
            again: 0,
            code: "",
            boot_seconds: 70,
        };
        self.pools.insert(no, (pool.clone(), state));
        let state = self.set_pool_state(no, chance);
        [ViewChange::PoolSet(Arc::new(pool)), ViewChange::PoolState(state)]
    }

    fn set_pool_state(&mut self, no: PoolNo, chance: &mut Chance) -> PoolStateRow {
        let state = &mut self.pools.get_mut(&no).unwrap().1;
        state.launchable = u32::try_from(chance.below(6)).unwrap();
        state.retirable = u32::try_from(chance.below(6)).unwrap();
        state.code = if state.launchable == 0 { "circuit_open" } else { "" };
        state.clone()
    }

    fn add_server(&mut self, chance: &mut Chance) -> ServerNo {
        let no = ServerNo(self.next_server);
        self.next_server += 1;
        let pool = &self.pools[&self.pool_nos[chance.below(POOLS)]].0;
        let row = ServerRow {
            no,
            pool: pool.no,
            name: format!("{}-{}", pool.name, no.0).parse().unwrap(),
            zone: Some(["a", "b"][chance.below(2)].into()),
            rooms_max: pool.rooms_per_server,
            seats_max: pool.seats_per_server,
            load_max: pool.load_per_server,
            price_microdollars_per_hour: pool.price_microdollars_per_hour,
            started: self.now,
            labels: Default::default(),
        };
        self.servers.insert(no, (row, usage(no, self.now, chance)));
        no
    }

    fn question(&self, chance: &mut Chance, step: usize) -> Question {
        let now = Timestamp(u64::from(self.now) * 1_000);
        if chance.below(4) > 0 {
            return Question::Place(Room {
                now,
                waited_seconds: u32::try_from(chance.below(3)).unwrap(),
                room: format!("room-{step}").parse().unwrap(),
                seats: [0, 1, 6, 50, 120][chance.below(5)],
                expected_minutes: [0, 30][chance.below(2)],
                region: ["", REGIONS[0], REGIONS[1], "nowhere"][chance.below(4)],
                tenant: TENANTS[chance.below(3)],
                labels: Labels::from([("kind".to_owned(), "webinar".to_owned())]),
                avoid: (chance.below(5) == 0).then(|| self.any_server(chance)).flatten(),
            });
        }
        let direction = [Direction::Up, Direction::Down][chance.below(2)];
        let wants: Vec<Want> = (0..chance.below(4)).map(|_| want(chance)).collect();
        let demand = Demand {
            waiting_rooms: wants.iter().map(|want| want.rooms).sum(),
            waiting_seats: wants.iter().map(|want| want.seats).sum(),
            wants,
            rooms_last_minute: u32::try_from(chance.below(90)).unwrap(),
            seats_last_minute: u32::try_from(chance.below(900)).unwrap(),
        };
        Question::Scale(ScaleAsk {
            decision: DecisionNo(u32::try_from(step).unwrap()),
            now,
            direction,
            link: 0,
            spoken_for: Default::default(),
            demand: if direction == Direction::Up {
                demand
            } else {
                Demand::default()
            },
            verdicts: Vec::new(),
        })
    }
}

fn usage(no: ServerNo, now: u32, chance: &mut Chance) -> UsageRow {
    let small = |chance: &mut Chance, end: usize| u32::try_from(chance.below(end)).unwrap();
    let rooms = small(chance, 11) * small(chance, 2);
    let seats = rooms * small(chance, 30);
    UsageRow {
        no,
        phase: [
            PhaseView::Ready,
            PhaseView::Ready,
            PhaseView::Ready,
            PhaseView::Starting,
            PhaseView::Ending,
        ][chance.below(5)],
        hold: [
            HoldView::Free,
            HoldView::Free,
            HoldView::Free,
            HoldView::Cordoned,
            HoldView::Draining,
            HoldView::Leaving,
        ][chance.below(6)],
        health: [HealthView::Ok, HealthView::Ok, HealthView::Unknown, HealthView::Silent][chance.below(4)],
        since: now - small(chance, 300),
        rooms,
        seats,
        load: seats,
        seats_largest: seats.min(50),
        rooms_open_ended: small(chance, 2) * rooms.min(1),
        busy_until: if rooms == 0 { 0 } else { now + small(chance, 1_200) },
        newest_room: if rooms == 0 { 0 } else { now - small(chance, 600) },
        empty_since: if rooms == 0 { now - small(chance, 600) } else { 0 },
        reported: small(chance, 2) * now,
        participants: seats / 2,
        cpu_permille: small(chance, 1_000),
        egress_kbps: small(chance, 1_000_000),
    }
}

fn want(chance: &mut Chance) -> Want {
    let (rooms, each) = (
        1 + u32::try_from(chance.below(30)).unwrap(),
        [2, 12, 50][chance.below(3)],
    );
    Want {
        region: ["", REGIONS[0], REGIONS[2]][chance.below(3)].to_owned(),
        tenant: TENANTS[chance.below(3)].to_owned(),
        labels: Labels::new(),
        pool: (chance.below(4) == 0).then_some(PoolNo(2)),
        rooms,
        seats: rooms * each,
        load: rooms * each,
        seats_largest: each,
        load_largest: each,
        longest_wait_seconds: 3,
    }
}
