//! Many servers' whole lives while replies are lost, lists lag and boots fail; asked again as the fleet asks.

use usher_fake_ec2::{Lag, Life};

use super::*;

/// So many seeds in each run of the tests. `USHER_EC2_SEEDS` has another number of them looked at, `USHER_EC2_SEED` one again.
const SEEDS: u64 = 1_000;

/// How often an order is repeated at most, with a minute between: everything is visible long before.
const REPEATS_MAX: u32 = 60;

fn setup(seed: u64) -> Setup {
    let strike = |action: &str, chance: f64, what: FaultKind| Fault::by_chance(action, chance, what);
    let error = InjectedError::internal_error;
    Setup {
        seed,
        lag: Lag {
            visibility_seconds: 120.0,
            varies: true,
            ..Lag::default()
        },
        life: Life {
            boot_seconds: 20.0,
            boot_failure: 0.2,
            shutdown_seconds: 40.0,
            mean_life_seconds: Some(2_000.0),
            ..Life::default()
        },
        faults: vec![
            strike("RunInstances", 0.3, FaultKind::LostAfter),
            strike("RunInstances", 0.2, FaultKind::LostBefore),
            strike("RunInstances", 0.1, FaultKind::ErrorAfter { error: error() }),
            strike("TerminateInstances", 0.3, FaultKind::LostAfter),
            strike("TerminateInstances", 0.2, FaultKind::ErrorBefore { error: error() }),
        ],
        ..Setup::default()
    }
}

/// Launches a server until the outcome is known, or is given up after `patience` questions; then ends it until nothing is left.
async fn live(setting: &Setting, server: u32, patience: u32) {
    let (ec2, order) = (setting.ec2(), setting.order(server, 1));
    let mut instance = None;
    for _ in 0..patience {
        match ec2.launch(&order).await {
            Ok(made) => {
                instance = Some(made.instance);
                break;
            }
            Err(ProviderError::Unknown(_)) => setting.pass(7),
            Err(error) => panic!("nothing is short or refused here: {error}"),
        }
    }
    let end = setting.end(&order, instance.as_deref());
    for _ in 0..REPEATS_MAX {
        match ec2.terminate(&end).await {
            Ok(()) => return,
            Err(ProviderError::Unknown(_)) => setting.pass(60),
            Err(error) => panic!("nothing is protected here: {error}"),
        }
    }
    panic!("cloud-{server} never ended");
}

/// Says how to repeat a seed that fails, wherever it does.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "run it again: USHER_EC2_SEED={} cargo test --workspace --lib whatever_is_lost",
                self.0
            );
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is a number, not {text:?}")),
    )
}

async fn check(seed: u64) {
    let _seed = Seed(seed);
    let setting = Setting::new(setup(seed)).await;
    for server in 1..=4 {
        live(&setting, server, server).await;
    }
    assert!(setting.living().is_empty(), "{:?}", setting.living());
    let by_token = setting.control.launched_by_token();
    assert!(by_token.values().all(|made| made.len() <= 1), "{by_token:?}");
}

#[tokio::test]
async fn whatever_is_lost_nothing_is_launched_twice_and_nothing_is_left() {
    if let Some(seed) = number("USHER_EC2_SEED") {
        return check(seed).await;
    }
    for seed in 0..number("USHER_EC2_SEEDS").unwrap_or(SEEDS) {
        check(seed).await;
    }
}
