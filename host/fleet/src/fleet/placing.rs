//! Where rooms go: the chain is asked link by link, and each advice is checked before it counts.

use std::time::Duration;

use super::ledger::Cost;
use super::queue::Hint;
use super::state::{Pool, Server};
use super::timers::Timer;
use super::{Fleet, OFFERS_PER_INPUT_MAX, PLACEMENTS_RESERVED, guards};
use crate::advice::{Advisor, Fault, FaultKind, PlaceAnswer, PlaceAsk, Placement};
use crate::command::{PlaceRoom, Rejection, Reply, RoomOutcome};
use crate::config::Limits;
use crate::decision::{Advised, Decision, DecisionNote, DecisionPoint, PolicyRef};
use crate::event::{PolicyEventBody, RoomMoved, RoomPlaced, RoomWaiting, What};
use crate::ids::{DecisionNo, PlacementNo, RoomId, ServerNo};
use crate::record::{Meta, Record};
use crate::room::{Placed, RoomRecord, RoomState, RoomWish, Waiting};
use crate::units::Timestamp;

/// The most policies that one decision asks: far more than a folder sensibly holds, so that no chain is endless.
const LINKS_MAX: usize = 64;

/// A group of rooms that newer ones have overtaken for so long has the next server that could hold it kept for it.
const OVERTAKEN_MAX: Duration = Duration::from_secs(30);

/// How many of the oldest groups are looked at for having been overtaken: more would make each placement dearer the
/// longer the queue is.
const OVERTAKEN_GROUPS_MAX: usize = 16;

/// What the chain came to for one room.
enum Choice {
    On(ServerNo, DecisionNote),
    Wait(Hint),
    Reject(PolicyRef, Option<String>),
}

impl Fleet {
    pub(super) fn place_room(&mut self, command: PlaceRoom, advisor: &mut dyn Advisor) -> Result<Reply, Rejection> {
        if self.rooms.contains_key(&command.room) {
            return self.ask_again_for(command);
        }
        self.check_possible(&command.wish)?;
        let mut record = RoomRecord {
            id: command.room,
            wish: command.wish,
            lease_seconds: command.lease_seconds,
            created: self.now,
            state: RoomState::Waiting(Waiting {
                since: self.now,
                queue: crate::ids::QueueNo(0),
                expires: self.now + self.config.guards.waiting_max,
            }),
        };
        let (seats, _) = self.asked(&record.wish);
        self.arrivals.note(self.now, seats);
        // Rooms that ask the same wait already: what did not fit for them does not fit now, and they come first.
        let choice = match self.queue.has(&record.wish) {
            true => None,
            false => Some(self.choose(&record, advisor)),
        };
        match choice {
            Some(Choice::On(server, note)) => {
                let id = record.id.clone();
                self.settle_on(record, server, note);
                self.note_overtaken(server);
                Ok(self.room_reply(&id, RoomOutcome::Placed))
            }
            Some(Choice::Reject(policy, reason)) => Err(Rejection::Rejected {
                policy: policy.name.to_string(),
                reason: reason.unwrap_or_else(|| "no reason given".into()),
            }),
            Some(Choice::Wait(hint)) => self.wait(&mut record, Some(hint)),
            None => self.wait(&mut record, None),
        }
    }

    fn wait(&mut self, record: &mut RoomRecord, hint: Option<Hint>) -> Result<Reply, Rejection> {
        let max = self.config.guards.waiting_rooms_max;
        if self.queue.len() >= max as usize {
            return Err(Rejection::QueueFull(max));
        }
        if let RoomState::Waiting(waiting) = &mut record.state {
            waiting.queue = self.queue.number(false);
        }
        self.tell(What::RoomWaiting(RoomWaiting {
            room: record.id.clone(),
            seats: record.wish.seats,
            region: record.wish.region.clone(),
            tenant: record.wish.tenant.clone(),
            reason: "no server has room for it".into(),
        }));
        self.put(Record::Room(Box::new(record.clone())));
        if let Some(hint) = hint {
            self.block_group(&record.wish, hint);
        }
        self.time_room(&record.id);
        self.scaling.owe_up();
        Ok(self.room_reply(&record.id, RoomOutcome::Waiting))
    }

