//! One question to a media server: within a time, and with an answer of a largest size.

use std::time::Duration;

use reqwest::{Client, Request, RequestBuilder, StatusCode, Url};

/// How long one question may take: it goes to the same machine, and the next report waits for it.
const QUESTION_LIMIT: Duration = Duration::from_secs(2);

/// The largest answer: ten thousand rooms as Janus describes them are 5 MB.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What of an answer is shown when it is not understood, in characters.
const SHOWN_CHARS_MAX: usize = 120;

/// Says why a media server's word is not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MediaError {
    /// No client could be made for it.
    #[error("cannot make a client for {url}: {why}")]
    Client { url: Url, why: String },
    /// It took too long.
    #[error("{url} did not answer within {} s", QUESTION_LIMIT.as_secs())]
    Late { url: Url },
    /// It could not be reached, or broke off.
    #[error("{url} cannot be reached: {why}")]
    Unreachable { url: Url, why: String },
    /// Its answer has another status than 2xx.
    #[error("{url} answered {status}: {text:?}")]
    Status { url: Url, status: StatusCode, text: String },
    /// Its answer is too large.
    #[error("the answer of {url} has more than {ANSWER_BYTES_MAX} bytes")]
    TooLarge { url: Url },
    /// Its answer is not what was asked for.
    #[error("the answer of {url} cannot be read: {why}")]
    Unreadable { url: Url, why: String },
    /// It says no, in its own words.
    #[error("{url} refuses: {why}")]
    Refused { url: Url, why: String },
}

impl MediaError {
    /// Returns whether there is nothing at the address.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(
            self,
            MediaError::Status {
                status: StatusCode::NOT_FOUND,
                ..
            }
        )
    }

    /// Returns whether it has no such call.
    pub(super) fn is_no_such_call(&self) -> bool {
        matches!(
            self,
            MediaError::Status {
                status: StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED,
                ..
            }
        )
    }
}

/// Makes a client for one address; it is kept, and keeps its connection.
pub(crate) fn client_for(url: &Url) -> Result<Client, MediaError> {
    let mut builder = Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(2);
    if url.scheme() == "http" {
        // The system's authorities cost a megabyte, and are not asked.
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(|error| MediaError::Client {
        url: url.clone(),
        why: chain(&error),
    })
}

/// Asks, and returns the answer's bytes.
pub(crate) async fn ask(client: &Client, request: RequestBuilder) -> Result<Vec<u8>, MediaError> {
    let request = request.build().map_err(|error| MediaError::Client {
        url: error.url().cloned().unwrap_or_else(nowhere),
        why: chain(&error),
    })?;
    let url = request.url().clone();
    match tokio::time::timeout(QUESTION_LIMIT, answer(client, request, &url)).await {
        Ok(answer) => answer,
        Err(_) => Err(MediaError::Late { url }),
    }
}

async fn answer(client: &Client, request: Request, url: &Url) -> Result<Vec<u8>, MediaError> {
    let unreachable = |error: reqwest::Error| MediaError::Unreachable {
        url: url.clone(),
        why: chain(&error.without_url()),
    };
    let mut response = client.execute(request).await.map_err(unreachable)?;
    let status = response.status();
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(MediaError::TooLarge { url: url.clone() });
        }
        bytes.extend_from_slice(&chunk);
    }
    if status.is_success() {
        return Ok(bytes);
    }
    Err(MediaError::Status {
        url: url.clone(),
        status,
        text: shown_bytes(&bytes),
    })
}

/// Reads an answer as JSON.
pub(super) fn parsed<'a, T: serde::Deserialize<'a>>(url: &Url, bytes: &'a [u8]) -> Result<T, MediaError> {
    serde_json::from_slice(bytes).map_err(|error| MediaError::Unreadable {
        url: url.clone(),
        // The error may hold a whole text of the answer.
        why: format!("{}; it begins with {:?}", shown(&error.to_string()), shown_bytes(bytes)),
    })
}

/// Returns the address of a call below a base address.
pub(crate) fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url
}

/// Returns an error with all its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// Returns the beginning of what a media server has said.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).collect()
}

fn shown_bytes(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(4 * SHOWN_CHARS_MAX)];
    shown(&String::from_utf8_lossy(start))
}

fn nowhere() -> Url {
    Url::parse("http://nowhere.invalid").expect("this is an address")
}
