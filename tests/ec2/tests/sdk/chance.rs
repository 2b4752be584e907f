//! The same seed and the same calls have the same ids and outcomes.

use usher_fake_ec2::{Call, Fault, FaultKind, InstanceView, Lag, Life, Setup};

use crate::setting::{start, still};

async fn story(seed: u64) -> (Vec<InstanceView>, Vec<Call>) {
    let setting = start(Setup {
        seed,
        life: Life {
            boot_seconds: 10.0,
            boot_spread_seconds: 20.0,
            boot_failure: 0.3,
            mean_life_seconds: Some(100.0),
            ..Life::default()
        },
        lag: Lag {
            visibility_seconds: 30.0,
            varies: true,
            ..Lag::default()
        },
        faults: vec![Fault::by_chance("RunInstances", 0.3, FaultKind::LostAfter)],
        ..still()
    })
    .await;
    for number in 0..12 {
        let _ = setting.launch().client_token(format!("t-{number}")).send().await;
        let _ = setting.ec2.describe_instances().send().await;
        setting.advance(7);
    }
    (setting.control.instances(), setting.control.calls())
}

#[tokio::test]
async fn the_same_seed_and_calls_have_the_same_ids_and_outcomes() {
    let (first, again, other) = (story(1).await, story(1).await, story(2).await);
    assert_eq!(first, again);
    assert_ne!(first.0[0].id, other.0[0].id);
    assert_ne!(first.1, other.1);
}
