//! Who may call, how often, what is only asked, and what the log tells of it.

use std::collections::BTreeSet;

use aws_sdk_ec2::config::Credentials;
use aws_sdk_ec2::config::retry::RetryConfig;
use aws_sdk_ec2::error::ProvideErrorMetadata;
use aws_sdk_ec2::types::{ResourceType, Tag, TagSpecification};

use usher_fake_ec2::{ACCESS_KEY_ID, Key, Rate, SECRET_ACCESS_KEY, Setup, Throttles};

use crate::setting::{Setting, client_with, code, start, still};

fn with_key(setting: &Setting, key: &str, secret: &str, session: Option<&str>, region: &str) -> aws_sdk_ec2::Client {
    let credentials = Credentials::new(key, secret, session.map(str::to_owned), None, "test");
    client_with(setting.fake.url(), credentials, region, RetryConfig::disabled())
}

fn only(actions: &[&str]) -> Option<BTreeSet<String>> {
    Some(actions.iter().map(|action| (*action).to_owned()).collect())
}

#[tokio::test]
async fn who_is_not_known_or_signs_wrongly_is_not_let_in() {
    let setting = start(still()).await;
    for (key, secret, session, region) in [
        ("AKIAUNKNOWN", SECRET_ACCESS_KEY, None, "eu-central-1"),
        (ACCESS_KEY_ID, "wrong", None, "eu-central-1"),
        (ACCESS_KEY_ID, SECRET_ACCESS_KEY, Some("session"), "eu-central-1"),
        (ACCESS_KEY_ID, SECRET_ACCESS_KEY, None, "us-east-1"),
    ] {
        let ec2 = with_key(&setting, key, secret, session, region);
        let error = ec2.describe_instances().send().await.unwrap_err();
        assert_eq!(error.code(), Some("AuthFailure"), "{key} {secret} {session:?} {region}");
        assert_eq!(error.raw_response().unwrap().status().as_u16(), 401);
    }
    with_key(&setting, ACCESS_KEY_ID, SECRET_ACCESS_KEY, None, "eu-central-1")
        .describe_instances()
        .send()
        .await
        .unwrap();
}

#[tokio::test]
async fn temporary_keys_need_their_session_and_run_out() {
    let temporary = |id: &str, is_expired| Key {
        access_key_id: id.into(),
        session_token: Some("session".into()),
        is_expired,
        ..Key::default()
    };
    let setting = start(Setup {
        keys: vec![temporary("ASIAGOOD", false), temporary("ASIAOLD", true)],
        ..still()
    })
    .await;
    let describe = |key, session| {
        let ec2 = with_key(&setting, key, SECRET_ACCESS_KEY, session, "eu-central-1");
        async move { ec2.describe_instances().send().await }
    };
    describe("ASIAGOOD", Some("session")).await.unwrap();
    assert_eq!(code(describe("ASIAGOOD", None).await), "AuthFailure");
    assert_eq!(code(describe("ASIAOLD", Some("session")).await), "RequestExpired");
}

#[tokio::test]
async fn a_signature_too_old_has_expired() {
    let setting = start(Setup {
        signature_age_seconds_max: -1.0,
        ..still()
    })
    .await;
    assert_eq!(code(setting.ec2.describe_instances().send().await), "RequestExpired");
}

#[tokio::test]
async fn what_a_key_may_not_do_is_refused_and_named() {
    let setting = start(still()).await;
    setting
        .control
        .set_allowed(ACCESS_KEY_ID, only(&["DescribeInstances", "RunInstances"]));
    let id = setting.one().await;
    let error = setting
        .ec2
        .terminate_instances()
        .instance_ids(id)
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some("UnauthorizedOperation"));
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 403);
    assert!(error.message().unwrap().contains("ec2:TerminateInstances"));
    let tag = Tag::builder().key("k").value("v").build();
    let tags = TagSpecification::builder()
        .resource_type(ResourceType::Instance)
        .tags(tag)
        .build();
    let tagged = setting.launch().tag_specifications(tags).send().await;
    assert_eq!(code(tagged), "UnauthorizedOperation", "tags at launch need CreateTags");
}

