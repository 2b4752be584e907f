//! From what is written to what holds: defaults, what belongs together, and what contradicts itself.

mod auth;
mod ec2;
mod exec;
mod pool;
mod tls;
mod webhook;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use usher_fleet::config::{FleetConfig, FleetGuards, PoolGuards};

use super::problem::{Collector, Place};
use super::raw::{Raw, RawGuards, RawPoolGuards};
use super::section::Entry;
use super::{BillConfig, Config, EventsConfig, Overrides};
use crate::tls::TlsFiles;

/// Where the API listens unless the file says otherwise.
const LISTEN_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7070);

/// The installation's name unless the file says otherwise.
const FLEET_DEFAULT: &str = "default";

/// Resolves a file that stands in the folder `base_dir`, while the certificate `served` is served, if any. With problems the
/// result is not to be used.
pub(super) fn resolve(
    raw: &Raw,
    base_dir: &Path,
    overrides: &Overrides,
    served: Option<&TlsFiles>,
    problems: &mut Collector<'_>,
) -> Config {
    let guards = guards(&raw.guards.get(), problems);
    let mut fleet = FleetConfig {
        guards: guards.0,
        ..times(raw, problems)
    };
    let fleet_name = raw.fleet.get().map_or(FLEET_DEFAULT, |name| name.as_str()).to_owned();
    let around = pool::Around {
        fleet_name: &fleet_name,
        base_dir,
        fleet: &fleet,
        guards: &guards.1,
    };
    let pools = pool::pools(&raw.pool, &around, problems);
    fleet.pools = pools.iter().map(|(pool, _)| pool.clone()).collect();
    check_minimum(raw, &fleet, problems);
    check_ownership(raw, &fleet, problems);
    let auth = auth::auth(&raw.auth, &fleet.pools, problems);
    let listen = overrides.listen.unwrap_or(raw.listen.or(LISTEN_DEFAULT));
    check_listen(listen, raw, problems);
    let tls = tls::tls(&raw.tls, base_dir, served, problems);
    tls::check_host_urls(raw, problems);
    let (data_dir, policies_dir) = folders(raw, base_dir, overrides, problems);
    Config {
        fleet_name,
        listen,
        tls,
        data_dir,
        policies_dir,
        base_dir: base_dir.to_owned(),
        pools: pools.into_iter().map(|(_, setup)| setup).collect(),
        fleet,
        auth,
        bill: bill(raw),
        events: events(raw),
        webhook: webhook::webhook(&raw.webhook, base_dir, problems),
        overrides: overrides.clone(),
        warnings: Vec::new(),
    }
}

/// Returns the fleet's guards, and the pools' where a pool says nothing.
fn guards(raw: &Option<&RawGuards>, problems: &mut Collector<'_>) -> (FleetGuards, PoolGuards) {
    let Some(raw) = raw else { return Default::default() };
    let default = FleetGuards::default();
    let fleet = FleetGuards {
        servers_max: raw.fleet_servers_max.or(default.servers_max),
        price_per_hour_max: raw.fleet_dollars_per_hour_max.get().copied(),
        price_per_month_max: raw.fleet_dollars_per_month_max.get().copied(),
        waiting_rooms_max: raw.waiting_rooms_max.or(default.waiting_rooms_max),
        waiting_max: raw.waiting_seconds_max.or(default.waiting_max),
        freeze_silent_percent: raw.freeze_silent_percent.or(default.freeze_silent_percent),
    };
    let pools = pool_guards(&raw.pools, &PoolGuards::default(), problems);
    if pools.boot_max >= fleet.waiting_max {
        let at = if raw.pools.boot_seconds_max.is_written {
            &raw.pools.boot_seconds_max
        } else {
            &raw.waiting_seconds_max
        };
        waits_too_short(&at.at, fleet.waiting_max, pools.boot_max, problems);
    }
    (fleet, pools)
}

