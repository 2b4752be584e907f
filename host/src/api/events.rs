//! Events as Server-Sent Events: everything that has happened since an id, then everything that happens.
//!
//! A follower reads from the log at the speed at which its client reads from the socket: nothing is kept for it. One that
//! reads nothing at all is cut by the connection's own time limit.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};
use hyper::header::HeaderMap;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::watch;
use usher_fleet::Event;
use usher_fleet::event::What;
use usher_fleet::ids::Tenant;
use usher_store::{EventId, EventLog};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::request::Query;
use super::respond::{self, Code, Problem};
use super::shown::rfc3339;
use crate::auth::Caller;
use crate::driver::Refused;

/// Followers at the same time: dashboards, webhooks' senders, some hundred app servers.
pub(super) const FOLLOWERS_MAX: usize = 1000;
/// Events that are read from the log and sent at once.
const PAGE_EVENTS: usize = 256;
/// How often a quiet stream shows that it lives; proxies cut silent ones after a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Returns the call for events.
pub(super) fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(follow_events))
}

/// Follows what happens, from the event in `Last-Event-ID` or `after` on; without either from now on, or with
/// `follow=false` from the oldest event that is kept.
///
/// Each event has its `id`, its type as `event`, and as `data` a JSON object with `id`, `at`, `type` and the thing itself.
/// Where events after the id are not kept any more a `reset` event comes first: read the lists anew, then go on with it.
/// A token of scope `app` sees `room.*` events, those of its tenant if it is bound to one.
#[utoipa::path(
    get, path = "/v1/events", tag = "events", params(EventsQuery, LastEventId),
    responses(respond::Events), security(("token" = ["app"]), ("token" = ["admin"])),
)]
async fn follow_events(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(query): Query<EventsQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let audience = Audience::of(caller)?;
    let header = headers.get("last-event-id").map(|id| id.to_str().unwrap_or(""));
    // Both are checked, also where one counts.
    let (header, after) = (
        header.map(event_id).transpose()?,
        query.after.as_deref().map(event_id).transpose()?,
    );
    let after = match header.or(after) {
        Some(id) => id,
        None if query.follow == Some(false) => api.events.oldest(),
        None => api.events.newest(),
    };
    let Ok(place) = Arc::clone(&api.followers).try_acquire_owned() else {
        return Err(Refused::Busy.into());
    };
    let (sender, body) = Channel::<Bytes, Infallible>::new(1);
    let follower = Follower {
        log: api.events.clone(),
        newest: api.newest.clone(),
        stopping: api.stopping.clone(),
        audience,
        after,
        sender,
        must_end: query.follow == Some(false),
    };
    tokio::spawn(async move {
        follower.run().await;
        drop(place);
    });
    Ok(respond::stream(Body::new(body)))
}

fn event_id(text: &str) -> Result<EventId, Problem> {
    text.parse()
        .map_err(|error| Problem::new(Code::InvalidEventId, format!("{error}")))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct EventsQuery {
    /// The id of the last event that is known already; `Last-Event-ID` counts more. Lists give one as `as_of`.
    #[param(
        pattern = "^(0|[1-9][0-9]{0,17})-(0|[1-9][0-9]{0,8})$",
        min_length = 3,
        max_length = 28,
        example = "0-0"
    )]
    after: Option<String>,
    /// With `false` the stream ends with the newest event.
    follow: Option<bool>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "documentation of the header")]
struct LastEventId {
    /// The id of the last event that is known already, as browsers send it when they connect again.
    #[param(
        rename = "Last-Event-ID",
        value_type = String,
        pattern = "^(0|[1-9][0-9]{0,17})-(0|[1-9][0-9]{0,8})$",
        min_length = 3,
        max_length = 28,
        required = false,
        example = "0-0"
    )]
    last_event_id: Option<String>,
}

/// Which events somebody is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Audience {
    All,
    /// Those of rooms, of one tenant if it is bound to one.
    Rooms(Option<Tenant>),
}

impl Audience {
    fn of(caller: Caller) -> Result<Audience, Problem> {
        match caller {
            Caller::Admin => Ok(Audience::All),
            caller => caller.with_rooms().map(Audience::Rooms),
        }
    }

    fn is_shown(&self, what: &What) -> bool {
        match (self, tenant_of_room(what)) {
            (Audience::All, _) | (Audience::Rooms(None), Some(_)) => true,
            (Audience::Rooms(Some(own)), Some(tenant)) => tenant == Some(own),
            (Audience::Rooms(_), None) => false,
        }
    }
}

