//! The SDK as this program carries it: a crate that stands alone, because no registry has it.
//!
//! Its sources are those of `sdk/`; its `Cargo.toml` is written from the one there, with what that takes from the workspace filled
//! in, so that neither is written twice.

use sha2::{Digest, Sha256};
use toml::{Table, Value};

use super::files::File;

/// Every file of `sdk/`, by its path there.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/sdk_files.rs"));
const WORKSPACE: &str = include_str!("../../../../Cargo.toml");
const LOCK: &str = include_str!("../../../../Cargo.lock");

/// The crate's name, and that of its folder beside a policy.
pub(super) const NAME: &str = "usher-sdk";
const MANIFEST: &str = "Cargo.toml";

/// Hex digits of the sources' hash that stand in the version.
const HASH_DIGITS: usize = 8;

const HEADER: &str = "# Usher's SDK, as it belongs to this Usher. `usher policy sdk` brings it up to date; edits here are lost then.\n\n";

/// Returns the SDK's version: its number, and a hash of its sources. Cargo would otherwise take what it built of one copy for
/// another of the same number, where policies share a target folder.
pub(super) fn version() -> String {
    let number = package().remove("version");
    let mut hash = Sha256::new();
    for (path, text) in FILES {
        hash.update(path);
        hash.update(text);
    }
    let hash: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "{}+{}",
        number.as_ref().and_then(Value::as_str).unwrap_or("0.0.0"),
        &hash[..HASH_DIGITS]
    )
}

/// Returns all files of the crate.
pub(super) fn files() -> Vec<File> {
    let sources = FILES.iter().filter(|(path, _)| *path != MANIFEST);
    let manifest = File::new(MANIFEST, format!("{HEADER}{}", manifest()));
    sources
        .map(|(path, text)| File::new(path, *text))
        .chain([manifest])
        .collect()
}

/// Returns the `Cargo.lock` of a crate that depends on the SDK: the versions that this Usher was tested with, and that are known to
/// build with the compilers it knows.
pub(super) fn lock() -> String {
    let lock = table(LOCK);
    let packages: Vec<&Table> = lock["package"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_table)
        .collect();
    let mut wanted = vec![NAME.to_owned()];
    let mut kept: Vec<&Table> = Vec::new();
    while let Some(name) = wanted.pop() {
        // `serde`, or `serde 1.0.228` where there are several.
        let (name, version) = name
            .split_once(' ')
            .map_or((&*name, None), |(name, version)| (name, Some(version)));
        let found = packages.iter().find(|package| {
            let is = |key: &str, value: &str| package.get(key).and_then(Value::as_str) == Some(value);
            is("name", name) && version.is_none_or(|version| is("version", version))
        });
        let Some(found) = found.filter(|found| !kept.contains(found)) else {
            continue;
        };
        kept.push(found);
        let dependencies = found
            .get("dependencies")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str);
        let is_wanted = |dependency: &&str| name != NAME || is_carried(dependency);
        wanted.extend(dependencies.filter(is_wanted).map(str::to_owned));
    }
    kept.retain(|package| package.contains_key("source"));
    kept.sort_by_key(|package| (package["name"].to_string(), package["version"].to_string()));
    let mut pruned = Table::new();
    pruned.insert("version".to_owned(), lock["version"].clone());
    let kept = kept.into_iter().cloned().map(Value::Table);
    pruned.insert("package".to_owned(), Value::Array(kept.collect()));
    pruned.to_string()
}

/// Returns whether the SDK as it is carried depends on this package of the lock: its own tests need more.
fn is_carried(dependency: &str) -> bool {
    let name = dependency.split_once(' ').map_or(dependency, |(name, _)| name);
    let mut manifest = sdk_manifest();
    dependency_tables(&mut manifest)
        .iter()
        .any(|dependencies| dependencies.contains_key(name))
}

/// Returns the crate's manifest with nothing left to inherit. What only its own tests need is left out.
fn manifest() -> String {
    let mut manifest = sdk_manifest();
    let mut package = package();
    package.insert("version".to_owned(), version().into());
    for left_out in ["package", "lints", "dev-dependencies"] {
        manifest.remove(left_out);
    }
    let workspace = table(WORKSPACE);
    let inherited = &workspace["workspace"]["dependencies"];
    for dependencies in dependency_tables(&mut manifest) {
        for (name, dependency) in dependencies.iter_mut() {
            if let Some(own) = dependency.as_table().filter(|own| own.contains_key("workspace")) {
                *dependency = merged(&inherited[name.as_str()], own);
            }
        }
    }
    // The package first, as people look for it.
    format!("[package]\n{package}\n{manifest}")
}

fn sdk_manifest() -> Table {
    let manifest = FILES.iter().find(|(path, _)| *path == MANIFEST);
    table(manifest.map_or("", |(_, text)| text))
}

