//! Instances that no record knows: told, left alone, or ended where they are certainly ours.

use usher_fleet::Effect;
use usher_fleet::command::{Reply, SetScaling, TokenNo};
use usher_fleet::config::{HealthSource, Offer, PoolConfig};
use usher_fleet::event::{ServerEvent, What};
use usher_fleet::ids::{Attempt, ServerNo};
use usher_fleet::observation::{Found, InstanceState, Owner, ProviderError, Report};
use usher_fleet::status::WaitingFor;
use usher_fleet::units::Microdollars;
use usher_fleet::{Command, Observation, Timestamp};

use crate::world::{START, World, automatic, config, external, id, instance, key};

fn cloud() -> World {
    World::new(config(vec![automatic("cloud")]))
}

fn found(server: &str, owner: Owner) -> Found {
    Found {
        owner,
        ..Found::from((key(server), instance(InstanceState::Running)))
    }
}

/// Lists for ten minutes, each time the same.
fn listed_for_long(world: &mut World, found: &[Found]) {
    for _ in 0..10 {
        world.pass(60);
        world.found("cloud", found.to_vec());
    }
}

fn reaped(world: &World) -> usize {
    world.told(|what| matches!(what, What::ServerReaped(_)))
}

#[test]
fn what_our_own_ledger_launched_and_forgot_is_ended_after_two_minutes() {
    let mut world = cloud();
    let server = world.launch("cloud");
    let orphan = found("cloud-0", Owner::Us(ServerNo(0)));
    let both = vec![found(&server, Owner::Us(ServerNo(1))), orphan];
    world.pass(60);
    world.found("cloud", both.clone());
    world.pass(60);
    world.found("cloud", both.clone());
    assert_eq!((reaped(&world), world.terminations("cloud-0")), (0, 0));
    world.pass(60);
    world.found("cloud", both);
    assert_eq!((reaped(&world), world.terminations("cloud-0")), (1, 1));
    assert_eq!(world.terminations(&server), 0);
}

#[test]
fn what_is_marked_or_not_surely_ours_is_told_once_and_left_alone() {
    let kept = Found {
        is_kept: true,
        ..found("kept", Owner::Us(ServerNo(0)))
    };
    let newer_and_kept = Found {
        is_kept: true,
        ..found("newer", Owner::Us(ServerNo(77)))
    };
    for stranger in [
        kept,
        newer_and_kept,
        found("theirs", Owner::Another),
        found("whose", Owner::Unknown),
    ] {
        let mut world = cloud();
        listed_for_long(&mut world, std::slice::from_ref(&stranger));
        assert_eq!(
            world.told(|what| matches!(what, What::ServerUnknown(_))),
            1,
            "{stranger:?}"
        );
        assert_eq!(reaped(&world), 0, "{stranger:?}");
        assert!(
            !world
                .effects
                .iter()
                .any(|effect| matches!(effect, Effect::Terminate(_)))
        );
    }
}

#[test]
fn another_installations_server_of_the_same_name_is_not_taken_for_ours() {
    let mut world = cloud();
    let server = world.launch("cloud");
    let mut theirs = found(&server, Owner::Another);
    theirs.instance.instance = "i-theirs".into();
    theirs.instance.url = Some("wss://theirs.example".into());
    let ours = found(&server, Owner::Us(ServerNo(1)));
    listed_for_long(&mut world, &[ours.clone(), theirs.clone()]);
    assert_eq!(world.server(&server).unwrap().instance.as_deref(), Some("i-1"));
    let told =
        world.told(|what| matches!(what, What::ServerUnknown(told) if told.instance.as_deref() == Some("i-theirs")));
    assert_eq!((told, world.phase_of(&server)), (1, "ready"));
    // Nor does it stand for ours, when ours has ended.
    let mut ended = ours;
    ended.instance.state = InstanceState::Ended;
    world.pass(60);
    world.found("cloud", vec![ended, theirs]);
    assert_eq!(world.phase_of(&server), "terminating");
}

