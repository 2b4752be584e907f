//! A policy for the tests of the host that means harm: its settings say which, and it does it in every call but those of its
//! trial. What Rust does not let one do stands in `tests/tests/usher/hostile/`, as text.

use std::cell::{Cell, RefCell};

use serde::Deserialize;
use usher_sdk::{
    Demand, Fleet, Growth, Hold, Learned, Moment, ONLY_PREFIX, Place, PlacementAdvice, Policy, PoolId, Retirement,
    RoomRequest, ScaleDown, ScaleUp, Server, ServerId, Shrinkage, export_policy, info,
};

/// The room of a trial.
const TRIAL: &str = "usher-trial";
/// A number that no pool or server has.
const NOBODY: u32 = 4_000_000_000;
/// What is leaked by each call, in bytes.
const LEAK_BYTES: usize = 512 << 10;
/// What is logged in each call: far more than is written.
const LOG_LINES: u32 = 100;

/// What it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Misdeed {
    /// Nothing: it leaves everything to others.
    #[default]
    None,
    /// Places rooms on a server that does not exist.
    Unknown,
    /// Places rooms where no more fit.
    Full,
    /// Places rooms on a server that is cordoned.
    Cordoned,
    /// Places rooms on a server that drains and never comes back.
    Leaving,
    /// Places rooms in a pool that is for others only.
    Foreign,
    /// Does another one of these in each call.
    Fickle,
    /// Takes memory in each call and never gives it back.
    Leak,
    /// Logs as much as it can.
    Flood,
    /// Wants a million servers of every pool, and of one that does not exist.
    Million,
    /// Retires every server of every pool, each in every pool, and one that does not exist.
    RetireAll,
    /// Saves more than is kept.
    SaveTooMuch,
    /// Saves for ever.
    SaveForEver,
    /// Panics when it is given back what it saved.
    RestorePanics,
    /// Takes in for ever what it saved.
    RestoreForEver,
}

/// What its file says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    misdeed: Misdeed,
}

/// The policy.
#[derive(Debug)]
pub struct Hostile {
    misdeed: Misdeed,
    calls: Cell<usize>,
    kept: RefCell<Vec<Vec<u8>>>,
}

impl Policy for Hostile {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, String> {
        Ok(Hostile {
            misdeed: settings.misdeed,
            calls: Cell::new(0),
            kept: RefCell::default(),
        })
    }
}

impl Place for Hostile {
    fn place(&self, room: &RoomRequest, fleet: &Fleet, _: Moment) -> PlacementAdvice {
        if room.room == TRIAL {
            return PlacementAdvice::defer();
        }
        let calls = self.calls.get();
        self.calls.set(calls.wrapping_add(1));
        const LIES: [Misdeed; 5] = [
            Misdeed::Unknown,
            Misdeed::Full,
            Misdeed::Cordoned,
            Misdeed::Leaving,
            Misdeed::Foreign,
        ];
        match self.misdeed {
            Misdeed::Fickle => self.lie(LIES[calls % LIES.len()], fleet),
            Misdeed::Leak => {
                self.kept.borrow_mut().push(vec![1; LEAK_BYTES]);
                PlacementAdvice::defer()
            }
            Misdeed::Flood => {
                for line in 0..LOG_LINES {
                    info!("flood {calls} {line}");
                }
                PlacementAdvice::defer()
            }
            lie => self.lie(lie, fleet),
        }
    }
}

impl Hostile {
    fn lie(&self, lie: Misdeed, fleet: &Fleet) -> PlacementAdvice {
        let is_foreign = |server: &Server| {
            let pool = fleet.pool(server.pool_id());
            pool.is_some_and(|pool| pool.labels.iter().any(|label| label.key.starts_with(ONLY_PREFIX)))
        };
        let is_held = |server: &Server, hold: Hold| server.usage().hold == hold;
        let on = |is_it: &dyn Fn(&Server) -> bool| fleet.servers().find(|server| is_it(server)).map(Server::id);
        let server: Option<ServerId> = match lie {
            Misdeed::Unknown => Some(NOBODY),
            Misdeed::Full => on(&|server| server.is_serving() && server.left().rooms == 0),
            Misdeed::Cordoned => on(&|server| is_held(server, Hold::Cordoned)),
            Misdeed::Leaving => on(&|server| is_held(server, Hold::Leaving)),
            Misdeed::Foreign => on(&is_foreign),
            _ => None,
        };
        server.map_or_else(PlacementAdvice::defer, PlacementAdvice::on)
    }
}

impl ScaleUp for Hostile {
    fn scale_up(&mut self, _: &Demand, fleet: &Fleet, moment: Moment) -> Vec<Growth> {
        if self.misdeed != Misdeed::Million || moment.decision == 0 {
            return vec![];
        }
        let pools = fleet.pools().map(|pool| pool.id).chain([NOBODY]);
        let growth = |pool: PoolId| Growth {
            pool,
            servers: 1_000_000,
            reason: "more".into(),
        };
        pools.map(growth).collect()
    }
}

impl ScaleDown for Hostile {
    fn scale_down(&mut self, fleet: &Fleet, moment: Moment) -> Vec<Shrinkage> {
        if self.misdeed != Misdeed::RetireAll || moment.decision == 0 {
            return vec![];
        }
        let all = || fleet.servers().map(Server::id).chain([NOBODY]);
        let pools = fleet.pools().map(|pool| pool.id).chain([NOBODY]);
        let shrinkage = |pool: PoolId| Shrinkage {
            pool,
            servers: all().map(|server| Retirement::new(server, "away with it")).collect(),
        };
        pools.map(shrinkage).collect()
    }
}

impl Learned for Hostile {
    fn save(&self) -> Vec<u8> {
        match self.misdeed {
            Misdeed::SaveTooMuch => vec![1; 1_000_000],
            Misdeed::SaveForEver => endless(),
            Misdeed::RestorePanics | Misdeed::RestoreForEver => vec![1],
            _ => vec![],
        }
    }

    fn restore(&mut self, saved: &[u8]) -> Result<(), String> {
        match self.misdeed {
            Misdeed::RestorePanics => panic!("it was asked to"),
            Misdeed::RestoreForEver => {
                endless();
                Ok(())
            }
            _ if saved.is_empty() => Ok(()),
            _ => Err("it never saved that".into()),
        }
    }
}

/// Never returns; the compiler must not know.
fn endless() -> Vec<u8> {
    let mut number = 1_u64;
    while std::hint::black_box(number) != 0 {
        number = number.wrapping_mul(3);
    }
    vec![]
}

export_policy!(Hostile: place, scale_up, scale_down, learned);
