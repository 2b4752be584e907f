//! The real host: `usher serve` with an external pool of many servers, the standard policy as wasm, and its records on disk.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::load::REGION;
use crate::process;
use crate::wire::{self, Connection};

/// Servers that are registered.
pub(crate) const SERVERS: usize = 1000;
/// Rooms that each of them holds.
pub(crate) const ROOMS_PER_SERVER: usize = 200;

/// The longest until the host is ready: it takes a policy that long to be refused for good.
const READY_MAX: Duration = Duration::from_secs(40);
/// The longest until it has ended: its own grace and as long again.
const STOPPED_MAX: Duration = Duration::from_secs(20);
/// How often it is asked whether it is ready, or looked whether it has ended: fine enough for a figure in hundredths of seconds.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// So long without work is quiet, and the longest that it is waited for: a compaction takes less.
const QUIET: Duration = Duration::from_millis(50);
const SETTLED_MAX: Duration = Duration::from_secs(2);

/// The policy's name in the chain.
const POLICY: &str = "90-standard";

/// A folder with a host's configuration, policy and records; it is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Installation {
    program: PathBuf,
    folder: TempDir,
    address: SocketAddr,
}

impl Installation {
    /// Makes one in a new folder below `target`, whose servers hold so many rooms each.
    pub(crate) fn new(
        program: &Path,
        policy: &Path,
        target: &Path,
        rooms_per_server: usize,
    ) -> anyhow::Result<Installation> {
        let folder = tempfile::Builder::new().prefix("bench-").tempdir_in(target);
        let folder = folder.with_context(|| format!("cannot make a folder in {}", target.display()))?;
        refuse_memory(folder.path())?;
        let policies = folder.path().join("policies");
        std::fs::create_dir(&policies).context("cannot make the policies' folder")?;
        std::fs::copy(policy, policies.join(format!("{POLICY}.wasm"))).context("cannot copy the policy")?;
        // Nobody else asks for a port in the moment until the host has it.
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = port.context("there is no free port")?;
        let config = format!(
            "listen = \"{address}\"\ndata_dir = \"data\"\npolicies_dir = \"policies\"\n\
             [guards]\nfleet_servers_max = {SERVERS}\n\
             [[pool]]\nname = \"external\"\nprovider = \"external\"\nregion = \"{REGION}\"\nhealth = \"none\"\n\
             rooms_per_server = {rooms_per_server}\nservers_max = {SERVERS}\n"
        );
        std::fs::write(folder.path().join("usher.toml"), config).context("cannot write the configuration")?;
        Ok(Installation {
            program: program.to_owned(),
            folder,
            address,
        })
    }

    /// Starts the host and waits until it is ready.
    pub(crate) async fn start(&self) -> anyhow::Result<Host> {
        let log = self.folder.path().join("log");
        let output = File::options().create(true).append(true).open(&log);
        let began = Instant::now();
        let process = Command::new(&self.program)
            .args(["serve", "--config", "usher.toml"])
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(output.context("cannot open the host's log")?)
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        let mut host = Host {
            process,
            address: self.address,
            ready_after: Duration::ZERO,
        };
        match host.wait_ready(began).await {
            Ok(ready_after) => host.ready_after = ready_after,
            Err(error) => {
                let log = std::fs::read_to_string(&log).unwrap_or_default();
                return Err(error.context(format!("the host's log:\n{log}")));
            }
        }
        Ok(host)
    }
}

/// A commit on a file system in memory costs nothing, and a figure of it would say nothing.
fn refuse_memory(folder: &Path) -> anyhow::Result<()> {
    const TMPFS_MAGIC: i64 = 0x0102_1994;
    let system = rustix::fs::statfs(folder).context("cannot tell the file system")?;
    ensure!(
        system.f_type != TMPFS_MAGIC,
        "{} is in memory; set CARGO_TARGET_DIR to a folder on disk",
        folder.display()
    );
    Ok(())
}

/// A running host; it is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Host {
    process: Child,
    pub(crate) address: SocketAddr,
    /// From its start to `/readyz` 200.
    pub(crate) ready_after: Duration,
}

impl Drop for Host {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What policies were asked about places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Answered by the wasm policy.
    pub(crate) by_wasm: u64,
    /// Asked of the built-in, which is asked last.
    pub(crate) by_built_in: u64,
}

/// What became durable, and how.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Batches {
    pub(crate) count: f64,
    pub(crate) inputs: f64,
    pub(crate) sync_seconds: f64,
}

impl Batches {
    /// Returns what came since an earlier look.
    pub(crate) fn since(self, before: Batches) -> Batches {
        Batches {
            count: self.count - before.count,
            inputs: self.inputs - before.inputs,
            sync_seconds: self.sync_seconds - before.sync_seconds,
        }
    }
}