    fn block_group(&mut self, wish: &RoomWish, hint: Hint) {
        if let Some(again) = hint.again {
            self.timers.set(again, Timer::Queue);
        }
        self.queue.block(wish, hint);
    }

    /// Refuses at once what no pool could ever hold.
    pub(super) fn check_possible(&self, wish: &RoomWish) -> Result<(), Rejection> {
        let known = || self.pools.values().filter(|pool| !pool.retired);
        if let Some(region) = &wish.region
            && !known().any(|pool| pool.config.region == *region)
        {
            return Err(Rejection::NoSuchRegion(region.clone()));
        }
        let mut open = known().filter(|pool| self.could_let_in(pool, wish)).peekable();
        if open.peek().is_none() {
            return Err(Rejection::NoSuchPoolForRoom);
        }
        if open.any(|pool| self.could_hold(pool, wish)) {
            return Ok(());
        }
        let (seats, load) = self.asked(wish);
        Err(Rejection::RoomTooLarge { seats, load })
    }

    /// Whether a pool, or one of its servers, lets a room in, sizes aside.
    pub(super) fn could_let_in(&self, pool: &Pool, wish: &RoomWish) -> bool {
        let has_all = |labels: &crate::config::Labels| wish.require.iter().all(|(k, v)| labels.get(k) == Some(v));
        guards::lets_in(&pool.config, wish)
            && (has_all(&pool.config.labels) || self.of(pool).any(|server| has_all(&server.record.labels)))
    }

    /// Whether a pool's servers, the one to come or one that is there, could hold a room if they were empty.
    pub(super) fn could_hold(&self, pool: &Pool, wish: &RoomWish) -> bool {
        let cost = self.reservation(pool, wish);
        let fits = |limits: &Limits| super::ledger::Used::default().refusal(cost, limits).is_none();
        fits(&pool.config.limits) || self.of(pool).any(|server| fits(&server.record.limits))
    }

    /// Returns what a room reserves on a pool's servers.
    pub(super) fn reservation(&self, pool: &Pool, wish: &RoomWish) -> Cost {
        let seats = wish.seats.unwrap_or(pool.config.seats_default);
        Cost {
            seats,
            load: wish.load.unwrap_or(seats),
        }
    }

    /// Returns the seats and load that policies are told: where the app did not say, the largest default of any pool, so
    /// that what they choose fits.
    pub(super) fn asked(&self, wish: &RoomWish) -> (u32, u32) {
        let default = || {
            self.pools
                .values()
                .filter(|pool| !pool.retired)
                .map(|pool| pool.config.seats_default)
                .max()
        };
        let seats = wish.seats.or_else(default).unwrap_or(1);
        (seats, wish.load.unwrap_or(seats))
    }

    /// Asks the chain for one room until an advice holds.
    fn choose(&mut self, record: &RoomRecord, advisor: &mut dyn Advisor) -> Choice {
        let decision = self.next_decision();
        let (seats, load) = self.asked(&record.wish);
        let (since, avoid) = match &record.state {
            RoomState::Waiting(waiting) => (waiting.since, None),
            RoomState::Moving(moving) => (moving.since, Some(moving.from)),
            RoomState::Placed(placed) => (placed.at, Some(placed.server)),
        };
        for link in 0..LINKS_MAX {
            let ask = PlaceAsk {
                now: self.now,
                seed: seed(&record.id, decision),
                decision,
                room: &record.id,
                seats,
                load,
                expected_minutes: record.wish.expected_minutes.unwrap_or(0),
                region: record.wish.region.as_deref().unwrap_or(""),
                tenant: record.wish.tenant.as_ref().map_or("", |tenant| tenant.as_str()),
                labels: &record.wish.labels,
                waited_seconds: self.now.since(since).as_secs().try_into().unwrap_or(u32::MAX),
                avoid,
            };
            let Some(answer) = advisor.place(link, self, &ask) else {
                break;
            };
            if let Some(choice) = self.judge(decision, record, answer) {
                return choice;
            }
        }
        Choice::Wait(Hint::default())
    }

