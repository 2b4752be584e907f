//! The folder of policies as it is: which files there are, and when each has come to rest.
//!
//! A file counts when neither it nor its settings have changed for a while ([`FOLDER_QUIET`](crate::options::FOLDER_QUIET)),
//! and is gone when two readings have missed it. Stamps only say when to look again; what a version is, its hashes say.
//! Nothing outside of the folder is ever opened: symlinks are followed, and must end beneath it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::settings::SETTINGS_BYTES_MAX;
use crate::version::Name;

/// The largest module, in bytes: the SDK's guests have 100 to 300 KB, and what is larger takes seconds to compile.
pub const WASM_BYTES_MAX: u64 = 4 << 20;
/// The most policies in one folder; those beyond, in the order of their names, are refused. Each costs every room a question.
pub(crate) const POLICIES_MAX: usize = 64;
/// The most that are shown as refused for that; those beyond are left out, unless they served before.
const BEYOND_MAX: usize = 64;
/// The name of the built-in policy, which no file may have.
pub const BUILT_IN: &str = "standard";
/// The built-in's settings.
pub(crate) const BUILT_IN_SETTINGS: &str = "standard.toml";

/// A folder and what was seen in it.
pub(crate) struct Folder {
    dir: PathBuf,
    quiet: Duration,
    files: BTreeMap<Name, Sighting>,
    built_in: Sighting,
    /// What was last logged as wrong with the folder as a whole.
    problem: Option<String>,
    /// Settings files without a module beside them, which nobody reads.
    strays: BTreeSet<String>,
}

/// What a reading has found.
#[derive(Debug)]
pub(crate) enum Finding {
    /// A file is new or has changed, and is at rest.
    Settled(Name, Result<Contents, FileError>),
    /// A file is gone.
    Gone(Name),
    /// The built-in's settings are new or have changed; `None` where there are none.
    BuiltInSettings(Result<Option<Vec<u8>>, FileError>),
}

/// A policy's files, as they are at one moment.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) wasm: Vec<u8>,
    pub(crate) settings: Option<Vec<u8>>,
}

/// One reading of the folder.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) findings: Vec<Finding>,
    /// When something that is not at rest yet could be; none if all is.
    pub(crate) look_again: Option<Instant>,
    /// Why there is no folder, or none that can be read: nothing is known of its files.
    pub(crate) missing: Option<String>,
}

/// Says why a file is not even read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// Reading failed.
    #[error("`{file}` cannot be read: {error}")]
    Read {
        /// The file.
        file: String,
        /// The system's words.
        error: String,
    },
    /// It is a folder, a pipe, a device.
    #[error("`{file}` is not a regular file")]
    NotRegular {
        /// The file.
        file: String,
    },
    /// A symlink leads out of the folder.
    #[error("`{file}` is a link that leads out of the policies' folder; only what is beneath it is read")]
    Outside {
        /// The file.
        file: String,
    },
    /// It is larger than allowed.
    #[error("`{file}` has {bytes} bytes; at most {max} are allowed")]
    TooLarge {
        /// The file.
        file: String,
        /// Its size.
        bytes: u64,
        /// The limit.
        max: u64,
    },
    /// The folder has too many.
    #[error(
        "`{file}` is left out: the folder has more than {POLICIES_MAX} policies, and those with the first names are taken"
    )]
    TooMany {
        /// The file.
        file: String,
    },
    /// It is called like the built-in.
    #[error(
        "`{file}` has the name of the built-in policy, whose settings are `{BUILT_IN_SETTINGS}`; give it another one, such as `90-{file}`"
    )]
    BuiltInName {
        /// The file.
        file: String,
    },
}

impl FileError {
    /// Returns whether the policy is not to serve, whatever served before: it is not the file's content that is wrong.
    pub(crate) fn is_left_out(&self) -> bool {
        matches!(self, FileError::TooMany { .. } | FileError::BuiltInName { .. })
    }
}

/// What is known of one policy's files.
#[derive(Debug)]
struct Sighting {
    wasm: Seen,
    settings: Seen,
    /// Since when they have not changed.
    since: Instant,
    is_told: bool,
    /// When the last reading missed the module, if it did.
    missed: Option<Instant>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Absent,
    File(PathBuf, Stamp),
    Refused(FileError),
}

