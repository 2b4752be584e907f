//! Rows of a made-up fleet.

use std::collections::BTreeMap;
use std::sync::Arc;

use usher_fleet::config::Labels;
use usher_fleet::ids::{PoolNo, ServerNo};
use usher_fleet::view::{
    Cursor, FigureRow, HealthView, HoldView, PhaseView, PoolRow, PoolStateRow, ServerRow, UsageRow, ViewChange,
};

use crate::wasm::{PartedView, ViewSource};

/// The newest row of each thing, with the cursor at which it changed.
#[derive(Debug, Clone, Default)]
pub(crate) struct World {
    cursor: u64,
    rows: BTreeMap<(u8, u32, String), (u64, ViewChange)>,
}

impl World {
    pub(crate) fn with(rows: impl IntoIterator<Item = ViewChange>) -> World {
        let mut world = World::default();
        world.set(rows);
        world
    }

    /// One pool and sixty servers that nobody has heard of yet: enough for guests that name some.
    pub(crate) fn of_sixty() -> World {
        World::with([pool(1)].into_iter().chain((1..=60).map(server)))
    }

    /// Changes rows; the whole call is one step of the cursor.
    pub(crate) fn set(&mut self, rows: impl IntoIterator<Item = ViewChange>) {
        self.cursor += 1;
        for row in rows {
            let key = match &row {
                ViewChange::PoolSet(row) => (0, row.no.0, String::new()),
                ViewChange::PoolRemoved(no) => (0, no.0, String::new()),
                ViewChange::PoolState(row) => (1, row.no.0, String::new()),
                ViewChange::ServerSet(row) => (2, row.no.0, String::new()),
                ViewChange::ServerRemoved(no) => (2, no.0, String::new()),
                ViewChange::Usage(row) => (3, row.no.0, String::new()),
                ViewChange::Figure(row) => (4, row.server.0, row.name.to_string()),
            };
            if let ViewChange::ServerRemoved(no) = &row {
                self.rows.retain(|(kind, id, _), _| *kind < 3 || *id != no.0);
            }
            self.rows.insert(key, (self.cursor, row));
        }
    }
}

impl ViewSource for World {
    fn cursor(&self) -> Cursor {
        Cursor(self.cursor)
    }

    fn changes_since(&self, cursor: Cursor) -> impl Iterator<Item = ViewChange> {
        self.rows
            .values()
            .filter(move |(stamp, _)| *stamp > cursor.0)
            .map(|(_, row)| row.clone())
    }
}

impl PartedView for World {
    fn lag(&self, cursor: Cursor) -> usize {
        self.changes_since(cursor).count()
    }

    /// Where each row was set by a call of its own.
    fn part(&self, cursor: Cursor, changes_max: usize, rows: &mut Vec<ViewChange>) -> Cursor {
        let mut oldest: Vec<_> = self.rows.values().filter(|(stamp, _)| *stamp > cursor.0).collect();
        oldest.sort_by_key(|(stamp, _)| *stamp);
        oldest.truncate(changes_max);
        rows.extend(oldest.iter().map(|(_, row)| row.clone()));
        oldest.last().map_or(cursor, |(stamp, _)| Cursor(*stamp))
    }
}

pub(crate) fn pool(no: u32) -> ViewChange {
    ViewChange::PoolSet(Arc::new(PoolRow {
        no: PoolNo(no),
        name: format!("pool-{no}"),
        region: "eu-central-1".into(),
        zones: vec!["a".into(), "b".into()],
        instance_type: "8-core".into(),
        market: String::new(),
        automatic: true,
        servers_min: 0,
        servers_max: 10,
        rooms_per_server: 10,
        seats_per_server: 500,
        load_per_server: 0,
        price_microdollars_per_hour: 348_000,
        labels: Labels::from([("tier".into(), "standard".into())]),
    }))
}

pub(crate) fn pool_state(no: u32) -> ViewChange {
    ViewChange::PoolState(PoolStateRow {
        no: PoolNo(no),
        launchable: 3,
        retirable: 1,
        again: 0,
        code: "",
        boot_seconds: 70,
    })
}

pub(crate) fn server(no: u32) -> ViewChange {
    ViewChange::ServerSet(ServerRow {
        no: ServerNo(no),
        pool: PoolNo(1),
        name: format!("server-{no}").parse().unwrap(),
        zone: Some("a".into()),
        rooms_max: 10,
        seats_max: 500,
        load_max: 0,
        price_microdollars_per_hour: 348_000,
        started: 1_000,
        labels: Default::default(),
    })
}

pub(crate) fn usage(no: u32, rooms: u32) -> ViewChange {
    ViewChange::Usage(UsageRow {
        no: ServerNo(no),
        phase: PhaseView::Ready,
        hold: HoldView::Free,
        health: HealthView::Ok,
        since: 1_000,
        rooms,
        seats: rooms * 50,
        load: rooms * 50,
        seats_largest: 50,
        rooms_open_ended: rooms,
        busy_until: 0,
        newest_room: 0,
        empty_since: 0,
        reported: 0,
        participants: 0,
        cpu_permille: 0,
        egress_kbps: 0,
    })
}

pub(crate) fn figure(server: u32, name: &str, value: u32) -> ViewChange {
    ViewChange::Figure(FigureRow {
        server: ServerNo(server),
        name: name.into(),
        value,
    })
}
