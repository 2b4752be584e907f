//! The office: who meets when, for how long, and how many come. A pure model of a working day, drawn from a seed.
//!
//! Most meetings begin around the full and half hours, as calendars have it, and people come a little early or late; some are
//! called in between. A part of the rooms says how long it will last, and like in any office that is not quite true.

use std::fmt;
use std::time::Duration;

/// The time of day at which the demo begins, in minutes: just before the nine o'clock meetings.
const OPENS_MINUTES: u64 = 8 * 60 + 55;

/// Meetings that begin around each half hour of a day, on average, from midnight on. An office of a thousand people.
const BEGINNINGS: [u32; 48] = [
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 5, 7, 26, 18, 24, 14, 18, 10, 4, 4, 12, 10, 22, 14, 20, 10, 12, 7,
    5, 3, 2, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0,
];

/// From one meeting that nobody has planned to the next, on average, in minutes.
const UNPLANNED_EVERY_MINUTES: f64 = 5.0;

/// Kinds of meetings: the word in their rooms' names, planned minutes, and how many of a hundred are of this kind.
const KINDS: [(&str, u32, u32); 5] = [
    ("standup", 15, 50),
    ("sync", 25, 30),
    ("review", 45, 8),
    ("planning", 55, 10),
    ("training", 90, 2),
];

/// Seats of planned meetings, each as likely as the others: typically 50.
const SEATS: [u32; 9] = [20, 30, 40, 50, 50, 50, 50, 60, 80];

/// Seats of those that nobody has planned.
const SEATS_UNPLANNED: [u32; 5] = [5, 10, 15, 20, 30];

/// Of so many rooms in a hundred it is said how long they will last.
const EXPECTED_PERCENT: u32 = 60;

/// No meeting is shorter, in minutes.
const SHORTEST_MINUTES: f64 = 3.0;

/// A moment, counted from when the demo begins; shown as the time of day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OfficeTime(pub(super) Duration);

impl OfficeTime {
    /// Returns the moment so many minutes after the beginning; before it there is none.
    fn minutes(minutes: f64) -> OfficeTime {
        OfficeTime(minutes_long(minutes))
    }

    fn as_minutes(self) -> f64 {
        self.0.as_secs_f64() / 60.0
    }
}

impl std::ops::Add<Duration> for OfficeTime {
    type Output = OfficeTime;

    fn add(self, span: Duration) -> OfficeTime {
        OfficeTime(self.0 + span)
    }
}

impl fmt::Display for OfficeTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = OPENS_MINUTES + self.0.as_secs() / 60;
        write!(f, "{:02}:{:02}", minutes / 60 % 24, minutes % 60)
    }
}

/// A meeting, and the room that is asked for it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Meeting {
    pub(super) room: String,
    pub(super) seats: u32,
    /// When the first one comes, and the room is asked for.
    pub(super) begins: OfficeTime,
    /// When the last one goes.
    pub(super) ends: OfficeTime,
    /// How long it is said to last, if it is said.
    pub(super) expected: Option<Duration>,
    /// How many are there, from when on; in the order of time, and within the meeting.
    pub(super) attendance: Vec<(OfficeTime, u32)>,
}

/// Returns the meetings of so long a stretch of the day, in the order in which they begin.
pub(super) fn meetings(seed: u64, length: Duration) -> Vec<Meeting> {
    let mut dice = Dice(seed);
    let minutes = length.as_secs_f64() / 60.0;
    let mut drawn: Vec<(f64, Plan)> = Vec::new();
    let mut slot = -((OPENS_MINUTES % 30) as f64);
    while slot < minutes + 30.0 {
        for _ in 0..dice.about(beginnings_at(slot)) {
            drawn.push((
                slot + 3.0 * dice.unit() + 2.0 * dice.unit() - 3.0,
                Plan::planned(slot, &mut dice),
            ));
        }
        slot += 30.0;
    }
    let mut at = 0.0;
    while at < minutes {
        at -= UNPLANNED_EVERY_MINUTES * (1.0 - dice.unit()).ln();
        drawn.push((at, Plan::unplanned(at, &mut dice)));
    }
    drawn.retain(|(begins, _)| (0.0..minutes).contains(begins));
    drawn.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    (1..)
        .zip(drawn)
        .map(|(no, (begins, plan))| plan.meeting(no, begins, &mut dice))
        .collect()
}

