//! The market of one turn: what each pool has, what it may launch, and which servers the rooms buy.

use std::collections::BTreeMap;

use usher_sdk::{Fleet, Growth, Left, Moment, Phase, Pool, PoolId, PoolState, Size, Timestamp, Want};

use crate::Settings;

/// All pools that Usher launches in.
pub(crate) struct Market<'a> {
    settings: &'a Settings,
    fleet: &'a Fleet,
    offers: Vec<Offer<'a>>,
    /// Servers that are there, starting or about to be ordered, and how many of them are spot servers.
    servers: u64,
    spot_servers: u64,
}

/// One pool: what is there of it, what is coming, and what is about to be ordered.
struct Offer<'a> {
    pool: &'a Pool,
    launchable: u32,
    /// In how many seconds it may launch again, where it may not now and that is known.
    again_seconds: Option<u32>,
    /// What is left on its servers that take rooms, and on those that are starting or about to be ordered.
    open: Vec<Left>,
    coming: Vec<Left>,
    ordered: u32,
    rooms: u32,
    dearest_room: u32,
    /// Rooms that it would suit, and for which nothing could be ordered anywhere.
    unserved: u32,
}

impl<'a> Market<'a> {
    /// Looks at what is there; pools that are `left_alone` may launch nothing until then.
    pub(crate) fn of(
        settings: &'a Settings,
        left_alone: &BTreeMap<PoolId, Timestamp>,
        fleet: &'a Fleet,
        moment: Moment,
    ) -> Self {
        let offer = |pool: &'a Pool| {
            let state = fleet.pool_state(pool.id).map(|state| (state.launchable, state.again));
            let alone = left_alone.get(&pool.id).map(|until| (0, *until));
            let (launchable, again) = alone.or(state).unwrap_or((0, 0));
            let again_seconds = (launchable == 0 && again > 0).then(|| moment.seconds_until(again));
            Offer::new(pool, launchable, again_seconds)
        };
        let mut market = Market {
            settings,
            fleet,
            offers: fleet.pools().filter(|pool| pool.automatic).map(offer).collect(),
            servers: 0,
            spot_servers: 0,
        };
        for server in fleet.servers().filter(|server| server.usage().phase != Phase::Ending) {
            // Pools come ordered by their ids.
            let pool = server.pool_id();
            let Ok(at) = market.offers.binary_search_by_key(&pool, |offer| offer.pool.id) else {
                continue;
            };
            let offer = &mut market.offers[at];
            market.servers += 1;
            market.spot_servers += u64::from(offer.is_spot());
            if server.is_starting() {
                offer.coming.push(server.left());
            } else if server.is_open() {
                offer.open.push(server.left());
            }
        }
        market
    }

    /// Returns how many rooms of this kind find place on servers that take rooms now.
    pub(crate) fn open_to(&self, want: &Want) -> u64 {
        let suited = self.offers.iter().filter(|offer| offer.pool.suits_all(want));
        let rooms = suited
            .flat_map(|offer| &offer.open)
            .map(|left| left.rooms_of(want.size_average()));
        rooms.map(u64::from).sum()
    }

    /// Returns the pools that can spare no server: with one less, so many rooms of this kind would no longer find place.
    pub(crate) fn kept_for(&self, want: &Want, rooms: u32) -> Vec<PoolId> {
        let place = self.open_to(want);
        let is_needed = |offer: &&Offer<'_>| {
            let on_each = offer.open.iter().map(|left| left.rooms_of(want.size_average()));
            place - u64::from(on_each.max().unwrap_or(0)) < rooms.into()
        };
        let suited = self.offers.iter().filter(|offer| offer.pool.suits_all(want));
        suited.filter(is_needed).map(|offer| offer.pool.id).collect()
    }

    /// Finds servers for so many rooms of this kind: those that are coming, then new ones, the cheapest first.
    pub(crate) fn serve(&mut self, want: &Want, rooms: u32) {
        let size = want.size_average();
        let suited = self.suited(want);
        let mut rest = rooms;
        for at in &suited {
            rest = self.offers[*at].fill(rest, size);
        }
        // Ends: each round places a room at least, or uses up what may be launched.
        while rest > 0 {
            let Some(at) = self.cheapest(&suited, want) else {
                for at in &suited {
                    let unserved = &mut self.offers[*at].unserved;
                    *unserved = unserved.saturating_add(rest);
                }
                return;
            };
            self.servers += 1;
            self.spot_servers += u64::from(self.offers[at].is_spot());
            rest = self.offers[at].order(rest, size);
        }
    }

    /// Returns the places of the pools that would do for these rooms, the cheapest room first.
    ///
    /// Rooms that wait for a pool for which another policy has answered are bound to it for [`Settings::patience_seconds`]: that policy
    /// may place them nowhere else, or keep the pool as it is all night. To wait for any other pool binds nobody, since the standard
    /// policy always names one, that of the cheapest server.
    fn suited(&self, want: &Want) -> Vec<usize> {
        let is_spoken_for = |pool: &PoolId| self.fleet.pool_state(*pool).is_some_and(PoolState::is_spoken_for);
        let is_patient = want.longest_wait_seconds <= self.settings.patience_seconds;
        let bound_to = want.pool.filter(|pool| is_patient && is_spoken_for(pool));
        let is_suited = |at: &usize| {
            let pool = self.offers[*at].pool;
            bound_to.is_none_or(|bound_to| bound_to == pool.id) && pool.suits_all(want)
        };
        let mut suited: Vec<usize> = (0..self.offers.len()).filter(is_suited).collect();
        let size = want.size_average();
        suited.sort_by_key(|at| (self.offers[*at].price_of_room(size), self.offers[*at].pool.id));
        suited
    }

    /// Returns the first of these that may launch one server more; none, too, where a cheaper one is worth waiting for.
    fn cheapest(&self, suited: &[usize], want: &Want) -> Option<usize> {
        // Where only spot pools would do, there is nothing to share with.
        let may_be_spot = self.may_have_more_spot() || suited.iter().all(|at| self.offers[*at].is_spot());
        for at in suited {
            let offer = &self.offers[*at];
            if offer.launchable > 0 && (may_be_spot || !offer.is_spot()) {
                return Some(*at);
            }
            let waits = offer
                .again_seconds
                .map(|seconds| want.longest_wait_seconds.saturating_add(seconds));
            if waits.is_some_and(|seconds| seconds <= self.settings.patience_seconds) {
                return None;
            }
        }
        None
    }

    /// Returns how much each pool grows; 0 is an answer, too: nobody after this policy orders there what was too dear.
    pub(crate) fn into_growths(self) -> Vec<Growth> {
        self.offers.into_iter().map(Offer::into_growth).collect()
    }

    fn may_have_more_spot(&self) -> bool {
        (self.spot_servers + 1) * 100 <= (self.servers + 1) * u64::from(self.settings.spot_percent_max)
    }
}

