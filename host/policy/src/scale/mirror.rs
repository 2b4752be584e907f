//! The scale thread's own copy of the view: the newest row of each thing, stamped with the question that brought it.
//!
//! Each question says what has changed up to its cursor, so the copy is exact as of that cursor, and any instance, however far
//! it has read and whenever it was made, is told just the rows with a later stamp. Things that are gone stay as marks until
//! every instance knows.
//!
//! In one thing it differs from the fleet's view: who is asked later in a chain is told that nothing may be done with the pools that
//! somebody before has spoken for. So stamps are the copy's own count, and not the fleet's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use usher_fleet::ids::{PoolNo, ServerNo};
use usher_fleet::view::{Cursor, FigureRow, PoolRow, PoolStateRow, ServerRow, UsageRow, ViewChange};

use crate::wasm::ViewSource;

/// The state's code of a pool that a policy earlier in the chain has answered for.
const SPOKEN_FOR: &str = "spoken_for";

/// The newest row of each thing.
#[derive(Debug, Default)]
pub(super) struct Mirror {
    /// Its own count: one more for each question that brings something new.
    cursor: Cursor,
    /// How far it follows the fleet.
    told: Cursor,
    pools: BTreeMap<PoolNo, Stamped<Option<Arc<PoolRow>>>>,
    states: BTreeMap<PoolNo, Stamped<PoolStateRow>>,
    spoken_for: BTreeSet<PoolNo>,
    servers: BTreeMap<ServerNo, Server>,
}

#[derive(Debug)]
struct Stamped<T> {
    stamp: Cursor,
    row: T,
}

#[derive(Debug, Default)]
struct Server {
    set: Option<Stamped<Option<ServerRow>>>,
    usage: Option<Stamped<UsageRow>>,
    figures: BTreeMap<Arc<str>, Stamped<u32>>,
}

impl Mirror {
    /// Takes in what has changed in the fleet up to `told`, and which pools somebody has spoken for.
    pub(super) fn apply(&mut self, told: Cursor, changes: Vec<ViewChange>, spoken_for: &BTreeSet<PoolNo>) {
        if told <= self.told && *spoken_for == self.spoken_for {
            return;
        }
        let stamp = Cursor(self.cursor.0 + 1);
        self.cursor = stamp;
        for no in self.spoken_for.symmetric_difference(spoken_for) {
            if let Some(state) = self.states.get_mut(no) {
                state.stamp = stamp;
            }
        }
        self.spoken_for.clone_from(spoken_for);
        // A message that is not ahead has nothing new of the fleet.
        if told <= self.told {
            return;
        }
        self.told = told;
        for change in changes {
            match change {
                ViewChange::PoolSet(row) => {
                    self.pools.insert(row.no, Stamped { stamp, row: Some(row) });
                }
                ViewChange::PoolState(row) => {
                    self.states.insert(row.no, Stamped { stamp, row });
                }
                ViewChange::PoolRemoved(no) => {
                    self.pools.insert(no, Stamped { stamp, row: None });
                    self.states.remove(&no);
                }
                ViewChange::ServerSet(row) => {
                    let server = self.servers.entry(row.no).or_default();
                    server.set = Some(Stamped { stamp, row: Some(row) });
                }
                ViewChange::Usage(row) => {
                    self.servers.entry(row.no).or_default().usage = Some(Stamped { stamp, row });
                }
                ViewChange::Figure(FigureRow { server, name, value }) => {
                    self.servers
                        .entry(server)
                        .or_default()
                        .figures
                        .insert(name, Stamped { stamp, row: value });
                }
                ViewChange::ServerRemoved(no) => {
                    let gone = Server {
                        set: Some(Stamped { stamp, row: None }),
                        ..Server::default()
                    };
                    self.servers.insert(no, gone);
                }
            }
        }
    }

    /// Returns a pool's state as whoever is asked now sees it.
    fn state(&self, row: &PoolStateRow) -> PoolStateRow {
        if !self.spoken_for.contains(&row.no) {
            return row.clone();
        }
        PoolStateRow {
            launchable: 0,
            retirable: 0,
            again: 0,
            code: SPOKEN_FOR,
            ..*row
        }
    }

    /// Forgets the marks of things that are gone and that every reader has read past.
    pub(super) fn forget_gone(&mut self, read_by_all: Cursor) {
        let keeps = |is_gone: bool, stamp: Cursor| !is_gone || stamp > read_by_all;
        self.pools.retain(|_, pool| keeps(pool.row.is_none(), pool.stamp));
        self.servers.retain(|_, server| {
            server
                .set
                .as_ref()
                .is_none_or(|set| keeps(set.row.is_none(), set.stamp))
        });
    }
}

