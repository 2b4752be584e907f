//! What `exec`'s programs read and write: one JSON object each way. A key that is not known is an error, not a surprise.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use usher_fleet::config::Labels;
use usher_fleet::ids::{Attempt, PoolName, ServerName};
use usher_fleet::observation::{Found, Instance, InstanceState, OrderKey};
use usher_fleet::units::Microdollars;

/// The longest text in an answer, in bytes: what browsers take as a URL. The fleet keeps it durably, for each server.
const TEXT_BYTES_MAX: usize = 2048;

/// The most endpoints of one server: ten times what a media server has.
const ENDPOINTS_MAX: usize = 32;

/// The highest price that is believed, in dollars an hour: the dearest machine of any cloud costs a thousandth of it.
const DOLLARS_PER_HOUR_MAX: f64 = 1e6;

/// What `launch` reads.
#[derive(Debug, Serialize)]
pub(super) struct LaunchAsk<'a> {
    pub(super) fleet: &'a str,
    pub(super) server: &'a ServerName,
    pub(super) attempt: Attempt,
    pub(super) pool: &'a PoolName,
    pub(super) region: &'a str,
    /// Always null so far: the program chooses.
    pub(super) zone: Option<&'a str>,
    pub(super) instance_type: &'a str,
    pub(super) labels: &'a Labels,
}

/// What `terminate` reads.
#[derive(Debug, Serialize)]
pub(super) struct TerminateAsk<'a> {
    pub(super) fleet: &'a str,
    pub(super) server: &'a ServerName,
    pub(super) attempt: Attempt,
    pub(super) pool: &'a PoolName,
    pub(super) instance: Option<&'a str>,
}

/// What `list` reads.
#[derive(Debug, Serialize)]
pub(super) struct ListAsk<'a> {
    pub(super) fleet: &'a str,
    pub(super) pool: &'a PoolName,
}

