//! Instance metadata, version 2, as an instance would find it at 169.254.169.254: here beneath `/imds/{instance}`.
//!
//! Nothing is told without a token, and nothing of an instance that is not up.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, put};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::shared::Shared;
use crate::world::{Instance, InstanceId, InstanceState, later, seconds};

/// The longest life of a token, six hours, as EC2 has it.
const TOKEN_SECONDS_MAX: u32 = 21_600;

type Answer = Result<String, StatusCode>;

/// Returns the routes beneath `/imds`.
pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/{instance}/latest/api/token", put(token))
        .route("/{instance}/latest/{*path}", get(read))
}

async fn token(State(shared): State<Arc<Shared>>, Path(instance): Path<String>, headers: HeaderMap) -> Answer {
    let life = header(&headers, "x-aws-ec2-metadata-token-ttl-seconds").and_then(|life| life.parse().ok());
    let life = life
        .filter(|life| (1..=TOKEN_SECONDS_MAX).contains(life))
        .ok_or(StatusCode::BAD_REQUEST)?;
    let id = InstanceId::from(instance);
    shared.act(|world, now| {
        up(world.instance(&id))?;
        let until = later(now, seconds(f64::from(life))).as_second();
        Ok(seal(world.setup.seed, &id, until))
    })
}

async fn read(
    State(shared): State<Arc<Shared>>,
    Path((instance, path)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer {
    let id = InstanceId::from(instance);
    shared.act(|world, now| {
        let instance = up(world.instance(&id))?;
        let token = header(&headers, "x-aws-ec2-metadata-token").ok_or(StatusCode::UNAUTHORIZED)?;
        if !is_sealed(token, world.setup.seed, &id, now) {
            return Err(StatusCode::UNAUTHORIZED);
        }
        content(instance, &path, now, &world.setup.region).ok_or(StatusCode::NOT_FOUND)
    })
}

fn content(instance: &Instance, path: &str, now: Timestamp, region: &str) -> Option<String> {
    let state = instance.shown().state;
    let noticed = instance
        .interruption
        .filter(|interruption| interruption.noticed_at <= now);
    let ends_at = noticed.map(|interruption| interruption.ends_at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    match path {
        "meta-data/instance-id" => Some(instance.id.to_string()),
        "meta-data/instance-type" => Some(instance.instance_type.clone()),
        "meta-data/ami-id" => Some(instance.image_id.clone()),
        "meta-data/instance-life-cycle" => Some(match instance.spot_request {
            Some(_) => "spot".into(),
            None => "on-demand".into(),
        }),
        "meta-data/placement/availability-zone" => Some(instance.zone.clone()),
        "meta-data/placement/region" => Some(region.to_owned()),
        "meta-data/local-ipv4" => Some(instance.private_ip.clone()),
        "meta-data/public-ipv4" => instance.public_ip_in(state).map(str::to_owned),
        "meta-data/spot/instance-action" => {
            ends_at.map(|at| format!("{{\"action\": \"terminate\", \"time\": \"{at}\"}}"))
        }
        "meta-data/spot/termination-time" => ends_at,
        "user-data" => instance
            .user_data
            .as_deref()
            .map(|data| String::from_utf8_lossy(data).into_owned()),
        _ => None,
    }
}

/// Returns the instance if its machine is there to ask.
fn up(instance: Option<&Instance>) -> Result<&Instance, StatusCode> {
    let instance = instance.ok_or(StatusCode::NOT_FOUND)?;
    match instance.shown().state {
        InstanceState::Running | InstanceState::ShuttingDown => Ok(instance),
        InstanceState::Pending | InstanceState::Stopped | InstanceState::Terminated => Err(StatusCode::NOT_FOUND),
    }
}

/// Makes a token that says itself until when it counts, and for which instance.
fn seal(seed: u64, id: &InstanceId, until: i64) -> String {
    let sealed = Sha256::digest(format!("{seed}/{id}/{until}"));
    let sealed: String = sealed.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("{until}-{sealed}")
}

fn is_sealed(token: &str, seed: u64, id: &InstanceId, now: Timestamp) -> bool {
    let until = token.split('-').next().and_then(|until| until.parse().ok());
    until.is_some_and(|until| token == seal(seed, id, until) && now.as_second() < until)
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