/// Returns so many meetings that all begin now, or within half a minute.
pub(super) fn rush(seed: u64, now: OfficeTime, rooms: u32) -> Vec<Meeting> {
    let mut dice = Dice(seed);
    let meeting = |no| {
        let begins = now.as_minutes() + 0.5 * dice.unit();
        let plan = Plan {
            word: "rush",
            ..Plan::planned(begins, &mut dice)
        };
        plan.meeting(seed.wrapping_mul(100).wrapping_add(no), begins, &mut dice)
    };
    (1..=u64::from(rooms)).map(meeting).collect()
}

fn beginnings_at(slot: f64) -> u32 {
    let half_hours = (OPENS_MINUTES as f64 + slot) / 30.0;
    BEGINNINGS[half_hours as usize % BEGINNINGS.len()]
}

fn minutes_long(minutes: f64) -> Duration {
    Duration::from_secs_f64(minutes.max(0.0) * 60.0)
}

/// What is drawn of a meeting before it is known when its first participant comes.
struct Plan {
    word: &'static str,
    seats: u32,
    /// Since when, in minutes, and for how many it is planned.
    slot: f64,
    minutes: u32,
}

impl Plan {
    fn planned(slot: f64, dice: &mut Dice) -> Plan {
        let mut of_hundred = dice.below(100);
        let mut kinds = KINDS.iter();
        let (word, minutes) = loop {
            let (word, minutes, share) = kinds.next().expect("the shares are a hundred together");
            match of_hundred.checked_sub(*share) {
                Some(rest) => of_hundred = rest,
                None => break (*word, *minutes),
            }
        };
        Plan {
            word,
            seats: dice.pick(&SEATS),
            slot,
            minutes,
        }
    }

    fn unplanned(slot: f64, dice: &mut Dice) -> Plan {
        Plan {
            word: "adhoc",
            seats: dice.pick(&SEATS_UNPLANNED),
            slot,
            minutes: 5 + dice.below(20),
        }
    }

    fn meeting(self, no: u64, begins: f64, dice: &mut Dice) -> Meeting {
        // Most meetings end a little early, some are dragged out.
        let lasts = f64::from(self.minutes) * (0.75 + 0.3 * dice.unit());
        let ends = (self.slot + lasts).max(begins + SHORTEST_MINUTES);
        let come = f64::from(self.seats) * (0.6 + 0.4 * dice.unit());
        let share_at = [
            (0.0, 0.1),
            (1.0, 0.5),
            (2.5, 0.9),
            (0.5 * (ends - begins), 1.0),
            (ends - begins - 0.7, 0.4),
        ];
        let mut attendance: Vec<_> = share_at
            .into_iter()
            .map(|(after, share)| {
                (
                    OfficeTime::minutes(begins + after),
                    ((come * share).round() as u32).max(1),
                )
            })
            .collect();
        attendance.sort_by_key(|(at, _)| *at);
        let is_said = dice.below(100) < EXPECTED_PERCENT;
        Meeting {
            room: format!("{}-{no}", self.word),
            seats: self.seats,
            begins: OfficeTime::minutes(begins),
            ends: OfficeTime::minutes(ends),
            expected: is_said.then(|| minutes_long(f64::from(self.minutes))),
            attendance,
        }
    }
}

