//! The view: what a policy knows of the fleet, in its own memory, kept up to date by what the host sends.
//!
//! Servers lie in blocks of neighbours, ordered by id; one index a pool knows which open server is the fullest ([`Fleet::fitting`]). The view
//! decides nothing and checks nothing that the host promises; a promise that is seen to be broken is an error, after which the host
//! builds a new instance.
//!
//! Inside a module each call of a function looks at fuel, time and stack, and costs some 5 ns: what every placement comes through is
//! inlined by order, which took a fifth off it (`make bench`).

mod builder;
mod fitting;
mod labels;
mod open;
mod places;
mod server;
mod servers;

use std::collections::VecDeque;

pub use builder::{FleetBuilder, ServerSketch};
pub use fitting::Fitting;
pub use server::Server;

use crate::request::required;
use crate::{
    Change, Figure, Label, Outcome, Pool, PoolId, PoolState, RoomRequest, ServerId, ServerRow, Size, Subject,
    Timestamp, Usage, Verdict,
};
use labels::OwnLabels;
use open::{OpenServers, Standing};
use servers::Servers;

/// The most verdicts of a kind that are kept for the next turn; the oldest give way.
///
/// A policy that is asked every tick sees a handful; one that is never asked again must not grow.
///
/// ```
/// use usher_sdk::{Fleet, VERDICTS_MAX};
///
/// assert!(Fleet::default().launch_verdicts().count() <= VERDICTS_MAX);
/// ```
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
///
/// Everything can be looked at, by id or in the order of ids:
///
/// ```
/// # let fleet = usher_sdk::Fleet::builder().pool("frankfurt", |_| {}).server("a", |_| {}).build();
/// let pool = fleet.pools().next().expect("there is one");
/// assert_eq!(fleet.pool(pool.id), Some(pool));
/// assert!(fleet.pool_state(pool.id).is_some_and(|state| state.launchable > 0));
///
/// let server = fleet.servers().find(|server| server.pool_id() == pool.id).expect("there is one");
/// assert_eq!(fleet.server(server.id()).map(|server| server.name()), Some("a"));
/// assert!(fleet.server_named("z").is_none());
/// assert_eq!(fleet.servers_len(), 1);
/// ```
#[derive(Debug, Default)]
pub struct Fleet {
    /// Ordered by id.
    pools: Vec<PoolEntry>,
    /// Every region that a pool was ever in, so that a search compares numbers and not names.
    regions: Vec<String>,
    /// Ordered by id; apart from the pools, since one may be told before the other.
    pool_states: Vec<PoolState>,
    servers: Servers,
    launch_verdicts: VecDeque<Verdict>,
    retire_verdicts: VecDeque<Verdict>,
}

