//! A policy's author, from nothing to a decision: `usher policy new`, its tests, `build`, `check`, `watch`, and every way in which
//! that goes wrong.

mod desk;
mod watching;

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use crate::policies::{POOL, is, place, spread, standard, started, wanted_serves};
use crate::site::{Site, USHER, repository, say_skipped, written};
use desk::{Desk, cargo_in, done, json_of, undone, usher_in};

#[tokio::test]
async fn from_nothing_to_a_policy_that_decides() {
    let site = Site::new(POOL);
    let (_host, client) = started(&site).await;
    let here = site.path(".");
    assert!(done(&usher_in(&here, "policy new night")).contains("usher policy build"));

    let tested = cargo_in(&site.path("night"), &["test", "--offline"]);
    assert!(
        done(&tested).contains("test result: ok. 4 passed"),
        "{}",
        written(&tested)
    );

    let line = done(&usher_in(&here, "policy build night"));
    for words in [
        "policies/50-night.wasm: ",
        " KiB, decides place, sha256 ",
        "built in",
        "policies/50-night.toml",
    ] {
        assert!(line.contains(words), "{words}: {line}");
    }
    is(&client, "50-night", "serves", wanted_serves).await;
    assert_eq!(place(&client, "first").await.1, "50-night");
    let decisions = client.get("/v1/decisions?room=first").await.expect(200).json;
    assert_eq!(decisions["decisions"][0]["reason"], "fullest with seats to spare");

    let settings = site.path("policies/50-night.toml");
    fs::write(&settings, "spare_seats = 7\n").unwrap();
    let line = done(&usher_in(&site.path("night"), "policy build"));
    assert!(
        line.contains("50-night.wasm is as it was"),
        "from the crate's own folder: {line}"
    );
    assert_eq!(fs::read_to_string(&settings).unwrap(), "spare_seats = 7\n");

    let shown = done(&usher_in(&here, "policy check policies/50-night.wasm --servers 100"));
    for words in [
        "night 0.1.0: Packs rooms",
        "decides   place",
        "policies/50-night.toml",
        "made-up fleet of 100 servers",
        "/500 seats)",
        "fullest with seats to spare",
        "passes every gate",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert!(!shown.contains("warning"), "{shown}");
}

#[test]
fn a_new_crate_is_clean_and_its_lints_keep_out_what_would_differ() {
    let desk = Desk::new();
    // A workspace above it that takes in every folder is not its.
    desk.write("Cargo.toml", "[workspace]\nmembers = [\"other\"]\nresolver = \"3\"\n");
    done(&desk.usher(&format!("policy new tidy --sdk {}", repository().display())));
    assert!(!desk.path("tidy/usher-sdk").exists());
    let lint = ["clippy", "--offline", "--all-targets", "--", "-D", "warnings"];
    done(&cargo_in(&desk.path("tidy"), &lint));
    done(&cargo_in(&desk.path("tidy"), &["fmt", "--check"]));
    desk.edit(
        "tidy/src/lib.rs",
        "    spare_seats: u32,",
        "    spare_seats: u32,\n    by_room: std::collections::HashMap<String, u32>,",
    );
    let refused = undone(&cargo_in(&desk.path("tidy"), &lint), 101);
    assert!(refused.contains("use BTreeMap"), "{refused}");
}

#[test]
fn what_new_cannot_make_it_does_not_begin() {
    let desk = Desk::new();
    for (arguments, code, words) in [
        ("policy new 10-vip", 2, "usher policy new vip"),
        ("policy new Night_Shift", 2, "`night-shift` would do"),
        ("policy new match", 2, "a word of the Rust language"),
        ("policy new night --sdk /nowhere", 1, "leave it out"),
        ("policy sdk", 1, "usher policy new"),
    ] {
        let why = undone(&desk.usher(arguments), code);
        assert!(why.contains(words), "{arguments}: {why}");
    }
    desk.write("night", "");
    assert!(undone(&desk.usher("policy new night"), 1).contains("take another name"));
    fs::create_dir(desk.path("used")).unwrap();
    desk.write("used/notes", "");
    assert!(undone(&desk.usher("policy new used"), 1).contains("is there and not empty"));
    fs::create_dir(desk.path("empty")).unwrap();
    done(&desk.usher("policy new empty"));
    let mut there: Vec<_> = fs::read_dir(desk.path(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    there.sort();
    assert_eq!(there, ["empty", "night", "used"], "nothing is left behind");
}

#[test]
fn what_does_not_build_or_pass_leaves_the_folder_alone() {
    let desk = Desk::new();
    let why = undone(&desk.usher("policy build"), 1);
    assert!(why.contains("usher policy new"), "{why}");
    done(&desk.usher("policy new broken"));
    let why = undone(&desk.usher("policy build broken"), 1);
    assert!(
        why.contains("where should the module go?") && why.contains("--to"),
        "{why}"
    );
    fs::create_dir(desk.path("policies")).unwrap();
    let advice = "PlacementAdvice::on(server.id()).because(\"fullest with seats to spare\")";
    let (misspelt, panic) = (
        "PlacementAdvice::onto(server.id())",
        "panic!(\"not {}\", server.name())",
    );

    desk.edit("broken/src/lib.rs", advice, misspelt);
    let why = undone(&desk.usher("policy build broken"), 1);
    for words in [
        " named `onto` found for struct `PlacementAdvice`",
        "policies/50-broken.wasm stays as it is: it does not build",
    ] {
        assert!(why.contains(words), "{words}: {why}");
    }

    desk.edit("broken/src/lib.rs", misspelt, panic);
    let why = undone(&desk.usher("policy build broken"), 1);
    for words in [
        "refused at the gate `trial`",
        "panicked at src/lib.rs:",
        "not frankfurt-",
    ] {
        assert!(why.contains(words), "{words}: {why}");
    }

    desk.edit("broken/src/lib.rs", panic, advice);
    desk.write("policies/50-broken.toml", "spare_seat = 3\n");
    let why = undone(&desk.usher("policy build broken"), 1);
    for words in [
        "refused at the gate `configure`",
        "`spare_seat`",
        "expected `spare_seats`",
    ] {
        assert!(why.contains(words), "{words}: {why}");
    }
    assert_eq!(desk.in_policies(), ["50-broken.toml"]);
}

#[test]
fn what_fails_only_where_rooms_wait_does_not_pass() {
    let desk = Desk::new();
    desk.new_policy("calm");
    desk.write(
        "calm/src/lib.rs",
        r#"//! Looks after a fleet in which nothing ever waits.

use usher_sdk::{Demand, Fleet, Growth, Moment, Policy, ScaleUp, export_policy};

struct Calm;

impl Policy for Calm {
    type Settings = ();
    fn new(_: ()) -> Result<Self, String> {
        Ok(Calm)
    }
}

impl ScaleUp for Calm {
    fn scale_up(&mut self, demand: &Demand, _: &Fleet, _: Moment) -> Vec<Growth> {
        assert!(demand.wants.is_empty(), "who are they all?");
        vec![]
    }
}

export_policy!(Calm: scale_up);
"#,
    );
    desk.write("policies/50-calm.toml", "");
    let why = undone(&desk.usher("policy build calm"), 1);
    for words in ["refused at the gate `trial`", "scale_up", "who are they all?"] {
        assert!(why.contains(words), "{words}: {why}");
    }
    assert_eq!(desk.in_policies(), ["50-calm.toml"]);
}

#[test]
fn answers_that_differ_and_questions_that_are_dear_are_told() {
    let desk = Desk::new();
    desk.new_policy("moody");
    let size = "let size = room.size()";
    desk.edit(
        "moody/src/lib.rs",
        size,
        "static TURN: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);\n        \
         let turn = TURN.fetch_add(1, std::sync::atomic::Ordering::Relaxed);\n        \
         if turn % 2 == 1 { return PlacementAdvice::on(4_000_000_000) }\n        \
         let mut size = room.size();\n        \
         for seats in 0..65_000 { size.seats = std::hint::black_box(size.seats).wrapping_add(seats); }\n        \
         size.seats = room.seats;\n        \
         let size = size",
    );
    let built = desk.usher("policy build moody");
    assert_eq!(
        desk.in_policies(),
        ["50-moody.toml", "50-moody.wasm"],
        "{}",
        written(&built)
    );
    let checked = desk.usher("policy check policies/50-moody.wasm --json");
    let report = &json_of(&checked)["files"][0];
    let warnings = report["warnings"].to_string();
    for words in [
        "`place` is not pure",
        "asked again",
        "would refuse 500 of 1000",
        "not in the fleet",
        "more than half",
    ] {
        assert!(warnings.contains(words), "{words}: {report:#}");
    }
    assert_eq!(report["rooms"]["asked"], 1000, "{report:#}");
    assert!(
        report["prices"][0]["fuel"]["max"].as_u64() > Some(100_000),
        "{report:#}"
    );
    assert!(
        done(&built).contains("warning: `place` is not pure"),
        "{}",
        written(&built)
    );
}

#[test]
fn every_gate_says_what_is_wrong_and_the_others_are_still_looked_at() {
    let desk = Desk::new();
    let file = |name: &str, bytes: &[u8]| fs::write(desk.path(name), bytes).unwrap();
    file("good.wasm", standard());
    file("text.wasm", b"fn main() {}");
    file("program.wasm", &fs::read(USHER).unwrap()[..100_000]);
    file("half.wasm", &spread()[..spread().len() / 2]);
    file("core.wasm", b"\0asm\x01\0\0\0");
    file("large.wasm", &vec![0; (4 << 20) + 1]);
    file("settings.wasm", spread());
    file("settings.toml", b"spare = \n");
    file("configure.wasm", standard());
    file("configure.toml", b"idle_second = 3\n");
    for (name, step, words) in [
        ("absent", "read", "no such file"),
        ("large", "read", "at most 4194304"),
        ("text", "check", "this is text"),
        ("program", "check", "ELF"),
        ("half", "check", "ends in the middle"),
        ("core", "check", "export_policy!"),
        ("settings", "settings", "line 1"),
        ("configure", "configure", "`idle_second`"),
    ] {
        let why = undone(&desk.usher(&format!("policy check {name}.wasm")), 1);
        assert!(
            why.contains(&format!("{name}.wasm is refused at the gate `{step}`")),
            "{why}"
        );
        assert!(why.contains(words), "{words}: {why}");
    }
    let checked = desk.usher("policy check text.wasm good.wasm core.wasm --json --servers 10");
    assert_eq!(undone(&checked, 1).matches("is refused").count(), 2);
    let files = &json_of(&checked)["files"];
    assert_eq!(files[0]["refused"]["step"], "check");
    assert_eq!(
        files[1]["decisions"],
        serde_json::json!(["place", "scale_up", "scale_down"])
    );
    assert_eq!(files[1]["prices"].as_array().map(Vec::len), Some(3), "{files:#}");
    assert!(
        files[1]["growth"]["orders"][0]["servers"].as_u64() > Some(0),
        "{files:#}"
    );
    assert_eq!(files[2]["file"], "core.wasm");
    undone(&desk.usher("policy check"), 2);
}

#[test]
fn of_two_crates_with_one_name_each_has_its_own_module() {
    let desk = Desk::new();
    let sha = |folder: &str| {
        let built = desk.usher(&format!("policy build {folder}/twin --to {folder}/policies"));
        let line = done(&built);
        line.split_once("sha256 ").unwrap().1[..12].to_owned()
    };
    for folder in ["one", "two"] {
        done(&desk.usher(&format!("policy new twin --in {folder}")));
    }
    desk.edit("two/twin/src/lib.rs", "fullest with seats to spare", "another reason");
    let (one, two) = (sha("one"), sha("two"));
    assert_ne!(one, two);
    assert_eq!([sha("one"), sha("two")], [one, two]);
}

#[test]
fn where_nothing_builds_for_wasm_it_says_what_to_install() {
    let desk = Desk::new();
    desk.new_policy("bare");
    // A machine with the usual tools, but without compilers and linkers.
    fs::create_dir(desk.path("bin")).unwrap();
    for tool in ["sh", "dirname", "basename", "mkdir", "cat", "grep", "sed", "head", "rm"] {
        let found = ["/bin", "/usr/bin"].map(|folder| std::path::Path::new(folder).join(tool));
        let found = found.iter().find(|path| path.exists()).unwrap();
        symlink(found, desk.path("bin").join(tool)).unwrap();
    }
    let output = Command::new(USHER)
        .args(["policy", "build", "bare"])
        .current_dir(desk.path(""))
        .env("PATH", desk.path("bin"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    if output.status.success() {
        return say_skipped("the system's own rustc builds for wasm");
    }
    let why = undone(&output, 1);
    for words in [
        "rustup target add wasm32-unknown-unknown",
        "apt-get install",
        "usher policy build --install",
    ] {
        assert!(why.contains(words), "{words}: {why}");
    }
    assert!(desk.in_policies().is_empty());
}
