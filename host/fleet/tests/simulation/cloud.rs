//! What really exists: instances under their keys, whatever anybody was told of them.
//!
//! It behaves as EC2 does to its callers, or as a provider at once does where a world's [`Habits`] say so: a key that was used
//! settles what it made, orders arrive late and outlive the process that sent them, lists lag, an end is known when a list says
//! so. Which of it was met is counted ([`Cloud::met`]).

pub(crate) mod ending;
pub(crate) mod launching;
pub(crate) mod listing;
pub(crate) mod made;
pub(crate) mod weather;

use std::collections::{BTreeMap, BTreeSet};

use std::time::Duration;

use usher_fleet::config::FleetConfig;
use usher_fleet::effect::{Examine, LaunchOrder, TerminateOrder, Watch};
use usher_fleet::ids::{Attempt, PoolName, ServerName};
use usher_fleet::observation::{Evidence, Examined, OrderKey, Probed};
use usher_fleet::units::Timestamp;
use usher_fleet::{Effect, Observation};

use super::chance::Chance;
use super::coverage::Coverage;
use made::Made;
use weather::{Habits, Weather};

/// How often, in percent, an order goes wrong in each of several ways.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Faults {
    pub(crate) percent: u64,
}

/// An observation that is under way.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) due: Timestamp,
    pub(crate) observation: Observation,
}

/// An order that has left its process and has not arrived.
#[derive(Debug, Clone)]
struct Sent {
    due: Timestamp,
    process: u32,
    order: Order,
}

#[derive(Debug, Clone)]
enum Order {
    Launch(LaunchOrder),
    Terminate(TerminateOrder),
}

