//! Which rows of the view have changed since a reader last looked.
//!
//! Each thing stands once, under the number of its newest change; readers keep a [`Cursor`] and nothing is kept for them.

use std::collections::{BTreeMap, HashMap};

use crate::ids::{PoolNo, ServerNo};
use crate::view::Cursor;

/// How many removals are remembered: a reader that is further behind would miss one. The scale thread reads once a tick, and who places
/// rooms is told in parts between two inputs; this many removals meanwhile are more than the API's mailbox can bring.
const REMOVALS_MAX: usize = 262_144;

/// A row of the view. The order is the one in which a reader must see them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Thing {
    Pool(PoolNo),
    PoolState(PoolNo),
    Server(ServerNo),
    Usage(ServerNo),
    Figures(ServerNo),
    ServerGone(ServerNo),
    PoolGone(PoolNo),
}

/// The newest change of each thing.
#[derive(Debug, Default)]
pub(super) struct Changes {
    newest: u64,
    by_number: BTreeMap<u64, Thing>,
    numbers: HashMap<Thing, u64>,
    removals: std::collections::VecDeque<Thing>,
}

impl Changes {
    /// Notes that a thing has changed.
    pub(super) fn touch(&mut self, thing: Thing) {
        self.newest += 1;
        if let Some(old) = self.numbers.insert(thing, self.newest) {
            self.by_number.remove(&old);
        }
        self.by_number.insert(self.newest, thing);
    }

    /// Notes that a server is gone, with all its rows.
    pub(super) fn server_gone(&mut self, no: ServerNo) {
        for thing in [Thing::Server(no), Thing::Usage(no), Thing::Figures(no)] {
            self.forget(thing);
        }
        self.removed(Thing::ServerGone(no));
    }

    /// Notes that a pool is gone, with all its rows.
    pub(super) fn pool_gone(&mut self, no: PoolNo) {
        self.forget(Thing::Pool(no));
        self.forget(Thing::PoolState(no));
        self.removed(Thing::PoolGone(no));
    }

    pub(super) fn cursor(&self) -> Cursor {
        Cursor(self.newest)
    }

    /// Returns how many things have changed after a cursor, at most: what has changed twice may count twice.
    pub(super) fn lag(&self, cursor: Cursor) -> usize {
        let changes = self.newest.saturating_sub(cursor.0);
        usize::try_from(changes).map_or(self.by_number.len(), |changes| changes.min(self.by_number.len()))
    }

    /// Returns what has changed after a cursor, in the order in which it must be read.
    pub(super) fn since(&self, cursor: Cursor) -> Vec<Thing> {
        let mut things: Vec<Thing> = self.by_number.range(cursor.0 + 1..).map(|(_, thing)| *thing).collect();
        if cursor == Cursor::START {
            // Who has seen nothing need not be told what is gone.
            things.retain(|thing| !matches!(thing, Thing::ServerGone(_) | Thing::PoolGone(_)));
        }
        if things.len() > 1 {
            things.sort_unstable();
        }
        things
    }

    /// Returns the oldest changes after a cursor, at most so many, in the order in which they must be read, and how far they reach.
    ///
    /// Servers that have changed since come before their usage, also where their own change is the newer one and comes again.
    pub(super) fn part_since(&self, cursor: Cursor, changes_max: usize) -> (Vec<Thing>, Cursor) {
        let mut changes = self.by_number.range(cursor.0 + 1..);
        let mut until = cursor;
        let mut things = Vec::new();
        for (number, thing) in changes.by_ref().take(changes_max) {
            until = Cursor(*number);
            things.push(*thing);
            if let Thing::Usage(no) | Thing::Figures(no) = thing {
                let server = Thing::Server(*no);
                things.extend(self.is_after(server, cursor).then_some(server));
            }
        }
        if changes.next().is_none() {
            until = self.cursor();
        }
        things.sort_unstable();
        things.dedup();
        (things, until)
    }

    /// Returns whether a thing has changed after a cursor.
    pub(super) fn is_after(&self, thing: Thing, cursor: Cursor) -> bool {
        self.numbers.get(&thing).is_some_and(|number| *number > cursor.0)
    }

    fn removed(&mut self, thing: Thing) {
        self.touch(thing);
        self.removals.push_back(thing);
        if self.removals.len() > REMOVALS_MAX
            && let Some(oldest) = self.removals.pop_front()
        {
            self.forget(oldest);
        }
    }

    fn forget(&mut self, thing: Thing) {
        if let Some(number) = self.numbers.remove(&thing) {
            self.by_number.remove(&number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_sees_each_changed_thing_once_and_servers_before_their_usage() {
        let mut changes = Changes::default();
        let (a, b) = (ServerNo(1), ServerNo(2));
        changes.touch(Thing::Server(a));
        changes.touch(Thing::Usage(a));
        let cursor = changes.cursor();
        for _ in 0..3 {
            changes.touch(Thing::Usage(b));
        }
        changes.touch(Thing::Server(b));
        assert_eq!(changes.since(cursor), [Thing::Server(b), Thing::Usage(b)]);
        assert_eq!(changes.lag(cursor), 4, "there are four things, and four changes");
        assert_eq!((changes.lag(Cursor::START), changes.lag(changes.cursor())), (4, 0));
        assert_eq!(changes.since(changes.cursor()), []);
    }

    #[test]
    fn a_part_has_the_oldest_changes_and_what_they_lean_on() {
        let mut changes = Changes::default();
        let (a, b) = (ServerNo(1), ServerNo(2));
        for thing in [Thing::Server(a), Thing::Usage(a), Thing::Server(b), Thing::Usage(b)] {
            changes.touch(thing);
        }
        changes.touch(Thing::Server(a));
        let (first, until) = changes.part_since(Cursor::START, 1);
        assert_eq!(
            first,
            [Thing::Server(a), Thing::Usage(a)],
            "its server has changed since"
        );
        let (second, until) = changes.part_since(until, 2);
        assert_eq!(second, [Thing::Server(b), Thing::Usage(b)]);
        let (last, until) = changes.part_since(until, 2);
        assert_eq!((last, until), (vec![Thing::Server(a)], changes.cursor()));
        assert_eq!(changes.part_since(until, 2), (vec![], changes.cursor()));
    }

    #[test]
    fn what_is_gone_is_told_to_those_who_knew_it_and_to_nobody_else() {
        let mut changes = Changes::default();
        let a = ServerNo(1);
        changes.touch(Thing::Server(a));
        changes.touch(Thing::Usage(a));
        let cursor = changes.cursor();
        changes.server_gone(a);
        assert_eq!(changes.since(cursor), [Thing::ServerGone(a)]);
        assert_eq!(changes.since(Cursor::START), []);
    }
}
