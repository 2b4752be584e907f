//! The whole story on a fake EC2, with the real SDK, real agents and real Janus servers: each instance is a process group on this
//! machine that runs the user data which the host rendered, and reports where its Janus is.

mod adopted;
mod failed_boots;
mod janus;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use usher_fake_ec2::{
    ACCESS_KEY_ID, Control, FakeEc2, Fault, FaultKind, InstanceState, InstanceView, Life, Market, SECRET_ACCESS_KEY,
    Setup, TEMPLATE, default_subnet_id,
};

use crate::http::Client;
use crate::patience::{eventually, seconds};
use crate::site::{AGENT, Host, Site};
use crate::sse::all_events;
use janus::Janus;

pub(crate) const ADMIN: &str = "usher_admin_of_a_test";
pub(crate) const DEAR: &str = "c7i.4xlarge";
pub(crate) const CHEAP: &str = "c7i.2xlarge";

/// What an instance runs: a Janus on its own address, and the agent beside it. Apps give Janus numbers for rooms, and the names as
/// descriptions.
pub(crate) const USER_DATA: &str = r#"#!/bin/sh
set -eu
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
http=$(free_port)
admin=$(free_port)
at=$(pwd)
mkdir conf plugins transports none
ln -s /usr/lib/*/janus/plugins/libjanus_videoroom.so plugins/
ln -s /usr/lib/*/janus/transports/libjanus_http.so transports/
cat > conf/janus.jcfg <<END
general: { configs_folder = "$at/conf" plugins_folder = "$at/plugins" transports_folder = "$at/transports"
  events_folder = "$at/none" loggers_folder = "$at/none" admin_secret = "overlord" debug_level = 3 debug_colors = false }
END
cat > conf/janus.transport.http.jcfg <<END
general: { json = "compact" base_path = "/janus" http = true https = false ip = "127.0.0.1" port = $http }
admin: { admin_base_path = "/admin" admin_http = true admin_https = false admin_ip = "127.0.0.1" admin_port = $admin }
END
echo 'general: { admin_key = "key" }' > conf/janus.plugin.videoroom.jcfg
janus -F "$at/conf" -r 31100-31999 > janus.log 2>&1 &
printf '%s' '{{token}}' > token
export USHER_AGENT_IMDS="$USHER_FAKE_IMDS"
exec @agent@ --url {{url}} --server {{server}} --token-file token --server-url "http://127.0.0.1:$http/janus" --report-seconds 1 --spot-notices --drain-seconds 1 \
  --media janus --media-url "http://127.0.0.1:$admin/admin" --janus-admin-secret overlord --janus-admin-key key --janus-room-from description
"#;

/// A fake EC2 whose instances are processes, and a host's folder that launches there.
pub(crate) struct Cloud {
    pub(crate) fake: FakeEc2,
    pub(crate) control: Control,
    pub(crate) site: Site,
}

