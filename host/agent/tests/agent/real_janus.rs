//! The agent beside a real Janus (Debian's package `janus`, which `tests/prepare.sh` installs): one process with its own folder and
//! ports on loopback, ended by its own handle.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::http::Method;
use reqwest::Client;
use serde_json::{Value, json};
use tokio::time::{Instant, interval, timeout};

use crate::fakes::{Fake, Reply, Running, held, is_draining, start, well};

const PATIENCE: Duration = Duration::from_secs(30);
const PARTS: [&str; 3] = [
    "plugins/libjanus_videoroom.so",
    "plugins/libjanus_audiobridge.so",
    "transports/libjanus_http.so",
];

/// A Janus that ends with the test.
struct Janus {
    child: Child,
    client: Client,
    http: String,
    admin: String,
    _folder: tempfile::TempDir,
}

impl Drop for Janus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where Janus is installed: its program and the folder of its parts.
fn installed() -> Option<(PathBuf, PathBuf)> {
    let path = std::env::var_os("PATH")?;
    let program = std::env::split_paths(&path)
        .map(|folder| folder.join("janus"))
        .find(|file| file.is_file())?;
    let libraries = std::fs::read_dir("/usr/lib")
        .ok()?
        .flatten()
        .map(|entry| entry.path().join("janus"));
    let parts = libraries
        .into_iter()
        .find(|folder| PARTS.iter().all(|part| folder.join(part).exists()))?;
    Some((program, parts))
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn configure(folder: &Path, parts: &Path, http: u16, admin: u16) {
    for part in PARTS {
        let link = folder.join(part);
        std::fs::create_dir_all(link.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(parts.join(part), link).unwrap();
    }
    std::fs::create_dir(folder.join("conf")).unwrap();
    let at = folder.display();
    let files = [
        (
            "janus.jcfg",
            format!(
                "general: {{ configs_folder = \"{at}/conf\" plugins_folder = \"{at}/plugins\" \
                 transports_folder = \"{at}/transports\" events_folder = \"{at}/none\" loggers_folder = \"{at}/none\" \
                 admin_secret = \"overlord\" debug_level = 3 debug_colors = false }}\n"
            ),
        ),
        (
            "janus.transport.http.jcfg",
            format!(
                "general: {{ json = \"compact\" base_path = \"/janus\" http = true https = false ip = \"127.0.0.1\" port = {http} }}\n\
                 admin: {{ admin_base_path = \"/admin\" admin_http = true admin_https = false admin_ip = \"127.0.0.1\" \
                 admin_port = {admin} }}\n"
            ),
        ),
        (
            "janus.plugin.videoroom.jcfg",
            "general: { admin_key = \"key\" }\n".to_owned(),
        ),
        (
            "janus.plugin.audiobridge.jcfg",
            "general: { admin_key = \"key\" }\n".to_owned(),
        ),
    ];
    for (name, text) in files {
        std::fs::write(folder.join("conf").join(name), text).unwrap();
    }
}

impl Janus {
    async fn start() -> Janus {
        let (program, parts) = installed().expect("Janus is not installed: tests/prepare.sh does that");
        let folder = tempfile::tempdir().unwrap();
        let (http, admin) = (free_port(), free_port());
        configure(folder.path(), &parts, http, admin);
        let child = Command::new(program)
            .arg("-F")
            .arg(folder.path().join("conf"))
            .args(["-r", "31000-31099"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // The test process may have no provider yet; nothing here is encrypted.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut janus = Janus {
            child,
            client: Client::builder().no_proxy().tls_certs_only([]).build().unwrap(),
            http: format!("http://127.0.0.1:{http}/janus"),
            admin: format!("http://127.0.0.1:{admin}/admin"),
            _folder: folder,
        };
        janus.wait().await;
        janus
    }

    async fn wait(&mut self) {
        let mut again = interval(Duration::from_millis(50));
        let deadline = Instant::now() + PATIENCE;
        for url in [format!("{}/info", self.http), format!("{}/info", self.admin)] {
            while self.client.get(&url).send().await.is_err() {
                assert!(Instant::now() < deadline, "janus does not answer");
                assert!(self.child.try_wait().unwrap().is_none(), "janus has ended");
                again.tick().await;
            }
        }
    }

    async fn post(&self, url: &str, mut body: Value) -> Value {
        body["transaction"] = json!("test");
        self.client
            .post(url)
            .json(&body)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    }

    /// Makes a session, or not.
    async fn session(&self) -> Value {
        self.post(&self.http, json!({"janus": "create"})).await
    }

    /// Speaks to a plugin as an app does, by the public API.
    async fn plugin(&self, plugin: &str, request: Value) -> Value {
        let session = self.session().await["data"]["id"].as_u64().unwrap();
        let url = format!("{}/{session}", self.http);
        let handle = self.post(&url, json!({"janus": "attach", "plugin": plugin})).await["data"]["id"]
            .as_u64()
            .unwrap();
        self.post(&format!("{url}/{handle}"), json!({"janus": "message", "body": request}))
            .await
    }

    fn agent(&self, host: &Fake, more: &[&str]) -> Running {
        let mut arguments = vec![
            "--media",
            "janus",
            "--media-url",
            &self.admin,
            "--janus-admin-secret",
            "overlord",
        ];
        arguments.extend(["--report-seconds", "1", "--janus-admin-key", "key"]);
        arguments.extend(more);
        start(host, &arguments)
    }
}

fn has_room(report: &Value, name: &str) -> bool {
    let rooms = report["rooms"].as_array();
    rooms.is_some_and(|rooms| {
        rooms
            .iter()
            .any(|room| room["room"] == name && room["participants"] == 0)
    })
}

#[tokio::test]
async fn a_real_janus_is_seen_drained_relieved_and_left() {
    let mut janus = Janus::start().await;
    let host = Fake::host(well()).await;
    let agent = janus.agent(&host, &["--janus-audiobridge"]);
    timeout(PATIENCE, host.request(1)).await.unwrap();
    for (plugin, request) in [
        (
            "janus.plugin.videoroom",
            json!({"request": "create", "room": 42, "description": "standup", "admin_key": "key"}),
        ),
        (
            "janus.plugin.videoroom",
            json!({"request": "create", "room": 43, "is_private": true, "admin_key": "key"}),
        ),
        (
            "janus.plugin.audiobridge",
            json!({"request": "create", "room": 44, "admin_key": "key"}),
        ),
    ] {
        let made = janus.plugin(plugin, request).await;
        assert_eq!(made["janus"], "success", "{made}");
    }
    let sees_all = |report: &Value| ["42", "43", "44"].iter().all(|name| has_room(report, name));
    timeout(PATIENCE, host.find(1, |request| sees_all(&request.json())))
        .await
        .expect("all rooms are reported");

    // People may come late to a meeting on a server that is held.
    let seen = host.got().len();
    host.now(|_| Reply::Json(held("draining")));
    timeout(PATIENCE, host.request(seen + 3))
        .await
        .expect("it goes on reporting");
    assert_eq!(janus.session().await["janus"], "success");
    host.now(|_| Reply::Json(well()));

    host.now(|request| {
        let mut answer = well();
        if has_room(&request.json(), "42") {
            answer["moved"] = json!([{"room": "42", "server": "media-8"}]);
        }
        Reply::Json(answer)
    });
    let seen = host.got().len();
    timeout(PATIENCE, host.after(seen, |request| !has_room(&request.json(), "42")))
        .await
        .expect("the room is ended");

    agent.stop.urge();
    timeout(PATIENCE, agent.leave()).await.expect("nobody is in it");
    assert!(host.got().iter().any(is_draining));
    refuses(&janus).await;
    assert!(janus.child.try_wait().unwrap().is_none(), "janus itself is left alone");
}

/// Waits until Janus takes no new sessions.
async fn refuses(janus: &Janus) {
    let mut again = interval(Duration::from_millis(50));
    let deadline = Instant::now() + PATIENCE;
    loop {
        let made = janus.session().await;
        if made["janus"] == "error" {
            assert_eq!(made["error"]["code"], 472, "{made}");
            return;
        }
        assert!(Instant::now() < deadline, "{made}");
        again.tick().await;
    }
}

#[tokio::test]
async fn a_dead_janus_is_silent_while_its_agent_lives() {
    let mut janus = Janus::start().await;
    let host = Fake::host(well()).await;
    let agent = janus.agent(&host, &["--janus-room-from", "description"]);
    let made = janus
        .plugin(
            "janus.plugin.videoroom",
            json!({"request": "create", "room": 7, "description": "standup-42", "admin_key": "key"}),
        )
        .await;
    assert_eq!(made["janus"], "success", "{made}");
    let named = host.find(1, |request| has_room(&request.json(), "standup-42"));
    timeout(PATIENCE, named)
        .await
        .expect("the room is reported by its description");
    janus.child.kill().unwrap();
    let blind = host.find(2, |request| request.json().get("rooms").is_none());
    timeout(PATIENCE, blind).await.expect("it is within its grace");
    let silent = host.got().len();
    // Three intervals and more, in which a report would have come.
    let came = timeout(Duration::from_secs(4), host.request(silent + 1)).await;
    assert!(came.is_err(), "{came:?}");
    assert!(!agent.ended.is_finished());
    assert!(host.got().iter().all(|request| request.method == Method::POST));
}
