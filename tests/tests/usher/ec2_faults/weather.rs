//! What goes wrong in the cloud, by chance and by the seed, until each of it has struck; and which instances it has hurt.

use std::collections::BTreeSet;

use jiff::Timestamp;
use usher_fake_ec2::{
    Call, Control, Fault, FaultKind, InjectedError, InstanceId, InstanceState, InstanceView, Lag, Life, Market, Rate,
    Setup, Throttles, default_subnet_id,
};

use crate::chance::Chance;
use crate::ec2::CHEAP;
use crate::http::Client;
use crate::patience::seconds;

/// How an instance ends that died.
const DIED: &str = "Server.InternalError";

/// The call by which instances are ended.
const ENDS: &str = "TerminateInstances";

/// How many instances an operator looks at for one without rooms.
const REMOVALS_TRIED: usize = 8;

/// What calls suffer: of which action, how likely, and what. Of each kind one strikes for certain.
fn strikes() -> Vec<(&'static str, f64, FaultKind)> {
    let error = |code: &str, status| InjectedError {
        code: code.into(),
        status,
        message: format!("{code}, says the test."),
    };
    let unauthorized = || FaultKind::ErrorBefore {
        error: error("UnauthorizedOperation", 403),
    };
    let unavailable = || FaultKind::ErrorBefore {
        error: InjectedError::unavailable(),
    };
    vec![
        ("RunInstances", 0.12, FaultKind::LostAfter),
        ("RunInstances", 0.06, FaultKind::LostBefore),
        ("RunInstances", 0.06, unavailable()),
        (
            "RunInstances",
            0.06,
            FaultKind::ErrorAfter {
                error: InjectedError::internal_error(),
            },
        ),
        ("RunInstances", 0.06, FaultKind::Late { seconds: 2.0 }),
        (ENDS, 0.12, FaultKind::LostAfter),
        (ENDS, 0.06, FaultKind::LostBefore),
        (ENDS, 0.05, unauthorized()),
        (
            ENDS,
            0.05,
            FaultKind::ErrorBefore {
                error: error("InvalidInstanceID.NotFound", 400),
            },
        ),
        ("DescribeInstances", 0.05, FaultKind::LostBefore),
        ("DescribeInstances", 0.05, unavailable()),
        ("DescribeInstances", 0.03, unauthorized()),
        ("DescribeInstances", 0.05, FaultKind::Late { seconds: 1.0 }),
    ]
}

/// How often each action may be asked for: burst, and refill a second. The host asks for more.
const RATES: [(&str, f64, f64); 3] = [
    ("RunInstances", 2.0, 1.0),
    (ENDS, 1.0, 0.5),
    ("DescribeInstances", 4.0, 2.5),
];

/// Limits all of these, and lets nothing through of those that are `shut`.
fn throttles(shut: &[&str]) -> Throttles {
    let rates = RATES.into_iter().map(|(action, burst, refill_per_second)| {
        let rate = match shut.contains(&action) {
            true => Rate {
                burst: 0.0,
                refill_per_second: 0.0,
            },
            false => Rate {
                burst,
                refill_per_second,
            },
        };
        (action.to_owned(), rate)
    });
    Throttles {
        requests: rates.collect(),
        ..Throttles::default()
    }
}

/// Whether a call was struck by this.
fn is_struck(call: &Call, what: &FaultKind) -> bool {
    let outcome = &call.outcome;
    let code = outcome.code.as_deref();
    match what {
        FaultKind::LostBefore => !outcome.is_done && !outcome.is_answered && code.is_none(),
        FaultKind::LostAfter => outcome.is_done && !outcome.is_answered,
        FaultKind::Late { .. } => outcome.late_seconds > 0.0,
        FaultKind::ErrorBefore { error } => !outcome.is_done && code == Some(&error.code),
        FaultKind::ErrorAfter { error } => outcome.is_done && code == Some(&error.code),
    }
}

fn life() -> Life {
    Life {
        boot_seconds: 0.3,
        boot_spread_seconds: 1.0,
        boot_failure: 0.1,
        shutdown_seconds: 0.5,
        mean_life_seconds: Some(25.0),
        mean_spot_life_seconds: Some(20.0),
        spot_notice_seconds: 9.0,
        ..Life::default()
    }
}

