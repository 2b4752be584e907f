//! Which version of a policy serves when something goes wrong: a bad file and a crash, too many faults, an operator's order.

use std::fs;

use serde_json::{Value, json};

use crate::http::Client;
use crate::patience::{eventually, seconds};
use crate::policies::{POOL, drop_in, is, place, policy, spread, standard, started, wanted_serves};
use crate::site::{Host, Site, written};
use crate::sse::all_events;

const FILE: &str = "50-main.wasm";

/// Puts a module there and waits until it serves; returns its hash.
async fn serves(site: &Site, client: &Client, module: &[u8]) -> Value {
    let before = policy(client, "50-main").await;
    let before = before.map_or(Value::Null, |policy| policy["serving"]["sha256"].clone());
    drop_in(site, FILE, module);
    let policy = is(client, "50-main", "serves another version", |policy| {
        wanted_serves(policy) && policy["serving"]["sha256"] != before
    });
    policy.await["serving"]["sha256"].clone()
}

async fn state(client: &Client, word: &str) -> Value {
    is(client, "50-main", word, |policy| policy["wanted"]["state"] == word).await
}

/// Ends the host without a word and starts it again.
async fn again(site: &Site, host: Host, meanwhile: impl FnOnce()) -> (Host, Client) {
    host.kill();
    meanwhile();
    let host = site.start().await;
    let client = host.client();
    (host, client)
}

