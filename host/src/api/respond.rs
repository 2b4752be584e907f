//! From what became of a request to a response; the only place that knows status codes.

mod documented;

use std::borrow::Cow;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use serde::Serialize;
use usher_fleet::command::Rejection;
use usher_fleet::ids::{IdError, RoomId};
use usher_policy::RollbackError;
use utoipa::ToSchema;

use crate::auth::Denied;
use crate::driver::Refused;
use crate::metrics;

pub(super) use documented::*;

/// After so many seconds a busy host may be asked again: its lanes empty in less.
const RETRY_BUSY_SECONDS: u32 = 1;
/// After so many seconds a room may be asked for again that found no place: a server boots in not much more.
const RETRY_ROOM_SECONDS: u32 = 10;

/// What is wrong with a request, or in its way; the stable words of `code`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Code {
    InvalidId,
    InvalidQuery,
    InvalidJson,
    InvalidEventId,
    HttpsOnly,
    Unauthenticated,
    WrongScope,
    NotFound,
    NoSuchRoom,
    NoSuchServer,
    NoSuchPool,
    NoSuchPolicy,
    MethodNotAllowed,
    BodyTimeout,
    Rejected,
    RoomTaken,
    DoesNotFit,
    RoomReleased,
    ServerInOtherPool,
    PoolNotExternal,
    ServerHasRooms,
    ServerTerminating,
    FleetFull,
    PolicyBuiltIn,
    NoEarlierVersion,
    EarlierVersionRefused,
    BodyTooLarge,
    UnsupportedMediaType,
    InvalidField,
    RoomTooLarge,
    NoSuchRegion,
    NoSuchPoolForRoom,
    StoreUnreadable,
    Busy,
    Stopping,
    NotReady,
    QueueFull,
    Expired,
    DiskLow,
}

impl Code {
    /// Every code, in the order of their status.
    pub(super) const ALL: [Code; 39] = [
        Code::InvalidId,
        Code::InvalidQuery,
        Code::InvalidJson,
        Code::InvalidEventId,
        Code::HttpsOnly,
        Code::Unauthenticated,
        Code::WrongScope,
        Code::NotFound,
        Code::NoSuchRoom,
        Code::NoSuchServer,
        Code::NoSuchPool,
        Code::NoSuchPolicy,
        Code::MethodNotAllowed,
        Code::BodyTimeout,
        Code::Rejected,
        Code::RoomTaken,
        Code::DoesNotFit,
        Code::RoomReleased,
        Code::ServerInOtherPool,
        Code::PoolNotExternal,
        Code::ServerHasRooms,
        Code::ServerTerminating,
        Code::FleetFull,
        Code::PolicyBuiltIn,
        Code::NoEarlierVersion,
        Code::EarlierVersionRefused,
        Code::BodyTooLarge,
        Code::UnsupportedMediaType,
        Code::InvalidField,
        Code::RoomTooLarge,
        Code::NoSuchRegion,
        Code::NoSuchPoolForRoom,
        Code::StoreUnreadable,
        Code::Busy,
        Code::Stopping,
        Code::NotReady,
        Code::QueueFull,
        Code::Expired,
        Code::DiskLow,
    ];

