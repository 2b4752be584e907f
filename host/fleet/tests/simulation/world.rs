//! A fleet, the world around it, and everything between the two that may be late, lost, doubled or cut off by a crash.

use std::collections::{BTreeSet, VecDeque};

use std::time::Duration;

use usher_fleet::command::Command;
use usher_fleet::config::{FleetConfig, PoolConfig};
use usher_fleet::event::What;
use usher_fleet::ids::{ServerName, ServerNo};
use usher_fleet::room::RoomWish;
use usher_fleet::units::Timestamp;
use usher_fleet::{Effect, Fleet, Input, Observation, Outcome, Record};

use super::chance::Chance;
use super::clients::Clients;
use super::cloud::weather::Habits;
use super::cloud::{Cloud, Faults};
use super::coverage::Coverage;
use super::invariants::{self, Memory, orders, waiting, whole};
use super::model::Model;
use super::policies::{self, Chain, Temper};
use super::reader::Reader;
use super::trace::Trace;
use super::{moves, shapes};

/// 2026-11-01T00:00:00Z; worlds begin within its first days and live for a few more.
const BEGIN: u64 = 1_793_491_200_000;

/// So many ticks at one moment, and the fleet does not move on.
const TICKS_AT_ONCE_MAX: u32 = 60;

/// One input's outcome, and the command that it answers.
type Entry = (Option<Command>, Outcome);

pub(crate) struct World {
    pub(crate) chance: Chance,
    pub(crate) now: Timestamp,
    pub(crate) fleet: Fleet,
    pub(crate) model: Model,
    pub(crate) cloud: Cloud,
    pub(crate) faults: Faults,
    /// Every pool that was ever configured.
    pub(crate) all_pools: Vec<PoolConfig>,
    pub(crate) wishes: Vec<RoomWish>,
    pub(crate) room_names: u32,
    /// Servers that give no sign.
    pub(crate) muted: BTreeSet<ServerName>,
    /// Instances without a record of which this process has told, by their providers' names.
    pub(crate) strangers: BTreeSet<String>,
    pub(crate) place: Temper,
    pub(crate) scale: Temper,
    pub(crate) pulsed: Timestamp,
    pub(crate) steps: u64,
    pub(crate) coverage: Coverage,
    /// Whether every room that waits was asked for of honest policies.
    is_honest: bool,
    clients: Clients,
    memory: Memory,
    open: Vec<Entry>,
    sealed: VecDeque<Vec<Entry>>,
    readers: Vec<Reader>,
    paid: whole::Paid,
    /// The whole is looked at once in so many steps.
    look_every: u64,
    trace: Trace,
}

impl World {
    /// Makes a world; `is_replay` looks at everything after each step and keeps a trace.
    pub(crate) fn new(seed: u64, is_replay: bool) -> World {
        let mut chance = Chance::new(seed);
        let config = shapes::fleet(&mut chance);
        let now = Timestamp(BEGIN + chance.below(5 * 24 * 3_600_000));
        let percent = [0, 3, 8, 15][chance.index(4)];
        let habits = Habits::new(&mut chance);
        let wishes = (0..8).map(|_| moves::wish(&mut chance)).collect();
        let mut world = World {
            now,
            fleet: Fleet::new(config.clone(), now),
            model: Model {
                config: config.clone(),
                now,
                meta: None,
                ..Model::default()
            },
            cloud: Cloud::new(&config, habits),
            faults: Faults { percent },
            all_pools: config.pools,
            wishes,
            room_names: chance.between(5, 50),
            muted: BTreeSet::new(),
            strangers: BTreeSet::new(),
            place: Temper::Honest,
            scale: Temper::Honest,
            pulsed: now,
            steps: 0,
            coverage: Coverage::default(),
            is_honest: true,
            clients: Clients::default(),
            memory: Memory::default(),
            open: Vec::new(),
            sealed: VecDeque::new(),
            readers: vec![Reader::default(); 3],
            paid: whole::Paid::default(),
            look_every: if is_replay { 1 } else { 8 },
            trace: Trace::new(is_replay),
            chance,
        };
        world.resumed();
        world.sync_all();
        world
    }

    fn resumed(&mut self) {
        // The counters are there from the first write on; a new fleet writes none before it has a pool.
        if self.model.meta.is_none()
            && let Some(Record::Meta(meta)) = self.fleet.records().into_iter().next()
        {
            self.model.meta = Some(meta);
        }
        let outcome = self.fleet.resume(self.now);
        self.took(None, outcome);
        self.end_batch();
    }

