//! A real fleet with rooms that come and go, asked and driven as the driver does it, and the process around its policies.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use usher::builtin;
use usher::config::{Config, Overrides};
use usher_fleet::advice::{PlaceAnswer, PlaceAsk, ScaleAnswer};
use usher_fleet::command::{PlaceRoom, RegisterServer, ReleaseRoom};
use usher_fleet::config::{Labels, Limits};
use usher_fleet::event::PolicyEvent;
use usher_fleet::ids::RoomId;
use usher_fleet::room::RoomWish;
use usher_fleet::{Advisor, Command, Cursor, Fleet, Input, Timestamp};
use usher_policy::{Look, Options, PlaceChain, Policies, PolicyHost, Snapshot};

/// Monday, 2026-11-23T09:00:00Z. It stands still: what is measured is not what timers do.
const NOW: Timestamp = Timestamp(1_795_424_400_000);
/// Rooms a server, on average: half of what it holds.
const ROOMS_PER_SERVER: usize = 5;
/// The most rooms: placing them takes a second.
const ROOMS_MAX: usize = 50_000;
/// The longest wait for policies to serve.
const LOADED_MAX: Duration = Duration::from_secs(20);

const CONFIG: &str = r#"
[[pool]]
name = "media"
provider = "external"
region = "eu-central-1"
rooms_per_server = 10
seats_per_server = 500
seats_default = 50
health = "none"
"#;

/// The fleet, its rooms in the order in which they came, and its policies.
pub(super) struct World {
    fleet: Fleet,
    rooms: VecDeque<RoomId>,
    rooms_taken: u64,
    chain: PlaceChain,
    policies: Policies,
    looks: Receiver<Look>,
    events: Receiver<PolicyEvent>,
}

/// What a placement took.
pub(super) struct Placed {
    /// In the chain alone.
    pub(super) chain: Duration,
    /// By whom it was decided.
    pub(super) policy: String,
}

impl World {
    /// Makes a fleet of so many servers, half full, and a chain of the policies in a folder, all of which serve.
    pub(super) fn new(servers: usize, policies_dir: &Path) -> anyhow::Result<World> {
        let (look, looks) = channel();
        let (tell, events) = channel();
        let mut options = Options::new(Some(policies_dir.to_path_buf()), builtin::make);
        options.poll = Duration::from_millis(50);
        options.quiet = Duration::from_millis(30);
        let host = Process { look, events: tell };
        let (chain, policies) = usher_policy::start(options, Arc::new(host));
        let mut world = World {
            fleet: fleet_of(servers)?,
            rooms: VecDeque::new(),
            rooms_taken: 0,
            chain,
            policies,
            looks,
            events,
        };
        world.await_decided()?;
        for _ in 0..(servers * ROOMS_PER_SERVER).min(ROOMS_MAX) {
            world.place()?;
        }
        Ok(world)
    }

    /// Places one more room.
    pub(super) fn place(&mut self) -> anyhow::Result<Placed> {
        let room: RoomId = format!("standup-{}", self.rooms_taken).parse()?;
        self.rooms_taken += 1;
        let wish = RoomWish {
            seats: Some(10),
            load: None,
            expected_minutes: self.rooms_taken.is_multiple_of(2).then_some(30),
            region: Some("eu-central-1".to_owned()),
            tenant: None,
            labels: Labels::from([("kind".to_owned(), "meeting".to_owned())]),
            require: Labels::new(),
        };
        let command = Command::PlaceRoom(PlaceRoom {
            room: room.clone(),
            wish,
            lease_seconds: None,
        });
        let mut timed = Timed {
            chain: &mut self.chain,
            took: Duration::ZERO,
            policy: None,
        };
        self.fleet.handle(NOW, Input::Command(command), &mut timed);
        let (chain, policy) = (timed.took, timed.policy);
        self.fleet.end_batch(NOW);
        self.rooms.push_back(room);
        let Some(policy) = policy else {
            bail!("a room was not asked about: it waits with others");
        };
        Ok(Placed { chain, policy })
    }

