use usher_fleet::ids::PlacementNo;

use super::*;
use crate::webhook::call::tests::{Story, arrives, at, id, leaves, lost, released, server};

/// Gathers for the first event of the story, and returns rooms with their states and servers, and the last event taken in.
fn gathered(log: &Story, now: Timestamp) -> Result<(Vec<String>, EventId), Timestamp> {
    let page = log.after(id(0), 1).unwrap();
    let (first, event) = &page.events[0];
    let found = gather(log, (*first, event), departure(&event.what).unwrap(), now).unwrap();
    match found {
        Gathered::Waits(until) => Err(until),
        Gathered::Settled(moves) => {
            let shown = |room: &MovedRoom| {
                let server = room.server.as_ref().map_or("-", |home| home.name.as_str());
                format!("{} {:?} {server}", room.room, room.state)
            };
            Ok((moves.rooms.iter().map(shown).collect(), moves.through))
        }
    }
}

#[test]
fn each_story_of_a_loss_ends_as_it_should() {
    let begun = |rooms| Story::default().then(1, lost("s", rooms)).then(2, leaves("a", "s"));
    let cases: [(&str, Story, &[&str], u64); 7] = [
        ("nobody was on it", Story::default().then(1, lost("s", 0)), &[], 1),
        (
            "released before it could move",
            Story::default().then(1, lost("s", 1)).then(2, released("a", Some("s"))),
            &[],
            2,
        ),
        (
            "it is ended with its loss, as its instance is gone",
            Story::default()
                .then(1, lost("s", 1))
                .and(What::ServerTerminating(server("s", 1)))
                .and(leaves("a", "s"))
                .then(2, arrives("a", "s", "t")),
            &["a Placed t"],
            2,
        ),
        (
            "released while it waits",
            begun(1).then(3, released("a", None)),
            &["a Released -"],
            3,
        ),
        (
            "another server's rooms are none of its",
            begun(1)
                .then(3, arrives("b", "t", "u"))
                .then(4, released("c", Some("t")))
                .then(5, arrives("a", "s", "t")),
            &["a Placed t"],
            5,
        ),
        (
            "its first new server is lost, too: that is told with that one",
            begun(2)
                .then(3, arrives("a", "s", "t"))
                .then(4, lost("t", 1))
                .then(5, leaves("a", "t"))
                .then(6, leaves("b", "s"))
                .then(7, arrives("b", "s", "u")),
            &["a Placed t", "b Placed u"],
            7,
        ),
        (
            "it came back, and is lost again with the room that had not moved",
            begun(2).then(3, arrives("a", "s", "t")).then(4, lost("s", 1)),
            &["a Placed t"],
            3,
        ),
    ];
    for (name, log, rooms, through) in cases {
        let (found, last) = gathered(&log, at(9)).unwrap_or_else(|until| panic!("{name}: waits until {until:?}"));
        assert_eq!(
            (found, last),
            (rooms.iter().map(ToString::to_string).collect(), id(through)),
            "{name}"
        );
    }
}

#[test]
fn it_waits_for_ten_seconds_of_the_logs_own_time_and_no_longer() {
    let log = Story::default()
        .then(1, lost("s", 2))
        .then(2, leaves("a", "s"))
        .then(3, leaves("b", "s"))
        .then(4, arrives("a", "s", "t"));
    assert_eq!(gathered(&log, at(11)), Err(at(11)));
    let waiting = (vec!["a Placed t".to_owned(), "b Moving -".to_owned()], id(4));
    assert_eq!(gathered(&log, at(12)), Ok(waiting.clone()));
    // A process that was down all the time finds the same.
    let later = log.then(60, arrives("b", "s", "t"));
    assert_eq!(gathered(&later, at(500)), Ok(waiting));
}

#[test]
fn a_drain_moves_nobody_unless_its_cloud_takes_the_machine_away() {
    let drain = |rooms| Story::default().then(1, What::ServerDraining(server("s", rooms)));
    assert_eq!(gathered(&drain(1), at(1)), Ok((Vec::new(), id(1))));
    let ended = drain(1).then(2, leaves("a", "s")).then(3, arrives("a", "s", "t"));
    assert_eq!(gathered(&ended, at(3)), Ok((Vec::new(), id(1))));
    let taken = drain(1).and(leaves("a", "s"));
    assert_eq!(gathered(&taken, at(2)), Err(at(11)));
    let taken = taken.then(3, arrives("a", "s", "t"));
    assert_eq!(gathered(&taken, at(3)), Ok((vec!["a Placed t".to_owned()], id(2))));
}

#[test]
fn a_forced_end_is_told_as_a_loss_and_an_empty_one_is_not() {
    let end = |rooms| What::ServerTerminating(server("s", rooms));
    assert!(departure(&end(0)).is_none());
    let log = Story::default()
        .then(1, end(1))
        .and(leaves("a", "s"))
        .and(arrives("a", "s", "t"));
    assert_eq!(gathered(&log, at(2)).unwrap().0, ["a Placed t"]);
}

#[test]
fn rooms_beyond_the_bound_are_left_to_be_told_by_themselves() {
    let rooms = u32::try_from(ROOMS_MAX).unwrap() + 5;
    let log = (0..rooms).fold(Story::default().then(1, lost("s", rooms)), |log, n| {
        log.and(leaves(&format!("room-{n}"), "s"))
    });
    let (found, through) = gathered(&log, at(2)).unwrap();
    assert_eq!(found.len(), ROOMS_MAX);
    assert_eq!(through, EventId::new(id(1).batch(), u32::try_from(ROOMS_MAX).unwrap()));
}

#[test]
fn a_busy_log_is_read_ahead_only_so_far() {
    let busy = (0..AHEAD_EVENTS_MAX + PAGE_EVENTS).fold(Story::default().then(1, lost("s", 1)), |log, _| {
        log.and(released("x", None))
    });
    let log = busy.and(leaves("a", "s"));
    assert_eq!(gathered(&log, at(2)).unwrap().0, Vec::<String>::new());
}

#[test]
fn a_new_placement_counts_and_not_the_one_that_ended() {
    let log = Story::default()
        .then(1, lost("s", 1))
        .and(leaves("a", "s"))
        .and(arrives("a", "s", "t"));
    let page = log.after(id(0), 1).unwrap();
    let (first, event) = &page.events[0];
    let found = gather(&log, (*first, event), departure(&event.what).unwrap(), at(2)).unwrap();
    let Gathered::Settled(moves) = found else { panic!() };
    assert_eq!(moves.rooms[0].placement, PlacementNo(2));
}
