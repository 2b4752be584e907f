//! What a launch needs of the region: capacity, addresses, quotas.

use aws_sdk_ec2::error::ProvideErrorMetadata;
use aws_sdk_ec2::types::{InstanceMarketOptionsRequest, InstanceType, MarketType};

use usher_fake_ec2::{Capacity, Market, Quotas, Setup, default_subnet_id};

use crate::setting::{code, start, still};

fn spot() -> InstanceMarketOptionsRequest {
    InstanceMarketOptionsRequest::builder()
        .market_type(MarketType::Spot)
        .build()
}

fn none_in(zone: &str) -> Capacity {
    Capacity {
        market: Market::OnDemand,
        instance_type: "c7i.large".into(),
        zone: zone.into(),
        instances: 0,
    }
}

#[tokio::test]
async fn a_zone_without_capacity_is_named_with_those_that_have_some() {
    let setting = start(Setup {
        capacity: vec![none_in("eu-central-1a")],
        ..still()
    })
    .await;
    let error = setting
        .launch()
        .subnet_id(default_subnet_id(1))
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some("InsufficientInstanceCapacity"));
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 500);
    let message = error.message().unwrap();
    assert!(message.contains("(eu-central-1a)"), "{message}");
    assert!(message.contains("choosing eu-central-1b, eu-central-1c"), "{message}");
}

#[tokio::test]
async fn capacity_counts_by_market_and_type() {
    let setting = start(Setup {
        capacity: vec![none_in("eu-central-1a")],
        ..still()
    })
    .await;
    let launch = || setting.launch().subnet_id(default_subnet_id(1));
    assert_eq!(code(launch().send().await), "InsufficientInstanceCapacity");
    launch().instance_market_options(spot()).send().await.unwrap();
    launch().instance_type(InstanceType::C7iXlarge).send().await.unwrap();
}

#[tokio::test]
async fn capacity_comes_back_when_an_instance_has_ended() {
    let setting = start(still()).await;
    setting
        .control
        .set_capacity("c7i.large", "eu-central-1a", Market::OnDemand, Some(1));
    let launch = || setting.launch().subnet_id(default_subnet_id(1));
    let id = setting.launched(launch()).await.remove(0);
    assert_eq!(code(launch().send().await), "InsufficientInstanceCapacity");
    setting.ec2.terminate_instances().instance_ids(id).send().await.unwrap();
    launch().send().await.unwrap();
}

#[tokio::test]
async fn without_a_zone_the_first_with_capacity_is_taken() {
    let setting = start(Setup {
        capacity: vec![none_in("eu-central-1a")],
        ..still()
    })
    .await;
    let id = setting.one().await;
    assert_eq!(setting.truth(&id).zone, "eu-central-1b");
}

#[tokio::test]
async fn as_many_as_there_is_room_for_are_launched_between_least_and_most() {
    let setting = start(still()).await;
    setting
        .control
        .set_capacity("c7i.large", "eu-central-1a", Market::OnDemand, Some(3));
    let launch = |least, most| {
        setting
            .launch()
            .subnet_id(default_subnet_id(1))
            .min_count(least)
            .max_count(most)
    };
    assert_eq!(code(launch(4, 5).send().await), "InsufficientInstanceCapacity");
    assert_eq!(setting.launched(launch(2, 5)).await.len(), 3);
}

#[tokio::test]
async fn a_subnet_without_addresses_is_named() {
    let mut setup = still();
    setup.subnets[0].addresses = 1;
    let setting = start(setup).await;
    let launch = || setting.launch().subnet_id(default_subnet_id(1));
    let id = setting.launched(launch()).await.remove(0);
    let error = launch().send().await.unwrap_err();
    assert_eq!(error.code(), Some("InsufficientFreeAddressesInSubnet"));
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 400);
    assert!(error.message().unwrap().contains(&default_subnet_id(1)));
    setting.ec2.terminate_instances().instance_ids(id).send().await.unwrap();
    launch().send().await.unwrap();
}

#[tokio::test]
async fn quotas_bound_processors_on_demand_and_spot_instances() {
    let quotas = Quotas {
        on_demand_vcpus: Some(4),
        spot_instances: Some(1),
    };
    let setting = start(Setup { quotas, ..still() }).await;
    setting.launched(setting.launch().max_count(2)).await;
    let error = setting.launch().send().await.unwrap_err();
    assert_eq!(error.code(), Some("VcpuLimitExceeded"));
    assert!(error.message().unwrap().contains("limit of 4"));
    setting.launch().instance_market_options(spot()).send().await.unwrap();
    let second = setting.launch().instance_market_options(spot()).send().await;
    assert_eq!(code(second), "MaxSpotInstanceCountExceeded");
}
