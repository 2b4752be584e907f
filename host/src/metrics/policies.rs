//! The policies' figures, as they are when somebody looks.
//!
//! They are made anew each time, by a recorder that lives no longer: one that lives as long as the process would keep a row for
//! every version that ever served.

use metrics::{Label, Unit, counter, describe_counter, describe_gauge, gauge, with_local_recorder};
use metrics_exporter_prometheus::PrometheusBuilder;
use usher_policy::{PolicyStatus, TallyStatus};

/// Renders them in Prometheus' text format.
pub fn policies(policies: &[PolicyStatus]) -> String {
    let recorder = PrometheusBuilder::new().build_recorder();
    with_local_recorder(&recorder, || {
        describe();
        policies.iter().for_each(publish);
    });
    recorder.handle().render()
}

fn describe() {
    describe_counter!("usher_policy_asked_total", "questions to a policy");
    describe_counter!(
        "usher_policy_answered_total",
        "answers of a policy, waits and rejections included"
    );
    describe_counter!(
        "usher_policy_deferred_total",
        "questions that a policy left to the next in the chain"
    );
    describe_counter!("usher_policy_faults_total", "questions without an answer");
    describe_gauge!(
        "usher_policy_seconds",
        Unit::Seconds,
        "this share of the questions took no longer, within 25 %"
    );
    describe_gauge!(
        "usher_policy_fuel",
        "this share of the questions took no more fuel, within 25 %; the built-in has none"
    );
    describe_gauge!(
        "usher_policy_memory_bytes",
        Unit::Bytes,
        "memory of a policy's instances"
    );
    describe_gauge!(
        "usher_policy_learned_bytes",
        Unit::Bytes,
        "what a policy has learned and Usher keeps"
    );
    describe_gauge!(
        "usher_policy_quarantined",
        "1 while a policy may not take this decision, after too many faults"
    );
    describe_gauge!(
        "usher_policy_info",
        "always 1: the version that the folder holds, how far it has come, and the version that serves"
    );
}

fn publish(policy: &PolicyStatus) {
    let of_policy = || vec![Label::new("policy", policy.name.clone())];
    gauge!("usher_policy_memory_bytes", of_policy()).set(policy.memory_bytes as f64);
    gauge!("usher_policy_learned_bytes", of_policy()).set(policy.learned_bytes as f64);
    let tallies = [&policy.place, &policy.scale_up, &policy.scale_down];
    for (decision, tally) in ["place", "scale_up", "scale_down"].into_iter().zip(tallies) {
        let Some(tally) = tally else { continue };
        let mut labels = of_policy();
        labels.push(Label::new("decision", decision));
        let is_out = |serving: &usher_policy::ServingStatus| serving.quarantined.contains(&decision);
        let is_out = policy.serving.as_ref().is_some_and(is_out);
        gauge!("usher_policy_quarantined", labels.clone()).set(f64::from(u8::from(is_out)));
        publish_tally(&labels, tally);
    }
    gauge!("usher_policy_info", versions(policy)).set(1.0);
}

fn publish_tally(labels: &[Label], tally: &TallyStatus) {
    let with = |key, value| {
        labels
            .iter()
            .cloned()
            .chain([Label::new(key, value)])
            .collect::<Vec<_>>()
    };
    counter!("usher_policy_asked_total", labels.to_vec()).absolute(tally.asked);
    counter!("usher_policy_answered_total", labels.to_vec()).absolute(tally.answered);
    counter!("usher_policy_deferred_total", labels.to_vec()).absolute(tally.deferred);
    for (kind, faults) in tally.faults.by_kind() {
        counter!("usher_policy_faults_total", with("kind", kind.word())).absolute(faults);
    }
    let quantiles = [
        ("0.5", tally.microseconds_p50, tally.fuel_p50),
        ("0.99", tally.microseconds_p99, tally.fuel_p99),
    ];
    for (quantile, microseconds, fuel) in quantiles {
        gauge!("usher_policy_seconds", with("quantile", quantile)).set(microseconds / 1e6);
        gauge!("usher_policy_fuel", with("quantile", quantile)).set(fuel as f64);
    }
}

