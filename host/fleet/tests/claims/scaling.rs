//! The chain of scale policies: who speaks for which pool, what a fault means, what is heeded, what is told back.

use std::collections::BTreeSet;
use std::time::Duration;

use usher_fleet::advice::{Direction, Growth, Retirement, ScaleAdvice, Shrinkage, Subject, VerdictOutcome, VerdictRow};
use usher_fleet::config::PoolGuards;
use usher_fleet::decision::Advised;
use usher_fleet::ids::{DecisionNo, PoolNo, ServerNo};
use usher_fleet::observation::ProviderError;

use crate::world::{World, automatic, config, fault, guarded, of_tenant, policy, seats};

fn two_pools() -> World {
    let guards = PoolGuards {
        server_life_min: Duration::ZERO,
        scale_down_cooldown: Duration::ZERO,
        ..PoolGuards::default()
    };
    let mut world = World::new(config(vec![guarded("a", guards.clone()), guarded("b", guards)]));
    world.mute = Some(Default::default());
    world
}

fn servers(world: &World, pool: &str) -> u32 {
    world.pool(pool).servers_starting + world.pool(pool).servers_ready
}

/// What is told of a decision with the questions of the next tick.
fn verdicts_of(world: &mut World, decision: DecisionNo) -> Vec<VerdictRow> {
    let told = world.asked_verdicts().into_iter().map(|verdict| verdict.row);
    told.filter(|row| row.decision == decision).collect()
}

#[test]
fn an_answer_speaks_only_for_the_pools_that_it_names() {
    let mut world = two_pools();
    let ask = world.asked(Direction::Up);
    let nothing_in_a = world.growth("a", 0);
    world.answer(&ask, Ok(ScaleAdvice::Up(vec![nothing_in_a])), false);
    let next = world.asked(Direction::Up);
    assert_eq!((next.decision, next.link), (ask.decision, 1));
    let more = vec![world.growth("a", 2), world.growth("b", 1)];
    world.answer(&next, Ok(ScaleAdvice::Up(more)), true);
    assert_eq!(
        (servers(&world, "a"), servers(&world, "b")),
        (0, 1),
        "0 is an answer too"
    );
}

#[test]
fn rows_of_one_answer_for_a_pool_count_together_and_are_decided_once() {
    let mut world = two_pools();
    let ask = world.asked(Direction::Up);
    let growth = |pool, servers, reason: &str| Growth {
        reason: reason.into(),
        ..world.growth(pool, servers)
    };
    let rows = vec![
        growth("a", 0, "two rooms fit"),
        growth("b", 1, "a room waits"),
        growth("a", 1, "a tenant waits"),
        growth("a", 2, "a region waits"),
    ];
    world.answer(&ask, Ok(ScaleAdvice::Up(rows)), true);
    assert_eq!((servers(&world, "a"), servers(&world, "b")), (3, 1));
    let decided: Vec<_> = world
        .decisions
        .iter()
        .filter(|decision| decision.no == ask.decision)
        .map(|decision| (decision.advice.clone(), decision.reason.as_deref()))
        .collect();
    assert_eq!(
        decided,
        [
            (Advised::Launch(3), Some("a tenant waits")),
            (Advised::Launch(1), Some("a room waits"))
        ],
        "in the order of the first rows, for the reason of the first that asks for servers"
    );
    let told: Vec<_> = verdicts_of(&mut world, ask.decision)
        .iter()
        .map(|row| (row.outcome, row.count))
        .collect();
    assert_eq!(told, [(VerdictOutcome::Accepted, 3), (VerdictOutcome::Accepted, 1)]);
}

#[test]
fn rows_of_one_answer_that_let_servers_of_a_pool_go_count_together() {
    let guards = PoolGuards {
        server_life_min: Duration::ZERO,
        scale_down_cooldown: Duration::from_secs(60),
        ..PoolGuards::default()
    };
    let mut world = World::new(config(vec![guarded("a", guards)]));
    let (first, second) = (world.launch("a"), world.launch("a"));
    let ask = world.asked_anew(Direction::Down);
    let rows = vec![world.shrinkage("a", &[&first]), world.shrinkage("a", &[&second])];
    world.answer(&ask, Ok(ScaleAdvice::Down(rows)), true);
    let told: Vec<_> = verdicts_of(&mut world, ask.decision)
        .iter()
        .map(|row| (row.outcome, row.code))
        .collect();
    assert_eq!(
        told,
        [(VerdictOutcome::Accepted, ""); 2],
        "they go at once, as in one list"
    );
}

#[test]
fn a_pool_that_was_spoken_for_stays_as_it_is_however_often_it_is_named() {
    let mut world = two_pools();
    let ask = world.asked(Direction::Up);
    let one = world.growth("a", 1);
    assert!(ask.spoken_for.is_empty());
    world.answer(&ask, Ok(ScaleAdvice::Up(vec![one.clone()])), false);
    let next = world.asked(Direction::Up);
    assert!(next.spoken_for.iter().eq([&one.pool]), "{:?}", next.spoken_for);
    let again = vec![one.clone(), world.growth("b", 1), one];
    world.answer(&next, Ok(ScaleAdvice::Up(again)), true);
    assert_eq!((servers(&world, "a"), servers(&world, "b")), (1, 1));
}