fn waits_too_short(at: &Place, waiting: std::time::Duration, boot: std::time::Duration, problems: &mut Collector<'_>) {
    let (waiting, boot) = (waiting.as_secs(), boot.as_secs());
    let wrong = format!(
        "a room waits {waiting} s at most (waiting_seconds_max) and a server may boot for {boot} s (boot_seconds_max): \
         it would give up before its server is ready"
    );
    let remedy = format!(
        "write waiting_seconds_max = {} under [guards], or a shorter boot_seconds_max",
        boot + 300
    );
    problems.problem(at, wrong, remedy);
}

/// Returns `default` with what is written instead.
fn pool_guards(raw: &RawPoolGuards, default: &PoolGuards, problems: &mut Collector<'_>) -> PoolGuards {
    let guards = PoolGuards {
        servers_min: default.servers_min,
        servers_max: default.servers_max,
        launches_in_flight_max: raw.launches_in_flight_max.or(default.launches_in_flight_max),
        launches_per_minute_max: raw.launches_per_minute_max.or(default.launches_per_minute_max),
        drains_in_flight_max: raw.drains_in_flight_max.get().copied().or(default.drains_in_flight_max),
        server_life_min: raw.server_life_seconds_min.or(default.server_life_min),
        scale_up_cooldown: raw.scale_up_cooldown_seconds.or(default.scale_up_cooldown),
        scale_down_cooldown: raw.scale_down_cooldown_seconds.or(default.scale_down_cooldown),
        boot_failures_max: raw.boot_failures_max.or(default.boot_failures_max),
        boot_failures_window: raw.boot_failures_window.or(default.boot_failures_window),
        boot_max: raw.boot_seconds_max.or(default.boot_max),
        cpu_permille_max: raw.cpu_permille_max.get().copied().or(default.cpu_permille_max),
        egress_kbps_max: raw.egress_kbps_max.get().copied().or(default.egress_kbps_max),
        room_failures_max: raw.room_failures_max.or(default.room_failures_max),
        drain_deadline: raw.drain_deadline_seconds.get().copied().or(default.drain_deadline),
    };
    let (failures, window) = (guards.boot_failures_max, guards.boot_failures_window);
    let is_written = raw.boot_failures_max.is_written || raw.boot_failures_window.is_written;
    if is_written && failures > window {
        let at = if raw.boot_failures_max.is_written {
            &raw.boot_failures_max.at
        } else {
            &raw.boot_failures_window.at
        };
        let wrong =
            format!("{failures} failures of the last {window} boots can never be: the circuit would never open");
        problems.problem(
            at,
            wrong,
            format!("write boot_failures_window = {} or more", failures.saturating_mul(2)),
        );
    }
    guards
}

fn times(raw: &Raw, problems: &mut Collector<'_>) -> FleetConfig {
    let mut fleet = FleetConfig::default();
    fleet.tick = raw.tick_seconds.or(fleet.tick);
    if let Some(rooms) = raw.rooms.get() {
        fleet.settle = rooms.settle_seconds.or(fleet.settle);
        fleet.room_empty = rooms.empty_seconds.or(fleet.room_empty);
        fleet.room_silence_max = rooms.room_seconds_max.or(fleet.room_silence_max);
    }
    let Some(servers) = raw.servers.get() else { return fleet };
    fleet.silent_after = servers.silent_seconds.or(fleet.silent_after);
    fleet.lost_after = servers.lost_seconds.or(fleet.lost_after);
    fleet.lost_terminate = servers.lost_terminate_seconds.or(fleet.lost_terminate);
    fleet.reconcile = servers.reconcile_seconds.or(fleet.reconcile);
    if fleet.lost_after < fleet.silent_after {
        let wrong = "is less than silent_seconds: a server would be lost before it is silent";
        problems.problem(
            &servers.lost_seconds.at,
            wrong,
            "write lost_seconds = 60, or a shorter silent_seconds",
        );
    }
    fleet
}

