//! The matrix of servers' states and inputs: `src/matrix.md` is the expectation, and each of its cells is run.

use std::cell::Cell;
use std::rc::Rc;

use usher_fleet::advice::Placement;
use usher_fleet::config::HealthSource;
use usher_fleet::ids::ServerNo;
use usher_fleet::observation::{Instance, InstanceState, ProviderError, Report};
use usher_fleet::server::Phase;
use usher_fleet::{Effect, Reply};

use crate::world::{World, automatic, config, external, instance, key, seats, unknown};

const MATRIX: &str = include_str!("../../src/matrix.md");

/// Which kind of server a table is about.
#[derive(Clone, Copy)]
enum Kind {
    Launched,
    Registered,
}

/// A server in one of the states, in a world of its own, and where the next room that is asked for shall go.
struct Case {
    world: World,
    server: String,
    target: Rc<Cell<Option<ServerNo>>>,
}

#[test]
fn the_matrix_in_the_docs_is_what_the_code_does() {
    let mut table = Vec::new();
    let mut wrong = Vec::new();
    let mut kind = None;
    let mut columns = Vec::new();
    for line in MATRIX.lines() {
        let mut shown = line.to_owned();
        match line {
            "# Launched servers" => kind = Some(Kind::Launched),
            "# Registered servers" => kind = Some(Kind::Registered),
            _ if line.starts_with("| server |") => columns = cells(line),
            _ if line.starts_with("|---") => {}
            _ => {
                if let (Some(kind), true) = (kind, line.starts_with("| ")) {
                    let row = cells(line);
                    let does: Vec<String> = columns[1..].iter().map(|input| run(kind, &row[0], input)).collect();
                    for ((input, says), does) in columns[1..].iter().zip(&row[1..]).zip(&does) {
                        if says != does {
                            wrong.push(format!(
                                "{} / {input}: the docs say {says:?}, the code does {does:?}",
                                row[0]
                            ));
                        }
                    }
                    assert_eq!(columns.len(), row.len(), "a cell is missing in {line:?}");
                    shown = format!("| {} | {} |", row[0], does.join(" | "));
                }
            }
        }
        table.push(shown);
    }
    assert!(
        wrong.is_empty(),
        "the page would have to be:\n{}\n\n{} cells differ:\n{}",
        table.join("\n"),
        wrong.len(),
        wrong.join("\n")
    );
}

fn cells(line: &str) -> Vec<String> {
    let inner = line.trim().trim_matches('|');
    inner.split('|').map(|cell| cell.trim().to_owned()).collect()
}

/// Brings a server into a state, hands in one input, and says what came of it.
fn run(kind: Kind, state: &str, input: &str) -> String {
    let mut case = case(kind, state);
    assert_eq!(describe(&case), state, "the state could not be brought about");
    case.world.effects.clear();
    let refused = hand_in(&mut case, kind, input);
    let after = describe(&case);
    let mut cell = refused.unwrap_or(if after == state { "·".into() } else { after });
    let orders = |is: fn(&Effect) -> bool| case.world.effects.iter().any(is);
    if orders(|effect| matches!(effect, Effect::Launch(_))) {
        cell += " + launch";
    }
    if orders(|effect| matches!(effect, Effect::Terminate(_))) {
        cell += " + terminate";
    }
    let moved = case.world.place_of("room") == format!("moving from {}", case.server)
        || case.world.place_of("room").starts_with("moving from gone");
    if moved && !state.contains("lost") && state != "terminating" {
        cell += " + room moves";
    }
    cell
}

fn describe(case: &Case) -> String {
    let Some(status) = case.world.server(&case.server) else {
        return "gone".into();
    };
    let mut words = vec![status.phase.word()];
    if matches!(status.phase, Phase::Ready(_)) {
        words.push(status.health.word());
    }
    if !matches!(status.phase, Phase::Terminating(_)) {
        words.extend(status.hold.as_ref().map(|hold| hold.word()));
    }
    words.extend(status.left.then_some("left"));
    words.join(", ")
}

fn case(kind: Kind, state: &str) -> Case {
    let has = |word: &str| state.split(", ").any(|part| part == word);
    let mut case = begin(kind);
    if has("requested") || has("launching") || has("booting") {
        start(&mut case, kind, state);
    } else {
        serve(&mut case, kind, has("left"));
    }
    let server = case.server.clone();
    if has("cordoned") {
        case.world.cordon(&server);
    }
    if has("draining") {
        case.world.drain(&server, None);
    }
    if has("unknown") {
        case.world.restart();
    }
    if has("silent") {
        // 15 s without a sign, and then lost_seconds.
        case.world.pass(15 + 61);
    }
    if has("lost") {
        case.world.declare_lost(&server);
    }
    if has("terminating") {
        case.world.remove(&server, true);
    }
    case
}