    /// Checks one policy's advice, and records what became of it; `None` = the next policy shall say.
    fn judge(&mut self, no: DecisionNo, record: &RoomRecord, answer: PlaceAnswer) -> Option<Choice> {
        let PlaceAnswer { policy, advice, took } = answer;
        let mut decision = Decision {
            no,
            at: self.now,
            point: DecisionPoint::Place,
            room: Some(record.id.clone()),
            server: None,
            pool: None,
            policy: policy.clone(),
            advice: Advised::Nothing,
            verdict: "accepted",
            code: "",
            reason: None,
            took,
        };
        let choice = match advice {
            Err(fault) => self.faulted(&mut decision, fault),
            Ok(advice) => {
                decision.reason = advice.reason;
                match advice.placement {
                    Placement::On(server) => self.judge_server(&mut decision, record, server),
                    Placement::Wait { pool, again_seconds } => {
                        decision.pool = pool.and_then(|no| self.pool_name(no).cloned());
                        decision.advice = Advised::Wait(decision.pool.clone());
                        let again = Duration::from_secs(again_seconds.into());
                        Some(Choice::Wait(Hint {
                            pool: decision.pool.is_some().then_some(pool).flatten(),
                            again: (again_seconds > 0).then(|| self.now + again),
                        }))
                    }
                    Placement::Reject => {
                        decision.advice = Advised::Reject;
                        Some(Choice::Reject(policy, decision.reason.clone()))
                    }
                    Placement::Defer => {
                        decision.advice = Advised::Defer;
                        decision.verdict = "deferred";
                        None
                    }
                }
            }
        };
        self.out.decisions.push(decision);
        choice
    }

    fn judge_server(&self, decision: &mut Decision, record: &RoomRecord, no: ServerNo) -> Option<Choice> {
        let Some(server) = self.servers.get(&no) else {
            decision.advice = Advised::Unknown(no.0);
            decision.verdict = "refused";
            decision.code = "unknown_server";
            return None;
        };
        decision.server = Some(server.record.name.clone());
        decision.pool = Some(server.record.pool.clone());
        decision.advice = Advised::On(server.record.name.clone());
        let cost = self
            .pools
            .get(&server.record.pool)
            .map_or_else(Cost::default, |pool| self.reservation(pool, &record.wish));
        match self.refusal(server, &record.wish, cost, Some(&record.id)) {
            None => Some(Choice::On(
                no,
                DecisionNote {
                    policy: decision.policy.clone(),
                    reason: decision.reason.clone(),
                },
            )),
            Some(code) => {
                decision.verdict = "refused";
                decision.code = code;
                None
            }
        }
    }

    fn faulted(&mut self, decision: &mut Decision, fault: Fault) -> Option<Choice> {
        decision.verdict = "fault";
        decision.code = fault.kind.word();
        decision.reason = Some(fault.message.clone());
        // That a policy is being rebuilt was told when it faulted.
        if fault.kind != FaultKind::Unavailable {
            self.tell(What::PolicyFault(PolicyEventBody {
                policy: decision.policy.name.clone(),
                version: decision.policy.version.clone(),
                sha256: "".into(),
                step: decision.point.word().into(),
                reason: format!("{}: {}", fault.kind.word(), fault.message),
            }));
        }
        fault.wait.then(|| Choice::Wait(Hint::default()))
    }

