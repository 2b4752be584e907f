use std::io::{Read, Write as _};
use std::net::TcpListener;

use clap::CommandFactory;
use serde_json::{Value, json};

use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split_whitespace())
}

/// Runs a command line against a host that answers every request with this, and returns what it printed, how it ended,
/// and the request lines with their bodies.
fn against(status: u16, answer: &str, line: &str) -> (String, Result<(), Failure>, Vec<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let response = format!(
        "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{answer}",
        answer.len()
    );
    let stop = listener.try_clone().unwrap();
    let server = std::thread::spawn(move || {
        let mut seen = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let request = read_request(&mut stream);
            if request.is_empty() {
                return seen;
            }
            seen.push(request);
            stream.write_all(response.as_bytes()).unwrap();
        }
        seen
    });
    let mut out = Vec::new();
    let cli = parse(&format!("usher {line} --url {url}")).unwrap();
    let result = run(cli, &mut out);
    // An empty connection tells the server that there is nothing more.
    drop(std::net::TcpStream::connect(stop.local_addr().unwrap()).unwrap());
    (String::from_utf8(out).unwrap(), result, server.join().unwrap())
}

fn read_request(stream: &mut std::net::TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut part = [0; 4096];
    loop {
        let count = stream.read(&mut part).unwrap();
        bytes.extend_from_slice(&part[..count]);
        let text = String::from_utf8_lossy(&bytes);
        if count == 0 {
            return String::new();
        }
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |n| n.parse().unwrap());
            if body.len() == length {
                let first = head.lines().next().unwrap().trim_end_matches(" HTTP/1.1");
                let token = head
                    .lines()
                    .find_map(|line| line.strip_prefix("authorization: "))
                    .unwrap_or("");
                return format!("{first} {token} {body}")
                    .split_whitespace()
                    .collect::<Vec<_>>()
                    .join(" ");
            }
        }
    }
}

