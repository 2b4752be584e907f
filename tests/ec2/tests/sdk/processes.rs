//! User data as real processes: started, heard, ended, and never left behind.

use std::fs;
use std::path::{Path, PathBuf};

use aws_sdk_ec2::types::ShutdownBehavior;

use usher_fake_ec2::{InstanceId, InstanceState, Setup};

use crate::setting::{PATIENCE, Setting, encode, start, still};

fn running() -> Setup {
    Setup {
        run_user_data: true,
        ..still()
    }
}

async fn run(setting: &Setting, script: &str, behavior: ShutdownBehavior) -> InstanceId {
    let launch = setting
        .launch()
        .user_data(encode(script))
        .instance_initiated_shutdown_behavior(behavior);
    InstanceId::from(setting.launched(launch).await.remove(0))
}

async fn wait_for_state(setting: &Setting, id: &InstanceId, state: InstanceState) {
    let is_so = setting
        .control
        .wait_for(|control| control.instance(id).unwrap().state == state);
    tokio::time::timeout(PATIENCE, is_so).await.unwrap();
}

async fn wait_for_console(setting: &Setting, id: &InstanceId, text: &str) {
    let is_so = setting
        .control
        .wait_for(|control| control.console(id).unwrap().contains(text));
    tokio::time::timeout(PATIENCE, is_so).await.unwrap();
}

/// Returns the process that a console names in a line `name=NUMBER`.
fn process(setting: &Setting, id: &InstanceId, name: &str) -> PathBuf {
    let console = setting.control.console(id).unwrap();
    let number = console
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
        .unwrap();
    Path::new("/proc").join(number)
}

/// Waits until a process that was killed has gone: the system may take a moment, and tells nobody.
async fn wait_until_ended(process: &Path) {
    let gone = async {
        while !has_ended(process) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.unwrap();
}

/// Returns whether a process has ended; one that nobody has reaped yet has.
fn has_ended(process: &Path) -> bool {
    match fs::read_to_string(process.join("stat")) {
        Ok(stat) => stat.rsplit(')').next().unwrap().trim_start().starts_with('Z'),
        Err(_) => true,
    }
}

#[tokio::test]
async fn user_data_runs_with_its_metadata_in_a_folder_of_its_own() {
    let setting = start(running()).await;
    let script = "#!/bin/sh -e\necho $USHER_FAKE_IMDS $USHER_FAKE_INSTANCE\npwd >&2\necho ready\nexec sleep 600\n";
    let id = run(&setting, script, ShutdownBehavior::Terminate).await;
    wait_for_console(&setting, &id, "ready").await;
    let console = setting.control.console(&id).unwrap();
    let lines: Vec<&str> = console.lines().collect();
    assert_eq!(lines[0], format!("{} {id}", setting.fake.metadata_url(&id)));
    assert!(lines[1].contains(&format!("fake-ec2-{id}")), "{console}");
    assert_ne!(Path::new(lines[1]), std::env::current_dir().unwrap());
    let truth = setting.control.instance(&id).unwrap();
    assert!(truth.has_process && truth.state == InstanceState::Running);
}

#[tokio::test]
async fn an_instance_ends_with_its_process_or_stops_with_it() {
    let setting = start(running()).await;
    let script = "#!/bin/sh\necho bye\n";
    let ends = run(&setting, script, ShutdownBehavior::Terminate).await;
    let stops = run(&setting, script, ShutdownBehavior::Stop).await;
    wait_for_state(&setting, &ends, InstanceState::Terminated).await;
    wait_for_state(&setting, &stops, InstanceState::Stopped).await;
    let truth = setting.control.instance(&ends).unwrap();
    assert_eq!(truth.reason.unwrap().code, "Client.InstanceInitiatedShutdown");
    assert_eq!(setting.control.console(&ends).unwrap(), "bye\n");
}

#[tokio::test]
async fn terminating_asks_the_process_and_waits_for_it() {
    let setting = start(running()).await;
    let script = "#!/bin/sh\ntrap 'echo asked; exit 0' TERM\necho ready\nwhile :; do sleep 0.01; done\n";
    let id = run(&setting, script, ShutdownBehavior::Terminate).await;
    wait_for_console(&setting, &id, "ready").await;
    setting
        .ec2
        .terminate_instances()
        .instance_ids(id.as_str())
        .send()
        .await
        .unwrap();
    wait_for_state(&setting, &id, InstanceState::Terminated).await;
    assert!(setting.control.console(&id).unwrap().ends_with("asked\n"));
    let reason = setting.control.instance(&id).unwrap().reason.unwrap();
    assert_eq!(reason.code, "Client.UserInitiatedShutdown");
}

#[tokio::test]
async fn a_process_that_does_not_listen_is_killed_with_its_children() {
    let setting = start(running()).await;
    let script =
        "#!/bin/sh\ntrap '' TERM\nsleep 600 &\necho child=$!\necho own=$$\necho ready\nwhile :; do sleep 0.05; done\n";
    let id = run(&setting, script, ShutdownBehavior::Terminate).await;
    wait_for_console(&setting, &id, "ready").await;
    let (own, child) = (process(&setting, &id, "own"), process(&setting, &id, "child"));
    assert!(!has_ended(&own) && !has_ended(&child));
    setting
        .ec2
        .terminate_instances()
        .instance_ids(id.as_str())
        .send()
        .await
        .unwrap();
    wait_for_state(&setting, &id, InstanceState::Terminated).await;
    wait_until_ended(&own).await;
    wait_until_ended(&child).await;
}

#[tokio::test]
async fn nothing_outlives_the_fake() {
    let setting = start(running()).await;
    let script = "#!/bin/sh\nsleep 600 &\necho child=$!\necho own=$$\npwd\necho ready\nwait\n";
    let id = run(&setting, script, ShutdownBehavior::Terminate).await;
    wait_for_console(&setting, &id, "ready").await;
    let (own, child) = (process(&setting, &id, "own"), process(&setting, &id, "child"));
    let console = setting.control.console(&id).unwrap();
    let folder = console.lines().find(|line| line.starts_with('/')).unwrap();
    assert!(Path::new(folder).exists());
    drop(setting.fake);
    wait_until_ended(&own).await;
    wait_until_ended(&child).await;
    assert!(!Path::new(folder).exists());
}

#[tokio::test]
async fn a_script_that_cannot_start_says_so_on_the_console() {
    let setting = start(running()).await;
    let id = run(&setting, "#!/no/such/program\n", ShutdownBehavior::Terminate).await;
    wait_for_state(&setting, &id, InstanceState::Terminated).await;
    let console = setting.control.console(&id).unwrap();
    assert!(console.contains("cannot start"), "{console}");
}

#[tokio::test]
async fn user_data_is_not_run_unless_asked_for_and_a_script() {
    let setting = start(still()).await;
    let id = run(&setting, "#!/bin/sh\nexit 0\n", ShutdownBehavior::Terminate).await;
    assert!(!setting.control.instance(&id).unwrap().has_process);
    let setting = start(running()).await;
    let id = run(&setting, "a: 1\n", ShutdownBehavior::Terminate).await;
    let truth = setting.control.instance(&id).unwrap();
    assert!(!truth.has_process && truth.state == InstanceState::Running);
}
