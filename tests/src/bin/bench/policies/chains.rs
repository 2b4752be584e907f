//! Chains of policies over a real fleet, of which all but the last leave each room to the next.

use std::path::Path;

use anyhow::ensure;

use super::guests::Guests;
use super::world::World;
use crate::figures::{figure, median, progress};

/// Servers of the fleet.
const SERVERS: usize = 1_000;
/// Policies in a chain.
const LENGTHS: [usize; 3] = [1, 3, 8];
/// Placements that count; before each the oldest room is released.
const PLACEMENTS: usize = 20_000;
/// Placements before the first that counts.
const WARM_UP: usize = 500;

/// Prints the figures.
pub(super) fn measure(guests: &Guests) -> anyhow::Result<()> {
    for length in LENGTHS {
        progress(format_args!("a chain of {length} over {SERVERS} servers"));
        let dir = tempfile::tempdir()?;
        fill(dir.path(), guests, length)?;
        let mut world = World::new(SERVERS, dir.path())?;
        let mut took = Vec::with_capacity(PLACEMENTS);
        for number in 0..WARM_UP + PLACEMENTS {
            world.release();
            let placed = world.place()?;
            ensure!(
                placed.policy == "90-standard",
                "a room was decided by {}",
                placed.policy
            );
            if number >= WARM_UP {
                took.push(placed.chain.as_secs_f64() * 1e6);
            }
        }
        figure(
            &format!("chain_us_{length}"),
            format_args!("{:.2}", median(&took)),
            "us",
        )?;
        world.stop();
    }
    Ok(())
}

/// Puts policies into a folder: the standard one, and before it those that defer.
fn fill(dir: &Path, guests: &Guests, length: usize) -> anyhow::Result<()> {
    for number in 1..length {
        std::fs::write(dir.join(format!("{number:02}-defers.wasm")), &guests.defers)?;
    }
    std::fs::write(dir.join("90-standard.wasm"), &guests.standard)?;
    Ok(())
}
