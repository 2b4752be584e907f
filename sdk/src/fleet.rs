//! The view: what a policy knows of the fleet, in its own memory, kept up to date by what the host sends.
//!
//! Servers lie in dense rows; an index from id to row gives order and look-up, and one index a pool knows which open server
//! is the fullest ([`Fleet::fitting`]). The view decides nothing and checks nothing that the host promises; a promise that is
//! seen to be broken is an error, after which the host builds a new instance.

mod builder;
mod fitting;
mod open;
mod server;

use std::collections::{BTreeMap, VecDeque};

pub use builder::{FleetBuilder, ServerSketch};
pub use fitting::Fitting;
pub use server::Server;

use crate::request::REQUIRE_PREFIX;
use crate::{
    Change, Figure, Label, Outcome, Pool, PoolId, PoolState, ServerId, ServerRow, Size, Subject, Timestamp, Usage,
    Verdict,
};
use open::OpenServers;

/// The most verdicts of a kind that are kept for the next turn; the oldest give way.
///
/// A policy that is asked every tick sees a handful; one that is never asked again must not grow.
pub const VERDICTS_MAX: usize = 1024;

/// The fleet as a policy knows it: pools, servers and what became of its orders.
///
/// ```
/// use usher_sdk::{Fleet, Size};
///
/// let fleet = Fleet::builder()
///     .pool("frankfurt", |pool| pool.rooms_per_server = 10)
///     .server("a", |server| server.usage.rooms = 3)
///     .server("b", |server| server.usage.rooms = 9)
///     .server("c", |server| server.usage.rooms = 10)
///     .build();
///
/// let fullest = fleet.fitting(Size { seats: 50, load: 50 }).next().expect("two have room");
/// assert_eq!(fullest.name(), "b");
/// ```
#[derive(Debug, Default)]
pub struct Fleet {
    /// Ordered by id.
    pools: Vec<PoolEntry>,
    /// Ordered by id; apart from the pools, since one may be told before the other.
    pool_states: Vec<PoolState>,
    /// Rows; a removed server leaves a gap that the next new one fills.
    rows: Vec<Option<Server>>,
    gaps: Vec<Row>,
    by_id: BTreeMap<ServerId, Row>,
    launch_verdicts: VecDeque<Verdict>,
    retire_verdicts: VecDeque<Verdict>,
}

/// A place in [`Fleet::rows`].
type Row = u32;

/// A pool and its open servers.
#[derive(Debug)]
struct PoolEntry {
    pool: Pool,
    open: OpenServers,
}

impl Fleet {
    /// Makes a fleet for a test, in few words; see [`FleetBuilder`].
    pub fn builder() -> FleetBuilder {
        FleetBuilder::default()
    }

    /// Returns all pools, ordered by id.
    pub fn pools(&self) -> impl Iterator<Item = &Pool> {
        self.pools.iter().map(|entry| &entry.pool)
    }

    /// Returns a pool.
    pub fn pool(&self, id: PoolId) -> Option<&Pool> {
        self.pool_entry(id).map(|entry| &entry.pool)
    }

    /// Returns what may be done with a pool now; none before it was told.
    pub fn pool_state(&self, id: PoolId) -> Option<&PoolState> {
        self.pool_state_at(id).ok().map(|at| &self.pool_states[at])
    }

    /// Returns all servers, ordered by id: starting, serving and ending ones.
    pub fn servers(&self) -> impl Iterator<Item = &Server> {
        self.by_id.values().filter_map(|row| self.row(*row))
    }

    /// Returns how many servers there are.
    pub fn servers_len(&self) -> usize {
        self.by_id.len()
    }

    /// Returns a server.
    pub fn server(&self, id: ServerId) -> Option<&Server> {
        self.row(*self.by_id.get(&id)?)
    }

    /// Returns the server of this name; it looks through all, so it is for tests and rare cases.
    pub fn server_named(&self, name: &str) -> Option<&Server> {
        self.servers().find(|server| server.name() == name)
    }

