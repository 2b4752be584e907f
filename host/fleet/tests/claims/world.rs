//! A fleet in virtual time, with a policy that takes the first server that fits, and words to say what happens to it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use usher_fleet::advice::{
    Direction, Fault, FaultKind, Growth, PlaceAdvice, PlaceAnswer, PlaceAsk, Placement, Retirement, ScaleAdvice,
    ScaleAnswer, ScaleAsk, Shrinkage, Verdict,
};
use usher_fleet::command::{
    DeclareLost, FailRoom, HoldAction, HoldServer, PlaceRoom, RegisterServer, ReleaseRoom, RemoveServer, SetScaling,
    UpdateRoom,
};
use usher_fleet::config::{FleetConfig, HealthSource, Labels, Limits, PoolConfig, PoolGuards};
use usher_fleet::decision::PolicyRef;
use usher_fleet::effect::LaunchOrder;
use usher_fleet::event::What;
use usher_fleet::ids::{Attempt, DecisionNo, PlacementNo, PoolName, PoolNo, ServerName, ServerNo};
use usher_fleet::observation::{
    Found, Instance, InstanceState, Launched, Listed, OrderKey, Probed, ProviderError, Report, Reported, ReportedRoom,
    Terminated,
};
use usher_fleet::room::RoomWish;
use usher_fleet::status::{PoolStatus, RoomPlace, RoomStatus, ServerStatus, WaitingFor};
use usher_fleet::units::Microdollars;
use usher_fleet::view::{Cursor, HealthView, HoldView, PhaseView, UsageRow, ViewChange};
use usher_fleet::{
    Advisor, Command, Decision, Effect, Event, Fleet, Input, Observation, Outcome, Record, RecordKey, Rejection, Reply,
    Timestamp, Write,
};

/// 2026-11-22T09:00:00Z.
pub(crate) const START: Timestamp = Timestamp(1_795_338_000_000);

/// Ticks at one instant beyond which a timer counts as ringing for ever: the longest queue here, once a room, and more.
const RINGS_MAX: usize = 5_000;

/// A link of the chain: a place policy.
pub(crate) type Link = Box<dyn FnMut(&Fleet, &PlaceAsk<'_>) -> Result<Placement, Fault>>;

/// The chain of place policies, and whom the first was asked for.
pub(crate) struct Chain {
    pub(crate) links: Vec<Link>,
    pub(crate) asked: Vec<String>,
    /// Of each link.
    pub(crate) isolates: bool,
}

impl Advisor for Chain {
    fn place(&mut self, link: usize, fleet: &Fleet, ask: &PlaceAsk<'_>) -> Option<PlaceAnswer> {
        if link == 0 {
            self.asked.push(ask.room.to_string());
        }
        let answer = self.links.get_mut(link)?(fleet, ask);
        let advice = answer.map(|placement| PlaceAdvice {
            placement,
            reason: None,
        });
        Some(PlaceAnswer {
            policy: policy(link),
            advice,
            isolates: self.isolates,
            took: Duration::ZERO,
        })
    }
}

pub(crate) fn policy(link: usize) -> PolicyRef {
    PolicyRef {
        name: format!("link-{link}").into(),
        version: "1".into(),
    }
}

pub(crate) fn fault() -> Fault {
    Fault {
        kind: FaultKind::Trap,
        message: "it fell over".into(),
    }
}

/// Takes the first server, in the order in which they came, that is open and has room.
pub(crate) fn first_fit(fleet: &Fleet, ask: &PlaceAsk<'_>) -> Result<Placement, Fault> {
    let mut limits = BTreeMap::new();
    let mut open = Vec::new();
    for change in fleet.changes_since(Cursor::START) {
        match change {
            ViewChange::ServerSet(row) => {
                limits.insert(row.no, [row.rooms_max, row.seats_max, row.load_max]);
            }
            ViewChange::Usage(row) if is_open(&row) && Some(row.no) != ask.avoid => open.push(row),
            ViewChange::PoolSet(_)
            | ViewChange::PoolState(_)
            | ViewChange::PoolRemoved(_)
            | ViewChange::Usage(_)
            | ViewChange::Figure(_)
            | ViewChange::ServerRemoved(_) => {}
        }
    }
    // Of some pools nobody knows the health; a server of a looked-at pool that was heard comes first.
    open.sort_by_key(|row| (row.health == HealthView::Unknown, row.no));
    let fits = |row: &&UsageRow| {
        let needs = [(row.rooms, 1), (row.seats, ask.seats), (row.load, ask.load)];
        let mut pairs = needs.iter().zip(limits[&row.no]);
        pairs.all(|((used, more), max)| max == 0 || used + more <= max)
    };
    let found = open.iter().find(fits).map(|row| Placement::On(row.no));
    Ok(found.unwrap_or(Placement::Wait {
        pool: None,
        again_seconds: 0,
    }))
}

fn is_open(row: &UsageRow) -> bool {
    row.phase == PhaseView::Ready && row.hold == HoldView::Free && row.health != HealthView::Silent
}

/// A fleet, its time, and all that it has said so far.
pub(crate) struct World {
    pub(crate) fleet: Fleet,
    pub(crate) now: Timestamp,
    pub(crate) config: FleetConfig,
    pub(crate) chain: Chain,
    pub(crate) events: Vec<Event>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) decisions: Vec<Decision>,
    /// Servers that do not report while time passes; `None` = nobody does.
    pub(crate) mute: Option<BTreeSet<ServerName>>,
    ask: Option<ScaleAsk>,
    records: BTreeMap<RecordKey, Record>,
}

