//! The view that policies are shown, made from the state row by row.

use std::sync::Arc;

use super::Fleet;
use super::changes::Thing;
use super::ledger::shown;
use super::state::{Pool, Server};
use crate::config::{Labels, Limits, PoolConfig};
use crate::ids::{PoolName, PoolNo, ServerNo};
use crate::server::{Health, Hold, HoldOwner, Phase};
use crate::units::{Microdollars, Timestamp};
use crate::view::{
    Cursor, FigureRow, HealthView, HoldView, NOT_REPORTED, PhaseView, PoolRow, PoolStateRow, ServerRow, UsageRow,
    ViewChange,
};

impl Fleet {
    /// Returns the cursor of the newest change of the view.
    pub fn cursor(&self) -> Cursor {
        self.changes.cursor()
    }

    /// Returns the newest row of each thing that changed after `cursor`, in an order in which pools come before their
    /// servers and servers before their usage.
    pub fn changes_since(&self, cursor: Cursor) -> impl Iterator<Item = ViewChange> + '_ {
        self.changes
            .since(cursor)
            .into_iter()
            .flat_map(|thing| self.rows(thing))
    }

    /// Returns how many things have changed after `cursor`, at most: what has changed often may count as often. It costs nothing.
    pub fn lag(&self, cursor: Cursor) -> usize {
        self.changes.lag(cursor)
    }

    /// Appends the oldest changes after `cursor`, at most so many and what they lean on, and returns how far they reach: what
    /// [`Fleet::changes_since`] gives, for who reads it in parts.
    pub fn changes_part(&self, cursor: Cursor, changes_max: usize, rows: &mut Vec<ViewChange>) -> Cursor {
        let (things, until) = self.changes.part_since(cursor, changes_max);
        let pools = self.pools.values().map(|pool| Thing::Pool(pool.record.no));
        let pools = pools.filter(|pool| self.changes.is_after(*pool, cursor));
        rows.extend(pools.chain(things).flat_map(|thing| self.rows(thing)));
        until
    }

    /// Appends the part of the whole view that begins with a server, the first with number 0, and has at most so many of them; returns
    /// with which server the next part begins, none after the last.
    ///
    /// What changes between two parts is in [`Fleet::changes_since`] the cursor of the first; read behind the last, it makes the
    /// view whole, whichever part has shown it already.
    pub fn view_part(&self, from: ServerNo, servers_max: usize, rows: &mut Vec<ViewChange>) -> Option<ServerNo> {
        let mut things = Vec::new();
        if from == ServerNo(0) {
            let pools = self.pools.values().map(|pool| pool.record.no);
            things.extend(pools.flat_map(|no| [Thing::Pool(no), Thing::PoolState(no)]));
        }
        let mut servers = self.servers.range(from..).map(|(no, _)| *no);
        for no in servers.by_ref().take(servers_max) {
            things.extend([Thing::Server(no), Thing::Usage(no), Thing::Figures(no)]);
        }
        rows.extend(things.into_iter().flat_map(|thing| self.rows(thing)));
        servers.next()
    }

    fn rows(&self, thing: Thing) -> Rows {
        match thing {
            Thing::Pool(no) => Rows::one(self.pool_no(no).map(|pool| ViewChange::PoolSet(pool.row.clone()))),
            Thing::PoolState(no) => Rows::one(
                self.pool_no(no)
                    .map(|pool| ViewChange::PoolState(self.told_state(pool))),
            ),
            Thing::Server(no) => Rows::one(
                self.servers
                    .get(&no)
                    .map(|server| ViewChange::ServerSet(self.server_row(server))),
            ),
            Thing::Usage(no) => Rows::one(
                self.servers
                    .get(&no)
                    .map(|server| ViewChange::Usage(self.usage_row(server))),
            ),
            Thing::Figures(no) => Rows::Many(self.servers.get(&no).map(figure_rows).unwrap_or_default().into_iter()),
            Thing::ServerGone(no) => Rows::one(Some(ViewChange::ServerRemoved(no))),
            Thing::PoolGone(no) => Rows::one(Some(ViewChange::PoolRemoved(no))),
        }
    }

    /// Returns what policies were last told of a pool: to find it out takes a look at all its servers.
    fn told_state(&self, pool: &Pool) -> PoolStateRow {
        pool.told.clone().unwrap_or_else(|| self.pool_state(pool))
    }

    /// Returns a pool's name by its number.
    pub fn pool_name(&self, pool: PoolNo) -> Option<&PoolName> {
        self.pool_names.get(&pool)
    }

    pub(super) fn pool_no(&self, no: PoolNo) -> Option<&Pool> {
        self.pools.get(self.pool_names.get(&no)?)
    }

    fn server_row(&self, server: &Server) -> ServerRow {
        let record = &server.record;
        let [rooms_max, seats_max, load_max] = maxima(&record.limits);
        ServerRow {
            no: record.no,
            pool: self.pools.get(&record.pool).map_or(PoolNo(0), |pool| pool.record.no),
            name: record.name.clone(),
            zone: record.zone.clone(),
            rooms_max,
            seats_max,
            load_max,
            price_microdollars_per_hour: price(record.price_per_hour),
            started: record.created.seconds(),
            labels: record.labels.clone(),
        }
    }

    fn usage_row(&self, server: &Server) -> UsageRow {
        let used = server.use_now();
        let report = server.reported.as_ref();
        let figure = |pick: fn(&crate::observation::Report) -> Option<u32>| {
            report.and_then(|(_, report)| pick(report)).unwrap_or(NOT_REPORTED)
        };
        UsageRow {
            no: server.no(),
            phase: phase(server),
            hold: self.hold_view(server),
            health: match server.health {
                Health::Ok => HealthView::Ok,
                Health::Unknown => HealthView::Unknown,
                Health::Silent { .. } | Health::Lost => HealthView::Silent,
            },
            since: server.changed.seconds(),
            rooms: used.rooms,
            seats: shown(used.seats),
            load: shown(used.load),
            seats_largest: server.room_seats.largest().unwrap_or(0),
            rooms_open_ended: server.rooms_open_ended,
            busy_until: server.room_ends.largest().unwrap_or(0),
            newest_room: server.newest_room.seconds(),
            empty_since: server.empty_since().map_or(0, Timestamp::seconds),
            reported: report.map_or(0, |(at, _)| at.seconds()),
            participants: figure(|report| report.participants),
            cpu_permille: figure(|report| report.cpu_permille),
            egress_kbps: figure(|report| report.egress_kbps),
        }
    }

    fn hold_view(&self, server: &Server) -> HoldView {
        let is_pool_gone = self.pools.get(&server.record.pool).is_none_or(|pool| pool.retired);
        match &server.record.hold {
            Some(Hold::Draining(hold)) if hold.owner == HoldOwner::Policy => HoldView::Draining,
            Some(Hold::Draining(_)) => HoldView::Leaving,
            Some(Hold::Cordoned(_)) => HoldView::Cordoned,
            None if is_pool_gone || server.kept_for.is_some() => HoldView::Cordoned,
            None => HoldView::Free,
        }
    }
}