    /// Returns the open servers with room for one more of this size, the fullest first; narrow it to a region or pool.
    ///
    /// *Open* is ready, free, not silent, and not full. The order is by how full the scarcest of rooms, seats and load is, in
    /// 64 steps, empty servers last; within a step the one with the fewest seats left comes first. The first answer
    /// costs about as much in a fleet of 100,000 as in one of 10.
    ///
    /// ```
    /// use usher_sdk::{Fleet, Size};
    ///
    /// let fleet = Fleet::builder()
    ///     .pool("east", |pool| pool.region = "us-east-1".into())
    ///     .server("a", |server| server.usage.rooms = 3)
    ///     .pool("west", |pool| pool.region = "us-west-2".into())
    ///     .server("b", |server| server.usage.rooms = 9)
    ///     .build();
    ///
    /// let mut east = fleet.fitting(Size::default()).in_region("us-east-1");
    /// assert_eq!(east.next().map(|server| server.name()), Some("a"));
    /// assert!(east.next().is_none());
    /// ```
    pub fn fitting(&self, size: Size) -> Fitting<'_> {
        Fitting::new(self, size)
    }

    /// Returns whether a server, or its pool, carries all that a room's labels require ([`REQUIRE_PREFIX`]).
    ///
    /// ```
    /// use usher_sdk::{Fleet, Label};
    ///
    /// let fleet = Fleet::builder()
    ///     .pool("p", |_| {})
    ///     .server("plain", |_| {})
    ///     .server("gpu", |server| server.row.labels.push(Label::new("gpu", "yes")))
    ///     .build();
    /// let wants_gpu = [Label::new("require.gpu", "yes")];
    /// let names: Vec<_> = fleet.servers().filter(|server| fleet.carries(server, &wants_gpu)).map(|s| s.name()).collect();
    /// assert_eq!(names, ["gpu"]);
    /// ```
    pub fn carries(&self, server: &Server, labels: &[Label]) -> bool {
        let mut required = labels
            .iter()
            .filter_map(|label| Some((label.key.strip_prefix(REQUIRE_PREFIX)?, &label.value)));
        required.all(|(key, value)| {
            let of_pool = || self.pool(server.pool_id()).and_then(|pool| pool.label(key));
            server.label(key).or_else(of_pool) == Some(value)
        })
    }

    /// Returns what became of launches that this policy ordered, since its last `scale_up`; the oldest first, at most
    /// [`VERDICTS_MAX`].
    pub fn launch_verdicts(&self) -> impl Iterator<Item = &Verdict> {
        self.launch_verdicts.iter()
    }

    /// Returns what became of retirements that this policy ordered, since its last `scale_down`; the oldest first, at most
    /// [`VERDICTS_MAX`].
    pub fn retire_verdicts(&self) -> impl Iterator<Item = &Verdict> {
        self.retire_verdicts.iter()
    }
}

/// How the view is kept up to date; an [`Instance`](crate::Instance) does it, and checks that no call is missing.
impl Fleet {
    /// Takes in one change of what changes rarely.
    pub fn apply(&mut self, now: Timestamp, change: Change) {
        match change {
            Change::PoolSet(pool) => self.set_pool(pool),
            Change::PoolState(state) => match self.pool_state_at(state.id) {
                Ok(at) => self.pool_states[at] = state,
                Err(at) => self.pool_states.insert(at, state),
            },
            Change::PoolRemoved(id) => {
                if let Ok(at) = self.pool_at(id) {
                    self.pools.remove(at);
                }
                if let Ok(at) = self.pool_state_at(id) {
                    self.pool_states.remove(at);
                }
            }
            Change::ServerSet(row) => self.set_server(now, row),
            Change::ServerRemoved(id) => self.remove_server(id),
            Change::Verdict(verdict) => self.hear(verdict),
        }
    }

    /// Takes in a server's usage.
    ///
    /// # Errors
    /// The server was never set.
    pub fn set_usage(&mut self, usage: Usage) -> Result<(), String> {
        let row = *self
            .by_id
            .get(&usage.id)
            .ok_or_else(|| format!("usage of server {}, which was never set", usage.id))?;
        if let Some(server) = &mut self.rows[row as usize] {
            server.set_usage(usage);
        }
        self.index(row);
        Ok(())
    }

