//! What every test needs: a fake, the SDK's client for it, and short ways to say common things.

use std::time::Duration;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::config::retry::RetryConfig;
use aws_sdk_ec2::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_ec2::error::ProvideErrorMetadata;
use aws_sdk_ec2::operation::run_instances::builders::RunInstancesFluentBuilder;
use aws_sdk_ec2::types::InstanceType;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use usher_fake_ec2::{
    ACCESS_KEY_ID, ClockSetup, Control, FakeEc2, IMAGE, InstanceId, InstanceView, SECRET_ACCESS_KEY, Setup,
};

/// How long a test waits for what must happen at once: far longer than it takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A fake with a client and a handle.
pub(crate) struct Setting {
    pub(crate) fake: FakeEc2,
    pub(crate) control: Control,
    pub(crate) ec2: Client,
}

/// Returns a setup whose time stands still.
pub(crate) fn still() -> Setup {
    Setup {
        clock: ClockSetup::manual(),
        ..Setup::default()
    }
}

/// Starts a fake with a setup.
pub(crate) async fn start(setup: Setup) -> Setting {
    let fake = FakeEc2::start(setup).await.unwrap();
    Setting {
        control: fake.control(),
        ec2: client(fake.url()),
        fake,
    }
}

/// Returns a client with the default key and without retries.
pub(crate) fn client(url: &str) -> Client {
    let credentials = Credentials::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY, None, None, "test");
    client_with(url, credentials, "eu-central-1", RetryConfig::disabled())
}

/// Returns a client of any kind.
pub(crate) fn client_with(url: &str, credentials: Credentials, region: &str, retries: RetryConfig) -> Client {
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https();
    let config = aws_sdk_ec2::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .endpoint_url(url)
        .credentials_provider(credentials)
        .retry_config(retries)
        .http_client(http)
        .build();
    Client::from_conf(config)
}

/// Returns a text as the API takes user data.
pub(crate) fn encode(text: &str) -> String {
    STANDARD.encode(text)
}

/// Returns an error's code, as the SDK understands it.
pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, impl ProvideErrorMetadata>) -> String {
    let error = result.expect_err("an error is expected");
    error.code().unwrap_or_default().to_owned()
}

impl Setting {
    /// Begins to launch one instance of a type that there is, from the image that there is.
    pub(crate) fn launch(&self) -> RunInstancesFluentBuilder {
        self.ec2
            .run_instances()
            .image_id(IMAGE)
            .instance_type(InstanceType::C7iLarge)
            .min_count(1)
            .max_count(1)
    }

    /// Launches one instance, or as many as the launch says, and returns their ids.
    pub(crate) async fn launched(&self, launch: RunInstancesFluentBuilder) -> Vec<String> {
        let launched = launch.send().await.unwrap();
        launched
            .instances()
            .iter()
            .map(|instance| instance.instance_id().unwrap().to_owned())
            .collect()
    }

    /// Launches one instance and returns its id.
    pub(crate) async fn one(&self) -> String {
        self.launched(self.launch()).await.remove(0)
    }

    /// Returns an instance as it truly is.
    pub(crate) fn truth(&self, id: &str) -> InstanceView {
        self.control.instance(&InstanceId::from(id)).unwrap()
    }

    /// Returns the ids and states that a plain `DescribeInstances` shows.
    pub(crate) async fn seen(&self) -> Vec<(String, String)> {
        let output = self.ec2.describe_instances().send().await.unwrap();
        let instances = output
            .reservations()
            .iter()
            .flat_map(|reservation| reservation.instances());
        let seen = instances.map(|instance| {
            let state = instance.state().unwrap().name().unwrap();
            (instance.instance_id().unwrap().to_owned(), state.as_str().to_owned())
        });
        seen.collect()
    }

    /// Moves the clock.
    pub(crate) fn advance(&self, seconds: u64) {
        self.control.advance(Duration::from_secs(seconds));
    }
}
