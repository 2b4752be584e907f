//! The tokens that servers' own agents report with: used, made anew, revoked.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use usher_fleet::command::{Command, Rejection, Reply, TokenNo};
use usher_fleet::ids::ServerName;
use usher_fleet::server::AgentToken;
use usher_fleet::status::ServerStatus;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::Api;
use super::super::request::{Id, Json, anothers_report};
use super::super::respond::{self, Problem};
use super::super::rooms::unreachable_reply;
use super::super::shown;
use super::{NoBody, ServerPath, within_reach};
use crate::auth::Caller;

/// Returns the calls for tokens.
pub(super) fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(new_token, revoke_token))
}

/// Takes the token that an agent reports with; returns another one where it is to use that from now on.
pub(super) async fn used(api: &Api, server: &ServerName, token: TokenNo) -> Result<Option<String>, Problem> {
    if token.server != *server {
        return Err(anothers_report().at("server"));
    }
    let name = server.clone();
    let known = api
        .mailbox
        .read(move |fleet, _| fleet.server(&name).map(|status| (status.no, status.token)))
        .await?;
    let settled = AgentToken {
        generation: token.generation,
        is_taken: true,
    };
    match known {
        None => Err(Rejection::NoSuchServer(server.clone()).into()),
        Some((no, newest)) if no == token.no && newest == settled => Ok(None),
        Some(_) => {
            let newest = number(api.mailbox.command(Command::UseToken(token.clone())).await?)?;
            Ok((newest != token).then(|| api.doorkeeper.agent_token(&newest)))
        }
    }
}

/// Returns the token that a server's agent begins with; `None` where nobody needs one.
pub(super) fn first(api: &Api, server: &ServerStatus) -> Option<String> {
    let token = TokenNo {
        server: server.card.name.clone(),
        no: server.no,
        generation: server.token.generation,
    };
    (!api.doorkeeper.is_open()).then(|| api.doorkeeper.agent_token(&token))
}

/// Makes a new token for a server's agent. All earlier ones count no more.
#[utoipa::path(
    post, path = "/v1/servers/{server}/token", tag = "servers", params(ServerPath), request_body(content = Option<NoBody>),
    responses(respond::NewToken), security(("token" = ["register"]), ("token" = ["admin"])),
)]
async fn new_token(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Id(server): Id<ServerName>,
    Json(NoBody {}): Json<NoBody>,
) -> Result<Response, Problem> {
    let token = renewed(&api, caller, &server).await?;
    Ok(respond::created(&NewToken {
        server: &server,
        token: api.doorkeeper.agent_token(&token),
    }))
}

/// Revokes all tokens of a server's agent.
#[utoipa::path(
    delete, path = "/v1/servers/{server}/token", tag = "servers", params(ServerPath),
    responses(respond::RevokeToken), security(("token" = ["register"]), ("token" = ["admin"])),
)]
async fn revoke_token(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Id(server): Id<ServerName>,
) -> Result<Response, Problem> {
    renewed(&api, caller, &server).await?;
    Ok(respond::done())
}

async fn renewed(api: &Api, caller: Caller, server: &ServerName) -> Result<TokenNo, Problem> {
    let reach = caller.with_servers()?;
    within_reach(api, server, reach).await?;
    number(api.mailbox.command(Command::RenewToken(server.clone())).await?)
}

fn number(reply: Reply) -> Result<TokenNo, Problem> {
    match reply {
        Reply::Token(token) => Ok(token),
        Reply::Rejected(rejection) => Err(rejection.into()),
        Reply::Room(..) | Reply::Server(..) | Reply::Done => Err(unreachable_reply()),
    }
}

/// A server's token.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct NewToken<'a> {
    #[schema(schema_with = shown::id)]
    server: &'a ServerName,
    /// The token, for its agent (`usher-agent --token-file`); it is shown only now.
    token: String,
}