impl World {
    pub(crate) fn new(config: FleetConfig) -> World {
        let mut world = World::unlisted(config);
        for pool in world.config.pools.clone().into_iter().filter(|pool| pool.automatic) {
            world.first_list(&pool.name, Vec::new());
        }
        world
    }

    /// A world whose providers have not said yet what exists.
    pub(crate) fn unlisted(config: FleetConfig) -> World {
        let fleet = Fleet::new(config.clone(), START);
        let mut world = World {
            fleet,
            now: START,
            config,
            chain: Chain {
                links: vec![Box::new(first_fit)],
                asked: Vec::new(),
                isolates: false,
            },
            events: Vec::new(),
            effects: Vec::new(),
            decisions: Vec::new(),
            mute: None,
            ask: None,
            records: BTreeMap::new(),
        };
        let outcome = world.fleet.resume(world.now);
        world.take(outcome);
        world
    }

    /// The list that is asked for at the start is answered; nothing is launched before.
    pub(crate) fn first_list(&mut self, pool: &PoolName, found: Vec<Found>) {
        self.step(Input::Observation(Observation::Listed(Listed {
            pool: pool.clone(),
            asked: Timestamp(START.0 - 1),
            result: Ok(found),
        })));
    }

    /// A world with one external pool `site` whose health nobody looks at, and these servers in it.
    pub(crate) fn with_servers(servers: &[&str]) -> World {
        let mut world = World::new(config(vec![external("site")]));
        for server in servers {
            world.register("site", server);
        }
        world
    }

    /// The process dies and starts again on what was durable.
    pub(crate) fn restart(&mut self) {
        let live: BTreeMap<RecordKey, Record> = self.fleet.records().into_iter().map(|r| (r.key(), r)).collect();
        let kept: Vec<Record> = self.records.values().cloned().collect();
        for (key, record) in &live {
            // Before the first write there is nothing durable of the counters.
            assert!(
                self.records.get(key).is_none_or(|kept| kept == record),
                "{key:?} is not as it was written"
            );
        }
        self.effects.clear();
        self.ask = None;
        self.fleet = Fleet::recover(self.config.clone(), kept, self.now);
        let outcome = self.fleet.resume(self.now);
        self.take(outcome);
        self.settle();
    }

