//! The README is true: its first room is walked through as written, but for the ports.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::patience::{eventually, seconds};
use crate::site::{AGENT, FAKE_EC2, Port, Site, USHER, repository, written};
use crate::sse::all_events;
use crate::tls::authority::Authority;

/// How long the programs of a test that fails have for their ends.
const END_WAIT: Duration = Duration::from_secs(3);

fn readme() -> String {
    fs::read_to_string(repository().join("README.md")).unwrap()
}

/// Returns a section's text.
fn section(readme: &str, title: &str) -> String {
    let text = readme
        .split_once(&format!("\n## {title}\n"))
        .expect("the section is there")
        .1;
    text.split("\n## ").next().unwrap().to_owned()
}

/// Returns the blocks of commands, which are indented.
fn commands(section: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    let mut is_fenced = false;
    for line in section.lines() {
        is_fenced ^= line.starts_with("```");
        match line.strip_prefix("    ") {
            Some(command) if !is_fenced => {
                let block = blocks.last_mut().unwrap();
                block.push_str(command);
                block.push('\n');
            }
            _ if blocks.last().unwrap().is_empty() => {}
            _ => blocks.push(String::new()),
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks
}

/// Returns the fenced block of this language.
fn fenced<'a>(section: &'a str, language: &str) -> &'a str {
    let block = section
        .split_once(&format!("```{language}\n"))
        .expect("the block is there")
        .1;
    block.split_once("```").unwrap().0
}

/// Checks that all that is in `part` is in `whole`.
fn assert_within(part: &Value, whole: &Value) {
    match part {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| assert_within(value, &whole[key])),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            assert_eq!(part, whole, "{whole}");
        }
    }
}

/// What a shell began; all of its children are ended with it.
struct Shell(Child);