    /// Gives a room its home.
    fn settle_on(&mut self, mut record: RoomRecord, no: ServerNo, decision: DecisionNote) {
        let placement = self.next_placement();
        let Some(server) = self.servers.get(&no) else { return };
        let Some(pool) = self.pools.get(&server.record.pool) else {
            return;
        };
        let cost = self.reservation(pool, &record.wish);
        let (to, pool) = (server.record.name.clone(), server.record.pool.clone());
        let what = match &record.state {
            RoomState::Moving(moving) => What::RoomMoved(RoomMoved {
                room: record.id.clone(),
                from: self.server_name(moving.from),
                to: Some(to),
                placement,
                tenant: record.wish.tenant.clone(),
                reason: decision.reason.clone().unwrap_or_default(),
            }),
            RoomState::Waiting(_) | RoomState::Placed(_) => What::RoomPlaced(RoomPlaced {
                room: record.id.clone(),
                placement,
                server: to,
                pool,
                seats: cost.seats,
                tenant: record.wish.tenant.clone(),
                waited_seconds: self.now.since(record.created).as_secs().try_into().unwrap_or(u32::MAX),
                policy: decision.policy.name.clone(),
                reason: decision.reason.clone(),
            }),
        };
        self.tell(what);
        record.state = RoomState::Placed(Placed {
            server: no,
            placement,
            at: self.now,
            seats: cost.seats,
            load: cost.load,
            decision,
        });
        let id = record.id.clone();
        self.put(Record::Room(Box::new(record)));
        if let Some(room) = self.rooms.get_mut(&id) {
            room.heard = self.now;
        }
        self.time_room(&id);
    }

    fn next_placement(&mut self) -> PlacementNo {
        let no = self.next_placement;
        if no >= self.meta.placements_reserved {
            let placements_reserved = PlacementNo(no.0 + PLACEMENTS_RESERVED);
            self.put(Record::Meta(Meta {
                placements_reserved,
                now: self.now,
                ..self.meta.clone()
            }));
        }
        self.next_placement = PlacementNo(no.0 + 1);
        no
    }

    /// Offers what room there is to the queue, the oldest first, as far as one input may go.
    pub(super) fn offer_queue(&mut self, advisor: &mut dyn Advisor) {
        self.open_groups_that_may_fit();
        for _ in 0..OFFERS_PER_INPUT_MAX {
            let Some(id) = self.queue.next_open().cloned() else {
                return;
            };
            let Some(room) = self.rooms.get(&id) else { return };
            let record = (*room.record).clone();
            match self.choose(&record, advisor) {
                Choice::On(server, note) => self.settle_on(record, server, note),
                Choice::Wait(hint) => {
                    self.judge_placeable(&record.wish);
                    self.block_group(&record.wish, hint);
                    self.scaling.owe_up();
                }
                Choice::Reject(policy, reason) => {
                    let reason = reason.unwrap_or_else(|| "no reason given".into());
                    self.end_room(
                        &id,
                        super::rooms::End::Expired,
                        format!("rejected by {}: {reason}", policy.name),
                    );
                }
            }
        }
    }

    /// Opens the groups that a server which gained room could take now, and keeps such servers for the overtaken.
    ///
    /// The work is bounded by the groups, and those by `waiting_rooms_max`.
    fn open_groups_that_may_fit(&mut self) {
        let grown = std::mem::take(&mut self.grown);
        if self.queue.is_empty() {
            return;
        }
        for no in grown {
            self.keep_for_overtaken(no);
            let Some(server) = self.servers.get(&no) else { continue };
            let Some(pool) = self.pools.get(&server.record.pool) else {
                continue;
            };
            let mut queue = std::mem::take(&mut self.queue);
            queue.unblock(|wish, group| {
                let oldest = group.rooms.first_key_value().map(|(_, room)| room);
                self.refusal(server, wish, self.reservation(pool, wish), oldest)
                    .is_none()
            });
            self.queue = queue;
        }
    }

    /// Notes on the oldest groups that a newer room was placed where they could have gone.
    fn note_overtaken(&mut self, no: ServerNo) {
        if self.queue.is_empty() {
            return;
        }
        let Some(server) = self.servers.get(&no) else { return };
        let could = |wish: &RoomWish| self.could_ever_take(server, wish);
        let overtaken: Vec<RoomWish> = self
            .queue
            .oldest_groups()
            .take(OVERTAKEN_GROUPS_MAX)
            .filter(|(wish, group)| group.overtaken.is_none() && could(wish))
            .map(|(wish, _)| wish.clone())
            .collect();
        for wish in overtaken {
            if let Some(group) = self.queue.group_mut(&wish) {
                group.overtaken = Some(self.now);
            }
        }
    }