    fn take(&mut self, outcome: Outcome) -> Option<Reply> {
        for write in outcome.writes {
            match write {
                Write::Put(record) => self.records.insert(record.key(), record),
                Write::Delete(key) => self.records.remove(&key),
            };
        }
        self.events.extend(outcome.events);
        self.decisions.extend(outcome.decisions);
        for effect in outcome.effects {
            match effect {
                Effect::Scale(ask) => self.ask = Some(ask),
                Effect::Launch(_)
                | Effect::Terminate(_)
                | Effect::List(_)
                | Effect::Watch(_)
                | Effect::Unwatch(_)
                | Effect::Probe(_)
                | Effect::Examine(_) => self.effects.push(effect),
            }
        }
        outcome.reply
    }

    /// Hands in one input and nothing else.
    pub(crate) fn step(&mut self, input: Input) -> Option<Reply> {
        let outcome = self.fleet.handle(self.now, input, &mut self.chain);
        let reply = self.take(outcome);
        let outcome = self.fleet.end_batch(self.now);
        self.take(outcome);
        reply
    }

    /// Lets the fleet do what it has put off to this very moment.
    pub(crate) fn settle(&mut self) {
        for _ in 0..RINGS_MAX {
            if self.fleet.next_deadline().is_none_or(|at| at > self.now) {
                return;
            }
            self.step(Input::Tick);
        }
        panic!("a timer rings for ever at {:?}", self.now);
    }

    pub(crate) fn command(&mut self, command: Command) -> Reply {
        let reply = self.step(Input::Command(command)).expect("a command is answered");
        self.settle();
        reply
    }

    pub(crate) fn observe(&mut self, observation: Observation) {
        self.step(Input::Observation(observation));
        self.settle();
    }

    /// Lets time pass; each server that is not mute reports every 5 s, and cannot tell its rooms.
    pub(crate) fn pass(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        while self.now < end {
            let next = end.min(self.now + Duration::from_secs(5));
            self.pass_quietly(next);
            let Some(mute) = self.mute.clone() else { continue };
            for server in self.fleet.servers() {
                if !mute.contains(&server.card.name) {
                    self.report(server.card.name.as_str(), Report::default());
                }
            }
        }
    }