#[test]
fn of_an_endless_answer_a_thousand_rows_are_read() {
    let mut world = two_pools();
    let ask = world.asked(Direction::Up);
    let wild = Growth {
        servers: u32::MAX,
        ..world.growth("b", 0)
    };
    let mut rows = vec![wild; 2];
    rows.resize(1_000_000, world.growth("a", 1));
    world.answer(&ask, Ok(ScaleAdvice::Up(rows)), true);
    let decided = |world: &World, no| {
        let of_it = world.decisions.iter().filter(move |decision| decision.no == no);
        of_it.map(|decision| decision.advice.clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        decided(&world, ask.decision),
        [Advised::Launch(u32::MAX), Advised::Launch(998)]
    );
    let ask = world.asked(Direction::Down);
    let wild = Retirement {
        server: ServerNo(77),
        reason: String::new(),
    };
    let shrinkage = |pool| Shrinkage {
        pool,
        servers: vec![wild.clone(); 600],
    };
    let pools = [world.pool_no("a"), world.pool_no("b")].into_iter().cycle();
    let rows = pools.map(shrinkage).take(10_000).collect();
    world.answer(&ask, Ok(ScaleAdvice::Down(rows)), true);
    assert_eq!(decided(&world, ask.decision), vec![Advised::Unknown(77); 1000]);
}

#[test]
fn the_next_in_the_chain_sees_as_starting_what_was_ordered_before_it() {
    let mut world = two_pools();
    world.place("room");
    let ask = world.asked_anew(Direction::Up);
    let cursor = world.fleet.cursor();
    let growth = world.growth("a", 1);
    world.answer(&ask, Ok(ScaleAdvice::Up(vec![growth])), false);
    let next = world.asked(Direction::Up);
    assert_eq!(next.demand, ask.demand);
    let changes: Vec<_> = world.fleet.changes_since(cursor).collect();
    assert!(
        changes
            .iter()
            .any(|change| matches!(change, usher_fleet::ViewChange::ServerSet(row) if row.name.as_str() == "a-1"))
    );
}

#[test]
fn a_fault_going_up_lets_the_next_answer() {
    let mut world = two_pools();
    let ask = world.asked(Direction::Up);
    world.answer(&ask, Err(fault()), false);
    let next = world.asked(Direction::Up);
    assert_eq!(next.link, 1);
    let growth = world.growth("a", 1);
    world.answer(&next, Ok(ScaleAdvice::Up(vec![growth])), true);
    assert_eq!(servers(&world, "a"), 1);
}

#[test]
fn a_fault_going_down_keeps_all_for_that_tick() {
    let mut world = two_pools();
    let server = world.launch("a");
    let ask = world.asked(Direction::Down);
    world.answer(&ask, Err(fault()), false);
    let shrinkage = world.shrinkage("a", &[&server]);
    let late = usher_fleet::advice::ScaleAsk { link: 1, ..ask.clone() };
    world.answer(&late, Ok(ScaleAdvice::Down(vec![shrinkage])), true);
    assert_eq!(
        world.hold_of(&server),
        None,
        "the next is not asked, and not heeded if it speaks"
    );
    assert_eq!(
        world.shrink("a", &[&server]),
        ("accepted", ""),
        "the next tick is another"
    );
}

#[test]
fn an_empty_list_going_down_is_an_answer_too() {
    let mut world = two_pools();
    let server = world.launch("a");
    let ask = world.asked(Direction::Down);
    let keep = world.shrinkage("a", &[]);
    world.answer(&ask, Ok(ScaleAdvice::Down(vec![keep])), false);
    let next = world.asked(Direction::Down);
    assert_eq!((next.decision, next.link), (ask.decision, 1));
    let shrinkage = world.shrinkage("a", &[&server]);
    world.answer(&next, Ok(ScaleAdvice::Down(vec![shrinkage])), true);
    assert_eq!(world.hold_of(&server), None);
}

#[test]
fn an_answer_to_a_decision_that_was_given_up_is_not_heeded() {
    let mut world = two_pools();
    let old = world.asked(Direction::Up);
    world.pass(20);
    let new = world.asked(Direction::Up);
    assert_ne!(old.decision, new.decision);
    let growth = world.growth("a", 5);
    world.answer(&old, Ok(ScaleAdvice::Up(vec![growth.clone()])), true);
    assert_eq!(servers(&world, "a"), 0);
    world.answer(&new, Ok(ScaleAdvice::Up(vec![growth.clone()])), true);
    assert_eq!(servers(&world, "a"), 5);
    world.answer(&new, Ok(ScaleAdvice::Up(vec![growth])), true);
    assert_eq!(servers(&world, "a"), 5, "nor is the same answer twice");
}

#[test]
fn what_was_clamped_refused_or_failed_is_told_with_the_next_question() {
    let mut world = two_pools();
    let ask = world.asked(Direction::Up);
    let growth = world.growth("a", 99);
    world.answer(&ask, Ok(ScaleAdvice::Up(vec![growth])), true);
    let next = world.asked_verdicts();
    let rows: Vec<_> = next
        .iter()
        .filter(|verdict| verdict.row.decision == ask.decision)
        .collect();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].policy, policy(0));
    let row = &rows[0].row;
    assert_eq!(
        (row.outcome, row.count, row.code),
        (VerdictOutcome::Clamped, 10, "servers_max")
    );
    assert_eq!(row.subject, Subject::Launch(world.pool_no("a")));
    world.launched("a-1", Err(ProviderError::NoCapacity("none".into())));
    let told = world.asked_verdicts();
    let failed = told
        .iter()
        .find(|verdict| verdict.row.outcome == VerdictOutcome::Failed);
    let row = &failed.expect("the failed launch is told").row;
    assert_eq!((row.code, row.decision), ("no_capacity", ask.decision));
    assert!(row.until >= world.now.seconds(), "and until when it is certain");
    assert!(world.asked_verdicts().is_empty(), "each once");
}