/// Asks for rooms that make `spread` panic until it is in quarantine.
async fn provoke(client: &Client) {
    let mut rooms = 0..;
    eventually("it is in quarantine", seconds(40), async || {
        let room = format!("/v1/rooms/hurtful-{}", rooms.next()?);
        let asked = client.put(&room, json!({ "labels": { "panic": "yes" } })).await;
        assert_eq!(asked.status, 201, "every room is placed all the same: {}", asked.text);
        let shown = policy(client, "50-main").await?;
        (shown["wanted"]["state"] == "quarantined" && shown["serving"]["quarantined"] == json!([])).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_crash_over_a_bad_file_leaves_the_last_good_version_serving() {
    let site = Site::new(POOL);
    let (host, client) = started(&site).await;
    let good = serves(&site, &client, spread()).await;
    let (_host, client) = again(&site, host, || drop_in(&site, FILE, b"not a module at all")).await;

    // The host is ready no earlier than it serves.
    let shown = policy(&client, "50-main").await.unwrap();
    assert_eq!(shown["serving"]["sha256"], good);
    assert_eq!(
        (&shown["wanted"]["state"], &shown["wanted"]["step"]),
        (&json!("refused"), &json!("check"))
    );
    let problem = shown["problem"].as_str().unwrap();
    assert!(
        problem.contains("this is text") && problem.contains("the last good version serves"),
        "{problem}"
    );
    assert_eq!(place(&client, "after-the-crash").await.1, "50-main");
    let told = eventually("it is told", seconds(10), async || {
        let events = all_events(&client).await;
        events.into_iter().find(|event| event.kind == "policy.rolled_back")
    });
    assert_eq!(told.await.data["policy"], "50-main");

    let next = serves(&site, &client, standard()).await;
    assert_ne!(next, good);
    assert_eq!(policy(&client, "50-main").await.unwrap()["problem"], Value::Null);
}

#[tokio::test]
async fn a_crash_without_a_folder_leaves_the_last_good_versions_serving() {
    let site = Site::new(POOL);
    let (host, client) = started(&site).await;
    let good = serves(&site, &client, spread()).await;
    let aside = site.path("aside");
    let (_host, client) = again(&site, host, || fs::rename(site.path("policies"), &aside).unwrap()).await;
    let shown = policy(&client, "50-main").await.unwrap();
    assert_eq!((&shown["serving"]["sha256"], &shown["wanted"]), (&good, &Value::Null));
    assert!(
        shown["problem"].as_str().unwrap().contains("folder is missing"),
        "{shown}"
    );
    assert_eq!(place(&client, "without-a-folder").await.1, "50-main");
    fs::rename(&aside, site.path("policies")).unwrap();
    is(&client, "50-main", "is found again", wanted_serves).await;
}

#[tokio::test]
async fn a_quarantined_version_gives_way_to_the_one_before_and_stays_out_after_a_crash() {
    let site = Site::new(POOL);
    let (host, client) = started(&site).await;
    let good = serves(&site, &client, standard()).await;
    let faulty = serves(&site, &client, spread()).await;
    provoke(&client).await;
    let is_back = async |client: &Client| {
        let shown = state(client, "quarantined").await;
        assert_eq!(
            (&shown["serving"]["sha256"], &shown["wanted"]["sha256"]),
            (&good, &faulty)
        );
        assert!(
            shown["problem"].as_str().unwrap().contains("in quarantine for place"),
            "{shown}"
        );
    };
    is_back(&client).await;
    let kinds: Vec<String> = all_events(&client).await.into_iter().map(|event| event.kind).collect();
    let at = |kind: &str| kinds.iter().position(|other| other == kind);
    assert!(
        at("policy.quarantined").unwrap() < at("policy.rolled_back").unwrap(),
        "{kinds:?}"
    );

    let (_host, client) = again(&site, host, || ()).await;
    is_back(&client).await;
    assert_eq!(place(&client, "after-the-crash").await.1, "50-main");
    // The same bytes again are the same version; other settings are not.
    drop_in(&site, FILE, spread());
    drop_in(&site, "50-main.toml", b"on_fault = \"next\"\n");
    is(&client, "50-main", "is tried again", |policy| {
        policy["serving"]["sha256"] == faulty
    })
    .await;
}

#[tokio::test]
async fn an_order_to_go_back_holds_over_a_crash_until_the_file_changes() {
    let site = Site::new(POOL);
    let (host, client) = started(&site).await;
    let first = serves(&site, &client, standard()).await;
    let second = serves(&site, &client, spread()).await;

    let order = json!({ "reason": "rooms are spread too thin" });
    let answer = client
        .post("/v1/policies/50-main/rollback", order.clone())
        .await
        .expect(200)
        .json;
    assert_eq!(answer, client.get("/v1/policies/50-main").await.expect(200).json);
    let is_back = |shown: &Value| {
        assert_eq!(
            (&shown["serving"]["sha256"], &shown["wanted"]["sha256"]),
            (&first, &second)
        );
        assert_eq!(shown["wanted"]["state"], "rolled_back");
        assert!(shown["problem"].as_str().unwrap().contains("too thin"), "{shown}");
    };
    is_back(&answer);
    is_back(
        &client
            .post("/v1/policies/50-main/rollback", order)
            .await
            .expect(200)
            .json,
    );
    let told = async |client: &Client| {
        let events = all_events(client).await;
        let told = events.into_iter().filter(|event| event.kind == "policy.rolled_back");
        told.map(|event| event.data["reason"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let reasons = eventually("it is told", seconds(10), async || {
        Some(told(&client).await).filter(|told| !told.is_empty())
    });
    let reasons = reasons.await;
    assert_eq!(reasons.len(), 1, "asking again goes back no further: {reasons:?}");
    assert!(
        reasons[0].contains("an operator") && reasons[0].contains("too thin"),
        "{reasons:?}"
    );

    let (_host, client) = again(&site, host, || ()).await;
    is_back(&policy(&client, "50-main").await.unwrap());
    fs::write(site.path("policies/50-main.toml"), "on_fault = \"next\"\n").unwrap();
    let released = is(&client, "50-main", "is released", wanted_serves).await;
    assert_eq!(released["serving"]["sha256"], second);
    assert_eq!(
        (&released["problem"], &released["rolled_back_at"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(released["previous"]["sha256"], first);
}

#[tokio::test]
async fn the_command_line_goes_back_and_shows_it() {
    let site = Site::new(POOL);
    let (_host, client) = started(&site).await;
    let first = serves(&site, &client, standard()).await;
    let short = &first.as_str().unwrap()[..8];
    for (arguments, code, words) in [
        (&["rollback", "50-main"][..], 3, "no_earlier_version"),
        (&["rollback", "standard"], 3, "policy_built_in"),
        (&["rollback", "no/such policy"], 3, "no_such_policy"),
        (&["policies", "60-next"], 3, "no_such_policy"),
    ] {
        let output = site.usher(arguments);
        assert_eq!(output.status.code(), Some(code), "{}", written(&output));
        assert!(written(&output).contains(words), "{arguments:?}: {}", written(&output));
    }
    client
        .post("/v1/policies/50-main/rollback", json!({}))
        .await
        .expect_problem(409, "no_earlier_version");

    serves(&site, &client, spread()).await;
    let said = |arguments: &[&str]| {
        let output = site.usher(arguments);
        assert!(output.status.success(), "{}", written(&output));
        written(&output)
    };
    let text = said(&["rollback", "50-main", "--reason", "too thin"]);
    assert!(text.contains("50-main serves") && text.contains(short), "{text}");
    let table = said(&["policies"]);
    let row = table.lines().find(|line| line.starts_with("50-main ")).unwrap();
    assert!(row.contains("rolled_back") && row.contains(short), "{table}");
    assert!(
        table.contains("\n50-main: an operator has ordered the version before: too thin\n"),
        "{table}"
    );
    let detail = said(&["policies", "50-main"]);
    assert!(
        detail.contains(first.as_str().unwrap()) && detail.contains("DECISION"),
        "{detail}"
    );
}

#[tokio::test]
async fn every_step_from_file_to_decision_says_what_is_wrong_to_who_asks() {
    let site = Site::new(POOL);
    let (_host, client) = started(&site).await;
    let whole = standard();
    let without_sections = b"\0asm\x01\0\0\0".to_vec();
    let wasi = {
        // A core module that imports from WASI: type section, import section.
        let mut module = without_sections.clone();
        module.extend([1, 4, 1, 0x60, 0, 0]);
        let (from, name) = ("wasi_snapshot_preview1", "fd_write");
        let mut import = vec![1, u8::try_from(from.len()).unwrap()];
        import.extend(from.bytes());
        import.push(u8::try_from(name.len()).unwrap());
        import.extend(name.bytes());
        import.extend([0, 0]);
        module.extend([2, u8::try_from(import.len()).unwrap()]);
        module.extend(import);
        module
    };
    let component = |text: &str| wat::parse_str(text).unwrap();
    let environment = component(r#"(component (import "wasi:cli/environment@0.2.0" (instance)))"#);
    let later = component(r#"(component (import "usher:policy/host@0.2.0" (instance)))"#);
    let cases: [(&str, Vec<u8>, &str, &str); 10] = [
        ("large", vec![0; (4 << 20) + 1], "read", "at most 4194304"),
        ("cut", whole[..whole.len() / 2].to_vec(), "check", "ends in the middle"),
        ("text", b"fn main() {}".to_vec(), "check", "this is text"),
        ("elf", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec(), "check", "ELF"),
        ("core", without_sections, "check", "export_policy!"),
        ("wasi", wasi, "check", "component-type"),
        (
            "environment",
            environment,
            "check",
            "no clock, files, network or randomness",
        ),
        ("later", later, "check", "built for version 0.2.0 of the contract"),
        ("nothing", component("(component)"), "check", "policy-info"),
        ("settings", whole.to_vec(), "settings", "not TOML"),
    ];
    fs::write(site.path("policies/settings.toml"), "spare =").unwrap();
    for (name, bytes, ..) in &cases {
        drop_in(&site, &format!("{name}.wasm"), bytes);
    }
    fs::write(site.path("policies/configure.toml"), "no_such_setting = 1").unwrap();
    drop_in(&site, "configure.wasm", whole);
    let expected = cases.iter().map(|(name, _, step, words)| (*name, *step, *words));
    for (name, step, words) in expected.chain([("configure", "configure", "no_such_setting")]) {
        let shown = is(&client, name, "is refused", |policy| {
            policy["wanted"]["state"] == "refused"
        })
        .await;
        assert_eq!(shown["wanted"]["step"], step, "{shown}");
        assert!(shown["problem"].as_str().unwrap().contains(words), "{shown}");
        assert_eq!(shown["serving"], Value::Null);
    }
    assert_eq!(place(&client, "all-the-same").await.1, "standard");
}
