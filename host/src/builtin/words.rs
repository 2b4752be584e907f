//! Between the fleet's words and the SDK's: the same things, field by field.

use usher_fleet::advice::{self, Growth, PlaceAdvice, PlaceAsk, Shrinkage, Subject, VerdictOutcome, VerdictRow};
use usher_fleet::config::Labels;
use usher_fleet::ids::{PoolNo, ServerNo};
use usher_fleet::view::{
    FigureRow, HealthView, HoldView, PhaseView, PoolRow, PoolStateRow, ServerRow, UsageRow, ViewChange,
};
use usher_sdk as sdk;

/// Rows on their way into a view, as an [`Instance`](sdk::Instance) takes them.
#[derive(Debug, Default)]
pub struct Rows {
    /// For [`Instance::update`](sdk::Instance::update).
    pub rare: Vec<sdk::Change>,
    /// For [`Instance::usages`](sdk::Instance::usages).
    pub usages: Vec<sdk::Usage>,
    /// For [`Instance::figures`](sdk::Instance::figures).
    pub figures: Vec<sdk::Figure>,
}

impl Rows {
    /// Adds rows; `figures` are the names of those that are wanted.
    pub fn sort(&mut self, rows: &[ViewChange], figures: &[String]) {
        for row in rows {
            match row {
                ViewChange::PoolSet(row) => self.rare.push(sdk::Change::PoolSet(pool(row))),
                ViewChange::PoolState(row) => self.rare.push(sdk::Change::PoolState(pool_state(row))),
                ViewChange::PoolRemoved(pool) => self.rare.push(sdk::Change::PoolRemoved(pool.0)),
                ViewChange::ServerSet(row) => self.rare.push(sdk::Change::ServerSet(server(row))),
                ViewChange::ServerRemoved(server) => self.rare.push(sdk::Change::ServerRemoved(server.0)),
                ViewChange::Usage(row) => self.usages.push(usage(row)),
                ViewChange::Figure(row) => self.figures.extend(figure(row, figures)),
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.rare.clear();
        self.usages.clear();
        self.figures.clear();
    }
}

/// Returns a question.
pub fn request(ask: &PlaceAsk<'_>) -> sdk::RoomRequest {
    sdk::RoomRequest {
        room: ask.room.as_str().to_owned(),
        seats: ask.seats,
        load: ask.load,
        expected_minutes: ask.expected_minutes,
        region: ask.region.to_owned(),
        tenant: ask.tenant.to_owned(),
        labels: labels(ask.labels),
        waited_seconds: ask.waited_seconds,
        avoid: ask.avoid.map_or(0, |server| server.0),
    }
}

pub(super) fn advice(advice: sdk::PlacementAdvice) -> PlaceAdvice {
    PlaceAdvice {
        placement: match advice.placement {
            sdk::Placement::On(server) => advice::Placement::On(ServerNo(server)),
            sdk::Placement::Wait(wait) => advice::Placement::Wait {
                pool: wait.pool.map(PoolNo),
                again_seconds: wait.again_seconds,
            },
            sdk::Placement::Reject => advice::Placement::Reject,
            sdk::Placement::Defer => advice::Placement::Defer,
        },
        reason: advice.reason,
    }
}

fn figure(row: &FigureRow, wanted: &[String]) -> Option<sdk::Figure> {
    let figure = wanted.iter().position(|name| **name == *row.name)?;
    Some(sdk::Figure {
        server: row.server.0,
        figure: u32::try_from(figure).ok()?,
        value: row.value,
    })
}

fn labels(labels: &Labels) -> Vec<sdk::Label> {
    labels.iter().map(|(key, value)| sdk::Label::new(key, value)).collect()
}

fn pool(row: &PoolRow) -> sdk::Pool {
    sdk::Pool {
        id: row.no.0,
        name: row.name.clone(),
        region: row.region.clone(),
        zones: row.zones.clone(),
        instance_type: row.instance_type.clone(),
        market: row.market.clone(),
        automatic: row.automatic,
        servers_min: row.servers_min,
        servers_max: row.servers_max,
        rooms_per_server: row.rooms_per_server,
        seats_per_server: row.seats_per_server,
        load_per_server: row.load_per_server,
        price_microdollars_per_hour: row.price_microdollars_per_hour,
        labels: labels(&row.labels),
    }
}

fn pool_state(row: &PoolStateRow) -> sdk::PoolState {
    sdk::PoolState {
        id: row.no.0,
        launchable: row.launchable,
        retirable: row.retirable,
        again: row.again,
        code: row.code.to_owned(),
        boot_seconds: row.boot_seconds,
    }
}

fn server(row: &ServerRow) -> sdk::ServerRow {
    sdk::ServerRow {
        id: row.no.0,
        pool: row.pool.0,
        name: row.name.to_string(),
        zone: row.zone.as_deref().unwrap_or_default().to_owned(),
        rooms_max: row.rooms_max,
        seats_max: row.seats_max,
        load_max: row.load_max,
        price_microdollars_per_hour: row.price_microdollars_per_hour,
        started: row.started,
        labels: labels(&row.labels),
    }
}

fn usage(row: &UsageRow) -> sdk::Usage {
    sdk::Usage {
        id: row.no.0,
        phase: match row.phase {
            PhaseView::Starting => sdk::Phase::Starting,
            PhaseView::Ready => sdk::Phase::Ready,
            PhaseView::Ending => sdk::Phase::Ending,
        },
        hold: match row.hold {
            HoldView::Free => sdk::Hold::Free,
            HoldView::Cordoned => sdk::Hold::Cordoned,
            HoldView::Draining => sdk::Hold::Draining,
            HoldView::Leaving => sdk::Hold::Leaving,
        },
        health: match row.health {
            HealthView::Unknown => sdk::Health::Unknown,
            HealthView::Ok => sdk::Health::Ok,
            HealthView::Silent => sdk::Health::Silent,
        },
        since: row.since,
        rooms: row.rooms,
        seats: row.seats,
        load: row.load,
        seats_largest: row.seats_largest,
        rooms_open_ended: row.rooms_open_ended,
        busy_until: row.busy_until,
        newest_room: row.newest_room,
        empty_since: row.empty_since,
        reported: row.reported,
        participants: row.participants,
        cpu_permille: row.cpu_permille,
        egress_kbps: row.egress_kbps,
    }
}

pub(super) fn verdict(row: &VerdictRow) -> sdk::Change {
    sdk::Change::Verdict(sdk::Verdict {
        decision: row.decision.0,
        subject: match row.subject {
            Subject::Launch(pool) => sdk::Subject::Launch(pool.0),
            Subject::Retire(server) => sdk::Subject::Retire(server.0),
        },
        outcome: match row.outcome {
            VerdictOutcome::Accepted => sdk::Outcome::Accepted,
            VerdictOutcome::Clamped => sdk::Outcome::Clamped,
            VerdictOutcome::Refused => sdk::Outcome::Refused,
            VerdictOutcome::Failed => sdk::Outcome::Failed,
        },
        count: row.count,
        code: row.code.to_owned(),
        until: row.until,
    })
}

pub(super) fn demand(demand: &advice::Demand) -> sdk::Demand {
    let want = |want: &advice::Want| sdk::Want {
        region: want.region.clone(),
        tenant: want.tenant.clone(),
        labels: labels(&want.labels),
        pool: want.pool.map(|pool| pool.0),
        rooms: want.rooms,
        seats: want.seats,
        load: want.load,
        seats_largest: want.seats_largest,
        load_largest: want.load_largest,
        longest_wait_seconds: want.longest_wait_seconds,
    };
    sdk::Demand {
        wants: demand.wants.iter().map(want).collect(),
        waiting_rooms: demand.waiting_rooms,
        waiting_seats: demand.waiting_seats,
        rooms_last_minute: demand.rooms_last_minute,
        seats_last_minute: demand.seats_last_minute,
    }
}

pub(super) fn growth(growth: sdk::Growth) -> Growth {
    Growth {
        pool: PoolNo(growth.pool),
        servers: growth.servers,
        reason: growth.reason,
    }
}

pub(super) fn shrinkage(shrinkage: sdk::Shrinkage) -> Shrinkage {
    let servers = shrinkage
        .servers
        .into_iter()
        .map(|retirement| advice::Retirement {
            server: ServerNo(retirement.server),
            reason: retirement.reason,
        })
        .collect();
    Shrinkage {
        pool: PoolNo(shrinkage.pool),
        servers,
    }
}
