//! A block while it runs: its memory, its barriers, its asynchronous copies, and what its warps do to them.

use crate::barriers::Barriers;
use crate::copies::Copies;
use crate::mbarrier::Mbarriers;
use crate::memory::{Fault, Own, View, from_generic};
use crate::module::Kernel;
use crate::races::Races;
use crate::registers::{LANES, Registers};
use crate::types::Space;

/// What the warps of a block share.
#[derive(Debug)]
pub(crate) struct Block<'a> {
    pub(crate) kernel: &'a Kernel,
    pub(crate) global: View<'a>,
    pub(crate) parameters: &'a Own,
    pub(crate) shared: Own,
    /// One for each thread.
    pub(crate) local: Vec<Own>,
    pub(crate) races: Races,
    pub(crate) barriers: Barriers,
    pub(crate) mbarriers: Mbarriers,
    pub(crate) copies: Copies,
    /// Instructions of warps so far.
    pub(crate) instructions: u64,
    /// Grows with everything that another warp could wait for.
    pub(crate) progress: u64,
}

/// A warp at an instruction, with all that the instruction may touch.
#[derive(Debug)]
pub(crate) struct Machine<'m, 'a> {
    pub(crate) registers: &'m mut Registers,
    pub(crate) block: &'m mut Block<'a>,
    pub(crate) warp: usize,
    pub(crate) pc: usize,
}

impl Block<'_> {
    fn race_fault(&self, race: &crate::races::Race, verb: &str) -> Fault {
        let earlier = self.kernel.code.get(race.pc).map_or("", |instruction| &instruction.text);
        race.fault(verb, earlier)
    }

    /// Bytes of shared memory that a warp reads at an instruction.
    #[inline]
    pub(crate) fn read_shared(&mut self, warp: usize, pc: usize, address: u64, bytes: usize) -> Result<u64, Fault> {
        let value = self.shared.load(address, bytes)?;
        self.races.read(warp, pc, address, bytes).map_err(|race| self.race_fault(&race, "reads"))?;
        Ok(value)
    }

    /// Bytes of shared memory that a warp writes at an instruction.
    #[inline]
    pub(crate) fn write_shared(
        &mut self,
        warp: usize,
        pc: usize,
        address: u64,
        bytes: usize,
        value: u64,
    ) -> Result<(), Fault> {
        self.shared.store(address, bytes, value)?;
        self.races.write(warp, pc, address, bytes).map_err(|race| self.race_fault(&race, "writes over"))
    }
}

impl Machine<'_, '_> {
    /// Loads up to eight bytes for a lane.
    #[inline]
    pub(crate) fn load(&mut self, space: Space, lane: usize, address: u64, bytes: usize) -> Result<u64, Fault> {
        match space {
            Space::Global => self.block.global.load(address, bytes),
            Space::Shared => self.block.read_shared(self.warp, self.pc, address, bytes),
            Space::Local => self.block.local[self.warp * LANES + lane].load(address, bytes),
            Space::Param => self.block.parameters.load(address, bytes),
            Space::Generic => {
                let (space, address) = from_generic(address);
                self.load(space, lane, address, bytes)
            }
        }
    }

    /// Stores up to eight bytes for a lane.
    #[inline]
    pub(crate) fn store(
        &mut self,
        space: Space,
        lane: usize,
        address: u64,
        bytes: usize,
        value: u64,
    ) -> Result<(), Fault> {
        match space {
            Space::Global => self.block.global.store(address, bytes, value),
            Space::Shared => self.block.write_shared(self.warp, self.pc, address, bytes, value),
            Space::Local => self.block.local[self.warp * LANES + lane].store(address, bytes, value),
            Space::Param => Err("a store to the parameters of a kernel".into()),
            Space::Generic => {
                let (space, address) = from_generic(address);
                self.store(space, lane, address, bytes, value)
            }
        }
    }

    /// Replaces a value by a function of it, as one step; what it was.
    pub(crate) fn update(
        &mut self,
        space: Space,
        address: u64,
        bytes: usize,
        change: impl Fn(u64) -> u64,
    ) -> Result<u64, Fault> {
        match space {
            Space::Global => self.block.global.update(address, bytes, change),
            Space::Shared => {
                let old = self.block.shared.load(address, bytes)?;
                self.block.shared.store(address, bytes, change(old))?;
                Ok(old)
            }
            Space::Generic => {
                let (space, address) = from_generic(address);
                self.update(space, address, bytes, change)
            }
            _ => Err("an atomic operation outside of global and shared memory".into()),
        }
    }

    /// The addresses of all lanes.
    #[inline]
    pub(crate) fn addresses(&self, address: crate::decode::Address) -> [u64; LANES] {
        let offset = address.offset as u64;
        if address.wide {
            self.registers.read::<u64>(address.slot).map(|base| base.wrapping_add(offset))
        } else {
            // 32 bits are the address within a space, so a sum wraps there.
            self.registers.row(address.slot).map(|base| u64::from(base.wrapping_add(offset as u32)))
        }
    }
}

/// The address in shared memory of a shared or generic address.
pub(crate) fn shared_address(address: u64) -> Result<u64, Fault> {
    match from_generic(address) {
        (Space::Shared, address) => Ok(address),
        (Space::Global, address) if address <= u64::from(u32::MAX) => Ok(address),
        (space, address) => Err(Fault(format!("{address:#x} lies in {space:?} memory, not in shared memory"))),
    }
}
