//! Working memory that lives from one micro-batch to the next.

use super::buffer::{Buffer, Converted};

/// Working memory of an encoder: it grows to the largest micro-batch seen and is then reused, so that a steady run
/// allocates nothing large.
///
/// About `4·hidden` values for each token, and for each thread of the pool a block of rows of the feed-forward layer
/// and the keys, values and scores of one head.
#[derive(Default)]
pub struct Scratch {
    /// `[T, 3·hidden]`: query, key and value.
    pub(super) qkv: Buffer,
    /// `[T, hidden]`: what attention gathers.
    pub(super) context: Buffer,
    lanes: Vec<Lane>,
}

/// Working memory of one thread.
#[derive(Default)]
pub(super) struct Lane {
    /// Panels of one head's keys.
    pub(super) keys: Buffer,
    /// Panels of one head's values.
    pub(super) values: Buffer,
    /// Scores of a block of queries, then their exponentials.
    pub(super) scores: Buffer,
    /// A block of rows before its layer norm.
    pub(super) sum: Buffer,
    /// A block of rows inside the feed-forward layer.
    pub(super) inner: Buffer,
    /// A block of rows in the words of a precision.
    pub(super) converted: Converted,
}

impl Scratch {
    /// Empty memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// One lane for each thread of the current pool.
    pub(super) fn lanes(&mut self) -> &mut [Lane] {
        self.split().2
    }

    /// The buffers, and one lane for each thread of the current pool.
    pub(super) fn split(&mut self) -> (&mut Buffer, &mut Buffer, &mut [Lane]) {
        let threads = rayon::current_num_threads();
        if self.lanes.len() < threads {
            self.lanes.resize_with(threads, Lane::default);
        }
        (&mut self.qkv, &mut self.context, &mut self.lanes[..threads])
    }
}
