//! A request's parameters: the form of the EC2 Query protocol, with its numbered lists.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::error::Ec2Error;

/// The most parameters that a request may have; a thousand ids with a few words is the most that EC2 takes.
const PARAMETERS_MAX: usize = 10_000;

/// Parameters by name, `Tag.1.Key` for a field of a list's first entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Query {
    parameters: BTreeMap<String, String>,
}

impl Query {
    /// Reads a form.
    pub(crate) fn parse(form: &[u8]) -> Result<Query, Ec2Error> {
        let mut parameters = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(form) {
            if parameters.len() >= PARAMETERS_MAX {
                return Err(Ec2Error::MalformedQueryString);
            }
            parameters.insert(name.into_owned(), value.into_owned());
        }
        Ok(Query { parameters })
    }

    /// Returns a parameter; an empty one counts as absent, as in EC2.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.parameters
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Returns a parameter that there must be.
    pub(crate) fn required(&self, name: &str) -> Result<&str, Ec2Error> {
        self.get(name).ok_or_else(|| Ec2Error::MissingParameter(name.into()))
    }

    /// Returns a yes or no.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, Ec2Error> {
        match self.get(name) {
            None => Ok(None),
            Some("true" | "True" | "1") => Ok(Some(true)),
            Some("false" | "False" | "0") => Ok(Some(false)),
            Some(other) => Err(Ec2Error::invalid_value(name, other, "Expected true or false")),
        }
    }

    /// Returns a number.
    pub(crate) fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, Ec2Error> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let number = text
            .parse()
            .map_err(|_| Ec2Error::invalid_value(name, text, "Expected a whole number"))?;
        Ok(Some(number))
    }

    /// Returns whether the caller wants only to know whether the request would succeed.
    pub(crate) fn is_dry_run(&self) -> Result<bool, Ec2Error> {
        Ok(self.flag("DryRun")?.unwrap_or(false))
    }

    /// Returns the texts of the list `name`, in the order of their numbers.
    pub(crate) fn list<'a>(&'a self, name: &'a str) -> Vec<&'a str> {
        let mut entries: Vec<(u32, &str)> = self
            .beneath(name)
            .filter_map(|(rest, value)| Some((rest.parse().ok()?, value)))
            .collect();
        entries.sort_unstable();
        entries.into_iter().map(|(_, value)| value).collect()
    }

    /// Returns the entries of the list `name` that have fields, each as parameters of its own.
    pub(crate) fn entries(&self, name: &str) -> Vec<Query> {
        let mut entries: BTreeMap<u32, Query> = BTreeMap::new();
        for (rest, value) in self.beneath(name) {
            let Some((number, field)) = rest.split_once('.') else {
                continue;
            };
            if let Ok(number) = number.parse() {
                let entry = entries.entry(number).or_default();
                entry.parameters.insert(field.into(), value.into());
            }
        }
        entries.into_values().collect()
    }

    /// Returns all parameters but these, in the order of their names: what makes a request the same request.
    pub(crate) fn without(&self, names: &[&str]) -> Vec<(String, String)> {
        self.parameters
            .iter()
            .filter(|(name, _)| !names.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    /// Returns whether there is any parameter of this name, or within it.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.parameters.contains_key(name) || self.beneath(name).next().is_some()
    }

    fn beneath<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.parameters
            .range(format!("{name}.")..format!("{name}/"))
            .filter_map(move |(key, value)| Some((key.strip_prefix(name)?.strip_prefix('.')?, value.as_str())))
    }
}

#[cfg(test)]
mod tests {
    use super::Query;

    #[test]
    fn lists_keep_the_order_of_their_numbers_beyond_nine() {
        let form: Vec<String> = (1..=11).rev().map(|number| format!("Id.{number}=x{number}")).collect();
        let query = Query::parse(form.join("&").as_bytes()).unwrap();
        let list = query.list("Id");
        assert_eq!((list[0], list[1], list[10]), ("x1", "x2", "x11"));
    }

    #[test]
    fn entries_have_their_own_fields_and_names_that_only_begin_alike_do_not_count() {
        let query = Query::parse(b"Tag.1.Key=a&Tag.1.Value=b+c&Tag.2.Key=d&TagSpecification.1.Tag.1.Key=e").unwrap();
        let entries = query.entries("Tag");
        assert_eq!(entries.len(), 2);
        assert_eq!(
            (entries[0].get("Key"), entries[0].get("Value")),
            (Some("a"), Some("b c"))
        );
        assert_eq!(entries[1].get("Value"), None);
        assert!(query.has("TagSpecification") && !query.has("TagSpec"));
    }
}