    fn pass_quietly(&mut self, end: Timestamp) {
        self.settle();
        while let Some(at) = self.fleet.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.step(Input::Tick);
            self.settle();
        }
        self.now = end;
        self.settle();
    }

    // ---- rooms

    pub(crate) fn place(&mut self, room: &str) -> Reply {
        self.place_as(room, plain())
    }

    pub(crate) fn place_as(&mut self, room: &str, wish: RoomWish) -> Reply {
        self.place_leased(room, wish, None)
    }

    pub(crate) fn place_leased(&mut self, room: &str, wish: RoomWish, lease_seconds: Option<u32>) -> Reply {
        let room = id(room);
        self.command(Command::PlaceRoom(PlaceRoom {
            room,
            wish,
            lease_seconds,
        }))
    }

    pub(crate) fn place_all(&mut self, prefix: &str, count: u32) {
        for n in 0..count {
            self.place(&format!("{prefix}-{n}"));
        }
    }

    pub(crate) fn release(&mut self, room: &str) {
        let command = ReleaseRoom {
            room: id(room),
            tenant: None,
            placement: None,
        };
        assert_eq!(self.command(Command::ReleaseRoom(command)), Reply::Done);
    }

    pub(crate) fn fail(&mut self, room: &str, placement: Option<u64>) -> Reply {
        self.command(Command::FailRoom(FailRoom {
            room: id(room),
            tenant: None,
            placement: placement.map(PlacementNo),
            reason: "no port is free".into(),
        }))
    }

    pub(crate) fn update(&mut self, room: &str, participants: Option<u32>, seats: Option<u32>) -> Reply {
        self.command(Command::UpdateRoom(UpdateRoom {
            room: id(room),
            tenant: None,
            participants,
            seats,
        }))
    }

    pub(crate) fn room(&self, room: &str) -> Option<RoomStatus> {
        self.fleet.room(&id(room))
    }

    /// Returns where a room stands: `on SERVER`, `waiting`, `moving from SERVER`, or `nowhere`.
    pub(crate) fn place_of(&self, room: &str) -> String {
        match self.room(room).map(|room| room.place) {
            None => "nowhere".into(),
            Some(RoomPlace::Placed { server, .. }) => format!("on {}", server.name),
            Some(RoomPlace::Waiting { moving: None, .. }) => "waiting".into(),
            Some(RoomPlace::Waiting {
                moving: Some((from, _)),
                ..
            }) => format!("moving from {from}"),
        }
    }

    /// Returns a waiting room's position, what it waits for, and for how many seconds still.
    pub(crate) fn wait_of(&self, room: &str) -> (u32, WaitingFor, Option<u32>) {
        match self.room(room).expect("the room is there").place {
            RoomPlace::Waiting {
                position,
                waiting_for,
                expected_seconds,
                ..
            } => (position, waiting_for, expected_seconds),
            RoomPlace::Placed { server, .. } => panic!("{room} is on {}", server.name),
        }
    }

    pub(crate) fn placement_of(&self, room: &str) -> u64 {
        match self.room(room).expect("the room is there").place {
            RoomPlace::Placed { placement, .. } => placement.0,
            RoomPlace::Waiting { .. } => panic!("{room} waits"),
        }
    }

    // ---- servers

    pub(crate) fn register(&mut self, pool: &str, server: &str) -> Reply {
        self.register_as(pool, server, Limits::default(), Labels::new())
    }

    pub(crate) fn register_as(&mut self, pool: &str, server: &str, limits: Limits, labels: Labels) -> Reply {
        self.command(Command::RegisterServer(RegisterServer {
            server: id(server),
            pool: id(pool),
            url: format!("wss://{server}.example"),
            endpoints: BTreeMap::new(),
            zone: None,
            limits,
            labels,
        }))
    }

    fn hold(&mut self, server: &str, action: HoldAction) -> Reply {
        self.command(Command::HoldServer(HoldServer {
            server: id(server),
            action,
            reason: None,
        }))
    }

    pub(crate) fn cordon(&mut self, server: &str) -> Reply {
        self.hold(server, HoldAction::Cordon)
    }

    pub(crate) fn drain(&mut self, server: &str, deadline_seconds: Option<u64>) -> Reply {
        let deadline = deadline_seconds.map(Duration::from_secs);
        self.hold(server, HoldAction::Drain { deadline })
    }

    pub(crate) fn uncordon(&mut self, server: &str) -> Reply {
        self.hold(server, HoldAction::Uncordon)
    }

    pub(crate) fn remove(&mut self, server: &str, force: bool) -> Reply {
        let server = id(server);
        self.command(Command::RemoveServer(RemoveServer { server, force }))
    }

    pub(crate) fn declare_lost(&mut self, server: &str) -> Reply {
        let server = id(server);
        self.command(Command::DeclareLost(DeclareLost { server, reason: None }))
    }

    pub(crate) fn set_scaling(&mut self, pool: &str, enabled: bool) {
        let pool = id(pool);
        let reply = self.command(Command::SetScaling(SetScaling { pool, enabled }));
        assert_eq!(reply, Reply::Done);
    }

    pub(crate) fn server(&self, server: &str) -> Option<ServerStatus> {
        self.fleet.server(&id(server))
    }

    pub(crate) fn phase_of(&self, server: &str) -> &'static str {
        self.server(server).map_or("gone", |server| server.phase.word())
    }

    pub(crate) fn health_of(&self, server: &str) -> &'static str {
        self.server(server).expect("the server is there").health.word()
    }

    pub(crate) fn hold_of(&self, server: &str) -> Option<String> {
        let hold = self.server(server).expect("the server is there").hold?;
        Some(format!("{} by {}", hold.word(), hold.owner().word()))
    }

    pub(crate) fn used_of(&self, server: &str) -> (u32, u32, u32) {
        let server = self.server(server).expect("the server is there");
        (server.rooms, server.seats, server.load)
    }

    pub(crate) fn pool(&self, pool: &str) -> PoolStatus {
        let pools = self.fleet.pools(self.now);
        let found = pools.into_iter().find(|status| status.name.as_str() == pool);
        found.expect("the pool is there")
    }

    pub(crate) fn pool_no(&self, pool: &str) -> PoolNo {
        let found = self.fleet.changes_since(Cursor::START).find_map(|change| match change {
            ViewChange::PoolSet(row) if row.name == pool => Some(row.no),
            _ => None,
        });
        found.expect("the pool is there")
    }

    pub(crate) fn server_no(&self, server: &str) -> ServerNo {
        let found = self.fleet.changes_since(Cursor::START).find_map(|change| match change {
            ViewChange::ServerSet(row) if row.name.as_str() == server => Some(row.no),
            _ => None,
        });
        found.expect("the server is there")
    }

    // ---- the world's word

    pub(crate) fn launched(&mut self, server: &str, result: Result<Instance, ProviderError>) {
        let key = key(server);
        let nth = self.orders_of(&key);
        self.observe(Observation::Launched(Launched { key, nth, result }));
    }

    pub(crate) fn terminated(&mut self, server: &str, result: Result<(), ProviderError>) {
        let key = key(server);
        self.observe(Observation::Terminated(Terminated { key, result }));
    }

    pub(crate) fn listed(&mut self, pool: &str, instances: Vec<(OrderKey, Instance)>) {
        self.found(pool, instances.into_iter().map(Found::from).collect());
    }

    pub(crate) fn found(&mut self, pool: &str, found: Vec<Found>) {
        self.observe(Observation::Listed(Listed {
            pool: id(pool),
            asked: self.now,
            result: Ok(found),
        }));
    }

    pub(crate) fn report(&mut self, server: &str, report: Report) {
        let server = id(server);
        self.observe(Observation::Reported(Reported { server, report }));
    }

    /// A report that names these rooms with their participants.
    pub(crate) fn report_rooms(&mut self, server: &str, rooms: &[(&str, u32)]) {
        self.report(server, rooms_report(rooms));
    }

    pub(crate) fn probed(&mut self, server: &str, is_well: bool) {
        let url = self.server(server).and_then(|server| server.card.url.clone());
        self.observe(Observation::Probed(Probed {
            server: id(server),
            url: url.unwrap_or_default(),
            result: if is_well {
                Ok(())
            } else {
                Err("connection refused".into())
            },
        }));
    }

    /// A requested server is launched and reports.
    pub(crate) fn boot(&mut self, server: &str) {
        self.launched(server, Ok(instance(InstanceState::Running)));
        self.report(server, Report::default());
        assert_eq!(self.phase_of(server), "ready");
    }

    // ---- scaling

    /// Waits until a scale policy is asked this way, and returns the question; the other way is answered with nothing.
    pub(crate) fn asked(&mut self, direction: Direction) -> ScaleAsk {
        for _ in 0..20 {
            match self.ask.take() {
                Some(ask) if ask.direction == direction => return ask,
                Some(ask) => self.answer(&ask, Ok(nothing(ask.direction)), true),
                None => self.pass(5),
            }
        }
        panic!("nobody asks {direction:?}");
    }

    /// The same, with what there is now: a question that was asked before is answered with nothing.
    pub(crate) fn asked_anew(&mut self, direction: Direction) -> ScaleAsk {
        if let Some(ask) = self.ask.take() {
            self.answer(&ask, Ok(nothing(ask.direction)), true);
        }
        self.ask = None;
        self.pass(5);
        self.asked(direction)
    }

    /// Returns the verdicts that come with the questions of the next tick.
    pub(crate) fn asked_verdicts(&mut self) -> Vec<Verdict> {
        let mut told = Vec::new();
        let tick = self.now + Duration::from_secs(5);
        while self.now < tick || self.ask.is_some() {
            match self.ask.take() {
                Some(ask) => {
                    told.extend(ask.verdicts.clone());
                    self.answer(&ask, Ok(nothing(ask.direction)), true);
                }
                None => self.pass(5),
            }
        }
        told
    }

    /// Whether a scale policy is asked now.
    pub(crate) fn is_asking(&self) -> Option<Direction> {
        self.ask.as_ref().map(|ask| ask.direction)
    }

    pub(crate) fn answer(&mut self, ask: &ScaleAsk, advice: Result<ScaleAdvice, Fault>, last: bool) {
        self.ask = None;
        self.observe(Observation::Scaled(ScaleAnswer {
            decision: ask.decision,
            link: ask.link,
            last,
            policy: policy(ask.link),
            advice,
            took: Duration::ZERO,
        }));
    }

    /// A policy asks for so many servers more; returns the verdict and its code.
    pub(crate) fn grow(&mut self, pool: &str, servers: u32) -> (&'static str, &'static str) {
        let ask = self.asked(Direction::Up);
        let growth = self.growth(pool, servers);
        self.answer(&ask, Ok(ScaleAdvice::Up(vec![growth])), true);
        self.verdict(ask.decision)
    }

    /// A policy lets these servers go; returns the last verdict and its code.
    pub(crate) fn shrink(&mut self, pool: &str, servers: &[&str]) -> (&'static str, &'static str) {
        let ask = self.asked(Direction::Down);
        let shrinkage = self.shrinkage(pool, servers);
        self.answer(&ask, Ok(ScaleAdvice::Down(vec![shrinkage])), true);
        self.verdict(ask.decision)
    }

    pub(crate) fn growth(&self, pool: &str, servers: u32) -> Growth {
        Growth {
            pool: self.pool_no(pool),
            servers,
            reason: "a test wants it".into(),
        }
    }

    pub(crate) fn shrinkage(&self, pool: &str, servers: &[&str]) -> Shrinkage {
        let servers = servers.iter().map(|server| Retirement {
            server: self.server_no(server),
            reason: "a test can do without".into(),
        });
        Shrinkage {
            pool: self.pool_no(pool),
            servers: servers.collect(),
        }
    }

    fn verdict(&self, decision: DecisionNo) -> (&'static str, &'static str) {
        let last = self.decisions.iter().rev().find(|made| made.no == decision);
        last.map_or(("none", ""), |made| (made.verdict, made.code))
    }

    /// A policy has a server of this pool launched, and it becomes ready; returns its name.
    pub(crate) fn launch(&mut self, pool: &str) -> String {
        assert_eq!(self.grow(pool, 1), ("accepted", ""));
        let server = self.newest();
        self.boot(&server);
        server
    }

    /// Returns the newest server's name.
    pub(crate) fn newest(&self) -> String {
        let servers = self.fleet.servers();
        servers.last().expect("there is a server").card.name.to_string()
    }

    // ---- what was said

    pub(crate) fn told(&self, is: impl Fn(&What) -> bool) -> usize {
        self.events.iter().filter(|event| is(&event.what)).count()
    }

    /// Returns the number of the newest order of a launch.
    pub(crate) fn orders_of(&self, key: &OrderKey) -> u32 {
        let orders = self.launches();
        let newest = orders.iter().rfind(|order| order.key == *key);
        newest.map_or(1, |order| order.nth)
    }

    pub(crate) fn launches(&self) -> Vec<&LaunchOrder> {
        let mut launches = Vec::new();
        for effect in &self.effects {
            if let Effect::Launch(order) = effect {
                launches.push(order);
            }
        }
        launches
    }

    /// Returns how often the end of a server was ordered.
    pub(crate) fn terminations(&self, server: &str) -> usize {
        let is = |effect: &&Effect| matches!(effect, Effect::Terminate(order) if order.key.server.as_str() == server);
        self.effects.iter().filter(is).count()
    }
}

