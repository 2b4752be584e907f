use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;

#[derive(Deserialize, Debug, Default, PartialEq)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    idle_seconds: u32,
    windows: Vec<Window>,
}

#[derive(Deserialize, Debug, Default, PartialEq)]
#[serde(deny_unknown_fields, default)]
struct Window {
    from: String,
}

#[test]
fn an_error_names_the_key_and_no_position() {
    for (json, error) in [
        (
            r#"{"idle_second":1}"#,
            "setting `idle_second`: unknown field `idle_second`, expected `idle_seconds` or `windows`",
        ),
        (
            r#"{"idle_seconds":"1"}"#,
            "setting `idle_seconds`: invalid type: string \"1\", expected u32",
        ),
        (
            r#"{"windows":[{},{"from":7}]}"#,
            "setting `windows[1].from`: invalid type: integer `7`, expected a string",
        ),
        (
            r#"{"idle_seconds":-1}"#,
            "setting `idle_seconds`: invalid value: integer `-1`, expected u32",
        ),
        (
            r#"{"idle_seconds":1.5}"#,
            "setting `idle_seconds`: invalid type: floating point number, expected u32",
        ),
        (
            r#"{"idle_seconds":null}"#,
            "setting `idle_seconds`: invalid type: null, expected u32",
        ),
        (
            r#"{"windows":{"from":"09:00"}}"#,
            "setting `windows`: invalid type: map, expected a sequence",
        ),
        (
            r#"{"windows":[true]}"#,
            "setting `windows[0]`: invalid type: boolean `true`, expected struct Window",
        ),
        ("7", "settings: invalid type: integer `7`, expected struct Settings"),
    ] {
        assert_eq!(read::<Settings>(json).unwrap_err(), error, "{json}");
    }
}

#[test]
fn no_settings_are_the_defaults() {
    for json in ["", " ", "{}", "{ }"] {
        assert_eq!(read::<Settings>(json), Ok(Settings::default()), "{json:?}");
        assert_eq!(read::<()>(json), Ok(()), "{json:?}");
    }
    assert_eq!(read::<()>(r#"{"a":1}"#).unwrap_err(), NO_SETTINGS);
    assert_eq!(read::<Settings>(r#"{"idle_seconds":5}"#).unwrap().idle_seconds, 5);
}

#[test]
fn a_text_that_is_no_json_is_an_error() {
    for json in [r#"{"idle_seconds":1} x"#, "[", "{"] {
        let error = read::<Settings>(json).unwrap_err();
        assert!(error.starts_with("settings: "), "{error}");
    }
}

#[derive(Deserialize, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
enum Day {
    Monday,
    Sunday,
}

#[derive(Deserialize, Debug, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Rule {
    None,
    Percent(u32),
    Between { min: u32, max: u32 },
    Pair(u32, String),
}

#[derive(Deserialize, Debug, PartialEq)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Tagged {
    Flat { rooms: u32 },
}

#[derive(Deserialize, Debug, PartialEq)]
struct Seconds(u32);

#[derive(Deserialize, Debug, Default, PartialEq)]
#[serde(deny_unknown_fields, default)]
struct Rich {
    by_day: BTreeMap<Day, u32>,
    by_hour: BTreeMap<u8, i64>,
    rules: Vec<Rule>,
    tagged: Option<Tagged>,
    wait: Option<Seconds>,
    share: f64,
    pair: (bool, char),
    nothing: (),
}

#[test]
fn whatever_serde_derives_can_be_read() {
    let rich: Rich = read(
        r#"{"by_day":{"sunday":1,"monday":2},"by_hour":{"9":-3,"17":4},
            "rules":["none",{"percent":20},{"between":{"min":1,"max":2}},{"pair":[1,"x"]}],
            "tagged":{"kind":"flat","rooms":3},"wait":60,"share":0.5,"pair":[true,"x"],"nothing":null}"#,
    )
    .unwrap();
    let expected = Rich {
        by_day: [(Day::Sunday, 1), (Day::Monday, 2)].into(),
        by_hour: [(9, -3), (17, 4)].into(),
        rules: vec![
            Rule::None,
            Rule::Percent(20),
            Rule::Between { min: 1, max: 2 },
            Rule::Pair(1, "x".into()),
        ],
        tagged: Some(Tagged::Flat { rooms: 3 }),
        wait: Some(Seconds(60)),
        share: 0.5,
        pair: (true, 'x'),
        nothing: (),
    };
    assert_eq!(rich, expected);
    assert_eq!(read::<Rich>(r#"{"share":2,"wait":null}"#).unwrap().share, 2.0);
}

#[test]
fn an_error_deep_inside_has_its_whole_path() {
    for (json, error) in [
        (
            r#"{"by_day":{"friday":1}}"#,
            "setting `by_day.friday`: unknown variant `friday`, expected `monday` or `sunday`",
        ),
        (
            r#"{"by_hour":{"9":-3,"x":4}}"#,
            "setting `by_hour.x`: invalid type: string \"x\", expected u8",
        ),
        (
            r#"{"by_hour":{"300":4}}"#,
            "setting `by_hour.300`: invalid value: integer `300`, expected u8",
        ),
        (
            r#"{"rules":["none","some"]}"#,
            "setting `rules[1]`: unknown variant `some`, expected one of `none`, `percent`, `between`, `pair`",
        ),
        (
            r#"{"rules":[{"between":{"min":1,"max":"2"}}]}"#,
            "setting `rules[0].between.max`: invalid type: string \"2\", expected u32",
        ),
        (
            r#"{"rules":[{"between":{"min":1}}]}"#,
            "setting `rules[0].between`: missing field `max`",
        ),
        (
            r#"{"rules":[{"percent":1,"none":null}]}"#,
            "setting `rules[0]`: invalid type: map, expected enum Rule",
        ),
        (
            r#"{"rules":[[]]}"#,
            "setting `rules[0]`: invalid type: sequence, expected enum Rule",
        ),
        (
            r#"{"wait":"1"}"#,
            "setting `wait`: invalid type: string \"1\", expected u32",
        ),
        (
            r#"{"pair":[true,"x",3]}"#,
            "setting `pair`: invalid length 3, expected fewer elements",
        ),
        (
            r#"{"pair":[true]}"#,
            "setting `pair`: invalid length 1, expected a tuple of size 2",
        ),
    ] {
        assert_eq!(read::<Rich>(json).unwrap_err(), error, "{json}");
    }
}

#[test]
fn without_a_file_serdes_defaults_count_and_where_one_is_lacking_the_types() {
    fn sixty() -> u32 {
        60
    }
    #[derive(Deserialize, Debug, Default, PartialEq)]
    struct Single {
        #[serde(default = "sixty")]
        idle_seconds: u32,
    }
    #[derive(Deserialize, Debug, Default, PartialEq)]
    struct Lacking {
        #[serde(default = "sixty")]
        idle_seconds: u32,
        spare_rooms: u32,
    }
    for nothing in ["", "{}", " { } "] {
        assert_eq!(read::<Single>(nothing), Ok(Single { idle_seconds: 60 }), "{nothing:?}");
        assert_eq!(read::<Lacking>(nothing), Ok(Lacking::default()), "{nothing:?}");
    }
    assert!(
        read::<Lacking>(r#"{"idle_seconds":1}"#)
            .unwrap_err()
            .contains("spare_rooms")
    );
}
