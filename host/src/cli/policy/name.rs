//! The name of a new policy: its crate's, and within its file's.

use std::fmt;
use std::str::FromStr;

use usher_policy::BUILT_IN;

/// The longest name, in bytes: with `50-` before it and `.wasm` behind it a file's name still reads well in a list.
const NAME_BYTES_MAX: usize = 64;

/// Names that cannot be a crate's: Rust's own, and those of what a policy depends on.
const TAKEN: [&str; 9] = [
    "alloc",
    "core",
    "proc-macro",
    "std",
    "test",
    "serde",
    "serde-json",
    "usher-sdk",
    "wit-bindgen",
];

const KEYWORDS: [&str; 52] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn", "else",
    "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod",
    "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static", "struct", "super", "trait", "true",
    "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield", "union",
];

/// A name that cargo and the host both take: lower-case letters, digits and hyphens, a letter first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PolicyName(String);

/// Says why a name was refused, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NameError {
    #[error("the name is empty; write for example `usher policy new night-shift`")]
    Empty,
    #[error("the name is a path; say where the crate's folder shall stand with --in, and name only the policy here")]
    Path,
    #[error(
        "a crate's name begins with a letter; write `usher policy new {rest}`, and `file = \"{name}\"` into its Cargo.toml \
         under [package.metadata.usher] for its place in the folder"
    )]
    Numbered { name: String, rest: String },
    #[error("a name has lower-case letters, digits and hyphens, a letter first; `{suggestion}` would do")]
    Letters { suggestion: String },
    #[error("a name has lower-case letters, digits and hyphens, a letter first")]
    NoLetters,
    #[error("the name is longer than {NAME_BYTES_MAX} characters")]
    TooLong,
    #[error("`{0}` is a word of the Rust language, and no crate is called so; `{0}-policy` would do")]
    Keyword(String),
    #[error("`{0}` is the name of a crate that every policy uses; `{0}-policy` would do")]
    Taken(String),
    #[error("`{BUILT_IN}` is Usher's own policy, and `{BUILT_IN}.toml` holds its settings; `my-{BUILT_IN}` would do")]
    BuiltIn,
}

impl PolicyName {
    /// Returns the name as a Rust type is written: `night-shift` is `NightShift`.
    pub(super) fn type_name(&self) -> String {
        let mut name = String::new();
        for word in self.0.split('-') {
            let (first, rest) = word.split_at(word.len().min(1));
            name.push_str(&first.to_ascii_uppercase());
            name.push_str(rest);
        }
        name
    }
}

impl FromStr for PolicyName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<PolicyName, NameError> {
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        if name.contains(['/', '\\']) {
            return Err(NameError::Path);
        }
        if name.len() > NAME_BYTES_MAX {
            return Err(NameError::TooLong);
        }
        let suggestion = spelt(name);
        if suggestion.is_empty() {
            return Err(NameError::NoLetters);
        }
        if name.starts_with(|first: char| first.is_ascii_digit()) {
            return Err(NameError::Numbered {
                name: name.to_owned(),
                rest: suggestion,
            });
        }
        if suggestion != name {
            return Err(NameError::Letters { suggestion });
        }
        if KEYWORDS.contains(&name) {
            return Err(NameError::Keyword(suggestion));
        }
        if TAKEN.contains(&name) {
            return Err(NameError::Taken(suggestion));
        }
        if name == BUILT_IN {
            return Err(NameError::BuiltIn);
        }
        Ok(PolicyName(suggestion))
    }
}

/// Returns the nearest name in the right letters: words of letters and digits, joined by single hyphens; empty if there is none.
fn spelt(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    let words: Vec<&str> = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .skip_while(|word| word.starts_with(|first: char| first.is_ascii_digit()))
        .collect();
    words.join("-")
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_becomes_a_types_name() {
        for (name, type_name) in [("night", "Night"), ("night-shift-2", "NightShift2"), ("a-b", "AB")] {
            assert_eq!(name.parse::<PolicyName>().unwrap().type_name(), type_name);
        }
    }

    #[test]
    fn what_cargo_or_the_host_would_refuse_is_refused_with_what_to_write_instead() {
        for (name, words) in [
            ("", "`usher policy new night-shift`"),
            ("policies/night", "--in"),
            ("10-vip", "`usher policy new vip`, and `file = \"10-vip\"`"),
            ("Night Shift", "`night-shift` would do"),
            ("night_shift", "`night-shift` would do"),
            ("-night", "`night` would do"),
            ("nächte", "`n-chte` would do"),
            ("42", "a letter first"),
            ("__", "a letter first"),
            ("match", "`match-policy` would do"),
            ("serde", "`serde-policy` would do"),
            ("standard", "`my-standard` would do"),
        ] {
            let error = name.parse::<PolicyName>().unwrap_err().to_string();
            assert!(error.contains(words), "{name}: {error}");
        }
        assert_eq!("a".repeat(65).parse::<PolicyName>(), Err(NameError::TooLong));
        assert!("a".repeat(64).parse::<PolicyName>().is_ok());
    }

    #[test]
    fn every_name_that_is_suggested_would_do() {
        for name in ["Night Shift", "10-vip", "x--y", "match", "wit-bindgen", "standard"] {
            let error = name.parse::<PolicyName>().unwrap_err().to_string();
            let suggestions = error
                .split('`')
                .skip(1)
                .step_by(2)
                .map(|quoted| quoted.rsplit(' ').next().unwrap());
            assert!(suggestions.last().is_some(), "{error}");
            let would_do = error
                .split('`')
                .skip(1)
                .step_by(2)
                .any(|quoted| quoted.rsplit(' ').next().unwrap().parse::<PolicyName>().is_ok());
            assert!(would_do, "{error}");
        }
    }
}
