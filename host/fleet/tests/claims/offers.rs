//! Offers: the cheapest that is there, each attempt durable with its offer, and shortages remembered by what is short.

use usher_fleet::config::{Offer, PoolConfig};
use usher_fleet::event::What;
use usher_fleet::ids::Attempt;
use usher_fleet::observation::{InstanceState, Launched, OrderKey, ProviderError};
use usher_fleet::units::Microdollars;
use usher_fleet::{Effect, Observation};

use crate::world::{World, automatic, config, id, instance, unknown};

fn offer(instance_type: &str, zone: &str, dollars: u64) -> Offer {
    Offer {
        instance_type: instance_type.into(),
        market: "on-demand".into(),
        zone: zone.into(),
        price_per_hour: Microdollars(dollars),
    }
}

/// Two types in two zones; the second type is dearer.
fn cloud() -> World {
    World::new(config(vec![PoolConfig {
        offers: vec![
            offer("c5.large", "a", 400_000),
            offer("c5.large", "b", 400_000),
            offer("c5a.large", "a", 348_000),
            offer("c5a.large", "b", 348_000),
        ],
        ..automatic("cloud")
    }]))
}

/// The newest order: attempt, type and zone.
fn ordered(world: &World) -> (u32, String, String) {
    let launches = world.launches();
    let order = launches.last().expect("something was ordered");
    let offer = order.offer.clone().expect("the pool has offers");
    (order.key.attempt.0, offer.instance_type, offer.zone)
}

fn answer(world: &mut World, server: &str, attempt: u32, error: ProviderError) {
    let key = OrderKey {
        server: id(server),
        attempt: Attempt(attempt),
    };
    let nth = world.orders_of(&key);
    world.observe(Observation::Launched(Launched {
        key,
        nth,
        result: Err(error),
    }));
}

fn no_capacity() -> ProviderError {
    ProviderError::NoCapacity("none left".into())
}

fn is(attempt: u32, instance_type: &str, zone: &str) -> (u32, String, String) {
    (attempt, instance_type.into(), zone.into())
}

#[test]
fn the_cheapest_offer_comes_first_and_zones_fill_evenly() {
    let mut world = cloud();
    world.grow("cloud", 4);
    let zones: Vec<String> = world
        .launches()
        .iter()
        .map(|order| {
            let offer = order.offer.as_ref().expect("the pool has offers");
            assert_eq!(offer.instance_type, "c5a.large");
            offer.zone.clone()
        })
        .collect();
    assert_eq!(zones, ["a", "b", "a", "b"]);
    assert_eq!(world.server("cloud-2").unwrap().card.zone.as_deref(), Some("b"));
    assert_eq!(world.pool("cloud").bill.per_hour, Microdollars(4 * 348_000));
}

#[test]
fn after_a_shortage_the_next_offer_is_another_attempt() {
    let mut world = cloud();
    world.grow("cloud", 1);
    assert_eq!(ordered(&world), is(1, "c5a.large", "a"));
    answer(&mut world, "cloud-1", 1, no_capacity());
    assert_eq!(ordered(&world), is(2, "c5a.large", "b"));
    answer(&mut world, "cloud-1", 2, no_capacity());
    assert_eq!(ordered(&world), is(3, "c5.large", "a"));
    assert_eq!(world.pool("cloud").bill.per_hour, Microdollars(400_000));
    // An answer for an attempt that was given up says nothing of the one that runs.
    answer(&mut world, "cloud-1", 1, ProviderError::Refused("late".into()));
    assert_eq!(world.phase_of("cloud-1"), "requested");
    assert_eq!(world.told(|what| matches!(what, What::ServerRequested(_))), 3);
}