impl Cloud {
    pub(crate) async fn new(change: impl FnOnce(&mut Setup)) -> Cloud {
        let mut setup = Setup {
            run_user_data: true,
            life: Life {
                boot_seconds: 0.5,
                shutdown_seconds: 0.5,
                ..Life::default()
            },
            ..Setup::default()
        };
        change(&mut setup);
        let fake = FakeEc2::start(setup).await.unwrap();
        let site = Site::new("")
            .with_variable("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
            .with_variable("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY);
        site.write("user-data.sh", &USER_DATA.replace("@agent@", AGENT));
        // Its servers all report this machine's CPU, which other tests keep busy: no mark keeps rooms off for that, here or in the pool.
        site.write(
            "policies/standard.toml",
            "idle_seconds = 0\nheadroom_percent = 0\nheadroom_rooms_min = 0\ncpu_permille_max = 1000\n",
        );
        let cloud = Cloud {
            control: fake.control(),
            fake,
            site,
        };
        cloud.site.configure(&cloud.config(""));
        cloud
    }

    fn config(&self, more: &str) -> String {
        let (url, host) = (self.fake.url(), self.site.url());
        let (hash, subnet) = (hash(ADMIN), default_subnet_id);
        let (a, b) = (subnet(1), subnet(2));
        format!(
            r#"fleet = "story"
tick_seconds = 1
[auth]
admin_tokens = ["{hash}"]
[guards]
fleet_dollars_per_hour_max = 100.0
scale_down_cooldown_seconds = 0
cpu_permille_max = 1000
server_life_seconds_min = 0
[servers]
reconcile_seconds = 1
[[pool]]
name = "cloud"
provider = "ec2"
region = "eu-central-1"
rooms_per_server = 2
{more}
[pool.ec2]
launch_template = "{TEMPLATE}"
launch_template_version = 1
offers = [{{ instance_type = "{DEAR}", price_per_hour = 0.8 }}, {{ instance_type = "{CHEAP}", price_per_hour = 0.4 }}]
subnets = {{ eu-central-1a = "{a}", eu-central-1b = "{b}" }}
host_url = "{host}"
user_data = "user-data.sh"
endpoint_url = "{url}"
"#
        )
    }

    pub(crate) fn living(&self) -> Vec<InstanceView> {
        let mut instances = self.control.instances();
        instances.retain(|instance| instance.state != InstanceState::Terminated);
        instances
    }

    pub(crate) async fn start(&self) -> (Host, Client) {
        let host = self.site.start().await;
        let client = host.client().with_token(ADMIN);
        (host, client)
    }

    /// Every token has made one instance, and no server two.
    pub(crate) fn assert_none_was_launched_twice(&self) {
        let by_token = self.control.launched_by_token();
        assert!(by_token.values().all(|instances| instances.len() == 1), "{by_token:?}");
        let servers: Vec<(String, String)> = self
            .control
            .instances()
            .iter()
            .map(|instance| {
                (
                    instance.tags["usher:server"].clone(),
                    instance.tags["usher:attempt"].clone(),
                )
            })
            .collect();
        let distinct: BTreeSet<&(String, String)> = servers.iter().collect();
        assert_eq!(distinct.len(), servers.len(), "{servers:?}");
    }
}

impl Drop for Cloud {
    /// Says what EC2 was asked and what its instances wrote, where a test fails.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for call in self.control.calls().iter().rev().take(20).rev() {
            eprintln!("{} {:?} {:?}", call.action, call.instances, call.outcome);
        }
        for instance in self.control.instances() {
            let console = self.control.console(&instance.id).unwrap_or_default();
            eprintln!(
                "--- {} {:?} {:?}\n{console}",
                instance.id, instance.state, instance.reason
            );
        }
    }
}

pub(crate) fn hash(token: &str) -> String {
    let digest = Sha256::digest(token.as_bytes());
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digits}")
}

async fn place(client: &Client, rooms: &[&str]) {
    for room in rooms {
        let answer = client.put(&format!("/v1/rooms/{room}"), json!({ "seats": 2 })).await;
        assert!([200, 201, 202].contains(&answer.status), "{}", answer.text);
    }
}

async fn placed(client: &Client, room: &str) -> Value {
    let path = format!("/v1/rooms/{room}?wait_seconds=10");
    eventually("the room is placed", seconds(90), async || {
        let room = client.get(&path).await.json;
        (room["state"] == "placed").then_some(room)
    })
    .await
}

pub(crate) async fn servers(client: &Client) -> Vec<Value> {
    client.get("/v1/servers").await.expect(200).json["servers"]
        .as_array()
        .unwrap()
        .clone()
}

