//! What the demo plays on: a temporary folder with the data and copies of the policies, and the host's configuration.
//!
//! The user's own folder is read and never written to. The standard policy's settings are written beside its copy, with every
//! span scaled like the rest; whoever drops another policy in while the demo runs does so in the copies' folder.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use tempfile::TempDir;
use usher_cloud::{ProviderConfig, SimulatedConfig};

use super::pace::Pace;
use crate::config::{Config, Overrides};

/// Where the API listens if nobody else does: where `usher serve` would.
const PORT: u16 = 7070;

/// The folder that is looked into for policies unless the command line names one.
const POLICIES_DIR: &str = "policies";

/// The demo's configuration, in time of the office. A server has 8 cores and holds 10 rooms of 50, as in the story.
const CONFIG: &str = r#"
fleet = "demo"
policies_dir = "policies"
data_dir = "data"

[bill]
baseline_per_hour = 3.492

[[pool]]
name = "cloud"
provider = "simulated"
region = "eu-central-1"
instance_type = "8-core"
rooms_per_server = 10
seats_per_server = 500
price_per_hour = 0.348
servers_max = 20

[pool.simulated]
boot_seconds = 90.0
"#;

/// How often a policy is asked at least, whatever the speed: more often tells nothing more.
const TICK_MIN: Duration = Duration::from_millis(200);

/// How often a simulated server reports: real time, like the 15 s after which it would count as silent.
const REPORT_SECONDS: f64 = 1.0;

/// Removed with all that is in it when it is dropped.
#[derive(Debug)]
pub(super) struct Stage {
    folder: TempDir,
    /// The policies that were copied, by file name; without any, the built-in decides alone.
    pub(super) policies: Vec<String>,
    /// Where they were copied from.
    pub(super) policies_from: PathBuf,
    /// How long a server is empty, in whole seconds here, before the standard policy lets it go.
    pub(super) idle_seconds: u32,
}

impl Stage {
    /// Makes the folder, and copies the policies from `policies`, or from `policies/` where that holds any.
    ///
    /// # Errors
    /// A folder that was named holds no policy, or a file cannot be read or written.
    pub(super) fn set(policies: Option<&Path>, pace: Pace) -> anyhow::Result<Stage> {
        let folder = tempfile::Builder::new().prefix("usher-demo-").tempdir();
        let folder = folder.context("no temporary folder can be made (TMPDIR says where)")?;
        let from = policies.unwrap_or(Path::new(POLICIES_DIR));
        let found = match modules(from) {
            Ok(found) => found,
            Err(error) if policies.is_some() => return Err(anyhow!("{} cannot be read: {error}", from.display())),
            Err(_) => Vec::new(),
        };
        if found.is_empty() && policies.is_some() {
            return Err(anyhow!(
                "no *.wasm in {}; `make policies` builds the standard policy",
                from.display()
            ));
        }
        let to = folder.path().join(POLICIES_DIR);
        fs::create_dir(&to)?;
        for name in &found {
            copy(from, &to, name, pace).with_context(|| format!("copying {name} from {}", from.display()))?;
        }
        // The built-in is asked last, and reads its settings here.
        let settings = scaled_settings(&from.join("standard.toml"), pace)?;
        fs::write(to.join("standard.toml"), settings.text)?;
        Ok(Stage {
            folder,
            policies: found,
            policies_from: from.to_owned(),
            idle_seconds: settings.idle_seconds,
        })
    }

    /// Returns the folder that the host watches for policies.
    pub(super) fn policies_dir(&self) -> PathBuf {
        self.folder.path().join(POLICIES_DIR)
    }

    /// Returns the file that log lines go to while the terminal shows something else.
    pub(super) fn log_file(&self) -> PathBuf {
        self.folder.path().join("usher.log")
    }

