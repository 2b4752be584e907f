//! What is true whatever a policy says. One function answers each question, for the check and for what policies are told.

use std::time::Duration;

use super::Fleet;
use super::changes::Thing;
use super::ledger::Cost;
use super::state::{Pool, Server};
use crate::config::PoolConfig;
use crate::ids::{PoolName, ServerNo};
use crate::pool::Circuit;
use crate::room::RoomWish;
use crate::server::{Health, Phase};
use crate::units::{Microdollars, Timestamp};
use crate::view::PoolStateRow;

/// How many servers something may be done with, and what stands in the way of more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Allowance {
    pub(super) servers: u32,
    /// The guard that says so; empty = none.
    pub(super) code: &'static str,
    /// When time alone may raise it.
    pub(super) until: Option<Timestamp>,
}

impl Allowance {
    fn none(code: &'static str, until: Option<Timestamp>) -> Allowance {
        Allowance {
            servers: 0,
            code,
            until,
        }
    }

    /// Returns the guard that lets nothing be done at all; empty = none does.
    pub(super) fn obstacle(self) -> &'static str {
        if self.servers == 0 { self.code } else { "" }
    }

    /// Lowers the allowance to `servers`, if that is less.
    fn clamp(&mut self, servers: u32, code: &'static str, until: Option<Timestamp>) {
        if servers < self.servers {
            *self = Allowance { servers, code, until };
        }
    }
}

/// Launches are counted over this span for `launches_per_minute_max`.
const MINUTE: Duration = Duration::from_secs(60);

