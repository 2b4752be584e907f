//! Claims about the front: what is run when, and what is told of it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::time::{Instant as Moment, sleep};

use super::*;
use crate::config::{ExecConfig, SimulatedConfig};
use crate::heard::{Heard, key, launch, setup, terminate};

fn cloud() -> (Cloud, Heard) {
    let (observe, heard) = Heard::new();
    (Cloud::new(observe), heard)
}

fn simulated(probe: ProbeConfig) -> PoolSetup {
    let config = SimulatedConfig {
        boot_seconds: 0.0,
        // Longer than any test: only what is asked for is heard.
        report_seconds: 1e9,
        ..SimulatedConfig::default()
    };
    setup("demo", ProviderConfig::Simulated(config), probe)
}

fn tcp_every(seconds: u64) -> ProbeConfig {
    ProbeConfig::Tcp(ProbeTiming {
        interval: Duration::from_secs(seconds),
        timeout: Duration::from_secs(1),
    })
}

fn exec(folder: &Path, script: &str) -> PoolSetup {
    fs::write(folder.join("script"), script).unwrap();
    let argv = |call: &str| ["/bin/sh", "script", call].map(str::to_owned).to_vec();
    let config = ExecConfig {
        launch: argv("launch"),
        terminate: argv("terminate"),
        list: argv("list"),
        timeout: ExecConfig::TIMEOUT_DEFAULT,
        programs_max: ExecConfig::PROGRAMS_MAX_DEFAULT,
    };
    let mut setup = setup("here", ProviderConfig::Exec(config), ProbeConfig::None);
    setup.base_dir = folder.to_owned();
    setup
}

/// Launches, and waits for it and for the first report.
async fn launch_simulated(cloud: &Cloud, heard: &mut Heard) {
    cloud.run(Effect::Launch(launch("demo", "demo-1")));
    for _ in 0..2 {
        match heard.next().await {
            Observation::Launched(launched) => assert!(launched.result.is_ok()),
            Observation::Reported(reported) => assert_eq!(reported.server.as_str(), "demo-1"),
            other => panic!("{other:?}"),
        }
    }
}

fn watch(pool: &str, server: &str, url: &str) -> Watch {
    Watch {
        server: server.parse().unwrap(),
        pool: pool.parse().unwrap(),
        url: url.to_owned(),
    }
}

async fn next_probe(heard: &mut Heard) -> Probed {
    match heard.next().await {
        Observation::Probed(probed) => probed,
        other => panic!("{other:?}"),
    }
}

fn class_of(observation: Observation) -> ProviderError {
    let result = match observation {
        Observation::Launched(launched) => launched.result.map(drop),
        Observation::Terminated(terminated) => terminated.result,
        Observation::Listed(listed) => listed.result.map(drop),
        other => panic!("{other:?}"),
    };
    result.unwrap_err()
}

#[tokio::test]
async fn orders_for_a_pool_that_is_not_known_or_not_ours_are_misconfigured() {
    let (cloud, mut heard) = cloud();
    cloud.configure(vec![setup("metal", ProviderConfig::External, ProbeConfig::None)]);
    for (pool, part) in [("gone", "not in the configuration"), ("metal", "is external")] {
        for effect in [
            Effect::Launch(launch(pool, "a")),
            Effect::Terminate(terminate(pool, "a")),
            Effect::List(pool.parse().unwrap()),
        ] {
            cloud.run(effect);
            let ProviderError::Misconfigured(why) = class_of(heard.next().await) else {
                panic!()
            };
            assert!(why.contains(part) && why.contains(pool), "{why}");
        }
    }
}

#[tokio::test]
async fn effects_are_taken_from_any_thread() {
    let (cloud, mut heard) = cloud();
    cloud.configure(vec![simulated(ProbeConfig::None)]);
    let driver = cloud.clone();
    thread::spawn(move || driver.run(Effect::Launch(launch("demo", "demo-1"))))
        .join()
        .unwrap();
    assert!(matches!(heard.next().await, Observation::Launched(launched) if launched.key == key("demo-1", 1)));
}

