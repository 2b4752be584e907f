//! A policy for the benchmark: asks the standard policy many times within one call, each time after one changed row.
//!
//! So the time of the call is the time inside the guest, and what the call itself costs does not count; and natively the very same
//! code can be timed ([`Turns::take`]). It is asked by `scale_up`, which has fuel for many turns: as many as rooms wait. Where none wait
//! it gets ready instead, in as many calls as that takes ([`Turns::copy`]). What it orders is no order but what those two return, to be
//! compared.

use std::slice;

use usher_sdk::{
    Change, Demand, Fleet, Growth, Instance, Level, Moment, Placement, Policy, RoomRequest, ScaleUp, Usage,
    export_policy,
};
use usher_standard::Standard;

/// How many usages are drawn from, so that they stay in the processor's nearest memory.
const USAGES: usize = 256;
/// How many rooms ask in turn.
const ROOMS: usize = 64;

/// How many servers are copied in a call: as many as it has fuel for.
const COPIED_MAX: usize = 20_000;

/// The policy.
#[derive(Debug)]
pub struct Guest {
    /// None before the first question.
    turns: Option<Turns>,
}

impl Policy for Guest {
    const NAME: Option<&'static str> = Some("turns");
    type Settings = ();

    fn new(_: ()) -> Result<Self, String> {
        Ok(Guest { turns: None })
    }
}

impl ScaleUp for Guest {
    fn scale_up(&mut self, demand: &Demand, fleet: &Fleet, moment: Moment) -> Vec<Growth> {
        let turns = self.turns.get_or_insert_with(|| Turns::new(fleet, moment));
        let answer = match demand.waiting_rooms {
            0 => turns.copy(fleet),
            rooms => turns.take(rooms),
        };
        vec![Growth {
            pool: 0,
            servers: answer,
            reason: String::new(),
        }]
    }
}

/// The standard policy with a view of its own, and what it is told and asked.
#[derive(Debug)]
pub struct Turns {
    instance: Instance<Standard>,
    moment: Moment,
    servers: Vec<u32>,
    usages: Vec<Usage>,
    rooms: Vec<RoomRequest>,
    /// How many were taken so far.
    taken: u64,
}

impl Turns {
    /// Copies a view's pools.
    ///
    /// # Panics
    /// Never: the standard policy takes empty settings.
    pub fn new(fleet: &Fleet, moment: Moment) -> Self {
        let instance = Instance::configure("{}", Level::Error).expect("empty settings are the defaults");
        let mut turns = Turns {
            instance,
            moment,
            servers: Vec::new(),
            usages: Vec::new(),
            rooms: (0..).take(ROOMS).map(|n| room(fleet, n)).collect(),
            taken: 0,
        };
        for pool in fleet.pools() {
            turns.set(Change::PoolSet(pool.clone()));
        }
        turns
    }

    /// Copies the next servers of a view, and returns how many are copied.
    ///
    /// # Panics
    /// Never: a view that was taken once is taken again.
    pub fn copy(&mut self, fleet: &Fleet) -> u32 {
        for server in fleet.servers().skip(self.servers.len()).take(COPIED_MAX) {
            self.set(Change::ServerSet(server.row().clone()));
            self.tell(server.usage());
            self.servers.push(server.id());
            if self.usages.len() < USAGES {
                self.usages.push(*server.usage());
            }
        }
        self.servers.len() as u32
    }

    /// Takes so many turns, and returns the sum of the servers that were chosen.
    ///
    /// # Panics
    /// Never: every server was set.
    pub fn take(&mut self, turns: u32) -> u32 {
        let mut sum = 0_u32;
        for _ in 0..turns {
            let drawn = mix(self.taken);
            self.taken += 1;
            let server = self.servers[below(self.servers.len(), drawn as u32)];
            let place = below(self.usages.len(), (drawn >> 32) as u32);
            self.usages[place].id = server;
            let told = self.instance.usages(slice::from_ref(&self.usages[place]));
            told.expect("every server was set");
            let room = &self.rooms[(drawn >> 40) as usize % ROOMS];
            if let Placement::On(server) = self.instance.place(room, self.moment).placement {
                sum = sum.wrapping_add(server);
            }
        }
        sum
    }

    fn set(&mut self, change: Change) {
        // One by one: a long list costs fuel for its growth.
        self.instance.update(self.moment.now, vec![change]);
    }

    fn tell(&mut self, usage: &Usage) {
        let told = self.instance.usages(slice::from_ref(usage));
        told.expect("every server was set");
    }
}

/// Rooms of several sizes, in every region and in any, half of which say how long they live.
fn room(fleet: &Fleet, n: u32) -> RoomRequest {
    let regions: Vec<&str> = fleet.pools().map(|pool| pool.region.as_str()).chain([""]).collect();
    // As many bits as a module's `usize` has.
    let drawn = mix(u64::from(n)) as u32 as usize;
    RoomRequest {
        region: regions[drawn % regions.len()].into(),
        expected_minutes: [0, 0, 15, 60][drawn >> 8 & 3],
        ..RoomRequest::new("standup-42", [2, 6, 12, 50][drawn >> 16 & 3])
    }
}

/// Makes an index out of 32 drawn bits, without a division.
fn below(len: usize, drawn: u32) -> usize {
    ((u64::from(drawn) * len as u64) >> 32) as usize
}

/// Scatters a number over all 64 bits (the finalizer of SplitMix64).
fn mix(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

export_policy!(Guest: scale_up);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_place_rooms_and_are_the_same_each_time() {
        let fleet = Fleet::builder()
            .at(1_000)
            .pool("p", |pool| pool.rooms_per_server = 10)
            .servers("s", 20, |server| server.usage.rooms = 3)
            .build();
        let sum = || {
            let mut turns = Turns::new(&fleet, Moment::at(1_000));
            assert_eq!(turns.copy(&fleet), 20);
            turns.take(1_000)
        };
        assert!(sum() > 0);
        assert_eq!(sum(), sum());
    }
}