/// Returns the `[package]` table with nothing left to inherit.
fn package() -> Table {
    let workspace = table(WORKSPACE);
    let inherited = &workspace["workspace"]["package"];
    let manifest = sdk_manifest();
    let own = manifest["package"].as_table().cloned().unwrap_or_default();
    own.into_iter()
        .map(|(key, value)| match value.get("workspace") {
            Some(_) => (key.clone(), inherited[key.as_str()].clone()),
            None => (key, value),
        })
        .collect()
}

/// Returns `dependencies`, also those of one target only.
fn dependency_tables(manifest: &mut Table) -> Vec<&mut Table> {
    let mut tables = Vec::new();
    for (key, value) in manifest.iter_mut() {
        match (key.as_str(), value) {
            ("dependencies", Value::Table(dependencies)) => tables.push(dependencies),
            ("target", Value::Table(targets)) => {
                let targets = targets
                    .iter_mut()
                    .filter_map(|(_, target)| target.get_mut("dependencies"));
                tables.extend(targets.filter_map(Value::as_table_mut));
            }
            _ => {}
        }
    }
    tables
}

/// Returns what a dependency inherits, with the features that it adds.
fn merged(inherited: &Value, own: &Table) -> Value {
    let mut merged = match inherited {
        Value::Table(table) => table.clone(),
        version => Table::from_iter([("version".to_owned(), version.clone())]),
    };
    for (key, value) in own.iter().filter(|(key, _)| *key != "workspace") {
        match (merged.get_mut(key), value) {
            (Some(Value::Array(features)), Value::Array(more)) => features.extend(more.iter().cloned()),
            _ => {
                merged.insert(key.clone(), value.clone());
            }
        }
    }
    Value::Table(merged)
}

/// Reads a text that was there when this program was built.
fn table(text: &str) -> Table {
    text.parse().expect("cargo read it when it built this program")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_stands_alone_and_asks_for_what_the_workspaces_does() {
        let manifest = table(&manifest());
        let workspace = table(WORKSPACE);
        assert!(!manifest.to_string().contains("workspace"), "{manifest}");
        assert_eq!(manifest["package"]["name"].as_str(), Some(NAME));
        assert_eq!(
            manifest["package"]["edition"],
            workspace["workspace"]["package"]["edition"]
        );
        let inherited = &workspace["workspace"]["dependencies"];
        let native = &manifest["target"]["cfg(not(target_family = \"wasm\"))"];
        assert_eq!(native["dependencies"]["jiff"], inherited["jiff"]);
        let own = sdk_manifest();
        assert_eq!(manifest["dependencies"]["serde"], own["dependencies"]["serde"]);
        let count = |mut manifest: Table| {
            dependency_tables(&mut manifest)
                .iter()
                .map(|table| table.len())
                .sum::<usize>()
        };
        assert_eq!(count(manifest), count(own));
    }

    #[test]
    fn features_are_added_to_those_inherited() {
        let inherited: Table = "a = { version = \"1\", features = [\"x\"] }\nb = \"2\""
            .parse()
            .unwrap();
        let own: Table = "workspace = true\nfeatures = [\"y\"]".parse().unwrap();
        let expected: Table = "a = { version = \"1\", features = [\"x\", \"y\"] }".parse().unwrap();
        assert_eq!(merged(&inherited["a"], &own), expected["a"]);
        assert_eq!(merged(&inherited["b"], &own)["version"].as_str(), Some("2"));
    }

    #[test]
    fn all_that_the_crate_includes_is_carried() {
        for file in ["src/lib.rs", "src/fleet.rs", "src/fleet/builder.rs", "wit/policy.wit"] {
            assert!(FILES.iter().any(|(path, _)| *path == file), "{file}");
        }
        assert!(
            !FILES
                .iter()
                .any(|(path, _)| path.contains("target/") || path.starts_with('.'))
        );
    }

    #[test]
    fn the_lock_has_what_the_sdk_needs_and_little_else() {
        let whole = table(LOCK);
        let pruned = table(&lock());
        let names = |lock: &Table| -> Vec<String> {
            let packages = lock["package"].as_array().unwrap();
            packages
                .iter()
                .map(|package| package["name"].as_str().unwrap().to_owned())
                .collect()
        };
        for needed in ["serde", "serde_json", "wit-bindgen", "syn"] {
            assert!(names(&pruned).iter().any(|name| name == needed), "{needed}");
        }
        assert!(
            names(&pruned).len() < names(&whole).len() / 3,
            "{}",
            names(&pruned).len()
        );
        assert!(
            !names(&pruned)
                .iter()
                .any(|name| name.starts_with("usher") || name == "wasmtime" || name == "wit-parser")
        );
    }
}
