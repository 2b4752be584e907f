//! A policy's memory of the view, kept by changes alone.

use std::collections::BTreeMap;

use usher_fleet::Fleet;
use usher_fleet::ids::{PoolNo, ServerNo};
use usher_fleet::view::{Cursor, HoldView, PoolRow, PoolStateRow, ServerRow, UsageRow, ViewChange};

#[derive(Debug, Clone, Default)]
pub(crate) struct Reader {
    cursor: Cursor,
    pub(crate) pools: BTreeMap<PoolNo, PoolRow>,
    pub(crate) states: BTreeMap<PoolNo, PoolStateRow>,
    pub(crate) servers: BTreeMap<ServerNo, ServerRow>,
    pub(crate) usages: BTreeMap<ServerNo, UsageRow>,
    pub(crate) figures: BTreeMap<(ServerNo, String), u32>,
}

impl Reader {
    /// Reads what has changed since it last read.
    pub(crate) fn read(&mut self, fleet: &Fleet) {
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
                assert!(self.pools.contains_key(&row.pool), "a server comes after its pool");
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
