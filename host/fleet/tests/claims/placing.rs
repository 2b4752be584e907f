//! The chain of place policies: deferral, faults, refusals, and what is recorded of each.

use usher_fleet::advice::Placement;
use usher_fleet::ids::ServerNo;
use usher_fleet::{Rejection, Reply};

use crate::world::{World, fault, first_fit, seats};

fn verdicts(world: &World) -> Vec<(&str, &str, &str)> {
    let made = world.decisions.iter();
    made.map(|made| (&*made.policy.name, made.verdict, made.code)).collect()
}

#[test]
fn the_first_that_does_not_defer_decides() {
    let mut world = World::with_servers(&["s1"]);
    world.chain.links = vec![
        Box::new(|_, _| Ok(Placement::Defer)),
        Box::new(first_fit),
        Box::new(|_, _| panic!("it is not asked")),
    ];
    world.place("room");
    assert_eq!(world.place_of("room"), "on s1");
    assert_eq!(
        verdicts(&world),
        [("link-0", "deferred", ""), ("link-1", "accepted", "")]
    );
}

#[test]
fn a_chain_that_only_defers_lets_the_room_wait() {
    let mut world = World::with_servers(&["s1"]);
    world.chain.links = vec![Box::new(|_, _| Ok(Placement::Defer))];
    world.place("room");
    assert_eq!(world.place_of("room"), "waiting");
}

#[test]
fn a_faulting_policy_is_followed_by_the_next_in_that_very_call() {
    let mut world = World::with_servers(&["s1"]);
    world.chain.links = vec![Box::new(|_, _| Err(fault())), Box::new(first_fit)];
    world.place("room");
    assert_eq!(world.place_of("room"), "on s1");
    assert_eq!(
        verdicts(&world),
        [("link-0", "fault", "trap"), ("link-1", "accepted", "")]
    );
    let decisions = &world.decisions;
    assert_eq!(
        decisions[0].reason.as_deref(),
        Some("it fell over"),
        "in the guest's own words"
    );
}

#[test]
fn a_policy_that_isolates_leaves_no_room_to_the_next_for_its_own_mistakes() {
    for isolates in [false, true] {
        let otherwise = if isolates { "waiting" } else { "on s1" };
        for (mistake, answer) in [
            ("a fault", Err(fault())),
            ("a server that is full", Ok(Placement::On(ServerNo(2)))),
            ("a server that is not there", Ok(Placement::On(ServerNo(99)))),
        ] {
            let mut world = World::with_servers(&["s1", "s2"]);
            for n in 0..10 {
                world.chain.links = vec![Box::new(|_, _| Ok(Placement::On(ServerNo(2))))];
                world.place(&format!("full-{n}"));
            }
            world.chain.links = vec![Box::new(move |_, _| answer.clone()), Box::new(first_fit)];
            world.chain.isolates = isolates;
            world.place("room");
            assert_eq!(world.place_of("room"), otherwise, "{mistake}");
        }
    }
}

#[test]
fn a_policy_that_isolates_may_still_defer() {
    let mut world = World::with_servers(&["s1"]);
    world.chain.links = vec![Box::new(|_, _| Ok(Placement::Defer)), Box::new(first_fit)];
    world.chain.isolates = true;
    world.place("room");
    assert_eq!(world.place_of("room"), "on s1");
}

#[test]
fn a_policy_may_refuse_a_room_and_its_words_are_passed_on() {
    let mut world = World::with_servers(&["s1"]);
    world.chain.links = vec![Box::new(|_, _| Ok(Placement::Reject)), Box::new(first_fit)];
    let reply = world.place("room");
    assert!(matches!(reply, Reply::Rejected(Rejection::Rejected { policy, .. }) if policy == "link-0"));
    assert_eq!(world.place_of("room"), "nowhere");
}

#[test]
fn every_kind_of_hold_keeps_rooms_away_and_lifting_it_lets_them_in() {
    let mut world = World::with_servers(&["s1"]);
    world.place("stays");
    for n in 0..2 {
        match n {
            0 => world.cordon("s1"),
            _ => world.drain("s1", None),
        };
        let room = format!("room-{n}");
        world.place_as(&room, seats(n + 1));
        assert_eq!(
            (world.place_of(&room).as_str(), world.place_of("stays").as_str()),
            ("waiting", "on s1")
        );
        world.uncordon("s1");
        assert_eq!(world.place_of(&room), "on s1");
    }
}

#[test]
fn a_policy_that_names_a_pool_to_wait_for_has_it_told_as_demand() {
    let mut world = World::with_servers(&[]);
    let pool = world.pool_no("site");
    world.chain.links = vec![Box::new(move |_, _| {
        Ok(Placement::Wait {
            pool: Some(pool),
            again_seconds: 0,
        })
    })];
    world.place("room");
    let ask = world.asked_anew(usher_fleet::advice::Direction::Up);
    assert_eq!(ask.demand.wants[0].pool, Some(pool));
}
