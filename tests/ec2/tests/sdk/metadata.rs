//! Instance metadata as an agent reads it with a plain HTTP client, and a spot instance's last two minutes.

use std::time::Duration;

use aws_sdk_ec2::types::{InstanceMarketOptionsRequest, MarketType};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use usher_fake_ec2::{InstanceId, InstanceState};

use crate::setting::{Setting, encode, start, still};

const TTL: &str = "x-aws-ec2-metadata-token-ttl-seconds";
const TOKEN: &str = "x-aws-ec2-metadata-token";

async fn ask(setting: &Setting, method: Method, id: &str, path: &str, header: Option<(&str, &str)>) -> (u16, String) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let url = format!("{}/latest/{path}", setting.fake.metadata_url(&InstanceId::from(id)));
    let mut request = Request::builder().method(method).uri(url);
    if let Some((name, value)) = header {
        request = request.header(name, value);
    }
    let response = client.request(request.body(Empty::new()).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn token(setting: &Setting, id: &str) -> String {
    let (status, token) = ask(setting, Method::PUT, id, "api/token", Some((TTL, "60"))).await;
    assert_eq!(status, 200);
    token
}

async fn read(setting: &Setting, id: &str, path: &str) -> (u16, String) {
    let token = token(setting, id).await;
    ask(setting, Method::GET, id, path, Some((TOKEN, &token))).await
}

#[tokio::test]
async fn an_instance_reads_about_itself() {
    let setting = start(still()).await;
    let data = encode("hello");
    let id = setting.launched(setting.launch().user_data(data)).await.remove(0);
    for (path, expected) in [
        ("meta-data/instance-id", id.as_str()),
        ("meta-data/placement/availability-zone", "eu-central-1a"),
        ("meta-data/placement/region", "eu-central-1"),
        ("meta-data/local-ipv4", "10.0.1.4"),
        ("meta-data/public-ipv4", "203.0.113.1"),
        ("meta-data/instance-life-cycle", "on-demand"),
        ("user-data", "hello"),
    ] {
        assert_eq!(read(&setting, &id, path).await, (200, expected.to_owned()), "{path}");
    }
    assert_eq!(read(&setting, &id, "meta-data/spot/instance-action").await.0, 404);
    assert_eq!(read(&setting, &id, "meta-data/nothing").await.0, 404);
}

#[tokio::test]
async fn nothing_is_told_without_a_token_that_still_counts() {
    let setting = start(still()).await;
    let (id, other) = (setting.one().await, setting.one().await);
    let path = "meta-data/instance-id";
    let get = |header| ask(&setting, Method::GET, &id, path, header);
    assert_eq!(get(None).await.0, 401);
    assert_eq!(get(Some((TOKEN, "any"))).await.0, 401);
    let foreign = token(&setting, &other).await;
    assert_eq!(get(Some((TOKEN, &foreign))).await.0, 401);
    let own = token(&setting, &id).await;
    assert_eq!(get(Some((TOKEN, &own))).await.0, 200);
    setting.advance(60);
    assert_eq!(get(Some((TOKEN, &own))).await.0, 401);
    for life in [None, Some((TTL, "0")), Some((TTL, "21601")), Some((TTL, "long"))] {
        assert_eq!(
            ask(&setting, Method::PUT, &id, "api/token", life).await.0,
            400,
            "{life:?}"
        );
    }
}

#[tokio::test]
async fn an_instance_that_is_not_up_tells_nothing() {
    let setting = start(still()).await;
    let id = setting.one().await;
    let own = token(&setting, &id).await;
    setting
        .ec2
        .terminate_instances()
        .instance_ids(&id)
        .send()
        .await
        .unwrap();
    assert_eq!(
        ask(&setting, Method::GET, &id, "meta-data/instance-id", Some((TOKEN, &own)))
            .await
            .0,
        404
    );
    let unknown = ask(&setting, Method::PUT, "i-0", "api/token", Some((TTL, "60"))).await;
    assert_eq!(unknown.0, 404);
}

#[tokio::test]
async fn a_spot_instance_is_told_two_minutes_before_it_is_taken() {
    let setting = start(still()).await;
    let spot = InstanceMarketOptionsRequest::builder()
        .market_type(MarketType::Spot)
        .build();
    let id = setting
        .launched(setting.launch().instance_market_options(spot))
        .await
        .remove(0);
    let instance = InstanceId::from(id.as_str());
    let path = "meta-data/spot/instance-action";
    assert!(setting.control.notice_spot(&instance, Duration::from_secs(30)));
    setting.advance(29);
    assert_eq!(read(&setting, &id, path).await.0, 404);
    setting.advance(1);
    let action = "{\"action\": \"terminate\", \"time\": \"2026-01-01T00:02:30Z\"}";
    assert_eq!(read(&setting, &id, path).await, (200, action.to_owned()));
    setting.advance(119);
    assert_eq!(setting.truth(&id).state, InstanceState::Running);
    setting.advance(1);
    let output = setting.ec2.describe_instances().instance_ids(&id).send().await.unwrap();
    let ended = &output.reservations()[0].instances()[0];
    assert_eq!(ended.state().unwrap().name().unwrap().as_str(), "terminated");
    assert_eq!(
        ended.state_reason().unwrap().code(),
        Some("Server.SpotInstanceTermination")
    );
    assert!(!setting.control.notice_spot(&instance, Duration::ZERO));
}

#[tokio::test]
async fn an_instance_on_demand_is_never_noticed() {
    let setting = start(still()).await;
    let id = setting.one().await;
    assert!(
        !setting
            .control
            .notice_spot(&InstanceId::from(id.as_str()), Duration::ZERO)
    );
}
