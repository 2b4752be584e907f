//! What outsiders are shown of the state.

use super::Fleet;
use super::guards::boot_seconds;
use super::ledger::{Used, shown};
use super::state::{Pool, Room, Server};
use crate::command::{Rejection, Reply, RoomOutcome, ServerOutcome};
use crate::ids::{RoomId, ServerName, ServerNo, Tenant};
use crate::pool::Circuit;
use crate::room::{RoomState, RoomWish};
use crate::server::Phase;
use crate::status::{PoolStatus, RoomPlace, RoomStatus, ServerStatus, WaitingFor};
use crate::units::Timestamp;

/// Which rooms a page shows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RoomFilter {
    /// Only rooms of this server.
    pub server: Option<ServerName>,
    /// Only rooms in this state.
    pub state: Option<RoomStateFilter>,
    /// Only this tenant's rooms.
    pub tenant: Option<Tenant>,
}

/// Which state a page shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomStateFilter {
    /// Waiting.
    Waiting,
    /// Placed.
    Placed,
    /// Moving.
    Moving,
}

/// How many rooms one page looks at before it ends short: a page costs the same however rare the rooms are that it seeks.
const LOOKED_AT_MAX: usize = 10_000;

impl Fleet {
    /// Returns a room.
    pub fn room(&self, room: &RoomId) -> Option<RoomStatus> {
        self.rooms.get(room).map(|room| self.room_status(room))
    }

    /// Returns rooms in the order of their names, after `after`, at most `limit`, those of one server, state or tenant if
    /// named; and the name to go on from, if there may be more. A page may be short and still have more after it.
    pub fn rooms(
        &self,
        filter: &RoomFilter,
        after: Option<&RoomId>,
        limit: usize,
    ) -> (Vec<RoomStatus>, Option<RoomId>) {
        use std::ops::Bound;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let server = match &filter.server {
            None => None,
            Some(name) => match self.server_numbers.get(name).and_then(|no| self.servers.get(no)) {
                Some(server) => Some(server),
                None => return (Vec::new(), None),
            },
        };
        let mut ids: Box<dyn Iterator<Item = &RoomId>> = match (server, filter.state) {
            (Some(server), _) => Box::new(server.rooms.range::<RoomId, _>((from, Bound::Unbounded))),
            (None, Some(RoomStateFilter::Waiting | RoomStateFilter::Moving)) => Box::new(self.waiting_after(after)),
            (None, Some(RoomStateFilter::Placed) | None) => Box::new(
                self.rooms
                    .range::<RoomId, _>((from, Bound::Unbounded))
                    .map(|(id, _)| id),
            ),
        };
        let mut found = Vec::new();
        let mut last = None;
        for id in ids.by_ref().take(LOOKED_AT_MAX) {
            if found.len() == limit {
                return (found, last);
            }
            last = Some(id.clone());
            if let Some(room) = self.rooms.get(id).filter(|room| is_shown(room, filter)) {
                found.push(self.room_status(room));
            }
        }
        let has_more = ids.next().is_some();
        (found, last.filter(|_| has_more))
    }

    /// Returns the waiting rooms by name; their number is bounded, so that sorting them is too.
    fn waiting_after(&self, after: Option<&RoomId>) -> impl Iterator<Item = &RoomId> {
        let mut ids: Vec<&RoomId> = self
            .queue
            .rooms()
            .filter(|id| after.is_none_or(|after| *id > after))
            .collect();
        ids.sort_unstable();
        ids.into_iter()
    }

    /// Returns a server.
    pub fn server(&self, server: &ServerName) -> Option<ServerStatus> {
        let no = self.server_numbers.get(server)?;
        self.servers.get(no).map(server_status)
    }

    /// Returns all servers in the order in which they were made.
    pub fn servers(&self) -> Vec<ServerStatus> {
        self.servers.values().map(server_status).collect()
    }

    /// Returns all pools in the order of their names, with their cost up to `now`.
    pub fn pools(&self, now: Timestamp) -> Vec<PoolStatus> {
        self.pools.values().map(|pool| self.pool_status(pool, now)).collect()
    }