    /// Hands the fleet one input, and looks at what came of it.
    pub(crate) fn input(&mut self, input: Input) {
        let back = if self.chance.one_in(60) {
            self.chance.below(30_000)
        } else {
            0
        };
        let at = Timestamp(self.now.0 - back);
        self.steps += 1;
        self.cloud.now = self.now;
        self.trace.note(self.steps, at, || format!("{input:?}"));
        let mut chain = self.chain();
        let outcome = self.fleet.handle(at, input.clone(), &mut chain);
        self.model.now = self.model.now.max(at);
        self.took(Some(&input), outcome);
        self.look();
    }

    fn chain(&mut self) -> Chain {
        let next = self.model.meta.as_ref().map_or(ServerNo(1), |meta| meta.next_server);
        Chain {
            temper: self.place,
            servers: self.model.servers.keys().copied().chain([next]).collect(),
            chance: Chance::new(self.chance.next()),
        }
    }

    fn took(&mut self, input: Option<&Input>, outcome: Outcome) {
        for event in &outcome.events {
            self.note(&event.what);
            self.trace
                .note(self.steps, self.now, || format!("  told {:?}", event.what));
        }
        invariants::follow(&mut self.model, &mut self.memory, input, &outcome, &self.cloud);
        let command = match input {
            Some(Input::Command(command)) => Some(command.clone()),
            Some(Input::Observation(_) | Input::Tick) | None => None,
        };
        assert_eq!(
            command.is_some(),
            outcome.reply.is_some(),
            "invariant_each_command_is_answered: {input:?}"
        );
        self.open.push((command, outcome));
    }

    fn note(&mut self, what: &What) {
        self.coverage.note(what);
        match what {
            What::ServerUnknown(told) => {
                self.strangers.extend(told.instance.clone());
                if told.reason.contains("marked to be kept") {
                    self.coverage.count("orphan.kept");
                }
            }
            What::ServerRequested(told) if told.reason.ends_with("the next offer is ordered") => {
                self.coverage.count("offer.changed");
            }
            _ => {}
        }
    }

    /// What is looked at after each input.
    fn look(&mut self) {
        let is_due = self.is_due();
        if !is_due {
            self.model.ticked = self.now;
        }
        self.readers[0].read(&self.fleet);
        self.readers[2].read_part(&self.fleet);
        waiting::invariant_servers_are_kept_only_for_rooms_that_wait(&self.model, &self.readers[0]);
        if self.is_honest {
            waiting::invariant_nothing_that_fits_waits(&self.fleet, &self.model, &self.readers[0]);
        }
        if self.steps.is_multiple_of(self.look_every) {
            self.look_at_the_whole();
        }
    }

    pub(crate) fn look_at_the_whole(&mut self) {
        let is_due = self.is_due();
        let (fleet, model) = (&self.fleet, &self.model);
        whole::invariant_the_ledger_is_the_sum_of_its_rooms(fleet, model, is_due);
        whole::invariant_every_room_has_one_home(fleet, model);
        whole::invariant_the_queue_has_no_holes(fleet, model);
        whole::invariant_health_follows_signs(fleet, model);
        whole::invariant_changes_lead_to_the_whole_view(fleet, &self.readers);
        let mut records = model.records();
        self.chance.clone().shuffle(&mut records);
        whole::invariant_the_fleet_is_what_its_writes_say(fleet, model, records);
        let reader = self.steps as usize / 24 % 3;
        match reader {
            1 => self.readers[1].read_changes_in_parts(&self.fleet),
            2 => self.readers[2] = Reader::in_parts(&self.fleet),
            _ => self.readers[reader].read(&self.fleet),
        }
    }

    fn is_due(&self) -> bool {
        let next = self.fleet.next_deadline().expect("the tick is always set");
        next <= self.now
    }

    /// Ticks until nothing is due.
    pub(crate) fn tick(&mut self) {
        let mut ticks = 0;
        while self.is_due() {
            self.input(Input::Tick);
            ticks += 1;
            assert!(
                ticks < TICKS_AT_ONCE_MAX,
                "invariant_time_goes_on: {ticks} ticks, and something is still due"
            );
        }
    }

    pub(crate) fn end_batch(&mut self) {
        let outcome = self.fleet.end_batch(self.now);
        self.model.now = self.now;
        self.took(None, outcome);
        self.sealed.push_back(std::mem::take(&mut self.open));
    }

