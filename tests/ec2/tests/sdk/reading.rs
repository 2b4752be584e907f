//! `DescribeInstances`: filters, pages, ids, and how late it is.

use aws_sdk_ec2::types::{Filter, ResourceType, Tag, TagSpecification};

use usher_fake_ec2::{Lag, Life, Setup, default_subnet_id};

use crate::setting::{Setting, code, start, still};

fn lagging() -> Setup {
    Setup {
        lag: Lag {
            visibility_seconds: 60.0,
            ..Lag::default()
        },
        life: Life {
            boot_seconds: 30.0,
            ..Life::default()
        },
        ..still()
    }
}

async fn filtered(setting: &Setting, filters: &[(&str, &[&str])]) -> Vec<String> {
    let filters = filters.iter().map(|(name, values)| {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        Filter::builder().name(*name).set_values(Some(values)).build()
    });
    let output = setting
        .ec2
        .describe_instances()
        .set_filters(Some(filters.collect()))
        .send()
        .await
        .unwrap();
    let instances = output
        .reservations()
        .iter()
        .flat_map(|reservation| reservation.instances());
    instances
        .map(|instance| instance.instance_id().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn filters_must_all_match_and_one_value_suffices() {
    let setting = start(still()).await;
    let tag = |value: &str| {
        let tag = Tag::builder().key("fleet").value(value).build();
        TagSpecification::builder()
            .resource_type(ResourceType::Instance)
            .tags(tag)
            .build()
    };
    let a = setting
        .launched(setting.launch().client_token("ta").tag_specifications(tag("a")))
        .await
        .remove(0);
    let b = setting
        .launched(setting.launch().client_token("tb").tag_specifications(tag("b")))
        .await
        .remove(0);
    let c = setting
        .launched(setting.launch().client_token("tc").subnet_id(default_subnet_id(3)))
        .await
        .remove(0);
    setting.ec2.terminate_instances().instance_ids(&b).send().await.unwrap();
    let all_but_terminated: &[&str] = &["pending", "running", "shutting-down", "stopping", "stopped"];
    for (filters, expected) in [
        (vec![("tag:fleet", &["a", "b"][..])], vec![&a, &b]),
        (
            vec![("tag:fleet", &["*"][..]), ("instance-state-name", all_but_terminated)],
            vec![&a],
        ),
        (vec![("tag-key", &["fleet"][..])], vec![&a, &b]),
        (vec![("client-token", &["tc"][..])], vec![&c]),
        (vec![("instance-id", &[a.as_str(), c.as_str()][..])], vec![&a, &c]),
        (vec![("availability-zone", &["eu-central-1c"][..])], vec![&c]),
        (vec![("tag:fleet", &["A"][..])], vec![]),
    ] {
        let found = filtered(&setting, &filters).await;
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{filters:?}");
    }
    let unknown = Filter::builder().name("colour").values("red").build();
    assert_eq!(
        code(setting.ec2.describe_instances().filters(unknown).send().await),
        "InvalidParameterValue"
    );
}

#[tokio::test]
async fn pages_together_show_each_instance_once() {
    let setting = start(still()).await;
    let mut launched = Vec::new();
    for count in [3, 4, 5] {
        launched.extend(
            setting
                .launched(setting.launch().min_count(count).max_count(count))
                .await,
        );
    }
    let mut pages = setting.ec2.describe_instances().max_results(5).into_paginator().send();
    let (mut sizes, mut seen) = (Vec::new(), Vec::new());
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        let instances = page
            .reservations()
            .iter()
            .flat_map(|reservation| reservation.instances());
        let ids: Vec<String> = instances
            .map(|instance| instance.instance_id().unwrap().to_owned())
            .collect();
        sizes.push(ids.len());
        seen.extend(ids);
    }
    assert_eq!(sizes, [5, 5, 2]);
    assert_eq!(seen, launched);
}

#[tokio::test]
async fn pages_have_bounds_and_tokens_of_their_own() {
    let setting = start(still()).await;
    let id = setting.one().await;
    let describe = || setting.ec2.describe_instances();
    assert_eq!(code(describe().max_results(4).send().await), "InvalidParameterValue");
    assert_eq!(code(describe().max_results(1001).send().await), "InvalidParameterValue");
    assert_eq!(code(describe().next_token("any").send().await), "InvalidNextToken");
    let both = describe().instance_ids(id).max_results(5).send().await;
    assert_eq!(code(both), "InvalidParameterCombination");
}

#[tokio::test]
async fn unknown_ids_fail_the_whole_read() {
    let setting = start(still()).await;
    let id = setting.one().await;
    let describe = || setting.ec2.describe_instances().instance_ids(&id);
    let unknown = describe().instance_ids("i-0123456789abcdef0").send().await;
    assert_eq!(code(unknown), "InvalidInstanceID.NotFound");
    assert_eq!(
        code(describe().instance_ids("server-1").send().await),
        "InvalidInstanceID.Malformed"
    );
    describe().send().await.unwrap();
}

#[tokio::test]
async fn a_new_instance_is_missing_for_a_while() {
    let setting = start(lagging()).await;
    let id = setting.one().await;
    assert!(setting.seen().await.is_empty());
    let by_id = setting.ec2.describe_instances().instance_ids(&id).send().await;
    assert_eq!(code(by_id), "InvalidInstanceID.NotFound");
    setting.advance(59);
    assert!(setting.seen().await.is_empty());
    setting.advance(1);
    assert_eq!(
        setting.seen().await,
        [(id.clone(), "pending".into())],
        "it runs, and that is not seen yet"
    );
    setting.advance(30);
    assert_eq!(setting.seen().await, [(id, "running".into())]);
}

#[tokio::test]
async fn an_end_is_seen_late_and_then_for_an_hour() {
    let setting = start(lagging()).await;
    let id = setting.one().await;
    setting.advance(100);
    setting
        .ec2
        .terminate_instances()
        .instance_ids(&id)
        .send()
        .await
        .unwrap();
    assert_eq!(setting.seen().await, [(id.clone(), "running".into())]);
    setting.advance(60);
    assert_eq!(setting.seen().await, [(id.clone(), "terminated".into())]);
    setting.advance(3599);
    assert_eq!(setting.seen().await.len(), 1);
    setting.advance(1);
    assert!(setting.seen().await.is_empty());
    let by_id = setting.ec2.describe_instances().instance_ids(&id).send().await;
    assert_eq!(code(by_id), "InvalidInstanceID.NotFound");
}

#[tokio::test]
async fn what_is_not_seen_yet_cannot_be_ended_yet_unless_the_setup_says_so() {
    let mut setup = lagging();
    let setting = start(setup.clone()).await;
    let id = setting.one().await;
    let early = setting.ec2.terminate_instances().instance_ids(&id).send().await;
    assert_eq!(code(early), "InvalidInstanceID.NotFound");
    assert_ne!(setting.truth(&id).state.name(), "terminated");
    setup.lag.hides_from_changes = false;
    let setting = start(setup).await;
    let id = setting.one().await;
    setting
        .ec2
        .terminate_instances()
        .instance_ids(&id)
        .send()
        .await
        .unwrap();
}

#[tokio::test]
async fn a_varying_lag_shows_and_hides_again() {
    let mut setup = lagging();
    setup.lag.varies = true;
    let setting = start(setup).await;
    setting.one().await;
    setting.advance(30);
    let mut seen = Vec::new();
    for _ in 0..32 {
        seen.push(!setting.seen().await.is_empty());
    }
    let is_hidden_again = seen.windows(2).any(|pair| pair == [true, false]);
    assert!(is_hidden_again, "{seen:?}");
    setting.advance(60);
    for _ in 0..8 {
        assert_eq!(setting.seen().await.len(), 1);
    }
}
