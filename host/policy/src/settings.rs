//! A policy's settings file: TOML as its author reads it, JSON as the policy gets it.
//!
//! One key is the host's own and never reaches the policy: `on_fault = "next"` (the default) or `"wait"`. It is taken out
//! before `configure`, so that a policy may refuse keys that it does not know.

use std::sync::Arc;

/// The longest settings file, in bytes: settings are written by people.
pub(crate) const SETTINGS_BYTES_MAX: u64 = 64 << 10;

/// What a settings file says; `{}` where there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// A JSON object, for the policy.
    pub(crate) json: Arc<str>,
    /// For the host.
    pub(crate) on_fault: OnFault,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            json: "{}".into(),
            on_fault: OnFault::Next,
        }
    }
}

/// What becomes of a room when its policy has faulted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnFault {
    /// The next policy in the chain is asked.
    Next,
    /// The room waits: no other policy may have it, for it would not isolate it.
    Wait,
}

/// Says why a settings file was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// It is not text.
    #[error("the settings file is not UTF-8 text")]
    NotText,
    /// It is not TOML.
    #[error("the settings file is not TOML: {0}")]
    Toml(String),
    /// The host's own key has a value that it does not know.
    #[error("`on_fault` is \"next\" or \"wait\", not {0}")]
    OnFault(String),
    /// JSON has no such number.
    #[error("`inf` and `nan` are no settings")]
    Number,
}

impl Settings {
    /// Reads a settings file.
    ///
    /// # Errors
    /// What is wrong with it, with the line.
    pub(crate) fn read(bytes: &[u8]) -> Result<Settings, SettingsError> {
        let text = std::str::from_utf8(bytes).map_err(|_| SettingsError::NotText)?;
        let mut table: toml::Table = text
            .parse()
            .map_err(|error: toml::de::Error| SettingsError::Toml(error.to_string()))?;
        let on_fault = match table.remove("on_fault") {
            None => OnFault::Next,
            Some(toml::Value::String(value)) if value == "next" => OnFault::Next,
            Some(toml::Value::String(value)) if value == "wait" => OnFault::Wait,
            Some(other) => return Err(SettingsError::OnFault(other.to_string())),
        };
        let json = json(toml::Value::Table(table))?;
        Ok(Settings {
            json: json.to_string().into(),
            on_fault,
        })
    }
}

fn json(value: toml::Value) -> Result<serde_json::Value, SettingsError> {
    Ok(match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => serde_json::Number::from_f64(number)
            .ok_or(SettingsError::Number)?
            .into(),
        toml::Value::Boolean(flag) => flag.into(),
        toml::Value::Datetime(moment) => moment.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(json).collect::<Result<Vec<_>, _>>()?.into(),
        toml::Value::Table(table) => {
            let entries = table.into_iter().map(|(key, value)| Ok((key, json(value)?)));
            serde_json::Value::Object(entries.collect::<Result<_, SettingsError>>()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_become_a_json_object_without_the_hosts_key() {
        let settings = Settings::read(b"on_fault = \"wait\"\nspare = 2\n[[window]]\nfrom = 08:30:00\n").unwrap();
        assert_eq!(settings.on_fault, OnFault::Wait);
        assert_eq!(&*settings.json, r#"{"spare":2,"window":[{"from":"08:30:00"}]}"#);
        assert_eq!(Settings::read(b"").unwrap(), Settings::default());
    }

    #[test]
    fn bad_settings_say_what_and_where() {
        let message = Settings::read(b"a = 1\nb =").unwrap_err().to_string();
        assert!(message.contains("line 2"), "{message}");
        assert_eq!(Settings::read(b"on_fault = 3"), Err(SettingsError::OnFault("3".into())));
        assert_eq!(Settings::read(b"a = nan"), Err(SettingsError::Number));
        assert_eq!(Settings::read(b"\xff"), Err(SettingsError::NotText));
    }
}
