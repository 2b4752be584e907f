//! What a region tells about itself: templates, subnets, images, offerings, zones.

use aws_sdk_ec2::types::{Filter, LocationType};

use usher_fake_ec2::{IMAGE, Setup, TEMPLATE, TemplateVersion, default_subnet_id};

use crate::setting::{code, start, still};

fn filter(name: &str, value: &str) -> Filter {
    Filter::builder().name(name).values(value).build()
}

#[tokio::test]
async fn subnets_tell_their_zone_and_free_addresses() {
    let setting = start(still()).await;
    setting
        .launched(setting.launch().subnet_id(default_subnet_id(2)).max_count(3))
        .await;
    let output = setting.ec2.describe_subnets().send().await.unwrap();
    let shown: Vec<_> = output
        .subnets()
        .iter()
        .map(|subnet| {
            (
                subnet.availability_zone().unwrap(),
                subnet.available_ip_address_count().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [("eu-central-1a", 251), ("eu-central-1b", 248), ("eu-central-1c", 251)]
    );
    let in_c = setting
        .ec2
        .describe_subnets()
        .filters(filter("availability-zone", "eu-central-1c"))
        .send()
        .await;
    assert_eq!(in_c.unwrap().subnets()[0].subnet_id(), Some(&*default_subnet_id(3)));
    let unknown = setting.ec2.describe_subnets().subnet_ids("subnet-0").send().await;
    assert_eq!(code(unknown), "InvalidSubnetID.NotFound");
}

#[tokio::test]
async fn templates_tell_their_versions() {
    let mut setup: Setup = still();
    setup.launch_templates[0].versions.push(TemplateVersion {
        image_id: Some(IMAGE.into()),
        instance_type: Some("c7i.xlarge".into()),
        subnet_id: Some(default_subnet_id(1)),
        user_data: Some("aGVsbG8=".into()),
        ..TemplateVersion::default()
    });
    let setting = start(setup).await;
    let output = setting
        .ec2
        .describe_launch_templates()
        .launch_template_ids(TEMPLATE)
        .send()
        .await
        .unwrap();
    let template = &output.launch_templates()[0];
    assert_eq!(
        (template.default_version_number(), template.latest_version_number()),
        (Some(1), Some(2))
    );
    let versions = || {
        setting
            .ec2
            .describe_launch_template_versions()
            .launch_template_id(TEMPLATE)
    };
    let output = versions().send().await.unwrap();
    let numbers: Vec<_> = output
        .launch_template_versions()
        .iter()
        .map(|version| version.version_number())
        .collect();
    assert_eq!(numbers, [Some(2), Some(1)]);
    let output = versions().versions("$Latest").send().await.unwrap();
    let content = output.launch_template_versions()[0].launch_template_data().unwrap();
    assert_eq!(content.image_id(), Some(IMAGE));
    assert_eq!(content.instance_type().unwrap().as_str(), "c7i.xlarge");
    assert_eq!(content.user_data(), Some("aGVsbG8="));
    assert_eq!(
        content.network_interfaces()[0].subnet_id(),
        Some(&*default_subnet_id(1))
    );
    assert_eq!(
        code(versions().versions("9").send().await),
        "InvalidLaunchTemplateId.VersionNotFound"
    );
    let unknown = setting
        .ec2
        .describe_launch_templates()
        .launch_template_ids("lt-0")
        .send()
        .await;
    assert_eq!(code(unknown), "InvalidLaunchTemplateId.NotFound");
}

#[tokio::test]
async fn images_are_found_by_id_and_filter() {
    let setting = start(still()).await;
    let output = setting.ec2.describe_images().image_ids(IMAGE).send().await.unwrap();
    let image = &output.images()[0];
    assert_eq!(image.name(), Some("media-server"));
    assert_eq!(image.state().unwrap().as_str(), "available");
    let none = setting
        .ec2
        .describe_images()
        .filters(filter("architecture", "arm64"))
        .send()
        .await
        .unwrap();
    assert!(none.images().is_empty());
    assert_eq!(
        code(setting.ec2.describe_images().image_ids("ami-0000").send().await),
        "InvalidAMIID.NotFound"
    );
}

#[tokio::test]
async fn offerings_are_told_by_zone() {
    let mut setup = still();
    setup.instance_types.get_mut("c7i.large").unwrap().zones = Some(["eu-central-1b".to_owned()].into());
    let setting = start(setup).await;
    let offerings = setting
        .ec2
        .describe_instance_type_offerings()
        .location_type(LocationType::AvailabilityZone)
        .filters(filter("instance-type", "c7i.large"));
    let output = offerings.send().await.unwrap();
    let zones: Vec<_> = output
        .instance_type_offerings()
        .iter()
        .map(|offering| offering.location().unwrap())
        .collect();
    assert_eq!(zones, ["eu-central-1b"]);
}

#[tokio::test]
async fn zones_are_told() {
    let setting = start(still()).await;
    let output = setting.ec2.describe_availability_zones().send().await.unwrap();
    let names: Vec<_> = output
        .availability_zones()
        .iter()
        .map(|zone| zone.zone_name().unwrap())
        .collect();
    assert_eq!(names, ["eu-central-1a", "eu-central-1b", "eu-central-1c"]);
    assert_eq!(output.availability_zones()[0].state().unwrap().as_str(), "available");
    let unknown = setting
        .ec2
        .describe_availability_zones()
        .zone_names("mars-1a")
        .send()
        .await;
    assert_eq!(code(unknown), "InvalidParameterValue");
    let regions = setting.ec2.describe_regions().send().await.unwrap();
    assert_eq!(regions.regions()[0].region_name(), Some("eu-central-1"));
}
