//! A host in a folder of its own: config, records, policies and log; started, killed, started again.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use tempfile::TempDir;

use crate::http::Client;
use crate::patience::eventually;

/// The program.
pub(crate) const USHER: &str = env!("CARGO_BIN_EXE_usher-under-test");

/// The agent.
pub(crate) const AGENT: &str = env!("CARGO_BIN_EXE_usher-agent-under-test");

/// The fake EC2, as a program.
pub(crate) const FAKE_EC2: &str = env!("CARGO_BIN_EXE_fake-ec2-under-test");

/// The longest until a host answers `/readyz`: 30 s are its own limit for policies, and the machine may be busy.
const READY_WAIT: Duration = Duration::from_secs(60);

/// The longest until a stopped host has ended: its own grace of 10 s, and the machine may be busy.
const END_WAIT: Duration = Duration::from_secs(40);

/// What is shown of a log.
const LOG_LINES_SHOWN: usize = 60;

/// Ports below those that Linux hands out by itself, so that no client's connection takes one while its host restarts.
const PORTS: std::ops::Range<u16> = 10_000..20_000;

/// A port that nobody listens on, and that no other test gets, of whichever run, as long as this lives.
pub(crate) struct Port {
    pub(crate) number: u16,
    /// A name that only one process has at a time; the kernel frees it with the process.
    _name: UnixListener,
}

impl Port {
    /// # Panics
    /// All are taken.
    pub(crate) fn free() -> Port {
        let free = PORTS.into_iter().find_map(|number| {
            let name = UnixAddress::from_abstract_name(format!("usher-test-port-{number}")).unwrap();
            let name = UnixListener::bind_addr(&name).ok()?;
            TcpListener::bind(("127.0.0.1", number)).ok()?;
            Some(Port { number, _name: name })
        });
        free.expect("a port is free")
    }
}

/// The repository's root.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Returns where a program is in the Python environment that `tests/prepare.sh` makes.
pub(crate) fn python_program(name: &str) -> PathBuf {
    let venv = std::env::var_os("USHER_VENV").map(PathBuf::from);
    let venv = venv.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/usher/venv"));
    venv.join("bin").join(name)
}

/// A folder with `usher.toml`, and all that a host keeps.
pub(crate) struct Site {
    folder: TempDir,
    port: Port,
    environment: Vec<(String, String)>,
    /// Who vouches for the host, where it speaks HTTPS.
    authority: Option<CertificateDer<'static>>,
}

impl Site {
    /// Makes one with this config; where to listen is added. Programs of `exec` pools count from the folder.
    pub(crate) fn new(config: &str) -> Site {
        let folder = tempfile::Builder::new().prefix("usher-test-").tempdir().unwrap();
        fs::create_dir(folder.path().join("policies")).unwrap();
        let site = Site {
            folder,
            port: Port::free(),
            environment: Vec::new(),
            authority: None,
        };
        site.configure(config);
        site
    }

    /// Has the host started with this variable.
    pub(crate) fn with_variable(mut self, name: &str, value: impl AsRef<Path>) -> Site {
        let value = value.as_ref().to_str().unwrap().to_owned();
        self.environment.push((name.to_owned(), value));
        self
    }

    /// Has everybody ask by HTTPS, and believe this authority.
    pub(crate) fn over_https(self, authority: CertificateDer<'static>) -> Site {
        Site {
            authority: Some(authority),
            ..self
        }
    }

    /// Writes the config, at once and whole.
    pub(crate) fn configure(&self, config: &str) {
        let text = format!("listen = \"127.0.0.1:{}\"\n{config}", self.port.number);
        self.write("usher.toml", &text);
    }

    /// Writes a file in the folder, at once and whole.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let part = self.path(".part");
        fs::write(&part, text).unwrap();
        fs::rename(part, self.path(name)).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn url(&self) -> String {
        let scheme = if self.authority.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.port.number)
    }

    /// Returns a client that has no connection yet.
    pub(crate) fn client(&self) -> Client {
        Client::trusting(&self.url(), self.authority.as_ref())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port.number))
    }

    /// Starts the host, and waits until it is ready.
    pub(crate) async fn start(&self) -> Host {
        let host = self.spawn(Command::new(USHER));
        host.ready().await
    }

    /// Starts `usher serve` by this command, to which the arguments are added.
    pub(crate) fn spawn(&self, mut command: Command) -> Host {
        let log = self.path("log");
        let file = File::options().create(true).append(true).open(&log).unwrap();
        let child = command
            .args(["serve", "--config"])
            .arg(self.path("usher.toml"))
            .current_dir(self.folder.path())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Host {
            child: Some(child),
            client: self.client(),
            log,
        }
    }

    /// Runs the command line, beside the host, for at most a minute.
    pub(crate) fn usher(&self, arguments: &[&str]) -> Output {
        Command::new("timeout")
            .args(["60", USHER])
            .args(arguments)
            .current_dir(self.folder.path())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("USHER_URL", self.url())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }
}

/// A host that runs; it is killed when it is dropped.
pub(crate) struct Host {
    child: Option<Child>,
    client: Client,
    log: PathBuf,
}

impl Host {
    pub(crate) async fn ready(mut self) -> Host {
        let client = self.client.clone();
        let child = self.child.as_mut().unwrap();
        let ended = eventually("the host is ready", READY_WAIT, async || {
            if let Some(status) = child.try_wait().unwrap() {
                return Some(Some(status));
            }
            let answer = client.ask(hyper::Method::GET, "/readyz", None).await;
            answer.is_ok_and(|answer| answer.status == 200).then_some(None)
        });
        if let Some(status) = ended.await {
            panic!("the host ended at its start: {status}");
        }
        self
    }

    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Returns the number of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Returns what it has of the machine's memory, in KiB.
    pub(crate) fn memory_kib(&self) -> u64 {
        let pid = self.child.as_ref().unwrap().id();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        resident.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Ends it without a word, as a power cut does.
    pub(crate) fn kill(mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Sends SIGTERM, and waits for its end.
    pub(crate) async fn terminate(mut self) -> ExitStatus {
        let pid = rustix::process::Pid::from_child(self.child.as_ref().unwrap());
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.end().await
    }

    /// Waits for its end.
    pub(crate) async fn end(&mut self) -> ExitStatus {
        let child = self.child.as_mut().unwrap();
        eventually("the host ends", END_WAIT, async || child.try_wait().unwrap()).await
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let from = lines.len().saturating_sub(LOG_LINES_SHOWN);
            let shown = lines[from..].join("\n");
            // The test is failing already.
            let _ = writeln!(
                std::io::stderr(),
                "--- the end of {}:\n{shown}\n---",
                self.log.display()
            );
        }
    }
}

/// Returns what a program wrote, to stdout and then to stderr.
pub(crate) fn written(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Says, where it is seen also if the test passes, that it proved nothing.
#[expect(
    clippy::explicit_write,
    reason = "eprintln is swallowed by a test that passes, and a skip must be seen"
)]
pub(crate) fn say_skipped(why: &str) {
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    writeln!(std::io::stderr(), "SKIPPED: {name}: {why}").unwrap();
}
