//! The servers of the view, ordered by id and found by id.

use super::Server;
use crate::ServerId;

/// How many ids a block is for: one bit of a machine word for each.
const BLOCK_IDS: u32 = u64::BITS;

/// All servers, ordered by id.
///
/// The rows lie in blocks, one beside the other: the list of blocks is so short that the processor keeps it at hand, so that
/// a row is one load from memory in a fleet of any size; and where a row comes or goes, no more than its block moves, and seldom the
/// list. A guest pays for what it copies by the byte, and a single server must not cost more than a call may.
#[derive(Debug, Default)]
pub(super) struct Servers {
    /// Ordered by the ids they are for. One that has become empty stays until the blocks are twice as many as the servers.
    blocks: Vec<Block>,
    len: usize,
}

/// The servers whose ids are the same but for the last six bits.
#[derive(Debug)]
struct Block {
    /// The least id it is for.
    first: ServerId,
    /// Which of its ids have a server, one bit each.
    ids: u64,
    /// Ordered by id.
    servers: Vec<Server>,
}

impl Block {
    /// Returns where in the block this id is, or would be.
    #[inline(always)]
    fn place(&self, id: ServerId) -> Result<usize, usize> {
        let bit = 1 << (id % BLOCK_IDS);
        let at = (self.ids & (bit - 1)).count_ones() as usize;
        if self.ids & bit == 0 { Err(at) } else { Ok(at) }
    }
}

impl Servers {
    /// Returns how many there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Returns one.
    #[inline(always)]
    pub(super) fn get(&self, id: ServerId) -> Option<&Server> {
        let block = &self.blocks[self.block(id).ok()?];
        block.servers.get(block.place(id).ok()?)
    }

    /// Returns one to be changed.
    #[inline(always)]
    pub(super) fn get_mut(&mut self, id: ServerId) -> Option<&mut Server> {
        let at = self.block(id).ok()?;
        let block = &mut self.blocks[at];
        let at = block.place(id).ok()?;
        block.servers.get_mut(at)
    }

    /// Returns all, ordered by id.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Server> {
        self.blocks.iter().flat_map(|block| &block.servers)
    }

    /// Adds one; another with its id gives way.
    pub(super) fn insert(&mut self, server: Server) {
        let id = server.id();
        let at = self.block(id).unwrap_or_else(|at| {
            let block = Block {
                first: id - id % BLOCK_IDS,
                ids: 0,
                servers: Vec::new(),
            };
            self.blocks.insert(at, block);
            at
        });
        let block = &mut self.blocks[at];
        match block.place(id) {
            Ok(at) => block.servers[at] = server,
            Err(at) => {
                block.servers.insert(at, server);
                block.ids |= 1 << (id % BLOCK_IDS);
                self.len += 1;
            }
        }
    }

    /// Takes one out.
    pub(super) fn remove(&mut self, id: ServerId) -> Option<Server> {
        let at = self.block(id).ok()?;
        let block = &mut self.blocks[at];
        let removed = block.servers.remove(block.place(id).ok()?);
        block.ids &= !(1 << (id % BLOCK_IDS));
        self.len -= 1;
        if block.servers.len() < block.servers.capacity() / 4 {
            // Where few live much longer than those that came with them, blocks must not keep room for all.
            block.servers.shrink_to(block.servers.len() * 2);
        }
        if self.len < self.blocks.len() / 2 {
            self.blocks.retain(|block| !block.servers.is_empty());
        }
        Some(removed)
    }

    /// Returns where the block for this id is, or would be.
    ///
    /// Ids are given out one after the other and never twice, so there are no more blocks before it than between the first and
    /// this one, nor more after it than up to the last: what is left to search is as long as the list has gaps.
    #[inline(always)]
    fn block(&self, id: ServerId) -> Result<usize, usize> {
        let blocks = &self.blocks;
        let first_id = id - id % BLOCK_IDS;
        let (Some(first), Some(last)) = (blocks.first(), blocks.last()) else {
            return Err(0);
        };
        if first_id < first.first {
            return Err(0);
        }
        let end = ((first_id - first.first) / BLOCK_IDS) as usize;
        if blocks.get(end).is_some_and(|found| found.first == first_id) {
            return Ok(end);
        }
        if first_id > last.first {
            return Err(blocks.len());
        }
        let after = ((last.first - first_id) / BLOCK_IDS) as usize;
        let (start, end) = (blocks.len().saturating_sub(after + 1), end.min(blocks.len()));
        match blocks[start..end].binary_search_by_key(&first_id, |block| block.first) {
            Ok(at) => Ok(start + at),
            Err(at) => Err(start + at),
        }
    }
}
