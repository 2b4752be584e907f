use usher_sdk::FleetBuilder;

use super::*;

/// 2026-07-01T06:00:00Z, a Wednesday; the clock in Berlin shows eight.
const EIGHT: Timestamp = 1_782_885_600;

fn settings(toml: &str) -> Settings {
    let settings: Settings = toml::from_str(toml).unwrap();
    settings.check().unwrap();
    settings
}

/// A window from eight to ten in Berlin.
fn window(rooms: u32, pool: &str) -> String {
    format!(
        "[[window]]\nfrom = '08:00'\nto = '10:00'\ntime_zone = 'Europe/Berlin'\nspare_rooms = {rooms}\npool = '{pool}'\n"
    )
}

fn pool(builder: FleetBuilder, name: &str, region: &str, labels: &[(&str, &str)]) -> FleetBuilder {
    builder.pool(name, |pool| {
        pool.region = region.into();
        pool.labels = labels.iter().map(|(key, value)| Label::new(key, value)).collect();
    })
}

fn two_pools() -> FleetBuilder {
    pool(pool(Fleet::builder(), "a", "eu", &[]), "b", "eu", &[])
}

/// Looks up the stocks while ten rooms live in each pool; each as `POOLS:ROOMS`, with the window's end where it is one's.
fn kept(settings: &Settings, fleet: &Fleet, purpose: Purpose, now: Timestamp) -> String {
    let mut living = Rooms::default();
    living.add(10, 500, 500);
    let pools: Vec<_> = fleet.pools().map(|pool| (pool, living)).collect();
    let shown = stocks(settings, fleet, &pools, purpose, now).into_iter().map(|stock| {
        let names: Vec<_> = stock.pools.iter().map(|at| pools[*at].0.name.as_str()).collect();
        let until = stock
            .window
            .map_or(String::new(), |window| format!(" until {}", window.to));
        format!("{}:{}{until}", names.join("+"), stock.rooms)
    });
    shown.collect::<Vec<_>>().join(", ")
}

fn kept_now(toml: &str, fleet: FleetBuilder) -> String {
    kept(&settings(toml), &fleet.build(), Purpose::Launch, EIGHT)
}

#[test]
fn pools_of_a_region_that_let_in_the_same_rooms_share_their_headroom() {
    let fleet = pool(two_pools(), "us", "us", &[("tier", "gold")]);
    assert_eq!(kept_now("", fleet), "a+b:4, us:2");
    let only = [("only.tenant", "acme"), ("tier", "gold")];
    let fleet = pool(pool(two_pools(), "acme", "eu", &only), "acme-2", "eu", &only[..1]);
    assert_eq!(kept_now("", fleet), "a+b:4, acme+acme-2:4");
}

#[test]
fn a_pool_with_a_headroom_of_its_own_keeps_it_for_itself() {
    assert_eq!(kept_now("[pool.b]\nheadroom_percent = 50", two_pools()), "a:2, b:5");
    assert_eq!(kept_now("[pool.b]\nheadroom_rooms_min = 7", two_pools()), "a:2, b:7");
    assert_eq!(
        kept_now("[pool.b]\nheadroom_percent = 0\nheadroom_rooms_min = 0", two_pools()),
        "a:2, b:0"
    );
    assert_eq!(
        kept_now("[pool.b]\ncpu_permille_max = 500", two_pools()),
        "a+b:4",
        "a mark parts nobody"
    );
}

#[test]
fn a_window_is_kept_wherever_a_headroom_is() {
    let us = |builder| pool(builder, "us", "us", &[]);
    let expected = "a+b:20 until 10:00, a+b:4, us:20 until 10:00, us:2";
    assert_eq!(kept_now(&window(20, ""), us(two_pools())), expected);
    let none_in_b = format!(
        "[pool.b]\nheadroom_percent = 0\nheadroom_rooms_min = 0\n{}",
        window(20, "")
    );
    assert_eq!(kept_now(&none_in_b, two_pools()), "a:20 until 10:00, a:2, b:0");
    let none_in_general = format!("headroom_percent = 0\nheadroom_rooms_min = 0\n{}", window(20, ""));
    assert_eq!(kept_now(&none_in_general, two_pools()), "a+b:20 until 10:00, a+b:0");
}

