//! Lists and maps of an answer that are given up once they are longer than can be: before they fill the memory, which the agent has
//! little of.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::room::ROOMS_MAX;

/// Entries of a list that are read. Rooms above [`ROOMS_MAX`] are still counted with their people; so many are a media server gone mad.
const ENTRIES_MAX: usize = 4 * ROOMS_MAX;

/// A list with at most [`ENTRIES_MAX`] entries; a longer one is an error.
#[derive(Debug)]
pub(super) struct List<T>(pub(super) Vec<T>);

impl<T> Default for List<T> {
    fn default() -> List<T> {
        List(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<List<T>, D::Error> {
        deserializer.deserialize_seq(Entries(PhantomData)).map(List)
    }
}

struct Entries<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {ENTRIES_MAX} entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(entry) = entries.next_element()? {
            if list.len() == ENTRIES_MAX {
                return Err(A::Error::custom(format!("a list has more than {ENTRIES_MAX} entries")));
            }
            list.push(entry);
        }
        Ok(list)
    }
}

/// Reads a map of figures with at most `MAX` entries; a larger one is an error.
pub(super) fn figures<'de, D: Deserializer<'de>, const MAX: usize>(
    deserializer: D,
) -> Result<BTreeMap<String, u32>, D::Error> {
    struct Figures<const MAX: usize>;
    impl<'de, const MAX: usize> Visitor<'de> for Figures<MAX> {
        type Value = BTreeMap<String, u32>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a map of at most {MAX} figures")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            let mut figures = BTreeMap::new();
            while let Some((name, value)) = entries.next_entry()? {
                figures.insert(name, value);
                if figures.len() > MAX {
                    return Err(A::Error::custom(format!("`figures` has at most {MAX} entries")));
                }
            }
            Ok(figures)
        }
    }
    deserializer.deserialize_map(Figures::<MAX>)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_is_too_long_is_given_up() {
        let of = |entries: usize| format!("[{}0]", "0,".repeat(entries - 1));
        let list: List<u8> = serde_json::from_str(&of(ENTRIES_MAX)).unwrap();
        assert_eq!(list.0.len(), ENTRIES_MAX);
        let error = serde_json::from_str::<List<u8>>(&of(ENTRIES_MAX + 1)).unwrap_err();
        assert!(error.to_string().contains("more than 40000 entries"), "{error}");
        assert!(serde_json::from_str::<List<u8>>("{}").is_err());
    }
}
