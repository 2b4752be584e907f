use usher_sdk::{FleetBuilder, Label, Phase, Pool, PoolState, Verdict, purity};

use super::*;

const NOW: Timestamp = 10_000;

/// A pool of this market, rooms a server and dollars an hour, in hundredths.
fn pool(builder: FleetBuilder, name: &str, market: &str, rooms: u32, cents: u32) -> FleetBuilder {
    builder.pool(name, |pool| {
        (pool.market, pool.rooms_per_server) = (market.into(), rooms);
        pool.price_microdollars_per_hour = cents * 10_000;
    })
}

/// A small machine at 4 cents a room, a large one at 3, and the small one as a spot server at 1.
fn pools() -> FleetBuilder {
    let small = pool(Fleet::builder().at(NOW), "small", "on-demand", 5, 20);
    pool(pool(small, "large", "on-demand", 20, 60), "spot", "spot", 5, 5)
}

fn no_spare() -> Settings {
    Settings {
        spare_rooms: 0,
        ..Settings::default()
    }
}

fn policy(settings: Settings) -> Dollars {
    Dollars::new(settings).unwrap()
}

/// Asks for so many waiting rooms; the answer is `POOL+SERVERS` for each pool that grows.
fn asked(policy: &mut Dollars, fleet: &Fleet, now: Timestamp, wants: Vec<Want>) -> String {
    let growths = policy.scale_up(&Demand::of(wants), fleet, Moment::at(now));
    let automatic = fleet.pools().filter(|pool| pool.automatic).count();
    assert_eq!(
        growths.len(),
        automatic,
        "every pool that Usher launches in is spoken for"
    );
    let name = |growth: &Growth| format!("{}+{}", fleet.pool(growth.pool).unwrap().name, growth.servers);
    let grown: Vec<_> = growths.iter().filter(|growth| growth.servers > 0).map(name).collect();
    grown.join(" ")
}

fn grown(settings: Settings, fleet: FleetBuilder, rooms: u32) -> String {
    asked(&mut policy(settings), &fleet.build(), NOW, vec![Want::new(rooms, 50)])
}

/// Asks in which pools every server stays, by name; no answer may let one go.
fn kept(settings: Settings, fleet: FleetBuilder) -> String {
    let fleet = fleet.build();
    let shrinkages = policy(settings).scale_down(&fleet, Moment::at(NOW));
    assert!(shrinkages.iter().all(|it| it.servers.is_empty()), "{shrinkages:?}");
    let names = shrinkages.iter().map(|it| fleet.pool(it.pool).unwrap().name.as_str());
    names.collect::<Vec<_>>().join(" ")
}

fn may_launch(servers: u32, again: Timestamp) -> impl Fn(&mut PoolState) {
    move |state| (state.launchable, state.again) = (servers, again)
}

#[test]
fn the_cheapest_room_wins_and_not_the_cheapest_server() {
    let without_spot = || Settings {
        spot_percent_max: 0,
        ..no_spare()
    };
    assert_eq!(grown(without_spot(), pools(), 1), "large+1");
    assert_eq!(grown(without_spot(), pools(), 41), "large+3");
    let big_rooms = |pool: &mut Pool| pool.seats_per_server = 500;
    let by_seats = Fleet::builder().pool("roomy", |pool| {
        big_rooms(pool);
        pool.price_microdollars_per_hour = 50;
    });
    let by_seats = by_seats.pool("dear", |pool| {
        big_rooms(pool);
        pool.price_microdollars_per_hour = 60;
    });
    assert_eq!(grown(without_spot(), by_seats, 11), "roomy+2");
}

#[test]
fn nobody_waits_and_nothing_is_spared_so_nothing_is_ordered() {
    assert_eq!(grown(no_spare(), pools(), 0), "");
}

