//! Serves: wires store, fleet, driver, clouds, policies and API, and takes them down again in order.
//!
//! Up: bind, open the store, recover, start the driver, let policies and clouds go, accept. Down: accept nothing more, answer
//! who waits, let connections end, stop policies and clouds, have the driver finish what came, commit, end.

mod reload;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use usher_cloud::Cloud;
use usher_fleet::advice::ScaleAsk;
use usher_fleet::{Cursor, Effect, Fleet, Record, Timestamp, ViewChange};
use usher_policy::Policies;
use usher_store::{Embedded, Store};

use crate::auth::Doorkeeper;
use crate::builtin;
use crate::clock::Clock;
use crate::config::Config;
use crate::driver::{self, Mailbox, Running, World};
use crate::installation::Installation;
use crate::policies::{self, BetweenInputs};
use crate::webhook::Webhook;
use crate::{api, listen, metrics, tls};

/// The longest that connections have to end after a stop was asked for: longer than a placement takes in a bad hour, shorter
/// than the 30 s after which supervisors kill.
pub const GRACE: Duration = Duration::from_secs(10);

/// After so long the host is ready even if a policy's file is still undecided: one bad file must not keep a whole host away.
const READY_AFTER: Duration = Duration::from_secs(30);

/// With less free space on the disk of the records, new rooms are refused, so that releases still fit.
const DISK_FREE_MIN_BYTES: u64 = 64 * 1024 * 1024;
/// How often that is looked at.
const DISK_LOOK_EVERY: Duration = Duration::from_secs(2);

/// A host that serves; it stops by [`Serving::until`].
#[derive(Debug)]
pub struct Serving {
    address: SocketAddr,
    mailbox: Mailbox,
    running: Running,
    outside: Arc<Outside>,
    stop: watch::Sender<bool>,
    listening: JoinHandle<()>,
    beside: Vec<JoinHandle<()>>,
}

impl Serving {
    /// Returns where the API listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is done, then drains and stops.
    ///
    /// # Errors
    /// The store failed, which ends all at once: what was not durable then was not answered.
    pub async fn until(mut self, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        tokio::select! {
            () = stop => self.stop().await,
            failed = &mut self.running.failure => Err(match failed {
                Ok(error) => anyhow::Error::new(error).context("the store failed: nothing more is answered, start again"),
                Err(_) => anyhow::anyhow!("the driver has ended by a mistake in the program; start again"),
            }),
        }
    }

    async fn stop(mut self) -> anyhow::Result<()> {
        tracing::info!("stopping: connections have {} s to end", GRACE.as_secs());
        self.stop.send_replace(true);
        self.mailbox.answer_parked();
        let failed = tokio::select! {
            ended = &mut self.listening => {
                ended.context("the listener has ended by a mistake in the program")?;
                None
            }
            failed = &mut self.running.failure => failed.ok(),
        };
        for task in &self.beside {
            task.abort();
        }
        if let Some(error) = failed {
            return Err(anyhow::Error::new(error).context("the store failed while stopping"));
        }
        self.outside.cloud.stop().await;
        self.mailbox.close();
        let (outside, running) = (Arc::clone(&self.outside), self.running);
        let failed = tokio::task::spawn_blocking(move || {
            outside.stop_policies();
            running.join()
        });
        match failed.await.context("the driver cannot be waited for")? {
            Some(error) => Err(anyhow::Error::new(error).context("the store failed while stopping")),
            None => {
                tracing::info!("stopped: all that was answered is durable");
                Ok(())
            }
        }
    }
}

/// Clouds and policies: what lies behind the effects.
struct Outside {
    cloud: Cloud,
    /// Taken when the host stops.
    policies: RwLock<Option<Policies>>,
}

impl std::fmt::Debug for Outside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Outside")
    }
}

impl Outside {
    fn with_policies<T>(&self, ask: impl FnOnce(&Policies) -> T) -> Option<T> {
        let policies = self.policies.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        policies.as_ref().map(ask)
    }