impl Host {
    async fn wait_ready(&mut self, began: Instant) -> anyhow::Result<Duration> {
        while began.elapsed() < READY_MAX {
            if let Ok(mut connection) = Connection::open(self.address).await
                && connection.ask(&wire::plain("GET", "/readyz")).await?.status == 200
            {
                return Ok(began.elapsed());
            }
            if let Some(status) = self.process.try_wait().context("the host cannot be looked at")? {
                bail!("the host has ended with {status}");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        bail!("the host was not ready after {} s", READY_MAX.as_secs())
    }

    /// Has it end as a supervisor does, and waits for it.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        let pid = i32::try_from(self.process.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        let pid = pid.context("the host has no process id")?;
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).context("cannot end the host")?;
        let began = Instant::now();
        while began.elapsed() < STOPPED_MAX {
            if let Some(status) = self.process.try_wait().context("the host cannot be looked at")? {
                ensure!(status.success(), "the host has ended with {status}");
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        bail!("the host has not ended after {} s", STOPPED_MAX.as_secs())
    }

    /// Registers so many servers: `media-0` and so on.
    pub(crate) async fn register(&self, servers: usize) -> anyhow::Result<()> {
        let mut connection = Connection::open(self.address).await?;
        for number in 0..servers {
            let json = format!(r#"{{"pool":"external","url":"wss://media-{number}.example.com/janus"}}"#);
            let request = wire::with_json("PUT", &format!("/v1/servers/media-{number}"), &json);
            let answer = connection.ask(&request).await?;
            if answer.status != 201 {
                let body = String::from_utf8_lossy(answer.body);
                bail!("a server's registration was answered {}: {body}", answer.status);
            }
        }
        Ok(())
    }

    /// Asks for one room and returns the answer's body, then releases the room.
    pub(crate) async fn sample(&self) -> anyhow::Result<String> {
        let mut connection = Connection::open(self.address).await?;
        let path = "/v1/rooms/standup-0-0-12345";
        let request = wire::with_json("PUT", path, crate::load::ROOM_JSON);
        let answer = connection.ask(&request).await?;
        let body = String::from_utf8_lossy(answer.body).into_owned();
        ensure!(answer.status == 201, "a room was answered {}: {body}", answer.status);
        let status = connection.ask(&wire::plain("DELETE", path)).await?.status;
        ensure!(status == 204, "a release was answered {status}");
        Ok(body)
    }

    /// Returns what the policies were asked so far; the wasm policy must serve.
    pub(crate) async fn asked(&self) -> anyhow::Result<Asked> {
        let shown: Value =
            serde_json::from_str(&self.get("/v1/policies").await?).context("the policies are no JSON")?;
        let policies = shown["policies"].as_array().context("there are no policies")?;
        let of = |is_wanted: &dyn Fn(&Value) -> bool, count: &str| {
            let policy = policies.iter().find(|policy| is_wanted(policy));
            policy.and_then(|policy| policy["place"][count].as_u64())
        };
        let by_wasm = of(&|policy| policy["name"] == POLICY, "answered");
        let by_built_in = of(&|policy| policy["built_in"] == true, "asked");
        Ok(Asked {
            by_wasm: by_wasm.with_context(|| format!("{POLICY} does not serve: {shown}"))?,
            by_built_in: by_built_in.context("there is no built-in")?,
        })
    }

    /// Returns what has become durable so far.
    pub(crate) async fn batches(&self) -> anyhow::Result<Batches> {
        let metrics = self.get("/metrics").await?;
        Ok(Batches {
            count: metric(&metrics, "usher_batch_inputs_count")?,
            inputs: metric(&metrics, "usher_batch_inputs_sum")?,
            sync_seconds: metric(&metrics, "usher_store_sync_seconds_sum")?,
        })
    }

    /// Returns how many rooms live, of whom the driver tells once a second.
    pub(crate) async fn rooms(&self) -> anyhow::Result<f64> {
        metric(&self.get("/metrics").await?, "usher_rooms")
    }

    /// Returns the memory that it has now, in MiB.
    pub(crate) fn resident_mib(&self) -> anyhow::Result<f64> {
        process::resident_mib(&self.process)
    }

    /// Waits until what it does in the background is done, so that it takes nothing from what is measured next.
    pub(crate) async fn settle(&self) -> anyhow::Result<()> {
        let began = Instant::now();
        let mut worked = process::worked_ticks(&self.process)?;
        while began.elapsed() < SETTLED_MAX {
            tokio::time::sleep(QUIET).await;
            let before = std::mem::replace(&mut worked, process::worked_ticks(&self.process)?);
            if worked == before {
                break;
            }
        }
        Ok(())
    }

    /// Returns what it answers to a question.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<String> {
        let mut connection = Connection::open(self.address).await?;
        let answer = connection.ask(&wire::plain("GET", path)).await?;
        ensure!(answer.status == 200, "{path} was answered {}", answer.status);
        String::from_utf8(answer.body.to_vec()).context("an answer is not text")
    }
}

fn metric(metrics: &str, name: &str) -> anyhow::Result<f64> {
    let value = metrics
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    // A histogram that has seen nothing is not shown.
    value
        .unwrap_or("0")
        .parse()
        .with_context(|| format!("{name} is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_found_by_its_whole_name() {
        let metrics = "# TYPE usher_rooms gauge\nusher_rooms_max 3\nusher_rooms 12\n";
        assert_eq!(metric(metrics, "usher_rooms").unwrap(), 12.0);
        assert_eq!(metric(metrics, "usher_rooms_count").unwrap(), 0.0);
    }
}
