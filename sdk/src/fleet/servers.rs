//! The servers of the view, ordered by id and found by id.

use super::Server;
use crate::ServerId;

/// All servers, ordered by id.
///
/// The rows are boxed: where the list grows or closes up, a word moves for each server and not its row. A guest pays for what it
/// copies by the byte, and a single new server must not cost more than a call may.
#[derive(Debug, Default)]
pub(super) struct Servers {
    /// Ordered by id. A removed server leaves its id behind, until these are as many as the servers.
    entries: Vec<(ServerId, Option<Box<Server>>)>,
    len: usize,
}

impl Servers {
    /// Returns how many there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Returns one.
    #[inline(always)]
    pub(super) fn get(&self, id: ServerId) -> Option<&Server> {
        self.entries[self.place(id).ok()?].1.as_deref()
    }

    /// Returns one to be changed.
    #[inline(always)]
    pub(super) fn get_mut(&mut self, id: ServerId) -> Option<&mut Server> {
        let at = self.place(id).ok()?;
        self.entries[at].1.as_deref_mut()
    }

    /// Returns all, ordered by id.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Server> {
        self.entries.iter().filter_map(|(_, server)| server.as_deref())
    }

    /// Adds one; another with its id gives way.
    pub(super) fn insert(&mut self, server: Server) {
        let id = server.id();
        let server = Some(Box::new(server));
        let before = match self.place(id) {
            Ok(at) => core::mem::replace(&mut self.entries[at].1, server),
            Err(at) => {
                self.entries.insert(at, (id, server));
                None
            }
        };
        self.len += usize::from(before.is_none());
    }

    /// Takes one out.
    pub(super) fn remove(&mut self, id: ServerId) -> Option<Box<Server>> {
        let at = self.place(id).ok()?;
        let removed = self.entries[at].1.take()?;
        self.len -= 1;
        if self.len < self.entries.len() / 2 {
            self.entries.retain(|(_, server)| server.is_some());
        }
        Some(removed)
    }

    /// Returns where this id is, or would be.
    ///
    /// Ids are given out one after the other and never twice, so there are no more servers before it than numbers between the
    /// first id and this one, nor more after it than up to the last: what is left to search is as long as the list has gaps.
    #[inline(always)]
    fn place(&self, id: ServerId) -> Result<usize, usize> {
        let entries = &self.entries;
        let (Some((first, _)), Some((last, _))) = (entries.first(), entries.last()) else {
            return Err(0);
        };
        if id < *first {
            return Err(0);
        }
        let end = (id - first) as usize;
        if entries.get(end).is_some_and(|(found, _)| *found == id) {
            return Ok(end);
        }
        if id > *last {
            return Err(entries.len());
        }
        let start = entries.len().saturating_sub(((last - id) as usize).saturating_add(1));
        let end = end.min(entries.len());
        match entries[start..end].binary_search_by_key(&id, |(id, _)| *id) {
            Ok(at) => Ok(start + at),
            Err(at) => Err(start + at),
        }
    }
}
