use usher_sdk::{FleetBuilder, Label, Placement, Pool, ServerSketch};

use super::*;

const NOW: Timestamp = 100_000;

/// Asks the policy; the answer is a server's name, or `wait POOL`.
fn ask(settings: &Settings, fleet: FleetBuilder, room: &RoomRequest) -> String {
    let fleet = fleet.build();
    match place(settings, room, &fleet, Moment::at(NOW)).placement {
        Placement::On(server) => fleet.server(server).unwrap().name().into(),
        Placement::Wait(wait) => {
            let pool = wait.pool.map(|pool| fleet.pool(pool).unwrap().name.clone());
            let again = if wait.again_seconds > 0 { " again" } else { "" };
            format!("wait {}{again}", pool.unwrap_or_default())
        }
        Placement::Reject | Placement::Defer => "neither is the standard policy's to say".into(),
    }
}

/// Ten rooms and 500 seats a server, as in the story.
fn ten_rooms() -> FleetBuilder {
    Fleet::builder().at(NOW).pool("eu", |pool| {
        (pool.region, pool.rooms_per_server, pool.seats_per_server) = ("eu".into(), 10, 500);
        pool.price_microdollars_per_hour = 348_000;
    })
}

fn rooms(rooms: u32) -> impl Fn(&mut ServerSketch) {
    move |server| (server.usage.rooms, server.usage.seats) = (rooms, rooms * 50)
}

/// So many rooms, all of which end within so many minutes.
fn rooms_until(count: u32, minutes: u32) -> impl Fn(&mut ServerSketch) {
    move |server| {
        rooms(count)(server);
        server.usage.busy_until = NOW + minutes * 60;
    }
}

fn room() -> RoomRequest {
    RoomRequest::new("standup-42", 50)
}

fn room_of_minutes(expected_minutes: u32) -> RoomRequest {
    RoomRequest {
        expected_minutes,
        ..room()
    }
}

#[test]
fn rooms_are_packed_so_that_servers_empty() {
    let fleet = || {
        ten_rooms()
            .server("three", rooms(3))
            .server("nine", rooms(9))
            .server("empty", |_| {})
    };
    let settings = Settings::default();
    assert_eq!(ask(&settings, fleet(), &room()), "nine");
    assert_eq!(ask(&settings, fleet(), &RoomRequest::new("large", 120)), "three");
    assert_eq!(ask(&settings, fleet(), &RoomRequest::new("all of it", 500)), "empty");
    assert_eq!(
        ask(&settings, fleet(), &RoomRequest::new("more than fits", 501)),
        "wait "
    );
}

#[test]
fn a_room_goes_where_it_prolongs_a_servers_life_least() {
    let settings = Settings::default();
    for (case, fleet, minutes, expected) in [
        (
            "the fullest would live longer for it",
            ten_rooms()
                .server("a", rooms_until(8, 10))
                .server("b", rooms_until(2, 180)),
            60,
            "b",
        ),
        (
            "both would: the later is prolonged less",
            ten_rooms()
                .server("a", rooms_until(8, 10))
                .server("b", rooms_until(2, 40)),
            60,
            "b",
        ),
        (
            "neither would: the fullest",
            ten_rooms()
                .server("a", rooms_until(8, 90))
                .server("b", rooms_until(2, 180)),
            60,
            "a",
        ),
        (
            "equally full: the one that ends latest",
            ten_rooms()
                .server("a", rooms_until(5, 90))
                .server("b", rooms_until(5, 180)),
            60,
            "b",
        ),
        (
            "an open end outlasts everything",
            ten_rooms().server("a", rooms_until(8, 10)).server("b", rooms(2)),
            60,
            "b",
        ),
        (
            "a few minutes do not count",
            ten_rooms()
                .server("a", rooms_until(8, 57))
                .server("b", rooms_until(2, 59)),
            60,
            "a",
        ),
        (
            "no end was said: the fullest",
            ten_rooms()
                .server("a", rooms_until(8, 10))
                .server("b", rooms_until(2, 180)),
            0,
            "a",
        ),
        (
            "an empty server is never begun for it",
            ten_rooms().server("a", rooms_until(1, 1)).server("b", rooms(0)),
            600,
            "a",
        ),
        (
            "what is overdue ends now",
            ten_rooms()
                .server("a", |s| (s.usage.rooms, s.usage.busy_until) = (8, NOW - 999))
                .server("b", rooms_until(2, 30)),
            30,
            "b",
        ),
    ] {
        assert_eq!(ask(&settings, fleet, &room_of_minutes(minutes)), expected, "{case}");
    }
}

#[test]
fn the_best_is_found_among_many_that_are_fuller() {
    let fleet = ten_rooms()
        .servers("short", CANDIDATES_MAX as u32 - 1, rooms_until(8, 10))
        .server("long", rooms_until(7, 500));
    assert_eq!(ask(&Settings::default(), fleet, &room_of_minutes(60)), "long");
}