fn room() -> Value {
    json!({
        "room": "standup-42", "state": "placed", "placement": 1, "seats": 50,
        "server": { "name": "demo-3", "pool": "demo", "url": "wss://demo-3" },
        "placed_at": "2026-11-22T09:00:00Z",
        "decision": { "policy": "standard", "version": "0.1.0", "reason": "fullest server with room" },
    })
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_of_the_design_is_understood() {
    for line in [
        "usher serve --config x.toml --listen 127.0.0.1:1 --data-dir d --log json",
        "usher rooms",
        "usher rooms standup-42 --json",
        "usher rooms --server s --state waiting --limit 10 --after a",
        "usher servers s",
        "usher pools --json",
        "usher policies",
        "usher policies 50-main --json",
        "usher rollback 50-main --reason slow",
        "usher decisions --room r --limit 5",
        "usher events --follow --after 7-0 --json",
        "usher bill",
        "usher drain s --deadline-seconds 60 --reason patching",
        "usher cordon s",
        "usher uncordon s --url http://h:1 --token t",
        "usher lost s --reason unplugged",
        "usher remove s --force",
        "usher scaling demo off",
        "usher place a b --seats 5 --wait-seconds 60",
        "usher release a --placement 3",
        "usher token new --scope register --pool p",
        "usher config check --config x.toml",
        "usher config check --live --json",
        "usher config reference",
    ] {
        assert!(parse(line).is_ok(), "{line}: {}", parse(line).unwrap_err());
    }
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_asked() {
    for line in [
        "usher",
        "usher rooms a --state waiting",
        "usher rooms bad/id",
        "usher rooms --limit 0",
        "usher drain",
        "usher place",
        "usher place a --wait-seconds 61",
        "usher token new",
        "usher token new --scope root",
        "usher scaling demo maybe",
        "usher config check --json",
    ] {
        assert_eq!(parse(line).err().map(|error| error.exit_code()), Some(2), "{line}");
    }
    for line in [
        "usher token new --scope register",
        "usher token new --scope app --pool p",
        "usher token new --scope admin --tenant t",
        "usher release a b --placement 3",
        "usher rooms --url https://h --ca-file /nowhere/ca.pem",
        "usher rooms --url https://h --ca-file /dev/null",
        "usher rooms --url ftp://h",
        "usher rooms --url nonsense",
    ] {
        let failure = run(parse(line).unwrap(), &mut Vec::new()).unwrap_err();
        assert_eq!(failure.exit_code(), 2, "{line}: {failure}");
    }
}

#[test]
fn a_list_is_a_table_for_people_and_the_apis_json_for_programs() {
    let waiting = json!({ "room": "b", "state": "waiting", "seats": 5, "server": null, "position": 3,
        "waiting_since": "2026-11-22T09:00:01Z", "waiting_for": "boot", "expected_seconds": 70 });
    let answer = json!({ "rooms": [room(), waiting], "as_of": "7-0", "next": "b" }).to_string();
    let (table, result, seen) = against(200, &answer, "rooms --limit 2 --token secret");
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(seen, ["GET /v1/rooms?limit=2 Bearer secret"]);
    let expected = "\
ROOM        STATE    SERVER  SEATS  SINCE                 WHY
standup-42  placed   demo-3     50  2026-11-22T09:00:00Z  standard: fullest server with room
b           waiting  -           5  2026-11-22T09:00:01Z  no. 3 in the queue, waits for boot, about 70 s
there are more: usher rooms --after b
";
    assert_eq!(table, expected);
    let (text, _, _) = against(200, &answer, "rooms --json");
    assert_eq!(text, format!("{answer}\n"));
}

#[test]
fn every_list_shows_what_the_api_says() {
    let server = json!({ "name": "demo-3", "pool": "demo", "url": null, "phase": "ready", "health": "ok", "rooms": 3,
        "hold": { "kind": "draining", "owner": "policy", "reason": "idle" }, "rooms_max": 10, "seats": 60, "seats_max": null,
        "load": 60, "load_max": 100, "cpu_permille": 415 });
    let expected = "\
SERVER  POOL  PHASE  HOLD                HEALTH  ROOMS  SEATS    LOAD   CPU  URL
demo-3  demo  ready  draining by policy  ok       3/10     60  60/100  42 %  -";
    assert_eq!(table::table(columns::SERVERS, &[server], None), expected);

    let pool = json!({ "name": "demo", "provider": "exec", "region": "eu", "retired": false, "scaling_enabled": false,
        "servers_starting": 1, "servers_ready": 2, "servers_held": 0, "servers_silent": 0, "servers_max": 20,
        "servers_wanted": null, "rooms": 7, "rooms_free": 13, "frozen": true, "circuit_open_until": "T", "launchable": 0,
        "code": "circuit_open", "dollars_per_hour": 1.044 });
    let expected = "\
POOL  PROVIDER  REGION  READY  STARTING  HELD  SILENT  WANTED  MAX  ROOMS  FREE  $/HOUR  IN THE WAY
demo  exec      eu          2         1     0       0       -   20      7    13    1.04  circuit_open until T";
    assert_eq!(table::table(columns::POOLS, &[pool], None), expected);

    let decision = json!({ "decision": 7, "at": "T", "point": "scale_up", "room": null, "server": null, "pool": "demo",
        "policy": "standard", "version": "0.1.0", "advice": "2 servers", "verdict": "clamped", "code": "servers_max",
        "reason": "3 rooms wait", "took_microseconds": 12 });
    let expected = "\
NO  AT  DECIDES   ABOUT  POLICY    ADVICE     VERDICT                WHY           µs
 7  T   scale_up  demo   standard  2 servers  clamped (servers_max)  3 rooms wait  12";
    assert_eq!(table::table(columns::DECISIONS, &[decision], None), expected);
}

#[test]
fn a_rollback_says_which_version_serves_now() {
    let policy = json!({ "name": "a b", "serving": { "version": "1.0.0", "sha256": "a".repeat(64) },
        "wanted": { "version": "2.0.0", "sha256": "b".repeat(64) } });
    let (text, result, seen) = against(200, &policy.to_string(), "rollback 50-main --reason slow");
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(seen, [r#"POST /v1/policies/50-main/rollback {"reason":"slow"}"#]);
    assert!(
        text.contains("serves 1.0.0 aaaaaaaa") && text.contains("holds 2.0.0 bbbbbbbb"),
        "{text}"
    );
}

#[test]
fn the_bill_stands_beside_the_one_big_server() {
    let bill = json!({ "at": "T", "dollars_per_hour": 0.696, "dollars_today": 3.1, "dollars_this_month": 50.0,
        "pools": [{ "pool": "demo", "dollars_per_hour": 0.696, "dollars_today": 3.1, "dollars_this_month": 50.0 }],
        "baseline": { "dollars_per_hour": 3.492, "dollars_today": 31.428, "dollars_this_month": 1791.396 } });
    let (text, result, _) = against(200, &bill.to_string(), "bill");
    assert!(result.is_ok(), "{result:?}");
    let expected = "\
POOL  $/HOUR  $ TODAY  $ THIS MONTH
demo    0.70     3.10         50.00

now $0.70 an hour; today $3.10; this month $50.00
the one big server: $3.49 an hour; today $31.43; this month $1791.40
";
    assert_eq!(text, expected);
}

#[test]
fn a_table_is_wrapped_to_the_terminal() {
    let text = table::table(columns::ROOMS, &[room()], Some(70));
    assert!(text.lines().all(|line| line.chars().count() <= 70), "{text}");
    assert!(text.contains("standup-42"), "{text}");
}

#[test]
fn an_empty_list_says_what_to_do() {
    let (text, _, _) = against(200, "{\"rooms\":[]}", "rooms");
    assert_eq!(text, "no rooms; ask for one with `usher place ROOM`\n");
}

#[test]
fn what_is_done_to_a_server_is_one_call() {
    let server = json!({ "server": "s", "phase": "ready", "rooms": 3 }).to_string();
    let (text, result, seen) = against(200, &server, "drain s --deadline-seconds 60 --reason patching");
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(
        seen,
        ["POST /v1/servers/s/drain {\"deadline_seconds\":60,\"reason\":\"patching\"}"]
    );
    assert!(text.contains("ready"), "{text}");
    let (_, _, seen) = against(200, &server, "cordon s");
    assert_eq!(seen, ["POST /v1/servers/s/cordon {}"]);
    let (_, _, seen) = against(204, "", "remove s --force");
    assert_eq!(seen, ["DELETE /v1/servers/s?force=true"]);
    let (_, _, seen) = against(204, "", "scaling demo off");
    assert_eq!(seen, ["POST /v1/pools/demo/scaling {\"enabled\":false}"]);
}

#[test]
fn rooms_are_placed_and_released_one_after_the_other() {
    let (text, result, seen) = against(201, &room().to_string(), "place a b --seats 5");
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(seen, ["PUT /v1/rooms/a {\"seats\":5}", "PUT /v1/rooms/b {\"seats\":5}"]);
    assert_eq!(text.lines().count(), 3, "{text}");
    let (text, _, seen) = against(204, "", "release a b");
    assert_eq!(seen, ["DELETE /v1/rooms/a", "DELETE /v1/rooms/b"]);
    assert_eq!(text, "a is released\nb is released\n");
}

#[test]
fn a_refusal_is_shown_as_title_detail_and_code() {
    let problem = json!({ "type": "urn:usher:problem:server_has_rooms", "title": "The server has rooms", "status": 409,
        "detail": "s has 3 rooms; drain it first, or use force", "code": "server_has_rooms" });
    let (_, result, _) = against(409, &problem.to_string(), "remove s");
    let failure = result.unwrap_err();
    assert_eq!(failure.exit_code(), 3);
    assert_eq!(
        failure.to_string(),
        "The server has rooms: s has 3 rooms; drain it first, or use force (server_has_rooms)"
    );
    let (_, result, _) = against(502, "<html>bad gateway</html>", "rooms");
    let failure = result.unwrap_err();
    assert_eq!(failure.exit_code(), 1);
    assert!(failure.to_string().contains("502"), "{failure}");
}

#[test]
fn a_host_that_is_not_there_is_a_sentence_that_says_what_to_do() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let cli = parse(&format!("usher rooms --url http://{free}")).unwrap();
    let failure = run(cli, &mut Vec::new()).unwrap_err();
    assert_eq!(failure.exit_code(), 4);
    assert!(
        failure.to_string().contains("start one with `usher serve`"),
        "{failure}"
    );
    assert!(failure.to_string().contains("refused"), "{failure}");
}

#[test]
fn kept_events_end_when_they_have_come() {
    let stream = "id: 7-0\nevent: room.placed\ndata: {\"room\":\"a\"}\n\n";
    let (text, result, seen) = against(200, stream, "events --json");
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(seen, ["GET /v1/events?follow=false"]);
    assert_eq!(text, "{\"room\":\"a\"}\n");
}

#[test]
fn a_new_token_is_its_secret_and_the_line_for_the_file() {
    let printed = |line: &str| {
        let mut out = Vec::new();
        run(parse(line).unwrap(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    let text = printed("usher token new --scope app --tenant acme");
    let secret = text
        .split_whitespace()
        .find(|word| word.starts_with("usher_app_"))
        .unwrap();
    let line = text.lines().last().unwrap().trim();
    let hash = crate::config::TokenHash::of(secret);
    assert_eq!(
        line,
        format!("app_tokens = [{{ hash = \"{hash}\", tenant = \"acme\" }}]")
    );
    assert_eq!(secret.len(), "usher_app_".len() + 64);
    assert_ne!(text, printed("usher token new --scope app --tenant acme"));
    let pool = "[[pool]]\nname = \"p\"\nprovider = \"external\"\nrooms_per_server = 1\n";
    for scope in ["app", "admin", "register --pool p"] {
        let text = printed(&format!("usher token new --scope {scope}"));
        let file = format!("[auth]\n{}\n{pool}", text.lines().last().unwrap());
        let config = crate::config::Config::parse(&file, std::path::Path::new("/"), &Default::default());
        assert!(config.is_ok(), "{file}\n{}", config.unwrap_err());
    }
}

#[test]
fn config_check_names_problems_or_says_what_holds() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("usher.toml");
    let check = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let mut out = Vec::new();
        let cli = Cli::try_parse_from(["usher", "config", "check", "--config", file.to_str().unwrap()]).unwrap();
        let result = run(cli, &mut out);
        (String::from_utf8(out).unwrap(), result)
    };
    let (text, result) = check(&crate::config::reference());
    assert!(result.is_ok(), "{result:?}");
    assert!(text.ends_with("no problems\n") && text.contains("warning: "), "{text}");
    let (_, result) = check("listne = 1\nlisten = 2\n");
    let failure = result.unwrap_err();
    assert_eq!(failure.exit_code(), 1);
    assert!(failure.to_string().starts_with("2 problems in "), "{failure}");
    std::fs::create_dir(folder.path().join("policies")).unwrap();
    std::fs::write(
        folder.path().join("policies/standard.toml"),
        "headroom_percent = \"all\"",
    )
    .unwrap();
    let (_, result) =
        check("policies_dir = \"policies\"\n[[pool]]\nname = \"p\"\nprovider = \"external\"\nrooms_per_server = 1\n");
    let problem = result.unwrap_err().to_string();
    assert!(
        problem.contains("policies/standard.toml: ") && problem.contains("headroom_percent"),
        "{problem}"
    );
}

#[test]
fn help_lists_the_exit_codes() {
    for command in ["", "rooms", "drain", "serve"] {
        let line = format!("usher {command} --help");
        let help = parse(&line).unwrap_err().to_string();
        assert!(help.contains("no host was reached"), "{line}\n{help}");
    }
}
