//! The API over HTTPS: for apps, agents and people, through renewals, and beside those who only hold the line.

pub(crate) mod authority;

use std::fs;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use self::authority::{Authority, Issue, connect, shown};
use crate::patience::{at_most, eventually, seconds};
use crate::site::{AGENT, Host, Site, USHER, written};

const POOL: &str = r#"
[[pool]]
name = "media"
provider = "external"
rooms_per_server = 100000
health = "none"
"#;

/// The first bytes of a handshake of 512 bytes: the rest never comes.
const HALF_A_HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";

/// Longer than a handshake may take, on a busy machine.
const HANDSHAKES_END: Duration = Duration::from_secs(25);

/// The longest that a request may take beside connections that only hold a place, on a busy machine of two cores.
const QUICKLY: Duration = Duration::from_secs(2);

async fn register(host: &Host) {
    let server = json!({ "pool": "media", "url": "ws://a" });
    host.client().put("/v1/servers/media-1", server).await.expect(201);
}

/// Returns a figure, 0 where there is none.
async fn figure(host: &Host, name: &str) -> f64 {
    let text = host.client().get("/metrics").await.text;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap())
}

#[tokio::test]
async fn a_room_is_placed_over_https_and_the_command_line_lists_its_server() {
    let authority = Authority::new();
    let (site, _) = authority.site(POOL);
    let host = site.start().await;
    register(&host).await;
    let room = host.client().put("/v1/rooms/standup", json!({})).await.expect(201);
    assert_eq!(room.json["server"]["name"], "media-1");
    let expires = figure(&host, "usher_certificate_expires_timestamp_seconds").await;
    assert!(expires > 1e9, "{expires}");

    let stranger = site.usher(&["servers"]);
    assert_eq!(stranger.status.code(), Some(4), "{}", written(&stranger));
    assert!(written(&stranger).contains("USHER_CA_FILE"), "{}", written(&stranger));
    let named = site.usher(&["servers", "--ca-file", "ca.pem"]);
    assert!(
        named.status.success() && written(&named).contains("media-1"),
        "{}",
        written(&named)
    );
    let site = site.with_variable("SSL_CERT_FILE", "ca.pem");
    let of_system = site.usher(&["servers"]);
    assert!(
        of_system.status.success(),
        "the system's authorities count: {}",
        written(&of_system)
    );
    let plain = format!("http://{}", site.address());
    let in_clear = site.usher(&["servers", "--url", &plain]);
    assert_eq!(in_clear.status.code(), Some(3), "{}", written(&in_clear));
    assert!(written(&in_clear).contains("write https://"), "{}", written(&in_clear));
    let log = host.log();
    assert!(
        log.contains("serving on https://127.0.0.1") && log.contains("localhost, 127.0.0.1"),
        "{log}"
    );
}

#[tokio::test]
async fn a_host_without_tls_is_told_from_one_that_is_not_there() {
    let site = Site::new(POOL);
    let _host = site.start().await;
    let asked = site.usher(&["servers", "--url", &format!("https://{}", site.address())]);
    assert_eq!(asked.status.code(), Some(4), "{}", written(&asked));
    assert!(written(&asked).contains("write http://"), "{}", written(&asked));
}

#[tokio::test]
async fn plain_http_where_https_is_spoken_is_told_so_and_nonsense_is_ended() {
    let authority = Authority::new();
    let (site, _) = authority.site(POOL);
    let host = site.start().await;
    let answered = async |sent: &[u8]| {
        let mut stream = TcpStream::connect(site.address()).await.unwrap();
        stream.write_all(sent).await.unwrap();
        let mut answer = Vec::new();
        // Whether it ends well or is reset, it ends.
        let _ = at_most("it is ended", HANDSHAKES_END, stream.read_to_end(&mut answer)).await;
        String::from_utf8_lossy(&answer).into_owned()
    };
    for request in [
        "GET /v1/rooms HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        "PUT /v1/rooms/a HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}",
    ] {
        let answer = answered(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.contains("\"code\":\"https_only\""), "{answer}");
    }
    let answer = answered(b"\x00\x01\x02\x03\x04\x05\x06\x07").await;
    assert!(!answer.contains("HTTP"), "{answer}");
    let failed = async |reason: &str| {
        let name = format!("usher_tls_handshakes_failed_total{{reason=\"{reason}\"}}");
        figure(&host, &name).await
    };
    assert_eq!((failed("plain_http").await, failed("refused").await), (2.0, 1.0));
    host.client().get("/v1/rooms/a").await.expect(404);
}