#[test]
fn a_window_of_a_pool_is_kept_there() {
    assert_eq!(kept_now(&window(20, "b"), two_pools()), "b:20 until 10:00, a+b:4");
    assert_eq!(kept_now(&window(20, "gone"), two_pools()), "a+b:4");
    let both = window(20, "b") + &window(30, "");
    assert_eq!(
        kept_now(&both, two_pools()),
        "b:20 until 10:00, a+b:30 until 10:00, a+b:4"
    );
}

#[test]
fn a_window_begins_earlier_by_a_boot_and_a_minute() {
    let settings = settings(&window(20, ""));
    let fleet = |boots: [u32; 2]| {
        let first = pool(Fleet::builder(), "a", "eu", &[]).pool_state(|state| state.boot_seconds = boots[0]);
        pool(first, "b", "eu", &[])
            .pool_state(|state| state.boot_seconds = boots[1])
            .build()
    };
    let (on, off) = ("a+b:20 until 10:00, a+b:4", "a+b:4");
    for (case, boots, ahead) in [
        ("the slower pool counts", [90, 40], 150),
        ("nobody knows how long a boot takes", [0, 0], 360),
        ("of one pool nobody knows", [0, 90], 360),
        ("no boot is so long that a window is seen earlier", [7_200, 90], 3_600),
    ] {
        let kept = |now| kept(&settings, &fleet(boots), Purpose::Launch, now);
        assert_eq!(kept(EIGHT - ahead - 1), off, "{case}");
        assert_eq!(kept(EIGHT - ahead), on, "{case}");
        assert_eq!(kept(EIGHT + 7_199), on, "{case}");
        assert_eq!(kept(EIGHT + 7_200), off, "{case}");
    }
}

#[test]
fn what_a_window_needs_is_kept_for_longer_than_it_is_launched_ahead() {
    let settings = settings(&window(20, "a"));
    for boot_seconds in [0, 1, 90, 839, 840, 1_200] {
        let fleet = pool(Fleet::builder(), "a", "eu", &[])
            .pool_state(|state| state.boot_seconds = boot_seconds)
            .build();
        let is_kept = |purpose, ahead| kept(&settings, &fleet, purpose, EIGHT - ahead).contains("until");
        let first = |purpose| (0..=3_600).rev().find(|ahead| is_kept(purpose, *ahead)).unwrap();
        assert!(
            first(Purpose::Keep) >= first(Purpose::Launch).max(KEEP_SECONDS),
            "{boot_seconds} s"
        );
        assert!(
            (0..=first(Purpose::Keep)).all(|ahead| is_kept(Purpose::Keep, ahead)),
            "{boot_seconds} s"
        );
    }
}

#[test]
fn rooms_of_a_window_have_the_size_that_it_says() {
    let fleet = two_pools().build();
    let sizes = |toml: &str| {
        let pools: Vec<_> = fleet.pools().map(|pool| (pool, Rooms::default())).collect();
        let settings = settings(toml);
        let sizes: Vec<_> = stocks(&settings, &fleet, &pools, Purpose::Keep, EIGHT)
            .iter()
            .map(|stock| stock.size.seats)
            .collect();
        sizes
    };
    assert_eq!(sizes(&window(20, "")), [0, 0]);
    assert_eq!(sizes(&format!("{}room_seats = 40", window(20, ""))), [40, 0]);
}

#[test]
fn a_window_that_another_covers_is_kept_by_that_one() {
    let fleet = two_pools().build();
    for (windows, expected) in [
        (vec![(20, 0), (30, 0)], vec![(30, 0)]),
        (vec![(30, 0), (20, 0)], vec![(30, 0)]),
        (vec![(20, 0), (20, 0)], vec![(20, 0)]),
        (vec![(20, 50), (30, 0), (20, 40)], vec![(20, 50), (30, 0)]),
        (vec![(20, 50), (20, 50), (20, 60)], vec![(20, 60)]),
    ] {
        let toml = windows
            .iter()
            .map(|(rooms, seats)| format!("{}room_seats = {seats}\n", window(*rooms, "")));
        let settings = settings(&toml.collect::<String>());
        let pools: Vec<_> = fleet.pools().map(|pool| (pool, Rooms::default())).collect();
        let mut stocks = stocks(&settings, &fleet, &pools, Purpose::Keep, EIGHT);
        stocks.retain(|stock| stock.window.is_some());
        let kept: Vec<_> = stocks.iter().map(|stock| (stock.rooms, stock.size.seats)).collect();
        assert_eq!(kept, expected, "{windows:?}");
    }
}
