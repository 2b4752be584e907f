//! Claims about the simulation, in paused time.

use std::sync::Arc;

use usher_fleet::config::{Labels, Limits};
use usher_fleet::server::{BootPhase, Booting, Failed, Health, Ready, Requested, Terminating};
use usher_fleet::status::ServerCard;
use usher_fleet::units::{Microdollars, Timestamp};

use super::*;
use crate::config::ProbeConfig;
use crate::heard::{Heard, key, launch, setup, terminate};

fn simulated(config: SimulatedConfig) -> (Simulated, Heard) {
    let (observe, heard) = Heard::new();
    let setup = setup("demo", ProviderConfig::Simulated(config.clone()), ProbeConfig::None);
    (Simulated::new(&setup, config, observe, Handle::current()), heard)
}

async fn states(cloud: &Simulated) -> Vec<InstanceState> {
    let list = cloud.list().await.unwrap();
    list.into_iter().map(|found| found.instance.state).collect()
}

async fn next_report(heard: &mut Heard) -> String {
    match heard.next().await {
        Observation::Reported(Reported { server, report }) => {
            assert_eq!(report, Report::default(), "it has nothing to tell but that it lives");
            server.to_string()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_launched_server_reports_once_it_has_booted_and_then_regularly() {
    let (cloud, mut heard) = simulated(SimulatedConfig::default());
    let begun = Instant::now();
    let instance = cloud.launch(&launch("demo", "demo-1")).await.unwrap();
    assert_eq!(instance.state, InstanceState::Running);
    assert_eq!(instance.url.as_deref(), Some("wss://demo-1.simulated.invalid"));
    for seconds in [3, 8, 13] {
        assert_eq!(next_report(&mut heard).await, "demo-1");
        assert_eq!(begun.elapsed().as_secs(), seconds);
    }
}

#[tokio::test(start_paused = true)]
async fn a_launch_asked_again_is_the_same_server() {
    let config = SimulatedConfig {
        capacity: 1,
        ..SimulatedConfig::default()
    };
    let (cloud, mut heard) = simulated(config);
    let first = cloud.launch(&launch("demo", "demo-1")).await.unwrap();
    assert_eq!(cloud.launch(&launch("demo", "demo-1")).await, Ok(first));
    let begun = Instant::now();
    next_report(&mut heard).await;
    next_report(&mut heard).await;
    assert_eq!(begun.elapsed().as_secs(), 8, "one server reports, not two");
}

#[tokio::test(start_paused = true)]
async fn a_launch_beyond_the_capacity_finds_none_until_a_server_is_ended() {
    let config = SimulatedConfig {
        capacity: 1,
        ..SimulatedConfig::default()
    };
    let (cloud, _heard) = simulated(config);
    cloud.launch(&launch("demo", "demo-1")).await.unwrap();
    let refusal = cloud.launch(&launch("demo", "demo-2")).await.unwrap_err();
    assert!(matches!(refusal, ProviderError::NoCapacity(_)), "{refusal:?}");
    cloud.terminate(&terminate("demo", "demo-1")).await.unwrap();
    cloud.launch(&launch("demo", "demo-2")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_ended_server_reports_no_more_and_is_not_listed() {
    let (cloud, mut heard) = simulated(SimulatedConfig::default());
    cloud.launch(&launch("demo", "demo-1")).await.unwrap();
    next_report(&mut heard).await;
    cloud.terminate(&terminate("demo", "demo-1")).await.unwrap();
    assert_eq!(states(&cloud).await, []);
    sleep(Duration::from_secs(3600)).await;
    assert!(heard.is_empty());
    assert_eq!(cloud.terminate(&terminate("demo", "never-was")).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_failing_server_never_reports_and_is_listed_as_ended_or_as_running() {
    let config = SimulatedConfig {
        boot_failure_rate: 1.0,
        ..SimulatedConfig::default()
    };
    let (cloud, mut heard) = simulated(config);
    for number in 0..50 {
        cloud.launch(&launch("demo", &format!("demo-{number}"))).await.unwrap();
    }
    assert!(
        states(&cloud)
            .await
            .iter()
            .all(|state| *state == InstanceState::Running)
    );
    sleep(Duration::from_secs(3600)).await;
    assert!(heard.is_empty());
    let ended = states(&cloud)
        .await
        .iter()
        .filter(|state| **state == InstanceState::Ended)
        .count();
    assert!((10..40).contains(&ended), "{ended} of 50");
    assert!(cloud.probe(&"demo-1".parse().unwrap()).unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn which_servers_fail_follows_from_seed_and_key_alone() {
    let fates = |seed| {
        let config = SimulatedConfig {
            boot_failure_rate: 0.3,
            seed,
            ..SimulatedConfig::default()
        };
        let (cloud, _heard) = simulated(config);
        let state = cloud.state();
        (0..200)
            .map(|number| state.fate(&key(&format!("demo-{number}"), 1)))
            .collect::<Vec<_>>()
    };
    assert_eq!(fates(1), fates(1));
    assert_ne!(fates(1), fates(2));
    let failing = fates(1).iter().filter(|fate| **fate != Fate::Serves).count();
    assert!((40..80).contains(&failing), "{failing} of 200");
}

#[tokio::test(start_paused = true)]
async fn a_probe_of_a_simulated_server_succeeds_once_it_has_booted() {
    let (cloud, _heard) = simulated(SimulatedConfig::default());
    let server = "demo-1".parse().unwrap();
    assert!(cloud.probe(&server).unwrap().is_err());
    cloud.launch(&launch("demo", "demo-1")).await.unwrap();
    assert!(cloud.probe(&server).unwrap().is_err());
    sleep(Duration::from_secs(3)).await;
    assert_eq!(cloud.probe(&server), Some(Ok(())));
    assert!(cloud.probe(&"demo-10".parse().unwrap()).unwrap().is_err());
}

fn recorded(server: &str, phase: Phase) -> ServerStatus {
    let card = ServerCard {
        name: server.parse().unwrap(),
        pool: "demo".parse().unwrap(),
        region: String::new(),
        zone: Some("b".to_owned()),
        url: None,
        endpoints: BTreeMap::new(),
        labels: Labels::new(),
    };
    ServerStatus {
        card: Arc::new(card),
        no: usher_fleet::ids::ServerNo(1),
        token: Default::default(),
        offer: None,
        attempt: Attempt(1),
        instance: None,
        phase,
        hold: None,
        health: Health::Unknown,
        limits: Limits::default(),
        price_per_hour: Microdollars(0),
        created: Timestamp(0),
        rooms: 0,
        seats: 0,
        load: 0,
        reported: None,
        participants: None,
        cpu_permille: None,
        egress_kbps: None,
        loss_permille: None,
        rooms_unknown: 0,
        left: false,
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_recorded_exists_again_after_a_restart() {
    let (cloud, mut heard) = simulated(SimulatedConfig::default());
    let since = Timestamp(0);
    let reason = String::new();
    let deadline = None;
    let servers = [
        recorded("requested", Phase::Requested(Requested { since })),
        recorded("booting", Phase::Booting(Booting { since, deadline })),
        recorded("ready", Phase::Ready(Ready { since })),
        recorded(
            "failed",
            Phase::Failed(Failed {
                since,
                reason: reason.clone(),
                last_phase: BootPhase::Booting,
                has_ended: false,
                is_kept: true,
            }),
        ),
        recorded("terminating", Phase::Terminating(Terminating { since, reason })),
    ];
    let begun = Instant::now();
    cloud.recover(&servers.iter().collect::<Vec<_>>());
    cloud.recover(&servers.iter().collect::<Vec<_>>());
    let names: Vec<_> = cloud
        .list()
        .await
        .unwrap()
        .into_iter()
        .map(|found| found.key.server.to_string())
        .collect();
    assert_eq!(names, ["booting", "failed", "ready"]);
    assert_eq!(next_report(&mut heard).await, "ready");
    assert_eq!(begun.elapsed().as_secs(), 0);
    assert_eq!(next_report(&mut heard).await, "booting");
    assert_eq!(begun.elapsed().as_secs(), 3);
    let again = cloud.launch(&launch("demo", "ready")).await.unwrap();
    assert_eq!(again.zone.as_deref(), Some("b"));
}

#[tokio::test(start_paused = true)]
async fn new_settings_are_for_new_servers_and_end_none() {
    let (cloud, mut heard) = simulated(SimulatedConfig::default());
    cloud.launch(&launch("demo", "demo-1")).await.unwrap();
    let config = SimulatedConfig {
        boot_seconds: 1.0,
        ..SimulatedConfig::default()
    };
    assert!(cloud.reconfigure(&setup("demo", ProviderConfig::Simulated(config), ProbeConfig::None)));
    cloud.launch(&launch("demo", "demo-2")).await.unwrap();
    assert_eq!(next_report(&mut heard).await, "demo-2");
    assert_eq!(next_report(&mut heard).await, "demo-1");
    assert!(!cloud.reconfigure(&setup("demo", ProviderConfig::External, ProbeConfig::None)));
}

#[tokio::test(start_paused = true)]
async fn no_setting_makes_it_panic_or_spin() {
    for odd in [f64::NAN, f64::INFINITY, -1.0, 0.0, f64::MAX, 1e19] {
        let config = SimulatedConfig {
            boot_seconds: odd,
            report_seconds: odd,
            boot_failure_rate: odd,
            ..SimulatedConfig::default()
        };
        let (cloud, _heard) = simulated(config);
        cloud.launch(&launch("demo", "demo-1")).await.unwrap();
        sleep(Duration::from_millis(100)).await;
        assert_eq!(states(&cloud).await.len(), 1);
    }
}