#[test]
fn what_is_ended_for_being_unknown_was_itself_seen_for_long() {
    let mut world = cloud();
    let mut theirs = found("cloud-0", Owner::Another);
    theirs.instance.instance = "i-theirs".into();
    let orphan = found("cloud-0", Owner::Us(ServerNo(0)));
    listed_for_long(&mut world, std::slice::from_ref(&theirs));
    world.pass(60);
    world.found("cloud", vec![theirs.clone(), orphan.clone()]);
    assert_eq!(reaped(&world), 0, "the other one was seen for long");
    for _ in 0..2 {
        world.pass(60);
        world.found("cloud", vec![theirs.clone(), orphan.clone()]);
    }
    assert_eq!(reaped(&world), 1);
    let told = |name: &str| {
        world.told(|what| matches!(what, What::ServerUnknown(told) if told.instance.as_deref() == Some(name)))
    };
    assert_eq!((told("i-theirs"), told("i-1")), (1, 1));
}

#[test]
fn a_list_that_lacks_an_orphan_begins_its_time_anew() {
    let mut world = cloud();
    let orphan = found("cloud-0", Owner::Us(ServerNo(0)));
    for _ in 0..10 {
        world.pass(60);
        world.found("cloud", vec![orphan.clone()]);
        world.pass(60);
        world.found("cloud", Vec::new());
    }
    assert_eq!(reaped(&world), 0);
}

#[test]
fn one_list_ends_ten_orphans_at_most() {
    let mut world = cloud();
    let orphans: Vec<Found> = (0..25)
        .map(|n| found(&format!("cloud-0-{n}"), Owner::Us(ServerNo(0))))
        .collect();
    for _ in 0..3 {
        world.pass(60);
        world.found("cloud", orphans.clone());
    }
    assert_eq!(reaped(&world), 10);
}

#[test]
fn a_leftover_that_only_a_human_can_end_is_told_again_and_stands_in_no_others_way() {
    let mut world = cloud();
    let orphans: Vec<Found> = (0..12)
        .map(|n| found(&format!("cloud-0-{n:02}"), Owner::Us(ServerNo(0))))
        .collect();
    for _ in 0..3 {
        world.pass(60);
        world.found("cloud", orphans.clone());
    }
    let why = |world: &World, why: &str| {
        world.told(|what| matches!(what, What::ServerReaped(told) if told.server.as_str() == "cloud-0-03" && told.reason.contains(why)))
    };
    for _ in 0..3 {
        for orphan in &orphans[..10] {
            let protected = ProviderError::Refused("protected".into());
            world.terminated(orphan.key.server.as_str(), Err(protected));
        }
        world.pass(60);
        world.found("cloud", orphans.clone());
    }
    assert_eq!((why(&world, "no record"), why(&world, "not ended yet")), (1, 1));
    assert_eq!(
        reaped(&world),
        12 + 10,
        "each once, and ten once more for what stands in the way"
    );
    assert!(world.terminations("cloud-0-03") >= 3, "it is asked for with every list");
    assert!(world.terminations("cloud-0-11") >= 1);
}

#[test]
fn however_many_strangers_there_are_our_own_leftover_is_ended() {
    let mut world = cloud();
    let mut all: Vec<Found> = (0..150).map(|n| found(&format!("a-{n}"), Owner::Another)).collect();
    world.pass(60);
    world.found("cloud", all.clone());
    all.push(found("cloud-0", Owner::Us(ServerNo(0))));
    for _ in 0..3 {
        world.pass(60);
        world.found("cloud", all.clone());
    }
    assert_eq!((reaped(&world), world.terminations("cloud-0")), (1, 1));
}

