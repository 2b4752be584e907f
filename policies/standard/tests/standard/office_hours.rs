//! A week with the windows of `examples/office-hours.toml`, on one pool that boots in a minute and a half.

use usher_sdk::{Phase, Timestamp};

use crate::cloud::{BOOT_SECONDS, Cloud, Room, TICK_SECONDS};

const OFFICE_HOURS: &str = include_str!("../../examples/office-hours.toml");

/// 2026-06-28T22:00:00Z: in Berlin a Monday begins.
const MONDAY: Timestamp = 1_782_684_000;
const HOUR: Timestamp = 3_600;
const DAY: Timestamp = 24 * HOUR;

/// Lets time pass until then, without rooms.
fn pass(cloud: &mut Cloud, until: Timestamp) {
    while cloud.now < until {
        cloud.tick(&[]);
    }
}

/// Lets so many rooms come at once, of so many minutes.
fn rooms(cloud: &mut Cloud, count: usize, minutes: u32) {
    let room = Room {
        asked: cloud.now,
        ends: cloud.now + minutes * 60,
        says_when: true,
    };
    cloud.tick(&vec![room; count]);
}

fn ready(cloud: &Cloud) -> usize {
    let is_ready = |phase: Phase| phase == Phase::Ready;
    cloud
        .servers
        .values()
        .filter(|machine| is_ready(machine.usage.phase))
        .count()
}

fn longest_wait(cloud: &Cloud) -> u32 {
    cloud.waits.iter().copied().max().unwrap()
}

#[test]
fn twenty_rooms_at_eight_find_their_servers_ready_and_nobody_waits_all_day() {
    let mut cloud = Cloud::new(OFFICE_HOURS, MONDAY);
    pass(&mut cloud, MONDAY + 7 * HOUR + 50 * 60);
    assert_eq!(cloud.servers.len(), 0, "the night costs nothing");
    pass(&mut cloud, MONDAY + 8 * HOUR);
    assert_eq!(ready(&cloud), 2, "as early as an unknown boot needs");
    for hour in 8..17 {
        pass(&mut cloud, MONDAY + hour * HOUR);
        rooms(&mut cloud, 20, 50);
    }
    assert_eq!((cloud.waits.len(), longest_wait(&cloud)), (180, 0));
    pass(&mut cloud, MONDAY + 18 * HOUR - TICK_SECONDS);
    assert_eq!(ready(&cloud), 2, "what a window needs stays to its end");
    pass(&mut cloud, MONDAY + 18 * HOUR + 2 * TICK_SECONDS);
    assert_eq!(cloud.servers.len(), 0, "and goes with it");

    let mut without = Cloud::new("", MONDAY + 8 * HOUR);
    rooms(&mut without, 20, 50);
    pass(&mut without, MONDAY + 9 * HOUR);
    assert!(
        longest_wait(&without) >= BOOT_SECONDS,
        "the window is what made the difference"
    );
}

#[test]
fn servers_that_were_launched_for_a_window_are_not_given_back_and_launched_again() {
    let mut cloud = Cloud::new(OFFICE_HOURS, MONDAY);
    // The first boots take less than was assumed, so that the window is now launched for later than it was.
    pass(&mut cloud, MONDAY + 18 * HOUR + HOUR);
    assert_eq!(cloud.servers_ever, 2);
    pass(&mut cloud, MONDAY + DAY + 19 * HOUR);
    assert_eq!(cloud.servers_ever, 4, "two more on the next day");
}

#[test]
fn a_full_window_grows_by_what_was_taken_from_it() {
    let mut cloud = Cloud::new(OFFICE_HOURS, MONDAY + 9 * HOUR);
    pass(&mut cloud, MONDAY + 10 * HOUR);
    assert_eq!(ready(&cloud), 2);
    rooms(&mut cloud, 5, 120);
    pass(&mut cloud, MONDAY + 11 * HOUR);
    assert_eq!(ready(&cloud), 3, "fifteen are not twenty");
    rooms(&mut cloud, 5, 120);
    pass(&mut cloud, MONDAY + 11 * HOUR + 600);
    assert_eq!(ready(&cloud), 3, "twenty are");
}

#[test]
fn a_week_has_its_windows_and_nothing_else() {
    let mut cloud = Cloud::new(OFFICE_HOURS, MONDAY);
    let mut seen = Vec::new();
    for half_hour in 0..7 * 48 {
        pass(&mut cloud, MONDAY + half_hour * HOUR / 2);
        let (day, hour) = (half_hour / 48, half_hour % 48);
        seen.push((day, hour, ready(&cloud)));
    }
    for (day, half_hour, servers) in seen {
        let is_thursday_noon = day == 3 && half_hour == 26;
        let is_night =
            (day == 4 && half_hour >= 44) || (day == 5 && !(4..44).contains(&half_hour)) || (day == 6 && half_hour < 4);
        let expected = match half_hour {
            _ if is_thursday_noon => 6,
            _ if is_night => 1,
            16..36 if day < 5 => 2,
            _ => 0,
        };
        // On the stroke of the hour at which a window ends its servers are still there.
        let is_end = matches!((day, half_hour), (0..5, 36) | (5 | 6, 4));
        assert!(
            servers == expected || is_end,
            "day {day}, half hour {half_hour}: {servers} servers, not {expected}"
        );
    }
}
