//! *Scale down*: which servers may go while the stocks stay.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use usher_sdk::{Fleet, Left, Moment, Pool, PoolId, Retirement, Server, ServerId, Shrinkage, Timestamp};

use crate::Settings;
use crate::pools::Rooms;
use crate::settings::{GoesFirst, Marks};
use crate::stock::{Purpose, Stock, stocks};

/// How many servers go at a turn at most. An answer of more than 1,000 rows is a fault, and pools are rows too; the rest goes at the
/// next turn.
const RETIREMENTS_MAX: usize = 500;

/// Which server goes first; the least does. What counts is the settings' choice, the weightiest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Leaving {
    counts: [u32; GoesFirst::COUNT],
    server: ServerId,
}

/// Answers for every pool.
pub(crate) fn scale_down(settings: &Settings, fleet: &Fleet, moment: Moment) -> Vec<Shrinkage> {
    let mut yard = Yard::of(settings, fleet, moment);
    for server in yard.leaving() {
        if let Some(lot) = yard.lot_at(server.pool_id()).map(|at| &mut yard.lots[at]) {
            let retirement = Retirement::new(server.id(), reason(server, moment));
            lot.answer.servers.push(retirement);
        }
    }
    yard.lots.into_iter().map(|lot| lot.answer).collect()
}

fn reason(server: &Server, moment: Moment) -> String {
    match server.empty_since() {
        Some(since) => format!("empty for {} s", moment.seconds_since(since)),
        None => {
            let seconds = server.busy_until().map_or(0, |until| moment.seconds_until(until));
            format!("{} rooms, the last ends in {seconds} s", server.usage().rooms)
        }
    }
}

/// All servers, and what must stay of them.
struct Yard<'a> {
    settings: &'a Settings,
    fleet: &'a Fleet,
    moment: Moment,
    /// By their pools' ids.
    lots: Vec<Lot<'a>>,
    stocks: Vec<Held<'a>>,
}

/// A pool.
struct Lot<'a> {
    pool: &'a Pool,
    marks: Marks,
    /// How many of its servers may still be retired.
    retirable: u32,
    /// The places of the stocks that its servers are part of.
    stocks: Vec<usize>,
    answer: Shrinkage,
}

/// A stock, and how many spare rooms there are of it.
struct Held<'a> {
    stock: Stock<'a>,
    spare: u64,
}

impl<'a> Lot<'a> {
    fn of(settings: &Settings, fleet: &Fleet, pool: &'a Pool) -> Self {
        let state = fleet.pool_state(pool.id);
        Lot {
            pool,
            marks: settings.marks_of(pool),
            retirable: state.map_or(u32::MAX, |state| state.retirable),
            stocks: Vec::new(),
            answer: Shrinkage::keep_all(pool.id),
        }
    }

    /// Returns what is left on one of its servers; none where it takes no rooms now.
    fn left_on(&self, server: &Server) -> Option<Left> {
        let is_spare = server.is_open() && !self.marks.is_hot(server);
        is_spare.then(|| server.left())
    }
}

impl Held<'_> {
    /// Returns how many rooms more of the stock fit where so much is left.
    fn fitting(&self, left: Left) -> u64 {
        left.rooms_of(self.stock.size).into()
    }
}

impl<'a> Yard<'a> {
    fn of(settings: &'a Settings, fleet: &'a Fleet, moment: Moment) -> Self {
        let lots: Vec<_> = fleet.pools().map(|pool| Lot::of(settings, fleet, pool)).collect();
        let mut yard = Yard {
            settings,
            fleet,
            moment,
            lots,
            stocks: Vec::new(),
        };
        yard.take_stock();
        yard
    }

    fn lot_at(&self, pool: PoolId) -> Option<usize> {
        self.lots.binary_search_by_key(&pool, |lot| lot.pool.id).ok()
    }

