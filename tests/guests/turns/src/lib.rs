//! A policy for the benchmark: asks the standard policy many times within one call, each time after one changed row.
//!
//! So the time of the call is the time inside the guest, and what the call itself costs does not count; and natively the very same
//! code can be timed ([`Turns::take`]). It is asked by `scale_up`, which has fuel for many turns: as many as rooms wait. What it
//! orders is no order but the [`Turns::take`]'s sum, to be compared.

use usher_sdk::{
    Change, Demand, Fleet, Growth, Instance, Level, Moment, Placement, Policy, RoomRequest, ScaleUp, Usage,
    export_policy,
};
use usher_standard::Standard;

/// How many usages are drawn from, so that they stay in the processor's nearest memory.
const USAGES: usize = 256;
/// How many rooms ask in turn.
const ROOMS: usize = 64;

/// The policy.
#[derive(Debug)]
pub struct Guest {
    /// None before the first question, which makes it from the view of that moment.
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
        vec![Growth {
            pool: 0,
            servers: turns.take(demand.waiting_rooms),
            reason: String::new(),
        }]
    }
}

/// The standard policy with a view of its own, and what it is told and asked.
#[derive(Debug)]
pub struct Turns {
    instance: Instance<Standard>,
    moment: Moment,
    seq: u32,
    servers: Vec<u32>,
    usages: Vec<Usage>,
    rooms: Vec<RoomRequest>,
    /// How many were taken so far.
    taken: u64,
}

impl Turns {
    /// Copies a view.
    ///
    /// # Panics
    /// Never: the standard policy takes empty settings, and a view that was taken once is taken again.
    pub fn new(fleet: &Fleet, moment: Moment) -> Self {
        let mut instance = Instance::configure("{}", Level::Error).expect("empty settings are the defaults");
        let pools = fleet.pools().cloned().map(Change::PoolSet);
        let rows = fleet.servers().map(|server| Change::ServerSet(server.row().clone()));
        let mut seq = 0;
        // One by one: a long list costs fuel for its growth.
        for change in pools.chain(rows) {
            seq += 1;
            let told = instance.update(moment.now, seq, vec![change]);
            told.expect("the calls are counted");
        }
        let usages: Vec<Usage> = fleet.servers().map(|server| *server.usage()).collect();
        seq += 1;
        let told = instance.usages(moment.now, seq, &usages);
        told.expect("every server was set");
        Turns {
            instance,
            moment,
            seq,
            servers: usages.iter().map(|usage| usage.id).collect(),
            usages: usages.into_iter().take(USAGES).collect(),
            rooms: (0..).take(ROOMS).map(|n| room(fleet, n)).collect(),
            taken: 0,
        }
    }

    /// Takes so many turns, and returns the sum of the servers that were chosen.
    ///
    /// # Panics
    /// Never: no call is missing.
    pub fn take(&mut self, turns: u32) -> u32 {
        let mut sum = 0_u32;
        for _ in 0..turns {
            let drawn = mix(self.taken);
            self.taken += 1;
            self.seq = self.seq.wrapping_add(1);
            let server = self.servers[drawn as u32 as usize % self.servers.len()];
            let usage = Usage {
                id: server,
                ..self.usages[(drawn >> 32) as usize % self.usages.len()]
            };
            let told = self.instance.usages(self.moment.now, self.seq, &[usage]);
            told.expect("the calls are counted");
            let room = &self.rooms[(drawn >> 40) as usize % ROOMS];
            if let Placement::On(server) = self.instance.place(room, self.moment).placement {
                sum = sum.wrapping_add(server);
            }
        }
        sum
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
        let sum = || Turns::new(&fleet, Moment::at(1_000)).take(1_000);
        assert!(sum() > 0);
        assert_eq!(sum(), sum());
    }
}