/// Says why a program's answer cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    /// It is not the JSON that was agreed upon.
    #[error("its answer is not as agreed: {0}")]
    Json(serde_json::Error),
    /// A text is empty or too long.
    #[error("its answer's `{key}` has {bytes} bytes, not 1 to {TEXT_BYTES_MAX}")]
    Text { key: &'static str, bytes: usize },
    /// There are too many endpoints.
    #[error("its answer has {0} endpoints, more than {ENDPOINTS_MAX}")]
    Endpoints(usize),
    /// The price is none.
    #[error("its answer's `price_per_hour` is {0}, not 0 to {DOLLARS_PER_HOUR_MAX} dollars")]
    Price(f64),
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Pending,
    Running,
    Ended,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LaunchAnswer {
    instance: String,
    url: Option<String>,
    #[serde(default)]
    endpoints: BTreeMap<String, String>,
    zone: Option<String>,
    price_per_hour: Option<f64>,
    #[serde(default = "running")]
    state: State,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TerminateAnswer {}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListAnswer {
    instances: Vec<ListedInstance>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListedInstance {
    server: ServerName,
    attempt: Attempt,
    instance: String,
    url: Option<String>,
    #[serde(default)]
    endpoints: BTreeMap<String, String>,
    zone: Option<String>,
    state: State,
}

fn running() -> State {
    State::Running
}

/// Reads what `launch` wrote.
pub(super) fn launched(output: &[u8]) -> Result<Instance, Unreadable> {
    let answer: LaunchAnswer = serde_json::from_slice(output).map_err(Unreadable::Json)?;
    checked(Instance {
        instance: answer.instance,
        state: answer.state.into(),
        url: answer.url,
        endpoints: answer.endpoints,
        zone: answer.zone,
        price_per_hour: answer.price_per_hour.map(microdollars).transpose()?,
    })
}

/// Reads what `terminate` wrote: an empty object, or nothing.
pub(super) fn terminated(output: &[u8]) -> Result<(), Unreadable> {
    if output.trim_ascii().is_empty() {
        return Ok(());
    }
    let TerminateAnswer {} = serde_json::from_slice(output).map_err(Unreadable::Json)?;
    Ok(())
}

/// Reads what `list` wrote.
pub(super) fn listed(output: &[u8]) -> Result<Vec<Found>, Unreadable> {
    let answer: ListAnswer = serde_json::from_slice(output).map_err(Unreadable::Json)?;
    answer.instances.into_iter().map(listed_one).collect()
}

fn listed_one(answer: ListedInstance) -> Result<Found, Unreadable> {
    let key = OrderKey {
        server: answer.server,
        attempt: answer.attempt,
    };
    let instance = checked(Instance {
        instance: answer.instance,
        state: answer.state.into(),
        url: answer.url,
        endpoints: answer.endpoints,
        zone: answer.zone,
        price_per_hour: None,
    })?;
    Ok(Found::from((key, instance)))
}

impl From<State> for InstanceState {
    fn from(state: State) -> InstanceState {
        match state {
            State::Pending => InstanceState::Pending,
            State::Running => InstanceState::Running,
            State::Ended => InstanceState::Ended,
        }
    }
}

fn microdollars(dollars: f64) -> Result<Microdollars, Unreadable> {
    if (0.0..=DOLLARS_PER_HOUR_MAX).contains(&dollars) {
        Ok(Microdollars((dollars * 1e6).round() as u64))
    } else {
        Err(Unreadable::Price(dollars))
    }
}

fn checked(instance: Instance) -> Result<Instance, Unreadable> {
    if instance.endpoints.len() > ENDPOINTS_MAX {
        return Err(Unreadable::Endpoints(instance.endpoints.len()));
    }
    check_text("instance", &instance.instance)?;
    if let Some(url) = &instance.url {
        check_text("url", url)?;
    }
    if let Some(zone) = &instance.zone {
        check_text("zone", zone)?;
    }
    for (name, address) in &instance.endpoints {
        check_text("endpoints", name)?;
        check_text("endpoints", address)?;
    }
    Ok(instance)
}

fn check_text(key: &'static str, text: &str) -> Result<(), Unreadable> {
    match text.len() {
        1..=TEXT_BYTES_MAX => Ok(()),
        bytes => Err(Unreadable::Text { key, bytes }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_launch_answer_needs_only_the_instance() {
        let instance = launched(br#"{"instance": "i-1"}"#).unwrap();
        assert_eq!(instance.instance, "i-1");
        assert_eq!(instance.state, InstanceState::Running);
        assert_eq!(
            (instance.url, instance.zone, instance.price_per_hour),
            (None, None, None)
        );
    }

    #[test]
    fn a_launch_answer_tells_all_that_the_fleet_keeps() {
        let answer = br#"{"instance": "i-1", "url": "wss://a", "endpoints": {"admin": "http://b"}, "zone": "a",
            "price_per_hour": 0.348, "state": "pending"}"#;
        let instance = launched(answer).unwrap();
        assert_eq!(instance.state, InstanceState::Pending);
        assert_eq!(instance.url.as_deref(), Some("wss://a"));
        assert_eq!(instance.endpoints["admin"], "http://b");
        assert_eq!(instance.zone.as_deref(), Some("a"));
        assert_eq!(instance.price_per_hour, Some(Microdollars(348_000)));
    }

    #[test]
    fn an_unknown_key_is_named() {
        let reason = launched(br#"{"instance": "i-1", "ip": "10.0.0.1"}"#)
            .unwrap_err()
            .to_string();
        assert!(reason.contains("unknown field `ip`"), "{reason}");
        let reason = terminated(br#"{"ok": true}"#).unwrap_err().to_string();
        assert!(reason.contains("unknown field `ok`"), "{reason}");
        let entry = br#"{"instances": [{"server": "a", "attempt": 1, "instance": "i", "state": "running", "cpu": 1}]}"#;
        let reason = listed(entry).unwrap_err().to_string();
        assert!(reason.contains("unknown field `cpu`"), "{reason}");
    }

    #[test]
    fn what_is_missing_or_of_another_kind_is_named() {
        for (answer, part) in [
            (r#"{}"#, "missing field `instance`"),
            (r#"{"instance": ""}"#, "`instance` has 0 bytes"),
            (r#"{"instance": 7}"#, "expected a string"),
            (r#"{"instance": "i", "price_per_hour": -1}"#, "`price_per_hour` is -1"),
            (r#"{"instance": "i", "state": "stopped"}"#, "unknown variant `stopped`"),
            (r#"{"instance": "i"} {}"#, "trailing characters"),
            ("", "EOF"),
            ("launched i-1", "expected value"),
        ] {
            let reason = launched(answer.as_bytes()).unwrap_err().to_string();
            assert!(reason.contains(part), "{answer}: {reason}");
        }
        let long = format!(r#"{{"instance": "i", "url": "{}"}}"#, "x".repeat(TEXT_BYTES_MAX + 1));
        assert!(
            launched(long.as_bytes())
                .unwrap_err()
                .to_string()
                .contains("`url` has 2049 bytes")
        );
    }

    #[test]
    fn a_termination_may_answer_nothing() {
        assert!(terminated(b"").is_ok());
        assert!(terminated(b"\n").is_ok());
        assert!(terminated(b"{}\n").is_ok());
        assert!(terminated(b"null").is_err());
    }

    #[test]
    fn a_list_is_read_whole_or_not_at_all() {
        let answer =
            br#"{"instances": [{"server": "a", "attempt": 2, "instance": "i", "zone": null, "state": "ended"}]}"#;
        let Found { key, instance, .. } = listed(answer).unwrap().remove(0);
        assert_eq!((key.server.as_str(), key.attempt), ("a", Attempt(2)));
        assert_eq!(instance.state, InstanceState::Ended);
        let answer = br#"{"instances": [{"server": "no spaces", "attempt": 2, "instance": "i", "state": "ended"}]}"#;
        assert!(listed(answer).unwrap_err().to_string().contains("not ' '"));
        assert!(listed(b"").is_err());
        assert!(listed(b"{}").is_err());
    }
}