    /// Returns status, stable word and title.
    pub(super) fn describe(self) -> (StatusCode, &'static str, &'static str) {
        use StatusCode as S;
        match self {
            Code::InvalidId => (S::BAD_REQUEST, "invalid_id", "The id in the path is not valid"),
            Code::InvalidQuery => (S::BAD_REQUEST, "invalid_query", "The query is not valid"),
            Code::InvalidJson => (S::BAD_REQUEST, "invalid_json", "The body is not valid JSON"),
            Code::InvalidEventId => (S::BAD_REQUEST, "invalid_event_id", "The event id is not valid"),
            Code::HttpsOnly => (S::BAD_REQUEST, "https_only", "This port speaks HTTPS only"),
            Code::Unauthenticated => (S::UNAUTHORIZED, "unauthenticated", "A known token is needed"),
            Code::WrongScope => (S::FORBIDDEN, "wrong_scope", "The token does not allow this"),
            Code::NotFound => (S::NOT_FOUND, "not_found", "There is nothing here"),
            Code::NoSuchRoom => (S::NOT_FOUND, "no_such_room", "There is no such room"),
            Code::NoSuchServer => (S::NOT_FOUND, "no_such_server", "There is no such server"),
            Code::NoSuchPool => (S::NOT_FOUND, "no_such_pool", "There is no such pool"),
            Code::NoSuchPolicy => (S::NOT_FOUND, "no_such_policy", "There is no such policy"),
            Code::MethodNotAllowed => (
                S::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "This method is not allowed here",
            ),
            Code::BodyTimeout => (S::REQUEST_TIMEOUT, "body_timeout", "The body did not come in time"),
            Code::Rejected => (S::CONFLICT, "rejected", "A policy refused the room"),
            Code::RoomTaken => (S::CONFLICT, "room_taken", "The room belongs to another tenant"),
            Code::DoesNotFit => (
                S::CONFLICT,
                "does_not_fit",
                "The room's server has no room for more seats",
            ),
            Code::RoomReleased => (S::CONFLICT, "room_released", "The room was released while it waited"),
            Code::ServerInOtherPool => (S::CONFLICT, "server_in_other_pool", "The server is in another pool"),
            Code::PoolNotExternal => (S::CONFLICT, "pool_not_external", "The pool launches its own servers"),
            Code::ServerHasRooms => (S::CONFLICT, "server_has_rooms", "The server has rooms"),
            Code::ServerTerminating => (S::CONFLICT, "server_terminating", "The server is being terminated"),
            Code::FleetFull => (S::CONFLICT, "fleet_full", "The fleet takes no more servers"),
            Code::PolicyBuiltIn => (S::CONFLICT, "policy_built_in", "The policy is part of the program"),
            Code::NoEarlierVersion => (S::CONFLICT, "no_earlier_version", "No earlier version was good"),
            Code::EarlierVersionRefused => (
                S::CONFLICT,
                "earlier_version_refused",
                "The earlier version does not serve any more",
            ),
            Code::BodyTooLarge => (S::PAYLOAD_TOO_LARGE, "body_too_large", "The body is too large"),
            Code::UnsupportedMediaType => (
                S::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "The body must be JSON",
            ),
            Code::InvalidField => (S::UNPROCESSABLE_ENTITY, "invalid_field", "A field is not valid"),
            Code::RoomTooLarge => (
                S::UNPROCESSABLE_ENTITY,
                "room_too_large",
                "No pool could ever hold the room",
            ),
            Code::NoSuchRegion => (S::UNPROCESSABLE_ENTITY, "no_such_region", "No pool is in that region"),
            Code::NoSuchPoolForRoom => (
                S::UNPROCESSABLE_ENTITY,
                "no_such_pool_for_room",
                "No pool lets the room in",
            ),
            Code::StoreUnreadable => (S::INTERNAL_SERVER_ERROR, "store_unreadable", "The store cannot be read"),
            Code::Busy => (S::SERVICE_UNAVAILABLE, "busy", "Too many requests wait"),
            Code::Stopping => (S::SERVICE_UNAVAILABLE, "stopping", "The host is stopping"),
            Code::NotReady => (S::SERVICE_UNAVAILABLE, "not_ready", "The host is not ready yet"),
            Code::QueueFull => (S::SERVICE_UNAVAILABLE, "queue_full", "Too many rooms wait"),
            Code::Expired => (
                S::SERVICE_UNAVAILABLE,
                "expired",
                "The room waited for a server and found none",
            ),
            Code::DiskLow => (S::SERVICE_UNAVAILABLE, "disk_low", "The disk is nearly full"),
        }
    }
}

/// Why a request was not done, as RFC 9457 has it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Problem {
    pub(super) code: Code,
    pub(super) detail: Cow<'static, str>,
    pub(super) field: Option<String>,
    retry_after_seconds: Option<u32>,
}

impl Problem {
    pub(super) fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Problem {
        Problem {
            code,
            detail: detail.into(),
            field: None,
            retry_after_seconds: None,
        }
    }

    /// Says where it is: which field, parameter or name in the path.
    pub(super) fn at(self, field: impl Into<String>) -> Problem {
        Problem {
            field: Some(field.into()),
            ..self
        }
    }

    /// Says that a field of the body is wrong.
    pub(super) fn field(field: impl Into<String>, detail: impl Into<Cow<'static, str>>) -> Problem {
        Problem::new(Code::InvalidField, detail).at(field)
    }

    /// Says that a name in the path is wrong.
    pub(super) fn id(name: &str, error: &IdError) -> Problem {
        Problem::new(Code::InvalidId, error.to_string()).at(name)
    }

    pub(super) fn expired(room: &RoomId, why: &str) -> Problem {
        Problem::new(Code::Expired, format!("{room} found no server: {why}; ask again")).retry(RETRY_ROOM_SECONDS)
    }

    pub(super) fn released(room: &RoomId) -> Problem {
        Problem::new(
            Code::RoomReleased,
            format!("{room} was released while it waited for a server"),
        )
    }

    /// Says that it may be asked again soon.
    pub(super) fn retry_busy(self) -> Problem {
        self.retry(RETRY_BUSY_SECONDS)
    }

