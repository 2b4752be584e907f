//! Each example file, read as the host reads it, and doing what its comments say. Windows have a week of their own in
//! [`office_hours`](crate::office_hours).

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use usher_sdk::{
    Demand, Fleet, FleetBuilder, Instance, Level, Moment, Place, Placement, Policy, RoomRequest, ScaleDown, ScaleUp,
    ServerSketch, Timestamp, Want,
};
use usher_standard::Standard;

const NOW: Timestamp = 100_000;

/// Turns a file into what the host hands over.
fn json(toml: &str) -> String {
    let table: toml::Table = toml::from_str(toml).unwrap();
    serde_json::to_string(&table).unwrap()
}

fn standard(toml: &str) -> Standard {
    Standard::new(serde_json::from_str(&json(toml)).unwrap()).unwrap()
}

#[test]
fn every_example_is_taken_and_has_a_test() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let toml = fs::read_to_string(&path).unwrap();
        let configured = Instance::<Standard>::configure(&json(&toml), Level::Info);
        assert!(configured.is_ok(), "{}: {configured:?}", path.display());
        names.insert(path.file_name().unwrap().to_string_lossy().into_owned());
    }
    let tested = [
        "marks.toml",
        "office-hours.toml",
        "pools.toml",
        "prefer.toml",
        "regions.toml",
    ];
    assert_eq!(names, tested.map(str::to_owned).into());
}

/// Adds a pool of ten rooms a server.
fn pool(fleet: FleetBuilder, name: &str, region: &str, price: u32) -> FleetBuilder {
    fleet.at(NOW).pool(name, |pool| {
        (pool.region, pool.rooms_per_server, pool.price_microdollars_per_hour) = (region.into(), 10, price);
        pool.market = if name.ends_with("spot") { "spot" } else { "on-demand" }.into();
    })
}

fn rooms(rooms: u32) -> impl Fn(&mut ServerSketch) {
    move |server| (server.usage.rooms, server.usage.rooms_open_ended) = (rooms, rooms)
}

/// Asks where a room of this region goes: a server's name, or `wait POOL`.
fn place(policy: &Standard, fleet: FleetBuilder, region: &str) -> String {
    let fleet = fleet.build();
    let room = RoomRequest {
        region: region.into(),
        ..RoomRequest::new("standup-42", 50)
    };
    match policy.place(&room, &fleet, Moment::at(NOW)).placement {
        Placement::On(server) => fleet.server(server).unwrap().name().into(),
        Placement::Wait(wait) => format!("wait {}", wait.pool.map_or("", |pool| &fleet.pool(pool).unwrap().name)),
        Placement::Reject | Placement::Defer => "neither is the standard policy's to say".into(),
    }
}

/// Asks for more servers while so many rooms of this region wait: `POOL+SERVERS` for each that grows, by the pools' ids.
fn grow(policy: &mut Standard, fleet: FleetBuilder, region: &str, waiting: u32) -> String {
    let fleet = fleet.build();
    let want = Want {
        region: region.into(),
        ..Want::new(waiting, 50)
    };
    let demand = Demand::of(if waiting > 0 { vec![want] } else { vec![] });
    let mut growths = policy.scale_up(&demand, &fleet, Moment::at(NOW));
    growths.retain(|growth| growth.servers > 0);
    growths.sort_by_key(|growth| growth.pool);
    let shown = growths
        .iter()
        .map(|growth| format!("{}+{}", fleet.pool(growth.pool).unwrap().name, growth.servers));
    shown.collect::<Vec<_>>().join(" ")
}

/// Asks who goes: the names, by the pools' ids and then in the order in which they go.
fn shrink(policy: &mut Standard, fleet: FleetBuilder) -> String {
    let fleet = fleet.build();
    let shrinkages = policy.scale_down(&fleet, Moment::at(NOW));
    let gone = shrinkages.iter().flat_map(|shrinkage| &shrinkage.servers);
    let names = gone.map(|gone| fleet.server(gone.server).unwrap().name());
    names.collect::<Vec<_>>().join(" ")
}

