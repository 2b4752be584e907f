//! Random worlds: a fleet in virtual time among commands, providers, servers, policies and crashes that do their worst.
//!
//! Each world follows from its seed. After each step named invariants are checked by an onlooker that keeps its own books
//! from inputs, replies and writes. `USHER_SIM_STEPS` sets how many steps all worlds make together, `USHER_SIM_SEED` runs the
//! world of one seed again, looking at everything after each step.

mod simulation {
    pub(crate) mod calm;
    pub(crate) mod chance;
    pub(crate) mod clients;
    pub(crate) mod cloud;
    pub(crate) mod coverage;
    pub(crate) mod herd;
    pub(crate) mod invariants;
    pub(crate) mod ledger;
    pub(crate) mod mishaps;
    pub(crate) mod model;
    pub(crate) mod moves;
    pub(crate) mod policies;
    pub(crate) mod reader;
    pub(crate) mod shapes;
    pub(crate) mod signs;
    pub(crate) mod trace;
    pub(crate) mod world;
}

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use simulation::coverage::Coverage;
use simulation::world::World;

/// Steps of all worlds together, unless `USHER_SIM_STEPS` says otherwise: two thousand worlds, in a quarter of a minute on two
/// cores. What a world does in its calm end comes on top.
const STEPS: u64 = 1_000_000;

/// Steps of one world before it ends in calm: so few that there are thousands of worlds, each with a shape and faults of its own.
const STEPS_A_WORLD: u64 = 500;

/// The first world's seed; the others follow it.
const FIRST_SEED: u64 = 1;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is a number, not {text:?}")),
    )
}

/// Lives one world to its end.
fn live(seed: u64, is_replay: bool) -> Coverage {
    let mut world = World::new(seed, is_replay);
    world.live(STEPS_A_WORLD);
    world.end_in_calm();
    let mut met = std::mem::take(&mut world.coverage);
    met.add(&world.cloud.met);
    met
}

/// Lives one world; where it fails, again and with a closer look, so that the first wrong step is shown.
fn check(seed: u64) -> Coverage {
    let failure = match catch_unwind(AssertUnwindSafe(|| live(seed, false))) {
        Ok(coverage) => return coverage,
        Err(failure) => failure,
    };
    eprintln!("the world of seed {seed} fails; once more, looking after each step; its last steps:");
    let again = catch_unwind(AssertUnwindSafe(|| live(seed, true)));
    eprintln!("run it again: USHER_SIM_SEED={seed} cargo test -p usher-fleet --test simulation random_worlds");
    resume_unwind(again.err().unwrap_or(failure));
}

#[test]
fn random_worlds_keep_every_invariant() {
    if let Some(seed) = number("USHER_SIM_SEED") {
        check(seed);
        return;
    }
    let steps = number("USHER_SIM_STEPS").unwrap_or(STEPS);
    let next = AtomicU64::new(0);
    let worlds = steps.div_ceil(STEPS_A_WORLD);
    let met = Mutex::new(Coverage::default());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let world = next.fetch_add(1, Ordering::Relaxed);
                    if world >= worlds {
                        return;
                    }
                    let coverage = check(FIRST_SEED + world);
                    met.lock().expect("no world fails with it in hand").add(&coverage);
                }
            });
        }
    });
    if steps >= STEPS {
        met.into_inner().expect("every world has ended well").check();
    }
}

#[test]
fn a_thousand_rooms_at_once_never_exceed_a_capacity_whatever_is_reported() {
    let seeds = number("USHER_SIM_SEED").map_or(0..5, |seed| seed..seed + 1);
    for seed in seeds {
        if let Err(failure) = catch_unwind(|| simulation::herd::a_thousand_rooms_herd(seed)) {
            eprintln!(
                "run it again: USHER_SIM_SEED={seed} cargo test -p usher-fleet --test simulation a_thousand_rooms"
            );
            resume_unwind(failure);
        }
    }
}
