use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::*;
use crate::{Health, Hold, Phase};

const ROOM: Size = Size { seats: 50, load: 50 };

fn names<'a>(servers: impl Iterator<Item = &'a Server>) -> Vec<&'a str> {
    servers.map(Server::name).collect()
}

#[test]
fn the_fullest_with_room_comes_first_and_empty_ones_last() {
    let fleet = Fleet::builder()
        .pool("p", |pool| {
            pool.rooms_per_server = 10;
            pool.seats_per_server = 500;
        })
        .server("empty", |_| {})
        .server("half", |server| (server.usage.rooms, server.usage.seats) = (5, 250))
        .server("out of rooms", |server| server.usage.rooms = 10)
        .server("nine", |server| (server.usage.rooms, server.usage.seats) = (9, 90))
        .server("short of seats", |server| {
            (server.usage.rooms, server.usage.seats) = (1, 460)
        })
        .build();
    assert_eq!(names(fleet.fitting(ROOM)), ["nine", "half", "empty"]);
    assert_eq!(
        names(fleet.fitting(Size { seats: 40, load: 0 })),
        ["short of seats", "nine", "half", "empty"]
    );
    assert_eq!(names(fleet.fitting(Size { seats: 501, load: 0 })), [] as [&str; 0]);
}

#[test]
fn only_open_servers_are_offered() {
    let fleet = Fleet::builder()
        .pool("p", |pool| pool.rooms_per_server = 10)
        .server("starting", |server| server.usage.phase = Phase::Starting)
        .server("ending", |server| server.usage.phase = Phase::Ending)
        .server("cordoned", |server| server.usage.hold = Hold::Cordoned)
        .server("draining", |server| server.usage.hold = Hold::Draining)
        .server("leaving", |server| server.usage.hold = Hold::Leaving)
        .server("silent", |server| server.usage.health = Health::Silent)
        .server("nobody looks", |server| server.usage.health = Health::Unknown)
        .build();
    assert_eq!(names(fleet.fitting(ROOM)), ["nobody looks"]);
}

#[test]
fn the_index_agrees_with_a_look_at_every_server() {
    let mut chance = chances();
    let mut fleet = Fleet::default();
    for step in 0..4_000_u32 {
        let id = 1 + chance(60);
        match chance(10) {
            0 => fleet.apply(step, Change::ServerRemoved(id)),
            1 => {
                let pool = Pool {
                    id: 1 + chance(3),
                    ..Fleet::builder().pool("p", |_| {}).build().pools[0].pool.clone()
                };
                let region = ["east", "west"][chance(2) as usize].into();
                fleet.apply(step, Change::PoolSet(Pool { region, ..pool }));
            }
            2 => fleet.apply(step, Change::PoolRemoved(1 + chance(3))),
            3 | 4 => {
                let maxima = [chance(4) * 5, chance(4) * 200, chance(4) * 300];
                let [rooms_max, seats_max, load_max] = maxima;
                let row = ServerRow {
                    pool: 1 + chance(3),
                    rooms_max,
                    seats_max,
                    load_max,
                    ..row_of(id)
                };
                fleet.apply(step, Change::ServerSet(row));
            }
            _ => {
                if let Some(usage) = fleet.server(id).map(|server| *server.usage()) {
                    let phase = [Phase::Ready, Phase::Ready, Phase::Ready, Phase::Starting][chance(4) as usize];
                    let (rooms, seats, load) = (chance(12), chance(500), chance(700));
                    fleet
                        .set_usage(Usage {
                            phase,
                            rooms,
                            seats,
                            load,
                            ..usage
                        })
                        .unwrap();
                }
            }
        }
        let size = Size {
            seats: chance(120),
            load: chance(200),
        };
        let region = ["", "east", "west"][chance(3) as usize];
        let found: Vec<_> = fleet.fitting(size).in_region(region).map(Server::id).collect();
        let in_region = |server: &&Server| {
            fleet
                .pool(server.pool_id())
                .is_some_and(|pool| region.is_empty() || pool.region == region)
        };
        let fitting = fleet.servers().filter(in_region).filter(|server| server.fits(size));
        let mut expected: Vec<_> = fitting.collect();
        expected.sort_by_key(|server| {
            let (left, rooms) = (server.left(), server.usage().rooms);
            let in_pool = (left.seats, left.load, Reverse(rooms), server.id());
            (Reverse(server.fullness()), server.pool_id(), in_pool)
        });
        let expected: Vec<_> = expected.into_iter().map(Server::id).collect();
        assert_eq!(found, expected, "step {step}");
    }
}

