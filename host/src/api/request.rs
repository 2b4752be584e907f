//! From a request's parts to values that are known to be good: names in the path, queries, bodies, who is asking.
//!
//! Each thing that can be wrong has its own answer, and names the field.

mod url;

use std::fmt::{self, Display};
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::request::Parts;
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, EXPECT, HeaderMap};
use serde::Deserializer;
use serde::de::{DeserializeOwned, Unexpected, Visitor};
use usher_fleet::command::TokenNo;
use usher_fleet::config::Labels;
use usher_fleet::ids::{IdError, PoolName, Tenant};

use super::Api;
use super::respond::{Code, Problem};
use crate::auth::Caller;

pub(super) use url::{URL_CHARS_MAX, URL_PATTERN, url};

/// The largest body, in bytes: a room with all its labels has less than a tenth of it.
pub(super) const BODY_BYTES_MAX: usize = 64 * 1024;
/// The largest report, in bytes: ten thousand rooms.
pub(super) const REPORT_BYTES_MAX: usize = 1024 * 1024;
/// What is taken of a body that is refused, in bytes, so that its client reads why: several times the largest that is not.
const DRAINED_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The longest that a body may take to come: a megabyte on a slow mobile line.
const BODY_WAIT: Duration = Duration::from_secs(20);

/// The highest number of a placement: what numbers hold exactly in every client.
pub(super) const PLACEMENT_MAX: u64 = (1 << 53) - 1;
/// Labels of one thing: what a person can keep in mind.
pub(super) const LABELS_MAX: usize = 32;
/// The longest name of a label or figure, in characters.
pub(super) const KEY_CHARS_MAX: usize = 64;
/// The longest value of a label, in characters.
pub(super) const VALUE_CHARS_MAX: usize = 256;
/// The longest reason, in characters: a sentence or two for a person.
pub(super) const REASON_CHARS_MAX: usize = 500;
/// The longest region or zone, in characters.
pub(super) const PLACE_CHARS_MAX: usize = 64;

/// The one name in the path.
pub(super) struct Id<T>(pub(super) T);

impl<T: FromStr<Err = IdError> + Send> FromRequestParts<Arc<Api>> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let not_text = |_| {
            Problem::new(
                Code::InvalidId,
                "the path is not valid UTF-8 once its % signs are resolved",
            )
        };
        let params = RawPathParams::from_request_parts(parts, api).await.map_err(not_text)?;
        let Some((name, text)) = params.iter().next() else {
            return Err(Problem::new(Code::NotFound, "the path has no name in it"));
        };
        text.parse().map(Id).map_err(|error| Problem::id(name, &error))
    }
}

/// The query, by a type that knows every parameter.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Arc<Api>> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Api>) -> Result<Self, Problem> {
        match axum::extract::Query::<T>::try_from_uri(&parts.uri) {
            Ok(axum::extract::Query(query)) => Ok(Query(query)),
            Err(error) => {
                let text = error.body_text();
                let text = text
                    .strip_prefix("Failed to deserialize query string: ")
                    .unwrap_or(&text);
                Err(Problem::new(Code::InvalidQuery, text.to_owned()))
            }
        }
    }
}

impl FromRequestParts<Arc<Api>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let header = parts.headers.get(AUTHORIZATION).map(|value| value.as_bytes());
        Ok(api.doorkeeper.caller(header)?)
    }
}

/// Which servers a caller may work with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reach {
    /// All.
    All,
    /// Those of one pool.
    Pool(PoolName),
}

impl Caller {
    /// Lets in who works with rooms; returns the tenant whose rooms alone it sees.
    pub(super) fn with_rooms(self) -> Result<Option<Tenant>, Problem> {
        match self {
            Caller::Admin => Ok(None),
            Caller::App(tenant) => Ok(tenant),
            Caller::Register(_) | Caller::Agent(_) => Err(wrong_scope("app")),
        }
    }

    /// Lets in who makes and drains servers.
    pub(super) fn with_servers(self) -> Result<Reach, Problem> {
        match self {
            Caller::Admin => Ok(Reach::All),
            Caller::Register(pool) => Ok(Reach::Pool(pool)),
            Caller::App(_) | Caller::Agent(_) => Err(wrong_scope("register")),
        }
    }

