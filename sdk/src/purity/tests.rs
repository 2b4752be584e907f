use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::{Growth, Label, ServerId, Shrinkage, Timestamp};

/// Makes a policy of a state and a function that places with it.
macro_rules! places {
    ($name:ident($state:ty) = $place:expr) => {
        struct $name($state);

        impl Policy for $name {
            const FIGURES: &'static [&'static str] = &["consumers"];
            type Settings = ();
            fn new(_: ()) -> Result<Self, String> {
                Ok($name(<$state>::default()))
            }
        }

        impl Place for $name {
            fn place(&self, room: &RoomRequest, fleet: &Fleet, moment: Moment) -> PlacementAdvice {
                let place: fn(&$state, &RoomRequest, &Fleet, Moment) -> PlacementAdvice = $place;
                place(&self.0, room, fleet, moment)
            }
        }
    };
}

fn fleet() -> Fleet {
    let server = |server: &mut crate::ServerSketch| {
        server.usage.rooms = server.row.id % 4;
        server.usage.seats = 20 * server.usage.rooms;
        server.usage.reported = 900;
        server.row.labels.push(Label::new("rack", "r1"));
        server.figures = vec![7];
    };
    Fleet::builder()
        .at(1_000)
        .pool("a", |pool| {
            pool.rooms_per_server = 10;
            pool.price_microdollars_per_hour = 348_000;
            pool.labels.push(Label::new("tier", "standard"));
        })
        .servers("a", 6, server)
        .pool("b", |pool| pool.region = "eu".into())
        .servers("b", 6, server)
        .build()
}

fn rooms() -> Vec<RoomRequest> {
    (0..10)
        .map(|room| RoomRequest::new(&format!("room-{room}"), 10 * room))
        .collect()
}

fn checked<P: Place>() -> Result<(), Impure> {
    check::<P>("{}", &fleet(), &rooms(), Moment::at(1_000))
}

#[track_caller]
fn differs<P: Place>(expected: &str) {
    match checked::<P>() {
        Err(Impure::Differs { when, .. }) => assert_eq!(when, expected),
        other => panic!("it is impure, and yet: {other:?}"),
    }
}

fn first_of(ids: impl Iterator<Item = ServerId>) -> PlacementAdvice {
    ids.take(1)
        .map(PlacementAdvice::on)
        .last()
        .unwrap_or_else(PlacementAdvice::defer)
}

places!(
    All(()) = |_, room, fleet, moment| {
        let mut chance = moment.chance();
        let fitting: Vec<_> = fleet.fitting(room.size()).map(crate::Server::id).collect();
        let figures: u32 = fleet.servers().filter_map(|server| server.figure(0)).sum();
        let labels = fleet.pools().map(|pool| pool.labels.len()).sum::<usize>();
        let prices: u32 = fleet.pools().map(|pool| pool.price_microdollars_per_hour).sum();
        let racks = fleet.servers().filter(|server| server.label("rack").is_some()).count();
        match chance.pick(&fitting) {
            Some(server) => PlacementAdvice::on(*server).because(format!("{figures} {labels} {prices} {racks}")),
            None => PlacementAdvice::defer(),
        }
    }
);

#[test]
fn a_policy_that_looks_at_everything_and_keeps_nothing_is_pure() {
    checked::<All>().unwrap();
    assert_pure::<All>("{}", &Fleet::default(), &rooms(), Moment::at(0));
    assert_pure::<All>("{}", &fleet(), &[], Moment::at(0));
}

#[test]
fn what_the_check_tells_is_the_fleet_of_the_test() {
    let fleet = fleet();
    let told = told::<All>("{}", &fleet, Moment::at(1_000)).unwrap();
    let mut lived = Instance::<All>::configure("{}", Level::Error).unwrap();
    History::of(&fleet, Moment::at(1_000))
        .live(&mut lived, |_, _| {})
        .unwrap();
    let shown = |fleet: &Fleet| {
        let servers: Vec<_> = fleet
            .servers()
            .map(|s| (s.row().clone(), *s.usage(), s.figure(0)))
            .collect();
        let pools: Vec<_> = fleet
            .pools()
            .map(|pool| (pool.clone(), fleet.pool_state(pool.id).cloned()))
            .collect();
        format!("{servers:?} {pools:?}")
    };
    assert_eq!(shown(told.fleet()), shown(&fleet));
    assert_eq!(shown(lived.fleet()), shown(&fleet));
}

