//! Files that are watched: a change counts once they rest, however it is learned of.
//!
//! Hints come from the system and get lost, on network folders for one; so the files are also read every two seconds. It is
//! their bytes that count: a link that leads elsewhere is a change, a file that was only touched is none.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;
use tokio::sync::Notify;

/// How often the files are read without a hint that they have changed.
const POLL: Duration = Duration::from_secs(2);
/// How long changed files must rest before they count: editors write in steps.
const QUIET: Duration = Duration::from_millis(300);
/// What of a file is looked at, in bytes: all of every file that is taken.
const BYTES_MAX: u64 = crate::config::FILE_BYTES_MAX + 1;

/// What a file held; `None` where there is none.
type Print = Option<[u8; 32]>;

/// Some files that belong together.
#[derive(Debug)]
pub(crate) struct Watched {
    paths: Vec<PathBuf>,
    known: Vec<Print>,
    hint: Arc<Notify>,
    _watchers: Vec<RecommendedWatcher>,
}

impl Watched {
    /// Watches from now on.
    pub(crate) async fn begin(paths: Vec<PathBuf>) -> Watched {
        let hint = Arc::new(Notify::new());
        let mut folders: Vec<&Path> = paths.iter().map(|path| folder(path)).collect();
        folders.sort();
        folders.dedup();
        let watchers = folders
            .into_iter()
            .filter_map(|folder| watcher(folder, &hint))
            .collect();
        Watched {
            known: prints(&paths).await,
            paths,
            hint,
            _watchers: watchers,
        }
    }

    /// Waits until the files hold something else than before, and rest. May be broken off and asked again.
    pub(crate) async fn changed(&mut self) {
        loop {
            let found = self.rested().await;
            if found != self.known {
                self.known = found;
                return;
            }
            // Without a hint in time they are read all the same.
            let _ = tokio::time::timeout(POLL, self.hint.notified()).await;
        }
    }

    async fn rested(&self) -> Vec<Print> {
        let mut found = prints(&self.paths).await;
        while found != self.known {
            tokio::time::sleep(QUIET).await;
            let again = prints(&self.paths).await;
            if again == found {
                break;
            }
            found = again;
        }
        found
    }
}

fn folder(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// Watches a folder, so that a file that is replaced is seen too. Without hints its files are polled all the same.
fn watcher(folder: &Path, hint: &Arc<Notify>) -> Option<RecommendedWatcher> {
    let hint = Arc::clone(hint);
    // That somebody reads a file is no change; we do, and would wake ourselves for ever.
    let told = move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !event.kind.is_access()) {
            hint.notify_one();
        }
    };
    let watching = notify::recommended_watcher(told)
        .and_then(|mut watcher| watcher.watch(folder, RecursiveMode::NonRecursive).map(|()| watcher));
    match watching {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            let folder = folder.display();
            tracing::warn!(%error, "the folder {folder} cannot be watched; its files are read every 2 s");
            None
        }
    }
}

async fn prints(paths: &[PathBuf]) -> Vec<Print> {
    let mut prints = Vec::with_capacity(paths.len());
    for path in paths {
        prints.push(print(path).await);
    }
    prints
}

async fn print(path: &Path) -> Print {
    let file = tokio::fs::File::open(path).await.ok()?;
    let mut bytes = Vec::new();
    file.take(BYTES_MAX).read_to_end(&mut bytes).await.ok()?;
    Some(Sha256::digest(&bytes).into())
}
