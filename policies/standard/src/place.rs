//! *Place*: which server a room goes to, or which pool it waits for.

use std::cmp::Reverse;

use usher_sdk::{
    Fleet, Moment, PlacementAdvice, Pool, PoolId, REQUIRE_PREFIX, RoomRequest, Server, ServerId, Timestamp,
};

use crate::Settings;
use crate::pools::{Preference, launchable};
use crate::settings::Marks;

/// How many servers with room are compared, the fullest first; what lies beyond is emptier than all of them.
///
/// Enough to find one that outlasts the room among many that do not, few enough that a decision takes the same microseconds in
/// a fleet of any size.
pub const CANDIDATES_MAX: usize = 32;

/// How many servers with room are looked at in a region, also if they are above their marks or lack a label, so that a decision stays
/// within its fuel. Beyond that the room waits, and is asked for again.
const LOOKED_AT_MAX: usize = 1_024;

/// By how much a server's life may differ without counting, in seconds: expectations are no more exact than that.
const PROLONGS_STEP_SECONDS: u32 = 300;

/// When a room is asked for again that waits although there are servers with room, above their marks or beyond those looked at, in
/// seconds: about as often as servers report, since a report alone does not wake a waiting room.
const AGAIN_SECONDS: u32 = 10;

/// What speaks for a server; the least is chosen, field by field. The order makes servers empty as soon as can be:
///
/// A server goes when its last room ends. So the first thing is not to begin an empty one, which could go at once. The next is
/// not to prolong a life: a room costs nothing on a server that lives longer anyway, and else the less, the later that server's
/// last room ends. A server with a room of unknown end outlasts everything. Where that makes no difference, filling the
/// fullest leaves the others to run empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Score {
    /// No room is on it.
    pub is_empty: bool,
    /// By how much the room prolongs its life, in steps of 5 minutes; 0 where the room did not say when it ends.
    pub prolongs: u32,
    /// How full it is, in the SDK's 64 steps.
    pub fullness: Reverse<u8>,
    /// When its last room ends; one that did not say ends last.
    pub ends: Reverse<Timestamp>,
    /// The SDK's order: fewest seats left first, then by id.
    pub order: usize,
}

impl Score {
    /// Returns whether no server after the one of this other score can be better: they come the fullest first.
    fn is_beyond_reach_after(&self, last: &Score) -> bool {
        let is_fuller = self.fullness < last.fullness || self.ends == Reverse(Timestamp::MAX);
        !self.is_empty && self.prolongs == 0 && is_fuller
    }
}

/// Answers where a room goes.
pub(crate) fn place(settings: &Settings, room: &RoomRequest, fleet: &Fleet, moment: Moment) -> PlacementAdvice {
    let search = Search::new(settings, room, fleet, moment);
    let (mut is_any_hot, mut is_any_left) = (false, false);
    for (tier, region) in settings.regions(&room.region).enumerate() {
        let found = search.best_in(region);
        if let Some((score, server)) = found.best {
            return PlacementAdvice::on(server).because(reason(&score, tier, fleet, server));
        }
        is_any_hot |= found.is_any_hot;
        is_any_left |= found.is_any_left;
    }
    let pool = pool_to_wait_for(settings, room, fleet);
    if is_any_left {
        return PlacementAdvice::wait_and_ask_again(pool, AGAIN_SECONDS).because(format!(
            "none of the {LOOKED_AT_MAX} fullest servers with room will do, and the others were not looked at"
        ));
    }
    if is_any_hot {
        return PlacementAdvice::wait_and_ask_again(pool, AGAIN_SECONDS)
            .because("the servers with room are above their marks");
    }
    let reason = if pool.is_some() {
        "no server has room"
    } else {
        "no pool suits the room"
    };
    PlacementAdvice::wait(pool).because(reason)
}

fn reason(score: &Score, tier: usize, fleet: &Fleet, server: ServerId) -> String {
    let why = if score.is_empty {
        "an empty server: no other has room"
    } else if score.order > 0 {
        "the server that lives longest anyway"
    } else {
        "fullest server with room"
    };
    if tier == 0 {
        return why.into();
    }
    let pool = fleet.server(server).and_then(|server| fleet.pool(server.pool_id()));
    format!("{why}, in fallback region {}", pool.map_or("", |pool| &pool.region))
}

/// Returns the preferred pool that suits, rather one that may launch now, in the first region that has one.
fn pool_to_wait_for(settings: &Settings, room: &RoomRequest, fleet: &Fleet) -> Option<PoolId> {
    let preferred = |may_launch: bool| {
        settings.regions(&room.region).find_map(|region| {
            let suited = fleet
                .pools()
                .filter(|pool| pool.would_do(region, &room.tenant, &room.labels, room.size()));
            suited
                .filter(|pool| !may_launch || launchable(fleet, pool) > 0)
                .min_by_key(|pool| Preference::of(settings, pool))
        })
    };
    preferred(true).or_else(|| preferred(false)).map(|pool| pool.id)
}