places!(Counts(Cell<u32>) = |count, _, _, _| {
    count.set(count.get() + 1);
    PlacementAdvice::on(count.get())
});

#[test]
fn a_count_in_a_cell_is_found() {
    differs::<Counts>("when it is asked again");
}

places!(Sticks(Cell<Option<u32>>) = |last, room, _, _| {
    // The room before this one decides.
    let before = last.replace(Some(room.seats)).unwrap_or(room.seats);
    PlacementAdvice::on(before / 20)
});

#[test]
fn a_memory_of_the_room_before_is_found() {
    differs::<Sticks>("when it is asked again");
}

places!(
    Ordered(()) = |_, _, fleet, _| {
        let rooms: HashMap<ServerId, u32> = fleet
            .servers()
            .map(|server| (server.id(), server.usage().rooms))
            .collect();
        first_of(rooms.keys().copied())
    }
);

places!(OrderedOnce(RefCell<HashMap<ServerId, u32>>) = |rooms, _, fleet, _| {
    let mut rooms = rooms.borrow_mut();
    rooms.extend(fleet.servers().map(|server| (server.id(), server.usage().rooms)));
    first_of(rooms.keys().copied())
});

#[test]
fn the_order_of_a_hash_map_is_found() {
    assert!(matches!(checked::<Ordered>(), Err(Impure::Differs { .. })));
    differs::<OrderedOnce>("in a new instance");
}

places!(Caches(RefCell<BTreeMap<String, ServerId>>) = |cache, room, fleet, _| {
    let fullest = || fleet.fitting(room.size()).next().map_or(0, crate::Server::id);
    let id = *cache.borrow_mut().entry(room.room.clone()).or_insert_with(fullest);
    PlacementAdvice::on(id)
});

#[test]
fn a_cache_that_outlives_the_view_is_found() {
    differs::<Caches>("in an instance that saw the fleet change, and was asked all the while");
}

static CALLS: AtomicU32 = AtomicU32::new(0);
places!(Static(()) = |_, _, _, _| PlacementAdvice::on(CALLS.fetch_add(1, Ordering::Relaxed)));

#[test]
fn a_static_is_found() {
    differs::<Static>("when it is asked again");
}

/// Scales by what a function makes of its memory.
struct Scales<const RANDOM: bool> {
    turns: HashMap<Timestamp, u32>,
}

impl<const RANDOM: bool> Policy for Scales<RANDOM> {
    type Settings = ();
    fn new(_: ()) -> Result<Self, String> {
        Ok(Scales { turns: HashMap::new() })
    }
}

impl<const RANDOM: bool> Scales<RANDOM> {
    fn turn(&mut self, moment: Moment) -> u32 {
        self.turns.insert(moment.now, moment.now);
        if RANDOM {
            self.turns.keys().next().copied().unwrap_or(0)
        } else {
            self.turns.keys().sum()
        }
    }
}

impl<const RANDOM: bool> ScaleUp for Scales<RANDOM> {
    fn scale_up(&mut self, _: &Demand, _: &Fleet, moment: Moment) -> Vec<Growth> {
        let servers = self.turn(moment);
        vec![Growth {
            pool: 1,
            servers,
            reason: String::new(),
        }]
    }
}

impl<const RANDOM: bool> ScaleDown for Scales<RANDOM> {
    fn scale_down(&mut self, _: &Fleet, moment: Moment) -> Vec<Shrinkage> {
        vec![Shrinkage::keep_all(self.turn(moment))]
    }
}

#[test]
fn a_scale_decision_may_remember_but_not_by_chance() {
    let (fleet, demand, moment) = (fleet(), Demand::of(vec![]), Moment::at(1_000));
    check_scale_up::<Scales<false>>("{}", &fleet, &demand, moment).unwrap();
    check_scale_down::<Scales<false>>("{}", &fleet, moment).unwrap();
    let up = check_scale_up::<Scales<true>>("{}", &fleet, &demand, moment).unwrap_err();
    assert!(up.to_string().starts_with("`scale_up` at turn "), "{up}");
    assert!(check_scale_down::<Scales<true>>("{}", &fleet, moment).is_err());
}

#[test]
fn settings_that_are_refused_are_the_error() {
    let impure = check::<All>(r#"{"x":1}"#, &fleet(), &[], Moment::at(0)).unwrap_err();
    assert!(matches!(impure, Impure::Unasked(_)), "{impure}");
}
