use usher_sdk::{Fleet, FleetBuilder, Health, Hold, Label, Phase, ServerSketch};

use super::*;

fn pool(builder: FleetBuilder, name: &str, region: &str, rooms: u32, price: u32) -> FleetBuilder {
    builder.pool(name, |pool| {
        (pool.region, pool.rooms_per_server, pool.price_microdollars_per_hour) = (region.into(), rooms, price);
    })
}

/// Ten rooms and 500 seats a server, as in the story.
fn ten_rooms() -> FleetBuilder {
    pool(Fleet::builder(), "eu", "eu", 10, 348_000)
}

fn rooms(rooms: u32) -> impl Fn(&mut ServerSketch) {
    move |server| (server.usage.rooms, server.usage.seats, server.usage.load) = (rooms, rooms * 50, rooms * 50)
}

fn starting(server: &mut ServerSketch) {
    (server.usage.phase, server.usage.health) = (Phase::Starting, Health::Unknown);
}

/// Asks the policy; the answer is `POOL+SERVERS` for each pool that grows.
fn ask(settings: &Settings, fleet: FleetBuilder, wants: Vec<Want>) -> String {
    let fleet = fleet.build();
    let growths = scale_up(settings, &Demand::of(wants), &fleet);
    assert_eq!(growths.len(), fleet.pools().count(), "every pool is spoken for");
    let name = |growth: &Growth| format!("{}+{}", fleet.pool(growth.pool).unwrap().name, growth.servers);
    let mut grown: Vec<_> = growths.iter().filter(|growth| growth.servers > 0).map(name).collect();
    grown.sort_unstable();
    grown.join(" ")
}

fn want(rooms: u32) -> Vec<Want> {
    vec![Want::new(rooms, 50)]
}

fn want_in(region: &str, rooms: u32) -> Vec<Want> {
    vec![Want {
        region: region.into(),
        ..Want::new(rooms, 50)
    }]
}

#[test]
fn an_empty_fleet_costs_nothing() {
    let settings = Settings::default();
    assert_eq!(ask(&settings, ten_rooms(), vec![]), "");
    assert_eq!(ask(&settings, ten_rooms().server("idle", |_| {}), vec![]), "");
}

#[test]
fn the_eleventh_room_finds_its_server_started_by_the_ninth() {
    for (placed, expected) in [(1, ""), (8, ""), (9, "eu+1"), (10, "eu+1")] {
        assert_eq!(
            ask(&Settings::default(), ten_rooms().server("a", rooms(placed)), vec![]),
            expected,
            "{placed} rooms"
        );
    }
    let started = ten_rooms().server("a", rooms(9)).server("b", starting);
    assert_eq!(ask(&Settings::default(), started, vec![]), "", "it is on its way");
}

#[test]
fn twenty_three_rooms_at_once_start_three_servers() {
    assert_eq!(ask(&Settings::default(), ten_rooms(), want(23)), "eu+3");
}

#[test]
fn what_waits_fills_the_servers_that_are_starting_first() {
    let settings = Settings::default();
    for (starting_servers, waiting, expected) in [
        (3, 23, ""),
        (2, 23, "eu+1"),
        (2, 20, "eu+1"),
        (2, 16, ""),
        (2, 17, "eu+1"),
        (3, 43, "eu+3"),
    ] {
        let fleet = ten_rooms().servers("s", starting_servers, starting);
        assert_eq!(
            ask(&settings, fleet, want(waiting)),
            expected,
            "{waiting} rooms, {starting_servers} starting"
        );
    }
}

#[test]
fn headroom_is_a_share_of_many_rooms() {
    let fleet = |servers: u32, rooms_each: u32| ten_rooms().servers("s", servers, rooms(rooms_each));
    assert_eq!(
        ask(&Settings::default(), fleet(10, 8), vec![]),
        "",
        "80 rooms: 20 spare, 16 wanted"
    );
    assert_eq!(
        ask(&Settings::default(), fleet(10, 9), vec![]),
        "eu+1",
        "90 rooms: 10 spare, 18 wanted"
    );
    assert_eq!(
        ask(&Settings::default(), fleet(20, 10), vec![]),
        "eu+4",
        "200 rooms: none spare, 40 wanted"
    );
    let none = Settings {
        headroom_percent: 0,
        headroom_rooms_min: 0,
        ..Settings::default()
    };
    assert_eq!(ask(&none, fleet(20, 10), vec![]), "");
}

#[test]
fn room_that_nobody_can_have_is_no_headroom() {
    let settings = Settings::default();
    type Change = fn(&mut ServerSketch);
    for (case, change) in [
        ("silent", (|s| s.usage.health = Health::Silent) as Change),
        ("cordoned", |s| s.usage.hold = Hold::Cordoned),
        ("draining", |s| s.usage.hold = Hold::Draining),
        ("ending", |s| s.usage.phase = Phase::Ending),
        ("above its mark", |s| {
            (s.usage.reported, s.usage.cpu_permille) = (1, 900)
        }),
    ] {
        let fleet = ten_rooms().server("full", rooms(9)).server("no use", change);
        assert_eq!(ask(&settings, fleet, vec![]), "eu+1", "{case}");
    }
}