#[test]
fn a_shortage_on_the_spot_market_is_none_on_demand() {
    let on_spot = |zone: &str| Offer {
        market: "spot".into(),
        ..offer("c5a.large", zone, 120_000)
    };
    let offers = vec![
        on_spot("a"),
        offer("c5a.large", "a", 348_000),
        offer("c5a.large", "b", 348_000),
    ];
    let mut world = World::new(config(vec![PoolConfig {
        offers,
        ..automatic("cloud")
    }]));
    let market = |world: &World| {
        world
            .launches()
            .last()
            .and_then(|order| Some(order.offer.clone()?.market))
    };
    world.grow("cloud", 1);
    assert_eq!(market(&world).as_deref(), Some("spot"));
    answer(&mut world, "cloud-1", 1, no_capacity());
    assert_eq!(
        (market(&world).as_deref(), ordered(&world)),
        (Some("on-demand"), is(2, "c5a.large", "b"))
    );
    // It was the spot market's in that zone, and nothing else's.
    answer(&mut world, "cloud-1", 2, ProviderError::NoAddresses("none left".into()));
    assert_eq!(ordered(&world), is(3, "c5a.large", "a"));
}

#[test]
fn an_attempt_keeps_its_offer_over_unknown_outcomes_and_restarts() {
    let mut world = cloud();
    world.grow("cloud", 1);
    answer(&mut world, "cloud-1", 1, no_capacity());
    answer(&mut world, "cloud-1", 2, unknown());
    world.pass(2);
    assert_eq!(ordered(&world), is(2, "c5a.large", "b"));
    world.restart();
    assert_eq!(ordered(&world), is(2, "c5a.large", "b"));
}

#[test]
fn a_zone_without_addresses_is_passed_over_for_every_type() {
    let mut world = cloud();
    world.grow("cloud", 1);
    answer(&mut world, "cloud-1", 1, ProviderError::NoAddresses("none left".into()));
    assert_eq!(ordered(&world), is(2, "c5a.large", "b"));
    answer(&mut world, "cloud-1", 2, no_capacity());
    assert_eq!(ordered(&world), is(3, "c5.large", "b"));
}

#[test]
fn where_nothing_is_left_the_record_ends_and_the_pool_waits_for_the_first_shortage_to_pass() {
    let mut world = cloud();
    world.grow("cloud", 1);
    for attempt in 1..=4 {
        world.pass(1);
        answer(&mut world, "cloud-1", attempt, no_capacity());
    }
    assert_eq!(world.phase_of("cloud-1"), "gone");
    assert_eq!(world.told(|what| matches!(what, What::ServerFailed(_))), 1);
    assert_eq!(world.grow("cloud", 1), ("refused", "no_capacity"));
    world.pass(150);
    assert_eq!(world.pool("cloud").code, "no_capacity");
    world.pass(30);
    assert_eq!(world.grow("cloud", 1), ("accepted", ""));
    assert_eq!(ordered(&world), is(1, "c5a.large", "a"));
}

#[test]
fn a_dearer_offer_is_not_ordered_beyond_the_ceiling() {
    let mut limits = config(vec![PoolConfig {
        offers: vec![offer("small", "a", 300_000), offer("large", "a", 900_000)],
        ..automatic("cloud")
    }]);
    limits.guards.price_per_hour_max = Some(Microdollars(1_000_000));
    let mut world = World::new(limits);
    world.grow("cloud", 2);
    answer(&mut world, "cloud-1", 1, no_capacity());
    assert_eq!(world.phase_of("cloud-1"), "gone", "1.2 dollars would be too much");
    assert_eq!(world.phase_of("cloud-2"), "requested");
}

#[test]
fn what_was_launched_ends_with_the_attempt_that_launched_it() {
    let mut world = cloud();
    world.grow("cloud", 1);
    answer(&mut world, "cloud-1", 1, no_capacity());
    let key = OrderKey {
        server: id("cloud-1"),
        attempt: Attempt(2),
    };
    world.observe(Observation::Launched(Launched {
        key: key.clone(),
        nth: 1,
        result: Ok(instance(InstanceState::Running)),
    }));
    world.remove("cloud-1", true);
    let ends = world.effects.iter().filter_map(|effect| match effect {
        Effect::Terminate(order) => Some(&order.key),
        _ => None,
    });
    assert_eq!(ends.collect::<Vec<_>>(), [&key]);
}