#[test]
fn a_pool_may_carry_what_it_or_a_server_of_it_has_the_label_for_and_no_other() {
    let mut chance = chances();
    let mut fleet = Fleet::default();
    let blank = Fleet::builder().pool("p", |_| {}).build().pools[0].pool.clone();
    let labels = |which: u32| {
        let all = [
            Label::new("gpu", "a100"),
            Label::new("gpu", "t4"),
            Label::new("disk", "ssd"),
        ];
        all.into_iter()
            .enumerate()
            .filter(move |(at, _)| which >> at & 1 == 1)
            .map(|(_, label)| label)
    };
    let of = |found: &[Label], key| found.iter().any(|label| label.key == key);
    let mut known = [0; 2];
    for step in 0..4_000_u32 {
        let (id, pool) = (1 + chance(12), 1 + chance(3));
        match chance(8) {
            0 => fleet.apply(step, Change::PoolRemoved(pool)),
            1 | 2 => {
                let labels = labels(chance(8) & chance(8)).collect();
                fleet.apply(
                    step,
                    Change::PoolSet(Pool {
                        id: pool,
                        labels,
                        ..blank.clone()
                    }),
                );
            }
            3 | 4 => fleet.apply(step, Change::ServerRemoved(id)),
            _ => {
                let labels = labels(chance(8) & chance(8)).collect();
                fleet.apply(
                    step,
                    Change::ServerSet(ServerRow {
                        pool,
                        labels,
                        ..row_of(id)
                    }),
                );
            }
        }
        for (key, value) in [("gpu", "a100"), ("gpu", "t4"), ("disk", "ssd")] {
            let wanted = [
                Label::new("kind", "webinar"),
                Label::new(&format!("require.{key}"), value),
            ];
            for pool in fleet.pools() {
                let mut servers = fleet.servers().filter(|server| server.pool_id() == pool.id);
                let expected = pool.label(key) == Some(value) || servers.any(|server| of(&server.row().labels, key));
                assert_eq!(fleet.may_carry(pool, &wanted), expected, "step {step}");
                known[usize::from(expected)] += 1;
                assert!(fleet.may_carry(pool, &wanted[..1]), "nothing is required");
            }
            let is_missed = |server: &Server| {
                let pool = fleet.pool(server.pool_id());
                fleet.carries(server, &wanted) && pool.is_some_and(|pool| !fleet.may_carry(pool, &wanted))
            };
            assert!(!fleet.servers().any(is_missed), "step {step}");
        }
    }
    assert!(known.iter().all(|known| *known > 1_000), "both were seen: {known:?}");
}

#[test]
fn a_server_is_found_by_its_id_however_many_came_and_went() {
    let mut chance = chances();
    let mut fleet = Fleet::default();
    let mut known = BTreeSet::new();
    let mut newest = 0;
    for step in 0..6_000_u32 {
        // The fleet grows, shrinks to almost nothing, and grows again; ids are left out, as those are that went before we looked.
        let is_growing = step / 1_000 % 2 == 0;
        if chance(10) < if is_growing { 7 } else { 2 } {
            newest += 1 + chance(3);
            fleet.apply(step, Change::ServerSet(row_of(newest)));
            known.insert(newest);
        } else {
            let id = chance(newest + 2);
            fleet.apply(step, Change::ServerRemoved(id));
            known.remove(&id);
        }
        let id = chance(newest + 2);
        assert_eq!(fleet.server(id).map(Server::id), known.get(&id).copied(), "step {step}");
        assert_eq!(fleet.servers_len(), known.len());
    }
    assert!(fleet.servers().map(Server::id).eq(known));
    fleet.apply(0, Change::ServerSet(row_of(u32::MAX)));
    fleet.apply(0, Change::ServerSet(row_of(0)));
    assert_eq!(
        [0, u32::MAX].map(|id| fleet.server(id).map(Server::id)),
        [Some(0), Some(u32::MAX)]
    );
}

