//! The front: takes the fleet's effects, runs each where it belongs, and tells what came of it.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime};

use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{debug, error};

use usher_fleet::effect::{Effect, Examine, LaunchOrder, Watch};
use usher_fleet::ids::{PoolName, ServerName, ServerNo};
use usher_fleet::observation::{Evidence, Examined, Launched, Listed, OrderKey, Probed, ProviderError, Terminated};
use usher_fleet::status::ServerStatus;
use usher_fleet::{Observation, Timestamp};

use crate::config::{PoolSetup, ProbeConfig, ProbeTiming, ProviderConfig};
#[cfg(feature = "ec2")]
use crate::ec2::Ec2;
use crate::exec::Exec;
use crate::finding::Finding;
use crate::orders::{Admission, Order, Orders};
use crate::probe::{LastSeen, Prober};
use crate::provider::Provider;
use crate::simulated::Simulated;
use crate::watches::Watches;

/// Takes what the world reports. It is called from many tasks at once and must not block.
pub type Observe = Arc<dyn Fn(Observation) + Send + Sync>;

/// Tells the time as the fleet is told it.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Makes the token by which a launched server's agent reports: the same for the same server, however often it is asked.
pub type Tokens = Arc<dyn Fn(ServerNo, &ServerName) -> String + Send + Sync>;

/// Which installation launches servers.
pub struct Installation {
    /// A word of its own, beside the fleet's name in every mark on a server: letters, digits and dashes, at most 32.
    pub id: String,
    /// Makes its servers' tokens.
    pub tokens: Tokens,
}

impl Installation {
    /// Returns one for pools whose servers carry no mark and no token.
    pub fn unnamed() -> Installation {
        Installation {
            id: "unnamed".to_owned(),
            tokens: Arc::new(|_, _| String::new()),
        }
    }
}

/// How long [`Cloud::stop`] waits for orders that run. What is cut off then is asked again after the restart, with the
/// same key; waiting only saves that.
const STOP_GRACE: Duration = Duration::from_secs(5);

const LOCK: &str = "nothing panics while it holds this lock";

/// Runs effects. Cheap to clone; all clones are one. It runs on tokio until [`Cloud::stop`].
#[derive(Clone)]
pub struct Cloud(Arc<Shared>);

/// What the front and its tasks have in common. No lock is held while another is taken, or while anything is told.
pub(crate) struct Shared {
    pub(crate) observe: Observe,
    pub(crate) runtime: Handle,
    clock: Clock,
    #[cfg_attr(not(feature = "ec2"), expect(dead_code, reason = "only ec2 marks its servers"))]
    installation: Arc<Installation>,
    pools: Mutex<HashMap<PoolName, Pool>>,
    orders: Mutex<Orders>,
    /// The pools whose list is being asked for, one at a time each.
    lists: Mutex<HashSet<PoolName>>,
    /// The single probes under way, each by server and URL.
    probes: Mutex<HashSet<(ServerName, String)>>,
    watches: Watches,
    prober: Prober,
    tasks: Mutex<JoinSet<()>>,
    is_stopped: AtomicBool,
}

#[derive(Clone)]
struct Pool {
    setup: PoolSetup,
    /// None where somebody else makes the servers.
    provider: Option<Arc<dyn Provider>>,
}

impl Cloud {
    /// Makes a front without pools, with a clock of its own: the wall's time now, and from then on a steady one.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime: it is the one that everything runs on, from whatever thread effects come.
    pub fn new(observe: Observe) -> Cloud {
        Cloud::with(observe, steady_clock(), Installation::unnamed())
    }