/// What changes when a file does; any difference means that it is read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Folder {
    /// Remembers nothing yet.
    pub(crate) fn new(dir: PathBuf, quiet: Duration, now: Instant) -> Folder {
        let built_in = Sighting::new(Seen::Absent, Seen::Absent, now);
        Folder {
            dir,
            quiet,
            files: BTreeMap::new(),
            built_in,
            problem: None,
            strays: BTreeSet::new(),
        }
    }

    /// Takes these to have been there: where they are not, they are gone.
    pub(crate) fn expect(&mut self, names: impl IntoIterator<Item = Name>, now: Instant) {
        let absent = || Sighting::new(Seen::Absent, Seen::Absent, now);
        self.files.extend(names.into_iter().map(|name| (name, absent())));
    }

    /// Tells of a file once more, as if it had just come to rest.
    pub(crate) fn tell_again(&mut self, name: &Name) {
        if let Some(sighting) = self.files.get_mut(name) {
            sighting.is_told = false;
        }
    }

    /// Returns where it is.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the built-in's settings as they are now; none where there are none.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub(crate) fn built_in_settings(&self) -> Result<Option<Vec<u8>>, FileError> {
        let Ok(root) = fs::canonicalize(&self.dir) else {
            return Ok(None);
        };
        read(&look(&root, BUILT_IN_SETTINGS), SETTINGS_BYTES_MAX, BUILT_IN_SETTINGS)
    }

    /// Reads the folder. One that is missing or cannot be read changes nothing.
    pub(crate) fn read(&mut self, now: Instant) -> Reading {
        let (root, names) = match fs::canonicalize(&self.dir).and_then(|root| Ok((list(&root)?, root))) {
            Ok((listed, root)) => {
                self.note_strays(listed.strays);
                (root, listed.names)
            }
            Err(error) => {
                let problem = match error.kind() {
                    io::ErrorKind::NotFound => "the policies' folder is missing".to_owned(),
                    _ => format!("the policies' folder cannot be read: {error}"),
                };
                self.note_problem(Some(problem.clone()));
                return Reading {
                    missing: Some(problem),
                    ..Reading::default()
                };
            }
        };
        let mut policies = 0;
        for name in names {
            let file = name.file();
            let wasm = match look(&root, &file) {
                Seen::Absent => continue,
                _ if name.text().as_ref() == BUILT_IN => Seen::Refused(FileError::BuiltInName { file }),
                seen => {
                    policies += 1;
                    match policies {
                        ..=POLICIES_MAX => seen,
                        _ => Seen::Refused(FileError::TooMany { file }),
                    }
                }
            };
            if policies > POLICIES_MAX + BEYOND_MAX && !self.files.contains_key(&name) {
                continue;
            }
            let settings = look(&root, &name.settings_file());
            match self.files.get_mut(&name) {
                Some(sighting) => sighting.see(wasm, settings, now),
                None => {
                    self.files.insert(name, Sighting::new(wasm, settings, now));
                }
            }
        }
        let too_many =
            format!("the policies' folder has more than {POLICIES_MAX} policies: the last ones are left out");
        self.note_problem((policies > POLICIES_MAX).then_some(too_many));
        self.built_in.see(Seen::Absent, look(&root, BUILT_IN_SETTINGS), now);
        let mut reading = Reading::default();
        self.find_gone(&root, now, &mut reading);
        self.find_settled(&root, now, &mut reading);
        reading
    }

    /// Logs what is wrong with the folder as a whole, once.
    fn note_problem(&mut self, problem: Option<String>) {
        if let Some(problem) = problem.as_ref().filter(|_| problem != self.problem) {
            tracing::error!(dir = %self.dir.display(), "{problem}");
        }
        self.problem = problem;
    }

    /// Logs which settings are nobody's, each once: a name without its number is a common slip.
    fn note_strays(&mut self, strays: BTreeSet<String>) {
        for stray in strays.difference(&self.strays) {
            tracing::info!(dir = %self.dir.display(), "nobody reads `{stray}.toml`: there is no `{stray}.wasm` beside it");
        }
        self.strays = strays;
    }

    fn find_gone(&mut self, root: &Path, now: Instant, reading: &mut Reading) {
        let quiet = self.quiet;
        self.files.retain(|name, sighting| {
            if look(root, &name.file()) != Seen::Absent {
                sighting.missed = None;
                return true;
            }
            let missed = *sighting.missed.get_or_insert(now);
            let is_gone = now > missed && now.duration_since(missed) >= quiet;
            if is_gone {
                reading.findings.push(Finding::Gone(name.clone()));
            } else {
                reading.wake(missed + quiet);
            }
            !is_gone
        });
    }

    fn find_settled(&mut self, root: &Path, now: Instant, reading: &mut Reading) {
        for (name, sighting) in &mut self.files {
            let file = (name.file(), name.settings_file());
            if sighting.is_told || sighting.missed.is_some() {
                continue;
            }
            if now.duration_since(sighting.since) < self.quiet {
                reading.wake(sighting.since + self.quiet);
                continue;
            }
            let contents = sighting.contents(&file.0, &file.1);
            // A file that changed while it was read has not come to rest.
            if !matches!(&contents, Err(error) if error.is_left_out()) {
                sighting.see(look(root, &file.0), look(root, &file.1), now);
            }
            if sighting.since == now {
                reading.wake(now + self.quiet);
                continue;
            }
            sighting.is_told = true;
            reading.findings.push(Finding::Settled(name.clone(), contents));
        }
        let built_in = &mut self.built_in;
        if !built_in.is_told {
            if now.duration_since(built_in.since) < self.quiet {
                reading.wake(built_in.since + self.quiet);
            } else {
                let settings = read(&built_in.settings, SETTINGS_BYTES_MAX, BUILT_IN_SETTINGS);
                built_in.see(Seen::Absent, look(root, BUILT_IN_SETTINGS), now);
                if built_in.since == now {
                    return reading.wake(now + self.quiet);
                }
                // What could not be read is tried again at the next reading.
                built_in.is_told = !matches!(settings, Err(FileError::Read { .. }));
                reading.findings.push(Finding::BuiltInSettings(settings));
            }
        }
    }
}

