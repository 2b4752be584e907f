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
use crate::wasm::{Children, CompileError};

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
    /// Whether it was good before: then it is made in a moment, and rooms may be waiting for it.
    pub(crate) was_good: bool,
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

/// Orders that wait: the newest of each policy and errand, so that they never grow beyond the number of policies. What was good
/// before comes first, and a file of which nobody knows how long it takes is put back for it.
#[derive(Clone)]
pub(crate) struct Orders {
    queue: Arc<(Mutex<Queue>, Condvar)>,
    children: Children,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Order>,
    in_hand: Option<InHand>,
    is_closed: bool,
}

impl Queue {
    /// Puts an order behind those that were good before, and before all others.
    fn put_before_new(&mut self, order: Order) {
        let new = self.waiting.iter().position(|other| !other.was_good);
        self.waiting.insert(new.unwrap_or(self.waiting.len()), order);
    }
}

/// What the kitchen works on.
struct InHand {
    name: Name,
    errand: Errand,
    was_good: bool,
    fate: Fate,
}

/// What becomes of an order that was in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Somebody waits for it.
    Wanted,
    /// Somebody waits for it, and another order goes first.
    PutBack,
    /// Nobody waits for it any more.
    InVain,
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
        match order.was_good {
            true => {
                queue.put_before_new(order);
                let unknown = queue.in_hand.as_mut().filter(|in_hand| !in_hand.was_good);
                if let Some(in_hand) = unknown.filter(|in_hand| in_hand.fate == Fate::Wanted) {
                    in_hand.fate = Fate::PutBack;
                    self.children.interrupt();
                }
            }
            false => queue.waiting.push_back(order),
        }
        self.queue.1.notify_one();
    }

    /// Takes an order again that had to give way: it comes next among those of its kind.
    fn put_back(&self, order: Order) {
        let mut queue = self.lock();
        let same = |other: &Order| other.name == order.name && other.errand == order.errand;
        if !queue.waiting.iter().any(same) {
            queue.put_before_new(order);
        }
    }

    /// Forgets all orders for a policy.
    pub(crate) fn cancel(&self, policy: &Name) {
        self.forget(&mut self.lock(), |name, _| name == policy);
    }

    /// Lets the kitchen end after the order that it has in hand.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.queue.1.notify_all();
        self.children.stop();
    }

    /// While the queue is held the kitchen begins nothing else, so that no other order's process is ended.
    fn forget(&self, queue: &mut Queue, is_it: impl Fn(&Name, Errand) -> bool) {
        queue.waiting.retain(|order| !is_it(&order.name, order.errand));
        let in_hand = queue.in_hand.as_mut();
        if let Some(in_hand) = in_hand.filter(|in_hand| is_it(&in_hand.name, in_hand.errand)) {
            in_hand.fate = Fate::InVain;
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
        queue.in_hand = Some(InHand {
            name: order.name.clone(),
            errand: order.errand,
            was_good: order.was_good,
            fate: Fate::Wanted,
        });
        self.children.resume();
        Some(order)
    }

    /// Ends an order; returns what becomes of it.
    fn done(&self) -> Fate {
        let in_hand = self.lock().in_hand.take();
        in_hand.map_or(Fate::InVain, |in_hand| in_hand.fate)
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Works until the orders are closed, and tells the loader what came of each.
pub(crate) fn run(mut kitchen: Kitchen, orders: &Orders, board: &Board, loader: &Sender<Message>) {
    while let Some(order) = orders.take() {
        let version = loading::version(&order.contents);
        let made = kitchen.prepare(&order.name, &order.contents).map(Arc::new);
        board.set_compilations(kitchen.compilations());
        match (orders.done(), &made) {
            (Fate::InVain, _) => continue,
            (Fate::PutBack, Err(LoadError::Compile(CompileError::Killed))) => {
                orders.put_back(order);
                continue;
            }
            // It was done before it had to give way.
            (Fate::Wanted | Fate::PutBack, _) => {}
        }
        let Order {
            name, errand, contents, ..
        } = order;
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
    use std::sync::mpsc;
    use std::thread;

    use super::*;
    use crate::options::{ChildProgram, CompileIn, LogLevel};
    use crate::wasm::Compiler;

    fn order(name: &str, errand: Errand, wasm: &str) -> Order {
        Order {
            name: Name::of_file(&format!("{name}.wasm")).unwrap(),
            errand,
            was_good: errand == Errand::Kept,
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
        for wasm in ["4", "3", "5"] {
            assert_eq!(taken(&orders), Some(wasm.into()));
            assert_eq!(orders.done(), Fate::Wanted);
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
        orders.put(order("b", Errand::Wanted, "3"));
        orders.put(order("a", Errand::Wanted, "4"));
        assert_eq!(orders.done(), Fate::InVain);
        assert_eq!(taken(&orders), Some(b"3".to_vec()));
        orders.cancel(&Name::of_file("b.wasm").unwrap());
        assert_eq!(orders.done(), Fate::InVain);
        assert_eq!(taken(&orders), Some(b"4".to_vec()));
        assert_eq!(orders.done(), Fate::Wanted);
        assert!(orders.lock().waiting.is_empty());
    }

    #[test]
    fn what_was_good_before_waits_for_nothing_new() {
        let (loader, inbox) = mpsc::channel();
        let script = "if grep -q for-ever; then exec sleep 600; fi; exit 3";
        let program = ChildProgram {
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
        };
        let compiler = Compiler::new(CompileIn::Child(program)).unwrap();
        let children = compiler.children();
        let orders = Orders::new(children.clone());
        let kitchen = Kitchen::new(compiler, LogLevel::Warn);
        let next = || match inbox.recv().unwrap() {
            Message::Prepared(prepared) => (prepared.name.text().to_string(), prepared.errand),
            _ => panic!("a kitchen tells nothing else"),
        };
        let wait_until_it_compiles = || {
            while children.is_idle() {
                thread::yield_now();
            }
        };
        thread::scope(|scope| {
            scope.spawn(|| run(kitchen, &orders, &Board::default(), &loader));
            orders.put(order("a", Errand::Wanted, "for-ever"));
            orders.put(order("b", Errand::Wanted, "new"));
            wait_until_it_compiles();
            orders.put(order("c", Errand::Kept, "good"));
            assert_eq!(next(), ("c".to_owned(), Errand::Kept));
            // The one that gave way is tried again, before those that came after it.
            wait_until_it_compiles();
            orders.cancel(&Name::of_file("a.wasm").unwrap());
            assert_eq!(next(), ("b".to_owned(), Errand::Wanted));
            orders.close();
        });
    }
}
