//! Claims about probes, with real listeners.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;

use super::*;

const PATIENT: ProbeTiming = ProbeTiming {
    interval: Duration::from_secs(1),
    timeout: Duration::from_secs(20),
};

const HASTY: ProbeTiming = ProbeTiming {
    interval: Duration::from_secs(1),
    timeout: Duration::from_millis(100),
};

fn http(path: Option<&str>, timing: ProbeTiming) -> ProbeConfig {
    let path = path.map(str::to_owned);
    ProbeConfig::Http { path, timing }
}

async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

async fn probe(config: &ProbeConfig, url: &str) -> Result<(), String> {
    Prober::new().probe(config, url, LastSeen::Answering).await
}

/// Probes a server that answers one request with these bytes and closes; returns the verdict and what was asked.
async fn probe_of(config: &ProbeConfig, scheme: &str, answer: &[u8]) -> (Result<(), String>, String) {
    let (listener, port) = listener().await;
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            asked.push(stream.read_u8().await.unwrap());
        }
        // The probe may have seen enough before the end.
        let _ = stream.write_all(answer).await;
        String::from_utf8(asked).unwrap()
    };
    let url = format!("{scheme}://127.0.0.1:{port}/janus?x=1");
    tokio::join!(probe(config, &url), serve)
}

#[tokio::test]
async fn a_tcp_probe_wants_a_connection_and_no_more() {
    let config = ProbeConfig::Tcp(PATIENT);
    let (_listener, port) = listener().await;
    for scheme in ["http", "ws", "https", "wss", "rtmp"] {
        assert_eq!(probe(&config, &format!("{scheme}://127.0.0.1:{port}/")).await, Ok(()));
    }
    // A port that is taken and where nobody listens: one that was just given back, another test may get.
    let taken = TcpSocket::new_v4().unwrap();
    taken.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = taken.local_addr().unwrap().port();
    let why = probe(&config, &format!("ws://127.0.0.1:{port}/")).await.unwrap_err();
    assert!(
        why.starts_with(&format!("cannot connect to 127.0.0.1:{port}: ")),
        "{why}"
    );
}

#[tokio::test]
async fn a_url_that_leads_nowhere_fails_with_the_reason() {
    let why = probe(&ProbeConfig::Tcp(PATIENT), "not a url").await.unwrap_err();
    assert!(why.contains("is no URL"), "{why}");
}

#[tokio::test]
async fn success_and_redirection_are_well_and_all_else_is_not() {
    for (status, is_well) in [
        ("200 OK", true),
        ("204 No Content", true),
        ("301 Moved", true),
        ("400 Bad Request", false),
        ("404 Not Found", false),
        ("503 Service Unavailable", false),
    ] {
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        let (verdict, _) = probe_of(&http(None, PATIENT), "http", answer.as_bytes()).await;
        assert_eq!(verdict.is_ok(), is_well, "{status}: {verdict:?}");
        if let Err(why) = verdict {
            assert_eq!(
                why,
                format!("GET /janus?x=1: {}", &status[..3].parse::<hyper::StatusCode>().unwrap())
            );
        }
    }
}

#[tokio::test]
async fn an_http_probe_asks_for_the_urls_path_or_the_pools() {
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let (_, asked) = probe_of(&http(None, PATIENT), "ws", answer).await;
    assert!(
        asked.starts_with("GET /janus?x=1 HTTP/1.1\r\nhost: 127.0.0.1:"),
        "{asked}"
    );
    assert!(asked.contains("\r\nconnection: close\r\n"), "{asked}");
    let (_, asked) = probe_of(&http(Some("/janus/info"), PATIENT), "http", answer).await;
    assert!(asked.starts_with("GET /janus/info HTTP/1.1\r\n"), "{asked}");
}

#[tokio::test]
async fn a_redirection_is_not_followed() {
    let (elsewhere, port) = listener().await;
    let answer = format!("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:{port}/\r\ncontent-length: 0\r\n\r\n");
    let (verdict, _) = probe_of(&http(None, PATIENT), "http", answer.as_bytes()).await;
    assert_eq!(verdict, Ok(()));
    // The first to knock there is the one that we send now.
    let knock = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (_, from) = elsewhere.accept().await.unwrap();
    assert_eq!(from, knock.local_addr().unwrap());
}

