//! Reads the config file anew when it changes. A file with any problem changes nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecursiveMode, Watcher};
use sha2::{Digest, Sha256};
use tokio::sync::{Notify, watch};
use usher_cloud::Cloud;
use usher_fleet::Observation;

use crate::config::Config;
use crate::driver::Mailbox;
use crate::webhook::WebhookConfig;

/// How often the file is read without a hint that it has changed: hints get lost, on network folders for one.
const POLL: Duration = Duration::from_secs(2);
/// How long a changed file must rest before it counts: editors write in steps.
const QUIET: Duration = Duration::from_millis(300);

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
    let changed = Arc::new(Notify::new());
    let _watcher = watcher(&path, Arc::clone(&changed));
    let mut known = digest(&path).await;
    loop {
        let _ = tokio::time::timeout(POLL, changed.notified()).await;
        let mut found = digest(&path).await;
        if found == known || found.is_none() {
            continue;
        }
        loop {
            tokio::time::sleep(QUIET).await;
            let rested = digest(&path).await;
            if rested == found {
                break;
            }
            found = rested;
        }
        known = found;
        if let Some(config) = take_over(&path, &served).await {
            followers.take_over(&config);
            served = config;
        }
    }
}

/// Reads the file; `None`, and the reasons in the log, where it must not be taken over.
async fn take_over(path: &Path, served: &Config) -> Option<Config> {
    let file = path.to_owned();
    let overrides = served.overrides.clone();
    let read = tokio::task::spawn_blocking(move || Config::load_with(Some(&file), &overrides))
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

/// Watches the file's folder, so that a file that is replaced is seen too. Without hints the file is polled all the same.
fn watcher(path: &Path, changed: Arc<Notify>) -> Option<notify::RecommendedWatcher> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    // That somebody reads the file is no change; we do, and would wake ourselves for ever.
    let hint = move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !event.kind.is_access()) {
            changed.notify_one();
        }
    };
    let watching = notify::recommended_watcher(hint)
        .and_then(|mut watcher| watcher.watch(folder, RecursiveMode::NonRecursive).map(|()| watcher));
    match watching {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            tracing::warn!(%error, "the config file's folder cannot be watched; it is read every 2 s");
            None
        }
    }
}

async fn digest(path: &Path) -> Option<[u8; 32]> {
    let bytes = tokio::fs::read(path).await.ok()?;
    Some(Sha256::digest(&bytes).into())
}