/// What the folder holds and what serves; empty where there is none.
fn versions(policy: &PolicyStatus) -> Vec<Label> {
    let mut labels = vec![Label::new("policy", policy.name.clone())];
    let wanted = policy.wanted.as_ref();
    let serving = policy.serving.as_ref();
    let state = wanted.map_or("", |wanted| wanted.state.word());
    let texts = [
        ("wanted_version", wanted.and_then(|wanted| wanted.version.as_ref())),
        ("wanted_sha256", wanted.map(|wanted| &wanted.sha256)),
        ("wanted_settings_sha256", wanted.map(|wanted| &wanted.settings_sha256)),
        ("serving_version", serving.map(|serving| &serving.version)),
        ("serving_sha256", serving.map(|serving| &serving.sha256)),
        (
            "serving_settings_sha256",
            serving.map(|serving| &serving.settings_sha256),
        ),
    ];
    labels.push(Label::new("wanted_state", state));
    labels.extend(
        texts
            .into_iter()
            .map(|(key, text)| Label::new(key, text.cloned().unwrap_or_default())),
    );
    labels
}

#[cfg(test)]
pub(super) mod tests {
    use usher_policy::{FaultCounts, ServingStatus, WantedState, WantedStatus};

    use super::*;

    /// A policy that places rooms, whose newer file was refused.
    pub(in super::super) fn policy() -> PolicyStatus {
        let place = TallyStatus {
            asked: 9,
            answered: 4,
            deferred: 2,
            faults: FaultCounts {
                trap: 1,
                out_of_fuel: 2,
                error: 0,
                bad_answer: 0,
                unavailable: 0,
            },
            fuel_p50: 900,
            fuel_p99: 1_000,
            fuel_max: 1_000,
            microseconds_p50: 1.5,
            microseconds_p99: 20.0,
        };
        PolicyStatus {
            name: "10-vip".to_owned(),
            built_in: false,
            wanted: Some(WantedStatus {
                version: None,
                sha256: "bb".to_owned(),
                settings_sha256: "cc".to_owned(),
                state: WantedState::Refused,
                step: Some("compile"),
                problem: Some("too long".to_owned()),
            }),
            serving: Some(ServingStatus {
                version: "1.0.0".to_owned(),
                summary: "packs".to_owned(),
                sha256: "aa".to_owned(),
                settings_sha256: "cc".to_owned(),
                since: None,
                decisions: vec!["place"],
                quarantined: vec!["place"],
                quarantines: Vec::new(),
                on_fault: "next",
            }),
            previous: None,
            rolled_back_at: None,
            problem: None,
            learned_bytes: 64,
            memory_bytes: 4_096,
            place: Some(place),
            scale_up: None,
            scale_down: None,
        }
    }

    #[test]
    fn a_policy_is_counted_by_decision_and_kind() {
        let text = policies(&[policy()]);
        for line in [
            r#"usher_policy_asked_total{policy="10-vip",decision="place"} 9"#,
            r#"usher_policy_faults_total{policy="10-vip",decision="place",kind="out_of_fuel"} 2"#,
            r#"usher_policy_fuel{policy="10-vip",decision="place",quantile="0.5"} 900"#,
            r#"usher_policy_seconds{policy="10-vip",decision="place",quantile="0.99"} 0.00002"#,
            r#"usher_policy_quarantined{policy="10-vip",decision="place"} 1"#,
            r#"usher_policy_memory_bytes{policy="10-vip"} 4096"#,
            r#"usher_policy_info{policy="10-vip",wanted_state="refused",wanted_version="",wanted_sha256="bb",wanted_settings_sha256="cc",serving_version="1.0.0",serving_sha256="aa",serving_settings_sha256="cc"} 1"#,
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("scale_up"), "{text}");
    }

    #[test]
    fn what_is_gone_leaves_nothing_behind() {
        policies(&[policy()]);
        assert_eq!(policies(&[]), "");
    }
}