/// Asks a host until told to stop, each time over a new connection; counts, and fails at the first failure.
async fn ask_anew(site: Arc<Site>, asked: Arc<AtomicUsize>, is_over: Arc<AtomicBool>) {
    while !is_over.load(Ordering::Relaxed) {
        site.client().get("/healthz").await.expect(200);
        asked.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewed_certificate_is_taken_over_while_requests_run_and_none_fails() {
    let authority = Authority::new();
    let (site, first) = authority.site(POOL);
    let host = site.start().await;
    let site = Arc::new(site);
    let mut kept = connect(&site, &authority).await;
    assert_eq!(shown(&kept), first.der);
    let (asked, is_over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let askers: Vec<_> = (0..4)
        .map(|_| tokio::spawn(ask_anew(Arc::clone(&site), Arc::clone(&asked), Arc::clone(&is_over))))
        .collect();

    let ways: [fn(&Issue, &Site); 4] = [
        Issue::write,
        Issue::link_files,
        |issue, site| issue.link_folder(site, "v1"),
        |issue, site| issue.link_folder(site, "v2"),
    ];
    for way in ways {
        let issue = authority.issue();
        way(&issue, &site);
        eventually("the new one is shown", seconds(30), async || {
            (shown(&connect(&site, &authority).await) == issue.der).then_some(())
        })
        .await;
    }
    is_over.store(true, Ordering::Relaxed);
    for asker in askers {
        asker.await.unwrap();
    }
    assert!(asked.load(Ordering::Relaxed) > 20, "{asked:?}");
    kept.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let mut answer = [0; 15];
    kept.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK", "a connection from before is not cut");
    assert!(host.log().matches("are taken over").count() >= 4, "{}", host.log());
}

#[tokio::test]
async fn a_pair_that_is_not_whole_leaves_the_one_before_and_says_what_to_do() {
    let authority = Authority::new();
    let (site, first) = authority.site(POOL);
    let host = site.start().await;
    let told = async |what: &str| {
        eventually(what, seconds(30), async || host.log().contains(what).then_some(())).await;
        assert_eq!(shown(&connect(&site, &authority).await), first.der, "{what}");
        host.client().get("/healthz").await.expect(200);
    };
    let next = authority.issue();
    next.write_key(&site);
    told("is not the key of the certificate in").await;
    site.write("certs/privkey.pem", &next.key[..next.key.len() / 2]);
    told("it ends in the middle").await;
    fs::remove_file(site.path("certs/privkey.pem")).unwrap();
    told("privkey.pem cannot be read").await;
    assert!(
        host.log().contains("the one before stays, until 4096-01-01"),
        "{}",
        host.log()
    );

    next.write(&site);
    eventually("the whole pair is shown", seconds(30), async || {
        (shown(&connect(&site, &authority).await) == next.der).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_wrong_with_the_files_is_told_before_anything_is_served() {
    let authority = Authority::new();
    let (site, _) = authority.site(POOL);
    site.write("certs/fullchain.pem", "");
    site.write(
        "certs/privkey.pem",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    let checked = site.usher(&["config", "check"]);
    assert_eq!(checked.status.code(), Some(1), "{}", written(&checked));
    for told in ["2 problems", "there is no certificate in", "is encrypted"] {
        assert!(written(&checked).contains(told), "{told}: {}", written(&checked));
    }
    let mut host = site.spawn(Command::new(USHER));
    assert_eq!(host.end().await.code(), Some(1));
    assert!(host.log().contains("is encrypted"), "{}", host.log());
}

/// An agent; it is killed when it is dropped.
struct Agent(Child);

impl Agent {
    fn start(site: &Site, log: &str, more: &[&str]) -> Agent {
        let log = fs::File::create(site.path(log)).unwrap();
        let child = Command::new(AGENT)
            .args(["--server", "media-1", "--media", "none", "--report-seconds", "1"])
            .args(more)
            .current_dir(site.path("."))
            .env("USHER_URL", site.url())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        Agent(child.unwrap())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn an_agent_reports_over_https_to_a_host_of_a_private_authority() {
    /// What an agent may have of a machine's memory.
    const MEMORY_MIB_MAX: u64 = 20;
    let authority = Authority::new();
    let (site, _) = authority.site(&POOL.replace("none", "report"));
    let host = site.start().await;
    register(&host).await;
    let stranger = Agent::start(&site, "stranger.log", &[]);
    eventually("the agent says whom it does not trust", seconds(30), async || {
        let log = fs::read_to_string(site.path("stranger.log")).unwrap();
        log.contains("USHER_CA_FILE").then_some(())
    })
    .await;
    drop(stranger);
    let health = async || host.client().get("/v1/servers/media-1").await.expect(200).json["health"].clone();
    assert_eq!(
        health().await,
        "unknown",
        "nothing was reported to who could not prove to be the host"
    );

    let agent = Agent::start(&site, "agent.log", &["--ca-file", "ca.pem"]);
    eventually("it reports", seconds(30), async || {
        (health().await == "ok").then_some(())
    })
    .await;
    let status = fs::read_to_string(format!("/proc/{}/status", agent.0.id())).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kib: u64 = resident.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kib < MEMORY_MIB_MAX << 10, "{kib} KiB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handshakes_that_never_end_stop_nobody_are_cut_and_do_not_keep_the_host_from_its_end() {
    const HALF_OPEN: usize = 300;
    let authority = Authority::new();
    let (site, _) = authority.site(POOL);
    let host = site.start().await;
    register(&host).await;
    let begin = async |sent: &[u8]| {
        let mut stream = TcpStream::connect(site.address()).await.unwrap();
        stream.write_all(sent).await.unwrap();
        stream
    };
    let mut half_open = Vec::new();
    for number in 0..HALF_OPEN {
        half_open.push(begin([&b""[..], HALF_A_HELLO][number % 2]).await);
    }
    let mut slowest = Duration::ZERO;
    for number in 0..100 {
        let began = Instant::now();
        let client = site.client();
        client
            .put(&format!("/v1/rooms/quick-{number}"), json!({}))
            .await
            .expect(201);
        slowest = slowest.max(began.elapsed());
    }
    assert!(
        slowest < QUICKLY,
        "a new connection beside half-open ones took {slowest:?}"
    );
    for mut stream in half_open {
        let mut answer = Vec::new();
        let _ = at_most("it is cut", HANDSHAKES_END, stream.read_to_end(&mut answer)).await;
    }
    // A connection is closed a moment before it is counted.
    eventually("all are counted", seconds(10), async || {
        let late = figure(&host, "usher_tls_handshakes_failed_total{reason=\"late\"}").await;
        (late == HALF_OPEN as f64).then_some(())
    })
    .await;

    let half_open = [begin(b"").await, begin(HALF_A_HELLO).await];
    let began = Instant::now();
    let status = host.terminate().await;
    assert!(status.success(), "{status}");
    assert!(began.elapsed() < seconds(9), "the end took {:?}", began.elapsed());
    drop(half_open);
}

#[tokio::test]
async fn half_open_handshakes_count_among_the_connections_and_give_their_places_back() {
    /// Half of them are for connections.
    const FILES: usize = 256;
    let authority = Authority::new();
    let (site, _) = authority.site(POOL);
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("ulimit -n {FILES}; exec \"$0\" \"$@\""), USHER]);
    let host = site.spawn(limited).ready().await;
    let mut half_open = Vec::new();
    for _ in 0..FILES / 2 {
        half_open.push(TcpStream::connect(site.address()).await.unwrap());
    }
    eventually("there is no place left", seconds(5), async || {
        let asked = site.client().ask(hyper::Method::GET, "/healthz", None).await;
        asked.is_err().then_some(())
    })
    .await;
    eventually("there is a place again", HANDSHAKES_END, async || {
        let asked = site.client().ask(hyper::Method::GET, "/healthz", None).await;
        asked.is_ok().then_some(())
    })
    .await;
    drop((half_open, host));
}