#[test]
fn one_that_somebody_has_stopped_is_there_still() {
    for (owner, is_reaped) in [(Owner::Us(ServerNo(0)), 1), (Owner::Another, 0)] {
        let mut world = cloud();
        let mut stopped = found("cloud-0", owner);
        stopped.instance.state = InstanceState::Stopped;
        listed_for_long(&mut world, &[stopped]);
        assert_eq!(
            world.told(|what| matches!(what, What::ServerUnknown(_))),
            1,
            "{owner:?}"
        );
        assert_eq!(reaped(&world), is_reaped, "{owner:?}");
    }
    let mut world = cloud();
    let server = world.launch("cloud");
    let mut stopped = found(&server, Owner::Us(ServerNo(1)));
    stopped.instance.state = InstanceState::Stopped;
    world.pass(60);
    world.found("cloud", vec![stopped]);
    assert_eq!(
        world.phase_of(&server),
        "terminating",
        "it serves nobody, and its disks cost"
    );
}

#[test]
fn what_is_told_of_a_stranger_has_its_offer_and_price() {
    let mut world = cloud();
    let offer = Offer {
        instance_type: "c5a.2xlarge".into(),
        market: "spot".into(),
        zone: "a".into(),
        price_per_hour: Microdollars(120_000),
    };
    let stranger = Found {
        offer: Some(offer.clone()),
        ..found("cloud-0", Owner::Us(ServerNo(0)))
    };
    listed_for_long(&mut world, &[stranger]);
    let is_priced =
        |told: &ServerEvent| told.offer.as_ref() == Some(&offer) && told.price_per_hour == offer.price_per_hour;
    for (what, is) in [
        (
            "unknown",
            world.told(|what| matches!(what, What::ServerUnknown(told) if is_priced(told))),
        ),
        (
            "reaped",
            world.told(|what| matches!(what, What::ServerReaped(told) if is_priced(told))),
        ),
    ] {
        assert_eq!(is, 1, "{what}");
    }
    let adopted = Found {
        offer: Some(offer.clone()),
        ..newer("cloud-7", 7, 1)
    };
    world.pass(60);
    world.found("cloud", vec![adopted]);
    assert_eq!(
        world.told(|what| matches!(what, What::ServerAdopted(told) if is_priced(told))),
        1
    );
    assert_eq!(world.server("cloud-7").unwrap().price_per_hour, offer.price_per_hour);
}

#[test]
fn an_empty_store_launches_nothing_before_it_has_seen_what_exists() {
    let mut world = World::unlisted(config(vec![automatic("cloud")]));
    assert_eq!(world.grow("cloud", 1), ("refused", "not_listed_yet"));
    world.first_list(&id("cloud"), Vec::new());
    assert_eq!(world.grow("cloud", 1), ("accepted", ""));
    world.restart();
    assert_eq!(
        world.grow("cloud", 1),
        ("accepted", ""),
        "it is no new installation any more"
    );
}

#[test]
fn a_pool_that_an_empty_store_gets_later_is_looked_at_first_too() {
    let mut world = World::unlisted(config(vec![automatic("cloud")]));
    world.first_list(&id("cloud"), Vec::new());
    let both = config(vec![automatic("cloud"), automatic("second")]);
    world.observe(Observation::Configured(Box::new(both)));
    assert_eq!(world.grow("second", 1), ("refused", "not_listed_yet"));
    world.pass(1);
    let is_asked = |effect: &Effect| matches!(effect, Effect::List(pool) if *pool == id("second"));
    assert!(world.effects.iter().any(is_asked), "at once, not in a minute");
    world.found("second", vec![found("second-7", Owner::Another)]);
    assert_eq!(world.grow("second", 1), ("refused", "scaling_disabled"));
    assert_eq!(world.grow("cloud", 1), ("accepted", ""));
}

#[test]
fn an_empty_store_that_finds_servers_of_its_fleet_launches_nothing_until_it_is_told() {
    let mut pool = automatic("cloud");
    pool.guards.servers_min = 2;
    let mut world = World::unlisted(config(vec![pool]));
    world.first_list(&id("cloud"), vec![found("cloud-7", Owner::Another)]);
    world.pass(600);
    assert!(world.launches().is_empty(), "not even servers_min");
    assert_eq!(world.pool("cloud").code, "scaling_disabled");
    world.restart();
    world.first_list(&id("cloud"), vec![found("cloud-7", Owner::Another)]);
    world.pass(600);
    assert!(world.launches().is_empty(), "nor after a restart");
    world.command(Command::SetScaling(SetScaling {
        pool: id("cloud"),
        enabled: true,
    }));
    world.pass(10);
    assert_eq!(world.launches().len(), 2);
    assert!(world.now > Timestamp(START.0));
}

