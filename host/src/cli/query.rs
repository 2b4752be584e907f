//! The query behind a path.

/// A query of ids, words and numbers: nothing in it needs escaping, because an id has no other characters.
#[derive(Debug, Default)]
pub(super) struct Query(String);

impl Query {
    /// Adds a parameter, if it has a value.
    pub(super) fn add(&mut self, name: &str, value: Option<impl std::fmt::Display>) {
        if let Some(value) = value {
            let mark = if self.0.is_empty() { '?' } else { '&' };
            self.0.push_str(&format!("{mark}{name}={value}"));
        }
    }

    /// Returns the path with this query.
    pub(super) fn of(&self, path: &str) -> String {
        format!("{path}{}", self.0)
    }
}
