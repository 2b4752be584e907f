//! What Usher says when it starts: what it listens on, what holds, and what is missing.

use std::time::Duration;

use usher_fleet::config::{HealthSource, PoolConfig};
use usher_fleet::event::What;
use usher_fleet::units::Microdollars;

use super::Config;
use crate::webhook::WebhookConfig;

/// Returns what holds: the lines that `usher serve` says at start and `usher config check` prints.
pub fn summary(config: &Config) -> Vec<String> {
    let mut lines = vec![
        format!(
            "fleet {}, listening on {}://{}",
            config.fleet_name,
            config.scheme(),
            config.listen
        ),
        auth(config),
        format!(
            "records in {}, policies from {}",
            config.data_dir.display(),
            config.policies_dir.display()
        ),
        fleet_guards(config),
    ];
    lines.extend(config.webhook.as_ref().map(webhook));
    lines.extend(config.fleet.pools.iter().map(pool));
    lines
}

fn auth(config: &Config) -> String {
    match &config.auth {
        None => "no [auth]: loopback only, everybody on this machine may do everything".to_owned(),
        Some(auth) => format!(
            "tokens: {} admin, {} app, {} register",
            auth.admin.len(),
            auth.app.len(),
            auth.register.len(),
        ),
    }
}

fn webhook(webhook: &WebhookConfig) -> String {
    let (chosen, all) = (webhook.choice.count(), What::KINDS.len());
    format!(
        "webhook: {} is told {chosen} of {all} types of events",
        webhook.receiver()
    )
}

fn fleet_guards(config: &Config) -> String {
    let guards = &config.fleet.guards;
    let price = |limit: Option<Microdollars>, per: &str| {
        limit.map_or(format!("no limit {per}"), |limit| format!("{limit} {per}"))
    };
    format!(
        "guards: at most {} servers, {}, {}; {} rooms wait at most {}",
        guards.servers_max,
        price(guards.price_per_hour_max, "an hour"),
        price(guards.price_per_month_max, "a month"),
        guards.waiting_rooms_max,
        seconds(guards.waiting_max),
    )
}

fn pool(pool: &PoolConfig) -> String {
    let limits = [
        (pool.limits.rooms_max, "rooms"),
        (pool.limits.seats_max, "seats"),
        (pool.limits.load_max, "load"),
    ];
    let limits: Vec<String> = limits
        .iter()
        .filter_map(|(most, what)| most.map(|most| format!("{most} {what}")))
        .collect();
    let health = match pool.health {
        HealthSource::Report => "its servers report",
        HealthSource::Probe => "probed",
        HealthSource::None => "health unknown",
    };
    let servers = if pool.automatic {
        format!("{} to {} servers", pool.guards.servers_min, pool.guards.servers_max)
    } else {
        "servers register".to_owned()
    };
    format!(
        "pool {}: {} in {}, {servers}, {} each, {} an hour, {health}",
        pool.name,
        pool.provider,
        pool.region,
        limits.join(" and "),
        pool.price_per_hour,
    )
}

/// Returns what stands in the way of placing any room, as sentences that say what to do.
pub fn missing(config: &Config) -> Vec<String> {
    let mut missing = Vec::new();
    let pools = &config.fleet.pools;
    if pools.is_empty() {
        missing.push("there is no pool, so no room can be placed; add a [[pool]] to the config file".to_owned());
    }
    for pool in pools.iter().filter(|pool| !pool.automatic) {
        missing.push(format!(
            "nobody launches servers of the pool {name}: rooms wait until one registers with PUT /v1/servers/NAME \
             {{\"pool\":\"{name}\",\"url\":\"…\"}}",
            name = pool.name
        ));
    }
    for pool in pools
        .iter()
        .filter(|pool| pool.automatic && pool.guards.servers_max == 0)
    {
        missing.push(format!(
            "the pool {} may never have a server: its servers_max is 0",
            pool.name
        ));
    }
    missing
}

fn seconds(span: Duration) -> String {
    format!("{} s", span.as_secs())
}
