//! Races between warps in shared memory.
//!
//! Each warp has a clock of what it has seen of every other: barriers and mbarriers bring them up to date. An access
//! races with an earlier one to the same two bytes if one of them writes, another warp made the earlier one, and the
//! clock of this warp has not come so far. Of the readers of a place the last two are remembered, so a race with a third
//! can be missed; there are no false reports. Accesses within a warp, atomics and single bytes are not checked; volatile
//! accesses are checked like all others.

use crate::memory::Fault;

/// What a warp has seen of the others.
pub(crate) type Clock = Vec<u32>;

/// An access: its time, warp and instruction, packed. Zero is none.
#[derive(Clone, Copy, Debug, Default)]
struct Access(u64);

impl Access {
    fn new(time: u32, warp: usize, pc: usize) -> Self {
        Self(u64::from(time) << 32 | (warp as u64 & 0x1f) << 27 | (pc as u64 & 0x7ff_ffff))
    }

    fn time(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn warp(self) -> usize {
        (self.0 >> 27 & 0x1f) as usize
    }

    fn pc(self) -> usize {
        (self.0 & 0x7ff_ffff) as usize
    }
}

/// The last accesses to two bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    write: Access,
    reads: [Access; 2],
}

/// A race: an earlier access that nothing orders before the present one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Race {
    pub(crate) address: u64,
    pub(crate) earlier: &'static str,
    pub(crate) warp: usize,
    pub(crate) pc: usize,
}

impl Race {
    /// The fault to report, once the text of the earlier instruction is known.
    pub(crate) fn fault(&self, verb: &str, earlier: &str) -> Fault {
        let Self { address, warp, earlier: did, .. } = self;
        Fault(format!(
            "race in shared memory at {address:#x}: it {verb} what warp {warp} {did} without a barrier between, in `{earlier}`"
        ))
    }
}

/// The accesses to the shared memory of a block.
#[derive(Debug)]
pub(crate) struct Races {
    clocks: Vec<Clock>,
    time: u32,
    cells: Vec<Cell>,
}

impl Races {
    /// For a block of some warps with so many bytes; no bytes are no checks.
    pub(crate) fn new(warps: usize, bytes: usize) -> Self {
        Self { clocks: vec![vec![0; warps]; warps], time: 1, cells: vec![Cell::default(); bytes.div_ceil(2)] }
    }

    fn is_ordered(&self, warp: usize, earlier: Access) -> bool {
        earlier.0 == 0 || earlier.warp() == warp || self.clocks[warp][earlier.warp()] >= earlier.time()
    }

    /// Cells of an access; single bytes share theirs, so they are left out.
    fn cells_of(address: u64, bytes: usize) -> std::ops::Range<usize> {
        let first = address as usize / 2;
        first..first + bytes / 2
    }

    #[inline]
    pub(crate) fn read(&mut self, warp: usize, pc: usize, address: u64, bytes: usize) -> Result<(), Race> {
        if self.cells.is_empty() {
            return Ok(());
        }
        let access = Access::new(self.time, warp, pc);
        for at in Self::cells_of(address, bytes) {
            let Cell { write, reads } = self.cells[at];
            if !self.is_ordered(warp, write) {
                return Err(Race { address: 2 * at as u64, earlier: "wrote", warp: write.warp(), pc: write.pc() });
            }
            let own = usize::from(reads[0].0 != 0 && reads[0].warp() != warp);
            self.cells[at].reads[own] = access;
        }
        Ok(())
    }

    #[inline]
    pub(crate) fn write(&mut self, warp: usize, pc: usize, address: u64, bytes: usize) -> Result<(), Race> {
        if self.cells.is_empty() {
            return Ok(());
        }
        let access = Access::new(self.time, warp, pc);
        for at in Self::cells_of(address, bytes) {
            let Cell { write, reads } = self.cells[at];
            for (earlier, did) in [(write, "wrote"), (reads[0], "read"), (reads[1], "read")] {
                if !self.is_ordered(warp, earlier) {
                    return Err(Race { address: 2 * at as u64, earlier: did, warp: earlier.warp(), pc: earlier.pc() });
                }
            }
            self.cells[at] = Cell { write: access, reads: [Access::default(); 2] };
        }
        Ok(())
    }

    /// Some warps have met: each has seen what all of them had seen and done.
    pub(crate) fn meet(&mut self, warps: u32) {
        let mut together = vec![0; self.clocks.len()];
        for warp in crate::registers::lanes(warps) {
            self.release(warp, &mut together);
        }
        for warp in crate::registers::lanes(warps) {
            self.acquire(warp, &together);
        }
    }

    /// A warp leaves with a barrier what it has seen and done.
    pub(crate) fn release(&mut self, warp: usize, clock: &mut Clock) {
        clock.resize(self.clocks.len(), 0);
        for (left, seen) in clock.iter_mut().zip(&self.clocks[warp]) {
            *left = (*left).max(*seen);
        }
        clock[warp] = self.time;
        self.time += 1;
    }

    /// A warp takes what others have left with a barrier.
    pub(crate) fn acquire(&mut self, warp: usize, clock: &Clock) {
        for (seen, left) in self.clocks[warp].iter_mut().zip(clock) {
            *seen = (*seen).max(*left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_barrier_orders_what_lies_on_both_sides() {
        let mut races = Races::new(3, 64);
        races.write(0, 5, 8, 4).unwrap();
        assert_eq!(races.read(1, 6, 8, 4), Err(Race { address: 8, earlier: "wrote", warp: 0, pc: 5 }));
        races.meet(0b011);
        races.read(1, 6, 8, 4).unwrap();
        assert!(races.read(2, 6, 8, 4).is_err(), "warp 2 was not at the barrier");
        assert_eq!(races.write(0, 7, 8, 4), Err(Race { address: 8, earlier: "read", warp: 1, pc: 6 }));
        races.meet(0b111);
        races.write(0, 7, 8, 4).unwrap();
    }

    #[test]
    fn what_is_left_with_an_mbarrier_reaches_who_waits_for_it() {
        let (mut races, mut clock) = (Races::new(2, 16), Clock::new());
        races.write(0, 1, 0, 8).unwrap();
        races.release(0, &mut clock);
        races.write(0, 2, 8, 2).unwrap();
        races.acquire(1, &clock);
        races.read(1, 3, 0, 8).unwrap();
        assert!(races.read(1, 3, 8, 2).is_err(), "it was written after the arrival");
    }

    #[test]
    fn neighbours_do_not_race() {
        let mut races = Races::new(2, 16);
        races.write(0, 1, 0, 2).unwrap();
        races.write(1, 1, 2, 2).unwrap();
        races.read(0, 1, 0, 2).unwrap();
    }
}
