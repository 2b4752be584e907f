//! The host's API: one report, one answer, within a time.

use std::error::Error;
use std::io;
use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Client, Response, StatusCode, Url};
use rustls::CertificateError;
use serde::Deserialize;

use crate::CannotStart;
use crate::cadence::RETRY_AFTER_MAX;
use crate::media::chain;
use crate::report::Report;
use crate::room::RoomId;
use crate::settings::HostSettings;
use crate::token::{CannotKeep, Token};

/// How long a report may take, answer included: a host that is slower than the interval is as good as away.
const REPORT_LIMIT: Duration = Duration::from_secs(5);

/// The largest answer: all of a report's rooms have moved, each with two ids.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What of a body that is no problem document is shown, in characters.
const SHOWN_CHARS_MAX: usize = 200;

/// What the host tells an agent. Fields of a newer host are ignored.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Answer {
    #[serde(default)]
    pub(crate) phase: String,
    /// What keeps new rooms away.
    #[serde(default)]
    pub(crate) hold: Option<Hold>,
    #[serde(default)]
    pub(crate) health: String,
    /// Rooms of the report that are elsewhere by now.
    #[serde(default)]
    pub(crate) moved: Vec<Moved>,
    /// A token to use from now on.
    #[serde(default)]
    token: Option<String>,
}

/// What keeps new rooms away from the server.
#[derive(Debug, Deserialize)]
pub(crate) struct Hold {
    #[serde(default)]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) owner: String,
    #[serde(default)]
    pub(crate) reason: String,
}

/// A room that is elsewhere by now.
#[derive(Debug, Deserialize)]
pub(crate) struct Moved {
    pub(crate) room: String,
    #[serde(default)]
    pub(crate) server: Option<String>,
}

impl Moved {
    /// Returns the room, if its name can be one of ours.
    pub(crate) fn id(&self) -> Option<RoomId> {
        self.room.parse().ok()
    }
}

/// Says why a report was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Nobody answered, or not in time.
    #[error("the host cannot be reached: {why}")]
    Away { why: String },
    /// Somebody answers, and cannot prove to be the host.
    #[error(
        "the host's certificate is not trusted ({why}); give --url a name that it has, and where a private authority made it, name that with --ca-file or USHER_CA_FILE"
    )]
    Untrusted { why: String },
    /// It is there, and cannot take it now.
    #[error("the host answers {status}: {detail}")]
    Busy {
        status: StatusCode,
        detail: String,
        retry_after: Option<Duration>,
    },
    /// It does not let us in.
    #[error(
        "the host refuses our token ({status}: {detail}); give this server's own, by --token-file or USHER_TOKEN: the answer to its registration has it, or `POST /v1/servers/NAME/token`"
    )]
    Denied { status: StatusCode, detail: String },
    /// It does not know this server.
    #[error(
        "the host does not know this server ({detail}); register it with PUT /v1/servers/NAME, or correct --server"
    )]
    UnknownServer { detail: String },
    /// It does not take a report like this: a bug, or figures that cannot be.
    #[error("the host does not take this report ({status}: {detail})")]
    Refused { status: StatusCode, detail: String },
    /// Its answer is not one of a host's.
    #[error("this is no answer of a host: {why}; is --url right?")]
    Unreadable { why: String },
}

/// A problem document of RFC 9457, as far as it is of use.
#[derive(Debug, Deserialize)]
struct Problem {
    detail: String,
    #[serde(default)]
    field: Option<String>,
}

/// Sends reports.
#[derive(Debug)]
pub(crate) struct Host {
    client: Client,
    report_url: Url,
    token: Token,
}

impl Host {
    /// Makes a client that is kept, and keeps its connection.
    ///
    /// # Errors
    /// There are no authorities on this machine to check certificates by, say.
    pub(crate) fn new(settings: HostSettings) -> Result<Host, CannotStart> {
        if is_in_clear(&settings) {
            tracing::warn!(
                "--url (USHER_URL) is plain http to another machine: whoever is on the way can read the token; let Usher speak TLS, and write https"
            );
        }
        let url = settings.report_url;
        let mut builder = Client::builder()
            .user_agent(concat!("usher-agent/", env!("CARGO_PKG_VERSION")))
            // A redirect would carry the token to somebody else.
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(1);
        if is_loopback(&url) {
            builder = builder.no_proxy();
        }
        builder = match url.scheme() {
            "https" => builder.tls_certs_merge(settings.authorities),
            // The system's authorities cost a megabyte, and are not asked.
            _ => builder.tls_certs_only([]),
        };
        let client = builder.build().map_err(|error| CannotStart::Client {
            url: url.to_string(),
            why: chain(&error),
        })?;
        Ok(Host {
            client,
            report_url: url,
            token: settings.token,
        })
    }

    /// Sends a report; whatever comes of it, within [`REPORT_LIMIT`].
    ///
    /// # Errors
    /// It was not taken.
    pub(crate) async fn report(&self, report: &Report) -> Result<Answer, Failure> {
        let late = || Failure::Away {
            why: format!("no answer within {} s", REPORT_LIMIT.as_secs()),
        };
        tokio::time::timeout(REPORT_LIMIT, self.exchange(report))
            .await
            .unwrap_or_else(|_| Err(late()))
    }

