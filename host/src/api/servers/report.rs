//! Reports: what an agent says of its server, and what it is told in return.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use usher_fleet::ids::{PlacementNo, RoomId, ServerName};
use usher_fleet::observation::{Report, Reported, ReportedRoom};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::Api;
use super::super::request::{self, Id, Json, PLACEMENT_MAX, REPORT_BYTES_MAX, keyed, whole, whole_needed, within};
use super::super::respond::{self, Problem};
use super::super::shown;
use super::{ServerHold, ServerPath, tokens};
use crate::auth::Caller;
use crate::driver::MovedRoom;

/// Rooms in a report: what fits into its bytes.
const ROOMS_MAX: usize = 10_000;
/// Figures in a report.
pub(in crate::api) const FIGURES_MAX: usize = 64;
/// Thousandths of a whole.
const PERMILLE_MAX: u32 = 1000;
/// The most participants of one room or server.
const PARTICIPANTS_MAX: u32 = 1_000_000;
/// A terabit a second.
const EGRESS_KBPS_MAX: u32 = 1_000_000_000;
/// A day: clouds say it minutes before.
const TAKEN_AWAY_SECONDS_MAX: u32 = 86_400;
/// The largest load, in the operator's unit.
const LOAD_MAX: u32 = 1_000_000_000;

/// Returns the call for reports.
pub(super) fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(report))
}

/// How a server does. What is not known is left out: no data is not zero.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct ServerReport {
    /// CPU in thousandths of all cores.
    #[schema(minimum = 0, maximum = 1000)]
    #[serde(default, deserialize_with = "whole")]
    cpu_permille: Option<u32>,
    /// Outgoing traffic.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    #[serde(default, deserialize_with = "whole")]
    egress_kbps: Option<u32>,
    /// Packet loss in thousandths.
    #[schema(minimum = 0, maximum = 1000)]
    #[serde(default, deserialize_with = "whole")]
    loss_permille: Option<u32>,
    /// Participants over all rooms.
    #[schema(minimum = 0, maximum = 1_000_000)]
    #[serde(default, deserialize_with = "whole")]
    participants: Option<u32>,
    /// The rooms that are alive.
    #[schema(max_items = 10_000)]
    rooms: Option<Vec<RoomReport>>,
    /// More numbers by name, for policies. One that is left out keeps its last value; a server has at most 64.
    #[serde(default)]
    #[schema(schema_with = shown::figures)]
    figures: BTreeMap<String, Figure>,
    /// Where clients reach it. It counts for a server that Usher has launched, where neither its pool nor its provider says so.
    #[schema(schema_with = shown::url_or_null)]
    url: Option<String>,
    /// That it takes no new rooms any more; said no more, it takes rooms again.
    #[serde(default)]
    draining: bool,
    /// In how many seconds its cloud takes the machine away, as a spot instance is told: its rooms move at once.
    #[schema(minimum = 0, maximum = 86_400)]
    #[serde(default, deserialize_with = "whole")]
    taken_away_seconds: Option<u32>,
}

/// A number that a policy may ask for by its name.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct Figure(#[serde(deserialize_with = "whole_needed")] u32);

/// A room as its server sees it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct RoomReport {
    #[schema(schema_with = shown::id)]
    room: RoomId,
    /// Which placement of it, if the server knows.
    #[schema(minimum = 0, maximum = 9_007_199_254_740_991_u64)]
    #[serde(default, deserialize_with = "whole")]
    placement: Option<u64>,
    /// How many are in it.
    #[schema(minimum = 0, maximum = 1_000_000)]
    #[serde(deserialize_with = "whole_needed")]
    participants: u32,
    /// What it costs in the operator's unit.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    #[serde(default, deserialize_with = "whole")]
    load: Option<u32>,
}

impl ServerReport {
    fn into_report(self) -> Result<Report, Problem> {
        keyed("figures", &self.figures, FIGURES_MAX)?;
        if self.rooms.as_ref().is_some_and(|rooms| rooms.len() > ROOMS_MAX) {
            return Err(Problem::field(
                "rooms",
                format!("a report has at most {ROOMS_MAX} rooms"),
            ));
        }
        let rooms = self
            .rooms
            .map(|rooms| rooms.into_iter().enumerate().map(RoomReport::into_room).collect());
        Ok(Report {
            cpu_permille: within("cpu_permille", self.cpu_permille, 0..=PERMILLE_MAX)?,
            egress_kbps: within("egress_kbps", self.egress_kbps, 0..=EGRESS_KBPS_MAX)?,
            loss_permille: within("loss_permille", self.loss_permille, 0..=PERMILLE_MAX)?,
            participants: within("participants", self.participants, 0..=PARTICIPANTS_MAX)?,
            rooms: rooms.transpose()?,
            figures: self
                .figures
                .into_iter()
                .map(|(name, Figure(value))| (name.into(), value))
                .collect(),
            url: self.url.map(|url| request::url("url", url)).transpose()?,
            draining: self.draining,
            taken_away_seconds: within(
                "taken_away_seconds",
                self.taken_away_seconds,
                0..=TAKEN_AWAY_SECONDS_MAX,
            )?,
        })
    }
}

