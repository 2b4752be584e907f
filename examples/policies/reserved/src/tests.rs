use usher_sdk::{FleetBuilder, Label, Phase, Placement, ServerSketch, purity};

use super::*;

const NOW: u32 = 100_000;

/// Acme's pool, four rooms a server, and what follows in it; open to all, and cheaper than the shared one.
fn acme() -> FleetBuilder {
    Fleet::builder().at(NOW).pool("acme", |pool| {
        (pool.rooms_per_server, pool.price_microdollars_per_hour) = (4, 100);
        pool.labels.push(Label::new(RESERVED_FOR, "acme"));
    })
}

fn shared(builder: FleetBuilder) -> FleetBuilder {
    builder.pool("shared", |pool| {
        (pool.rooms_per_server, pool.price_microdollars_per_hour) = (10, 200);
    })
}

fn rooms(rooms: u32) -> impl Fn(&mut ServerSketch) {
    move |server| (server.usage.rooms, server.usage.seats, server.usage.load) = (rooms, rooms * 50, rooms * 50)
}

fn starting(server: &mut ServerSketch) {
    server.usage.phase = Phase::Starting;
}

fn reserved() -> Reserved {
    Reserved::new(Settings::default()).unwrap()
}

fn room(tenant: &str) -> RoomRequest {
    RoomRequest {
        tenant: tenant.into(),
        ..RoomRequest::new("standup", 50)
    }
}

/// Asks for a room; the answer is a server's name, `wait for POOL`, or `defer`.
fn placed(fleet: &Fleet, room: &RoomRequest) -> String {
    match reserved().place(room, fleet, Moment::at(NOW)).placement {
        Placement::On(server) => fleet.server(server).unwrap().name().into(),
        Placement::Wait(wait) => format!(
            "wait for {}",
            wait.pool.map_or("any", |pool| &fleet.pool(pool).unwrap().name)
        ),
        Placement::Reject => "reject".into(),
        Placement::Defer => "defer".into(),
    }
}

/// Asks how many servers more acme's pool gets; the answer must be about no other pool.
fn grown(fleet: FleetBuilder, waiting: u32) -> u32 {
    let want = Want {
        tenant: "acme".into(),
        ..Want::new(waiting, 50)
    };
    let wants = if waiting > 0 {
        vec![want, Want::new(7, 50)]
    } else {
        vec![]
    };
    grown_for(fleet, wants)
}

/// Asks the same for these rooms.
fn grown_for(fleet: FleetBuilder, wants: Vec<Want>) -> u32 {
    let growths = reserved().scale_up(&Demand::of(wants), &fleet.build(), Moment::at(NOW));
    assert_eq!(growths.iter().map(|growth| growth.pool).collect::<Vec<_>>(), [1]);
    growths[0].servers
}

/// Asks which of acme's servers go.
fn gone(fleet: FleetBuilder) -> Vec<String> {
    let fleet = fleet.build();
    let shrinkages = reserved().scale_down(&fleet, Moment::at(NOW));
    assert_eq!(shrinkages.iter().map(|it| it.pool).collect::<Vec<_>>(), [1]);
    let names = shrinkages[0]
        .servers
        .iter()
        .map(|it| fleet.server(it.server).unwrap().name());
    names.map(str::to_owned).collect()
}

#[test]
fn a_tenants_rooms_fill_its_own_servers_and_wait_rather_than_share() {
    let fleet = shared(acme().server("own", rooms(1)).server("own, fuller", rooms(3)));
    let fleet = fleet.server("for all", rooms(5)).build();
    assert_eq!(placed(&fleet, &room("acme")), "own, fuller");
    let full = shared(acme().server("own", rooms(4)))
        .server("for all", rooms(5))
        .build();
    assert_eq!(placed(&full, &room("acme")), "wait for acme");
}