/// Turns a setup into one in which calls are lost, late, throttled and refused, reads and changes lag, boots fail, instances die and
/// are taken away, and machines and addresses are short.
pub(super) fn bad(setup: &mut Setup, seed: u64) {
    setup.seed = seed;
    setup.lag = Lag {
        visibility_seconds: 1.5,
        varies: true,
        hides_from_changes: true,
        ..Lag::default()
    };
    setup.life = life();
    // One zone has an address for one instance; the other has enough, so that every room can be seated.
    let short = default_subnet_id(1);
    for subnet in setup.subnets.iter_mut().filter(|subnet| subnet.id == short) {
        subnet.addresses = 1;
    }
    setup.throttles = throttles(&[]);
    for (action, _, what) in strikes() {
        setup.faults.push(Fault::next(action, 1, what));
    }
    for (action, chance, what) in strikes() {
        setup.faults.push(Fault::by_chance(action, chance, what));
    }
}

/// Which instances were hurt, and when first: they died, or were told that they go.
pub(super) fn hurt_since(instance: &InstanceView) -> Option<Timestamp> {
    let died = has_ended_with(instance, DIED).then_some(instance.since);
    died.into_iter().chain(instance.noticed_at).min()
}

fn has_ended_with(instance: &InstanceView, code: &str) -> bool {
    instance.reason.as_ref().is_some_and(|reason| reason.code == code)
}

/// Hurts instances, one now and then.
pub(super) struct Weather {
    control: Control,
    noticed: BTreeSet<InstanceId>,
    killed: BTreeSet<InstanceId>,
}

impl Weather {
    pub(super) fn new(control: Control) -> Weather {
        for zone in ["eu-central-1a", "eu-central-1b"] {
            control.set_capacity(CHEAP, zone, Market::OnDemand, Some(1));
            control.set_capacity(CHEAP, zone, Market::Spot, Some(1));
        }
        Weather {
            control,
            noticed: BTreeSet::new(),
            killed: BTreeSet::new(),
        }
    }

    /// Something happens, or nothing; first what no night goes without.
    pub(super) async fn turn(&mut self, chance: &mut Chance, operator: &Client) {
        match chance.below(6) {
            _ if self.killed.is_empty() => self.kill(chance),
            _ if self.noticed.is_empty() => self.notice(chance),
            0 => self.kill(chance),
            1 | 2 => self.notice(chance),
            3 => self.control.fail_boots(1),
            4 => self.remove_one(operator).await,
            _ => {}
        }
    }

    /// An operator wants an instance gone: the newest without rooms, which may hardly be seen yet.
    async fn remove_one(&self, operator: &Client) {
        for instance in self.control.instances().iter().rev().take(REMOVALS_TRIED) {
            let path = format!("/v1/servers/{}", instance.tags["usher:server"]);
            match operator.delete(&path).await {
                answer if answer.status == 204 => return,
                answer => assert!([404, 409].contains(&answer.status), "{}", answer.text),
            }
        }
    }

    /// An instance that runs, if one does: any, or a spot one that has not been told yet that it goes.
    fn any(&self, chance: &mut Chance, is_spot: bool) -> Option<InstanceId> {
        let now = self.control.now();
        let is_calm = |one: &InstanceView| one.market == Market::Spot && one.noticed_at.is_none_or(|at| at > now);
        let mut running = self.control.instances();
        running.retain(|one| one.state == InstanceState::Running && (!is_spot || is_calm(one)));
        (!running.is_empty()).then(|| running[chance.below(running.len())].id.clone())
    }

    fn kill(&mut self, chance: &mut Chance) {
        let Some(instance) = self.any(chance, false) else {
            return;
        };
        if self.control.kill(&instance) {
            self.killed.insert(instance);
        }
    }

    fn notice(&mut self, chance: &mut Chance) {
        let Some(instance) = self.any(chance, true) else { return };
        if self.control.notice_spot(&instance, seconds(0)) {
            self.noticed.insert(instance);
        }
    }

