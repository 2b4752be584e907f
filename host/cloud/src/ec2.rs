//! The provider `ec2`: AWS EC2, and nothing else here names it.
//!
//! | file | does |
//! |---|---|
//! | `launching` | `RunInstances` under one client token per attempt, and what an answer means |
//! | `ending` | `TerminateInstances`, and the proof that nothing is left |
//! | `listing` | `DescribeInstances` by tags, and an instance as the fleet knows it |
//! | `checking` | whether EC2 would do as configured, by reads and dry runs |
//! | `evidence` | the end of an instance's console, for who asks why it never reported |
//! | `refusal` | EC2's error codes, by what to do next |
//! | `tags` | how an instance says whose it is |
//!
//! It never repeats a call that changes something: the fleet does, with the same key and longer pauses, and so with the same
//! client token. Which offers were short is the fleet's to know; what is remembered here is only since when a used token shows nothing.

mod checking;
mod ending;
mod evidence;
mod launching;
mod listing;
mod refusal;
mod tags;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_ec2::Client;
use aws_sdk_ec2::config::Credentials;
use aws_sdk_ec2::config::retry::RetryConfig;
use aws_smithy_http_client::tls;
use tokio::sync::{OnceCell, Semaphore};

use usher_fleet::Timestamp;
use usher_fleet::effect::{LaunchOrder, TerminateOrder};
use usher_fleet::observation::{Found, Instance, OrderKey};

use crate::cloud::{Clock, Installation};
use crate::config::{Ec2Config, PoolSetup};
use crate::provider::{Answer, Examination, Findings, Provider};

/// How long one attempt of a call may take: EC2 answers a launch in 1 to 3 s, a slow list in 10.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a call may take with all its attempts.
const CALL_TIMEOUT: Duration = Duration::from_secs(45);

/// How often a call that only reads is tried.
const READ_ATTEMPTS: u32 = 3;

/// How many changing calls run at the same time. A launch takes 1 to 2 s, and EC2 refills its bucket of launches with two a
/// second.
const CHANGES_MAX: usize = 2;

/// How long EC2's answers may lack what exists: its documentation says "minutes" of eventual consistency.
const VISIBLE_AFTER: Duration = Duration::from_secs(300);

/// Nobody panics while they hold a lock.
const LOCK: &str = "nobody panics with it";

/// Makes a pool's servers on EC2.
pub struct Ec2 {
    setup: PoolSetup,
    config: Ec2Config,
    installation: Arc<Installation>,
    clock: Clock,
    client: OnceCell<Client>,
    turns: Semaphore,
    /// Since when EC2 has said of an order that its token made something, and does not show it.
    unseen: Mutex<BTreeMap<OrderKey, Timestamp>>,
}

impl Ec2 {
    /// Makes the provider; credentials are looked for, in the SDK's usual places, at the first call.
    pub fn new(setup: &PoolSetup, config: Ec2Config, installation: Arc<Installation>, clock: Clock) -> Ec2 {
        Ec2 {
            setup: setup.clone(),
            config,
            installation,
            clock,
            client: OnceCell::new(),
            turns: Semaphore::new(CHANGES_MAX),
            unseen: Mutex::default(),
        }
    }

    async fn client(&self) -> &Client {
        self.client
            .get_or_init(|| client(&self.setup.region, self.config.endpoint_url.as_deref(), None))
            .await
    }

    /// Takes the turn of a call that changes something, and gives the client that never repeats one.
    async fn turn(&self) -> (tokio::sync::SemaphorePermit<'_>, &Client) {
        let turn = self.turns.acquire().await.expect("nobody closes it");
        (turn, self.client().await)
    }

    fn is_visible_by_now(&self, since: Timestamp) -> bool {
        (self.clock)().since(since) >= VISIBLE_AFTER
    }
}

/// Makes a client whose reads are tried again; calls that change something say otherwise, each. Without `keys` the SDK looks for
/// some: in the environment, a profile, the machine's role.
async fn client(region: &str, endpoint_url: Option<&str>, keys: Option<Credentials>) -> Client {
    let ring = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
    let http = aws_smithy_http_client::Builder::new().tls_provider(ring).build_https();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(ATTEMPT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(CALL_TIMEOUT);
    let mut defaults = aws_config::defaults(BehaviorVersion::latest());
    if let Some(keys) = keys {
        defaults = defaults.credentials_provider(keys);
    }
    let shared = defaults
        .region(Region::new(region.to_owned()))
        .http_client(http)
        .timeout_config(timeouts.build())
        .retry_config(RetryConfig::standard().with_max_attempts(READ_ATTEMPTS))
        .load()
        .await;
    let mut config = aws_sdk_ec2::config::Builder::from(&shared);
    if let Some(url) = endpoint_url {
        config = config.endpoint_url(url);
    }
    Client::from_conf(config.build())
}

/// The configuration of a call that changes something: tried once.
fn once() -> aws_sdk_ec2::config::Builder {
    aws_sdk_ec2::config::Builder::default().retry_config(RetryConfig::disabled())
}

impl Provider for Ec2 {
    fn launch<'a>(&'a self, order: &'a LaunchOrder) -> Answer<'a, Instance> {
        Box::pin(self.launch_now(order))
    }

    fn terminate<'a>(&'a self, order: &'a TerminateOrder) -> Answer<'a, ()> {
        Box::pin(self.terminate_now(order))
    }

    fn list(&self) -> Answer<'_, Vec<Found>> {
        Box::pin(self.list_now())
    }

    fn examine<'a>(&'a self, instance: &'a str) -> Examination<'a> {
        Box::pin(self.evidence_of(instance))
    }

    fn list_lag(&self) -> Duration {
        VISIBLE_AFTER
    }

    fn check(&self) -> Findings<'_> {
        Box::pin(self.check_now())
    }
}

#[cfg(test)]
mod tests;
