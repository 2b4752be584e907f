//! Fleets for tests, in few words.

use super::{Fleet, Server};
use crate::{Change, Figure, Health, Phase, Pool, PoolId, PoolState, ServerId, ServerRow, Timestamp, Usage, Verdict};

/// Builds a [`Fleet`] for a test: pools, and after each pool its servers.
///
/// A pool has no limits and no price and may launch and retire 1,000 servers, unless its closure says otherwise. A server has
/// its pool's limits and price, is ready and free, and never reported; without rooms it is empty since its phase began. Ids count from 1, pools and servers each on their own.
///
/// ```
/// use usher_sdk::{Fleet, Phase};
///
/// let fleet = Fleet::builder()
///     .at(1_000)
///     .pool("small", |pool| {
///         pool.rooms_per_server = 10;
///         pool.price_microdollars_per_hour = 348_000;
///     })
///     .server("a", |server| server.usage.rooms = 9)
///     .server("b", |server| server.usage.phase = Phase::Starting)
///     .pool_state(|state| state.launchable = 2)
///     .build();
/// assert_eq!(fleet.servers_len(), 2);
/// ```
#[derive(Debug, Default)]
pub struct FleetBuilder {
    fleet: Fleet,
    now: Timestamp,
    pools: PoolId,
    servers: ServerId,
}

/// A server of a [`FleetBuilder`], to be changed before it joins.
///
/// ```
/// use usher_sdk::{Fleet, ServerSketch};
///
/// /// Half full, and busy.
/// fn busy(server: &mut ServerSketch) {
///     server.usage.rooms = server.row.rooms_max / 2;
///     (server.usage.reported, server.usage.cpu_permille) = (990, 900);
/// }
///
/// let fleet = Fleet::builder().pool("p", |pool| pool.rooms_per_server = 10).servers("s", 3, busy).build();
/// assert!(fleet.servers().all(|server| server.usage().rooms == 5));
/// ```
#[derive(Debug)]
pub struct ServerSketch {
    /// What hardly ever changes.
    pub row: ServerRow,
    /// What changes all the time.
    pub usage: Usage,
    /// Reported numbers, by their place in `Policy::FIGURES`.
    pub figures: Vec<u32>,
}

/// What may be launched and retired in a pool of which a test says nothing.
const ENOUGH: u32 = 1_000;

impl FleetBuilder {
    /// Sets the time at which what follows is told, in seconds since 1970; 0 at first.
    #[must_use]
    pub fn at(mut self, now: Timestamp) -> Self {
        self.now = now;
        self
    }

    /// Adds a pool; the servers that follow are its.
    #[must_use]
    pub fn pool(mut self, name: &str, change: impl FnOnce(&mut Pool)) -> Self {
        self.pools += 1;
        let mut pool = Pool {
            id: self.pools,
            name: name.into(),
            region: String::new(),
            zones: Vec::new(),
            instance_type: String::new(),
            market: String::new(),
            automatic: true,
            servers_min: 0,
            servers_max: ENOUGH,
            rooms_per_server: 0,
            seats_per_server: 0,
            load_per_server: 0,
            price_microdollars_per_hour: 0,
            labels: Vec::new(),
        };
        change(&mut pool);
        self.fleet.apply(self.now, Change::PoolSet(pool));
        self.pool_state(|_| {})
    }

    /// Says what may be done with the last pool.
    #[must_use]
    pub fn pool_state(mut self, change: impl FnOnce(&mut PoolState)) -> Self {
        let mut state = PoolState {
            id: self.pools,
            launchable: ENOUGH,
            retirable: ENOUGH,
            again: 0,
            code: String::new(),
            boot_seconds: 0,
        };
        change(&mut state);
        self.fleet.apply(self.now, Change::PoolState(state));
        self
    }

    /// Adds a server to the last pool.
    ///
    /// # Panics
    /// There is no pool yet, or the closure changed the server's id.
    #[must_use]
    pub fn server(mut self, name: &str, change: impl FnOnce(&mut ServerSketch)) -> Self {
        self.servers += 1;
        let pool = self
            .fleet
            .pool(self.pools)
            .expect("a test names a pool before its servers");
        let row = ServerRow {
            id: self.servers,
            pool: pool.id,
            name: name.into(),
            zone: String::new(),
            rooms_max: pool.rooms_per_server,
            seats_max: pool.seats_per_server,
            load_max: pool.load_per_server,
            price_microdollars_per_hour: pool.price_microdollars_per_hour,
            started: 0,
            labels: Vec::new(),
        };
        let usage = Usage {
            phase: Phase::Ready,
            health: Health::Ok,
            since: self.now,
            ..*Server::new(self.now, row.clone()).usage()
        };
        let mut sketch = ServerSketch {
            row,
            usage,
            figures: Vec::new(),
        };
        change(&mut sketch);
        let usage = &mut sketch.usage;
        if usage.rooms == 0 && usage.empty_since == 0 {
            usage.empty_since = usage.since.max(usage.newest_room);
        }
        self.fleet.apply(self.now, Change::ServerSet(sketch.row));
        self.fleet.set_usage(sketch.usage).expect("a test keeps a server's id");
        for (figure, value) in (0..).zip(sketch.figures) {
            self.fleet
                .set_figure(Figure {
                    server: self.servers,
                    figure,
                    value,
                })
                .expect("it was set above");
        }
        self
    }

    /// Adds servers `NAME-1`, `NAME-2`, ... to the last pool, all alike.
    #[must_use]
    pub fn servers(self, name: &str, count: u32, change: impl Fn(&mut ServerSketch)) -> Self {
        (1..=count).fold(self, |builder, number| {
            builder.server(&format!("{name}-{number}"), &change)
        })
    }

    /// Tells what became of an order.
    ///
    /// ```
    /// use usher_sdk::{Fleet, Outcome, Subject, Verdict};
    ///
    /// let (decision, count, until) = (7, 1, 0);
    /// let (subject, outcome, code) = (Subject::Launch(1), Outcome::Failed, "boot_deadline".into());
    /// let failed = Verdict { decision, subject, outcome, count, code, until };
    /// let fleet = Fleet::builder().pool("p", |_| {}).verdict(failed).build();
    /// assert_eq!(fleet.launch_verdicts().count(), 1);
    /// ```
    #[must_use]
    pub fn verdict(mut self, verdict: Verdict) -> Self {
        self.fleet.apply(self.now, Change::Verdict(verdict));
        self
    }

    /// Returns the fleet.
    pub fn build(self) -> Fleet {
        self.fleet
    }
}