#[test]
fn regions_fall_back_as_the_file_says() {
    let policy = &mut standard(include_str!("../../examples/regions.toml"));
    let region =
        |fleet, region: &str, taken| pool(fleet, region, region, 348_000).server(&format!("in {region}"), rooms(taken));
    let world = |frankfurt: u32, ireland: u32, paris: u32| {
        let europe = region(
            region(
                region(Fleet::builder(), "eu-central-1", frankfurt),
                "eu-west-1",
                ireland,
            ),
            "eu-west-3",
            paris,
        );
        region(region(europe, "ap-southeast-2", 10), "us-east-1", 9)
    };
    assert_eq!(place(policy, world(0, 9, 9), "eu-central-1"), "in eu-central-1");
    assert_eq!(place(policy, world(10, 0, 9), "eu-central-1"), "in eu-west-1");
    assert_eq!(place(policy, world(10, 10, 0), "eu-central-1"), "in eu-west-3");
    assert_eq!(
        place(policy, world(10, 10, 10), "eu-central-1"),
        "wait eu-central-1",
        "it never leaves Europe"
    );
    assert_eq!(
        place(policy, world(10, 10, 10), "ap-southeast-2"),
        "in us-east-1",
        "anywhere"
    );
    assert_eq!(
        place(policy, world(0, 10, 0), "eu-west-1"),
        "wait eu-west-1",
        "it is not named"
    );

    let empty = |launchable: u32| {
        let frankfurt = pool(Fleet::builder(), "frankfurt", "eu-central-1", 348_000)
            .pool_state(|state| state.launchable = launchable);
        pool(frankfurt, "ireland", "eu-west-1", 300_000)
    };
    assert_eq!(grow(policy, empty(5), "eu-central-1", 13), "frankfurt+2");
    assert_eq!(grow(policy, empty(1), "eu-central-1", 13), "frankfurt+1 ireland+1");
    assert_eq!(grow(policy, empty(0), "eu-west-1", 13), "ireland+2");
}

#[test]
fn pools_keep_the_headroom_that_the_file_says() {
    let policy = &mut standard(include_str!("../../examples/pools.toml"));
    let fleet = |usual: u32, webinars: u32, spot: u32| {
        let usual = pool(Fleet::builder(), "frankfurt", "eu-central-1", 348_000).server("usual", rooms(usual));
        let webinars = pool(usual, "webinars", "eu-central-1", 500_000).server("webinar", rooms(webinars));
        pool(webinars, "frankfurt-spot", "eu-central-1", 100_000).server("spot", rooms(spot))
    };
    assert_eq!(grow(policy, fleet(8, 5, 10), "", 0), "", "each has what it needs");
    assert_eq!(
        grow(policy, fleet(9, 5, 10), "", 0),
        "frankfurt+1",
        "one room is spare of two"
    );
    assert_eq!(
        grow(policy, fleet(9, 0, 0), "", 0),
        "frankfurt+1",
        "what is free elsewhere is not its own"
    );
    assert_eq!(
        grow(policy, fleet(8, 6, 10), "", 0),
        "webinars+1",
        "six may become twelve"
    );
    assert_eq!(
        grow(policy, fleet(8, 5, 10), "eu-central-1", 3),
        "frankfurt-spot+1",
        "but rooms that wait go there first"
    );

    let idle = |server: &mut ServerSketch| server.usage.since = NOW - 60;
    let with_idle = |webinars: u32| {
        let spot = fleet(9, webinars, 0).server("idle spot", idle);
        pool(spot, "other", "us-east-1", 1)
    };
    assert_eq!(
        shrink(policy, with_idle(5)),
        "idle spot",
        "nothing is kept on the spot market"
    );
}

