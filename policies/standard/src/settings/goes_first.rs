//! What lets a server go before others.

use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// What lets a server go before others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoesFirst {
    /// It has fewer rooms; one without any goes without a drain.
    Emptiest,
    /// It costs more an hour.
    Dearest,
    /// It has been empty for longer, or its last room ends earlier.
    Soonest,
    /// It was launched earlier.
    Oldest,
    /// It was launched later.
    Newest,
    /// Its pool's market is `spot`.
    Spot,
}

/// The words of the settings.
const WORDS: [(&str, GoesFirst); GoesFirst::COUNT] = [
    ("emptiest", GoesFirst::Emptiest),
    ("dearest", GoesFirst::Dearest),
    ("soonest", GoesFirst::Soonest),
    ("oldest", GoesFirst::Oldest),
    ("newest", GoesFirst::Newest),
    ("spot", GoesFirst::Spot),
];

impl GoesFirst {
    /// How many there are.
    pub(crate) const COUNT: usize = 6;
    /// What counts where the settings say nothing else.
    pub(super) const DEFAULT: [GoesFirst; 3] = [GoesFirst::Emptiest, GoesFirst::Dearest, GoesFirst::Soonest];
}

/// Reads a list of them. Lists of words are all read as such: each kind of list is kilobytes of module.
pub(super) fn read<'de, D: Deserializer<'de>>(reader: D) -> Result<Vec<GoesFirst>, D::Error> {
    let words = Vec::<String>::deserialize(reader)?;
    let meant = words
        .iter()
        .map(|word| WORDS.iter().find(|(known, _)| known == word).ok_or(word));
    let meant: Result<Vec<_>, _> = meant.map(|found| found.map(|(_, meant)| *meant)).collect();
    meant.map_err(|word| {
        let known = WORDS.map(|(known, _)| known).join(", ");
        D::Error::custom(format_args!("{word:?} is none of {known}"))
    })
}
