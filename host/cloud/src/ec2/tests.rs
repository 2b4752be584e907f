//! The provider against a fake EC2 over the wire: what it sends is signed and parsed by the real SDK.

mod checking;
mod evidence;
mod losses;

use std::collections::BTreeSet;

use aws_sdk_ec2::config::Credentials;
use aws_sdk_ec2::types::{InstanceType, ResourceType, Tag, TagSpecification};
use usher_fake_ec2::{
    ACCESS_KEY_ID, ClockSetup, Control, FakeEc2, Fault, FaultKind, IMAGE, InjectedError, InstanceId, InstanceView,
    Market, SECRET_ACCESS_KEY, Setup, TEMPLATE, default_subnet_id,
};
use usher_fleet::Timestamp;
use usher_fleet::config::{Labels, Offer};
use usher_fleet::ids::{Attempt, ServerNo};
use usher_fleet::observation::{InstanceState, OrderKey, Owner, ProviderError};
use usher_fleet::units::Microdollars;

use super::*;
use crate::config::{ProbeConfig, ProviderConfig};
use crate::user_data::USER_DATA;

const ZONE: &str = "eu-central-1a";
const TYPE: &str = "c7i.2xlarge";
const OTHER_ZONE: &str = "eu-central-1b";

fn offer(kind: &str, zone: &str) -> Offer {
    Offer {
        instance_type: kind.to_owned(),
        market: "on-demand".to_owned(),
        zone: zone.to_owned(),
        price_per_hour: Microdollars(348_000),
    }
}

fn offers() -> Vec<Offer> {
    vec![
        offer(TYPE, ZONE),
        offer(TYPE, OTHER_ZONE),
        offer("c6i.xlarge", ZONE),
        offer("c6i.xlarge", OTHER_ZONE),
    ]
}

/// A fake EC2 whose time stands still, and this provider's client for it.
struct Setting {
    fake: FakeEc2,
    control: Control,
    client: Client,
}

impl Setting {
    async fn new(setup: Setup) -> Setting {
        let setup = Setup {
            clock: ClockSetup::manual(),
            ..setup
        };
        let fake = FakeEc2::start(setup).await.unwrap();
        let keys = Credentials::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY, None, None, "test");
        let client = client("eu-central-1", Some(fake.url()), Some(keys)).await;
        Setting {
            control: fake.control(),
            client,
            fake,
        }
    }

    /// Returns the provider of an installation.
    fn of(&self, installation: &str, change: impl FnOnce(&mut Ec2Config)) -> Ec2 {
        let mut config = Ec2Config {
            launch_template: TEMPLATE.to_owned(),
            launch_template_version: 1,
            subnets: [ZONE, OTHER_ZONE].map(|zone| (zone.to_owned(), subnet(zone))).into(),
            url: Some("wss://{server}.{private_ip}:8188".to_owned()),
            user_data: USER_DATA.to_owned(),
            host_url: "https://usher.example".to_owned(),
            offers: offers(),
            tags: [("team".to_owned(), "video".to_owned())].into(),
            endpoint_url: Some(self.fake.url().to_owned()),
        };
        change(&mut config);
        let setup = PoolSetup {
            provider: ProviderConfig::Ec2(config.clone()),
            zones: Vec::new(),
            ..crate::heard::setup("cloud", ProviderConfig::External, ProbeConfig::None)
        };
        let installation = Installation {
            id: installation.to_owned(),
            tokens: Arc::new(|no, server| format!("token-of-{no}-{server}")),
        };
        let control = self.control.clone();
        let clock: Clock = Arc::new(move || now(&control));
        let ec2 = Ec2::new(&setup, config, Arc::new(installation), clock);
        ec2.client.set(self.client.clone()).expect("it has none yet");
        ec2
    }

    fn ec2(&self) -> Ec2 {
        self.of("ours", |_| {})
    }

    fn order(&self, server: u32, attempt: u32) -> LaunchOrder {
        LaunchOrder {
            key: OrderKey {
                server: format!("cloud-{server}").parse().unwrap(),
                attempt: Attempt(attempt),
            },
            no: ServerNo(server),
            pool: "cloud".parse().unwrap(),
            labels: Labels::new(),
            offer: Some(offer(TYPE, ZONE)),
            nth: 1,
        }
    }

    fn end(&self, order: &LaunchOrder, instance: Option<&str>) -> TerminateOrder {
        TerminateOrder {
            key: order.key.clone(),
            pool: order.pool.clone(),
            instance: instance.map(str::to_owned),
            since: now(&self.control),
        }
    }

    fn pass(&self, seconds: u64) {
        self.control.advance(Duration::from_secs(seconds));
    }

    fn only(&self) -> InstanceView {
        let mut instances = self.control.instances();
        assert_eq!(instances.len(), 1, "{instances:?}");
        instances.remove(0)
    }

    fn living(&self) -> Vec<InstanceView> {
        let mut instances = self.control.instances();
        instances.retain(|instance| instance.state != usher_fake_ec2::InstanceState::Terminated);
        instances
    }

    fn next(&self, action: &str, what: FaultKind) {
        self.control.set_fault(Fault::next(action, 1, what));
    }
}

