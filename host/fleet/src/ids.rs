//! Names that clients, operators and providers use, and the small numbers that policies use for the same things.
//!
//! A name that exists is a valid one: parsing is the only way to make it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest id that is accepted, in bytes: long enough for a UUID with a prefix, short enough for a log line.
pub const ID_BYTES_MAX: usize = 128;

/// Says why a text is no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text is empty.
    #[error("an id must not be empty")]
    Empty,
    /// The text is longer than [`ID_BYTES_MAX`].
    #[error("an id has at most {ID_BYTES_MAX} characters, this one has {0}")]
    TooLong(usize),
    /// The text has a character that is not allowed.
    #[error("an id has only the characters A-Z a-z 0-9 . _ : -, not {0:?}")]
    Character(char),
}

fn checked(text: &str) -> Result<Arc<str>, IdError> {
    if text.is_empty() {
        return Err(IdError::Empty);
    }
    if text.len() > ID_BYTES_MAX {
        return Err(IdError::TooLong(text.len()));
    }
    match text
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || ".:_-".contains(*c)))
    {
        Some(c) => Err(IdError::Character(c)),
        None => Ok(text.into()),
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Returns the id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                checked(text).map($name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// Names a conference room; the app chooses it.
    RoomId
);
id!(
    /// Names a media server; the fleet or, for external servers, whoever registers it chooses it.
    ServerName
);
id!(
    /// Names a pool; the config file chooses it.
    PoolName
);
id!(
    /// Names a customer of the app, to whom rooms may belong.
    Tenant
);

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($int:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $int);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

number!(
    /// Numbers a server; never used twice in an installation's life.
    ServerNo(u32)
);
number!(
    /// Numbers a pool; never used twice in an installation's life.
    PoolNo(u32)
);
number!(
    /// Numbers a placement of any room; grows through an installation's life, over restarts too.
    PlacementNo(u64)
);
number!(
    /// Numbers a launch of a server: after a shortage the next offer is ordered as the next one.
    Attempt(u32)
);

impl Attempt {
    /// Returns the one after it.
    pub fn next(self) -> Attempt {
        Attempt(self.0.saturating_add(1))
    }
}

number!(
    /// Numbers a decision since the process started.
    DecisionNo(u32)
);
number!(
    /// Orders the queue of waiting rooms.
    QueueNo(u64)
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_short_and_plain() {
        assert!("standup-42_a.b:c".parse::<RoomId>().is_ok());
        assert_eq!("".parse::<RoomId>(), Err(IdError::Empty));
        assert_eq!("a b".parse::<RoomId>(), Err(IdError::Character(' ')));
        assert_eq!("é".parse::<RoomId>(), Err(IdError::Character('é')));
        assert_eq!("x".repeat(129).parse::<RoomId>(), Err(IdError::TooLong(129)));
        assert!("x".repeat(128).parse::<RoomId>().is_ok());
    }
}