fn check_minimum(raw: &Raw, fleet: &FleetConfig, problems: &mut Collector<'_>) {
    let kept: u64 = fleet.pools.iter().map(|pool| u64::from(pool.guards.servers_min)).sum();
    if kept > u64::from(fleet.guards.servers_max) {
        let at = raw
            .guards
            .get()
            .map_or(&raw.guards.at, |guards| &guards.fleet_servers_max.at);
        let wrong = format!(
            "the pools' servers_min are {kept} together, more than fleet_servers_max = {}",
            fleet.guards.servers_max
        );
        problems.problem(
            at,
            wrong,
            "raise fleet_servers_max under [guards], or lower a servers_min",
        );
    }
}

/// Two installations of one name on one cloud would take each other's servers for their own.
fn check_ownership(raw: &Raw, fleet: &FleetConfig, problems: &mut Collector<'_>) {
    let launches = |pool: &&usher_fleet::config::PoolConfig| pool.automatic && pool.provider != "simulated";
    if let Some(pool) = fleet.pools.iter().find(launches)
        && !raw.fleet.is_written
    {
        let wrong = format!(
            "the pool {} launches servers, which are marked with the installation's name: \"default\"",
            pool.name
        );
        problems.warning(
            &raw.fleet.at,
            wrong,
            "write fleet = \"…\" with a name of its own at the top",
        );
    }
}

/// Others than this machine's own are let in by tokens only, and tokens are for nobody else's eyes.
fn check_listen(listen: SocketAddr, raw: &Raw, problems: &mut Collector<'_>) {
    if listen.ip().is_loopback() {
        return;
    }
    let at = &raw.listen.at;
    if raw.auth.is_written {
        if !raw.tls.is_written && !raw.behind_proxy.or(false) {
            let wrong = format!("{listen} is reached in plain HTTP: whoever is on the way reads the tokens");
            let remedy = "add [tls] with a certificate and its key, or write behind_proxy = true where TLS ends at a proxy in front";
            problems.warning(at, wrong, remedy);
        }
        return;
    }
    let wrong = format!("without [auth] everybody who reaches {listen} could end your servers");
    let remedy = format!(
        "add [auth] with the hash that `usher token new --scope admin` prints, or write listen = \"127.0.0.1:{}\"",
        listen.port()
    );
    problems.problem(at, wrong, remedy);
}

fn folders(raw: &Raw, base_dir: &Path, overrides: &Overrides, problems: &mut Collector<'_>) -> (PathBuf, PathBuf) {
    let written = |entry: &Entry<String>, default: &str| base_dir.join(entry.or(default.to_owned()));
    let data_dir = match &overrides.data_dir {
        Some(folder) => super::absolute(folder),
        None => written(&raw.data_dir, "usher-data"),
    };
    let policies_dir = written(&raw.policies_dir, "policies");
    if data_dir.exists() && !data_dir.is_dir() {
        problems.problem(
            &raw.data_dir.at,
            format!("{} is no folder", data_dir.display()),
            "name a folder; it is made if it is missing",
        );
    }
    if data_dir == policies_dir {
        problems.problem(
            &raw.policies_dir.at,
            "is the data folder",
            "name a folder for policies alone",
        );
    }
    if !policies_dir.is_dir() {
        let wrong = format!(
            "there is no folder {}: only the built-in policy decides",
            policies_dir.display()
        );
        problems.warning(
            &raw.policies_dir.at,
            wrong,
            "make it: policies put into it are taken up while Usher runs",
        );
    }
    (data_dir, policies_dir)
}

fn bill(raw: &Raw) -> BillConfig {
    BillConfig {
        baseline_per_hour: raw.bill.get().and_then(|bill| bill.baseline_per_hour.get().copied()),
    }
}

fn events(raw: &Raw) -> EventsConfig {
    let mut events = EventsConfig::default();
    let Some(raw) = raw.events.get() else { return events };
    if let Some(hours) = raw.retention_hours.get() {
        events.retention = std::time::Duration::from_secs(u64::from(*hours) * 3600);
    }
    if let Some(mib) = raw.size_mib_max.get() {
        events.bytes_max = u64::from(*mib) * 1024 * 1024;
    }
    events
}
