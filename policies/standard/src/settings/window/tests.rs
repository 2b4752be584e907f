use usher_sdk::{Instance, Level};

use super::*;
use crate::Standard;

/// 2026-07-01T00:00:00Z, a Wednesday; in Berlin it is 2 o'clock.
const WEDNESDAY: Timestamp = 1_782_864_000;
const DAY: Timestamp = 86_400;
const HOUR: Timestamp = 3_600;

fn window(days: &[&str], from: &str, to: &str) -> Window {
    let mut read = Days(0);
    days.iter().for_each(|day| read.add(day).unwrap());
    Window {
        days: if days.is_empty() { Days::default() } else { read },
        from: Clock::read(from).unwrap(),
        to: Clock::read(to).unwrap(),
        time_zone: "Europe/Berlin".into(),
        spare_rooms: 1,
        room_seats: 0,
        pool: String::new(),
    }
}

#[test]
fn a_window_lasts_from_its_first_minute_to_the_one_before_its_last() {
    let office = window(&["mon-fri"], "08:00", "18:00");
    let berlin = WEDNESDAY - 2 * HOUR;
    for (hour, begins_in) in [(7, Some(HOUR)), (8, Some(0)), (12, Some(0)), (18, None), (23, None)] {
        assert_eq!(office.begins_in(berlin + hour * HOUR), begins_in, "{hour}:00");
    }
    for (seconds, begins_in) in [
        (-3_601, None),
        (-3_600, Some(3_600)),
        (-61, Some(61)),
        (-1, Some(1)),
        (0, Some(0)),
    ] {
        let now = (berlin + 8 * HOUR).saturating_add_signed(seconds);
        assert_eq!(office.begins_in(now), begins_in, "{seconds} s");
    }
    assert_eq!(office.begins_in(berlin + 18 * HOUR - 1), Some(0));
}

#[test]
fn a_window_lasts_on_its_days_only() {
    for (days, weekdays) in [
        (vec![], "1234567"),
        (vec!["mon-fri"], "12345"),
        (vec!["sat", "sun"], "67"),
        (vec!["sat-mon"], "167"),
        (vec!["wednesday", "fri"], "35"),
        (vec!["tue-tue"], "2"),
    ] {
        let noon = window(&days, "12:00", "13:00");
        let monday = WEDNESDAY - 2 * DAY + 10 * HOUR;
        let lasting = (1..=7).filter(|day| noon.begins_in(monday + (day - 1) * DAY) == Some(0));
        assert_eq!(
            lasting.map(|day| day.to_string()).collect::<String>(),
            weekdays,
            "{days:?}"
        );
    }
}

#[test]
fn a_window_over_midnight_belongs_to_the_day_on_which_it_begins() {
    let friday_night = window(&["fri"], "22:00", "06:00");
    let friday = WEDNESDAY + 2 * DAY - 2 * HOUR;
    for (hour, begins_in) in [
        (3, None),
        (21, Some(HOUR)),
        (22, Some(0)),
        (24, Some(0)),
        (29, Some(0)),
        (30, None),
        (46, None),
    ] {
        assert_eq!(
            friday_night.begins_in(friday + hour * HOUR),
            begins_in,
            "hour {hour} from Friday on"
        );
    }
    let sunday_night = window(&["sun"], "23:30", "00:30");
    assert_eq!(sunday_night.begins_in(friday + 3 * DAY), Some(0), "Monday, 00:00");
    assert_eq!(
        sunday_night.begins_in(friday + 3 * DAY - 2 * HOUR),
        None,
        "Sunday, 22:00"
    );
}

#[test]
fn a_window_of_a_whole_day_lasts_a_day() {
    let sunday = window(&["sun"], "00:00", "24:00");
    let midnight = WEDNESDAY + 4 * DAY - 2 * HOUR;
    for (at, begins_in) in [
        (midnight - 1, Some(1)),
        (midnight, Some(0)),
        (midnight + DAY - 1, Some(0)),
        (midnight + DAY, None),
    ] {
        assert_eq!(sunday.begins_in(at), begins_in);
    }
    assert_eq!(window(&[], "00:00", "24:00").begins_in(midnight), Some(0));
}