    fn retry(self, seconds: u32) -> Problem {
        Problem {
            retry_after_seconds: Some(seconds),
            ..self
        }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Problem {
        let (code, reason) = match refused {
            Refused::Busy => (Code::Busy, "busy"),
            Refused::Stopping => (Code::Stopping, "stopping"),
        };
        metrics::refused(reason);
        Problem::new(code, refused.to_string()).retry(RETRY_BUSY_SECONDS)
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Problem {
        Problem::new(Code::Unauthenticated, denied.to_string())
    }
}

impl From<RollbackError> for Problem {
    fn from(error: RollbackError) -> Problem {
        let code = match &error {
            RollbackError::NoSuchPolicy(_) => Code::NoSuchPolicy,
            RollbackError::BuiltIn => Code::PolicyBuiltIn,
            RollbackError::NoEarlierVersion(_) => Code::NoEarlierVersion,
            RollbackError::Refused { .. } => Code::EarlierVersionRefused,
            RollbackError::LastGoodReturns(_) | RollbackError::Unfinished => {
                return Problem::new(Code::Busy, error.to_string()).retry_busy();
            }
            RollbackError::Stopping => return Refused::Stopping.into(),
        };
        Problem::new(code, error.to_string())
    }
}

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Problem {
        let code = match &rejection {
            Rejection::Rejected { .. } => Code::Rejected,
            Rejection::RoomTaken(_) => Code::RoomTaken,
            Rejection::DoesNotFit { .. } => Code::DoesNotFit,
            Rejection::RoomTooLarge { .. } => Code::RoomTooLarge,
            Rejection::NoSuchRegion(_) => Code::NoSuchRegion,
            Rejection::NoSuchPoolForRoom => Code::NoSuchPoolForRoom,
            Rejection::QueueFull(_) => Code::QueueFull,
            Rejection::NoSuchRoom(_) => Code::NoSuchRoom,
            Rejection::NoSuchServer(_) => Code::NoSuchServer,
            Rejection::NoSuchPool(_) => Code::NoSuchPool,
            Rejection::ServerInOtherPool { .. } => Code::ServerInOtherPool,
            Rejection::PoolNotExternal(_) => Code::PoolNotExternal,
            Rejection::ServerHasRooms { .. } => Code::ServerHasRooms,
            Rejection::TokenRevoked(_) => Code::Unauthenticated,
            Rejection::ServerTerminating(_) => Code::ServerTerminating,
            Rejection::FleetFull(_) => Code::FleetFull,
        };
        let problem = Problem::new(code, rejection.to_string());
        if code == Code::QueueFull {
            problem.retry(RETRY_ROOM_SECONDS)
        } else {
            problem
        }
    }
}

/// A problem as it is sent: `application/problem+json`.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct Sent<'a> {
    /// A name for this kind of problem: `urn:usher:problem:` and the code.
    #[schema(example = "urn:usher:problem:no_such_room")]
    r#type: String,
    /// The kind of problem, for people.
    title: &'static str,
    /// The response's status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What is wrong this time, for people.
    detail: &'a str,
    /// The kind of problem, for programs; it never changes its meaning.
    #[schema(schema_with = documented::code_schema)]
    code: &'static str,
    /// The field, parameter or name in the path that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    /// After so many seconds it may be tried again; also the header `Retry-After`.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<u32>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, word, title) = self.code.describe();
        let sent = Sent {
            r#type: format!("urn:usher:problem:{word}"),
            title,
            status: status.as_u16(),
            detail: &self.detail,
            code: word,
            field: self.field.as_deref(),
            retry_after_seconds: self.retry_after_seconds,
        };
        let mut response = body(status, "application/problem+json", json_of(&sent));
        if let Some(seconds) = self.retry_after_seconds {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"usher\""));
        }
        response
    }
}

/// Answers with a thing that was there.
pub(super) fn found(shown: &impl Serialize) -> Response {
    body(StatusCode::OK, "application/json", json_of(shown))
}

/// Answers with a thing that was made now.
pub(super) fn created(shown: &impl Serialize) -> Response {
    body(StatusCode::CREATED, "application/json", json_of(shown))
}

/// Answers with a thing that will be.
pub(super) fn accepted(shown: &impl Serialize) -> Response {
    body(StatusCode::ACCEPTED, "application/json", json_of(shown))
}

/// Answers that it is so, and that there is nothing to show.
pub(super) fn done() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// Answers with a text of this type.
pub(super) fn text(content_type: &'static str, text: impl Into<Body>) -> Response {
    body(StatusCode::OK, content_type, text)
}

/// Answers with a stream of events.
pub(super) fn stream(events: Body) -> Response {
    let mut response = body(StatusCode::OK, "text/event-stream", events);
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn body(status: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A room's answer has some 500 bytes.
const ANSWER_BYTES_USUAL: usize = 768;

fn json_of(shown: &impl Serialize) -> Vec<u8> {
    let mut json = Vec::with_capacity(ANSWER_BYTES_USUAL);
    serde_json::to_writer(&mut json, shown).expect("what is shown has text keys and serialises without fail");
    json
}

#[cfg(test)]
mod tests;
