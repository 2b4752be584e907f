//! What a policy is built from, as files on this disk; and when that has changed.
//!
//! It looks, rather than being told: a look at a crate's few dozen files costs less than a millisecond, misses no editor's way of saving,
//! and also works where the system tells of no changes (network folders, containers' mounts).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// From one look to the next. A change counts when a look finds nothing more: editors save in steps.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The most files that are looked at; a crate has some dozens.
const FILES_MAX: usize = 10_000;
/// What cargo writes.
const WRITTEN_BY_CARGO: [&str; 2] = ["target", "Cargo.lock"];

/// A crate's files as they were last seen.
#[derive(Debug)]
pub(super) struct Sources {
    folder: PathBuf,
    /// Where modules are put; not looked at, also if it lies within the crate.
    destination: PathBuf,
    seen: Stamps,
}

type Stamps = BTreeMap<PathBuf, (SystemTime, u64)>;

impl Sources {
    /// Takes note of the files of the crate in `folder`.
    pub(super) fn of(folder: &Path, destination: &Path) -> Sources {
        let mut sources = Sources {
            folder: folder.to_path_buf(),
            destination: fs::canonicalize(destination).unwrap_or_else(|_| destination.to_path_buf()),
            seen: Stamps::new(),
        };
        sources.seen = sources.look();
        sources
    }

    /// Waits until something is other than it was last seen; [`change`](Self::change) is then soon over.
    pub(super) async fn begin_to_change(&self) {
        while self.look() == self.seen {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until something has changed and come to rest, and takes note of it. Returns when it was saved.
    pub(super) async fn change(&mut self) -> SystemTime {
        self.begin_to_change().await;
        let mut now = self.look();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let next = self.look();
            if next == now {
                break;
            }
            now = next;
        }
        let changed = now.iter().filter(|(path, stamp)| self.seen.get(*path) != Some(*stamp));
        let saved = changed.map(|(_, (modified, _))| *modified).max();
        self.seen = now;
        // A file that is gone has no time.
        saved.unwrap_or_else(SystemTime::now)
    }

    fn look(&self) -> Stamps {
        let mut stamps = Stamps::new();
        self.walk(&self.folder, &mut stamps);
        stamps
    }

    /// What cannot be read is being replaced; the next look will see.
    fn walk(&self, folder: &Path, stamps: &mut Stamps) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            if stamps.len() >= FILES_MAX || is_by_the_way(&name) {
                continue;
            }
            // Links to folders are not followed: they may go in circles.
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if fs::canonicalize(&path).is_ok_and(|path| path != self.destination) {
                    self.walk(&path, stamps);
                }
            } else if let Ok(metadata) = fs::metadata(&path) {
                let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                stamps.insert(path, (modified, metadata.len()));
            }
        }
    }
}

/// Returns whether a file is none of the author's: cargo's, or what editors keep for themselves.
fn is_by_the_way(name: &str) -> bool {
    name.starts_with(['.', '#']) || name.ends_with('~') || WRITTEN_BY_CARGO.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_author_saves_is_seen_and_what_cargo_and_editors_write_is_not() {
        let at = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = at.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("src/lib.rs", "one");
        write("policies/50-night.wasm", "");
        let sources = Sources::of(at.path(), &at.path().join("policies"));
        assert_eq!(sources.seen.len(), 1);
        for path in [
            "target/debug/x",
            "Cargo.lock",
            "src/.lib.rs.swp",
            "src/lib.rs~",
            "policies/50-night.toml",
        ] {
            write(path, "new");
            assert_eq!(sources.look(), sources.seen, "{path}");
        }
        write("src/night/moon.rs", "two");
        assert_ne!(sources.look(), sources.seen);
    }

    #[tokio::test]
    async fn a_change_counts_when_it_has_come_to_rest_and_only_once() {
        let at = tempfile::tempdir().unwrap();
        let file = at.path().join("lib.rs");
        fs::write(&file, "one").unwrap();
        let mut sources = Sources::of(at.path(), &at.path().join("policies"));
        fs::write(&file, "twice").unwrap();
        let saved = sources.change().await;
        assert_eq!(saved, fs::metadata(&file).unwrap().modified().unwrap());
        assert_eq!(sources.look(), sources.seen);
        fs::remove_file(&file).unwrap();
        assert!(sources.change().await >= saved);
    }
}
