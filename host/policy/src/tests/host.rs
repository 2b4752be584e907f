//! The process around the policies, faked: a world to look at, and channels for what is told.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use usher_fleet::Timestamp;
use usher_fleet::advice::{
    Growth, PlaceAdvice, PlaceAnswer, PlaceAsk, Placement, ScaleAnswer, ScaleAsk, Shrinkage, VerdictRow,
};
use usher_fleet::config::Labels;
use usher_fleet::decision::PolicyRef;
use usher_fleet::event::PolicyEvent;
use usher_fleet::ids::{PoolNo, RoomId, ServerNo};
use usher_fleet::view::{Cursor, ViewChange};

use super::rows::World;
use crate::native::Native;
use crate::options::{ChildProgram, CompileIn, Look, Options, PolicyHost, REFUSED_RETRY, Snapshot};
use crate::wasm::ViewSource as _;
use crate::{PlaceChain, Policies};

/// Long enough for a slow machine; a test that needs it has failed.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a file must rest.
pub(crate) const QUIET: Duration = Duration::from_millis(30);
/// The server that the built-in names.
pub(crate) const BUILT_IN: u32 = 999;

/// A running chain over a folder.
pub(crate) struct Stage {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) keep: tempfile::TempDir,
    pub(crate) host: Arc<FakeHost>,
    pub(crate) chain: PlaceChain,
    pub(crate) policies: Policies,
    events: Receiver<PolicyEvent>,
    changes: Receiver<()>,
    answers: Receiver<ScaleAnswer>,
    retry: Duration,
}

pub(crate) struct FakeHost {
    pub(crate) world: Mutex<World>,
    pub(crate) has_view: AtomicBool,
    events: Sender<PolicyEvent>,
    changes: Sender<()>,
    answers: Sender<ScaleAnswer>,
}

impl PolicyHost for FakeHost {
    /// Its world is no fleet.
    fn look(&self, _: Look) {
        unreachable!();
    }

    fn snapshot(&self) -> Option<Snapshot> {
        let whole = self.changes(Cursor::START);
        whole.filter(|_| self.has_view.load(Ordering::SeqCst))
    }

    fn changes(&self, since: Cursor) -> Option<Snapshot> {
        let world = self.world.lock().unwrap();
        Some(Snapshot {
            cursor: world.cursor(),
            now: now(),
            rows: world.changes_since(since).collect(),
        })
    }

    fn event(&self, event: PolicyEvent) {
        self.events.send(event).ok();
    }

    fn scaled(&self, answer: ScaleAnswer) {
        self.answers.send(answer).ok();
    }

    fn chain_changed(&self) {
        self.changes.send(()).ok();
    }
}

