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
    command(arguments).spawn().unwrap()
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_usher-agent"));
    command.args(arguments).stderr(Stdio::piped()).kill_on_drop(true);
    command
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
    assert_eq!(message.matches("--server").count(), 1, "each is told once: {message}");
    for named in ["--server", "--media-url", "--report-seconds"] {
        assert!(message.contains(named), "{message}");
    }
}

#[tokio::test]
async fn a_secret_may_be_one_of_systemds_credentials() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("janus-admin-secret"), "overlord\n").unwrap();
    let janus = Fake::start(|_| Reply::Status(500, String::new())).await;
    let arguments = ["--server", "media-7", "--media", "janus", "--media-url", &janus.url];
    let secret = [
        "--janus-admin-secret",
        "file:${CREDENTIALS_DIRECTORY}/janus-admin-secret",
    ];
    let command = || command(&[&arguments[..], &secret].concat());
    let _child = command().env("CREDENTIALS_DIRECTORY", folder.path()).spawn().unwrap();
    let asked = timeout(PATIENCE, janus.request(1)).await.unwrap();
    assert_eq!(asked.json()["admin_secret"], "overlord");
    let (code, text) = end(command().env_remove("CREDENTIALS_DIRECTORY").spawn().unwrap()).await;
    assert_eq!(code, Some(2));
    assert!(text.contains("LoadCredential=janus-admin-secret:PATH"), "{text}");
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

/// The most memory that the unit leaves it.
const MEMORY_KIB_MAX: u64 = 64 * 1024;

/// Returns the most memory that a process has had.
fn most_memory_kib(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id().expect("it runs"))).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
async fn a_media_server_that_lies_fills_no_memory() {
    const BYTES: usize = 7 * 1024 * 1024;
    let filled = |start: &str, entry: &str, end: &str| {
        let entries = vec![entry; BYTES / (entry.len() + 1)];
        format!("{start}{}{end}", entries.join(","))
    };
    let lies = [
        filled(
            r#"{"janus": "success", "response": {"list": [{"room": ["#,
            "[]",
            "]}]}}",
        ),
        filled(r#"{"janus": "success", "response": ["#, "[]", "]}"),
        filled(r#"{"janus": "success", "else": ["#, "[]", "]}"),
        filled(
            r#"{"janus": "success", "response": {"list": ["#,
            r#"{"room":1,"num_participants":0}"#,
            "]}}",
        ),
        format!(r#"{{"janus": 1, "x": "{}"}}"#, "x".repeat(BYTES)),
        format!(
            r#"{{"janus": "error", "error": {{"code": 1, "reason": "{}"}}}}"#,
            "x".repeat(BYTES)
        ),
    ];
    let figures: Vec<String> = (0..BYTES / 9).map(|n| format!("\"{n:x}\":1")).collect();
    let figures = format!(r#"{{"figures": {{{}}}}}"#, figures.join(","));
    for (media, lie) in lies
        .into_iter()
        .map(|lie| ("janus", lie))
        .chain([("http-json", figures)])
    {
        let shown = lie[..60].to_owned();
        let liar = Fake::start(move |_| Reply::Status(200, lie.clone())).await;
        let arguments = [
            "--server",
            "media-7",
            "--media",
            media,
            "--media-url",
            &liar.url,
            "--url",
            "http://127.0.0.1:9",
        ];
        let child = program(&[&arguments[..], &["--janus-audiobridge"]].concat());
        timeout(PATIENCE, liar.request(4)).await.unwrap();
        let kib = most_memory_kib(&child);
        assert!(kib < MEMORY_KIB_MAX, "{kib} KiB after {shown}");
    }
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
