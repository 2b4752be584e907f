use usher_sdk::{FleetBuilder, Health, Label, Placement, ServerSketch, purity};

use super::*;

/// A server of 500 seats in a zone, with rooms of these sizes.
fn with_rooms(zone: &str, rooms: &[u32]) -> impl Fn(&mut ServerSketch) {
    move |server| {
        server.row.zone = zone.into();
        server.usage.rooms = rooms.len() as u32;
        server.usage.seats = rooms.iter().sum();
        server.usage.seats_largest = rooms.iter().copied().max().unwrap_or(0);
    }
}

fn region() -> FleetBuilder {
    Fleet::builder().pool("eu", |pool| pool.seats_per_server = 500)
}

fn zones() -> Zones {
    Zones::new(Settings {
        tenants: vec!["acme".into()],
        ..Settings::default()
    })
    .unwrap()
}

fn big() -> RoomRequest {
    RoomRequest::new("all-hands", 200)
}

/// Asks for a room; the answer is a server's name, or `defer`.
fn placed(fleet: &Fleet, room: &RoomRequest, seed: u32) -> String {
    let moment = Moment {
        seed,
        ..Moment::at(1_000)
    };
    match zones().place(room, fleet, moment).placement {
        Placement::On(server) => fleet.server(server).unwrap().name().into(),
        Placement::Defer => "defer".into(),
        other @ (Placement::Wait(_) | Placement::Reject) => panic!("{other:?}"),
    }
}

#[test]
fn each_zone_gets_its_share_of_the_big_rooms_whatever_chance_says() {
    for seed in 0..100 {
        let mut placed_in = BTreeMap::from([("a", vec![]), ("b", vec![]), ("c", vec![])]);
        for _ in 0..6 {
            let fleet = placed_in.iter().fold(region(), |fleet, (zone, rooms)| {
                fleet.server(zone, with_rooms(zone, rooms))
            });
            let zone = placed(&fleet.build(), &big(), seed);
            placed_in.get_mut(&*zone).unwrap().push(200);
        }
        assert!(
            placed_in.values().all(|rooms| rooms.len() == 2),
            "seed {seed}: {placed_in:?}"
        );
    }
}

#[test]
fn only_servers_with_big_rooms_count_for_big_rooms() {
    let fleet = region()
        .server("busy", with_rooms("a", &[50; 6]))
        .server("one big", with_rooms("b", &[200]));
    assert_eq!(placed(&fleet.build(), &big(), 0), "busy");
}

#[test]
fn small_rooms_are_left_to_the_next_policy() {
    let fleet = region().server("a", with_rooms("a", &[])).build();
    let just_too_small = RoomRequest::new("standup", 199);
    assert_eq!(placed(&fleet, &just_too_small, 0), "defer");
    let of_beta = RoomRequest {
        tenant: "beta".into(),
        ..just_too_small
    };
    assert_eq!(placed(&fleet, &of_beta, 0), "defer");
}

#[test]
fn a_listed_tenants_small_rooms_come_to_every_zone_about_alike() {
    let fleet = ["a", "b", "c"]
        .into_iter()
        .fold(region(), |fleet, zone| fleet.server(zone, with_rooms(zone, &[])));
    // What is in the zones makes no difference to small rooms.
    let fleet = fleet.server("d", with_rooms("d", &[300])).build();
    let room = RoomRequest {
        tenant: "acme".into(),
        ..RoomRequest::new("standup", 10)
    };
    let mut rooms = BTreeMap::new();
    for seed in 0..400 {
        *rooms.entry(placed(&fleet, &room, seed)).or_insert(0) += 1;
    }
    assert_eq!(rooms.len(), 4);
    assert!(rooms.values().all(|rooms| (70..=130).contains(rooms)), "{rooms:?}");
}

#[test]
fn in_a_fleet_too_large_to_count_chance_spreads_big_rooms() {
    let fleet = region()
        .servers("a", SERVERS_COUNTED_MAX as u32, with_rooms("a", &[500]))
        .server("b", with_rooms("b", &[200]))
        .server("c", with_rooms("c", &[]))
        .build();
    let mut rooms = BTreeMap::new();
    for seed in 0..200 {
        *rooms.entry(placed(&fleet, &big(), seed)).or_insert(0) += 1;
    }
    assert!(rooms.len() == 2 && rooms.values().all(|rooms| *rooms > 60), "{rooms:?}");
}

