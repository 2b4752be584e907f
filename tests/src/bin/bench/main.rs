//! `make bench`: measures the real host on this machine, and prints one line a figure: `name value unit`. With an argument, only
//! the figures of that name: `host`, `agent` or `policies`.
//!
//! | file | holds |
//! |---|---|
//! | `policies` | what decisions cost, natively and in wasm, whatever the size of the fleet; chains, and replacements under load |
//! | `comparison` | placements of the host beside requests of bare hyper, in turns |
//! | `restart` | how long a host with many rooms takes to serve again, and what memory it has then |
//! | `agent` | what the agent takes beside a real Janus |
//! | `load` | the client: rooms placed and released over connections that stay open |
//! | `wire` | HTTP/1.1 as the client speaks it |
//! | `host`, `bare`, `janus` | the processes that are measured, or measured beside |
//! | `process` | what a process takes of the machine |
//! | `figures` | medians, percentiles and lines |
//!
//! Figures go to stdout alone; what is going on goes to stderr. Everything listens on the loopback address, and ends when this
//! program ends or is told to.

mod agent;
mod bare;
mod comparison;
mod figures;
mod host;
mod janus;
mod load;
mod policies;
mod process;
mod restart;
mod wire;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::signal::unix::{SignalKind, signal};

/// The host's figures take less than half of it on two idle cores; a hung host ends the run instead of holding up a pipeline.
const RUN_MAX: Duration = Duration::from_secs(175);

/// The agent is watched for two minutes and a half.
const AGENT_RUN_MAX: Duration = Duration::from_secs(230);

fn main() -> anyhow::Result<()> {
    match std::env::args().nth(1).as_deref() {
        None => {
            measure_policies()?;
            within(RUN_MAX, place_in_host())?;
            within(AGENT_RUN_MAX, watch_agent())
        }
        Some("host") => within(RUN_MAX, place_in_host()),
        Some("agent") => within(AGENT_RUN_MAX, watch_agent()),
        Some("policies") => measure_policies(),
        Some(bare::ARGUMENT) => bare::serve(),
        Some(other) => bail!("there are figures of `host`, `agent` and `policies`, not of `{other}`"),
    }
}

fn measure_policies() -> anyhow::Result<()> {
    warn_of_others();
    policies::measure(&standard()?, &beside_this()?)
}

fn within(run_max: Duration, measure: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    // One thread: the client takes as little as it can of the two cores that it shares with what is measured.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the client's runtime")?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        // Whichever comes first, what was started is dropped, and ends with it.
        tokio::select! {
            done = measure => done,
            () = tokio::time::sleep(run_max) => bail!("the figures took longer than {} s", run_max.as_secs()),
            _ = interrupt.recv() => bail!("interrupted"),
            _ = terminate.recv() => bail!("told to end"),
        }
    })
}

async fn place_in_host() -> anyhow::Result<()> {
    let (target, policy) = (beside_this()?, standard()?);
    let usher = beside(&target, "usher")?;
    figures::progress("90-standard decides for 1,000 servers, the records are on disk, the client has one thread");
    warn_of_others();
    comparison::measure(&usher, &policy, &target).await?;
    restart::measure(&usher, &policy, &target).await
}

async fn watch_agent() -> anyhow::Result<()> {
    let (target, policy) = (beside_this()?, standard()?);
    let (agent, usher) = (beside(&target, "usher-agent")?, beside(&target, "usher")?);
    let programs = agent::Programs {
        agent: &agent,
        usher: &usher,
        policy: &policy,
    };
    agent::measure(&programs, &target).await
}

/// Returns the folder in which this program is, and with it what `make bench` has built.
fn beside_this() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe().context("cannot tell where this program is")?;
    let folder = program.parent().context("this program is in no folder")?;
    Ok(folder.to_path_buf())
}

fn standard() -> anyhow::Result<PathBuf> {
    let policy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/90-standard.wasm");
    if !policy.exists() {
        bail!("{} is missing; `make policies` builds it", policy.display());
    }
    Ok(policy)
}

/// Host, client and store share the cores; whatever else wants them takes more from the host than from bare hyper, whose work
/// never changes threads.
fn warn_of_others() {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().and_then(|minute| minute.parse::<f64>().ok());
    if let Some(load) = load.filter(|load| *load > cores as f64 / 2.0) {
        figures::progress(format_args!(
            "a load of {load} on {cores} cores in the last minute: if that goes on, the host's figures are too low"
        ));
    }
}

fn beside(target: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let path = target.join(name);
    if !path.exists() {
        bail!(
            "{} is missing; `make bench` builds it beside this program",
            path.display()
        );
    }
    Ok(path)
}
