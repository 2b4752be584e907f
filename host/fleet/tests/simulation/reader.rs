//! A policy's memory of the view, kept by changes alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use usher_fleet::Fleet;
use usher_fleet::ids::{PoolNo, ServerNo};
use usher_fleet::view::{Cursor, HoldView, PoolRow, PoolStateRow, ServerRow, UsageRow, ViewChange};

#[derive(Debug, Clone, Default)]
pub(crate) struct Reader {
    cursor: Cursor,
    /// With which server the next part of the whole view begins, while it is read so.
    next_part: Option<ServerNo>,
    pub(crate) pools: BTreeMap<PoolNo, Arc<PoolRow>>,
    pub(crate) states: BTreeMap<PoolNo, PoolStateRow>,
    pub(crate) servers: BTreeMap<ServerNo, ServerRow>,
    pub(crate) usages: BTreeMap<ServerNo, UsageRow>,
    pub(crate) figures: BTreeMap<(ServerNo, Arc<str>), u32>,
}

impl Reader {
    /// Makes a reader that takes the whole view in parts, of which none is read yet.
    pub(crate) fn in_parts(fleet: &Fleet) -> Reader {
        Reader {
            cursor: fleet.cursor(),
            next_part: Some(ServerNo(0)),
            ..Reader::default()
        }
    }

    /// Reads the next part, if there is one.
    pub(crate) fn read_part(&mut self, fleet: &Fleet) {
        let Some(from) = self.next_part else { return };
        let mut rows = Vec::new();
        self.next_part = fleet.view_part(from, 2, &mut rows);
        rows.into_iter().for_each(|row| self.take(row));
    }

    /// Reads what has changed since it last read as who wants few rows at once, up to the newest.
    pub(crate) fn read_changes_in_parts(&mut self, fleet: &Fleet) {
        while self.cursor < fleet.cursor() {
            let mut rows = Vec::new();
            let until = fleet.changes_part(self.cursor, 3, &mut rows);
            assert!(self.cursor < until, "each part leads on");
            rows.into_iter().for_each(|row| self.take(row));
            self.cursor = until;
        }
    }

    /// Reads what has changed since it last read, behind all parts.
    pub(crate) fn read(&mut self, fleet: &Fleet) {
        while self.next_part.is_some() {
            self.read_part(fleet);
        }
        for change in fleet.changes_since(self.cursor) {
            self.take(change);
        }
        self.cursor = fleet.cursor();
    }

    fn take(&mut self, change: ViewChange) {
        match change {
            ViewChange::PoolSet(row) => {
                self.pools.insert(row.no, row);
            }
            ViewChange::PoolState(row) => {
                assert!(self.pools.contains_key(&row.no), "a pool's state comes after the pool");
                self.states.insert(row.no, row);
            }
            ViewChange::PoolRemoved(no) => {
                self.pools.remove(&no);
                self.states.remove(&no);
            }
            ViewChange::ServerSet(row) => {
                // A pool may have come since the first part.
                let is_known = self.pools.contains_key(&row.pool) || self.next_part.is_some();
                assert!(is_known, "a server comes after its pool");
                self.servers.insert(row.no, row);
            }
            ViewChange::Usage(row) => {
                assert!(self.servers.contains_key(&row.no), "a usage comes after its server");
                self.usages.insert(row.no, row);
            }
            ViewChange::Figure(row) => {
                assert!(
                    self.servers.contains_key(&row.server),
                    "a figure comes after its server"
                );
                self.figures.insert((row.server, row.name), row.value);
            }
            ViewChange::ServerRemoved(no) => {
                self.servers.remove(&no);
                self.usages.remove(&no);
                self.figures.retain(|(server, _), _| *server != no);
            }
        }
    }

    /// Whether the view shows a server as closed although nobody holds it: it is kept for a waiting room.
    pub(crate) fn is_kept(&self, server: &usher_fleet::server::ServerRecord) -> bool {
        server.hold.is_none()
            && self
                .usages
                .get(&server.no)
                .is_some_and(|usage| usage.hold == HoldView::Cordoned)
    }
}
