//! The EC2 that a test gets if it says nothing: one region with three zones, everything at once and nothing failing.

use std::collections::BTreeMap;

use super::{
    ClockSetup, IMAGE, Image, InstanceType, Key, Lag, LaunchTemplate, Life, Quotas, Setup, Subnet, TEMPLATE,
    TemplateVersion, subnet_addresses,
};
use crate::throttle::Throttles;

impl Default for Setup {
    fn default() -> Setup {
        let region = "eu-central-1";
        let zones: Vec<String> = ["a", "b", "c"]
            .iter()
            .map(|letter| format!("{region}{letter}"))
            .collect();
        Setup {
            seed: 1,
            clock: ClockSetup::Real { speed: 1.0 },
            region: region.into(),
            account: "123456789012".into(),
            keys: vec![Key::default()],
            encodes_refusals: false,
            ignores_dry_runs: false,
            signature_age_seconds_max: 900.0,
            subnets: zones
                .iter()
                .zip(1..)
                .map(|(zone, number)| default_subnet(zone, number))
                .collect(),
            zones,
            public_network: [203, 0, 113],
            images: vec![Image {
                id: IMAGE.into(),
                name: "media-server".into(),
                architecture: "x86_64".into(),
                state: "available".into(),
                tags: BTreeMap::new(),
            }],
            launch_templates: vec![LaunchTemplate {
                id: TEMPLATE.into(),
                name: "media".into(),
                default_version: 1,
                versions: vec![TemplateVersion {
                    image_id: Some(IMAGE.into()),
                    ..TemplateVersion::default()
                }],
                tags: BTreeMap::new(),
            }],
            instance_types: default_types(),
            capacity: Vec::new(),
            quotas: Quotas::default(),
            throttles: Throttles::default(),
            faults: Vec::new(),
            life: Life::default(),
            lag: Lag::default(),
            token_memory_seconds: 86_400.0,
            run_user_data: false,
        }
    }
}

impl Default for Life {
    fn default() -> Life {
        Life {
            boot_seconds: 0.0,
            boot_spread_seconds: 0.0,
            boot_failure: 0.0,
            boot_failure_console: "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\n"
                .into(),
            shutdown_seconds: 0.0,
            mean_life_seconds: None,
            mean_spot_life_seconds: None,
            spot_notice_seconds: 120.0,
        }
    }
}

impl Default for Lag {
    fn default() -> Lag {
        Lag {
            visibility_seconds: 0.0,
            varies: false,
            hides_from_changes: true,
            terminated_seconds: 3600.0,
        }
    }
}

/// Returns the id of the subnet that the default setup has in its zone `number`, from 1 on.
pub fn default_subnet_id(number: u8) -> String {
    format!("subnet-0fa4e00000000000{number}")
}

fn default_subnet(zone: &str, number: u8) -> Subnet {
    Subnet {
        id: default_subnet_id(number),
        zone: zone.into(),
        network: [10, 0, number],
        addresses: subnet_addresses(),
        has_public_addresses: true,
        tags: BTreeMap::new(),
    }
}

fn default_types() -> BTreeMap<String, InstanceType> {
    let types = [
        ("t3.small", 2),
        ("c7i.large", 2),
        ("c7i.xlarge", 4),
        ("c7i.2xlarge", 8),
        ("c7i.4xlarge", 16),
        ("c6i.large", 2),
        ("c6i.xlarge", 4),
        ("m7i.large", 2),
        ("m7i.xlarge", 4),
    ];
    types
        .into_iter()
        .map(|(name, vcpus)| (name.to_owned(), default_type(vcpus)))
        .collect()
}

fn default_type(vcpus: u32) -> InstanceType {
    InstanceType {
        vcpus,
        zones: None,
        has_live_console: true,
    }
}
