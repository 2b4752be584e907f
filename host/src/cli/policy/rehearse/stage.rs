//! The made-up fleet with what people want to know of it: names, and what the fleet would say to an advice.

use std::collections::BTreeMap;

use usher_fleet::advice::{Direction, PlaceAsk, Placement, ScaleAdvice, ScaleAsk};
use usher_fleet::ids::{PoolNo, ServerNo};
use usher_fleet::view::{HealthView, HoldView, PhaseView, ServerRow, UsageRow, ViewChange};
use usher_policy::{MadeUpFleet, MadeUpRoom, Snapshot};

use crate::cli::policy::report::{Growth, Ordered, Retired, Shrinkage};

/// The fleet at its present turn.
#[derive(Debug, Clone)]
pub(super) struct Stage {
    fleet: MadeUpFleet,
    turn: u64,
    pools: BTreeMap<PoolNo, String>,
    servers: BTreeMap<ServerNo, ServerRow>,
    usages: BTreeMap<ServerNo, UsageRow>,
}

impl Stage {
    /// Makes up a fleet of so many servers.
    pub(super) fn new(servers: usize) -> Stage {
        let fleet = MadeUpFleet::new(servers);
        let mut stage = Stage {
            turn: 0,
            pools: BTreeMap::new(),
            servers: BTreeMap::new(),
            usages: BTreeMap::new(),
            fleet,
        };
        for row in stage.fleet.snapshot().rows {
            stage.learn(row);
        }
        stage
    }

    fn learn(&mut self, row: ViewChange) {
        match row {
            ViewChange::PoolSet(pool) => drop(self.pools.insert(pool.no, pool.name.clone())),
            ViewChange::ServerSet(server) => drop(self.servers.insert(server.no, server)),
            ViewChange::Usage(usage) => drop(self.usages.insert(usage.no, usage)),
            ViewChange::PoolState(_)
            | ViewChange::PoolRemoved(_)
            | ViewChange::ServerRemoved(_)
            | ViewChange::Figure(_) => {}
        }
    }

    /// Returns the whole view of now.
    pub(super) fn view(&self) -> Snapshot {
        let mut view = self.fleet.snapshot();
        for row in &mut view.rows {
            if let ViewChange::Usage(usage) = row
                && let Some(now) = self.usages.get(&usage.no)
            {
                *usage = *now;
            }
        }
        view
    }

    /// Returns the same fleet with every server full.
    pub(super) fn filled(&self) -> Stage {
        let mut filled = self.clone();
        for (no, usage) in &mut filled.usages {
            if let Some(server) = filled.servers.get(no) {
                (usage.rooms, usage.seats, usage.load) = (server.rooms_max, server.seats_max, server.seats_max);
            }
        }
        filled
    }

    /// Changes the use of one server, and returns that.
    pub(super) fn change(&mut self) -> Snapshot {
        let change = self.fleet.change(self.turn);
        self.turn += 1;
        for row in change.rows.clone() {
            self.learn(row);
        }
        change
    }

    /// Returns the `n`th room that is asked for.
    pub(super) fn room(&self, n: u64) -> MadeUpRoom {
        self.fleet.room(n)
    }

