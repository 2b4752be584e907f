//! One pool: what the fleet needs of it, and what its provider and probes need.

use std::collections::HashMap;
use std::path::Path;

use usher_cloud::{PoolSetup, ProbeConfig, ProbeTiming, ProviderConfig, SimulatedConfig};
use usher_fleet::config::{FleetConfig, HealthSource, Limits, Offer, PoolConfig, PoolGuards};
use usher_fleet::ids::PoolName;

use super::{ec2, exec, pool_guards, waits_too_short};
use crate::config::problem::{Collector, Place};
use crate::config::raw::{Health, Market, Provider, RawPool};
use crate::config::section::Entry;

/// Where a room may go that names no region, and servers stand that name none.
const REGION_DEFAULT: &str = "default";

/// What a pool's tables take from the file around them.
pub(super) struct Around<'a> {
    pub(super) fleet_name: &'a str,
    pub(super) base_dir: &'a Path,
    pub(super) fleet: &'a FleetConfig,
    pub(super) guards: &'a PoolGuards,
}

/// Returns the good pools, in the order of the file.
pub(super) fn pools(
    entry: &Entry<Vec<RawPool>>,
    around: &Around<'_>,
    problems: &mut Collector<'_>,
) -> Vec<(PoolConfig, PoolSetup)> {
    let raw = entry.get().map_or(&[][..], Vec::as_slice);
    check_names(raw, problems);
    raw.iter().filter_map(|raw| pool(raw, around, problems)).collect()
}

fn check_names(pools: &[RawPool], problems: &mut Collector<'_>) {
    let mut seen: HashMap<&PoolName, &Place> = HashMap::new();
    for pool in pools {
        let Some(name) = pool.name.get() else { continue };
        if let Some(first) = seen.get(name) {
            problems.problem(
                &pool.name.at,
                format!("{name} is the name of {} too", first.key.trim_end_matches(".name")),
                "give it another name",
            );
        }
        seen.entry(name).or_insert(&pool.name.at);
    }
}

fn pool(raw: &RawPool, around: &Around<'_>, problems: &mut Collector<'_>) -> Option<(PoolConfig, PoolSetup)> {
    let name = raw.name.required("\"on-premises\"", problems).cloned();
    let provider = raw.provider.required("\"external\"", problems).copied();
    let limits = limits(raw, problems);
    let guards = guards(raw, around, problems);
    check_only(raw, problems);
    let provider = provider?;
    check_tables(raw, provider, problems);
    let health = health(raw, provider, problems);
    let probe = probe(raw, health, around, problems);
    let url = url(raw, provider, problems);
    check_price(raw, provider, around, problems);
    let offers = match provider {
        Provider::Ec2 => ec2::offers(raw, problems),
        Provider::External | Provider::Simulated | Provider::Exec => Vec::new(),
    };
    let setup = provider_config(raw, provider, &offers, around, problems);
    let cheapest = offers.iter().map(|offer| offer.price_per_hour).min();
    let name = name?;
    let config = PoolConfig {
        name: name.clone(),
        automatic: provider != Provider::External,
        provider: provider.word().to_owned(),
        region: raw.region.or(REGION_DEFAULT.to_owned()),
        zones: raw.zones.or(Vec::new()),
        instance_type: raw.instance_type.or(String::new()),
        market: raw.market.get().map_or("", |market| market.word()).to_owned(),
        limits,
        seats_default: raw.seats_default.or(SEATS_DEFAULT),
        price_per_hour: raw.price_per_hour.or(cheapest.unwrap_or_default()),
        labels: raw.labels.or(Default::default()),
        only: raw.only.or(Default::default()),
        health: match health {
            Health::Tcp | Health::Http => HealthSource::Probe,
            Health::Report => HealthSource::Report,
            Health::None => HealthSource::None,
        },
        // What only the instance knows its provider says.
        url: url.filter(|url| !ec2::has_address(url)),
        offers,
        adopt_rooms: raw.adopt_rooms.or(false),
        release_unreported_rooms: raw.release_unreported_rooms.or(false),
        leaves_evidence: provider == Provider::Ec2,
        keep_failed_servers: raw.keep_failed_servers.or(0),
        guards,
    };
    let setup = PoolSetup {
        name,
        fleet: around.fleet_name.to_owned(),
        region: config.region.clone(),
        zones: config.zones.clone(),
        instance_type: config.instance_type.clone(),
        provider: setup?,
        probe,
        base_dir: around.base_dir.to_owned(),
    };
    Some((config, setup))
}

/// Seats of a room that does not say: a typical conference.
const SEATS_DEFAULT: u32 = 50;

