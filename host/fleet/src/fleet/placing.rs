//! Rooms that are asked for: what can never fit is refused, the others are placed or wait.

use super::choosing::Choice;
use super::ledger::{Cost, Used};
use super::queue::Hint;
use super::state::Pool;
use super::timers::Timer;
use super::{Fleet, PLACEMENTS_RESERVED, guards};
use crate::advice::Advisor;
use crate::command::{PlaceRoom, Rejection, Reply, RoomOutcome};
use crate::config::{Labels, Limits};
use crate::decision::DecisionNote;
use crate::event::{RoomMoved, RoomPlaced, RoomWaiting, What};
use crate::ids::{PlacementNo, QueueNo, ServerNo};
use crate::record::{Meta, Record};
use crate::room::{Placed, RoomRecord, RoomState, RoomWish, Waiting};

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
            failures: 0,
            state: RoomState::Waiting(Waiting {
                since: self.now,
                queue: QueueNo(0),
                expires: self.now + self.config.guards.waiting_max,
            }),
        };
        let (seats, _) = self.asked(&record.wish);
        self.arrivals.note(self.now, seats);
        // Rooms that ask the same wait already: what did not fit for them does not fit now, and they come first. So do all
        // that have not been offered yet what has appeared.
        let comes_later = self.queue.has(&record.wish) || self.queue.next_open().is_some();
        let choice = match comes_later {
            true => None,
            false => Some(self.choose(&record, advisor)),
        };
        match choice {
            Some(Choice::On(server, note)) => {
                let id = record.id.clone();
                self.settle_on(record, server, note);
                self.note_overtaken(server, QueueNo(u64::MAX));
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

    pub(super) fn block_group(&mut self, wish: &RoomWish, hint: Hint) {
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
        let has_all = |labels: &Labels| wish.require.iter().all(|(k, v)| labels.get(k) == Some(v));
        guards::lets_in(&pool.config, wish)
            && (has_all(&pool.config.labels) || self.of(pool).any(|server| has_all(&server.record.labels)))
    }

    /// Whether a pool's servers, the one to come or one that is there, could hold a room if they were empty.
    pub(super) fn could_hold(&self, pool: &Pool, wish: &RoomWish) -> bool {
        let cost = self.reservation(pool, wish);
        let fits = |limits: &Limits| Used::default().refusal(cost, limits).is_none();
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

    /// Gives a room its home.
    pub(super) fn settle_on(&mut self, mut record: RoomRecord, no: ServerNo, decision: DecisionNote) {
        let placement = self.next_placement();
        let Some(server) = self.servers.get(&no) else { return };
        let Some(pool) = self.pools.get(&server.record.pool) else {
            return;
        };
        let cost = self.reservation(pool, &record.wish);
        let (to, pool) = (server.record.name.clone(), server.record.pool.clone());
        let url = server.record.url.clone();
        let what = match &record.state {
            RoomState::Moving(moving) => What::RoomMoved(RoomMoved {
                room: record.id.clone(),
                from: self.server_name(moving.from),
                to: Some(to),
                url,
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
}
