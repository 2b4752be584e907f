use clap::{CommandFactory, Parser};

use super::*;

fn settings(arguments: &[&str]) -> Result<Settings, Wrong> {
    let fixed = ["usher-agent", "--server", "media-7"];
    Settings::of(Options::try_parse_from(fixed.iter().chain(arguments)).unwrap())
}

fn problems(arguments: &[&str]) -> Vec<String> {
    settings(arguments).unwrap_err().problems
}

#[test]
fn the_options_are_consistent_and_their_help_can_be_shown() {
    Options::command().debug_assert();
    let help = Options::command().render_long_help().to_string();
    assert!(help.contains("USHER_AGENT_MEDIA") && help.contains("Examples:"));
}

#[test]
fn few_options_are_enough() {
    let settings = settings(&["--media", "none"]).unwrap();
    let url = settings.host.report_url.as_str();
    assert_eq!(url, "http://127.0.0.1:7070/v1/servers/media-7/report");
    assert_eq!(settings.report_interval, Duration::from_secs(5));
    assert!(settings.spot.is_none());
}

#[test]
fn a_host_below_a_path_keeps_it() {
    let settings = settings(&["--media", "none", "--url", "https://usher.example.com/api/"]).unwrap();
    let url = settings.host.report_url.as_str();
    assert_eq!(url, "https://usher.example.com/api/v1/servers/media-7/report");
}

#[test]
fn what_runs_here_has_to_be_said() {
    // Forgotten, a dead media server would look alive.
    assert!(Options::try_parse_from(["usher-agent", "--server", "media-7"]).is_err());
}

#[test]
fn all_problems_are_told_at_once() {
    let found = problems(&[
        "--media",
        "livekit",
        "--url",
        "usher:7070",
        "--report-seconds",
        "0",
        "--drain-seconds",
        "86401",
        "--interface",
        "../eth0",
        "--interface-mbps",
        "0",
        "--token-file",
        "/nonexistent/token",
        "--ca-file",
        "/nonexistent/ca.pem",
    ]);
    for named in [
        "--url",
        "--report-seconds",
        "--drain-seconds",
        "--interface:",
        "--interface-mbps",
        "--token-file",
        "--ca-file",
        "--livekit-api-key",
    ] {
        assert!(
            found.iter().any(|problem| problem.contains(named)),
            "{named}: {found:#?}"
        );
    }
    assert_eq!(found.len(), 8, "{found:#?}");
}

#[test]
fn each_media_server_needs_what_it_needs() {
    for (arguments, named) in [
        (vec!["--media", "http-json"], "--media-url"),
        (vec!["--media", "jvb", "--media-url", "10.0.0.1:8080"], "--media-url"),
        (vec!["--media", "livekit", "--livekit-cluster"], "--livekit-metrics-url"),
        (
            vec!["--media", "janus", "--janus-admin-secret", "file:/nonexistent/secret"],
            "--janus-admin-secret",
        ),
        (vec!["--media", "janus", "--janus-admin-key", ""], "--janus-admin-key"),
    ] {
        let found = problems(&arguments);
        assert!(found.len() == 1 && found[0].contains(named), "{arguments:?}: {found:?}");
    }
}

#[test]
fn an_address_that_the_host_would_refuse_is_refused_at_start() {
    for url in ["media-7", "://", "ftp://media-7", "wss://", "wss://media 7"] {
        let found = problems(&["--media", "none", "--server-url", url]);
        assert!(
            found.len() == 1 && found[0].contains("--server-url"),
            "{url}: {found:?}"
        );
    }
    let good = settings(&[
        "--media",
        "none",
        "--server-url",
        "wss://media-7.example.com:8188/janus",
    ]);
    assert!(good.is_ok(), "{good:?}");
}

#[test]
fn a_name_that_would_change_the_address_is_refused() {
    for name in ["", ".", "..", "a/b", "a b", "a?b"] {
        let options = Options::try_parse_from(["usher-agent", "--media", "none", "--server", name]).unwrap();
        let found = Settings::of(options).unwrap_err().problems;
        assert!(found.len() == 1 && found[0].contains("--server"), "{name:?}: {found:?}");
    }
}

#[test]
fn a_secret_is_read_from_its_file_and_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, "janusoverlord\n").unwrap();
    let written = format!("file:{}", path.display());
    let settings = settings(&["--media", "janus", "--janus-admin-secret", &written]).unwrap();
    let MediaSettings::Janus(janus) = &settings.media else {
        panic!("{settings:?}")
    };
    assert_eq!(janus.admin_secret.as_deref(), Some("janusoverlord"));
    let secret: Secret = "janusoverlord".parse().unwrap();
    assert_eq!(format!("{secret:?}"), "Secret");
}
