use usher_sdk::{FleetBuilder, Phase, ServerSketch, purity};

use super::*;

/// Friday 2026-03-27T06:00:00Z: seven in the morning in Berlin, two days before its clocks are put forward.
const FRIDAY_7: Timestamp = 1_774_591_200;
/// Monday 2026-03-30T06:00:00Z: eight in the morning there.
const MONDAY_8: Timestamp = 1_774_850_400;

fn settings() -> Settings {
    Settings {
        pool: "office".into(),
        time_zone: "Europe/Berlin".into(),
        ..Settings::default()
    }
}

fn policy(settings: Settings) -> BusinessHours {
    BusinessHours::new(settings).unwrap()
}

/// The pool of the office, ten rooms a server, a minute's boot, and what follows in it.
fn office() -> FleetBuilder {
    let other = Fleet::builder().pool("other", |pool| pool.rooms_per_server = 10);
    let office = other.pool("office", |pool| pool.rooms_per_server = 10);
    office.pool_state(|state| (state.launchable, state.boot_seconds) = (9, 60))
}

fn rooms(rooms: u32) -> impl Fn(&mut ServerSketch) {
    move |server| server.usage.rooms = rooms
}

/// Asks how many servers more the office gets; no answer may be about another pool.
fn grown(policy: &mut BusinessHours, fleet: &Fleet, now: Timestamp, waiting: u32) -> u32 {
    let wants = if waiting > 0 {
        vec![Want::new(waiting, 50)]
    } else {
        vec![]
    };
    let growths = policy.scale_up(&Demand::of(wants), fleet, Moment::at(now));
    assert!(
        growths.iter().all(|growth| growth.pool == 2 && growth.servers > 0),
        "{growths:?}"
    );
    growths.iter().map(|growth| growth.servers).sum()
}

fn keeps_all(fleet: &Fleet, now: Timestamp) -> bool {
    let shrinkages = policy(settings()).scale_down(fleet, Moment::at(now));
    assert!(
        shrinkages.iter().all(|it| it.pool == 2 && it.servers.is_empty()),
        "{shrinkages:?}"
    );
    !shrinkages.is_empty()
}

#[test]
fn spare_rooms_are_there_when_the_office_opens_and_nothing_is_kept_after_it_closes() {
    let fleet = office().build();
    let opens = FRIDAY_7 + 3_600;
    for (case, now, servers) in [
        ("more than two boots before opening", opens - 121, 0),
        ("two boots before", opens - 120, 2),
        ("at noon", opens + 4 * 3_600, 2),
        ("before closing", opens + 10 * 3_600 - 1, 2),
        ("closed", opens + 10 * 3_600, 0),
        ("on Saturday", opens + 24 * 3_600, 0),
    ] {
        assert_eq!(grown(&mut policy(settings()), &fleet, now, 0), servers, "{case}");
        assert_eq!(keeps_all(&fleet, now), servers > 0, "{case}");
    }
}

#[test]
fn the_clock_on_the_wall_counts_on_either_side_of_a_night_in_which_it_is_changed() {
    let fleet = office().build();
    // On Friday 08:00 in Berlin is 07:00Z; on Monday it is 06:00Z.
    assert_eq!(grown(&mut policy(settings()), &fleet, FRIDAY_7, 0), 0);
    assert_eq!(grown(&mut policy(settings()), &fleet, MONDAY_8 - 121, 0), 0);
    assert_eq!(grown(&mut policy(settings()), &fleet, MONDAY_8 - 120, 0), 2);
    // Sunday 2026-10-25: the hour from two to three comes twice, and opening at three is still two boots away.
    let nights = || Settings {
        days: vec![Day::Sunday],
        from: "03:00".into(),
        ..settings()
    };
    let three_winter_time: Timestamp = 1_792_893_600;
    for (now, servers) in [
        (three_winter_time - 3_600, 0),
        (three_winter_time - 121, 0),
        (three_winter_time - 120, 2),
    ] {
        assert_eq!(grown(&mut policy(nights()), &fleet, now, 0), servers, "{now}");
    }
    // Sunday 2026-03-29: a second before three the clock shows 01:59:59, and two boots from then 03:01.
    let three_summer_time: Timestamp = 1_774_746_000;
    for (now, servers) in [(three_summer_time - 121, 0), (three_summer_time - 120, 2)] {
        assert_eq!(grown(&mut policy(nights()), &fleet, now, 0), servers, "{now}");
    }
}

#[test]
fn a_holiday_is_as_quiet_as_a_sunday() {
    let fleet = office().build();
    let on_monday_off = || Settings {
        holidays: vec!["2026-03-30".into()],
        ..settings()
    };
    assert_eq!(grown(&mut policy(on_monday_off()), &fleet, MONDAY_8, 0), 0);
    assert_eq!(grown(&mut policy(on_monday_off()), &fleet, MONDAY_8 + 24 * 3_600, 0), 2);
}