#[test]
fn marks_hold_as_the_file_says() {
    let policy = &mut standard(include_str!("../../examples/marks.toml"));
    let reporting = |cpu_permille: u32, egress_kbps: u32| {
        move |server: &mut ServerSketch| {
            rooms(5)(server);
            (
                server.usage.reported,
                server.usage.cpu_permille,
                server.usage.egress_kbps,
            ) = (NOW, cpu_permille, egress_kbps);
        }
    };
    for (name, cpu_permille, egress_kbps, takes_rooms) in [
        ("anywhere", 750, u32::MAX, true),
        ("anywhere", 751, 0, false),
        ("frankfurt", 750, 750_000, true),
        ("frankfurt", 751, 0, false),
        ("frankfurt", 0, 750_001, false),
        ("on-premises", 600, u32::MAX, true),
        ("on-premises", 601, 0, false),
    ] {
        let fleet = || pool(Fleet::builder(), name, "eu", 1).server("it", reporting(cpu_permille, egress_kbps));
        let case = format!("{name}: {cpu_permille} ‰, {egress_kbps} kbit/s");
        let (placed, grown) = if takes_rooms {
            ("it".into(), String::new())
        } else {
            (format!("wait {name}"), format!("{name}+1"))
        };
        assert_eq!(place(policy, fleet(), "eu"), placed, "{case}");
        assert_eq!(grow(policy, fleet(), "eu", 0), grown, "{case}");
    }
}

#[test]
fn pools_and_servers_are_preferred_as_the_file_says() {
    let policy = &mut standard(include_str!("../../examples/prefer.toml"));
    let fleet = |reserved: u32, spot: u32| {
        let fleet = pool(Fleet::builder(), "frankfurt", "eu-central-1", 50_000);
        let fleet = pool(fleet, "frankfurt-spot", "eu-central-1", 120_000).pool_state(|state| state.launchable = spot);
        pool(fleet, "frankfurt-reserved", "eu-central-1", 348_000).pool_state(|state| state.launchable = reserved)
    };
    assert_eq!(grow(policy, fleet(9, 9), "eu-central-1", 13), "frankfurt-reserved+2");
    assert_eq!(
        grow(policy, fleet(1, 9), "eu-central-1", 13),
        "frankfurt-spot+1 frankfurt-reserved+1"
    );
    assert_eq!(
        grow(policy, fleet(0, 1), "eu-central-1", 13),
        "frankfurt+1 frankfurt-spot+1"
    );
    assert_eq!(place(policy, fleet(9, 9), "eu-central-1"), "wait frankfurt-reserved");

    let empty_since_start = |started: Timestamp| {
        move |server: &mut ServerSketch| {
            (server.row.started, server.usage.since) = (started, NOW - 60);
        }
    };
    let ending = |server: &mut ServerSketch| (server.usage.rooms, server.usage.busy_until) = (1, NOW + 300);
    let idle = |busy_rooms: u32| {
        let fleet = pool(Fleet::builder(), "frankfurt", "eu-central-1", 50_000).server("stays", rooms(busy_rooms));
        let fleet = fleet
            .server("old", empty_since_start(100))
            .server("new", empty_since_start(300));
        let fleet = fleet.server("ending", ending);
        let fleet = pool(fleet, "frankfurt-spot", "eu-central-1", 120_000).server("spot", empty_since_start(400));
        fleet.pool("other", |pool| pool.region = "us".into())
    };
    assert_eq!(shrink(policy, idle(1)), "old new ending spot");
    // Headroom decides how many may go, so how many are named shows the order.
    for (full_servers, expected) in [(8, "old new spot"), (13, "old spot"), (16, "spot"), (20, "")] {
        let fleet = idle(1).pool("full", |pool| {
            (pool.region, pool.rooms_per_server) = ("eu-central-1".into(), 10)
        });
        assert_eq!(
            shrink(policy, fleet.servers("full", full_servers, rooms(10))),
            expected,
            "{full_servers} full servers"
        );
    }
}
