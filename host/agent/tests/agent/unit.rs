//! The unit of the example and its variables: systemd takes it, and what the README promises stands in it.

use std::path::Path;
use std::process::Command;

use clap::CommandFactory;
use usher_agent::Options;

fn example(file: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/agent");
    std::fs::read_to_string(folder.join(file)).unwrap()
}

fn unit() -> String {
    example("usher-agent.service")
}

#[test]
fn every_variable_of_the_example_is_one_of_the_agents() {
    let command = Options::command();
    let known: Vec<_> = command
        .get_arguments()
        .filter_map(|argument| argument.get_env()?.to_str())
        .collect();
    let text = example("usher-agent.env");
    let written = text
        .lines()
        .map(|line| line.trim_start_matches('#'))
        .filter_map(|line| line.split_once('='));
    let written: Vec<_> = written
        .map(|(name, _)| name)
        .filter(|name| name.starts_with("USHER_"))
        .collect();
    assert!(written.len() > 15, "{written:?}");
    for name in written {
        assert!(known.contains(&name), "{name}");
    }
}

#[test]
fn a_reload_ends_the_agent_and_systemd_starts_it_anew() {
    for line in ["ExecReload=/bin/kill -HUP $MAINPID", "Restart=always"] {
        assert!(unit().lines().any(|own| own == line), "{line}");
    }
}

#[test]
fn systemd_has_nothing_to_say_against_the_unit() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("usher-agent.service");
    let here = unit()
        .replace("/usr/local/bin/usher-agent", env!("CARGO_BIN_EXE_usher-agent"))
        // What stands there as a comment is for copying, and has to be right as well.
        .replace("#LoadCredential=", "LoadCredential=");
    std::fs::write(&file, here).unwrap();
    let verified = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(&file)
        .output();
    let verified = match verified {
        Ok(verified) => verified,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("systemd-analyze is not installed: the unit was not verified");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    // It is content with keys that it does not know, but for a line.
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(
        verified.status.success() && !said.contains("usher-agent.service"),
        "{said}"
    );
}
