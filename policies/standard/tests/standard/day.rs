//! A day in the office, minute by minute: the three decisions together, on a cloud of a few lines.

#![expect(clippy::unwrap_used, reason = "all of this file is a test")]

use std::collections::BTreeMap;

use usher_sdk::{
    Change, Demand, Health, Hold, Instance, Level, Moment, Phase, Placement, Pool, RoomRequest, ServerId, ServerRow,
    Timestamp, Usage, Want,
};
use usher_standard::Standard;

const BOOT_SECONDS: u32 = 90;
const TICK_SECONDS: u32 = 10;
const ROOMS_PER_SERVER: u32 = 10;

/// A cloud, and the fleet's books.
struct Cloud {
    policy: Instance<Standard>,
    now: Timestamp,
    seq: u32,
    decision: u32,
    servers: BTreeMap<ServerId, Machine>,
    servers_ever: u32,
    server_seconds: u64,
    waiting: Vec<Room>,
    /// How long each room waited.
    waits: Vec<u32>,
}

struct Machine {
    usage: Usage,
    ready_at: Timestamp,
    /// When each of its rooms ends.
    rooms: Vec<Room>,
}

#[derive(Clone, Copy)]
struct Room {
    asked: Timestamp,
    ends: Timestamp,
    says_when: bool,
}

impl Cloud {
    fn new() -> Self {
        let mut policy = Instance::configure("{}", Level::Info).unwrap();
        let pool = Pool {
            id: 1,
            name: "eu".into(),
            region: "eu".into(),
            zones: vec![],
            instance_type: String::new(),
            market: String::new(),
            automatic: true,
            servers_min: 0,
            servers_max: 100,
            rooms_per_server: ROOMS_PER_SERVER,
            seats_per_server: 0,
            load_per_server: 0,
            price_microdollars_per_hour: 348_000,
            labels: vec![],
        };
        policy.update(1_000, 0, vec![Change::PoolSet(pool)]).unwrap();
        let (servers, waiting, waits) = (BTreeMap::new(), vec![], vec![]);
        Cloud {
            policy,
            now: 1_000,
            seq: 0,
            decision: 0,
            servers,
            servers_ever: 0,
            server_seconds: 0,
            waiting,
            waits,
        }
    }

    fn tell(&mut self, change: Change) {
        self.seq += 1;
        self.policy.update(self.now, self.seq, vec![change]).unwrap();
    }

    /// Tells the policy how a server stands.
    fn tell_usage(&mut self, id: ServerId) {
        let machine = self.servers.get_mut(&id).unwrap();
        let open_ended = machine.rooms.iter().filter(|room| !room.says_when).count();
        machine.usage.rooms = machine.rooms.len() as u32;
        machine.usage.empty_since = if machine.rooms.is_empty() { self.now } else { 0 };
        machine.usage.rooms_open_ended = open_ended as u32;
        machine.usage.busy_until = machine.rooms.iter().map(|room| room.ends).max().unwrap_or(0);
        self.seq += 1;
        self.policy.usages(self.now, self.seq, &[machine.usage]).unwrap();
    }

    fn ask(&mut self, room: Room) {
        let minutes = if room.says_when {
            (room.ends - room.asked) / 60
        } else {
            0
        };
        let request = RoomRequest {
            region: "eu".into(),
            expected_minutes: minutes,
            ..RoomRequest::new("r", 5)
        };
        match self.policy.place(&request, Moment::at(self.now)).placement {
            Placement::On(id) => {
                let machine = self.servers.get_mut(&id).unwrap();
                assert_eq!((machine.usage.phase, machine.usage.hold), (Phase::Ready, Hold::Free));
                machine.rooms.push(room);
                machine.usage.newest_room = self.now;
                assert!(machine.rooms.len() <= ROOMS_PER_SERVER as usize);
                self.waits.push(self.now - room.asked);
                self.tell_usage(id);
            }
            Placement::Wait(_) => self.waiting.push(room),
            Placement::Reject | Placement::Defer => panic!("not the standard policy's to say"),
        }
    }

    fn scale(&mut self) {
        self.decision += 1;
        let moment = Moment {
            now: self.now,
            seed: 0,
            decision: self.decision,
        };
        let want = Want {
            region: "eu".into(),
            ..Want::new(self.waiting.len() as u32, 5)
        };
        let wants = if self.waiting.is_empty() { vec![] } else { vec![want] };
        let more: u32 = self
            .policy
            .scale_up(&Demand::of(wants), moment)
            .iter()
            .map(|growth| growth.servers)
            .sum();
        for _ in 0..more {
            self.launch();
        }
        let fewer = self.policy.scale_down(moment);
        for retirement in fewer.iter().flat_map(|shrinkage| &shrinkage.servers) {
            self.servers.get_mut(&retirement.server).unwrap().usage.hold = Hold::Draining;
            self.tell_usage(retirement.server);
        }
    }