impl Shell {
    /// Runs commands in a process group of their own, without waiting.
    fn run(site: &Site, commands: &str) -> Shell {
        use std::os::unix::process::CommandExt;
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(site.path("log"))
            .unwrap();
        let child = Command::new("sh")
            .args(["-ec", commands])
            .current_dir(site.path("."))
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(fs::File::create(site.path("answers")).unwrap())
            .stderr(log)
            .spawn();
        Shell(child.unwrap())
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let group = rustix::process::Pid::from_child(&self.0);
        if std::thread::panicking() {
            // What they began elsewhere they end themselves, if they are told.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::TERM);
            std::thread::sleep(END_WAIT);
        }
        // All of them may have ended.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn the_first_room_is_as_the_readme_says() {
    let readme = readme();
    let section = section(&readme, "A first room");
    let [serve, first] = &commands(&section)[..] else {
        panic!("{section}")
    };
    let site = Site::new("");
    fs::remove_file(site.path("usher.toml")).unwrap();
    let address = site.address().to_string();
    let serve = serve.replace("cargo run -p usher --", USHER).trim_end().to_owned();
    let _serving = Shell::run(&site, &format!("{serve} --listen {address}"));
    let client = crate::http::Client::new(&site.url());
    eventually("the host answers", seconds(60), async || {
        let answer = client.ask(hyper::Method::GET, "/readyz", None).await;
        answer.is_ok_and(|answer| answer.status == 200).then_some(())
    })
    .await;

    let port = Port::free();
    let media = port.number.to_string();
    let as_here = |text: &str| text.replace("127.0.0.1:7070", &address).replace("9000", &media);
    let _media = Shell::run(&site, &as_here(first));
    let room = eventually("the room is placed", seconds(40), async || {
        let answer = client.get("/v1/rooms/standup-42").await;
        (answer.json["state"] == "placed").then_some(answer.json)
    })
    .await;
    let shown: Value = serde_json::from_str(&as_here(fenced(&section, "json"))).unwrap();
    assert_within(&shown, &room);
    eventually("curl has its answers", seconds(20), async || {
        let answers = fs::read_to_string(site.path("answers")).unwrap();
        (answers.contains("\"name\":\"media-1\"") && answers.contains("\"room\":\"standup-42\"")).then_some(())
    })
    .await;

    let script = repository().join("examples/app-server/node/first-room.mjs");
    assert_eq!(fs::read_to_string(&script).unwrap(), fenced(&section, "js"));
    let told = Command::new("node")
        .arg(script)
        .env("USHER_URL", site.url())
        .output()
        .unwrap();
    assert!(told.status.success(), "{}", written(&told));
    assert!(
        written(&told).contains("standup-42 is on media-1"),
        "{}",
        written(&told)
    );
    client
        .get("/v1/rooms/standup-42")
        .await
        .expect_problem(404, "no_such_room");
}

#[tokio::test]
async fn a_policy_of_ones_own_and_settings_without_code_are_as_the_readme_says() {
    let readme = readme();
    let section = section(&readme, "Policies");
    let [own] = &commands(&section)[..] else {
        panic!("{section}")
    };
    let site = Site::new("");
    fs::write(site.path("policies/standard.toml"), fenced(&section, "toml")).unwrap();
    let host = site.start().await;
    let client = host.client();
    let made = Command::new("sh")
        .args([
            "-exc",
            &own.replace("cargo run -p usher --no-default-features --", USHER),
        ])
        .current_dir(site.path("."))
        // Crates that are there are enough; the policy's own build goes into its own folder, as at home.
        .env("CARGO_NET_OFFLINE", "true")
        .env_remove("CARGO_TARGET_DIR")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", written(&made));
    eventually("the policy serves beside the settings", seconds(60), async || {
        let policies = client.get("/v1/policies").await.expect(200).json;
        let served: Vec<_> = policies["policies"]
            .as_array()?
            .iter()
            .map(|policy| &policy["name"])
            .collect();
        (served == ["50-night", "standard"] && policies["policies"][0]["wanted"]["state"] == "serving").then_some(())
    })
    .await;
    let events = all_events(&client).await;
    let refused: Vec<_> = events.iter().filter(|event| event.kind == "policy.refused").collect();
    assert!(refused.is_empty(), "{refused:?}");
}

#[tokio::test]
async fn a_host_is_reached_from_other_machines_as_the_readme_says() {
    let readme = readme();
    let running = section(&readme, "Running it");
    let (_, section) = running.split_once("\n### From other machines\n").unwrap();
    let authority = Authority::new();
    let (site, _) = authority.site("");
    let token = "a-token-of-this-test-and-nobody-else";
    let text = fenced(section, "toml")
        .replace("/etc/letsencrypt/live/usher.example.com", "certs")
        .replace(
            &format!("sha256:{:064}", 1),
            &usher::config::TokenHash::of(token).to_string(),
        );
    let port = site.address().port().to_string();
    let outside = text.replace("7070", &port);
    site.write("usher.toml", &outside.replace("0.0.0.0", "127.0.0.1"));
    let host = site.start().await;
    host.client().with_token(token).get("/v1/rooms").await.expect(200);
    // Nobody outside is served by a test: that file is only checked.
    site.write("usher.toml", &outside);
    let [own] = &commands(section)[..] else {
        panic!("{section}")
    };
    let own = own
        .replace("usher.example.com:7070", &site.address().to_string())
        .replace("put-the-token-here", token)
        .replace("usher config", &format!("{USHER} config"))
        .replace("usher servers", &format!("{USHER} servers"));
    let done = Command::new("sh")
        .args(["-exc", &own])
        .current_dir(site.path("."))
        .env("USHER_CA_FILE", "ca.pem")
        .output()
        .unwrap();
    let told = written(&done);
    assert!(done.status.success(), "{told}");
    assert!(
        told.contains(&format!("listening on https://0.0.0.0:{port}")) && !told.contains("warning: line"),
        "{told}"
    );
    assert!(told.contains("SERVER") || told.contains("no servers"), "{told}");
}

/// Puts the programs into a folder of a site, under their own names, and returns the commands that have a shell find them.
fn programs(site: &Site) -> String {
    fs::create_dir(site.path("bin")).unwrap();
    for (name, program) in [("usher", USHER), ("usher-agent", AGENT), ("fake-ec2", FAKE_EC2)] {
        std::os::unix::fs::symlink(program, site.path("bin").join(name)).unwrap();
    }
    format!("export PATH=\"$PWD/bin:$PATH\" USHER_URL={}\n", site.url())
}

/// Runs commands to their end, and returns what they wrote.
fn told(site: &Site, commands: &str) -> String {
    let done = Command::new("sh")
        .args(["-exc", commands])
        .current_dir(site.path("."))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", written(&done));
    String::from_utf8(done.stdout).unwrap()
}

/// Waits until what a shell wrote has all of this, and returns it.
async fn answers(site: &Site, parts: &[&str]) -> String {
    eventually(&format!("the answers have {parts:?}"), seconds(90), async || {
        let answers = fs::read_to_string(site.path("answers")).unwrap();
        parts.iter().all(|part| answers.contains(part)).then_some(answers)
    })
    .await
}

#[tokio::test]
async fn servers_that_others_make_come_and_go_as_the_readme_says() {
    let readme = readme();
    let section = section(&readme, "Which strategy is yours");
    let [_, ask, make, leave, ..] = &commands(&section)[..] else {
        panic!("{section}")
    };
    let site = Site::new(fenced(&section, "toml"));
    let host = site.start().await;
    let (client, programs) = (host.client(), programs(&site));
    let asked = told(&site, &format!("{programs}{ask}"));
    assert!(asked.contains("waiting") && asked.contains("WANTED"), "{asked}");
    eventually("two servers are wanted", seconds(20), async || {
        let pools = client.get("/v1/pools").await.expect(200).json;
        (pools["pools"][0]["servers_wanted"] == 2).then_some(())
    })
    .await;
    let port = Port::free();
    let make = make
        .replace("127.0.0.1:7070", &site.address().to_string())
        .replace("9000", &port.number.to_string());
    let _media = Shell::run(&site, &format!("{programs}{make}"));
    answers(&site, &["standup  placed  media-1", "retro    placed  media-1"]).await;
    let left = told(&site, &format!("{programs}{leave}"));
    assert!(left.contains("server.left") && left.contains("a new image"), "{left}");
    client
        .get("/v1/servers/media-1")
        .await
        .expect_problem(404, "no_such_server");
}

#[tokio::test]
async fn servers_are_launched_on_an_ec2_of_this_machine_as_the_readme_says() {
    let readme = readme();
    let section = section(&readme, "Which strategy is yours");
    let [build, .., serve, ask, _, _] = &commands(&section)[..] else {
        panic!("{section}")
    };
    assert!(
        build.starts_with("cargo build -p usher -p usher-agent -p usher-fake-ec2\n"),
        "{build}"
    );
    let (site, port) = (Site::new(""), Port::free());
    let (address, fake) = (site.address().to_string(), format!("127.0.0.1:{}", port.number));
    let example = site.path("examples/aws-here");
    fs::create_dir_all(example.join("policies")).unwrap();
    for file in ["usher.toml", "ec2.json", "user-data.sh", "policies/standard.toml"] {
        let text = fs::read_to_string(repository().join("examples/aws-here").join(file)).unwrap();
        let text = text
            .replace("127.0.0.1:7070", &address)
            .replace("127.0.0.1:7071", &fake);
        fs::write(example.join(file), text).unwrap();
    }
    let programs = programs(&site);
    let serve = serve.replace("--port 7071", &format!("--port {}", port.number));
    let _serving = Shell::run(&site, &format!("{programs}{serve}"));
    let client = site.client();
    eventually("the host answers", seconds(60), async || {
        let answer = client.ask(hyper::Method::GET, "/readyz", None).await;
        answer.is_ok_and(|answer| answer.status == 200).then_some(())
    })
    .await;
    let _asking = Shell::run(&site, &format!("{programs}{ask}"));
    let told = answers(&site, &["standup is released", "server.terminated"]).await;
    assert!(
        told.contains("placed  frankfurt-") && told.contains("now $0."),
        "{told}"
    );
    let control = crate::http::Client::new(&format!("http://{fake}/control"));
    eventually("nothing runs any more", seconds(60), async || {
        let instances = control.get("/instances").await.expect(200).json;
        let instances = instances.as_array().unwrap();
        assert!(!instances.is_empty());
        let mut states = instances.iter().map(|instance| &instance["state"]);
        states.all(|state| state == "terminated").then_some(())
    })
    .await;
}

#[test]
fn the_commands_for_ec2_and_the_agent_are_as_the_readme_says() {
    let readme = readme();
    for line in [
        "cargo run -p usher -- config check --config examples/aws/usher.toml",
        "cargo run -p usher-agent -- --help",
    ] {
        assert!(readme.contains(line), "the README has {line}");
    }
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program)
            .args(arguments)
            .current_dir(repository())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let checked = run(USHER, &["config", "check", "--config", "examples/aws/usher.toml"]);
    assert!(checked.contains("frankfurt"), "{checked}");
    let help = run(AGENT, &["--help"]);
    assert!(help.contains("--media") && help.contains("--spot-notices"), "{help}");
}

