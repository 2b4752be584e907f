//! Hints that the folder has changed. Only hints: what is true is what a reading finds, and one happens every 2 s anyway.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;

use notify::{RecursiveMode, Watcher as _};

use crate::loader::Message;

/// Watches the folder and its parent, so that one that is replaced is noticed too.
pub(crate) struct Watch {
    dir: PathBuf,
    watcher: Option<notify::RecommendedWatcher>,
    /// Which folder is watched: another one under the same name has another number.
    watched: Option<u64>,
    is_hinted: Arc<AtomicBool>,
}

impl Watch {
    /// Begins to watch. Where the system cannot, there are no hints.
    pub(crate) fn new(dir: &Path, loader: Sender<Message>) -> Watch {
        let is_hinted = Arc::new(AtomicBool::new(false));
        let (flag, folder) = (is_hinted.clone(), dir.to_path_buf());
        let hint = move |event: notify::Result<notify::Event>| {
            let is_ours = event
                .is_ok_and(|event| !event.kind.is_access() && event.paths.iter().any(|path| path.starts_with(&folder)));
            // One hint at a time: more would say nothing new.
            if is_ours && !flag.swap(true, Ordering::AcqRel) {
                loader.send(Message::Look).ok();
            }
        };
        let watcher = notify::recommended_watcher(hint)
            .inspect_err(|error| tracing::warn!("the policies' folder is only read, not watched: {error}"))
            .ok();
        let mut watch = Watch {
            dir: dir.to_path_buf(),
            watcher,
            watched: None,
            is_hinted,
        };
        if let (Some(watcher), Some(parent)) = (&mut watch.watcher, dir.parent()) {
            watcher.watch(parent, RecursiveMode::NonRecursive).ok();
        }
        watch.renew();
        watch
    }

    /// Takes note that a reading begins: what happens from now on is worth another hint.
    pub(crate) fn begin_reading(&mut self) {
        self.is_hinted.store(false, Ordering::Release);
        self.renew();
    }

    /// Watches the folder that is there now.
    fn renew(&mut self) {
        let there = std::fs::metadata(&self.dir).ok().map(|metadata| metadata.ino());
        if there == self.watched {
            return;
        }
        let Some(watcher) = &mut self.watcher else { return };
        if self.watched.is_some() {
            watcher.unwatch(&self.dir).ok();
        }
        let watches = there.is_some() && watcher.watch(&self.dir, RecursiveMode::NonRecursive).is_ok();
        self.watched = there.filter(|_| watches);
    }
}
