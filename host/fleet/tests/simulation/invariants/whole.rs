//! What holds of the state as a whole.

use std::collections::{BTreeMap, BTreeSet};

use usher_fleet::config::HealthSource;
use usher_fleet::ids::{PoolName, RoomId};
use usher_fleet::room::RoomState;
use usher_fleet::server::{Health, Phase};
use usher_fleet::status::{RoomPlace, RoomStatus};
use usher_fleet::units::Microdollars;
use usher_fleet::{Fleet, Record, RoomFilter, RoomStateFilter};

use crate::simulation::ledger::Usage;
use crate::simulation::model::{Model, placed};
use crate::simulation::reader::Reader;

/// The live fleet's records are those that it wrote, and a fleet rebuilt from them is the same fleet.
pub(crate) fn invariant_the_fleet_is_what_its_writes_say(fleet: &Fleet, model: &Model, mut shuffled: Vec<Record>) {
    let name = "invariant_the_fleet_is_what_its_writes_say";
    let records = model.records();
    assert_eq!(fleet.records(), records, "{name}: live against written");
    shuffled.reverse();
    let again = Fleet::recover(model.config.clone(), shuffled, model.now);
    assert_eq!(again.records(), records, "{name}: rebuilt against written");
    assert_eq!(again.room_count(), fleet.room_count(), "{name}");
    assert_eq!(again.waiting_rooms(), fleet.waiting_rooms(), "{name}");
    for status in again.servers() {
        let no = model.server(&status.card.name).expect("its record is the model's").no;
        let mut reserved = Usage::default();
        for (_, placed) in model.rooms_on(no) {
            reserved += Usage {
                rooms: 1,
                seats: placed.seats.into(),
                load: placed.load.into(),
            };
        }
        let got = usage(status.rooms, status.seats, status.load);
        assert_eq!(got, reserved, "{name}: the rebuilt ledger of {}", status.card.name);
    }
}

fn usage(rooms: u32, seats: u32, load: u32) -> Usage {
    Usage {
        rooms: rooms.into(),
        seats: seats.into(),
        load: load.into(),
    }
}

/// What the ledger says of each server is the sum over its rooms and what only its report knows.
pub(crate) fn invariant_the_ledger_is_the_sum_of_its_rooms(fleet: &Fleet, model: &Model, is_due: bool) {
    let name = "invariant_the_ledger_is_the_sum_of_its_rooms";
    for status in fleet.servers() {
        let no = model.server(&status.card.name).expect("its record is the model's").no;
        let (most, exact) = model.usage(no);
        let got = usage(status.rooms, status.seats, status.load);
        let (most, exact) = (most.as_shown(), exact.as_shown());
        let holds = match is_due {
            true => {
                got.rooms == exact.rooms
                    && (exact.seats..=most.seats).contains(&got.seats)
                    && (exact.load..=most.load).contains(&got.load)
            }
            false => got == exact,
        };
        assert!(
            holds,
            "{name}: {}: the fleet counts {got:?}, its rooms come to {exact:?}, at most {most:?}: {:?}; {:?}",
            status.card.name,
            model
                .rooms_on(no)
                .map(|(id, _)| (id, model.known.get(id)))
                .collect::<Vec<_>>(),
            model.heard[&no]
        );
    }
}

/// Each room stands once: on the server that its record names, or in the queue.
pub(crate) fn invariant_every_room_has_one_home(fleet: &Fleet, model: &Model) {
    let name = "invariant_every_room_has_one_home";
    let mut seen: BTreeSet<RoomId> = BTreeSet::new();
    for server in model.servers.values() {
        let filter = RoomFilter {
            server: Some(server.name.clone()),
            ..RoomFilter::default()
        };
        let on_it = pages(fleet, &filter);
        for room in &on_it {
            assert!(seen.insert(room.room.clone()), "{name}: {} has two", room.room);
            let RoomPlace::Placed { server: card, .. } = &room.place else {
                panic!("{name}: {room:?} is listed on {}", server.name)
            };
            assert_eq!(card.name, server.name, "{name}: {room:?}");
        }
        assert_eq!(
            on_it.len(),
            model.rooms_on(server.no).count(),
            "{name}: {}",
            server.name
        );
    }
    for room in model.rooms.values() {
        let stands = placed(room).is_none() || seen.contains(&room.id);
        assert!(stands, "{name}: {room:?} stands on no server");
    }
    assert_eq!(pages(fleet, &RoomFilter::default()).len(), model.rooms.len(), "{name}");
}

/// All rooms of a filter, page by page.
fn pages(fleet: &Fleet, filter: &RoomFilter) -> Vec<RoomStatus> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let (page, next) = fleet.rooms(filter, after.as_ref(), 7);
        all.extend(page);
        match next {
            Some(next) => after = Some(next),
            None => return all,
        }
    }
}