#[tokio::test]
async fn what_is_not_http_fails_with_the_reason() {
    for answer in [&b"SSH-2.0-OpenSSH_9.2\r\n"[..], b"", b"HTTP/1.1 20"] {
        let (verdict, _) = probe_of(&http(None, PATIENT), "http", answer).await;
        let why = verdict.unwrap_err();
        assert!(why.starts_with("GET /janus?x=1: "), "{why}");
    }
}

#[tokio::test]
async fn an_endless_head_fails_and_an_endless_body_does_not() {
    let head = [b"HTTP/1.1 200 OK\r\n".as_slice(), &b"x: y\r\n".repeat(10_000)].concat();
    assert!(probe_of(&http(None, PATIENT), "http", &head).await.0.is_err());
    let body = [b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), &vec![b'x'; 4_000_000]].concat();
    assert_eq!(probe_of(&http(None, PATIENT), "http", &body).await.0, Ok(()));
}

#[tokio::test]
async fn a_body_that_never_comes_does_not_use_up_the_patience() {
    let (listener, port) = listener().await;
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n")
            .await
            .unwrap();
        // Ends when the probe cuts the connection.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    };
    let (config, url) = (http(None, PATIENT), format!("http://127.0.0.1:{port}"));
    let (verdict, ()) = tokio::join!(probe(&config, &url), serve);
    assert_eq!(verdict, Ok(()));
}

#[tokio::test]
async fn a_server_that_does_not_answer_in_time_fails() {
    let (_listener, port) = listener().await;
    let verdict = probe(&http(None, HASTY), &format!("http://127.0.0.1:{port}/")).await;
    assert_eq!(verdict, Err("no answer within 0.1 s".to_owned()));
}

#[tokio::test]
async fn tls_is_probed_by_a_connection_and_the_shortfall_is_told() {
    let (_listener, port) = listener().await;
    let config = http(None, PATIENT);
    for (url, falls_short) in [
        (format!("wss://127.0.0.1:{port}/"), true),
        (format!("https://127.0.0.1:{port}/"), true),
        (format!("ws://127.0.0.1:{port}/"), false),
    ] {
        assert_eq!(shortfall(&config, &url).is_some(), falls_short, "{url}");
        assert_eq!(shortfall(&ProbeConfig::Tcp(PATIENT), &url), None);
        if falls_short {
            assert_eq!(probe(&config, &url).await, Ok(()));
        }
    }
}

#[tokio::test]
async fn servers_that_let_us_wait_are_probed_a_few_at_a_time_and_hold_up_no_other() {
    let (silent, silent_port) = listener().await;
    let (_answering, port) = listener().await;
    let prober = Arc::new(Prober::new());
    let mut hanging = JoinSet::new();
    for _ in 0..PROBES_OF_FAILING_MAX + 1 {
        let prober = Arc::clone(&prober);
        hanging.spawn(async move {
            let (config, url) = (http(None, PATIENT), format!("http://127.0.0.1:{silent_port}"));
            prober.probe(&config, &url, LastSeen::Failing).await
        });
    }
    let mut held = Vec::new();
    for _ in 0..PROBES_OF_FAILING_MAX {
        held.push(silent.accept().await.unwrap());
    }
    assert_eq!(prober.failing.available_permits(), 0);
    let (config, url) = (ProbeConfig::Tcp(PATIENT), format!("http://127.0.0.1:{port}"));
    assert_eq!(prober.probe(&config, &url, LastSeen::Answering).await, Ok(()));
    assert!(hanging.try_join_next().is_none(), "the others still wait");
    held.pop();
    assert!(hanging.join_next().await.unwrap().unwrap().is_err());
    silent.accept().await.unwrap();
}

#[test]
fn no_timing_spins_or_overflows() {
    for span in [Duration::ZERO, Duration::MAX] {
        let odd = ProbeTiming {
            interval: span,
            timeout: span,
        };
        let kept = timing(&ProbeConfig::Tcp(odd));
        assert!(kept.interval >= INTERVAL_MIN && kept.interval <= SPAN_MAX && kept.timeout <= SPAN_MAX);
    }
    assert_eq!(timing(&ProbeConfig::Tcp(HASTY)), HASTY);
}