    /// Lets in who reports; returns the token of the one server that it reports on, none for an admin.
    pub(super) fn with_reports(self) -> Result<Option<TokenNo>, Problem> {
        match self {
            Caller::Admin => Ok(None),
            Caller::Agent(token) => Ok(Some(token)),
            Caller::App(_) | Caller::Register(_) => Err(anothers_report()),
        }
    }

    /// Lets in admins alone.
    pub(super) fn admin(self) -> Result<(), Problem> {
        match self {
            Caller::Admin => Ok(()),
            Caller::App(_) | Caller::Register(_) | Caller::Agent(_) => Err(wrong_scope("admin")),
        }
    }
}

/// Says which scope is needed.
pub(super) fn wrong_scope(needed: &str) -> Problem {
    Problem::new(
        Code::WrongScope,
        format!("a token of scope `{needed}` or `admin` is needed"),
    )
}

/// Says where the reach of a token ends.
pub(super) fn beyond_reach(own: &PoolName) -> Problem {
    let detail = format!("this token works with servers of the pool {own} only");
    Problem::new(Code::WrongScope, detail)
}

/// Says whose token is needed for a report.
pub(super) fn anothers_report() -> Problem {
    let detail = "a server reports on itself only, with its own token: its registration's 201 has it, or \
                  `POST /v1/servers/{server}/token`";
    Problem::new(Code::WrongScope, detail)
}

/// A JSON body; none at all is as good as `{}`.
pub(super) struct Json<T, const BYTES_MAX: usize = BODY_BYTES_MAX>(pub(super) T);

impl<T: DeserializeOwned, const BYTES_MAX: usize> FromRequest<Arc<Api>> for Json<T, BYTES_MAX> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Arc<Api>) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        if body.is_end_stream() {
            return parse(b"{}").map(Json);
        }
        let bytes = tokio::time::timeout(BODY_WAIT, read(body, &parts.headers, BYTES_MAX))
            .await
            .map_err(|_| {
                Problem::new(
                    Code::BodyTimeout,
                    format!("the body took longer than {} s", BODY_WAIT.as_secs()),
                )
            })??;
        if bytes.is_empty() {
            return parse(b"{}").map(Json);
        }
        if !is_json(&parts.headers) {
            return Err(not_json());
        }
        parse(&bytes).map(Json)
    }
}

fn not_json() -> Problem {
    Problem::new(
        Code::UnsupportedMediaType,
        "send the body as JSON, with the header `Content-Type: application/json`",
    )
}

async fn read(mut body: Body, headers: &HeaderMap, bytes_max: usize) -> Result<Bytes, Problem> {
    let least = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let problem = if least > 0 && !is_json(headers) {
        not_json()
    } else if least > bytes_max {
        too_large(bytes_max)
    } else {
        match Limited::new(&mut body, bytes_max).collect().await {
            Ok(collected) => return Ok(collected.to_bytes()),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => too_large(bytes_max),
            Err(error) => {
                let detail = format!("the body ended early: {error}");
                return Err(Problem::new(Code::InvalidJson, detail));
            }
        }
    };
    // Whoever asks first sends nothing that is not wanted.
    if !headers.contains_key(EXPECT) {
        drain(&mut body).await;
    }
    Err(problem)
}

/// Takes what still comes: a connection that is closed while its client sends is reset, and the answer is lost with it.
async fn drain(body: &mut Body) {
    let mut bytes = 0;
    while bytes < DRAINED_BYTES_MAX
        && let Some(Ok(frame)) = body.frame().await
    {
        bytes += frame.data_ref().map_or(0, Bytes::len);
    }
}

fn too_large(bytes_max: usize) -> Problem {
    Problem::new(Code::BodyTooLarge, format!("the body has more than {bytes_max} bytes"))
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return false;
    };
    let essence = value.to_str().unwrap_or("").split(';').next().unwrap_or("").trim();
    essence.eq_ignore_ascii_case("application/json")
}

/// Reads JSON; only when that fails is it read again, to name the field.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let error = match serde_json::from_slice(bytes) {
        // serde reads a list as an object's values in order; we do not.
        Ok(_) if bytes.trim_ascii_start().first() != Some(&b'{') => {
            return Err(Problem::new(Code::InvalidField, "the body is a JSON object"));
        }
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    if !error.is_data() {
        return Err(Problem::new(Code::InvalidJson, error.to_string()));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let problem = Problem::new(Code::InvalidField, error.to_string());
    match serde_path_to_error::deserialize::<_, T>(&mut reader) {
        Err(error) if error.path().iter().next().is_some() => Err(problem.at(error.path().to_string())),
        Err(_) | Ok(_) => Err(problem),
    }
}

