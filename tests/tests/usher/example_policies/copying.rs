//! The way out of this workspace, as the readme has it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::site::{USHER, repository, written};

/// The longest that one command may take, in seconds: the first module of all builds Rust's library for wasm, on a busy machine.
const COMMAND_SECONDS_MAX: &str = "400";

fn examples() -> PathBuf {
    repository().join("examples/policies")
}

fn usher(folder: &Path, arguments: &str) -> Output {
    let arguments = arguments.split_whitespace();
    let mut command = Command::new("timeout");
    command
        .args([COMMAND_SECONDS_MAX, USHER])
        .args(arguments)
        .current_dir(folder);
    command.env_remove("USHER_CONFIG").output().unwrap()
}

/// Puts the sources and the settings of `zones` into the folder of a policy of this name.
fn copy_zones(folder: &Path, name: &str) {
    let from = examples().join("zones");
    fs::create_dir_all(folder.join("src")).unwrap();
    for file in ["src/lib.rs", "src/tests.rs"] {
        fs::copy(from.join(file), folder.join(file)).unwrap();
    }
    fs::copy(from.join("zones.toml"), folder.join(format!("{name}.toml"))).unwrap();
}

/// Builds a policy, and checks that its module and its settings are what a host would take.
fn build_and_check(desk: &Path, crate_name: &str, module: &str) {
    fs::create_dir(desk.join("policies")).unwrap();
    let built = usher(desk, &format!("policy build {crate_name} --to policies"));
    assert!(built.status.success(), "{}", written(&built));
    let checked = written(&usher(desk, &format!("policy check policies/{module}.wasm")));
    let says = |words: &str| assert!(checked.contains(words), "{words}: {checked}");
    says("passes every gate");
    says(&format!("policies/{module}.toml"));
}

#[test]
fn an_example_takes_the_place_of_a_new_policys_sources() {
    let desk = tempfile::Builder::new().prefix("usher-copy-").tempdir().unwrap();
    let made = usher(desk.path(), "policy new my-policy");
    assert!(made.status.success(), "{}", written(&made));
    copy_zones(&desk.path().join("my-policy"), "my-policy");
    build_and_check(desk.path(), "my-policy", "50-my-policy");
}

#[test]
fn an_example_builds_elsewhere_with_the_readmes_cargo_toml() {
    let desk = tempfile::Builder::new().prefix("usher-copy-").tempdir().unwrap();
    let readme = fs::read_to_string(examples().join("README.md")).unwrap();
    let block = readme
        .split("```toml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let manifest = block.unwrap();
    assert_eq!(manifest.matches("path = \"usher-sdk\"").count(), 1, "{manifest}");
    let sdk = format!("path = {:?}", repository().join("sdk"));
    let folder = desk.path().join("my-policy");
    copy_zones(&folder, "my-policy");
    fs::write(
        folder.join("Cargo.toml"),
        manifest.replace("path = \"usher-sdk\"", &sdk),
    )
    .unwrap();
    build_and_check(desk.path(), "my-policy", "20-my-policy");
}
