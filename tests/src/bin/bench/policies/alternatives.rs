//! Why the contract pushes changes: the same decision where the guest is told all servers each time, in rows or as JSON.
//!
//! Numbers alone, which favours both: names, regions and labels are left where they are. `snapshot_us_N` sends every server's row
//! by the chain's way into `90-standard.wasm`, and asks it; that the host has to gather them first is not counted. `json_us_N` writes
//! the servers as JSON and asks a guest (`tests/guests/json`) that parses it and looks at each; the text has only what it needs.

use std::time::Instant;

use anyhow::ensure;
use usher_fleet::advice::{Direction, ScaleAdvice};
use usher_fleet::view::{Cursor, HealthView, HoldView, PhaseView, ViewChange};
use usher_guest_json::{Row, fullest};
use usher_policy::{MadeUpFleet, Rehearsed, Snapshot};
use usher_sdk::Size;

use super::decisions::told;
use super::guests::Guests;
use crate::figures::{fast, figure, progress};

/// Sizes of the fleet; beyond, a text of all servers takes more fuel than a call has.
const SIZES: [usize; 4] = [10, 100, 1_000, 10_000];
/// Rows that are sent or written for each figure, over all its calls: half a second's worth.
const ROWS: usize = 400_000;
/// The least and the most calls of a figure.
const CALLS: (usize, usize) = (20, 2_000);

/// Prints the figures.
pub(super) fn measure(guests: &Guests) -> anyhow::Result<()> {
    for servers in SIZES {
        progress(format_args!("all of {servers} servers with each question"));
        let calls = (ROWS / servers).clamp(CALLS.0, CALLS.1);
        let us = format!("{:.1}", snapshot_us(guests, servers, calls)?);
        figure(&format!("snapshot_us_{servers}"), us, "us")?;
        let us = format!("{:.1}", json_us(guests, servers, calls)?);
        figure(&format!("json_us_{servers}"), us, "us")?;
    }
    Ok(())
}

fn snapshot_us(guests: &Guests, servers: usize, calls: usize) -> anyhow::Result<f64> {
    let fleet = MadeUpFleet::new(servers);
    let whole = fleet.snapshot();
    let mut guest = Rehearsed::prepare("90-standard.wasm", guests.standard.clone(), None)?.start()?;
    told(guest.feed(&whole))?;
    let is_usage = |row: &ViewChange| matches!(row, ViewChange::Usage(_));
    let mut usages = Snapshot {
        rows: whole.rows.into_iter().filter(is_usage).collect(),
        ..whole
    };
    let mut took = Vec::new();
    for call in 0..calls as u64 {
        let room = fleet.room(call);
        let began = Instant::now();
        usages.cursor = Cursor(usages.cursor.0 + 1);
        told(guest.place(&usages, &room.ask(usages.now)).advice)?;
        took.push(began.elapsed().as_secs_f64() * 1e6);
    }
    Ok(fast(&took))
}

fn json_us(guests: &Guests, servers: usize, calls: usize) -> anyhow::Result<f64> {
    let fleet = MadeUpFleet::new(servers);
    let whole = fleet.snapshot();
    let rows = rows(&whole);
    let mut guest = Rehearsed::prepare("json.wasm", guests.json.clone(), None)?.start()?;
    told(guest.feed(&whole))?;
    let mut ask = fleet.scale_ask(Direction::Up, 1);
    ask.demand.wants.truncate(1);
    let size = ask.demand.wants.first().map_or(Size::default(), |want| Size {
        seats: want.seats_largest,
        load: want.load_largest,
    });
    let mut took = Vec::new();
    for _ in 0..calls {
        let began = Instant::now();
        for want in &mut ask.demand.wants {
            want.labels = [("servers".to_owned(), serde_json::to_string(&rows)?)].into();
        }
        let advice = told(guest.scale(&ask).advice)?;
        took.push(began.elapsed().as_secs_f64() * 1e6);
        let ScaleAdvice::Up(growths) = advice else {
            anyhow::bail!("`json` answered a question that it was not asked");
        };
        ensure!(
            growths.iter().map(|growth| growth.servers).eq(fullest(&rows, size)),
            "the guest has not chosen the fullest server"
        );
    }
    Ok(fast(&took))
}

fn rows(whole: &Snapshot) -> Vec<Row> {
    let limits = whole.rows.iter().filter_map(|row| match row {
        ViewChange::ServerSet(row) => Some((row.rooms_max, row.seats_max, row.load_max)),
        _ => None,
    });
    let usages = whole.rows.iter().filter_map(|row| match row {
        ViewChange::Usage(row) => Some(row),
        _ => None,
    });
    let row = |((rooms_max, seats_max, load_max), usage): ((u32, u32, u32), &usher_fleet::view::UsageRow)| Row {
        id: usage.no.0,
        is_serving: usage.phase == PhaseView::Ready
            && usage.hold == HoldView::Free
            && usage.health != HealthView::Silent,
        rooms: usage.rooms,
        seats: usage.seats,
        load: usage.load,
        rooms_max,
        seats_max,
        load_max,
    };
    limits.zip(usages).map(row).collect()
}
