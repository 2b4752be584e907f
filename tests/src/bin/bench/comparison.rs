//! Placements of the host beside requests of bare hyper, in turns, so that whatever else the machine does falls on both.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;

use crate::bare::Bare;
use crate::figures::{Latencies, figure, median, progress};
use crate::host::{Batches, Host, Installation, ROOMS_PER_SERVER, SERVERS};
use crate::load::{self, End, Placed, Round};

/// Connections at the same time: a few app servers, and many.
const CONNECTIONS: [usize; 2] = [64, 256];
/// Turns of each; the median of them is what counts. Many short ones: what else the machine does comes and goes.
const TURNS: usize = 11;
/// How long a turn lasts on each side: hundreds of batches.
const TURN: Duration = Duration::from_millis(1000);
/// The turn before the first, which is not counted: memory and caches are as in the others then.
const WARM_UP: Duration = Duration::from_millis(2000);
/// Servers pack to the last room; but a turn is about placing, not about a full fleet.
const ROOMS_MAX: usize = SERVERS * ROOMS_PER_SERVER * 9 / 10;

/// Prints rates, their ratio and latencies for each number of connections.
pub(crate) async fn measure(usher: &Path, policy: &Path, target: &Path) -> anyhow::Result<()> {
    let installation = Installation::new(usher, policy, target, ROOMS_PER_SERVER)?;
    let host = installation.start().await?;
    host.register(SERVERS).await?;
    let bare = Bare::start(&host.sample().await?)?;
    let mut round = Round(1);
    for connections in CONNECTIONS {
        turn(&host, &bare, connections, &mut round, WARM_UP).await?;
        let mut turns = Turns::default();
        for number in 1..=TURNS {
            let (placed, answered) = turn(&host, &bare, connections, &mut round, TURN).await?;
            let (ours, theirs) = (placed.per_second, answered.per_second);
            progress(format_args!(
                "turn {number} of {TURNS}, {connections} connections: {ours:.0} placements/s, bare hyper {theirs:.0} requests/s"
            ));
            turns.add(&placed, &answered);
        }
        turns.print(connections)?;
    }
    host.stop().await
}

#[derive(Default)]
struct Turns {
    ratios: Vec<f64>,
    placements: Vec<f64>,
    requests: Vec<f64>,
    latencies: Latencies,
}

impl Turns {
    fn add(&mut self, placed: &Placed, answered: &Placed) {
        self.ratios.push(placed.per_second / answered.per_second);
        self.placements.push(placed.per_second);
        self.requests.push(answered.per_second);
        self.latencies.merge(&placed.latencies);
    }

    fn print(&mut self, connections: usize) -> anyhow::Result<()> {
        let name = |figure: &str| format!("{figure}_{connections}");
        figure(&name("ratio"), format_args!("{:.3}", median(&self.ratios)), "ratio")?;
        let per_second = |values: &[f64]| format!("{:.0}", median(values));
        figure(&name("placements_per_second"), per_second(&self.placements), "1/s")?;
        figure(&name("hyper_requests_per_second"), per_second(&self.requests), "1/s")?;
        figure(&name("place_p50_us"), self.latencies.micros_at(500), "us")?;
        figure(&name("place_p99_us"), self.latencies.micros_at(990), "us")
    }
}

/// Measures one after the other: the host, then bare hyper; then gives the rooms back.
async fn turn(
    host: &Host,
    bare: &Bare,
    connections: usize,
    round: &mut Round,
    after: Duration,
) -> anyhow::Result<(Placed, Placed)> {
    round.0 += 1;
    let end = End {
        after,
        rooms_max: ROOMS_MAX,
    };
    let (asked, batches) = (host.asked().await?, host.batches().await?);
    let mut placed = load::place(host.address, connections, *round, end).await?;
    let (asked_then, batches_then) = (host.asked().await?, host.batches().await?);
    let rooms = placed.rooms.len() as u64;
    ensure!(
        asked_then.by_wasm - asked.by_wasm == rooms && asked_then.by_built_in == asked.by_built_in,
        "{rooms} rooms were placed, but the policies were asked from {asked:?} to {asked_then:?}"
    );
    hint(batches_then.since(batches));
    let rooms = std::mem::take(&mut placed.rooms);
    load::release(host.address, rooms).await?;
    host.settle().await?;
    // Bare hyper keeps no rooms: there is nothing to give back, and no end but the time.
    let end = End {
        after,
        rooms_max: usize::MAX,
    };
    let answered = load::place(bare.address, connections, *round, end).await?;
    Ok((placed, answered))
}

/// Says where the time may go.
fn hint(batches: Batches) {
    let each = batches.count.max(1.0);
    progress(format_args!(
        "    {:.0} batches of {:.1} inputs, synced in {:.0} us each",
        batches.count,
        batches.inputs / each,
        batches.sync_seconds / each * 1e6
    ));
}
