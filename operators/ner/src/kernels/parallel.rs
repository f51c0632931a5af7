//! Divides work among the threads of the current rayon pool.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Calls `work` once for each item, on as many threads of the current pool as there are lanes.
///
/// A lane is the working memory of one thread for the whole call. Threads take the next item when they finish one, so
/// uneven items balance out, and nobody waits for an idle pool thread.
pub(super) fn for_each<L: Send>(lanes: &mut [L], items: usize, work: impl Fn(&mut L, usize) + Sync) {
    let next = AtomicUsize::new(0);
    let drain = |lane: &mut L| {
        loop {
            let item = next.fetch_add(1, Ordering::Relaxed);
            if item >= items {
                break;
            }
            work(lane, item);
        }
    };
    match lanes {
        [] => {}
        [lane] => drain(lane),
        lanes => rayon::scope(|scope| {
            for lane in lanes.iter_mut().take(items) {
                scope.spawn(|_| drain(lane));
            }
        }),
    }
}

/// Divides rows into blocks of whole tiles, as evenly as possible.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blocks {
    rows: usize,
    tile: usize,
    count: usize,
}

impl Blocks {
    /// Blocks of about `limit` rows, equally many per thread.
    pub(super) fn new(rows: usize, tile: usize, limit: usize, threads: usize) -> Self {
        let tiles = rows.div_ceil(tile);
        let count = rows.div_ceil(limit.max(1)).next_multiple_of(threads.max(1)).min(tiles);
        Self { rows, tile, count }
    }

    /// The number of blocks.
    pub(super) fn count(self) -> usize {
        self.count
    }

    /// The rows of a block.
    pub(super) fn rows(self, block: usize) -> Range<usize> {
        let tiles = self.rows.div_ceil(self.tile);
        let edge = |block: usize| (tiles * block / self.count * self.tile).min(self.rows);
        edge(block)..edge(block + 1)
    }
}

/// A slice whose parts several threads write at once.
#[derive(Clone, Copy)]
pub(super) struct Shared<'a> {
    start: *mut f32,
    len: usize,
    slice: std::marker::PhantomData<&'a mut [f32]>,
}

// SAFETY: it is a `&mut [f32]`, which may be sent; access through it is `unsafe` and must be disjoint.
unsafe impl Send for Shared<'_> {}
// SAFETY: as above.
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    /// Wraps a slice.
    pub(super) fn new(slice: &'a mut [f32]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), slice: std::marker::PhantomData }
    }

    /// A part.
    /// # Safety
    /// No other code reads or writes the part while it is borrowed.
    #[allow(clippy::mut_from_ref)]
    pub(super) unsafe fn part(&self, range: Range<usize>) -> &'a mut [f32] {
        assert!(range.start <= range.end && range.end <= self.len, "a part is inside its slice");
        // SAFETY: the part is in the slice, and the caller guarantees that no other code uses it.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }

    /// The first element; nothing but disjoint parts may be touched through it.
    pub(super) fn as_mut_ptr(&self) -> *mut f32 {
        self.start
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::Mutex;

    proptest! {
        #[test]
        fn blocks_cover_every_row_once_in_order(rows in 0usize..3000, tile in 1usize..13, limit in 1usize..300, threads in 1usize..9) {
            let blocks = Blocks::new(rows, tile, limit, threads);
            let mut next = 0;
            for block in 0..blocks.count() {
                let range = blocks.rows(block);
                prop_assert_eq!(range.start, next);
                prop_assert!(!range.is_empty() && range.len() < limit + 2 * tile);
                next = range.end;
            }
            prop_assert_eq!(next, rows);
        }
    }

    #[test]
    fn every_item_is_processed_once() {
        let seen = Mutex::new(vec![0; 1000]);
        for_each(&mut [(), (), ()], 1000, |(), item| seen.lock().expect("no panic")[item] += 1);
        assert!(seen.into_inner().expect("no panic").iter().all(|n| *n == 1));
    }
}
