//! Where an author works: a folder, the program, and cargo.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::site::{USHER, written};

/// The longest that one command may take, in seconds: the first module of all builds Rust's library for wasm, on a busy machine.
const COMMAND_SECONDS_MAX: &str = "400";

/// A folder in which an author works.
pub(super) struct Desk {
    folder: TempDir,
}

impl Desk {
    pub(super) fn new() -> Desk {
        let folder = tempfile::Builder::new().prefix("usher-author-").tempdir().unwrap();
        Desk { folder }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Replaces what stands once in a file.
    pub(super) fn edit(&self, name: &str, old: &str, new: &str) {
        let text = self.read(name);
        assert_eq!(text.matches(old).count(), 1, "{old} in {text}");
        self.write(name, &text.replace(old, new));
    }

    pub(super) fn usher(&self, arguments: &str) -> Output {
        usher_in(self.folder.path(), arguments)
    }

    /// Makes a policy, of which the folder `policies` beside it is to hold the module.
    pub(super) fn new_policy(&self, name: &str) {
        done(&self.usher(&format!("policy new {name}")));
        fs::create_dir_all(self.path("policies")).unwrap();
    }

    pub(super) fn in_policies(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("policies")).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

pub(super) fn usher_in(folder: &Path, arguments: &str) -> Output {
    let arguments = arguments.split_whitespace();
    Command::new("timeout")
        .args([COMMAND_SECONDS_MAX, USHER])
        .args(arguments)
        .current_dir(folder)
        .env_remove("USHER_CONFIG")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Runs cargo for this machine; all such crates share a folder for what they build.
pub(super) fn cargo_in(folder: &Path, arguments: &[&str]) -> Output {
    Command::new("timeout")
        .args([COMMAND_SECONDS_MAX, "cargo"])
        .args(arguments)
        .current_dir(folder)
        .env(
            "CARGO_TARGET_DIR",
            Path::new(env!("CARGO_TARGET_TMPDIR")).join("authors"),
        )
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Returns what a command wrote to stdout.
pub(super) fn done(output: &Output) -> String {
    assert!(output.status.success(), "{}", written(output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Returns what a command that could not do its work wrote to stderr.
pub(super) fn undone(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{}", written(output));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(super) fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", written(output)))
}
