//! Clients that are slow, idle or half dead do not stop others, and not the host's own end.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::patience::{at_most, eventually, seconds};
use crate::site::Site;

const POOL: &str = r#"
[[pool]]
name = "media"
provider = "external"
rooms_per_server = 100000
health = "none"
"#;

const IDLE: u64 = 5_000;
const HALF_OPEN: usize = 100;
const DRIPPING: usize = 100;

/// What other tests, and this one beside its idle connections, need of open files.
const FILES_BESIDE: u64 = 1_500;

/// The longest that a request may take beside all of those, on a busy machine of two cores.
const QUICKLY: Duration = Duration::from_secs(2);

/// Raises this process's limit of open files; says whether that is enough.
fn files_suffice() -> bool {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let needed = IDLE + FILES_BESIDE;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|now| now < needed) {
        limit.current = limit.maximum.map(|most| most.min(needed)).or(Some(needed));
        // What was granted is read again below.
        let _ = setrlimit(Resource::Nofile, limit);
    }
    getrlimit(Resource::Nofile).current.is_none_or(|now| now >= needed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_idle_half_open_and_dripping_connections_do_not_stop_others() {
    if !files_suffice() {
        crate::site::say_skipped("this machine does not let one process open 6,500 files");
        return;
    }
    let site = Site::new(POOL);
    let host = site.start().await;
    let client = host.client();
    client
        .put("/v1/servers/media-1", json!({ "pool": "media", "url": "ws://a" }))
        .await
        .expect(201);

    let mut idle = Vec::new();
    for _ in 0..IDLE {
        let connected = at_most(
            "a connection is accepted",
            seconds(10),
            TcpStream::connect(site.address()),
        );
        idle.push(connected.await.unwrap());
    }
    let mut half_open = Vec::new();
    for _ in 0..HALF_OPEN {
        let mut stream = TcpStream::connect(site.address()).await.unwrap();
        stream
            .write_all(b"PUT /v1/rooms/half HTTP/1.1\r\nhost: a\r\ncontent-")
            .await
            .unwrap();
        half_open.push(stream);
    }
    let dripping: Vec<_> = (0..DRIPPING)
        .map(|number| tokio::spawn(drip(site.address(), number)))
        .collect();

    let mut slowest = Duration::ZERO;
    for number in 0..300 {
        let began = Instant::now();
        client
            .put(&format!("/v1/rooms/quick-{number}"), json!({}))
            .await
            .expect(201);
        slowest = slowest.max(began.elapsed());
    }
    assert!(slowest < QUICKLY, "a request beside slow clients took {slowest:?}");
    for task in dripping {
        let answer = task.await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 201 Created\r\n"), "{answer}");
    }
    let mut last = idle.pop().unwrap();
    last.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let mut answer = [0; 15];
    at_most(
        "an idle connection is served",
        seconds(10),
        last.read_exact(&mut answer),
    )
    .await
    .unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");

    let began = Instant::now();
    let status = host.terminate().await;
    assert!(status.success(), "{status}");
    assert!(
        began.elapsed() < seconds(20),
        "the end beside slow clients took {:?}",
        began.elapsed()
    );
    drop((idle, half_open));
}

/// Sends a request byte by byte, and returns the beginning of the answer.
async fn drip(address: std::net::SocketAddr, number: usize) -> String {
    let body = br#"{"seats":5}"#;
    let head = format!(
        "PUT /v1/rooms/dripping-{number} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    for byte in body {
        tokio::time::sleep(Duration::from_millis(150)).await;
        stream.write_all(&[*byte]).await.unwrap();
    }
    let mut answer = vec![0; 1024];
    let length = at_most("a dripping request is answered", seconds(20), stream.read(&mut answer))
        .await
        .unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

#[tokio::test]
async fn a_stop_answers_who_waits_and_ends_well() {
    let site = Site::new(POOL);
    let host = site.start().await;
    let client = host.client();
    let asker = client.clone();
    let waits = tokio::spawn(async move { asker.put("/v1/rooms/waits", json!({ "wait_seconds": 60 })).await });
    let is_waiting = async || (client.get("/v1/rooms/waits").await.status == 200).then_some(());
    eventually("the room waits", seconds(10), is_waiting).await;
    let as_of = client.get("/v1/rooms").await.json["as_of"].as_str().unwrap().to_owned();
    let mut stream = crate::sse::Events::after(&client, &as_of).await.unwrap();
    let began = Instant::now();
    let status = host.terminate().await;
    assert!(status.success(), "{status}");
    assert!(began.elapsed() < seconds(15), "it took {:?}", began.elapsed());
    let answer = waits.await.unwrap().expect(202);
    assert_eq!(answer.json["state"], "waiting");
    while stream.next().await.is_some() {}

    let host = site.start().await;
    let still = host.client().get("/v1/rooms/waits").await.expect(200).json;
    assert_eq!(still["state"], "waiting", "what was acknowledged outlives the process");
}
