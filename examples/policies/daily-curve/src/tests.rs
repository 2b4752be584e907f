use usher_sdk::{Change, FleetBuilder, Instance, LEARNED_BYTES_MAX, Level, Phase, ServerSketch, purity};

use super::*;

/// Monday 2026-03-23T00:00:00Z: one in the morning in Berlin, six days before its clocks are put forward.
const MONDAY: Timestamp = 1_774_224_000;
const HOUR: u32 = 3_600;
const DAY: u32 = 24 * HOUR;
const WEEK: u32 = 7 * DAY;

fn settings() -> Settings {
    Settings {
        pool: "office".into(),
        time_zone: "Europe/Berlin".into(),
        ..Settings::default()
    }
}

fn policy() -> DailyCurve {
    DailyCurve::new(settings()).unwrap()
}

/// The office's pool, ten rooms a server, five minutes' boot, and what follows in it.
fn office() -> FleetBuilder {
    let other = Fleet::builder()
        .pool("other", |_| {})
        .server("other", |server| server.usage.rooms = 99);
    let office = other.pool("office", |pool| pool.rooms_per_server = 10);
    office.pool_state(|state| (state.launchable, state.boot_seconds) = (9, 300))
}

fn rooms(rooms: u32) -> impl Fn(&mut ServerSketch) {
    move |server| server.usage.rooms = rooms
}

