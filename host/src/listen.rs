//! Serves HTTP on a socket, with or without TLS: bounds on how many connect, how long they may take, and how they end.
//!
//! A connection costs some kilobytes while it idles, 25 of them over TLS. Whoever shakes hands or sends a request slowly, or does not take its
//! answer, is cut; it never holds anybody else up.

mod handshake;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, Sleep};
use tokio_rustls::TlsAcceptor;
use tower::Service;

use self::handshake::Opened;

/// Connections at the same time: some thousand app servers and dashboards, each with a few.
pub const CONNECTIONS_MAX: usize = 20_000;
/// Files that are kept for other things than connections: the store, policies, programs of exec pools.
const FILES_KEPT: u64 = 512;
/// The longest until a request's head has come, also the longest that a connection idles: longer than clients keep theirs.
const HEAD_WAIT: Duration = Duration::from_secs(75);
/// The longest that a client takes nothing of what is sent.
const WRITE_STALL_MAX: Duration = Duration::from_secs(15);
/// Headers of a request, and the bytes that they and the request line may have.
const HEADERS_MAX: usize = 64;
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// After a failed accept (no files left, say) the next is tried so much later.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Raises the process's limit of open files as far as the system lets it, and returns how many connections fit.
pub fn connections_max() -> usize {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        // What was granted is read again below.
        let _ = setrlimit(Resource::Nofile, limit);
    }
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let connections = files.saturating_sub(FILES_KEPT).max(files / 2);
    usize::try_from(connections).unwrap_or(usize::MAX).min(CONNECTIONS_MAX)
}

/// What is served on a socket.
#[derive(Debug, Clone)]
pub enum Served {
    /// This, in plain HTTP.
    Plain(Router),
    /// The first over TLS as the settings have it, the second to those who speak plain HTTP all the same.
    Tls(Arc<ServerConfig>, Router, Router),
}

/// Accepts and serves connections until `stopping`, then waits for the answers that are under way, at most `grace`.
pub async fn serve(
    listener: TcpListener,
    served: Served,
    connections_max: usize,
    mut stopping: watch::Receiver<bool>,
    grace: Duration,
) {
    let places = Arc::new(Semaphore::new(connections_max));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.wait_for(|stopping| *stopping) => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // One too many is closed at once: its client learns more from that than from silence.
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            continue;
        };
        // It only saves waiting; a socket that refuses it works all the same.
        let _ = stream.set_nodelay(true);
        let connection = connection(stream, served.clone(), graceful.watcher(), stopping.clone());
        tokio::spawn(async move {
            connection.await;
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(grace, graceful.shutdown()).await.is_err() {
        tracing::warn!("connections were cut that had not ended within {} s", grace.as_secs());
    }
}

/// Serves a connection to its end. One that still shakes hands when the host stops has nothing under way, and is dropped.
async fn connection(stream: TcpStream, served: Served, watcher: Watcher, mut stopping: watch::Receiver<bool>) {
    let (config, router, only_https) = match served {
        Served::Plain(router) => return requests(Impatient::new(stream), router, watcher).await,
        Served::Tls(config, router, only_https) => (config, router, only_https),
    };
    let opened = tokio::select! {
        opened = handshake::open(stream, TlsAcceptor::from(config)) => opened,
        _ = stopping.wait_for(|stopping| *stopping) => return,
    };
    match opened {
        Some(Opened::Tls(stream)) => requests(*stream, router, watcher).await,
        Some(Opened::Plain(stream)) => requests(stream, only_https, watcher).await,
        None => {}
    }
}

async fn requests(stream: impl AsyncRead + AsyncWrite + Unpin + 'static, router: Router, watcher: Watcher) {
    let service = service_fn(move |request: Request<Incoming>| {
        let mut router = router.clone();
        Service::call(&mut router, request.map(Body::new))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    // A client that breaks off is its own affair.
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// A stream that fails when its other end takes nothing for [`WRITE_STALL_MAX`].
#[derive(Debug)]
struct Impatient {
    stream: TcpStream,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Impatient {
    fn new(stream: TcpStream) -> Impatient {
        Impatient { stream, stalled: None }
    }

    /// Passes on what writing came to, and loses patience where it has come to nothing for too long.
    fn patiently<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + WRITE_STALL_MAX)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the client takes nothing of what is sent",
        )))
    }
}

impl AsyncRead for Impatient {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Impatient {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.patiently(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.patiently(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