fn throttled() -> InjectedError {
    InjectedError {
        code: "RequestLimitExceeded".into(),
        status: 503,
        message: "Request limit exceeded.".into(),
    }
}

/// Returns the subnet that the fake has in a zone.
fn subnet(zone: &str) -> String {
    let number = zone.bytes().last().expect("a zone has a name") - b'a' + 1;
    default_subnet_id(number)
}

fn now(control: &Control) -> Timestamp {
    Timestamp(u64::try_from(control.now().as_millisecond()).unwrap())
}

fn class<T: std::fmt::Debug>(result: Result<T, ProviderError>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(ProviderError::Refused(_)) => "ends",
        Err(ProviderError::NoCapacity(_)) => "next offer",
        Err(ProviderError::NoAddresses(_)) => "next zone",
        Err(ProviderError::Misconfigured(_)) => "stop",
        Err(ProviderError::Unknown(_)) => "again",
    }
}

#[tokio::test]
async fn a_launch_is_what_was_ordered_with_tags_and_a_token_in_its_user_data() {
    let setting = Setting::new(Setup::default()).await;
    let launched = setting.ec2().launch(&setting.order(7, 2)).await.unwrap();
    let made = setting.only();
    assert_eq!(launched.instance, made.id.to_string());
    assert_eq!(
        (launched.state, launched.zone.as_deref()),
        (InstanceState::Pending, Some(ZONE))
    );
    assert_eq!(launched.url, Some(format!("wss://cloud-7.{}:8188", made.private_ip)));
    assert_eq!((made.instance_type.as_str(), made.market), (TYPE, Market::OnDemand));
    assert_eq!((made.subnet_id, made.image_id.as_str()), (subnet(ZONE), IMAGE));
    assert_eq!(made.shutdown_behavior, usher_fake_ec2::ShutdownBehavior::Terminate);
    assert_eq!(made.client_token.as_deref(), Some("ours-7-2"));
    for (key, value) in [
        ("Name", "cloud-7"),
        ("usher:fleet", "acme"),
        ("usher:installation", "ours"),
        ("usher:pool", "cloud"),
        ("usher:server", "cloud-7"),
        ("usher:no", "7"),
        ("usher:attempt", "2"),
        ("team", "video"),
    ] {
        assert_eq!(made.tags.get(key).map(String::as_str), Some(value), "{key}");
        assert_eq!(
            made.volume_tags.get(key).map(String::as_str),
            Some(value),
            "{key} of its volumes"
        );
    }
    let script = made.user_data.unwrap();
    for line in [
        "USHER_URL=https://usher.example",
        "USHER_SERVER=cloud-7",
        "USHER_TOKEN=token-of-7-cloud-7",
    ] {
        assert!(script.contains(line), "{script}");
    }
    let versions: Vec<_> = setting
        .control
        .calls()
        .into_iter()
        .filter_map(|call| call.template_version)
        .collect();
    assert_eq!(versions, ["1"], "never the latest");
}