#[test]
fn nobody_else_ever_lands_on_a_reserved_server() {
    let fleet = shared(acme().server("own", rooms(1)))
        .server("for all", rooms(5))
        .build();
    let full = shared(acme().server("own", |_| {}))
        .server("for all", rooms(10))
        .build();
    for tenant in ["", "beta"] {
        assert_eq!(placed(&fleet, &room(tenant)), "for all");
        assert_eq!(placed(&full, &room(tenant)), "wait for shared", "{tenant:?}");
    }
    let only_acme = acme().server("own", |_| {}).build();
    assert_eq!(placed(&only_acme, &room("beta")), "wait for any");
}

#[test]
fn a_label_of_a_server_opens_no_reserved_pool() {
    let fleet = acme()
        .server("own", |server| server.row.labels.push(Label::new("gpu", "yes")))
        .build();
    let wants_gpu = |tenant| RoomRequest {
        labels: vec![Label::new("require.gpu", "yes")],
        ..room(tenant)
    };
    assert_eq!(placed(&fleet, &wants_gpu("acme")), "own");
    assert_eq!(placed(&fleet, &wants_gpu("beta")), "wait for any");
}

#[test]
fn a_server_with_the_label_is_found_however_many_fuller_ones_have_none() {
    let fleet = shared(Fleet::builder()).servers("plain", LOOKED_AT_MAX as u32 + 1, rooms(5));
    let gpus = fleet.pool("gpus", |pool| pool.labels.push(Label::new("gpu", "yes")));
    let fleet = gpus.server("gpu", |_| {}).pool("acme", |pool| {
        pool.labels.push(Label::new(RESERVED_FOR, "acme"));
    });
    let wants_gpu = RoomRequest {
        labels: vec![Label::new("require.gpu", "yes")],
        ..room("beta")
    };
    assert_eq!(placed(&fleet.build(), &wants_gpu), "gpu");
}

#[test]
fn where_usher_itself_keeps_others_off_they_are_left_to_the_next_policy() {
    let closed = acme().pool("closed", |pool| {
        pool.labels = vec![Label::new(RESERVED_FOR, "beta"), Label::new("only.tenant", "beta")];
    });
    let fleet = shared(closed.server("beta's", |_| {}))
        .server("for all", |_| {})
        .build();
    assert_eq!(placed(&fleet, &room("beta")), "beta's");
    let only_closed = Fleet::builder().pool("closed", |pool| {
        pool.labels = vec![Label::new(RESERVED_FOR, "beta"), Label::new("only.tenant", "beta")];
    });
    assert_eq!(
        placed(&only_closed.server("beta's", |_| {}).build(), &room("")),
        "defer"
    );
    let none = shared(Fleet::builder()).server("for all", |_| {}).build();
    assert_eq!(placed(&none, &room("acme")), "defer", "nothing is reserved");
}

#[test]
fn a_room_that_none_of_its_own_servers_could_hold_is_one_of_the_others() {
    let far = |pool: &mut Pool| {
        (pool.region, pool.labels) = ("us".into(), vec![Label::new(RESERVED_FOR, "acme")]);
    };
    let fleet = Fleet::builder().pool("far", far).server("own", |_| {});
    let fleet = fleet
        .pool("here", |pool| pool.region = "eu".into())
        .server("for all", |_| {})
        .build();
    let in_region = |region: &str| RoomRequest {
        region: region.into(),
        ..room("acme")
    };
    assert_eq!(placed(&fleet, &in_region("us")), "own");
    assert_eq!(placed(&fleet, &in_region("eu")), "for all");
}

#[test]
fn a_server_that_usher_would_refuse_is_not_proposed() {
    let hot = |server: &mut ServerSketch| (server.usage.reported, server.usage.cpu_permille) = (NOW, 950);
    let fleet = shared(acme().server("own", hot)).server("for all", hot).build();
    assert_eq!(placed(&fleet, &room("acme")), "wait for acme");
    assert_eq!(placed(&fleet, &room("beta")), "wait for shared");
    assert_eq!(grown(acme().server("hot", hot), 0), 1, "it is not warm in that sense");
}

