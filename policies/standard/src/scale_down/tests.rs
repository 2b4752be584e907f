use usher_sdk::{FleetBuilder, Health, Hold, Label, Phase, ServerSketch};

use super::*;

const NOW: Timestamp = 100_000;

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
