//! A rate from a counter that may begin anew, wrap around or belong to another interface.

use std::time::Duration;

use tokio::time::Instant;

/// The shortest time that makes a rate; over less, one packet more or less would look like a flood.
const SPAN_MIN: Duration = Duration::from_secs(1);

/// The longest time: a machine that has slept has no rate that says anything of now.
const SPAN_MAX: Duration = Duration::from_secs(300);

/// A terabit a second, as the host takes it; more is a counter that has jumped.
const KBPS_MAX: u128 = 1_000_000_000;

/// Turns an interface's count of sent bytes into kilobits a second.
#[derive(Debug, Default)]
pub(super) struct Meter {
    base: Option<Base>,
    /// The rate of the last full span.
    kbps: Option<u32>,
}

#[derive(Debug, Clone, Copy)]
struct Base {
    at: Instant,
    index: u32,
    bytes: u64,
}

impl Meter {
    /// Takes the interface's number and count, or that there is none; returns the rate if there is one.
    pub(super) fn read(&mut self, now: Instant, sent: Option<(u32, u64)>) -> Option<u32> {
        let Some((index, bytes)) = sent else {
            *self = Meter::default();
            return None;
        };
        let next = Base { at: now, index, bytes };
        match self.base {
            Some(base) if base.index == index && bytes >= base.bytes => {
                let span = now.saturating_duration_since(base.at);
                if span < SPAN_MIN {
                    return self.kbps;
                }
                self.kbps = if span <= SPAN_MAX {
                    rate(bytes - base.bytes, span)
                } else {
                    None
                };
            }
            _ => self.kbps = None,
        }
        self.base = Some(next);
        self.kbps
    }
}

fn rate(bytes: u64, span: Duration) -> Option<u32> {
    let kbps = u128::from(bytes) * 8 / span.as_millis().max(1);
    if kbps > KBPS_MAX {
        None
    } else {
        u32::try_from(kbps).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads at these seconds; says what comes out each time.
    fn check(reads: &[(u64, Option<(u32, u64)>)], rates: &[Option<u32>]) {
        let start = Instant::now();
        let mut meter = Meter::default();
        let got: Vec<Option<u32>> = reads
            .iter()
            .map(|(second, sent)| meter.read(start + Duration::from_secs(*second), *sent))
            .collect();
        assert_eq!(got, rates, "{reads:?}");
    }

    #[test]
    fn a_rate_is_that_of_the_time_since_the_last_reading() {
        check(
            &[
                (0, Some((2, 1000))),
                (5, Some((2, 1_001_000))),
                (10, Some((2, 1_001_000))),
            ],
            &[None, Some(1600), Some(0)],
        );
    }

    #[test]
    fn a_counter_that_begins_anew_or_wraps_around_has_no_rate_once() {
        check(
            &[
                (0, Some((2, u64::MAX - 5))),
                (5, Some((2, 1000))),
                (10, Some((2, 626_000))),
            ],
            &[None, None, Some(1000)],
        );
    }

    #[test]
    fn an_interface_that_vanishes_or_is_another_by_the_same_name_has_no_rate() {
        check(
            &[
                (0, Some((2, 0))),
                (5, None),
                (10, Some((2, 9_000_000))),
                (15, Some((3, 99_000_000))),
            ],
            &[None, None, None, None],
        );
    }

    #[test]
    fn a_jump_beyond_belief_and_a_long_sleep_have_no_rate() {
        check(&[(0, Some((2, 0))), (1, Some((2, u64::MAX)))], &[None, None]);
        check(&[(0, Some((2, 0))), (301, Some((2, 1000)))], &[None, None]);
    }

    #[test]
    fn two_readings_in_one_second_tell_the_same_rate() {
        check(
            &[
                (0, Some((2, 0))),
                (5, Some((2, 625_000))),
                (5, Some((2, 700_000))),
                (10, Some((2, 1_250_000))),
            ],
            &[None, Some(1000), Some(1000), Some(1000)],
        );
    }
}
