//! How a value is written: JSON with a version beside it, and the one place where older versions are brought up to date.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::StoreError;

/// The format that this build writes. It grows when a build that came before could misread what is written.
pub(crate) const VERSION: u32 = 1;

/// A value as it is kept. The version comes first, so that it can be read where the rest cannot.
#[derive(Serialize, Deserialize)]
struct Stored<T> {
    v: u32,
    body: T,
}

#[derive(Deserialize)]
struct Version {
    v: u32,
}

/// Returns a value as it is kept.
pub(crate) fn encode<T: Serialize>(body: &T) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&Stored { v: VERSION, body })
}

/// Reads a value; `record` says its name, for the error.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8], record: impl Fn() -> String) -> Result<T, StoreError> {
    // The common case is one pass; only when it fails is the version looked at alone.
    let damage = match serde_json::from_slice::<Stored<T>>(bytes) {
        Ok(stored) if stored.v == VERSION => return Ok(stored.body),
        Ok(_) => None,
        Err(error) => Some(error),
    };
    match (serde_json::from_slice::<Version>(bytes), damage) {
        (Ok(Version { v }), _) if v > VERSION => Err(StoreError::NewerVersion {
            record: record(),
            found: v,
            known: VERSION,
        }),
        // Version 1 is the first. Those that a later build outgrows are brought up to date here, one arm for each.
        (Ok(Version { v }), _) if v < VERSION => Err(StoreError::Corrupt {
            record: record(),
            reason: format!("there never was a format {v}"),
        }),
        (Ok(_), Some(error)) | (Err(error), _) => Err(StoreError::Corrupt {
            record: record(),
            reason: error.to_string(),
        }),
        (Ok(_), None) => unreachable!("a value of this version that could be read was returned above"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<u32>, StoreError> {
        decode(text.as_bytes(), || "room a".to_owned())
    }

    #[test]
    fn a_value_is_json_with_its_version_first() {
        let bytes = encode(&vec![1, 2]).unwrap();
        assert_eq!(bytes, br#"{"v":1,"body":[1,2]}"#);
        assert_eq!(read(r#"{"v":1,"body":[1,2]}"#).unwrap(), [1, 2]);
    }

    #[test]
    fn a_newer_version_is_refused_whatever_its_shape() {
        for text in [r#"{"v":2,"body":[1]}"#, r#"{"v":2,"body":{}}"#, r#"{"v":2,"else":0}"#] {
            let error = read(text).unwrap_err();
            assert!(
                matches!(error, StoreError::NewerVersion { found: 2, known: 1, .. }),
                "{error:?}"
            );
            assert!(
                error
                    .to_string()
                    .starts_with("room a in the store was written by a newer usher")
            );
        }
    }

    #[test]
    fn a_damaged_value_is_told_by_its_name() {
        for text in [
            "",
            "x",
            "[]",
            "{}",
            r#"{"v":1}"#,
            r#"{"v":1,"body":{}}"#,
            r#"{"v":0,"body":[1]}"#,
            r#"{"v":1,"body":[1]}x"#,
        ] {
            let error = read(text).unwrap_err();
            assert!(matches!(error, StoreError::Corrupt { .. }), "{text:?}: {error:?}");
            assert!(
                error.to_string().starts_with("room a in the store is damaged"),
                "{error}"
            );
        }
    }
}