#[test]
fn spot_servers_are_never_more_than_their_share() {
    assert_eq!(
        grown(no_spare(), pools(), 1),
        "large+1",
        "the first may not be a spot server"
    );
    assert_eq!(grown(no_spare(), pools(), 21), "large+1 spot+1", "but the second");
    let four = || pools().servers("spot", 2, |server| server.usage.rooms = 5);
    assert_eq!(
        grown(no_spare(), four(), 1),
        "large+1",
        "two of three are too many already"
    );
    let with_one = |phase| {
        let small = pool(Fleet::builder(), "small", "on-demand", 5, 20);
        pool(
            small.server("s", |server| (server.usage.phase, server.usage.rooms) = (phase, 5)),
            "spot",
            "spot",
            5,
            5,
        )
    };
    assert_eq!(grown(no_spare(), with_one(Phase::Ready), 1), "spot+1");
    assert_eq!(
        grown(no_spare(), with_one(Phase::Ending), 1),
        "small+1",
        "what ends is no share of anything"
    );
    let all = Settings {
        spot_percent_max: 100,
        ..no_spare()
    };
    assert_eq!(grown(all, pools(), 11), "spot+3");
    let none = Settings {
        spot_percent_max: 0,
        ..no_spare()
    };
    assert_eq!(grown(none, pools(), 41), "large+3");
}

#[test]
fn where_only_spot_pools_would_do_their_share_does_not_count() {
    let spot = || pool(Fleet::builder(), "spot", "spot", 5, 5);
    for spot_percent_max in [0, 50] {
        let share = || Settings {
            spot_percent_max,
            ..no_spare()
        };
        assert_eq!(grown(share(), spot(), 6), "spot+2");
        let elsewhere = Fleet::builder()
            .pool("eu", |pool| (pool.region, pool.market) = ("eu".into(), "spot".into()))
            .pool("us", |pool| pool.region = "us".into())
            .build();
        let in_region = |region: &str| Want {
            region: region.into(),
            ..Want::new(1, 50)
        };
        let wants = vec![in_region("eu"), in_region("us")];
        assert_eq!(asked(&mut policy(share()), &elsewhere, NOW, wants), "eu+1 us+1");
        let other = pool(spot(), "other", "on-demand", 5, 20).pool_state(may_launch(0, 0));
        assert_eq!(grown(share(), other, 6), "", "another would do, even if not now");
    }
    assert_eq!(grown(Settings::default(), spot(), 0), "spot+1", "nor for spare rooms");
}

#[test]
fn rooms_fill_what_is_coming_before_anything_is_ordered() {
    let coming = || pools().server("s", |server| server.usage.phase = Phase::Starting);
    assert_eq!(grown(no_spare(), coming(), 5), "");
    assert_eq!(grown(no_spare(), coming(), 6), "large+1");
}

#[test]
fn only_what_may_be_launched_is_ordered_and_the_next_cheapest_has_the_rest() {
    let limited = || {
        let large = pool(Fleet::builder().at(NOW), "large", "on-demand", 20, 60).pool_state(may_launch(2, 0));
        pool(large, "small", "on-demand", 5, 20)
    };
    assert_eq!(grown(no_spare(), limited(), 45), "large+2 small+1");
    let nothing_may = pool(Fleet::builder(), "large", "on-demand", 20, 60).pool_state(may_launch(0, 0));
    assert_eq!(grown(no_spare(), nothing_may, 45), "");
}

#[test]
fn a_cheaper_pool_that_may_launch_soon_is_worth_a_short_wait() {
    let soon = |seconds| {
        let large =
            pool(Fleet::builder().at(NOW), "large", "on-demand", 20, 60).pool_state(may_launch(0, NOW + seconds));
        pool(large, "small", "on-demand", 5, 20).build()
    };
    let waited = |seconds| {
        vec![Want {
            longest_wait_seconds: seconds,
            ..Want::new(1, 50)
        }]
    };
    let ask = |fleet: &Fleet, wants| asked(&mut policy(no_spare()), fleet, NOW, wants);
    assert_eq!(ask(&soon(15), waited(5)), "");
    assert_eq!(ask(&soon(15), waited(6)), "small+1", "it would wait for 21 s in all");
    assert_eq!(ask(&soon(21), waited(0)), "small+1");
    assert_eq!(ask(&soon(1), waited(60)), "small+1", "it has waited long enough");
}