/// Asks how many servers more there shall be; no answer may be about another pool.
fn grown(policy: &mut DailyCurve, fleet: &Fleet, now: Timestamp, waiting: u32) -> u32 {
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

/// Lets a week pass in which so many rooms live from nine to ten on Monday, and none at other times.
fn live_a_week(policy: &mut DailyCurve, monday_at_nine: Timestamp, at_nine: u32) {
    let busy = office()
        .servers("s", at_nine.div_ceil(10), rooms(0))
        .server("all", rooms(at_nine))
        .build();
    let quiet = office().build();
    for now in (monday_at_nine - HOUR..monday_at_nine - HOUR + WEEK).step_by(300) {
        let is_busy = (monday_at_nine..monday_at_nine + HOUR).contains(&now);
        grown(policy, if is_busy { &busy } else { &quiet }, now, 0);
    }
}

/// Returns a policy that has seen one week with thirty rooms from nine to ten on Monday, and when nine is a week later: there
/// its clocks have been put forward.
fn learned() -> (DailyCurve, Timestamp) {
    let (mut policy, nine) = (policy(), MONDAY + 8 * HOUR);
    live_a_week(&mut policy, nine, 30);
    (policy, nine + WEEK - HOUR)
}

#[test]
fn who_has_seen_nothing_says_nothing() {
    let fleet = office().server("idle", rooms(0)).build();
    let mut policy = policy();
    for now in (MONDAY..MONDAY + WEEK).step_by(900) {
        assert_eq!(grown(&mut policy, &fleet, now, 0), 0);
        assert_eq!(policy.scale_down(&fleet, Moment::at(now)), []);
    }
}

#[test]
fn what_last_week_brought_is_launched_two_boots_ahead_by_the_clock_on_the_wall() {
    let fleet = office().build();
    for (case, before_nine, servers) in [("too early", 601, 0), ("two boots ahead", 600, 3), ("at nine", 0, 3)] {
        let (mut policy, nine) = learned();
        assert_eq!(grown(&mut policy, &fleet, nine - before_nine, 0), servers, "{case}");
    }
    for (case, after_nine, servers) in [
        ("at a quarter to ten", 2_700, 3),
        ("at ten", 3_600, 0),
        ("on Tuesday", DAY, 0),
    ] {
        let (mut policy, nine) = learned();
        assert_eq!(grown(&mut policy, &fleet, nine + after_nine, 0), servers, "{case}");
    }
}

#[test]
fn what_is_there_or_coming_is_not_launched_again() {
    let starting = |server: &mut ServerSketch| server.usage.phase = Phase::Starting;
    let grown = |fleet: FleetBuilder, waiting| {
        let (mut policy, nine) = learned();
        grown(&mut policy, &fleet.build(), nine - 600, waiting)
    };
    assert_eq!(
        grown(office().server("a", rooms(7)), 0),
        2,
        "twenty of thirty are missing"
    );
    assert_eq!(grown(office().servers("b", 3, starting), 0), 0);
    assert_eq!(grown(office(), 25), 3, "those that wait are the first of the thirty");
    assert_eq!(grown(office(), 35), 4, "more than were expected");
    assert_eq!(
        grown(office().pool_state(|state| state.launchable = 2), 0),
        2,
        "what may be launched"
    );
    assert_eq!(grown(office().pool_state(|state| state.launchable = 0), 0), 0);
}

#[test]
fn rooms_that_wait_for_another_pool_are_not_its_own() {
    for (named, servers) in [(None, 3), (Some(2), 3), (Some(1), 0)] {
        let want = Want {
            pool: named,
            ..Want::new(25, 50)
        };
        let growths = policy().scale_up(&Demand::of(vec![want]), &office().build(), Moment::at(MONDAY));
        let launched: u32 = growths.iter().map(|growth| growth.servers).sum();
        assert_eq!(launched, servers, "{named:?}");
    }
}

#[test]
fn idle_servers_stay_while_rooms_are_expected_that_need_them() {
    let keeps = |fleet: FleetBuilder, before_nine| {
        let (policy, nine) = learned();
        let mut policy = policy;
        let kept = policy.scale_down(&fleet.build(), Moment::at(nine - before_nine));
        assert!(kept.iter().all(|it| it.pool == 2 && it.servers.is_empty()), "{kept:?}");
        !kept.is_empty()
    };
    assert!(keeps(office().servers("idle", 3, rooms(0)), 600));
    assert!(
        !keeps(office().servers("idle", 3, rooms(0)), 601),
        "nobody is expected yet"
    );
    let in_use = || office().servers("in use", 3, rooms(1));
    assert!(
        !keeps(in_use().server("idle", rooms(0)), 600),
        "thirty find place without it"
    );
    assert!(keeps(
        office().servers("in use", 2, rooms(1)).server("idle", rooms(0)),
        600
    ));
}

#[test]
fn a_new_habit_is_mostly_known_after_four_weeks_and_an_old_one_dies_away() {
    let mut curve = Curve::new(15).unwrap();
    let mut week = |rooms| {
        curve.watch(0, rooms);
        curve.watch(15, 0);
        curve.expected(0)
    };
    assert_eq!([100, 0, 0, 0, 0].map(&mut week), [100, 75, 56, 42, 32]);
    assert_eq!([100, 100, 100, 100].map(&mut week), [49, 62, 71, 78]);
    assert_eq!((0..30).map(|_| week(0)).last(), Some(0), "not one room is left behind");
    assert!(week(u32::MAX) > 10_000_000, "no number is too large");
}

#[test]
fn the_most_rooms_in_a_slot_are_what_it_brings_and_count_at_once() {
    let mut curve = Curve::new(15).unwrap();
    for (minute, rooms) in [(600, 3), (607, 8), (614, 5)] {
        curve.watch(minute, rooms);
    }
    assert_eq!([599, 600, 614, 615].map(|minute| curve.expected(minute)), [0, 8, 8, 0]);
    curve.watch(615, 1);
    assert_eq!([600, 614, 615].map(|minute| curve.expected(minute)), [8, 8, 1]);
}

#[test]
fn a_restart_forgets_nothing_not_even_the_slot_that_it_fell_into() {
    let (mut before, nine) = learned();
    assert_eq!(grown(&mut before, &office().build(), nine + DAY, 17), 2);
    let instance = |saved: &[u8]| {
        let settings = r#"{"pool":"office","time_zone":"Europe/Berlin"}"#;
        let mut instance = Instance::<DailyCurve>::configure(settings, Level::Info).unwrap();
        instance.restore(saved).unwrap();
        let fleet = office().build();
        let pools = fleet.pools().cloned().map(Change::PoolSet);
        let states = fleet
            .pools()
            .filter_map(|pool| fleet.pool_state(pool.id))
            .cloned()
            .map(Change::PoolState);
        instance.update(nine, pools.chain(states).collect());
        instance
    };
    let saved = before.save();
    assert!(saved.len() < 3_000, "{} bytes", saved.len());
    for (when, servers) in [(nine - 600, 3), (nine + DAY, 2), (nine + 2 * DAY, 0)] {
        let growths = instance(&saved).scale_up(&Demand::of(vec![]), Moment::at(when));
        assert_eq!(
            growths.iter().map(|growth| growth.servers).sum::<u32>(),
            servers,
            "{when}"
        );
    }
    let mut again = instance(&saved);
    assert_eq!(again.save().unwrap(), saved, "to be restored and saved changes nothing");
    again.scale_up(&Demand::of(vec![]), Moment::at(nine + DAY + 1));
    assert_eq!(
        again.save().unwrap(),
        saved,
        "nor does it to see less of the slot that was being watched"
    );
}

#[test]
fn the_shortest_slots_fit_into_what_is_kept() {
    let longest = Settings {
        slot_minutes: 5,
        pool: "x".repeat(128),
        ..settings()
    };
    let policy = DailyCurve::new(longest).unwrap();
    assert!(policy.save().len() < LEARNED_BYTES_MAX / 4);
}

#[test]
fn what_cannot_be_read_is_refused_and_changes_nothing() {
    let (learned, _) = learned();
    let saved = learned.save();
    let of = |change: fn(&mut Settings)| {
        let mut other = settings();
        change(&mut other);
        DailyCurve::new(other).unwrap()
    };
    let mut version_2 = saved.clone();
    version_2[0] = 2;
    for (case, saved) in [
        ("nothing", vec![]),
        ("half of it", saved[..saved.len() / 2].to_vec()),
        ("a byte too few", saved[..saved.len() - 1].to_vec()),
        ("a slot too many", [&saved[..], &[0; 4]].concat()),
        ("another version", version_2),
        ("another pool", of(|it| it.pool = "office-2".into()).save()),
        ("other slots", of(|it| it.slot_minutes = 30).save()),
    ] {
        let mut policy = policy();
        let before = policy.curve.clone();
        assert!(policy.restore(&saved).is_err(), "{case}");
        assert_eq!(policy.curve, before, "{case}");
    }
    assert_eq!(policy().restore(&saved), Ok(()));
}

#[test]
fn without_its_pool_it_learns_nothing() {
    let (mut policy, nine) = learned();
    let saved = policy.save();
    let elsewhere = Fleet::builder().pool("other", |_| {}).build();
    for now in (nine..nine + WEEK).step_by(900) {
        assert_eq!(grown(&mut policy, &elsewhere, now, 5), 0);
    }
    assert_eq!(policy.save(), saved);
}

#[test]
fn settings_that_cannot_be_meant_are_refused_by_name() {
    for (change, key) in [
        ((|it| it.pool.clear()) as fn(&mut Settings), "pool"),
        (|it| it.time_zone = "Europe/Bärlin".into(), "time_zone"),
        (|it| it.slot_minutes = 0, "slot_minutes"),
        (|it| it.slot_minutes = 4, "slot_minutes"),
        (|it| it.slot_minutes = 25, "slot_minutes"),
        (|it| it.slot_minutes = 2_880, "slot_minutes"),
    ] {
        let mut settings = settings();
        change(&mut settings);
        let error = DailyCurve::new(settings).unwrap_err();
        assert!(error.starts_with(&format!("setting `{key}`:")), "{error}");
    }
}

#[test]
fn it_answers_alike_in_every_instance_and_after_every_history() {
    let fleet = office().server("in use", rooms(3)).server("idle", rooms(0)).build();
    let settings = r#"{"pool": "office", "time_zone": "Europe/Berlin"}"#;
    let demand = Demand::of(vec![Want::new(27, 50)]);
    purity::check_scale_up::<DailyCurve>(settings, &fleet, &demand, Moment::at(MONDAY)).unwrap();
    purity::check_scale_down::<DailyCurve>(settings, &fleet, Moment::at(MONDAY)).unwrap();
}

#[test]
fn the_example_file_says_the_defaults_and_a_pool() {
    let file: Settings = toml::from_str(include_str!(concat!("../", env!("CARGO_PKG_NAME"), ".toml"))).unwrap();
    let defaults = Settings {
        pool: "frankfurt".into(),
        ..Settings::default()
    };
    assert_eq!(file, defaults);
}
