//! How a table of the file is described and read: the machinery behind the lines of `raw`.

use super::problem::{Collector, Place};

/// A table of the file: what `usher config reference` says of it, and its keys.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) about: &'static [&'static str],
    pub(super) keys: &'static [Key],
    /// Keys that stand in this table too, and in others.
    pub(super) with: Option<&'static Section>,
}

impl Section {
    /// Returns all keys that may stand in this table.
    pub(super) fn all_keys(&self) -> impl Iterator<Item = &'static Key> {
        let with: &[Key] = self.with.map_or(&[], |with| with.keys);
        self.keys.iter().chain(with)
    }
}

/// A key of the file.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) docs: &'static [&'static str],
    pub(super) shown: Shown,
    pub(super) section: Option<&'static Section>,
    pub(super) is_list: bool,
}

/// How the reference shows a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// As its default, so that the printed file means the same as an empty one. For a table: as it is.
    Preset(&'static str),
    /// As an example, in a comment: without it there is none, or it is the table's around it.
    Example(&'static str),
    /// As an example; it must be written.
    Required(&'static str),
}

impl Shown {
    /// Returns the value as TOML.
    pub(super) fn value(self) -> &'static str {
        match self {
            Shown::Preset(value) | Shown::Example(value) | Shown::Required(value) => value,
        }
    }
}

/// A key's value as written, with its place; the table's place where it is not written.
#[derive(Debug)]
pub(super) struct Entry<V> {
    pub(super) at: Place,
    pub(super) is_written: bool,
    value: Option<V>,
}

impl<V> Entry<V> {
    /// Returns that a key is not written in the table at this place.
    pub(super) fn absent(at: Place) -> Self {
        Entry {
            at,
            is_written: false,
            value: None,
        }
    }

    /// Returns what was read where a key is written.
    pub(super) fn written(at: Place, value: Option<V>) -> Self {
        Entry {
            at,
            is_written: true,
            value,
        }
    }

    /// Returns the value, if a good one is written.
    pub(super) fn get(&self) -> Option<&V> {
        self.value.as_ref()
    }

    /// Returns the value, if a good one is written; otherwise, if none is written, that it is missing.
    pub(super) fn required(&self, example: &str, problems: &mut Collector<'_>) -> Option<&V> {
        if !self.is_written {
            let name = self.at.key.rsplit('.').next().unwrap_or(&self.at.key);
            problems.problem(&self.at, "is missing", format!("write for example {name} = {example}"));
        }
        self.value.as_ref()
    }
}

impl<V: Clone> Entry<V> {
    /// Returns the value, or the default.
    pub(super) fn or(&self, default: V) -> V {
        self.value.clone().unwrap_or(default)
    }
}

/// Defines a table of the file from its keys: a struct with an [`Entry`] for each, and how it is read.
macro_rules! section {
    ($(#[doc = $about:literal])+ $name:ident $(, with $with:ident: $With:ty)? {
        $($(#[doc = $doc:literal])+ $key:ident: $kind:ty = $shown:expr,)*
    }) => {
        $(#[doc = $about])+
        #[derive(Debug)]
        pub(in crate::config) struct $name {
            $($(#[doc = $doc])+ pub(in crate::config) $key: Entry<<$kind as Kind>::Value>,)*
            $(pub(in crate::config) $with: $With,)?
        }

        impl $name {
            const KEYS: Section = Section {
                about: &[$($about),+],
                keys: &[$(Key {
                    name: stringify!($key),
                    docs: &[$($doc),+],
                    shown: $shown,
                    section: <$kind as Kind>::SECTION,
                    is_list: <$kind as Kind>::IS_LIST,
                }),*],
                with: with_section!($($With)?),
            };

            fn empty(at: &Place) -> Self {
                $name {
                    $($key: Entry::absent(at.missing(stringify!($key))),)*
                    $($with: <$With>::empty(at),)?
                }
            }

            fn take(
                &mut self,
                key: &str,
                value: &Spanned<DeValue<'_>>,
                at: &Place,
                problems: &mut Collector<'_>,
            ) -> bool {
                match key {
                    $(stringify!($key) => {
                        let example = format!("{} = {}", stringify!($key), $shown.value());
                        let value = <$kind as Kind>::read(value, at, &example, problems);
                        self.$key = Entry::written(at.clone(), value);
                        true
                    })*
                    $(_ if self.$with.take(key, value, at, problems) => true,)?
                    _ => false,
                }
            }

            fn read_table(table: &DeTable<'_>, at: &Place, problems: &mut Collector<'_>) -> Self {
                let mut raw = Self::empty(at);
                for (key, value) in table.iter() {
                    let at = at.key(key.get_ref(), key.span());
                    if !raw.take(key.get_ref(), value, &at, problems) {
                        unknown(key.get_ref(), &at, &Self::KEYS, problems);
                    }
                }
                raw
            }
        }

        impl Kind for $name {
            type Value = $name;

            const SECTION: Option<&'static Section> = Some(&$name::KEYS);

            fn read(
                value: &Spanned<DeValue<'_>>,
                at: &Place,
                example: &str,
                problems: &mut Collector<'_>,
            ) -> Option<Self> {
                let table = value.get_ref().as_table();
                if table.is_none() {
                    not_a("a table", value, at, example, problems);
                }
                table.map(|table| Self::read_table(table, at, problems))
            }
        }
    };
}

macro_rules! with_section {
    () => {
        None
    };
    ($With:ty) => {
        Some(&<$With>::KEYS)
    };
}

pub(super) use {section, with_section};
