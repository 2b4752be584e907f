//! A policy's author, from nothing to a decision: `usher policy new`, its tests, `build`, `check`, `watch`, and every way in which
//! that goes wrong.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::patience::{eventually, seconds};
use crate::policies::{POOL, is, place, policy, spread, standard, started, wanted_serves};
use crate::site::{Site, USHER, repository, written};

/// The longest that one command may take, in seconds: the first module of all builds Rust's library for wasm, on a busy machine.
const COMMAND_SECONDS_MAX: &str = "400";

/// A folder in which an author works.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Desk {
        let folder = tempfile::Builder::new().prefix("usher-author-").tempdir().unwrap();
        Desk { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Replaces what stands once in a file.
    fn edit(&self, name: &str, old: &str, new: &str) {
        let text = self.read(name);
        assert_eq!(text.matches(old).count(), 1, "{old} in {text}");
        self.write(name, &text.replace(old, new));
    }

    fn usher(&self, arguments: &str) -> Output {
        usher_in(self.folder.path(), arguments)
    }

    /// Makes a policy, of which the folder `policies` beside it is to hold the module.
    fn new_policy(&self, name: &str) {
        done(&self.usher(&format!("policy new {name}")));
        fs::create_dir_all(self.path("policies")).unwrap();
    }

    fn in_policies(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("policies")).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn usher_in(folder: &Path, arguments: &str) -> Output {
    let arguments = arguments.split_whitespace();
    Command::new("timeout")
        .args([COMMAND_SECONDS_MAX, USHER])
        .args(arguments)
        .current_dir(folder)
        .env_remove("USHER_CONFIG")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Runs cargo for this machine; all such crates share a folder for what they build.
fn cargo_in(folder: &Path, arguments: &[&str]) -> Output {
    Command::new("timeout")
        .args([COMMAND_SECONDS_MAX, "cargo"])
        .args(arguments)
        .current_dir(folder)
        .env(
            "CARGO_TARGET_DIR",
            Path::new(env!("CARGO_TARGET_TMPDIR")).join("authors"),
        )
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Returns what a command wrote to stdout.
fn done(output: &Output) -> String {
    assert!(output.status.success(), "{}", written(output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Returns what a command that could not do its work wrote to stderr.
fn undone(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{}", written(output));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", written(output)))
}

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
        "constant named `onto` found for struct `PlacementAdvice`",
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
fn answers_that_differ_and_questions_that_are_dear_are_told() {
    let desk = Desk::new();
    desk.new_policy("moody");
    let size = "let mut size = room.size();";
    desk.edit(
        "moody/src/lib.rs",
        size,
        "static TURN: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);\n        \
         let turn = TURN.fetch_add(1, std::sync::atomic::Ordering::Relaxed);\n        \
         if turn % 2 == 1 { return PlacementAdvice::on(4_000_000_000) }\n        \
         let mut size = room.size();\n        \
         for seats in 0..65_000 { size.seats = std::hint::black_box(size.seats).wrapping_add(seats); }\n        \
         size.seats = room.seats;",
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

/// `usher policy watch` at work; what it says goes to the file `said`.
struct Watching(Child);

impl Watching {
    fn begin(folder: &Path, url: &str) -> Watching {
        let said = File::create(folder.join("said")).unwrap();
        let child = Command::new(USHER)
            .args(["policy", "watch", "keen"])
            .current_dir(folder)
            .env("USHER_URL", url)
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said)
            .process_group(0)
            .spawn();
        Watching(child.unwrap())
    }

    /// Returns the processes that it has started and that still run, such as cargo's shell.
    fn children(&self) -> Vec<String> {
        let id = self.0.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        children.split_whitespace().map(str::to_owned).collect()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn what_is_saved_is_served_and_what_is_broken_is_not() {
    let site = Site::new(POOL);
    let (_host, client) = started(&site).await;
    let here = site.path(".");
    done(&usher_in(&here, "policy new keen"));
    let mut watching = Watching::begin(&here, &site.url());
    let said = |words: &str| fs::read_to_string(site.path("said")).unwrap().contains(words);
    let says = async |words: &str| {
        eventually(words, seconds(400), async || said(words).then_some(())).await;
    };
    says("the host serves it").await;
    let first = policy(&client, "50-keen").await.unwrap()["serving"]["sha256"].clone();

    let source = site.path("keen/src/lib.rs");
    let save = |old: &str, new: &str| {
        let text = fs::read_to_string(&source).unwrap();
        assert!(text.contains(old), "{text}");
        fs::write(&source, text.replace(old, new)).unwrap();
    };
    save("fullest with seats to spare", "as saved");
    is(&client, "50-keen", "is what was saved", |policy| {
        wanted_serves(policy) && policy["serving"]["sha256"] != first
    })
    .await;
    place(&client, "a-room").await;
    let decisions = client.get("/v1/decisions?room=a-room").await.expect(200).json;
    assert_eq!(decisions["decisions"][0]["reason"], "as saved");
    says(" after the save").await;

    save("as saved", "as \" broken");
    says("50-keen.wasm stays as it is: it does not build").await;
    assert!(said("error"), "cargo's own words");
    assert_eq!(place(&client, "another-room").await.1, "50-keen");

    // While cargo works: whatever it has started ends with it.
    save("as \" broken", "as mended");
    let children = eventually("it builds", seconds(60), async || {
        Some(watching.children()).filter(|children| !children.is_empty())
    })
    .await;
    let pid = Pid::from_child(&watching.0);
    kill_process(pid, Signal::INT).unwrap();
    let ended = eventually("it ends", seconds(30), async || watching.0.try_wait().unwrap()).await;
    assert!(ended.success(), "{ended}");
    eventually("its children end", seconds(30), async || {
        let runs = |child: &&String| Path::new("/proc").join(child).exists();
        children.iter().find(runs).is_none().then_some(())
    })
    .await;
}
