//! What `/metrics` shows, in Prometheus' text format: names, labels and meaning.
//!
//! | name | labels | what |
//! |---|---|---|
//! | `usher_rooms` | | rooms, waiting ones included |
//! | `usher_waiting_rooms` | | rooms that wait for a server |
//! | `usher_room_wait_seconds` | | histogram: from asked to placed, of every placement |
//! | `usher_servers` | `pool`, `phase`, `hold`, `health` | servers; `hold` is `none`, `cordoned` or `draining` |
//! | `usher_servers_wanted` | `pool` | the level that an external pool should have |
//! | `usher_launches_total` | `pool` | launches that were ordered |
//! | `usher_launch_failures_total` | `pool` | launches that were refused, and boots that never became ready |
//! | `usher_circuit_open` | `pool` | 1 while too many boots failed and launches are held back |
//! | `usher_frozen` | | 1 while too many servers are silent at once for anything to be concluded from it |
//! | `usher_decisions_total` | `decision`, `verdict` | policies' parts in decisions, by what became of their advice |
//! | `usher_policy_asked_total` | `policy`, `decision` | questions to a policy; `decision` is `place`, `scale_up` or `scale_down` |
//! | `usher_policy_answered_total` | `policy`, `decision` | its answers, waits and rejections included |
//! | `usher_policy_deferred_total` | `policy`, `decision` | questions that it left to the next in the chain |
//! | `usher_policy_faults_total` | `policy`, `decision`, `kind` | questions without an answer, by kind: `trap`, `out_of_fuel`, `error`, `bad_answer`, `unavailable` |
//! | `usher_policy_seconds` | `policy`, `decision`, `quantile` | this share of the questions took no longer, within 25 %; `quantile` is `0.5` or `0.99` |
//! | `usher_policy_fuel` | `policy`, `decision`, `quantile` | this share of the questions took no more fuel, within 25 %; 0 for the built-in |
//! | `usher_policy_quarantined` | `policy`, `decision` | 1 while it may not take this decision, after too many faults |
//! | `usher_policy_memory_bytes` | `policy` | memory of its instances |
//! | `usher_policy_learned_bytes` | `policy` | what it has learned and Usher keeps |
//! | `usher_policy_info` | `policy`, `wanted_state`, `wanted_version`, `wanted_sha256`, `wanted_settings_sha256`, `serving_version`, `serving_sha256`, `serving_settings_sha256` | always 1: what the folder holds, and what serves |
//! | `usher_reserved_seats` | `pool` | seats that the ledger counts |
//! | `usher_used_seats` | `pool` | participants that servers report |
//! | `usher_dollars_per_hour` | `pool` | what the servers cost an hour now |
//! | `usher_dollars_today` | `pool` | since midnight UTC |
//! | `usher_dollars_this_month` | `pool` | since the first of the month, UTC |
//! | `usher_store_sync_seconds` | | histogram: how long a batch took to become durable |
//! | `usher_batch_inputs` | | histogram: commands and observations in one durable batch |
//! | `usher_refused_total` | `reason` | requests refused before the fleet saw them: `busy` or `stopping` |
//! | `usher_log_lines_dropped_total` | | log lines that were dropped because nobody read stderr |
//! | `usher_webhook_calls_total` | `outcome` | the webhook's calls: `delivered`, `refused`, `gone` (410), `timed_out`, `unreachable` |
//! | `usher_webhook_lag_seconds` | | the age of the oldest event that its receiver has not taken; 0 where there is none |
//! | `usher_tls_handshakes_failed_total` | `reason` | connections that came to no request: `late`, `broken_off`, `plain_http`, or `refused` by one side |
//! | `usher_certificate_expires_timestamp_seconds` | | when the certificate that is shown expires, in seconds since 1970; only with `[tls]` |
//!
//! Gauges are published by the driver once a second, so that reading them asks nobody. A label's value that no server has any
//! more stays, at 0. Counters start at 0 with the process. The policies' figures are those of the moment; they begin anew
//! with a policy's file, and go with it.

mod policies;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use usher_fleet::event::What;
use usher_fleet::{Decision, Fleet, Timestamp};

pub use policies::policies;