/// Reads a whole number or null. JSON does not tell 5 from 5.0, and neither do we.
pub(super) fn whole<'de, D: Deserializer<'de>, N: TryFrom<u64>>(deserializer: D) -> Result<Option<N>, D::Error> {
    deserializer
        .deserialize_option(WholeOrNull)
        .and_then(|number| number.map(narrow).transpose())
}

/// Reads a whole number.
pub(super) fn whole_needed<'de, D: Deserializer<'de>, N: TryFrom<u64>>(deserializer: D) -> Result<N, D::Error> {
    deserializer.deserialize_any(Whole).and_then(narrow)
}

fn narrow<E: serde::de::Error, N: TryFrom<u64>>(number: u64) -> Result<N, E> {
    let too_large = || E::invalid_value(Unexpected::Unsigned(number), &Whole);
    N::try_from(number).map_err(|_| too_large())
}

struct Whole;

impl Visitor<'_> for Whole {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number from 0 on that is not too large")
    }

    fn visit_u64<E>(self, number: u64) -> Result<u64, E> {
        Ok(number)
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<u64, E> {
        /// Beyond it not every whole number has a float of its own.
        const EXACT_MAX: f64 = (1_u64 << 53) as f64;
        if number.fract() == 0.0 && (0.0..=EXACT_MAX).contains(&number) {
            return Ok(number as u64);
        }
        Err(E::invalid_value(Unexpected::Float(number), &self))
    }
}

struct WholeOrNull;

impl<'de> Visitor<'de> for WholeOrNull {
    type Value = Option<u64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Whole.expecting(f)
    }

    fn visit_none<E>(self) -> Result<Option<u64>, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<u64>, D::Error> {
        deserializer.deserialize_any(Whole).map(Some)
    }
}

/// Checks a number's range.
pub(super) fn within<N: PartialOrd + Display>(
    field: &str,
    value: Option<N>,
    range: RangeInclusive<N>,
) -> Result<Option<N>, Problem> {
    match &value {
        Some(number) if !range.contains(number) => {
            let detail = format!("`{field}` is from {} to {}, not {number}", range.start(), range.end());
            Err(Problem::field(field, detail))
        }
        Some(_) | None => Ok(value),
    }
}

/// Checks a text's length, in characters.
pub(super) fn short(field: &str, text: Option<String>, chars_max: usize) -> Result<Option<String>, Problem> {
    match text {
        Some(text) if text.is_empty() || text.chars().count() > chars_max => Err(Problem::field(
            field,
            format!("`{field}` has from 1 to {chars_max} characters"),
        )),
        Some(_) | None => Ok(text),
    }
}

/// Checks how many labels there are, their keys and values.
pub(super) fn labels(field: &str, labels: Labels) -> Result<Labels, Problem> {
    keyed(field, &labels, LABELS_MAX)?;
    match labels.iter().find(|(_, value)| value.chars().count() > VALUE_CHARS_MAX) {
        Some((key, _)) => {
            let detail = format!("a value in `{field}` has at most {VALUE_CHARS_MAX} characters");
            Err(Problem::field(format!("{field}.{key}"), detail))
        }
        None => Ok(labels),
    }
}

/// Checks how many entries there are, and their keys.
pub(super) fn keyed<V>(
    field: &str,
    map: &std::collections::BTreeMap<String, V>,
    entries_max: usize,
) -> Result<(), Problem> {
    if map.len() > entries_max {
        return Err(Problem::field(
            field,
            format!("`{field}` has at most {entries_max} entries, not {}", map.len()),
        ));
    }
    let is_good = |key: &str| {
        (1..=KEY_CHARS_MAX).contains(&key.len())
            && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:/-".contains(&b))
    };
    match map.keys().find(|key| !is_good(key)) {
        Some(key) => {
            let detail =
                format!("a key in `{field}` has 1 to {KEY_CHARS_MAX} characters A-Z a-z 0-9 . _ : / -, not {key:?}");
            Err(Problem::field(field, detail))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
