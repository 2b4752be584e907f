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
#[derive(Clone, Default)]
pub(crate) struct Orders(Arc<(Mutex<Waiting>, Condvar)>);

#[derive(Default)]
struct Waiting {
    orders: VecDeque<Order>,
    is_closed: bool,
}

impl Orders {
    /// Gives an order; an older one for the same is forgotten.
    pub(crate) fn put(&self, order: Order) {
        let mut waiting = self.lock();
        let same = |other: &&mut Order| other.name == order.name && other.errand == order.errand;
        match waiting.orders.iter_mut().find(same) {
            Some(older) => *older = order,
            None => waiting.orders.push_back(order),
        }
        self.0.1.notify_one();
    }

    /// Lets the kitchen end after the order that it has in hand.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.0.1.notify_all();
    }

    fn take(&self) -> Option<Order> {
        let is_idle = |waiting: &mut Waiting| waiting.orders.is_empty() && !waiting.is_closed;
        let waiting = self.0.1.wait_while(self.lock(), is_idle);
        let mut waiting = waiting.unwrap_or_else(PoisonError::into_inner);
        match waiting.is_closed {
            true => None,
            false => waiting.orders.pop_front(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Works until the orders are closed, and tells the loader what came of each.
pub(crate) fn run(mut kitchen: Kitchen, orders: &Orders, board: &Board, loader: &Sender<Message>) {
    while let Some(Order { name, errand, contents }) = orders.take() {
        let version = loading::version(&contents);
        let made = kitchen.prepare(&name, &contents).map(Arc::new);
        board.set_compilations(kitchen.compilations());
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

    #[test]
    fn only_the_newest_order_of_a_policy_waits() {
        let orders = Orders::default();
        for wasm in ["1", "2", "3"] {
            orders.put(order("a", Errand::Wanted, wasm));
        }
        orders.put(order("a", Errand::Kept, "4"));
        orders.put(order("b", Errand::Wanted, "5"));
        let taken = || orders.take().map(|order| order.contents.wasm);
        assert_eq!(taken(), Some(b"3".to_vec()));
        assert_eq!(taken(), Some(b"4".to_vec()));
        assert_eq!(taken(), Some(b"5".to_vec()));
        orders.put(order("b", Errand::Wanted, "6"));
        orders.close();
        assert_eq!(orders.take().map(|order| order.contents.wasm), None);
    }
}
