//! The program itself: its exit codes, its signals.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::fakes::{Fake, Reply, app, is_draining, well};

/// How long a process may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn program(arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_usher-agent"))
        .args(arguments)
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

async fn signal(child: &Child, name: &str) {
    let id = child.id().expect("it runs").to_string();
    let sent = Command::new("kill").args([name, &id]).status().await.unwrap();
    assert!(sent.success());
}

/// Waits for its end; returns its exit code and what it wrote.
async fn end(mut child: Child) -> (Option<i32>, String) {
    let mut text = String::new();
    let mut stderr = child.stderr.take().unwrap();
    let ended = timeout(PATIENCE, async {
        stderr.read_to_string(&mut text).await.unwrap();
        child.wait().await.unwrap()
    });
    (ended.await.expect("it ends").code(), text)
}

#[tokio::test]
async fn wrong_options_end_it_with_two_and_all_problems() {
    let child = program(&[
        "--server",
        "a b",
        "--media",
        "http-json",
        "--report-seconds",
        "0",
        "--log-json",
    ]);
    let (code, text) = end(child).await;
    assert_eq!(code, Some(2), "{text}");
    let line: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let message = line["message"].as_str().unwrap();
    for named in ["--server", "--media-url", "--report-seconds"] {
        assert!(message.contains(named), "{message}");
    }
}

#[tokio::test]
async fn sigterm_drains_and_leaves_with_zero() {
    let host = Fake::host(well()).await;
    let child = program(&["--server", "media-7", "--media", "none", "--url", &host.url]);
    timeout(PATIENCE, host.request(1)).await.unwrap();
    signal(&child, "-TERM").await;
    let (code, text) = end(child).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(is_draining(host.got().last().unwrap()), "{text}");
}

#[tokio::test]
async fn sighup_leaves_with_zero_and_without_a_farewell() {
    let host = Fake::host(well()).await;
    let app = app(3).await;
    let arguments = ["--media", "http-json", "--media-url", &app.url, "--url", &host.url];
    let child = program(&[&["--server", "media-7"], &arguments[..]].concat());
    timeout(PATIENCE, host.request(1)).await.unwrap();
    signal(&child, "-HUP").await;
    let (code, text) = end(child).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(!host.got().iter().any(is_draining), "{text}");
}

#[tokio::test]
async fn a_second_signal_leaves_at_once() {
    let host = Fake::start(|_| Reply::Json(well())).await;
    let app = app(3).await;
    let arguments = [
        "--server",
        "media-7",
        "--media",
        "http-json",
        "--media-url",
        &app.url,
        "--url",
        &host.url,
    ];
    let mut child = program(&arguments);
    timeout(PATIENCE, host.request(1)).await.unwrap();
    // Twice in the same moment is once: that is how `timeout` and terminals send it.
    signal(&child, "-INT").await;
    signal(&child, "-TERM").await;
    timeout(PATIENCE, host.find(1, is_draining)).await.unwrap();
    while timeout(Duration::from_millis(250), child.wait()).await.is_err() {
        signal(&child, "-TERM").await;
    }
    let (code, text) = end(child).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("leaves at once"), "{text}");
}
