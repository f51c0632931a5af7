//! When and how often to ask again.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::error::SyncError;

/// How often a request is tried, and how long the pauses are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Attempts in a row without progress before a file is given up.
    pub attempts: u32,
    /// The pause after the first failure, at most; it doubles with each further one.
    pub first_pause: Duration,
    /// The longest pause, also where the server asks for a longer one.
    pub longest_pause: Duration,
}

impl Default for Retries {
    /// 5 attempts, pauses from 1 s to 2 min.
    fn default() -> Self {
        Self { attempts: 5, first_pause: Duration::from_secs(1), longest_pause: Duration::from_mins(2) }
    }
}

/// The attempts at one thing.
pub(crate) struct Patience<'a> {
    retries: Retries,
    stop: &'a AtomicBool,
    failures: u32,
}

impl<'a> Patience<'a> {
    pub(crate) fn new(retries: Retries, stop: &'a AtomicBool) -> Self {
        Self { retries, stop, failures: 0 }
    }

    /// Forgets earlier failures: the last attempt got further.
    pub(crate) fn progressed(&mut self) {
        self.failures = 0;
    }

    /// Waits before the next attempt, or hands the failure back if there is to be none.
    pub(crate) fn after(&mut self, error: SyncError) -> Result<(), SyncError> {
        self.failures += 1;
        if !error.is_worth_retrying() || self.failures >= self.retries.attempts || self.stop.load(Ordering::Relaxed) {
            return Err(error);
        }
        let asked = error.retry_after().unwrap_or_default();
        let pause = asked.max(self.backoff()).min(self.retries.longest_pause);
        tracing::warn!("{}; retrying in {:.1} s", error.full_text(), pause.as_secs_f64());
        self.sleep(pause);
        Ok(())
    }

    /// Between half and the whole of a pause that doubles, so that clients that failed together do not return together.
    fn backoff(&self) -> Duration {
        let doubled = self.retries.first_pause.saturating_mul(1 << (self.failures - 1).min(16));
        // Each `RandomState` is seeded anew.
        let share = (RandomState::new().hash_one(()) % 1000) as u32;
        doubled.min(self.retries.longest_pause).mul_f64(0.5 + f64::from(share) / 2000.0)
    }

    fn sleep(&self, pause: Duration) {
        let started = Instant::now();
        while started.elapsed() < pause && !self.stop.load(Ordering::Relaxed) {
            std::thread::sleep((pause - started.elapsed().min(pause)).min(Duration::from_millis(100)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit_and_differ() {
        let stop = AtomicBool::new(false);
        let retries = Retries {
            attempts: 9,
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_millis(1000),
        };
        let pause = |failures| Patience { retries, stop: &stop, failures }.backoff().as_millis();
        for (failures, range) in [(1, 50..=100), (2, 100..=200), (4, 400..=800), (5, 500..=1000), (40, 500..=1000)] {
            assert!((0..20).all(|_| range.contains(&pause(failures))), "{failures}");
        }
        let pauses: std::collections::BTreeSet<_> = (0..50).map(|_| pause(5)).collect();
        assert!(pauses.len() > 1);
    }
}