/// Numerical Recipes' generator: the same worlds at each run.
fn chances() -> impl FnMut(u32) -> u32 {
    let mut seed = 1_u32;
    move |below| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) % below
    }
}

fn row_of(id: ServerId) -> ServerRow {
    let fleet = Fleet::builder().pool("p", |_| {}).server("s", |_| {}).build();
    let row = fleet.server(1).unwrap().row().clone();
    ServerRow { id, ..row }
}

#[test]
fn a_server_is_empty_since_the_host_says_so_and_nobody_is_on_it() {
    let fleet = Fleet::builder()
        .at(900)
        .pool("p", |_| {})
        .server("never had a room", |server| server.usage.since = 100)
        .server("had one", |server| server.usage.empty_since = 700)
        .server("has one", |server| server.usage.rooms = 1)
        .server("has people that Usher does not know", |server| {
            (server.usage.reported, server.usage.participants) = (890, 3);
        })
        .build();
    let empty_since = |id| fleet.server(id).unwrap().empty_since();
    assert_eq!([1, 2, 3, 4].map(empty_since), [Some(100), Some(700), None, None]);
}

#[test]
fn verdicts_are_bounded_and_the_oldest_give_way() {
    let mut fleet = Fleet::default();
    for decision in 0..VERDICTS_MAX as u32 + 5 {
        let (subject, outcome) = (Subject::Launch(1), Outcome::Refused);
        let verdict = Verdict {
            decision,
            subject,
            outcome,
            count: 1,
            code: "servers_max".into(),
            until: 0,
        };
        fleet.apply(1, Change::Verdict(verdict));
    }
    assert_eq!(fleet.launch_verdicts().count(), VERDICTS_MAX);
    assert_eq!(fleet.launch_verdicts().next().map(|verdict| verdict.decision), Some(5));
    assert!(fleet.launch_verdicts().all(Verdict::is_setback));
    assert_eq!(fleet.retire_verdicts().count(), 0);
}

#[test]
fn a_usage_without_its_server_is_an_error() {
    let mut fleet = Fleet::builder().pool("p", |_| {}).server("a", |_| {}).build();
    let usage = *fleet.server(1).unwrap().usage();
    assert_eq!(
        fleet.set_usage(Usage { id: 9, ..usage }).unwrap_err(),
        "usage of server 9, which was never set"
    );
    assert!(
        fleet
            .set_figure(Figure {
                server: 9,
                figure: 0,
                value: 1
            })
            .is_err()
    );
}

#[test]
fn what_was_never_reported_is_none() {
    let fleet = Fleet::builder()
        .pool("p", |_| {})
        .server("quiet", |server| server.usage.cpu_permille = 700)
        .server("loud", |server| {
            (server.usage.reported, server.usage.cpu_permille) = (90, 700);
            server.figures = vec![12];
        })
        .build();
    let [quiet, loud] = ["quiet", "loud"].map(|name| fleet.server_named(name).unwrap());
    assert_eq!(
        (quiet.cpu_permille(), quiet.egress_kbps(), quiet.figure(0)),
        (None, None, None)
    );
    assert_eq!(
        (loud.cpu_permille(), loud.egress_kbps(), loud.figure(0), loud.figure(1)),
        (Some(700), None, Some(12), None)
    );
}

#[test]
fn texts_are_the_same_where_all_their_bytes_are() {
    let texts = [
        "",
        "a",
        "b",
        "ab",
        "us-east-1",
        "us-east-2",
        "ut-east-1",
        "eu-north-1",
        "eightbyt",
        "eightbyT",
        "sixteenbytes-abc",
        "sixteenByteS-abc",
    ];
    for one in texts {
        for other in texts {
            assert_eq!(is_same(one, other), one == other, "{one:?} and {other:?}");
        }
    }
}