    /// What no night goes without, and this one has not had yet; but for what ends suffer, which come for certain when it is over.
    pub(super) fn lacking(&self) -> Vec<String> {
        let (calls, instances) = (self.control.calls(), self.control.instances());
        let is_any = |is_so: &dyn Fn(&InstanceView) -> bool| instances.iter().any(is_so);
        let boot_failed = "Server.InternalError: Internal error on launch";
        let mut lacking: Vec<String> = [
            (
                "a zone without machines",
                is_refused(&calls, "RunInstances", "InsufficientInstanceCapacity"),
            ),
            (
                "a subnet without addresses",
                is_refused(&calls, "RunInstances", "InsufficientFreeAddressesInSubnet"),
            ),
            (
                "a boot that fails",
                is_any(&|one| one.reason.as_ref().is_some_and(|reason| reason.message == boot_failed)),
            ),
            ("a machine that breaks", !self.killed.is_empty()),
            ("a spot instance that is taken away", !self.noticed.is_empty()),
            (
                "an instance that dies by itself",
                is_any(&|one| {
                    let is_broken = has_ended_with(one, DIED) && !self.killed.contains(&one.id);
                    is_broken && one.reason.as_ref().is_some_and(|reason| reason.message != boot_failed)
                }),
            ),
            (
                "a spot instance that is taken away by itself",
                is_any(&|one| {
                    !self.noticed.contains(&one.id) && one.noticed_at.is_some_and(|at| at <= self.control.now())
                }),
            ),
        ]
        .into_iter()
        .filter(|(_, has_struck)| !has_struck)
        .map(|(what, _)| what.to_owned())
        .collect();
        let unstruck = unstruck(&calls).into_iter().filter(|(action, ..)| *action != ENDS);
        lacking.extend(unstruck.map(|(action, _, what)| format!("{action}: {what:?}")));
        lacking.extend(
            unthrottled(&calls)
                .iter()
                .map(|action| format!("{action} beyond its rate")),
        );
        lacking
    }

    /// It is to be worse: what has not happened yet does with the next calls and instances.
    pub(super) async fn insist(&self, operator: &Client) {
        let calls = self.control.calls();
        for (action, _, what) in unstruck(&calls) {
            self.control.set_fault(Fault::next(action, 1, what));
        }
        let mut shut = unthrottled(&calls);
        if shut.contains(&ENDS) {
            self.remove_one(operator).await;
        }
        // What launches suffer besides they suffer first.
        shut.retain(|shut| *shut == ENDS || unstruck(&calls).iter().all(|(action, ..)| action != shut));
        self.control.set_throttles(throttles(&shut));
        self.control.set_life(Life {
            mean_life_seconds: Some(5.0),
            mean_spot_life_seconds: Some(5.0),
            ..life()
        });
    }

    /// It clears up for good, but for what no end has suffered yet.
    pub(super) fn clear(&self) {
        self.control.clear_faults();
        for (action, _, what) in unstruck(&self.control.calls()) {
            self.control.set_fault(Fault::next(action, 1, what));
        }
        self.control.set_throttles(Throttles::default());
        self.control.set_life(Life {
            boot_failure: 0.0,
            mean_life_seconds: None,
            mean_spot_life_seconds: None,
            ..life()
        });
        self.control.fail_boots(0);
    }

    /// A night without each of its faults proves nothing.
    pub(super) fn assert_was_bad(&self) {
        let (lacking, unstruck) = (self.lacking(), unstruck(&self.control.calls()));
        assert!(
            lacking.is_empty() && unstruck.is_empty(),
            "there was never {lacking:?} {unstruck:?}"
        );
    }
}

fn is_refused(calls: &[Call], action: &str, code: &str) -> bool {
    let mut calls = calls.iter().filter(|call| call.action == action);
    calls.any(|call| call.outcome.code.as_deref() == Some(code))
}

/// What has not been asked for beyond its rate yet.
fn unthrottled(calls: &[Call]) -> Vec<&'static str> {
    let mut actions: Vec<_> = RATES.iter().map(|(action, ..)| *action).collect();
    actions.retain(|action| !is_refused(calls, action, "RequestLimitExceeded"));
    actions
}

/// What calls have not suffered yet.
fn unstruck(calls: &[Call]) -> Vec<(&'static str, f64, FaultKind)> {
    let mut strikes = strikes();
    strikes.retain(|(action, _, what)| !calls.iter().any(|call| call.action == *action && is_struck(call, what)));
    strikes
}
