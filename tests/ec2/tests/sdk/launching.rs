//! `RunInstances`: what is launched, as what, and what is refused.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{
    InstanceLifecycleType, InstanceMarketOptionsRequest, InstanceStateName, InstanceType, LaunchTemplateSpecification,
    MarketType, Placement, ResourceType, ShutdownBehavior, Tag, TagSpecification,
};

use usher_fake_ec2::{IMAGE, LaunchTemplate, Market, Setup, TEMPLATE, TemplateVersion, default_subnet_id};

use crate::setting::{code, encode, start, still};

fn tags(resource: ResourceType, tags: &[(&str, &str)]) -> TagSpecification {
    let tags = tags
        .iter()
        .map(|(key, value)| Tag::builder().key(*key).value(*value).build());
    TagSpecification::builder()
        .resource_type(resource)
        .set_tags(Some(tags.collect()))
        .build()
}

fn template(version: &str) -> LaunchTemplateSpecification {
    LaunchTemplateSpecification::builder()
        .launch_template_id(TEMPLATE)
        .version(version)
        .build()
}

fn two_versions() -> Setup {
    let version = |instance_type: &str| TemplateVersion {
        image_id: Some(IMAGE.into()),
        instance_type: Some(instance_type.into()),
        subnet_id: Some(default_subnet_id(2)),
        instance_tags: BTreeMap::from([("from".into(), "template".into())]),
        ..TemplateVersion::default()
    };
    Setup {
        launch_templates: vec![LaunchTemplate {
            id: TEMPLATE.into(),
            name: "media".into(),
            default_version: 1,
            versions: vec![version("c7i.large"), version("c7i.xlarge")],
            tags: BTreeMap::new(),
        }],
        ..still()
    }
}

#[tokio::test]
async fn an_instance_is_launched_shown_and_terminated() {
    let setting = start(still()).await;
    let launched = setting.launch().send().await.unwrap();
    let instance = &launched.instances()[0];
    assert_eq!(instance.state().unwrap().name(), Some(&InstanceStateName::Pending));
    let id = instance.instance_id().unwrap().to_owned();
    assert_eq!(setting.seen().await, [(id.clone(), "running".into())]);
    let ended = setting
        .ec2
        .terminate_instances()
        .instance_ids(&id)
        .send()
        .await
        .unwrap();
    let change = &ended.terminating_instances()[0];
    assert_eq!(
        change.previous_state().unwrap().name(),
        Some(&InstanceStateName::Running)
    );
    assert_eq!(
        change.current_state().unwrap().name(),
        Some(&InstanceStateName::ShuttingDown)
    );
    assert_eq!(setting.seen().await, [(id, "terminated".into())]);
}

#[tokio::test]
async fn a_running_instance_shows_all_that_it_was_launched_with() {
    let setting = start(still()).await;
    let launch = setting
        .launch()
        .subnet_id(default_subnet_id(2))
        .client_token("t-1")
        .tag_specifications(tags(ResourceType::Instance, &[("fleet", "a & <b>"), ("empty", "")]))
        .tag_specifications(tags(ResourceType::Volume, &[("fleet", "a")]));
    let id = setting.launched(launch).await.remove(0);
    let output = setting.ec2.describe_instances().instance_ids(&id).send().await.unwrap();
    let reservation = &output.reservations()[0];
    assert_eq!(reservation.owner_id(), Some("123456789012"));
    let instance = &reservation.instances()[0];
    assert_eq!(instance.instance_type(), Some(&InstanceType::C7iLarge));
    assert_eq!(instance.image_id(), Some(IMAGE));
    assert_eq!(instance.client_token(), Some("t-1"));
    assert_eq!(instance.subnet_id(), Some(&*default_subnet_id(2)));
    assert_eq!(instance.placement().unwrap().availability_zone(), Some("eu-central-1b"));
    assert_eq!(instance.private_ip_address(), Some("10.0.2.4"));
    assert_eq!(instance.public_ip_address(), Some("203.0.113.1"));
    assert_eq!(
        instance.launch_time().unwrap().secs(),
        setting.control.now().as_second()
    );
    assert_eq!(instance.instance_lifecycle(), None);
    let shown: Vec<_> = instance
        .tags()
        .iter()
        .map(|tag| (tag.key().unwrap(), tag.value().unwrap()))
        .collect();
    assert_eq!(shown, [("empty", ""), ("fleet", "a & <b>")]);
    assert_eq!(setting.truth(&id).volume_tags["fleet"], "a");
}