    /// Returns the host's configuration, with every span scaled.
    ///
    /// # Errors
    /// The temporary folder's name is no name for a folder.
    pub(super) fn config(&self, pace: Pace, seed: u64) -> anyhow::Result<Config> {
        let listen = Some(free_address());
        let overrides = Overrides {
            listen,
            data_dir: Some(self.folder.path().join("data")),
        };
        let parsed = Config::parse(CONFIG, self.folder.path(), &overrides);
        let mut config = parsed.map_err(|problems| anyhow!("{problems}"))?;
        scale(&mut config, pace, seed);
        Ok(config)
    }

    /// Returns the port that was meant, if it could not be had.
    pub(super) fn port_taken(address: SocketAddr) -> Option<u16> {
        (address.port() != PORT).then_some(PORT)
    }
}

fn free_address() -> SocketAddr {
    let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
    match TcpListener::bind(wanted) {
        Ok(_) => wanted,
        Err(_) => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
    }
}

fn scale(config: &mut Config, pace: Pace, seed: u64) {
    let fleet = &mut config.fleet;
    fleet.tick = pace.here(fleet.tick).max(TICK_MIN);
    fleet.settle = pace.here(fleet.settle);
    fleet.room_empty = pace.here(fleet.room_empty);
    fleet.guards.waiting_max = pace.here(fleet.guards.waiting_max);
    for pool in &mut fleet.pools {
        let guards = &mut pool.guards;
        guards.boot_max = pace.here(guards.boot_max);
        guards.server_life_min = pace.here(guards.server_life_min);
        guards.scale_up_cooldown = pace.here(guards.scale_up_cooldown);
        guards.scale_down_cooldown = pace.here(guards.scale_down_cooldown);
        guards.launches_per_minute_max = pace.per_minute(guards.launches_per_minute_max);
    }
    for pool in &mut config.pools {
        if let ProviderConfig::Simulated(simulated) = &mut pool.provider {
            let boot = pace.here(Duration::from_secs_f64(simulated.boot_seconds));
            *simulated = SimulatedConfig {
                boot_seconds: boot.as_secs_f64(),
                report_seconds: REPORT_SECONDS,
                seed,
                ..simulated.clone()
            };
        }
    }
}

