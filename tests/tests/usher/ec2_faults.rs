//! The whole story with every fault switched on: the real host against a fake EC2 that loses, delays, refuses and throttles, is
//! short of machines and addresses, and whose instances die, boot badly and are taken away, while the host itself is killed again
//! and again and an app goes on as if nothing were. The night ends when each of these has struck.
//!
//! | module | holds |
//! |---|---|
//! | `app` | an app that keeps rooms, and remembers what it was told when |
//! | `weather` | what goes wrong in the cloud, what has not yet, and which instances it has hurt |
//!
//! `USHER_CHAOS_SEED` runs one seed; without it those of [`SEEDS`] are run. Processes and a real clock are no more repeatable
//! than a real night is: the seed repeats what is done to the host, and not each interleaving.

mod app;
mod weather;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use usher_fake_ec2::{Call, InstanceView, TEMPLATE, default_subnet_id};

use crate::chance::Chance;
use crate::ec2::{ADMIN, CHEAP, Cloud, DEAR, USER_DATA, hash, servers};
use crate::http::Client;
use crate::patience::{at_most, eventually};
use crate::site::{AGENT, Host};
use app::{App, ROOMS_MIN, Stay};
use weather::Weather;

/// The seeds of each run of the tests.
const SEEDS: [u64; 1] = [1];

/// How often the host is killed at least.
const KILLS: usize = 14;

/// How often at most, until each fault has struck: four times as often as any seed is known to need.
const KILLS_MAX: usize = 60;

/// Rooms at the same time: more than the servers of one pool hold.
const ROOMS: usize = 9;

/// The longest from the last fault to the last room seated and released.
const ROOMS_END_WITHIN: Duration = Duration::from_secs(150);

/// The longest from the last room's end to nothing left: an end that was refused often is asked for again after a minute.
const GONE_WITHIN: Duration = Duration::from_secs(150);

/// Spot instances have an agent without a media server beside it, so that two cores suffice; the others a real Janus.
const SPOT_USER_DATA: &str = r#"#!/bin/sh
set -eu
if [ {{pool}} = spot ]; then
  printf '%s' '{{token}}' > token
  export USHER_AGENT_IMDS="$USHER_FAKE_IMDS"
  exec @agent@ --url {{url}} --server {{server}} --token-file token --server-url "ws://127.0.0.1:9/{{server}}" \
    --report-seconds 1 --spot-notices --drain-seconds 1 --media none
fi
"#;

fn config(cloud: &Cloud) -> String {
    let mut config = format!(
        r#"fleet = "storm"
tick_seconds = 1
[auth]
admin_tokens = ["{}"]
[guards]
fleet_dollars_per_hour_max = 100.0
scale_down_cooldown_seconds = 0
server_life_seconds_min = 0
cpu_permille_max = 1000
boot_failures_max = 100
boot_failures_window = 100
boot_seconds_max = 20
[servers]
reconcile_seconds = 1
"#,
        hash(ADMIN)
    );
    for (pool, market, servers_max, dear, cheap) in [("spot", "spot", 3, 0.3, 0.1), ("cloud", "on-demand", 4, 0.8, 0.4)]
    {
        let (a, b) = (default_subnet_id(1), default_subnet_id(2));
        config += &format!(
            r#"[[pool]]
name = "{pool}"
provider = "ec2"
region = "eu-central-1"
rooms_per_server = 2
servers_max = {servers_max}
market = "{market}"
[pool.ec2]
launch_template = "{TEMPLATE}"
launch_template_version = 1
offers = [{{ instance_type = "{DEAR}", price_per_hour = {dear} }}, {{ instance_type = "{CHEAP}", price_per_hour = {cheap} }}]
subnets = {{ eu-central-1a = "{a}", eu-central-1b = "{b}" }}
host_url = "{}"
user_data = "user-data.sh"
endpoint_url = "{}"
"#,
            cloud.site.url(),
            cloud.fake.url()
        );
    }
    config
}

/// Says how to repeat a seed that fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "run it again: USHER_CHAOS_SEED={} cargo test --workspace --test usher ec2_faults",
                self.0
            );
        }
    }
}

