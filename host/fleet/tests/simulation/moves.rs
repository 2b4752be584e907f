//! What may happen next: clients, operators, providers, time, and the process itself.

use std::collections::BTreeMap;
use std::time::Duration;

use usher_fleet::command::{
    Command, DeclareLost, FailRoom, HoldAction, HoldServer, PlaceRoom, RegisterServer, ReleaseRoom, RemoveServer,
    SetScaling, UpdateRoom,
};
use usher_fleet::config::Limits;
use usher_fleet::ids::{PlacementNo, RoomId, ServerName, Tenant};
use usher_fleet::room::RoomWish;
use usher_fleet::{Input, Observation};

use super::chance::Chance;
use super::shapes;
use super::world::World;

/// What a room asks for.
pub(crate) fn wish(chance: &mut Chance) -> RoomWish {
    let region = match chance.below(20) {
        0..=9 => None,
        10..=18 => Some(shapes::REGIONS[chance.index(2)].to_owned()),
        _ => Some(shapes::REGIONS[2].to_owned()),
    };
    let tenant = chance.one_in(3).then(|| shapes::TENANTS[chance.index(2)]);
    RoomWish {
        seats: chance.maybe(4, 0, 40),
        load: if chance.one_in(5) {
            Some(chance.between(0, 90))
        } else {
            None
        },
        expected_minutes: chance.maybe(2, 1, 90),
        region,
        tenant: tenant.map(|tenant| tenant.parse().expect("a valid id")),
        labels: shapes::labels(chance),
        require: if chance.one_in(5) {
            shapes::labels(chance)
        } else {
            BTreeMap::new()
        },
    }
}

impl World {
    /// One step: time passes, perhaps, and something happens.
    pub(crate) fn step(&mut self) {
        self.pass_time();
        if self.chance.percent(90) {
            self.tick();
        }
        let pause = self.model.config.silent_after / 3;
        if self.now.since(self.pulsed) > pause {
            self.pulse();
        }
        match self.chance.below(100) {
            0..=29 => self.place_a_room(),
            30..=37 => self.update_a_room(),
            38..=49 => self.release_a_room(),
            50 | 51 => self.fail_a_room(),
            52..=55 => self.register_a_server(),
            56..=60 => self.hold_a_server(),
            61 => self.remove_a_server(),
            62..=67 => self.report_anything(),
            68..=92 => self.deliver(),
            93 => self.switch(),
            94 => self.reconfigure(),
            95 => self.mute(),
            96..=98 => self.cloud_changes(),
            _ => self.mishap(),
        }
        if self.chance.percent(40) {
            self.end_batch();
        }
        if self.chance.percent(50) {
            self.sync();
        }
    }

    fn pass_time(&mut self) {
        let millis = match self.chance.below(200) {
            0..=119 => self.chance.below(120),
            120..=189 => self.chance.below(1_000),
            190..=196 => self.chance.below(10_000),
            197 | 198 => self.chance.below(60_000),
            _ => self.chance.below(15 * 60_000),
        };
        self.now = self.now + Duration::from_millis(millis);
        let (faults, now) = (self.faults, self.now);
        self.cloud.arrive(faults, now, &mut self.chance);
        if millis > 30_000 && self.chance.one_in(2) {
            self.observe(Observation::Gap);
        }
    }

    fn room_name(&mut self) -> RoomId {
        let number = self.chance.between(0, self.room_names);
        format!("r{number}").parse().expect("a valid id")
    }

    fn place_a_room(&mut self) {
        let room = self.room_name();
        let mut wish = match self.chance.percent(85) {
            true => self.chance.pick(&self.wishes).cloned().expect("there are some"),
            false => wish(&mut self.chance),
        };
        if let Some(known) = self.model.rooms.get(&room).filter(|_| self.chance.percent(90)) {
            wish.tenant = known.wish.tenant.clone();
        }
        let lease_seconds = if self.chance.one_in(4) {
            Some(self.chance.between(0, 400))
        } else {
            None
        };
        self.command(Command::PlaceRoom(PlaceRoom {
            room,
            wish,
            lease_seconds,
        }));
    }

    fn tenant(&mut self, room: &RoomId) -> Option<Tenant> {
        match self.chance.below(4) {
            0 => shapes::TENANTS[self.chance.index(2)].parse().ok(),
            1 => self.model.rooms.get(room).and_then(|room| room.wish.tenant.clone()),
            _ => None,
        }
    }

    fn update_a_room(&mut self) {
        let room = self.room_name();
        let update = UpdateRoom {
            tenant: self.tenant(&room),
            participants: self.chance.maybe(3, 0, 30),
            seats: self.chance.maybe(2, 0, 60),
            room,
        };
        self.command(Command::UpdateRoom(update));
    }