#[test]
fn within_a_zone_the_fullest_server_with_room_is_taken() {
    let fleet = region()
        .server("empty", with_rooms("a", &[]))
        .server("fuller", with_rooms("a", &[50, 50]))
        .server("too full", with_rooms("a", &[50; 7]));
    assert_eq!(placed(&fleet.build(), &big(), 0), "fuller");
}

#[test]
fn a_zone_without_a_server_that_may_be_taken_is_passed_over() {
    type Change = fn(&mut ServerSketch);
    for (case, change) in [
        ("full", (|server| server.usage.seats = 400) as Change),
        ("silent", |server| server.usage.health = Health::Silent),
        ("hot", |server| {
            (server.usage.reported, server.usage.cpu_permille) = (1, 801)
        }),
        ("without the label", |server| server.row.labels.clear()),
    ] {
        let fleet = region()
            .server("of no use", |server| {
                with_rooms("a", &[])(server);
                server.row.labels.push(Label::new("gpu", "yes"));
                change(server);
            })
            .server("good", |server| {
                with_rooms("b", &[200])(server);
                server.row.labels.push(Label::new("gpu", "yes"));
            });
        let room = RoomRequest {
            labels: vec![Label::new("require.gpu", "yes")],
            ..big()
        };
        assert_eq!(placed(&fleet.build(), &room, 0), "good", "{case}");
    }
}

#[test]
fn a_server_with_the_label_is_found_however_many_fuller_ones_have_none() {
    let fleet = region()
        .servers("plain", LOOKED_AT_MAX as u32 + 1, with_rooms("a", &[200]))
        .pool("gpus", |pool| pool.labels.push(Label::new("gpu", "yes")))
        .server("gpu", with_rooms("b", &[]));
    let room = RoomRequest {
        labels: vec![Label::new("require.gpu", "yes")],
        ..big()
    };
    assert_eq!(placed(&fleet.build(), &room, 0), "gpu");
}

#[test]
fn where_a_room_may_not_go_it_does_not_go() {
    let fleet = region()
        .server("lost it", with_rooms("a", &[]))
        .pool("acme's", |pool| pool.labels.push(Label::new("only.tenant", "acme")))
        .server("not for all", with_rooms("b", &[]))
        .pool("us", |pool| pool.region = "us".into())
        .server("far", with_rooms("c", &[]))
        .build();
    let moving = RoomRequest { avoid: 1, ..big() };
    assert_eq!(placed(&fleet, &moving, 0), "far");
    let in_region = RoomRequest {
        region: "eu".into(),
        ..moving
    };
    assert_eq!(
        placed(&fleet, &in_region, 0),
        "defer",
        "what to wait for is the next policy's to say"
    );
}

#[test]
fn settings_that_cannot_be_meant_are_refused_by_name() {
    let all_big = Settings {
        big_seats: 0,
        ..Settings::default()
    };
    assert!(Zones::new(all_big).unwrap_err().starts_with("setting `big_seats`:"));
}

#[test]
fn it_answers_alike_in_every_instance_and_after_every_history() {
    let fleet = ["a", "b", "c", "a", "b"]
        .into_iter()
        .fold(region(), |fleet, zone| fleet.server(zone, with_rooms(zone, &[200])));
    let of_acme = RoomRequest {
        tenant: "acme".into(),
        ..RoomRequest::new("standup", 10)
    };
    let rooms = [big(), of_acme, RoomRequest::new("small", 10)];
    purity::assert_pure::<Zones>(r#"{"tenants": ["acme"]}"#, &fleet.build(), &rooms, Moment::at(1_000));
}

#[test]
fn the_example_file_says_the_defaults() {
    let file: Settings = toml::from_str(include_str!(concat!("../", env!("CARGO_PKG_NAME"), ".toml"))).unwrap();
    assert_eq!(file, Settings::default());
}
