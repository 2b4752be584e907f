//! How long a host with many rooms takes from its start to being ready, and how much memory it has then.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::figures::{figure, progress};
use crate::host::{Host, Installation, ROOMS_PER_SERVER, SERVERS};
use crate::load::{self, End, Round};

/// Rooms that live when it ends.
const ROOMS: usize = 100_000;
/// Connections that place them.
const CONNECTIONS: usize = 250;
/// The longest that it takes to place them.
const FILL_MAX: Duration = Duration::from_secs(60);
/// The longest until the driver has told how many rooms live, which it does once a second.
const TOLD_MAX: Duration = Duration::from_secs(5);

/// Prints the figures.
pub(crate) async fn measure(usher: &Path, policy: &Path, target: &Path) -> anyhow::Result<()> {
    let installation = Installation::new(usher, policy, target, ROOMS_PER_SERVER)?;
    let host = installation.start().await?;
    let empty = host.ready_after;
    host.register(SERVERS).await?;
    let end = End {
        after: FILL_MAX,
        rooms_max: ROOMS,
    };
    let placed = load::place(host.address, CONNECTIONS, Round(0), end).await?;
    ensure!(
        placed.rooms.len() == ROOMS,
        "only {} rooms were placed",
        placed.rooms.len()
    );
    progress(format_args!(
        "{ROOMS} rooms placed, {:.0} a second; with {:.0} MiB. An empty host was ready after {:.2} s",
        placed.per_second,
        host.resident_mib()?,
        empty.as_secs_f64()
    ));
    host.stop().await?;

    let host = installation.start().await?;
    let resident_mib = host.resident_mib()?;
    ensure_recovered(&host).await?;
    figure(
        "restart_seconds",
        format_args!("{:.2}", host.ready_after.as_secs_f64()),
        "s",
    )?;
    figure("resident_mib", format_args!("{resident_mib:.0}"), "MiB")?;
    host.stop().await
}

async fn ensure_recovered(host: &Host) -> anyhow::Result<()> {
    let began = Instant::now();
    let mut rooms = host.rooms().await?;
    while rooms != ROOMS as f64 && began.elapsed() < TOLD_MAX {
        tokio::time::sleep(Duration::from_millis(50)).await;
        rooms = host.rooms().await?;
    }
    ensure!(
        rooms == ROOMS as f64,
        "after the restart {rooms} rooms live, not {ROOMS}"
    );
    Ok(())
}