fn limits(raw: &RawPool, problems: &mut Collector<'_>) -> Limits {
    let limits = Limits {
        rooms_max: raw.rooms_per_server.get().copied(),
        seats_max: raw.seats_per_server.get().copied(),
        load_max: raw.load_per_server.get().copied(),
    };
    let written = [
        raw.rooms_per_server.is_written,
        raw.seats_per_server.is_written,
        raw.load_per_server.is_written,
    ];
    if !written.contains(&true) {
        let wrong = "a server needs at least one limit: rooms_per_server, seats_per_server or load_per_server";
        problems.problem(
            &raw.rooms_per_server.at,
            wrong,
            "write for example rooms_per_server = 10",
        );
    }
    let seats = raw.seats_default.or(SEATS_DEFAULT);
    if let Some(most) = limits.seats_max
        && seats > most
    {
        let at = if raw.seats_default.is_written {
            &raw.seats_default.at
        } else {
            &raw.seats_per_server.at
        };
        let wrong =
            format!("a room that does not say its seats takes {seats} (seats_default), and a server holds {most}");
        problems.problem(at, wrong, format!("write seats_default = {most} or less"));
    }
    limits
}

fn guards(raw: &RawPool, around: &Around<'_>, problems: &mut Collector<'_>) -> PoolGuards {
    let mut guards = match raw.guards.get() {
        Some(own) => pool_guards(own, around.guards, problems),
        None => around.guards.clone(),
    };
    guards.servers_min = raw.servers_min.or(guards.servers_min);
    guards.servers_max = raw.servers_max.or(guards.servers_max);
    let (least, most) = (guards.servers_min, guards.servers_max);
    if least > most {
        let at = if raw.servers_min.is_written {
            &raw.servers_min.at
        } else {
            &raw.servers_max.at
        };
        let wrong = format!("servers_min = {least} is more than servers_max = {most}");
        problems.problem(at, wrong, format!("write servers_max = {least} or more"));
    }
    if raw.servers_max.is_written && most > around.fleet.guards.servers_max {
        let wrong = format!(
            "is more than the whole fleet's fleet_servers_max = {}",
            around.fleet.guards.servers_max
        );
        problems.warning(
            &raw.servers_max.at,
            wrong,
            "raise fleet_servers_max under [guards] if you mean it",
        );
    }
    let boot = raw.guards.get().map(|own| &own.boot_seconds_max);
    if let Some(boot) = boot.filter(|boot| boot.is_written)
        && guards.boot_max >= around.fleet.guards.waiting_max
    {
        waits_too_short(&boot.at, around.fleet.guards.waiting_max, guards.boot_max, problems);
    }
    guards
}

fn check_only(raw: &RawPool, problems: &mut Collector<'_>) {
    for (key, values) in raw.only.get().into_iter().flatten() {
        if values.is_empty() {
            let wrong = format!("{key} lets nothing in: its list is empty");
            problems.problem(&raw.only.at, wrong, format!("name at least one value, or remove {key}"));
        }
    }
}

/// A table for another provider than the pool's says that one of the two is wrong.
fn check_tables(raw: &RawPool, provider: Provider, problems: &mut Collector<'_>) {
    let tables = [
        (Provider::Simulated, raw.simulated.is_written, &raw.simulated.at),
        (Provider::Exec, raw.exec.is_written, &raw.exec.at),
        (Provider::Ec2, raw.ec2.is_written, &raw.ec2.at),
    ];
    for (of, is_written, at) in tables {
        if is_written && of != provider {
            let wrong = format!(
                "is for provider = {:?}, and this pool has provider = {:?}",
                of.word(),
                provider.word()
            );
            problems.problem(at, wrong, "remove one of the two");
        }
    }
}

fn health(raw: &RawPool, provider: Provider, problems: &mut Collector<'_>) -> Health {
    let default = match provider {
        Provider::External | Provider::Exec => Health::Tcp,
        Provider::Simulated | Provider::Ec2 => Health::Report,
    };
    let health = raw.health.or(default);
    match (provider, health) {
        (Provider::Simulated, Health::Tcp | Health::Http) => {
            let wrong = "simulated servers have no address to probe; they report by themselves";
            problems.problem(&raw.health.at, wrong, "remove it");
        }
        (_, Health::None) => {
            let wrong = "nobody looks after these servers: rooms stay on one that is dead until its provider says so";
            problems.warning(&raw.health.at, wrong, "write health = \"tcp\" if they have an address");
        }
        (Provider::Simulated, Health::Report) | (Provider::External | Provider::Exec | Provider::Ec2, _) => {}
    }
    health
}

