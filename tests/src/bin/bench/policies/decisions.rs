//! One decision after one change, at one size of the fleet: natively, by the built-in, and in wasm.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{anyhow, ensure};
use usher::builtin::BuiltIn;
use usher::builtin::words::{self, Rows};
use usher_fleet::advice::Placement;
use usher_policy::{MadeUpFleet, MadeUpRoom, Native as _, Rehearsal, Rehearsed, Snapshot};
use usher_sdk::{Instance, Level, Moment};
use usher_standard::Standard;

use super::guests::Guests;
use crate::figures::{fast, figure, median};

/// Decisions in a batch: a quarter of a millisecond in wasm, which mostly passes without anybody else on the processor.
const BATCH: u64 = 256;
/// Batches in a row by each: the first of them finds the processor's memory full of another's view, the others do not.
const IN_A_ROW: u64 = 16;
/// What is judged.
pub(super) struct Costs {
    pub(super) native_us: f64,
    pub(super) native_place_us: f64,
    pub(super) built_in_us: f64,
    pub(super) wasm_us: f64,
}

/// All who decide over a fleet of one size, and what each batch took.
pub(super) struct Decisions {
    servers: usize,
    fleet: MadeUpFleet,
    native: Natively,
    built_in: BuiltInAlone,
    module: Module,
    batches: u64,
    native_us: Vec<f64>,
    native_place_us: Vec<f64>,
    built_in_us: Vec<f64>,
    wasm_us: Vec<f64>,
    fuel: Vec<f64>,
}

impl Decisions {
    pub(super) fn over(guests: &Guests, servers: usize) -> anyhow::Result<Decisions> {
        let fleet = MadeUpFleet::new(servers);
        let whole = fleet.snapshot();
        Ok(Decisions {
            servers,
            native: Natively::new(&whole)?,
            built_in: BuiltInAlone::new(&whole)?,
            module: Module::new(&guests.standard, &whole)?,
            fleet,
            batches: 0,
            native_us: Vec::new(),
            native_place_us: Vec::new(),
            built_in_us: Vec::new(),
            wasm_us: Vec::new(),
            fuel: Vec::new(),
        })
    }

    /// Has each decide the next batches.
    pub(super) fn take_turn(&mut self) -> anyhow::Result<()> {
        let numbers = self.batches..self.batches + IN_A_ROW;
        self.batches = numbers.end;
        let batches: Vec<Batch> = numbers.map(|batch| Batch::new(&mut self.fleet, batch)).collect();
        for batch in &batches {
            let [decision, answer] = self.native.take(batch)?;
            self.native_us.push(decision);
            self.native_place_us.push(answer);
        }
        // A copy is in the processor's memory, as is a request that has just been read.
        for batch in &batches {
            self.built_in_us.push(self.built_in.take(&batch.clone())?);
        }
        for batch in &batches {
            self.wasm_us.push(self.module.take(&batch.clone())?);
            self.fuel.push(self.module.fuel as f64 / BATCH as f64);
        }
        let chosen = self.module.chosen;
        ensure!(
            self.native.chosen == chosen && self.built_in.chosen == chosen,
            "with {} servers the answers are not the same natively, by the built-in and in wasm",
            self.servers
        );
        Ok(())
    }

    /// Prints the figures.
    pub(super) fn sum_up(self) -> anyhow::Result<Costs> {
        let costs = Costs {
            native_us: fast(&self.native_us),
            native_place_us: fast(&self.native_place_us),
            built_in_us: fast(&self.built_in_us),
            wasm_us: fast(&self.wasm_us),
        };
        let name = |figure: &str| format!("{figure}_{}", self.servers);
        figure(&name("native_us"), format_args!("{:.3}", costs.native_us), "us")?;
        figure(
            &name("native_place_us"),
            format_args!("{:.3}", costs.native_place_us),
            "us",
        )?;
        figure(&name("built_in_us"), format_args!("{:.3}", costs.built_in_us), "us")?;
        figure(&name("wasm_us"), format_args!("{:.3}", costs.wasm_us), "us")?;
        figure(&name("fuel"), format_args!("{:.0}", median(&self.fuel)), "fuel")?;
        let memory_mib = self.module.rehearsal.memory_bytes() as f64 / f64::from(1 << 20);
        figure(&name("memory_mib"), format_args!("{memory_mib:.1}"), "MiB")?;
        Ok(costs)
    }
}

/// Changes and questions that were made before any time is taken.
#[derive(Clone)]
struct Batch(Vec<(Snapshot, MadeUpRoom)>);

