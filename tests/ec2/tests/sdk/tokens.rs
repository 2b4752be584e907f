//! Client tokens: the same again, another under the same, and after the end.

use aws_sdk_ec2::types::InstanceType;

use usher_fake_ec2::{InstanceId, Life, Setup, default_subnet_id};

use crate::setting::{Setting, code, start, still};

async fn launch(setting: &Setting, token: &str) -> Vec<String> {
    setting.launched(setting.launch().client_token(token)).await
}

#[tokio::test]
async fn the_same_request_again_gives_the_same_instances_in_any_state() {
    let life = Life {
        boot_seconds: 60.0,
        shutdown_seconds: 60.0,
        ..Life::default()
    };
    let setting = start(Setup { life, ..still() }).await;
    let first = setting
        .launched(setting.launch().client_token("t").min_count(2).max_count(2))
        .await;
    let again = || setting.launch().client_token("t").min_count(2).max_count(2);
    assert_eq!(setting.launched(again()).await, first);
    setting.advance(61);
    let answer = again().send().await.unwrap();
    assert_eq!(
        answer.instances()[0].state().unwrap().name().unwrap().as_str(),
        "running"
    );
    setting
        .ec2
        .terminate_instances()
        .set_instance_ids(Some(first.clone()))
        .send()
        .await
        .unwrap();
    assert_eq!(setting.launched(again()).await, first, "on its way is not gone");
    assert_eq!(setting.control.instances().len(), 2);
    let first: Vec<InstanceId> = first.into_iter().map(InstanceId::from).collect();
    assert_eq!(setting.control.launched_by_token()["t"], first);
}

#[tokio::test]
async fn another_request_under_the_same_token_is_a_mismatch() {
    let setting = start(still()).await;
    launch(&setting, "t").await;
    let other = setting
        .launch()
        .client_token("t")
        .instance_type(InstanceType::C7iXlarge)
        .send()
        .await;
    assert_eq!(code(other), "IdempotentParameterMismatch");
    let tokens_differ = launch(&setting, "u").await;
    assert_eq!(setting.control.instances().len(), 2);
    assert_eq!(tokens_differ.len(), 1);
}

#[tokio::test]
async fn the_token_of_a_terminated_instance_is_spent() {
    let setting = start(still()).await;
    let id = launch(&setting, "t").await.remove(0);
    setting
        .ec2
        .terminate_instances()
        .instance_ids(&id)
        .send()
        .await
        .unwrap();
    let again = setting.launch().client_token("t").send().await;
    assert_eq!(code(again), "IdempotentInstanceTerminated");
    setting.advance(23 * 3600);
    let again = setting.launch().client_token("t").send().await;
    assert_eq!(code(again), "IdempotentInstanceTerminated");
    setting.advance(2 * 3600);
    assert_ne!(launch(&setting, "t").await, [id], "a day after the end it is forgotten");
}

#[tokio::test]
async fn the_token_of_a_living_instance_is_never_forgotten() {
    let setting = start(still()).await;
    let first = launch(&setting, "t").await;
    setting.advance(30 * 24 * 3600);
    assert_eq!(launch(&setting, "t").await, first);
}

#[tokio::test]
async fn the_same_token_in_another_zone_is_another_launch() {
    let setting = start(still()).await;
    let in_zone = |number| setting.launch().client_token("t").subnet_id(default_subnet_id(number));
    let first = setting.launched(in_zone(1)).await;
    let second = setting.launched(in_zone(2)).await;
    assert_ne!(first, second);
    assert_eq!(setting.launched(in_zone(1)).await, first);
    assert_eq!(setting.control.launched_by_token()["t"].len(), 2);
}

#[tokio::test]
async fn a_refused_launch_leaves_its_token_free() {
    let setting = start(still()).await;
    let market = usher_fake_ec2::Market::OnDemand;
    for zone in ["a", "b", "c"] {
        setting
            .control
            .set_capacity("c7i.large", &format!("eu-central-1{zone}"), market, Some(0));
    }
    let refused = setting.launch().client_token("t").send().await;
    assert_eq!(code(refused), "InsufficientInstanceCapacity");
    setting
        .control
        .set_capacity("c7i.large", "eu-central-1b", market, Some(1));
    assert_eq!(launch(&setting, "t").await.len(), 1);
}

#[tokio::test]
async fn tokens_are_at_most_64_ascii_characters() {
    let setting = start(still()).await;
    launch(&setting, &"t".repeat(64)).await;
    let long = setting.launch().client_token("t".repeat(65)).send().await;
    assert_eq!(code(long), "InvalidParameterValue");
    let foreign = setting.launch().client_token("tökén").send().await;
    assert_eq!(code(foreign), "InvalidParameterValue");
}

#[tokio::test]
async fn without_a_token_every_launch_is_another() {
    let setting = start(still()).await;
    // The SDK makes up a token for RunInstances where the caller gives none.
    assert_ne!(setting.one().await, setting.one().await);
}
