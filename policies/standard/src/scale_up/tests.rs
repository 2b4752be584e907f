use usher_sdk::{Fleet, FleetBuilder, Health, Hold, Label, Phase, ServerSketch};

use super::*;

/// 1970-01-02T03:46:40Z.
const NOW: u32 = 100_000;

fn settings(toml: &str) -> Settings {
    let settings: Settings = toml::from_str(toml).unwrap();
    settings.check().unwrap();
    settings
}

/// A window that lasts now.
fn window(spare_rooms: u32, more: &str) -> Settings {
    settings(&format!(
        "[[window]]\nfrom = '03:00'\nto = '05:00'\ntime_zone = 'UTC'\nspare_rooms = {spare_rooms}\n{more}"
    ))
}

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
    let growths = scale_up(settings, &Demand::of(wants), &fleet, Moment::at(NOW));
    assert_eq!(growths.len(), fleet.pools().count(), "every pool is spoken for");
    let name = |growth: &Growth| format!("{}+{}", fleet.pool(growth.pool).unwrap().name, growth.servers);
    let mut grown: Vec<_> = growths.iter().filter(|growth| growth.servers > 0).map(name).collect();
    grown.sort_unstable();
    grown.join(" ")
}

fn spoken_for(state: &mut PoolState) {
    (state.launchable, state.retirable, state.code) = (0, 0, "spoken_for".into());
}

#[test]
fn where_somebody_has_spoken_for_the_cheapest_pool_only_rooms_that_wait_get_servers_elsewhere() {
    let pools = |is_spoken_for: bool| {
        let of_ten =
            |price| move |pool: &mut Pool| (pool.rooms_per_server, pool.price_microdollars_per_hour) = (10, price);
        let cheap = Fleet::builder().pool("cheap", of_ten(1));
        let cheap = if is_spoken_for {
            cheap.pool_state(spoken_for)
        } else {
            cheap
        };
        let full = cheap.server("full", rooms(10));
        let dear = full.pool("dear", of_ten(2));
        dear.pool("somebody else's", |pool| pool.automatic = false)
    };
    let settings = Settings::default();
    assert_eq!(ask(&settings, pools(false), vec![]), "cheap+1", "headroom");
    assert_eq!(ask(&settings, pools(true), vec![]), "", "headroom can wait a turn");
    assert_eq!(ask(&settings, pools(true), want(1)), "dear+1");
    let nothing_else = || {
        let cheap = Fleet::builder().pool("cheap", |_| {}).pool_state(spoken_for);
        cheap.pool("somebody else's", |pool| pool.automatic = false)
    };
    let nobody_makes_one_for_that = ask(&settings, nothing_else(), want(1));
    assert_eq!(nobody_makes_one_for_that, "");
    let for_just_these = Want {
        pool: Some(2),
        ..Want::new(1, 50)
    };
    let grown = ask(&settings, nothing_else(), vec![for_just_these]);
    assert_eq!(grown, "somebody else's+1");
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
        fallback_regions: [("eu", vec!["us".into()])].into(),
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
    let growth = &scale_up(&Settings::default(), &Demand::of(want(3)), &fleet, Moment::at(NOW))[0];
    assert_eq!((growth.servers, growth.reason.as_str()), (1, "3 rooms wait"));
    let fleet = ten_rooms().server("a", rooms(9)).build();
    assert_eq!(
        scale_up(&Settings::default(), &Demand::of(vec![]), &fleet, Moment::at(NOW))[0].reason,
        "headroom of 2 rooms"
    );
}

#[test]
fn a_window_launches_its_spare_rooms_also_for_nobody() {
    for (case, fleet, expected) in [
        ("nobody is there", ten_rooms(), "eu+2"),
        ("one is on its way", ten_rooms().server("a", starting), "eu+1"),
        ("two are there", ten_rooms().servers("s", 2, |_| {}), ""),
        (
            "fifteen rooms leave five spare",
            ten_rooms().server("a", rooms(10)).server("b", rooms(5)),
            "eu+2",
        ),
        (
            "no more may be launched",
            ten_rooms().pool_state(|state| state.launchable = 1),
            "eu+1",
        ),
    ] {
        assert_eq!(ask(&window(20, ""), fleet, vec![]), expected, "{case}");
    }
    assert_eq!(
        ask(&window(20, ""), ten_rooms(), want(3)),
        "eu+3",
        "3 rooms wait, and 17 are not 20"
    );
}

