//! A policy's settings file: TOML as its author reads it, JSON as the policy gets it.
//!
//! One key is the host's own and never reaches the policy: `on_fault = "next"` (the default) or `"wait"`. It is taken out
//! before `configure`, so that a policy may refuse keys that it does not know.

use std::sync::Arc;
use std::thread;

use toml::de::{DeTable, DeValue};

/// The longest settings file, in bytes: settings are written by people.
pub(crate) const SETTINGS_BYTES_MAX: u64 = 64 << 10;
/// The most tables and lists in each other: whoever reads settings recurses over them, most JSON parsers up to 128.
const LEVELS_MAX: usize = 64;
/// The stack of the thread that parses, in bytes. TOML's parser bounds the keys of a path and the tables in each other, to 80 each,
/// and not their product; to drop 6,400 levels takes 8 MiB where nothing is optimised.
const STACK_BYTES: usize = 64 << 20;

/// The longest words about a file that is no TOML, in bytes: they repeat the line.
const ERROR_BYTES_MAX: usize = 1 << 10;

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
    /// Others could not read it.
    #[error("the settings file has more than {LEVELS_MAX} tables and lists in each other")]
    TooDeep,
    /// The host's own key has a value that it does not know.
    #[error("`on_fault` is \"next\" or \"wait\", not {0}")]
    OnFault(String),
    /// JSON has no such number.
    #[error("`{0}` is `inf` or `nan`, which no setting may be")]
    Number(String),
    /// Nobody is asked after the built-in.
    #[error("`on_fault` is not for `standard.toml`: nobody is asked after the standard policy")]
    NothingNext,
    /// The machine has too little of something.
    #[error("no thread can be started to read the settings file: {0}")]
    NoThread(String),
    /// The parser has failed; a bug, and no reason to stop.
    #[error("reading the settings file has failed within Usher; please report this together with the file")]
    Panicked,
}

impl Settings {
    /// Reads the built-in's settings file.
    ///
    /// # Errors
    /// What is wrong with it, with the line; or it says what becomes of a room after the last policy.
    pub(crate) fn read_built_in(bytes: &[u8]) -> Result<Settings, SettingsError> {
        let settings = Settings::read(bytes)?;
        match settings.on_fault {
            OnFault::Next => Ok(settings),
            OnFault::Wait => Err(SettingsError::NothingNext),
        }
    }

    /// Reads a settings file.
    ///
    /// # Errors
    /// What is wrong with it, with the line.
    pub(crate) fn read(bytes: &[u8]) -> Result<Settings, SettingsError> {
        let text = std::str::from_utf8(bytes).map_err(|_| SettingsError::NotText)?;
        let mut table = table(text)?;
        let on_fault = match table.remove("on_fault") {
            None => OnFault::Next,
            Some(toml::Value::String(value)) if value == "next" => OnFault::Next,
            Some(toml::Value::String(value)) if value == "wait" => OnFault::Wait,
            Some(other) => return Err(SettingsError::OnFault(other.to_string())),
        };
        let json = json("", toml::Value::Table(table))?;
        Ok(Settings {
            json: json.to_string().into(),
            on_fault,
        })
    }
}

/// Parses a text where there is stack enough for whatever it nests, and returns only what any thread can walk over.
fn table(text: &str) -> Result<toml::Table, SettingsError> {
    thread::scope(|scope| {
        let parser = thread::Builder::new().stack_size(STACK_BYTES);
        let parser = parser.spawn_scoped(scope, || flat_table(text));
        let parser = parser.map_err(|error| SettingsError::NoThread(error.to_string()))?;
        parser.join().unwrap_or(Err(SettingsError::Panicked))
    })
}

fn flat_table(text: &str) -> Result<toml::Table, SettingsError> {
    let invalid = |error| SettingsError::Toml(told(&error, text));
    let document = DeTable::parse(text).map_err(invalid)?;
    let mut values = document.get_ref().values();
    if !values.all(|value| is_within(value.get_ref(), LEVELS_MAX)) {
        return Err(SettingsError::TooDeep);
    }
    // Parsed anew: a number that is too large is found as values are made, and has a line only where the text is at hand.
    text.parse().map_err(invalid)
}

