//! The webhook: every chosen event, signed, in order, at least once, whatever becomes of receiver and host.

mod receiver;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hyper::Method;
use serde_json::{Value, json};

use crate::http::Client;
use crate::patience::{eventually, seconds};
use crate::site::{Host, Port, Site, repository, written};
use crate::sse::{all_events, events_after};
use receiver::{Manner, Receiver};

const POOL: &str = r#"
[[pool]]
name = "media"
provider = "external"
rooms_per_server = 1000
health = "none"
"#;

/// Makes a site with a secret in the file that its config names.
fn site(pools: &str, receiver: &Receiver, webhook: &str) -> Site {
    let site = Site::new(pools);
    let made = site.usher(&["webhook", "new-secret", "webhook.secret"]);
    assert!(made.status.success(), "{}", written(&made));
    receiver.knows(&fs::read_to_string(site.path("webhook.secret")).unwrap());
    configure(&site, pools, receiver, webhook);
    site
}

fn configure(site: &Site, pools: &str, receiver: &Receiver, webhook: &str) {
    let url = receiver.url();
    site.configure(&format!(
        "{pools}\n[webhook]\nurl = \"{url}\"\nsecret_file = \"webhook.secret\"\n{webhook}\n"
    ));
}

async fn register(client: &Client, server: &str) {
    let body = json!({ "pool": "media", "url": format!("ws://{server}") });
    client.put(&format!("/v1/servers/{server}"), body).await.expect(201);
}

async fn place(client: &Client, room: &str) {
    let answer = client
        .insist(Method::PUT, &format!("/v1/rooms/{room}"), Some(json!({})))
        .await;
    assert!([200, 201, 202].contains(&answer.status), "{}", answer.text);
}

async fn lose(client: &Client, server: &str) {
    let path = format!("/v1/servers/{server}/lost");
    client.post(&path, json!({ "reason": "a test" })).await.expect(200);
}

/// Returns the ids of all kept events of these groups.
async fn ids(client: &Client, groups: &[&str]) -> Vec<String> {
    let events = all_events(client).await.into_iter();
    let chosen = events.filter(|event| groups.iter().any(|group| event.kind.starts_with(group)));
    chosen.map(|event| event.id).collect()
}

/// Waits until the receiver has all events of these groups, and returns those that it has taken.
async fn all_taken(client: &Client, receiver: &Receiver, groups: &[&str]) -> Vec<Value> {
    eventually("every event has arrived", seconds(60), async || {
        let wanted = ids(client, groups).await;
        let taken = receiver.taken();
        let have: BTreeSet<&str> = taken.iter().filter_map(|event| event["id"].as_str()).collect();
        wanted.iter().all(|id| have.contains(id.as_str())).then_some(taken)
    })
    .await
}

/// Returns events without those that came again.
fn first_times(taken: &[Value]) -> Vec<&Value> {
    let mut seen = BTreeSet::new();
    let mut events: Vec<&Value> = taken.iter().collect();
    events.retain(|event| seen.insert(event["id"].as_str().unwrap()));
    events
}

async fn metric(client: &Client, name: &str) -> f64 {
    let text = client.get("/metrics").await.text;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.map_or(0.0, |value| value.trim().parse().unwrap())
}

