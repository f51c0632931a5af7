//! Meters of stages: items, and where time went.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The meters of a chain in stream order; clones share them.
///
/// [`stage`](crate::stage) registers each stage's meter under its operator's name.
#[derive(Clone, Debug, Default)]
pub struct Meters {
    stages: Arc<Mutex<Vec<Meter>>>,
}

impl Meters {
    /// Adds a stage's meter, at zero.
    pub fn register(&self, stage: &'static str) -> Meter {
        let meter = Meter::new(stage);
        self.lock().push(meter.clone());
        meter
    }

    /// The readings of all meters.
    pub fn snapshots(&self) -> Vec<Snapshot> {
        self.lock().iter().map(Meter::snapshot).collect()
    }

    /// The reading of a stage's meter; `None` if there is no such stage.
    pub fn snapshot(&self, stage: &str) -> Option<Snapshot> {
        self.lock().iter().find(|meter| meter.counters.stage == stage).map(Meter::snapshot)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Meter>> {
        // A meter is whole whatever happened to its stage.
        self.stages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

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
    /// Items that the stage yielded, in the operator's unit.
    pub items: u64,
    /// Bytes that the stage read from files, compressed as they are; 0 for a stage that reads none.
    pub bytes: u64,
    /// Busy time, summed over the stage's threads.
    pub busy: Duration,
    /// Time spent waiting for input.
    pub starved: Duration,
    /// Time blocked by the next stage.
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

    /// Counts items.
    pub fn add_items(&self, count: usize) {
        self.counters.items.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Counts bytes read from files.
    pub fn add_bytes(&self, count: u64) {
        self.counters.bytes.fetch_add(count, Ordering::Relaxed);
    }

    /// Counts the time until the guard is dropped as busy.
    pub fn busy(&self) -> Busy<'_> {
        Busy { meter: self, since: Instant::now() }
    }

    /// Counts busy time that was measured elsewhere.
    pub fn add_busy(&self, time: Duration) {
        self.counters.busy_ns.fetch_add(nanos(time), Ordering::Relaxed);
    }

    pub(crate) fn add_starved(&self, time: Duration) {
        self.counters.starved_ns.fetch_add(nanos(time), Ordering::Relaxed);
    }

    pub(crate) fn add_blocked(&self, time: Duration) {
        self.counters.blocked_ns.fetch_add(nanos(time), Ordering::Relaxed);
    }

    /// Reads the counters.
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

/// Counts busy time until it is dropped.
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
