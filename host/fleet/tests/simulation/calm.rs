//! How every world ends: faults stop, policies are honest, time goes on. Then all that waits and can be seated is seated, and
//! once the rooms are released nothing is left that costs.

use std::time::Duration;

use usher_fleet::Observation;
use usher_fleet::command::{Command, DeclareLost, HoldAction, HoldServer, ReleaseRoom, RemoveServer, SetScaling};
use usher_fleet::observation::OrderKey;
use usher_fleet::room::RoomWish;
use usher_fleet::server::{Phase, ServerRecord};

use super::cloud::Faults;
use super::invariants::{scaling, waiting};
use super::policies::Temper;
use super::world::World;

/// In calm every room that can be seated is seated within this: the longest boot, cool-downs, an open circuit.
const SEATED_WITHIN: Duration = Duration::from_secs(2 * 3600);

/// In calm an empty fleet is gone within this: the longest loss, life and drain, and a minute for each server's cool-down.
const GONE_WITHIN: Duration = Duration::from_secs(2 * 3600);

/// In calm an operator knows of every instance that bears the fleet's name within this: a few lists.
const TOLD_WITHIN: Duration = Duration::from_secs(1800);

impl World {
    pub(crate) fn end_in_calm(&mut self) {
        self.faults = Faults { percent: 0 };
        self.muted.clear();
        self.cloud.weather.clear();
        for made in self.cloud.instances.values_mut() {
            (made.kept_since, made.is_protected) = (None, false);
        }
        self.cloud
            .messages
            .retain(|message| !matches!(message.observation, Observation::Reported(_)));
        self.restore_pools();
        self.sync_all();
        self.change_policies(Temper::Honest, Temper::Honest);
        self.wait_until("every pool is looked at", TOLD_WITHIN, World::is_all_looked_at);
        for pool in self.all_pools.clone() {
            let (pool, enabled) = (pool.name, true);
            self.command(Command::SetScaling(SetScaling { pool, enabled }));
        }
        self.remove_the_kept();
        self.lift_all_holds();
        self.declare_the_dead_lost();
        self.wait_until(
            "everything that can be seated is seated",
            SEATED_WITHIN,
            World::is_all_seated,
        );
        self.look_at_the_whole();
        self.wait_until(
            "everybody else's instances are told of",
            TOLD_WITHIN,
            World::is_all_told,
        );
        self.empty();
        self.wait_until("nothing is left", GONE_WITHIN, World::is_nothing_left);
        self.look_at_the_whole();
    }

    /// Every pool is configured again, with generous guards over the fleet.
    fn restore_pools(&mut self) {
        let mut config = self.model.config.clone();
        for pool in &self.all_pools {
            if !config.pools.iter().any(|known| known.name == pool.name) {
                config.pools.push(pool.clone());
            }
        }
        for pool in &mut config.pools {
            pool.guards.servers_min = 0;
            pool.keep_failed_servers = 0;
            // A server whose instance never served may have reported once, and will never take that back.
            pool.guards.drains_in_flight_max = None;
            pool.guards.boot_max = pool.guards.boot_max.max(Duration::from_secs(100));
            pool.guards.drain_deadline = Some(Duration::from_secs(300));
        }
        config.room_silence_max = Duration::from_secs(24 * 3600);
        self.observe(Observation::Configured(Box::new(config)));
    }

    /// What never became ready has been looked at.
    fn remove_the_kept(&mut self) {
        let is_kept = |server: &&ServerRecord| matches!(&server.phase, Phase::Failed(failed) if failed.is_kept);
        let kept = self.model.servers.values().filter(is_kept);
        for server in kept.map(|server| server.name.clone()).collect::<Vec<_>>() {
            let force = false;
            self.command(Command::RemoveServer(RemoveServer { server, force }));
        }
    }

    /// Where many are silent at once only an operator can say that they are lost, and not we.
    fn declare_the_dead_lost(&mut self) {
        let dead = self.model.servers.values().filter(|server| {
            let attempt = server.attempt;
            let key = OrderKey {
                server: server.name.clone(),
                attempt,
            };
            let made = self.cloud.instances.get(&key);
            let is_hopeless = made.is_none_or(|made| !made.has_hope(self.now));
            !self.cloud.external.contains(&server.pool) && is_hopeless
        });
        let names: Vec<_> = dead.map(|server| server.name.clone()).collect();
        for server in names {
            self.command(Command::DeclareLost(DeclareLost { server, reason: None }));
        }
    }