#[tokio::test]
async fn the_same_order_is_one_instance_however_often_it_is_asked() {
    let setting = Setting::new(Setup::default()).await;
    let (ec2, order) = (setting.ec2(), setting.order(1, 1));
    let first = ec2.launch(&order).await.unwrap();
    setting.pass(60);
    // Another process of the same installation, after a restart.
    let again = setting.ec2().launch(&order).await.unwrap();
    assert_eq!((again.instance, again.state), (first.instance, InstanceState::Running));
    setting.only();
    ec2.launch(&setting.order(1, 2)).await.unwrap();
    ec2.launch(&setting.order(2, 1)).await.unwrap();
    assert_eq!(setting.control.instances().len(), 3, "another attempt, another server");
}

#[tokio::test]
async fn what_was_done_and_not_answered_is_found_by_asking_again() {
    for lost in [
        FaultKind::LostBefore,
        FaultKind::LostAfter,
        FaultKind::ErrorBefore {
            error: InjectedError::internal_error(),
        },
        FaultKind::ErrorAfter {
            error: InjectedError::internal_error(),
        },
        FaultKind::ErrorAfter {
            error: InjectedError::unavailable(),
        },
    ] {
        let setting = Setting::new(Setup::default()).await;
        let (ec2, order) = (setting.ec2(), setting.order(1, 1));
        setting.next("RunInstances", lost.clone());
        assert_eq!(class(ec2.launch(&order).await), "again", "{lost:?}");
        let calls = setting.control.calls().len();
        assert_eq!(calls, 1, "{lost:?}: the SDK asks once");
        let launched = ec2.launch(&order).await.unwrap();
        assert_eq!(launched.instance, setting.only().id.to_string(), "{lost:?}");
    }
}

#[tokio::test]
async fn each_refusal_says_what_to_do_next() {
    let setting = Setting::new(Setup::default()).await;
    let (ec2, order) = (setting.ec2(), setting.order(1, 1));
    setting.control.set_capacity(TYPE, ZONE, Market::OnDemand, Some(0));
    assert_eq!(class(ec2.launch(&order).await), "next offer");
    setting.control.set_capacity(TYPE, ZONE, Market::OnDemand, None);
    setting.control.set_addresses(&subnet(ZONE), 0);
    assert_eq!(class(ec2.launch(&order).await), "next zone");
    setting.control.set_addresses(&subnet(ZONE), 10);
    let readers: BTreeSet<String> = ["DescribeInstances".to_owned()].into();
    setting.control.set_allowed(ACCESS_KEY_ID, Some(readers));
    let refused = ec2.launch(&order).await.unwrap_err();
    assert!(
        matches!(&refused, ProviderError::Misconfigured(why) if why.contains("UnauthorizedOperation")),
        "{refused}"
    );
    setting.control.set_allowed(ACCESS_KEY_ID, None);
    let other = setting.of("ours", |config| {
        config.launch_template = "lt-0123456789abcdef0".to_owned()
    });
    assert_eq!(class(other.launch(&order).await), "stop");
    setting.next("RunInstances", FaultKind::ErrorBefore { error: throttled() });
    assert_eq!(class(ec2.launch(&order).await), "again");
    assert!(setting.living().is_empty());
    let unplaced = LaunchOrder { offer: None, ..order };
    assert_eq!(class(ec2.launch(&unplaced).await), "stop");
}

#[tokio::test]
async fn spot_is_what_its_offer_says() {
    let setting = Setting::new(Setup::default()).await;
    let mut order = setting.order(1, 1);
    order.offer.as_mut().unwrap().market = "spot".to_owned();
    setting.ec2().launch(&order).await.unwrap();
    assert_eq!(setting.only().market, Market::Spot);
}