    /// Makes a front of an installation, whose lists are stamped by the given clock, best the fleet's own.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn with(observe: Observe, clock: Clock, installation: Installation) -> Cloud {
        Cloud(Arc::new(Shared {
            observe,
            runtime: Handle::current(),
            clock,
            installation: Arc::new(installation),
            pools: Mutex::default(),
            orders: Mutex::default(),
            lists: Mutex::default(),
            probes: Mutex::default(),
            watches: Watches::default(),
            prober: Prober::new(),
            tasks: Mutex::default(),
            is_stopped: AtomicBool::new(false),
        }))
    }

    /// Takes in the pools' setups, also anew. What runs goes on by the old one; a pool that is missing keeps its setup,
    /// so that its last servers can be ended.
    pub fn configure(&self, setups: Vec<PoolSetup>) {
        let mut pools = self.0.pools();
        for setup in setups {
            let provider = match pools.get(&setup.name) {
                Some(old) => self.0.keep_or_make(old, &setup),
                None => self.0.make(&setup),
            };
            pools.insert(setup.name.clone(), Pool { setup, provider });
        }
    }

    /// Rebuilds what exists in this process only: simulated servers. To be called after [`Cloud::configure`] and before
    /// the first effect.
    pub fn recover(&self, servers: &[ServerStatus]) {
        let mut by_pool: HashMap<&PoolName, Vec<&ServerStatus>> = HashMap::new();
        for status in servers {
            by_pool.entry(&status.card.pool).or_default().push(status);
        }
        for (pool, servers) in by_pool {
            if let Some(provider) = self.0.pool(pool).and_then(|pool| pool.provider) {
                provider.recover(&servers);
            }
        }
    }

    /// Starts an effect and returns at once; what comes of it is told. From any thread. After [`Cloud::stop`] nothing is
    /// started any more.
    pub fn run(&self, effect: Effect) {
        if self.0.is_stopped.load(Ordering::Acquire) {
            debug!(?effect, "not started: stopping");
            return;
        }
        match effect {
            Effect::Launch(order) => self.order(order.key.clone(), Order::Launch(order)),
            Effect::Terminate(order) => self.order(order.key.clone(), Order::Terminate(order)),
            Effect::List(pool) => self.list(pool),
            Effect::Watch(watch) => self.0.watches.begin(&self.0, watch),
            Effect::Unwatch(server) => self.0.watches.end(&server),
            Effect::Probe(watch) => self.probe_once(watch),
            Effect::Examine(examine) => self.examine(examine),
            Effect::Scale(ask) => error!(?ask, "a scale ask came to the cloud; it is the policies'"),
        }
    }

    /// Looks whether a pool's provider could do as it would be ordered, and changes nothing; nothing where somebody else makes the
    /// servers.
    pub async fn check(&self, pool: &PoolName) -> Vec<Finding> {
        match self.0.pool(pool).and_then(|pool| pool.provider) {
            Some(provider) => provider.check().await,
            None => Vec::new(),
        }
    }

    /// Ends all probes at once, waits up to 5 s for the orders that run, and then cuts them off: `exec`'s programs are
    /// killed.
    pub async fn stop(&self) {
        self.0.is_stopped.store(true, Ordering::Release);
        self.0.watches.end_all();
        let mut tasks = std::mem::take(&mut *self.0.tasks());
        let all_done = async { while tasks.join_next().await.is_some() {} };
        if timeout(STOP_GRACE, all_done).await.is_err() {
            tasks.shutdown().await;
        }
        self.0.pools().clear();
    }

    fn order(&self, key: OrderKey, order: Order) {
        let admission = self.0.orders.lock().expect(LOCK).admit(order.clone());
        match admission {
            Admission::Run => self.0.spawn(run_orders(Arc::clone(&self.0), key, order)),
            Admission::Leave => {}
        }
    }

    fn list(&self, pool: PoolName) {
        if !self.0.lists.lock().expect(LOCK).insert(pool.clone()) {
            return;
        }
        let shared = Arc::clone(&self.0);
        let mut asked = (shared.clock)();
        self.0.spawn(async move {
            let result = match shared.provider(&pool) {
                Ok(provider) => {
                    asked = asked - provider.list_lag();
                    provider.list().await
                }
                Err(error) => Err(error),
            };
            shared.lists.lock().expect(LOCK).remove(&pool);
            (shared.observe)(Observation::Listed(Listed { pool, asked, result }));
        });
    }

    fn examine(&self, examine: Examine) {
        let shared = Arc::clone(&self.0);
        self.0.spawn(async move {
            let evidence = match shared.provider(&examine.pool) {
                Ok(provider) => provider.examine(&examine.instance).await,
                Err(error) => Evidence {
                    cause: None,
                    console: Some(error.to_string()),
                },
            };
            let key = examine.key;
            (shared.observe)(Observation::Examined(Examined { key, evidence }));
        });
    }

    fn probe_once(&self, watch: Watch) {
        let probe = (watch.server.clone(), watch.url.clone());
        if !self.0.probes.lock().expect(LOCK).insert(probe.clone()) {
            return;
        }
        let shared = Arc::clone(&self.0);
        self.0.spawn(async move {
            let config = shared.probe_config(&watch.pool);
            let result = shared.look(&config, &watch, LastSeen::Failing).await;
            shared.probes.lock().expect(LOCK).remove(&probe);
            let (server, url) = probe;
            (shared.observe)(Observation::Probed(Probed { server, url, result }));
        });
    }
}

