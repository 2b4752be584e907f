//! What the host offers a policy: a log, and the civil time of a zone. Both are paid for before they do anything.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use jiff::tz::TimeZoneDatabase;
use wasmtime::component::{Linker, WasmStr};
use wasmtime::{AsContext, Engine, StoreContextMut, Trap};

use super::bindings::Local;
use super::bindings::types::Level;
use super::limits::{Allowance, HOST_BYTE_FUEL, HOST_CALL_FUEL, LOCAL_TIME_FUEL, LOG_BYTES_MAX, ZONE_BYTES_MAX};
use super::overtime::Overtime;
use crate::options::LogLevel;

/// How many log lines of one instance reach our log at once: a start-up may be talkative.
const LOG_BURST: u32 = 50;
/// One more line may be written after so long: 10 a second can still be read.
const LOG_REFILL: Duration = Duration::from_millis(100);

/// What belongs to one instance on the host's side.
#[derive(Debug)]
pub(crate) struct HostState {
    pub(super) allowance: Allowance,
    pub(super) overtime: Overtime,
    log: Log,
}

impl HostState {
    /// Makes the state of a new instance of `policy`.
    pub(super) fn new(policy: Arc<str>, level: LogLevel, overtime: Overtime) -> HostState {
        let log = Log {
            policy,
            level,
            lines_left: LOG_BURST,
            refilled: Instant::now(),
            dropped: 0,
            last_error: None,
        };
        HostState {
            allowance: Allowance::default(),
            overtime,
            log,
        }
    }

    /// Forgets what the call before has said.
    pub(super) fn begin_call(&mut self) {
        self.log.last_error = None;
    }

    /// Takes the last thing that the guest logged as an error in this call: a panic's message, mostly.
    pub(super) fn take_last_error(&mut self) -> Option<String> {
        self.log.last_error.take()
    }
}

/// Says why a call of an import ended the guest.
#[derive(Debug, thiserror::Error)]
pub(super) enum ImportError {
    /// See [`LOG_BYTES_MAX`].
    #[error("a log message of {0} bytes; at most {LOG_BYTES_MAX} are allowed")]
    LogTooLong(usize),
    /// See [`ZONE_BYTES_MAX`].
    #[error("a time zone's name of {0} bytes; at most {ZONE_BYTES_MAX} are allowed")]
    ZoneTooLong(usize),
}

/// Makes the linker that offers all imports, and nothing else.
pub(super) fn linker(engine: &Engine) -> wasmtime::Result<Linker<HostState>> {
    let mut linker = Linker::new(engine);
    linker.instance("usher:policy/types@0.1.0")?;
    linker
        .instance("usher:policy/host@0.1.0")?
        .func_wrap("log", |cx: StoreContextMut<'_, HostState>, params| log(cx, params))?;
    linker
        .instance("usher:policy/local-time@0.1.0")?
        .func_wrap("at", |cx: StoreContextMut<'_, HostState>, params| {
            local_time(cx, params)
        })?;
    Ok(linker)
}

/// The text is looked at without copying it, at most 1 MiB of it ([`super::limits::ANSWER_BYTES_MAX`]), and once: a message
/// that is too long, or cannot be paid for, is the instance's last.
fn log(mut cx: StoreContextMut<'_, HostState>, (level, message): (Level, WasmStr)) -> wasmtime::Result<()> {
    pay(&mut cx, HOST_CALL_FUEL)?;
    let bytes = message.to_str(cx.as_context())?.len();
    if bytes > LOG_BYTES_MAX {
        return Err(ImportError::LogTooLong(bytes).into());
    }
    pay(&mut cx, HOST_BYTE_FUEL * bytes as u64)?;
    let level = match level {
        Level::Debug => LogLevel::Debug,
        Level::Info => LogLevel::Info,
        Level::Warn => LogLevel::Warn,
        Level::Error => LogLevel::Error,
    };
    if cx.data().log.wants(level) {
        let message = message.to_str(cx.as_context())?.into_owned();
        cx.data_mut().log.write(level, message, Instant::now());
    }
    Ok(())
}

fn local_time(
    mut cx: StoreContextMut<'_, HostState>,
    (when, zone): (u32, WasmStr),
) -> wasmtime::Result<(Result<Local, String>,)> {
    pay(&mut cx, HOST_CALL_FUEL + LOCAL_TIME_FUEL)?;
    let zone = zone.to_str(cx.as_context())?;
    let bytes = zone.len();
    if bytes > ZONE_BYTES_MAX {
        return Err(ImportError::ZoneTooLong(bytes).into());
    }
    let answer = civil_time(when, &zone);
    pay(&mut cx, HOST_BYTE_FUEL * bytes as u64)?;
    Ok((answer,))
}

fn pay(cx: &mut StoreContextMut<'_, HostState>, price: u64) -> wasmtime::Result<()> {
    match cx.get_fuel()?.checked_sub(price) {
        Some(left) => cx.set_fuel(left),
        None => {
            cx.set_fuel(0)?;
            Err(Trap::OutOfFuel.into())
        }
    }
}

