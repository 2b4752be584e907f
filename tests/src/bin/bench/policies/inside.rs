//! The time inside the guest, told from the time that its calls take.
//!
//! A call costs what it costs whatever is asked: strings are copied and allocated, fuel is filled, two worlds are crossed. To
//! subtract an empty guest's call would take one small difference of two larger numbers; instead a guest (`tests/guests/turns`) takes
//! thousands of turns of the standard policy within one call, each a changed row and a question, and the same code takes the same turns
//! natively. Their sums are held together.

use std::time::Instant;

use anyhow::ensure;
use usher_fleet::advice::{Direction, ScaleAdvice};
use usher_guest_turns::Turns;
use usher_policy::{MadeUpFleet, Rehearsed, Snapshot};
use usher_sdk::Moment;

use super::decisions::{Natively, told};
use super::guests::Guests;
use crate::figures::median;

/// Turns in a call: a millisecond, a thousand times what the call costs.
const TURNS: u32 = 2_000;
/// Calls that count.
const CALLS: u32 = 200;

/// Returns the time inside the guest, natively 1.
pub(super) fn measure(guests: &Guests, whole: &Snapshot) -> anyhow::Result<f64> {
    let mut guest = Rehearsed::prepare("turns.wasm", guests.turns.clone(), None)?.start()?;
    told(guest.feed(whole))?;
    let native = Natively::new(whole)?;
    let mut turns = None;
    let mut ratios = Vec::new();
    for call in 0..=CALLS {
        let mut ask = MadeUpFleet::new(0).scale_ask(Direction::Up, call);
        ask.now = whole.now;
        // The first call makes the guest's own view, and its natively.
        ask.demand.waiting_rooms = if call == 0 { 0 } else { TURNS };
        let asked = guest.scale(&ask);
        let turns = turns.get_or_insert_with(|| Turns::new(native.instance.fleet(), Moment::at(whole.now.seconds())));
        let began = Instant::now();
        let sum = turns.take(ask.demand.waiting_rooms);
        let natively = began.elapsed();
        let ScaleAdvice::Up(growths) = told(asked.advice)? else {
            anyhow::bail!("`turns` answered a question that it was not asked");
        };
        ensure!(
            growths.iter().map(|growth| growth.servers).eq([sum]),
            "the guest's turns are not those that are taken natively"
        );
        if call > 0 {
            ratios.push(asked.took.as_secs_f64() / natively.as_secs_f64());
        }
    }
    Ok(median(&ratios))
}