    /// Resumes a draining server, as the host would, or launches one.
    fn launch(&mut self) {
        let draining = self
            .servers
            .iter_mut()
            .find(|(_, machine)| machine.usage.hold == Hold::Draining);
        if let Some((id, machine)) = draining {
            machine.usage.hold = Hold::Free;
            let id = *id;
            return self.tell_usage(id);
        }
        self.servers_ever += 1;
        let id = self.servers_ever;
        self.tell(Change::ServerSet(ServerRow {
            id,
            pool: 1,
            name: format!("s-{id}"),
            zone: String::new(),
            rooms_max: ROOMS_PER_SERVER,
            seats_max: 0,
            load_max: 0,
            price_microdollars_per_hour: 348_000,
            started: self.now,
            labels: vec![],
        }));
        let usage = Usage {
            since: self.now,
            ..*self.policy.fleet().server(id).unwrap().usage()
        };
        self.servers.insert(
            id,
            Machine {
                usage,
                ready_at: self.now + BOOT_SECONDS,
                rooms: vec![],
            },
        );
        self.tell_usage(id);
    }

    /// Lets one tick pass, in which these rooms are asked for.
    fn tick(&mut self, rooms: &[Room]) {
        let ids: Vec<_> = self.servers.keys().copied().collect();
        for id in ids {
            let (now, machine) = (self.now, self.servers.get_mut(&id).unwrap());
            machine.rooms.retain(|room| room.ends > now);
            if machine.usage.phase == Phase::Starting && machine.ready_at <= now {
                machine.usage = Usage {
                    phase: Phase::Ready,
                    health: Health::Ok,
                    since: now,
                    ..machine.usage
                };
            }
            let is_gone = machine.usage.hold == Hold::Draining && machine.rooms.is_empty();
            self.tell_usage(id);
            if is_gone {
                self.servers.remove(&id);
                self.tell(Change::ServerRemoved(id));
            }
        }
        for room in std::mem::take(&mut self.waiting) {
            self.ask(room);
        }
        for room in rooms {
            self.ask(*room);
        }
        self.scale();
        self.server_seconds += self.servers.len() as u64 * u64::from(TICK_SECONDS);
        self.now += TICK_SECONDS;
    }
}

/// Rooms of 20 to 80 minutes: few in the morning, many at noon, few in the evening; at most one a boot, but for bursts on the hour.
fn office_day(cloud: &mut Cloud, says_when: bool) -> u64 {
    let mut seed = 7_u32;
    let mut room_seconds = 0;
    for tick in 0..8 * 360_u32 {
        let is_lunch = (1_000..1_800).contains(&tick);
        let count = match tick % 360 {
            0 if tick > 0 => 4,
            at if at % if is_lunch { 9 } else { 18 } == 1 => 1,
            _ => 0,
        };
        let rooms: Vec<_> = (0..count)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let seconds = (20 + (seed >> 8) % 60) * 60;
                room_seconds += u64::from(seconds);
                Room {
                    asked: cloud.now,
                    ends: cloud.now + seconds,
                    says_when,
                }
            })
            .collect();
        cloud.tick(&rooms);
    }
    room_seconds
}

#[test]
fn only_the_first_rooms_of_the_day_wait_and_the_night_costs_nothing() {
    for says_when in [false, true] {
        let mut cloud = Cloud::new();
        let room_seconds = office_day(&mut cloud, says_when);
        let waited = cloud.waits.iter().filter(|wait| **wait > 0).count();
        let longest = cloud.waits.iter().copied().max().unwrap();
        let most = cloud.waits.len() / 50;
        assert!(
            waited <= most,
            "{waited} of {} rooms waited, of whom {most} may",
            cloud.waits.len()
        );
        assert!(
            longest <= BOOT_SECONDS + TICK_SECONDS,
            "the longest wait was {longest} s"
        );

        let share = room_seconds * 100 / (cloud.server_seconds * u64::from(ROOMS_PER_SERVER));
        assert!(share >= 50, "servers were {share} % full over the day");
        for _ in 0..2 * 360 {
            cloud.tick(&[]);
        }
        assert_eq!(cloud.servers.len(), 0, "nobody is there any more");
    }
}

#[test]
fn a_burst_on_nothing_waits_for_one_boot_only() {
    let mut cloud = Cloud::new();
    let room = Room {
        asked: cloud.now,
        ends: cloud.now + 3_600,
        says_when: false,
    };
    cloud.tick(&[room; 23]);
    assert_eq!(cloud.servers_ever, 3);
    for _ in 0..20 {
        cloud.tick(&[]);
    }
    assert_eq!((cloud.waits.len(), cloud.servers_ever), (23, 3));
    assert!(cloud.waits.iter().all(|wait| *wait <= BOOT_SECONDS + TICK_SECONDS));
    for _ in 0..400 {
        cloud.tick(&[]);
    }
    assert_eq!(cloud.servers.len(), 0);
}
