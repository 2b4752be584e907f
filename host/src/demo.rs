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
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};

use crate::cli::Failure;
use crate::serve::{self, Serving};
use app_server::AppServer;
use client::Client;
use office::{Meeting, OfficeTime};
use pace::Pace;
use scene::{Act, Scene, Setting};
use screen::{Key, Screen};
use stage::Stage;
use watcher::Look;

/// From one frame to the next: the eye takes it for movement, and a slow terminal keeps up.
const FRAME: Duration = Duration::from_millis(100);

/// From one line of progress to the next.
const LINE_EVERY: Duration = Duration::from_secs(3);

/// After so long the office opens even if the host still loads policies: what it has decides then.
const READY_MAX: Duration = Duration::from_secs(45);

/// After the hour the last servers have so much of the office's time to go, and so much here at least.
const CLOSING_MAX: Duration = Duration::from_secs(20 * 60);
const CLOSING_HERE_MIN: Duration = Duration::from_secs(15);

/// How many rooms the key `b` adds: as many as one server holds, so that one must be launched.
const RUSH_ROOMS: u32 = 10;

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
    if !has_screen {
        writeln!(out, "{}", words::beside(&scene))?;
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

/// What the demo shows itself on.
enum Face {
    Screen(Box<Screen>),
    /// Lines, and when the last one was printed.
    Lines(Option<Instant>),
}

impl Face {
    fn open(has_screen: bool) -> anyhow::Result<(Face, Option<mpsc::Receiver<Key>>)> {
        if !has_screen {
            return Ok((Face::Lines(None), None));
        }
        let (screen, keys) = Screen::open().context("the terminal cannot be taken over; --plain prints lines")?;
        Ok((Face::Screen(Box::new(screen)), Some(keys)))
    }

    fn show(&mut self, scene: &Scene, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Face::Screen(screen) => screen.draw(scene),
            Face::Lines(last) => {
                if last.is_some_and(|last| last.elapsed() < LINE_EVERY) {
                    return Ok(());
                }
                if last.replace(Instant::now()).is_none() {
                    writeln!(out, "\n{}", words::PROGRESS_HEAD)?;
                }
                writeln!(out, "{}", words::progress(scene))?;
                out.flush()
            }
        }
    }
}

/// Lets the office's time pass, and what belongs to each moment happen.
struct Player {
    scene: Scene,
    seed: u64,
    client: Client,
    app: AppServer,
    clock: watch::Sender<OfficeTime>,
    meetings: JoinSet<()>,
    rushes: u64,
    began: Instant,
    /// When the last room had been released, here.
    closed: Option<Instant>,
}

impl Player {
    fn new(seed: u64, client: Client, scene: Scene) -> Player {
        let (clock, time) = watch::channel(OfficeTime::default());
        let Setting { pace, closes, .. } = scene.setting;
        let app = AppServer::new(client.clone(), pace, time, closes);
        Player {
            scene,
            seed,
            client,
            app,
            clock,
            meetings: JoinSet::new(),
            rushes: 0,
            began: Instant::now(),
            closed: None,
        }
    }

    fn hold(&mut self, meetings: Vec<Meeting>) {
        for meeting in meetings {
            self.meetings.spawn(self.app.clone().hold(meeting));
        }
    }

    async fn play(
        &mut self,
        mut host: oneshot::Receiver<anyhow::Error>,
        keys: Option<mpsc::Receiver<Key>>,
        face: &mut Face,
        out: &mut dyn Write,
    ) -> anyhow::Result<()> {
        let (sender, mut looks) = mpsc::channel(1);
        let watching = tokio::spawn(watcher::watch(self.client.clone(), sender));
        let mut keys = keys;
        let mut signals = Signals::listen()?;
        let mut frames = tokio::time::interval(FRAME);
        frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = Instant::now();
        loop {
            tokio::select! {
                now = frames.tick() => {
                    self.pass(now - std::mem::replace(&mut last, now));
                    face.show(&self.scene, out)?;
                    if self.is_over() {
                        break;
                    }
                }
                look = looks.recv() => self.see(look),
                key = pressed(&mut keys) => match key {
                    Key::Quit => break,
                    Key::Pause => self.scene.is_paused = !self.scene.is_paused,
                    Key::Rush => self.rush(),
                },
                () = signals.any() => break,
                Ok(error) = &mut host => return Err(error.context("the demo's host has ended")),
            }
        }
        watching.abort();
        self.meetings.abort_all();
        Ok(())
    }

    fn pass(&mut self, here: Duration) {
        self.scene.pass(here);
        self.clock.send_replace(self.scene.now);
        while self.meetings.try_join_next().is_some() {}
    }

    fn see(&mut self, look: Option<anyhow::Result<Look>>) {
        match look {
            Some(Ok(look)) => self.scene.see(look, self.app.tally()),
            Some(Err(error)) => self.scene.tally.problem = Some(format!("{error:#}")),
            None => self.scene.tally.problem = Some("nobody looks at the host any more".to_owned()),
        }
        let is_open = self.scene.look.is_ready || self.began.elapsed() >= READY_MAX;
        if self.scene.act == Act::Opening && is_open {
            self.scene.act = Act::Office;
            let length = self.scene.setting.closes.0;
            self.hold(office::meetings(self.seed, length));
        }
    }

    /// Ten rooms more, at once.
    fn rush(&mut self) {
        if self.scene.act == Act::Office {
            self.rushes += 1;
            self.hold(office::rush(self.rushes, self.scene.now, RUSH_ROOMS));
        }
    }

    /// Returns whether all is told: the hour is over, everybody has left, and the servers have gone or had their time.
    fn is_over(&mut self) -> bool {
        if self.scene.act != Act::Closing || self.scene.is_paused || !self.meetings.is_empty() {
            return false;
        }
        let closed = *self.closed.get_or_insert_with(Instant::now);
        let most = self.scene.setting.pace.here(CLOSING_MAX).max(CLOSING_HERE_MIN);
        self.scene.look.servers.is_empty() || closed.elapsed() >= most
    }
}

/// Returns the next key, where there is a keyboard.
async fn pressed(keys: &mut Option<mpsc::Receiver<Key>>) -> Key {
    let key = match keys {
        Some(keys) => keys.recv().await,
        None => None,
    };
    match key {
        Some(key) => key,
        None => std::future::pending().await,
    }
}

/// What ends the demo from outside.
struct Signals([Signal; 3]);

impl Signals {
    fn listen() -> io::Result<Signals> {
        Ok(Signals([
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        ]))
    }

    async fn any(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