#[test]
fn seats_count_where_they_are_what_runs_out() {
    let seats = || Fleet::builder().pool("seats", |pool| (pool.seats_per_server, pool.load_per_server) = (500, 0));
    assert_eq!(
        ask(&Settings::default(), seats(), vec![Want::new(4, 200)]),
        "seats+3",
        "two rooms a server, two spare"
    );
    assert_eq!(
        ask(&Settings::default(), seats().server("a", rooms(9)), vec![]),
        "seats+1"
    );
    let load = || Fleet::builder().pool("load", |pool| pool.load_per_server = 500);
    assert_eq!(ask(&Settings::default(), load(), vec![Want::new(4, 200)]), "load+3");
}

#[test]
fn each_region_is_served_for_itself() {
    let fleet = || pool(ten_rooms().server("eu-1", rooms(3)), "us", "us", 10, 100_000);
    let settings = Settings::default();
    assert_eq!(ask(&settings, fleet(), want_in("us", 3)), "us+1");
    assert_eq!(
        ask(&settings, fleet(), [want_in("us", 3), want_in("eu", 9)].concat()),
        "eu+1 us+1"
    );
    assert_eq!(
        ask(&settings, fleet(), want(3)),
        "us+1",
        "no region is any, and the cheapest"
    );
    assert_eq!(
        ask(&settings, fleet().server("us-1", rooms(9)), vec![]),
        "us+1",
        "headroom elsewhere is none here"
    );
    assert_eq!(ask(&settings, fleet(), want_in("asia", 3)), "", "nobody is there");
}

#[test]
fn a_region_falls_back_only_where_the_settings_say_and_it_cannot_launch() {
    let fleet = |launchable: u32| {
        let eu = ten_rooms().pool_state(|state| state.launchable = launchable);
        pool(eu, "us", "us", 10, 100_000)
    };
    let falls_back = Settings {
        fallback_regions: [("eu".into(), vec!["us".into()])].into(),
        ..Settings::default()
    };
    assert_eq!(ask(&Settings::default(), fleet(0), want_in("eu", 3)), "");
    assert_eq!(ask(&falls_back, fleet(1), want_in("eu", 3)), "eu+1");
    assert_eq!(ask(&falls_back, fleet(0), want_in("eu", 3)), "us+1");
    assert_eq!(ask(&falls_back, fleet(1), want_in("eu", 13)), "eu+1 us+1");
}

#[test]
fn the_cheapest_suitable_pool_is_taken_as_far_as_it_may_launch() {
    let settings = Settings {
        headroom_percent: 0,
        headroom_rooms_min: 0,
        ..Settings::default()
    };
    let fleet = |launchable: u32| {
        let dear = pool(Fleet::builder(), "dear", "eu", 100, 3_492_000);
        pool(dear, "cheap", "eu", 10, 348_000).pool_state(|state| state.launchable = launchable)
    };
    assert_eq!(ask(&settings, fleet(9), want(23)), "cheap+3");
    assert_eq!(ask(&settings, fleet(2), want(23)), "cheap+2 dear+1");
    assert_eq!(ask(&settings, fleet(0), want(23)), "dear+1");
    let named = vec![Want {
        pool: Some(1),
        ..Want::new(23, 50)
    }];
    assert_eq!(ask(&settings, fleet(9), named), "dear+1", "a place policy named it");
    let for_acme = |builder: FleetBuilder| {
        builder.pool("acme", |pool| {
            (pool.region, pool.labels) = ("eu".into(), vec![Label::new("only.tenant", "acme")])
        })
    };
    assert_eq!(
        ask(&settings, for_acme(fleet(9)), want(3)),
        "cheap+1",
        "it is free, but not for everybody"
    );
    let acme = vec![Want {
        tenant: "acme".into(),
        ..Want::new(3, 50)
    }];
    assert_eq!(ask(&settings, for_acme(fleet(9)), acme), "acme+1");
}

#[test]
fn servers_that_somebody_else_makes_are_wanted_only_where_none_can_be_launched() {
    let fleet = |launchable: u32| {
        let external = Fleet::builder().pool("free", |pool| {
            (pool.region, pool.rooms_per_server, pool.automatic) = ("eu".into(), 10, false);
        });
        pool(external, "ours", "eu", 10, 348_000).pool_state(|state| state.launchable = launchable)
    };
    assert_eq!(ask(&Settings::default(), fleet(9), want(3)), "ours+1");
    assert_eq!(ask(&Settings::default(), fleet(0), want(3)), "free+1");
}

#[test]
fn reserved_servers_keep_a_headroom_of_their_own() {
    let fleet = ten_rooms().server("a", rooms(1)).pool("acme", |pool| {
        (pool.region, pool.rooms_per_server) = ("eu".into(), 10);
        pool.labels = vec![Label::new("only.tenant", "acme")];
    });
    assert_eq!(ask(&Settings::default(), fleet.server("b", rooms(9)), vec![]), "acme+1");
}

#[test]
fn a_pool_without_limits_needs_one_server() {
    let fleet = || Fleet::builder().pool("endless", |_| {});
    assert_eq!(ask(&Settings::default(), fleet(), want(10_000)), "endless+1");
    assert_eq!(ask(&Settings::default(), fleet().server("a", rooms(9)), vec![]), "");
}

#[test]
fn an_order_says_why() {
    let fleet = ten_rooms().server("a", rooms(10)).build();
    let growth = &scale_up(&Settings::default(), &Demand::of(want(3)), &fleet)[0];
    assert_eq!((growth.servers, growth.reason.as_str()), (1, "3 rooms wait"));
    let fleet = ten_rooms().server("a", rooms(9)).build();
    assert_eq!(
        scale_up(&Settings::default(), &Demand::of(vec![]), &fleet)[0].reason,
        "headroom of 2 rooms"
    );
}
