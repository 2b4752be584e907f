//! A version replaced by another while rooms are placed as fast as can be: what it takes, and what the placements feel of it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use usher_fleet::event::PolicyEvent;
use usher_policy::{Rehearsed, Snapshot};

use super::decisions::told;
use super::guests::Guests;
use super::say;
use super::world::World;
use crate::figures::{figure, median, progress};

/// Sizes of the fleet.
const SIZES: [usize; 2] = [10_000, 100_000];
/// Replacements, and instances that are built.
const TIMES: usize = 15;
/// The most that a replacement may add to the slowest placement, in microseconds.
const ADDED_US_MAX: f64 = 1_000.0;
/// The longest that a replacement takes.
const REPLACED_MAX: Duration = Duration::from_secs(20);

/// Prints the figures.
pub(super) fn measure(guests: &Guests) -> anyhow::Result<()> {
    for servers in SIZES {
        progress(format_args!(
            "versions are replaced among {servers} servers, under load"
        ));
        let dir = tempfile::tempdir()?;
        std::fs::write(dir.path().join("90-standard.wasm"), &guests.standard)?;
        let mut load = Load {
            world: World::new(servers, dir.path())?,
            swaps: Vec::new(),
        };
        let name = |figure: &str| format!("{figure}_{servers}");
        let rebuilds = median(&load.rebuild(guests)?);
        figure(&name("rebuild_ms"), format_args!("{rebuilds:.1}"), "ms")?;
        let (mut replacing, mut quiet) = (Vec::new(), Vec::new());
        for number in 1..=TIMES {
            let began = Instant::now();
            replacing.push(micros(load.replace(dir.path(), number)?));
            let (took, began) = (began.elapsed(), Instant::now());
            quiet.push(micros(load.place_until(|_| Ok(began.elapsed() > took))?));
        }
        let most = |slowest: &[f64]| slowest.iter().copied().fold(0.0, f64::max);
        let added = median(&replacing) - median(&quiet);
        figure(&name("swap_us"), format_args!("{:.1}", median(&load.swaps)), "us")?;
        figure(&name("place_max_us"), format_args!("{:.0}", most(&replacing)), "us")?;
        figure(&name("place_max_quiet_us"), format_args!("{:.0}", most(&quiet)), "us")?;
        figure(&name("place_added_us"), format_args!("{added:.0}"), "us")?;
        let what = format!("us that a replacement adds to the slowest placement among {servers} servers");
        say(&what, added, ADDED_US_MAX);
        load.world.stop();
    }
    Ok(())
}

fn micros(took: Duration) -> f64 {
    took.as_secs_f64() * 1e6
}

/// Placements without a pause, as a driver does them whose mailbox is never empty.
struct Load {
    world: World,
    /// What the driver's part of each replacement took, in microseconds.
    swaps: Vec<f64>,
}

impl Load {
    /// Places rooms until something is so, and returns the slowest placement with all that came before it in the driver.
    fn place_until(&mut self, mut is_so: impl FnMut(&World) -> anyhow::Result<bool>) -> anyhow::Result<Duration> {
        let mut slowest = Duration::ZERO;
        while !is_so(&self.world)? {
            let began = Instant::now();
            if let Some(took) = self.world.between_inputs() {
                self.swaps.push(micros(took));
            }
            self.world.place()?;
            slowest = slowest.max(began.elapsed());
            self.world.release();
        }
        Ok(slowest)
    }

    /// Puts other settings beside the module, and places rooms until the new version has taken over.
    fn replace(&mut self, dir: &Path, number: usize) -> anyhow::Result<Duration> {
        let part = dir.join(".part");
        std::fs::write(&part, format!("headroom_percent = {number}\n"))?;
        std::fs::rename(part, dir.join("90-standard.toml"))?;
        let (began, swaps) = (Instant::now(), self.swaps.len());
        let mut is_loaded = false;
        let slowest = self.place_until(|world| {
            ensure!(began.elapsed() < REPLACED_MAX, "the version is never replaced");
            match world.event() {
                None => {}
                Some(PolicyEvent::Loaded(_)) => is_loaded = true,
                Some(other) => bail!("the version does not serve: {other:?}"),
            }
            Ok(is_loaded)
        })?;
        // What was handed over is taken in before the next placement.
        let after = self.place_until({
            let mut placements = 0;
            move |_| {
                placements += 1;
                Ok(placements > 2)
            }
        })?;
        ensure!(self.swaps.len() > swaps, "the chain has not taken in the new version");
        Ok(slowest.max(after))
    }

    /// Builds instances on another thread, each told the whole view, and returns the milliseconds of each.
    fn rebuild(&mut self, guests: &Guests) -> anyhow::Result<Vec<f64>> {
        let rehearsed = Rehearsed::prepare("90-standard.wasm", guests.standard.clone(), None)?;
        let view = self.world.snapshot();
        let is_done = Arc::new(AtomicBool::new(false));
        let building = thread::spawn({
            let is_done = is_done.clone();
            move || {
                let built = (0..TIMES).map(|_| build(&rehearsed, &view)).collect();
                is_done.store(true, Ordering::Release);
                built
            }
        });
        self.place_until(|_| Ok(is_done.load(Ordering::Acquire)))?;
        building.join().ok().context("the thread that builds has panicked")?
    }
}

fn build(rehearsed: &Rehearsed, view: &Snapshot) -> anyhow::Result<f64> {
    let began = Instant::now();
    let mut instance = rehearsed.start()?;
    told(instance.feed(view))?;
    Ok(began.elapsed().as_secs_f64() * 1e3)
}