#[test]
fn a_pool_whose_launch_failed_is_left_alone_until_the_verdict_ends() {
    for (outcome, until, alone_for) in [
        (Outcome::Failed, 0, PAUSE_SECONDS),
        (Outcome::Failed, NOW + 180, 180),
        (Outcome::Refused, NOW + 180, 180),
        (Outcome::Clamped, NOW + 180, 0),
        (Outcome::Accepted, 0, 0),
    ] {
        let verdict = Verdict {
            decision: 1,
            subject: Subject::Launch(2),
            outcome,
            count: 1,
            code: "boot_failed".into(),
            until,
        };
        let mut policy = policy(no_spare());
        let want = || vec![Want::new(1, 50)];
        let first = asked(&mut policy, &pools().verdict(verdict).build(), NOW, want());
        assert_eq!(
            first,
            if alone_for > 0 { "small+1" } else { "large+1" },
            "{outcome:?} until {until}"
        );
        if alone_for > 0 {
            let fleet = pools().build();
            let over = NOW + alone_for;
            let mut waited_for_long = want();
            waited_for_long[0].longest_wait_seconds = 100;
            assert_eq!(
                asked(&mut policy, &fleet, over - 1, waited_for_long),
                "small+1",
                "{outcome:?} until {until}"
            );
            assert_eq!(
                asked(&mut policy, &fleet, over, want()),
                "large+1",
                "{outcome:?} until {until}"
            );
        }
    }
}

#[test]
fn each_region_keeps_its_spare_rooms() {
    let eu = pool(Fleet::builder(), "eu", "on-demand", 10, 30).server("a", |server| server.usage.rooms = 6);
    let regions = |eu_rooms: u32| {
        let eu = Fleet::builder().pool("eu", |pool| (pool.region, pool.rooms_per_server) = ("eu".into(), 10));
        let eu = eu.server("a", |server| server.usage.rooms = eu_rooms);
        eu.pool("us", |pool| (pool.region, pool.rooms_per_server) = ("us".into(), 10))
    };
    assert_eq!(grown(Settings::default(), eu, 0), "eu+1", "four of five");
    assert_eq!(grown(Settings::default(), regions(5), 0), "us+1");
    assert_eq!(grown(Settings::default(), regions(6), 0), "eu+1 us+1");
}

#[test]
fn rooms_go_only_where_they_may() {
    let fleet = Fleet::builder()
        .pool("acme's", |pool| pool.labels.push(Label::new("only.tenant", "acme")))
        .pool("elsewhere", |pool| pool.region = "us".into())
        .pool("somebody else's", |pool| pool.automatic = false)
        .pool("dear", |pool| {
            (pool.region, pool.price_microdollars_per_hour) = ("eu".into(), 9)
        })
        .build();
    let in_region = Want {
        region: "eu".into(),
        ..Want::new(1, 50)
    };
    assert_eq!(asked(&mut policy(no_spare()), &fleet, NOW, vec![in_region]), "dear+1");
}

#[test]
fn rooms_that_wait_for_a_pool_for_which_another_policy_has_answered_are_left_to_it() {
    let spoken_for = |state: &mut PoolState| (state.launchable, state.code) = (0, "spoken_for".into());
    let acme = || pool(pools(), "acme", "on-demand", 5, 90).pool_state(spoken_for);
    let ask = |fleet: FleetBuilder, pool| {
        let want = Want {
            pool,
            ..Want::new(1, 50)
        };
        asked(&mut policy(no_spare()), &fleet.build(), NOW, vec![want])
    };
    assert_eq!(ask(acme(), Some(4)), "");
    assert_eq!(
        ask(acme(), Some(1)),
        "large+1",
        "the standard policy names the cheapest server's"
    );
    assert_eq!(ask(acme(), None), "large+1");
    let for_long = Want {
        pool: Some(4),
        longest_wait_seconds: 21,
        ..Want::new(1, 50)
    };
    let settings = Settings {
        patience_seconds: 20,
        ..no_spare()
    };
    let grown = asked(&mut policy(settings), &acme().build(), NOW, vec![for_long]);
    assert_eq!(grown, "large+1", "whoever keeps that pool as it is");
    let somebody_elses = Fleet::builder()
        .pool("somebody else's", |pool| pool.automatic = false)
        .pool_state(spoken_for);
    let and_large = pool(somebody_elses, "large", "on-demand", 20, 60);
    assert_eq!(ask(and_large, Some(1)), "");
}

