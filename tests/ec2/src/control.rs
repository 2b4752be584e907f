//! The tests' handle on a running fake: what is true, what was asked, and what is to go wrong.

pub(crate) mod http;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::calls::Call;
use crate::faults::Fault;
use crate::setup::{Key, Lag, Life, Market, Quotas};
use crate::shared::Shared;
use crate::throttle::Throttles;
use crate::world::{Instance, InstanceId, InstanceView, World};

/// A handle on a running fake. Its clones are handles on the same.
#[derive(Debug, Clone)]
pub struct Control {
    shared: Arc<Shared>,
}

impl Control {
    pub(crate) fn new(shared: Arc<Shared>) -> Control {
        Control { shared }
    }

    /// Returns what time it is in the fake.
    pub fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// Returns all instances as they truly are, gone ones too, in the order of their launches.
    pub fn instances(&self) -> Vec<InstanceView> {
        self.shared.look(World::views)
    }

    /// Returns an instance as it truly is.
    pub fn instance(&self, id: &InstanceId) -> Option<InstanceView> {
        self.shared.look(|world| world.instance(id).map(Instance::view))
    }

    /// Returns all requests, the oldest first.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.look(|world| world.log.all())
    }

    /// Returns every instance that was ever launched under each client token.
    pub fn launched_by_token(&self) -> BTreeMap<String, Vec<InstanceId>> {
        self.shared.look(World::launched_by_token)
    }

    /// Returns the end of an instance's console, as `GetConsoleOutput` has it.
    pub fn console(&self, id: &InstanceId) -> Option<String> {
        self.shared.look(|world| {
            let instance = world.instance(id)?;
            Some(String::from_utf8_lossy(&instance.console).into_owned())
        })
    }

    /// Waits until it is as the caller wants it, and looks again after each change. Without end: callers bring their own limit.
    pub async fn wait_for(&self, mut is_so: impl FnMut(&Control) -> bool) {
        let mut changes = self.shared.changes();
        loop {
            changes.borrow_and_update();
            if is_so(self) {
                return;
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Moves the clock forward, and lets happen what falls due. A real clock jumps, too.
    pub fn advance(&self, span: Duration) {
        self.shared.clock.advance(signed(span));
        self.shared.act(|_, _| ());
    }

    /// Sets how many instances of a type a zone has room for at a time, with those that exist; without end if `None`.
    pub fn set_capacity(&self, instance_type: &str, zone: &str, market: Market, instances: Option<u32>) {
        self.shared
            .act(|world, _| world.set_capacity(market, instance_type, zone, instances));
    }

    /// Sets how many addresses a subnet has. Returns whether there is such a subnet.
    pub fn set_addresses(&self, subnet: &str, addresses: u32) -> bool {
        self.shared.act(|world, _| {
            let found = world.setup.subnets.iter_mut().find(|known| known.id == subnet);
            found.map(|found| found.addresses = addresses).is_some()
        })
    }

    /// Sets what the account may have.
    pub fn set_quotas(&self, quotas: Quotas) {
        self.shared.act(|world, _| world.setup.quotas = quotas);
    }

    /// Sets which rates are limited, with full buckets.
    pub fn set_throttles(&self, throttles: Throttles) {
        self.shared.act(|world, _| {
            world.setup.throttles = throttles;
            world.buckets = Default::default();
        });
    }

    /// Sets how instances live and die that are launched from now on.
    pub fn set_life(&self, life: Life) {
        self.shared.act(|world, _| world.setup.life = life);
    }

    /// Sets how late reads are. What has been forgotten meanwhile a longer lag cannot show again.
    pub fn set_lag(&self, lag: Lag) {
        self.shared.act(|world, _| world.setup.lag = lag);
    }

    /// Sets what a key may do, all if `None`. Returns whether there is such a key.
    pub fn set_allowed(&self, access_key_id: &str, allowed: Option<BTreeSet<String>>) -> bool {
        self.set_key(access_key_id, |key| key.allowed = allowed)
    }

    /// Sets what a key may not do, whatever it is allowed. Returns whether there is such a key.
    pub fn set_denied(&self, access_key_id: &str, denied: BTreeSet<String>) -> bool {
        self.set_key(access_key_id, |key| key.denied = denied)
    }

    /// Sets whether dry runs are taken for calls.
    pub fn set_dry_runs_ignored(&self, ignores: bool) {
        self.shared.act(|world, _| world.setup.ignores_dry_runs = ignores);
    }

    /// Arms a fault beside those that are armed.
    pub fn set_fault(&self, fault: Fault) {
        self.shared.act(|world, _| world.faults.arm(fault));
    }

    /// Disarms all faults.
    pub fn clear_faults(&self) {
        self.shared.act(|world, _| world.faults.clear());
    }

    /// Makes the next so many launched instances fail their boots.
    pub fn fail_boots(&self, count: u32) {
        self.shared.act(|world, _| world.fail_boots(count));
    }

    /// Ends an instance at once, as a machine that breaks does. Returns whether there was one to end.
    pub fn kill(&self, id: &InstanceId) -> bool {
        self.shared.act(|world, now| world.kill(now, id))
    }

    /// Lets a spot instance be told after a while that it ends. Returns whether it is a spot instance that is up.
    pub fn notice_spot(&self, id: &InstanceId, after: Duration) -> bool {
        self.shared.act(|world, now| world.notice_spot(now, id, signed(after)))
    }

    /// Writes at the end of an instance's console. Returns whether there is such an instance.
    pub fn write_console(&self, id: &InstanceId, text: &str) -> bool {
        self.shared.act(|world, _| world.write_console(id, text.as_bytes()))
    }

    fn set_key(&self, access_key_id: &str, set: impl FnOnce(&mut Key)) -> bool {
        self.shared.act(|world, _| {
            let mut keys = world.setup.keys.iter_mut();
            keys.find(|key| key.access_key_id == access_key_id).map(set).is_some()
        })
    }
}

fn signed(span: Duration) -> SignedDuration {
    SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX)
}