impl ViewSource for Mirror {
    fn cursor(&self) -> Cursor {
        self.cursor
    }

    fn changes_since(&self, cursor: Cursor) -> impl Iterator<Item = ViewChange> {
        let pools = self
            .pools
            .iter()
            .filter(move |(_, pool)| pool.stamp > cursor)
            .map(|(no, pool)| match &pool.row {
                Some(row) => ViewChange::PoolSet(row.clone()),
                None => ViewChange::PoolRemoved(*no),
            });
        let states = self
            .states
            .values()
            .filter(move |state| state.stamp > cursor)
            .map(|state| ViewChange::PoolState(self.state(&state.row)));
        let servers = self.servers.iter().filter_map(move |(no, server)| {
            let set = server.set.as_ref().filter(|set| set.stamp > cursor)?;
            Some(match &set.row {
                Some(row) => ViewChange::ServerSet(row.clone()),
                None => ViewChange::ServerRemoved(*no),
            })
        });
        let usages = self.servers.values().filter_map(move |server| {
            server
                .usage
                .as_ref()
                .filter(|usage| usage.stamp > cursor)
                .map(|usage| ViewChange::Usage(usage.row))
        });
        let figures = self.servers.iter().flat_map(move |(no, server)| {
            let newer = server.figures.iter().filter(move |(_, value)| value.stamp > cursor);
            newer.map(|(name, value)| {
                ViewChange::Figure(FigureRow {
                    server: *no,
                    name: name.clone(),
                    value: value.row,
                })
            })
        });
        pools.chain(states).chain(servers).chain(usages).chain(figures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::rows::{server, usage};

    #[test]
    fn a_reader_gets_what_is_newer_than_its_cursor_and_removals() {
        let mut mirror = Mirror::default();
        let nobody = BTreeSet::new();
        mirror.apply(Cursor(5), vec![server(1), server(2), usage(1, 3), usage(2, 0)], &nobody);
        let first = mirror.cursor();
        mirror.apply(
            Cursor(9),
            vec![usage(1, 4), ViewChange::ServerRemoved(ServerNo(2))],
            &nobody,
        );
        let all: Vec<ViewChange> = mirror.changes_since(Cursor::START).collect();
        assert_eq!(all, [server(1), ViewChange::ServerRemoved(ServerNo(2)), usage(1, 4)]);
        let newer: Vec<ViewChange> = mirror.changes_since(first).collect();
        assert_eq!(newer, [ViewChange::ServerRemoved(ServerNo(2)), usage(1, 4)]);
        let newest = mirror.cursor();
        assert_eq!(mirror.changes_since(newest).count(), 0);
        mirror.apply(Cursor(9), vec![usage(1, 7)], &nobody);
        assert_eq!(mirror.cursor(), newest, "a message that comes twice brings nothing");
    }

    #[test]
    fn marks_of_what_is_gone_last_until_everyone_has_read_them() {
        let mut mirror = Mirror::default();
        let nobody = BTreeSet::new();
        mirror.apply(Cursor(5), vec![server(1)], &nobody);
        let first = mirror.cursor();
        mirror.apply(Cursor(6), vec![ViewChange::ServerRemoved(ServerNo(1))], &nobody);
        mirror.forget_gone(first);
        assert_eq!(mirror.changes_since(first).count(), 1);
        mirror.forget_gone(mirror.cursor());
        assert_eq!(mirror.changes_since(first).count(), 0);
    }

    #[test]
    fn what_somebody_has_spoken_for_is_out_of_reach_until_the_next_decision() {
        let state = |no: u32, launchable: u32, code| {
            ViewChange::PoolState(PoolStateRow {
                no: PoolNo(no),
                launchable,
                retirable: launchable,
                again: 0,
                code,
                boot_seconds: 70,
            })
        };
        let mut mirror = Mirror::default();
        let nobody = BTreeSet::new();
        mirror.apply(Cursor(5), vec![state(1, 4, ""), state(2, 4, "")], &nobody);
        let mut read = mirror.cursor();
        let mut news = |mirror: &Mirror| -> Vec<ViewChange> {
            let news = mirror.changes_since(read).collect();
            read = mirror.cursor();
            news
        };
        mirror.apply(Cursor(5), Vec::new(), &BTreeSet::from([PoolNo(1)]));
        assert_eq!(news(&mirror), [state(1, 0, SPOKEN_FOR)]);
        mirror.apply(Cursor(6), vec![state(1, 3, "")], &BTreeSet::from([PoolNo(1)]));
        assert_eq!(news(&mirror), [state(1, 0, SPOKEN_FOR)], "whatever the guards say");
        mirror.apply(Cursor(6), Vec::new(), &nobody);
        assert_eq!(news(&mirror), [state(1, 3, "")]);
    }
}
