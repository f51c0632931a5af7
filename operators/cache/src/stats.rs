//! Counters of what the cache saved.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters shared by [`Recall`](crate::Recall), [`Remember`](crate::Remember) and their clones.
#[derive(Clone, Debug, Default)]
pub struct CacheStats(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    looked_up: AtomicU64,
    hits: AtomicU64,
    tokens_saved: AtomicU64,
    added: AtomicU64,
}

/// What the cache saved, and what was added to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheCounts {
    /// Citations looked up.
    pub looked_up: u64,
    /// Citations found.
    pub hits: u64,
    /// Tokens that the model did not have to read, including special tokens and overlaps of windows.
    pub tokens_saved: u64,
    /// Entries added.
    pub added: u64,
}

impl CacheStats {
    /// The counts so far.
    pub fn counts(&self) -> CacheCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counters { looked_up, hits, tokens_saved, added } = &*self.0;
        CacheCounts {
            looked_up: read(looked_up),
            hits: read(hits),
            tokens_saved: read(tokens_saved),
            added: read(added),
        }
    }

    pub(crate) fn look_up(&self, citations: usize) {
        self.0.looked_up.fetch_add(citations as u64, Ordering::Relaxed);
    }

    pub(crate) fn hit(&self, tokens: u32) {
        self.0.hits.fetch_add(1, Ordering::Relaxed);
        self.0.tokens_saved.fetch_add(tokens.into(), Ordering::Relaxed);
    }

    pub(crate) fn add(&self, entries: usize) {
        self.0.added.fetch_add(entries as u64, Ordering::Relaxed);
    }
}
