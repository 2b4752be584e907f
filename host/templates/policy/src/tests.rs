use super::*;
use usher_sdk::{Placement, purity};

fn policy(spare_seats: u32) -> MyPolicy {
    MyPolicy::new(Settings { spare_seats }).expect("these settings are fine")
}

/// Two servers of 100 seats: `fuller` has 20 left, `emptier` 50.
fn fleet() -> Fleet {
    Fleet::builder()
        .pool("media", |pool| {
            pool.region = "eu-central-1".into();
            pool.seats_per_server = 100;
        })
        .server("fuller", |server| {
            server.usage.rooms = 2;
            server.usage.seats = 80;
        })
        .server("emptier", |server| {
            server.usage.rooms = 1;
            server.usage.seats = 50;
        })
        .build()
}

/// The name of the server that a room of so many seats goes to, if any.
fn server_for(policy: &MyPolicy, seats: u32, region: &str) -> Option<String> {
    let fleet = fleet();
    let room = RoomRequest {
        region: region.into(),
        ..RoomRequest::new("standup-42", seats)
    };
    match policy.place(&room, &fleet, Moment::at(1_000)).placement {
        Placement::On(id) => Some(fleet.server(id).expect("it is there").name().into()),
        _ => None,
    }
}

#[test]
fn a_room_goes_to_the_fullest_server_that_holds_it() {
    assert_eq!(server_for(&policy(0), 20, "").as_deref(), Some("fuller"));
    assert_eq!(server_for(&policy(0), 21, "").as_deref(), Some("emptier"));
}

#[test]
fn seats_are_spared_for_latecomers() {
    assert_eq!(server_for(&policy(1), 20, "").as_deref(), Some("emptier"));
}

#[test]
fn what_fits_nowhere_is_left_to_the_next_policy() {
    assert_eq!(server_for(&policy(0), 51, ""), None);
    assert_eq!(server_for(&policy(0), 20, "us-east-1"), None);
}

#[test]
fn the_same_question_gets_the_same_answer() {
    let rooms = [20, 21, 51].map(|seats| RoomRequest::new("standup-42", seats));
    purity::assert_pure::<MyPolicy>("{}", &fleet(), &rooms, Moment::at(1_000));
}
