//! When servers are launched and which go: scale policies are asked link by link, away from the requests' path, and their
//! advice is checked against the state of the moment in which it comes back.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Fleet;
use super::choosing::faulted;
use super::timers::Timer;
use crate::advice::{Demand, Direction, ScaleAdvice, ScaleAnswer, ScaleAsk, WANTS_MAX, Want};
use crate::config::Labels;
use crate::decision::{Advised, Decision, DecisionPoint, PolicyRef};
use crate::effect::Effect;
use crate::ids::{DecisionNo, PoolName, PoolNo, ServerNo};
use crate::pool::PoolRecord;
use crate::record::Record;
use crate::units::Timestamp;

/// A scale policy that has not answered for so long is given up for this decision; its fuel allows far less.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// How many named servers or pools one answer may have; more are not read.
pub(super) const ROWS_MAX: usize = 1000;

/// Which decisions are owed, and which is under way.
#[derive(Debug, Default)]
pub(super) struct Scaling {
    owes_up: bool,
    owes_down: bool,
    asking: Option<Asking>,
    /// The direction that was asked for last.
    last: Option<Direction>,
    /// Who asked for the servers that are starting, for verdicts.
    pub(super) asked_by: BTreeMap<ServerNo, (PolicyRef, DecisionNo)>,
}

/// A decision under way.
#[derive(Debug)]
struct Asking {
    decision: DecisionNo,
    direction: Direction,
    link: usize,
    since: Timestamp,
    /// Pools that an earlier policy in the chain has spoken for.
    spoken_for: BTreeSet<PoolNo>,
}

impl Scaling {
    /// Notes that scale-up is to be asked for at the end of this batch.
    pub(super) fn owe_up(&mut self) {
        self.owes_up = true;
    }

    pub(super) fn asked_by(&mut self, no: ServerNo) -> Option<(PolicyRef, DecisionNo)> {
        self.asked_by.remove(&no)
    }
}

impl Fleet {
    /// What is due regularly.
    pub(super) fn tick(&mut self) {
        self.timers.set(self.now + self.config.tick, Timer::Tick);
        self.scaling.owes_up = true;
        self.scaling.owes_down = true;
        self.judge_freezes();
        for name in self.pools.keys().cloned().collect::<Vec<PoolName>>() {
            self.keep_minimum(&name);
            self.rebill(&name);
            self.drop_retired_pool(&name);
        }
        self.watch_budget();
        let servers = &self.servers;
        self.scaling
            .asked_by
            .retain(|no, _| servers.get(no).is_some_and(|server| server.record.phase.is_starting()));
    }

    /// Begins the next scale decision that is owed, if none is under way.
    pub(super) fn begin_scaling(&mut self) {
        if let Some(asking) = &self.scaling.asking {
            if self.now.since(asking.since) < ANSWER_MAX {
                return;
            }
            self.scaling.asking = None;
        }
        let Some(direction) = self.next_direction() else { return };
        let decision = self.next_decision();
        let asking = Asking {
            decision,
            direction,
            link: 0,
            since: self.now,
            spoken_for: BTreeSet::new(),
        };
        self.scaling.asking = Some(asking);
        self.ask_link();
    }

    /// Takes the direction that is owed; where both are, they take turns, so that a slow policy or rooms that come all the
    /// time put off neither for ever.
    fn next_direction(&mut self) -> Option<Direction> {
        // Where one pool alone is frozen, its allowance says so, and the others may still shrink.
        let owes_down = self.scaling.owes_down && !self.is_fleet_frozen();
        let direction = match (self.scaling.owes_up, owes_down) {
            (true, false) => Direction::Up,
            (false, true) => Direction::Down,
            (true, true) if self.scaling.last == Some(Direction::Up) => Direction::Down,
            (true, true) => Direction::Up,
            (false, false) => return None,
        };
        match direction {
            Direction::Up => self.scaling.owes_up = false,
            Direction::Down => self.scaling.owes_down = false,
        }
        self.scaling.last = Some(direction);
        Some(direction)
    }

    fn ask_link(&mut self) {
        self.refresh_pool_states();
        let Some(asking) = &self.scaling.asking else { return };
        let (decision, direction, link) = (asking.decision, asking.direction, asking.link);
        let spoken_for = asking.spoken_for.clone();
        let demand = match direction {
            Direction::Up => self.demand(),
            Direction::Down => Demand::default(),
        };
        let ask = ScaleAsk {
            decision,
            now: self.now,
            direction,
            link,
            spoken_for,
            demand,
            verdicts: std::mem::take(&mut self.verdicts),
        };
        self.out.effects.push(Effect::Scale(ask));
    }

