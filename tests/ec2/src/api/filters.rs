//! Filters: names with values, of which each name must match and one of its values suffices.

use crate::error::Ec2Error;
use crate::query::Query;

/// A filter of a request.
pub(super) struct Filter {
    name: String,
    values: Vec<String>,
}

/// Reads the filters of a request.
pub(super) fn filters(query: &Query) -> Result<Vec<Filter>, Ec2Error> {
    let read = |entry: Query| {
        let name = entry
            .get("Name")
            .ok_or_else(|| Ec2Error::MissingParameter("Filter.Name".into()))?;
        Ok(Filter {
            name: name.to_owned(),
            values: entry.list("Value").into_iter().map(str::to_owned).collect(),
        })
    };
    query.entries("Filter").into_iter().map(read).collect()
}

/// Returns whether a thing matches all filters; `values` says what it has under a filter's name, `None` where EC2 knows no such filter.
pub(super) fn matches(filters: &[Filter], values: impl Fn(&str) -> Option<Vec<String>>) -> Result<bool, Ec2Error> {
    for filter in filters {
        let Some(own) = values(&filter.name) else {
            return Err(unknown(&filter.name));
        };
        let is_match = own
            .iter()
            .any(|own| filter.values.iter().any(|pattern| is_like(pattern, own)));
        if !is_match {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Says that all filters are known, also where there is nothing to be filtered.
pub(super) fn check(filters: &[Filter], is_known: impl Fn(&str) -> bool) -> Result<(), Ec2Error> {
    match filters.iter().find(|filter| !is_known(&filter.name)) {
        Some(filter) => Err(unknown(&filter.name)),
        None => Ok(()),
    }
}

/// Returns what a thing with these tags has under the filters `tag:KEY`, `tag-key` and `tag-value`.
pub(super) fn tag_values<'a>(
    name: &str,
    tags: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> Option<Vec<String>> {
    let tags = tags.into_iter();
    match (name, name.strip_prefix("tag:")) {
        (_, Some(wanted)) => Some(
            tags.filter(|(key, _)| *key == wanted)
                .map(|(_, value)| value.clone())
                .collect(),
        ),
        ("tag-key", None) => Some(tags.map(|(key, _)| key.clone()).collect()),
        ("tag-value", None) => Some(tags.map(|(_, value)| value.clone()).collect()),
        (_, None) => None,
    }
}

fn unknown(name: &str) -> Ec2Error {
    Ec2Error::InvalidParameterValue(format!("The filter '{name}' is invalid"))
}

/// Returns whether a text is like a pattern, in which `*` stands for any letters and `?` for any one.
fn is_like(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut read) = (0, 0);
    // Where the last star stood, and how far it has swallowed.
    let mut star: Option<(usize, usize)> = None;
    while read < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(letter) if *letter == '?' || *letter == text[read] => {
                at += 1;
                read += 1;
            }
            _ => match star {
                Some((star_at, swallowed)) => {
                    star = Some((star_at, swallowed + 1));
                    at = star_at + 1;
                    read = swallowed + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|letter| *letter == '*')
}

#[cfg(test)]
mod tests {
    use super::is_like;

    #[test]
    fn patterns_match_as_in_ec2() {
        for (pattern, text, expected) in [
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("a*", "abcd", true),
            ("*d", "abcd", true),
            ("a*c*", "abcbcd", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*", "", true),
            ("", "a", false),
        ] {
            assert_eq!(is_like(pattern, text), expected, "{pattern} {text}");
        }
    }
}
