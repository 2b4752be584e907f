//! A module's memory: what was given back is kept in a list for each size, and the next that asks for this size takes it from there.
//!
//! A question costs a dozen small pieces that are given back at once: the texts that the host hands over, and the reason of an answer.
//! std's allocator for WebAssembly looks for the best place and joins neighbours each time, and is a tenth of a
//! decision; here a piece is one word taken from a list, and one put back. Large pieces go to std's allocator as before.
//!
//! What was once cut to a size stays of that size. So a policy has as much memory as it ever needed of each size, summed up; it never
//! grows by being asked again. Without the feature `allocator` a policy may bring another, or has std's.

#![allow(unsafe_code)]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::ptr;
use std::alloc::System;

#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: Allocator = Allocator::new();

/// Sizes differ by so many bytes; a piece must hold the word that leads to the next one, and be aligned for anything.
const STEP_BYTES: usize = 16;
/// Lists, and so sizes up to 512 bytes: texts and small lists, and a chunk of the index that is half full.
const LISTS: usize = 32;

/// Lists of free pieces before std's allocator.
struct Allocator {
    free: [Cell<*mut Piece>; LISTS],
}

/// A piece that nobody uses.
struct Piece {
    next: *mut Piece,
}

// SAFETY: a module has one thread: the host offers none, and refuses shared memory.
#[cfg(target_family = "wasm")]
unsafe impl Sync for Allocator {}

impl Allocator {
    const fn new() -> Self {
        Allocator {
            free: [const { Cell::new(ptr::null_mut()) }; LISTS],
        }
    }
}

/// Returns which list has pieces for this layout; none where they are std's.
#[inline]
fn list_of(layout: Layout) -> Option<usize> {
    let list = layout.size().wrapping_sub(1) / STEP_BYTES;
    (list < LISTS && layout.align() <= STEP_BYTES).then_some(list)
}

/// Returns the layout of all pieces in a list.
#[inline]
fn piece_in(list: usize) -> Layout {
    // SAFETY: the alignment is a power of two, and no size comes near `isize::MAX`.
    unsafe { Layout::from_size_align_unchecked((list + 1) * STEP_BYTES, STEP_BYTES) }
}

// SAFETY: a piece from a list is as large as the list's layout says, aligned, and was given back, so nobody else has it; all others are
// std's, asked for and given back by the same layout.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(list) = list_of(layout) else {
            // SAFETY: the caller's promise.
            return unsafe { System.alloc(layout) };
        };
        let first = self.free[list].get();
        if first.is_null() {
            // SAFETY: no list's size is zero.
            return unsafe { System.alloc(piece_in(list)) };
        }
        // SAFETY: what is in a list was written by `dealloc`, and by nobody since.
        self.free[list].set(unsafe { (*first).next });
        first.cast()
    }

    #[inline]
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        let Some(list) = list_of(layout) else {
            // SAFETY: the caller's promise; `alloc` asked for it by this layout.
            return unsafe { System.dealloc(at, layout) };
        };
        let piece = at.cast::<Piece>();
        // SAFETY: it is aligned and has room for a word, and nobody uses it any more.
        unsafe {
            piece.write(Piece {
                next: self.free[list].get(),
            });
        }
        self.free[list].set(piece);
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that the new size is a lawful one.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (list_of(layout), list_of(wanted)) {
            (Some(list), Some(other)) if list == other => at,
            // SAFETY: the caller's promise; both are std's.
            (None, None) => unsafe { System.realloc(at, layout, size) },
            (Some(_) | None, Some(_) | None) => {
                // SAFETY: the caller's promise; the two do not overlap, and each holds what is copied.
                unsafe {
                    let new = self.alloc(wanted);
                    if !new.is_null() {
                        ptr::copy_nonoverlapping(at, new, layout.size().min(size));
                        self.dealloc(at, layout);
                    }
                    new
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    #[test]
    fn what_was_given_back_serves_the_next_of_its_size() {
        let allocator = Allocator::new();
        // SAFETY: each is given back once, by its own layout.
        unsafe {
            let one = allocator.alloc(layout(20, 4));
            let other = allocator.alloc(layout(17, 1));
            assert_ne!(one, other);
            allocator.dealloc(one, layout(20, 4));
            let larger = allocator.alloc(layout(33, 4));
            assert_ne!(larger, one);
            let again = allocator.alloc(layout(32, 16));
            assert_eq!(again, one);
            allocator.dealloc(other, layout(17, 1));
            allocator.dealloc(again, layout(32, 16));
            allocator.dealloc(larger, layout(33, 4));
        }
    }

    #[test]
    fn what_is_in_a_piece_stays_wherever_it_moves() {
        let allocator = Allocator::new();
        let sizes = [1, 15, 16, 17, 100, 511, 512, 513, 5_000, 600, 512, 40, 3, 1_000, 1];
        // SAFETY: a piece is given back by the layout that it has then, and no more of it is looked at than was written.
        unsafe {
            let mut size = 1;
            let mut at = allocator.alloc(layout(size, 1));
            at.write(7);
            for next in sizes {
                at = allocator.realloc(at, layout(size, 1), next);
                let kept = size.min(next);
                assert!((0..kept).all(|n| at.add(n).read() == (n + 7) as u8), "{size} to {next}");
                (0..next).for_each(|n| at.add(n).write((n + 7) as u8));
                size = next;
            }
            allocator.dealloc(at, layout(size, 1));
        }
    }

    #[test]
    fn pieces_are_aligned_as_they_were_asked_for() {
        let allocator = Allocator::new();
        for align in [1, 2, 4, 8, 16, 64, 4_096] {
            for size in [1, 16, 500, 600] {
                // SAFETY: it is given back at once.
                unsafe {
                    let at = allocator.alloc(layout(size, align));
                    assert!(at.addr().is_multiple_of(align), "{size} bytes by {align}");
                    allocator.dealloc(at, layout(size, align));
                }
            }
        }
    }
}