fn probe(raw: &RawPool, health: Health, around: &Around<'_>, problems: &mut Collector<'_>) -> ProbeConfig {
    let default = ProbeTiming::default();
    let timing = ProbeTiming {
        interval: raw.health_interval_seconds.or(default.interval),
        timeout: raw.health_timeout_seconds.or(default.timeout),
    };
    if raw.health_path.is_written && health != Health::Http {
        problems.problem(
            &raw.health_path.at,
            "is only asked with health = \"http\"",
            "write that, or remove the path",
        );
    }
    if raw.health_path.get().is_some_and(|path| !path.starts_with('/')) {
        problems.problem(
            &raw.health_path.at,
            "must begin with a slash",
            "write for example health_path = \"/healthz\"",
        );
    }
    let silent = around.fleet.silent_after;
    if matches!(health, Health::Tcp | Health::Http) && timing.interval + timing.timeout >= silent {
        let wrong = format!(
            "a single late probe makes a server silent: interval and timeout come to silent_seconds = {}",
            silent.as_secs()
        );
        problems.warning(
            &raw.health_interval_seconds.at,
            wrong,
            "probe more often, or raise silent_seconds under [servers]",
        );
    }
    match health {
        Health::None | Health::Report => ProbeConfig::None,
        Health::Tcp => ProbeConfig::Tcp(timing),
        Health::Http => ProbeConfig::Http {
            path: raw.health_path.get().cloned(),
            timing,
        },
    }
}

fn url(raw: &RawPool, provider: Provider, problems: &mut Collector<'_>) -> Option<String> {
    let url = raw.url.get()?;
    if !matches!(provider, Provider::Exec | Provider::Ec2) {
        let wrong = format!("is for launched servers; {} servers bring their own", provider.word());
        problems.problem(&raw.url.at, wrong, "remove it");
    }
    if !url.contains("://") {
        problems.problem(
            &raw.url.at,
            "has no scheme",
            "write for example url = \"wss://{server}.media.example.com\"",
        );
    }
    if provider != Provider::Ec2 && ec2::has_address(url) {
        let wrong = "has an address in it that only provider = \"ec2\" knows";
        problems.problem(&raw.url.at, wrong, "write {server} instead");
    }
    if !url.contains("{server}") && !ec2::has_address(url) {
        let wrong = "has no {server} in it: all servers of the pool would have the same URL";
        problems.problem(
            &raw.url.at,
            wrong,
            "write for example url = \"wss://{server}.media.example.com\"",
        );
    }
    Some(url.clone())
}

fn check_price(raw: &RawPool, provider: Provider, around: &Around<'_>, problems: &mut Collector<'_>) {
    let guards = &around.fleet.guards;
    let is_guarded = guards.price_per_hour_max.is_some() || guards.price_per_month_max.is_some();
    let is_priced = raw.price_per_hour.is_written || provider == Provider::Ec2;
    if is_guarded && provider != Provider::External && !is_priced {
        let wrong = "is missing: the guards over dollars count these servers as free";
        problems.warning(
            &raw.price_per_hour.at,
            wrong,
            "write what a server costs an hour, for example price_per_hour = 0.348",
        );
    }
}

fn provider_config(
    raw: &RawPool,
    provider: Provider,
    offers: &[Offer],
    around: &Around<'_>,
    problems: &mut Collector<'_>,
) -> Option<ProviderConfig> {
    match provider {
        Provider::External => Some(ProviderConfig::External),
        Provider::Simulated => Some(ProviderConfig::Simulated(simulated(raw, around, problems))),
        Provider::Ec2 => ec2::ec2(raw, offers, around, problems).map(ProviderConfig::Ec2),
        Provider::Exec => {
            if !raw.exec.is_written {
                let wrong = "is missing: provider = \"exec\" runs your own programs";
                problems.problem(&raw.exec.at, wrong, "add [pool.exec] with launch, terminate and list");
            }
            exec::exec(raw.exec.get()?, around.base_dir, problems).map(ProviderConfig::Exec)
        }
    }
}

fn simulated(raw: &RawPool, around: &Around<'_>, problems: &mut Collector<'_>) -> SimulatedConfig {
    let default = SimulatedConfig::default();
    let Some(raw) = raw.simulated.get() else { return default };
    let simulated = SimulatedConfig {
        boot_seconds: raw.boot_seconds.or(default.boot_seconds),
        boot_failure_rate: raw.boot_failure_rate.or(default.boot_failure_rate),
        capacity: raw.capacity.or(default.capacity),
        seed: raw.seed.or(default.seed),
        report_seconds: raw.report_seconds.or(default.report_seconds),
    };
    let silent = around.fleet.silent_after.as_secs_f64();
    if simulated.report_seconds <= 0.0 || simulated.report_seconds >= silent {
        let wrong = format!("must be above 0 and below silent_seconds = {silent}, or every server is silent");
        problems.problem(&raw.report_seconds.at, wrong, "write for example report_seconds = 5.0");
    }
    simulated
}

impl Market {
    pub(super) fn word(self) -> &'static str {
        match self {
            Market::OnDemand => "on-demand",
            Market::Spot => "spot",
        }
    }
}