impl Batch {
    fn new(fleet: &mut MadeUpFleet, number: u64) -> Batch {
        let numbers = number * BATCH..(number + 1) * BATCH;
        Batch(numbers.map(|n| (fleet.change(n), fleet.room(n))).collect())
    }
}

/// Returns the microseconds of one of a batch's decisions.
fn each(took: Duration) -> f64 {
    took.as_secs_f64() * 1e6 / BATCH as f64
}

/// What was chosen so far, summed up so that the order counts.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Chosen(u64);

impl Chosen {
    fn add(&mut self, server: u32) {
        self.0 = self.0.wrapping_mul(31).wrapping_add(u64::from(server));
    }
}

/// The SDK's instance, with nothing around it.
pub(super) struct Natively {
    pub(super) instance: Instance<Standard>,
    chosen: Chosen,
}

impl Natively {
    pub(super) fn new(whole: &Snapshot) -> anyhow::Result<Natively> {
        let mut rows = Rows::default();
        rows.sort(&whole.rows, &[]);
        let mut instance = Instance::configure("{}", Level::Error).map_err(|error| anyhow!(error))?;
        let now = whole.now.seconds();
        instance.update(now, rows.rare);
        instance.usages(&rows.usages).map_err(|error| anyhow!(error))?;
        Ok(Natively {
            instance,
            chosen: Chosen::default(),
        })
    }

    /// Returns what a decision took, and what its answer alone takes once all rows have changed.
    fn take(&mut self, batch: &Batch) -> anyhow::Result<[f64; 2]> {
        let mut rows = Rows::default();
        let questions = batch.0.iter().map(|(change, room)| {
            rows.sort(&change.rows, &[]);
            let ask = room.ask(change.now);
            let moment = Moment::of_room(ask.now.seconds(), ask.room.as_str());
            (words::request(&ask), moment)
        });
        let questions: Vec<_> = questions.collect();
        let began = Instant::now();
        for (row, (request, moment)) in rows.usages.iter().zip(&questions) {
            let told = self.instance.usages(std::slice::from_ref(row));
            told.map_err(|error| anyhow!(error))?;
            if let usher_sdk::Placement::On(server) = self.instance.place(request, *moment).placement {
                self.chosen.add(server);
            }
        }
        let decision = each(began.elapsed());
        let began = Instant::now();
        for (request, moment) in &questions {
            black_box(self.instance.place(request, *moment));
        }
        Ok([decision, each(began.elapsed())])
    }
}

/// The host's built-in, as a chain asks it.
struct BuiltInAlone {
    built_in: BuiltIn,
    chosen: Chosen,
}

impl BuiltInAlone {
    fn new(whole: &Snapshot) -> anyhow::Result<BuiltInAlone> {
        let mut built_in = BuiltIn::new("{}").map_err(|error| anyhow!(error))?;
        let told = built_in.update(whole.now, &whole.rows);
        told.map_err(|error| anyhow!(error))?;
        Ok(BuiltInAlone {
            built_in,
            chosen: Chosen::default(),
        })
    }

    fn take(&mut self, batch: &Batch) -> anyhow::Result<f64> {
        let began = Instant::now();
        for (change, room) in &batch.0 {
            let told = self.built_in.update(change.now, &change.rows);
            let advice = told.and_then(|()| self.built_in.place(&room.ask(change.now)));
            if let Placement::On(server) = advice.map_err(|error| anyhow!(error))?.placement {
                self.chosen.add(server.0);
            }
        }
        Ok(each(began.elapsed()))
    }
}

/// An instance of the module.
struct Module {
    rehearsal: Rehearsal,
    chosen: Chosen,
    /// Of the last batch's questions.
    fuel: u64,
}

impl Module {
    fn new(wasm: &[u8], whole: &Snapshot) -> anyhow::Result<Module> {
        let mut rehearsal = Rehearsed::prepare("90-standard.wasm", wasm.to_vec(), None)?.start()?;
        told(rehearsal.feed(whole))?;
        Ok(Module {
            rehearsal,
            chosen: Chosen::default(),
            fuel: 0,
        })
    }

    fn take(&mut self, batch: &Batch) -> anyhow::Result<f64> {
        self.fuel = 0;
        let began = Instant::now();
        for (change, room) in &batch.0 {
            let asked = self.rehearsal.place(change, &room.ask(change.now));
            self.fuel += asked.fuel;
            if let Placement::On(server) = told(asked.advice)?.placement {
                self.chosen.add(server.0);
            }
        }
        Ok(each(began.elapsed()))
    }
}

/// Puts a fault into words.
pub(super) fn told<T>(answer: Result<T, usher_fleet::advice::Fault>) -> anyhow::Result<T> {
    answer.map_err(|fault| anyhow!("the guest has faulted: {}", fault.message))
}