    fn lift_all_holds(&mut self) {
        let held = self.model.servers.values().filter(|server| server.hold.is_some());
        let names: Vec<_> = held.map(|server| server.name.clone()).collect();
        for server in names {
            let (action, reason) = (HoldAction::Uncordon, None);
            self.command(Command::HoldServer(HoldServer { server, action, reason }));
        }
    }

    fn wait_until(&mut self, what: &str, within: Duration, is_reached: fn(&World) -> bool) {
        let deadline = self.now + within;
        // What is reached for a moment only, with effects still under way, is not reached.
        let mut rounds = 0;
        while rounds < 3 {
            rounds = if is_reached(self) { rounds + 1 } else { 0 };
            assert!(
                self.now < deadline,
                "invariant_in_calm: {what}: {}",
                self.what_is_left()
            );
            self.now = self.now + self.model.config.silent_after / 3;
            let (faults, now) = (self.faults, self.now);
            self.cloud.arrive(faults, now, &mut self.chance);
            while self.cloud.messages.iter().any(|message| message.due <= self.now) {
                self.deliver();
            }
            self.tick();
            self.pulse();
            self.sync_all();
        }
    }

    /// No room waits for which a server may still be launched, as the onlooker reckons it: whatever its pools say of themselves,
    /// only the operator's own ceilings may stand in the way.
    fn is_all_seated(&self) -> bool {
        let may_be_launched_for = |wish: &RoomWish| {
            let mut pools = self.model.config.pools.iter();
            pools.any(|pool| {
                waiting::could_be_launched_for(pool, wish) && scaling::is_below_every_ceiling(&self.model, pool)
            })
        };
        !self.model.waiting().any(|room| may_be_launched_for(&room.wish))
    }

    fn is_all_looked_at(&self) -> bool {
        self.model.pools.values().all(|pool| !pool.is_unlisted)
    }

    /// Whoever lost the data folder knows what is left of before, and may end it by hand.
    fn is_all_told(&self) -> bool {
        let mut others = self.cloud.others.iter().filter(|(_, made)| made.is_up(self.now));
        others.all(|(key, made)| self.strangers.contains(&made.name(key)))
    }

    /// Every room is released, every server let go.
    fn empty(&mut self) {
        let rooms: Vec<_> = self.model.rooms.keys().cloned().collect();
        for room in rooms {
            self.command(Command::ReleaseRoom(ReleaseRoom {
                room,
                tenant: None,
                placement: None,
            }));
        }
        assert!(self.model.rooms.is_empty(), "invariant_a_release_releases");
        self.change_policies(Temper::Honest, Temper::Leaving);
        let external: Vec<ServerRecord> = self
            .model
            .servers
            .values()
            .filter(|server| self.cloud.external.contains(&server.pool))
            .cloned()
            .collect();
        for server in external {
            let (server, force) = (server.name, true);
            self.command(Command::RemoveServer(RemoveServer { server, force }));
        }
        self.lift_all_holds();
    }

    fn is_nothing_left(&self) -> bool {
        let mut instances = self.cloud.instances.values();
        self.model.servers.is_empty() && !instances.any(|made| made.lives(self.now))
    }

    fn what_is_left(&self) -> String {
        let pools: Vec<String> = self
            .fleet
            .pools(self.now)
            .iter()
            .map(|pool| {
                format!(
                    "{} launchable {} {:?} frozen {}",
                    pool.name, pool.launchable, pool.code, pool.frozen
                )
            })
            .collect();
        let waiting: Vec<_> = self.model.waiting().collect();
        let living = self.cloud.instances.iter().filter(|(_, made)| made.lives(self.now));
        let instances: Vec<_> = living.collect();
        let others = self.cloud.others.iter().filter(|(_, made)| made.is_up(self.now));
        let untold: Vec<_> = others
            .filter(|(key, made)| !self.strangers.contains(&made.name(key)))
            .collect();
        format!(
            "servers {:?}, waiting {waiting:?}, pools {pools:?}, instances {instances:?}, untold {untold:?}",
            self.fleet.servers()
        )
    }
}