/// From a placement that finds its server to one that waits for a slow boot, in seconds.
const WAIT_BUCKETS: [f64; 12] = [0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 60.0, 120.0, 300.0, 600.0, 1200.0];
/// From a fast disk's sync to a stalled one's, in seconds.
const SYNC_BUCKETS: [f64; 11] = [0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.0];
/// Powers of four up to what a batch may hold.
const BATCH_BUCKETS: [f64; 6] = [1.0, 4.0, 16.0, 64.0, 256.0, 1024.0];

/// How often histograms are folded, whether anyone reads them or not: else they grow.
pub const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Makes this process count, once, and returns what renders the figures.
///
/// # Panics
/// Never: a recorder that somebody else installed before would make the figures empty, not wrong.
pub fn install() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE
        .get_or_init(|| {
            let recorder = PrometheusBuilder::new()
                .set_buckets_for_metric(Matcher::Full("usher_room_wait_seconds".to_owned()), &WAIT_BUCKETS)
                .and_then(|b| {
                    b.set_buckets_for_metric(Matcher::Full("usher_store_sync_seconds".to_owned()), &SYNC_BUCKETS)
                })
                .and_then(|b| b.set_buckets_for_metric(Matcher::Full("usher_batch_inputs".to_owned()), &BATCH_BUCKETS))
                .expect("the buckets are not empty")
                .build_recorder();
            let handle = recorder.handle();
            if metrics::set_global_recorder(recorder).is_err() {
                tracing::warn!("another recorder of metrics is installed; /metrics shows nothing");
            }
            describe();
            handle
        })
        .clone()
}

fn describe() {
    describe_gauge!("usher_rooms", "rooms, waiting ones included");
    describe_gauge!("usher_waiting_rooms", "rooms that wait for a server");
    describe_histogram!(
        "usher_room_wait_seconds",
        Unit::Seconds,
        "from asked to placed, of every placement"
    );
    describe_gauge!("usher_servers", "servers by pool, phase, hold and health");
    describe_gauge!("usher_servers_wanted", "the level that an external pool should have");
    describe_counter!("usher_launches_total", "launches that were ordered");
    describe_counter!(
        "usher_launch_failures_total",
        "launches refused, and boots that never became ready"
    );
    describe_gauge!(
        "usher_circuit_open",
        "1 while too many boots failed and launches are held back"
    );
    describe_gauge!(
        "usher_frozen",
        "1 while too many servers are silent at once to conclude anything from it"
    );
    describe_counter!(
        "usher_decisions_total",
        "policies' parts in decisions, by what became of their advice"
    );
    describe_gauge!("usher_reserved_seats", "seats that the ledger counts");
    describe_gauge!("usher_used_seats", "participants that servers report");
    describe_gauge!("usher_dollars_per_hour", "what the servers cost an hour now");
    describe_gauge!("usher_dollars_today", "what the servers cost since midnight UTC");
    describe_gauge!(
        "usher_dollars_this_month",
        "what the servers cost since the first of the month, UTC"
    );
    describe_histogram!(
        "usher_store_sync_seconds",
        Unit::Seconds,
        "how long a batch took to become durable"
    );
    describe_histogram!("usher_batch_inputs", "commands and observations in one durable batch");
    describe_counter!("usher_refused_total", "requests refused before the fleet saw them");
    describe_counter!(
        "usher_log_lines_dropped_total",
        "log lines that were dropped because nobody read stderr"
    );
    describe_counter!("usher_webhook_calls_total", "the webhook's calls by what came of them");
    describe_gauge!(
        "usher_webhook_lag_seconds",
        Unit::Seconds,
        "the age of the oldest event that the webhook's receiver has not taken"
    );
    describe_counter!(
        "usher_tls_handshakes_failed_total",
        "connections that came to no request, by reason"
    );
    describe_gauge!(
        "usher_certificate_expires_timestamp_seconds",
        Unit::Seconds,
        "when the certificate that is shown expires, since 1970"
    );
}

/// Counts a batch that has become durable.
pub fn batch_committed(took: Duration, inputs: usize) {
    histogram!("usher_store_sync_seconds").record(took.as_secs_f64());
    histogram!("usher_batch_inputs").record(inputs as f64);
}

/// Counts a request that was refused before the fleet saw it.
pub fn refused(reason: &'static str) {
    counter!("usher_refused_total", "reason" => reason).increment(1);
}

/// Counts a call of the webhook.
pub fn webhook_called(outcome: &'static str) {
    counter!("usher_webhook_calls_total", "outcome" => outcome).increment(1);
}