    /// Finds out what must stay, and how much of it there is.
    fn take_stock(&mut self) {
        let mut pools: Vec<_> = self.lots.iter().map(|lot| (lot.pool, Rooms::default())).collect();
        for server in self.fleet.servers() {
            if let Some(at) = self.lot_at(server.pool_id()) {
                let usage = server.usage();
                pools[at].1.add(usage.rooms, usage.seats, usage.load);
            }
        }
        let stocks = stocks(self.settings, self.fleet, &pools, Purpose::Keep, self.moment.now);
        for (place, stock) in stocks.iter().enumerate() {
            stock.pools.iter().for_each(|at| self.lots[*at].stocks.push(place));
        }
        self.stocks = stocks.into_iter().map(|stock| Held { stock, spare: 0 }).collect();
        for server in self.fleet.servers() {
            let lot = self.lot_at(server.pool_id()).map(|at| &self.lots[at]);
            let Some((lot, left)) = lot.and_then(|lot| Some((lot, lot.left_on(server)?))) else {
                continue;
            };
            for place in &lot.stocks {
                let held = &mut self.stocks[*place];
                held.spare += held.fitting(left);
            }
        }
    }

    /// Returns which servers may go without taking from a stock.
    fn leaving(&mut self) -> Vec<&'a Server> {
        let candidates = self.fleet.servers().filter_map(|server| self.candidate(server));
        let mut candidates: BinaryHeap<_> = candidates.map(Reverse).collect();
        let retirable = self.lots.iter().map(|lot| lot.retirable as usize);
        let most = retirable.fold(0, usize::saturating_add).min(RETIREMENTS_MAX);
        let mut gone = Vec::new();
        while gone.len() < most
            && let Some(Reverse(least)) = candidates.pop()
        {
            gone.extend(self.fleet.server(least.server).filter(|server| self.lets_go(server)));
        }
        gone
    }

    /// Takes a server off its stocks and off what may be retired, if both have enough.
    fn lets_go(&mut self, server: &Server) -> bool {
        let Some(at) = self.lot_at(server.pool_id()) else {
            return false;
        };
        let lot = &mut self.lots[at];
        let left = lot.left_on(server);
        let taken = |held: &Held<'_>| left.map_or(0, |left| held.fitting(left));
        let stays = |held: &Held<'_>| held.spare - taken(held) >= held.stock.rooms;
        if lot.retirable == 0 || !lot.stocks.iter().all(|place| stays(&self.stocks[*place])) {
            return false;
        }
        lot.retirable -= 1;
        for place in &lot.stocks {
            let held = &mut self.stocks[*place];
            held.spare -= taken(held);
        }
        true
    }

    /// Returns how soon before others a server may go, if it may.
    ///
    /// A silent server may not: no data is not zero load. Nor may one that somebody holds: it is theirs.
    fn candidate(&self, server: &Server) -> Option<Leaving> {
        if !server.is_serving() {
            return None;
        }
        let done = match server.empty_since() {
            Some(since) => (self.moment.seconds_since(since) >= self.settings.idle_seconds).then_some(since),
            None => ends_soon(self.settings, server, self.moment),
        }?;
        let pool = self.lots[self.lot_at(server.pool_id())?].pool;
        let mut counts = [0; GoesFirst::COUNT];
        for (count, choice) in counts.iter_mut().zip(self.settings.goes_first()) {
            *count = choice.count(server, pool, done);
        }
        Some(Leaving {
            counts,
            server: server.id(),
        })
    }
}

impl GoesFirst {
    /// Returns how late a server goes by this choice; `done` is since when it has been empty, or when its last room ends.
    fn count(self, server: &Server, pool: &Pool, done: Timestamp) -> u32 {
        let row = server.row();
        match self {
            GoesFirst::Emptiest => server.usage().rooms,
            GoesFirst::Dearest => u32::MAX - row.price_microdollars_per_hour,
            GoesFirst::Soonest => done,
            GoesFirst::Oldest => row.started,
            GoesFirst::Newest => u32::MAX - row.started,
            GoesFirst::Spot => u32::from(pool.market != SPOT),
        }
    }
}

/// The market, as pools have it, of servers that the cloud may take away.
const SPOT: &str = "spot";

/// Returns when a server's few rooms end, if they all do soon. One that is overdue may stay for long: it does not count as soon.
fn ends_soon(settings: &Settings, server: &Server, moment: Moment) -> Option<Timestamp> {
    let within = 1..=settings.ending_within_minutes.saturating_mul(60);
    let until = server.busy_until()?;
    let is_few = server.usage().rooms <= settings.ending_rooms_max;
    (is_few && within.contains(&moment.seconds_until(until))).then_some(until)
}

#[cfg(test)]
mod tests;
