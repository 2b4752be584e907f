//! The tokens of servers' agents: which of them count.

use usher_fleet::Command;
use usher_fleet::command::{Reply, TokenNo};
use usher_fleet::ids::ServerNo;

use crate::world::{World, automatic, code, config, id};

fn cloud() -> (World, ServerNo) {
    let mut world = World::new(config(vec![automatic("cloud")]));
    let server = world.launch("cloud");
    let no = world.server(&server).expect("it was launched").no;
    (world, no)
}

fn token(no: ServerNo, generation: u32) -> TokenNo {
    TokenNo {
        server: id("cloud-1"),
        no,
        generation,
    }
}

/// Uses a token; returns which one is to be used from now on, or why it does not count.
fn used(world: &mut World, token: TokenNo) -> Result<u32, &'static str> {
    match world.command(Command::UseToken(token)) {
        Reply::Token(newest) => Ok(newest.generation),
        reply => Err(code(reply)),
    }
}

#[test]
fn the_first_token_is_exchanged_and_then_counts_no_more() {
    let (mut world, no) = cloud();
    assert_eq!(used(&mut world, token(no, 0)), Ok(1));
    // The answer was lost: it is asked for again, also after a restart.
    world.restart();
    assert_eq!(used(&mut world, token(no, 0)), Ok(1));
    assert_eq!(used(&mut world, token(no, 1)), Ok(1));
    assert_eq!(used(&mut world, token(no, 0)), Err("unauthenticated"));
    world.restart();
    assert_eq!(used(&mut world, token(no, 0)), Err("unauthenticated"));
    assert_eq!(used(&mut world, token(no, 1)), Ok(1));
}

#[test]
fn a_new_token_revokes_all_before_it() {
    let (mut world, no) = cloud();
    used(&mut world, token(no, 0)).unwrap();
    let Reply::Token(newest) = world.command(Command::RenewToken(id("cloud-1"))) else {
        panic!()
    };
    let newest = newest.generation;
    assert!(newest > 1);
    assert_eq!(used(&mut world, token(no, 0)), Err("unauthenticated"));
    assert_eq!(used(&mut world, token(no, 1)), Err("unauthenticated"));
    assert_eq!(used(&mut world, token(no, newest)), Ok(newest));
}

#[test]
fn a_registered_server_keeps_its_first_token() {
    let mut world = World::with_servers(&["cloud-1"]);
    let no = world.server("cloud-1").unwrap().no;
    assert_eq!(used(&mut world, token(no, 0)), Ok(0));
    assert_eq!(used(&mut world, token(no, 0)), Ok(0));
}

#[test]
fn a_token_is_of_one_server_and_not_of_the_next_with_its_name() {
    let mut world = World::with_servers(&["cloud-1"]);
    let no = world.server("cloud-1").unwrap().no;
    world.remove("cloud-1", true);
    assert_eq!(used(&mut world, token(no, 0)), Err("no_such_server"));
    world.register("site", "cloud-1");
    assert_eq!(used(&mut world, token(no, 0)), Err("unauthenticated"));
    let reply = world.command(Command::RenewToken(id("nobody")));
    assert_eq!(code(reply), "no_such_server");
}
