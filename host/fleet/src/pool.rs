//! What is kept of a pool over restarts, beside its configuration: its number, switches, circuit, cool-downs and bill.

use serde::{Deserialize, Serialize};

use crate::ids::{PoolName, PoolNo};
use crate::units::{Microdollars, Timestamp};

/// What is kept of a pool over restarts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PoolRecord {
    /// The fleet's number for it.
    pub no: PoolNo,
    /// Its name.
    pub name: PoolName,
    /// Whether Usher launches and ends its servers: known also when the pool is gone from the configuration and has servers.
    #[serde(default)]
    pub automatic: bool,
    /// The kill switch: whether policies may launch and retire here.
    pub scaling_enabled: bool,
    /// Nothing is launched before its provider has said what exists already: no record knows yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_unlisted: bool,
    /// Nothing at all is launched before scaling is switched on: its first list had servers of its fleet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_found_others: bool,
    /// External pools: how many servers are wanted, an absolute level.
    pub servers_wanted: u32,
    /// The launches' circuit.
    pub circuit: Circuit,
    /// How the last boots ended, the newest last; true = became ready.
    pub boots: Vec<bool>,
    /// How long the last boots took, in milliseconds, the newest last.
    pub boot_millis: Vec<u32>,
    /// When a policy's launch was last accepted.
    pub scaled_up: Timestamp,
    /// When a policy's retirement was last accepted.
    pub scaled_down: Timestamp,
    /// What its servers have cost.
    pub bill: PoolBill,
}

/// Whether launches are let through.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Circuit {
    /// They are.
    Closed,
    /// They are not, until then; afterwards one is, as a trial.
    Open(Open),
}

/// See [`Circuit::Open`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Open {
    /// When a trial is let through.
    pub until: Timestamp,
    /// How long it stays open this time, in seconds; failing again doubles it.
    pub seconds: u32,
}

/// What a pool has cost, exact as long as every change of its servers is durable: the rate is constant in between.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PoolBill {
    /// Up to when the amounts count.
    pub until: Timestamp,
    /// What its servers cost an hour since then.
    pub rate: Microdollars,
    /// The day (UTC) that `until` lies in.
    pub day: Microdollars,
    /// The calendar month (UTC) that `until` lies in.
    pub month: Microdollars,
}