    /// Returns how many rooms wait.
    pub fn waiting_rooms(&self) -> usize {
        self.queue.len()
    }

    /// Returns how many rooms there are.
    pub fn room_count(&self) -> usize {
        self.rooms.len()
    }

    pub(super) fn room_reply(&self, room: &RoomId, outcome: RoomOutcome) -> Reply {
        match self.rooms.get(room) {
            Some(room) => Reply::Room(self.room_status(room), outcome),
            None => Reply::Rejected(Rejection::NoSuchRoom(room.clone())),
        }
    }

    pub(super) fn server_reply(&self, no: ServerNo, outcome: ServerOutcome) -> Result<Reply, Rejection> {
        Ok(self
            .servers
            .get(&no)
            .map_or(Reply::Done, |server| Reply::Server(server_status(server), outcome)))
    }

    fn room_status(&self, room: &Room) -> RoomStatus {
        let record = &room.record;
        let (place, seats, load) = match &record.state {
            RoomState::Placed(placed) => {
                let place = self.servers.get(&placed.server).map(|server| RoomPlace::Placed {
                    server: server.card.clone(),
                    placement: placed.placement,
                    at: placed.at,
                    decision: placed.decision.clone(),
                });
                let place = place.unwrap_or_else(|| self.waiting_place(record.created, 1, &record.wish, None));
                (place, Some(placed.seats), Some(placed.load))
            }
            RoomState::Waiting(waiting) => {
                let position = self.queue.position(waiting.queue);
                (
                    self.waiting_place(waiting.since, position, &record.wish, None),
                    record.wish.seats,
                    record.wish.load,
                )
            }
            RoomState::Moving(moving) => {
                let position = self.queue.position(moving.queue);
                let from = (self.server_name(moving.from), moving.placement);
                let place = self.waiting_place(moving.since, position, &record.wish, Some(from));
                (place, record.wish.seats, record.wish.load)
            }
        };
        RoomStatus {
            room: record.id.clone(),
            place,
            seats,
            load,
            participants: room.known.map(|known| known.participants),
            tenant: record.wish.tenant.clone(),
            region: record.wish.region.clone(),
            created: record.created,
        }
    }

    fn waiting_place(
        &self,
        since: Timestamp,
        position: u32,
        wish: &RoomWish,
        moving: Option<(ServerName, crate::ids::PlacementNo)>,
    ) -> RoomPlace {
        let (waiting_for, expected_seconds) = self.waits_for(wish);
        RoomPlace::Waiting {
            moving,
            since,
            position,
            waiting_for,
            expected_seconds,
        }
    }

    /// Says what a room waits for, and about how long that takes.
    fn waits_for(&self, wish: &RoomWish) -> (WaitingFor, Option<u32>) {
        let fitting = || {
            self.pools.values().filter(|pool| {
                !pool.retired
                    && wish.region.as_ref().is_none_or(|region| pool.config.region == *region)
                    && self.could_let_in(pool, wish)
                    && self.could_hold(pool, wish)
            })
        };
        let starting = fitting().flat_map(|pool| {
            let usual = boot_seconds(pool);
            let is_starting =
                |server: &&Server| server.record.phase.is_starting() && !server.record.is_adopted_unheard();
            let servers = self.of(pool).filter(is_starting);
            servers.map(move |server| {
                let so_far = u32::try_from(self.now.since(server.record.created).as_secs()).unwrap_or(u32::MAX);
                usual.map(|usual| usual.saturating_sub(so_far).max(1))
            })
        });
        let mut is_starting = false;
        let mut soonest: Option<u32> = None;
        for expected in starting {
            is_starting = true;
            soonest = [soonest, expected].into_iter().flatten().min();
        }
        if is_starting {
            return (WaitingFor::Boot, soonest);
        }
        let mut automatic = fitting().filter(|pool| pool.config.automatic).peekable();
        if automatic.peek().is_none() {
            return (WaitingFor::NobodyLaunches, None);
        }
        let usual = fitting().filter_map(boot_seconds).min();
        match automatic.any(|pool| self.launch_allowance(pool).servers > 0) {
            true => (WaitingFor::Capacity, usual),
            false => (WaitingFor::Limit, None),
        }
    }

