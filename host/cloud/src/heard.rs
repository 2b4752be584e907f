//! For tests: listens to what is observed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

use usher_fleet::Observation;
use usher_fleet::effect::{LaunchOrder, TerminateOrder};
use usher_fleet::ids::Attempt;
use usher_fleet::observation::OrderKey;

use crate::cloud::Observe;
use crate::config::{PoolSetup, ProbeConfig, ProviderConfig};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// What was observed and not yet looked at.
pub(crate) struct Heard(UnboundedReceiver<Observation>);

impl Heard {
    pub(crate) fn new() -> (Observe, Heard) {
        let (sender, receiver) = unbounded_channel();
        let observe: Observe = Arc::new(move |observation| {
            let _ = sender.send(observation);
        });
        (observe, Heard(receiver))
    }

    pub(crate) async fn next(&mut self) -> Observation {
        let next = timeout(PATIENCE, self.0.recv()).await;
        next.expect("something is observed in time").unwrap()
    }

    pub(crate) fn is_empty(&mut self) -> bool {
        self.0.is_empty()
    }
}

pub(crate) fn setup(pool: &str, provider: ProviderConfig, probe: ProbeConfig) -> PoolSetup {
    PoolSetup {
        name: pool.parse().unwrap(),
        fleet: "acme".to_owned(),
        region: "eu-central-1".to_owned(),
        zones: vec!["a".to_owned(), "b".to_owned()],
        instance_type: "8-core".to_owned(),
        provider,
        probe,
        base_dir: "/".into(),
    }
}

pub(crate) fn key(server: &str, attempt: u32) -> OrderKey {
    OrderKey {
        server: server.parse().unwrap(),
        attempt: Attempt(attempt),
    }
}

pub(crate) fn launch(pool: &str, server: &str) -> LaunchOrder {
    LaunchOrder {
        key: key(server, 1),
        no: usher_fleet::ids::ServerNo(1),
        pool: pool.parse().unwrap(),
        offer: None,
        nth: 1,
        labels: [("tier".to_owned(), "gold".to_owned())].into(),
    }
}

pub(crate) fn terminate(pool: &str, server: &str) -> TerminateOrder {
    TerminateOrder {
        key: key(server, 1),
        pool: pool.parse().unwrap(),
        instance: None,
        since: usher_fleet::Timestamp(0),
    }
}
