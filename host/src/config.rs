//! The configuration: one TOML file as the operator wrote it, and [`Config`], in which no default is left to be found.
//!
//! ```text
//! usher.toml ──raw──> what is written, each value with its place ──resolve──> Config, or every problem at once
//! ```
//!
//! Every key stands once, in `raw`: its documentation, kind and example are what the reader checks and what
//! `usher config reference` prints. Reading decides nothing about servers or rooms, and opens no port.

mod kind;
mod problem;
mod raw;
mod reference;
mod reload;
mod resolve;
mod section;
mod summary;
mod token;
mod unknown;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use usher_cloud::PoolSetup;
use usher_fleet::config::FleetConfig;
use usher_fleet::units::Microdollars;

use crate::tls::TlsFiles;
use crate::webhook::WebhookConfig;

pub use problem::{ConfigProblems, Problem};
pub use reference::reference;
pub use reload::ReloadCheck;
pub use summary::{missing, summary};
pub use token::{AppToken, AuthConfig, RegisterToken, TokenHash, TokenHashError};

/// The file that is read where none is named, in the current folder.
pub const FILE_NAME: &str = "usher.toml";

/// The longest config file that is read, in bytes: a thousand pools fit, and a wrong path (a log, a disk) does not.
pub const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// All that the operator has decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The installation's name, in every tag on every server that it launches.
    pub fleet_name: String,
    /// Where the API listens.
    pub listen: SocketAddr,
    /// The certificate that the API is served with; `None` = plain HTTP.
    pub tls: Option<TlsFiles>,
    /// Where the durable records are, absolute.
    pub data_dir: PathBuf,
    /// The folder that is watched for policies, absolute.
    pub policies_dir: PathBuf,
    /// The folder of the config file, absolute: relative paths count from it.
    pub base_dir: PathBuf,
    /// What the fleet needs to know: guards, times and pools.
    pub fleet: FleetConfig,
    /// What the providers and probes need to know, for the same pools in the same order.
    pub pools: Vec<PoolSetup>,
    /// Who may do what; `None` = no tokens, and `listen` is a loopback address.
    pub auth: Option<AuthConfig>,
    /// What the bill is compared with.
    pub bill: BillConfig,
    /// How long events are kept.
    pub events: EventsConfig,
    /// Who is told of events; `None` = nobody.
    pub webhook: Option<WebhookConfig>,
    /// What the command line said instead of the file.
    pub overrides: Overrides,
    /// What is allowed and probably not meant.
    pub warnings: Vec<Problem>,
}

/// What the command line says instead of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Where the API listens.
    pub listen: Option<SocketAddr>,
    /// Where the durable records are; relative to the current folder.
    pub data_dir: Option<PathBuf>,
}

/// What the bill is compared with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BillConfig {
    /// What the one big server costs an hour.
    pub baseline_per_hour: Option<Microdollars>,
}

/// How long events are kept; whichever limit is reached first drops the oldest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventsConfig {
    /// How old an event may become.
    pub retention: Duration,
    /// How large the log may become, in bytes.
    pub bytes_max: u64,
}

impl Default for EventsConfig {
    fn default() -> Self {
        EventsConfig {
            retention: Duration::from_secs(72 * 3600),
            bytes_max: 1024 * 1024 * 1024,
        }
    }
}

impl Config {
    /// Reads the file at `path`; without one `usher.toml` in the current folder, and where there is none an empty fleet
    /// with a `default` external pool (10 rooms and 500 seats a server, probed by TCP).
    ///
    /// # Errors
    /// Every problem of the file at once, each with its line and key; or that the file cannot be read.
    pub fn load(path: Option<&Path>) -> Result<Config, ConfigProblems> {
        Config::load_with(path, &Overrides::default())
    }

    /// Reads the file like [`Config::load`], with what the command line says instead.
    ///
    /// # Errors
    /// See [`Config::load`].
    pub fn load_with(path: Option<&Path>, overrides: &Overrides) -> Result<Config, ConfigProblems> {
        let default = Path::new(FILE_NAME);
        match path {
            Some(file) => Config::of_file(file, overrides, None),
            None if default.exists() => Config::of_file(default, overrides, None),
            None => Config::parse(WITHOUT_FILE, &absolute(Path::new("")), overrides),
        }
    }

    /// Reads the file again while `served` is served. Its certificate is not judged again: that is watched for itself, and
    /// may be half written just now.
    ///
    /// # Errors
    /// See [`Config::load`].
    pub fn load_anew(file: &Path, served: &Config) -> Result<Config, ConfigProblems> {
        Config::of_file(file, &served.overrides, served.tls.as_ref())
    }

    /// Resolves the text of a config file that stands in the folder `base_dir`.
    ///
    /// # Errors
    /// Every problem of the text at once, each with its line and key.
    pub fn parse(text: &str, base_dir: &Path, overrides: &Overrides) -> Result<Config, ConfigProblems> {
        Config::resolved(text, base_dir, overrides, None)
    }

    fn of_file(file: &Path, overrides: &Overrides, served: Option<&TlsFiles>) -> Result<Config, ConfigProblems> {
        let text = read(file).map_err(|wrong| ConfigProblems::unreadable(file, wrong))?;
        let folder = absolute(file.parent().unwrap_or(Path::new("")));
        Config::resolved(&text, &folder, overrides, served).map_err(|problems| problems.of_file(file))
    }

    fn resolved(
        text: &str,
        base_dir: &Path,
        overrides: &Overrides,
        served: Option<&TlsFiles>,
    ) -> Result<Config, ConfigProblems> {
        let mut problems = problem::Collector::new(text);
        let raw = raw::read(text, &mut problems);
        let config = resolve::resolve(&raw, base_dir, overrides, served, &mut problems);
        problems.finish(config)
    }

    /// Returns how the API is spoken to.
    pub fn scheme(&self) -> &'static str {
        match self.tls {
            Some(_) => "https",
            None => "http",
        }
    }

    /// Returns what is served where there is no file, for tests that need any config.
    #[cfg(test)]
    pub(crate) fn without_file(base_dir: &Path) -> Config {
        Config::parse(WITHOUT_FILE, base_dir, &Overrides::default()).unwrap()
    }

    /// Returns what cannot be taken over from `newer` while Usher runs: problems for what would be dangerous (a pool
    /// that changes its provider or region), and warnings for what needs a restart.
    pub fn check_reload(&self, newer: &Config) -> ReloadCheck {
        reload::check(self, newer)
    }
}

/// What is as good as written where there is no file: what a first `curl` needs, and nothing that costs money.
const WITHOUT_FILE: &str = r#"
[[pool]]
name = "default"
provider = "external"
region = "default"
rooms_per_server = 10
seats_per_server = 500
health = "tcp"
"#;

fn absolute(path: &Path) -> PathBuf {
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn read(file: &Path) -> Result<String, String> {
    let size = std::fs::metadata(file).map_err(|e| e.to_string())?.len();
    if size > FILE_BYTES_MAX {
        return Err(format!(
            "it has {size} bytes; a config file has at most {FILE_BYTES_MAX}"
        ));
    }
    std::fs::read_to_string(file).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests;
