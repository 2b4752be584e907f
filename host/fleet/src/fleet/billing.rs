//! What servers cost, exactly: the rate is constant between two durable changes, so that a restart loses nothing.

use std::time::Duration;

use super::Fleet;
use super::state::Pool;
use crate::event::{BudgetNear, What};
use crate::ids::PoolName;
use crate::pool::PoolBill;
use crate::record::Record;
use crate::status::PoolCost;
use crate::units::{Microdollars, Timestamp};

const DAY: u64 = 24 * 3600 * 1000;

/// `scale.budget_near` is told from this share of a ceiling on, in percent.
const BUDGET_NEAR_PERCENT: u64 = 80;

impl Fleet {
    /// Writes a pool's bill anew if what its servers cost an hour has changed, or a day has ended.
    pub(super) fn rebill(&mut self, name: &PoolName) {
        let Some(pool) = self.pools.get(name) else { return };
        let rate = pool.price_per_hour;
        let is_new_day = pool.record.bill.until.0 / DAY != self.now.0 / DAY;
        if rate == pool.record.bill.rate && !(is_new_day && rate.0 > 0) {
            return;
        }
        let mut record = pool.record.clone();
        record.bill = PoolBill {
            rate,
            ..accrued(&record.bill, self.now)
        };
        self.put(Record::Pool(Box::new(record)));
    }

    /// Returns what all that may be billed costs an hour.
    pub(super) fn price_per_hour(&self) -> Microdollars {
        self.pools.values().map(|pool| pool.record.bill.rate).sum()
    }

    /// Returns what this calendar month has cost so far.
    pub(super) fn month_cost(&self) -> Microdollars {
        self.pools
            .values()
            .map(|pool| accrued(&pool.record.bill, self.now).month)
            .sum()
    }

    pub(super) fn cost(&self, pool: &Pool, now: Timestamp) -> PoolCost {
        let bill = accrued(&pool.record.bill, now);
        PoolCost {
            per_hour: bill.rate,
            today: bill.day,
            month: bill.month,
        }
    }

    /// Tells once when a price ceiling comes near, and again only after it was far.
    pub(super) fn watch_budget(&mut self) {
        let guards = &self.config.guards;
        let ceilings = [
            (
                "fleet_dollars_per_hour_max",
                self.price_per_hour(),
                guards.price_per_hour_max,
            ),
            (
                "fleet_dollars_per_month_max",
                self.month_cost(),
                guards.price_per_month_max,
            ),
        ];
        for (index, (key, used, max)) in ceilings.into_iter().enumerate() {
            let near = max.filter(|max| used.0 >= max.0 / 100 * BUDGET_NEAR_PERCENT);
            let was_near = std::mem::replace(&mut self.health.budget_near[index], near.is_some());
            if let (Some(max), false) = (near, was_near) {
                self.tell(What::BudgetNear(BudgetNear {
                    key: key.into(),
                    used,
                    max,
                    reason: format!("{BUDGET_NEAR_PERCENT} % of it are used; at the ceiling nothing more is launched"),
                }));
            }
        }
    }
}

/// Returns a bill brought up to a moment.
fn accrued(bill: &PoolBill, now: Timestamp) -> PoolBill {
    let now = now.max(bill.until);
    let midnight = Timestamp(now.0 / DAY * DAY);
    let over = |from: Timestamp, to: Timestamp| bill.rate.per_hour_over(to.since(from));
    let day = if bill.until >= midnight {
        bill.day + over(bill.until, now)
    } else {
        over(midnight, now)
    };
    let first = month_begin(now);
    let month = if bill.until >= first {
        bill.month + over(bill.until, now)
    } else {
        over(first, now)
    };
    PoolBill {
        until: now,
        rate: bill.rate,
        day,
        month,
    }
}

/// Returns the first moment of the calendar month (UTC) that a moment lies in.
fn month_begin(at: Timestamp) -> Timestamp {
    // Days since 1970-01-01 to the day of the month, by the era arithmetic of the proleptic Gregorian calendar: an era is
    // 146,097 days, and years begin in March so that the leap day comes last.
    let days = at.0 / DAY + 719_468;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5;
    Timestamp(at.0 / DAY * DAY) - Duration::from_millis(day_of_month * DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    #[test]
    fn months_begin_where_the_calendar_says() {
        // (a moment, the month's first), in days since 1970.
        for (day, first) in [
            (0, 0),
            (30, 0),
            (31, 31),
            (58, 31),
            (59, 59),
            (20_779, 20_758),
            (11_016, 10_988),
        ] {
            let begin = month_begin(Timestamp(day * DAY + 5 * HOUR));
            assert_eq!(begin.0 / DAY, first, "day {day}");
        }
    }

    #[test]
    fn a_bill_starts_anew_at_midnight_and_on_the_first() {
        let bill = PoolBill {
            until: Timestamp(30 * DAY + 22 * HOUR),
            rate: Microdollars(1_000_000),
            day: Microdollars(7_000_000),
            month: Microdollars(90_000_000),
        };
        let same_day = accrued(&bill, Timestamp(30 * DAY + 23 * HOUR));
        assert_eq!((same_day.day.0, same_day.month.0), (8_000_000, 91_000_000));
        let next_month = accrued(&bill, Timestamp(31 * DAY + 3 * HOUR));
        assert_eq!((next_month.day.0, next_month.month.0), (3_000_000, 3_000_000));
    }

    #[test]
    fn a_clock_that_runs_backwards_costs_nothing() {
        let bill = PoolBill {
            until: Timestamp(DAY),
            rate: Microdollars(5),
            ..PoolBill::default()
        };
        assert_eq!(accrued(&bill, Timestamp(0)), bill);
    }
}
