//! A day in the office, minute by minute, with the defaults.

use crate::cloud::{BOOT_SECONDS, Cloud, ROOMS_PER_SERVER, Room, TICK_SECONDS};

/// Rooms of 20 to 80 minutes: few in the morning, many at noon, few in the evening; at most one a boot, but for bursts on the hour.
fn office_day(cloud: &mut Cloud, says_when: bool) -> u64 {
    let mut seed = 7_u32;
    let mut room_seconds = 0;
    for tick in 0..8 * 360_u32 {
        let is_lunch = (1_000..1_800).contains(&tick);
        let count = match tick % 360 {
            0 if tick > 0 => 4,
            at if at % if is_lunch { 9 } else { 18 } == 1 => 1,
            _ => 0,
        };
        let rooms: Vec<_> = (0..count)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let seconds = (20 + (seed >> 8) % 60) * 60;
                room_seconds += u64::from(seconds);
                Room {
                    asked: cloud.now,
                    ends: cloud.now + seconds,
                    says_when,
                }
            })
            .collect();
        cloud.tick(&rooms);
    }
    room_seconds
}

#[test]
fn only_the_first_rooms_of_the_day_wait_and_the_night_costs_nothing() {
    for says_when in [false, true] {
        let mut cloud = Cloud::new("", 1_000);
        let room_seconds = office_day(&mut cloud, says_when);
        let waited = cloud.waits.iter().filter(|wait| **wait > 0).count();
        let longest = cloud.waits.iter().copied().max().unwrap();
        let most = cloud.waits.len() / 50;
        assert!(
            waited <= most,
            "{waited} of {} rooms waited, of whom {most} may",
            cloud.waits.len()
        );
        assert!(
            longest <= BOOT_SECONDS + TICK_SECONDS,
            "the longest wait was {longest} s"
        );

        let share = room_seconds * 100 / (cloud.server_seconds * u64::from(ROOMS_PER_SERVER));
        assert!(share >= 50, "servers were {share} % full over the day");
        for _ in 0..2 * 360 {
            cloud.tick(&[]);
        }
        assert_eq!(cloud.servers.len(), 0, "nobody is there any more");
    }
}

#[test]
fn a_burst_on_nothing_waits_for_one_boot_only() {
    let mut cloud = Cloud::new("", 1_000);
    let room = Room {
        asked: cloud.now,
        ends: cloud.now + 3_600,
        says_when: false,
    };
    cloud.tick(&[room; 23]);
    assert_eq!(cloud.servers_ever, 3);
    for _ in 0..20 {
        cloud.tick(&[]);
    }
    assert_eq!((cloud.waits.len(), cloud.servers_ever), (23, 3));
    assert!(cloud.waits.iter().all(|wait| *wait <= BOOT_SECONDS + TICK_SECONDS));
    for _ in 0..400 {
        cloud.tick(&[]);
    }
    assert_eq!(cloud.servers.len(), 0);
}
