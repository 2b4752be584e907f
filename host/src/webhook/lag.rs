//! Whether the receiver is behind: told once when it falls behind, and once when it has caught up.

use std::time::Duration;

use usher_fleet::Timestamp;
use usher_fleet::event::{WebhookEvent, WebhookLag};

/// An event that is older and not delivered means that the receiver is behind: five tries have failed by then.
const BEHIND_AFTER: Duration = Duration::from_secs(60);
/// It has caught up once the oldest is younger than this; less than [`BEHIND_AFTER`], so that the two do not take turns.
const CAUGHT_UP_AT: Duration = Duration::from_secs(30);

/// How far behind the receiver is.
#[derive(Debug)]
pub(super) struct Lag {
    receiver: String,
    /// When somebody began to look: what happened while the host was down is not the receiver's fault.
    began: Timestamp,
    behind_since: Option<Timestamp>,
    /// Whether it wants no more calls: then it catches up no more.
    has_given_up: bool,
    /// What came of the last call.
    last: String,
}

impl Lag {
    /// Begins to look; `behind_since` is what was told before.
    pub(super) fn new(receiver: String, began: Timestamp, behind_since: Option<Timestamp>) -> Lag {
        Lag {
            receiver,
            began,
            behind_since,
            has_given_up: false,
            last: "no call has ended yet".to_owned(),
        }
    }

    /// Notes what came of a call.
    pub(super) fn note(&mut self, outcome: String) {
        self.last = outcome;
    }

    /// Returns since when it is behind.
    pub(super) fn behind_since(&self) -> Option<Timestamp> {
        self.behind_since
    }

    /// Judges by the oldest event that is not delivered, if there is one; returns what is to be told.
    pub(super) fn judge(&mut self, oldest: Option<Timestamp>, now: Timestamp) -> Option<WebhookEvent> {
        if self.has_given_up {
            return None;
        }
        let age = |oldest: Timestamp| now.since(oldest);
        match (self.behind_since, oldest) {
            (None, Some(oldest)) if age(oldest.max(self.began)) > BEHIND_AFTER => {
                self.behind_since = Some(now);
                Some(WebhookEvent::Behind(self.told(age(oldest))))
            }
            (Some(since), oldest) if oldest.is_none_or(|oldest| age(oldest) < CAUGHT_UP_AT) => {
                self.behind_since = None;
                Some(WebhookEvent::CaughtUp(self.told(now.since(since))))
            }
            (None | Some(_), _) => None,
        }
    }

    /// Judges that it is behind whatever its age: it wants no more calls.
    pub(super) fn gave_up(&mut self, oldest: Option<Timestamp>, now: Timestamp) -> Option<WebhookEvent> {
        self.has_given_up = true;
        if self.behind_since.is_some() {
            return None;
        }
        self.behind_since = Some(now);
        let age = oldest.map(|oldest| now.since(oldest)).unwrap_or_default();
        Some(WebhookEvent::Behind(self.told(age)))
    }

    fn told(&self, lag: Duration) -> WebhookLag {
        WebhookLag {
            receiver: self.receiver.clone(),
            lag_seconds: lag.as_secs(),
            reason: self.last.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp(seconds * 1000)
    }

    fn lag() -> Lag {
        Lag::new("http://a".to_owned(), at(1000), None)
    }

    #[test]
    fn it_is_told_once_that_it_is_behind_and_once_that_it_has_caught_up() {
        let mut lag = lag();
        assert_eq!(lag.judge(Some(at(1000)), at(1060)), None);
        lag.note("503 Service Unavailable".to_owned());
        let Some(WebhookEvent::Behind(behind)) = lag.judge(Some(at(1000)), at(1061)) else {
            panic!()
        };
        assert_eq!(
            (behind.lag_seconds, behind.reason.as_str()),
            (61, "503 Service Unavailable")
        );
        assert_eq!(lag.judge(Some(at(1000)), at(1100)), None);
        assert_eq!(lag.judge(Some(at(1060)), at(1100)), None, "not yet");
        assert!(matches!(
            lag.judge(Some(at(1090)), at(1100)),
            Some(WebhookEvent::CaughtUp(_))
        ));
        assert_eq!(lag.judge(None, at(1200)), None);
    }

    #[test]
    fn what_happened_while_nobody_called_is_not_held_against_it() {
        let mut lag = lag();
        assert_eq!(lag.judge(Some(at(10)), at(1059)), None);
        assert!(lag.judge(Some(at(10)), at(1061)).is_some());
    }

    #[test]
    fn that_it_is_behind_is_remembered_over_a_restart() {
        let mut lag = Lag::new("http://a".to_owned(), at(1000), Some(at(900)));
        let Some(WebhookEvent::CaughtUp(caught_up)) = lag.judge(None, at(1001)) else {
            panic!()
        };
        assert_eq!(caught_up.lag_seconds, 101);
    }

    #[test]
    fn one_that_wants_no_more_calls_is_behind_at_once_and_only_once() {
        let mut lag = lag();
        assert!(lag.gave_up(Some(at(1000)), at(1001)).is_some());
        assert_eq!(lag.gave_up(Some(at(1000)), at(1002)), None);
        assert_eq!(lag.judge(Some(at(1000)), at(1002)), None, "young as it is");
        assert_eq!(lag.judge(None, at(1100)), None);
    }
}
