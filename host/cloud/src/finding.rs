//! What a look at the world outside finds before anything is served: one thing in one sentence.

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How it stands with it.
    pub verdict: Verdict,
    /// The sentence, in one line; with what to do where something is to be done.
    pub says: String,
}

/// How it stands with something that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Well,
    /// Nobody can say: it could not be looked at, or shows only in service.
    Unknown,
    /// Servers would not be launched, listed or ended as configured.
    Problem,
}

impl Verdict {
    /// Returns its word.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Well => "ok",
            Verdict::Unknown => "unknown",
            Verdict::Problem => "problem",
        }
    }
}

impl Finding {
    pub(crate) fn well(says: impl Into<String>) -> Finding {
        Finding::new(Verdict::Well, says.into())
    }

    #[cfg(any(test, feature = "ec2"))]
    pub(crate) fn unknown(says: impl Into<String>) -> Finding {
        Finding::new(Verdict::Unknown, says.into())
    }

    pub(crate) fn problem(says: impl Into<String>) -> Finding {
        Finding::new(Verdict::Problem, says.into())
    }

    /// What others say in it may have several lines.
    fn new(verdict: Verdict, says: String) -> Finding {
        let says = says.replace(char::is_control, " ");
        Finding { verdict, says }
    }
}

/// Returns `a, b and c`.
#[cfg(any(test, feature = "ec2"))]
pub(crate) fn listed<T: AsRef<str>>(words: impl IntoIterator<Item = T>) -> String {
    let words: Vec<T> = words.into_iter().collect();
    let mut text = String::new();
    for (index, word) in words.iter().enumerate() {
        text.push_str(match index {
            0 => "",
            _ if index + 1 == words.len() => " and ",
            _ => ", ",
        });
        text.push_str(word.as_ref());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line() {
        assert_eq!(Finding::well("a\nb\u{1b}c").says, "a b c");
    }

    #[test]
    fn several_words_are_listed_as_people_do() {
        assert_eq!(listed([""; 0]), "");
        assert_eq!(listed(["a"]), "a");
        assert_eq!(listed(["a", "b", "c"]), "a, b and c");
    }
}
