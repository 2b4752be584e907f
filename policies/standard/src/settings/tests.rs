use usher_sdk::{Fleet, Instance, Level};

use super::*;
use crate::Standard;

/// Reads settings, and checks them.
fn read(toml: &str) -> Result<Settings, String> {
    let settings: Settings = toml::from_str(toml).map_err(|error| error.message().to_owned())?;
    settings.check().map(|()| settings)
}

#[test]
fn the_reference_says_the_defaults() {
    assert_eq!(read(include_str!("../../standard.toml")), Ok(Settings::default()));
}

#[test]
fn what_the_reference_shows_is_how_it_is_written() {
    let shown = include_str!("../../standard.toml").lines();
    let shown: Vec<_> = shown
        .map(|line| {
            line.strip_prefix('#')
                .filter(|code| !code.starts_with(' '))
                .unwrap_or(line)
        })
        .collect();
    let settings = read(&shown.join("\n")).unwrap();
    assert_eq!(
        settings.regions("eu-central-1").collect::<Vec<_>>(),
        ["eu-central-1", "eu-west-1", ""]
    );
    let pool = PoolSettings {
        headroom_percent: Some(50),
        headroom_rooms_min: Some(4),
        cpu_permille_max: Some(700),
        egress_kbps_max: Some(4_000_000),
    };
    assert_eq!(settings.pool, Table::from([("frankfurt", pool)]));
    let window = &settings.window[0];
    assert_eq!(
        (window.spare_rooms, window.room_seats, window.pool.as_str()),
        (20, 50, "frankfurt")
    );
}

#[test]
fn headroom_is_a_share_with_a_floor_and_nothing_for_nobody() {
    let headroom = Settings::default().headroom();
    for (living, rooms) in [(0, 0), (1, 2), (8, 2), (10, 2), (11, 3), (100, 20), (1_001, 201)] {
        assert_eq!(headroom.rooms(living), rooms, "{living} rooms");
    }
}

#[test]
fn a_pool_has_of_its_own_what_is_written_and_the_rest_as_all() {
    let settings =
        read("egress_kbps_max = 7\n[pool.a]\ncpu_permille_max = 0\n[pool.b]\nheadroom_percent = 50").unwrap();
    let fleet = Fleet::builder()
        .pool("a", |_| {})
        .pool("b", |_| {})
        .pool("c", |_| {})
        .build();
    let [a, b, c] = [1, 2, 3].map(|id| fleet.pool(id).unwrap());
    assert_eq!((settings.own_headroom(a), settings.own_headroom(c)), (None, None));
    assert_eq!(
        settings.own_headroom(b),
        Some(Headroom {
            percent: 50,
            rooms_min: 2
        })
    );
    let marks = |cpu_permille_max| Marks {
        cpu_permille_max,
        egress_kbps_max: 7,
    };
    assert_eq!(
        [a, b, c].map(|pool| settings.marks_of(pool)),
        [marks(0), marks(800), marks(800)]
    );
}

#[test]
fn what_the_list_of_leavers_leaves_open_the_default_decides() {
    use GoesFirst::{Dearest, Emptiest, Newest, Soonest, Spot};
    for (list, order) in [
        ("[]", vec![Emptiest, Dearest, Soonest]),
        (r#"["spot"]"#, vec![Spot, Emptiest, Dearest, Soonest]),
        (r#"["soonest", "newest"]"#, vec![Soonest, Newest, Emptiest, Dearest]),
    ] {
        let settings = read(&format!("scale_down_prefer = {list}")).unwrap();
        assert_eq!(settings.goes_first().collect::<Vec<_>>(), order, "{list}");
    }
}

#[test]
fn the_pools_that_are_named_are_told_with_their_keys() {
    let text = "scale_up_prefer = ['spot']\n[pool.small]\n[[window]]\nfrom = '08:00'\nto = '09:00'\ntime_zone = 'UTC'\nspare_rooms = 1\n";
    let settings = read(&format!("{text}pool = 'eu'")).unwrap();
    let named = settings.pools_named();
    assert_eq!(
        named,
        [("pool", "small"), ("scale_up_prefer", "spot"), ("window.pool", "eu")]
    );
}

#[test]
fn settings_that_cannot_be_meant_are_refused_by_name() {
    for (text, error) in [
        (
            "headroom_percent = 1001",
            "setting `headroom_percent`: 1001 is more than 1000",
        ),
        (
            "headroom_rooms_min = 10001",
            "setting `headroom_rooms_min`: 10001 is more than 10000",
        ),
        (
            "cpu_permille_max = 8000",
            "setting `cpu_permille_max`: 8000 is more than 1000",
        ),
        (
            "[pool.a]\nheadroom_percent = 1001",
            "setting `pool.a.headroom_percent`: 1001 is more than 1000",
        ),
        (
            "[fallback_regions]\neu = ['']",
            "setting `fallback_regions.eu`: a region's name is empty",
        ),
        (
            "scale_up_prefer = ['a', 'b', 'a']",
            "setting `scale_up_prefer[2]`: it is in the list already",
        ),
        (
            "scale_down_prefer = ['spot', 'cheapest']",
            "\"cheapest\" is none of emptiest, dearest, soonest, oldest, newest, spot",
        ),
        (
            "scale_down_prefer = ['spot', 'spot']",
            "setting `scale_down_prefer[1]`: it is in the list already",
        ),
    ] {
        assert_eq!(read(text).unwrap_err(), error);
    }
}

#[test]
fn a_key_that_is_none_is_refused_by_name_in_each_table() {
    for (json, key) in [
        (r#"{"headroom": 1}"#, "headroom"),
        (r#"{"pool": {"a": {"headroom": 1}}}"#, "pool.a.headroom"),
        (r#"{"windows": []}"#, "windows"),
    ] {
        let error = Instance::<Standard>::configure(json, Level::Info).unwrap_err();
        assert!(error.starts_with(&format!("setting `{key}`: unknown field")), "{error}");
    }
    for (json, error) in [
        (
            r#"{"pool": {"a": {"headroom_percent": "1"}}}"#,
            "setting `pool.a.headroom_percent`: ",
        ),
        (
            r#"{"scale_down_prefer": ["cheapest"]}"#,
            "setting `scale_down_prefer`: \"cheapest\" is none of",
        ),
        (r#"{"scale_up_prefer": "spot"}"#, "setting `scale_up_prefer`: "),
    ] {
        let said = Instance::<Standard>::configure(json, Level::Info).unwrap_err();
        assert!(said.starts_with(error), "{said}");
    }
}

#[test]
fn a_calendar_too_full_to_be_read_each_turn_is_refused() {
    let window = "[[window]]\nfrom = '08:00'\nto = '09:00'\ntime_zone = 'UTC'\nspare_rooms = 1\n";
    assert_eq!(
        read(&window.repeat(33)).unwrap_err(),
        "setting `window`: 33 windows are more than 32"
    );
    assert_eq!(read(&window.repeat(32)).map(|settings| settings.window.len()), Ok(32));
}
