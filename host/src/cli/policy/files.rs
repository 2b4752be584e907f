//! Writes files so that they are there whole, or not at all.

use std::borrow::Cow;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// A file to be written, by its path within a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    path: PathBuf,
    text: Cow<'static, str>,
}

impl File {
    /// Takes a path, relative to the folder, and the text.
    pub(super) fn new(path: impl Into<PathBuf>, text: impl Into<Cow<'static, str>>) -> File {
        File {
            path: path.into(),
            text: text.into(),
        }
    }

    /// Returns the file as one of a folder around its own.
    pub(super) fn within(self, folder: &str) -> File {
        File {
            path: Path::new(folder).join(self.path),
            ..self
        }
    }
}

/// Makes a folder of these files; it appears complete. One that is there already may only be empty.
///
/// # Errors
/// The disk's, or there is something at `folder`.
pub(super) fn make_folder(folder: &Path, files: &[File]) -> io::Result<()> {
    let part = beside(folder)?;
    fs::create_dir_all(part.parent().unwrap_or(Path::new("")))?;
    let made = write_all(&part, files).and_then(|()| fs::rename(&part, folder));
    if made.is_err() {
        // What cannot be removed either is hidden, and does no harm.
        fs::remove_dir_all(&part).ok();
    }
    made
}

/// Makes a folder of these files in the place of the one that is there, if any.
///
/// # Errors
/// The disk's.
pub(super) fn replace_folder(folder: &Path, files: &[File]) -> io::Result<()> {
    let part = beside(folder)?;
    write_all(&part, files)?;
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::rename(&part, folder)
}

/// Puts a file into its folder: written under a name that the host does not look at, synced, then renamed, and the renaming synced.
///
/// # Errors
/// The disk's; what stood there then still does.
pub(super) fn place(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let part = beside(file)?;
    let placed = fs::File::create(&part)
        .and_then(|mut to| {
            to.write_all(bytes)?;
            to.sync_all()
        })
        .and_then(|()| fs::rename(&part, file));
    if placed.is_err() {
        fs::remove_file(&part).ok();
    }
    placed?;
    let folder = file.parent().unwrap_or(Path::new(""));
    fs::File::open(if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    })?
    .sync_all()
}

fn write_all(folder: &Path, files: &[File]) -> io::Result<()> {
    for file in files {
        let path = folder.join(&file.path);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        fs::write(path, file.text.as_bytes())?;
    }
    Ok(())
}

/// Returns a hidden name of our own beside a path.
fn beside(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name =
        name.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it has no name that could be written"))?;
    Ok(path.with_file_name(format!(".{name}.part-{}", std::process::id())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_folder_appears_complete_or_not_at_all() {
        let at = tempfile::tempdir().unwrap();
        let folder = at.path().join("new/night");
        let files = [File::new("a", "1"), File::new("b/c", "2").within("within")];
        make_folder(&folder, &files).unwrap();
        assert_eq!(fs::read_to_string(folder.join("within/b/c")).unwrap(), "2");
        assert!(make_folder(&folder, &files).is_err(), "it is not empty");
        assert_eq!(names(&at.path().join("new")), ["night"], "nothing is left behind");
        let empty = at.path().join("empty");
        fs::create_dir(&empty).unwrap();
        make_folder(&empty, &files).unwrap();
        replace_folder(&empty, &files[..1]).unwrap();
        assert_eq!(names(&empty), ["a"]);
    }

    #[test]
    fn a_file_is_replaced_whole_and_one_that_cannot_be_stays() {
        let at = tempfile::tempdir().unwrap();
        let file = at.path().join("50-night.wasm");
        place(&file, b"one").unwrap();
        place(&file, b"two").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"two");
        let folder = at.path().join("folder.wasm");
        fs::create_dir_all(folder.join("within")).unwrap();
        assert!(place(&folder, b"three").is_err());
        assert_eq!(names(at.path()), ["50-night.wasm", "folder.wasm"]);
    }
}