#[test]
fn a_server_that_the_room_must_avoid_is_passed_over() {
    let fleet = acme().server("lost it", rooms(3)).server("other", |_| {}).build();
    let moving = RoomRequest {
        avoid: 1,
        ..room("acme")
    };
    assert_eq!(placed(&fleet, &moving), "other");
}

#[test]
fn a_warm_server_is_there_before_the_first_room_and_again_when_more_than_half_full() {
    assert_eq!(grown(shared(acme()), 0), 1);
    assert_eq!(grown(acme().server("on its way", starting), 0), 0);
    assert_eq!(grown(acme().server("one room", rooms(1)), 0), 0);
    assert_eq!(grown(acme().server("half full", rooms(2)), 0), 0);
    assert_eq!(grown(acme().server("fuller", rooms(3)), 0), 1);
    let nothing_may = acme().pool_state(|state| state.launchable = 0);
    assert_eq!(grown(nothing_may, 0), 0);
}

#[test]
fn only_its_own_tenants_waiting_rooms_are_launched_for() {
    assert_eq!(
        grown(shared(acme().server("full", rooms(4))), 5),
        3,
        "two for five rooms, one warm"
    );
    assert_eq!(grown(acme().servers("on its way", 2, starting), 5), 1);
}

#[test]
fn a_room_that_is_too_large_for_what_is_left_on_warm_servers_is_launched_for() {
    let halls = || {
        let halls = Fleet::builder().pool("acme", |pool| {
            pool.seats_per_server = 100;
            pool.labels.push(Label::new(RESERVED_FOR, "acme"));
        });
        halls.servers("warm", 2, |server| (server.usage.rooms, server.usage.seats) = (1, 45))
    };
    let large = || Want {
        tenant: "acme".into(),
        ..Want::new(1, 60)
    };
    assert_eq!(grown_for(halls(), vec![large()]), 1);
    assert_eq!(grown_for(halls().server("on its way", starting), vec![large()]), 0);
    assert_eq!(grown_for(halls(), vec![]), 0);
}

#[test]
fn idle_servers_go_down_to_the_warm_ones() {
    let idle = |server: &mut ServerSketch| server.usage.since = NOW - IDLE_SECONDS;
    let fresh = |server: &mut ServerSketch| server.usage.since = NOW - IDLE_SECONDS + 1;
    assert_eq!(gone(acme().server("a", idle)), [""; 0]);
    assert_eq!(gone(acme().server("a", idle).server("b", idle)), ["a"]);
    assert_eq!(
        gone(acme().server("a", idle).server("b", rooms(1))),
        ["a"],
        "the other is warm"
    );
    assert_eq!(
        gone(acme().server("a", idle).server("b", rooms(3))),
        [""; 0],
        "the other is not"
    );
    assert_eq!(gone(acme().server("a", fresh).server("b", fresh)), [""; 0]);
}

#[test]
fn it_answers_alike_in_every_instance_and_after_every_history() {
    let fleet = shared(acme().server("own", rooms(1)).server("idle", rooms(0))).server("for all", rooms(5));
    let fleet = fleet.build();
    let at = Moment::at(NOW);
    purity::assert_pure::<Reserved>("{}", &fleet, &["acme", "beta", ""].map(room), at);
    purity::check_scale_up::<Reserved>("{}", &fleet, &Demand::of(vec![Want::new(7, 50)]), at).unwrap();
    purity::check_scale_down::<Reserved>("{}", &fleet, at).unwrap();
}

#[test]
fn the_example_file_says_the_defaults_and_that_rooms_wait() {
    let mut file: toml::Table = include_str!(concat!("../", env!("CARGO_PKG_NAME"), ".toml"))
        .parse()
        .unwrap();
    assert_eq!(
        file.remove("on_fault").unwrap().as_str(),
        Some("wait"),
        "Usher's own key"
    );
    assert_eq!(file.try_into::<Settings>().unwrap(), Settings::default());
}
