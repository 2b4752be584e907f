//! What the agent takes of a media server's machine: the real one beside a real Janus, reporting to a real host as often as it
//! does by default. `R` is a number of rooms, all of them in Janus and at the host.
//!
//! | figure | is |
//! |---|---|
//! | `agent_resident_mib_R` | the memory that it has after a minute |
//! | `agent_cpu_percent_R` | how much of one core it takes over that minute |

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::figures::{figure, progress};
use crate::host::{Host, Installation};
use crate::janus::{ADMIN_KEY, ADMIN_SECRET, Installed, Janus};
use crate::load::ROOM_JSON;
use crate::process::{self, Running};
use crate::wire::{self, Connection};

/// How many rooms there are: as many as one server has, and far more.
const ROOMS: [usize; 2] = [10, 1000];
/// The server's name, as [`Host::register`] gives it.
const SERVER: &str = "media-0";
/// Three reports: what the first of them allocates is there, and Janus has forgotten the making of rooms.
const SETTLED_AFTER: Duration = Duration::from_secs(15);
/// Twelve reports.
const MEASURED: Duration = Duration::from_secs(60);
/// The longest until the first report.
const REPORTED_MAX: Duration = Duration::from_secs(20);
/// The bars.
const RESIDENT_MIB_MAX: f64 = 20.0;
const CPU_PERCENT_MAX: f64 = 0.5;

/// What is measured, and what with.
pub(crate) struct Programs<'a> {
    pub(crate) agent: &'a Path,
    pub(crate) usher: &'a Path,
    pub(crate) policy: &'a Path,
}

/// Prints the figures; none where Janus is not installed.
pub(crate) async fn measure(programs: &Programs<'_>, target: &Path) -> anyhow::Result<()> {
    let Some(installed) = Installed::find() else {
        progress("Janus is not installed (apt-get install janus): there are no figures of the agent beside it");
        return Ok(());
    };
    for rooms in ROOMS {
        measure_one(rooms, programs, &installed, target).await?;
    }
    Ok(())
}

async fn measure_one(
    rooms: usize,
    programs: &Programs<'_>,
    installed: &Installed,
    target: &Path,
) -> anyhow::Result<()> {
    let installation = Installation::new(programs.usher, programs.policy, target, rooms)?;
    let host = installation.start().await?;
    host.register(1).await?;
    let janus = Janus::start(installed).await?;
    // Before the agent: it also tells how busy this machine is, and a busy server gets no rooms.
    for room in 1..=rooms {
        place(&host, room).await?;
        janus.make_room(room).await?;
    }
    let mut agent = start(programs.agent, &host, &janus)?;
    wait_reported(&host, &mut agent).await?;
    progress(format_args!(
        "{rooms} rooms in Janus; the agent is watched for {} s, after {} s",
        MEASURED.as_secs(),
        SETTLED_AFTER.as_secs()
    ));
    watch(rooms, &host, &mut agent).await?;
    host.stop().await
}

fn start(agent: &Path, host: &Host, janus: &Janus) -> anyhow::Result<Running> {
    let mut command = Command::new(agent);
    command
        .args(["--url", &format!("http://{}", host.address), "--server", SERVER])
        .args(["--media", "janus", "--media-url", &janus.admin_url()])
        .args(["--janus-admin-secret", ADMIN_SECRET, "--janus-admin-key", ADMIN_KEY]);
    Running::start(&mut command)
}

async fn place(host: &Host, room: usize) -> anyhow::Result<()> {
    let mut connection = Connection::open(host.address).await?;
    let request = wire::with_json("PUT", &format!("/v1/rooms/{room}"), ROOM_JSON);
    let answer = connection.ask(&request).await?;
    let said = String::from_utf8_lossy(answer.body);
    ensure!(
        answer.status == 201,
        "room {room} was answered {}: {said}",
        answer.status
    );
    Ok(())
}

async fn watch(rooms: usize, host: &Host, agent: &mut Running) -> anyhow::Result<()> {
    tokio::time::sleep(SETTLED_AFTER).await;
    let reported = last_report(host).await?;
    let (began, worked) = (Instant::now(), process::worked_seconds(agent.alive()?)?);
    tokio::time::sleep(MEASURED).await;
    let process = agent.alive()?;
    let worked = process::worked_seconds(process)? - worked;
    let percent = 100.0 * worked / began.elapsed().as_secs_f64();
    let resident_mib = process::resident_mib(process)?;
    ensure!(
        last_report(host).await? != reported,
        "the agent has reported nothing while it was measured"
    );
    figure(
        &format!("agent_resident_mib_{rooms}"),
        format_args!("{resident_mib:.1}"),
        "MiB",
    )?;
    figure(&format!("agent_cpu_percent_{rooms}"), format_args!("{percent:.3}"), "%")?;
    for (what, value, max) in [
        ("MiB of the agent", resident_mib, RESIDENT_MIB_MAX),
        ("% of a core", percent, CPU_PERCENT_MAX),
    ] {
        let verdict = if value < max { "holds" } else { "is broken" };
        progress(format_args!(
            "{what}, {rooms} rooms: {value:.2}, below {max}: {verdict}"
        ));
    }
    Ok(())
}

/// Waits for the first report in which the media server was asked.
async fn wait_reported(host: &Host, agent: &mut Running) -> anyhow::Result<()> {
    let began = Instant::now();
    while last_report(host).await?.is_none() {
        agent.alive()?;
        ensure!(began.elapsed() < REPORTED_MAX, "the agent does not report");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Returns when the server reported last; none before it told how many people are on it, which Janus says.
async fn last_report(host: &Host) -> anyhow::Result<Option<String>> {
    let server: Value = serde_json::from_str(&host.get(&format!("/v1/servers/{SERVER}")).await?)
        .context("the host's server is no JSON")?;
    let reported = server["reported_at"].as_str();
    Ok(reported
        .filter(|_| server["participants"].is_number())
        .map(str::to_owned))
}
