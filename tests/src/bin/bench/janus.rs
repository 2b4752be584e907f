//! A real Janus as Debian packages it, with its admin API and the videoroom plugin alone, on loopback.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper::header::HOST;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::process::Running;

/// What opens the admin API.
pub(crate) const ADMIN_SECRET: &str = "overlord";
/// What opens the plugin.
pub(crate) const ADMIN_KEY: &str = "key";

/// What of Janus is used.
const PARTS: [&str; 2] = ["plugins/libjanus_videoroom.so", "transports/libjanus_http.so"];
/// The longest until it answers.
const READY_MAX: Duration = Duration::from_secs(20);
/// How often it is asked until then.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Where Janus is installed: its program and the folder of its parts.
#[derive(Debug)]
pub(crate) struct Installed {
    program: PathBuf,
    parts: PathBuf,
}

impl Installed {
    /// Looks for it; none where it is not installed.
    pub(crate) fn find() -> Option<Installed> {
        let path = std::env::var_os("PATH")?;
        let program = std::env::split_paths(&path)
            .map(|folder| folder.join("janus"))
            .find(|file| file.is_file())?;
        let libraries = std::fs::read_dir("/usr/lib").ok()?.flatten();
        let parts = libraries
            .map(|entry| entry.path().join("janus"))
            .find(|folder| PARTS.iter().all(|part| folder.join(part).exists()))?;
        Some(Installed { program, parts })
    }
}

/// A Janus that runs; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Janus {
    process: Running,
    admin: SocketAddr,
    _folder: TempDir,
}

impl Janus {
    /// Starts one and waits until it answers.
    pub(crate) async fn start(installed: &Installed) -> anyhow::Result<Janus> {
        let folder = tempfile::tempdir().context("there is no folder for Janus")?;
        let (public, admin) = two_ports().context("there are no free ports")?;
        configure(folder.path(), &installed.parts, public.port(), admin.port()).context("cannot configure Janus")?;
        let process = Running::start(
            Command::new(&installed.program)
                .arg("-F")
                .arg(folder.path().join("conf")),
        )?;
        let mut janus = Janus {
            process,
            admin,
            _folder: folder,
        };
        let began = Instant::now();
        while janus.ask(json!({"janus": "info"})).await.is_err() {
            janus.process.alive()?;
            ensure!(began.elapsed() < READY_MAX, "Janus does not answer");
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(janus)
    }

    /// Returns where its admin API is.
    pub(crate) fn admin_url(&self) -> String {
        format!("http://{}/admin", self.admin)
    }

    /// Makes a room.
    pub(crate) async fn make_room(&self, number: usize) -> anyhow::Result<()> {
        let request = json!({"request": "create", "room": number, "admin_key": ADMIN_KEY});
        let answer = self
            .ask(json!({"janus": "message_plugin", "plugin": "janus.plugin.videoroom", "request": request}))
            .await?;
        if answer["response"]["videoroom"] != "created" {
            bail!("Janus makes no room: {answer}");
        }
        Ok(())
    }

    async fn ask(&self, mut request: Value) -> anyhow::Result<Value> {
        request["admin_secret"] = json!(ADMIN_SECRET);
        request["transaction"] = json!("bench");
        // Its answers come in chunks, which `wire` does not read.
        let stream = TcpStream::connect(self.admin)
            .await
            .context("cannot connect to Janus")?;
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await.context("cannot speak to Janus")?;
        let connection = tokio::spawn(connection);
        let request = Request::post("/admin")
            .header(HOST, "localhost")
            .body(Full::<Bytes>::from(request.to_string()))
            .context("a request to Janus is none")?;
        let answer = sender.send_request(request).await.context("Janus does not answer")?;
        let body = answer.into_body().collect().await.context("Janus' answer breaks off")?;
        connection.abort();
        serde_json::from_slice(&body.to_bytes()).context("Janus answers no JSON")
    }
}

/// Returns two addresses that nobody has; nobody else asks for them in the moment until Janus has them.
fn two_ports() -> std::io::Result<(SocketAddr, SocketAddr)> {
    let (one, other) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
    Ok((one.local_addr()?, other.local_addr()?))
}

fn configure(folder: &Path, parts: &Path, public: u16, admin: u16) -> std::io::Result<()> {
    for part in PARTS {
        let link = folder.join(part);
        if let Some(folder) = link.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::os::unix::fs::symlink(parts.join(part), link)?;
    }
    let conf = folder.join("conf");
    std::fs::create_dir(&conf)?;
    let at = folder.display();
    let general = format!(
        "general: {{ configs_folder = \"{at}/conf\" plugins_folder = \"{at}/plugins\" transports_folder = \"{at}/transports\" \
         events_folder = \"{at}/none\" loggers_folder = \"{at}/none\" admin_secret = \"{ADMIN_SECRET}\" debug_level = 3 \
         debug_colors = false }}\n"
    );
    let transport = format!(
        "general: {{ json = \"compact\" base_path = \"/janus\" http = true https = false ip = \"127.0.0.1\" port = {public} }}\n\
         admin: {{ admin_base_path = \"/admin\" admin_http = true admin_https = false admin_ip = \"127.0.0.1\" \
         admin_port = {admin} }}\n"
    );
    let plugin = format!("general: {{ admin_key = \"{ADMIN_KEY}\" }}\n");
    std::fs::write(conf.join("janus.jcfg"), general)?;
    std::fs::write(conf.join("janus.transport.http.jcfg"), transport)?;
    std::fs::write(conf.join("janus.plugin.videoroom.jcfg"), plugin)
}