impl Shared {
    /// Returns how a pool's servers are probed. Of a pool that is not known there is still the URL: by TCP.
    pub(crate) fn probe_config(&self, pool: &PoolName) -> ProbeConfig {
        match self.pools().get(pool) {
            Some(pool) => pool.setup.probe.clone(),
            None => ProbeConfig::Tcp(ProbeTiming::default()),
        }
    }

    /// Looks at a server once: its provider does, if it exists nowhere else, or the network.
    pub(crate) async fn look(&self, config: &ProbeConfig, watch: &Watch, last: LastSeen) -> Result<(), String> {
        let provider = self.pool(&watch.pool).and_then(|pool| pool.provider);
        match provider.and_then(|provider| provider.probe(&watch.server)) {
            Some(result) => result,
            None => self.prober.probe(config, &watch.url, last).await,
        }
    }

    fn pools(&self) -> MutexGuard<'_, HashMap<PoolName, Pool>> {
        self.pools.lock().expect(LOCK)
    }

    fn tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock().expect(LOCK)
    }

    fn pool(&self, pool: &PoolName) -> Option<Pool> {
        self.pools().get(pool).cloned()
    }

    fn provider(&self, pool: &PoolName) -> Result<Arc<dyn Provider>, ProviderError> {
        let Some(known) = self.pool(pool) else {
            let reason = format!("pool {pool} is not in the configuration: put it back until its last server is gone");
            return Err(ProviderError::Misconfigured(reason));
        };
        known.provider.ok_or_else(|| {
            let reason = format!("pool {pool} is external: somebody else makes and ends its servers");
            ProviderError::Misconfigured(reason)
        })
    }

    fn keep_or_make(&self, old: &Pool, setup: &PoolSetup) -> Option<Arc<dyn Provider>> {
        let is_kept = old.setup == *setup || old.provider.as_ref().is_some_and(|old| old.reconfigure(setup));
        if is_kept {
            old.provider.clone()
        } else {
            self.make(setup)
        }
    }

    fn make(&self, setup: &PoolSetup) -> Option<Arc<dyn Provider>> {
        match &setup.provider {
            ProviderConfig::External => None,
            ProviderConfig::Simulated(config) => {
                let (observe, runtime) = (Arc::clone(&self.observe), self.runtime.clone());
                Some(Arc::new(Simulated::new(setup, config.clone(), observe, runtime)))
            }
            ProviderConfig::Exec(config) => Some(Arc::new(Exec::new(setup.clone(), config.clone()))),
            #[cfg(feature = "ec2")]
            ProviderConfig::Ec2(config) => {
                let (installation, clock) = (Arc::clone(&self.installation), Arc::clone(&self.clock));
                Some(Arc::new(Ec2::new(setup, config.clone(), installation, clock)))
            }
            #[cfg(not(feature = "ec2"))]
            ProviderConfig::Ec2(_) => None,
        }
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks();
        while tasks.try_join_next().is_some() {}
        tasks.spawn_on(task, &self.runtime);
    }
}

/// Runs the orders of one key, one after the other, until there are none.
async fn run_orders(shared: Arc<Shared>, key: OrderKey, first: Order) {
    let mut next = Some(first);
    while let Some(order) = next {
        let mut answer = run_order(&shared, order).await;
        let newest = shared.orders.lock().expect(LOCK).answered(&key);
        if let (Observation::Launched(launched), Some(nth)) = (&mut answer, newest) {
            launched.nth = nth;
        }
        (shared.observe)(answer);
        next = shared.orders.lock().expect(LOCK).next(&key);
    }
}

async fn run_order(shared: &Shared, order: Order) -> Observation {
    match order {
        Order::Launch(order) => {
            let result = match shared.provider(&order.pool) {
                Ok(provider) => provider.launch(&order).await,
                Err(error) => Err(error),
            };
            let LaunchOrder { key, nth, .. } = order;
            Observation::Launched(Launched { key, nth, result })
        }
        Order::Terminate(order) => {
            let result = match shared.provider(&order.pool) {
                Ok(provider) => provider.terminate(&order).await,
                Err(error) => Err(error),
            };
            let key = order.key;
            Observation::Terminated(Terminated { key, result })
        }
    }
}

fn steady_clock() -> Clock {
    let begun = Instant::now();
    let wall = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let start = Timestamp::default() + wall;
    Arc::new(move || start + begun.elapsed())
}

#[cfg(test)]
mod tests;
