//! Civil time: what the clock on the wall of a zone shows.
//!
//! A module asks the host, so that guests carry no tables; a native test asks bundled tables of the same source. Both answer
//! alike, and a test of the host holds them together. Nothing here reads a clock: the moment is an argument.

use crate::{LocalTime, Timestamp};

/// The longest name of a zone that is looked up, in bytes; the IANA's longest has 32. The host ends a module that asks for more.
const ZONE_BYTES_MAX: usize = 64;

/// What a day has on the clock, in minutes.
const DAY_MINUTES: u32 = 24 * 60;

/// Returns the civil time in a zone of the IANA database, such as `Europe/Berlin`.
///
/// A policy learns its zone from its settings, so it looks the zone up once in [`Policy::new`](crate::Policy::new): there an
/// error reaches the operator before the policy decides anything.
///
/// ```
/// use usher_sdk::local_time;
///
/// let summer = local_time(1_782_945_000, "Europe/Berlin")?; // 2026-07-01T22:30:00Z
/// assert_eq!((summer.month, summer.day, summer.hour, summer.minute), (7, 2, 0, 30));
/// assert_eq!(local_time(0, "Mars/Olympus").unwrap_err(), "there is no time zone \"Mars/Olympus\"");
/// # Ok::<(), String>(())
/// ```
///
/// # Errors
/// There is no such zone.
pub fn local_time(when: Timestamp, zone: &str) -> Result<LocalTime, String> {
    if zone.len() > ZONE_BYTES_MAX {
        return Err(no_zone(zone));
    }
    at(when, zone)
}

impl LocalTime {
    /// Returns the minutes since midnight as the clock shows them: 0 to 1,439. On a day on which the clock is put back some come
    /// twice, on one on which it is put forward some never.
    ///
    /// ```
    /// let time = usher_sdk::local_time(1_782_945_000, "Europe/Berlin")?;
    /// assert_eq!(time.minute_of_day(), 30);
    /// # Ok::<(), String>(())
    /// ```
    pub fn minute_of_day(&self) -> u32 {
        self.hour * 60 + self.minute
    }

    /// Returns the minutes since Monday's midnight as calendar and clock show them: 0 to 10,079.
    ///
    /// ```
    /// let time = usher_sdk::local_time(1_782_945_000, "Europe/Berlin")?; // a Thursday
    /// assert_eq!(time.minute_of_week(), 3 * 24 * 60 + 30);
    /// # Ok::<(), String>(())
    /// ```
    pub fn minute_of_week(&self) -> u32 {
        self.weekday.saturating_sub(1) * DAY_MINUTES + self.minute_of_day()
    }
}

fn no_zone(zone: &str) -> String {
    format!("there is no time zone {zone:?}")
}

#[cfg(target_family = "wasm")]
use crate::bindings::base::usher::policy::local_time::at;

#[cfg(not(target_family = "wasm"))]
fn at(when: Timestamp, zone: &str) -> Result<LocalTime, String> {
    use std::sync::LazyLock;

    use jiff::tz::TimeZoneDatabase;

    // Not the machine's tables: a test must not depend on where it runs.
    static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

    let zone = ZONES.get(zone).map_err(|_| no_zone(zone))?;
    let moment = jiff::Timestamp::from_second(i64::from(when)).map_err(|error| error.to_string())?;
    let local = moment.to_zoned(zone);
    // Every field of a civil date after 1970 is positive and small.
    let small = |n: i8| u32::from(n.unsigned_abs());
    Ok(LocalTime {
        year: u32::from(local.year().unsigned_abs()),
        month: small(local.month()),
        day: small(local.day()),
        weekday: small(local.weekday().to_monday_one_offset()),
        hour: small(local.hour()),
        minute: small(local.minute()),
        utc_offset_minutes: local.offset().seconds() / 60,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the civil time as `2026-03-29 7 03:00 +120`: with the weekday before and the offset in minutes after the clock.
    fn shown(when: Timestamp, zone: &str) -> String {
        let time = local_time(when, zone).unwrap();
        format!(
            "{}-{:02}-{:02} {} {:02}:{:02} {:+}",
            time.year, time.month, time.day, time.weekday, time.hour, time.minute, time.utc_offset_minutes
        )
    }

    #[test]
    fn the_clock_is_put_forward_and_back_where_it_is() {
        for (when, zone, expected) in [
            (1_774_745_999, "Europe/Berlin", "2026-03-29 7 01:59 +60"),
            (1_774_746_000, "Europe/Berlin", "2026-03-29 7 03:00 +120"),
            (1_792_889_999, "Europe/Berlin", "2026-10-25 7 02:59 +120"),
            (1_792_890_000, "Europe/Berlin", "2026-10-25 7 02:00 +60"),
            (1_772_953_199, "America/New_York", "2026-03-08 7 01:59 -300"),
            (1_772_953_200, "America/New_York", "2026-03-08 7 03:00 -240"),
            (1_793_512_799, "America/New_York", "2026-11-01 7 01:59 -240"),
            (1_793_512_800, "America/New_York", "2026-11-01 7 01:00 -300"),
            // Half an hour only.
            (1_775_314_799, "Australia/Lord_Howe", "2026-04-05 7 01:59 +660"),
            (1_775_314_800, "Australia/Lord_Howe", "2026-04-05 7 01:30 +630"),
            (1_774_746_000, "Asia/Kathmandu", "2026-03-29 7 06:45 +345"),
            (0, "UTC", "1970-01-01 4 00:00 +0"),
            (u32::MAX, "UTC", "2106-02-07 7 06:28 +0"),
        ] {
            assert_eq!(shown(when, zone), expected, "{when} in {zone}");
        }
    }

    #[test]
    fn a_zone_that_is_not_there_is_named_however_long() {
        for zone in ["", "Berlin", "Europe/Berlin ", &"x".repeat(10_000)] {
            assert_eq!(
                local_time(0, zone).unwrap_err(),
                format!("there is no time zone {zone:?}")
            );
        }
    }

    #[test]
    fn the_minutes_of_a_week_begin_on_monday_and_end_on_sunday() {
        let monday = local_time(1_782_691_200, "UTC").unwrap(); // 2026-06-29T00:00:00Z
        assert_eq!((monday.minute_of_day(), monday.minute_of_week()), (0, 0));
        let sunday = local_time(1_782_691_199, "UTC").unwrap();
        assert_eq!((sunday.minute_of_day(), sunday.minute_of_week()), (1_439, 10_079));
    }
}