/// Returns what policies are shown of a pool that is configured like this.
pub(super) fn pool_row(no: PoolNo, config: &PoolConfig) -> Arc<PoolRow> {
    let [rooms_per_server, seats_per_server, load_per_server] = maxima(&config.limits);
    Arc::new(PoolRow {
        no,
        name: config.name.to_string(),
        region: config.region.clone(),
        zones: config.zones.clone(),
        instance_type: config.instance_type.clone(),
        market: config.market.clone(),
        automatic: config.automatic,
        servers_min: config.guards.servers_min,
        servers_max: config.guards.servers_max,
        rooms_per_server,
        seats_per_server,
        load_per_server,
        price_microdollars_per_hour: price(config.price_per_hour),
        labels: pool_labels(config),
    })
}

/// The rows of one thing: one, or one a figure.
enum Rows {
    One(Option<ViewChange>),
    Many(std::vec::IntoIter<ViewChange>),
}

impl Rows {
    fn one(row: Option<ViewChange>) -> Rows {
        Rows::One(row)
    }
}

impl Iterator for Rows {
    type Item = ViewChange;

    fn next(&mut self) -> Option<ViewChange> {
        match self {
            Rows::One(row) => row.take(),
            Rows::Many(rows) => rows.next(),
        }
    }
}

fn figure_rows(server: &Server) -> Vec<ViewChange> {
    let row = |(name, value): (&Arc<str>, &u32)| {
        ViewChange::Figure(FigureRow {
            server: server.no(),
            name: name.clone(),
            value: *value,
        })
    };
    server.figures.iter().map(row).collect()
}

fn phase(server: &Server) -> PhaseView {
    // Nobody shall wait for one that may never be heard.
    if server.is_lost() || server.record.is_adopted_unheard() {
        return PhaseView::Ending;
    }
    match &server.record.phase {
        Phase::Requested(_) | Phase::Launching(_) | Phase::Booting(_) => PhaseView::Starting,
        Phase::Ready(_) => PhaseView::Ready,
        Phase::Failed(_) | Phase::Terminating(_) => PhaseView::Ending,
    }
}

/// Returns the limits as the contract has them: 0 = does not limit.
fn maxima(limits: &Limits) -> [u32; 3] {
    [limits.rooms_max, limits.seats_max, limits.load_max].map(|max| max.unwrap_or(0))
}

/// Returns a pool's labels as policies see them: its own, and `only.KEY` with the values that it lets in, joined by commas.
fn pool_labels(config: &PoolConfig) -> Labels {
    let only = config
        .only
        .iter()
        .map(|(key, values)| (format!("only.{key}"), values.join(",")));
    config.labels.clone().into_iter().chain(only).collect()
}

fn price(price: Microdollars) -> u32 {
    u32::try_from(price.0).unwrap_or(u32::MAX)
}
