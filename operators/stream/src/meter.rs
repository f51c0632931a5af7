//! What each stage counts: items, and where its time went.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A stage's counters; clones share them.
#[derive(Clone, Debug)]
pub struct Meter {
    counters: Arc<Counters>,
}

#[derive(Debug)]
struct Counters {
    stage: &'static str,
    items: AtomicU64,
    bytes: AtomicU64,
    busy_ns: AtomicU64,
    starved_ns: AtomicU64,
    blocked_ns: AtomicU64,
}

/// A reading of a [`Meter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Name of the stage.
    pub stage: &'static str,
    /// What the stage yielded, in the unit that the operator counts (records, tokens' documents).
    pub items: u64,
    /// Bytes of input that the stage has read from outside, as they lie there; 0 for a stage that reads none.
    pub bytes: u64,
    /// Time at work, summed over the stage's threads.
    pub busy: Duration,
    /// Time spent waiting for input.
    pub starved: Duration,
    /// Time spent waiting for room in the channel behind the stage.
    pub blocked: Duration,
}

impl Meter {
    /// Starts a stage's counters at zero.
    pub fn new(stage: &'static str) -> Self {
        let zero = || AtomicU64::new(0);
        let counters =
            Counters { stage, items: zero(), bytes: zero(), busy_ns: zero(), starved_ns: zero(), blocked_ns: zero() };
        Self { counters: Arc::new(counters) }
    }

    /// Counts items that the stage has dealt with.
    pub fn add_items(&self, count: usize) {
        self.counters.items.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Counts bytes that the stage has read from outside.
    pub fn add_bytes(&self, count: u64) {
        self.counters.bytes.fetch_add(count, Ordering::Relaxed);
    }

    /// Counts the time until the guard is dropped as time at work.
    pub fn busy(&self) -> Busy<'_> {
        Busy { meter: self, since: Instant::now() }
    }

    /// Counts a span of time at work that was measured elsewhere.
    pub fn add_busy(&self, time: Duration) {
        self.counters.busy_ns.fetch_add(nanos(time), Ordering::Relaxed);
    }

    pub(crate) fn add_starved(&self, time: Duration) {
        self.counters.starved_ns.fetch_add(nanos(time), Ordering::Relaxed);
    }

    pub(crate) fn add_blocked(&self, time: Duration) {
        self.counters.blocked_ns.fetch_add(nanos(time), Ordering::Relaxed);
    }

    /// The counters as they stand.
    pub fn snapshot(&self) -> Snapshot {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let time = |counter| Duration::from_nanos(read(counter));
        let Counters { stage, items, bytes, busy_ns, starved_ns, blocked_ns } = &*self.counters;
        Snapshot {
            stage,
            items: read(items),
            bytes: read(bytes),
            busy: time(busy_ns),
            starved: time(starved_ns),
            blocked: time(blocked_ns),
        }
    }
}

/// Counts time at work for as long as it lives.
#[derive(Debug)]
pub struct Busy<'a> {
    meter: &'a Meter,
    since: Instant,
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.meter.add_busy(self.since.elapsed());
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
