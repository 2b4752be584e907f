//! Policies, honest and otherwise.

use std::sync::Arc;
use std::time::Duration;

use usher_fleet::advice::{
    Direction, Fault, FaultKind, Growth, PlaceAdvice, PlaceAnswer, PlaceAsk, Placement, Retirement, ScaleAdvice,
    ScaleAnswer, ScaleAsk, Shrinkage,
};
use usher_fleet::decision::PolicyRef;
use usher_fleet::ids::{PoolNo, ServerNo};
use usher_fleet::server::Phase;
use usher_fleet::{Advisor, Fleet};

use super::chance::Chance;
use super::ledger;
use super::model::Model;

/// How policies are minded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Temper {
    /// Proposes every server there is; launches what waits, retires what is empty.
    Honest,
    /// Says anything at all.
    Lying,
    /// Honest, and lets every server go.
    Leaving,
}

fn policy(temper: Temper) -> PolicyRef {
    let name = match temper {
        Temper::Honest | Temper::Leaving => "honest",
        Temper::Lying => "liar",
    };
    PolicyRef {
        name: Arc::from(name),
        version: Arc::from("1"),
    }
}

/// The chain of place policies in one input.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) temper: Temper,
    /// Every number that may be a server's before the input ends.
    pub(crate) servers: Vec<ServerNo>,
    pub(crate) chance: Chance,
}

impl Advisor for Chain {
    fn place(&mut self, link: usize, _: &Fleet, ask: &PlaceAsk<'_>) -> Option<PlaceAnswer> {
        let advice = match self.temper {
            Temper::Honest | Temper::Leaving => {
                let letters = ask.room.as_str().bytes().map(usize::from).sum::<usize>();
                let first = letters % self.servers.len().max(1);
                let server = (link < self.servers.len()).then(|| self.servers[(first + link) % self.servers.len()])?;
                Ok(Placement::On(server))
            }
            Temper::Lying => self.lie()?,
        };
        let reason = Some("because".into());
        Some(PlaceAnswer {
            policy: policy(self.temper),
            advice: advice.map(|placement| PlaceAdvice { placement, reason }),
            isolates: self.temper == Temper::Lying && self.chance.one_in(4),
            took: Duration::from_micros(3),
        })
    }
}

impl Chain {
    fn lie(&mut self) -> Option<Result<Placement, Fault>> {
        let chance = &mut self.chance;
        Some(match chance.below(20) {
            0..=11 => Ok(Placement::On(chance.pick(&self.servers).copied()?)),
            12 => Ok(Placement::On(ServerNo(chance.between(0, 2_000)))),
            13 | 14 => Ok(Placement::Wait {
                pool: chance.one_in(2).then(|| PoolNo(chance.between(0, 9))),
                again_seconds: chance.between(0, 20),
            }),
            15 => Ok(Placement::Reject),
            16 => Ok(Placement::Defer),
            17 => return None,
            _ => Err(Fault {
                kind: *chance.pick(&[FaultKind::Trap, FaultKind::OutOfFuel, FaultKind::Unavailable])?,
                message: "unreachable".into(),
            }),
        })
    }
}

/// What a scale policy answers, if it does.
pub(crate) fn scale(ask: &ScaleAsk, temper: Temper, model: &Model, chance: &mut Chance) -> Option<ScaleAnswer> {
    let is_lying = temper == Temper::Lying;
    if is_lying && chance.one_in(20) {
        return None;
    }
    let advice = match temper {
        Temper::Lying if chance.one_in(10) => Err(Fault {
            kind: FaultKind::Error,
            message: "no".into(),
        }),
        Temper::Lying => Ok(lying_scale(ask, model, chance)),
        Temper::Honest | Temper::Leaving => Ok(match ask.direction {
            Direction::Up => ScaleAdvice::Up(wanted(model)),
            Direction::Down => ScaleAdvice::Down(unneeded(model, temper)),
        }),
    };
    let mut decision = ask.decision;
    if is_lying && chance.one_in(20) {
        decision.0 = decision.0.wrapping_add(1);
    }
    Some(ScaleAnswer {
        decision,
        link: ask.link,
        last: ask.link >= 2 || !is_lying || chance.one_in(2),
        policy: policy(temper),
        advice,
        took: Duration::from_micros(40),
    })
}

/// For each pool that could hold a waiting room when empty as many servers as rooms wait for it.
fn wanted(model: &Model) -> Vec<Growth> {
    let growth = |pool: &usher_fleet::config::PoolConfig| {
        let fits = |wish| super::invariants::waiting::could_be_launched_for(pool, wish);
        let rooms = model.waiting().filter(|room| fits(&room.wish)).count();
        let no = model.pools.get(&pool.name)?.no;
        let servers = u32::try_from(rooms).ok().filter(|servers| *servers > 0)?;
        Some(Growth {
            pool: no,
            servers,
            reason: "they wait".into(),
        })
    };
    model.config.pools.iter().filter_map(growth).collect()
}

fn unneeded(model: &Model, temper: Temper) -> Vec<Shrinkage> {
    let may_go = |no: ServerNo| temper == Temper::Leaving || model.is_empty(no);
    let pools = model.pools.values().map(|pool| {
        let ready = model
            .servers
            .values()
            .filter(|server| server.pool == pool.name && matches!(server.phase, Phase::Ready(_)));
        let servers = ready.filter(|server| may_go(server.no)).map(|server| Retirement {
            server: server.no,
            reason: "nobody needs it".into(),
        });
        Shrinkage {
            pool: pool.no,
            servers: servers.collect(),
        }
    });
    pools.collect()
}

fn lying_scale(ask: &ScaleAsk, model: &Model, chance: &mut Chance) -> ScaleAdvice {
    let mut pools: Vec<PoolNo> = model.pools.values().map(|pool| pool.no).collect();
    pools.push(PoolNo(chance.between(0, 99)));
    let goes_up = (ask.direction == Direction::Up) != chance.one_in(30);
    if goes_up {
        let growths = (0..chance.between(0, 4)).filter_map(|_| {
            Some(Growth {
                pool: chance.pick(&pools).copied()?,
                servers: *chance.pick(&[0, 1, 2, 7, 1_000_000])?,
                reason: "more".into(),
            })
        });
        return ScaleAdvice::Up(growths.collect());
    }
    let servers: Vec<ServerNo> = model.servers.keys().copied().chain([ServerNo(77_777)]).collect();
    let all: Vec<Retirement> = servers
        .into_iter()
        .filter(|_| chance.one_in(2))
        .map(|server| Retirement {
            server,
            reason: "less".into(),
        })
        .collect();
    let shrinkage = |pool: &PoolNo| Shrinkage {
        pool: *pool,
        servers: all.clone(),
    };
    // A pool may be named twice.
    pools.extend(chance.pick(&pools).copied());
    ScaleAdvice::Down(pools.iter().map(shrinkage).collect())
}

/// Whether an honest policy's launch in a pool would help a room; what an empty server of it would hold decides.
pub(crate) fn would_hold(pool: &usher_fleet::config::PoolConfig, wish: &usher_fleet::room::RoomWish) -> bool {
    ledger::reservation(pool, wish).is_within(&pool.limits)
}