// ---- words

pub(crate) fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a valid id")
}

pub(crate) fn key(server: &str) -> OrderKey {
    OrderKey {
        server: id(server),
        attempt: Attempt(1),
    }
}

pub(crate) fn instance(state: InstanceState) -> Instance {
    Instance {
        instance: "i-1".into(),
        state,
        url: None,
        endpoints: BTreeMap::new(),
        zone: None,
        price_per_hour: None,
    }
}

pub(crate) fn unknown() -> ProviderError {
    ProviderError::Unknown("timed out".into())
}

pub(crate) fn rooms_report(rooms: &[(&str, u32)]) -> Report {
    let rooms = rooms.iter().map(|(room, participants)| ReportedRoom {
        room: id(room),
        placement: None,
        participants: *participants,
        load: None,
    });
    Report {
        rooms: Some(rooms.collect()),
        ..Report::default()
    }
}

fn nothing(direction: Direction) -> ScaleAdvice {
    match direction {
        Direction::Up => ScaleAdvice::Up(Vec::new()),
        Direction::Down => ScaleAdvice::Down(Vec::new()),
    }
}

/// A wish that says nothing.
pub(crate) fn plain() -> RoomWish {
    RoomWish {
        seats: None,
        load: None,
        expected_minutes: None,
        region: None,
        tenant: None,
        labels: Labels::new(),
        require: Labels::new(),
    }
}