/// A setup whose launch template was changed once, and whose instances are visible after so long.
fn with_two_versions(visibility_seconds: f64) -> Setup {
    let mut setup = Setup::default();
    let version = setup.launch_templates[0].versions[0].clone();
    setup.launch_templates[0].versions.push(version);
    setup.lag.visibility_seconds = visibility_seconds;
    setup
}

#[tokio::test]
async fn a_token_that_was_used_with_other_parameters_leads_to_what_it_made() {
    let setting = Setting::new(with_two_versions(60.0)).await;
    let order = setting.order(1, 1);
    let first = setting.ec2().launch(&order).await.unwrap();
    // The operator has changed the file meanwhile, and the answer was lost.
    let changed = setting.of("ours", |config| config.launch_template_version = 2);
    assert_eq!(
        class(changed.launch(&order).await),
        "again",
        "it may not be visible yet"
    );
    setting.pass(61);
    assert_eq!(changed.launch(&order).await.unwrap().instance, first.instance);
    setting.only();
}

#[tokio::test]
async fn a_used_token_is_no_refusal_before_what_it_made_can_be_seen_however_old_the_order_is() {
    let setting = Setting::new(with_two_versions(200.0)).await;
    let order = setting.order(1, 1);
    // It was throttled for an hour before one order came through, whose answer was lost.
    setting.pass(3_600);
    setting.next("RunInstances", FaultKind::LostAfter);
    assert_eq!(class(setting.ec2().launch(&order).await), "again");
    let changed = setting.of("ours", |config| config.launch_template_version = 2);
    assert_eq!(class(changed.launch(&order).await), "again");
    setting.pass(201);
    assert!(changed.launch(&order).await.is_ok());
    setting.only();
}

#[tokio::test]
async fn a_token_whose_instance_has_ended_is_not_used_again() {
    let setting = Setting::new(Setup::default()).await;
    let (ec2, order) = (setting.ec2(), setting.order(1, 1));
    let launched = ec2.launch(&order).await.unwrap();
    setting.control.kill(&InstanceId::from(launched.instance.as_str()));
    setting.pass(120);
    assert_eq!(ec2.launch(&order).await.unwrap().state, InstanceState::Ended);
    setting.pass(3_700);
    assert_eq!(
        class(ec2.launch(&order).await),
        "again",
        "it is not seen any more, or not yet"
    );
    setting.pass(301);
    assert_eq!(
        class(ec2.launch(&order).await),
        "ends",
        "EC2 has forgotten it, and nothing is left"
    );
    assert!(setting.living().is_empty());
}

#[tokio::test]
async fn nothing_is_left_only_when_the_list_says_terminated() {
    let setting = Setting::new(Setup::default()).await;
    let (ec2, order) = (setting.ec2(), setting.order(1, 1));
    let launched = ec2.launch(&order).await.unwrap();
    setting.pass(60);
    let end = setting.end(&order, Some(&launched.instance));
    assert_eq!(class(ec2.terminate(&end).await), "again");
    setting.pass(120);
    assert_eq!(class(ec2.terminate(&end).await), "ok");
    assert!(setting.living().is_empty());
}

#[tokio::test]
async fn what_may_not_be_visible_yet_is_waited_for() {
    let mut setup = Setup::default();
    setup.lag.visibility_seconds = 120.0;
    setup.lag.hides_from_changes = true;
    let setting = Setting::new(setup).await;
    let (ec2, order) = (setting.ec2(), setting.order(1, 1));
    setting.next("RunInstances", FaultKind::LostAfter);
    assert_eq!(class(ec2.launch(&order).await), "again");
    // An operator takes the server away before its launch was ever answered.
    let end = setting.end(&order, None);
    assert_eq!(
        class(ec2.terminate(&end).await),
        "again",
        "nothing is listed, which proves nothing"
    );
    setting.pass(130);
    assert_eq!(class(ec2.terminate(&end).await), "again", "now it is seen, and ending");
    setting.pass(400);
    assert_eq!(class(ec2.terminate(&end).await), "ok");
    assert!(setting.living().is_empty());
    // What never existed is gone when it could have been seen.
    let never = setting.end(&setting.order(9, 1), None);
    assert_eq!(class(ec2.terminate(&never).await), "again");
    setting.pass(301);
    assert_eq!(class(ec2.terminate(&never).await), "ok");
}

