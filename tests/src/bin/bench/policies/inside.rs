//! The time inside the guest, told from the time that its calls take.
//!
//! A call costs what it costs whatever is asked: strings are copied and allocated, fuel is filled, two worlds are crossed. To
//! subtract an empty guest's call would take one small difference of two larger numbers; instead a guest (`tests/guests/turns`) takes
//! thousands of turns of the standard policy within one call, each a changed row and a question, and the same code takes the same turns
//! natively. Their sums are held together.

use std::time::{Duration, Instant};

use anyhow::ensure;
use usher_fleet::Timestamp;
use usher_fleet::advice::{Direction, ScaleAdvice};
use usher_guest_turns::Turns;
use usher_policy::{MadeUpFleet, Rehearsal, Rehearsed};
use usher_sdk::Moment;

use super::decisions::{Natively, told};
use super::guests::Guests;
use crate::figures::{fast, figure};

/// Turns in a call: a millisecond, a thousand times what the call costs.
const TURNS: u32 = 2_000;
/// Calls in a row, of guest and of native code in turns.
const IN_A_ROW: u32 = 8;

/// Measures over fleets of these sizes, and returns the time inside the guest of each, natively 1.
pub(super) fn measure(guests: &Guests, sizes: &[usize], rounds: usize) -> anyhow::Result<Vec<f64>> {
    let fleets = sizes.iter().map(|servers| Inside::over(guests, *servers));
    let mut fleets = fleets.collect::<anyhow::Result<Vec<_>>>()?;
    for _ in 0..rounds {
        fleets.iter_mut().try_for_each(Inside::take_turns)?;
    }
    let mut ratios = Vec::new();
    for (fleet, servers) in fleets.iter().zip(sizes) {
        let ratio = fast(&fleet.in_guest) / fast(&fleet.natively);
        figure(
            &format!("guest_over_native_{servers}"),
            format_args!("{ratio:.2}"),
            "ratio",
        )?;
        ratios.push(ratio);
    }
    Ok(ratios)
}

/// The turns over a fleet of one size, on both sides.
struct Inside {
    now: Timestamp,
    guest: Rehearsal,
    turns: Turns,
    in_guest: Vec<f64>,
    natively: Vec<f64>,
}

impl Inside {
    fn over(guests: &Guests, servers: usize) -> anyhow::Result<Inside> {
        let whole = MadeUpFleet::new(servers).snapshot();
        let mut guest = Rehearsed::prepare("turns.wasm", guests.turns.clone(), None)?.start()?;
        told(guest.feed(&whole))?;
        let native = Natively::new(&whole)?;
        let fleet = native.instance.fleet();
        let mut turns = Turns::new(fleet, Moment::at(whole.now.seconds()));
        // A view of the turns' own, on both sides.
        while (ask(&mut guest, whole.now, 0)?.0 as usize) < fleet.servers_len() {}
        while (turns.copy(fleet) as usize) < fleet.servers_len() {}
        Ok(Inside {
            now: whole.now,
            guest,
            turns,
            in_guest: Vec::new(),
            natively: Vec::new(),
        })
    }

    /// Has both take the next turns.
    fn take_turns(&mut self) -> anyhow::Result<()> {
        for _ in 0..IN_A_ROW {
            let (sum, inside) = ask(&mut self.guest, self.now, TURNS)?;
            let began = Instant::now();
            let expected = self.turns.take(TURNS);
            self.natively.push(began.elapsed().as_secs_f64());
            self.in_guest.push(inside.as_secs_f64());
            ensure!(
                sum == expected,
                "the guest's turns are not those that are taken natively"
            );
        }
        Ok(())
    }
}

/// Asks the guest for turns, or where there are none for the next piece of its view; returns its answer and its time.
fn ask(guest: &mut Rehearsal, now: Timestamp, turns: u32) -> anyhow::Result<(u32, Duration)> {
    let mut ask = MadeUpFleet::new(0).scale_ask(Direction::Up, 1);
    ask.now = now;
    ask.demand.waiting_rooms = turns;
    let asked = guest.scale(&ask);
    match told(asked.advice)? {
        ScaleAdvice::Up(growths) if growths.len() == 1 => Ok((growths[0].servers, asked.took)),
        ScaleAdvice::Up(_) | ScaleAdvice::Down(_) => anyhow::bail!("`turns` answered a question that it was not asked"),
    }
}