    fn pool_status(&self, pool: &Pool, now: Timestamp) -> PoolStatus {
        let state = self.pool_state(pool);
        let allowance = self.launch_allowance(pool);
        let count = |is: &dyn Fn(&Server) -> bool| {
            u32::try_from(self.of(pool).filter(|server| is(server)).count()).unwrap_or(u32::MAX)
        };
        let serves = |server: &Server| server.record.phase.is_ready() && !server.is_lost();
        let used = self
            .of(pool)
            .fold(Used::default(), |sum, server| sum + server.use_now());
        let open = || {
            self.of(pool)
                .filter(|server| serves(server) && server.record.hold.is_none() && !server.is_silent())
        };
        let free = |max: fn(&Server) -> Option<u32>, used: fn(Used) -> u32| {
            open()
                .map(|server| Some(max(server)?.saturating_sub(used(server.use_now()))))
                .sum::<Option<u32>>()
        };
        PoolStatus {
            name: pool.config.name.clone(),
            provider: pool.config.provider.clone(),
            region: pool.config.region.clone(),
            automatic: pool.config.automatic,
            retired: pool.retired,
            scaling_enabled: pool.record.scaling_enabled,
            servers_starting: count(&|server| server.record.phase.is_starting()),
            servers_ready: count(&serves),
            servers_held: count(&|server| serves(server) && server.record.hold.is_some()),
            servers_silent: count(&|server| serves(server) && server.is_silent()),
            servers_ending: count(&|server| {
                server.is_lost() || matches!(server.record.phase, Phase::Failed(_) | Phase::Terminating(_))
            }),
            servers_min: pool.config.guards.servers_min,
            servers_max: pool.config.guards.servers_max,
            servers_wanted: (!pool.config.automatic).then_some(pool.record.servers_wanted),
            rooms: used.rooms,
            seats: shown(used.seats),
            load: shown(used.load),
            rooms_free: free(|server| server.record.limits.rooms_max, |used| used.rooms),
            seats_free: free(|server| server.record.limits.seats_max, |used| shown(used.seats)),
            circuit_open_until: match &pool.record.circuit {
                Circuit::Open(open) => Some(open.until),
                Circuit::Closed => None,
            },
            frozen: self.is_frozen_for(pool),
            launchable: state.launchable,
            retirable: state.retirable,
            code: allowance.obstacle(),
            boot_seconds: boot_seconds(pool),
            price_per_hour: pool.config.price_per_hour,
            bill: self.cost(pool, now),
        }
    }
}

fn is_shown(room: &Room, filter: &RoomFilter) -> bool {
    let state = match &room.record.state {
        RoomState::Waiting(_) => RoomStateFilter::Waiting,
        RoomState::Placed(_) => RoomStateFilter::Placed,
        RoomState::Moving(_) => RoomStateFilter::Moving,
    };
    filter.state.is_none_or(|wanted| wanted == state)
        && (filter.tenant.is_none() || filter.tenant == room.record.wish.tenant)
}

fn server_status(server: &Server) -> ServerStatus {
    let used = server.use_now();
    let report = server.reported.as_ref().map(|(_, report)| report);
    ServerStatus {
        card: server.card.clone(),
        no: server.no(),
        attempt: server.record.attempt,
        token: server.record.token,
        offer: server.record.offer.clone().map(Box::new),
        instance: server.record.instance.clone(),
        phase: server.record.phase.clone(),
        hold: server.record.hold.clone(),
        health: server.health,
        limits: server.record.limits,
        price_per_hour: server.record.price_per_hour,
        created: server.record.created,
        rooms: used.rooms,
        seats: shown(used.seats),
        load: shown(used.load),
        reported: server.reported.as_ref().map(|(at, _)| *at),
        participants: report.and_then(|report| report.participants),
        cpu_permille: report.and_then(|report| report.cpu_permille),
        egress_kbps: report.and_then(|report| report.egress_kbps),
        loss_permille: report.and_then(|report| report.loss_permille),
        rooms_unknown: server.unknown.rooms,
        left: server.record.left,
    }
}
