//! The last gates: a fresh instance is told the whole view, and asked once for each decision that it takes.
//!
//! What it answers is shown to nobody, but must make sense: an answer that names a server or a pool which is not in the view
//! that the policy was given a moment before comes from a mistake that would cost every room a question.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use usher_fleet::Timestamp;
use usher_fleet::advice::{Demand, Direction, PlaceAsk, Placement, ScaleAdvice, ScaleAsk};
use usher_fleet::config::Labels;
use usher_fleet::decision::DecisionPoint;
use usher_fleet::ids::{DecisionNo, PoolNo, RoomId, ServerNo};
use usher_fleet::view::{Cursor, ViewChange};

use crate::loading::LoadError;
use crate::options::{PART_CHANGES_MAX, PolicyHost, Snapshot};
use crate::recipe::Recipe;
use crate::wasm::{Pace, Serving, ViewSource};

/// How long an instance is told what has changed before it serves all the same. The standard policy takes in a quarter of a million
/// changes meanwhile; a fleet that changes faster than a guest can hear would never be caught up with, and the loader has other policies
/// to look after.
const CATCH_UP_MAX: Duration = Duration::from_secs(1);

/// The room that is asked about. Its name tells a policy's author in the log what it was.
const ROOM: &str = "usher-trial";

/// Starts an instance, tells it the whole view and asks it once for each of `decisions`. One that fails with what it has learned
/// and not without it is started without: whatever it has learned can be learned again.
///
/// # Errors
/// The gate at which it failed.
pub(crate) fn try_out(
    recipe: &Recipe,
    learned: Option<&[u8]>,
    view: &Snapshot,
    decisions: &[DecisionPoint],
) -> Result<Serving, LoadError> {
    match try_with(recipe, learned, view, decisions) {
        Err(error) if learned.is_some() => {
            let mut instance = try_with(recipe, None, view, decisions)?;
            instance.forget(error.to_string());
            Ok(instance)
        }
        tried => tried,
    }
}

/// Tries out an instance that is to place rooms, and lets it catch up with the fleet; see [`try_out`].
///
/// # Errors
/// The gate at which it failed.
pub(crate) fn try_out_placing(
    host: &dyn PolicyHost,
    recipe: &Recipe,
    learned: Option<&[u8]>,
    view: &Snapshot,
) -> Result<Serving, LoadError> {
    let mut instance = try_out(recipe, learned, view, &[DecisionPoint::Place])?;
    catch_up(host, &mut instance)?;
    Ok(instance)
}

/// Tells an instance what has changed since it was told the whole view, so that the thread that places rooms has little left to tell.
///
/// # Errors
/// It did not take it.
fn catch_up(host: &dyn PolicyHost, instance: &mut Serving) -> Result<(), LoadError> {
    let began = Instant::now();
    while began.elapsed() < CATCH_UP_MAX {
        let Some(part) = host.changes(instance.cursor()) else {
            return Ok(());
        };
        instance
            .feed(part.now, &part, &[], Pace::Whole)
            .map_err(|fault| LoadError::View(fault.message))?;
        if part.rows.len() < PART_CHANGES_MAX / 2 {
            return Ok(());
        }
    }
    Ok(())
}

fn try_with(
    recipe: &Recipe,
    learned: Option<&[u8]>,
    view: &Snapshot,
    decisions: &[DecisionPoint],
) -> Result<Serving, LoadError> {
    let mut instance = recipe.start(learned).map_err(LoadError::Start)?;
    instance
        .feed(view.now, view, &[], Pace::Whole)
        .map_err(|fault| LoadError::View(fault.message))?;
    let known = Known::of(view);
    for point in decisions {
        let answered = match point {
            DecisionPoint::Place => try_place(&mut instance, view, &known),
            DecisionPoint::ScaleUp => try_scale(&mut instance, view.now, Direction::Up, &known),
            DecisionPoint::ScaleDown => try_scale(&mut instance, view.now, Direction::Down, &known),
        };
        answered.map_err(|message| LoadError::Trial {
            decision: point.word(),
            message,
        })?;
    }
    Ok(instance)
}

fn try_place(instance: &mut Serving, view: &Snapshot, known: &Known) -> Result<(), String> {
    let room: RoomId = ROOM
        .parse()
        .map_err(|error: usher_fleet::ids::IdError| error.to_string())?;
    let ask = PlaceAsk {
        now: view.now,
        room: &room,
        seats: 1,
        load: 1,
        expected_minutes: 0,
        region: "",
        tenant: "",
        labels: &Labels::new(),
        waited_seconds: 0,
        avoid: None,
    };
    let advice = instance.place(view, &ask).map_err(|fault| fault.message)?;
    match advice.placement {
        Placement::On(server) => known.server(server),
        Placement::Wait { pool, .. } => pool.map_or(Ok(()), |pool| known.pool(pool)),
        Placement::Reject | Placement::Defer => Ok(()),
    }
}

fn try_scale(instance: &mut Serving, now: Timestamp, direction: Direction, known: &Known) -> Result<(), String> {
    let ask = ScaleAsk {
        decision: DecisionNo(0),
        now,
        direction,
        link: 0,
        spoken_for: Default::default(),
        demand: Demand::default(),
        verdicts: Vec::new(),
    };
    match instance.scale(&ask).map_err(|fault| fault.message)? {
        ScaleAdvice::Up(growths) => growths.iter().try_for_each(|growth| known.pool(growth.pool)),
        ScaleAdvice::Down(shrinkages) => shrinkages.iter().try_for_each(|shrinkage| {
            known.pool(shrinkage.pool)?;
            let mut servers = shrinkage.servers.iter();
            servers.try_for_each(|retirement| known.server(retirement.server))
        }),
    }
}

/// What the view that a policy was given knows.
struct Known {
    servers: BTreeSet<ServerNo>,
    pools: BTreeSet<PoolNo>,
}

impl Known {
    fn of(view: &Snapshot) -> Known {
        let rows = view.rows.iter();
        let servers = rows.clone().filter_map(|row| match row {
            ViewChange::ServerSet(server) => Some(server.no),
            ViewChange::PoolSet(_)
            | ViewChange::PoolState(_)
            | ViewChange::PoolRemoved(_)
            | ViewChange::Usage(_)
            | ViewChange::Figure(_)
            | ViewChange::ServerRemoved(_) => None,
        });
        let pools = rows.filter_map(|row| match row {
            ViewChange::PoolSet(pool) => Some(pool.no),
            ViewChange::PoolState(_)
            | ViewChange::PoolRemoved(_)
            | ViewChange::ServerSet(_)
            | ViewChange::Usage(_)
            | ViewChange::Figure(_)
            | ViewChange::ServerRemoved(_) => None,
        });
        Known {
            servers: servers.collect(),
            pools: pools.collect(),
        }
    }

    fn server(&self, server: ServerNo) -> Result<(), String> {
        match self.servers.contains(&server) {
            true => Ok(()),
            false => Err(format!(
                "it names server {server}, but none of the {} servers of its view has this id",
                self.servers.len()
            )),
        }
    }

    fn pool(&self, pool: PoolNo) -> Result<(), String> {
        match self.pools.contains(&pool) {
            true => Ok(()),
            false => Err(format!(
                "it names pool {pool}, but none of the {} pools of its view has this id",
                self.pools.len()
            )),
        }
    }
}

impl ViewSource for Snapshot {
    fn cursor(&self) -> Cursor {
        self.cursor
    }

    fn changes_since(&self, _: Cursor) -> impl Iterator<Item = ViewChange> {
        self.rows.iter().cloned()
    }
}
