//! Where a module goes: which folder the host watches, as far as can be told from here.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::Args;

use super::files;
use super::manifest::{ModuleName, PolicyCrate};
use crate::cli::failure::Failure;
use crate::config::{self, Config};

/// The folder of policies where no config file says another.
const FOLDER: &str = "policies";

/// Where the module shall go.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Where it goes")]
pub(super) struct DestinationArgs {
    /// The folder of policies. By default the policies_dir of the usher.toml here, or in the nearest folder above; without one
    /// ./policies, here or beside the policy's folder.
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
    /// The config file that says where the folder is.
    #[arg(long, env = "USHER_CONFIG", conflicts_with = "to")]
    config: Option<PathBuf>,
    /// What the module is called there, such as 10-night. By default what `file` under [package.metadata.usher] in its
    /// Cargo.toml says, or 50-NAME.
    #[arg(long = "as", value_name = "NAME", value_parser = ModuleName::of)]
    name: Option<ModuleName>,
}

/// A module's place, and its settings'.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Destination {
    folder: PathBuf,
    name: ModuleName,
}

/// What became of the settings file beside the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SettingsAre {
    /// There are none.
    Absent,
    /// They were there before, and stay as they are.
    Kept(PathBuf),
    /// There were none, and the module is new there: the crate's own were copied.
    Copied { from: PathBuf, to: PathBuf },
}

impl DestinationArgs {
    /// Finds out where the module of a crate goes.
    ///
    /// # Errors
    /// Nothing says where, or the config file has problems.
    pub(super) fn of(&self, policy: &PolicyCrate) -> Result<Destination, Failure> {
        let folder = match (&self.to, &self.config) {
            (Some(folder), _) => folder.clone(),
            (None, Some(config)) => Config::load(Some(config))?.policies_dir,
            (None, None) => found(policy)?,
        };
        let name = self.name.clone().unwrap_or_else(|| policy.module.clone());
        Ok(Destination { folder, name })
    }
}

/// Looks for the folder that a host started here, or above, would watch.
fn found(policy: &PolicyCrate) -> Result<PathBuf, Failure> {
    let here = std::env::current_dir().map_err(|error| Failure::Undone(error.into()))?;
    let config = here
        .ancestors()
        .map(|folder| folder.join(config::FILE_NAME))
        .find(|file| file.is_file());
    if let Some(config) = config {
        let folder = Config::load(Some(&config))?.policies_dir;
        return Ok(folder.strip_prefix(&here).map(Path::to_path_buf).unwrap_or(folder));
    }
    let beside = fs::canonicalize(&policy.folder).ok();
    let beside = beside.and_then(|folder| Some(folder.parent()?.join(FOLDER)));
    let mut folders = [Some(PathBuf::from(FOLDER)), beside].into_iter().flatten();
    folders.find(|folder| folder.is_dir()).ok_or_else(|| {
        Failure::Undone(anyhow!(
            "where should the module go? Here is neither usher.toml nor a folder {FOLDER}; name the folder that the host \
             watches with --to (it is made if need be)"
        ))
    })
}

impl Destination {
    /// Returns the folder of policies.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the module's file.
    pub(super) fn module(&self) -> PathBuf {
        self.folder.join(self.name.file())
    }

    /// Returns what it is called.
    pub(super) fn name(&self) -> &ModuleName {
        &self.name
    }

    /// Says which settings the module will have there, before anything is written.
    pub(super) fn settings(&self, policy: &PolicyCrate) -> SettingsAre {
        let to = self.folder.join(self.name.settings_file());
        if to.exists() {
            return SettingsAre::Kept(to);
        }
        // Where the module is and its settings are not, somebody has taken them away.
        match policy.settings().filter(|_| !self.module().exists()) {
            Some(from) => SettingsAre::Copied { from, to },
            None => SettingsAre::Absent,
        }
    }

    /// Puts the module there, after its settings if it brings any: it shall never start without them. Says whether it is another
    /// than the one that was there.
    ///
    /// # Errors
    /// The disk's; what stood there then still does.
    pub(super) fn place(&self, wasm: &[u8], settings: &SettingsAre) -> anyhow::Result<bool> {
        let shown = self.folder.display();
        fs::create_dir_all(&self.folder).with_context(|| format!("the folder {shown} cannot be made"))?;
        if let SettingsAre::Copied { from, to } = settings {
            let put = fs::read(from).and_then(|text| files::place(to, &text));
            put.with_context(|| format!("{} cannot be put beside the module", from.display()))?;
        }
        let module = self.module();
        if fs::read(&module).is_ok_and(|there| there == wasm) {
            return Ok(false);
        }
        files::place(&module, wasm).with_context(|| format!("{} cannot be written", module.display()))?;
        Ok(true)
    }
}

impl SettingsAre {
    /// Returns the file that they are in now.
    pub(super) fn file(&self) -> Option<&Path> {
        match self {
            SettingsAre::Absent => None,
            SettingsAre::Kept(file) | SettingsAre::Copied { from: file, .. } => Some(file),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_brought_once_and_never_overwritten() {
        let at = tempfile::tempdir().unwrap();
        let policy = PolicyCrate {
            folder: at.path().to_path_buf(),
            name: "night".to_owned(),
            module: ModuleName::of("50-night").unwrap(),
        };
        let to = Destination {
            folder: at.path().join("policies"),
            name: policy.module.clone(),
        };
        assert_eq!(to.settings(&policy), SettingsAre::Absent);
        fs::write(at.path().join("night.toml"), "a = 1").unwrap();
        let put = |wasm: &[u8]| to.place(wasm, &to.settings(&policy)).unwrap();
        assert!(put(b"one"));
        let settings = at.path().join("policies/50-night.toml");
        assert_eq!(fs::read(&settings).unwrap(), b"a = 1");

        fs::write(&settings, "a = 2").unwrap();
        assert_eq!(to.settings(&policy), SettingsAre::Kept(settings.clone()));
        assert!(put(b"two"));
        assert!(!put(b"two"), "the same module is not written again");
        assert_eq!(fs::read(&settings).unwrap(), b"a = 2");

        fs::remove_file(&settings).unwrap();
        assert!(put(b"three"));
        assert!(!settings.exists(), "somebody took them away");
    }
}
