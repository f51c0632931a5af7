//! Barriers in shared memory that count arrivals and bytes (`mbarrier`).
//!
//! The 64 bits of one are opaque to programs; here they are the arrivals missing, the arrivals of a phase, the bytes
//! missing and the phase.

use std::collections::HashMap;

use crate::block::Block;
use crate::memory::Fault;
use crate::races::Clock;

const COUNT_BITS: u32 = 20;
const COUNT: u64 = (1 << COUNT_BITS) - 1;
/// Bytes may be negative for a while: some can come before they are expected.
const BYTES_BIAS: i64 = 1 << 22;

/// The contents of an mbarrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    missing: u64,
    expected: u64,
    bytes: i64,
    phase: bool,
}

impl State {
    fn decode(bits: u64) -> Self {
        let bytes = (bits >> (2 * COUNT_BITS) & 0x7f_ffff) as i64 - BYTES_BIAS;
        Self { missing: bits & COUNT, expected: bits >> COUNT_BITS & COUNT, bytes, phase: bits >> 63 == 1 }
    }

    fn encode(self) -> u64 {
        let bytes = (self.bytes + BYTES_BIAS) as u64 & 0x7f_ffff;
        self.missing | self.expected << COUNT_BITS | bytes << (2 * COUNT_BITS) | u64::from(self.phase) << 63
    }

    fn changed(mut self, change: Change) -> Result<Self, Fault> {
        let Change { arrivals, bytes, added, dropped } = change;
        self.bytes += bytes;
        self.expected = self.expected.saturating_sub(dropped);
        self.missing = (self.missing + added)
            .checked_sub(arrivals)
            .ok_or_else(|| format!("{arrivals} arrivals at an mbarrier that misses {}", self.missing))?;
        if self.bytes.abs() > (1 << 20) {
            return Err(Fault(format!("an mbarrier misses {} bytes", self.bytes)));
        }
        Ok(self.settle())
    }

    /// Begins the next phase if nothing is missing.
    fn settle(mut self) -> Self {
        if self.missing == 0 && self.bytes == 0 {
            self.missing = self.expected;
            self.phase = !self.phase;
        }
        self
    }
}

/// The mbarriers that have been initialised, each with what warps have left there.
#[derive(Debug, Default)]
pub(crate) struct Mbarriers {
    clocks: HashMap<u64, Clock>,
}

/// What happens to an mbarrier at once.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Change {
    pub(crate) arrivals: u64,
    /// Bytes that are expected, or, if negative, that have come.
    pub(crate) bytes: i64,
    /// Arrivals that this phase, and no later one, waits for in addition.
    pub(crate) added: u64,
    /// Arrivals that later phases no longer expect.
    pub(crate) dropped: u64,
}

impl Block<'_> {
    pub(crate) fn init_mbarrier(&mut self, address: u64, count: u64) -> Result<(), Fault> {
        if !(1..=COUNT).contains(&count) {
            return Err(Fault(format!("an mbarrier for {count} arrivals")));
        }
        let state = State { missing: count, expected: count, bytes: 0, phase: false };
        self.shared.store(address, 8, state.encode())?;
        self.mbarriers.clocks.insert(address, Clock::new());
        self.progress += 1;
        Ok(())
    }

    pub(crate) fn invalidate_mbarrier(&mut self, address: u64) -> Result<(), Fault> {
        self.mbarrier(address)?;
        self.mbarriers.clocks.remove(&address);
        Ok(())
    }

    /// Changes an mbarrier for a warp; its state before.
    pub(crate) fn change_mbarrier(&mut self, warp: usize, address: u64, change: Change) -> Result<u64, Fault> {
        let old = self.mbarrier(address)?;
        let state = old.changed(change)?;
        self.shared.store(address, 8, state.encode())?;
        if let Some(clock) = self.mbarriers.clocks.get_mut(&address) {
            self.races.release(warp, clock);
        }
        self.progress += 1;
        Ok(old.encode())
    }

    /// Whether the phase of this parity is over; the warp then has seen what was done before the arrivals.
    pub(crate) fn test_mbarrier(&mut self, warp: usize, address: u64, parity: bool) -> Result<bool, Fault> {
        self.land_at(address)?;
        let is_over = self.mbarrier(address)?.phase != parity;
        if is_over && let Some(clock) = self.mbarriers.clocks.get(&address) {
            self.races.acquire(warp, clock);
            self.progress += 1;
        }
        Ok(is_over)
    }

    /// The arrivals that an mbarrier misses.
    pub(crate) fn pending_arrivals(state: u64) -> u64 {
        State::decode(state).missing
    }

    fn mbarrier(&self, address: u64) -> Result<State, Fault> {
        if !self.mbarriers.clocks.contains_key(&address) {
            return Err(Fault(format!("no mbarrier was initialised at {address:#x}")));
        }
        Ok(State::decode(self.shared.load(address, 8)?))
    }
}

/// The phase that a state token stands for.
pub(crate) fn phase(state: u64) -> bool {
    State::decode(state).phase
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `cp.async.mbarrier.arrive`, as threads of a ring of buffers use it, with an `mbarrier.arrive` after it.
    #[test]
    fn an_arrival_that_is_added_to_one_phase_is_not_expected_by_the_next() {
        let one = |added, arrivals, dropped| Change { added, arrivals, dropped, bytes: 0 };
        let mut state = State { missing: 2, expected: 2, bytes: 0, phase: false };
        for phase in [true, false, true] {
            for change in [one(1, 0, 0), one(0, 1, 0), one(0, 1, 0), one(0, 1, 0)] {
                assert_eq!(state.phase, !phase);
                state = state.changed(change).unwrap();
            }
            assert_eq!((state.phase, state.missing), (phase, 2));
        }
        let dropped = state.changed(one(0, 1, 1)).unwrap();
        assert_eq!((dropped.missing, dropped.expected), (1, 1));
        assert!(state.changed(one(0, 3, 0)).is_err());
    }

    #[test]
    fn a_phase_ends_when_neither_arrivals_nor_bytes_are_missing() {
        let state = State { missing: 0, expected: 3, bytes: 16, phase: false };
        assert_eq!(state.settle(), state);
        let over = State { bytes: 0, ..state }.settle();
        assert_eq!(over, State { missing: 3, expected: 3, bytes: 0, phase: true });
        for bytes in [-(1 << 20), -1, 0, 1 << 20] {
            let state = State { missing: COUNT, expected: 1, bytes, phase: true };
            assert_eq!(State::decode(state.encode()), state);
        }
    }
}