#[test]
fn the_wanted_region_comes_first_and_others_only_where_the_settings_say() {
    let fleet = || {
        let us = ten_rooms().server("eu-1", rooms(10)).pool("us", |pool| {
            (pool.region, pool.rooms_per_server) = ("us".into(), 10);
            pool.price_microdollars_per_hour = 100_000;
        });
        us.server("us-1", rooms(1))
    };
    let here = |region: &str| RoomRequest {
        region: region.into(),
        ..room()
    };
    let with = |regions: &[&str]| Settings {
        fallback_regions: [("eu", regions.iter().map(|region| (*region).into()).collect())].into(),
        ..Settings::default()
    };
    assert_eq!(ask(&Settings::default(), fleet(), &here("eu")), "wait eu");
    assert_eq!(ask(&with(&["us"]), fleet(), &here("eu")), "us-1");
    assert_eq!(ask(&with(&["asia", "*"]), fleet(), &here("eu")), "us-1");
    assert_eq!(ask(&with(&["asia"]), fleet(), &here("eu")), "wait eu");
    assert_eq!(ask(&with(&["us"]), fleet(), &here("us")), "us-1");
    assert_eq!(
        ask(&Settings::default(), fleet(), &here("")),
        "us-1",
        "no region is any"
    );
    assert_eq!(
        ask(&with(&["us"]), fleet().server("eu-2", rooms(0)), &here("us")),
        "us-1"
    );
}

#[test]
fn a_server_above_a_mark_gets_no_rooms_if_it_said_so() {
    let busy = |cpu: u32, kbps: u32, reported: u32| {
        move |server: &mut ServerSketch| {
            rooms(9)(server);
            (
                server.usage.cpu_permille,
                server.usage.egress_kbps,
                server.usage.reported,
            ) = (cpu, kbps, reported);
        }
    };
    let settings = Settings {
        egress_kbps_max: 1_000_000,
        ..Settings::default()
    };
    for (server, expected) in [
        (busy(800, 1_000_000, NOW), "a"),
        (busy(801, 0, NOW), "wait eu again"),
        (busy(0, 1_000_001, NOW), "wait eu again"),
        (busy(999, 9_999_999, 0), "a"),
    ] {
        assert_eq!(ask(&settings, ten_rooms().server("a", server), &room()), expected);
    }
    let blind = Settings {
        cpu_permille_max: 0,
        ..Settings::default()
    };
    assert_eq!(ask(&blind, ten_rooms().server("a", busy(1_000, 0, NOW)), &room()), "a");
}

#[test]
fn what_the_host_would_refuse_is_not_proposed() {
    let settings = Settings::default();
    let avoid = RoomRequest { avoid: 1, ..room() };
    assert_eq!(
        ask(
            &settings,
            ten_rooms().server("lost", rooms(9)).server("other", rooms(1)),
            &avoid
        ),
        "other"
    );

    let acme = || {
        let reserved = ten_rooms().server("plain", rooms(1)).pool("acme", |pool| {
            (pool.region, pool.rooms_per_server) = ("eu".into(), 10);
            pool.labels = vec![Label::new("only.tenant", "acme,beta")];
        });
        reserved.server("reserved", rooms(9))
    };
    let of = |tenant: &str| RoomRequest {
        tenant: tenant.into(),
        ..room()
    };
    assert_eq!(ask(&settings, acme(), &of("")), "plain");
    assert_eq!(ask(&settings, acme(), &of("gamma")), "plain");
    assert_eq!(
        ask(&settings, acme(), &of("beta")),
        "reserved",
        "the fullest that lets it in"
    );

    let gpu = RoomRequest {
        labels: vec![Label::new("require.gpu", "yes"), Label::new("kind", "webinar")],
        ..room()
    };
    let with_gpu = |server: &mut ServerSketch| server.row.labels.push(Label::new("gpu", "yes"));
    assert_eq!(
        ask(
            &settings,
            ten_rooms().server("plain", rooms(9)).server("gpu", with_gpu),
            &gpu
        ),
        "gpu"
    );
}

#[test]
fn a_server_with_the_label_is_found_however_many_fuller_ones_have_none() {
    let gpu = RoomRequest {
        labels: vec![Label::new("require.gpu", "yes")],
        ..room()
    };
    let labelled = |server: &mut ServerSketch| server.row.labels.push(Label::new("gpu", "yes"));
    let plain = || ten_rooms().servers("plain", LOOKED_AT_MAX as u32 + 1, rooms(9));
    for (case, fleet) in [
        (
            "its pool has it",
            plain()
                .pool("gpus", |pool| pool.labels.push(Label::new("gpu", "yes")))
                .server("gpu", |_| {}),
        ),
        (
            "it has it itself",
            plain().pool("mixed", |_| {}).server("gpu", labelled),
        ),
    ] {
        assert_eq!(ask(&Settings::default(), fleet, &gpu), "gpu", "{case}");
    }
}