#[test]
fn a_window_is_a_floor_and_no_addition() {
    let fleet = || ten_rooms().servers("s", 20, rooms(10));
    assert_eq!(
        ask(&Settings::default(), fleet(), vec![]),
        "eu+4",
        "a fifth of 200 rooms"
    );
    assert_eq!(ask(&window(40, ""), fleet(), vec![]), "eu+4");
    assert_eq!(ask(&window(41, ""), fleet(), vec![]), "eu+5");
}

#[test]
fn a_window_counts_rooms_of_the_size_that_it_says() {
    let seats = || Fleet::builder().pool("seats", |pool| pool.seats_per_server = 500);
    assert_eq!(ask(&window(20, "room_seats = 50"), seats(), vec![]), "seats+2");
    assert_eq!(ask(&window(20, "room_seats = 100"), seats(), vec![]), "seats+4");
    assert_eq!(
        ask(&window(20, ""), seats(), vec![]),
        "seats+1",
        "nothing else limits it"
    );
    assert_eq!(
        ask(&window(20, "room_seats = 501"), seats(), vec![]),
        "",
        "none would ever do"
    );
}

#[test]
fn a_window_of_a_pool_launches_there_and_counts_for_all() {
    let fleet = || pool(ten_rooms(), "dear", "eu", 10, 900_000);
    assert_eq!(ask(&window(20, ""), fleet(), vec![]), "eu+2");
    assert_eq!(ask(&window(20, "pool = 'dear'"), fleet(), vec![]), "dear+2");
    let busy = || pool(ten_rooms().servers("s", 5, rooms(10)), "dear", "eu", 10, 900_000);
    assert_eq!(ask(&Settings::default(), busy(), vec![]), "eu+1");
    assert_eq!(
        ask(&window(20, "pool = 'dear'"), busy(), vec![]),
        "dear+2",
        "they are headroom, too"
    );
}

#[test]
fn a_pool_with_a_headroom_of_its_own_grows_by_its_own_rooms() {
    let fleet = |small: u32, large: u32| {
        let small = ten_rooms().servers("s", 1, rooms(small));
        pool(small, "large", "eu", 10, 900_000).server("l", rooms(large))
    };
    let own = settings("[pool.large]\nheadroom_percent = 100");
    assert_eq!(
        ask(&Settings::default(), fleet(9, 5), vec![]),
        "",
        "five spare rooms for 14"
    );
    assert_eq!(
        ask(&own, fleet(9, 5), vec![]),
        "eu+1",
        "those five are not the small ones'"
    );
    assert_eq!(
        ask(&own, fleet(5, 6), vec![]),
        "large+1",
        "and four are too few for six"
    );
    let none = settings("[pool.large]\nheadroom_percent = 0\nheadroom_rooms_min = 0");
    assert_eq!(ask(&none, fleet(5, 10), vec![]), "");
}

#[test]
fn pools_are_preferred_in_the_order_that_the_settings_say() {
    let fleet = |launchable: u32| {
        let cheap = pool(Fleet::builder(), "cheap", "eu", 10, 100_000);
        let dear = pool(cheap, "dear", "eu", 10, 900_000).pool_state(|state| state.launchable = launchable);
        pool(dear, "middle", "eu", 10, 300_000)
    };
    let prefer = |list: &str| settings(&format!("scale_up_prefer = {list}"));
    assert_eq!(ask(&Settings::default(), fleet(9), want(13)), "cheap+2");
    assert_eq!(ask(&prefer("['dear']"), fleet(9), want(13)), "dear+2");
    assert_eq!(ask(&prefer("['dear']"), fleet(1), want(13)), "cheap+1 dear+1");
    assert_eq!(
        ask(&prefer("['dear', 'middle']"), fleet(1), want(13)),
        "dear+1 middle+1"
    );
    assert_eq!(ask(&prefer("['gone', 'middle']"), fleet(9), want(13)), "middle+2");
    let all_full = fleet(9).server("m", rooms(10));
    assert_eq!(
        ask(&prefer("['dear']"), all_full, vec![]),
        "dear+1",
        "for the headroom as well"
    );
}

#[test]
fn an_order_names_each_thing_that_it_is_for() {
    let fleet = ten_rooms().server("a", rooms(10)).build();
    let settings = window(20, "");
    let growth = &scale_up(&settings, &Demand::of(want(3)), &fleet, Moment::at(NOW))[0];
    assert_eq!(
        (growth.servers, growth.reason.as_str()),
        (3, "3 rooms wait; 20 spare rooms from 03:00 to 05:00")
    );
}
