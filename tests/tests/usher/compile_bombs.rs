//! Modules made to be read and compiled for ever: a child of the host does that, within its limits, and no room waits for it.

use std::fs;
use std::process;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::http::Client;
use crate::patience::{at_most, eventually, seconds};
use crate::policies::{drop_in, standard};
use crate::site::{Host, Site};

const POOL: &str = r#"
[[pool]]
name = "media"
provider = "external"
rooms_per_server = 10
health = "none"
"#;

/// The largest file that is read, in bytes, less what sections grow by.
const FILE_BYTES: usize = (4 << 20) - (16 << 10);
/// A function that is just allowed, in bytes.
const FUNCTION_BYTES: usize = 120 << 10;
/// The longest that a bomb is waited for: its 20 s of the processor, which it has only when nobody else wants it.
const DECIDED_WITHIN: Duration = Duration::from_secs(400);
/// How many rooms say how long a placement usually takes.
const ROOMS: usize = 200;

/// The standard policy's module, with functions that nobody calls behind its own.
fn with_functions(bodies: &[Vec<u8>]) -> Vec<u8> {
    let base = standard();
    let mut out = base[..8].to_vec();
    let mut rest = &base[8..];
    let mut of_type = Vec::new();
    while let [id, after @ ..] = rest {
        let mut after = after;
        let length = take_number(&mut after);
        let (mut content, next) = after.split_at(length);
        rest = next;
        let content = match id {
            // Types: one more, a function of nothing.
            1 => {
                let count = take_number(&mut content);
                of_type = number(count);
                [&number(count + 1), content, &[0x60, 0, 0]].concat()
            }
            3 => {
                let count = take_number(&mut content);
                [
                    number(count + bodies.len()),
                    content.to_vec(),
                    of_type.repeat(bodies.len()),
                ]
                .concat()
            }
            10 => {
                let count = take_number(&mut content);
                let more = bodies
                    .iter()
                    .flat_map(|body| [number(body.len()), body.clone()].concat());
                [number(count + bodies.len()), content.to_vec(), more.collect()].concat()
            }
            _ => content.to_vec(),
        };
        out.push(*id);
        out.extend(number(content.len()));
        out.extend(content);
    }
    out
}

