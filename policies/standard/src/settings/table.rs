//! A table of the settings whose keys the operator chooses.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Values by name, ordered by it. A list, since it is short and read far more often than made; a tree of each kind of value would make
/// the module larger by kilobytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table<T>(Vec<(String, T)>);

impl<T> Table<T> {
    /// Returns the value of this name.
    pub fn get(&self, name: &str) -> Option<&T> {
        self.iter().find(|(other, _)| *other == name).map(|(_, value)| value)
    }

    /// Returns all values with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Returns whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn place_of(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(other, _)| other.as_str().cmp(name))
    }

    fn set(&mut self, name: String, value: T) {
        match self.place_of(&name) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (name, value)),
        }
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table(Vec::new())
    }
}

impl<T, const N: usize> From<[(&str, T); N]> for Table<T> {
    fn from(entries: [(&str, T); N]) -> Self {
        let mut table = Table::default();
        entries
            .into_iter()
            .for_each(|(name, value)| table.set(name.to_owned(), value));
        table
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Table<T> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_map(Entries(PhantomData))
    }
}

struct Entries<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
    type Value = Table<T>;

    fn expecting(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        text.write_str("a table")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Table<T>, A::Error> {
        let mut table = Table::default();
        while let Some((name, value)) = map.next_entry()? {
            table.set(name, value);
        }
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_name_whatever_their_order_in_the_file() {
        let table: Table<u32> = toml::from_str("c = 3\na = 1\nb = 2").unwrap();
        assert_eq!(
            ["a", "b", "c", "d", ""].map(|name| table.get(name)),
            [Some(&1), Some(&2), Some(&3), None, None]
        );
        assert_eq!(table.iter().map(|(name, _)| name).collect::<String>(), "abc");
        assert_eq!(table, Table::from([("b", 2), ("c", 3), ("a", 1)]));
    }
}
