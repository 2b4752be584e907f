//! What a policy's `Cargo.toml` says that matters here: its name, and what its module is called in the folder.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use toml::{Table, Value};
use usher_policy::BUILT_IN;

/// A policy's crate on this disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PolicyCrate {
    /// Its folder.
    pub(super) folder: PathBuf,
    /// The package's name.
    pub(super) name: String,
    /// The module's name in the folder of policies.
    pub(super) module: ModuleName,
}

/// A module's name in the folder of policies: its file's without `.wasm`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ModuleName(String);

impl ModuleName {
    /// Takes a file's name, with or without `.wasm`.
    ///
    /// # Errors
    /// A file of that name would not be looked at, or not lie in the folder, or have the built-in policy's settings.
    pub(super) fn of(text: &str) -> Result<ModuleName, String> {
        let name = text.strip_suffix(".wasm").unwrap_or(text);
        let is_known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if name.is_empty() || name.starts_with('.') || !name.chars().all(is_known) {
            return Err(format!(
                "`{text}` is no name for a module: letters, digits, `-`, `_` and `.`, not a `.` first; for example 50-night"
            ));
        }
        if name == BUILT_IN {
            return Err(format!(
                "`{BUILT_IN}` is Usher's own policy, and `{BUILT_IN}.toml` holds its settings; `90-{BUILT_IN}` would do"
            ));
        }
        Ok(ModuleName(name.to_owned()))
    }

    /// Returns the module's file.
    pub(super) fn file(&self) -> String {
        format!("{}.wasm", self.0)
    }

    /// Returns its settings' file.
    pub(super) fn settings_file(&self) -> String {
        format!("{}.toml", self.0)
    }

    /// Returns the name.
    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

impl PolicyCrate {
    /// Reads the manifest of the crate in `folder`.
    ///
    /// # Errors
    /// There is none, or it is no policy's.
    pub(super) fn read(folder: &Path) -> anyhow::Result<PolicyCrate> {
        let file = folder.join("Cargo.toml");
        let text = fs::read_to_string(&file).with_context(|| {
            format!(
                "{} cannot be read; name a policy's folder, or make one with `usher policy new NAME`",
                file.display()
            )
        })?;
        let manifest: Table = text
            .parse()
            .with_context(|| format!("{} is not TOML", file.display()))?;
        let Some(name) = at(&manifest, &["package", "name"]).and_then(Value::as_str) else {
            bail!(
                "{} has no [package]: name the folder of one policy, not its workspace's",
                file.display()
            )
        };
        let kinds = at(&manifest, &["lib", "crate-type"]).and_then(Value::as_array);
        let makes_module = kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind.as_str() == Some("cdylib")));
        ensure!(
            makes_module,
            "{} makes no module; write [lib] crate-type = [\"cdylib\", \"rlib\"] into it",
            file.display()
        );
        let module = match at(&manifest, &["package", "metadata", "usher", "file"]) {
            Some(file) => ModuleName::of(file.as_str().unwrap_or_default()).map_err(anyhow::Error::msg)?,
            None => ModuleName(format!("50-{name}")),
        };
        Ok(PolicyCrate {
            folder: folder.to_path_buf(),
            name: name.to_owned(),
            module,
        })
    }

    /// Returns the file of settings that the crate brings along, if it does.
    pub(super) fn settings(&self) -> Option<PathBuf> {
        let file = self.folder.join(format!("{}.toml", self.name));
        file.is_file().then_some(file)
    }
}

fn at<'a>(table: &'a Table, path: &[&str]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(table.get(*first)?, |value, key| value.get(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(manifest: &str) -> Result<PolicyCrate, String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
        PolicyCrate::read(folder.path()).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn a_module_is_called_what_its_manifest_says_or_after_its_package() {
        let lib = "[lib]\ncrate-type = [\"cdylib\"]\n";
        let named = read(&format!(
            "[package]\nname = \"vip\"\n[package.metadata.usher]\nfile = \"10-vip\"\n{lib}"
        ));
        assert_eq!(named.unwrap().module.file(), "10-vip.wasm");
        let unnamed = read(&format!("[package]\nname = \"vip\"\n{lib}")).unwrap();
        assert_eq!(
            (unnamed.module.file().as_str(), unnamed.settings()),
            ("50-vip.wasm", None)
        );
        assert_eq!(ModuleName::of("10-vip.wasm").unwrap().settings_file(), "10-vip.toml");
        for name in ["", ".wasm", ".hidden", "a/b", "..", "a b"] {
            assert!(ModuleName::of(name).is_err(), "{name}");
        }
    }

    #[test]
    fn no_module_has_the_name_of_the_built_in_policy() {
        for name in ["standard", "standard.wasm"] {
            let why = ModuleName::of(name).unwrap_err();
            assert!(
                why.contains("Usher's own policy") && why.contains("`90-standard` would do"),
                "{why}"
            );
        }
        assert_eq!(
            ModuleName::of("90-standard").unwrap().settings_file(),
            "90-standard.toml"
        );
    }

    #[test]
    fn what_is_no_policys_crate_is_refused_with_what_to_do() {
        for (manifest, words) in [
            ("[workspace]\n", "the folder of one policy"),
            ("[package]\nname = \"a\"\n", "crate-type = [\"cdylib\", \"rlib\"]"),
            ("package", "is not TOML"),
        ] {
            let error = read(manifest).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
        let error = format!("{:#}", PolicyCrate::read(Path::new("/nowhere")).unwrap_err());
        assert!(error.contains("usher policy new"), "{error}");
    }
}
