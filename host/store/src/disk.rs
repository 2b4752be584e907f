//! How much room the disk has left, so that the host can refuse placements while releases still fit.

use std::io;
use std::path::Path;

/// Returns how many bytes are free, for this process, on the disk that holds `dir`.
///
/// It asks the file system each time, in microseconds, and answers for the moment only.
///
/// # Errors
///
/// What the system says, for one that `dir` does not exist.
pub fn free_bytes(dir: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(dir)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_free_bytes_and_a_missing_one_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert!(free_bytes(dir.path()).unwrap() > 0);
        let missing = free_bytes(&dir.path().join("missing"));
        assert_eq!(missing.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
