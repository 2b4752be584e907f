//! The kitchen: a thread that makes recipes from files, so that one which takes long to compile keeps nobody waiting who
//! serves.

use std::collections::VecDeque;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::folder::Contents;
use crate::loader::Message;
use crate::loading::{self, Kitchen, LoadError};
use crate::recipe::Recipe;
use crate::status::Board;
use crate::version::{Name, Version};
use crate::wasm::Children;

/// What a recipe is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Errand {
    /// The folder holds it.
    Wanted,
    /// It was good, and is to serve again.
    Kept,
}

/// A policy's files, to be made a recipe of.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) name: Name,
    pub(crate) errand: Errand,
    pub(crate) contents: Contents,
}

/// What came of an order.
pub(crate) struct Prepared {
    pub(crate) name: Name,
    pub(crate) errand: Errand,
    pub(crate) version: Version,
    /// The files that it was made of, for the shelf; none where they lie there.
    pub(crate) contents: Option<Contents>,
    pub(crate) made: Result<Arc<Recipe>, LoadError>,
}

/// Orders that wait: the newest of each policy and errand, so that they never grow beyond the number of policies.
#[derive(Clone)]
pub(crate) struct Orders {
    queue: Arc<(Mutex<Queue>, Condvar)>,
    children: Children,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Order>,
    /// What the kitchen works on, and whether nobody wants that any more.
    in_hand: Option<(Name, Errand)>,
    is_in_vain: bool,
    is_closed: bool,
}

impl Orders {
    /// Takes the processes that compile, to end those that compile in vain.
    pub(crate) fn new(children: Children) -> Orders {
        Orders {
            queue: Arc::default(),
            children,
        }
    }

    /// Gives an order; an older one for the same is forgotten, also if it is in hand.
    pub(crate) fn put(&self, order: Order) {
        let mut queue = self.lock();
        self.forget(&mut queue, |name, errand| *name == order.name && errand == order.errand);
        queue.waiting.push_back(order);
        self.queue.1.notify_one();
    }

    /// Forgets all orders for a policy.
    pub(crate) fn cancel(&self, policy: &Name) {
        self.forget(&mut self.lock(), |name, _| name == policy);
    }

    /// Lets the kitchen end after the order that it has in hand.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.queue.1.notify_all();
    }

    /// While the queue is held the kitchen begins nothing else, so that no other order's process is ended.
    fn forget(&self, queue: &mut Queue, is_it: impl Fn(&Name, Errand) -> bool) {
        queue.waiting.retain(|order| !is_it(&order.name, order.errand));
        if queue
            .in_hand
            .as_ref()
            .is_some_and(|(name, errand)| is_it(name, *errand))
        {
            queue.is_in_vain = true;
            self.children.interrupt();
        }
    }

    fn take(&self) -> Option<Order> {
        let is_idle = |queue: &mut Queue| queue.waiting.is_empty() && !queue.is_closed;
        let queue = self.queue.1.wait_while(self.lock(), is_idle);
        let mut queue = queue.unwrap_or_else(PoisonError::into_inner);
        if queue.is_closed {
            return None;
        }
        let order = queue.waiting.pop_front()?;
        queue.in_hand = Some((order.name.clone(), order.errand));
        Some(order)
    }

    /// Ends an order; returns whether somebody still waits for it.
    fn is_wanted(&self) -> bool {
        let mut queue = self.lock();
        queue.in_hand = None;
        !std::mem::take(&mut queue.is_in_vain)
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Works until the orders are closed, and tells the loader what came of each.
pub(crate) fn run(mut kitchen: Kitchen, orders: &Orders, board: &Board, loader: &Sender<Message>) {
    while let Some(Order { name, errand, contents }) = orders.take() {
        let version = loading::version(&contents);
        let made = kitchen.prepare(&name, &contents).map(Arc::new);
        board.set_compilations(kitchen.compilations());
        if !orders.is_wanted() {
            continue;
        }
        let contents = match errand {
            Errand::Wanted => Some(contents),
            Errand::Kept => None,
        };
        let prepared = Prepared {
            name,
            errand,
            version,
            contents,
            made,
        };
        // The loader is gone only when the host goes down.
        loader.send(Message::Prepared(Box::new(prepared))).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(name: &str, errand: Errand, wasm: &str) -> Order {
        Order {
            name: Name::of_file(&format!("{name}.wasm")).unwrap(),
            errand,
            contents: Contents {
                wasm: wasm.into(),
                settings: None,
            },
        }
    }

    fn taken(orders: &Orders) -> Option<Vec<u8>> {
        orders.take().map(|order| order.contents.wasm)
    }

    #[test]
    fn only_the_newest_order_of_a_policy_waits() {
        let orders = Orders::new(Children::default());
        for wasm in ["1", "2", "3"] {
            orders.put(order("a", Errand::Wanted, wasm));
        }
        orders.put(order("a", Errand::Kept, "4"));
        orders.put(order("b", Errand::Wanted, "5"));
        for wasm in ["3", "4", "5"] {
            assert_eq!(taken(&orders), Some(wasm.into()));
            assert!(orders.is_wanted());
        }
        orders.put(order("b", Errand::Wanted, "6"));
        orders.close();
        assert_eq!(taken(&orders), None);
    }

    #[test]
    fn what_is_in_hand_is_in_vain_when_a_newer_one_comes_or_the_policy_goes() {
        let orders = Orders::new(Children::default());
        orders.put(order("a", Errand::Wanted, "1"));
        taken(&orders);
        orders.put(order("a", Errand::Kept, "2"));
        orders.put(order("b", Errand::Wanted, "3"));
        orders.put(order("a", Errand::Wanted, "4"));
        assert!(!orders.is_wanted());
        assert_eq!(taken(&orders), Some(b"2".to_vec()));
        orders.cancel(&Name::of_file("a.wasm").unwrap());
        assert!(!orders.is_wanted());
        assert_eq!(taken(&orders), Some(b"3".to_vec()));
        assert!(orders.is_wanted() && orders.lock().waiting.is_empty());
    }
}