    /// Makes the oldest batch durable; only then its events, replies and effects leave.
    pub(crate) fn sync(&mut self) {
        let Some(batch) = self.sealed.pop_front() else { return };
        self.trace.note(self.steps, self.now, || "a batch is durable".into());
        let mut effects = Vec::new();
        for (command, outcome) in &batch {
            self.clients.follow(command.as_ref(), outcome, true);
            self.note_durable(outcome);
            effects.extend(outcome.effects.iter().cloned());
        }
        self.clients.invariant_nothing_acknowledged_is_lost();
        for effect in effects {
            self.run(&effect);
        }
        if self.sealed.is_empty() && self.open.is_empty() {
            whole::invariant_dollars_never_run_backwards(&self.fleet, &self.model, &mut self.paid);
        }
    }

    fn note_durable(&mut self, outcome: &Outcome) {
        for write in &outcome.writes {
            if let usher_fleet::Write::Put(Record::Room(room)) = write
                && let Some(placed) = super::model::placed(room)
            {
                self.memory.durable_placement = self.memory.durable_placement.max(Some(placed.placement));
            }
        }
    }

    pub(crate) fn sync_all(&mut self) {
        self.end_batch();
        while !self.sealed.is_empty() {
            self.sync();
        }
    }

    fn run(&mut self, effect: &Effect) {
        orders::run(effect, &self.clients.durable, &mut self.cloud, self.now);
        if let Effect::Scale(ask) = effect {
            let answer = policies::scale(ask, self.scale, &self.model, &mut self.chance);
            if let Some(answer) = answer {
                let (faults, now) = (self.faults, self.now);
                self.cloud
                    .answer(Observation::Scaled(answer), faults, now, &mut self.chance);
            }
            return;
        }
        let (faults, now) = (self.faults, self.now);
        self.cloud.run(effect, &self.muted, faults, now, &mut self.chance);
    }

    /// The process ends: what was not durable never was. It starts again from what is.
    pub(crate) fn crash(&mut self, config: FleetConfig) {
        self.trace.note(self.steps, self.now, || "CRASH".into());
        self.coverage.count("crash");
        if self.chance.one_in(2)
            && let Some(batch) = self.sealed.pop_front()
        {
            // Durable, and nobody was told.
            self.coverage.count("crash.before_it_was_told");
            for (command, outcome) in &batch {
                self.clients.follow(command.as_ref(), outcome, false);
                self.note_durable(outcome);
            }
        }
        self.cloud.forget_the_process();
        self.clients.invariant_nothing_acknowledged_is_lost();
        self.memory.placement = self.memory.durable_placement;
        self.start(config);
        assert!(
            self.model.last_placement().0 <= self.memory.durable_placement.map_or(0, |last| last.0),
            "invariant_placement_numbers_grow: over a crash"
        );
        self.resumed();
        self.tick();
    }

    /// The data folder is lost with everything in it, and what exists goes on: a new installation of the same fleet starts.
    pub(crate) fn lose_the_store(&mut self) {
        self.trace.note(self.steps, self.now, || "THE STORE IS LOST".into());
        self.coverage.count("store.lost");
        if self.cloud.instances.values().any(|made| made.is_up(self.now)) {
            self.coverage.count("store.lost_with_servers");
        }
        self.cloud.forget_the_installation();
        self.clients = Clients::default();
        self.memory = Memory::default();
        self.paid = whole::Paid::default();
        self.start(self.model.config.clone());
        self.resumed();
        self.sync_all();
        self.tick();
    }

    /// A process starts with what is durable.
    fn start(&mut self, config: FleetConfig) {
        self.sealed.clear();
        self.open.clear();
        self.strangers.clear();
        self.now = self.now + Duration::from_millis(self.chance.below(20_000));
        self.model = Model::recovered(config.clone(), &self.clients.durable, self.now);
        let mut records: Vec<Record> = self.clients.durable.values().cloned().collect();
        self.chance.shuffle(&mut records);
        self.fleet = match records.is_empty() {
            true => Fleet::new(config, self.now),
            false => Fleet::recover(config, records, self.now),
        };
        self.readers = vec![Reader::default(); 3];
        self.is_honest = self.place != Temper::Lying;
    }

    /// Other policies serve from now on.
    pub(crate) fn change_policies(&mut self, place: Temper, scale: Temper) {
        self.place = place;
        self.scale = scale;
        self.is_honest = false;
        self.input(Input::Observation(Observation::PoliciesChanged));
        self.is_honest = place != Temper::Lying;
    }

    pub(crate) fn command(&mut self, command: Command) {
        self.input(Input::Command(command));
    }

    pub(crate) fn observe(&mut self, observation: Observation) {
        self.input(Input::Observation(observation));
    }
}
