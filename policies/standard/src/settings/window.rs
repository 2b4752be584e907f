//! Windows: when more rooms are kept spare, by the calendar and the clock on the wall of a place.
//!
//! What is written is read once into minutes; a day, an hour or a zone that does not exist never becomes a [`Window`] that is asked.

use std::fmt;

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use usher_sdk::{LocalTime, Size, Timestamp, local_time};

/// Rooms that are kept spare from one hour to another.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// On which days it begins; every day where none are written.
    #[serde(default)]
    pub days: Days,
    /// When it begins.
    pub from: Clock,
    /// When it is over; on the next day where that is not after `from`.
    pub to: Clock,
    /// Whose days and hours these are: a name of the IANA database.
    pub time_zone: String,
    /// How many rooms are kept spare at least, in rooms, 1 to 10,000.
    pub spare_rooms: u32,
    /// For rooms of how many seats, and as much load. Default 0: seats and load are not looked at.
    #[serde(default)]
    pub room_seats: u32,
    /// Kept on the servers of this pool. Default "": wherever a headroom is kept.
    #[serde(default)]
    pub pool: String,
}

/// How long before it begins a window is seen at all, in seconds: longer than any boot that the host waits for by default.
const AHEAD_SECONDS_MAX: u32 = 3_600;

const DAY_MINUTES: u32 = 24 * 60;
const WEEK_MINUTES: u32 = 7 * DAY_MINUTES;

impl Window {
    /// Checks what reading did not.
    ///
    /// # Errors
    /// The key that is wrong, and why.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        if self.from == self.to {
            return Err(("to", format!("it ends when it begins, at {}", self.to)));
        }
        if self.from.0 == DAY_MINUTES {
            return Err(("from", "a day begins at 00:00".into()));
        }
        if self.spare_rooms == 0 {
            return Err(("spare_rooms", "0 keeps nothing: leave the window out".into()));
        }
        let told = local_time(0, &self.time_zone);
        told.map(|_| ()).map_err(|why| ("time_zone", why))
    }

    /// Returns in how many seconds the window begins, 0 while it lasts; none where that is more than [`AHEAD_SECONDS_MAX`] away.
    ///
    /// The hour ahead is read off the clock as it will then be, so that a clock which is put forward before the window begins is
    /// heeded.
    pub(crate) fn begins_in(&self, now: Timestamp) -> Option<u32> {
        let since = |when| Some(self.minutes_since_begin(&local_time(when, &self.time_zone).ok()?));
        if since(now)? < self.minutes() {
            return Some(0);
        }
        let later = now.saturating_add(AHEAD_SECONDS_MAX);
        AHEAD_SECONDS_MAX.checked_sub(since(later)? * 60 + later % 60)
    }

    /// Returns the size of the rooms that are kept spare.
    pub(crate) fn room_size(&self) -> Size {
        Size {
            seats: self.room_seats,
            load: self.room_seats,
        }
    }

    /// Returns whether what it keeps is all that the other asks for; the same rooms, or more, or larger.
    pub(crate) fn covers(&self, other: &Window) -> bool {
        self.spare_rooms >= other.spare_rooms && self.room_seats >= other.room_seats
    }

    /// Returns how long it lasts.
    fn minutes(&self) -> u32 {
        (DAY_MINUTES + self.to.0 - self.from.0 - 1) % DAY_MINUTES + 1
    }

    /// Returns how long ago it last began.
    fn minutes_since_begin(&self, time: &LocalTime) -> u32 {
        let now = time.minute_of_week();
        let days = (0..7).filter(|day| self.days.0 & (1 << day) != 0);
        days.map(|day| (now + WEEK_MINUTES - day * DAY_MINUTES - self.from.0) % WEEK_MINUTES)
            .min()
            .unwrap_or(WEEK_MINUTES)
    }
}

/// Days of the week, one bit each, Monday first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days(u8);

const WEEKDAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

impl Default for Days {
    fn default() -> Self {
        Days(0x7f)
    }
}

impl Days {
    /// Adds a day, such as `mon`, or a span of days, such as `sat-mon`.
    fn add(&mut self, text: &str) -> Option<()> {
        let day = |name: &str| WEEKDAYS.iter().position(|day| *day == name || day[..3] == *name);
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (day(first)?, day(last)?);
        for after in 0..=(last + 7 - first) % 7 {
            self.0 |= 1 << ((first + after) % 7);
        }
        Some(())
    }
}

impl<'de> Deserialize<'de> for Days {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        let mut days = Days(0);
        for text in Vec::<String>::deserialize(reader)? {
            let why = "write days as `mon`, spans as `mon-fri`";
            days.add(&text)
                .ok_or_else(|| D::Error::custom(format_args!("there is no day {text:?}: {why}")))?;
        }
        if days.0 == 0 {
            return Err(D::Error::custom("no day: leave the key out for every day"));
        }
        Ok(days)
    }
}

/// An hour of the day on the clock, in minutes since midnight; up to 24:00.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock(u32);

impl Clock {
    /// Reads `08:00`, and `08:00:00` as TOML's own times arrive.
    fn read(text: &str) -> Option<Clock> {
        let ([h, hh, b':', m, mm] | [h, hh, b':', m, mm, b':', b'0', b'0']) = text.as_bytes() else {
            return None;
        };
        let digit = |byte: &u8| byte.is_ascii_digit().then(|| u32::from(byte - b'0'));
        let (hours, minutes) = (digit(h)? * 10 + digit(hh)?, digit(m)? * 10 + digit(mm)?);
        let clock = hours * 60 + minutes;
        (minutes < 60 && clock <= DAY_MINUTES).then_some(Clock(clock))
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(text, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl<'de> Deserialize<'de> for Clock {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        let text = String::deserialize(reader)?;
        let why = "is no hour of the day: write it as `08:00`, in whole minutes";
        Clock::read(&text).ok_or_else(|| D::Error::custom(format_args!("{text:?} {why}")))
    }
}

#[cfg(test)]
mod tests;
