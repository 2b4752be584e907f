use usher_sdk::{FleetBuilder, Health, Hold, Label, Phase, ServerSketch};

use super::*;

/// 1970-01-02T03:46:40Z.
const NOW: Timestamp = 100_000;

fn settings(toml: &str) -> Settings {
    let settings: Settings = toml::from_str(toml).unwrap();
    settings.check().unwrap();
    settings
}

fn ten_rooms() -> FleetBuilder {
    Fleet::builder()
        .at(NOW)
        .pool("eu", |pool| (pool.region, pool.rooms_per_server) = ("eu".into(), 10))
}

fn rooms(rooms: u32) -> impl Fn(&mut ServerSketch) {
    move |server| (server.usage.rooms, server.usage.rooms_open_ended) = (rooms, rooms)
}

fn empty_for(seconds: u32) -> impl Fn(&mut ServerSketch) {
    move |server| server.usage.since = NOW - seconds
}

/// So many rooms, the last of which ends in so many minutes.
fn ends_in(rooms: u32, minutes: u32) -> impl Fn(&mut ServerSketch) {
    move |server| (server.usage.rooms, server.usage.busy_until) = (rooms, NOW + minutes * 60)
}

/// Asks the policy; the answer is the names of those that go.
fn ask(settings: &Settings, fleet: FleetBuilder) -> String {
    let fleet = fleet.build();
    let answer = scale_down(settings, &fleet, Moment::at(NOW));
    assert_eq!(answer.len(), fleet.pools().count(), "every pool is spoken for");
    let gone = answer.iter().flat_map(|shrinkage| &shrinkage.servers);
    gone.map(|gone| fleet.server(gone.server).unwrap().name())
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn the_night_costs_nothing() {
    let fleet = ten_rooms()
        .server("a", empty_for(60))
        .server("b", empty_for(3_600))
        .server("c", empty_for(59));
    assert_eq!(ask(&Settings::default(), fleet), "b a", "the longest empty first");
}

#[test]
fn an_empty_server_goes_only_while_the_headroom_stays() {
    for (placed, expected) in [(1, "idle"), (8, "idle"), (9, ""), (10, "")] {
        let fleet = ten_rooms().server("a", rooms(placed)).server("idle", empty_for(60));
        assert_eq!(ask(&Settings::default(), fleet), expected, "{placed} rooms beside it");
    }
    let two_idle = ten_rooms()
        .server("a", rooms(10))
        .server("idle-1", empty_for(70))
        .server("idle-2", empty_for(60));
    assert_eq!(ask(&Settings::default(), two_idle), "idle-1", "one of two stays");
}

#[test]
fn what_is_starting_is_not_yet_headroom() {
    let starting = |server: &mut ServerSketch| server.usage.phase = Phase::Starting;
    let fleet = ten_rooms()
        .server("a", rooms(10))
        .server("idle", empty_for(60))
        .server("b", starting);
    assert_eq!(ask(&Settings::default(), fleet), "");
}

#[test]
fn no_data_is_not_zero_load() {
    type Change = fn(&mut ServerSketch);
    for (case, change) in [
        ("silent", (|s| s.usage.health = Health::Silent) as Change),
        ("starting", |s| s.usage.phase = Phase::Starting),
        ("ending", |s| s.usage.phase = Phase::Ending),
        ("cordoned by somebody", |s| s.usage.hold = Hold::Cordoned),
        ("draining already", |s| s.usage.hold = Hold::Draining),
        ("leaving", |s| s.usage.hold = Hold::Leaving),
        ("people are on it that Usher does not know", |s| {
            (s.usage.reported, s.usage.participants) = (NOW, 3)
        }),
        ("its last room has just gone", |s| s.usage.empty_since = NOW),
    ] {
        let fleet = ten_rooms().server("a", |server| {
            empty_for(3_600)(server);
            change(server);
        });
        assert_eq!(ask(&Settings::default(), fleet), "", "{case}");
    }
    let nobody_looks =
        |server: &mut ServerSketch| (server.usage.since, server.usage.health) = (NOW - 60, Health::Unknown);
    assert_eq!(
        ask(&Settings::default(), ten_rooms().server("nobody looks", nobody_looks)),
        "nobody looks"
    );
}

#[test]
fn a_server_whose_few_rooms_end_soon_is_drained_while_the_headroom_stays() {
    let settings = Settings::default();
    let with = |change: &dyn Fn(&mut ServerSketch)| ten_rooms().server("stays", rooms(4)).server("drained", change);
    assert_eq!(ask(&settings, with(&ends_in(2, 10))), "drained");
    assert_eq!(ask(&settings, with(&ends_in(3, 10))), "", "too many rooms");
    assert_eq!(ask(&settings, with(&ends_in(2, 11))), "", "too long");
    assert_eq!(
        ask(&settings, with(&ends_in(2, 0))),
        "",
        "overdue rooms may stay for long"
    );
    assert_eq!(ask(&settings, with(&rooms(2))), "", "nobody knows when they end");
    assert_eq!(
        ask(
            &Settings {
                ending_rooms_max: 0,
                ..settings.clone()
            },
            with(&ends_in(1, 5))
        ),
        "",
        "switched off"
    );
    let needed = ten_rooms().server("stays", rooms(9)).server("needed", ends_in(2, 10));
    assert_eq!(ask(&settings, needed), "");
}

#[test]
fn empty_servers_go_before_any_is_drained_and_the_dear_before_the_cheap() {
    let fleet = ten_rooms()
        .server("full", rooms(8))
        .server("ending", ends_in(1, 5))
        .server("cheap", empty_for(90))
        .server("dear", |server| {
            empty_for(60)(server);
            server.row.price_microdollars_per_hour = 1;
        });
    assert_eq!(ask(&Settings::default(), fleet), "dear cheap ending");
}

#[test]
fn no_more_go_than_the_guards_allow() {
    let fleet = ten_rooms()
        .servers("idle", 5, empty_for(60))
        .pool_state(|state| state.retirable = 2);
    assert_eq!(ask(&Settings::default(), fleet), "idle-1 idle-2");
}

#[test]
fn headroom_elsewhere_is_none_here() {
    let us =
        |builder: FleetBuilder| builder.pool("us", |pool| (pool.region, pool.rooms_per_server) = ("us".into(), 10));
    let fleet = us(ten_rooms().server("eu-full", rooms(9)).server("eu-idle", empty_for(60)));
    assert_eq!(
        ask(&Settings::default(), fleet.server("us-idle", empty_for(60))),
        "us-idle"
    );
    let reserved = ten_rooms()
        .server("full", rooms(9))
        .server("idle", empty_for(60))
        .pool("acme", |pool| {
            (pool.region, pool.labels) = ("eu".into(), vec![Label::new("only.tenant", "acme")]);
        });
    assert_eq!(
        ask(&Settings::default(), reserved.server("reserved", empty_for(60))),
        "reserved"
    );
}

#[test]
fn servers_without_limits_stand_in_for_one_another() {
    let fleet = Fleet::builder()
        .at(NOW)
        .pool("endless", |_| {})
        .server("a", rooms(50))
        .server("idle", empty_for(60));
    assert_eq!(ask(&Settings::default(), fleet), "idle");
}

#[test]
fn a_retirement_says_why() {
    let fleet = ten_rooms()
        .server("a", rooms(4))
        .server("b", ends_in(2, 5))
        .server("c", empty_for(75))
        .build();
    let answer = scale_down(&Settings::default(), &fleet, Moment::at(NOW));
    let reasons: Vec<_> = answer[0].servers.iter().map(|gone| gone.reason.as_str()).collect();
    assert_eq!(reasons, ["empty for 75 s", "2 rooms, the last ends in 300 s"]);
}

#[test]
fn what_a_window_needs_stays_while_it_lasts_and_a_quarter_of_an_hour_before() {
    let idle = || ten_rooms().servers("idle", 3, empty_for(3_600));
    for (from, to, expected) in [
        ("03:00", "05:00", "idle-1"),
        ("03:46", "05:00", "idle-1"),
        ("04:01", "05:00", "idle-1"),
        ("04:02", "05:00", "idle-1 idle-2 idle-3"),
        ("02:00", "03:46", "idle-1 idle-2 idle-3"),
        ("02:00", "03:47", "idle-1"),
    ] {
        let window = format!("[[window]]\nfrom = '{from}'\nto = '{to}'\ntime_zone = 'UTC'\nspare_rooms = 20");
        assert_eq!(ask(&settings(&window), idle()), expected, "{from} to {to}");
    }
}

#[test]
fn what_a_window_needs_in_a_pool_stays_in_that_pool() {
    let window = "[[window]]\nfrom = '03:00'\nto = '05:00'\ntime_zone = 'UTC'\nspare_rooms = 10\npool = 'eu'";
    let fleet = ten_rooms().servers("idle", 2, empty_for(3_600));
    let fleet = fleet.pool("other", |pool| (pool.region, pool.rooms_per_server) = ("eu".into(), 10));
    let fleet = fleet.servers("other", 2, empty_for(3_600));
    assert_eq!(ask(&settings(window), fleet), "idle-1 other-1 other-2");
}

#[test]
fn a_pool_with_a_headroom_of_its_own_lends_it_to_nobody() {
    let fleet = || {
        let fleet = ten_rooms().server("full", rooms(10)).server("idle", empty_for(60));
        let fleet = fleet.pool("own", |pool| (pool.region, pool.rooms_per_server) = ("eu".into(), 10));
        fleet.server("own", rooms(2))
    };
    assert_eq!(
        ask(&Settings::default(), fleet()),
        "idle",
        "eight rooms are spare in the other pool"
    );
    assert_eq!(ask(&settings("[pool.own]\nheadroom_percent = 50"), fleet()), "");
}

#[test]
fn who_goes_first_is_the_settings_choice() {
    let fleet = || {
        let server = |rooms: u32, started: Timestamp, price: u32, empty: u32| {
            move |server: &mut ServerSketch| {
                (server.row.started, server.row.price_microdollars_per_hour) = (started, price);
                if rooms == 0 {
                    empty_for(empty)(server);
                } else {
                    ends_in(rooms, 5)(server);
                }
            }
        };
        let fleet = ten_rooms()
            .server("stays", rooms(1))
            .server("a", server(0, 500, 300, 100))
            .server("b", server(0, 400, 200, 300))
            .server("c", server(1, 300, 400, 0));
        fleet
            .pool("spot", |pool| {
                (pool.region, pool.market, pool.rooms_per_server) = ("eu".into(), "spot".into(), 10);
            })
            .server("spot", server(0, 450, 100, 200))
    };
    for (list, expected) in [
        ("['emptiest', 'dearest', 'soonest']", "a b c spot"),
        ("['dearest']", "c a b spot"),
        ("['soonest']", "b a c spot"),
        ("['oldest']", "c b a spot"),
        ("['newest']", "a b c spot"),
    ] {
        assert_eq!(
            ask(&settings(&format!("scale_down_prefer = {list}")), fleet()),
            expected,
            "{list}"
        );
    }
    for (list, expected) in [
        ("['emptiest']", "a"),
        ("['dearest']", "c"),
        ("['soonest']", "b"),
        ("['spot']", "spot"),
    ] {
        let one_room_too_many = fleet().server("full", |server| server.usage.rooms = 10);
        let settings = settings(&format!(
            "scale_down_prefer = {list}\nheadroom_rooms_min = 35\nheadroom_percent = 0"
        ));
        assert_eq!(ask(&settings, one_room_too_many), expected, "only one may go: {list}");
    }
}

#[test]
fn no_answer_is_longer_than_the_host_takes() {
    let fleet = ten_rooms().pool_state(|state| state.retirable = 2_000);
    let fleet = fleet.servers("idle", 1_200, empty_for(3_600)).build();
    let answer = scale_down(&Settings::default(), &fleet, Moment::at(NOW));
    assert_eq!(answer[0].servers.len(), RETIREMENTS_MAX);
}

#[test]
fn room_above_a_pools_own_mark_is_no_headroom() {
    let hot = |server: &mut ServerSketch| {
        rooms(5)(server);
        (server.usage.reported, server.usage.cpu_permille) = (NOW, 600);
    };
    let fleet = || ten_rooms().server("hot", hot).server("idle", empty_for(60));
    assert_eq!(ask(&Settings::default(), fleet()), "idle");
    assert_eq!(ask(&settings("[pool.eu]\ncpu_permille_max = 500"), fleet()), "");
}