#[tokio::test]
async fn chosen_events_arrive_signed_in_order_and_as_followers_see_them() {
    let receiver = Receiver::start().await;
    let site = site(POOL, &receiver, "events = [\"server.*\", \"room.released\"]");
    let host = site.start().await;
    let client = host.client();
    register(&client, "media-1").await;
    for room in ["a", "b", "c"] {
        place(&client, room).await;
        client.delete(&format!("/v1/rooms/{room}")).await.expect(204);
    }
    let groups = ["server.", "room.released"];
    let taken = all_taken(&client, &receiver, &groups).await;
    let wanted: Vec<Value> = all_events(&client)
        .await
        .into_iter()
        .filter(|event| groups.iter().any(|group| event.kind.starts_with(group)))
        .map(|event| event.data)
        .collect();
    assert_eq!(taken, wanted, "no other, none twice, each whole");
    assert!(wanted.len() >= 4, "{wanted:?}");
    assert_eq!(receiver.forged(), 0);
    assert!(metric(&client, "usher_webhook_calls_total{outcome=\"delivered\"}").await >= 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_away_and_a_host_that_is_killed_cost_no_event() {
    let mut receiver = Receiver::start().await;
    let site = site(POOL, &receiver, "events = [\"room.placed\"]");
    let mut host = site.start().await;
    let client = host.client();
    register(&client, "media-1").await;
    place(&client, "first").await;
    all_taken(&client, &receiver, &["room.placed"]).await;
    // Nobody listens, and the host dies; what happened in both lives arrives.
    receiver.stop();
    for number in 0..250 {
        place(&client, &format!("early-{number}")).await;
    }
    host.kill();
    host = site.start().await;
    for number in 0..50 {
        place(&client, &format!("late-{number}")).await;
    }
    receiver.listen().await;
    all_taken(&client, &receiver, &["room.placed"]).await;
    // The host dies while calls are answered.
    receiver.behaves(Manner::Late(Duration::from_millis(30)));
    for round in 0..3 {
        let rooms = (0..60).map(|number| format!("round-{round}-{number}"));
        for room in rooms {
            place(&client, &room).await;
        }
        host.kill();
        host = site.start().await;
    }
    let taken = all_taken(&client, &receiver, &["room.placed"]).await;
    let told = first_times(&taken);
    assert_eq!(told.len(), 1 + 250 + 50 + 180);
    let wanted = ids(&client, &["room.placed"]).await;
    let told: Vec<&str> = told.iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(told, wanted, "in order");
    assert_eq!(receiver.forged(), 0);
    for (id, body) in receiver.calls_by_id() {
        assert_eq!(body.len(), 1, "a call's id stands for the same events: {id}");
    }
}

/// Two rooms a server, so that a third finds none.
const SMALL: &str = r#"
[[pool]]
name = "media"
provider = "external"
rooms_per_server = 2
health = "none"
"#;

/// Returns each room that was told with a loss, and where it is now.
fn homes(lost: &Value) -> Vec<String> {
    let rooms = lost["moved"].as_array().unwrap().iter();
    rooms
        .map(|room| {
            let home = &room["server"];
            format!("{} {} {} {}", room["room"], room["state"], home["name"], home["url"]).replace('"', "")
        })
        .collect()
}

#[tokio::test]
async fn a_lost_server_is_one_event_with_its_rooms_and_their_new_servers_though_the_host_is_killed() {
    let receiver = Receiver::start().await;
    let site = site(SMALL, &receiver, "events = [\"server.lost\", \"room.moved\"]");
    let mut host = site.start().await;
    let client = host.client();
    register(&client, "media-1").await;
    place(&client, "a").await;
    place(&client, "b").await;
    register(&client, "media-2").await;
    receiver.behaves(Manner::Answer(503));
    lose(&client, "media-1").await;
    host.kill();
    host = site.start().await;
    receiver.behaves(Manner::Take);
    let taken = all_taken(&client, &receiver, &["server.lost"]).await;
    let [lost] = &taken[..] else { panic!("{taken:?}") };
    assert_eq!((&lost["server"], &lost["rooms"]), (&json!("media-1"), &json!(2)));
    assert_eq!(
        homes(lost),
        ["a placed media-2 ws://media-2", "b placed media-2 ws://media-2"]
    );
    assert!(lost["moved"][0]["placement"].as_u64() > Some(2), "{lost}");

    // Nobody has room: it is told after a while, and where they are once they are somewhere.
    let began = Instant::now();
    lose(&client, "media-2").await;
    let taken = all_taken(&client, &receiver, &["server.lost"]).await;
    assert!(began.elapsed() >= seconds(9), "{:?}", began.elapsed());
    assert_eq!(homes(&taken[1]), ["a moving null null", "b moving null null"]);
    register(&client, "media-3").await;
    let moved = eventually("the moves are told by themselves", seconds(30), async || {
        let taken = receiver.taken();
        (taken.len() >= 4).then(|| taken[2..].to_vec())
    })
    .await;
    let homes: BTreeSet<String> = moved
        .iter()
        .map(|event| format!("{} {} {}", event["type"], event["room"], event["url"]).replace('"', ""))
        .collect();
    let wanted = ["a", "b"].map(|room| format!("room.moved {room} ws://media-3"));
    assert_eq!(homes, BTreeSet::from(wanted));
    drop(host);
}

#[tokio::test]
async fn a_slow_receiver_is_called_again_with_the_same_call_and_slows_no_placement() {
    let receiver = Receiver::start().await;
    receiver.behaves(Manner::Late(seconds(3600)));
    let site = site(POOL, &receiver, "events = [\"server.ready\"]\ntimeout_seconds = 1");
    let host = site.start().await;
    let client = host.client();
    register(&client, "media-1").await;
    eventually("it was called twice", seconds(30), async || {
        (receiver.attempts().len() >= 2).then_some(())
    })
    .await;
    let began = Instant::now();
    for number in 0..100 {
        place(&client, &format!("room-{number}")).await;
    }
    assert!(began.elapsed() < seconds(10), "{:?}", began.elapsed());
    assert!(host.log().contains("no answer within 1 s"));
    receiver.behaves(Manner::Take);
    let taken = all_taken(&client, &receiver, &["server.ready"]).await;
    assert_eq!(taken.len(), 1);
    let attempts: BTreeSet<String> = receiver.attempts().into_iter().collect();
    assert_eq!(attempts.len(), 1, "each try has the same id");
    assert!(metric(&client, "usher_webhook_calls_total{outcome=\"timed_out\"}").await >= 2.0);
}

#[tokio::test]
async fn that_it_is_behind_is_told_after_a_minute_and_that_it_has_caught_up_also_over_a_restart() {
    let receiver = Receiver::start().await;
    receiver.behaves(Manner::Answer(503));
    let site = site(POOL, &receiver, "events = [\"server.ready\", \"webhook.*\"]");
    let mut host = site.start().await;
    let client = host.client();
    register(&client, "media-1").await;
    let behind = eventually("it is told that it is behind", seconds(90), async || {
        let events = all_events(&client).await.into_iter();
        events.into_iter().find(|event| event.kind == "webhook.behind")
    })
    .await;
    assert_eq!(behind.data["receiver"], receiver.url().trim_end_matches("/hook"));
    assert!(behind.data["lag_seconds"].as_u64() >= Some(60), "{behind:?}");
    assert!(behind.data["reason"].as_str().unwrap().contains("503"), "{behind:?}");
    assert!(metric(&client, "usher_webhook_lag_seconds").await > 55.0);
    assert!(host.log().contains("the webhook is behind"));
    receiver.behaves(Manner::Take);
    host.kill();
    host = site.start().await;
    eventually("it is told that it has caught up", seconds(30), async || {
        let events = events_after(&client, &behind.id).await.into_iter();
        events.into_iter().find(|event| event.kind == "webhook.caught_up")
    })
    .await;
    let taken = all_taken(&client, &receiver, &["server.ready", "webhook."]).await;
    let kinds: Vec<&str> = first_times(&taken)
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["server.ready", "webhook.behind", "webhook.caught_up"]);
    eventually("nothing is left", seconds(10), async || {
        (metric(&client, "usher_webhook_lag_seconds").await == 0.0).then_some(())
    })
    .await;
    drop(host);
}

#[tokio::test]
async fn a_receiver_that_says_gone_is_left_alone_until_the_config_changes() {
    let receiver = Receiver::start().await;
    receiver.behaves(Manner::Answer(410));
    let site = site(POOL, &receiver, "events = [\"server.ready\"]");
    let host = site.start().await;
    let client = host.client();
    register(&client, "media-1").await;
    eventually("it is told", seconds(30), async || {
        let events = all_events(&client).await;
        events.iter().any(|event| event.kind == "webhook.behind").then_some(())
    })
    .await;
    assert!(host.log().contains("wants no more calls"), "{}", host.log());
    register(&client, "media-2").await;
    assert_eq!(receiver.attempts().len(), 1);
    receiver.behaves(Manner::Take);
    configure(
        &site,
        POOL,
        &receiver,
        "events = [\"server.ready\"]\ntimeout_seconds = 9",
    );
    let taken = all_taken(&client, &receiver, &["server.ready"]).await;
    assert_eq!(taken.len(), 2);
}

#[tokio::test]
async fn a_webhook_begins_with_what_happens_after_it_was_configured_and_never_follows_elsewhere() {
    let receiver = Receiver::start().await;
    let site = Site::new(POOL);
    let host = site.start().await;
    let client = host.client();
    register(&client, "before").await;
    let made = site.usher(&["webhook", "new-secret", "webhook.secret"]);
    receiver.knows(&fs::read_to_string(site.path("webhook.secret")).unwrap());
    assert!(made.status.success());
    receiver.behaves(Manner::Answer(307));
    configure(&site, POOL, &receiver, "events = [\"server.ready\"]");
    eventually("it tells", seconds(30), async || {
        host.log().contains("the webhook tells what happens").then_some(())
    })
    .await;
    register(&client, "after").await;
    eventually("the redirect is told", seconds(30), async || {
        host.log().contains("nothing is sent after that").then_some(())
    })
    .await;
    receiver.behaves(Manner::Take);
    let taken = eventually("it arrives", seconds(30), async || {
        Some(receiver.taken()).filter(|taken| !taken.is_empty())
    })
    .await;
    let servers: Vec<&Value> = taken.iter().map(|event| &event["server"]).collect();
    assert_eq!(servers, ["after"]);
    assert_eq!(receiver.strayed(), 0);
}

#[tokio::test]
async fn a_config_with_a_mistake_is_refused_by_its_name_and_a_secret_is_private_and_never_replaced() {
    let site = Site::new("[webhook]\nurl = \"https://a/\"\nsecret_file = \"s\"\nevents = [\"server.lots\"]\n");
    let checked = site.usher(&["config", "check"]);
    assert_eq!(checked.status.code(), Some(1));
    let text = written(&checked);
    for said in [
        "webhook.secret_file: ",
        "usher webhook new-secret",
        "webhook.events[1]: there are no events of the type \"server.lots\"; did you mean server.lost?",
        "The types are room.placed, room.waiting,",
    ] {
        assert!(text.contains(said), "{said}\n{text}");
    }
    let mut host = site.spawn(Command::new(crate::site::USHER));
    assert!(!host.end().await.success());
    assert!(host.log().contains("webhook.events[1]"), "{}", host.log());

    let make = || site.usher(&["webhook", "new-secret", "s"]);
    assert!(make().status.success());
    let first = fs::read_to_string(site.path("s")).unwrap();
    assert_eq!(
        fs::metadata(site.path("s")).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(make().status.code(), Some(1));
    assert_eq!(fs::read_to_string(site.path("s")).unwrap(), first);
    site.configure("[webhook]\nurl = \"https://a/\"\nsecret_file = \"s\"\n");
    let checked = written(&site.usher(&["config", "check"]));
    assert!(checked.contains("webhook: https://a is told 13 of"), "{checked}");
}

/// A program that is ended with the test.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn python(site: &Site, arguments: &[&str]) -> Program {
    let log = fs::File::create(site.path("receiver.log")).unwrap();
    let child = Command::new("python3")
        .args(arguments)
        .current_dir(site.path("."))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn();
    Program(child.unwrap())
}

fn received(site: &Site) -> String {
    fs::read_to_string(site.path("receiver.log")).unwrap()
}

#[tokio::test]
async fn the_example_receiver_believes_usher_alone_and_says_where_rooms_are() {
    let port = Port::free();
    let site = Site::new("");
    assert!(
        site.usher(&["webhook", "new-secret", "webhook.secret"])
            .status
            .success()
    );
    let url = format!("http://127.0.0.1:{}", port.number);
    site.configure(&format!(
        "{SMALL}\n[webhook]\nurl = \"{url}/usher\"\nsecret_file = \"webhook.secret\"\n"
    ));
    let script = repository().join("examples/webhook/receiver.py");
    let number = port.number.to_string();
    let _receiver = python(&site, &[script.to_str().unwrap(), "webhook.secret", &number]);
    let forger = Client::new(&url);
    let headers = [
        ("webhook-id", "msg_1"),
        ("webhook-timestamp", "1795338000"),
        ("webhook-signature", "v1,AAAA"),
    ];
    eventually("it refuses a forged call", seconds(30), async || {
        let body = "{\"events\":[]}".into();
        let answer = forger.send(Method::POST, "/usher", &headers, body).await.ok()?;
        (answer.status == 401).then_some(())
    })
    .await;
    let host = site.start().await;
    let client = host.client();
    register(&client, "media-1").await;
    place(&client, "standup-42").await;
    register(&client, "media-2").await;
    lose(&client, "media-1").await;
    eventually("it says where the room is", seconds(30), async || {
        let said = "media-1 was lost, standup-42 is now: ws://media-2";
        received(&site).contains(said).then_some(())
    })
    .await;
}

/// Answers POSTs over TLS with the certificate in a file.
const TLS_RECEIVER: &str = r#"
import http.server, ssl, sys
class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        print(self.rfile.read(int(self.headers["content-length"])).decode(), flush=True)
        self.send_response(204)
        self.end_headers()
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("cert.pem", "key.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"#;

#[tokio::test]
async fn a_receiver_is_called_by_https_if_the_systems_authorities_vouch_for_it() {
    let port = Port::free();
    let site = Site::new("");
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args([
            "-subj",
            "/CN=receiver",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(site.path("."))
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", written(&made));
    assert!(
        site.usher(&["webhook", "new-secret", "webhook.secret"])
            .status
            .success()
    );
    let url = format!("https://127.0.0.1:{}/", port.number);
    site.configure(&format!(
        "{POOL}\n[webhook]\nurl = \"{url}\"\nsecret_file = \"webhook.secret\"\nevents = [\"server.ready\"]\n"
    ));
    let _receiver = python(&site, &["-c", TLS_RECEIVER, &port.number.to_string()]);
    let host = site.start().await;
    let client = host.client();
    register(&client, "media-1").await;
    eventually("a stranger is not believed", seconds(30), async || {
        host.log().contains("invalid peer certificate").then_some(())
    })
    .await;
    assert!(!received(&site).contains("media-1"));
    host.kill();
    let cert = site.path("cert.pem");
    let site = site.with_variable("SSL_CERT_FILE", cert);
    let _host: Host = site.start().await;
    eventually("it is told", seconds(30), async || {
        received(&site).contains("media-1").then_some(())
    })
    .await;
}
