use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Thing {
    #[serde(default, deserialize_with = "whole")]
    seats: Option<u32>,
    #[serde(default)]
    labels: Labels,
}

#[test]
fn what_is_wrong_with_a_body_is_told_with_its_field() {
    for (body, code, field) in [
        (r#"{"seats":"#, Code::InvalidJson, None),
        ("\"\u{0}", Code::InvalidJson, None),
        (r#"{"seats":1} x"#, Code::InvalidJson, None),
        (r#"{"seats":-1}"#, Code::InvalidField, Some("seats")),
        (r#"{"seats":1.5}"#, Code::InvalidField, Some("seats")),
        (r#"{"seats":"1"}"#, Code::InvalidField, Some("seats")),
        (r#"{"seats":4294967296}"#, Code::InvalidField, Some("seats")),
        (r#"{"seat":1}"#, Code::InvalidField, Some("seat")),
        (r#"{"labels":{"a":{"b":1}}}"#, Code::InvalidField, Some("labels.a")),
        (r#"{"seats":1,"seats":2}"#, Code::InvalidField, None),
        ("[]", Code::InvalidField, None),
        ("null", Code::InvalidField, None),
    ] {
        let problem = parse::<Thing>(body.as_bytes()).unwrap_err();
        assert_eq!(
            (problem.code, problem.field.as_deref()),
            (code, field),
            "{body}: {}",
            problem.detail
        );
    }
    let seats = |body: &str| parse::<Thing>(body.as_bytes()).map(|thing| thing.seats);
    assert_eq!(seats("{}"), Ok(None));
    assert_eq!(seats(r#"{"seats":null}"#), Ok(None));
    assert_eq!(seats(r#"{"seats":5}"#), Ok(Some(5)));
    assert_eq!(seats(r#"{"seats":5.0}"#), Ok(Some(5)), "JSON does not tell 5 from 5.0");
}

#[test]
fn a_body_nested_deeply_is_refused_and_harms_nobody() {
    for open in ["[", "{\"labels\":", "{\"x\":["] {
        let problem = parse::<Thing>(open.repeat(30_000).as_bytes()).unwrap_err();
        assert!(
            matches!(problem.code, Code::InvalidField | Code::InvalidJson),
            "{open}: {problem:?}"
        );
    }
}

#[test]
fn numbers_and_texts_have_their_limits() {
    assert_eq!(within("seats", Some(5), 1..=10), Ok(Some(5)));
    assert_eq!(within("seats", None, 1..=10), Ok(None));
    let problem = within("seats", Some(0), 1..=10).unwrap_err();
    assert_eq!(
        (problem.field.as_deref(), &*problem.detail),
        (Some("seats"), "`seats` is from 1 to 10, not 0")
    );
    assert!(short("zone", Some("é".repeat(64)), 64).is_ok());
    assert!(short("zone", Some("é".repeat(65)), 64).is_err());
    assert!(short("zone", Some(String::new()), 64).is_err());
}

#[test]
fn labels_are_few_and_short() {
    let of = |n: usize, key: usize, value: usize| -> Labels {
        (0..n).map(|i| (format!("{i:0>key$}"), "v".repeat(value))).collect()
    };
    assert!(labels("labels", of(LABELS_MAX, KEY_CHARS_MAX, VALUE_CHARS_MAX)).is_ok());
    assert!(labels("labels", of(LABELS_MAX + 1, 4, 0)).is_err());
    assert!(labels("labels", of(1, KEY_CHARS_MAX + 1, 0)).is_err());
    assert!(labels("labels", of(1, 4, VALUE_CHARS_MAX + 1)).is_err());
    assert!(labels("labels", Labels::from([("a b".to_owned(), String::new())])).is_err());
    assert!(labels("labels", Labels::from([(String::new(), String::new())])).is_err());
}

#[test]
fn a_url_is_what_clients_can_use() {
    for good in [
        "ws://a",
        "wss://media-1.example.com:8188/janus?x=1#y",
        "http://127.0.0.1:65535",
        "https://[::1]:1/",
        "ws://[1:2:3:4:5:6:7::]",
        "ws://[2001:DB8::7]:8188",
        "https://[fe80::1]",
        "ws://a?x",
    ] {
        assert!(url("url", good.to_owned()).is_ok(), "{good}");
    }
    for bad in [
        "",
        "a",
        "ftp://a",
        "ws://",
        "ws:///a",
        "ws://a:0",
        "ws://a:65536",
        "ws://a:+1",
        "ws://a:01",
        "ws://a:",
        "ws://a b",
        "ws://a/ b",
        "ws://é",
        "ws://u@a",
        "ws://[]",
        "ws://[::1",
        "ws://[::1]x",
        "ws://[9f50DC]",
        "ws://[1:2:3:4:5:6:7:8:9]",
        "ws://[1::2::3]",
        "ws://[::ffff:10.0.0.1]",
        "WS://a",
    ] {
        assert_eq!(
            url("url", bad.to_owned()).unwrap_err().code,
            Code::InvalidField,
            "{bad}"
        );
    }
    assert!(url("url", format!("ws://{}", "a/".repeat(URL_CHARS_MAX))).is_err());
}

#[test]
fn a_scope_lets_in_to_its_own_and_no_further() {
    let pool: PoolName = "demo".parse().unwrap();
    let callers = [
        Caller::Admin,
        Caller::App(None),
        Caller::Register(pool.clone()),
        Caller::Agent(TokenNo {
            server: "demo-1".parse().unwrap(),
            no: usher_fleet::ids::ServerNo(1),
            generation: 0,
        }),
    ];
    let let_in = |ask: &dyn Fn(Caller) -> bool| callers.clone().map(ask);
    assert_eq!(
        let_in(&|caller| caller.with_rooms().is_ok()),
        [true, true, false, false]
    );
    assert_eq!(
        let_in(&|caller| caller.with_servers().is_ok()),
        [true, false, true, false]
    );
    assert_eq!(
        let_in(&|caller| caller.with_reports().is_ok()),
        [true, false, false, true]
    );
    assert_eq!(let_in(&|caller| caller.admin().is_ok()), [true, false, false, false]);
    let refused = Caller::Register(pool).with_reports().unwrap_err();
    assert!(refused.detail.contains("with its own token"), "{refused:?}");
    assert_eq!(Caller::App(None).admin().unwrap_err().code, Code::WrongScope);
}
