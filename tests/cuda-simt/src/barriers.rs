//! The sixteen barriers of a block (`bar`, `barrier`).

use crate::memory::Fault;

/// What the threads of a barrier contributed to `bar.red`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Votes {
    pub(crate) threads: u32,
    /// Threads whose predicate was true.
    pub(crate) yes: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Barrier {
    arrived: u32,
    /// Threads that it waits for; all that are live, if none are named.
    expected: Option<u32>,
    /// Warps that have arrived.
    warps: u32,
    yes: u32,
}

/// A barrier that has been completed, with the warps that met there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Release {
    pub(crate) id: usize,
    pub(crate) warps: u32,
    pub(crate) votes: Votes,
}

/// The barriers of a block.
#[derive(Debug)]
pub(crate) struct Barriers {
    barriers: [Barrier; 16],
    live_threads: u32,
    /// Completed, and waiting for the block to let their warps go.
    pub(crate) released: Vec<Release>,
}

/// Threads of a warp that arrive together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) id: usize,
    pub(crate) warp: usize,
    pub(crate) threads: u32,
    pub(crate) yes: u32,
    pub(crate) expected: Option<u32>,
}

impl Barriers {
    pub(crate) fn new(threads: u32) -> Self {
        Self { barriers: [Barrier::default(); 16], live_threads: threads, released: Vec::new() }
    }

    pub(crate) fn arrive(&mut self, arrival: Arrival) -> Result<(), Fault> {
        let Arrival { id, warp, threads, yes, expected } = arrival;
        let barrier = self.barriers.get_mut(id).ok_or_else(|| format!("there is no barrier {id}"))?;
        if barrier.arrived > 0 && barrier.expected != expected {
            return Err(Fault(format!("barrier {id} is met by {expected:?} threads and by {:?}", barrier.expected)));
        }
        barrier.expected = expected;
        barrier.arrived += threads;
        barrier.warps |= 1 << warp;
        barrier.yes += yes;
        self.complete(id)
    }

    /// Some threads have ended: who waits for all waits for fewer.
    pub(crate) fn exit(&mut self, threads: u32) -> Result<(), Fault> {
        self.live_threads -= threads;
        (0..self.barriers.len()).try_for_each(|id| self.complete(id))
    }

    fn complete(&mut self, id: usize) -> Result<(), Fault> {
        let barrier = &mut self.barriers[id];
        let expected = barrier.expected.unwrap_or(self.live_threads);
        if barrier.arrived == 0 || barrier.arrived < expected {
            return Ok(());
        }
        if barrier.arrived > expected {
            return Err(Fault(format!("{} threads are at barrier {id}, which is for {expected}", barrier.arrived)));
        }
        let votes = Votes { threads: barrier.arrived, yes: barrier.yes };
        self.released.push(Release { id, warps: barrier.warps, votes });
        *barrier = Barrier::default();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(id: usize, warp: usize, expected: Option<u32>) -> Arrival {
        Arrival { id, warp, threads: 32, yes: 1, expected }
    }

    #[test]
    fn a_barrier_opens_when_all_live_threads_are_there() {
        let mut barriers = Barriers::new(96);
        barriers.arrive(arrival(0, 0, None)).unwrap();
        barriers.arrive(arrival(0, 2, None)).unwrap();
        assert!(barriers.released.is_empty());
        barriers.exit(32).unwrap();
        assert_eq!(barriers.released, [Release { id: 0, warps: 0b101, votes: Votes { threads: 64, yes: 2 } }]);
    }

    #[test]
    fn a_named_number_of_threads_suffices() {
        let mut barriers = Barriers::new(1024);
        barriers.arrive(arrival(3, 0, Some(64))).unwrap();
        assert!(barriers.arrive(arrival(3, 1, Some(96))).is_err(), "it is met by 64 and by 96");
        barriers.arrive(arrival(3, 1, Some(64))).unwrap();
        assert_eq!(barriers.released.len(), 1);
        assert!(barriers.arrive(arrival(16, 1, None)).is_err());
    }
}