impl RoomReport {
    fn into_room((index, room): (usize, RoomReport)) -> Result<ReportedRoom, Problem> {
        let field = |name: &str| format!("rooms[{index}].{name}");
        if room.placement.is_some_and(|placement| placement > PLACEMENT_MAX) {
            let detail = format!("`placement` is from 0 to {PLACEMENT_MAX}");
            return Err(Problem::field(field("placement"), detail));
        }
        within(&field("participants"), Some(room.participants), 0..=PARTICIPANTS_MAX)?;
        Ok(ReportedRoom {
            room: room.room,
            placement: room.placement.map(PlacementNo),
            participants: room.participants,
            load: within(&field("load"), room.load, 0..=LOAD_MAX)?,
        })
    }
}

/// Takes a server's report; of several that wait, the newest counts.
#[utoipa::path(
    post, path = "/v1/servers/{server}/report", tag = "servers", params(ServerPath),
    request_body(content = Option<ServerReport>, description = "At most 1 MiB."),
    responses(respond::Report),
    security(("token" = ["server"]), ("token" = ["admin"])),
)]
async fn report(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Id(server): Id<ServerName>,
    Json(report): Json<ServerReport, REPORT_BYTES_MAX>,
) -> Result<Response, Problem> {
    let own = caller.with_reports()?;
    let report = report.into_report()?;
    let token = match own {
        Some(token) => tokens::used(&api, &server, token).await?,
        None => None,
    };
    let answer = api.mailbox.report(Reported { server, report }).await??;
    Ok(respond::found(&ReportAnswer {
        phase: answer.server.phase.word(),
        hold: answer.server.hold.as_ref().map(ServerHold::of),
        health: answer.server.health.word(),
        moved: answer.moved.iter().map(Moved::of).collect(),
        token,
    }))
}

/// What an agent is told.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct ReportAnswer<'a> {
    /// How far its server is.
    phase: &'static str,
    /// What keeps new rooms away; null = nothing.
    hold: Option<ServerHold<'a>>,
    /// How it does, in our eyes.
    health: &'static str,
    /// Rooms in its report that are elsewhere by now: it should end them.
    moved: Vec<Moved<'a>>,
    /// The token to report with from now on, where that is another; the one before counts until this one is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

/// A room that is elsewhere by now.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Moved<'a> {
    #[schema(schema_with = shown::id)]
    room: &'a RoomId,
    /// Where it is; null while it waits for a server.
    #[schema(schema_with = shown::id_or_null)]
    server: Option<&'a ServerName>,
}

impl<'a> Moved<'a> {
    fn of(moved: &'a MovedRoom) -> Moved<'a> {
        Moved {
            room: &moved.room,
            server: moved.server.as_ref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report_of(json: &str) -> Result<Report, Problem> {
        request::parse::<ServerReport>(json.as_bytes())?.into_report()
    }

    #[test]
    fn what_is_not_reported_is_not_zero() {
        assert_eq!(report_of("{}"), Ok(Report::default()));
        let report = report_of(r#"{"cpu_permille":0,"rooms":[],"figures":{"consumers":7}}"#).unwrap();
        assert_eq!(
            (report.cpu_permille, report.egress_kbps, report.rooms),
            (Some(0), None, Some(Vec::new()))
        );
    }

    #[test]
    fn a_wrong_report_is_told_by_name() {
        for (json, field) in [
            (r#"{"cpu_permille":1001}"#, "cpu_permille"),
            (
                r#"{"rooms":[{"room":"a","participants":1},{"room":"b","participants":1000001}]}"#,
                "rooms[1].participants",
            ),
            (r#"{"rooms":[{"room":"a b","participants":1}]}"#, "rooms[0].room"),
            (r#"{"figures":{"a b":1}}"#, "figures"),
            (r#"{"url":"x"}"#, "url"),
        ] {
            assert_eq!(report_of(json).unwrap_err().field.as_deref(), Some(field), "{json}");
        }
    }
}