    /// Releases the oldest room.
    pub(super) fn release(&mut self) {
        let Some(room) = self.rooms.pop_front() else { return };
        let command = Command::ReleaseRoom(ReleaseRoom {
            room,
            tenant: None,
            placement: None,
        });
        self.fleet.handle(NOW, Input::Command(command), &mut self.chain);
        self.fleet.end_batch(NOW);
    }

    /// Does what the driver does between two inputs: lets who waits for it look at the fleet, tells who is far behind, and takes
    /// in new versions. Returns how long the last took, if there were any.
    pub(super) fn between_inputs(&mut self) -> Option<Duration> {
        if let Ok(look) = self.looks.try_recv() {
            look(&self.fleet, NOW);
        }
        self.chain.keep_up(&self.fleet, NOW);
        let began = Instant::now();
        self.chain.swap().then(|| began.elapsed())
    }

    /// Returns the whole view.
    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            cursor: self.fleet.cursor(),
            now: NOW,
            rows: self.fleet.changes_since(Cursor::START).collect(),
        }
    }

    /// Returns the next thing that happened to a policy, if any has.
    pub(super) fn event(&self) -> Option<PolicyEvent> {
        self.events.try_recv().ok()
    }

    /// Ends its threads.
    pub(super) fn stop(self) {
        drop(self.looks);
        self.policies.stop();
    }

    fn await_decided(&mut self) -> anyhow::Result<()> {
        let began = Instant::now();
        while !self.policies.has_decided() {
            ensure!(
                began.elapsed() < LOADED_MAX,
                "the policies never serve: {:?}",
                self.policies.status()
            );
            self.between_inputs();
            std::thread::sleep(Duration::from_millis(1));
        }
        self.between_inputs();
        while let Some(event) = self.event() {
            ensure!(
                matches!(event, PolicyEvent::Loaded(_)),
                "a policy does not serve: {event:?}"
            );
        }
        Ok(())
    }
}

fn fleet_of(servers: usize) -> anyhow::Result<Fleet> {
    let config = Config::parse(CONFIG, Path::new("."), &Overrides::default())?;
    let mut fleet = Fleet::new(config.fleet, NOW);
    fleet.resume(NOW);
    for server in 0..servers {
        let command = Command::RegisterServer(RegisterServer {
            server: format!("media-{server}").parse()?,
            pool: "media".parse()?,
            url: format!("wss://media-{server}.example.com"),
            endpoints: Default::default(),
            zone: None,
            limits: Limits::default(),
            labels: Labels::new(),
        });
        fleet.handle(NOW, Input::Command(command), &mut Nobody);
    }
    Ok(fleet)
}

/// The chain, with a watch in hand.
struct Timed<'a> {
    chain: &'a mut PlaceChain,
    took: Duration,
    policy: Option<String>,
}

impl Advisor for Timed<'_> {
    fn place(&mut self, link: usize, fleet: &Fleet, ask: &PlaceAsk<'_>) -> Option<PlaceAnswer> {
        let began = Instant::now();
        let answer = self.chain.place(link, fleet, ask);
        self.took += began.elapsed();
        self.policy = answer.as_ref().map(|answer| answer.policy.name.to_string());
        answer
    }
}

/// A chain of nobody, for inputs about which nobody is asked.
struct Nobody;

impl Advisor for Nobody {
    fn place(&mut self, _: usize, _: &Fleet, _: &PlaceAsk<'_>) -> Option<PlaceAnswer> {
        None
    }
}

/// What the policies' threads see of this process.
struct Process {
    look: Sender<Look>,
    events: Sender<PolicyEvent>,
}

impl PolicyHost for Process {
    fn look(&self, look: Look) {
        // Nobody looks any more when the world stops.
        self.look.send(look).ok();
    }

    fn event(&self, event: PolicyEvent) {
        // Nobody listens any more when the world stops.
        self.events.send(event).ok();
    }

    fn scaled(&self, _: ScaleAnswer) {}

    fn chain_changed(&self) {}
}
