//! The unit of the example: systemd takes it, and what its README promises stands in it.

use std::path::Path;
use std::process::Command;

fn unit() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/agent/usher-agent.service");
    std::fs::read_to_string(path).unwrap()
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