/// Waiting rooms stand at 1, 2, 3 and so on, those that lost their server first.
pub(crate) fn invariant_the_queue_has_no_holes(fleet: &Fleet, model: &Model) {
    let name = "invariant_the_queue_has_no_holes";
    let (mut moving, mut waiting) = (Vec::new(), Vec::new());
    for room in model.rooms.values() {
        match &room.state {
            RoomState::Waiting(state) => waiting.push((state.queue, room.id.clone())),
            RoomState::Moving(state) => moving.push((state.queue, room.id.clone())),
            RoomState::Placed(_) => {}
        }
    }
    moving.sort();
    waiting.sort();
    let expected: Vec<_> = moving.into_iter().chain(waiting).collect();
    assert_eq!(fleet.waiting_rooms(), expected.len(), "{name}");
    for (index, (_, id)) in expected.iter().enumerate() {
        let status = fleet.room(id).expect("a room that waits is there");
        let RoomPlace::Waiting { position, .. } = status.place else {
            panic!("{name}: {status:?} does not wait")
        };
        assert_eq!(position as usize, index + 1, "{name}: {id}");
    }
    let listed = [RoomStateFilter::Waiting, RoomStateFilter::Moving].map(|state| {
        let filter = RoomFilter {
            state: Some(state),
            ..RoomFilter::default()
        };
        pages(fleet, &filter).len()
    });
    assert_eq!(listed.iter().sum::<usize>(), expected.len(), "{name}: by state");
}

/// Changes applied to any old copy of the view give the whole view.
pub(crate) fn invariant_changes_lead_to_the_whole_view(fleet: &Fleet, readers: &[Reader]) {
    let name = "invariant_changes_lead_to_the_whole_view";
    let mut whole = Reader::default();
    whole.read(fleet);
    for reader in readers {
        let mut reader = reader.clone();
        reader.read(fleet);
        assert_eq!(reader.pools, whole.pools, "{name}: pools");
        assert_eq!(reader.servers, whole.servers, "{name}: servers");
        assert_eq!(reader.usages, whole.usages, "{name}: usages");
        assert_eq!(reader.figures, whole.figures, "{name}: figures");
    }
    let servers = whole.servers.keys().eq(whole.usages.keys());
    assert!(servers, "{name}: each server has its usage");
}

/// What has been paid is never unpaid: within a day and a month a pool's costs only grow. Worlds begin after the first of a
/// month, and end before its last.
pub(crate) fn invariant_dollars_never_run_backwards(fleet: &Fleet, model: &Model, paid: &mut Paid) {
    let name = "invariant_dollars_never_run_backwards";
    let day = model.now.0 / (24 * 3600 * 1000);
    let rates: Microdollars = model.servers.values().map(|server| server.price_per_hour).sum();
    let mut per_hour = Microdollars(0);
    for pool in fleet.pools(model.now) {
        per_hour = per_hour + pool.bill.per_hour;
        let (old_day, today, month) = paid.0.get(&pool.name).copied().unwrap_or_default();
        assert!(
            old_day != day || today <= pool.bill.today,
            "{name}: {} today: {today} -> {}",
            pool.name,
            pool.bill.today
        );
        assert!(
            month <= pool.bill.month,
            "{name}: {} this month: {month} -> {}",
            pool.name,
            pool.bill.month
        );
        paid.0
            .insert(pool.name.clone(), (day, pool.bill.today, pool.bill.month));
    }
    assert_eq!(per_hour, rates, "{name}: dollars per hour");
    paid.0.retain(|pool, _| model.pools.contains_key(pool));
}

/// What was shown as paid, by pool: on which day, that day and that month.
#[derive(Debug, Clone, Default)]
pub(crate) struct Paid(BTreeMap<PoolName, (u64, Microdollars, Microdollars)>);

/// A server counts as heard exactly while signs come.
pub(crate) fn invariant_health_follows_signs(fleet: &Fleet, model: &Model) {
    let name = "invariant_health_follows_signs";
    for server in model.servers.values() {
        let listens = model.health(server).is_some_and(|health| health != HealthSource::None);
        if !listens || !matches!(server.phase, Phase::Ready(_)) {
            continue;
        }
        let status = fleet.server(&server.name).expect("its record is the model's");
        let heard = &model.heard[&server.no];
        let is_quiet = heard.sign + model.config.silent_after <= model.ticked;
        let holds = match status.health {
            Health::Ok => heard.is_heard && !is_quiet,
            Health::Unknown => !is_quiet,
            Health::Silent { .. } => server.lost.is_none(),
            Health::Lost => server.lost.is_some(),
        };
        assert!(
            holds,
            "{name}: {} is {:?}, {heard:?}, last ticked {:?}",
            server.name, status.health, model.ticked
        );
    }
}
