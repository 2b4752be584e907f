//! A fleet that is made up, of any size, the same each time: for `usher policy check`, benchmarks and tests.

use std::sync::Arc;

use usher_fleet::Timestamp;
use usher_fleet::advice::{Demand, Direction, PlaceAsk, ScaleAsk, Want};
use usher_fleet::config::Labels;
use usher_fleet::ids::{DecisionNo, PoolNo, RoomId, ServerNo};
use usher_fleet::view::{
    Cursor, HealthView, HoldView, PhaseView, PoolRow, PoolStateRow, ServerRow, UsageRow, ViewChange,
};

use crate::options::Snapshot;

/// A Monday morning: 2026-11-23T09:00:00Z.
const NOW_SECONDS: u32 = 1_795_424_400;
const ROOMS_PER_SERVER: u32 = 10;
const SEATS_PER_SERVER: u32 = 500;
/// Region, zones, market, dollars an hour times a million.
const POOLS: [(&str, &str, &str, u32); 4] = [
    ("frankfurt", "eu-central-1", "on-demand", 348_000),
    ("frankfurt-spot", "eu-central-1", "spot", 131_000),
    ("dublin", "eu-west-1", "on-demand", 361_000),
    ("virginia", "us-east-1", "on-demand", 340_000),
];
const ZONES: [&str; 3] = ["a", "b", "c"];

/// Servers in four pools of three regions, most of them partly full, some full, starting, drained or silent.
#[derive(Debug, Clone)]
pub struct MadeUpFleet {
    servers: u32,
    cursor: u64,
}

/// A room that is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct MadeUpRoom {
    room: RoomId,
    seats: u32,
    expected_minutes: u32,
    region: &'static str,
    labels: Labels,
}

impl MadeUpFleet {
    /// Makes one of so many servers.
    ///
    /// # Panics
    /// If there are more than fit an id.
    pub fn new(servers: usize) -> MadeUpFleet {
        MadeUpFleet {
            servers: u32::try_from(servers).expect("a fleet has at most 4 billion servers"),
            cursor: 1,
        }
    }

    /// Returns its time; it stands still.
    pub fn now(&self) -> Timestamp {
        Timestamp(u64::from(NOW_SECONDS) * 1_000)
    }

    /// Returns the whole view.
    pub fn snapshot(&self) -> Snapshot {
        let pools = (1..)
            .zip(POOLS)
            .map(|(no, pool)| ViewChange::PoolSet(Arc::new(pool_row(PoolNo(no), pool))));
        let states = (1..)
            .take(POOLS.len())
            .map(|no| ViewChange::PoolState(pool_state(PoolNo(no))));
        let servers = (1..=self.servers).map(|no| ViewChange::ServerSet(server(ServerNo(no))));
        let usages = (1..=self.servers).map(|no| ViewChange::Usage(usage(ServerNo(no), 0)));
        Snapshot {
            cursor: Cursor(self.cursor),
            now: self.now(),
            rows: pools.chain(states).chain(servers).chain(usages).collect(),
        }
    }

    /// Changes the use of one server, another for each `n`, and returns its row as the only change.
    pub fn change(&mut self, n: u64) -> Snapshot {
        self.cursor += 1;
        let no = 1 + (mix(n) % u64::from(self.servers.max(1))) as u32;
        let rows = if self.servers == 0 {
            Vec::new()
        } else {
            vec![ViewChange::Usage(usage(ServerNo(no), n + 1))]
        };
        Snapshot {
            cursor: Cursor(self.cursor),
            now: self.now(),
            rows,
        }
    }

    /// Returns the `n`th room that is asked for; of four, three name a region, and one has a label.
    ///
    /// # Panics
    /// Never: the name is a valid one.
    pub fn room(&self, n: u64) -> MadeUpRoom {
        let drawn = mix(n ^ 0x5ee7);
        MadeUpRoom {
            room: format!("standup-{n}").parse().expect("letters, digits and a hyphen"),
            seats: [2, 6, 12, 25, 50][(drawn % 5) as usize],
            expected_minutes: [0, 15, 30, 60][(drawn >> 8) as usize % 4],
            region: ["", "eu-central-1", "eu-west-1", "us-east-1"][(drawn >> 16) as usize % 4],
            labels: if (drawn >> 24).is_multiple_of(4) {
                Labels::from([("kind".into(), "meeting".into())])
            } else {
                Labels::new()
            },
        }
    }

    /// Returns the `n`th question of the scale chain; some rooms wait where it is for more servers.
    pub fn scale_ask(&self, direction: Direction, n: u32) -> ScaleAsk {
        let demand = match direction {
            Direction::Up => demand(),
            Direction::Down => Demand::default(),
        };
        ScaleAsk {
            decision: DecisionNo(n),
            now: self.now(),
            direction,
            link: 0,
            spoken_for: Default::default(),
            demand,
            verdicts: Vec::new(),
        }
    }
}

impl MadeUpRoom {
    /// Returns the question where it goes.
    pub fn ask(&self, now: Timestamp) -> PlaceAsk<'_> {
        PlaceAsk {
            now,
            room: &self.room,
            seats: self.seats,
            load: self.seats,
            expected_minutes: self.expected_minutes,
            region: self.region,
            tenant: "",
            labels: &self.labels,
            waited_seconds: 0,
            avoid: None,
        }
    }
}