#[test]
fn demand_is_told_in_groups_the_oldest_first_and_counts_all() {
    let mut world = two_pools();
    for n in 0..3 {
        world.place_as(&format!("acme-{n}"), of_tenant("acme"));
    }
    world.place_as("small", seats(2));
    world.place_as("large", seats(9));
    let demand = world.asked_anew(Direction::Up).demand;
    let told: Vec<_> = demand
        .wants
        .iter()
        .map(|want| (want.tenant.as_str(), want.rooms, want.seats, want.seats_largest))
        .collect();
    assert_eq!(told, [("acme", 3, 150, 50), ("", 2, 11, 9)]);
    assert_eq!((demand.waiting_rooms, demand.waiting_seats), (5, 161));
    assert_eq!((demand.rooms_last_minute, demand.seats_last_minute), (5, 161));
    world.pass(120);
    assert_eq!(world.asked_anew(Direction::Up).demand.rooms_last_minute, 0);
}

#[test]
fn both_ways_are_asked_in_each_tick() {
    let mut world = two_pools();
    world.asked_verdicts();
    assert_eq!(world.is_asking(), None);
    for _ in 0..3 {
        world.pass(5);
        let mut ways = BTreeSet::new();
        while let Some(way) = world.is_asking() {
            let ask = world.asked(way);
            assert_eq!(ask.now, world.now);
            let nothing = match way {
                Direction::Up => ScaleAdvice::Up(Vec::new()),
                Direction::Down => ScaleAdvice::Down(Vec::new()),
            };
            world.answer(&ask, Ok(nothing), true);
            assert!(ways.insert(way), "each once");
        }
        assert_eq!(ways, [Direction::Up, Direction::Down].into());
    }
}

#[test]
fn a_pool_that_does_not_exist_is_refused_recorded_and_told() {
    let mut world = World::new(config(vec![automatic("a")]));
    let ask = world.asked(Direction::Up);
    let mut growth = world.growth("a", 1);
    growth.pool.0 = 77;
    world.answer(&ask, Ok(ScaleAdvice::Up(vec![growth])), true);
    let last = world.decisions.last().unwrap();
    assert_eq!((last.verdict, last.code), ("refused", "unknown_pool"));
    assert_eq!(
        verdicts_of(&mut world, ask.decision),
        [VerdictRow {
            decision: ask.decision,
            subject: Subject::Launch(PoolNo(77)),
            outcome: VerdictOutcome::Refused,
            count: 0,
            code: "unknown_pool",
            until: 0,
        }]
    );
}

#[test]
fn servers_of_a_pool_that_does_not_exist_stay_and_each_is_told() {
    let mut world = two_pools();
    let server = world.launch("a");
    let ask = world.asked_anew(Direction::Down);
    let mut shrinkage = world.shrinkage("a", &[&server, &server]);
    shrinkage.pool.0 = 77;
    shrinkage.servers[1].server.0 = 78;
    let mut keep = world.shrinkage("a", &[]);
    keep.pool.0 = 79;
    world.answer(&ask, Ok(ScaleAdvice::Down(vec![shrinkage, keep])), true);
    assert_eq!(world.hold_of(&server), None);
    let codes: Vec<_> = world
        .decisions
        .iter()
        .rev()
        .map(|made| (made.verdict, made.code))
        .collect();
    assert_eq!(codes[..2], [("refused", "unknown_pool"); 2]);
    let told: Vec<_> = verdicts_of(&mut world, ask.decision)
        .iter()
        .map(|row| (row.subject, row.outcome, row.count, row.code))
        .collect();
    let refused = |no| (Subject::Retire(no), VerdictOutcome::Refused, 1, "unknown_pool");
    assert_eq!(
        told,
        [refused(world.server_no(&server)), refused(ServerNo(78))],
        "to keep all is no order"
    );
}
