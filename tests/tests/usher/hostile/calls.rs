//! Misdeeds in calls, after a trial that went well: each is a fault in the guest's own words or the runtime's, the next policy
//! answers that very call, and whoever goes on with it is put in quarantine.

mod misdeeds;

use serde_json::{Value, json};

use super::crowd::{Crowd, usual};
use super::{set_loose, shown};
use crate::http::Client;
use crate::patience::{eventually, seconds};
use crate::policies::drop_in;
use crate::site::{Host, Site};
use crate::sse::{Event, all_events};
use misdeeds::{Faulty, odd, placing, scaling};

/// A tick each second, so that scale policies are asked often; somebody launches servers, and retires none for a while.
const CONFIG: &str = r#"
tick_seconds = 1
[[pool]]
name = "cloud"
provider = "simulated"
rooms_per_server = 100000
servers_min = 2
servers_max = 2
[pool.simulated]
boot_seconds = 0.1
[[pool]]
name = "house"
provider = "external"
region = "elsewhere"
rooms_per_server = 1
health = "none"
"#;

/// What the host may grow by while guests take all their memory, in KiB: 128 MiB for the one that leaks, once more for the
/// instance that replaces it, and as much for all others.
const GROWTH_KIB_MAX: u64 = 384 << 10;

/// As many faults of one policy are borne at most before it is out.
const FAULTS_MAX: usize = 10;
/// What the host may have grown by in the end, in KiB: machine code of forty modules, and what allocators keep.
const LEFT_KIB_MAX: u64 = 96 << 10;
/// As many lines of a policy reach the host's log at most: 50 at once, and 10 in each second that this lasts.
const LINES_MAX: usize = 1_000;

/// Returns whether a policy is in quarantine for a decision.
fn is_out(policies: &[Value], name: &str, step: &str) -> bool {
    let policy = policies.iter().find(|policy| policy["name"] == name);
    policy.is_some_and(|policy| {
        policy["serving"]["quarantined"]
            .as_array()
            .is_some_and(|out| out.contains(&step.into()))
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_guest_does_in_a_call_the_room_is_placed_in_its_usual_time_and_the_fault_is_told() {
    let site = Site::new(CONFIG);
    let host = site.start().await;
    let client = host.client();
    let server = server(&client).await;
    let usual = usual(&client).await;
    let memory_kib = host.memory_kib();

    let all: Vec<Faulty> = placing().into_iter().chain(scaling()).collect();
    let texts = all.iter().map(|one| (one.name, one.guest.build()));
    for (name, module) in texts.chain(odd().map(|(name, guest)| (name, guest.build()))) {
        drop_in(&site, &format!("{name}.wasm"), &module);
    }
    for (name, misdeed) in [("leaks", "leak"), ("floods", "flood")] {
        set_loose(&site, name, misdeed);
    }

    let crowd = Crowd::begin(&client);
    let (mut most_kib, mut turn) = (0, 0);
    eventually("whoever means harm is in quarantine", seconds(240), async || {
        turn += 1;
        tell_something(&client, &server, turn).await;
        most_kib = most_kib.max(host.memory_kib());
        let policies = shown(&client).await;
        let are_out = all.iter().all(|one| is_out(&policies, one.name, one.step));
        (are_out && is_out(&policies, "leaks", "place")).then_some(())
    })
    .await;
    crowd.end().await.are_like(&usual);

    check_told(&all, &all_events(&client).await);
    check_counted(&client, &host).await;
    let pools = client.get("/v1/pools").await.expect(200).json;
    assert_eq!(pools["pools"][0]["servers_ready"], 2, "a fault never sells a server");
    let grown = most_kib.saturating_sub(memory_kib);
    assert!(grown < GROWTH_KIB_MAX, "the host has grown by {grown} KiB");
    eventually("the host gives the guests' memory back", seconds(30), async || {
        (host.memory_kib() < memory_kib + LEFT_KIB_MAX).then_some(())
    })
    .await;
}

/// Waits for the pool's servers, and returns one.
async fn server(client: &Client) -> String {
    eventually("two servers are ready", seconds(30), async || {
        let pools = client.get("/v1/pools").await.expect(200).json;
        (pools["pools"][0]["servers_ready"] == 2).then_some(())
    })
    .await;
    let servers = client.get("/v1/servers").await.expect(200).json;
    servers["servers"][0]["name"].as_str().unwrap().to_owned()
}

/// Changes what each call of the view is about: a server, and the figure that these guests want to see. Usage changes anyway.
async fn tell_something(client: &Client, server: &str, turn: u32) {
    let report = json!({ "figures": { "consumers": turn } });
    let path = format!("/v1/servers/{server}/report");
    client.post(&path, report).await.expect(200);
    let body = json!({ "pool": "house", "url": "ws://house", "labels": { "turn": turn.to_string() } });
    let registered = client.put("/v1/servers/house-1", body).await;
    assert!([200, 201].contains(&registered.status), "{}", registered.text);
}

/// Each fault is told in its own words, a few times, and then the quarantine.
fn check_told(all: &[Faulty], events: &[Event]) {
    for Faulty { name, step, words, .. } in all {
        let told = |kind: &str| {
            let is_it = move |event: &&Event| {
                event.kind == kind && event.data["policy"] == *name && event.data["step"] == *step
            };
            events.iter().filter(is_it).collect::<Vec<_>>()
        };
        let faults = told("policy.fault");
        assert!(!faults.is_empty() && faults.len() <= FAULTS_MAX, "{name}: {faults:?}");
        // Once each, by who knows which module it was.
        assert!(
            faults.iter().all(|fault| fault.data["sha256"].is_string()),
            "{faults:?}"
        );
        let reason = faults[0].data["reason"].as_str().unwrap();
        assert!(reason.contains(words), "{name}: {reason}");
        assert!(reason.len() < 1_000, "{name}: {} bytes", reason.len());
        assert_eq!(told("policy.quarantined").len(), 1, "{name}");
    }
}

/// What is counted of each fits, and a flood of log lines was cut.
async fn check_counted(client: &Client, host: &Host) {
    let policies = shown(client).await;
    let counted = |name: &str, what: &str| {
        let policy = policies.iter().find(|policy| policy["name"] == name).unwrap();
        policy.pointer(what).and_then(Value::as_u64).unwrap()
    };
    assert!(counted("traps", "/place/faults/trap") >= 3);
    assert!(counted("up-loops", "/scale_up/faults/out_of_fuel") >= 3);
    for (name, _) in odd() {
        assert_eq!(
            counted(name, "/place/asked"),
            counted(name, "/place/deferred"),
            "{name}"
        );
    }
    let log = host.log();
    let tried = counted("floods", "/place/deferred") * 100;
    let written = log.lines().filter(|line| line.contains("flood ")).count();
    assert!(tried > 10_000 && written < LINES_MAX, "{written} lines of {tried}");
    assert!(log.contains("the policy logs too much: lines were left out"));
}