impl Reading {
    fn wake(&mut self, at: Instant) {
        self.look_again = Some(self.look_again.map_or(at, |other| other.min(at)));
    }
}

impl Sighting {
    fn new(wasm: Seen, settings: Seen, now: Instant) -> Sighting {
        Sighting {
            wasm,
            settings,
            since: now,
            is_told: false,
            missed: None,
        }
    }

    fn see(&mut self, wasm: Seen, settings: Seen, now: Instant) {
        if self.wasm != wasm || self.settings != settings {
            *self = Sighting {
                missed: self.missed,
                ..Sighting::new(wasm, settings, now)
            };
        }
    }

    fn contents(&self, wasm: &str, settings: &str) -> Result<Contents, FileError> {
        Ok(Contents {
            wasm: read(&self.wasm, WASM_BYTES_MAX, wasm)?.unwrap_or_default(),
            settings: read(&self.settings, SETTINGS_BYTES_MAX, settings)?,
        })
    }
}

/// What is in the folder by name.
struct Listed {
    names: BTreeSet<Name>,
    /// Settings without a module, without `.toml`.
    strays: BTreeSet<String>,
}

fn list(root: &Path) -> io::Result<Listed> {
    let mut names = BTreeSet::new();
    let mut strays = BTreeSet::new();
    for entry in fs::read_dir(root)? {
        let file = entry?.file_name();
        let Some(file) = file.to_str() else { continue };
        names.extend(Name::of_file(file));
        strays.extend(Name::of_settings(file));
    }
    let strays = strays.difference(&names).map(|name| name.text().to_string());
    let strays = strays.filter(|name| name != BUILT_IN).collect();
    Ok(Listed { names, strays })
}

fn look(root: &Path, file: &str) -> Seen {
    let name = || file.to_owned();
    let found = fs::canonicalize(root.join(file)).and_then(|path| Ok((fs::metadata(&path)?, path)));
    match found {
        // A link whose target is missing is about to be swapped.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Seen::Absent,
        Err(error) => Seen::Refused(FileError::Read {
            file: name(),
            error: error.to_string(),
        }),
        Ok((_, path)) if !path.starts_with(root) => Seen::Refused(FileError::Outside { file: name() }),
        Ok((metadata, _)) if !metadata.is_file() => Seen::Refused(FileError::NotRegular { file: name() }),
        Ok((metadata, path)) => Seen::File(path, Stamp::of(&metadata)),
    }
}

/// Reads a policy's files once, each as if its own folder were that of the policies.
///
/// # Errors
/// One of them is not there, or would not be read.
pub(crate) fn read_once(wasm: &Path, settings: Option<&Path>) -> Result<Contents, FileError> {
    let whole = |path: &Path, max: u64| {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let root = fs::canonicalize(folder.unwrap_or(Path::new("."))).unwrap_or_default();
        read(&look(&root, &file), max, &file)?.ok_or_else(|| FileError::Read {
            file: file.into_owned(),
            error: "there is no such file".to_owned(),
        })
    };
    Ok(Contents {
        wasm: whole(wasm, WASM_BYTES_MAX)?,
        settings: settings.map(|path| whole(path, SETTINGS_BYTES_MAX)).transpose()?,
    })
}

/// Reads a file whole; `None` where there is none.
fn read(seen: &Seen, max: u64, file: &str) -> Result<Option<Vec<u8>>, FileError> {
    let path = match seen {
        Seen::Absent => return Ok(None),
        Seen::Refused(error) => return Err(error.clone()),
        Seen::File(_, stamp) if stamp.bytes > max => {
            return Err(FileError::TooLarge {
                file: file.to_owned(),
                bytes: stamp.bytes,
                max,
            });
        }
        Seen::File(path, _) => path,
    };
    let mut bytes = Vec::new();
    // One byte more than allowed, to notice a file that has grown since it was looked at.
    let read = fs::File::open(path).and_then(|file| file.take(max + 1).read_to_end(&mut bytes));
    match read {
        Ok(length) if length as u64 > max => Err(FileError::TooLarge {
            file: file.to_owned(),
            bytes: length as u64,
            max,
        }),
        Ok(_) => Ok(Some(bytes)),
        Err(error) => Err(FileError::Read {
            file: file.to_owned(),
            error: error.to_string(),
        }),
    }
}

impl Stamp {
    fn of(metadata: &fs::Metadata) -> Stamp {
        Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

#[cfg(test)]
mod tests;