    fn keep_for_overtaken(&mut self, no: ServerNo) {
        let Some(server) = self.servers.get(&no) else { return };
        if server
            .kept_for
            .as_ref()
            .is_some_and(|room| self.rooms.get(room).is_some_and(|room| room.server().is_none()))
        {
            return;
        }
        let is_kept_elsewhere = |room: &RoomId| {
            self.servers
                .values()
                .any(|server| server.kept_for.as_ref() == Some(room))
        };
        let candidate = self
            .queue
            .oldest_groups()
            .take(OVERTAKEN_GROUPS_MAX)
            .filter(|(_, group)| {
                group
                    .overtaken
                    .is_some_and(|since| self.now.since(since) >= OVERTAKEN_MAX)
            })
            .filter(|(wish, _)| self.could_ever_take(server, wish))
            .find_map(|(_, group)| group.rooms.first_key_value().map(|(_, room)| room.clone()))
            .filter(|room| !is_kept_elsewhere(room));
        let is_otherwise = server.kept_for != candidate;
        if let Some(server) = self.servers.get_mut(&no) {
            server.kept_for = candidate;
        }
        if is_otherwise {
            self.changes.touch(super::changes::Thing::Usage(no));
        }
    }

    /// Whether a server could take a room once others have left it.
    fn could_ever_take(&self, server: &Server, wish: &RoomWish) -> bool {
        let Some(pool) = self.pools.get(&server.record.pool) else {
            return false;
        };
        server.record.phase.is_ready()
            && server.record.hold.is_none()
            && guards::lets_in(&pool.config, wish)
            && super::ledger::Used::default()
                .refusal(self.reservation(pool, wish), &server.record.limits)
                .is_none()
    }

    /// Notes that a group could have been placed on a server launched for it and was not: it buys no more servers.
    fn judge_placeable(&mut self, wish: &RoomWish) {
        let fits = self.servers.values().any(|server| {
            let Some(pool) = self.pools.get(&server.record.pool) else {
                return false;
            };
            server.record.created >= self.oldest_wait(wish).unwrap_or(self.now)
                && self.refusal(server, wish, self.reservation(pool, wish), None).is_none()
        });
        let Some(group) = self.queue.group_mut(wish) else {
            return;
        };
        let was = std::mem::replace(&mut group.unplaceable, fits);
        let Some(room) = group.rooms.first_key_value().map(|(_, room)| room.clone()) else {
            return;
        };
        if fits && !was {
            self.tell(What::RoomUnplaceable(RoomWaiting {
                room,
                seats: wish.seats,
                region: wish.region.clone(),
                tenant: wish.tenant.clone(),
                reason: "a server launched since it waits has room for it, and the policies place it nowhere".into(),
            }));
        }
    }

    fn oldest_wait(&self, wish: &RoomWish) -> Option<Timestamp> {
        let (_, group) = self.queue.oldest_groups().find(|(key, _)| {
            RoomWish {
                expected_minutes: None,
                ..wish.clone()
            } == **key
        })?;
        let room = self.rooms.get(group.rooms.first_key_value()?.1)?;
        Some(room.record.created)
    }

    /// Opens the groups whose policy wanted to be asked again by now.
    pub(super) fn ask_again(&mut self) {
        let now = self.now;
        self.queue
            .unblock(|_, group| group.hint.again.is_some_and(|at| at <= now));
    }
}

/// Returns chance that can be repeated: from the room and the decision's number (FNV-1a).
pub(super) fn seed(room: &RoomId, decision: DecisionNo) -> u32 {
    let bytes = room.as_str().bytes().chain(decision.0.to_le_bytes());
    bytes.fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}
