//! `usher demo`: an hour of an office on a simulated cloud, in a minute and a half, in one process.
//!
//! ```text
//! office (pure) ─> app server ──HTTP──> a real host: API, fleet, store, wasm policies, simulated cloud
//!                  watcher ─────HTTP──> the same host, as a dashboard would
//!                     └─> scene ─> view (a terminal) or words (everything else)
//! ```
//!
//! The host is the one that `usher serve` runs, with its data in a temporary folder. Its clock is real; what is sped up is
//! what happens (`pace`). Nothing here reaches into the host: what the demo can see and do, any client can.

mod app_server;
mod client;
mod costs;
mod office;
mod pace;
mod player;
mod scene;
mod screen;
mod stage;
mod tries;
mod view;
mod watcher;
mod words;

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Args;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::cli::Failure;
use crate::serve::{self, Serving};
use client::Client;
use office::OfficeTime;
use pace::Pace;
use player::{Face, Player};
use scene::{Scene, Setting};
use stage::Stage;

/// The host has so long to end after the demo: it answers what is under way, and syncs.
const STOP_MAX: Duration = Duration::from_secs(15);

/// Arguments of `usher demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// How many times faster than the clock: 40 shows an hour in 90 s.
    #[arg(long, default_value = "40")]
    speed: Pace,
    /// How much of the day, in minutes; it begins at 08:55.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=600))]
    minutes: u32,
    /// Another seed is another day.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Take the policies (*.wasm) from this folder; by default policies/, and where that has none the built-in.
    #[arg(long, value_name = "DIR")]
    policies: Option<PathBuf>,
    /// Print lines instead of taking the terminal over.
    #[arg(long)]
    plain: bool,
}

/// Plays the demo; what is to be read goes to `out`, or to the terminal itself.
///
/// # Errors
/// The host or the terminal failed, or a meeting was over before there was a room for it.
pub(crate) fn run(args: &DemoArgs, out: &mut dyn Write) -> Result<(), Failure> {
    run_whole(args, out).map_err(|error| match error.downcast_ref::<io::Error>().map(io::Error::kind) {
        // A reader that has gone (`usher demo | head`) is no failure.
        Some(io::ErrorKind::BrokenPipe) => Failure::Output(io::ErrorKind::BrokenPipe.into()),
        Some(_) | None => Failure::Ended(error),
    })
}

fn run_whole(args: &DemoArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let stage = Stage::set(args.policies.as_deref(), args.speed)?;
    let has_screen = !args.plain && io::stdout().is_terminal();
    start_logging(has_screen.then(|| stage.log_file()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(play(args, &stage, has_screen, out));
    runtime.shutdown_timeout(STOP_MAX);
    result
}

/// Starts logging to a file where the terminal shows something else, and to stderr what is a warning where it does not.
fn start_logging(file: Option<PathBuf>) -> anyhow::Result<()> {
    let written = std::env::var(crate::telemetry::FILTER_VARIABLE)
        .ok()
        .filter(|written| !written.is_empty());
    let default = if file.is_some() {
        "warn,usher=info,usher_policy=info"
    } else {
        "error"
    };
    let filter = tracing_subscriber::EnvFilter::try_new(written.as_deref().unwrap_or(default))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false);
    // It fails only where a test has started logging before.
    let _ = match file {
        Some(file) => lines.with_writer(Mutex::new(File::create(file)?)).try_init(),
        None => lines.with_writer(io::stderr).try_init(),
    };
    Ok(())
}

async fn play(args: &DemoArgs, stage: &Stage, has_screen: bool, out: &mut dyn Write) -> anyhow::Result<()> {
    let config = stage.config(args.speed, args.seed)?;
    let serving = serve::start(config, None)
        .await
        .context("the demo's host cannot start")?;
    let address = serving.address();
    let client = Client::new(address);
    let setting = Setting {
        pace: args.speed,
        closes: OfficeTime(Duration::from_secs(60 * u64::from(args.minutes))),
        url: client.url().to_owned(),
        policies_dir: stage.policies_dir().display().to_string(),
        program: program(),
    };
    let scene = Scene::new(setting);
    for line in words::opening(&scene, stage, Stage::port_taken(address), args.seed) {
        writeln!(out, "{line}")?;
    }
    for line in words::beside(&scene).iter().filter(|_| !has_screen) {
        writeln!(out, "{line}")?;
    }
    out.flush()?;
    let host = Host::run(serving);
    let mut player = Player::new(args.seed, client, scene);
    let (mut face, keys) = Face::open(has_screen)?;
    let played = player.play(host.ended, keys, &mut face, out).await;
    drop(face);
    let Player { scene, .. } = player;
    let _ = host.stop.send(());
    let stopped = tokio::time::timeout(STOP_MAX, host.task).await;
    played?;
    writeln!(out)?;
    for line in words::summary(&scene)
        .into_iter()
        .chain(words::next(&scene.setting.program))
    {
        writeln!(out, "{line}")?;
    }
    out.flush()?;
    stopped.context("the demo's host did not end in time")??;
    match scene.tally.never_placed {
        0 => Ok(()),
        missed => Err(anyhow!("{missed} rooms were never placed")),
    }
}

/// Returns how this program was called, so that what is to be tried works as it stands.
fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "usher".to_owned())
}

/// The host, on tasks of its own.
struct Host {
    stop: oneshot::Sender<()>,
    /// Tells that the host ended by itself, and why.
    ended: oneshot::Receiver<anyhow::Error>,
    task: JoinHandle<()>,
}

impl Host {
    fn run(serving: Serving) -> Host {
        let (stop, stopped) = oneshot::channel();
        let (tell, ended) = oneshot::channel();
        let task = tokio::spawn(async move {
            let until = async {
                // A demo that has gone without a word is over too.
                let _ = stopped.await;
            };
            if let Err(error) = serving.until(until).await {
                // Nobody listens where the demo is over already.
                let _ = tell.send(error);
            }
        });
        Host { stop, ended, task }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_plays_to_its_end_and_says_what_it_came_to() {
        let speed = "240".parse().unwrap();
        let args = DemoArgs {
            speed,
            minutes: 8,
            seed: 1,
            policies: None,
            plain: true,
        };
        let mut out = Vec::new();
        run(&args, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        for part in [
            words::PROGRESS_HEAD,
            "The office from 08:55 to 09:03:",
            "stopped by guards",
            "% less",
            "Try next",
        ] {
            assert!(text.contains(part), "{part:?} is missing:\n{text}");
        }
        assert!(!text.contains("MISSED"), "{text}");
    }
}