/// Shows how far the webhook's receiver is behind.
pub fn webhook_lag(lag: Duration) {
    gauge!("usher_webhook_lag_seconds").set(lag.as_secs_f64());
}

/// Counts a connection that came to no request for want of TLS.
pub fn handshake_failed(reason: &'static str) {
    counter!("usher_tls_handshakes_failed_total", "reason" => reason).increment(1);
}

/// Says when the certificate that is shown expires, in seconds since 1970.
pub fn certificate_expires(seconds: i64) {
    gauge!("usher_certificate_expires_timestamp_seconds").set(seconds as f64);
}

/// What the driver counts and publishes.
#[derive(Debug, Default)]
pub struct Meters {
    /// What `usher_servers` was last set for, to set it to 0 when nobody is there any more.
    servers: BTreeSet<ServerLabels>,
    pools: BTreeSet<String>,
    decisions: BTreeMap<(&'static str, &'static str), u64>,
}

type ServerLabels = (String, &'static str, &'static str, &'static str);

impl Meters {
    /// Counts an event.
    pub fn event(&mut self, what: &What) {
        if let What::RoomPlaced(placed) = what {
            histogram!("usher_room_wait_seconds").record(f64::from(placed.waited_seconds));
        } else if let What::ServerRequested(server) = what {
            counter!("usher_launches_total", "pool" => server.pool.to_string()).increment(1);
        } else if let What::ServerFailed(failed) = what {
            counter!("usher_launch_failures_total", "pool" => failed.server.pool.to_string()).increment(1);
        }
    }

    /// Counts decisions; they are told to the recorder with the next figures.
    pub fn decisions(&mut self, decisions: &[Decision]) {
        for decision in decisions {
            *self
                .decisions
                .entry((decision.point.word(), decision.verdict))
                .or_default() += 1;
        }
    }

    /// Publishes the fleet's figures as they are now.
    pub fn publish(&mut self, fleet: &Fleet, now: Timestamp) {
        for ((decision, verdict), count) in &mut self.decisions {
            let count = std::mem::take(count);
            counter!("usher_decisions_total", "decision" => *decision, "verdict" => *verdict).increment(count);
        }
        gauge!("usher_rooms").set(fleet.room_count() as f64);
        gauge!("usher_waiting_rooms").set(fleet.waiting_rooms() as f64);
        gauge!("usher_frozen").set(f64::from(u8::from(fleet.is_frozen())));
        counter!("usher_log_lines_dropped_total").absolute(crate::telemetry::lines_dropped());
        self.publish_pools(fleet, now);
        self.publish_servers(fleet);
    }

    fn publish_pools(&mut self, fleet: &Fleet, now: Timestamp) {
        let mut gone = std::mem::take(&mut self.pools);
        for pool in fleet.pools(now) {
            let name = pool.name.to_string();
            let set = |gauge: metrics::Gauge, value: f64| gauge.set(value);
            set(
                gauge!("usher_circuit_open", "pool" => name.clone()),
                f64::from(u8::from(pool.circuit_open_until.is_some())),
            );
            set(
                gauge!("usher_servers_wanted", "pool" => name.clone()),
                f64::from(pool.servers_wanted.unwrap_or(0)),
            );
            set(
                gauge!("usher_reserved_seats", "pool" => name.clone()),
                f64::from(pool.seats),
            );
            set(
                gauge!("usher_dollars_per_hour", "pool" => name.clone()),
                pool.bill.per_hour.dollars(),
            );
            set(
                gauge!("usher_dollars_today", "pool" => name.clone()),
                pool.bill.today.dollars(),
            );
            set(
                gauge!("usher_dollars_this_month", "pool" => name.clone()),
                pool.bill.month.dollars(),
            );
            gone.remove(&name);
            self.pools.insert(name);
        }
        for name in gone {
            for figure in [
                "usher_circuit_open",
                "usher_servers_wanted",
                "usher_reserved_seats",
                "usher_dollars_per_hour",
            ] {
                gauge!(figure, "pool" => name.clone()).set(0.0);
            }
        }
    }

    fn publish_servers(&mut self, fleet: &Fleet) {
        let mut counts: BTreeMap<ServerLabels, u32> = BTreeMap::new();
        let mut used: BTreeMap<String, f64> = self.pools.iter().map(|pool| (pool.clone(), 0.0)).collect();
        for server in fleet.servers() {
            let pool = server.card.pool.to_string();
            let hold = server.hold.as_ref().map_or("none", |hold| hold.word());
            *used.entry(pool.clone()).or_default() += f64::from(server.participants.unwrap_or(0));
            *counts
                .entry((pool, server.phase.word(), hold, server.health.word()))
                .or_default() += 1;
        }
        for (pool, participants) in used {
            gauge!("usher_used_seats", "pool" => pool).set(participants);
        }
        for labels in self.servers.iter().filter(|labels| !counts.contains_key(*labels)) {
            servers_gauge(labels).set(0.0);
        }
        for (labels, count) in counts {
            servers_gauge(&labels).set(f64::from(count));
            self.servers.insert(labels);
        }
    }
}

fn servers_gauge((pool, phase, hold, health): &ServerLabels) -> metrics::Gauge {
    gauge!("usher_servers", "pool" => pool.clone(), "phase" => *phase, "hold" => *hold, "health" => *health)
}

#[cfg(test)]
mod tests {
    use usher_fleet::event::{RoomPlaced, ServerEvent};
    use usher_fleet::ids::PlacementNo;
    use usher_fleet::units::Microdollars;

    use super::*;

    /// Name and labels of each row of the table above.
    fn documented() -> BTreeMap<String, Vec<String>> {
        let words = |cell: &str| {
            cell.split('`')
                .skip(1)
                .step_by(2)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        include_str!("metrics.rs")
            .lines()
            .filter_map(|line| line.strip_prefix("//! | `"))
            .map(|row| {
                let cells: Vec<_> = row.split('|').collect();
                (cells[0].trim().trim_end_matches('`').to_owned(), words(cells[1]))
            })
            .collect()
    }

    /// Name and labels of each sample, without what histograms add.
    fn shown(text: &str) -> BTreeMap<String, Vec<String>> {
        text.lines()
            .filter(|line| line.starts_with("usher_") && !line.contains("_bucket{") && !line.contains("_sum "))
            .map(|line| {
                let (name, rest) = line.split_at(line.find(['{', ' ']).unwrap());
                let labels = rest
                    .split_once('{')
                    .map_or("", |(_, labels)| labels.split('}').next().unwrap());
                let labels = labels
                    .split(',')
                    .filter_map(|label| Some(label.split_once('=')?.0.to_owned()))
                    .collect();
                (name.trim_end_matches("_count").to_owned(), labels)
            })
            .collect()
    }

    #[test]
    fn every_figure_is_in_the_table_with_its_labels_and_the_other_way_round() {
        let handle = install();
        let server = |pool: &str| ServerEvent {
            server: "a".parse().unwrap(),
            pool: pool.parse().unwrap(),
            instance: None,
            offer: None,
            price_per_hour: Microdollars(1),
            rooms: 0,
            reason: String::new(),
        };
        let placed = RoomPlaced {
            room: "r".parse().unwrap(),
            placement: PlacementNo(1),
            server: "a".parse().unwrap(),
            pool: "p".parse().unwrap(),
            seats: 1,
            tenant: None,
            waited_seconds: 3,
            policy: "standard".into(),
            reason: None,
        };
        let mut meters = Meters::default();
        for what in [
            What::RoomPlaced(placed),
            What::ServerRequested(server("p")),
            What::ServerFailed(server("p").into()),
        ] {
            meters.event(&what);
        }
        meters.decisions.insert(("place", "accepted"), 1);
        batch_committed(Duration::from_millis(1), 3);
        refused("busy");
        webhook_called("delivered");
        webhook_lag(Duration::ZERO);
        handshake_failed("late");
        certificate_expires(1);
        let mut fleet = Fleet::recover(one_pool(), [], Timestamp(0));
        fleet.resume(Timestamp(0));
        meters.publish(&fleet, Timestamp(0));
        servers_gauge(&("p".to_owned(), "ready", "none", "ok")).set(1.0);
        let figures = handle.render() + &policies(&[policies::tests::policy()]);
        assert_eq!(shown(&figures), documented());
    }

    fn one_pool() -> usher_fleet::config::FleetConfig {
        crate::config::Config::without_file(std::path::Path::new("/")).fleet
    }
}
