//! What is told of a configuration before it serves: each sentence, and that nothing is launched for it.

use std::net::TcpListener;

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use usher_fake_ec2::Image;

use super::*;
use crate::user_data::USER_DATA_BYTES_MAX;

impl Setting {
    /// Returns what the check of a provider says, and that it has left nothing behind.
    async fn told(&self, ec2: &Ec2) -> String {
        let before = self.control.instances();
        let findings = ec2.check().await;
        assert_eq!(self.control.instances(), before, "nothing is launched or ended");
        for call in self.control.calls() {
            let is_made_by_check = call.action != "RunInstances" && call.action != "TerminateInstances";
            let is_made_by_test = before.iter().any(|instance| call.instances.contains(&instance.id));
            assert!(call.is_dry_run || is_made_by_check || is_made_by_test, "{call:?}");
        }
        let lines = findings
            .iter()
            .map(|finding| format!("{}: {}", finding.verdict.word(), finding.says));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Checks as it stands, with a change of the configuration.
    async fn told_of(&self, change: impl FnOnce(&mut Ec2Config)) -> String {
        self.told(&self.of("ours", change)).await
    }

    fn deny(&self, actions: &[&str]) {
        let denied = actions.iter().map(|action| (*action).to_owned()).collect();
        assert!(self.control.set_denied(ACCESS_KEY_ID, denied));
    }
}

/// Claims that the lines with this verdict are these, each by its beginning.
fn assert_lines(told: &str, verdict: &str, beginnings: &[&str]) {
    let lines: Vec<&str> = told
        .lines()
        .filter_map(|line| line.strip_prefix(verdict)?.strip_prefix(": "))
        .collect();
    assert_eq!(lines.len(), beginnings.len(), "{verdict}:\n{told}");
    for (line, beginning) in lines.iter().zip(beginnings) {
        assert!(line.starts_with(beginning), "{line}\n{beginning}");
    }
}

#[tokio::test]
async fn what_suffices_is_told_and_nothing_is_launched() {
    let setting = Setting::new(Setup::default()).await;
    let told = setting.told_of(|_| {}).await;
    let a = subnet(ZONE);
    let b = subnet(OTHER_ZONE);
    let shows_later = "shows only on an instance of the fleet, and there is none yet; look again when one runs";
    assert_eq!(
        told,
        format!(
            "\
ok: EC2 in eu-central-1 takes the credentials, which may list instances (ec2:DescribeInstances)
ok: the launch template {TEMPLATE} has version 1, with the image {IMAGE}
ok: the image {IMAGE} is there (media-server and x86_64)
ok: subnet {a} is in eu-central-1a, and has 251 free addresses
ok: subnet {b} is in eu-central-1b, and has 251 free addresses
ok: c6i.xlarge is offered in eu-central-1a and eu-central-1b
ok: c7i.2xlarge is offered in eu-central-1a and eu-central-1b
ok: EC2 would launch c7i.2xlarge (on-demand) in eu-central-1a: permissions, tags and user data suffice
ok: EC2 would launch c7i.2xlarge (on-demand) in eu-central-1b: permissions, tags and user data suffice
ok: EC2 would launch c6i.xlarge (on-demand) in eu-central-1a: permissions, tags and user data suffice
unknown: whether Usher may end instances (ec2:TerminateInstances) {shows_later}
unknown: whether Usher may read what a failed boot has written (ec2:GetConsoleOutput) {shows_later}"
        )
    );
    assert!(setting.control.instances().is_empty() && setting.control.launched_by_token().is_empty());
    let policy = include_str!("../../../../../examples/aws/policy.json");
    for call in setting.control.calls() {
        assert!(policy.contains(&format!("\"ec2:{}\"", call.action)), "{}", call.action);
    }
    let runs = setting.control.calls();
    let runs: Vec<_> = runs.iter().filter(|call| call.action == "RunInstances").collect();
    assert_eq!(runs.len(), 3);
    assert!(
        runs.iter().all(|call| call.is_dry_run && !call.outcome.is_done),
        "{runs:?}"
    );
}

#[tokio::test]
async fn a_trial_is_the_launch_itself() {
    let setting = Setting::new(Setup::default()).await;
    let ec2 = setting.ec2();
    let client = setting.client.clone();
    let order = setting.order(1, 1);
    let request = ec2.request(&client, &order).unwrap();
    let input = request.as_input().clone();
    assert_eq!(input.get_client_token().as_deref(), Some("ours-1-1"));
    assert!(input.get_user_data().is_some() && input.get_tag_specifications().is_some());
    let mut spot = offer(TYPE, ZONE);
    spot.market = "spot".to_owned();
    let told = setting.told_of(|config| config.offers = vec![spot]).await;
    assert!(
        told.contains("EC2 would launch c7i.2xlarge (spot) in eu-central-1a"),
        "{told}"
    );
    let long = setting.of("ours", |config| {
        config.user_data = "#".repeat(USER_DATA_BYTES_MAX - 10) + "{{token}}";
        config.offers.truncate(1);
    });
    let told = setting.told(&long).await;
    assert_lines(
        &told,
        "problem",
        &["EC2 would not launch c7i.2xlarge (on-demand) in eu-central-1a: the user data has more than 16384 bytes"],
    );
    let without = setting.of("ours", |config| drop(config.subnets.remove(OTHER_ZONE)));
    let told = setting.told(&without).await;
    assert!(
        told.contains("in eu-central-1b: zone eu-central-1b has no subnet any more"),
        "{told}"
    );
}

#[tokio::test]
async fn an_instance_of_the_fleet_shows_what_may_be_done_with_it() {
    let setting = Setting::new(Setup::default()).await;
    let ec2 = setting.ec2();
    let id = ec2.launch(&setting.order(1, 1)).await.unwrap().instance;
    setting.pass(60);
    let told = setting.told(&ec2).await;
    assert!(
        told.contains(&format!(
            "ok: Usher may end instances (ec2:TerminateInstances): {id} would do"
        )),
        "{told}"
    );
    let reads = format!("ok: Usher may read what a failed boot has written (ec2:GetConsoleOutput): {id} would do");
    assert!(told.contains(&reads), "{told}");
    assert_lines(&told, "unknown", &[]);

    setting.deny(&["TerminateInstances", "GetConsoleOutput"]);
    let told = setting.told(&ec2).await;
    let end = format!(
        "Usher could not end instances, such as {id}: the credentials may not ec2:TerminateInstances: add it to the policy \
         (examples/aws/policy.json). EC2 says: UnauthorizedOperation: "
    );
    let read = format!(
        "Usher could not read what a failed boot has written, such as {id}: the credentials may not ec2:GetConsoleOutput"
    );
    assert_lines(&told, "problem", &[&end, &read]);

    setting.deny(&[]);
    let yes = aws_sdk_ec2::types::AttributeBooleanValue::builder().value(true).build();
    let protect = setting.client.modify_instance_attribute().instance_id(&id);
    protect.disable_api_termination(yes).send().await.unwrap();
    let told = setting.told(&ec2).await;
    assert!(
        told.contains(&format!(
            "ok: Usher may end instances (ec2:TerminateInstances); not {id}, which is protected"
        )),
        "{told}"
    );
}

#[tokio::test]
async fn of_an_instance_that_nobody_has_a_refusal_says_nothing_yet() {
    let setting = Setting::new(Setup::default()).await;
    setting.deny(&["TerminateInstances"]);
    let would_have = InjectedError {
        code: "DryRunOperation".into(),
        status: 412,
        message: "Request would have succeeded, but DryRun flag is set.".into(),
    };
    setting.next("GetConsoleOutput", FaultKind::ErrorBefore { error: would_have });
    let told = setting.told_of(|_| {}).await;
    assert_lines(&told, "problem", &[]);
    assert_lines(
        &told,
        "unknown",
        &["whether Usher may end instances (ec2:TerminateInstances) shows only on an instance of the fleet"],
    );
    assert!(
        told.contains("Of one that nobody has EC2 says: the credentials may not ec2:TerminateInstances"),
        "{told}"
    );
    assert!(
        told.ends_with("ok: Usher may read what a failed boot has written (ec2:GetConsoleOutput)"),
        "{told}"
    );
    setting.next(
        "TerminateInstances",
        FaultKind::ErrorBefore {
            error: InjectedError::internal_error(),
        },
    );
    setting.next(
        "TerminateInstances",
        FaultKind::ErrorBefore {
            error: InjectedError::internal_error(),
        },
    );
    setting.next(
        "TerminateInstances",
        FaultKind::ErrorBefore {
            error: InjectedError::internal_error(),
        },
    );
    let told = setting.told_of(|_| {}).await;
    assert!(
        told.contains(
            "unknown: whether Usher may end instances (ec2:TerminateInstances) could not be looked at: InternalError"
        ),
        "{told}"
    );
}

#[tokio::test]
async fn a_missing_permission_is_named_once_with_what_ec2_says() {
    let setting = Setting::new(Setup {
        encodes_refusals: true,
        ..Setup::default()
    })
    .await;
    setting.deny(&["RunInstances"]);
    let told = setting.told_of(|_| {}).await;
    let problem = "EC2 would not launch c7i.2xlarge (on-demand) in eu-central-1a, c7i.2xlarge (on-demand) in eu-central-1b and \
                   c6i.xlarge (on-demand) in eu-central-1a: the credentials may not ec2:RunInstances: add it to the policy \
                   (examples/aws/policy.json). EC2 says: UnauthorizedOperation: ";
    assert_lines(&told, "problem", &[problem]);
    let line = told.lines().find(|line| line.starts_with("problem")).unwrap();
    let (_, encoded) = line.split_once("Encoded authorization failure message: ").unwrap();
    assert!(encoded.len() > 600, "the whole of it: {encoded}");
    assert!(
        encoded.ends_with("(`aws sts decode-authorization-message --encoded-message …` reads the rest)"),
        "{encoded}"
    );

    setting.deny(&["CreateTags", "DescribeInstances"]);
    let told = setting.told_of(|_| {}).await;
    let list = "EC2 in eu-central-1 takes the credentials, and what exists cannot be listed: the credentials may not \
                ec2:DescribeInstances: add it to the policy";
    assert_lines(
        &told,
        "problem",
        &[
            list,
            "EC2 would not launch c7i.2xlarge (on-demand) in eu-central-1a, c7i",
        ],
    );
    assert!(
        told.contains("the credentials may not ec2:CreateTags"),
        "the tags of a launch lack it: {told}"
    );
}

#[tokio::test]
async fn what_may_not_be_described_is_unknown_and_tried_all_the_same() {
    let setting = Setting::new(Setup::default()).await;
    setting.deny(&[
        "DescribeLaunchTemplateVersions",
        "DescribeSubnets",
        "DescribeImages",
        "DescribeInstanceTypeOfferings",
    ]);
    let told = setting.told_of(|_| {}).await;
    let template = format!(
        "the launch template {TEMPLATE} could not be looked at: the credentials may not ec2:DescribeLaunchTemplateVersions: add it"
    );
    let subnets = format!(
        "the subnets {} and {} could not be looked at: ",
        subnet(ZONE),
        subnet(OTHER_ZONE)
    );
    assert_lines(
        &told,
        "unknown",
        &[
            &template,
            &subnets,
            "which zone offers c6i.xlarge and c7i.2xlarge could not be looked at: ",
            "whether Usher may end",
            "whether Usher may read",
        ],
    );
    assert_lines(&told, "problem", &[]);
    assert_eq!(told.matches("EC2 would launch").count(), 3, "{told}");
    setting.deny(&["DescribeImages"]);
    let told = setting.told_of(|_| {}).await;
    assert!(
        told.contains(&format!("unknown: the image {IMAGE} could not be looked at: ")),
        "{told}"
    );
}

#[tokio::test]
async fn a_launch_template_or_version_that_is_not_there_is_told_with_those_that_are() {
    let mut setup = Setup::default();
    let version = setup.launch_templates[0].versions[0].clone();
    setup.launch_templates[0].versions = vec![version; 5];
    let setting = Setting::new(setup).await;
    let told = setting.told_of(|config| config.launch_template_version = 7).await;
    assert_lines(
        &told,
        "problem",
        &[&format!(
            "the launch template {TEMPLATE} has no version 7: it has 1 to 5"
        )],
    );
    assert!(
        told.contains("unknown: no launch was tried: what is said above is in its way"),
        "{told}"
    );
    let told = setting
        .told_of(|config| config.launch_template = "lt-0123456789abcdef0".to_owned())
        .await;
    let missing = "there is no launch template lt-0123456789abcdef0 in eu-central-1: write one that `aws ec2 \
                   describe-launch-templates` lists";
    assert_lines(&told, "problem", &[missing]);
    assert!(!setting.control.calls().iter().any(|call| call.action == "RunInstances"));
}

#[tokio::test]
async fn a_template_with_many_versions_tells_its_newest() {
    let mut setup = Setup::default();
    let version = setup.launch_templates[0].versions[0].clone();
    setup.launch_templates[0].versions = vec![version; 300];
    let setting = Setting::new(setup).await;
    let told = setting.told_of(|config| config.launch_template_version = 301).await;
    assert_lines(
        &told,
        "problem",
        &[&format!(
            "the launch template {TEMPLATE} has no version 301: its newest are 101 to 300"
        )],
    );
}

#[tokio::test]
async fn what_the_template_says_against_usher_is_a_problem() {
    let mut setup = Setup::default();
    let version = &mut setup.launch_templates[0].versions[0];
    version.disable_api_termination = Some(true);
    version.subnet_id = Some(subnet(ZONE));
    let setting = Setting::new(setup).await;
    let told = setting.told_of(|_| {}).await;
    let begin = format!("version 1 of the launch template {TEMPLATE} ");
    assert_lines(
        &told,
        "problem",
        &[
            &format!("{begin}names network interfaces"),
            &format!("{begin}protects instances"),
        ],
    );
}

#[tokio::test]
async fn an_image_that_cannot_be_launched_is_a_problem() {
    let mut setup = Setup::default();
    setup.launch_templates[0].versions[0].image_id = Some("ami-0123456789abcdef0".to_owned());
    let setting = Setting::new(setup).await;
    let told = setting.told_of(|_| {}).await;
    assert_lines(
        &told,
        "problem",
        &[
            "there is no image ami-0123456789abcdef0 that this account may launch in eu-central-1: copy it there, share it",
        ],
    );

    let mut setup = Setup::default();
    setup.images[0] = Image {
        state: "pending".to_owned(),
        ..setup.images[0].clone()
    };
    let setting = Setting::new(setup).await;
    let told = setting.told_of(|_| {}).await;
    assert_lines(
        &told,
        "problem",
        &[&format!(
            "the image {IMAGE} is pending, and cannot be launched: wait until"
        )],
    );

    let mut setup = Setup::default();
    setup.launch_templates[0].versions[0].image_id = Some("resolve:ssm:/media/image".to_owned());
    let setting = Setting::new(setup).await;
    let told = setting.told_of(|_| {}).await;
    assert!(
        told.contains("unknown: the image is looked up at each launch (resolve:ssm:/media/image): another"),
        "{told}"
    );
}

#[tokio::test]
async fn a_subnet_without_public_addresses_is_a_problem_where_the_url_has_them() {
    let mut setup = Setup::default();
    for subnet in &mut setup.subnets {
        subnet.has_public_addresses = subnet.zone != ZONE;
    }
    let setting = Setting::new(setup).await;
    let with = |url: &str| {
        let url = url.to_owned();
        move |config: &mut Ec2Config| config.url = Some(url)
    };
    let told = setting.told_of(with("ws://{public_ip}:8188")).await;
    let wrong = format!("subnet {} in {ZONE} gives no public addresses", subnet(ZONE));
    assert_lines(&told, "problem", &[&wrong]);
    let told = setting.told_of(with("ws://{private_ip}:8188")).await;
    assert_lines(&told, "problem", &[]);
}

#[tokio::test]
async fn a_subnet_that_is_missing_elsewhere_or_full_is_a_problem_and_its_zone_is_not_tried() {
    let setting = Setting::new(Setup::default()).await;
    let (a, b, c) = (subnet(ZONE), subnet(OTHER_ZONE), subnet("eu-central-1c"));
    let with = |of_b: &str| {
        let of_b = of_b.to_owned();
        move |config: &mut Ec2Config| drop(config.subnets.insert(OTHER_ZONE.to_owned(), of_b))
    };
    let told = setting.told_of(with("subnet-0123456789abcdef0")).await;
    let missing = "there is no subnet subnet-0123456789abcdef0 in eu-central-1: write one of eu-central-1b that `aws ec2 \
                   describe-subnets` lists";
    assert_lines(&told, "problem", &[missing]);
    let tried = "EC2 would launch c7i.2xlarge (on-demand) in ";
    assert!(
        told.contains(&format!("{tried}{ZONE}")) && !told.contains(&format!("{tried}{OTHER_ZONE}")),
        "{told}"
    );

    let told = setting.told_of(with(&c)).await;
    assert_lines(
        &told,
        "problem",
        &[&format!(
            "subnet {c} is in eu-central-1c, not in eu-central-1b: write eu-central-1c = {c:?}"
        )],
    );

    let mut named = setting.ec2();
    named.setup.zones = vec![ZONE.to_owned(), "eu-central-1c".to_owned()];
    let told = setting.told(&named).await;
    let unnamed = format!(
        "subnet {b} is in eu-central-1b, which zones does not name: add it there, or name a subnet of eu-central-1a and eu-central-1c"
    );
    assert_lines(&told, "problem", &[&unnamed]);

    setting.control.set_addresses(&a, 0);
    setting.control.set_addresses(&b, 1);
    let told = setting.told_of(|_| {}).await;
    assert_lines(
        &told,
        "problem",
        &[&format!(
            "subnet {a} in eu-central-1a has no free address: end what uses them, or name"
        )],
    );
    assert!(
        told.contains(&format!("ok: subnet {b} is in eu-central-1b, and has 1 free address\n")),
        "{told}"
    );
}

#[tokio::test]
async fn a_subnet_that_is_not_there_yet_is_a_problem() {
    let setting = Setting::new(Setup::default()).await;
    let subnet = aws_sdk_ec2::types::Subnet::builder()
        .availability_zone(ZONE)
        .state(aws_sdk_ec2::types::SubnetState::Pending)
        .build();
    let judged = setting.ec2().judge_subnet(ZONE, "subnet-1", Some(&subnet));
    assert_eq!(
        judged.unwrap_err(),
        "subnet subnet-1 in eu-central-1a is pending: wait until it is available"
    );
}

#[tokio::test]
async fn types_are_told_by_zone() {
    let mut setup = Setup::default();
    setup.instance_types.get_mut(TYPE).unwrap().zones = Some([ZONE.to_owned()].into());
    let setting = Setting::new(setup).await;
    let told = setting.told_of(|_| {}).await;
    assert!(
        told.contains(
            "ok: c7i.2xlarge is offered in eu-central-1a; not in eu-central-1b, where the other offers count"
        ),
        "{told}"
    );
    assert!(!told.contains("c7i.2xlarge (on-demand) in eu-central-1b"), "{told}");
    assert_lines(&told, "problem", &[]);

    let few = [offer(TYPE, ZONE), offer(TYPE, OTHER_ZONE)];
    let told = setting.told_of(|config| config.offers = few.into()).await;
    assert_lines(
        &told,
        "problem",
        &["eu-central-1b offers none of c7i.2xlarge: add a type to offers, or take the zone out of subnets"],
    );
    let told = setting
        .told_of(|config| config.offers = vec![offer("c7y.huge", ZONE)])
        .await;
    assert_lines(
        &told,
        "problem",
        &["c7y.huge is not offered in eu-central-1a: is it spelt right?"],
    );
}

#[tokio::test]
async fn what_a_trial_is_refused_with_is_a_problem_unless_it_is_so_just_now() {
    let setting = Setting::new(Setup::default()).await;
    let refused = |code: &str| InjectedError {
        code: code.into(),
        status: 400,
        message: "Reason.".into(),
    };
    setting.next(
        "RunInstances",
        FaultKind::ErrorBefore {
            error: refused("VcpuLimitExceeded"),
        },
    );
    let told = setting.told_of(|_| {}).await;
    assert_lines(
        &told,
        "problem",
        &["EC2 would not launch c7i.2xlarge (on-demand) in eu-central-1a: VcpuLimitExceeded: Reason."],
    );
    setting.next(
        "RunInstances",
        FaultKind::ErrorBefore {
            error: refused("InsufficientInstanceCapacity"),
        },
    );
    let told = setting.told_of(|_| {}).await;
    assert_lines(&told, "problem", &[]);
    assert!(
        told.contains("unknown: a launch of c7i.2xlarge (on-demand) in eu-central-1a could not be tried: Insuff"),
        "{told}"
    );
}

#[tokio::test]
async fn an_endpoint_without_dry_runs_is_not_asked_to_launch() {
    let setting = Setting::new(Setup::default()).await;
    setting.control.set_dry_runs_ignored(true);
    let told = setting.told_of(|_| {}).await;
    let unknown = format!(
        "{} does not know dry runs: no launch and no end is tried",
        setting.fake.url()
    );
    assert_lines(&told, "unknown", &[&unknown]);
    assert!(
        setting
            .control
            .calls()
            .iter()
            .all(|call| call.action.starts_with("Describe"))
    );
}

#[tokio::test]
async fn credentials_that_are_missing_wrong_or_old_are_the_only_thing_told() {
    let setting = Setting::new(Setup::default()).await;
    let first = |code: &str| {
        let error = InjectedError {
            code: code.into(),
            status: 400,
            message: "Reason.".into(),
        };
        setting.next("DescribeInstances", FaultKind::ErrorBefore { error });
    };
    for (code, sentence) in [
        (
            "AuthFailure",
            "problem: EC2 in eu-central-1 does not take the credentials: renew them, and see that key, secret",
        ),
        (
            "ExpiredToken",
            "problem: the credentials have run out, or this machine's clock is wrong: renew them, or set it.",
        ),
        (
            "OptInRequired",
            "problem: the account may not use EC2 in eu-central-1: enable the region, or ask AWS.",
        ),
        (
            "InvalidAction",
            "problem: EC2 in eu-central-1 does not answer the first question: InvalidAction: Reason.",
        ),
    ] {
        first(code);
        let told = setting.told_of(|_| {}).await;
        assert!(
            told.starts_with(sentence) && told.contains(": Reason.") && told.lines().count() == 1,
            "{told}"
        );
    }
    for _ in 0..READ_ATTEMPTS {
        first("RequestLimitExceeded");
    }
    let told = setting.told_of(|_| {}).await;
    assert!(
        told.starts_with("unknown: EC2 in eu-central-1 answers nobody or us too often just now"),
        "{told}"
    );
}

/// Credentials that cannot be had.
#[derive(Debug)]
struct Unobtainable(bool);

impl ProvideCredentials for Unobtainable {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err(match self.0 {
            true => CredentialsError::not_loaded("no file, no variable, no machine"),
            false => CredentialsError::provider_error("the profile `media` names no key"),
        }))
    }
}

