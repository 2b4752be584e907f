//! The order of orders: per key one at a time, none twice at once, a termination never before the launch it ends.

use std::collections::{HashMap, VecDeque};

use usher_fleet::effect::{LaunchOrder, TerminateOrder};
use usher_fleet::observation::OrderKey;

/// What a provider is asked about one key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Order {
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

    /// Whether the answer to one answers the other too. A termination that knows more than the one before is another.
    fn is_same_as(&self, other: &Order) -> bool {
        match (self, other) {
            (Order::Launch(one), Order::Launch(other)) => one.key == other.key,
            (Order::Terminate(one), Order::Terminate(other)) => one == other,
            (Order::Launch(_), Order::Terminate(_)) | (Order::Terminate(_), Order::Launch(_)) => false,
        }
    }

    fn is_same_kind_as(&self, other: &Order) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// All orders that are not done. Bounded by the keys that the fleet knows: three orders each.
#[derive(Debug, Default)]
pub(crate) struct Orders(HashMap<OrderKey, Lane>);

/// The orders of one key.
#[derive(Debug)]
struct Lane {
    running: Order,
    /// That the running one's answer is on its way: who asks from now on wants another.
    is_answered: bool,
    /// What comes next, at most one launch and one termination.
    waiting: VecDeque<Order>,
}

/// What is to be done with an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Run it, and then whatever [`Orders::next`] returns.
    Run,
    /// Nothing: whoever runs the orders of its key will come to it, or is at it already.
    Leave,
}

impl Orders {
    /// Takes in an order.
    pub(crate) fn admit(&mut self, order: Order) -> Admission {
        let Some(lane) = self.0.get_mut(order.key()) else {
            let lane = Lane {
                running: order.clone(),
                is_answered: false,
                waiting: VecDeque::new(),
            };
            self.0.insert(order.key().clone(), lane);
            return Admission::Run;
        };
        let is_being_done = lane.waiting.is_empty() && !lane.is_answered && lane.running.is_same_as(&order);
        if is_being_done {
            // The answer to the one that runs is the answer to this one.
            if let (Order::Launch(running), Order::Launch(order)) = (&mut lane.running, &order) {
                running.nth = order.nth;
            }
        } else {
            lane.waiting.retain(|waiting| !waiting.is_same_kind_as(&order));
            lane.waiting.push_back(order);
        }
        Admission::Leave
    }

    /// Notes that the running order of a key has its answer, which is about to be told. Returns the number of the newest launch that
    /// it answers.
    pub(crate) fn answered(&mut self, key: &OrderKey) -> Option<u32> {
        let lane = self.0.get_mut(key)?;
        lane.is_answered = true;
        match &lane.running {
            Order::Launch(order) => Some(order.nth),
            Order::Terminate(_) => None,
        }
    }

    /// Ends the running order of a key and returns the one to run now.
    pub(crate) fn next(&mut self, key: &OrderKey) -> Option<Order> {
        let lane = self.0.get_mut(key)?;
        let Some(next) = lane.waiting.pop_front() else {
            self.0.remove(key);
            return None;
        };
        lane.running = next.clone();
        lane.is_answered = false;
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use usher_fleet::config::Labels;
    use usher_fleet::ids::Attempt;

    use super::*;

    fn key(server: &str) -> OrderKey {
        OrderKey {
            server: server.parse().unwrap(),
            attempt: Attempt(1),
        }
    }

    fn launch(server: &str) -> Order {
        Order::Launch(LaunchOrder {
            key: key(server),
            no: usher_fleet::ids::ServerNo(1),
            pool: "demo".parse().unwrap(),
            labels: Labels::new(),
            offer: None,
            nth: 1,
        })
    }

    fn terminate(server: &str, instance: Option<&str>) -> Order {
        Order::Terminate(TerminateOrder {
            key: key(server),
            pool: "demo".parse().unwrap(),
            instance: instance.map(str::to_owned),
            since: usher_fleet::Timestamp(0),
        })
    }

    #[test]
    fn a_launch_that_runs_is_not_run_twice() {
        let mut orders = Orders::default();
        assert_eq!(orders.admit(launch("a")), Admission::Run);
        assert_eq!(orders.admit(launch("a")), Admission::Leave);
        assert_eq!(orders.admit(launch("b")), Admission::Run);
        assert_eq!(orders.next(&key("a")), None);
        assert_eq!(orders.admit(launch("a")), Admission::Run);
    }

    #[test]
    fn a_termination_waits_for_the_launch_that_runs() {
        let mut orders = Orders::default();
        orders.admit(launch("a"));
        assert_eq!(orders.admit(terminate("a", None)), Admission::Leave);
        assert_eq!(orders.next(&key("a")), Some(terminate("a", None)));
        assert_eq!(orders.next(&key("a")), None);
    }

    #[test]
    fn a_repeat_after_the_answer_is_run_anew() {
        let mut orders = Orders::default();
        orders.admit(launch("a"));
        orders.answered(&key("a"));
        assert_eq!(orders.admit(launch("a")), Admission::Leave);
        assert_eq!(orders.next(&key("a")), Some(launch("a")));
        assert_eq!(orders.admit(launch("a")), Admission::Leave);
        assert_eq!(orders.next(&key("a")), None);
    }

    #[test]
    fn a_termination_that_knows_the_instance_follows_one_that_does_not() {
        let mut orders = Orders::default();
        orders.admit(terminate("a", None));
        orders.admit(terminate("a", None));
        orders.admit(terminate("a", Some("i-1")));
        assert_eq!(orders.next(&key("a")), Some(terminate("a", Some("i-1"))));
        assert_eq!(orders.next(&key("a")), None);
    }

    #[test]
    fn however_often_is_asked_two_orders_wait_at_most_and_the_newest_is_last() {
        let mut orders = Orders::default();
        orders.admit(launch("a"));
        for _ in 0..10 {
            orders.admit(terminate("a", None));
            orders.admit(launch("a"));
        }
        orders.admit(terminate("a", Some("i-1")));
        assert_eq!(orders.next(&key("a")), Some(launch("a")));
        assert_eq!(orders.next(&key("a")), Some(terminate("a", Some("i-1"))));
        assert_eq!(orders.next(&key("a")), None);
    }
}