fn begin(kind: Kind) -> Case {
    let mut site = external("site");
    site.health = HealthSource::Report;
    let mut world = World::new(config(vec![automatic("cloud"), site]));
    let target: Rc<Cell<Option<ServerNo>>> = Rc::default();
    let aim = target.clone();
    world.chain.links = vec![Box::new(move |_, _| {
        let wait = Placement::Wait {
            pool: None,
            again_seconds: 0,
        };
        Ok(aim.get().map_or(wait, Placement::On))
    })];
    match kind {
        Kind::Launched => {
            world.grow("cloud", 1);
        }
        Kind::Registered => {
            world.register("site", "site-1");
        }
    }
    let server = world.newest();
    Case { world, server, target }
}

fn start(case: &mut Case, kind: Kind, state: &str) {
    let how_far = match kind {
        Kind::Registered => return,
        Kind::Launched if state.starts_with("requested") => return,
        Kind::Launched if state.starts_with("launching") => InstanceState::Pending,
        Kind::Launched => InstanceState::Running,
    };
    case.world.launched(&case.server, Ok(instance(how_far)));
}

fn serve(case: &mut Case, kind: Kind, is_empty: bool) {
    if matches!(kind, Kind::Launched) {
        case.world.launched(&case.server, Ok(instance(InstanceState::Running)));
    }
    case.world.report(&case.server, Report::default());
    if !is_empty {
        case.target.set(Some(case.world.server_no(&case.server)));
        case.world.place("room");
        case.target.set(None);
    }
}

/// Hands in an input; returns what a command was refused with, or how a room fared.
fn hand_in(case: &mut Case, kind: Kind, input: &str) -> Option<String> {
    let server = case.server.clone();
    let world = &mut case.world;
    let launched = |world: &mut World, result: Result<Instance, ProviderError>| {
        world.launched(&server, result);
        None
    };
    let listed = |world: &mut World, instances: Vec<Instance>| {
        // What is listed must be younger than what it is about.
        world.now.0 += 1;
        world.listed(
            "cloud",
            instances.into_iter().map(|found| (key(&server), found)).collect(),
        );
        None
    };
    match input {
        "place" => {
            case.target.set(Some(world.server_no(&server)));
            // It wants other seats than the room that may wait, which would come first.
            Some(match world.place_as("new", seats(7)) {
                Reply::Room(..) if world.place_of("new") == format!("on {server}") => "placed".into(),
                Reply::Room(..) => format!("no: {}", world.decisions.last().expect("it was asked for").code),
                reply @ (Reply::Server(..) | Reply::Done | Reply::Token(_) | Reply::Rejected(_)) => panic!("{reply:?}"),
            })
        }
        "cordon" => refusal(world.cordon(&server)),
        "drain" => refusal(world.drain(&server, None)),
        "uncordon" => refusal(world.uncordon(&server)),
        "remove" => refusal(world.remove(&server, false)),
        "remove by force" => refusal(world.remove(&server, true)),
        "room fails" => {
            world.fail("room", None);
            None
        }
        "declare lost" => refusal(world.declare_lost(&server)),
        "register" => refusal(match kind {
            Kind::Launched => world.register("cloud", &server),
            Kind::Registered => world.register("site", &server),
        }),
        "launch: pending" => launched(world, Ok(instance(InstanceState::Pending))),
        "launch: running" => launched(world, Ok(instance(InstanceState::Running))),
        "launch: ended" => launched(world, Ok(instance(InstanceState::Ended))),
        "launch: refused" => launched(world, Err(ProviderError::Refused("no".into()))),
        "launch: no capacity" => launched(world, Err(ProviderError::NoCapacity("none".into()))),
        "launch: misconfigured" => launched(world, Err(ProviderError::Misconfigured("a typo".into()))),
        "launch: unknown" => launched(world, Err(unknown())),
        "terminate: done" => {
            world.terminated(&server, Ok(()));
            None
        }
        "terminate: unknown" => {
            world.terminated(&server, Err(unknown()));
            None
        }
        "list: pending" => listed(world, vec![instance(InstanceState::Pending)]),
        "list: running" => listed(world, vec![instance(InstanceState::Running)]),
        "list: ended" => listed(world, vec![instance(InstanceState::Ended)]),
        "list: lacks it once" => listed(world, Vec::new()),
        "list: lacks it twice" => {
            let _: Option<String> = listed(world, Vec::new());
            listed(world, Vec::new())
        }
        "probe: answers" => {
            world.probed(&server, true);
            None
        }
        "probe: fails" => {
            world.probed(&server, false);
            None
        }
        "report" => {
            world.report(&server, Report::default());
            None
        }
        "report: draining" => {
            world.report(
                &server,
                Report {
                    draining: true,
                    ..Report::default()
                },
            );
            None
        }
        "15 s pass" => {
            world.pass(15);
            None
        }
        "900 s pass" => {
            world.pass(900);
            None
        }
        _ => panic!("the page has an input that nobody knows: {input:?}"),
    }
}

fn refusal(reply: Reply) -> Option<String> {
    match reply {
        Reply::Rejected(rejection) => Some(format!("no: {}", rejection.code())),
        Reply::Server(..) | Reply::Done | Reply::Token(_) => None,
        Reply::Room(..) => panic!("a room was answered for a server: {reply:?}"),
    }
}