#[tokio::test]
async fn without_credentials_or_an_answer_it_is_told_what_to_set() {
    let setting = Setting::new(Setup::default()).await;
    for (is_missing, sentence) in [
        (
            true,
            "problem: no credentials were found: give this machine a role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
        ),
        (false, "problem: no credentials could be had: "),
    ] {
        let mut ec2 = setting.ec2();
        let config = setting
            .client
            .config()
            .to_builder()
            .credentials_provider(Unobtainable(is_missing));
        ec2.client = OnceCell::new_with(Some(Client::from_conf(config.build())));
        let told = setting.told(&ec2).await;
        assert!(told.starts_with(sentence) && told.lines().count() == 1, "{told}");
        assert!(is_missing || told.contains("names no key"), "{told}");
    }
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{nobody}");
    let mut ec2 = setting.of("ours", |config| config.endpoint_url = Some(url.clone()));
    let config = setting.client.config().to_builder().endpoint_url(&url);
    ec2.client = OnceCell::new_with(Some(Client::from_conf(config.build())));
    let told = setting.told(&ec2).await;
    let sentence = format!(
        "problem: EC2 does not answer at {url}: is region = \"eu-central-1\" spelt right, and does this machine reach it? "
    );
    assert!(told.starts_with(&sentence) && told.lines().count() == 1, "{told}");
}
