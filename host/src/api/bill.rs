//! The bill: what the fleet costs, and what the one big server would.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use usher_fleet::Timestamp;
use usher_fleet::ids::PoolName;
use usher_fleet::status::PoolStatus;
use usher_fleet::units::Microdollars;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::request::Query;
use super::respond::{self, Problem};
use super::servers::NoQuery;
use super::shown::{self, Dollars, Time, rfc3339};
use crate::auth::Caller;

/// Returns the call for the bill.
pub(super) fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(get_bill))
}

/// Tells what the servers cost now, today and this month, by pool; beside it what the one big server would have.
#[utoipa::path(get, path = "/v1/bill", tag = "bill", responses(respond::GetBill), security(("token" = ["admin"])))]
async fn get_bill(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(NoQuery {}): Query<NoQuery>,
) -> Result<Response, Problem> {
    caller.admin()?;
    let (pools, now) = api
        .mailbox
        .read(|fleet, moment| (fleet.pools(moment.now), moment.now))
        .await?;
    Ok(respond::found(&Bill::of(&pools, api.baseline_per_hour, now)))
}

/// What it costs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Bill<'a> {
    at: Time,
    /// What all servers cost now.
    dollars_per_hour: Dollars,
    /// Since midnight UTC.
    dollars_today: Dollars,
    /// Since the first of the month, UTC.
    dollars_this_month: Dollars,
    pools: Vec<PoolBill<'a>>,
    /// What the one big server of the config file would have cost in the same time; null where none is named.
    baseline: Option<Baseline>,
}

/// What the servers of a pool cost.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PoolBill<'a> {
    #[schema(schema_with = shown::id)]
    pool: &'a PoolName,
    dollars_per_hour: Dollars,
    dollars_today: Dollars,
    dollars_this_month: Dollars,
}

/// What the one big server would cost.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Baseline {
    dollars_per_hour: Dollars,
    dollars_today: Dollars,
    dollars_this_month: Dollars,
}

impl<'a> Bill<'a> {
    fn of(pools: &'a [PoolStatus], baseline: Option<Microdollars>, now: Timestamp) -> Bill<'a> {
        let sum = |of: fn(&PoolStatus) -> Microdollars| Dollars(pools.iter().map(of).sum());
        let (day, month) = begun(now);
        Bill {
            at: Time(now),
            dollars_per_hour: sum(|pool| pool.bill.per_hour),
            dollars_today: sum(|pool| pool.bill.today),
            dollars_this_month: sum(|pool| pool.bill.month),
            pools: pools
                .iter()
                .map(|pool| PoolBill {
                    pool: &pool.name,
                    dollars_per_hour: Dollars(pool.bill.per_hour),
                    dollars_today: Dollars(pool.bill.today),
                    dollars_this_month: Dollars(pool.bill.month),
                })
                .collect(),
            baseline: baseline.map(|price| Baseline {
                dollars_per_hour: Dollars(price),
                dollars_today: Dollars(price.per_hour_over(day)),
                dollars_this_month: Dollars(price.per_hour_over(month)),
            }),
        }
    }
}

/// Returns how much of the day and of the month has gone, in UTC.
fn begun(now: Timestamp) -> (Duration, Duration) {
    let civil = rfc3339(now).to_zoned(jiff::tz::TimeZone::UTC).datetime();
    let day = Duration::from_millis(now.0 % 86_400_000);
    let days = u64::from(civil.day().unsigned_abs()).saturating_sub(1);
    (day, day + Duration::from_secs(days * 86_400))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_baseline_is_beside_the_same_time() {
        // 2026-11-22T09:00:00Z: nine hours of the day, and 21 days more of the month.
        let now = Timestamp(1_795_338_000_000);
        assert_eq!(
            begun(now),
            (Duration::from_secs(9 * 3600), Duration::from_secs((21 * 24 + 9) * 3600))
        );
        let bill = serde_json::to_value(Bill::of(&[], Some(Microdollars(3_492_000)), now)).unwrap();
        assert_eq!(bill["baseline"]["dollars_per_hour"], 3.492);
        assert_eq!(bill["baseline"]["dollars_today"], 31.428);
        assert_eq!(bill["baseline"]["dollars_this_month"], 1791.396);
        assert_eq!(bill["dollars_per_hour"], 0.0);
        assert!(serde_json::to_value(Bill::of(&[], None, now)).unwrap()["baseline"].is_null());
    }
}
