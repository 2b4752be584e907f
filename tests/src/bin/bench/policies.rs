//! What policies cost: a decision natively and in wasm whatever the size of the fleet, chains of them, and their replacement.
//!
//! `N` is a number of servers; a decision is the standard policy's about one room, after one server's row has changed.
//!
//! | figure | is |
//! |---|---|
//! | `native_us_N` | a decision asked of the SDK's `Instance<Standard>` |
//! | `native_place_us_N` | of it the answer alone, which the SDK's indexes find; the rest is the changed row, which lies anywhere in memory |
//! | `built_in_us_N` | of the host's built-in, which turns the host's rows and questions into the SDK's first |
//! | `wasm_us_N` | of `90-standard.wasm` by the chain's own way into a module, with fuel and all limits |
//! | `guest_over_native_N` | the time inside the guest, natively 1; see `inside` |
//! | `fuel_N`, `memory_mib_N`, `rebuild_ms_N` | what one `place` takes, what an instance has, and how long a new one takes to know all |
//! | `snapshot_us_N`, `json_us_N` | a decision where the guest is told all servers each time, in rows or as JSON |
//! | `chain_us_L` | a decision by the last of L policies, over 1,000 servers of a real fleet |
//! | `swap_us_N`, `place_max_us_N`, `place_max_quiet_us_N` | while versions are replaced: the driver's part of it, and the slowest placement then and without |
//! | `place_added_us_N` | what a replacement adds to the slowest placement: the median replacement's, less the median's of as many times as long without |
//!
//! The bars: wasm at most native + 1.5 µs at any size; inside the guest at most 1.5 times native; a decision at 100,000 servers at
//! most 5 times one at 10; a replacement adds at most a millisecond to the slowest placement.
//!
//! What is compared is timed in turns, so that whatever else the machine does falls on all. Decisions of all sizes take turns for ten
//! seconds, in short batches, of which what the fastest twentieth took counts: a virtual machine takes up to twice as long, for seconds at a
//! time, while another has the other half of its processor. Each batch's answers are held together, so that none is fast because it decides
//! something else. Of four rooms three name a region, and one has a label; none has a tenant.

mod alternatives;
mod chains;
mod decisions;
mod guests;
mod inside;
mod replacing;
mod world;

use std::path::Path;

use crate::figures::progress;
use decisions::{Costs, Decisions};
use guests::Guests;

/// Sizes of the fleet.
const SIZES: [usize; 5] = [10, 100, 1_000, 10_000, 100_000];
/// Turns of each size.
const TURNS: usize = 100;
/// The longest that a decision may take in wasm beyond native, in microseconds.
const CALL_US_MAX: f64 = 1.5;
/// The most that time inside the guest may be, natively 1.
const GUEST_OVER_NATIVE_MAX: f64 = 1.5;
/// How many times a decision in the largest fleet may be one in the smallest.
const GROWTH_MAX: f64 = 5.0;

/// Prints all figures; guests are built into a folder beside `target`'s programs.
pub(crate) fn measure(policy: &Path, target: &Path) -> anyhow::Result<()> {
    let guests = Guests::build(policy, &target.join("guests"))?;
    progress(format_args!("decisions among {SIZES:?} servers"));
    let sizes = SIZES.iter().map(|servers| Decisions::over(&guests, *servers));
    let mut sizes = sizes.collect::<anyhow::Result<Vec<_>>>()?;
    for _ in 0..TURNS {
        sizes.iter_mut().try_for_each(Decisions::take_turn)?;
    }
    let costs = sizes.into_iter().map(Decisions::sum_up);
    let costs = costs.collect::<anyhow::Result<Vec<_>>>()?;
    progress(format_args!("inside the guest among {SIZES:?} servers"));
    judge(&costs, &inside::measure(&guests, &SIZES, TURNS)?);
    alternatives::measure(&guests)?;
    chains::measure(&guests)?;
    replacing::measure(&guests)
}

/// Says whether the bars hold.
fn judge(costs: &[Costs], guest_over_native: &[f64]) {
    let most = |of: fn(&Costs) -> f64| costs.iter().map(of).fold(f64::MIN, f64::max);
    let grown = |of: fn(&Costs) -> f64| match costs {
        [first, .., last] => of(last) / of(first),
        _ => 1.0,
    };
    say(
        "us of wasm beyond native",
        most(|costs| costs.wasm_us - costs.native_us),
        CALL_US_MAX,
    );
    say(
        "inside the guest, natively 1",
        guest_over_native.iter().copied().fold(f64::MIN, f64::max),
        GUEST_OVER_NATIVE_MAX,
    );
    say(
        "growth from the smallest fleet to the largest, in wasm",
        grown(|costs| costs.wasm_us),
        GROWTH_MAX,
    );
    say(
        "growth of a native answer, without the change that it follows",
        grown(|costs| costs.native_place_us),
        GROWTH_MAX,
    );
    say(
        "growth by the built-in, with the change",
        grown(|costs| costs.built_in_us),
        GROWTH_MAX,
    );
    say(
        "growth of the SDK alone, with the change",
        grown(|costs| costs.native_us),
        GROWTH_MAX,
    );
}

/// Says whether one bar holds.
fn say(what: &str, value: f64, max: f64) {
    let verdict = if value <= max { "holds" } else { "is broken" };
    progress(format_args!("{what}: {value:.2}, at most {max}: {verdict}"));
}