/// The newest list of a world whose store is an older copy: it has launched nothing yet.
fn newer(server: &str, no: u32, attempt: u32) -> Found {
    let mut newer = found(server, Owner::Us(ServerNo(no)));
    newer.key.attempt = Attempt(attempt);
    newer.instance.instance = format!("i-{no}-{attempt}");
    newer
}

#[test]
fn what_we_launched_after_the_store_was_saved_is_adopted_and_serves_once_it_is_heard() {
    let mut world = cloud();
    world.found("cloud", vec![newer("cloud-7", 7, 1)]);
    assert_eq!(world.told(|what| matches!(what, What::ServerAdopted(_))), 1);
    assert_eq!(world.told(|what| matches!(what, What::ServerUnknown(_))), 0);
    assert_eq!(world.phase_of("cloud-7"), "booting");
    assert_eq!(world.server("cloud-7").unwrap().instance.as_deref(), Some("i-7-1"));
    world.pass(3600);
    assert_eq!(world.phase_of("cloud-7"), "booting", "people may be on it");
    world.report("cloud-7", Report::default());
    assert_eq!(world.phase_of("cloud-7"), "ready");
    assert_eq!(world.pool("cloud").boot_seconds, None, "nobody saw it boot");
    assert_eq!(world.launch("cloud"), "cloud-8", "its number is not given out again");
}

#[test]
fn what_is_adopted_is_known_to_the_next_list_and_after_a_restart() {
    let mut world = cloud();
    listed_for_long(&mut world, &[newer("cloud-7", 7, 1)]);
    world.restart();
    listed_for_long(&mut world, &[newer("cloud-7", 7, 1)]);
    assert_eq!(world.told(|what| matches!(what, What::ServerAdopted(_))), 1);
    assert_eq!((world.phase_of("cloud-7"), reaped(&world)), ("booting", 0));
    world.remove("cloud-7", false);
    assert_eq!(
        (world.phase_of("cloud-7"), world.terminations("cloud-7")),
        ("terminating", 1)
    );
}

#[test]
fn of_two_attempts_the_newer_is_adopted_and_the_older_ended() {
    let mut world = cloud();
    for _ in 0..3 {
        world.found("cloud", vec![newer("cloud-7", 7, 1), newer("cloud-7", 7, 2)]);
        world.pass(60);
    }
    assert_eq!(world.server("cloud-7").unwrap().instance.as_deref(), Some("i-7-2"));
    let ended =
        |effect: &&Effect| matches!(effect, Effect::Terminate(order) if order.instance.as_deref() == Some("i-7-1"));
    assert_eq!((reaped(&world), world.effects.iter().filter(ended).count()), (1, 1));
    assert_eq!(world.phase_of("cloud-7"), "booting");
}

#[test]
fn an_empty_store_adopts_what_is_its_own_and_launches_nothing_until_told() {
    let mut world = World::unlisted(config(vec![automatic("cloud")]));
    world.found("cloud", vec![newer("cloud-7", 7, 1)]);
    assert_eq!(world.phase_of("cloud-7"), "booting");
    assert!(!world.pool("cloud").scaling_enabled);
    assert!(world.launches().is_empty());
}

#[test]
fn the_agent_of_one_that_was_adopted_keeps_its_token() {
    let mut world = cloud();
    world.found("cloud", vec![newer("cloud-7", 7, 1)]);
    let no = world.server_no("cloud-7");
    let mut used = |generation| {
        let server = id("cloud-7");
        match world.command(Command::UseToken(TokenNo { server, no, generation })) {
            Reply::Token(token) => Some(token.generation),
            _ => None,
        }
    };
    assert_eq!(used(3), Some(3));
    assert_eq!((used(2), used(0)), (None, None), "older ones were revoked");
    assert_eq!(used(3), Some(3));
}

