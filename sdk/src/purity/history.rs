//! How an instance may come to know a fleet: at once, or through a past in which much was otherwise.

use crate::{Change, Figure, Fleet, Instance, Moment, Phase, Policy, Pool, Server, ServerRow, Timestamp, Usage};

/// Servers that come and go before the end of a history.
const STRANGERS: u32 = 8;
/// How often a policy is asked in a history: often enough to fill what it keeps, and quick in a fleet of ten thousand.
const ASKED_MAX: usize = 200;

/// A fleet to be told.
pub(super) struct History<'a> {
    fleet: &'a Fleet,
    moment: Moment,
}

impl<'a> History<'a> {
    /// Makes what leads to this fleet at this moment.
    pub(super) fn of(fleet: &'a Fleet, moment: Moment) -> Self {
        History { fleet, moment }
    }

    /// Tells it as a new instance is told: everything, in one call each.
    pub(super) fn tell_at_once<P: Policy>(&self, instance: &mut Instance<P>) -> Result<(), String> {
        let now = self.moment.now;
        let servers = self
            .fleet
            .servers()
            .map(|server| Change::ServerSet(server.row().clone()));
        let changes = self.pools().chain(servers).chain(self.verdicts()).collect();
        let usages: Vec<_> = self.fleet.servers().map(|server| *server.usage()).collect();
        let figures: Vec<_> = self.fleet.servers().flat_map(figures::<P>).collect();
        instance.update(now, changes);
        instance.usages(&usages)?;
        instance.figures(&figures)
    }

    /// Tells it row by row, from a past in which pools had other prices and labels, servers other rooms, and strangers came and
    /// went; and asks in between.
    pub(super) fn live<P: Policy>(
        &self,
        instance: &mut Instance<P>,
        ask: impl Fn(&Instance<P>, Moment),
    ) -> Result<(), String> {
        let past = Moment {
            now: self.moment.now.saturating_sub(3_600),
            seed: !self.moment.seed,
            decision: 0,
        };
        let ask_every = (3 * self.fleet.servers_len()).div_ceil(ASKED_MAX).max(1);
        let mut asked = 0_usize;
        let mut may_ask = |instance: &Instance<P>, now| {
            if asked.is_multiple_of(ask_every) {
                ask(instance, Moment { now, ..past });
            }
            asked += 1;
        };
        for pool in self.fleet.pools() {
            instance.update(past.now, vec![Change::PoolSet(before(pool))]);
        }
        let strangers = self.strangers(past.now);
        for (row, usage) in &strangers {
            instance.update(past.now, vec![Change::ServerSet(row.clone())]);
            instance.usages(&[*usage])?;
        }
        let mut servers: Vec<_> = self.fleet.servers().collect();
        servers.reverse();
        for server in &servers {
            instance.update(past.now, vec![Change::ServerSet(younger(server.row()))]);
            instance.usages(&[busier(server.usage())])?;
            may_ask(instance, past.now);
        }
        for change in self.pools() {
            instance.update(past.now, vec![change]);
        }
        for server in &servers {
            instance.update(self.moment.now, vec![Change::ServerSet(server.row().clone())]);
            instance.usages(&[emptier(server.usage())])?;
            may_ask(instance, self.moment.now);
        }
        for (row, _) in &strangers {
            instance.update(self.moment.now, vec![Change::ServerRemoved(row.id)]);
        }
        for server in &servers {
            instance.usages(&[*server.usage()])?;
            for figure in figures::<P>(server) {
                instance.figures(&[figure])?;
            }
            may_ask(instance, self.moment.now);
        }
        for verdict in self.verdicts() {
            instance.update(self.moment.now, vec![verdict]);
        }
        Ok(())
    }

    fn verdicts(&self) -> impl Iterator<Item = Change> {
        let verdicts = self.fleet.launch_verdicts().chain(self.fleet.retire_verdicts());
        verdicts.cloned().map(Change::Verdict)
    }

    fn pools(&self) -> impl Iterator<Item = Change> {
        let states = self.fleet.pools().filter_map(|pool| self.fleet.pool_state(pool.id));
        let pools = self.fleet.pools().cloned().map(Change::PoolSet);
        pools.chain(states.cloned().map(Change::PoolState))
    }

    /// Makes empty servers without limits in the first pool: tempting ones.
    fn strangers(&self, now: Timestamp) -> Vec<(ServerRow, Usage)> {
        let Some(pool) = self.fleet.pools().next() else {
            return Vec::new();
        };
        let last = self.fleet.servers().last().map_or(0, Server::id);
        let builder = Fleet::builder().at(now).pool("", |_| {});
        let strangers = builder.servers("stranger", STRANGERS, |_| {}).build();
        let joining = strangers.servers().map(|server| {
            let id = last.checked_add(server.id())?;
            let row = ServerRow {
                id,
                pool: pool.id,
                ..server.row().clone()
            };
            Some((row, Usage { id, ..*server.usage() }))
        });
        joining.flatten().collect()
    }
}

fn figures<P: Policy>(server: &Server) -> impl Iterator<Item = Figure> {
    let places = (0..).zip(0..P::FIGURES.len());
    places.filter_map(|(figure, place)| {
        Some(Figure {
            server: server.id(),
            figure,
            value: server.figure(place)?,
        })
    })
}

fn before(pool: &Pool) -> Pool {
    Pool {
        labels: Vec::new(),
        market: String::new(),
        price_microdollars_per_hour: pool.price_microdollars_per_hour.saturating_add(1),
        ..pool.clone()
    }
}

fn younger(row: &ServerRow) -> ServerRow {
    ServerRow {
        labels: Vec::new(),
        rooms_max: row.rooms_max / 2,
        ..row.clone()
    }
}

fn busier(usage: &Usage) -> Usage {
    Usage {
        phase: Phase::Ready,
        rooms: usage.rooms.saturating_add(1),
        seats: usage.seats.saturating_add(7),
        rooms_open_ended: usage.rooms_open_ended.saturating_add(1),
        ..*usage
    }
}

fn emptier(usage: &Usage) -> Usage {
    Usage {
        rooms: 0,
        seats: 0,
        load: 0,
        rooms_open_ended: 0,
        busy_until: 0,
        ..*usage
    }
}