#[tokio::test]
async fn rooms_arrive_instances_come_report_take_rooms_and_go() {
    let cloud = Cloud::new(|_| {}).await;
    let (host, client) = cloud.start().await;
    place(&client, &["a", "b", "c"]).await;
    for room in ["a", "b", "c"] {
        let url = placed(&client, room).await["server"]["url"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(url.starts_with("http://127.0.0.1:") && url.ends_with("/janus"), "{url}");
        let janus = Janus::at(&url);
        janus.create(room).await;
        janus.join(room).await;
    }
    eventually(
        "each room is reported where it is, with who is in it",
        seconds(20),
        async || {
            let mut is_seen = true;
            for room in ["a", "b", "c"] {
                is_seen &= client.get(&format!("/v1/rooms/{room}")).await.json["participants"] == 1;
            }
            is_seen.then_some(())
        },
    )
    .await;
    let known = servers(&client).await;
    assert_eq!(known.len(), 2);
    for server in &known {
        assert_eq!(
            (&server["phase"], &server["offer"]["instance_type"]),
            (&json!("ready"), &json!(CHEAP))
        );
        assert!(server["cpu_permille"].is_number(), "{server}");
        assert_eq!(server["participants"], server["rooms"], "one in each room: {server}");
        assert_eq!(
            server["rooms_unknown"], 0,
            "what is reported is what was placed: {server}"
        );
    }
    let zones: BTreeSet<&str> = known.iter().map(|server| server["zone"].as_str().unwrap()).collect();
    assert_eq!(zones.len(), 2, "one in each zone");
    for room in ["a", "b", "c"] {
        let url = placed(&client, room).await["server"]["url"]
            .as_str()
            .unwrap()
            .to_owned();
        Janus::at(&url).destroy(room).await;
        client.delete(&format!("/v1/rooms/{room}")).await.expect(204);
    }
    eventually("all has gone", seconds(60), async || {
        (servers(&client).await.is_empty() && cloud.living().is_empty()).then_some(())
    })
    .await;
    cloud.assert_none_was_launched_twice();
    let calls = cloud.control.calls();
    let versions: BTreeSet<_> = calls
        .iter()
        .filter_map(|call| call.template_version.as_deref())
        .collect();
    assert_eq!(versions, ["1"].into());
    let events = all_events(&client).await;
    let disagreements: Vec<_> = events
        .iter()
        .filter(|event| event.kind.starts_with("room.un"))
        .collect();
    assert!(disagreements.is_empty(), "{disagreements:?}");
    assert!(host.terminate().await.success());
}

#[tokio::test]
async fn an_agents_first_token_is_exchanged_and_counts_for_its_own_server_only() {
    let cloud = Cloud::new(|_| {}).await;
    let (_host, client) = cloud.start().await;
    place(&client, &["a"]).await;
    placed(&client, "a").await;
    let script = cloud.living()[0].user_data.clone().unwrap();
    let first = script
        .split('\'')
        .find(|word| word.starts_with("usher_agent."))
        .unwrap()
        .to_owned();
    let agent = client.with_token(&first);
    let report = async |agent: &Client, server: &str| {
        agent
            .post(&format!("/v1/servers/{server}/report"), json!({}))
            .await
            .status
    };
    eventually("the agent has taken its second token", seconds(20), async || {
        (report(&agent, "cloud-1").await == 401).then_some(())
    })
    .await;
    agent.get("/v1/servers").await.expect_problem(403, "wrong_scope");
    assert_eq!(report(&agent, "cloud-2").await, 403);
    let made = client
        .post("/v1/servers/cloud-1/token", json!({}))
        .await
        .expect(201)
        .json;
    let new = client.with_token(made["token"].as_str().unwrap());
    assert_eq!(report(&new, "cloud-1").await, 200);
    client.delete("/v1/servers/cloud-1/token").await.expect(204);
    assert_eq!(report(&new, "cloud-1").await, 401);
}

#[tokio::test]
async fn shortages_lost_replies_and_a_killed_host_leave_no_instance_behind() {
    let cloud = Cloud::new(|setup| setup.lag.visibility_seconds = 1.0).await;
    cloud
        .control
        .set_capacity(CHEAP, "eu-central-1a", Market::OnDemand, Some(0));
    cloud
        .control
        .set_capacity(CHEAP, "eu-central-1b", Market::OnDemand, Some(1));
    let (host, client) = cloud.start().await;
    for _ in 0..2 {
        cloud
            .control
            .set_fault(Fault::next("RunInstances", 1, FaultKind::LostAfter));
    }
    place(&client, &["a", "b", "c", "d", "e"]).await;
    eventually("something was launched", seconds(30), async || {
        (!cloud.control.instances().is_empty()).then_some(())
    })
    .await;
    host.kill();
    let (host, client) = cloud.start().await;
    for room in ["a", "b", "c", "d", "e"] {
        placed(&client, room).await;
    }
    let known = servers(&client).await;
    let types: Vec<&str> = known
        .iter()
        .map(|server| server["offer"]["instance_type"].as_str().unwrap())
        .collect();
    assert!(types.contains(&CHEAP) && types.contains(&DEAR), "{types:?}");
    assert_eq!(known.len(), cloud.living().len());
    for room in ["a", "b", "c", "d", "e"] {
        client.delete(&format!("/v1/rooms/{room}")).await.expect(204);
    }
    eventually("all has gone", seconds(90), async || {
        (servers(&client).await.is_empty() && cloud.living().is_empty()).then_some(())
    })
    .await;
    cloud.assert_none_was_launched_twice();
    drop(host);
}

#[tokio::test]
async fn a_spot_notice_moves_the_rooms_before_the_machine_goes() {
    let cloud = Cloud::new(|_| {}).await;
    cloud.site.configure(&cloud.config("market = \"spot\""));
    let (_host, client) = cloud.start().await;
    place(&client, &["a"]).await;
    let first = placed(&client, "a").await["server"].clone();
    let janus = Janus::at(first["url"].as_str().unwrap());
    janus.create("a").await;
    janus.join("a").await;
    let instance = cloud.living()[0].id.clone();
    assert!(cloud.control.notice_spot(&instance, seconds(0)));
    let moved = eventually("the room has moved", seconds(60), async || {
        let room = client.get("/v1/rooms/a").await.json;
        (room["state"] == "placed" && room["server"]["name"] != first["name"]).then_some(room)
    })
    .await;
    Janus::at(moved["server"]["url"].as_str().unwrap()).create("a").await;
    let decided = client.get("/v1/events?follow=false").await.text;
    assert!(decided.contains("takes the machine away"), "{decided}");
}
