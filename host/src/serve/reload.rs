//! Reads the config file anew when it changes. A file with any problem changes nothing.

use std::path::{Path, PathBuf};

use tokio::sync::watch;
use usher_cloud::Cloud;
use usher_fleet::Observation;

use crate::config::Config;
use crate::driver::Mailbox;
use crate::watched::Watched;
use crate::webhook::WebhookConfig;

/// Who goes by the file's newest version.
pub(super) struct Followers {
    pub(super) mailbox: Mailbox,
    pub(super) cloud: Cloud,
    pub(super) webhook: watch::Sender<Option<WebhookConfig>>,
}

impl Followers {
    fn take_over(&self, config: &Config) {
        self.mailbox
            .observe(Observation::Configured(Box::new(config.fleet.clone())));
        self.cloud.configure(config.pools.clone());
        // A call that is being tried goes on where nothing of it has changed.
        self.webhook.send_if_modified(|held| {
            let is_other = *held != config.webhook;
            held.clone_from(&config.webhook);
            is_other
        });
    }
}

/// Watches the file at `path` for ever, and takes over what `served` does not hold yet.
pub(super) async fn watch(path: PathBuf, mut served: Config, followers: Followers) {
    let mut watched = Watched::begin(vec![path.clone()]).await;
    loop {
        watched.changed().await;
        if !path.exists() {
            continue;
        }
        if let Some(config) = take_over(&path, &served).await {
            followers.take_over(&config);
            served = config;
        }
    }
}

/// Reads the file; `None`, and the reasons in the log, where it must not be taken over.
async fn take_over(path: &Path, served: &Config) -> Option<Config> {
    let file = path.to_owned();
    let before = served.clone();
    let read = tokio::task::spawn_blocking(move || Config::load_anew(&file, &before))
        .await
        .ok()?;
    let config = match read {
        Ok(config) => config,
        Err(problems) => {
            tracing::error!("the config file has changed and has problems; nothing of it is taken over: {problems}");
            return None;
        }
    };
    let check = served.check_reload(&config);
    if !check.problems.is_empty() {
        for problem in check.problems {
            tracing::error!("the config file has changed; nothing of it is taken over: {problem}");
        }
        return None;
    }
    for warning in config.warnings.iter().chain(&check.warnings) {
        tracing::warn!("{warning}");
    }
    tracing::info!("the config file has changed and is taken over");
    Some(config)
}