    fn demand(&self) -> Demand {
        type Key<'a> = (&'a str, &'a str, Cow<'a, Labels>, Option<PoolNo>);
        let mut wants: BTreeMap<Key<'_>, (usize, Want)> = BTreeMap::new();
        let mut demand = Demand::default();
        for (order, (wish, group)) in self.queue.oldest_groups().enumerate() {
            if group.unplaceable {
                continue;
            }
            let rooms = u32::try_from(group.rooms.len()).unwrap_or(u32::MAX);
            let (seats, load) = self.asked(wish);
            let region = wish.region.as_deref().unwrap_or("");
            let tenant = wish.tenant.as_ref().map_or("", |tenant| tenant.as_str());
            let oldest = group.rooms.first_key_value().and_then(|(_, room)| self.rooms.get(room));
            let waited = oldest.map_or(0, |room| self.now.since(room.record.created).as_secs());
            let labels = wish.labels_for_policies();
            let new = || Want {
                region: region.to_owned(),
                tenant: tenant.to_owned(),
                labels: labels.clone().into_owned(),
                pool: group.hint.pool,
                rooms: 0,
                seats: 0,
                load: 0,
                seats_largest: 0,
                load_largest: 0,
                longest_wait_seconds: 0,
            };
            let (_, want) = wants
                .entry((region, tenant, labels.clone(), group.hint.pool))
                .or_insert_with(|| (order, new()));
            want.rooms = want.rooms.saturating_add(rooms);
            want.seats = want.seats.saturating_add(seats.saturating_mul(rooms));
            want.load = want.load.saturating_add(load.saturating_mul(rooms));
            want.seats_largest = want.seats_largest.max(seats);
            want.load_largest = want.load_largest.max(load);
            want.longest_wait_seconds = want.longest_wait_seconds.max(u32::try_from(waited).unwrap_or(u32::MAX));
            demand.waiting_rooms = demand.waiting_rooms.saturating_add(rooms);
            demand.waiting_seats = demand.waiting_seats.saturating_add(seats.saturating_mul(rooms));
        }
        let mut wants: Vec<(usize, Want)> = wants.into_values().collect();
        wants.sort_by_key(|(order, _)| *order);
        demand.wants = wants.into_iter().take(WANTS_MAX).map(|(_, want)| want).collect();
        (demand.rooms_last_minute, demand.seats_last_minute) = self.arrivals.last_minute(self.now);
        demand
    }

    /// Takes in a scale policy's answer; one that was given up is not heeded.
    pub(super) fn scaled(&mut self, answer: ScaleAnswer) {
        let Some(asking) = &self.scaling.asking else { return };
        if asking.decision != answer.decision || asking.link != answer.link {
            return;
        }
        let mut ends = answer.last;
        let mut report = Decision {
            no: answer.decision,
            at: self.now,
            point: point(asking.direction),
            room: None,
            server: None,
            pool: None,
            policy: answer.policy.clone(),
            advice: Advised::Nothing,
            verdict: "deferred",
            code: "",
            reason: None,
            took: answer.took,
        };
        match answer.advice {
            Ok(ScaleAdvice::Up(growths)) if asking.direction == Direction::Up => {
                self.judge_growths(&report, growths);
            }
            Ok(ScaleAdvice::Down(shrinkages)) if asking.direction == Direction::Down => {
                self.judge_shrinkages(&report, shrinkages);
            }
            Ok(ScaleAdvice::Up(_) | ScaleAdvice::Down(_)) => {}
            Err(fault) => {
                // A fault must never sell a warm pool: nothing goes down in this tick, whatever the next policy says.
                ends = ends || asking.direction == Direction::Down;
                faulted(&mut report, &fault);
                self.out.decisions.push(report);
            }
        }
        // Where every pool has been spoken for, nobody after this policy has anything to say.
        ends = ends || self.is_all_spoken_for();
        match &mut self.scaling.asking {
            Some(asking) if !ends => {
                asking.link += 1;
                asking.since = self.now;
                self.ask_link();
            }
            Some(_) | None => self.scaling.asking = None,
        }
    }

    fn is_all_spoken_for(&self) -> bool {
        let Some(asking) = &self.scaling.asking else {
            return true;
        };
        let mut pools = self.pools.values().filter(|pool| !pool.retired);
        pools.all(|pool| asking.spoken_for.contains(&pool.record.no))
    }

    /// Whether a policy may speak for a pool: none before it in the chain has.
    pub(super) fn may_speak_for(&mut self, no: PoolNo) -> bool {
        self.scaling
            .asking
            .as_mut()
            .is_some_and(|asking| asking.spoken_for.insert(no))
    }

    pub(super) fn note_scaled(&mut self, name: &PoolName, note: impl FnOnce(&mut PoolRecord, Timestamp)) {
        let Some(pool) = self.pools.get(name) else { return };
        let mut record = pool.record.clone();
        note(&mut record, self.now);
        self.put(Record::Pool(Box::new(record)));
    }
}

/// Brings together the rows of one answer that are for the same pool, in the order of the first of each.
pub(super) fn by_pool<Row>(rows: Vec<Row>, pool: fn(&Row) -> PoolNo, join: fn(&mut Row, Row)) -> Vec<Row> {
    let mut pools: BTreeMap<PoolNo, usize> = BTreeMap::new();
    let mut joined: Vec<Row> = Vec::new();
    for row in rows.into_iter().take(ROWS_MAX) {
        let place = *pools.entry(pool(&row)).or_insert(joined.len());
        match joined.get_mut(place) {
            Some(first) => join(first, row),
            None => joined.push(row),
        }
    }
    joined
}

fn point(direction: Direction) -> DecisionPoint {
    match direction {
        Direction::Up => DecisionPoint::ScaleUp,
        Direction::Down => DecisionPoint::ScaleDown,
    }
}
