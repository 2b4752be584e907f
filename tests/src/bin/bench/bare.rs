//! Bare hyper: what this machine gives at best to a server that answers the same requests with as many bytes and decides nothing.
//!
//! It is this program once more, in a process of its own, with the same runtime as the host has.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use anyhow::Context;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// The argument that makes this program bare hyper.
pub(crate) const ARGUMENT: &str = "serve-bare-hyper";

/// The process; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Bare {
    process: Child,
    pub(crate) address: SocketAddr,
}

impl Bare {
    /// Starts it, to answer every request with this body.
    pub(crate) fn start(body: &str) -> anyhow::Result<Bare> {
        let program = std::env::current_exe().context("cannot tell where this program is")?;
        let mut process = Command::new(program)
            .args([ARGUMENT, body])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start bare hyper")?;
        let output = process.stdout.take().context("bare hyper has no output")?;
        let mut line = String::new();
        let read = BufReader::new(output).read_line(&mut line);
        let mut bare = Bare {
            process,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        read.context("bare hyper does not say where it listens")?;
        bare.address = line
            .trim()
            .parse()
            .context("bare hyper does not say where it listens")?;
        Ok(bare)
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Serves in this process until its stdin closes, which it does when whoever started it ends.
pub(crate) fn serve() -> anyhow::Result<()> {
    let body = Bytes::from(std::env::args().nth(2).context("a body is needed")?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        writeln!(std::io::stdout().lock(), "{}", listener.local_addr()?)?;
        tokio::select! {
            accepted = accept(listener, body) => accepted,
            // Nothing is sent; what counts is the end.
            _ = tokio::task::spawn_blocking(|| std::io::stdin().lock().read(&mut [0])) => Ok(()),
        }
    })
}

async fn accept(listener: TcpListener, body: Bytes) -> anyhow::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let body = body.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| answer(request, body.clone()));
            // A client that breaks off is its own affair.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(request: Request<Incoming>, body: Bytes) -> hyper::Result<Response<Full<Bytes>>> {
    request.into_body().collect().await?;
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = StatusCode::CREATED;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
