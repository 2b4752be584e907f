//! Records and events of every kind and shape.

use std::collections::BTreeMap;

use usher_fleet::Record;
use usher_fleet::decision::DecisionNote;
use usher_fleet::event::{
    BudgetNear, Event, FreezeEvent, PolicyEventBody, PoolEvent, RoomEnded, RoomMoved, RoomPlaced, RoomWaiting,
    ScaleRefused, ScaleWanted, ServerEvent, ServerFailed, What,
};
use usher_fleet::ids::{Attempt, PlacementNo, PoolName, PoolNo, QueueNo, RoomId, ServerName, ServerNo};
use usher_fleet::pool::{Circuit, Open, PoolBill, PoolRecord};
use usher_fleet::record::Meta;
use usher_fleet::room::{Moving, Placed, RoomRecord, RoomState, RoomWish, Waiting};
use usher_fleet::server::{
    AgentToken, BootPhase, Booting, Cordoned, Draining, Failed, Hold, HoldOwner, Launching, Lost, Phase, Ready,
    Requested, ServerRecord, Terminating,
};
use usher_fleet::units::{Microdollars, Timestamp};

pub(super) fn room(id: &str, seats: u32) -> RoomRecord {
    RoomRecord {
        id: id.parse().unwrap(),
        wish: RoomWish {
            seats: Some(seats),
            load: None,
            expected_minutes: Some(45),
            region: Some("eu-central-1".to_owned()),
            tenant: Some("acme".parse().unwrap()),
            labels: BTreeMap::from([("größe".to_owned(), "\"\\\n\u{0}😀".to_owned())]),
            require: BTreeMap::new(),
        },
        lease_seconds: Some(30),
        created: Timestamp(u64::MAX),
        failures: 0,
        state: RoomState::Waiting(Waiting {
            since: Timestamp(1),
            queue: QueueNo(u64::MAX),
            expires: Timestamp(2),
        }),
    }
}

pub(super) fn rooms() -> Vec<Record> {
    let note = DecisionNote {
        policy: usher_fleet::decision::PolicyRef {
            name: "50-pack".into(),
            version: "0.1.0".into(),
        },
        reason: Some("fullest server with room".to_owned()),
    };
    let placed = RoomState::Placed(Placed {
        server: ServerNo(7),
        placement: PlacementNo(u64::MAX),
        at: Timestamp(5),
        seats: 50,
        load: 100,
        decision: note,
    });
    let moving = RoomState::Moving(Moving {
        from: ServerNo(7),
        placement: PlacementNo(3),
        since: Timestamp(6),
        queue: QueueNo(1),
    });
    let rooms = [
        room("a", 1),
        RoomRecord {
            state: placed,
            ..room("b", 2)
        },
        RoomRecord {
            state: moving,
            lease_seconds: None,
            ..room("c", 3)
        },
    ];
    rooms.map(|room| Record::Room(Box::new(room))).into()
}

pub(super) fn servers() -> Vec<Record> {
    let since = Timestamp(9);
    let reason = "its \"reason\"".to_owned();
    let phases = [
        Phase::Requested(Requested { since }),
        Phase::Launching(Launching { since, deadline: since }),
        Phase::Booting(Booting { since, deadline: None }),
        Phase::Ready(Ready { since }),
        Phase::Failed(Failed {
            since,
            reason: reason.clone(),
            last_phase: BootPhase::Booting,
            has_ended: true,
            is_kept: false,
        }),
        Phase::Terminating(Terminating {
            since,
            reason: reason.clone(),
        }),
    ];
    let holds = [
        None,
        Some(Hold::Cordoned(Cordoned {
            owner: HoldOwner::Operator,
            reason: reason.clone(),
            since,
            until: None,
        })),
        Some(Hold::Draining(Draining {
            owner: HoldOwner::Spot,
            reason: reason.clone(),
            since,
            deadline: Some(since),
        })),
    ];
    let server = |(no, (phase, hold)): (u32, (Phase, Option<Hold>))| {
        Record::Server(Box::new(ServerRecord {
            no: ServerNo(no),
            name: format!("demo-{no}").parse().unwrap(),
            pool: "demo".parse().unwrap(),
            attempt: Attempt(2),
            instance: Some("i-0".to_owned()),
            url: None,
            endpoints: BTreeMap::from([("admin".to_owned(), "http://127.0.0.1:1".to_owned())]),
            zone: Some("a".into()),
            limits: usher_fleet::config::Limits {
                rooms_max: Some(10),
                ..Default::default()
            },
            labels: Default::default(),
            price_per_hour: Microdollars(348_000),
            offer: (no % 2 == 0).then(|| usher_fleet::config::Offer {
                instance_type: "c5a.2xlarge".to_owned(),
                market: "spot".to_owned(),
                zone: "a".to_owned(),
                price_per_hour: Microdollars(348_000),
            }),
            created: since,
            phase,
            lost: hold.is_none().then(|| Lost {
                since,
                reason: reason.clone(),
            }),
            hold,
            token: AgentToken {
                generation: no,
                is_taken: no == 2,
            },
            left: no == 3,
        }))
    };
    let holds = holds.into_iter().cycle();
    (0..).zip(phases.into_iter().zip(holds)).map(server).collect()
}