    fn stop_policies(&self) {
        let policies = self
            .policies
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .take();
        if let Some(policies) = policies {
            policies.stop();
        }
    }
}

impl World for Outside {
    fn run(&self, effect: Effect) {
        self.cloud.run(effect);
    }

    fn scale(&self, ask: ScaleAsk, cursor: Cursor, changes: Vec<ViewChange>) {
        self.with_policies(|policies| policies.scale(ask, cursor, changes));
    }
}

/// Recovers what the data folder holds and begins to serve. The file at `config_path` is read anew when it changes.
///
/// # Errors
/// The address cannot be bound, or the data folder cannot be opened or read.
pub async fn start(config: Config, config_path: Option<PathBuf>) -> anyhow::Result<Serving> {
    let connections_max = listen::connections_max();
    let listener = TcpListener::bind(config.listen).await;
    let listener = listener.with_context(|| format!("cannot listen on {}", config.listen))?;
    let address = listener.local_addr().context("the socket has no address")?;
    let figures = metrics::install();
    let (tls, renewal) = match &config.tls {
        Some(files) => tls::open(files.clone())
            .await
            .map(|(tls, renewal)| (Some(tls), Some(renewal)))?,
        None => (None, None),
    };

    let (store, snapshot) = open(&config).await?;
    let installation = Installation::open(&config.data_dir)?;
    let events = store.events();
    let clock = Clock::start(newest_moment(&snapshot.records));
    let records = snapshot.records.len();
    let fleet = Fleet::recover(config.fleet.clone(), snapshot.records, clock.now());

    let mailbox = Mailbox::new();
    let cloud = start_cloud(&config, &mailbox, &clock, &fleet, &installation);
    let mut options = usher_policy::Options::new(Some(config.policies_dir.clone()), builtin::make);
    options.keep = Some(config.data_dir.join("policies"));
    options.log = crate::telemetry::policy_level();
    options.compile = policies::compile_in_child().context("cannot find this program, to compile policies with")?;
    let (chain, policies) = usher_policy::start(options, Arc::new(BetweenInputs(mailbox.clone())));
    let outside = Arc::new(Outside {
        cloud,
        policies: RwLock::new(Some(policies)),
    });
    let running = driver::start(driver::Start {
        fleet,
        clock: clock.clone(),
        last: snapshot.last,
        last_event: events.newest(),
        store: Box::new(store),
        chain,
        world: Arc::clone(&outside) as Arc<dyn World>,
        mailbox: mailbox.clone(),
    })
    .context("cannot start the driver")?;

    let (stop, stopping) = watch::channel(false);
    let is_disk_low = Arc::new(AtomicBool::new(false));
    let router = api::router(api::Parts {
        mailbox: mailbox.clone(),
        decisions: running.decisions.clone(),
        events: events.clone(),
        newest: running.newest.clone(),
        doorkeeper: Doorkeeper::new(config.auth.as_ref(), installation),
        baseline_per_hour: config.bill.baseline_per_hour,
        metrics: figures.clone(),
        policies: Box::new({
            let outside = Arc::clone(&outside);
            move || outside.with_policies(Policies::status).unwrap_or_default()
        }),
        roll_back: Box::new({
            let outside = Arc::clone(&outside);
            move |policy, why| outside.with_policies(|policies| policies.rollback(policy, why))
        }),
        is_ready: readiness(Arc::clone(&outside)),
        is_disk_low: Arc::clone(&is_disk_low),
        stopping: stopping.clone(),
    });
    let served = match tls {
        Some(tls) => listen::Served::Tls(tls, router, api::only_https()),
        None => listen::Served::Plain(router),
    };
    let scheme = config.scheme();
    let listening = tokio::spawn(listen::serve(listener, served, connections_max, stopping, GRACE));
    let mut beside = vec![
        tokio::spawn(watch_disk(config.data_dir.clone(), is_disk_low)),
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(metrics::UPKEEP_EVERY).await;
                figures.run_upkeep();
            }
        }),
    ];
    let (webhook, webhook_config) = watch::channel(config.webhook.clone());
    let calls = Webhook {
        log: events,
        newest: running.newest.clone(),
        config: webhook_config,
        data_dir: config.data_dir.clone(),
        clock,
        mailbox: mailbox.clone(),
    };
    beside.push(tokio::spawn(calls.run()));
    beside.extend(renewal.map(|renewal| tokio::spawn(renewal.run())));
    if let Some(path) = config_path {
        let follow = reload::Followers {
            mailbox: mailbox.clone(),
            cloud: outside.cloud.clone(),
            webhook,
        };
        beside.push(tokio::spawn(reload::watch(path, config, follow)));
    }
    tracing::info!(%address, records, "serving on {scheme}://{address}");
    Ok(Serving {
        address,
        mailbox,
        running,
        outside,
        stop,
        listening,
        beside,
    })
}