#[tokio::test]
async fn what_a_key_is_denied_is_refused_and_the_reasons_may_be_encoded() {
    let setting = start(Setup {
        encodes_refusals: true,
        ..still()
    })
    .await;
    let denied = ["DescribeSubnets".to_owned()].into();
    assert!(setting.control.set_denied(ACCESS_KEY_ID, denied));
    let error = setting.ec2.describe_subnets().send().await.unwrap_err();
    assert_eq!(error.code(), Some("UnauthorizedOperation"));
    let (_, encoded) = error
        .message()
        .unwrap()
        .split_once(" Encoded authorization failure message: ")
        .unwrap();
    assert!(encoded.len() > 600 && !encoded.contains(' '), "{encoded}");
    setting.ec2.describe_images().send().await.unwrap();
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_and_does_nothing() {
    let setting = start(still()).await;
    let id = setting.one().await;
    let error = setting.launch().dry_run(true).send().await.unwrap_err();
    assert_eq!(error.code(), Some("DryRunOperation"));
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 412);
    let tag = Tag::builder().key("k").value("v").build();
    let ec2 = &setting.ec2;
    let codes = [
        code(ec2.terminate_instances().instance_ids(&id).dry_run(true).send().await),
        code(
            ec2.create_tags()
                .resources(&id)
                .tags(tag.clone())
                .dry_run(true)
                .send()
                .await,
        ),
        code(ec2.delete_tags().resources(&id).tags(tag).dry_run(true).send().await),
        code(ec2.describe_instances().dry_run(true).send().await),
        code(ec2.describe_subnets().dry_run(true).send().await),
        code(ec2.describe_images().dry_run(true).send().await),
        code(ec2.describe_launch_templates().dry_run(true).send().await),
        code(ec2.get_console_output().instance_id(&id).dry_run(true).send().await),
    ];
    assert!(codes.iter().all(|code| code == "DryRunOperation"), "{codes:?}");
    let bad = setting.launch().image_id("ami-0").dry_run(true).send().await;
    assert_eq!(code(bad), "InvalidAMIID.NotFound");
    setting.control.set_allowed(ACCESS_KEY_ID, only(&["DescribeInstances"]));
    assert_eq!(
        code(setting.launch().dry_run(true).send().await),
        "UnauthorizedOperation"
    );
    assert_eq!(setting.control.instances().len(), 1);
    assert!(setting.truth(&id).tags.is_empty());
}

#[tokio::test]
async fn an_action_that_the_fake_does_not_have_is_invalid() {
    let setting = start(still()).await;
    let error = setting.ec2.describe_vpcs().send().await.unwrap_err();
    assert_eq!(error.code(), Some("InvalidAction"));
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 400);
    assert!(error.message().unwrap().contains("DescribeVpcs"));
}

#[tokio::test]
async fn requests_beyond_the_rate_are_refused_until_the_bucket_fills() {
    let setting = start(Setup {
        throttles: Throttles::as_ec2(),
        ..still()
    })
    .await;
    for _ in 0..5 {
        setting.launch().send().await.unwrap();
    }
    let error = setting.launch().send().await.unwrap_err();
    assert_eq!(error.code(), Some("RequestLimitExceeded"));
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 503);
    setting.ec2.describe_instances().send().await.unwrap();
    setting.advance(1);
    setting.launch().send().await.unwrap();
    setting.launch().send().await.unwrap();
    assert_eq!(code(setting.launch().send().await), "RequestLimitExceeded");
}

#[tokio::test]
async fn instances_have_a_bucket_of_their_own() {
    let rate = Rate {
        burst: 3.0,
        refill_per_second: 1.0,
    };
    let setting = start(still()).await;
    setting.control.set_throttles(Throttles {
        resources: [("RunInstances".to_owned(), rate)].into(),
        ..Throttles::default()
    });
    assert_eq!(code(setting.launch().max_count(4).send().await), "RequestLimitExceeded");
    setting.launch().max_count(3).send().await.unwrap();
    assert_eq!(code(setting.launch().send().await), "RequestLimitExceeded");
    setting.advance(1);
    setting.launch().send().await.unwrap();
}

#[tokio::test]
async fn every_request_is_in_the_log_with_its_outcome() {
    let setting = start(still()).await;
    let id = setting.launched(setting.launch().client_token("t")).await.remove(0);
    let _ = setting
        .ec2
        .terminate_instances()
        .instance_ids("i-0123456789abcdef0")
        .send()
        .await;
    let _ = setting.ec2.describe_vpcs().send().await;
    let calls = setting.control.calls();
    let told: Vec<_> = calls
        .iter()
        .map(|call| {
            (
                call.number,
                call.action.as_str(),
                call.outcome.is_done,
                call.outcome.code.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (1, "RunInstances", true, None),
            (2, "TerminateInstances", false, Some("InvalidInstanceID.NotFound")),
            (3, "DescribeVpcs", false, Some("InvalidAction")),
        ]
    );
    assert_eq!(calls[0].client_token.as_deref(), Some("t"));
    assert_eq!(calls[0].instances[0].as_str(), id);
    assert_eq!(calls[0].access_key_id.as_deref(), Some(ACCESS_KEY_ID));
}
