//! Which labels the servers of a pool have of their own, beside the pool's.

use crate::{Label, ServerRow};

/// How many kinds of keys are told apart.
const KINDS: usize = 64;

/// The kinds of keys that a pool's servers' own labels have.
///
/// Keys of one kind are taken for the same, which costs a search too many and never one too few. To look each key up by its text would
/// cost a guest about as much again as to be told of a server.
#[derive(Debug, Default)]
pub(super) struct OwnLabels {
    /// How many labels there are of each kind; empty before the first. Those of servers that take no rooms count, too.
    counts: Vec<u32>,
}

impl OwnLabels {
    /// Counts a server's labels.
    pub(super) fn add(&mut self, row: &ServerRow) {
        if self.counts.is_empty() && !row.labels.is_empty() {
            self.counts.resize(KINDS, 0);
        }
        for Label { key, .. } in &row.labels {
            self.counts[kind(key)] += 1;
        }
    }

    /// Counts the labels of a server that was counted no longer.
    pub(super) fn remove(&mut self, row: &ServerRow) {
        for Label { key, .. } in &row.labels {
            self.counts[kind(key)] -= 1;
        }
    }

    /// Returns whether a server may have a label with this key.
    pub(super) fn may_have(&self, key: &str) -> bool {
        self.counts.get(kind(key)).is_some_and(|count| *count > 0)
    }
}

/// Returns the kind of a key: by its length and ends, where most differ.
fn kind(key: &str) -> usize {
    let end = |byte: Option<&u8>| byte.copied().map_or(0, usize::from);
    let bytes = key.as_bytes();
    (bytes.len() * 7 + end(bytes.first()) * 3 + end(bytes.last())) % KINDS
}
