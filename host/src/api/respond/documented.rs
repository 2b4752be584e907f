//! The same answers as the OpenAPI document has them: for each operation what it may answer, by status.

use std::collections::BTreeMap;

use hyper::StatusCode;
use utoipa::IntoResponses;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Ref, Type};
use utoipa::openapi::{ContentBuilder, RefOr, Response, ResponseBuilder, Schema};

use super::Code;

/// What every call under `/v1` may be answered.
const ALWAYS: &[Code] = &[
    Code::HttpsOnly,
    Code::Unauthenticated,
    Code::WrongScope,
    Code::Busy,
    Code::Stopping,
];
/// What a name in the path adds.
const PATH: &[Code] = &[Code::InvalidId, Code::NotFound];
/// What a query adds.
const QUERY: &[Code] = &[Code::InvalidQuery];
/// What a body adds.
const BODY: &[Code] = &[
    Code::InvalidJson,
    Code::BodyTimeout,
    Code::BodyTooLarge,
    Code::UnsupportedMediaType,
    Code::InvalidField,
];

type Good = (u16, Option<(&'static str, &'static str)>, &'static str);

const fn json(status: u16, schema: &'static str, text: &'static str) -> Good {
    (status, Some(("application/json", schema)), text)
}

const fn empty(text: &'static str) -> Good {
    (204, None, text)
}

macro_rules! answers {
    ($($name:ident: [$($good:expr),*], [$($codes:expr),*];)*) => { $(
        pub(in crate::api) struct $name;
        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                answers(&[$($good),*], &[$($codes),*])
            }
        }
    )* };
}

answers! {
    PutRoom: [
        json(201, "Room", "Placed now."),
        json(200, "Room", "Placed before; it stays where it is."),
        json(202, "Room", "It waits: `server` is null, and the answer says for what.")
    ], [ALWAYS, PATH, BODY, &[Code::Rejected, Code::RoomTaken, Code::DoesNotFit, Code::RoomReleased, Code::RoomTooLarge,
        Code::NoSuchRegion, Code::NoSuchPoolForRoom, Code::QueueFull, Code::Expired, Code::DiskLow]];
    GetRoom: [json(200, "Room", "The room.")],
        [ALWAYS, PATH, QUERY, &[Code::NoSuchRoom, Code::RoomReleased, Code::Expired]];
    ListRooms: [json(200, "RoomPage", "A page of rooms, in the order of their names.")], [ALWAYS, QUERY];
    PatchRoom: [json(200, "Room", "The room as it is now.")],
        [ALWAYS, PATH, BODY, &[Code::NoSuchRoom, Code::DoesNotFit, Code::RoomTooLarge]];
    FailRoom: [
        json(201, "Room", "Placed elsewhere now."),
        json(200, "Room", "The placement that failed is not its newest: where it is."),
        json(202, "Room", "It waits for another server.")
    ], [ALWAYS, PATH, BODY, &[Code::NoSuchRoom]];
    DeleteRoom: [empty("It is released, whether it was there or not.")], [ALWAYS, PATH, QUERY];
    PutServer: [json(201, "Registered", "Registered now, with the token for its agent."), json(200, "Server", "Known before; described anew.")],
        [ALWAYS, PATH, BODY, &[Code::NoSuchPool, Code::ServerInOtherPool, Code::PoolNotExternal, Code::ServerTerminating,
            Code::FleetFull]];
    GetServer: [json(200, "Server", "The server.")], [ALWAYS, PATH, &[Code::NoSuchServer]];
    ListServers: [json(200, "ServerList", "All servers, the oldest first.")], [ALWAYS];
    DeleteServer: [empty("It is forgotten, or being terminated.")],
        [ALWAYS, PATH, QUERY, &[Code::NoSuchServer, Code::ServerHasRooms]];
    HoldServer: [json(200, "Server", "The server as it is now, with the rooms and seats left on it.")],
        [ALWAYS, PATH, BODY, &[Code::NoSuchServer, Code::ServerTerminating]];
    Report: [json(200, "ReportAnswer", "Taken. How the server stands, and which of its rooms have moved.")],
        [ALWAYS, PATH, BODY, &[Code::NoSuchServer]];
    NewToken: [json(201, "NewToken", "The token; it is shown only now.")], [ALWAYS, PATH, BODY, &[Code::NoSuchServer]];
    RevokeToken: [empty("No token of the server counts any more.")], [ALWAYS, PATH, &[Code::NoSuchServer]];
    ListPools: [json(200, "PoolList", "All pools, in the order of their names.")], [ALWAYS];
    Scaling: [json(200, "Scaling", "It is so.")], [ALWAYS, PATH, BODY, &[Code::NoSuchPool]];
    ListPolicies: [json(200, "PolicyList", "The chain, in the order in which policies are asked.")], [ALWAYS];
    GetPolicy: [json(200, "Policy", "The policy.")], [ALWAYS, PATH, &[Code::NoSuchPolicy]];
    RollBack: [json(200, "Policy", "The version before serves, now or already.")],
        [ALWAYS, PATH, BODY, &[Code::NoSuchPolicy, Code::PolicyBuiltIn, Code::NoEarlierVersion, Code::EarlierVersionRefused]];
    ListDecisions: [json(200, "DecisionList", "The newest first.")], [ALWAYS, QUERY];
    GetBill: [json(200, "Bill", "What it costs, and what the one big server would.")], [ALWAYS];
    Events: [(200, Some(("text/event-stream", "Frame")), "Events as they become durable, until the client goes.")],
        [ALWAYS, QUERY, &[Code::InvalidEventId, Code::StoreUnreadable]];
    Healthz: [(200, Some(("text/plain", "String")), "The process answers.")], [];
    Readyz: [(200, Some(("text/plain", "String")), "The records are recovered and every policy file was decided upon.")],
        [&[Code::NotReady]];
    Metrics: [(200, Some(("text/plain", "String")), "Prometheus' text format.")], [&[Code::Unauthenticated]];
    OpenApiJson: [(200, Some(("application/json", "Object")), "This document.")], [];
}