fn number(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(value & 0x7f).unwrap();
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

fn take_number(bytes: &mut &[u8]) -> usize {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let (byte, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        value |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}

/// A function of so many locals, all of one type.
fn function(locals: usize, of: u8, code: &[u8]) -> Vec<u8> {
    [&[1], &*number(locals), &[of], code, &[0x0b]].concat()
}

/// As many of one function as a file holds.
fn as_many(body: Vec<u8>) -> Vec<u8> {
    let room = FILE_BYTES - standard().len();
    let count = room / (body.len() + 8);
    with_functions(&vec![body; count])
}

const I32: u8 = 0x7f;
const F32: u8 = 0x7d;

/// Hundreds of thousands of functions of 50,000 locals, each in ten bytes.
fn locals() -> Vec<u8> {
    as_many(function(50_000, I32, &[]))
}

/// One function that opens more than a million blocks.
fn nested() -> Vec<u8> {
    let depth = (FILE_BYTES - standard().len()) / 3;
    let code = [[0x02, 0x40].repeat(depth), [0x0b].repeat(depth)].concat();
    with_functions(&[function(1, I32, &code)])
}

/// Dozens of functions that open forty thousand blocks each.
fn nested_functions() -> Vec<u8> {
    let depth = FUNCTION_BYTES / 3;
    as_many(function(
        1,
        I32,
        &[[0x02, 0x40].repeat(depth), [0x0b].repeat(depth)].concat(),
    ))
}

/// Dozens of functions of tens of thousands of branches back to one loop, in which a thousand locals change.
fn branches() -> Vec<u8> {
    let mut code = vec![0x03, 0x40];
    for turn in 0.. {
        let (from, to) = (number(turn * 7 % 1_000), number(turn * 13 % 1_000));
        // to = from + 1; branch back if to.
        code.extend([&[0x20], &*from, &[0x41, 1, 0x6a, 0x22], &to, &[0x0d, 0]].concat());
        if code.len() >= FUNCTION_BYTES {
            break;
        }
    }
    code.push(0x0b);
    as_many(function(1_000, I32, &code))
}

/// Thousands of functions of divisions, each of which becomes many times as much machine code.
fn divisions() -> Vec<u8> {
    let code = [&[0x20, 0], &*[0x20, 0, 0x95].repeat(300), &[0x21, 0]].concat();
    as_many(function(1, F32, &code))
}

async fn started(site: &Site) -> (Host, Client) {
    let host = site.start().await;
    let client = host.client();
    let body = json!({ "pool": "media", "url": "ws://media-0" });
    client.put("/v1/servers/media-0", body).await.expect(201);
    (host, client)
}

/// Places a room, and returns how long that took; then releases it.
async fn place(client: &Client, room: &str) -> Duration {
    let path = format!("/v1/rooms/{room}");
    let asked = Instant::now();
    client.put(&path, json!({})).await.expect(201);
    let took = asked.elapsed();
    client.delete(&path).await.expect(204);
    took
}

async fn policy(client: &Client, name: &str) -> Option<Value> {
    let policies = client.get("/v1/policies").await.expect(200).json;
    policies["policies"]
        .as_array()
        .unwrap()
        .iter()
        .find(|policy| policy["name"] == name)
        .cloned()
}

/// Returns what was decided about a file, if anything was.
async fn decided(client: &Client, name: &str) -> Option<Value> {
    policy(client, name)
        .await
        .filter(|policy| policy["wanted"]["state"] == "serving" || policy["wanted"]["state"] == "refused")
}

/// Returns the process that compiles for this host, if there is one.
fn compiling(host: &Host) -> Option<u32> {
    let children = format!("/proc/{0}/task", host.pid());
    let of_thread = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("children")).unwrap_or_default();
    let children: Vec<String> = fs::read_dir(children).ok()?.flatten().map(of_thread).collect();
    let is_compiling = |pid: &u32| {
        let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        command.contains("compile-policy")
    };
    let mut pids = children.iter().flat_map(|pids| pids.split_whitespace());
    pids.find_map(|pid| pid.parse().ok().filter(is_compiling))
}

async fn compiles(host: &Host) -> u32 {
    eventually("a child compiles", seconds(30), async || compiling(host)).await
}

fn is_there(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/stat"));
    // A zombie is there only until its new parent has looked.
    status.is_ok_and(|status| !status.contains(") Z "))
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[tokio::test]
async fn bombs_are_refused_within_their_limits_and_no_room_waits_for_them() {
    let site = Site::new(POOL);
    let (host, client) = started(&site).await;
    drop_in(&site, "10-good.wasm", standard());
    eventually("it serves", seconds(60), async || decided(&client, "10-good").await).await;
    let mut usual = Vec::new();
    for room in 0..ROOMS {
        usual.push(place(&client, &format!("before-{room}")).await);
    }

    let bombs = [
        ("20-nested", nested(), "check", "at most 131072 are allowed"),
        ("30-locals", locals(), "compile", "takes longer than the 20 s"),
    ];
    for (name, bomb, ..) in &bombs {
        drop_in(&site, &format!("{name}.wasm"), bomb);
    }
    let began = Instant::now();
    let mut while_compiling = Vec::new();
    let mut room = 0;
    for (name, _, step, words) in &bombs {
        let refused = loop {
            assert!(began.elapsed() < DECIDED_WITHIN, "nothing was decided about {name}");
            if let Some(decided) = decided(&client, name).await {
                break decided;
            }
            let is_compiling = compiling(&host).is_some();
            let took = place(&client, &format!("meanwhile-{room}")).await;
            room += 1;
            if is_compiling && compiling(&host).is_some() {
                while_compiling.push(took);
            }
        };
        assert_eq!(refused["wanted"]["state"], "refused", "{refused}");
        assert_eq!(refused["wanted"]["step"], *step, "{refused}");
        assert!(refused["problem"].as_str().unwrap().contains(words), "{refused}");
    }
    assert!(while_compiling.len() >= ROOMS, "{} rooms", while_compiling.len());
    let (usual, now) = (median(&mut usual), median(&mut while_compiling));
    // Other tests have the processors, too: what is to be seen is a host that waits, and that would be whole seconds.
    assert!(
        now < usual * 3 + Duration::from_millis(5),
        "{now:?} instead of {usual:?}"
    );
    let slowest = while_compiling.last().unwrap();
    assert!(*slowest < Duration::from_secs(1), "one room took {slowest:?}");
    assert_eq!(policy(&client, "10-good").await.unwrap()["wanted"]["state"], "serving");
    assert_eq!(host.terminate().await.code(), Some(0));
}

#[tokio::test]
async fn whatever_a_module_has_the_compiler_do_it_ends_in_a_decision() {
    let site = Site::new(POOL);
    let (host, client) = started(&site).await;
    for (name, bomb) in [
        ("20-nested", nested_functions()),
        ("30-branches", branches()),
        ("40-divisions", divisions()),
    ] {
        drop_in(&site, &format!("{name}.wasm"), &bomb);
        let decided = eventually("it is decided", DECIDED_WITHIN, async || decided(&client, name).await).await;
        let is_refused = decided["wanted"]["step"] == "compile" && decided["problem"].is_string();
        assert!(is_refused || decided["wanted"]["state"] == "serving", "{decided}");
        assert!(!decided["problem"].to_string().contains("please report"), "{decided}");
        fs::remove_file(site.path("policies").join(format!("{name}.wasm"))).unwrap();
    }
    drop_in(&site, "50-good.wasm", standard());
    let good = eventually("it serves", seconds(60), async || decided(&client, "50-good").await).await;
    assert_eq!(good["wanted"]["state"], "serving", "{good}");
    assert_eq!(host.terminate().await.code(), Some(0));
}

#[tokio::test]
async fn the_compiling_child_is_limited_and_ends_with_the_host() {
    let site = Site::new(POOL);
    let (host, client) = started(&site).await;
    drop_in(&site, "30-locals.wasm", &locals());
    let child = compiles(&host).await;
    let of_child = |file: &str| fs::read_to_string(format!("/proc/{child}/{file}")).unwrap();
    eventually("it has limited itself", seconds(30), async || {
        let limits = of_child("limits");
        let has = |name: &str, soft: &str| {
            let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().next() == Some(soft)
        };
        let is_nice = of_child("stat").split_whitespace().nth(18) == Some("19");
        let is_limited =
            has("Max cpu time", "20") && has("Max address space", "536870912") && has("Max core file size", "0");
        (is_nice && is_limited && of_child("oom_score_adj").trim() == "1000").then_some(())
    })
    .await;
    host.kill();
    eventually("it has ended with its host", seconds(10), async || {
        (!is_there(child)).then_some(())
    })
    .await;

    let host = site.spawn(process::Command::new(crate::site::USHER));
    let child = compiles(&host).await;
    let asked = Instant::now();
    let ended = at_most("a stop waits for no compilation", seconds(30), host.terminate()).await;
    assert_eq!(ended.code(), Some(0));
    assert!(!is_there(child));
    assert!(asked.elapsed() < seconds(15), "{:?}", asked.elapsed());
    drop(client);
}
