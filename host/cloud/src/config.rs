//! What a pool needs so that its servers can be made and probed, resolved: reading and checking the file is the host's.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use usher_fleet::config::Offer;
use usher_fleet::ids::PoolName;

/// What a pool's provider and probe need to know.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolSetup {
    /// The pool's name.
    pub name: PoolName,
    /// The fleet's name: what a provider marks its instances with, so that they are known again.
    pub fleet: String,
    /// Where the servers stand.
    pub region: String,
    /// The zones in the region, if they matter.
    pub zones: Vec<String>,
    /// The type of machine.
    pub instance_type: String,
    /// Who makes the servers.
    pub provider: ProviderConfig,
    /// How they are probed.
    pub probe: ProbeConfig,
    /// The folder of `usher.toml`: where `exec`'s programs run, and where their relative paths count from.
    pub base_dir: PathBuf,
}

/// Who makes a pool's servers.
#[derive(Debug, Clone, PartialEq)]
pub enum ProviderConfig {
    /// Somebody else: every order is answered as misconfigured.
    External,
    /// Nobody: servers that exist in this process only.
    Simulated(SimulatedConfig),
    /// The operator's own programs.
    Exec(ExecConfig),
    /// AWS EC2.
    Ec2(Ec2Config),
}

/// The settings of [`ProviderConfig::Simulated`].
#[derive(Debug, Clone, PartialEq)]
pub struct SimulatedConfig {
    /// From launch to the first report, in seconds; finite and not negative.
    pub boot_seconds: f64,
    /// How many of the launched servers never become ready, from 0.0 (none) to 1.0 (all).
    pub boot_failure_rate: f64,
    /// The most servers at the same time; a launch beyond it finds no capacity.
    pub capacity: u32,
    /// Two runs with the same seed see the same servers fail.
    pub seed: u64,
    /// From one report of a ready server to the next, in seconds; finite and above zero. The default of 5 gives three
    /// reports within the 15 s after which the fleet calls a server silent.
    pub report_seconds: f64,
}

impl Default for SimulatedConfig {
    fn default() -> Self {
        SimulatedConfig {
            boot_seconds: 3.0,
            boot_failure_rate: 0.0,
            capacity: 50,
            seed: 1,
            report_seconds: 5.0,
        }
    }
}

/// The settings of [`ProviderConfig::Exec`]: three commands, each a program and its arguments, never a shell line.
///
/// A program with a slash in its name counts from [`PoolSetup::base_dir`]; one without is looked up in `PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecConfig {
    /// Launches a server.
    pub launch: Vec<String>,
    /// Ends one.
    pub terminate: Vec<String>,
    /// Lists those that exist.
    pub list: Vec<String>,
    /// How long a program may take, its output included; [`ExecConfig::TIMEOUT_DEFAULT`].
    pub timeout: Duration,
    /// How many launches and terminations run at the same time, at least 1; [`ExecConfig::PROGRAMS_MAX_DEFAULT`].
    pub programs_max: usize,
}

impl ExecConfig {
    /// Half a minute: a cloud's command line answers in seconds, and a longer wait only delays asking again.
    pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

    /// Eight programs: enough to start a burst quickly, few enough for a small machine and a cloud's rate limits.
    pub const PROGRAMS_MAX_DEFAULT: usize = 8;
}

/// The settings of [`ProviderConfig::Ec2`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ec2Config {
    /// The launch template's id, `lt-…`.
    pub launch_template: String,
    /// Its version: a number, so that what is launched changes only with this file.
    pub launch_template_version: u64,
    /// What may be ordered: each type in each zone.
    pub offers: Vec<Offer>,
    /// The subnet of each zone that servers may stand in.
    pub subnets: BTreeMap<String, String>,
    /// A launched server's URL with `{server}`, `{public_ip}` or `{private_ip}` in it, where only the instance knows it.
    pub url: Option<String>,
    /// What an instance runs first, with `{{server}}` and the like in it.
    pub user_data: String,
    /// Where agents reach this host.
    pub host_url: String,
    /// More tags for every instance.
    pub tags: BTreeMap<String, String>,
    /// Another address than the region's, for tests and private endpoints.
    pub endpoint_url: Option<String>,
}

/// How a pool's servers are probed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeConfig {
    /// Not regularly: the servers report, or nobody looks. A single probe, as the second witness of a loss, is still made:
    /// by TCP, with the default timing.
    None,
    /// A TCP connection to the URL's host and port.
    Tcp(ProbeTiming),
    /// A GET: 2xx and 3xx are well. Redirects are not followed. `ws://` is asked as `http://`. There is no TLS here yet:
    /// `https://` and `wss://` are probed by TCP alone, and a warning says so.
    Http {
        /// Takes the place of the URL's path, query included; begins with a slash.
        path: Option<String>,
        /// When, and for how long.
        timing: ProbeTiming,
    },
}

/// When a server is probed, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeTiming {
    /// From one probe to the next, ± 10 %.
    pub interval: Duration,
    /// After which a probe has failed.
    pub timeout: Duration,
}

impl Default for ProbeTiming {
    /// Every 4 s with 3 s of patience: three probes fit into the 15 s after which the fleet calls a server silent.
    fn default() -> Self {
        ProbeTiming {
            interval: Duration::from_secs(4),
            timeout: Duration::from_secs(3),
        }
    }
}