/// Returns the tenant of an event about a room; `None` where it is about something else.
fn tenant_of_room(what: &What) -> Option<Option<&Tenant>> {
    match what {
        What::RoomPlaced(room) => Some(room.tenant.as_ref()),
        What::RoomWaiting(room) | What::RoomUnplaceable(room) => Some(room.tenant.as_ref()),
        What::RoomMoved(room) => Some(room.tenant.as_ref()),
        What::RoomReleased(room) | What::RoomExpired(room) | What::RoomStale(room) | What::RoomUnreported(room) => {
            Some(room.tenant.as_ref())
        }
        // Whose it is nobody knows.
        What::RoomUnknown(_) => Some(None),
        What::ServerRequested(_)
        | What::ServerReady(_)
        | What::ServerSilent(_)
        | What::ServerRecovered(_)
        | What::ServerLost(_)
        | What::ServerCordoned(_)
        | What::ServerDraining(_)
        | What::ServerUncordoned(_)
        | What::ServerLeft(_)
        | What::ServerFailed(_)
        | What::ServerTerminating(_)
        | What::ServerTerminated(_)
        | What::ServerUnknown(_)
        | What::ServerAdopted(_)
        | What::ServerReaped(_)
        | What::ScaleWanted(_)
        | What::ScaleUnwanted(_)
        | What::ScaleRefused(_)
        | What::CircuitOpened(_)
        | What::CircuitClosed(_)
        | What::Frozen(_)
        | What::Thawed(_)
        | What::BudgetNear(_)
        | What::ScalingSwitched(_)
        | What::ListFailed(_)
        | What::ListRecovered(_)
        | What::PolicyLoaded(_)
        | What::PolicyRefused(_)
        | What::PolicyFault(_)
        | What::PolicyQuarantined(_)
        | What::PolicyRolledBack(_)
        | What::PolicyRemoved(_)
        | What::WebhookBehind(_)
        | What::WebhookCaughtUp(_) => None,
    }
}

/// One client that follows.
struct Follower {
    log: EventLog,
    newest: watch::Receiver<EventId>,
    stopping: watch::Receiver<bool>,
    audience: Audience,
    after: EventId,
    sender: Sender<Bytes, Infallible>,
    /// Ends with the newest event.
    must_end: bool,
}

impl Follower {
    /// Sends until the client has gone, the host stops, or the log cannot be read: then it comes again, or asks someone.
    async fn run(mut self) {
        // What comes while a page is read wakes us after it.
        self.newest.borrow_and_update();
        while let Some(frames) = self.next_frames().await {
            if !frames.is_empty() && self.sender.send_data(frames).await.is_err() {
                return;
            }
        }
    }

    /// Returns what is sent next; `None` at the end.
    async fn next_frames(&mut self) -> Option<Bytes> {
        let (log, after) = (self.log.clone(), self.after);
        let page = match tokio::task::spawn_blocking(move || log.after(after, PAGE_EVENTS)).await {
            Ok(Ok(page)) => page,
            Ok(Err(error)) => {
                tracing::error!(error = %error, "the events cannot be read");
                return None;
            }
            Err(_) => return None,
        };
        if page.gone {
            self.after = self.log.newest();
            return Some(reset(self.after));
        }
        let Some((last, _)) = page.events.last() else {
            return self.wait().await;
        };
        self.after = *last;
        let mut frames = String::with_capacity(page.events.len() * 256);
        for (id, event) in page
            .events
            .iter()
            .filter(|(_, event)| self.audience.is_shown(&event.what))
        {
            frame(&mut frames, *id, event);
        }
        Some(frames.into())
    }

    async fn wait(&mut self) -> Option<Bytes> {
        if self.must_end || *self.stopping.borrow() {
            return None;
        }
        tokio::select! {
            changed = self.newest.changed() => changed.ok().map(|()| Bytes::new()),
            _ = self.stopping.changed() => None,
            () = tokio::time::sleep(KEEP_ALIVE) => Some(Bytes::from_static(b": still here\n\n")),
        }
    }
}

fn reset(newest: EventId) -> Bytes {
    let data = reset_data(newest);
    format!("id: {newest}\nevent: reset\ndata: {data}\n\n").into()
}

/// Returns what clients are told where events that they have not seen are gone.
pub(crate) fn reset_data(newest: EventId) -> Value {
    let why = "events after the id asked for are not kept any more: read the lists anew, then go on from here";
    serde_json::json!({ "type": "reset", "id": newest.to_string(), "reason": why })
}

fn frame(frames: &mut String, id: EventId, event: &Event) {
    use std::fmt::Write;
    let Some(data) = data_of(id, event) else { return };
    let kind = data["type"].as_str().unwrap_or_default();
    // Writing to a string never fails.
    let _ = write!(frames, "id: {id}\nevent: {kind}\ndata: {data}\n\n");
}