#[test]
fn where_more_servers_have_room_than_are_looked_at_the_room_asks_again_and_says_why() {
    let gpu = RoomRequest {
        labels: vec![Label::new("require.gpu", "yes")],
        ..room()
    };
    let fleet = |plain: usize| {
        let fleet = ten_rooms().servers("plain", plain as u32, rooms(9));
        fleet.server("gpu", |server| server.row.labels.push(Label::new("gpu", "yes")))
    };
    assert_eq!(ask(&Settings::default(), fleet(LOOKED_AT_MAX - 1), &gpu), "gpu");
    assert_eq!(ask(&Settings::default(), fleet(LOOKED_AT_MAX), &gpu), "wait  again");
    let advice = place(
        &Settings::default(),
        &gpu,
        &fleet(LOOKED_AT_MAX).build(),
        Moment::at(NOW),
    );
    let why = "none of the 1024 fullest servers with room will do, and the others were not looked at";
    assert_eq!(advice.reason.as_deref(), Some(why));

    let hot = |server: &mut ServerSketch| (server.usage.reported, server.usage.cpu_permille) = (NOW, 999);
    let all_seen = ten_rooms().servers("hot", LOOKED_AT_MAX as u32, hot).build();
    let advice = place(&Settings::default(), &room(), &all_seen, Moment::at(NOW));
    assert_eq!(
        advice.reason.as_deref(),
        Some("the servers with room are above their marks")
    );
}

#[test]
fn a_room_that_fits_nowhere_waits_for_the_cheapest_pool_that_may_launch() {
    let pools = |small: u32, large: u32| {
        let large_and = Fleet::builder().pool("large", |pool| {
            (pool.seats_per_server, pool.price_microdollars_per_hour) = (5_000, 3_492_000);
        });
        let small_and = large_and
            .pool_state(|state| state.launchable = large)
            .pool("small", |pool| {
                (pool.seats_per_server, pool.price_microdollars_per_hour) = (500, 348_000);
            });
        small_and.pool_state(|state| state.launchable = small)
    };
    let settings = Settings::default();
    assert_eq!(ask(&settings, pools(1, 1), &room()), "wait small");
    assert_eq!(ask(&settings, pools(0, 1), &room()), "wait large");
    assert_eq!(
        ask(&settings, pools(0, 0), &room()),
        "wait small",
        "it cannot now, but would do"
    );
    assert_eq!(
        ask(&settings, pools(1, 1), &RoomRequest::new("large", 501)),
        "wait large"
    );
    assert_eq!(ask(&settings, pools(1, 1), &RoomRequest::new("larger", 5_001)), "wait ");
}

#[test]
fn each_answer_has_its_reason() {
    let reason = |fleet: FleetBuilder, minutes| {
        place(
            &Settings::default(),
            &room_of_minutes(minutes),
            &fleet.build(),
            Moment::at(NOW),
        )
        .reason
        .unwrap()
    };
    assert_eq!(reason(ten_rooms().server("a", rooms(1)), 0), "fullest server with room");
    assert_eq!(
        reason(ten_rooms().server("a", rooms(0)), 0),
        "an empty server: no other has room"
    );
    let fleet = ten_rooms()
        .server("a", rooms_until(8, 10))
        .server("b", rooms_until(2, 180));
    assert_eq!(reason(fleet, 60), "the server that lives longest anyway");
    assert_eq!(reason(ten_rooms(), 0), "no server has room");
    assert_eq!(reason(Fleet::builder(), 0), "no pool suits the room");
}

#[test]
fn a_pools_own_marks_hold_for_its_servers_only() {
    let settings: Settings = toml::from_str("[pool.eu]\ncpu_permille_max = 500\negress_kbps_max = 900").unwrap();
    let reporting = |cpu: u32, egress: u32| {
        move |server: &mut ServerSketch| {
            rooms(5)(server);
            (
                server.usage.reported,
                server.usage.cpu_permille,
                server.usage.egress_kbps,
            ) = (NOW, cpu, egress);
        }
    };
    let other = |fleet: FleetBuilder, cpu: u32| fleet.pool("other", |_| {}).server("other", reporting(cpu, 5_000));
    for (case, fleet, expected) in [
        ("below both", ten_rooms().server("a", reporting(500, 900)), "a"),
        (
            "above its mark",
            ten_rooms().server("a", reporting(501, 0)),
            "wait eu again",
        ),
        (
            "above its line",
            ten_rooms().server("a", reporting(0, 901)),
            "wait eu again",
        ),
        ("another pool has its own", other(ten_rooms(), 800), "other"),
        (
            "and the general mark holds there",
            other(ten_rooms(), 801),
            "wait other again",
        ),
    ] {
        assert_eq!(ask(&settings, fleet, &room()), expected, "{case}");
    }
}

#[test]
fn a_room_waits_for_the_pool_that_the_settings_prefer() {
    let fleet = |launchable: u32| {
        let dear = |pool: &mut Pool| (pool.region, pool.price_microdollars_per_hour) = ("eu".into(), 900_000);
        ten_rooms()
            .pool("dear", dear)
            .pool_state(|state| state.launchable = launchable)
    };
    let settings: Settings = toml::from_str("scale_up_prefer = ['gone', 'dear']").unwrap();
    assert_eq!(ask(&Settings::default(), fleet(1), &room()), "wait eu");
    assert_eq!(ask(&settings, fleet(1), &room()), "wait dear");
    assert_eq!(
        ask(&settings, fleet(0), &room()),
        "wait eu",
        "rather one that may launch"
    );
}