/// Kills the host again and again, each time in the middle of something, while the weather is bad.
async fn storm(cloud: &Cloud, weather: &mut Weather, chance: &mut Chance) -> (Host, Client) {
    let (mut host, mut client) = cloud.start().await;
    for kills in 0.. {
        let lacking = weather.lacking();
        if kills >= KILLS && lacking.is_empty() {
            break;
        }
        assert!(
            kills < KILLS_MAX,
            "{kills} times the host was killed, and there was never {lacking:?}"
        );
        if kills >= KILLS / 3 && !lacking.is_empty() {
            weather.insist(&client).await;
        }
        for _ in 0..=chance.below(3) {
            tokio::time::sleep(Duration::from_millis(chance.below(1500) as u64)).await;
            weather.turn(chance, &client).await;
        }
        host.kill();
        (host, client) = cloud.start().await;
    }
    weather.clear();
    (host, client)
}

/// No intent has two instances: one number, one instance, whatever was asked again.
fn assert_no_intent_has_two(cloud: &Cloud) {
    cloud.assert_none_was_launched_twice();
    let mut by_number: BTreeMap<String, Vec<InstanceView>> = BTreeMap::new();
    for instance in cloud.control.instances() {
        let number = instance.tags["usher:no"].clone();
        by_number.entry(number).or_default().push(instance);
    }
    let twice = by_number.iter().find(|(_, instances)| instances.len() > 1);
    assert!(twice.is_none(), "launched twice for one intent: {twice:?}");
}

/// Nothing was ended on which the app had a room, but for what the weather had hurt before: no drain here has a deadline.
fn assert_none_was_ended_with_rooms(cloud: &Cloud, stays: &[Stay]) {
    let views = cloud.control.instances().into_iter();
    let views: BTreeMap<_, _> = views.map(|instance| (instance.id.clone(), instance)).collect();
    let was_hurt = |instance: &InstanceView, at| weather::hurt_since(instance).is_some_and(|since| since <= at);
    let ends = cloud.control.calls();
    let ends = ends
        .iter()
        .filter(|call| call.action == "TerminateInstances" && call.outcome.is_done);
    for Call { at, instances, .. } in ends {
        for instance in instances.iter().filter(|instance| !was_hurt(&views[*instance], *at)) {
            let server = &views[instance].tags["usher:server"];
            let stay = stays.iter().find(|stay| stay.server == *server && stay.lasts_at(*at));
            assert!(
                stay.is_none(),
                "{server} ({instance}) was ended at {at} with a room on it: {stay:?}"
            );
        }
    }
}

fn seeds() -> Vec<u64> {
    match std::env::var("USHER_CHAOS_SEED") {
        Ok(seed) => vec![seed.parse().expect("USHER_CHAOS_SEED is a number")],
        Err(_) => SEEDS.into(),
    }
}

async fn live(seed: u64) {
    let _seed = Seed(seed);
    let mut chance = Chance::new(seed);
    let cloud = Cloud::new(|setup| weather::bad(setup, seed)).await;
    let script = SPOT_USER_DATA.to_owned() + USER_DATA.trim_start_matches("#!/bin/sh\nset -eu\n");
    cloud.site.write("user-data.sh", &script.replace("@agent@", AGENT));
    cloud.site.configure(&config(&cloud));
    let mut weather = Weather::new(cloud.control.clone());
    let is_over = Arc::new(AtomicBool::new(false));
    let client = Client::new(&cloud.site.url()).with_token(ADMIN);
    let apps: Vec<_> = (0..ROOMS)
        .map(|number| {
            let app = App::new(client.clone(), cloud.control.clone(), number, seed, is_over.clone());
            tokio::spawn(app.run())
        })
        .collect();
    let (host, client) = storm(&cloud, &mut weather, &mut chance).await;
    is_over.store(true, Ordering::Release);
    let mut stays = Vec::new();
    for app in apps {
        let ended = at_most("every room is seated and ends", ROOMS_END_WITHIN, app).await;
        stays.extend(ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())));
    }
    eventually("all has gone", GONE_WITHIN, async || {
        (servers(&client).await.is_empty() && cloud.living().is_empty()).then_some(())
    })
    .await;
    assert_no_intent_has_two(&cloud);
    assert_none_was_ended_with_rooms(&cloud, &stays);
    weather.assert_was_bad();
    assert!(stays.len() >= ROOMS * ROOMS_MIN, "only {} stays", stays.len());
    assert!(host.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_goes_wrong_every_room_is_seated_and_nothing_is_left() {
    for seed in seeds() {
        live(seed).await;
    }
}
