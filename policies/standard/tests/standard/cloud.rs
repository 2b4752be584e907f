//! A cloud of a few lines, and the fleet's books: enough to let the three decisions work together, tick by tick.

use std::collections::BTreeMap;

use usher_sdk::{
    Change, Demand, Health, Hold, Instance, Level, Moment, Phase, Placement, Pool, PoolState, RoomRequest, ServerId,
    ServerRow, Timestamp, Usage, Want,
};
use usher_standard::Standard;

pub(crate) const BOOT_SECONDS: u32 = 90;
pub(crate) const TICK_SECONDS: u32 = 10;
pub(crate) const ROOMS_PER_SERVER: u32 = 10;

/// As many as the cloud has.
const SERVERS_MAX: u32 = 100;

/// One pool, `eu`, in a region of that name.
pub(crate) struct Cloud {
    policy: Instance<Standard>,
    pub(crate) now: Timestamp,
    decision: u32,
    pub(crate) servers: BTreeMap<ServerId, Machine>,
    pub(crate) servers_ever: u32,
    pub(crate) server_seconds: u64,
    waiting: Vec<Room>,
    /// How long each room waited.
    pub(crate) waits: Vec<u32>,
}

pub(crate) struct Machine {
    pub(crate) usage: Usage,
    ready_at: Timestamp,
    /// When each of its rooms ends.
    rooms: Vec<Room>,
}

#[derive(Clone, Copy)]
pub(crate) struct Room {
    pub(crate) asked: Timestamp,
    pub(crate) ends: Timestamp,
    pub(crate) says_when: bool,
}

impl Cloud {
    /// Begins at this time, with these settings.
    pub(crate) fn new(settings_toml: &str, now: Timestamp) -> Self {
        let settings: toml::Table = toml::from_str(settings_toml).unwrap();
        let settings = serde_json::to_string(&settings).unwrap();
        let mut policy = Instance::configure(&settings, Level::Info).unwrap();
        let pool = Pool {
            id: 1,
            name: "eu".into(),
            region: "eu".into(),
            zones: vec![],
            instance_type: String::new(),
            market: String::new(),
            automatic: true,
            servers_min: 0,
            servers_max: SERVERS_MAX,
            rooms_per_server: ROOMS_PER_SERVER,
            seats_per_server: 0,
            load_per_server: 0,
            price_microdollars_per_hour: 348_000,
            labels: vec![],
        };
        policy.update(now, vec![Change::PoolSet(pool)]);
        let (servers, waiting, waits) = (BTreeMap::new(), vec![], vec![]);
        Cloud {
            policy,
            now,
            decision: 0,
            servers,
            servers_ever: 0,
            server_seconds: 0,
            waiting,
            waits,
        }
    }

    fn tell(&mut self, change: Change) {
        self.policy.update(self.now, vec![change]);
    }

    /// Tells the policy how a server stands.
    fn tell_usage(&mut self, id: ServerId) {
        let machine = self.servers.get_mut(&id).unwrap();
        let open_ended = machine.rooms.iter().filter(|room| !room.says_when).count();
        machine.usage.rooms = machine.rooms.len() as u32;
        machine.usage.empty_since = match machine.usage.empty_since {
            _ if !machine.rooms.is_empty() => 0,
            0 => self.now,
            since => since,
        };
        machine.usage.rooms_open_ended = open_ended as u32;
        machine.usage.busy_until = machine.rooms.iter().map(|room| room.ends).max().unwrap_or(0);
        self.policy.usages(&[machine.usage]).unwrap();
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

    /// Tells what the guards allow; how long a boot takes is known from the first on.
    fn tell_pool(&mut self) {
        let boots = self.servers.values().any(|machine| machine.usage.phase == Phase::Ready);
        let (running, boot_seconds) = (self.servers.len() as u32, if boots { BOOT_SECONDS } else { 0 });
        self.tell(Change::PoolState(PoolState {
            id: 1,
            launchable: SERVERS_MAX - running,
            retirable: running,
            again: 0,
            code: String::new(),
            boot_seconds,
        }));
    }

    fn scale(&mut self) {
        self.decision += 1;
        self.tell_pool();
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
    pub(crate) fn tick(&mut self, rooms: &[Room]) {
        let ids: Vec<_> = self.servers.keys().copied().collect();
        for id in ids {
            let (now, machine) = (self.now, self.servers.get_mut(&id).unwrap());
            machine.rooms.retain(|room| room.ends > now);
            if machine.usage.phase == Phase::Starting && machine.ready_at <= now {
                machine.usage = Usage {
                    phase: Phase::Ready,
                    health: Health::Ok,
                    since: now,
                    empty_since: now,
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
