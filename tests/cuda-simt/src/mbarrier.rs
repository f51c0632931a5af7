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
    /// Arrivals by which this phase and those after it expect fewer or more.
    pub(crate) expected: i64,
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
        let mut state = old;
        state.bytes += change.bytes;
        state.expected = state.expected.saturating_add_signed(change.expected);
        state.missing = if change.expected > 0 { state.missing + change.expected as u64 } else { state.missing };
        state.missing = state
            .missing
            .checked_sub(change.arrivals)
            .ok_or_else(|| format!("{} arrivals at an mbarrier that misses {}", change.arrivals, old.missing))?;
        if state.bytes.abs() > (1 << 20) {
            return Err(Fault(format!("an mbarrier misses {} bytes", state.bytes)));
        }
        self.shared.store(address, 8, state.settle().encode())?;
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
