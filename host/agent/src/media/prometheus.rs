//! Just enough of Prometheus' text form to add up the samples of one metric.

/// Returns the sum of a metric's samples over all labels; none where there is no sample, or one that is no number.
pub(super) fn sum(text: &str, metric: &str) -> Option<f64> {
    let mut total = None;
    for line in text.lines() {
        let Some(rest) = line.trim_start().strip_prefix(metric) else {
            continue;
        };
        let Some(value) = value(rest) else { continue };
        let value: f64 = value.parse().ok()?;
        if !value.is_finite() || value < 0.0 {
            return None;
        }
        total = Some(total.unwrap_or(0.0) + value);
    }
    total
}

/// Returns the value behind a metric's name and labels, or none where the name goes on.
fn value(rest: &str) -> Option<&str> {
    let behind = match rest.strip_prefix('{') {
        // A label's value may hold anything, also a brace: the value stands behind the last one.
        Some(labels) => &labels[labels.rfind('}')? + 1..],
        None if rest.starts_with([' ', '\t']) => rest,
        None => return None,
    };
    behind.split_ascii_whitespace().next()
}

#[cfg(test)]
mod tests {
    use super::sum;

    const TEXT: &str = "\
# HELP livekit_participant_total people
# TYPE livekit_participant_total gauge
livekit_participant_total{node_id=\"a\"} 3
livekit_participant_total{node_id=\"odd } { \\\" x\"} 4 1700000000
livekit_participant_total_peak 99
livekit_room_total 2
broken{x=\"1\"} many
negative -1
nothing NaN
";

    #[test]
    fn samples_of_all_labels_are_added_up_and_other_metrics_are_not() {
        assert_eq!(sum(TEXT, "livekit_participant_total"), Some(7.0));
        assert_eq!(sum(TEXT, "livekit_room_total"), Some(2.0));
        assert_eq!(sum(TEXT, "livekit_room"), None);
    }

    #[test]
    fn what_is_no_number_is_not_known() {
        for metric in ["broken", "negative", "nothing"] {
            assert_eq!(sum(TEXT, metric), None, "{metric}");
        }
    }
}