impl Fleet {
    /// Says by its stable word what keeps a room off a server; `None` = nothing.
    ///
    /// `cost` is the room's whole reservation. A server kept for a long-waiting room takes that room only.
    pub(super) fn refusal(
        &self,
        server: &Server,
        wish: &RoomWish,
        cost: Cost,
        room: Option<&crate::ids::RoomId>,
    ) -> Option<&'static str> {
        let Some(pool) = self.pools.get(&server.record.pool) else {
            return Some("pool_gone");
        };
        if let Some(code) = placement_closed(server, pool) {
            return Some(code);
        }
        if server.kept_for.is_some() && server.kept_for.as_ref() != room {
            return Some("kept_for_another");
        }
        if let Some(code) = self.not_let_in(server, &pool.config, wish) {
            return Some(code);
        }
        server.use_now().refusal(cost, &server.record.limits)
    }

    /// Whether a server takes rooms, whatever their size.
    pub(super) fn is_open(&self, no: ServerNo) -> bool {
        let server = self.servers.get(&no);
        let pool = server.and_then(|server| self.pools.get(&server.record.pool));
        server
            .zip(pool)
            .is_some_and(|(server, pool)| placement_closed(server, pool).is_none())
    }

    /// Says which of the operator's or the app's words keeps a room off a server; `None` = neither.
    pub(super) fn not_let_in(&self, server: &Server, pool: &PoolConfig, wish: &RoomWish) -> Option<&'static str> {
        if !lets_in(pool, wish) {
            return Some("only");
        }
        let labels = &server.record.labels;
        let has_all = wish.require.iter().all(|(key, value)| labels.get(key) == Some(value));
        (!has_all).then_some("require")
    }

    /// Says how many servers may be launched or resumed in a pool now, each pool taken alone.
    pub(super) fn launch_allowance(&self, pool: &Pool) -> Allowance {
        if let Some(code) = closed_to_scaling(pool) {
            return Allowance::none(code, None);
        }
        // Rooms that wait are new demand; with none, more servers would only replace silent ones.
        if self.is_frozen_for(pool) && self.queue.is_empty() {
            return Allowance::none("frozen", None);
        }
        let guards = &pool.config.guards;
        let cooled = pool.record.scaled_up + guards.scale_up_cooldown;
        if !guards.scale_up_cooldown.is_zero() && self.now < cooled {
            return Allowance::none("scale_up_cooldown", Some(cooled));
        }
        let resumable = u32::try_from(self.resumable(pool).count()).unwrap_or(u32::MAX);
        if !pool.config.automatic {
            // Whoever creates the servers is told an absolute level; asking for what is asked for already is harmless.
            let mut allowance = Allowance {
                servers: u32::MAX,
                code: "",
                until: None,
            };
            let room = guards.servers_max.saturating_sub(self.counting(pool));
            allowance.clamp(room, "servers_max", None);
            self.clamp_by_fleet(&mut allowance, pool.config.price_per_hour);
            allowance.servers = allowance.servers.saturating_add(resumable);
            return allowance;
        }
        let mut allowance = self.new_launches(pool);
        allowance.servers = allowance.servers.saturating_add(resumable);
        allowance
    }

    /// Says how many new servers may be launched in an automatic pool now.
    pub(super) fn new_launches(&self, pool: &Pool) -> Allowance {
        let guards = &pool.config.guards;
        if let Some((code, until)) = pool.blocked.filter(|(_, until)| *until > self.now) {
            return Allowance::none(code, Some(until));
        }
        if pool.record.is_unlisted {
            return Allowance::none("not_listed_yet", None);
        }
        if pool.record.has_found_others {
            return Allowance::none("servers_of_another_installation", None);
        }
        if let Some(until) = self.short_until(pool) {
            return Allowance::none("no_capacity", Some(until));
        }
        let mut allowance = Allowance {
            servers: u32::MAX,
            code: "",
            until: None,
        };
        if let Circuit::Open(open) = &pool.record.circuit {
            if self.now < open.until {
                return Allowance::none("circuit_open", Some(open.until));
            }
            let is_tried = self
                .of(pool)
                .any(|server| server.record.phase.is_starting() && pool.is_trial(server));
            allowance.clamp(u32::from(!is_tried), "circuit_trial", None);
        }
        allowance.clamp(
            guards.servers_max.saturating_sub(self.counting(pool)),
            "servers_max",
            None,
        );
        let in_flight = self
            .of(pool)
            .filter(|server| matches!(server.record.phase, Phase::Requested(_)))
            .count();
        let free = guards
            .launches_in_flight_max
            .saturating_sub(u32::try_from(in_flight).unwrap_or(u32::MAX));
        allowance.clamp(free, "launches_in_flight_max", None);
        let recent = pool.launches.iter().filter(|at| self.now.since(**at) < MINUTE);
        let (count, oldest) = (recent.clone().count(), recent.min().copied());
        let free = guards
            .launches_per_minute_max
            .saturating_sub(u32::try_from(count).unwrap_or(u32::MAX));
        allowance.clamp(free, "launches_per_minute_max", oldest.map(|at| at + MINUTE));
        self.clamp_by_fleet(&mut allowance, self.next_price(pool));
        allowance
    }

    /// Says whether the guards over dollars let one server cost `price` an hour that now counts as `before`.
    pub(super) fn affords(&self, price: Microdollars, before: Microdollars) -> bool {
        let more = Microdollars(price.0.saturating_sub(before.0));
        let guards = &self.config.guards;
        let is_within =
            |max: Option<Microdollars>, used: Microdollars| max.is_none_or(|max| affordable(max, used, more) > 0);
        more == Microdollars(0)
            || is_within(guards.price_per_hour_max, self.price_per_hour())
                && is_within(guards.price_per_month_max, self.month_cost())
    }

    fn clamp_by_fleet(&self, allowance: &mut Allowance, price: Microdollars) {
        let guards = &self.config.guards;
        let counting = self
            .servers
            .values()
            .filter(|server| server.record.phase.counts())
            .count();
        let free = guards
            .servers_max
            .saturating_sub(u32::try_from(counting).unwrap_or(u32::MAX));
        allowance.clamp(free, "fleet_servers_max", None);
        if let Some(max) = guards.price_per_hour_max {
            allowance.clamp(
                affordable(max, self.price_per_hour(), price),
                "fleet_dollars_per_hour_max",
                None,
            );
        }
        if let Some(max) = guards.price_per_month_max {
            // A server costs an hour's price at least before anything can be undone.
            allowance.clamp(
                affordable(max, self.month_cost(), price),
                "fleet_dollars_per_month_max",
                None,
            );
        }
    }

    /// Says how many of a pool's servers may be retired now.
    pub(super) fn retire_allowance(&self, pool: &Pool) -> Allowance {
        if let Some(code) = closed_to_scaling(pool) {
            return Allowance::none(code, None);
        }
        if self.is_frozen_for(pool) {
            return Allowance::none("frozen", None);
        }
        let guards = &pool.config.guards;
        let cooled = pool.record.scaled_down + guards.scale_down_cooldown;
        if !guards.scale_down_cooldown.is_zero() && self.now < cooled {
            return Allowance::none("scale_down_cooldown", Some(cooled));
        }
        let free = self.staying(pool).saturating_sub(guards.servers_min);
        Allowance {
            servers: free,
            code: if free == 0 { "servers_min" } else { "" },
            until: None,
        }
    }

    /// Says what keeps one server from being retired by a policy; `None` = nothing. The pool's own allowance is apart.
    pub(super) fn retire_refusal(&self, pool: &Pool, server: &Server) -> Option<(&'static str, Option<Timestamp>)> {
        let Phase::Ready(ready) = &server.record.phase else {
            return Some(("not_ready", None));
        };
        if server.record.hold.is_some() {
            return Some(("held", None));
        }
        if server.is_silent() || server.is_lost() {
            return Some(("silent", None));
        }
        if server.health == Health::Unknown && pool.is_looked_at() {
            return Some(("not_heard_yet", None));
        }
        let grown_up = ready.since + pool.config.guards.server_life_min;
        if self.now < grown_up {
            return Some(("server_life_seconds_min", Some(grown_up)));
        }
        let has_rooms = !server.is_empty();
        (has_rooms && self.drains_in_flight(pool) >= self.drains_max(pool)).then_some(("drains_in_flight_max", None))
    }

    fn drains_in_flight(&self, pool: &Pool) -> u32 {
        let count = self
            .of(pool)
            .filter(|server| server.is_drained_by_policy() && !server.is_empty())
            .count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    fn drains_max(&self, pool: &Pool) -> u32 {
        let tenth = u32::try_from(pool.servers.len() / 10).unwrap_or(u32::MAX);
        pool.config.guards.drains_in_flight_max.unwrap_or(tenth.max(1))
    }

    /// Servers that a policy drained and that may take rooms again instead of a new one being launched.
    pub(super) fn resumable<'a>(&'a self, pool: &'a Pool) -> impl Iterator<Item = ServerNo> + 'a {
        let servers = self.of(pool).filter(|server| {
            server.is_drained_by_policy()
                && server.record.phase.is_ready()
                && !server.is_silent()
                && !server.is_lost()
                // Whoever made it was told that it may go.
                && !server.record.left
        });
        servers.map(Server::no)
    }

    pub(super) fn of<'a>(&'a self, pool: &'a Pool) -> impl Iterator<Item = &'a Server> {
        pool.servers.iter().filter_map(|no| self.servers.get(no))
    }

    /// Servers that count and that nobody drains.
    pub(super) fn staying(&self, pool: &Pool) -> u32 {
        let stays = |server: &&Server| server.record.phase.counts() && !server.is_draining();
        u32::try_from(self.of(pool).filter(stays).count()).unwrap_or(u32::MAX)
    }

    /// Servers that count against `servers_max`.
    pub(super) fn counting(&self, pool: &Pool) -> u32 {
        let count = self.of(pool).filter(|server| server.record.phase.counts()).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Tells policies anew what the guards would let be done, where that has changed.
    pub(super) fn refresh_pool_states(&mut self) {
        let names: Vec<PoolName> = self.pools.keys().cloned().collect();
        for name in names {
            let Some(pool) = self.pools.get(&name) else { continue };
            let row = self.pool_state(pool);
            if pool.told.as_ref() == Some(&row) {
                continue;
            }
            self.changes.touch(Thing::PoolState(row.no));
            if let Some(pool) = self.pools.get_mut(&name) {
                pool.told = Some(row);
            }
        }
    }

    pub(super) fn pool_state(&self, pool: &Pool) -> PoolStateRow {
        let (up, down) = (self.launch_allowance(pool), self.retire_allowance(pool));
        // Launching comes first: who waits for a launch would be misled by when a server may be retired.
        let (code, until) = match up.servers {
            0 => (up.code, up.until),
            _ => (down.obstacle(), down.until),
        };
        PoolStateRow {
            no: pool.record.no,
            launchable: up.servers,
            retirable: down.servers,
            again: until.map_or(0, Timestamp::seconds),
            code,
            boot_seconds: boot_seconds(pool).unwrap_or(0),
        }
    }
}

/// Whether a pool's `only` lets a room in.
pub(super) fn lets_in(pool: &PoolConfig, wish: &RoomWish) -> bool {
    pool.only.iter().all(|(key, allowed)| {
        let value = match key.as_str() {
            "tenant" => wish.tenant.as_ref().map(|tenant| tenant.as_str()),
            label => wish.labels.get(label).map(String::as_str),
        };
        value.is_some_and(|value| allowed.iter().any(|allowed| allowed == value))
    })
}

/// Says what keeps every room off a server.
fn placement_closed(server: &Server, pool: &Pool) -> Option<&'static str> {
    if pool.retired {
        return Some("pool_gone");
    }
    if !server.record.phase.is_ready() {
        return Some("not_ready");
    }
    if server.record.hold.is_some() {
        return Some("held");
    }
    match server.health {
        Health::Ok => {}
        Health::Unknown if !pool.is_looked_at() => {}
        Health::Unknown => return Some("not_heard_yet"),
        Health::Silent { .. } => return Some("silent"),
        Health::Lost => return Some("lost"),
    }
    let guards = &pool.config.guards;
    let over = |known: Option<u32>, max: Option<u32>| matches!((known, max), (Some(known), Some(max)) if known > max);
    let report = server.reported.as_ref().map(|(_, report)| report);
    if over(report.and_then(|report| report.cpu_permille), guards.cpu_permille_max) {
        return Some("cpu_permille_max");
    }
    over(report.and_then(|report| report.egress_kbps), guards.egress_kbps_max).then_some("egress_kbps_max")
}

fn closed_to_scaling(pool: &Pool) -> Option<&'static str> {
    if pool.retired {
        Some("pool_gone")
    } else if !pool.record.scaling_enabled {
        Some("scaling_disabled")
    } else {
        None
    }
}

/// Says how many servers of a price fit under a ceiling.
fn affordable(max: Microdollars, used: Microdollars, price: Microdollars) -> u32 {
    let left = max.0.saturating_sub(used.0);
    match left.checked_div(price.0) {
        Some(servers) => u32::try_from(servers).unwrap_or(u32::MAX),
        // What costs nothing is never too dear.
        None => u32::MAX,
    }
}

/// Returns the median of a pool's last boots, in seconds, rounded up; `None` = none yet.
pub(super) fn boot_seconds(pool: &Pool) -> Option<u32> {
    let mut boots = pool.record.boot_millis.clone();
    boots.sort_unstable();
    boots.get(boots.len() / 2).map(|millis| millis.div_ceil(1000))
}