    async fn exchange(&self, report: &Report) -> Result<Answer, Failure> {
        let mut request = self.client.post(self.report_url.clone()).json(report);
        if let Some(token) = self.token.as_str() {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.map_err(unreached)?;
        let status = response.status();
        let retry_after = retry_after(&response);
        let bytes = body(response).await?;
        if status.is_success() {
            return serde_json::from_slice(&bytes).map_err(|error| Failure::Unreadable { why: error.to_string() });
        }
        let detail = detail(&bytes);
        Err(match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Failure::Denied { status, detail },
            StatusCode::NOT_FOUND => Failure::UnknownServer { detail },
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Failure::Busy {
                status,
                detail,
                retry_after,
            },
            _ if status.is_client_error() => Failure::Refused { status, detail },
            _ if status.is_server_error() => Failure::Busy {
                status,
                detail,
                retry_after,
            },
            _ => Failure::Unreadable {
                why: format!("status {status}"),
            },
        })
    }

    /// Uses the token that the host has given, if it has; returns whether it is a new one.
    ///
    /// # Errors
    /// It could not be kept.
    pub(crate) fn take_token(&mut self, answer: &Answer) -> Result<bool, CannotKeep> {
        match &answer.token {
            Some(token) => self.token.exchange(token),
            None => Ok(false),
        }
    }

    /// The token is refused; returns whether there is another one to try at once.
    pub(crate) fn token_refused(&mut self) -> bool {
        self.token.refused()
    }
}

fn unreached(error: reqwest::Error) -> Failure {
    let mut causes = std::iter::successors(Some(&error as &(dyn Error + 'static)), |error| cause(*error));
    match causes.find_map(|error| error.downcast_ref()) {
        Some(rustls::Error::InvalidCertificate(why)) => Failure::Untrusted { why: shown(why) },
        Some(_) | None => Failure::Away { why: chain(&error) },
    }
}

/// Returns why a certificate is refused, in the word of who judged it.
fn shown(why: &CertificateError) -> String {
    match why {
        CertificateError::Other(other) => other.0.to_string(),
        why => why.to_string(),
    }
}

/// Returns what an error came of. An I/O error's source is not what it holds, but the source of that.
fn cause<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(held) => Some(held),
        None => error.source(),
    }
}

async fn body(mut response: Response) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let away = |error: reqwest::Error| Failure::Away { why: chain(&error) };
    while let Some(chunk) = response.chunk().await.map_err(away)? {
        if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(Failure::Unreadable {
                why: format!("it has more than {ANSWER_BYTES_MAX} bytes"),
            });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn detail(bytes: &[u8]) -> String {
    match serde_json::from_slice::<Problem>(bytes) {
        Ok(Problem {
            detail,
            field: Some(field),
        }) => format!("{detail} (field {field})"),
        Ok(Problem { detail, field: None }) => detail,
        Err(_) => {
            let start = &bytes[..bytes.len().min(4 * SHOWN_CHARS_MAX)];
            let text: String = String::from_utf8_lossy(start).chars().take(SHOWN_CHARS_MAX).collect();
            format!("{text:?}")
        }
    }
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds: u64 = response
        .headers()
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

/// Returns whether others could read the token on its way.
fn is_in_clear(settings: &HostSettings) -> bool {
    let url = &settings.report_url;
    settings.token.as_str().is_some() && url.scheme() == "http" && !is_loopback(url)
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_a_newer_or_older_host_is_read() {
        let answer: Answer = serde_json::from_str(
            r#"{"phase":"ready","hold":{"kind":"resting","until":5},"moved":[{"room":"a","server":null,"why":"x"}],"new":{}}"#,
        )
        .unwrap();
        assert_eq!(answer.hold.unwrap().kind, "resting");
        assert_eq!(answer.moved[0].id().unwrap().as_str(), "a");
        let empty: Answer = serde_json::from_str("{}").unwrap();
        assert!(empty.hold.is_none() && empty.token.is_none());
    }

    #[test]
    fn a_problem_document_says_which_field() {
        assert_eq!(
            detail(br#"{"type":"x","detail":"too much","field":"figures"}"#),
            "too much (field figures)"
        );
        assert_eq!(detail(b"<html>"), "\"<html>\"");
    }

    #[test]
    fn a_token_is_in_clear_on_its_way_to_another_machine_by_plain_http_only() {
        for (url, token, is) in [
            ("http://usher.example.com/", Some("s3cret"), true),
            ("http://10.0.0.1:7070/", Some("s3cret"), true),
            ("http://10.0.0.1:7070/", None, false),
            ("http://127.0.0.1:7070/", Some("s3cret"), false),
            ("https://usher.example.com/", Some("s3cret"), false),
        ] {
            let settings = HostSettings {
                report_url: Url::parse(url).unwrap(),
                token: Token::of(token, None).unwrap(),
                authorities: Vec::new(),
            };
            assert_eq!(is_in_clear(&settings), is, "{url} {token:?}");
        }
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for (url, is) in [
            ("http://127.0.0.1:1/", true),
            ("http://[::1]:1/", true),
            ("http://localhost/", true),
            ("http://10.0.0.1/", false),
            ("http://localhost.example.com/", false),
        ] {
            assert_eq!(is_loopback(&Url::parse(url).unwrap()), is, "{url}");
        }
    }
}