impl Order {
    fn key(&self) -> &OrderKey {
        match self {
            Order::Launch(order) => &order.key,
            Order::Terminate(order) => &order.key,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Cloud {
    /// What time it is, whatever a process is told.
    pub(crate) now: Timestamp,
    pub(crate) habits: Habits,
    pub(crate) weather: Weather,
    /// Which installation this is: another one each time the data folder is lost.
    pub(crate) installation: u32,
    /// What this installation has launched, for ever.
    pub(crate) instances: BTreeMap<OrderKey, Made>,
    /// What installations before this one have launched.
    pub(crate) others: Vec<(OrderKey, Made)>,
    /// What each key was first ordered with.
    pub(crate) ordered: BTreeMap<OrderKey, LaunchOrder>,
    /// Keys whose orders were answered with a no for good.
    refused: BTreeSet<OrderKey>,
    /// Keys that were told to end: nothing is launched under them ever after.
    pub(crate) ended: BTreeSet<OrderKey>,
    /// Keys about which the provider has lied, or that a dead process ordered so late that the answer was a no before: what
    /// exists under them is not the fleet's fault.
    pub(crate) foreign: BTreeSet<OrderKey>,
    /// Pools whose servers somebody else makes.
    pub(crate) external: BTreeSet<PoolName>,
    pub(crate) watched: BTreeMap<ServerName, Watch>,
    pub(crate) messages: Vec<Message>,
    sent: Vec<Sent>,
    process: u32,
    /// Which faults were met.
    pub(crate) met: Coverage,
}

impl Cloud {
    pub(crate) fn new(config: &FleetConfig, habits: Habits) -> Cloud {
        let external = config.pools.iter().filter(|pool| !pool.automatic);
        Cloud {
            now: Timestamp(0),
            habits,
            weather: Weather::default(),
            installation: 1,
            instances: BTreeMap::new(),
            others: Vec::new(),
            ordered: BTreeMap::new(),
            refused: BTreeSet::new(),
            ended: BTreeSet::new(),
            foreign: BTreeSet::new(),
            external: external.map(|pool| pool.name.clone()).collect(),
            watched: BTreeMap::new(),
            messages: Vec::new(),
            sent: Vec::new(),
            process: 1,
            met: Coverage::default(),
        }
    }

    /// Runs an effect that has left the process, and lets its answer come in its time, if ever. Scale decisions are asked
    /// elsewhere.
    pub(crate) fn run(
        &mut self,
        effect: &Effect,
        muted: &BTreeSet<ServerName>,
        faults: Faults,
        now: Timestamp,
        chance: &mut Chance,
    ) {
        match effect {
            Effect::Launch(order) => {
                self.invariant_an_order_is_repeated_as_it_was(order);
                self.send(Order::Launch(order.clone()), faults, now, chance);
            }
            Effect::Terminate(order) => {
                self.ended.insert(order.key.clone());
                self.send(Order::Terminate(order.clone()), faults, now, chance);
            }
            Effect::List(pool) => self.list(pool, faults, now, chance),
            Effect::Watch(watch) => {
                self.watched.insert(watch.server.clone(), watch.clone());
            }
            Effect::Unwatch(server) => {
                self.watched.remove(server);
            }
            Effect::Probe(watch) => {
                let is_muted = muted.contains(&watch.server);
                let observation = self.probe(watch, is_muted, now);
                self.answer(observation, faults, now, chance);
            }
            Effect::Examine(examine) => self.examine(examine, faults, now, chance),
            Effect::Scale(_) => {}
        }
    }

    fn invariant_an_order_is_repeated_as_it_was(&mut self, order: &LaunchOrder) {
        let key = &order.key;
        assert!(
            !self.ended.contains(key),
            "invariant_a_key_is_never_launched_after_its_end: {key:?}"
        );
        let nth = order.nth;
        let first = self.ordered.entry(key.clone()).or_insert_with(|| order.clone());
        assert_eq!(
            &LaunchOrder { nth, ..first.clone() },
            order,
            "invariant_an_order_is_repeated_as_it_was: {key:?}"
        );
    }

    /// Sends an order; one process has the orders of a key done one after the other, and asks nothing twice at once.
    fn send(&mut self, order: Order, faults: Faults, now: Timestamp, chance: &mut Chance) {
        if matches!(order, Order::Launch(_)) && self.is_launching(order.key()) {
            return;
        }
        let mut due = now;
        if chance.percent(faults.percent) {
            due = due + Duration::from_millis(chance.below(weather::ORDER_MAX.as_millis() as u64));
        }
        let before = self
            .sent
            .iter()
            .filter(|sent| sent.process == self.process && sent.order.key() == order.key());
        let due = before.map(|sent| sent.due).max().map_or(due, |before| due.max(before));
        let process = self.process;
        self.sent.push(Sent { due, process, order });
        self.arrive(faults, now, chance);
    }

    /// Whether a launch of this key is under way.
    fn is_launching(&self, key: &OrderKey) -> bool {
        let of_key = |sent: &Sent| matches!(&sent.order, Order::Launch(order) if order.key == *key);
        self.sent
            .iter()
            .any(|sent| sent.process == self.process && of_key(sent))
    }

    /// Whether a launch of this key is under way that a dead process sent.
    fn is_under_way_still(&self, key: &OrderKey) -> bool {
        let of_key = |sent: &Sent| matches!(&sent.order, Order::Launch(order) if order.key == *key);
        self.sent
            .iter()
            .any(|sent| sent.process != self.process && of_key(sent))
    }

    /// Lets arrive what is due, the oldest first.
    pub(crate) fn arrive(&mut self, faults: Faults, now: Timestamp, chance: &mut Chance) {
        loop {
            let due = self.sent.iter().enumerate().filter(|(_, sent)| sent.due <= now);
            let Some(index) = due.min_by_key(|(_, sent)| sent.due).map(|(index, _)| index) else {
                return;
            };
            let sent = self.sent.remove(index);
            let is_awaited = sent.process == self.process;
            if !is_awaited {
                self.met.count("order.arrived_after_its_process");
            }
            let answer = match sent.order {
                Order::Launch(order) => self.launch(&order, is_awaited, faults, now, chance),
                Order::Terminate(order) => self.terminate(&order, faults, now, chance),
            };
            if let Some(observation) = answer.filter(|_| is_awaited) {
                self.answer(observation, faults, now, chance);
            }
        }
    }

    /// Lets an observation come: mostly soon, sometimes late, sometimes twice.
    pub(crate) fn answer(&mut self, observation: Observation, faults: Faults, now: Timestamp, chance: &mut Chance) {
        let pause = match chance.below(10) {
            0..=5 => chance.between(0, 300),
            6..=8 => chance.between(0, 5_000),
            _ => chance.between(0, 300 + 900 * u32::try_from(faults.percent).unwrap_or(0)),
        };
        let due = now + Duration::from_millis(pause.into());
        if chance.percent(faults.percent) {
            self.met.count("answer.twice");
            let late = now + Duration::from_secs(chance.between(0, 200).into());
            self.messages.push(Message {
                due: late,
                observation: observation.clone(),
            });
        }
        self.messages.push(Message { due, observation });
    }

    /// Takes any message that is due, not the oldest first; but what one launch was answered comes in its order.
    pub(crate) fn take_due(&mut self, now: Timestamp, chance: &mut Chance) -> Option<Observation> {
        let due: Vec<usize> = (0..self.messages.len())
            .filter(|index| self.messages[*index].due <= now)
            .collect();
        let index = *chance.pick(&due)?;
        let key_of = |message: &Message| match &message.observation {
            Observation::Launched(launched) => Some(launched.key.clone()),
            _ => None,
        };
        let key = key_of(&self.messages[index]);
        let is_before = |message: &Message| key.is_some() && key_of(message) == key;
        let first = self.messages[..index].iter().position(is_before).unwrap_or(index);
        Some(self.messages.remove(first).observation)
    }

    /// Says what there is to be found out about an instance, or never does.
    fn examine(&mut self, examine: &Examine, faults: Faults, now: Timestamp, chance: &mut Chance) {
        if chance.percent(faults.percent) {
            return self.met.count("examination.lost");
        }
        let lives = self.living(&examine.key, now).is_some();
        let evidence = Evidence {
            cause: (!lives).then(|| "it has ended".into()),
            console: Some("login:".into()),
        };
        let key = examine.key.clone();
        self.answer(Observation::Examined(Examined { key, evidence }), faults, now, chance);
    }

    /// Returns what this installation has made under a key, if it lives.
    pub(crate) fn living(&self, key: &OrderKey, now: Timestamp) -> Option<&Made> {
        self.instances.get(key).filter(|made| made.lives(now))
    }

    /// Returns how an instance of this installation is called.
    pub(crate) fn name_of(&self, key: &OrderKey) -> String {
        made::name(self.installation, key)
    }

    /// Whether the instance of a server serves, as far as it is one of ours.
    pub(crate) fn serves(&self, key: &OrderKey, now: Timestamp) -> bool {
        self.instances.get(key).is_some_and(|made| made.serves(now))
    }

    /// What comes of looking at a server's URL; what nobody here has launched answers unless it is mute.
    pub(crate) fn probe(&self, watch: &Watch, is_muted: bool, now: Timestamp) -> Observation {
        let server = watch.server.clone();
        let is_external = self.external.contains(&watch.pool);
        let mut attempts = self.instances.range(
            OrderKey {
                server: server.clone(),
                attempt: Attempt(0),
            }..,
        );
        let serves = attempts
            .by_ref()
            .take_while(|(key, _)| key.server == server)
            .any(|(_, made)| made.serves(now));
        let result = if !is_muted && (is_external || serves) {
            Ok(())
        } else {
            Err("connection refused".into())
        };
        Observation::Probed(Probed {
            server,
            url: watch.url.clone(),
            result,
        })
    }

    /// The process has ended: what it was told is lost, what exists goes on, and so does what it has ordered.
    pub(crate) fn forget_the_process(&mut self) {
        self.messages.clear();
        self.watched.clear();
        self.process += 1;
        if self.habits.is_at_once() {
            self.sent.clear();
        }
    }

    /// The data folder is lost: whoever starts now is another installation, with the same fleet's name.
    pub(crate) fn forget_the_installation(&mut self) {
        self.forget_the_process();
        self.sent.clear();
        self.installation += 1;
        self.others.extend(std::mem::take(&mut self.instances));
        self.ordered.clear();
        self.refused.clear();
        self.ended.clear();
        self.foreign.clear();
    }
}
