//! Request rates as EC2 limits them: a bucket of tokens an action, and one of resources for those that make or end them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Which rates are limited; none by default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Throttles {
    /// Requests, by action.
    pub requests: BTreeMap<String, Rate>,
    /// Instances asked for in requests, by action (`RunInstances`, `TerminateInstances`).
    pub resources: BTreeMap<String, Rate>,
}

/// A bucket: how much it holds, and how fast it fills.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// How many at once when it is full.
    pub burst: f64,
    /// How many more each second.
    pub refill_per_second: f64,
}

impl Throttles {
    /// Returns what EC2 publishes for an account without raised limits.
    pub fn as_ec2() -> Throttles {
        let rate = |burst, refill_per_second| Rate {
            burst,
            refill_per_second,
        };
        let requests = [
            ("RunInstances", rate(5.0, 2.0)),
            ("TerminateInstances", rate(100.0, 5.0)),
            ("DescribeInstances", rate(100.0, 20.0)),
            ("DescribeLaunchTemplates", rate(100.0, 20.0)),
            ("DescribeLaunchTemplateVersions", rate(100.0, 20.0)),
            ("DescribeSubnets", rate(100.0, 20.0)),
            ("CreateTags", rate(100.0, 10.0)),
            ("DeleteTags", rate(100.0, 10.0)),
        ];
        let resources = [
            ("RunInstances", rate(1000.0, 2.0)),
            ("TerminateInstances", rate(1000.0, 20.0)),
        ];
        let named = |rates: &[(&str, Rate)]| rates.iter().map(|(name, rate)| ((*name).to_owned(), *rate)).collect();
        Throttles {
            requests: named(&requests),
            resources: named(&resources),
        }
    }
}

/// How full the buckets are.
#[derive(Debug, Default)]
pub(crate) struct Buckets {
    requests: BTreeMap<String, Bucket>,
    resources: BTreeMap<String, Bucket>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled_at: Timestamp,
}

impl Buckets {
    /// Takes one request of `action`; says no when there is none left.
    pub(crate) fn take_request(&mut self, throttles: &Throttles, action: &str, now: Timestamp) -> bool {
        take(&mut self.requests, &throttles.requests, action, 1.0, now)
    }

    /// Takes `count` resources of `action`; says no when there are fewer left.
    pub(crate) fn take_resources(&mut self, throttles: &Throttles, action: &str, count: u32, now: Timestamp) -> bool {
        take(&mut self.resources, &throttles.resources, action, f64::from(count), now)
    }
}

fn take(
    buckets: &mut BTreeMap<String, Bucket>,
    rates: &BTreeMap<String, Rate>,
    action: &str,
    count: f64,
    now: Timestamp,
) -> bool {
    let Some(rate) = rates.get(action) else {
        return true;
    };
    let bucket = buckets.entry(action.to_owned()).or_insert(Bucket {
        tokens: rate.burst,
        filled_at: now,
    });
    let passed = now.duration_since(bucket.filled_at).as_secs_f64().max(0.0);
    bucket.tokens = (bucket.tokens + passed * rate.refill_per_second).min(rate.burst);
    bucket.filled_at = now;
    // Refills are sums of fractions; what lacks a billionth is there.
    let enough = bucket.tokens + 1e-9 >= count;
    if enough {
        bucket.tokens -= count;
    }
    enough
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::{Buckets, Throttles};

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_refill() {
        let (throttles, mut buckets) = (Throttles::as_ec2(), Buckets::default());
        let mut now = Timestamp::UNIX_EPOCH;
        let mut taken = |now| {
            (0..9)
                .filter(|_| buckets.take_request(&throttles, "RunInstances", now))
                .count()
        };
        assert_eq!(taken(now), 5);
        now += SignedDuration::from_millis(500);
        assert_eq!(taken(now), 1);
        now += SignedDuration::from_hours(1);
        assert_eq!(taken(now), 5);
    }

    #[test]
    fn an_action_without_a_rate_is_never_throttled() {
        let (throttles, mut buckets) = (Throttles::default(), Buckets::default());
        assert!((0..999).all(|_| buckets.take_request(&throttles, "RunInstances", Timestamp::UNIX_EPOCH)));
    }
}