#[tokio::test]
async fn a_protected_instance_is_left_alone_and_named() {
    let setting = Setting::new(Setup::default()).await;
    let (ec2, order) = (setting.ec2(), setting.order(1, 1));
    let launched = ec2.launch(&order).await.unwrap();
    setting.pass(60);
    let protect = setting
        .client
        .modify_instance_attribute()
        .instance_id(&launched.instance);
    let yes = aws_sdk_ec2::types::AttributeBooleanValue::builder().value(true).build();
    protect.disable_api_termination(yes).send().await.unwrap();
    let refused = ec2
        .terminate(&setting.end(&order, Some(&launched.instance)))
        .await
        .unwrap_err();
    let ProviderError::Refused(why) = refused else {
        panic!("{refused:?}")
    };
    assert!(why.contains(&launched.instance) && why.contains("protected"), "{why}");
    assert_eq!(setting.living().len(), 1);
}

#[tokio::test]
async fn what_is_marked_to_be_kept_is_not_ended_until_the_mark_is_gone() {
    let setting = Setting::new(Setup::default()).await;
    let (ec2, order) = (setting.ec2(), setting.order(1, 1));
    let launched = ec2.launch(&order).await.unwrap();
    setting.pass(60);
    let keep = Tag::builder().key("usher:keep").value("for Ann").build();
    let mark = setting.client.create_tags().resources(&launched.instance);
    mark.tags(keep.clone()).send().await.unwrap();
    let end = setting.end(&order, Some(&launched.instance));
    let refused = ec2.terminate(&end).await.unwrap_err();
    assert!(
        matches!(&refused, ProviderError::Refused(why) if why.contains("usher:keep")),
        "{refused}"
    );
    assert_eq!(setting.living().len(), 1);
    let unmark = setting.client.delete_tags().resources(&launched.instance);
    unmark.tags(keep).send().await.unwrap();
    assert_eq!(class(ec2.terminate(&end).await), "again");
    setting.pass(120);
    assert_eq!(class(ec2.terminate(&end).await), "ok");
}

