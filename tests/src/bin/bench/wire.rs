//! HTTP/1.1 as a load client needs it: requests written from ready-made parts, answers read only as far as they must be checked.
//!
//! It knows answers with a `content-length` or without a body; anything else is a mistake and ends the run.

use std::net::SocketAddr;

use anyhow::{Context, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer is some 600 bytes, a list of decisions some kilobytes; beyond this it is none of ours.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// A connection that stays open, with one request at a time.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

/// An answer, complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(to: SocketAddr) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect(to)
            .await
            .with_context(|| format!("cannot connect to {to}"))?;
        stream.set_nodelay(true).context("the socket cannot send at once")?;
        Ok(Connection {
            stream,
            received: Vec::with_capacity(4096),
        })
    }

    /// Sends a request and returns its answer.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> anyhow::Result<Answer<'_>> {
        self.received.clear();
        self.stream.write_all(request).await.context("cannot send")?;
        let head = loop {
            self.receive().await?;
            if let Some(head) = Head::read(&self.received)? {
                break head;
            }
        };
        while self.received.len() < head.end + head.length {
            self.receive().await?;
        }
        ensure!(
            self.received.len() == head.end + head.length,
            "more came than was asked for"
        );
        Ok(Answer {
            status: head.status,
            body: &self.received[head.end..],
        })
    }

    async fn receive(&mut self) -> anyhow::Result<()> {
        ensure!(self.received.len() < ANSWER_BYTES_MAX, "an answer is too large");
        let count = self
            .stream
            .read_buf(&mut self.received)
            .await
            .context("cannot receive")?;
        ensure!(count > 0, "the connection was closed before its answer had come");
        Ok(())
    }
}

/// What an answer's head says of the rest.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    /// Where the body begins.
    end: usize,
    length: usize,
}

impl Head {
    /// Reads a head; `None` while it is not complete.
    fn read(received: &[u8]) -> anyhow::Result<Option<Head>> {
        let Some(end) = received.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
            return Ok(None);
        };
        let text = std::str::from_utf8(&received[..end]).context("an answer's head is not text")?;
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 "));
        let status = status.and_then(|rest| rest.get(..3)).and_then(|code| code.parse().ok());
        let Some(status) = status else {
            bail!("not an answer in HTTP/1.1: {text}");
        };
        // 204 has neither.
        let mut length = 0;
        for line in lines {
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().context("a content-length is no number")?;
            }
            ensure!(
                !name.eq_ignore_ascii_case("transfer-encoding"),
                "an answer came in chunks"
            );
        }
        Ok(Some(Head {
            status,
            end: end + 4,
            length,
        }))
    }
}

/// Writes a request without a body.
pub(crate) fn plain(method: &str, path: &str) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").into_bytes()
}

/// Writes a request with a JSON body.
pub(crate) fn with_json(method: &str, path: &str, json: &str) -> Vec<u8> {
    let length = json.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{json}"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_says_how_much_comes() {
        let received = b"HTTP/1.1 201 Created\r\ndate: now\r\nContent-Length: 12\r\n\r\n{\"a\"";
        let head = Head::read(received).unwrap().unwrap();
        assert_eq!((head.status, head.length, head.end), (201, 12, received.len() - 4));
    }

    #[test]
    fn half_a_head_is_none() {
        assert_eq!(Head::read(b"HTTP/1.1 201 Created\r\ncontent-le").unwrap(), None);
    }

    #[test]
    fn an_answer_without_a_body_has_no_length() {
        let head = Head::read(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap().unwrap();
        assert_eq!((head.status, head.length), (204, 0));
    }

    #[test]
    fn what_is_not_http_is_an_error() {
        assert!(Head::read(b"SSH-2.0-x\r\n\r\n").is_err());
        assert!(Head::read(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
    }
}