#[tokio::test]
async fn a_spot_instance_says_that_it_is_one() {
    let setting = start(still()).await;
    let spot = InstanceMarketOptionsRequest::builder()
        .market_type(MarketType::Spot)
        .build();
    let launched = setting.launch().instance_market_options(spot).send().await.unwrap();
    let instance = &launched.instances()[0];
    assert_eq!(instance.instance_lifecycle(), Some(&InstanceLifecycleType::Spot));
    assert!(instance.spot_instance_request_id().unwrap().starts_with("sir-"));
    assert_eq!(setting.truth(instance.instance_id().unwrap()).market, Market::Spot);
}

#[tokio::test]
async fn a_template_speaks_where_the_request_is_silent() {
    let setting = start(two_versions()).await;
    let bare = || setting.ec2.run_instances().min_count(1).max_count(1);
    let id = setting.launched(bare().launch_template(template("2"))).await.remove(0);
    let truth = setting.truth(&id);
    assert_eq!(
        (truth.instance_type.as_str(), truth.zone.as_str()),
        ("c7i.xlarge", "eu-central-1b")
    );
    assert_eq!(truth.tags["aws:ec2launchtemplate:id"], TEMPLATE);
    assert_eq!(truth.tags["aws:ec2launchtemplate:version"], "2");
    let asked = bare()
        .launch_template(template("1"))
        .instance_type(InstanceType::M7iLarge)
        .subnet_id(default_subnet_id(3))
        .tag_specifications(tags(ResourceType::Instance, &[("from", "request")]));
    let truth = setting.truth(&setting.launched(asked).await[0]);
    assert_eq!(
        (truth.instance_type.as_str(), truth.zone.as_str()),
        ("m7i.large", "eu-central-1c")
    );
    assert_eq!(truth.tags["from"], "request");
}

#[tokio::test]
async fn a_version_that_is_no_number_is_taken_and_logged() {
    let setting = start(two_versions()).await;
    for (version, expected) in [("$Latest", "c7i.xlarge"), ("$Default", "c7i.large")] {
        let launch = setting
            .ec2
            .run_instances()
            .min_count(1)
            .max_count(1)
            .launch_template(template(version));
        let id = setting.launched(launch).await.remove(0);
        assert_eq!(setting.truth(&id).instance_type, expected);
        let logged = setting.control.calls().pop().unwrap();
        assert_eq!(logged.template_version.as_deref(), Some(version));
    }
}

#[tokio::test]
async fn templates_and_versions_that_do_not_exist_are_refused() {
    let setting = start(two_versions()).await;
    let bare = || setting.ec2.run_instances().min_count(1).max_count(1);
    let with = |version| bare().launch_template(template(version)).send();
    assert_eq!(code(with("3").await), "InvalidLaunchTemplateId.VersionNotFound");
    assert_eq!(code(with("0").await), "InvalidLaunchTemplateId.VersionNotFound");
    assert_eq!(code(with("newest").await), "InvalidParameterValue");
    let other = LaunchTemplateSpecification::builder()
        .launch_template_id("lt-0")
        .build();
    assert_eq!(
        code(bare().launch_template(other).send().await),
        "InvalidLaunchTemplateId.NotFound"
    );
    let named = LaunchTemplateSpecification::builder()
        .launch_template_name("none")
        .build();
    assert_eq!(
        code(bare().launch_template(named).send().await),
        "InvalidLaunchTemplateName.NotFoundException"
    );
}

#[tokio::test]
async fn user_data_is_base64_of_at_most_16_kb() {
    let setting = start(still()).await;
    let encoded = |bytes: usize| encode(&"x".repeat(bytes));
    let id = setting
        .launched(setting.launch().user_data(encoded(16_384)))
        .await
        .remove(0);
    assert_eq!(setting.truth(&id).user_data.unwrap().len(), 16_384);
    let too_long = setting.launch().user_data(encoded(16_385)).send().await;
    assert_eq!(code(too_long), "InvalidParameterValue");
    let plain = setting.launch().user_data("#!/bin/sh").send().await;
    assert_eq!(code(plain), "InvalidUserData.Malformed");
}

