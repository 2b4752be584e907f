//! How a connection begins where TLS is spoken: within a time, or not at all.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::Impatient;
use crate::metrics;

/// The longest until hands are shaken: three round trips to another continent and a busy client fit many times over, and
/// whoever only holds a place loses it soon.
const HANDSHAKE_WAIT: Duration = Duration::from_secs(10);

/// A connection on which requests may come.
pub(super) enum Opened {
    /// Over TLS. A session has a kilobyte, the other way has not.
    Tls(Box<TlsStream<Impatient>>),
    /// Somebody who speaks plain HTTP.
    Plain(Impatient),
}

/// Why no request can come.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("it took longer than {} s", HANDSHAKE_WAIT.as_secs())]
    Late,
    #[error("the client broke off")]
    BrokenOff,
    #[error("{0}")]
    Refused(#[source] io::Error),
}

impl Failed {
    fn word(&self) -> &'static str {
        match self {
            Failed::Late => "late",
            Failed::BrokenOff => "broken_off",
            Failed::Refused(_) => "refused",
        }
    }

    /// Tells who went from who disagreed. Most of the first only look whether the port is open.
    fn of(error: io::Error) -> Failed {
        match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                Failed::BrokenOff
            }
            _ => Failed::Refused(error),
        }
    }
}

/// Shakes hands. What fails is counted, and told to who wants to know everything: anybody can have it fail.
pub(super) async fn open(stream: TcpStream, acceptor: TlsAcceptor) -> Option<Opened> {
    let opened = tokio::time::timeout(HANDSHAKE_WAIT, shake(stream, acceptor)).await;
    match opened.unwrap_or(Err(Failed::Late)) {
        Ok(Opened::Plain(stream)) => {
            metrics::handshake_failed("plain_http");
            Some(Opened::Plain(stream))
        }
        Ok(opened) => Some(opened),
        Err(failed) => {
            metrics::handshake_failed(failed.word());
            tracing::debug!("a TLS handshake failed: {failed}");
            None
        }
    }
}

async fn shake(stream: TcpStream, acceptor: TlsAcceptor) -> Result<Opened, Failed> {
    let mut first = [0];
    match stream.peek(&mut first).await.map_err(Failed::of)? {
        0 => return Err(Failed::BrokenOff),
        // A method's first letter; TLS begins with the number of a handshake's record, which is none.
        _ if first[0].is_ascii_uppercase() => return Ok(Opened::Plain(Impatient::new(stream))),
        _ => {}
    }
    let shaken = acceptor.accept(Impatient::new(stream)).await.map_err(Failed::of)?;
    Ok(Opened::Tls(Box::new(shaken)))
}