#[test]
fn a_new_pool_is_looked_at_first_whatever_the_store_knows_besides() {
    let mut world = World::unlisted(config(vec![external("site"), automatic("cloud")]));
    world.register("site", "media-1");
    world.restart();
    assert_eq!(world.grow("cloud", 1), ("refused", "not_listed_yet"));
    world.first_list(&id("cloud"), Vec::new());
    assert_eq!(world.grow("cloud", 1), ("accepted", ""));
    let config = config(vec![external("site"), automatic("cloud"), automatic("other")]);
    world.observe(Observation::Configured(Box::new(config)));
    assert_eq!(world.grow("other", 1), ("refused", "not_listed_yet"));
}

#[test]
fn whatever_a_newer_copy_may_have_launched_is_never_ended_as_a_leftover() {
    let pools = vec![automatic("cloud"), automatic("other")];
    let mut world = World::new(config(pools));
    // Given out here and there: the newer copy's number 1 is another server.
    let server = world.launch("cloud");
    world.found(
        "cloud",
        vec![found(&server, Owner::Us(ServerNo(1))), newer("cloud-15", 15, 1)],
    );
    assert_eq!(world.phase_of("cloud-15"), "booting");
    for _ in 0..10 {
        world.pass(60);
        world.found(
            "other",
            vec![
                newer("other-1", 1, 1),
                newer("other-11", 11, 1),
                newer("other-12", 12, 1),
            ],
        );
    }
    assert_eq!(
        (world.phase_of("other-11"), world.phase_of("other-12")),
        ("booting", "booting")
    );
    assert_eq!((reaped(&world), world.phase_of("other-1")), (0, "gone"));
}

#[test]
fn a_later_attempt_than_the_books_have_is_left_alone() {
    let mut world = cloud();
    assert_eq!(world.grow("cloud", 1), ("accepted", ""));
    listed_for_long(&mut world, &[newer("cloud-1", 1, 2)]);
    assert_eq!(
        (
            reaped(&world),
            world.told(|what| matches!(what, What::ServerUnknown(_)))
        ),
        (0, 1)
    );
}

#[test]
fn nobody_waits_for_an_adopted_server_and_a_drain_waits_until_it_is_heard() {
    let mut world = cloud();
    world.found("cloud", vec![newer("cloud-7", 7, 1)]);
    world.place("a");
    assert_eq!(world.wait_of("a").1, WaitingFor::Capacity);
    world.drain("cloud-7", None);
    world.pass(600);
    assert_eq!(
        (world.phase_of("cloud-7"), world.terminations("cloud-7")),
        ("booting", 0)
    );
    world.report("cloud-7", Report::default());
    world.pass(1);
    assert_eq!(world.phase_of("cloud-7"), "terminating");
}

#[test]
fn where_nobody_reports_an_adopted_server_waits_for_an_operator() {
    let mut world = World::new(config(vec![PoolConfig {
        health: HealthSource::None,
        ..automatic("cloud")
    }]));
    world.found("cloud", vec![newer("cloud-7", 7, 1)]);
    assert_eq!(world.phase_of("cloud-7"), "ready");
    assert!(
        world.hold_of("cloud-7").is_some(),
        "it takes no rooms, and no policy lets it go"
    );
    world.uncordon("cloud-7");
    assert_eq!(world.hold_of("cloud-7"), None);
}

#[test]
fn an_adopted_server_that_ends_is_no_failed_boot() {
    let mut world = cloud();
    world.found(
        "cloud",
        vec![newer("cloud-7", 7, 1), newer("cloud-8", 8, 1), newer("cloud-9", 9, 1)],
    );
    let ended = |no| {
        let mut found = newer(&format!("cloud-{no}"), no, 1);
        found.instance.state = InstanceState::Ended;
        found
    };
    world.pass(60);
    world.found("cloud", vec![ended(7), ended(8), ended(9)]);
    assert_eq!(world.phase_of("cloud-7"), "terminating");
    assert_eq!(world.told(|what| matches!(what, What::CircuitOpened(_))), 0);
}
