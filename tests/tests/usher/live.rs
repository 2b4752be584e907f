//! `usher config check --live`: what is told of the world outside before a host serves, against a fake EC2 and programs.

use serde_json::Value;
use usher_fake_ec2::{ACCESS_KEY_ID, Control, FakeEc2, SECRET_ACCESS_KEY, Setup, TEMPLATE, default_subnet_id};

use crate::site::{Site, written};

const CHECK: [&str; 3] = ["config", "check", "--live"];

/// Returns a configuration with a pool on EC2, one of programs, and one that somebody else fills.
fn config(url: &str, version: u32, list: &str) -> String {
    let (a, b) = (default_subnet_id(1), default_subnet_id(2));
    format!(
        r#"fleet = "acme"
[guards]
fleet_dollars_per_hour_max = 10.0
[[pool]]
name = "cloud"
provider = "ec2"
region = "eu-central-1"
rooms_per_server = 10
[pool.ec2]
launch_template = "{TEMPLATE}"
launch_template_version = {version}
offers = [{{ instance_type = "c7i.2xlarge", price_per_hour = 0.4 }}]
subnets = {{ eu-central-1a = "{a}", eu-central-1b = "{b}" }}
host_url = "https://usher.example"
endpoint_url = "{url}"
[[pool]]
name = "cellar"
provider = "exec"
rooms_per_server = 10
[pool.exec]
launch = ["true"]
terminate = ["true"]
list = {list}
[[pool]]
name = "others"
provider = "external"
rooms_per_server = 10
"#
    )
}

fn with_keys(site: Site) -> Site {
    site.with_variable("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
        .with_variable("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
}

/// Nothing but questions was asked.
fn assert_nothing_was_done(control: &Control, site: &Site) {
    assert!(control.instances().is_empty() && control.launched_by_token().is_empty());
    for call in control.calls() {
        assert!(call.is_dry_run || call.action.starts_with("Describe"), "{call:?}");
    }
    assert!(!site.path("data").exists(), "the data folder is left alone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_suffices_ends_well_and_launches_nothing() {
    let fake = FakeEc2::start(Setup::default()).await.unwrap();
    let list = r#"["echo", "{\"instances\": []}"]"#;
    let site = with_keys(Site::new(&config(fake.url(), 1, list)));
    let output = site.usher(&CHECK);
    let told = written(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    for line in [
        "ok       pool cloud: EC2 in eu-central-1 takes the credentials, which may list instances (ec2:DescribeInstances)\n",
        "ok       pool cloud: EC2 would launch c7i.2xlarge (on-demand) in eu-central-1b: permissions, tags and user data suffice\n",
        "ok       pool cellar: list answers, with 0 servers\n",
        "no problems, as far as can be told: 2 unknown\n",
    ] {
        assert!(told.contains(line), "{line}{told}");
    }
    assert!(
        !told.contains("pool others: EC2") && !told.contains("\nproblem"),
        "{told}"
    );
    let runs = fake.control().calls();
    let runs = runs.iter().filter(|call| call.action == "RunInstances");
    assert_eq!(runs.count(), 2, "one for each zone");
    assert_nothing_was_done(&fake.control(), &site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_does_not_suffice_is_told_and_ends_with_1() {
    let fake = FakeEc2::start(Setup::default()).await.unwrap();
    let control = fake.control();
    let site = with_keys(Site::new(&config(fake.url(), 7, r#"["false"]"#)));
    control.set_denied(ACCESS_KEY_ID, ["DescribeSubnets".to_owned()].into());
    let output = site.usher(&CHECK);
    let told = written(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    for line in [
        format!("problem  pool cloud: the launch template {TEMPLATE} has no version 7: it has 1\n"),
        "the credentials may not ec2:DescribeSubnets: add it to the policy (examples/aws/policy.json)".to_owned(),
        "problem  pool cellar: list does not answer as it should: outcome unknown: false: exit status: 1".to_owned(),
        "usher: 2 problems outside of the config file\n".to_owned(),
    ] {
        assert!(told.contains(&line), "{line}\n{told}");
    }

    let output = site.usher(&[&CHECK[..], &["--json"]].concat());
    assert_eq!(output.status.code(), Some(1));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let pools: Vec<&Value> = told["pools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pool| &pool["pool"])
        .collect();
    assert_eq!(pools, ["cloud", "cellar", "others"]);
    assert_eq!(told["pools"][1]["findings"][0]["verdict"], "problem", "{told}");
    assert_nothing_was_done(&control, &site);

    // Nowhere that AWS's tools look.
    let without = Site::new(&config(fake.url(), 1, r#"["true"]"#));
    let home = without.path("home");
    let without = without
        .with_variable("HOME", &home)
        .with_variable("AWS_EC2_METADATA_DISABLED", "true");
    let output = without.usher(&CHECK);
    let told = written(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(
        told.contains("problem  pool cloud: no credentials were found: give this machine a role"),
        "{told}"
    );
}