#[tokio::test]
async fn a_launch_asked_while_it_runs_is_run_once_and_its_termination_waits_for_it() {
    let folder = TempDir::new().unwrap();
    let gate = folder.path().join("gate");
    assert!(Command::new("mkfifo").arg(&gate).status().unwrap().success());
    let script = r#"
        echo "$1 begins" >> log
        if [ $1 = launch ]; then cat gate; echo '{"instance": "i-1"}'; fi
        echo "$1 ends" >> log"#;
    let (cloud, mut heard) = cloud();
    cloud.configure(vec![exec(folder.path(), script)]);
    cloud.run(Effect::Launch(launch("here", "here-1")));
    cloud.run(Effect::Launch(launch("here", "here-1")));
    cloud.run(Effect::Terminate(terminate("here", "here-1")));
    cloud.run(Effect::Terminate(terminate("here", "here-1")));
    tokio::fs::write(&gate, "").await.unwrap();
    assert!(matches!(heard.next().await, Observation::Launched(launched) if launched.result.is_ok()));
    assert!(matches!(heard.next().await, Observation::Terminated(terminated) if terminated.result.is_ok()));
    // An order that comes after the answer is run anew.
    cloud.run(Effect::Terminate(terminate("here", "here-1")));
    assert!(matches!(heard.next().await, Observation::Terminated(_)));
    let log = fs::read_to_string(folder.path().join("log")).unwrap();
    let terminated = "terminate begins\nterminate ends\n";
    assert_eq!(log, format!("launch begins\nlaunch ends\n{terminated}{terminated}"));
    assert!(heard.is_empty());
}

#[tokio::test]
async fn a_failed_order_is_told_and_not_repeated() {
    let folder = TempDir::new().unwrap();
    let (cloud, mut heard) = cloud();
    cloud.configure(vec![exec(folder.path(), "echo run >> log; exit 1")]);
    cloud.run(Effect::Launch(launch("here", "here-1")));
    assert!(matches!(class_of(heard.next().await), ProviderError::Unknown(_)));
    cloud.stop().await;
    assert_eq!(fs::read_to_string(folder.path().join("log")).unwrap(), "run\n");
}

#[tokio::test(start_paused = true)]
async fn a_list_tells_when_it_was_asked_for() {
    let (observe, mut heard) = Heard::new();
    let cloud = Cloud::with(observe, Arc::new(|| Timestamp(42)), Installation::unnamed());
    cloud.configure(vec![simulated(ProbeConfig::None)]);
    launch_simulated(&cloud, &mut heard).await;
    cloud.run(Effect::List("demo".parse().unwrap()));
    let Observation::Listed(listed) = heard.next().await else {
        panic!()
    };
    assert_eq!(listed.asked, Timestamp(42));
    assert_eq!(listed.result.unwrap()[0].key, key("demo-1", 1));
}

#[test]
fn the_clock_of_its_own_is_the_walls() {
    let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let now = steady_clock()();
    assert!(now.since(Timestamp::default() + wall) < Duration::from_secs(60));
    assert!(now >= Timestamp::default() + wall);
}

#[tokio::test(start_paused = true)]
async fn a_watched_server_is_probed_soon_then_at_intervals_until_it_is_no_more() {
    let (cloud, mut heard) = cloud();
    cloud.configure(vec![simulated(tcp_every(10))]);
    launch_simulated(&cloud, &mut heard).await;
    let begun = Moment::now();
    let watched = watch("demo", "demo-1", "wss://demo-1.simulated.invalid");
    cloud.run(Effect::Watch(watched.clone()));
    let probed = next_probe(&mut heard).await;
    assert_eq!(
        (&probed.server, &probed.url, probed.result),
        (&watched.server, &watched.url, Ok(()))
    );
    assert!(begun.elapsed() <= Duration::from_secs(1));
    for _ in 0..3 {
        let last = Moment::now();
        // Asked again, it is the same watch: it begins no second one, and none anew.
        cloud.run(Effect::Watch(watched.clone()));
        next_probe(&mut heard).await;
        assert!((9..=11).contains(&last.elapsed().as_secs()), "{:?}", last.elapsed());
    }
    cloud.run(Effect::Unwatch(watched.server));
    sleep(Duration::from_secs(3600)).await;
    assert!(heard.is_empty());
}