#[tokio::test]
async fn what_does_not_exist_is_refused_by_its_own_code() {
    let setting = start(still()).await;
    let launch = || setting.launch();
    assert_eq!(
        code(launch().image_id("ami-0000").send().await),
        "InvalidAMIID.NotFound"
    );
    assert_eq!(code(launch().image_id("debian").send().await), "InvalidAMIID.Malformed");
    assert_eq!(
        code(launch().instance_type("x9.huge".into()).send().await),
        "InvalidParameterValue"
    );
    assert_eq!(
        code(launch().subnet_id("subnet-0").send().await),
        "InvalidSubnetID.NotFound"
    );
    let zone = |name| Placement::builder().availability_zone(name).build();
    assert_eq!(
        code(launch().placement(zone("mars-1a")).send().await),
        "InvalidParameterValue"
    );
    let elsewhere = launch()
        .subnet_id(default_subnet_id(1))
        .placement(zone("eu-central-1b"))
        .send()
        .await;
    assert_eq!(code(elsewhere), "InvalidParameterValue");
    assert_eq!(code(launch().min_count(0).send().await), "InvalidParameterValue");
    assert_eq!(code(launch().min_count(2).send().await), "InvalidParameterValue");
    let without_image = setting.ec2.run_instances().min_count(1).max_count(1).send().await;
    assert_eq!(code(without_image), "MissingParameter");
    assert!(setting.control.instances().is_empty());
}

#[tokio::test]
async fn a_type_that_a_zone_does_not_offer_is_unsupported_there() {
    let mut setup = still();
    let only_b = Some(["eu-central-1b".to_owned()].into());
    setup.instance_types.get_mut("c7i.large").unwrap().zones = only_b;
    let setting = start(setup).await;
    assert_eq!(
        code(setting.launch().subnet_id(default_subnet_id(1)).send().await),
        "Unsupported"
    );
    let id = setting.one().await;
    assert_eq!(setting.truth(&id).zone, "eu-central-1b");
}

#[tokio::test]
async fn tags_that_nobody_may_set_are_refused() {
    let setting = start(still()).await;
    let launch = |key: &str| {
        setting
            .launch()
            .tag_specifications(tags(ResourceType::Instance, &[(key, "v")]))
            .send()
    };
    assert_eq!(code(launch("aws:mine").await), "InvalidParameterValue");
    assert_eq!(code(launch(&"k".repeat(128)).await), "InvalidParameterValue");
    let twice = tags(ResourceType::Instance, &[("k", "1"), ("k", "2")]);
    assert_eq!(
        code(setting.launch().tag_specifications(twice).send().await),
        "InvalidParameterValue"
    );
    let names: Vec<String> = (0..51).map(|number| format!("k{number}")).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "v")).collect();
    let many = tags(ResourceType::Instance, &many);
    assert_eq!(
        code(setting.launch().tag_specifications(many).send().await),
        "TagLimitExceeded"
    );
}

#[tokio::test]
async fn several_are_launched_in_one_reservation() {
    let setting = start(still()).await;
    let launched = setting.launch().min_count(2).max_count(3).send().await.unwrap();
    assert_eq!(launched.instances().len(), 3);
    let indexes: Vec<_> = launched
        .instances()
        .iter()
        .map(|one| one.ami_launch_index().unwrap())
        .collect();
    assert_eq!(indexes, [0, 1, 2]);
    let output = setting.ec2.describe_instances().send().await.unwrap();
    assert_eq!(output.reservations().len(), 1);
    assert_eq!(output.reservations()[0].reservation_id(), launched.reservation_id());
}

#[tokio::test]
async fn shutdown_stops_an_instance_unless_it_was_launched_otherwise() {
    use usher_fake_ec2::ShutdownBehavior as Truth;
    let setting = start(still()).await;
    let id = setting.one().await;
    assert_eq!(setting.truth(&id).shutdown_behavior, Truth::Stop);
    let launch = setting
        .launch()
        .instance_initiated_shutdown_behavior(ShutdownBehavior::Terminate);
    let id = setting.launched(launch).await.remove(0);
    assert_eq!(setting.truth(&id).shutdown_behavior, Truth::Terminate);
}