#[tokio::test]
async fn a_list_says_whose_everything_is() {
    let setting = Setting::new(Setup::default()).await;
    let (ours, theirs) = (setting.ec2(), setting.of("theirs", |_| {}));
    ours.launch(&setting.order(1, 1)).await.unwrap();
    let kept = ours.launch(&setting.order(2, 1)).await.unwrap();
    theirs.launch(&setting.order(3, 1)).await.unwrap();
    let ended = ours.launch(&setting.order(4, 1)).await.unwrap();
    bare(
        &setting,
        &[
            ("usher:fleet", "another"),
            ("usher:pool", "cloud"),
            ("usher:server", "x"),
            ("usher:attempt", "1"),
        ],
    )
    .await;
    bare(&setting, &[("Name", "cloud-1")]).await;
    bare(
        &setting,
        &[
            ("usher:fleet", "acme"),
            ("usher:pool", "cloud"),
            ("usher:server", "no spaces"),
            ("usher:attempt", "1"),
        ],
    )
    .await;
    let keep = Tag::builder().key("usher:keep").value("").build();
    setting
        .client
        .create_tags()
        .resources(&kept.instance)
        .tags(keep)
        .send()
        .await
        .unwrap();
    setting.control.kill(&InstanceId::from(ended.instance.as_str()));
    let mut cheap = setting.order(5, 1);
    cheap.offer.as_mut().unwrap().market = "spot".to_owned();
    ours.launch(&cheap).await.unwrap();
    setting.pass(60);
    let listed = ours.list().await.unwrap();
    let offered = listed
        .iter()
        .map(|found| found.offer.as_ref() == Some(&offer(TYPE, ZONE)));
    assert_eq!(
        offered.collect::<Vec<_>>(),
        [true, true, true, true, false],
        "the pool has it on demand alone"
    );
    let told: Vec<_> = listed
        .iter()
        .map(|found| {
            (
                found.key.server.as_str(),
                found.owner,
                found.is_kept,
                found.instance.state,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("cloud-1", Owner::Us(ServerNo(1)), false, InstanceState::Running),
            ("cloud-2", Owner::Us(ServerNo(2)), true, InstanceState::Running),
            ("cloud-3", Owner::Another, false, InstanceState::Running),
            ("cloud-4", Owner::Us(ServerNo(4)), false, InstanceState::Ended),
            ("cloud-5", Owner::Us(ServerNo(5)), false, InstanceState::Running),
        ]
    );
}

#[tokio::test]
async fn two_installations_servers_of_one_name_are_both_listed() {
    let setting = Setting::new(Setup::default()).await;
    let (ours, theirs) = (setting.ec2(), setting.of("theirs", |_| {}));
    let other = theirs.launch(&setting.order(1, 1)).await.unwrap();
    let own = ours.launch(&setting.order(1, 1)).await.unwrap();
    assert_ne!(other.instance, own.instance);
    setting.pass(60);
    let listed = ours.list().await.unwrap();
    let told: BTreeSet<_> = listed
        .iter()
        .map(|found| (found.instance.instance.as_str(), found.owner == Owner::Us(ServerNo(1))))
        .collect();
    assert_eq!(
        told,
        [(own.instance.as_str(), true), (other.instance.as_str(), false)].into()
    );
}

#[tokio::test]
async fn a_list_has_all_its_pages() {
    let setting = Setting::new(Setup::default()).await;
    for number in 0..3 {
        setting.control.set_addresses(&subnet(zone(number)), 1_000);
    }
    for server in 0..5 {
        let tags: Vec<Tag> = [("usher:fleet", "acme"), ("usher:pool", "cloud"), ("usher:attempt", "1")]
            .map(|(key, value)| Tag::builder().key(key).value(value).build())
            .into();
        // Five hundred with one name, as no launch of ours makes them: pages are full of them.
        let name = Tag::builder().key("usher:server").value(format!("s{server}")).build();
        let all = TagSpecification::builder()
            .resource_type(ResourceType::Instance)
            .set_tags(Some(tags))
            .tags(name)
            .build();
        let run = setting
            .client
            .run_instances()
            .image_id(IMAGE)
            .instance_type(InstanceType::T3Small);
        run.min_count(240)
            .max_count(240)
            .subnet_id(subnet(zone(server)))
            .tag_specifications(all)
            .send()
            .await
            .unwrap();
    }
    let listed = setting.ec2().list().await.unwrap();
    assert_eq!(listed.len(), 5, "each name once");
    let pages = setting
        .control
        .calls()
        .iter()
        .filter(|call| call.action == "DescribeInstances")
        .count();
    assert_eq!(pages, 2, "1,200 instances");
}

fn zone(n: usize) -> &'static str {
    ["eu-central-1a", "eu-central-1b", "eu-central-1c"][n % 3]
}

/// Launches an instance that no provider has launched.
async fn bare(setting: &Setting, tags: &[(&str, &str)]) {
    let tags = tags
        .iter()
        .map(|(key, value)| Tag::builder().key(*key).value(*value).build())
        .collect();
    let on = TagSpecification::builder()
        .resource_type(ResourceType::Instance)
        .set_tags(Some(tags))
        .build();
    let run = setting
        .client
        .run_instances()
        .image_id(IMAGE)
        .instance_type(InstanceType::T3Small);
    run.min_count(1)
        .max_count(1)
        .tag_specifications(on)
        .send()
        .await
        .unwrap();
}