#[tokio::test(start_paused = true)]
async fn every_failed_probe_is_told() {
    let (cloud, mut heard) = cloud();
    cloud.configure(vec![simulated(tcp_every(10))]);
    cloud.run(Effect::Watch(watch("demo", "never-launched", "wss://x.invalid")));
    for _ in 0..3 {
        assert!(next_probe(&mut heard).await.result.is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_with_another_url_takes_the_place_of_the_first() {
    let (cloud, mut heard) = cloud();
    cloud.configure(vec![simulated(tcp_every(10))]);
    cloud.run(Effect::Watch(watch("demo", "demo-1", "wss://old.invalid")));
    assert_eq!(next_probe(&mut heard).await.url, "wss://old.invalid");
    cloud.run(Effect::Watch(watch("demo", "demo-1", "wss://new.invalid")));
    for _ in 0..3 {
        assert_eq!(next_probe(&mut heard).await.url, "wss://new.invalid");
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_follows_its_pools_setup_while_it_runs() {
    let (cloud, mut heard) = cloud();
    cloud.configure(vec![simulated(ProbeConfig::None)]);
    cloud.run(Effect::Watch(watch("demo", "demo-1", "wss://demo-1.simulated.invalid")));
    sleep(Duration::from_secs(60)).await;
    assert!(heard.is_empty());
    cloud.configure(vec![simulated(tcp_every(10))]);
    next_probe(&mut heard).await;
}

#[tokio::test(start_paused = true)]
async fn a_new_configuration_keeps_what_exists_and_pools_that_it_no_longer_has() {
    let (cloud, mut heard) = cloud();
    cloud.configure(vec![simulated(ProbeConfig::None)]);
    launch_simulated(&cloud, &mut heard).await;
    cloud.configure(vec![simulated(ProbeConfig::None)]);
    cloud.configure(vec![simulated(tcp_every(10))]);
    cloud.configure(vec![]);
    cloud.run(Effect::List("demo".parse().unwrap()));
    let Observation::Listed(listed) = heard.next().await else {
        panic!()
    };
    assert_eq!(listed.result.unwrap().len(), 1);
    cloud.run(Effect::Terminate(terminate("demo", "demo-1")));
    assert!(matches!(heard.next().await, Observation::Terminated(terminated) if terminated.result.is_ok()));
}

#[tokio::test]
async fn a_single_probe_is_made_even_where_nobody_probes_regularly() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://{}", listener.local_addr().unwrap());
    let (cloud, mut heard) = cloud();
    cloud.configure(vec![setup("metal", ProviderConfig::External, ProbeConfig::None)]);
    for pool in ["metal", "gone"] {
        cloud.run(Effect::Probe(watch(pool, "a", &url)));
        let probed = next_probe(&mut heard).await;
        assert_eq!((probed.url, probed.result), (url.clone(), Ok(())));
    }
    cloud.run(Effect::Probe(watch("metal", "a", "rtmp://no-port")));
    assert!(next_probe(&mut heard).await.result.is_err());
    assert!(heard.is_empty());
}

#[tokio::test]
async fn the_same_single_probe_is_not_made_twice_at_once() {
    let (cloud, mut heard) = cloud();
    for _ in 0..10 {
        cloud.run(Effect::Probe(watch("gone", "a", "rtmp://no-port")));
    }
    assert!(next_probe(&mut heard).await.result.is_err());
    cloud.stop().await;
    assert!(heard.is_empty());
}

/// Paused time runs on when all wait, but not while a thread reads a file: so the program begins in peace, and the grace
/// is over at once.
#[tokio::test(start_paused = true)]
async fn to_stop_is_to_end_every_program_and_to_start_none() {
    let folder = TempDir::new().unwrap();
    let started = folder.path().join("started");
    assert!(Command::new("mkfifo").arg(&started).status().unwrap().success());
    let (cloud, mut heard) = cloud();
    cloud.configure(vec![exec(folder.path(), "echo $$ > started; exec sleep 600")]);
    cloud.run(Effect::Launch(launch("here", "here-1")));
    let pid = tokio::fs::read_to_string(started).await.unwrap();
    cloud.stop().await;
    let process = format!("/proc/{}/stat", pid.trim());
    let begun = Instant::now();
    while fs::read_to_string(&process).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(begun.elapsed() < Duration::from_secs(10), "it still runs");
        thread::sleep(Duration::from_millis(5));
    }
    cloud.run(Effect::Terminate(terminate("here", "here-1")));
    sleep(Duration::from_secs(60)).await;
    assert!(heard.is_empty());
}
