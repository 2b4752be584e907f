//! Reads the config file anew when it changes. A file with any problem changes nothing.

use std::path::{Path, PathBuf};
use std::time::Duration;

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

/// How often a version that was refused is looked at again: what was wrong may lie in a file that it names.
const REFUSED_AGAIN: Duration = Duration::from_secs(5);

/// Watches the file at `path` for ever, and takes over what `served` does not hold yet.
pub(super) async fn watch(path: PathBuf, mut served: Config, followers: Followers) {
    let mut watched = Watched::begin(vec![path.clone()]).await;
    let mut refused: Option<String> = None;
    loop {
        match refused {
            None => watched.changed().await,
            // Either may have changed by then.
            Some(_) => tokio::time::timeout(REFUSED_AGAIN, watched.changed())
                .await
                .unwrap_or_default(),
        }
        if !path.exists() {
            continue;
        }
        match take_over(&path, &served).await {
            Ok(config) => {
                followers.take_over(&config);
                // The certificate that is served changes with a restart only.
                let tls = served.tls;
                served = Config { tls, ..config };
                refused = None;
            }
            Err(why) => {
                if refused.as_ref() != Some(&why) {
                    tracing::error!("the config file has changed, and nothing of it is taken over: {why}");
                }
                refused = Some(why);
            }
        }
    }
}

/// Reads the file; the reasons where it must not be taken over.
async fn take_over(path: &Path, served: &Config) -> Result<Config, String> {
    let file = path.to_owned();
    let before = served.clone();
    let read = tokio::task::spawn_blocking(move || Config::load_anew(&file, &before)).await;
    let config = read
        .map_err(|error| error.to_string())?
        .map_err(|problems| problems.to_string())?;
    let check = served.check_reload(&config);
    if !check.problems.is_empty() {
        let problems: Vec<String> = check.problems.iter().map(ToString::to_string).collect();
        return Err(problems.join("; "));
    }
    for warning in config.warnings.iter().chain(&check.warnings) {
        tracing::warn!("{warning}");
    }
    tracing::info!("the config file has changed and is taken over");
    Ok(config)
}
