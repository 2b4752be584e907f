//! Which file, in which version.

use std::fmt;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// A sha256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Hash([u8; 32]);

impl Hash {
    /// Hashes bytes.
    pub(crate) fn of(bytes: &[u8]) -> Hash {
        Hash(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Hash, D::Error> {
        let hex = String::deserialize(deserializer)?;
        let byte = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
        let bytes: Option<Vec<u8>> = (0..hex.len()).step_by(2).map(byte).collect();
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes
            .map(Hash)
            .ok_or_else(|| D::Error::custom("a sha256 has 64 hexadecimal digits"))
    }
}

/// A policy's name: its file's without `.wasm`. Ordered as the files are, by bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name(Arc<str>);

impl Name {
    /// Takes the name of a file; none if it is not one that counts: hidden, or not `*.wasm`.
    pub(crate) fn of_file(file: &str) -> Option<Name> {
        Name::before(".wasm", file)
    }

    /// Takes the name of a settings file, for the policy whose settings it would be.
    pub(crate) fn of_settings(file: &str) -> Option<Name> {
        Name::before(".toml", file)
    }

    fn before(suffix: &str, file: &str) -> Option<Name> {
        let name = file.strip_suffix(suffix)?;
        (!name.is_empty() && !name.starts_with('.')).then(|| Name(name.into()))
    }

    /// Returns the name.
    pub(crate) fn text(&self) -> &Arc<str> {
        &self.0
    }

    /// Returns the name of its module's file.
    pub(crate) fn file(&self) -> String {
        format!("{}.wasm", self.0)
    }

    /// Returns the name of its settings' file.
    pub(crate) fn settings_file(&self) -> String {
        format!("{}.toml", self.0)
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Name) -> std::cmp::Ordering {
        // `a.wasm` stands behind `a-b.wasm`, as the folder shows them: '.' is greater than '-'.
        let file = self.0.bytes().chain(*b".wasm");
        file.cmp(other.0.bytes().chain(*b".wasm"))
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Name) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// What of a file makes a difference: a new one of either means a new instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Version {
    /// Of the module.
    pub(crate) wasm: Hash,
    /// Of the settings as written; of nothing where there are none.
    pub(crate) settings: Hash,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ordered_like_their_files() {
        let mut names: Vec<Name> = ["b.wasm", "a.wasm", "a-b.wasm", "10-vip.wasm"]
            .into_iter()
            .filter_map(Name::of_file)
            .collect();
        names.sort();
        let names: Vec<String> = names.iter().map(Name::file).collect();
        assert_eq!(names, ["10-vip.wasm", "a-b.wasm", "a.wasm", "b.wasm"]);
    }

    #[test]
    fn hidden_and_other_files_do_not_count() {
        for file in [".a.wasm", ".wasm", "a.wasm~", "a.wasm.tmp", "a.toml", "a"] {
            assert_eq!(Name::of_file(file), None, "{file}");
        }
    }
}