/// The search for one room's server.
struct Search<'a> {
    settings: &'a Settings,
    room: &'a RoomRequest,
    fleet: &'a Fleet,
    now: Timestamp,
    /// When the room is expected to end.
    ends: Option<Timestamp>,
    /// Whether it requires a label. Most rooms do not, and no pool is looked at for that.
    has_requirement: bool,
    /// Whether it avoids a server or requires a label. Most rooms do neither, and no server is looked at for that.
    is_particular: bool,
}

/// What was found in a region.
#[derive(Default)]
struct Found {
    best: Option<(Score, ServerId)>,
    /// Whether a server with room was passed over for its marks.
    is_any_hot: bool,
    /// Whether there are more servers with room than were looked at.
    is_any_left: bool,
}

impl<'a> Search<'a> {
    fn new(settings: &'a Settings, room: &'a RoomRequest, fleet: &'a Fleet, moment: Moment) -> Self {
        let seconds = room.expected_minutes.saturating_mul(60);
        let has_requirement = room.labels.iter().any(|label| label.key.starts_with(REQUIRE_PREFIX));
        Search {
            settings,
            room,
            fleet,
            now: moment.now,
            ends: (seconds > 0).then(|| moment.now.saturating_add(seconds)),
            has_requirement,
            is_particular: room.avoid != 0 || has_requirement,
        }
    }

    /// Looks through a region's servers, which come the fullest first, as far as a better one may come.
    fn best_in(&self, region: &str) -> Found {
        let mut found = Found::default();
        let may_carry = |pool: &Pool| self.fleet.may_carry(pool, &self.room.labels);
        let mut fullest = self.fleet.fitting(self.room.size()).in_region(region);
        if self.has_requirement {
            fullest = fullest.in_pools(&may_carry);
        }
        let mut marks = KnownMarks::new(self.settings, self.fleet);
        let mut candidates = 0;
        for (looked_at, server) in fullest.letting_in(self.room).enumerate() {
            if looked_at == LOOKED_AT_MAX {
                found.is_any_left = true;
                break;
            }
            if !self.is_suited(server) {
                continue;
            }
            if marks.are_passed_by(server) {
                found.is_any_hot = true;
                continue;
            }
            let score = self.score(server, candidates);
            candidates += 1;
            let is_better = |(least, _): &(Score, ServerId)| score < *least;
            let (least, _) = match &mut found.best {
                Some(best) if !is_better(best) => best,
                best => best.insert((score, server.id())),
            };
            if candidates == self.candidates_max() || least.is_beyond_reach_after(&score) {
                break;
            }
        }
        found
    }

    /// Where ends do not count, the first is the best.
    fn candidates_max(&self) -> usize {
        match self.ends {
            Some(_) => CANDIDATES_MAX,
            None => 1,
        }
    }

    fn is_suited(&self, server: &Server) -> bool {
        !self.is_particular || self.fleet.suits(server, self.room)
    }

    fn score(&self, server: &Server, order: usize) -> Score {
        let until = server.busy_until();
        let prolongs = match (self.ends, until) {
            (Some(ends), Some(until)) => ends.saturating_sub(until.max(self.now)).div_ceil(PROLONGS_STEP_SECONDS),
            (None, _) | (_, None) => 0,
        };
        Score {
            is_empty: server.usage().rooms == 0,
            prolongs,
            fullness: Reverse(server.fullness()),
            ends: Reverse(until.unwrap_or(Timestamp::MAX)),
            order,
        }
    }
}

/// The marks of the pools that were met in a search: looked up by name once a pool, not once a server.
struct KnownMarks<'a> {
    settings: &'a Settings,
    fleet: &'a Fleet,
    /// Ordered by pool.
    known: Vec<(PoolId, Marks)>,
}

impl<'a> KnownMarks<'a> {
    fn new(settings: &'a Settings, fleet: &'a Fleet) -> Self {
        KnownMarks {
            settings,
            fleet,
            known: Vec::new(),
        }
    }

    /// Returns whether a server reported to be above a mark.
    #[inline(always)]
    fn are_passed_by(&mut self, server: &Server) -> bool {
        let has_own = !self.settings.pool.is_empty();
        let own = has_own.then(|| self.of(server.pool_id())).flatten();
        own.unwrap_or_else(|| self.settings.marks()).is_hot(server)
    }

    #[cold]
    fn of(&mut self, pool: PoolId) -> Option<Marks> {
        let place = self.known.binary_search_by_key(&pool, |(known, _)| *known);
        if let Ok(at) = place {
            return Some(self.known[at].1);
        }
        let marks = self.settings.marks_of(self.fleet.pool(pool)?);
        self.known.insert(place.unwrap_or_else(|at| at), (pool, marks));
        Some(marks)
    }
}

#[cfg(test)]
mod tests;
