//! The story, on real Janus servers: nothing runs, 23 rooms come at once, and when they have gone nothing runs again. The
//! standard policy decides, as a module from the folder.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::Client;
use crate::patience::{at_most, eventually, seconds};
use crate::policies::{drop_in, standard};
use crate::site::{Site, repository, written};

/// A site with the example's own pool, whose Janus servers have a folder of their own. They are ended in any case.
struct Stage {
    site: Site,
    janus: TempDir,
}

/// The example's config, quicker: an empty server goes after a second.
fn config() -> String {
    let folder = repository().join("examples/janus");
    let example = fs::read_to_string(folder.join("usher.toml")).unwrap();
    let programs = format!("[\"{}/", folder.display());
    let mut config = "tick_seconds = 1\n".to_owned();
    for line in example.lines() {
        let line = match line.split(" = ").next().unwrap() {
            "listen" => continue,
            "policies_dir" => "policies_dir = \"policies\"",
            "scale_down_cooldown_seconds" => "scale_down_cooldown_seconds = 0",
            "server_life_seconds_min" => "server_life_seconds_min = 1",
            "health" => "health = \"http\"\nhealth_interval_seconds = 1",
            _ => line,
        };
        config.push_str(&line.replace("[\"./", &programs));
        config.push('\n');
    }
    config + "[servers]\nreconcile_seconds = 2\n"
}

impl Stage {
    fn new() -> Stage {
        let janus = tempfile::Builder::new().prefix("usher-test-janus-").tempdir().unwrap();
        let site = Site::new(&config()).with_variable("USHER_JANUS_DIR", janus.path());
        drop_in(&site, "90-standard.wasm", standard());
        site.write("policies/90-standard.toml", "idle_seconds = 1\n");
        Stage { site, janus }
    }

    /// Begins the story.
    fn tell(&self, program: &'static str, script: &str) -> tokio::task::JoinHandle<Output> {
        let mut command = Command::new(program);
        command
            .arg(repository().join("examples/app-server").join(script))
            .args(["--rooms", "23", "--hold-seconds", "2"])
            .env("USHER_URL", self.site.url())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null());
        tokio::task::spawn_blocking(move || command.output().unwrap_or_else(|error| panic!("{program}: {error}")))
    }

    /// Returns the keys of the servers that really exist, by the pool's own program and by the processes.
    async fn real(&self) -> BTreeSet<String> {
        let (program, folder) = (
            repository().join("examples/janus/list.sh"),
            self.janus.path().to_owned(),
        );
        let listed = tokio::task::spawn_blocking(move || list(&program, &folder))
            .await
            .unwrap();
        let key = |instance: &Value| format!("{}@{}", instance["server"].as_str().unwrap(), instance["attempt"]);
        listed["instances"].as_array().unwrap().iter().map(key).collect()
    }

    /// Checks that whatever runs is known: what runs before and after the records are read has one.
    async fn assert_no_orphan(&self, client: &Client) {
        let before = self.real().await;
        let records = client.get("/v1/servers").await.expect(200).json;
        let after = self.real().await;
        let key = |server: &Value| format!("{}@{}", server["name"].as_str().unwrap(), server["attempt"]);
        let known: BTreeSet<String> = records["servers"].as_array().unwrap().iter().map(key).collect();
        let orphans: Vec<_> = before
            .intersection(&after)
            .filter(|key| !known.contains(*key))
            .collect();
        assert!(orphans.is_empty(), "{orphans:?} run, and only {known:?} are known");
    }

    async fn assert_empty_at_the_end(&self, client: &Client) {
        eventually("the fleet is empty", seconds(60), async || {
            let servers = client.get("/v1/servers").await.expect(200).json;
            servers["servers"].as_array().unwrap().is_empty().then_some(())
        })
        .await;
        assert_eq!(self.real().await, BTreeSet::new());
        assert_eq!(processes_of(self.janus.path()), Vec::<u32>::new());
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for pid in processes_of(self.janus.path()) {
            let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
            // It may have ended meanwhile.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

fn list(program: &Path, folder: &Path) -> Value {
    let mut child = Command::new(program)
        .env("USHER_JANUS_DIR", folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let order = json!({ "fleet": "janus-example", "pool": "janus-here" });
    child
        .stdin
        .take()
        .unwrap()
        .write_all(order.to_string().as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    serde_json::from_slice(&output.stdout).expect("the program answers JSON")
}

/// Returns the processes whose command line names this folder.
fn processes_of(folder: &Path) -> Vec<u32> {
    let folder = folder.to_str().unwrap();
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let entry = entry.ok()?;
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        String::from_utf8_lossy(&line).contains(folder).then_some(pid)
    });
    processes.collect()
}

/// Checks what the story says at its end, and returns on how many servers it was.
fn assert_well_told(told: &Output) -> usize {
    let said = written(told);
    assert!(told.status.success(), "{said}");
    let summary: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&summary["rooms"], &summary["released"], &summary["failures"]),
        (&json!(23), &json!(23), &json!([]))
    );
    assert!(
        summary["longest_wait_seconds"].as_f64().unwrap() < 60.0,
        "whoever waits, waits for a boot: {summary}"
    );
    let servers = summary["servers"].as_object().unwrap();
    assert!(servers.values().all(|rooms| rooms.as_u64().unwrap() <= 10), "{summary}");
    servers.len()
}

