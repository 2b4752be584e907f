//! The numbers that servers report by name, for policies: what each reader of the view knows of them, whenever it began to look.

use std::collections::BTreeMap;
use std::sync::Arc;

use usher_fleet::observation::Report;
use usher_fleet::view::{Cursor, ViewChange};

use crate::world::{World, config, external};

/// What a reader of the view knows, by changes alone.
#[derive(Default)]
struct Reader {
    cursor: Cursor,
    figures: BTreeMap<Arc<str>, u32>,
}

impl Reader {
    /// Reads on, and returns what it knows now; there is one server.
    fn read(&mut self, world: &World) -> Vec<(&str, u32)> {
        for change in world.fleet.changes_since(self.cursor) {
            match change {
                ViewChange::Figure(row) => {
                    self.figures.insert(row.name, row.value);
                }
                ViewChange::ServerRemoved(_) => self.figures.clear(),
                ViewChange::PoolSet(_)
                | ViewChange::PoolState(_)
                | ViewChange::PoolRemoved(_)
                | ViewChange::ServerSet(_)
                | ViewChange::Usage(_) => {}
            }
        }
        self.cursor = world.fleet.cursor();
        self.figures.iter().map(|(name, value)| (&**name, *value)).collect()
    }
}

fn world() -> World {
    let mut world = World::new(config(vec![external("site")]));
    world.register("site", "s1");
    world
}

fn report(world: &mut World, figures: &[(&str, u32)]) {
    let report = Report {
        figures: figures.iter().map(|(name, value)| ((*name).into(), *value)).collect(),
        ..Report::default()
    };
    world.report("s1", report);
}

#[track_caller]
fn assert_everyone_knows(world: &World, old: &mut Reader, figures: &[(&str, u32)]) {
    assert_eq!(old.read(world), figures, "who has looked all the time");
    assert_eq!(Reader::default().read(world), figures, "who begins to look now");
}

#[test]
fn a_figure_that_is_left_out_stands_for_every_reader_until_another_value_comes() {
    let mut world = world();
    let mut old = Reader::default();
    report(&mut world, &[("consumers", 7), ("stress", 300)]);
    assert_everyone_knows(&world, &mut old, &[("consumers", 7), ("stress", 300)]);
    report(&mut world, &[("stress", 400)]);
    assert_everyone_knows(&world, &mut old, &[("consumers", 7), ("stress", 400)]);
    report(&mut world, &[]);
    assert_everyone_knows(&world, &mut old, &[("consumers", 7), ("stress", 400)]);
    report(&mut world, &[("consumers", 0)]);
    assert_everyone_knows(&world, &mut old, &[("consumers", 0), ("stress", 400)]);
}

#[test]
fn figures_go_with_their_server() {
    let mut world = world();
    let mut old = Reader::default();
    report(&mut world, &[("consumers", 7)]);
    assert_everyone_knows(&world, &mut old, &[("consumers", 7)]);
    world.remove("s1", true);
    assert_everyone_knows(&world, &mut old, &[]);
    world.register("site", "s1");
    report(&mut world, &[]);
    assert_everyone_knows(&world, &mut old, &[]);
}

#[test]
fn a_server_has_64_figures_at_most_and_those_that_it_has_go_on() {
    let mut world = world();
    let mut old = Reader::default();
    let names: Vec<String> = (0..100).map(|n| format!("figure-{n:02}")).collect();
    let of = |value| names.iter().map(move |name| (name.as_str(), value));
    for (from, until, value) in [(0, 60, 1), (60, 100, 2), (0, 60, 3)] {
        let some: Vec<_> = of(value).take(until).skip(from).collect();
        report(&mut world, &some);
    }
    let expected: Vec<_> = of(3).take(60).chain(of(2).take(64).skip(60)).collect();
    assert_everyone_knows(&world, &mut old, &expected);
}