fn answers(good: &[Good], codes: &[&[Code]]) -> BTreeMap<String, RefOr<Response>> {
    let mut answers = BTreeMap::new();
    for (status, content, text) in good {
        let mut response = ResponseBuilder::new().description(*text);
        if let Some((content_type, schema)) = content {
            response = response.content(
                *content_type,
                ContentBuilder::new().schema(Some(schema_of(schema))).build(),
            );
        }
        answers.insert(status.to_string(), RefOr::T(response.build()));
    }
    let mut by_status: BTreeMap<StatusCode, Vec<Code>> = BTreeMap::new();
    for code in codes.iter().copied().flatten() {
        by_status.entry(code.describe().0).or_default().push(*code);
    }
    for (status, codes) in by_status {
        answers.insert(status.as_str().to_owned(), RefOr::T(problem(status, &codes)));
    }
    answers
}

fn schema_of(name: &str) -> RefOr<Schema> {
    match name {
        "String" => ObjectBuilder::new().schema_type(Type::String).into(),
        // Of a stream of events each one is described, by its fields.
        "Frame" => ["id", "event", "data"]
            .into_iter()
            .fold(ObjectBuilder::new().schema_type(Type::Object), |frame, field| {
                let text = ObjectBuilder::new().schema_type(Type::String);
                frame.property(field, text).required(field)
            })
            .into(),
        "Object" => ObjectBuilder::new().schema_type(Type::Object).into(),
        name => Ref::from_schema_name(name).into(),
    }
}

fn problem(status: StatusCode, codes: &[Code]) -> Response {
    let texts: Vec<_> = codes
        .iter()
        .map(|code| {
            let (_, word, title) = code.describe();
            format!("`{word}`: {title}.")
        })
        .collect();
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .build();
    let header = |text: &str, kind: Type| {
        HeaderBuilder::new()
            .schema(Some(ObjectBuilder::new().schema_type(kind)))
            .description(Some(text))
            .build()
    };
    let mut response = ResponseBuilder::new()
        .description(texts.join(" "))
        .content("application/problem+json", content);
    if status == StatusCode::UNAUTHORIZED {
        response = response.header(
            "WWW-Authenticate",
            header("The scheme that is asked for: Bearer.", Type::String),
        );
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response = response.header(
            "Retry-After",
            header("After so many seconds it may be tried again.", Type::Integer),
        );
    }
    response.build()
}

/// The schema of a problem's `code`: one of all.
pub(super) fn code_schema() -> Schema {
    let words = Code::ALL.map(|code| code.describe().1);
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("The kind of problem, for programs; it never changes its meaning."))
        .enum_values(Some(words))
        .into()
}
