//! What goes wrong in the cloud, by chance and by the seed, and which instances it has hurt.

use std::collections::BTreeMap;

use jiff::Timestamp;
use usher_fake_ec2::{
    Call, Control, Fault, FaultKind, InjectedError, InstanceId, InstanceState, Lag, Life, Market, Setup,
};

use crate::chance::Chance;
use crate::ec2::CHEAP;
use crate::patience::seconds;

/// Turns a setup into one in which calls are lost, late, throttled and refused, reads lag, boots fail and room is short.
pub(super) fn bad(setup: &mut Setup, seed: u64) {
    let error = |code: &str, status| InjectedError {
        code: code.into(),
        status,
        message: format!("{code}, says the test."),
    };
    let throttled = || error("RequestLimitExceeded", 503);
    let unauthorized = || error("UnauthorizedOperation", 403);
    setup.seed = seed;
    setup.lag = Lag {
        visibility_seconds: 1.5,
        varies: true,
        ..Lag::default()
    };
    setup.life = Life {
        boot_seconds: 0.3,
        boot_spread_seconds: 1.0,
        boot_failure: 0.1,
        shutdown_seconds: 0.5,
        spot_notice_seconds: 9.0,
        ..Life::default()
    };
    // However the dice fall, a night has these.
    for action in ["RunInstances", "TerminateInstances"] {
        setup.faults.push(Fault::next(action, 1, FaultKind::LostAfter));
    }
    for (action, chance, what) in [
        ("RunInstances", 0.08, FaultKind::LostBefore),
        ("RunInstances", 0.15, FaultKind::LostAfter),
        ("RunInstances", 0.08, FaultKind::ErrorBefore { error: throttled() }),
        (
            "RunInstances",
            0.08,
            FaultKind::ErrorAfter {
                error: InjectedError::internal_error(),
            },
        ),
        ("RunInstances", 0.08, FaultKind::Late { seconds: 2.0 }),
        ("TerminateInstances", 0.08, FaultKind::LostBefore),
        ("TerminateInstances", 0.15, FaultKind::LostAfter),
        (
            "TerminateInstances",
            0.05,
            FaultKind::ErrorBefore { error: throttled() },
        ),
        (
            "TerminateInstances",
            0.05,
            FaultKind::ErrorBefore { error: unauthorized() },
        ),
        ("DescribeInstances", 0.05, FaultKind::LostBefore),
        ("DescribeInstances", 0.05, FaultKind::ErrorBefore { error: throttled() }),
        (
            "DescribeInstances",
            0.03,
            FaultKind::ErrorBefore { error: unauthorized() },
        ),
        ("DescribeInstances", 0.05, FaultKind::Late { seconds: 1.0 }),
    ] {
        setup.faults.push(Fault::by_chance(action, chance, what));
    }
}

/// Which instances were hurt, and when first.
#[derive(Debug, Default)]
pub(super) struct Hurt(BTreeMap<InstanceId, Timestamp>);

impl Hurt {
    /// Whether an instance had been hurt by then: its rooms are elsewhere, as well as they may.
    pub(super) fn was_hurt(&self, instance: &InstanceId, at: Timestamp) -> bool {
        self.0.get(instance).is_some_and(|since| *since <= at)
    }
}

/// Hurts instances, one now and then.
pub(super) struct Weather {
    control: Control,
    pub(super) hurt: Hurt,
    noticed: usize,
    killed: usize,
}

impl Weather {
    pub(super) fn new(control: Control) -> Weather {
        for zone in ["eu-central-1a", "eu-central-1b"] {
            control.set_capacity(CHEAP, zone, Market::OnDemand, Some(1));
            control.set_capacity(CHEAP, zone, Market::Spot, Some(1));
        }
        Weather {
            control,
            hurt: Hurt::default(),
            noticed: 0,
            killed: 0,
        }
    }

    /// Something happens, or nothing; first what no night goes without.
    pub(super) fn turn(&mut self, chance: &mut Chance) {
        match chance.below(5) {
            _ if self.killed == 0 => self.kill(chance),
            _ if self.noticed == 0 => self.notice(chance),
            0 => self.kill(chance),
            1 | 2 => self.notice(chance),
            3 => self.control.fail_boots(1),
            _ => {}
        }
    }

    fn any(&self, chance: &mut Chance, is_spot: bool) -> Option<InstanceId> {
        let running: Vec<_> = self
            .control
            .instances()
            .into_iter()
            .filter(|instance| instance.state == InstanceState::Running)
            .filter(|instance| !is_spot || instance.market == Market::Spot)
            .collect();
        (!running.is_empty()).then(|| running[chance.below(running.len())].id.clone())
    }

    fn kill(&mut self, chance: &mut Chance) {
        let Some(instance) = self.any(chance, false) else {
            return;
        };
        self.note(&instance);
        self.killed += usize::from(self.control.kill(&instance));
    }

    fn notice(&mut self, chance: &mut Chance) {
        let Some(instance) = self.any(chance, true) else { return };
        self.note(&instance);
        self.noticed += usize::from(self.control.notice_spot(&instance, seconds(0)));
    }

    fn note(&mut self, instance: &InstanceId) {
        let now = self.control.now();
        self.hurt.0.entry(instance.clone()).or_insert(now);
    }

    /// It clears up for good, but that the first end is lost where none came before.
    pub(super) fn clear(&self) {
        self.control.clear_faults();
        if self.unanswered("TerminateInstances") == 0 {
            self.control
                .set_fault(Fault::next("TerminateInstances", 1, FaultKind::LostAfter));
        }
        self.control.set_life(Life {
            boot_seconds: 0.3,
            shutdown_seconds: 0.5,
            spot_notice_seconds: 9.0,
            ..Life::default()
        });
        self.control.fail_boots(0);
    }

    /// How many calls of an action were carried out and not answered.
    fn unanswered(&self, action: &str) -> usize {
        let calls = self.control.calls();
        let is_lost = |call: &&Call| call.action == action && call.outcome.is_done && !call.outcome.is_answered;
        calls.iter().filter(is_lost).count()
    }

    /// A night without a death, a notice and a lost reply proves nothing.
    pub(super) fn assert_was_bad(&self) {
        assert!(
            self.killed > 0 && self.noticed > 0,
            "{} killed, {} noticed",
            self.killed,
            self.noticed
        );
        assert!(self.unanswered("RunInstances") > 0, "every launch was answered");
        assert!(self.unanswered("TerminateInstances") > 0, "every end was answered");
    }
}