#[test]
fn every_link_leads_somewhere() {
    for file in [
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "examples/agent/README.md",
        "examples/app-server/README.md",
        "examples/aws/README.md",
        "examples/janus/README.md",
        "examples/policies/README.md",
        "examples/webhook/README.md",
    ] {
        let path = repository().join(file);
        let text = fs::read_to_string(&path).unwrap();
        for link in text.split("](").skip(1) {
            let link = link.split(')').next().unwrap().split('#').next().unwrap();
            if !link.is_empty() && !link.contains("://") {
                assert!(path.parent().unwrap().join(link).exists(), "{file}: {link}");
            }
        }
    }
}

#[test]
fn the_webhook_is_configured_as_the_readme_says() {
    let readme = readme();
    let being_told = readme.split_once("\n### Being told\n").expect("the section is there").1;
    let config = fenced(being_told, "toml");
    let site = Site::new(config);
    let made = commands(being_told).remove(0);
    let arguments: Vec<&str> = made.split_whitespace().skip(1).collect();
    assert!(site.usher(&arguments).status.success(), "{made}");
    let checked = site.usher(&["config", "check"]);
    assert!(checked.status.success(), "{}", written(&checked));
    assert!(
        written(&checked).contains("webhook: https://app.example.com is told"),
        "{}",
        written(&checked)
    );
}