impl Stage {
    /// Starts with files in the folder, and waits for none of them.
    pub(crate) fn new(files: &[(&str, &[u8])]) -> Stage {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            std::fs::write(dir.path().join(name), bytes).unwrap();
        }
        let keep = tempfile::tempdir().unwrap();
        Stage::start(dir, keep, World::of_sixty(), CompileIn::ThisProcess, REFUSED_RETRY)
    }

    /// Starts with an empty folder and a fleet of nothing, and tries what that refuses again soon.
    pub(crate) fn trying_again() -> Stage {
        let [dir, keep] = std::array::from_fn(|_| tempfile::tempdir().unwrap());
        let retry = Duration::from_millis(100);
        Stage::start(dir, keep, World::with([]), CompileIn::ThisProcess, retry)
    }

    /// Starts with an empty folder and this shell script for a compiler.
    pub(crate) fn compiling_by(script: &str) -> Stage {
        let program = ChildProgram {
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
        };
        let [dir, keep] = std::array::from_fn(|_| tempfile::tempdir().unwrap());
        Stage::start(dir, keep, World::of_sixty(), CompileIn::Child(program), REFUSED_RETRY)
    }

    /// Ends it and starts it again over the same folders and the same fleet; `meanwhile` happens in between.
    pub(crate) fn restart(self, meanwhile: impl FnOnce(&Path)) -> Stage {
        self.policies.stop();
        meanwhile(self.dir.path());
        let world = self.host.world.lock().unwrap().clone();
        Stage::start(self.dir, self.keep, world, CompileIn::ThisProcess, self.retry)
    }

    fn start(
        dir: tempfile::TempDir,
        keep: tempfile::TempDir,
        world: World,
        compile: CompileIn,
        retry: Duration,
    ) -> Stage {
        let (events_in, events) = channel();
        let (changes_in, changes) = channel();
        let (answers_in, answers) = channel();
        let host = Arc::new(FakeHost {
            world: Mutex::new(world),
            has_view: AtomicBool::new(true),
            events: events_in,
            changes: changes_in,
            answers: answers_in,
        });
        let mut options = Options::new(Some(dir.path().to_path_buf()), Last::make);
        options.keep = Some(keep.path().to_path_buf());
        options.compile = compile;
        options.poll = Duration::from_millis(50);
        options.quiet = QUIET;
        options.retry = retry;
        let (chain, policies) = crate::start(options, host.clone());
        Stage {
            dir,
            keep,
            host,
            chain,
            policies,
            events,
            changes,
            answers,
            retry,
        }
    }

    /// Starts with files, and takes in as many as have passed.
    pub(crate) fn serving(files: &[(&str, &[u8])]) -> Stage {
        let mut stage = Stage::new(files);
        for _ in files.iter().filter(|(name, _)| name.ends_with(".wasm")) {
            stage.loaded();
        }
        stage
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Puts a file there as `usher policy build` does: beside it, then renamed.
    pub(crate) fn rename_in(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(".new"), bytes).unwrap();
        std::fs::rename(self.path(".new"), self.path(name)).unwrap();
    }

    /// The next event.
    pub(crate) fn event(&self) -> PolicyEvent {
        self.events.recv_timeout(PATIENCE).expect("an event comes")
    }

    /// Returns whether there is no event for a while; for what must not happen.
    pub(crate) fn is_quiet_for(&self, readings: u32) -> bool {
        self.events.recv_timeout(Duration::from_millis(60) * readings).is_err()
    }

    /// Waits until a version serves, and swaps it in.
    pub(crate) fn loaded(&mut self) -> usher_fleet::event::PolicyEventBody {
        match self.event() {
            PolicyEvent::Loaded(body) => {
                self.changed();
                body
            }
            other => panic!("expected a policy to be loaded, not {other:?}"),
        }
    }

    /// Waits until a version serves that was good before, and swaps it in.
    pub(crate) fn rolled_back(&mut self) -> usher_fleet::event::PolicyEventBody {
        match self.event() {
            PolicyEvent::RolledBack(body) => {
                self.changed();
                body
            }
            other => panic!("expected a good version to come back, not {other:?}"),
        }
    }

    /// Waits until the chain has something to take in, and takes it in.
    pub(crate) fn changed(&mut self) {
        self.changes.recv_timeout(PATIENCE).expect("the chain changes");
        self.chain.swap();
    }

    /// Waits until a file is refused, and returns at which step and why.
    pub(crate) fn refused(&self) -> (String, String) {
        match self.event() {
            PolicyEvent::Refused(body) => (body.step, body.reason),
            other => panic!("expected a policy to be refused, not {other:?}"),
        }
    }

    /// Waits until every file has been decided upon.
    pub(crate) fn has_decided(&self) {
        self.until(Policies::has_decided);
    }

    /// Waits until something is so that no event tells.
    pub(crate) fn until(&self, is_so: impl Fn(&Policies) -> bool) {
        let began = Instant::now();
        while !is_so(&self.policies) {
            assert!(began.elapsed() < PATIENCE, "it never is: {:?}", self.policies.status());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Asks one link about a room.
    pub(crate) fn ask(&mut self, link: usize, room: &str) -> Option<PlaceAnswer> {
        let world = self.host.world.lock().unwrap().clone();
        let room: RoomId = room.parse().unwrap();
        let labels = Labels::from([("kind".into(), "webinar".into())]);
        self.chain.ask(link, &world, &place_ask(&room, &labels))
    }

    /// Lets the chain keep up with the world, until it has no more to tell.
    pub(crate) fn keep_up(&mut self) {
        let world = self.host.world.lock().unwrap().clone();
        for _ in 0..20 {
            self.chain.keep_up_with(&world, now());
        }
    }

    /// Asks along the chain, as the fleet does, and returns who decided and where the room goes.
    pub(crate) fn decide(&mut self, room: &str) -> (String, Placement) {
        for link in 0.. {
            let answer = self.ask(link, room).expect("the built-in answers");
            match answer.advice {
                Ok(PlaceAdvice {
                    placement: Placement::Defer,
                    ..
                }) => {}
                Ok(advice) => return (answer.policy.name.to_string(), advice.placement),
                Err(_) if answer.isolates => {
                    return (
                        answer.policy.name.to_string(),
                        Placement::Wait {
                            pool: None,
                            again_seconds: 0,
                        },
                    );
                }
                Err(_) => {}
            }
        }
        unreachable!()
    }

    /// Asks a scale policy and waits for its answer; the changes since `since` go along.
    pub(crate) fn scale(&mut self, ask: ScaleAsk, since: Cursor) -> ScaleAnswer {
        let world = self.host.world.lock().unwrap().clone();
        self.policies
            .scale(ask, world.cursor(), world.changes_since(since).collect());
        self.answers.recv_timeout(PATIENCE).expect("an answer comes")
    }

    /// Ends its threads.
    pub(crate) fn stop(self) {
        self.policies.stop();
    }
}

pub(crate) fn now() -> Timestamp {
    Timestamp(1_795_000_000_000)
}

pub(crate) fn place_ask<'a>(room: &'a RoomId, labels: &'a Labels) -> PlaceAsk<'a> {
    PlaceAsk {
        now: now(),
        room,
        seats: 50,
        load: 50,
        expected_minutes: 30,
        region: "eu-central-1",
        tenant: "acme",
        labels,
        waited_seconds: 0,
        avoid: Some(ServerNo(3)),
    }
}

/// The built-in: places everything on one server, wants one server, keeps all.
#[derive(Debug)]
struct Last {
    settings: String,
    rows: usize,
}

impl Last {
    fn make(settings_json: &str) -> Result<Box<dyn Native>, String> {
        if settings_json.contains("bad") {
            return Err("bad settings".into());
        }
        let settings = settings_json.into();
        Ok(Box::new(Last { settings, rows: 0 }))
    }
}

impl Native for Last {
    fn policy(&self) -> PolicyRef {
        PolicyRef {
            name: "last".into(),
            version: "0.0.0".into(),
        }
    }

    fn update(&mut self, _: Timestamp, changes: &[ViewChange]) -> Result<(), String> {
        self.rows += changes.len();
        Ok(())
    }

    fn verdicts(&mut self, _: &[VerdictRow]) {}

    fn place(&mut self, ask: &PlaceAsk<'_>) -> Result<PlaceAdvice, String> {
        if ask.room.as_str() == "poison" {
            return Err("poisoned".into());
        }
        let reason = Some(format!("{} after {} rows", self.settings, self.rows));
        Ok(PlaceAdvice {
            placement: Placement::On(ServerNo(BUILT_IN)),
            reason,
        })
    }

    fn scale_up(&mut self, _: &ScaleAsk) -> Result<Vec<Growth>, String> {
        Ok(vec![Growth {
            pool: PoolNo(BUILT_IN),
            servers: 1,
            reason: format!("after {} rows", self.rows),
        }])
    }

    fn scale_down(&mut self, _: &ScaleAsk) -> Result<Vec<Shrinkage>, String> {
        Ok(vec![Shrinkage {
            pool: PoolNo(BUILT_IN),
            servers: Vec::new(),
        }])
    }
}