/// Chance by a seed: splitmix64, which is small, fast, and good enough to draw meetings.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number from 0.0 to just below 1.0.
    fn unit(&mut self) -> f64 {
        (self.roll() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Returns a number below `most`.
    fn below(&mut self, most: u32) -> u32 {
        (self.unit() * f64::from(most)) as u32
    }

    /// Returns a number within 15 % of `mean`.
    fn about(&mut self, mean: u32) -> u32 {
        (f64::from(mean) * (0.85 + 0.3 * self.unit())).round() as u32
    }

    fn pick(&mut self, of: &[u32]) -> u32 {
        of[self.below(of.len() as u32) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn living(meetings: &[Meeting], at: f64) -> usize {
        let at = OfficeTime::minutes(at);
        meetings
            .iter()
            .filter(|meeting| meeting.begins <= at && at < meeting.ends)
            .count()
    }

    #[test]
    fn the_same_seed_is_the_same_day_and_another_is_another() {
        assert_eq!(meetings(7, HOUR), meetings(7, HOUR));
        assert_ne!(meetings(7, HOUR), meetings(8, HOUR));
    }

    #[test]
    fn the_hour_has_two_peaks_that_need_several_servers_and_a_valley_between() {
        for seed in 0..50 {
            let hour = meetings(seed, HOUR);
            let (nine, quarter_past, half_past) = (living(&hour, 8.0), living(&hour, 31.0), living(&hour, 38.0));
            assert!((15..=36).contains(&nine), "{nine} rooms after nine, seed {seed}");
            assert!(
                half_past > quarter_past + 8,
                "{quarter_past} before and {half_past} after half past, seed {seed}"
            );
            assert!(living(&hour, 0.5) <= 3, "nobody is there before nine, seed {seed}");
            assert!(hour.len() < 120, "{} meetings", hour.len());
        }
    }

    #[test]
    fn meetings_are_in_order_and_within_the_hour_and_people_come_while_they_last() {
        let hour = meetings(1, HOUR);
        assert!(hour.is_sorted_by_key(|meeting| meeting.begins));
        for meeting in &hour {
            assert!(
                meeting.begins < OfficeTime(HOUR) && meeting.ends > meeting.begins,
                "{meeting:?}"
            );
            assert!(meeting.attendance.is_sorted_by_key(|(at, _)| *at), "{meeting:?}");
            let within = |(at, come): &(OfficeTime, u32)| {
                (meeting.begins..=meeting.ends).contains(at) && (1..=meeting.seats).contains(come)
            };
            assert!(meeting.attendance.iter().all(within), "{meeting:?}");
        }
    }

    #[test]
    fn rooms_are_typically_of_fifty_and_a_part_says_how_long() {
        let day = meetings(3, 8 * HOUR);
        let planned: Vec<_> = day
            .iter()
            .filter(|meeting| !meeting.room.starts_with("adhoc"))
            .collect();
        let mean = planned.iter().map(|meeting| meeting.seats).sum::<u32>() / planned.len() as u32;
        assert!((42..=54).contains(&mean), "{mean} seats");
        let said = 100 * day.iter().filter(|meeting| meeting.expected.is_some()).count() / day.len();
        assert!((45..=75).contains(&said), "{said} %");
        let distinct: std::collections::BTreeSet<_> = day.iter().map(|meeting| &meeting.room).collect();
        assert_eq!(distinct.len(), day.len(), "each has a room of its own");
    }

    #[test]
    fn a_rush_is_there_at_once() {
        let now = OfficeTime::minutes(20.0);
        let rush = rush(1, now, 10);
        assert_eq!(rush.len(), 10);
        assert!(
            rush.iter()
                .all(|meeting| meeting.begins >= now && meeting.begins < now + Duration::from_secs(31))
        );
    }

    #[test]
    fn office_time_reads_as_the_time_of_day() {
        assert_eq!(OfficeTime::default().to_string(), "08:55");
        assert_eq!(OfficeTime::minutes(66.9).to_string(), "10:01");
    }
}