impl<'a> Offer<'a> {
    fn new(pool: &'a Pool, launchable: u32, again_seconds: Option<u32>) -> Self {
        Offer {
            pool,
            launchable,
            again_seconds,
            open: Vec::new(),
            coming: Vec::new(),
            ordered: 0,
            rooms: 0,
            dearest_room: 0,
            unserved: 0,
        }
    }

    fn is_spot(&self) -> bool {
        self.pool.market == "spot"
    }

    /// Returns what one room of this size costs on a full server, in microdollars an hour.
    fn price_of_room(&self, size: Size) -> u32 {
        self.pool.price_microdollars_per_hour / self.pool.left_when_new().rooms_of(size).max(1)
    }

    /// Puts rooms on servers that are coming; returns how many found no place.
    fn fill(&mut self, rooms: u32, size: Size) -> u32 {
        let mut rest = rooms;
        for left in &mut self.coming {
            let taken = left.rooms_of(size).min(rest);
            *left = left.less(taken, size);
            rest -= taken;
        }
        rest
    }

    /// Orders one server and puts rooms on it; returns how many found no place.
    fn order(&mut self, rooms: u32, size: Size) -> u32 {
        let new = self.pool.left_when_new();
        let taken = new.rooms_of(size).min(rooms);
        self.coming.push(new.less(taken, size));
        self.launchable -= 1;
        self.ordered += 1;
        self.rooms += taken;
        self.dearest_room = self.dearest_room.max(self.price_of_room(size));
        rooms - taken
    }

    fn into_growth(self) -> Growth {
        let (dollars, rest) = (self.dearest_room / 1_000_000, self.dearest_room % 1_000_000 / 100);
        Growth {
            pool: self.pool.id,
            servers: self.ordered,
            reason: match (self.rooms, self.unserved) {
                (0, 0) => "none is needed here".into(),
                (0, rooms) => format!("none may be launched yet for {rooms} rooms"),
                (rooms, _) => format!("{rooms} rooms, at most ${dollars}.{rest:04} an hour each"),
            },
        }
    }
}