#[test]
fn what_is_there_or_coming_is_not_launched_again() {
    let starting = |server: &mut ServerSketch| server.usage.phase = Phase::Starting;
    let grown = |fleet: FleetBuilder, waiting| grown(&mut policy(settings()), &fleet.build(), MONDAY_8, waiting);
    assert_eq!(grown(office().server("a", rooms(3)), 0), 2, "13 are missing");
    assert_eq!(grown(office().server("a", rooms(3)).servers("b", 2, starting), 0), 0);
    assert_eq!(
        grown(office().servers("b", 2, starting), 1),
        1,
        "one waits, and twenty are to be spare"
    );
    assert_eq!(grown(office().servers("full", 2, rooms(10)), 25), 5);
    assert_eq!(
        grown(office().pool_state(|state| state.launchable = 1), 0),
        1,
        "what may be launched"
    );
    assert_eq!(grown(office().pool_state(|state| state.launchable = 0), 0), 0);
}

#[test]
fn servers_too_small_for_a_room_are_not_launched_for_it() {
    let small = office().pool("office", |pool| pool.seats_per_server = 49).build();
    let growths = policy(settings()).scale_up(&Demand::of(vec![]), &small, Moment::at(MONDAY_8));
    assert_eq!(
        growths.iter().map(|growth| growth.pool).collect::<Vec<_>>(),
        [2],
        "not in pool 3"
    );
}

#[test]
fn only_rooms_that_the_pool_suits_are_launched_for() {
    let elsewhere = Want {
        region: "us".into(),
        ..Want::new(50, 50)
    };
    let growths = policy(settings()).scale_up(&Demand::of(vec![elsewhere]), &office().build(), Moment::at(MONDAY_8));
    assert_eq!(growths[0].servers, 2);
}

#[test]
fn rooms_that_wait_for_another_pool_are_not_launched_for() {
    for (named, servers) in [(None, 7), (Some(2), 7), (Some(1), 2)] {
        let want = Want {
            pool: named,
            ..Want::new(50, 50)
        };
        let growths = policy(settings()).scale_up(&Demand::of(vec![want]), &office().build(), Moment::at(MONDAY_8));
        assert_eq!(growths[0].servers, servers, "{named:?}");
    }
}

#[test]
fn idle_servers_may_go_where_the_spare_rooms_are_on_others() {
    let in_use = || office().servers("in use", 4, rooms(5));
    assert!(
        !keeps_all(&in_use().server("idle", rooms(0)).build(), MONDAY_8),
        "twenty are spare without it"
    );
    let fuller = office().servers("in use", 4, rooms(6));
    assert!(keeps_all(&fuller.server("idle", rooms(0)).build(), MONDAY_8));
}

#[test]
fn a_pool_whose_boots_are_unknown_is_launched_in_early_and_none_is_more_than_an_hour_ahead() {
    let ahead = |boot_seconds| {
        let fleet = office().pool_state(|state| state.boot_seconds = boot_seconds).build();
        let is_early = |seconds: &u32| grown(&mut policy(settings()), &fleet, MONDAY_8 - seconds, 0) > 0;
        (1..=7_200)
            .rev()
            .step_by(60)
            .find(is_early)
            .map(|seconds| seconds.div_ceil(60) * 60)
    };
    assert_eq!(ahead(0), Some(AHEAD_SECONDS_UNKNOWN));
    assert_eq!(ahead(90), Some(180));
    assert_eq!(ahead(1_800), Some(AHEAD_SECONDS_MAX));
    assert_eq!(ahead(u32::MAX), Some(AHEAD_SECONDS_MAX));
}

#[test]
fn settings_that_cannot_be_meant_are_refused_by_name() {
    let with = |change: fn(&mut Settings)| {
        let mut settings = settings();
        change(&mut settings);
        BusinessHours::new(settings).map(|_| ())
    };
    for (change, key) in [
        ((|it| it.pool.clear()) as fn(&mut Settings), "pool"),
        (|it| it.time_zone = "Europe/Bärlin".into(), "time_zone"),
        (|it| it.from = "8".into(), "from"),
        (|it| it.from = "08:60".into(), "from"),
        (|it| it.to = "24:01".into(), "to"),
        (|it| it.to = "99999999:00".into(), "to"),
        (|it| it.to = "08:59".into(), "to"),
    ] {
        let error = with(change).unwrap_err();
        assert!(error.starts_with(&format!("setting `{key}`:")), "{error}");
    }
    assert_eq!(with(|it| it.to = "24:00".into()), Ok(()));
}

#[test]
fn it_answers_alike_in_every_instance_and_after_every_history() {
    let fleet = office().server("in use", rooms(3)).server("idle", rooms(0)).build();
    let settings = r#"{"pool": "office", "time_zone": "Europe/Berlin"}"#;
    let demand = Demand::of(vec![Want::new(7, 50)]);
    purity::check_scale_up::<BusinessHours>(settings, &fleet, &demand, Moment::at(MONDAY_8 - 300)).unwrap();
    purity::check_scale_down::<BusinessHours>(settings, &fleet, Moment::at(MONDAY_8 - 300)).unwrap();
}

#[test]
fn the_example_file_is_read() {
    let file: Settings = toml::from_str(include_str!(concat!("../", env!("CARGO_PKG_NAME"), ".toml"))).unwrap();
    assert_eq!(file.pool, "frankfurt");
    let others = Settings {
        pool: String::new(),
        time_zone: "UTC".into(),
        holidays: vec![],
        ..file.clone()
    };
    assert_eq!(others, Settings::default(), "but for these it says the defaults");
    policy(file);
}