    fn release_a_room(&mut self) {
        let room = self.room_name();
        let placement = match self.chance.below(5) {
            0 => Some(PlacementNo(self.chance.below(40))),
            1 | 2 => self.model.placed(&room).map(|placed| placed.placement),
            _ => None,
        };
        let release = ReleaseRoom {
            tenant: self.tenant(&room),
            placement,
            room,
        };
        self.command(Command::ReleaseRoom(release));
    }

    fn fail_a_room(&mut self) {
        let room = self.room_name();
        let placement = match self.chance.below(3) {
            0 => Some(PlacementNo(self.chance.below(40))),
            1 => self.model.placed(&room).map(|placed| placed.placement),
            _ => None,
        };
        let fail = FailRoom {
            tenant: self.tenant(&room),
            placement,
            room,
            reason: "the media server said no".into(),
        };
        self.command(Command::FailRoom(fail));
    }

    pub(crate) fn server_name(&mut self) -> ServerName {
        let names: Vec<ServerName> = self.model.servers.values().map(|server| server.name.clone()).collect();
        match self.chance.percent(95) {
            true => self.chance.pick(&names).cloned(),
            false => None,
        }
        .unwrap_or_else(|| "nobody".parse().expect("a valid id"))
    }

    fn register_a_server(&mut self) {
        let external: Vec<_> = self.all_pools.iter().filter(|pool| !pool.automatic).collect();
        let pool = match self.chance.percent(95) {
            true => self.chance.pick(&external).map(|pool| pool.name.clone()),
            false => None,
        };
        let Some(pool) = pool.or_else(|| "p0".parse().ok()) else {
            return;
        };
        // Sometimes a name that the fleet itself might give, or has given.
        let name = match self.chance.one_in(10) {
            true => format!("p0-{}", self.chance.between(1, 40)),
            false => format!("x{}", self.chance.between(0, 4)),
        };
        let chance = &mut self.chance;
        let command = RegisterServer {
            server: name.parse().expect("a valid id"),
            pool,
            url: format!("wss://{name}-{}.test", chance.between(0, 1)),
            endpoints: BTreeMap::new(),
            zone: None,
            limits: Limits {
                rooms_max: if chance.one_in(3) {
                    Some(chance.between(0, 6))
                } else {
                    None
                },
                seats_max: if chance.one_in(3) {
                    Some(chance.between(10, 90))
                } else {
                    None
                },
                load_max: None,
            },
            labels: shapes::labels(chance),
        };
        self.command(Command::RegisterServer(command));
    }

    fn hold_a_server(&mut self) {
        let deadline = self.chance.maybe(2, 0, 200);
        let action = match self.chance.below(7) {
            0 | 1 => HoldAction::Cordon,
            2 => HoldAction::Drain {
                deadline: deadline.map(|seconds| Duration::from_secs(seconds.into())),
            },
            _ => HoldAction::Uncordon,
        };
        let server = self.server_name();
        self.command(Command::HoldServer(HoldServer {
            server,
            action,
            reason: None,
        }));
    }

    fn remove_a_server(&mut self) {
        let server = self.server_name();
        if self.chance.one_in(4) {
            return self.command(Command::DeclareLost(DeclareLost { server, reason: None }));
        }
        let force = self.chance.one_in(3);
        self.command(Command::RemoveServer(RemoveServer { server, force }));
    }

    fn switch(&mut self) {
        let pools: Vec<_> = self.all_pools.iter().map(|pool| pool.name.clone()).collect();
        let Some(pool) = self.chance.pick(&pools).cloned() else {
            return;
        };
        let enabled = !self.chance.one_in(3);
        self.command(Command::SetScaling(SetScaling { pool, enabled }));
    }

    fn reconfigure(&mut self) {
        let config = shapes::changed(&mut self.chance, &self.model.config, &self.all_pools);
        self.observe(Observation::Configured(Box::new(config)));
    }

    fn mute(&mut self) {
        if self.chance.one_in(2) {
            self.muted.clear();
        } else if self.chance.one_in(6) {
            self.muted = self.model.servers.values().map(|server| server.name.clone()).collect();
        } else {
            let server = self.server_name();
            self.muted.insert(server);
        }
    }

    /// What is under way arrives, some of it.
    pub(crate) fn deliver(&mut self) {
        if let Some(observation) = self.cloud.take_due(self.now, &mut self.chance) {
            self.observe(observation);
        }
    }

    pub(crate) fn live(&mut self, steps: u64) {
        while self.steps < steps {
            self.step();
        }
        self.input(Input::Tick);
    }
}
