//! From a settings file's JSON to the author's type, with errors that name the key.

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor};

/// Reads the settings; a JSON object without keys, or an empty text, gives the defaults.
///
/// # Errors
/// A sentence that names the key, in the words of the file.
pub(crate) fn read<S: DeserializeOwned + Default>(json: &str) -> Result<S, String> {
    if json.trim().is_empty() || serde_json::from_str::<Keyless>(json).is_ok() {
        return Ok(S::default());
    }
    let mut reader = serde_json::Deserializer::from_str(json);
    let settings = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let why = without_position(&error.into_inner().to_string());
        if path == "." {
            format!("settings: {why}")
        } else {
            format!("setting `{path}`: {why}")
        }
    })?;
    reader
        .end()
        .map_err(|error| format!("settings: {}", without_position(&error.to_string())))?;
    Ok(settings)
}

/// Cuts off "at line 1 column 20": it counts in a JSON text that the operator has never seen.
fn without_position(message: &str) -> String {
    message
        .rsplit_once(" at line ")
        .map_or(message, |(why, _)| why)
        .to_owned()
}

/// A JSON object that has no keys.
struct Keyless;

impl<'de> Deserialize<'de> for Keyless {
    fn deserialize<D: serde::Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct NoKeys;
        impl<'de> Visitor<'de> for NoKeys {
            type Value = Keyless;

            fn expecting(&self, text: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                text.write_str("no settings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keyless, A::Error> {
                match map.next_key::<IgnoredAny>()? {
                    None => Ok(Keyless),
                    Some(_) => Err(serde::de::Error::custom("there are settings")),
                }
            }
        }
        reader.deserialize_map(NoKeys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize, Debug, Default, PartialEq)]
    #[serde(deny_unknown_fields, default)]
    struct Settings {
        idle_seconds: u32,
        windows: Vec<Window>,
    }

    #[derive(Deserialize, Debug, Default, PartialEq)]
    #[serde(deny_unknown_fields, default)]
    struct Window {
        from: String,
    }

    #[test]
    fn an_error_names_the_key_and_no_position() {
        for (json, error) in [
            (
                r#"{"idle_second":1}"#,
                "setting `idle_second`: unknown field `idle_second`, expected `idle_seconds` or `windows`",
            ),
            (
                r#"{"idle_seconds":"1"}"#,
                "setting `idle_seconds`: invalid type: string \"1\", expected u32",
            ),
            (
                r#"{"windows":[{},{"from":7}]}"#,
                "setting `windows[1].from`: invalid type: integer `7`, expected a string",
            ),
            (r#"{"idle_seconds":1} x"#, "settings: trailing characters"),
            ("[", "settings: EOF while parsing a list"),
        ] {
            assert_eq!(read::<Settings>(json).unwrap_err(), error, "{json}");
        }
    }

    #[test]
    fn no_settings_are_the_defaults() {
        for json in ["", " ", "{}", "{ }"] {
            assert_eq!(read::<Settings>(json), Ok(Settings::default()), "{json:?}");
            assert_eq!(read::<()>(json), Ok(()), "{json:?}");
        }
        assert!(read::<()>(r#"{"a":1}"#).is_err());
        assert_eq!(read::<Settings>(r#"{"idle_seconds":5}"#).unwrap().idle_seconds, 5);
    }
}