fn pool_row(no: PoolNo, (name, region, market, price): (&str, &str, &str, u32)) -> PoolRow {
    PoolRow {
        no,
        name: name.to_owned(),
        region: region.to_owned(),
        zones: ZONES.map(str::to_owned).to_vec(),
        instance_type: "8-core".to_owned(),
        market: market.to_owned(),
        automatic: true,
        servers_min: 0,
        servers_max: 1_000,
        rooms_per_server: ROOMS_PER_SERVER,
        seats_per_server: SEATS_PER_SERVER,
        load_per_server: 0,
        price_microdollars_per_hour: price,
        labels: Labels::new(),
    }
}

fn pool_state(no: PoolNo) -> PoolStateRow {
    PoolStateRow {
        no,
        launchable: 10,
        retirable: 10,
        again: 0,
        code: "",
        boot_seconds: 70,
    }
}

fn server(no: ServerNo) -> ServerRow {
    let at = no.0 as usize % POOLS.len();
    let (pool, _, _, price) = POOLS[at];
    ServerRow {
        no,
        pool: PoolNo(1 + no.0 % POOLS.len() as u32),
        name: format!("{pool}-{}", no.0).parse().expect("letters, digits and hyphens"),
        zone: Some(ZONES[no.0 as usize / POOLS.len() % ZONES.len()].into()),
        rooms_max: ROOMS_PER_SERVER,
        seats_max: SEATS_PER_SERVER,
        load_max: 0,
        price_microdollars_per_hour: price,
        started: NOW_SECONDS - 7_200,
        labels: Default::default(),
    }
}

/// Of a hundred servers, some ten are full, ten empty, four starting, two drained and two silent.
fn usage(no: ServerNo, turn: u64) -> UsageRow {
    let drawn = mix(u64::from(no.0) ^ (turn << 32));
    let kind = mix(no.0.into()) % 100;
    let rooms = if kind < 4 {
        0
    } else {
        (drawn % (u64::from(ROOMS_PER_SERVER) + 1)) as u32
    };
    let seats = rooms * (10 + (drawn >> 8) as u32 % 40);
    UsageRow {
        no,
        phase: if kind < 4 {
            PhaseView::Starting
        } else {
            PhaseView::Ready
        },
        hold: if (4..6).contains(&kind) {
            HoldView::Draining
        } else {
            HoldView::Free
        },
        health: if (6..8).contains(&kind) {
            HealthView::Silent
        } else {
            HealthView::Ok
        },
        since: NOW_SECONDS - 3_600,
        rooms,
        seats,
        load: seats,
        seats_largest: seats.checked_div(rooms).unwrap_or(0),
        rooms_open_ended: rooms / 2,
        busy_until: if rooms == 0 {
            0
        } else {
            NOW_SECONDS + 60 * (1 + (drawn >> 20) as u32 % 60)
        },
        newest_room: if rooms == 0 {
            0
        } else {
            NOW_SECONDS - (drawn >> 28) as u32 % 3_000
        },
        empty_since: if rooms == 0 {
            NOW_SECONDS - (drawn >> 36) as u32 % 600
        } else {
            0
        },
        reported: if kind < 4 { 0 } else { NOW_SECONDS - 5 },
        participants: seats * 4 / 5,
        cpu_permille: rooms * 70,
        egress_kbps: seats * 1_200,
    }
}

fn demand() -> Demand {
    let want = |region: &str, rooms: u32, seats_each: u32| Want {
        region: region.to_owned(),
        tenant: String::new(),
        labels: Labels::new(),
        pool: None,
        rooms,
        seats: rooms * seats_each,
        load: rooms * seats_each,
        seats_largest: seats_each,
        load_largest: seats_each,
        longest_wait_seconds: 2,
    };
    let wants = vec![want("eu-central-1", 23, 50), want("", 5, 12)];
    Demand {
        waiting_rooms: wants.iter().map(|want| want.rooms).sum(),
        waiting_seats: wants.iter().map(|want| want.seats).sum(),
        wants,
        rooms_last_minute: 40,
        seats_last_minute: 900,
    }
}

/// Scatters a number over all 64 bits (the finalizer of SplitMix64).
fn mix(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_same_each_time_and_has_servers_of_every_kind() {
        let (fleet, rows) = (MadeUpFleet::new(1_000), MadeUpFleet::new(1_000).snapshot().rows);
        assert_eq!(fleet.snapshot().rows, rows);
        assert_eq!(rows.len(), 2 * POOLS.len() + 2 * 1_000);
        let usages = || {
            rows.iter().filter_map(|row| match row {
                ViewChange::Usage(row) => Some(*row),
                _ => None,
            })
        };
        let has = |is: fn(&UsageRow) -> bool| usages().any(|row| is(&row));
        assert!(has(|row| row.rooms == 0 && row.phase == PhaseView::Ready) && has(|row| row.rooms == ROOMS_PER_SERVER));
        assert!(has(|row| row.phase == PhaseView::Starting) && has(|row| row.health == HealthView::Silent));
        assert!(has(|row| row.hold == HoldView::Draining));
        assert!(usages().all(|row| row.seats <= SEATS_PER_SERVER));
    }

    #[test]
    fn a_change_is_one_row_ahead_of_what_was_told() {
        let mut fleet = MadeUpFleet::new(10);
        let whole = fleet.snapshot().cursor;
        let (first, second) = (fleet.change(1), fleet.change(2));
        assert!(whole < first.cursor && first.cursor < second.cursor);
        assert_eq!(first.rows.len(), 1);
        assert!(MadeUpFleet::new(0).change(1).rows.is_empty());
    }
}