/// Serves until SIGTERM or SIGINT, then drains within [`GRACE`].
///
/// # Errors
/// See [`start`] and [`Serving::until`].
pub async fn run(config: Config, config_path: Option<PathBuf>) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let serving = start(config, config_path).await?;
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    serving.until(stop).await
}

async fn open(config: &Config) -> anyhow::Result<(Embedded, usher_store::Snapshot)> {
    let dir = config.data_dir.clone();
    let options = usher_store::Options {
        events_retention: config.events.retention,
        events_bytes_max: config.events.bytes_max,
    };
    let opened = tokio::task::spawn_blocking(move || {
        let mut store = Embedded::open(&dir, options)?;
        let snapshot = store.load()?;
        Ok::<_, usher_store::StoreError>((store, snapshot))
    });
    Ok(opened.await.context("the store's opening was broken off")??)
}

/// Returns the newest moment that is durable.
fn newest_moment(records: &[Record]) -> Timestamp {
    let moments = records.iter().filter_map(|record| match record {
        Record::Meta(meta) => Some(meta.now),
        Record::Server(_) | Record::Room(_) | Record::Pool(_) => None,
    });
    moments.max().unwrap_or_default()
}

fn start_cloud(config: &Config, mailbox: &Mailbox, clock: &Clock, fleet: &Fleet, installation: &Installation) -> Cloud {
    let observe = {
        let mailbox = mailbox.clone();
        Arc::new(move |observation| mailbox.observe(observation))
    };
    let clock = clock.clone();
    let cloud = Cloud::with(observe, Arc::new(move || clock.now()), installation.clone().launcher());
    cloud.configure(config.pools.clone());
    cloud.recover(&fleet.servers());
    cloud
}

fn readiness(outside: Arc<Outside>) -> Box<dyn Fn() -> bool + Send + Sync> {
    let began = Instant::now();
    Box::new(move || began.elapsed() >= READY_AFTER || outside.with_policies(Policies::has_decided).unwrap_or(false))
}

async fn watch_disk(dir: PathBuf, is_low: Arc<AtomicBool>) {
    loop {
        match free_bytes(&dir).await {
            Ok(free) => {
                let low = free < DISK_FREE_MIN_BYTES;
                if is_low.swap(low, Ordering::Relaxed) != low {
                    let mib = free >> 20;
                    if low {
                        tracing::error!(mib, "the disk is nearly full: new rooms are refused");
                    } else {
                        tracing::info!(mib, "the disk has room again: new rooms are placed");
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "cannot tell how much of the disk is free"),
        }
        tokio::time::sleep(DISK_LOOK_EVERY).await;
    }
}

async fn free_bytes(dir: &Path) -> std::io::Result<u64> {
    let dir = dir.to_owned();
    tokio::task::spawn_blocking(move || usher_store::free_bytes(&dir)).await?
}