/// Not the machine's tables: a replay elsewhere must give the same answer.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

fn civil_time(when: u32, zone: &str) -> Result<Local, String> {
    let zone = ZONES.get(zone).map_err(|_| format!("there is no time zone {zone:?}"))?;
    let moment = jiff::Timestamp::from_second(i64::from(when)).map_err(|error| error.to_string())?;
    let local = moment.to_zoned(zone);
    // Every field of a civil date after 1970 is positive and small.
    let small = |n: i8| u32::from(n.unsigned_abs());
    Ok(Local {
        year: u32::from(local.year().unsigned_abs()),
        month: small(local.month()),
        day: small(local.day()),
        weekday: small(local.weekday().to_monday_one_offset()),
        hour: small(local.hour()),
        minute: small(local.minute()),
        utc_offset_minutes: local.offset().seconds() / 60,
    })
}

/// One instance's way into our log: filtered, and never faster than somebody could read.
#[derive(Debug)]
struct Log {
    policy: Arc<str>,
    level: LogLevel,
    lines_left: u32,
    refilled: Instant,
    dropped: u64,
    last_error: Option<String>,
}

impl Log {
    fn wants(&self, level: LogLevel) -> bool {
        level >= self.level
    }

    fn write(&mut self, level: LogLevel, message: String, now: Instant) {
        let message = message.replace(char::is_control, " ");
        if self.has_line(now) {
            let policy = &*self.policy;
            let dropped = std::mem::take(&mut self.dropped);
            if dropped > 0 {
                tracing::warn!(policy, dropped, "the policy logs too much: lines were left out");
            }
            match level {
                LogLevel::Debug => tracing::debug!(policy, "{message}"),
                LogLevel::Info => tracing::info!(policy, "{message}"),
                LogLevel::Warn => tracing::warn!(policy, "{message}"),
                LogLevel::Error => tracing::error!(policy, "{message}"),
            }
        } else {
            self.dropped += 1;
        }
        if level == LogLevel::Error {
            self.last_error = Some(message);
        }
    }

    fn has_line(&mut self, now: Instant) -> bool {
        let refills = now.duration_since(self.refilled).as_millis() / LOG_REFILL.as_millis();
        if let Ok(refills @ 1..) = u32::try_from(refills) {
            self.lines_left = self.lines_left.saturating_add(refills).min(LOG_BURST);
            self.refilled = now;
        }
        let has = self.lines_left > 0;
        self.lines_left = self.lines_left.saturating_sub(1);
        has
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_civil_time_knows_summer_and_its_weekday() {
        // 2026-07-01T22:30:00Z, a Wednesday in UTC, Thursday in Berlin.
        let berlin = civil_time(1_782_945_000, "Europe/Berlin").unwrap();
        assert_eq!((berlin.year, berlin.month, berlin.day), (2026, 7, 2));
        assert_eq!(
            (berlin.weekday, berlin.hour, berlin.minute, berlin.utc_offset_minutes),
            (4, 0, 30, 120)
        );
        assert!(civil_time(0, "Mars/Olympus").unwrap_err().contains("Mars/Olympus"));
    }

    #[test]
    fn a_module_and_its_authors_tests_read_the_same_clock() {
        let zones = [
            "UTC",
            "europe/berlin",
            "Europe/Dublin",
            "America/New_York",
            "America/St_Johns",
            "America/Sao_Paulo",
            "Australia/Lord_Howe",
            "Africa/Casablanca",
            "Asia/Kathmandu",
            "Pacific/Apia",
            "Antarctica/Troll",
            "Etc/GMT+12",
            "Etc/Unknown",
            "Local",
            "CET",
            "",
            "Mars/Olympus",
            "Europe/\n\"Berlin",
        ];
        // Each change of a clock since 1970 lies between two of these; the quarter hours around it are looked at, too.
        let days = (0..u32::MAX / 86_400).map(|day| day * 86_400);
        for zone in zones {
            let mut before = None;
            let look = |when| {
                let (host, sdk) = (civil_time(when, zone), usher_sdk::local_time(when, zone));
                assert_eq!(format!("{host:?}"), format!("{sdk:?}"), "{when} in {zone:?}");
                host.map(|local| local.utc_offset_minutes).ok()
            };
            for day in days.clone() {
                let offset = look(day);
                if before.replace(offset).is_some_and(|before| before != offset) {
                    (day - 86_400..=day).step_by(15 * 60).for_each(|when| {
                        look(when);
                    });
                }
            }
        }
    }

    #[test]
    fn a_flood_of_log_lines_is_cut_and_recovers() {
        let start = Instant::now();
        let mut log = Log {
            policy: "p".into(),
            level: LogLevel::Info,
            lines_left: LOG_BURST,
            refilled: start,
            dropped: 0,
            last_error: None,
        };
        let written = (0..1_000).filter(|_| log.has_line(start)).count();
        assert_eq!(written, LOG_BURST as usize);
        assert!(log.has_line(start + LOG_REFILL));
        assert!(!log.has_line(start + LOG_REFILL));
    }
}