pub(crate) fn seats(seats: u32) -> RoomWish {
    RoomWish {
        seats: Some(seats),
        ..plain()
    }
}

pub(crate) fn of_tenant(tenant: &str) -> RoomWish {
    RoomWish {
        tenant: Some(id(tenant)),
        ..plain()
    }
}

pub(crate) fn labels(pairs: &[(&str, &str)]) -> Labels {
    let owned = pairs.iter().map(|(key, value)| (key.to_string(), value.to_string()));
    owned.collect()
}

pub(crate) fn config(pools: Vec<PoolConfig>) -> FleetConfig {
    FleetConfig {
        pools,
        ..FleetConfig::default()
    }
}

/// A pool whose servers somebody else creates, each for 10 rooms and 500 seats; nobody looks at their health.
pub(crate) fn external(name: &str) -> PoolConfig {
    PoolConfig {
        name: id(name),
        automatic: false,
        provider: "external".into(),
        region: "eu".into(),
        zones: Vec::new(),
        instance_type: "8-core".into(),
        market: String::new(),
        limits: Limits {
            rooms_max: Some(10),
            seats_max: Some(500),
            load_max: None,
        },
        seats_default: 50,
        price_per_hour: Microdollars(348_000),
        labels: Labels::new(),
        only: BTreeMap::new(),
        health: HealthSource::None,
        url: None,
        offers: Vec::new(),
        adopt_rooms: false,
        release_unreported_rooms: false,
        leaves_evidence: false,
        keep_failed_servers: 0,
        guards: PoolGuards::default(),
    }
}

/// A pool whose servers we launch; they report.
pub(crate) fn automatic(name: &str) -> PoolConfig {
    PoolConfig {
        automatic: true,
        provider: "simulated".into(),
        health: HealthSource::Report,
        url: Some("wss://{server}.example".into()),
        ..external(name)
    }
}

/// The same, with these guards.
pub(crate) fn guarded(name: &str, guards: PoolGuards) -> PoolConfig {
    PoolConfig {
        guards,
        ..automatic(name)
    }
}

#[track_caller]
pub(crate) fn rejected(reply: Reply) -> Rejection {
    match reply {
        Reply::Rejected(rejection) => rejection,
        Reply::Room(..) | Reply::Server(..) | Reply::Done | Reply::Token(_) => panic!("not rejected: {reply:?}"),
    }
}

#[track_caller]
pub(crate) fn code(reply: Reply) -> &'static str {
    rejected(reply).code()
}
