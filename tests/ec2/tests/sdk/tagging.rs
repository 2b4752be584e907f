//! Tags that come and go.

use aws_sdk_ec2::types::{Filter, Tag};

use crate::setting::{code, start, still};

fn tag(key: &str, value: Option<&str>) -> Tag {
    Tag::builder().key(key).set_value(value.map(str::to_owned)).build()
}

#[tokio::test]
async fn tags_are_set_replaced_and_deleted() {
    let setting = start(still()).await;
    let id = setting.one().await;
    let create = |key, value| {
        setting
            .ec2
            .create_tags()
            .resources(&id)
            .tags(tag(key, Some(value)))
            .send()
    };
    let delete = |key, value| setting.ec2.delete_tags().resources(&id).tags(tag(key, value)).send();
    let shown = || {
        let tags = setting.truth(&id).tags;
        tags.into_iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect::<Vec<_>>()
    };
    create("keep", "1").await.unwrap();
    create("owner", "me").await.unwrap();
    create("keep", "2").await.unwrap();
    assert_eq!(shown(), ["keep=2", "owner=me"]);
    delete("keep", Some("1")).await.unwrap();
    assert_eq!(shown(), ["keep=2", "owner=me"], "another value stays");
    delete("keep", Some("2")).await.unwrap();
    delete("none", None).await.unwrap();
    assert_eq!(shown(), ["owner=me"]);
    delete("owner", None).await.unwrap();
    assert!(shown().is_empty());
}

#[tokio::test]
async fn tagging_what_does_not_exist_is_refused() {
    let setting = start(still()).await;
    let id = setting.one().await;
    let create = |resource: &str, key: &str| {
        setting
            .ec2
            .create_tags()
            .resources(resource)
            .tags(tag(key, Some("v")))
            .send()
    };
    assert_eq!(
        code(create("i-0123456789abcdef0", "k").await),
        "InvalidInstanceID.NotFound"
    );
    assert_eq!(code(create("bucket", "k").await), "InvalidID");
    assert_eq!(code(create(&id, "aws:k").await), "InvalidParameterValue");
    for number in 0..50 {
        create(&id, &format!("k{number}")).await.unwrap();
    }
    assert_eq!(code(create(&id, "one-more").await), "TagLimitExceeded");
    create(&id, "k7").await.unwrap();
}

#[tokio::test]
async fn tags_can_be_listed_by_themselves() {
    let setting = start(still()).await;
    let id = setting.one().await;
    setting
        .ec2
        .create_tags()
        .resources(&id)
        .tags(tag("a", Some("1")))
        .tags(tag("b", Some("2")))
        .send()
        .await
        .unwrap();
    let only = Filter::builder().name("key").values("b").build();
    let output = setting.ec2.describe_tags().filters(only).send().await.unwrap();
    let shown = &output.tags()[0];
    assert_eq!(
        (shown.key(), shown.value(), shown.resource_id()),
        (Some("b"), Some("2"), Some(id.as_str()))
    );
    assert_eq!(output.tags().len(), 1);
}