    /// Takes in one more reported number.
    ///
    /// # Errors
    /// The server was never set.
    pub fn set_figure(&mut self, figure: Figure) -> Result<(), String> {
        let unknown = || format!("figure of server {}, which was never set", figure.server);
        let row = *self.by_id.get(&figure.server).ok_or_else(unknown)?;
        self.rows[row as usize].as_mut().ok_or_else(unknown)?.set_figure(figure);
        Ok(())
    }

    pub(crate) fn forget_launch_verdicts(&mut self) {
        self.launch_verdicts.clear();
    }

    pub(crate) fn forget_retire_verdicts(&mut self) {
        self.retire_verdicts.clear();
    }

    fn pool_at(&self, id: PoolId) -> Result<usize, usize> {
        self.pools.binary_search_by_key(&id, |entry| entry.pool.id)
    }

    fn pool_state_at(&self, id: PoolId) -> Result<usize, usize> {
        self.pool_states.binary_search_by_key(&id, |state| state.id)
    }

    fn pool_entry(&self, id: PoolId) -> Option<&PoolEntry> {
        self.pool_at(id).ok().map(|at| &self.pools[at])
    }

    fn row(&self, row: Row) -> Option<&Server> {
        self.rows[row as usize].as_ref()
    }

    fn set_pool(&mut self, pool: Pool) {
        match self.pool_at(pool.id) {
            Ok(at) => self.pools[at].pool = pool,
            Err(at) => {
                let id = pool.id;
                self.pools.insert(
                    at,
                    PoolEntry {
                        pool,
                        open: OpenServers::default(),
                    },
                );
                self.index_servers_of(id);
            }
        }
    }

    /// Indexes servers that were set before their pool was, or whose pool went and came back.
    fn index_servers_of(&mut self, pool: PoolId) {
        let rows: Vec<Row> = self.by_id.values().copied().collect();
        for row in rows {
            if let Some(server) = self.rows[row as usize]
                .as_mut()
                .filter(|server| server.pool_id() == pool)
            {
                server.open = None;
                self.index(row);
            }
        }
    }

    fn set_server(&mut self, now: Timestamp, description: ServerRow) {
        let id = description.id;
        if let Some(row) = self.by_id.get(&id).copied() {
            self.unindex(row);
            if let Some(server) = &mut self.rows[row as usize] {
                server.describe(description);
            }
            self.index(row);
            return;
        }
        let server = Some(Server::new(now, description));
        let row = match self.gaps.pop() {
            Some(gap) => {
                self.rows[gap as usize] = server;
                gap
            }
            None => {
                self.rows.push(server);
                (self.rows.len() - 1) as Row
            }
        };
        self.by_id.insert(id, row);
    }

    fn remove_server(&mut self, id: ServerId) {
        if let Some(row) = self.by_id.remove(&id) {
            self.unindex(row);
            self.rows[row as usize] = None;
            self.gaps.push(row);
        }
    }

    /// Brings a server's place in its pool's index up to date.
    fn index(&mut self, row: Row) {
        let Some(server) = &mut self.rows[row as usize] else {
            return;
        };
        let key = open::key_of(server, row);
        if key == server.open {
            return;
        }
        let before = core::mem::replace(&mut server.open, key);
        let pool = server.pool_id();
        if let Ok(at) = self.pool_at(pool) {
            self.pools[at].open.replace(before, key);
        }
    }

    fn unindex(&mut self, row: Row) {
        let Some(server) = &mut self.rows[row as usize] else {
            return;
        };
        let before = server.open.take();
        let pool = server.pool_id();
        if let Ok(at) = self.pool_at(pool) {
            self.pools[at].open.replace(before, None);
        }
    }

    fn hear(&mut self, verdict: Verdict) {
        let verdicts = match verdict.subject {
            Subject::Launch(_) => &mut self.launch_verdicts,
            Subject::Retire(_) => &mut self.retire_verdicts,
        };
        if verdicts.len() == VERDICTS_MAX {
            verdicts.pop_front();
        }
        verdicts.push_back(verdict);
    }
}

impl Verdict {
    /// Returns whether nothing, or not all, was done of what was ordered.
    pub fn is_setback(&self) -> bool {
        match self.outcome {
            Outcome::Accepted => false,
            Outcome::Clamped | Outcome::Refused | Outcome::Failed => true,
        }
    }
}

#[cfg(test)]
mod tests;
