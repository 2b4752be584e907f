//! From a settings file's JSON to the author's type, with errors that name the key.
//!
//! In two steps, the text and then the type. The second is ours because of what it says and what it weighs: an error names the key
//! ("`windows[0].from`: expected a string") and no column of a text that nobody wrote, and what is expected is said without the
//! printing of floats that `serde_json`'s errors would bring into every module, a fifth of its size.

mod value;

use serde::de::DeserializeOwned;

use value::{Node, Value, Wrong};

/// Reads the settings; a JSON object without keys, or an empty text, gives the defaults: those that serde knows, or where it lacks
/// one for any key, the type's.
///
/// # Errors
/// A sentence that names the key, in the words of the file.
pub(crate) fn read<S: DeserializeOwned + Default>(json: &str) -> Result<S, String> {
    let is_keyless = is_keyless(json);
    // Known when the policy is compiled, so that a module without settings carries nothing to read them with.
    if core::any::type_name::<S>() == "()" {
        return if is_keyless {
            Ok(S::default())
        } else {
            Err(NO_SETTINGS.into())
        };
    }
    let settings = serde_json::from_str::<Value>(if is_keyless { "{}" } else { json });
    // The host writes the text, so this is no author's error and no operator's.
    let settings = settings.map_err(|error| format!("settings: {error}"))?;
    match S::deserialize(Node(settings)) {
        // A key that must be there has its value from the type's defaults.
        Err(_) if is_keyless => Ok(S::default()),
        read => read.map_err(Wrong::into_sentence),
    }
}

/// What an operator reads who wrote settings for a policy with `type Settings = ()`.
const NO_SETTINGS: &str = "settings: this policy has none, so its file must be empty";

fn is_keyless(json: &str) -> bool {
    // JSON knows no other blanks than ASCII's, whose test a module need not look up in a table.
    let json = json.trim_ascii();
    let keys = json.strip_prefix('{').and_then(|json| json.strip_suffix('}'));
    json.is_empty() || keys.is_some_and(|keys| keys.trim_ascii().is_empty())
}

#[cfg(test)]
mod tests;
