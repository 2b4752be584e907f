//! What a world's operator has written into the configuration, and how that changes while it runs.

use std::time::Duration;

use usher_fleet::config::{FleetConfig, FleetGuards, HealthSource, Labels, Limits, Offer, PoolConfig, PoolGuards};
use usher_fleet::units::Microdollars;

use super::chance::Chance;

pub(crate) const REGIONS: [&str; 3] = ["eu", "us", "moon"];
pub(crate) const TENANTS: [&str; 2] = ["acme", "umbrella"];

fn seconds(chance: &mut Chance, low: u32, high: u32) -> Duration {
    Duration::from_secs(chance.between(low, high).into())
}

/// A small fleet with small ceilings, so that every one of them is met.
pub(crate) fn fleet(chance: &mut Chance) -> FleetConfig {
    let pools = chance.between(2, 4);
    FleetConfig {
        guards: fleet_guards(chance),
        pools: (0..pools).map(|index| pool(chance, index)).collect(),
        tick: Duration::from_secs(5),
        reconcile: seconds(chance, 20, 60),
        settle: *chance
            .pick(&[Duration::ZERO, Duration::from_secs(60), Duration::from_secs(600)])
            .expect("three"),
        room_empty: seconds(chance, 30, 300),
        room_silence_max: if chance.one_in(2) {
            seconds(chance, 60, 900)
        } else {
            Duration::from_secs(24 * 3600)
        },
        silent_after: seconds(chance, 15, 30),
        lost_after: seconds(chance, 20, 60),
        lost_terminate: seconds(chance, 120, 900),
    }
}

fn fleet_guards(chance: &mut Chance) -> FleetGuards {
    FleetGuards {
        servers_max: chance.between(3, 12),
        price_per_hour_max: chance
            .one_in(3)
            .then(|| Microdollars(chance.between(500_000, 6_000_000).into())),
        price_per_month_max: chance
            .one_in(4)
            .then(|| Microdollars(chance.between(1_000_000, 60_000_000).into())),
        waiting_rooms_max: chance.between(2, 30),
        waiting_max: seconds(chance, 30, 1200),
        freeze_silent_percent: 45,
    }
}

fn pool(chance: &mut Chance, index: u32) -> PoolConfig {
    let automatic = index == 0 || chance.percent(50);
    PoolConfig {
        name: format!("p{index}").parse().expect("a valid id"),
        automatic,
        provider: if automatic { "simulated" } else { "external" }.into(),
        region: REGIONS[chance.index(2)].into(),
        zones: Vec::new(),
        instance_type: "small".into(),
        market: String::new(),
        limits: limits(chance),
        seats_default: chance.between(1, 30),
        price_per_hour: Microdollars(chance.between(0, 1_500_000).into()),
        labels: labels(chance),
        only: only(chance),
        health: health(chance),
        url: (!automatic || chance.one_in(2)).then(|| "wss://{server}.test".into()),
        offers: offers(chance, automatic),
        adopt_rooms: false,
        release_unreported_rooms: false,
        leaves_evidence: automatic && chance.one_in(2),
        keep_failed_servers: if chance.one_in(3) { chance.between(1, 2) } else { 0 },
        guards: guards(chance),
    }
}

fn offers(chance: &mut Chance, automatic: bool) -> Vec<Offer> {
    if !automatic || chance.one_in(2) {
        return Vec::new();
    }
    let offer = |chance: &mut Chance, instance_type: &str, zone: &str| Offer {
        instance_type: instance_type.into(),
        market: (*chance.pick(&["on-demand", "spot"]).expect("two")).into(),
        zone: zone.into(),
        price_per_hour: Microdollars(chance.between(0, 1_500_000).into()),
    };
    let kinds = [("small", "a"), ("small", "b"), ("large", "a")];
    let count = 1 + chance.index(kinds.len());
    kinds[..count]
        .iter()
        .map(|(kind, zone)| offer(chance, kind, zone))
        .collect()
}

fn limits(chance: &mut Chance) -> Limits {
    Limits {
        rooms_max: chance.maybe(3, 1, 6),
        seats_max: chance.maybe(3, 20, 120),
        load_max: chance.maybe(2, 30, 200),
    }
}

pub(crate) fn labels(chance: &mut Chance) -> Labels {
    let mut labels = Labels::new();
    if chance.one_in(3) {
        labels.insert("kind".into(), (*chance.pick(&["fast", "slow"]).expect("two")).into());
    }
    labels
}

fn only(chance: &mut Chance) -> std::collections::BTreeMap<String, Vec<String>> {
    let mut only = std::collections::BTreeMap::new();
    if chance.one_in(5) {
        only.insert("tenant".into(), vec![TENANTS[chance.index(2)].into()]);
    }
    if chance.one_in(8) {
        only.insert("kind".into(), vec!["fast".into()]);
    }
    only
}

fn health(chance: &mut Chance) -> HealthSource {
    *chance
        .pick(&[
            HealthSource::Report,
            HealthSource::Probe,
            HealthSource::Probe,
            HealthSource::None,
        ])
        .expect("four")
}

fn guards(chance: &mut Chance) -> PoolGuards {
    let servers_max = chance.between(1, 6);
    PoolGuards {
        servers_min: if chance.one_in(3) {
            chance.between(1, servers_max)
        } else {
            0
        },
        servers_max,
        launches_in_flight_max: chance.between(1, 4),
        launches_per_minute_max: chance.between(1, 12),
        drains_in_flight_max: chance.maybe(2, 0, 2),
        server_life_min: seconds(chance, 0, 120),
        scale_up_cooldown: seconds(chance, 0, 8),
        scale_down_cooldown: seconds(chance, 0, 20),
        boot_failures_max: chance.between(1, 3),
        boot_failures_window: chance.between(3, 6),
        boot_max: seconds(chance, 40, 300),
        cpu_permille_max: chance.maybe(2, 700, 900),
        egress_kbps_max: chance.maybe(2, 500, 900),
        room_failures_max: chance.between(0, 3),
        drain_deadline: chance.one_in(3).then(|| seconds(chance, 5, 300)),
    }
}

/// A configuration read anew: pools come and go, guards and limits change; what kind a pool is never does.
pub(crate) fn changed(chance: &mut Chance, now: &FleetConfig, all: &[PoolConfig]) -> FleetConfig {
    let mut config = now.clone();
    match chance.below(8) {
        0 | 1 if config.pools.len() > 1 => {
            let gone = chance.index(config.pools.len());
            config.pools.remove(gone);
        }
        0..=3 => {
            let known = |pool: &&PoolConfig| !config.pools.iter().any(|other| other.name == pool.name);
            if let Some(back) = all.iter().find(known) {
                config.pools.push(back.clone());
            }
        }
        4 => config.guards = fleet_guards(chance),
        _ => {
            let index = chance.index(config.pools.len());
            let pool = &mut config.pools[index];
            match chance.below(4) {
                0 => pool.limits = limits(chance),
                1 => pool.guards = guards(chance),
                2 => pool.only = only(chance),
                _ => pool.health = health(chance),
            }
        }
    }
    config
}
