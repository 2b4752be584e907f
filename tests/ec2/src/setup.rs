//! What a test says about the EC2 that it wants; every field has a default.
//!
//! All of it is plain data that JSON or TOML can hold. Chances are from 0.0 to 1.0, spans are seconds of the fake's own
//! clock. An unknown key is refused, so that a misspelt one does not quietly change nothing.

mod check;
mod defaults;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use check::SetupError;
pub use defaults::default_subnet_id;

use crate::faults::Fault;
use crate::throttle::Throttles;

/// The access key that exists unless the setup names others.
pub const ACCESS_KEY_ID: &str = "AKIAFAKEEC2000000000";
/// The secret of [`ACCESS_KEY_ID`].
pub const SECRET_ACCESS_KEY: &str = "fake/secret/of/the/fake/ec2/for/tests/00";
/// The image that exists unless the setup names others.
pub const IMAGE: &str = "ami-0fa4e0000000000a1";
/// The launch template that exists unless the setup names others; its version 1 has [`IMAGE`].
pub const TEMPLATE: &str = "lt-0fa4e0000000000b1";

/// A whole small EC2: one account in one region.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Setup {
    /// All chance and every id is drawn from it.
    pub seed: u64,
    /// How time passes.
    pub clock: ClockSetup,
    /// The region that requests must be signed for.
    pub region: String,
    /// The account's number, twelve digits.
    pub account: String,
    /// Who may call.
    pub keys: Vec<Key>,
    /// Whether a refusal for want of a permission carries the reasons in the form that only AWS can read.
    pub encodes_refusals: bool,
    /// Whether dry runs are taken for calls, as by endpoints that do not know them.
    pub ignores_dry_runs: bool,
    /// How far a signature's date may be from the wall clock.
    pub signature_age_seconds_max: f64,
    /// The zones, in the order in which one is chosen where a request names none.
    pub zones: Vec<String>,
    /// The subnets; the first of a zone is its default one.
    pub subnets: Vec<Subnet>,
    /// The first three numbers of public addresses: a `/24` that is given out from .1 upwards, then the next.
    pub public_network: [u8; 3],
    /// The images.
    pub images: Vec<Image>,
    /// The launch templates.
    pub launch_templates: Vec<LaunchTemplate>,
    /// The instance types by name.
    pub instance_types: BTreeMap<String, InstanceType>,
    /// How many instances may exist at a time, by market, type and zone; what is not named is without end.
    pub capacity: Vec<Capacity>,
    /// What the account may have.
    pub quotas: Quotas,
    /// Request rates; none are limited by default.
    pub throttles: Throttles,
    /// What goes wrong on the way; more can be added while it runs.
    pub faults: Vec<Fault>,
    /// How instances live and die.
    pub life: Life,
    /// How late reads are.
    pub lag: Lag,
    /// How long a client token is remembered after the last of its instances has been terminated.
    pub token_memory_seconds: f64,
    /// Runs user data that begins with `#!` as real processes on this machine.
    pub run_user_data: bool,
}

/// How time passes in the fake.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ClockSetup {
    /// It begins with the wall clock and runs `speed` times as fast.
    Real {
        /// Seconds of the fake in a second of the world.
        speed: f64,
    },
    /// It stands still until a test advances it.
    Manual {
        /// The first moment.
        starts_at: Timestamp,
    },
}

impl ClockSetup {
    /// Returns a clock that only tests move, from the beginning of 2026 on.
    pub fn manual() -> ClockSetup {
        ClockSetup::Manual {
            starts_at: Timestamp::constant(1_767_225_600, 0),
        }
    }
}

/// An access key, and what it may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// What a request's credential names.
    pub access_key_id: String,
    /// What its signature is made with.
    pub secret_access_key: String,
    /// The session's token, if it is a temporary key.
    #[serde(default)]
    pub session_token: Option<String>,
    /// Temporary credentials that have run out.
    #[serde(default)]
    pub is_expired: bool,
    /// The actions that it may call; all if none are listed.
    #[serde(default)]
    pub allowed: Option<BTreeSet<String>>,
    /// The actions that it may not call, whatever is allowed.
    #[serde(default)]
    pub denied: BTreeSet<String>,
}

impl Default for Key {
    fn default() -> Key {
        Key {
            access_key_id: ACCESS_KEY_ID.into(),
            secret_access_key: SECRET_ACCESS_KEY.into(),
            session_token: None,
            is_expired: false,
            allowed: None,
            denied: BTreeSet::new(),
        }
    }
}