/// Returns the event as clients see it: time in RFC 3339, money in dollars.
pub(crate) fn data_of(id: EventId, event: &Event) -> Option<Value> {
    let mut data = serde_json::to_value(&event.what).ok()?;
    let fields = data.as_object_mut()?;
    fields.insert("id".to_owned(), id.to_string().into());
    fields.insert("at".to_owned(), rfc3339(event.at).to_string().into());
    let money: &[(&str, &str)] = match &event.what {
        What::BudgetNear(_) => &[("used", "used_dollars"), ("max", "max_dollars")],
        _ => &[("price_per_hour", "price_per_hour")],
    };
    in_dollars(fields, money);
    if let Some(Value::Object(offer)) = fields.get_mut("offer") {
        in_dollars(offer, money);
    }
    Some(data)
}

/// Writes amounts in dollars, each under its name there, that are microdollars inside.
fn in_dollars(fields: &mut serde_json::Map<String, Value>, money: &[(&str, &str)]) {
    for (inside, outside) in money {
        if let Some(micros) = fields.remove(*inside).and_then(|value| value.as_u64()) {
            let dollars = usher_fleet::units::Microdollars(micros).dollars();
            fields.insert((*outside).to_owned(), dollars.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use usher_fleet::Timestamp;
    use usher_fleet::config::Offer;
    use usher_fleet::event::{BudgetNear, RoomEnded, ServerEvent};
    use usher_fleet::units::Microdollars;
    use usher_store::BatchNo;

    use super::*;

    fn server() -> What {
        What::ServerReady(ServerEvent {
            server: "demo-1".parse().unwrap(),
            pool: "demo".parse().unwrap(),
            instance: None,
            offer: Some(Offer {
                instance_type: "c7i.2xlarge".to_owned(),
                zone: "eu-central-1a".to_owned(),
                market: "spot".to_owned(),
                price_per_hour: Microdollars(348_000),
            }),
            price_per_hour: Microdollars(348_000),
            rooms: 0,
            reason: "it reports".to_owned(),
        })
    }

    fn room(tenant: Option<&str>) -> What {
        What::RoomReleased(RoomEnded {
            room: "standup".parse().unwrap(),
            placement: None,
            server: None,
            tenant: tenant.map(|tenant| tenant.parse().unwrap()),
            reason: "released".to_owned(),
        })
    }

    #[test]
    fn an_event_is_one_frame_with_time_and_dollars() {
        let mut frames = String::new();
        let event = Event {
            at: Timestamp(1_795_338_000_000),
            what: server(),
        };
        frame(&mut frames, EventId::new(BatchNo(7), 2), &event);
        let (head, data) = frames.split_once("data: ").unwrap();
        assert_eq!(head, "id: 7-2\nevent: server.ready\n");
        assert!(data.ends_with("\n\n"));
        let expected = serde_json::json!({
            "id": "7-2", "type": "server.ready", "at": "2026-11-22T09:00:00Z", "server": "demo-1", "pool": "demo",
            "price_per_hour": 0.348, "rooms": 0, "reason": "it reports",
            "offer": {
                "instance_type": "c7i.2xlarge", "zone": "eu-central-1a", "market": "spot", "price_per_hour": 0.348,
            },
        });
        assert_eq!(serde_json::from_str::<Value>(data).unwrap(), expected);
        let used = Microdollars(45_000_000);
        let near = BudgetNear {
            key: "fleet_dollars_per_hour_max".to_owned(),
            used,
            max: Microdollars(50_000_000),
            reason: "near".to_owned(),
        };
        let near = Event {
            at: Timestamp(0),
            what: What::BudgetNear(near),
        };
        let data = data_of(EventId::new(BatchNo(7), 2), &near).unwrap();
        assert_eq!(
            (data["used_dollars"].as_f64(), data["max_dollars"].as_f64()),
            (Some(45.0), Some(50.0))
        );
    }

    #[test]
    fn an_app_sees_rooms_and_a_bound_one_only_its_own() {
        let acme = Audience::Rooms(Some("acme".parse().unwrap()));
        for (audience, shown) in [
            (Audience::All, [true, true, true, true]),
            (Audience::Rooms(None), [false, true, true, true]),
            (acme, [false, false, true, false]),
        ] {
            let events = [server(), room(None), room(Some("acme")), room(Some("other"))];
            assert_eq!(events.map(|what| audience.is_shown(&what)), shown, "{audience:?}");
        }
        assert!(Audience::of(Caller::Register("demo".parse().unwrap())).is_err());
        assert_eq!(Audience::of(Caller::App(None)).ok(), Some(Audience::Rooms(None)));
    }
}
