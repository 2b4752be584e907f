//! Plays the demo: lets the office's time pass, looks at the host, and shows what there is, until all is told.

use std::io::{self, Write};
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use super::app_server::AppServer;
use super::client::Client;
use super::office::{self, Meeting, OfficeTime};
use super::scene::{Act, Scene, Setting};
use super::screen::{Key, Screen};
use super::watcher::{self, Look};
use super::words;

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

/// What the demo shows itself on.
pub(super) enum Face {
    Screen(Box<Screen>),
    /// Lines, and when the last one was printed.
    Lines(Option<Instant>),
}

impl Face {
    /// Opens the one that fits; a screen has a keyboard too.
    ///
    /// # Errors
    /// The terminal cannot be taken over.
    pub(super) fn open(has_screen: bool) -> anyhow::Result<(Face, Option<mpsc::Receiver<Key>>)> {
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
pub(super) struct Player {
    pub(super) scene: Scene,
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
    /// Makes a player of the day that `seed` stands for; nothing happens yet.
    pub(super) fn new(seed: u64, client: Client, scene: Scene) -> Player {
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

    /// Plays until all is told, or somebody ends it.
    ///
    /// # Errors
    /// The host has ended, or what it is shown on has.
    pub(super) async fn play(
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