/// Returns the modules in a folder, by name.
fn modules(folder: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        names.extend(name.to_str().filter(|name| name.ends_with(".wasm")).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// Copies a module and its settings; those of the standard policy are scaled.
fn copy(from: &Path, to: &Path, name: &str, pace: Pace) -> anyhow::Result<()> {
    fs::copy(from.join(name), to.join(name))?;
    let stem = name.trim_end_matches(".wasm");
    let settings = from.join(format!("{stem}.toml"));
    let copied = to.join(format!("{stem}.toml"));
    if is_standard(stem) {
        fs::write(copied, scaled_settings(&settings, pace)?.text)?;
    } else if settings.exists() {
        fs::copy(settings, copied)?;
    }
    Ok(())
}

/// Returns whether a module is the standard policy, by its name: `90-standard`.
fn is_standard(stem: &str) -> bool {
    stem.rsplit('-').next() == Some("standard")
}

struct Scaled {
    text: String,
    idle_seconds: u32,
}

/// Returns the standard policy's settings as the file has them, if there is one, with their spans scaled.
fn scaled_settings(file: &Path, pace: Pace) -> anyhow::Result<Scaled> {
    let mut table = match fs::read_to_string(file) {
        Ok(text) => text
            .parse::<toml::Table>()
            .with_context(|| format!("{} is no TOML", file.display()))?,
        Err(_) => toml::Table::new(),
    };
    let default = usher_standard::Settings::default();
    let written = |table: &toml::Table, key: &str, default: u32| {
        let value = table.get(key).and_then(toml::Value::as_integer);
        value.and_then(|value| u32::try_from(value).ok()).unwrap_or(default)
    };
    let idle_seconds = pace.whole_seconds(written(&table, "idle_seconds", default.idle_seconds));
    let minutes = pace.whole_minutes(written(&table, "ending_within_minutes", default.ending_within_minutes));
    table.insert("idle_seconds".to_owned(), idle_seconds.into());
    table.insert("ending_within_minutes".to_owned(), minutes.into());
    if minutes == 0 {
        // Ends are told in whole minutes of the host's clock; at this speed that says nothing about what ends soon.
        table.insert("ending_rooms_max".to_owned(), 0.into());
    }
    let text = format!("# The standard policy's settings, with every span scaled to the demo's speed.\n{table}");
    Ok(Scaled { text, idle_seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace() -> Pace {
        "40".parse().unwrap()
    }

    #[test]
    fn every_span_is_scaled_and_no_price_or_capacity_is() {
        let stage = Stage::set(Some(&folder_with(&["90-standard"]).0), pace()).unwrap();
        let config = stage.config(pace(), 9).unwrap();
        let pool = &config.fleet.pools[0];
        assert_eq!(pool.guards.server_life_min, Duration::from_millis(7500));
        assert_eq!(pool.guards.scale_down_cooldown, Duration::from_millis(1500));
        assert!(pool.guards.boot_max < config.fleet.guards.waiting_max);
        assert_eq!(pool.price_per_hour.dollars(), 0.348);
        assert_eq!((pool.limits.rooms_max, pool.limits.seats_max), (Some(10), Some(500)));
        assert_eq!(config.bill.baseline_per_hour, Some(super::super::costs::BIG_SERVER));
        let ProviderConfig::Simulated(simulated) = &config.pools[0].provider else {
            panic!("not simulated")
        };
        assert_eq!((simulated.boot_seconds, simulated.seed), (2.25, 9));
        assert!(config.listen.ip().is_loopback());
    }

    fn folder_with(stems: &[&str]) -> (PathBuf, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        for stem in stems {
            fs::write(folder.path().join(format!("{stem}.wasm")), b"\0asm").unwrap();
        }
        (folder.path().to_owned(), folder)
    }

    #[test]
    fn policies_are_copied_with_scaled_settings_and_their_folder_is_left_alone() {
        let (from, _folder) = folder_with(&["10-vip", "90-standard"]);
        fs::write(from.join("10-vip.toml"), "who = \"acme\"").unwrap();
        fs::write(
            from.join("90-standard.toml"),
            "idle_seconds = 120\nheadroom_percent = 50",
        )
        .unwrap();
        let stage = Stage::set(Some(&from), pace()).unwrap();
        assert_eq!(stage.policies, ["10-vip.wasm", "90-standard.wasm"]);
        let copied = |name: &str| fs::read_to_string(stage.policies_dir().join(name)).unwrap();
        assert_eq!(copied("10-vip.toml"), "who = \"acme\"");
        let standard: usher_standard::Settings = toml::from_str(&copied("90-standard.toml")).unwrap();
        assert_eq!(
            (
                standard.idle_seconds,
                standard.headroom_percent,
                standard.ending_rooms_max
            ),
            (3, 50, 0)
        );
        assert_eq!(fs::read_dir(&from).unwrap().count(), 4, "nothing was written there");
        let folder = stage.policies_dir();
        drop(stage);
        assert!(!folder.exists(), "it cleans up behind itself");
    }

    #[test]
    fn a_folder_that_was_named_must_hold_a_policy() {
        let (empty, _folder) = folder_with(&[]);
        let error = Stage::set(Some(&empty), pace()).unwrap_err().to_string();
        assert!(error.contains("no *.wasm"), "{error}");
        let error = Stage::set(Some(&empty.join("missing")), pace())
            .unwrap_err()
            .to_string();
        assert!(error.contains("cannot be read"), "{error}");
    }

    #[test]
    fn only_what_is_named_standard_is_taken_for_the_standard_policy() {
        let named: Vec<bool> = ["standard", "90-standard", "50-substandard", "standard-2"]
            .map(is_standard)
            .into();
        assert_eq!(named, [true, true, false, false]);
    }
}
