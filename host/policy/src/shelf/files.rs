//! Where the shelf's bytes lie: durably, in a folder for each policy; or in memory, where the host keeps nothing.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::version::{Hash, Name};

/// The longest encoded name that is used as it is, in bytes: file systems take 255, and people look into this folder.
const FOLDER_NAME_MAX: usize = 128;
/// What a file is called until it is whole. There is one writer, so that one name is enough.
const PART: &str = ".part";

/// Files by folder and name. The folders' names come from [`folder_of`], the files' from the shelf.
#[derive(Debug)]
pub(super) enum Files {
    /// Beneath this folder.
    Durable(PathBuf),
    /// Until the process ends.
    InMemory(BTreeMap<(String, String), Vec<u8>>),
}

impl Files {
    /// Takes a folder, and makes it where it is missing; without one, or where it cannot be had, files are kept in memory.
    pub(super) fn open(dir: Option<&Path>) -> Files {
        let made = dir.map(|dir| made(dir).map(|()| dir.to_path_buf()));
        match made {
            Some(Ok(dir)) => Files::Durable(dir),
            Some(Err(error)) => {
                tracing::error!(
                    "good versions of policies, what was quarantined and what was learned will not outlive this process: {error}"
                );
                Files::InMemory(BTreeMap::new())
            }
            None => Files::InMemory(BTreeMap::new()),
        }
    }

    /// Returns the folders that there are.
    pub(super) fn folders(&self) -> io::Result<Vec<String>> {
        let Files::Durable(root) = self else {
            return Ok(Vec::new());
        };
        let mut folders = Vec::new();
        for entry in fs::read_dir(root)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.extend(entry.file_name().into_string());
            }
        }
        folders.sort();
        Ok(folders)
    }

    /// Reads a file whole; none where there is none.
    pub(super) fn read(&self, folder: &str, file: &str, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
        let root = match self {
            Files::Durable(root) => root,
            Files::InMemory(files) => return Ok(files.get(&(folder.to_owned(), file.to_owned())).cloned()),
        };
        let opened = match File::open(root.join(folder).join(file)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let mut bytes = Vec::new();
        opened.take(bytes_max + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > bytes_max {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("it has more than {bytes_max} bytes"),
            ));
        }
        Ok(Some(bytes))
    }

    /// Writes a file: when this returns, it is there whole, also after a power cut; before, the one that was there.
    pub(super) fn write(&mut self, folder: &str, file: &str, bytes: &[u8]) -> io::Result<()> {
        let root = match self {
            Files::Durable(root) => root,
            Files::InMemory(files) => {
                files.insert((folder.to_owned(), file.to_owned()), bytes.to_vec());
                return Ok(());
            }
        };
        let dir = root.join(folder);
        made(&dir)?;
        let part = dir.join(PART);
        let mut written = File::create(&part)?;
        written.write_all(bytes)?;
        written.sync_all()?;
        fs::rename(part, dir.join(file))?;
        sync(&dir)
    }

    /// Returns whether a file is there.
    pub(super) fn has(&self, folder: &str, file: &str) -> bool {
        match self {
            Files::Durable(root) => root.join(folder).join(file).is_file(),
            Files::InMemory(files) => files.contains_key(&(folder.to_owned(), file.to_owned())),
        }
    }

    /// Returns a file's length in bytes; 0 where there is none.
    pub(super) fn size(&self, folder: &str, file: &str) -> u64 {
        match self {
            Files::Durable(root) => fs::metadata(root.join(folder).join(file)).map_or(0, |metadata| metadata.len()),
            Files::InMemory(files) => files
                .get(&(folder.to_owned(), file.to_owned()))
                .map_or(0, |bytes| bytes.len() as u64),
        }
    }

    /// Removes all of a folder's files but these, and the folder where none are left. What cannot be removed stays until
    /// the next time.
    pub(super) fn retain(&mut self, folder: &str, keep: &[String]) {
        let root = match self {
            Files::Durable(root) => root,
            Files::InMemory(files) => return files.retain(|(of, file), _| of != folder || keep.contains(file)),
        };
        let dir = root.join(folder);
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            let is_kept = entry
                .file_name()
                .to_str()
                .is_some_and(|file| keep.iter().any(|kept| kept == file));
            if !is_kept {
                fs::remove_file(entry.path()).ok();
            }
        }
        if keep.is_empty() && fs::remove_dir(&dir).is_ok() {
            sync(root).ok();
        }
    }
}

/// Makes a folder that is still there after a power cut.
fn made(dir: &Path) -> io::Result<()> {
    let failed = |error: io::Error| io::Error::new(error.kind(), format!("`{}`: {error}", dir.display()));
    if dir.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(dir).map_err(failed)?;
    dir.parent().map_or(Ok(()), sync).map_err(failed)
}

fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Returns the folder of a policy. What is no letter, digit, `-`, `_` or inner dot is written as `%` and its number, so that
/// no name leads out of the shelf; a long one is cut, and told apart by its hash.
pub(super) fn folder_of(name: &Name) -> String {
    let mut folder = String::new();
    for (at, byte) in name.text().bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => folder.push(char::from(byte)),
            b'.' if at > 0 => folder.push('.'),
            byte => folder.push_str(&format!("%{byte:02x}")),
        }
    }
    if folder.len() > FOLDER_NAME_MAX {
        // No encoded name has a `~`.
        folder.truncate(FOLDER_NAME_MAX / 2);
        folder.push('~');
        folder.push_str(&Hash::of(name.text().as_bytes()).to_string());
    }
    folder
}