/// A pool, its open servers, and what its servers carry.
#[derive(Debug)]
struct PoolEntry {
    pool: Pool,
    /// Its place in [`Fleet::regions`].
    region: usize,
    /// Whether it lets in everybody.
    is_for_all: bool,
    open: OpenServers,
    /// Of all its servers, also of those that are not open.
    own_labels: OwnLabels,
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
        pool_at(&self.pools, id).ok().map(|at| &self.pools[at].pool)
    }

    /// Returns what may be done with a pool now; none before it was told.
    pub fn pool_state(&self, id: PoolId) -> Option<&PoolState> {
        self.pool_state_at(id).ok().map(|at| &self.pool_states[at])
    }

    /// Returns all servers, ordered by id: starting, serving and ending ones.
    pub fn servers(&self) -> impl Iterator<Item = &Server> {
        self.servers.iter()
    }

    /// Returns how many servers there are.
    pub fn servers_len(&self) -> usize {
        self.servers.len()
    }

    /// Returns a server.
    #[inline(always)]
    pub fn server(&self, id: ServerId) -> Option<&Server> {
        self.servers.get(id)
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
    #[inline(always)]
    pub fn fitting(&self, size: Size) -> Fitting<'_> {
        Fitting::new(self, size)
    }

    /// Returns whether a server, or its pool, carries all that a room's labels require ([`REQUIRE_PREFIX`](crate::REQUIRE_PREFIX)).
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
    #[inline(always)]
    pub fn carries(&self, server: &Server, labels: &[Label]) -> bool {
        required(labels).all(|(key, value)| {
            let of_pool = || self.pool(server.pool_id()).and_then(|pool| pool.label(key));
            server.label(key).or_else(of_pool) == Some(value)
        })
    }

    /// Returns whether a server is one for this room beyond having space for it: it carries what the room requires, and is not the one
    /// that the room [avoids](RoomRequest::avoid).
    ///
    /// ```
    /// use usher_sdk::{Fleet, Label, RoomRequest};
    ///
    /// let fleet = Fleet::builder().pool("p", |_| {}).servers("a", 2, |_| {}).build();
    /// let moved = RoomRequest { avoid: 1, ..RoomRequest::new("standup-42", 50) };
    /// let mut fitting = fleet.fitting(moved.size()).letting_in(&moved);
    /// assert_eq!(fitting.find(|server| fleet.suits(server, &moved)).map(|server| server.id()), Some(2));
    ///
    /// let wants_gpu = RoomRequest { labels: vec![Label::new("require.gpu", "yes")], ..RoomRequest::new("film", 50) };
    /// assert!(!fleet.servers().any(|server| fleet.suits(server, &wants_gpu)));
    /// ```
    #[inline(always)]
    pub fn suits(&self, server: &Server, room: &RoomRequest) -> bool {
        server.id() != room.avoid && self.carries(server, &room.labels)
    }

    /// Returns whether servers of a pool may carry all that a room's labels require: the pool does, or some of its servers have labels
    /// of their own with such keys. Whether one of them [carries](Self::carries) it is then still to be seen; where this says no, none
    /// does.
    ///
    /// A search that goes by it ([`Fitting::in_pools`]) does not go through a thousand servers for one with a GPU in pools that have none.
    ///
    /// ```
    /// use usher_sdk::{Fleet, Label, Pool, Size};
    ///
    /// let fleet = Fleet::builder()
    ///     .pool("plain", |_| {})
    ///     .servers("plain", 5_000, |server| server.usage.rooms = 3)
    ///     .pool("gpu", |pool| pool.labels.push(Label::new("gpu", "yes")))
    ///     .server("gpu", |_| {})
    ///     .build();
    /// let wants_gpu = [Label::new("require.gpu", "yes")];
    /// let may_carry = |pool: &Pool| fleet.may_carry(pool, &wants_gpu);
    /// let first = fleet.fitting(Size::default()).in_pools(&may_carry).next();
    /// assert_eq!(first.map(|server| server.name()), Some("gpu"));
    /// ```
    pub fn may_carry(&self, pool: &Pool, labels: &[Label]) -> bool {
        let own = pool_at(&self.pools, pool.id).map(|at| &self.pools[at].own_labels);
        required(labels).all(|(key, value)| pool.label(key) == Some(value) || own.is_ok_and(|own| own.may_have(key)))
    }

    /// Returns what became of launches that this policy ordered, since its last `scale_up`; the oldest first, at most
    /// [`VERDICTS_MAX`].
    ///
    /// ```
    /// use usher_sdk::{Fleet, Outcome, Subject, Verdict};
    ///
    /// let verdict = |subject, code: &str| Verdict {
    ///     decision: 7,
    ///     subject,
    ///     outcome: Outcome::Refused,
    ///     count: 1,
    ///     code: code.into(),
    ///     until: 0,
    /// };
    /// let fleet = Fleet::builder()
    ///     .pool("p", |_| {})
    ///     .verdict(verdict(Subject::Launch(1), "servers_max"))
    ///     .verdict(verdict(Subject::Retire(1), "server_life_seconds_min"))
    ///     .build();
    /// assert!(fleet.launch_verdicts().any(|verdict| verdict.is_setback() && verdict.code == "servers_max"));
    /// assert_eq!(fleet.retire_verdicts().count(), 1);
    /// ```
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
///
/// ```
/// use usher_sdk::{Change, Figure, Fleet, Usage};
///
/// let mut fleet = Fleet::builder().pool("p", |_| {}).server("a", |_| {}).build();
/// let usage = *fleet.server(1).expect("it was set").usage();
/// fleet.set_usage(Usage { rooms: 3, ..usage })?;
/// fleet.set_figure(Figure { server: 1, figure: 0, value: 1_800 })?;
/// assert_eq!(fleet.server(1).map(|server| server.usage().rooms), Some(3));
///
/// fleet.apply(1_000, Change::ServerRemoved(1));
/// assert!(fleet.set_usage(usage).is_err(), "there is no such server any more");
/// # Ok::<(), String>(())
/// ```
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
                if let Ok(at) = pool_at(&self.pools, id) {
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
    #[inline(always)]
    pub fn set_usage(&mut self, usage: Usage) -> Result<(), String> {
        let server = self
            .servers
            .get_mut(usage.id)
            .ok_or_else(|| format!("usage of server {}, which was never set", usage.id))?;
        let before = server.standing();
        server.set_usage(usage);
        stand(&mut self.pools, server.pool_id(), before, server.standing());
        Ok(())
    }

    /// Takes in one more reported number.
    ///
    /// # Errors
    /// The server was never set.
    pub fn set_figure(&mut self, figure: Figure) -> Result<(), String> {
        self.servers
            .get_mut(figure.server)
            .ok_or_else(|| format!("figure of server {}, which was never set", figure.server))?
            .set_figure(figure);
        Ok(())
    }

    pub(crate) fn forget_launch_verdicts(&mut self) {
        self.launch_verdicts.clear();
    }

    pub(crate) fn forget_retire_verdicts(&mut self) {
        self.retire_verdicts.clear();
    }

    fn pool_state_at(&self, id: PoolId) -> Result<usize, usize> {
        self.pool_states.binary_search_by_key(&id, |state| state.id)
    }

    /// Returns the place of a region in the list; its end where no pool was ever in it.
    #[inline(always)]
    fn region_at(&self, name: &str) -> usize {
        let known = self.regions.iter().position(|region| is_same(region, name));
        known.unwrap_or(self.regions.len())
    }

    fn set_pool(&mut self, pool: Pool) {
        let region = self.region_at(&pool.region);
        if region == self.regions.len() {
            self.regions.push(pool.region.clone());
        }
        let is_for_all = pool.is_for_all();
        match pool_at(&self.pools, pool.id) {
            Ok(at) => {
                let entry = &mut self.pools[at];
                (entry.pool, entry.region, entry.is_for_all) = (pool, region, is_for_all);
            }
            Err(at) => {
                let mut entry = PoolEntry {
                    pool,
                    region,
                    is_for_all,
                    open: OpenServers::default(),
                    own_labels: OwnLabels::default(),
                };
                // Servers may have been set before their pool was, or it went and came back.
                for server in self.servers.iter().filter(|server| server.pool_id() == entry.pool.id) {
                    entry.own_labels.add(server.row());
                    if let Some(standing) = server.standing() {
                        entry.open.insert(standing);
                    }
                }
                self.pools.insert(at, entry);
            }
        }
    }

    fn set_server(&mut self, now: Timestamp, row: ServerRow) {
        let Some(server) = self.servers.get_mut(row.id) else {
            join(&mut self.pools, &row, None);
            return self.servers.insert(Server::new(now, row));
        };
        // It may be in another pool from here on.
        leave(&mut self.pools, server);
        server.describe(row);
        join(&mut self.pools, server.row(), server.standing());
    }

    fn remove_server(&mut self, id: ServerId) {
        if let Some(server) = self.servers.remove(id) {
            leave(&mut self.pools, &server);
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

impl PoolState {
    /// Returns whether a policy before this one has answered for the pool at this turn: what is ordered there is not done any more.
    ///
    /// ```
    /// use usher_sdk::Fleet;
    ///
    /// let fleet = Fleet::builder().pool("p", |_| {}).pool_state(|state| state.code = "spoken_for".into()).build();
    /// assert!(fleet.pool_state(1).is_some_and(|state| state.is_spoken_for()));
    /// ```
    pub fn is_spoken_for(&self) -> bool {
        self.code == "spoken_for"
    }
}

/// Compares two texts word by word. What std does is a call that goes byte by byte in a module.
#[inline(always)]
fn is_same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let word = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes);
    if one.len() != other.len() {
        return false;
    }
    // The last words may overlap those before them.
    match (one.last_chunk(), other.last_chunk()) {
        (Some(last), Some(other_last)) => {
            let mut words = one.as_chunks().0.iter().zip(other.as_chunks().0);
            word(last) == word(other_last) && words.all(|(one, other)| word(one) == word(other))
        }
        (None, _) | (_, None) => one.iter().zip(other).all(|(one, other)| one == other),
    }
}

#[inline]
fn pool_at(pools: &[PoolEntry], id: PoolId) -> Result<usize, usize> {
    pools.binary_search_by_key(&id, |entry| entry.pool.id)
}

/// Moves a server of a pool from where it stood among the open ones to where it stands now.
#[inline(always)]
fn stand(pools: &mut [PoolEntry], pool: PoolId, before: Option<Standing>, after: Option<Standing>) {
    if before == after {
        return;
    }
    let Ok(at) = pool_at(pools, pool) else { return };
    let open = &mut pools[at].open;
    if let Some(before) = before {
        open.remove(before);
    }
    if let Some(after) = after {
        open.insert(after);
    }
}

/// Adds a server to its pool, if that is known.
fn join(pools: &mut [PoolEntry], row: &ServerRow, standing: Option<Standing>) {
    stand(pools, row.pool, None, standing);
    if !row.labels.is_empty()
        && let Ok(at) = pool_at(pools, row.pool)
    {
        pools[at].own_labels.add(row);
    }
}

/// Takes a server out of its pool, if that is known.
fn leave(pools: &mut [PoolEntry], server: &Server) {
    stand(pools, server.pool_id(), server.standing(), None);
    if !server.row().labels.is_empty()
        && let Ok(at) = pool_at(pools, server.pool_id())
    {
        pools[at].own_labels.remove(server.row());
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