#[test]
fn no_server_goes_that_would_be_launched_again() {
    let in_use = |rooms: u32| {
        let pool = pool(Fleet::builder(), "p", "on-demand", 10, 30);
        pool.server("in use", move |server| server.usage.rooms = rooms)
    };
    let with_idle = |rooms| in_use(rooms).server("idle", |_| {});
    assert_eq!(kept(Settings::default(), with_idle(7)), "p", "three of five");
    assert_eq!(kept(Settings::default(), with_idle(5)), "", "five without it");
    assert_eq!(kept(no_spare(), with_idle(7)), "");
    for rooms in 0..=10 {
        let is_launched = grown(Settings::default(), in_use(rooms), 0) == "p+1";
        let is_kept = kept(Settings::default(), with_idle(rooms)) == "p";
        assert_eq!(is_kept, is_launched, "{rooms} rooms");
    }
}

#[test]
fn only_pools_with_a_part_in_the_spare_rooms_of_their_region_are_kept() {
    let of_ten = |pool: &mut Pool, region: &str| (pool.region, pool.rooms_per_server) = (region.into(), 10);
    let fleet = Fleet::builder()
        .pool("acme's", |pool| {
            of_ten(pool, "eu");
            pool.labels.push(Label::new("only.tenant", "acme"));
        })
        .server("a", |_| {})
        .pool("somebody else's", |pool| {
            of_ten(pool, "eu");
            pool.automatic = false;
        })
        .server("b", |_| {})
        .pool("us", |pool| of_ten(pool, "us"))
        .servers("c", 2, |_| {})
        .pool("eu", |pool| of_ten(pool, "eu"))
        .server("d", |_| {});
    assert_eq!(kept(Settings::default(), fleet), "eu");
}

#[test]
fn of_two_pools_the_one_is_kept_whose_server_is_needed() {
    let small = pool(Fleet::builder(), "small", "on-demand", 4, 20).server("idle", |_| {});
    let large = pool(small, "large", "on-demand", 20, 60);
    let large = large.server("in use", |server| server.usage.rooms = 12);
    assert_eq!(
        kept(Settings::default(), large),
        "large",
        "eight are left without the small one"
    );
}

#[test]
fn the_reason_says_what_a_room_costs_or_that_none_may_be_launched() {
    let large = || pool(Fleet::builder(), "large", "on-demand", 10, 123);
    let reason = |fleet: FleetBuilder, wants| {
        let growths = policy(no_spare()).scale_up(&Demand::of(wants), &fleet.build(), Moment::at(NOW));
        growths[0].reason.clone()
    };
    let three = || vec![Want::new(3, 50)];
    assert_eq!(reason(large(), three()), "3 rooms, at most $0.1230 an hour each");
    assert_eq!(reason(large(), vec![]), "none is needed here");
    assert_eq!(
        reason(large().pool_state(may_launch(0, 0)), three()),
        "none may be launched yet for 3 rooms"
    );
}

#[test]
fn it_answers_alike_in_every_instance_and_after_every_history() {
    let fleet = pools().servers("s", 3, |server| server.usage.rooms = 5).build();
    let demand = Demand::of(vec![Want::new(21, 50), Want::new(3, 200)]);
    purity::check_scale_up::<Dollars>("{}", &fleet, &demand, Moment::at(NOW)).unwrap();
    purity::check_scale_down::<Dollars>("{}", &fleet, Moment::at(NOW)).unwrap();
}

#[test]
fn the_example_file_says_the_defaults_and_a_share_is_at_most_all() {
    let file: Settings = toml::from_str(include_str!(concat!("../", env!("CARGO_PKG_NAME"), ".toml"))).unwrap();
    assert_eq!(file, Settings::default());
    let too_many = Settings {
        spot_percent_max: 101,
        ..file
    };
    assert_eq!(
        Dollars::new(too_many).unwrap_err(),
        "setting `spot_percent_max`: 101 is more than 100"
    );
}