/// A subnet with its addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subnet {
    /// `subnet-…`.
    pub id: String,
    /// The zone that it lies in.
    pub zone: String,
    /// The first three numbers of its `/24`; with `127` in front the addresses of processes on this machine work.
    pub network: [u8; 3],
    /// How many addresses it has to give; a `/24` has 251 in EC2.
    #[serde(default = "subnet_addresses")]
    pub addresses: u32,
    /// Whether instances get a public address, too.
    #[serde(default = "yes")]
    pub has_public_addresses: bool,
    /// Its tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// An image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// `ami-…`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `x86_64` or `arm64`.
    pub architecture: String,
    /// `available` if it can be launched.
    #[serde(default = "available")]
    pub state: String,
    /// Its tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// A launch template with all of its versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaunchTemplate {
    /// `lt-…`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The number of the version that counts where none is named.
    pub default_version: u64,
    /// Version 1, version 2 and so on.
    pub versions: Vec<TemplateVersion>,
    /// Its tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// What a version of a launch template says; a request's own words come first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TemplateVersion {
    /// The image.
    pub image_id: Option<String>,
    /// The type.
    pub instance_type: Option<String>,
    /// The zone.
    pub zone: Option<String>,
    /// The subnet, as the first network interface of a real template names it.
    pub subnet_id: Option<String>,
    /// On demand or spot.
    pub market: Option<Market>,
    /// `terminate` or `stop`.
    pub shutdown_behavior: Option<ShutdownBehavior>,
    /// Protection against termination.
    pub disable_api_termination: Option<bool>,
    /// User data, base64.
    pub user_data: Option<String>,
    /// Tags for instances.
    pub instance_tags: BTreeMap<String, String>,
}

/// An instance type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceType {
    /// Its virtual processors, which quotas count.
    pub vcpus: u32,
    /// The zones that offer it; all if none are listed.
    #[serde(default)]
    pub zones: Option<BTreeSet<String>>,
    /// Whether its console can be read as it is now, as that of types on Nitro.
    #[serde(default = "yes")]
    pub has_live_console: bool,
}

/// Where an instance's capacity comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Market {
    /// Paid by the second until ended.
    OnDemand,
    /// Cheap, and taken away again.
    Spot,
}

/// What an instance's own shutdown does to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShutdownBehavior {
    /// It stays, stopped.
    Stop,
    /// It ends.
    Terminate,
}

/// How many instances of a type a zone has room for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capacity {
    /// The market.
    pub market: Market,
    /// The type.
    pub instance_type: String,
    /// The zone.
    pub zone: String,
    /// How many may exist at a time, with those that do already.
    pub instances: u32,
}

/// What the account may have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quotas {
    /// Virtual processors on demand, over all types; beyond them is `VcpuLimitExceeded`.
    pub on_demand_vcpus: Option<u32>,
    /// Spot instances; beyond them is `MaxSpotInstanceCountExceeded`.
    pub spot_instances: Option<u32>,
}

/// How instances live and die.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Life {
    /// From `pending` to `running`.
    pub boot_seconds: f64,
    /// Up to so much is added to each boot, by chance.
    pub boot_spread_seconds: f64,
    /// The chance that a boot ends in `terminated`.
    pub boot_failure: f64,
    /// What an instance whose boot fails writes on its console last.
    pub boot_failure_console: String,
    /// From `shutting-down` to `terminated`.
    pub shutdown_seconds: f64,
    /// How long a running instance lives before it dies by itself, on average; for ever if absent.
    pub mean_life_seconds: Option<f64>,
    /// How long a running spot instance lives before it is noticed, on average; for ever if absent.
    pub mean_spot_life_seconds: Option<f64>,
    /// From a spot notice to the end.
    pub spot_notice_seconds: f64,
}

/// How late reads are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lag {
    /// How old what reads show is: new instances are missing and states are the earlier ones for so long.
    pub visibility_seconds: f64,
    /// Each read is late by another span, up to the above, so that what has been seen can be missing again.
    pub varies: bool,
    /// Terminating, tagging and modifying do not find yet what reads do not show yet.
    pub hides_from_changes: bool,
    /// How long a terminated instance is still shown.
    pub terminated_seconds: f64,
}

fn subnet_addresses() -> u32 {
    251
}

fn available() -> String {
    "available".to_owned()
}

fn yes() -> bool {
    true
}
