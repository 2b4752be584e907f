//! Where the open servers of one step stand, in order: an ordered set in short chunks.
//!
//! Each placement moves one server from its place to another. std's `BTreeSet` allocates a node for the first in a set and frees it with
//! the last, in a small fleet each time, and takes several calls, each of which looks at fuel and time in a module. Here a move is
//! two searches and a few words that shift, which takes a decision in a module from 170 ns to 157 among 10 servers, and from 258 to
//! 237 among 1,000.

use crate::ServerId;

/// The most places in a chunk; for one more it is cut in two.
const CHUNK_MAX: usize = 64;

/// A server's place in its step: ordered by the seats that are left, then the load, then the rooms before its maximum, which tells
/// servers apart that nothing limits (the one with more rooms is fuller), then by id.
///
/// Two numbers to a word: a search compares many of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    seats_and_load_left: u64,
    rooms_and_server: u64,
}

impl Place {
    pub(super) fn new([seats_left, load_left]: [u32; 2], [rooms_left, server]: [u32; 2]) -> Self {
        let pair = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
        Place {
            seats_and_load_left: pair(seats_left, load_left),
            rooms_and_server: pair(rooms_left, server),
        }
    }

    /// The least place of a server with so much left.
    pub(super) fn least(seats_left: u32, load_left: u32) -> Self {
        Place::new([seats_left, load_left], [0, 0])
    }

    pub(super) fn seats_left(self) -> u32 {
        (self.seats_and_load_left >> 32) as u32
    }

    pub(super) fn load_left(self) -> u32 {
        self.seats_and_load_left as u32
    }

    pub(super) fn server(self) -> ServerId {
        self.rooms_and_server as u32
    }
}

/// Places in their order, each once.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Each in order, and none empty unless it is the only one: what it has allocated then serves again.
    chunks: Vec<Vec<Place>>,
    /// What each chunk but the first begins with or after, so that a search looks into one chunk only.
    bounds: Vec<Place>,
}

impl Places {
    /// Makes a set of none.
    pub(super) const fn new() -> Self {
        Places {
            chunks: Vec::new(),
            bounds: Vec::new(),
        }
    }

    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        self.chunks.first().is_none_or(Vec::is_empty)
    }

    /// Adds a place that is not there.
    #[inline(always)]
    pub(super) fn insert(&mut self, place: Place) {
        let at = self.chunk_of(place);
        match self.chunks.get_mut(at) {
            Some(chunk) if chunk.len() < CHUNK_MAX => chunk.insert(position(chunk, place), place),
            Some(_) | None => self.insert_in_new_chunk(at, place),
        }
    }

    /// Takes out a place, if it is there.
    #[inline(always)]
    pub(super) fn remove(&mut self, place: Place) {
        let at = self.chunk_of(place);
        let Some(chunk) = self.chunks.get_mut(at) else { return };
        let from = position(chunk, place);
        if chunk.get(from) != Some(&place) {
            return;
        }
        // Most chunks of a small fleet have one.
        if from + 1 == chunk.len() {
            chunk.pop();
        } else {
            chunk.remove(from);
        }
        if chunk.is_empty() && self.chunks.len() > 1 {
            self.chunks.remove(at);
            self.bounds.remove(at.saturating_sub(1));
        }
    }

    /// Returns the places from this one on, which need not be there.
    #[inline(always)]
    pub(super) fn from(&self, least: Place) -> Walk<'_> {
        let chunk = self.chunk_of(least);
        let at = self.chunks.get(chunk).map_or(0, |chunk| position(chunk, least));
        Walk {
            chunks: &self.chunks,
            chunk,
            at,
        }
    }

    /// Returns the chunk where a place is, or would be.
    #[inline(always)]
    fn chunk_of(&self, place: Place) -> usize {
        if self.bounds.is_empty() {
            return 0;
        }
        self.bounds.partition_point(|bound| *bound <= place)
    }

    /// Adds the first place of all, or cuts the chunk where it would be and adds it to one of the halves.
    #[cold]
    fn insert_in_new_chunk(&mut self, at: usize, place: Place) {
        let Some(chunk) = self.chunks.get_mut(at) else {
            return self.chunks.push(vec![place]);
        };
        let mut rest = chunk.split_off(CHUNK_MAX / 2);
        let half = if place < rest[0] { chunk } else { &mut rest };
        half.insert(position(half, place), place);
        self.bounds.insert(at, rest[0]);
        self.chunks.insert(at + 1, rest);
    }
}

/// Returns how many places are less than this one.
#[inline(always)]
fn position(places: &[Place], place: Place) -> usize {
    places.partition_point(|other| *other < place)
}

/// A walk over places in their order.
#[derive(Debug, Clone)]
pub(super) struct Walk<'a> {
    chunks: &'a [Vec<Place>],
    chunk: usize,
    at: usize,
}

impl Iterator for Walk<'_> {
    type Item = Place;

    #[inline(always)]
    fn next(&mut self) -> Option<Place> {
        let chunk = self.chunks.get(self.chunk)?;
        if let Some(place) = chunk.get(self.at) {
            self.at += 1;
            return Some(*place);
        }
        self.chunk += 1;
        self.at = 1;
        self.chunks.get(self.chunk)?.first().copied()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::Chance;

    /// What is in the set, and what a walk from every place finds, is what std's set has.
    fn is_as_expected(places: &Places, expected: &BTreeSet<Place>, from: Place) {
        assert_eq!(places.is_empty(), expected.is_empty());
        assert!(places.from(from).eq(expected.range(from..).copied()), "from {from:?}");
        assert_eq!(places.bounds.len(), places.chunks.len().saturating_sub(1));
        assert!(places.bounds.is_sorted());
        let is_small = |chunk: &Vec<Place>| (1..=CHUNK_MAX).contains(&chunk.len()) || expected.is_empty();
        assert!(places.chunks.iter().all(is_small));
    }

    #[test]
    fn places_stay_in_order_however_many_come_and_go() {
        let mut chance = Chance::new(5);
        let (mut places, mut expected) = (Places::new(), BTreeSet::new());
        let mut most = 0;
        // Now more come than go, now more go than come; in the end all have gone.
        for (turn, of_ten_come) in (0..20_000).zip([7, 3, 9, 1].into_iter().flat_map(|come| [come; 5_000])) {
            let place = Place::new([chance.below(40), chance.below(4)], [chance.below(3), chance.below(9)]);
            if chance.below(10) < of_ten_come {
                if expected.insert(place) {
                    places.insert(place);
                }
            } else {
                let gone = expected.range(place..).next().copied().unwrap_or(place);
                expected.remove(&gone);
                places.remove(gone);
            }
            most = most.max(places.chunks.len());
            if turn % 50 == 0 || expected.len() < 3 {
                is_as_expected(&places, &expected, place);
                is_as_expected(&places, &expected, Place::least(0, 0));
            }
        }
        assert!(most > 20, "{most} chunks");
        while let Some(place) = expected.pop_first() {
            places.remove(place);
            is_as_expected(&places, &expected, place);
        }
        assert_eq!(places.chunks.len(), 1);
    }

    #[test]
    fn what_is_not_there_is_not_taken_out() {
        let place = |server| Place::new([1, 1], [1, server]);
        let mut places = Places::new();
        places.remove(place(1));
        places.insert(place(2));
        for other in [1, 3] {
            places.remove(place(other));
        }
        assert!(places.from(place(0)).eq([place(2)]));
    }
}