pub(super) fn pools() -> Vec<Record> {
    let open = Circuit::Open(Open {
        until: Timestamp(10),
        seconds: 300,
    });
    let pool = |(no, circuit)| {
        Record::Pool(Box::new(PoolRecord {
            no: PoolNo(no),
            name: format!("pool-{no}").parse().unwrap(),
            automatic: true,
            scaling_enabled: false,
            is_unlisted: no == 1,
            has_found_others: no == 2,
            servers_wanted: 3,
            circuit,
            boots: vec![true, false],
            boot_millis: vec![70_000],
            scaled_up: Timestamp(1),
            scaled_down: Timestamp(2),
            bill: PoolBill::default(),
        }))
    };
    [(1, Circuit::Closed), (2, open)].map(pool).into()
}

pub(super) fn meta() -> Record {
    Record::Meta(Meta {
        next_server: ServerNo(8),
        servers_elsewhere: vec![(ServerNo(3), ServerNo(5))],
        next_pool: PoolNo(3),
        placements_reserved: PlacementNo(1024),
        now: Timestamp(11),
    })
}

pub(super) fn released(at: u64, room: &str) -> Event {
    Event {
        at: Timestamp(at),
        what: What::RoomReleased(RoomEnded {
            room: room.parse().unwrap(),
            placement: Some(PlacementNo(at)),
            server: None,
            tenant: None,
            reason: "the app released it".to_owned(),
        }),
    }
}

pub(super) fn events_of_every_shape() -> Vec<Event> {
    let told = |what| Event {
        at: Timestamp(20),
        what,
    };
    let others = of_rooms_and_servers().into_iter().chain(of_pools_and_policies());
    std::iter::once(released(20, "a")).chain(others.map(told)).collect()
}

fn of_rooms_and_servers() -> [What; 5] {
    let (room, pool): (RoomId, PoolName) = ("a".parse().unwrap(), "demo".parse().unwrap());
    let server: ServerName = "demo-1".parse().unwrap();
    let reason = String::from("why");
    let lost = ServerEvent {
        server: server.clone(),
        pool: pool.clone(),
        instance: Some("i-0".to_owned()),
        offer: None,
        price_per_hour: Microdollars(u64::MAX),
        rooms: 4,
        reason: reason.clone(),
    };
    [
        What::RoomPlaced(RoomPlaced {
            room: room.clone(),
            placement: PlacementNo(u64::MAX),
            server: server.clone(),
            pool: pool.clone(),
            seats: 50,
            tenant: Some("acme".parse().unwrap()),
            waited_seconds: 3,
            policy: "standard".into(),
            reason: None,
        }),
        What::RoomWaiting(RoomWaiting {
            room: room.clone(),
            seats: None,
            region: Some("x".to_owned()),
            tenant: None,
            reason: reason.clone(),
        }),
        What::RoomMoved(RoomMoved {
            room,
            from: server.clone(),
            to: None,
            url: None,
            placement: PlacementNo(1),
            tenant: None,
            reason: reason.clone(),
        }),
        What::ServerLost(lost.clone()),
        What::ServerFailed(ServerFailed {
            server: lost,
            last_phase: Some(BootPhase::Launching),
            console: Some("login:\n".to_owned()),
            is_kept: true,
        }),
    ]
}

fn of_pools_and_policies() -> [What; 6] {
    let (server, pool): (ServerName, PoolName) = ("demo-1".parse().unwrap(), "demo".parse().unwrap());
    let reason = String::from("why");
    [
        What::ScaleWanted(ScaleWanted {
            pool: pool.clone(),
            servers_wanted: 2,
            before: 1,
            servers: vec![server],
            price_per_hour: Microdollars(1),
            policy: "standard".into(),
            reason: reason.clone(),
        }),
        What::ScaleRefused(ScaleRefused {
            pool: pool.clone(),
            policy: "standard".into(),
            asked: 9,
            granted: 0,
            code: "servers_max".to_owned(),
            offer: None,
            price_per_hour: Microdollars(1),
            reason: reason.clone(),
        }),
        What::CircuitOpened(PoolEvent {
            pool,
            server: "demo-1".parse().ok(),
            offer: None,
            price_per_hour: Microdollars(7),
            reason: reason.clone(),
        }),
        What::Frozen(FreezeEvent {
            pool: None,
            silent: 5,
            servers: 9,
            reason: reason.clone(),
        }),
        What::BudgetNear(BudgetNear {
            key: "fleet_dollars_per_hour_max".to_owned(),
            used: Microdollars(9),
            max: Microdollars(10),
            reason: reason.clone(),
        }),
        What::PolicyFault(PolicyEventBody {
            policy: "vip".into(),
            version: "".into(),
            sha256: "00".into(),
            step: "place".to_owned(),
            reason,
        }),
    ]
}
