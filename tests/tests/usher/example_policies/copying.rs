//! The way out of this workspace.

use std::fs;
use std::process::Command;

use crate::site::{USHER, repository, written};

#[test]
fn a_copy_builds_outside_of_this_workspace_with_the_readmes_cargo_toml() {
    let examples = repository().join("examples/policies");
    let readme = fs::read_to_string(examples.join("README.md")).unwrap();
    let manifest = readme
        .split("```toml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .unwrap();
    let sdk = format!("path = {:?}", repository().join("sdk"));
    assert!(manifest.contains("path = \"usher-sdk\""), "{manifest}");
    let folder = tempfile::Builder::new().prefix("usher-copy-").tempdir().unwrap();
    let write = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
    fs::create_dir(folder.path().join("src")).unwrap();
    write("Cargo.toml", manifest.replace("path = \"usher-sdk\"", &sdk));
    for file in ["settings.toml", "src/lib.rs", "src/tests.rs"] {
        write(file, fs::read_to_string(examples.join("zones").join(file)).unwrap());
    }
    let module = folder.path().join("20-my-policy.wasm");
    let build = Command::new(repository().join("sdk/toolchain.sh"))
        .arg("build")
        .args([folder.path(), &module])
        .output()
        .unwrap();
    assert!(build.status.success(), "{}", written(&build));
    let check = Command::new(USHER)
        .args(["policy", "check"])
        .arg(&module)
        .output()
        .unwrap();
    assert!(check.status.success(), "{}", written(&check));
    assert!(
        written(&check).contains("my-policy 0.1.0: Spreads big rooms over zones"),
        "{}",
        written(&check)
    );
}
