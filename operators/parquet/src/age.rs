//! How old an attempt may be when it commits, and a part when it is removed.
//!
//! In an object store, nobody can tell whether the run that wrote a part is alive. So `vacuum` removes parts that no marker
//! names only after [`VACUUM_AGE`], by the store's clock, and a run commits no attempt that is older than [`MOST_AGE`]. This is
//! the only assumption about time: from the moment at which a run has checked the age, its marker comes into force within the
//! difference, six days.

use std::time::{Duration, Instant, SystemTime};

/// The age up to which an attempt may be committed.
pub(crate) const MOST_AGE: Duration = Duration::from_hours(24);

/// The age from which `vacuum` removes parts that no marker names [default].
pub(crate) const VACUUM_AGE: Duration = Duration::from_hours(7 * 24);

/// A moment, by two clocks: one stands still while the machine is suspended, the other may be set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Age {
    steady: Instant,
    wall: SystemTime,
}

impl Age {
    /// Now.
    pub(crate) fn begin() -> Self {
        Self { steady: Instant::now(), wall: SystemTime::now() }
    }

    /// The time since then, by the clock that shows more.
    pub(crate) fn elapsed(self) -> Duration {
        self.steady.elapsed().max(self.wall.elapsed().unwrap_or_default())
    }
}