/// Returns the parser's words, which show the line; without it where it is no line for people.
fn told(error: &toml::de::Error, text: &str) -> String {
    let whole = error.to_string();
    if whole.len() <= ERROR_BYTES_MAX {
        return whole;
    }
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map_or(1, |before| 1 + before.matches('\n').count());
    format!("line {line}: {}", error.message())
}

/// Returns whether so many levels hold all of a value.
fn is_within(value: &DeValue<'_>, levels: usize) -> bool {
    let Some(inside) = levels.checked_sub(1) else {
        return !(value.is_table() || value.is_array());
    };
    match value {
        DeValue::Table(table) => table.values().all(|value| is_within(value.get_ref(), inside)),
        DeValue::Array(items) => items.iter().all(|value| is_within(value.get_ref(), inside)),
        DeValue::String(_) | DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
            true
        }
    }
}

/// Returns the value of a key.
fn json(key: &str, value: toml::Value) -> Result<serde_json::Value, SettingsError> {
    Ok(match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => serde_json::Number::from_f64(number)
            .ok_or_else(|| SettingsError::Number(key.to_owned()))?
            .into(),
        toml::Value::Boolean(flag) => flag.into(),
        toml::Value::Datetime(moment) => moment.to_string().into(),
        toml::Value::Array(items) => {
            let items = items.into_iter().map(|item| json(key, item));
            items.collect::<Result<Vec<_>, _>>()?.into()
        }
        toml::Value::Table(table) => {
            let entries = table.into_iter().map(|(key, value)| {
                let value = json(&key, value)?;
                Ok((key, value))
            });
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

    /// Tables in tables, each by a path of so many keys.
    fn nested(keys: usize, tables: usize) -> String {
        let path = vec!["a"; keys].join(".");
        format!(
            "{}1{}",
            format!("{path} = {{").repeat(tables - 1) + &format!("{path} = "),
            "}".repeat(tables - 1)
        )
    }

    #[test]
    fn settings_that_no_stack_would_hold_are_refused_and_not_walked_over() {
        let bomb = nested(79, 79);
        assert!(bomb.len() < 13_000);
        assert_eq!(Settings::read(bomb.as_bytes()), Err(SettingsError::TooDeep));
        // What is no TOML either way is dropped as it is nested.
        let twice = Settings::read(format!("a = 1\n{bomb}").as_bytes()).unwrap_err();
        assert!(matches!(twice, SettingsError::Toml(_)), "{twice}");
    }

    #[test]
    fn settings_have_sixty_four_levels() {
        // A key of one is a value without a table around it.
        assert!(Settings::read(nested(65, 1).as_bytes()).is_ok());
        assert_eq!(Settings::read(nested(66, 1).as_bytes()), Err(SettingsError::TooDeep));
        let lists = |levels: usize| format!("a = {}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(Settings::read(lists(64).as_bytes()).is_ok());
        assert_eq!(Settings::read(lists(65).as_bytes()), Err(SettingsError::TooDeep));
    }

    #[test]
    fn bad_settings_say_what_and_where() {
        let message = Settings::read(b"a = 1\nb =").unwrap_err().to_string();
        assert!(message.contains("line 2"), "{message}");
        assert_eq!(Settings::read(b"on_fault = 3"), Err(SettingsError::OnFault("3".into())));
        assert_eq!(
            Settings::read(b"[[a]]\nb = [1, nan]"),
            Err(SettingsError::Number("b".into()))
        );
        assert_eq!(Settings::read(b"\xff"), Err(SettingsError::NotText));
    }

    #[test]
    fn an_error_shows_its_line_unless_that_is_endless() {
        let told = |text: String| Settings::read(text.as_bytes()).unwrap_err().to_string();
        let short = told("a = 1\nb = oops\n".into());
        assert!(short.contains("line 2") && short.contains("b = oops"), "{short}");
        let long = told(format!("a = 1\nb = \"{}\" oops\n", "x".repeat(60_000)));
        assert!(long.contains("line 2") && long.len() < ERROR_BYTES_MAX, "{long}");
    }

    #[test]
    fn after_the_built_in_comes_nobody_and_its_settings_say_nothing_of_it() {
        assert!(Settings::read_built_in(b"on_fault = \"next\"").is_ok());
        assert_eq!(
            Settings::read_built_in(b"on_fault = \"wait\""),
            Err(SettingsError::NothingNext)
        );
    }
}
