//! Changed rows on their way into one instance: sorted into the contract's calls, and what the instance knows already.

use std::collections::BTreeSet;

use usher_fleet::view::{Cursor, ViewChange};

use super::bindings::types as w;
use super::convert;
use super::limits::VIEW_ROWS_MAX;

/// Where an instance's view comes from: the fleet itself, a snapshot, or the scale thread's own copy.
pub(crate) trait ViewSource {
    /// Returns the cursor of its newest change.
    fn cursor(&self) -> Cursor;
    /// Returns the newest row of each thing that changed after `cursor`; pools before servers before usage.
    fn changes_since(&self, cursor: Cursor) -> impl Iterator<Item = ViewChange>;
}

impl ViewSource for usher_fleet::Fleet {
    fn cursor(&self) -> Cursor {
        usher_fleet::Fleet::cursor(self)
    }

    fn changes_since(&self, cursor: Cursor) -> impl Iterator<Item = ViewChange> {
        usher_fleet::Fleet::changes_since(self, cursor)
    }
}

/// A view that is told in parts to who is far behind it.
pub(crate) trait PartedView {
    /// Returns how many things have changed after `cursor`, at most.
    fn lag(&self, cursor: Cursor) -> usize;
    /// Appends the oldest of these changes, at most so many and what they lean on; returns how far they reach.
    fn part(&self, cursor: Cursor, changes_max: usize, rows: &mut Vec<ViewChange>) -> Cursor;
}

impl PartedView for usher_fleet::Fleet {
    fn lag(&self, cursor: Cursor) -> usize {
        usher_fleet::Fleet::lag(self, cursor)
    }

    fn part(&self, cursor: Cursor, changes_max: usize, rows: &mut Vec<ViewChange>) -> Cursor {
        self.changes_part(cursor, changes_max, rows)
    }
}

/// What an instance knows, and rows that it is about to be told. Its lists are kept from call to call.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) cursor: Cursor,
    pools: BTreeSet<u32>,
    servers: BTreeSet<u32>,
    pub(super) changes: Vec<w::Change>,
    /// As the contract has them: [`convert::USAGE_NUMBERS`] numbers each.
    pub(super) usages: Vec<u32>,
    pub(super) figures: Vec<w::Figure>,
    servers_removed: Vec<u32>,
    pools_removed: Vec<u32>,
}

impl Rows {
    /// Returns how many servers the instance knows.
    pub(super) fn servers(&self) -> usize {
        self.servers.len()
    }

    /// Forgets what was told.
    pub(super) fn clear(&mut self) {
        self.changes.clear();
        self.usages.clear();
        self.figures.clear();
    }

    /// Takes in the next rows, as many as a call may have, and returns whether these are the last: a whole view is never here at
    /// once. `figures` are the names that the instance wants to see.
    ///
    /// What was set comes first, and what is gone last of all, servers before pools; usages and figures stand apart, for calls of
    /// their own. What the instance never knew it is not told to forget.
    pub(super) fn take_in(&mut self, rows: &mut impl Iterator<Item = ViewChange>, figures: &[String]) -> bool {
        let mut taken = 0;
        rows.take(VIEW_ROWS_MAX).for_each(|row| {
            self.sort(row, figures);
            taken += 1;
        });
        let is_last = taken < VIEW_ROWS_MAX;
        if is_last {
            let servers = self.servers_removed.drain(..).map(w::Change::ServerRemoved);
            self.changes.extend(servers);
            let pools = self.pools_removed.drain(..).map(w::Change::PoolRemoved);
            self.changes.extend(pools);
        }
        is_last
    }

    fn sort(&mut self, row: ViewChange, figures: &[String]) {
        match row {
            ViewChange::PoolSet(row) => {
                self.pools.insert(row.no.0);
                self.changes.push(w::Change::PoolSet(convert::pool(&row)));
            }
            ViewChange::PoolState(row) => self.changes.push(w::Change::PoolState(convert::pool_state(&row))),
            ViewChange::ServerSet(row) => {
                self.servers.insert(row.no.0);
                self.changes.push(w::Change::ServerSet(convert::server(row)));
            }
            ViewChange::Usage(row) => self.usages.extend(convert::usage(&row)),
            ViewChange::Figure(row) => {
                let figure = figures.iter().position(|name| **name == *row.name);
                if let Some(figure) = figure.and_then(|figure| u32::try_from(figure).ok()) {
                    self.figures.push(w::Figure {
                        server: row.server.0,
                        figure,
                        value: row.value,
                    });
                }
            }
            ViewChange::ServerRemoved(no) => {
                if self.servers.remove(&no.0) {
                    self.servers_removed.push(no.0);
                }
            }
            ViewChange::PoolRemoved(no) => {
                if self.pools.remove(&no.0) {
                    self.pools_removed.push(no.0);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use usher_fleet::ids::{PoolNo, ServerNo};

    use super::*;
    use crate::tests::rows::{pool, server};

    #[test]
    fn rows_come_by_a_thousand_and_what_is_gone_comes_last_of_all() {
        let mut rows = Rows::default();
        assert!(rows.take_in(&mut [pool(1), server(1)].into_iter(), &[]));
        rows.clear();
        let gone = [
            ViewChange::PoolRemoved(PoolNo(1)),
            ViewChange::PoolRemoved(PoolNo(2)),
            ViewChange::ServerRemoved(ServerNo(1)),
        ];
        let mut more = gone.into_iter().chain((2..1_100).map(server));
        assert!(!rows.take_in(&mut more, &[]));
        assert_eq!(rows.changes.len(), VIEW_ROWS_MAX - 3);
        rows.clear();
        assert!(rows.take_in(&mut more, &[]));
        assert_eq!(rows.changes.len(), 1_098 - (VIEW_ROWS_MAX - 3) + 2);
        let last = rows.changes.last_chunk();
        assert!(
            matches!(last, Some([w::Change::ServerRemoved(1), w::Change::PoolRemoved(1)])),
            "{last:?}"
        );
        assert_eq!(rows.servers(), 1_098);
    }
}