    /// Returns where that room should go, as a question of now.
    pub(super) fn ask<'a>(&self, room: &'a MadeUpRoom) -> PlaceAsk<'a> {
        room.ask(self.fleet.now())
    }

    /// Returns the `n`th question for more or fewer servers.
    pub(super) fn scale_ask(&self, direction: Direction, n: u32) -> ScaleAsk {
        self.fleet.scale_ask(direction, n)
    }

    /// Says what an answer means.
    pub(super) fn answer(&self, placement: Placement) -> String {
        match placement {
            Placement::On(no) => match (self.servers.get(&no), self.usages.get(&no)) {
                (Some(server), Some(usage)) => format!(
                    "on {} ({}/{} rooms, {}/{} seats)",
                    server.name, usage.rooms, server.rooms_max, usage.seats, server.seats_max
                ),
                _ => format!("on the server {no}"),
            },
            Placement::Wait { pool: Some(pool), .. } => format!("waits for a server of {}", self.pool(pool)),
            Placement::Wait { pool: None, .. } => "waits".to_owned(),
            Placement::Reject => "is rejected".to_owned(),
            Placement::Defer => "is left to the next policy".to_owned(),
        }
    }

    /// Says why the fleet would refuse an answer, if it would.
    pub(super) fn objection(&self, ask: &PlaceAsk<'_>, placement: Placement) -> Option<&'static str> {
        let Placement::On(no) = placement else { return None };
        let (Some(server), Some(usage)) = (self.servers.get(&no), self.usages.get(&no)) else {
            return Some("is not in the fleet");
        };
        if usage.phase != PhaseView::Ready {
            return Some("is not ready");
        }
        if usage.hold != HoldView::Free {
            return Some("takes no new rooms");
        }
        if usage.health == HealthView::Silent {
            return Some("is silent");
        }
        let is_over = |used: u32, more: u32, max: u32| max > 0 && used.saturating_add(more) > max;
        let is_full = is_over(usage.rooms, 1, server.rooms_max)
            || is_over(usage.seats, ask.seats, server.seats_max)
            || is_over(usage.load, ask.load, server.load_max);
        is_full.then_some("has no room for it")
    }

    /// Returns servers that are ordered, with their pools' names.
    pub(super) fn growth(&self, advice: ScaleAdvice) -> Growth {
        let waiting_rooms = self.scale_ask(Direction::Up, 0).demand.waiting_rooms;
        let orders = match advice {
            ScaleAdvice::Up(growth) => growth,
            ScaleAdvice::Down(_) => Vec::new(),
        };
        let ordered = orders.into_iter().map(|it| Ordered {
            pool: self.pool(it.pool),
            servers: it.servers,
            reason: it.reason,
        });
        Growth {
            waiting_rooms,
            orders: ordered.collect(),
        }
    }

    /// Returns servers that may go, with their names.
    pub(super) fn shrinkage(&self, advice: ScaleAdvice) -> Vec<Shrinkage> {
        let pools = match advice {
            ScaleAdvice::Down(pools) => pools,
            ScaleAdvice::Up(_) => Vec::new(),
        };
        let shown = pools.into_iter().map(|it| Shrinkage {
            pool: self.pool(it.pool),
            servers: it
                .servers
                .into_iter()
                .map(|retired| Retired {
                    server: self.server(retired.server),
                    reason: retired.reason,
                })
                .collect(),
        });
        shown.collect()
    }

    /// Says whom an advice names that is not there, if it does.
    pub(super) fn stranger(&self, advice: &ScaleAdvice) -> Option<String> {
        let pools: Vec<PoolNo> = match advice {
            ScaleAdvice::Up(growth) => growth.iter().map(|it| it.pool).collect(),
            ScaleAdvice::Down(pools) => pools.iter().map(|it| it.pool).collect(),
        };
        let servers: Vec<ServerNo> = match advice {
            ScaleAdvice::Up(_) => Vec::new(),
            ScaleAdvice::Down(pools) => {
                let servers = pools.iter().flat_map(|it| &it.servers);
                servers.map(|retired| retired.server).collect()
            }
        };
        let pool = pools.into_iter().find(|pool| !self.pools.contains_key(pool));
        let server = servers.into_iter().find(|server| !self.servers.contains_key(server));
        pool.map(|pool| format!("the pool {pool}"))
            .or(server.map(|server| format!("the server {server}")))
    }

    fn pool(&self, no: PoolNo) -> String {
        self.pools
            .get(&no)
            .cloned()
            .unwrap_or_else(|| format!("the pool {no}, which is not there"))
    }

    fn server(&self, no: ServerNo) -> String {
        match (self.servers.get(&no), self.usages.get(&no)) {
            (Some(server), Some(usage)) => format!("{} ({} rooms)", server.name, usage.rooms),
            _ => format!("the server {no}, which is not there"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fleet_objects_to_what_it_would_refuse_and_to_nothing_else() {
        let mut stage = Stage::new(200);
        stage.change();
        let room = stage.room(1);
        let ask = stage.ask(&room);
        let objections = |stage: &Stage| -> Vec<_> {
            let servers = 1..=200;
            servers
                .map(|no| stage.objection(&ask, Placement::On(ServerNo(no))))
                .collect()
        };
        let found = objections(&stage);
        for objection in [
            None,
            Some("is not ready"),
            Some("takes no new rooms"),
            Some("is silent"),
            Some("has no room for it"),
        ] {
            assert!(found.contains(&objection), "{objection:?}");
        }
        assert!(!objections(&stage.filled()).contains(&None), "all are full");
        assert_eq!(
            stage.objection(&ask, Placement::On(ServerNo(201))),
            Some("is not in the fleet")
        );
        assert_eq!(stage.objection(&ask, Placement::Defer), None);
    }

    #[test]
    fn the_view_is_that_of_now() {
        let mut stage = Stage::new(20);
        let whole = stage.view();
        let change = stage.change();
        assert!(whole.cursor < change.cursor && change.cursor == stage.view().cursor);
        assert!(stage.view().rows.contains(&change.rows[0]));
        assert_eq!(stage.view().rows.len(), whole.rows.len());
    }
}
