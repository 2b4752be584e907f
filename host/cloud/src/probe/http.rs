//! A single GET over a connection that exists, for its status alone.

use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::address::Address;
use crate::task::Task;

/// How much of a body is read before the connection is cut, in bytes: a health page is smaller, and a server whose page
/// was read to its end logs no broken pipe.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// How long a body is read: one that never ends must not use up the probe's patience.
const BODY_PATIENCE: Duration = Duration::from_millis(200);

/// How much may stand before the body, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Asks for a path, the URL's own unless another is given: 2xx and 3xx are well. The caller bounds the time.
pub(super) async fn get(stream: TcpStream, address: &Address, path: Option<&str>) -> Result<(), String> {
    let path = path.unwrap_or(&address.path);
    let request = Request::get(path)
        .header(HOST, &address.authority)
        .header(USER_AGENT, "usher")
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| format!("{path:?} is no path: {error}"))?;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| format!("no HTTP: {error}"))?;
    let _connection = Task::new(tokio::spawn(async {
        // What goes wrong with it, the request is told.
        let _ = connection.await;
    }));
    let response = sender
        .send_request(request)
        .await
        .map_err(|error| format!("GET {path}: {error}"))?;
    let status = response.status();
    if !(status.is_success() || status.is_redirection()) {
        return Err(format!("GET {path}: {status}"));
    }
    let _ = timeout(BODY_PATIENCE, drain(response)).await;
    Ok(())
}

/// Reads a body to its end or to [`BODY_BYTES_MAX`]. Its status has spoken: what becomes of the body changes nothing.
async fn drain(response: Response<Incoming>) {
    let mut body = response.into_body();
    let mut length = 0;
    while let Some(Ok(frame)) = body.frame().await {
        length += frame.data_ref().map_or(0, Bytes::len);
        if length > BODY_BYTES_MAX {
            return;
        }
    }
}
