//! The token that the host knows us by: from a variable or a file, and kept in the file when the host gives a new one.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::settings::read_text;

/// The longest token, in bytes; the host's own have 43 characters.
const TOKEN_BYTES_MAX: u64 = 512;

/// Says why there is no token. None of them shows what was read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenError {
    /// The file cannot be read, and no variable helps.
    #[error("--token-file: {0}; put the server's token there, or give the first one by USHER_TOKEN")]
    Unreadable(String),
    /// What is there cannot be a token.
    #[error("{0}: a token has 1 to {TOKEN_BYTES_MAX} visible ASCII characters")]
    NoToken(&'static str),
}

/// A token that has to be kept could not be.
#[derive(Debug, thiserror::Error)]
#[error("cannot keep the new token in {path}: {source}; it is lost when the agent ends")]
pub(crate) struct CannotKeep {
    path: String,
    source: std::io::Error,
}

/// The token, if any, and where it is kept, if anywhere.
pub(crate) struct Token {
    text: Option<String>,
    /// That of the variable, which may be newer than the file's.
    given: Option<String>,
    file: Option<PathBuf>,
    /// The newest that the host has given, whether it could be kept or not.
    exchanged: Option<String>,
    /// Those that the host refused since all of them were tried.
    refused: Vec<String>,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl Token {
    /// Takes the file's token if there is a file with one, else the one that was given.
    ///
    /// # Errors
    /// There should be one and is not, or it cannot be one.
    pub(crate) fn of(given: Option<&str>, file: Option<PathBuf>) -> Result<Token, TokenError> {
        let given = given.map(str::trim).filter(|token| !token.is_empty());
        let given = given
            .map(|token| checked(token).ok_or(TokenError::NoToken("USHER_TOKEN")))
            .transpose()?;
        let text = match &file {
            Some(path) => match read(path) {
                Ok(token) => Some(token),
                // A first token from the environment, and a file that is written once the host has given another.
                Err(TokenError::Unreadable(_)) if given.is_some() && !path.exists() => given.clone(),
                Err(error) => return Err(error),
            },
            None => given.clone(),
        };
        Ok(Token {
            text,
            given,
            file,
            exchanged: None,
            refused: Vec::new(),
        })
    }

    /// Returns the token.
    pub(crate) fn as_str(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// The host has refused the token: takes the one that it gave last, the file's, read again, or the variable's, whichever was not refused as
    /// well. Returns whether there is such a one; if not, all of them may be tried again later, the first of them first.
    pub(crate) fn refused(&mut self) -> bool {
        self.refused.extend(self.text.take());
        let kept = self.file.as_deref().and_then(|path| read(path).ok());
        let candidates = [self.exchanged.clone(), kept, self.given.clone()];
        let mut candidates = candidates.into_iter().flatten();
        let other = candidates.clone().find(|token| !self.refused.contains(token));
        let is_another = other.is_some();
        self.text = other.or_else(|| candidates.next());
        if !is_another {
            self.refused.clear();
        }
        is_another
    }

    /// Uses another token from now on, and keeps it in the file if there is one; the same one changes nothing.
    ///
    /// # Errors
    /// It could not be kept; it is used all the same.
    pub(crate) fn exchange(&mut self, token: &str) -> Result<bool, CannotKeep> {
        let Some(token) = checked(token) else {
            tracing::error!("the host has sent a new token that cannot be one; the old one stays");
            return Ok(false);
        };
        if self.text.as_ref() == Some(&token) {
            return Ok(false);
        }
        let kept = match &self.file {
            Some(path) => keep(path, &token).map_err(|source| CannotKeep {
                path: path.display().to_string(),
                source,
            }),
            None => Ok(()),
        };
        self.exchanged = Some(token.clone());
        self.text = Some(token);
        kept.map(|()| true)
    }
}

fn read(path: &Path) -> Result<String, TokenError> {
    let text = read_text(path, TOKEN_BYTES_MAX + 2).map_err(TokenError::Unreadable)?;
    checked(text.trim()).ok_or(TokenError::NoToken("--token-file"))
}

fn checked(token: &str) -> Option<String> {
    let is_good = (1..=TOKEN_BYTES_MAX).contains(&(token.len() as u64)) && token.bytes().all(|b| b.is_ascii_graphic());
    is_good.then(|| token.to_owned())
}

/// Replaces a file so that at every moment either the old or the new token is there, readable by its owner only.
fn keep(path: &Path, token: &str) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    // Temporary files are made with mode 0600.
    let mut file = tempfile::Builder::new().prefix(".usher-token-").tempfile_in(folder)?;
    writeln!(file, "{token}")?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    std::fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_file_counts_before_the_variable_and_a_missing_one_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let of = |given| Token::of(given, Some(path.clone())).map(|token| token.text);
        assert!(matches!(of(None), Err(TokenError::Unreadable(_))));
        assert_eq!(of(Some("first")), Ok(Some("first".into())));
        std::fs::write(&path, "second\n").unwrap();
        assert_eq!(of(Some("first")), Ok(Some("second".into())));
        std::fs::write(&path, "\n").unwrap();
        assert_eq!(of(Some("first")), Err(TokenError::NoToken("--token-file")));
        assert_eq!(Token::of(None, None).unwrap().as_str(), None);
        assert!(Token::of(Some("a b"), None).is_err());
    }

    #[test]
    fn a_new_token_is_kept_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let mut token = Token::of(Some("first"), Some(path.clone())).unwrap();
        assert!(token.exchange("second").unwrap());
        assert!(!token.exchange("second").unwrap());
        assert!(!token.exchange("no token").unwrap());
        assert_eq!(token.as_str(), Some("second"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "second\n");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_token_that_cannot_be_kept_is_used_all_the_same() {
        let path = PathBuf::from("/nonexistent/usher/token");
        let mut token = Token::of(Some("first"), Some(path)).unwrap();
        assert!(token.exchange("second").is_err());
        assert_eq!(token.as_str(), Some("second"));
    }

    #[test]
    fn a_file_that_changes_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "first").unwrap();
        let mut token = Token::of(None, Some(path.clone())).unwrap();
        assert!(!token.refused());
        std::fs::write(&path, "second").unwrap();
        assert!(token.refused());
        assert_eq!(token.as_str(), Some("second"));
    }

    #[test]
    fn where_one_is_refused_the_other_is_tried_and_then_both_are_let_rest() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "stale").unwrap();
        let mut token = Token::of(Some("rotated"), Some(path)).unwrap();
        for _ in 0..3 {
            assert_eq!(token.as_str(), Some("stale"));
            assert!(token.refused());
            assert_eq!(token.as_str(), Some("rotated"));
            assert!(!token.refused(), "the host is let alone after both");
        }
        let mut alone = Token::of(Some("only"), None).unwrap();
        assert!(!alone.refused() && !alone.refused());
        assert!(!Token::of(None, None).unwrap().refused());
    }

    #[test]
    fn one_that_the_host_gave_and_nobody_keeps_outlives_a_refusal_that_was_none_of_the_hosts() {
        let mut token = Token::of(Some("first"), None).unwrap();
        assert!(token.exchange("second").unwrap());
        assert!(token.refused());
        assert_eq!(token.as_str(), Some("first"));
        assert!(!token.refused());
        assert_eq!(token.as_str(), Some("second"), "it is tried again after a rest");
    }
}