#[test]
fn the_clock_is_the_one_on_the_wall() {
    // 2026-03-29, 02:00 becomes 03:00; 2026-10-25, 03:00 becomes 02:00.
    let (forward, back) = (1_774_746_000, 1_792_890_000);
    let office = window(&[], "08:00", "18:00");
    assert_eq!(office.begins_in(forward + 5 * HOUR), Some(0), "08:00 in summer");
    assert_eq!(office.begins_in(forward + 5 * HOUR - 1), Some(1));
    assert_eq!(office.begins_in(back + 6 * HOUR), Some(0), "08:00 in winter");
    assert_eq!(office.begins_in(back + 6 * HOUR - 1), Some(1));
    let early = window(&[], "03:00", "04:00");
    assert_eq!(
        early.begins_in(forward - 300),
        Some(300),
        "five minutes before two is five before three"
    );
    assert_eq!(
        early.begins_in(back - 300),
        None,
        "an hour and five minutes before three"
    );
    let skipped = window(&[], "02:30", "04:00");
    assert_eq!(skipped.begins_in(forward), Some(0), "half past two never comes");
}

#[test]
fn a_window_shorter_than_what_lies_before_it_is_seen() {
    let short = window(&[], "12:00", "12:01");
    let noon = WEDNESDAY + 10 * HOUR;
    for before in [1, 59, 60, 61, 1_800, 3_600] {
        assert_eq!(short.begins_in(noon - before), Some(before));
    }
    assert_eq!(
        (short.begins_in(noon + 59), short.begins_in(noon + 60)),
        (Some(0), None)
    );
}

#[test]
fn hours_are_written_as_people_and_toml_write_them() {
    for (text, minutes) in [
        ("00:00", Some(0)),
        ("08:30", Some(510)),
        ("08:30:00", Some(510)),
        ("24:00", Some(1_440)),
        ("24:00:00", Some(1_440)),
        ("24:01", None),
        ("08:60", None),
        ("08:30:30", None),
        ("8:30", None),
        ("+8:30", None),
        ("08", None),
        ("08:00:00:00", None),
        ("", None),
    ] {
        assert_eq!(Clock::read(text), minutes.map(Clock), "{text:?}");
    }
    assert_eq!(Clock(510).to_string(), "08:30");
}

#[test]
fn a_window_that_cannot_be_meant_is_refused_by_its_key() {
    for (key, value, error) in [
        (
            "days",
            r#"["mo"]"#,
            "setting `window[0].days`: there is no day \"mo\": write days as `mon`, spans as `mon-fri`",
        ),
        (
            "days",
            r#"["mon-frog"]"#,
            "setting `window[0].days`: there is no day \"mon-frog\": write days as `mon`, spans as `mon-fri`",
        ),
        (
            "days",
            "[]",
            "setting `window[0].days`: no day: leave the key out for every day",
        ),
        (
            "from",
            r#""8""#,
            "setting `window[0].from`: \"8\" is no hour of the day: write it as `08:00`, in whole minutes",
        ),
        ("from", r#""24:00""#, "setting `window[0].from`: a day begins at 00:00"),
        (
            "to",
            r#""08:00""#,
            "setting `window[0].to`: it ends when it begins, at 08:00",
        ),
        (
            "time_zone",
            r#""Europe/Berln""#,
            "setting `window[0].time_zone`: there is no time zone \"Europe/Berln\"",
        ),
        (
            "spare_rooms",
            "0",
            "setting `window[0].spare_rooms`: 0 keeps nothing: leave the window out",
        ),
        (
            "spare_rooms",
            "10001",
            "setting `window[0].spare_rooms`: 10001 is more than 10000",
        ),
        (
            "spare_room",
            "1",
            "setting `window[0].spare_room`: unknown field `spare_room`, expected one of `days`, `from`, `to`, \
          `time_zone`, `spare_rooms`, `room_seats`, `pool`",
        ),
    ] {
        let mut keys = vec![("days", r#"["mon"]"#), ("from", r#""08:00:00""#), ("to", r#""18:00""#)];
        keys.extend([("time_zone", r#""UTC""#), ("spare_rooms", "5")]);
        keys.retain(|(other, _)| *other != key);
        keys.push((key, value));
        let keys: Vec<_> = keys.iter().map(|(key, value)| format!("{key:?}: {value}")).collect();
        let settings = format!(r#"{{"window": [{{{}}}]}}"#, keys.join(", "));
        assert_eq!(
            Instance::<Standard>::configure(&settings, Level::Info).unwrap_err(),
            error
        );
    }
    for key in ["from", "to", "time_zone", "spare_rooms"] {
        let all = [
            ("from", r#""08:00""#),
            ("to", r#""18:00""#),
            ("time_zone", r#""UTC""#),
            ("spare_rooms", "5"),
        ];
        let keys: Vec<_> = all
            .iter()
            .filter(|(other, _)| *other != key)
            .map(|(key, value)| format!("{key:?}: {value}"))
            .collect();
        let settings = format!(r#"{{"window": [{{{}}}]}}"#, keys.join(", "));
        let error = Instance::<Standard>::configure(&settings, Level::Info).unwrap_err();
        assert_eq!(error, format!("setting `window[0]`: missing field `{key}`"));
    }
}
