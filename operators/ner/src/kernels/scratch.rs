//! Working memory that is reused by each micro-batch.

use super::buffer::{Buffer, Converted};

/// Working memory of an encoder. It grows to the largest micro-batch seen, so that a steady run allocates nothing large.
///
/// About `4·hidden` values per token and, per thread of the pool, a block of rows of the feed-forward layer and the keys,
/// values and scores of one head.
#[derive(Default)]
pub struct Scratch {
    /// `[T, 3·hidden]`: query, key and value.
    pub(super) qkv: Buffer,
    /// `[T, hidden]`: the result of attention.
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
    /// A block of rows before the layer norm.
    pub(super) sum: Buffer,
    /// A block of rows inside the feed-forward layer.
    pub(super) inner: Buffer,
    /// A block of rows, converted to a precision.
    pub(super) converted: Converted,
}

impl Scratch {
    /// Empty memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// One lane per thread of the current pool.
    pub(super) fn lanes(&mut self) -> &mut [Lane] {
        self.split().2
    }

    /// The buffers, and one lane per thread of the current pool.
    pub(super) fn split(&mut self) -> (&mut Buffer, &mut Buffer, &mut [Lane]) {
        let threads = rayon::current_num_threads();
        if self.lanes.len() < threads {
            self.lanes.resize_with(threads, Lane::default);
        }
        (&mut self.qkv, &mut self.context, &mut self.lanes[..threads])
    }
}