async fn the_story_by(program: &'static str, script: &str) {
    let stage = Stage::new();
    let host = stage.site.start().await;
    let client = host.client();
    assert_eq!(stage.real().await, BTreeSet::new());
    let told = at_most("the story ends", seconds(150), stage.tell(program, script))
        .await
        .unwrap();
    assert_eq!(assert_well_told(&told), 3, "{}", written(&told));
    let decisions = client.get("/v1/decisions?limit=1000").await.expect(200).json;
    let accepted = decisions["decisions"].as_array().unwrap().iter();
    let accepted: Vec<_> = accepted.filter(|decision| decision["verdict"] == "accepted").collect();
    let of = |point: &str| accepted.iter().filter(|decision| decision["point"] == point).count();
    assert!(of("place") >= 23 && of("scale_up") >= 1, "{decisions}");
    stage.assert_empty_at_the_end(&client).await;
    let policies = client.get("/v1/policies").await.expect(200).json;
    assert_eq!(policies["policies"][0]["name"], "90-standard", "{policies}");
    let by_others = accepted.iter().filter(|decision| decision["policy"] != "90-standard");
    assert_eq!(by_others.count(), 0, "the module decided all: {decisions}");
}

#[tokio::test]
async fn twenty_three_rooms_from_node_bring_three_real_servers_and_leave_none() {
    the_story_by("node", "node/story.mjs").await;
}

#[tokio::test]
async fn twenty_three_rooms_from_python_bring_three_real_servers_and_leave_none() {
    the_story_by("python3", "python/story.py").await;
}

#[tokio::test]
async fn a_host_killed_in_the_middle_of_the_story_leaves_no_orphan() {
    let stage = Stage::new();
    let mut host = stage.site.start().await;
    let client = host.client();
    let story = stage.tell("node", "node/story.mjs");
    // Once when launches are intended, once when servers boot or serve, once when they go.
    for (moment, is_it) in [
        ("a launch is intended", "server.requested"),
        ("a server is ready", "server.ready"),
        ("a server is being ended", "server.terminating"),
    ] {
        eventually(moment, seconds(90), async || {
            let events = crate::sse::all_events(&client).await;
            events.iter().any(|event| event.kind == is_it).then_some(())
        })
        .await;
        host.kill();
        host = stage.site.start().await;
        stage.assert_no_orphan(&client).await;
    }
    let told = at_most("the story ends", seconds(150), story).await.unwrap();
    assert_well_told(&told);
    stage.assert_empty_at_the_end(&client).await;
}
