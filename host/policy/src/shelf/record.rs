//! What is written down of one policy: `state.json` in its folder.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use usher_fleet::decision::DecisionPoint;

use crate::version::{Hash, Version};

/// The form of `state.json`. A file with a higher number was written by a newer Usher and is not understood.
pub(super) const FORMAT: u32 = 1;
/// The most quarantines that are remembered of one policy, the newest: an author who tries and tries fills no disk.
const QUARANTINED_MAX: usize = 64;

/// One policy's state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) format: u32,
    pub(super) policy: String,
    /// The last good version: it serves, or did when the host ended.
    pub(super) current: Option<Good>,
    /// The good version before it.
    pub(super) previous: Option<Good>,
    pub(super) rollback: Option<Rollback>,
    pub(super) quarantined: Vec<Quarantined>,
    /// What it has learned, by hash.
    pub(super) learned: Option<Hash>,
    /// When its file was found to be gone, if it is.
    pub(super) gone: Option<Timestamp>,
}

/// A version that has passed every gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Good {
    /// Which.
    #[serde(flatten)]
    pub(crate) version: Version,
    /// What it says its version is.
    pub(crate) named: String,
    /// When it began to serve.
    pub(crate) since: Timestamp,
    /// Whether rooms wait for it where it is away, also after a restart.
    #[serde(default)]
    pub(crate) rooms_wait: bool,
}

/// A decision that a version may not take any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Quarantined {
    /// Which version.
    #[serde(flatten)]
    pub(crate) version: Version,
    /// What it says its version is.
    pub(crate) named: String,
    /// Which decision.
    #[serde(with = "point")]
    pub(crate) decision: DecisionPoint,
    /// Why.
    pub(crate) why: String,
    /// Since when.
    pub(crate) at: Timestamp,
}

/// An order to serve the version before, until the folder holds another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rollback {
    /// What the folder held when it was given; none where it could not be read.
    pub(crate) held: Option<Version>,
    /// What that says its version is, if it is known.
    pub(crate) named: String,
    /// Why.
    pub(crate) why: String,
    /// When.
    pub(crate) at: Timestamp,
}

impl Record {
    /// Knows nothing yet.
    pub(super) fn new(policy: &str) -> Record {
        Record {
            format: FORMAT,
            policy: policy.to_owned(),
            current: None,
            previous: None,
            rollback: None,
            quarantined: Vec::new(),
            learned: None,
            gone: None,
        }
    }

    /// Returns whether there is nothing to remember.
    pub(super) fn is_empty(&self) -> bool {
        self.current.is_none() && self.quarantined.is_empty() && self.learned.is_none()
    }

    /// Returns whether a version may not take one of its decisions.
    pub(super) fn is_quarantined(&self, version: Version) -> bool {
        self.quarantined.iter().any(|out| out.version == version)
    }

    /// Notes which version serves from now on. The one before it is the last that served and was never quarantined; where
    /// there is none, the last that served.
    pub(super) fn serves(&mut self, good: Good) {
        self.gone = None;
        let is_same = self
            .current
            .as_ref()
            .is_some_and(|current| current.version == good.version);
        if is_same {
            self.current = Some(good);
            return;
        }
        let before = self.current.replace(good.clone());
        let older = self.previous.take().filter(|older| older.version != good.version);
        self.previous = match (before, older) {
            (Some(before), Some(older))
                if self.is_quarantined(before.version) && !self.is_quarantined(older.version) =>
            {
                Some(older)
            }
            (before, older) => before.or(older),
        };
    }

    /// Notes that a version may not take a decision any more.
    pub(super) fn quarantine(&mut self, out: Quarantined) {
        if self.quarantined.len() >= QUARANTINED_MAX {
            self.quarantined.remove(0);
        }
        self.quarantined.push(out);
    }

    /// Puts the version before in the place of the last one.
    pub(super) fn step_back(&mut self) {
        if let Some(previous) = self.previous.take() {
            self.current = Some(previous);
        }
    }

    /// Returns the names of the files that it leans on.
    pub(super) fn files(&self) -> Vec<String> {
        let versions = [&self.current, &self.previous].into_iter().flatten();
        let mut files: Vec<String> = versions
            .flat_map(|good| [module_file(good.version.wasm), settings_file(good.version.settings)])
            .collect();
        files.extend(self.learned.map(learned_file));
        files
    }
}

/// Returns the file of a module.
pub(super) fn module_file(hash: Hash) -> String {
    format!("{hash}.wasm")
}

/// Returns the file of settings.
pub(super) fn settings_file(hash: Hash) -> String {
    format!("{hash}.toml")
}

/// Returns the file of something learned.
pub(super) fn learned_file(hash: Hash) -> String {
    format!("{hash}.learned")
}

/// A decision by its word.
mod point {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};
    use usher_fleet::decision::DecisionPoint;

    const ALL: [DecisionPoint; 3] = [DecisionPoint::Place, DecisionPoint::ScaleUp, DecisionPoint::ScaleDown];

    pub(super) fn serialize<S: Serializer>(point: &DecisionPoint, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(point.word())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DecisionPoint, D::Error> {
        let word = String::deserialize(deserializer)?;
        let found = ALL.into_iter().find(|point| point.word() == word);
        found.ok_or_else(|| D::Error::custom(format!("`{word}` is no decision")))
    }
}
