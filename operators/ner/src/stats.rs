//! Counters of the model's work, for the report.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::MicroBatch;
use crate::model_threads::Scored;

/// Counters of a [`Tag`](crate::Tag) operator; clones share them.
#[derive(Clone, Debug, Default)]
pub struct TagStats {
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Counters {
    first: OnceLock<Instant>,
    micro_batches: AtomicU64,
    sequences: AtomicU64,
    tokens: AtomicU64,
    padding: AtomicU64,
    places: AtomicU64,
    model_ns: AtomicU64,
}

impl TagStats {
    /// Records that a micro-batch is about to be sent to the model.
    pub(crate) fn begin(&self) {
        self.counters.first.get_or_init(Instant::now);
    }

    /// Counts a micro-batch.
    pub(crate) fn add(&self, size: Size, scored: &Scored) {
        let add = |counter: &AtomicU64, value: usize| counter.fetch_add(value as u64, Ordering::Relaxed);
        add(&self.counters.micro_batches, 1);
        add(&self.counters.sequences, size.sequences);
        add(&self.counters.tokens, size.tokens);
        add(&self.counters.padding, scored.logits.padding.tokens);
        add(&self.counters.places, scored.logits.padding.places);
        let nanos = u64::try_from(scored.took.as_nanos()).unwrap_or(u64::MAX);
        self.counters.model_ns.fetch_add(nanos, Ordering::Relaxed);
    }

    /// When the first micro-batch was sent to the model.
    pub fn first_micro_batch(&self) -> Option<Instant> {
        self.counters.first.get().copied()
    }

    /// Micro-batches processed.
    pub fn micro_batches(&self) -> u64 {
        self.counters.micro_batches.load(Ordering::Relaxed)
    }

    /// Sequences (token windows) processed.
    pub fn sequences(&self) -> u64 {
        self.counters.sequences.load(Ordering::Relaxed)
    }

    /// Tokens processed, including special tokens and overlaps of windows, without padding.
    pub fn tokens(&self) -> u64 {
        self.counters.tokens.load(Ordering::Relaxed)
    }

    /// Padding tokens processed.
    pub fn padding(&self) -> u64 {
        self.counters.padding.load(Ordering::Relaxed)
    }

    /// Padding positions in attention.
    pub fn attention_padding(&self) -> u64 {
        self.counters.places.load(Ordering::Relaxed)
    }

    /// Total time in the model.
    pub fn model_time(&self) -> Duration {
        Duration::from_nanos(self.counters.model_ns.load(Ordering::Relaxed))
    }
}

/// The size of a micro-batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    sequences: usize,
    tokens: usize,
}

impl Size {
    pub(crate) fn of(batch: &MicroBatch) -> Self {
        Self { sequences: batch.sequences().len(), tokens: batch.token_count() }
    }
}
