//! Asynchronous copies, which land as late as the rules allow: a program that does not wait finds what was there before.
//!
//! `cp.async` lands when its thread waits for its group, or when somebody tests the mbarrier that it arrives at; bulk
//! loads land when their mbarrier is tested; bulk stores when their thread waits, or when the block ends.

use crate::block::Block;
use crate::mbarrier::Change;
use crate::memory::Fault;
use crate::registers::{LANES, lanes};
use crate::tensor::TensorMap;

/// A warp at an instruction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Issuer {
    pub(crate) warp: usize,
    pub(crate) pc: usize,
}

/// A `cp.async` of a thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Copy {
    pub(crate) issuer: Issuer,
    pub(crate) lane: usize,
    /// Address in shared memory.
    pub(crate) to: u64,
    /// Address in global memory.
    pub(crate) from: u64,
    pub(crate) bytes: usize,
    /// Bytes that are read; the rest are zeros.
    pub(crate) real: usize,
    /// Groups that its thread had committed before.
    group: u32,
}

/// An arrival that waits for the copies of its thread.
#[derive(Clone, Copy, Debug)]
struct Deferred {
    mbarrier: u64,
    warp: usize,
    lane: usize,
}

/// What a bulk copy moves.
#[derive(Clone, Debug)]
pub(crate) enum Bulk {
    Bytes { shared: u64, global: u64, bytes: u64 },
    Box { map: Box<TensorMap>, start: Vec<i32>, shared: u64 },
}

#[derive(Clone, Debug)]
struct Load {
    issuer: Issuer,
    mbarrier: u64,
    what: Bulk,
}

#[derive(Clone, Debug)]
struct Store {
    issuer: Issuer,
    lane: usize,
    group: u32,
    what: Bulk,
}

/// The copies of a block that have not landed.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    copies: Vec<Copy>,
    deferred: Vec<Deferred>,
    loads: Vec<Load>,
    stores: Vec<Store>,
    /// Groups that each thread has committed, of `cp.async` and of bulk copies.
    groups: Vec<u32>,
    bulk_groups: Vec<u32>,
}

impl Copies {
    pub(crate) fn new(warps: usize) -> Self {
        Self { groups: vec![0; warps * LANES], bulk_groups: vec![0; warps * LANES], ..Self::default() }
    }

    /// Ends the groups of some threads (`cp.async.commit_group`).
    pub(crate) fn commit(&mut self, warp: usize, mask: u32) {
        lanes(mask).for_each(|lane| self.groups[warp * LANES + lane] += 1);
    }

    pub(crate) fn commit_bulk(&mut self, warp: usize, mask: u32) {
        lanes(mask).for_each(|lane| self.bulk_groups[warp * LANES + lane] += 1);
    }
}

impl Block<'_> {
    /// Begins a copy; `group` is filled in.
    pub(crate) fn begin_copy(
        &mut self,
        issuer: Issuer,
        lane: usize,
        to: u64,
        from: u64,
        [bytes, real]: [usize; 2],
    ) -> Result<(), Fault> {
        self.shared.slice(to, bytes, bytes)?;
        if real > 0 {
            if !from.is_multiple_of(bytes as u64) {
                return Err(crate::memory::misaligned("global", from, bytes));
            }
            // The ends lie in one allocation, and so does what is between them.
            self.global.check(from, 1)?;
            self.global.check(from + real as u64 - 1, 1)?;
        }
        let group = self.copies.groups[issuer.warp * LANES + lane];
        self.copies.copies.push(Copy { issuer, lane, to, from, bytes, real, group });
        self.progress += 1;
        Ok(())
    }

    /// Lands all copies of some threads but those of their last groups, or simply all (`None`).
    pub(crate) fn wait_for_copies(&mut self, warp: usize, mask: u32, last: Option<u32>) -> Result<(), Fault> {
        let is_due = |copy: &Copy, groups: &[u32]| {
            let committed = groups[warp * LANES + copy.lane];
            copy.issuer.warp == warp
                && mask >> copy.lane & 1 == 1
                && last.is_none_or(|last| copy.group + last < committed)
        };
        let groups = &self.copies.groups;
        let due: Vec<Copy> = self.copies.copies.extract_if(.., |copy| is_due(copy, groups)).collect();
        due.iter().try_for_each(|copy| self.land(copy))
    }

    fn land(&mut self, copy: &Copy) -> Result<(), Fault> {
        let step = if copy.real.is_multiple_of(4) { 4 } else { 1 };
        for at in (0..copy.bytes).step_by(step) {
            let value = if at < copy.real { self.global.load(copy.from + at as u64, step)? } else { 0 };
            self.shared.store(copy.to + at as u64, step, value)?;
        }
        self.check_write(copy.issuer, copy.to, copy.bytes)
    }

    fn check_write(&mut self, issuer: Issuer, to: u64, bytes: usize) -> Result<(), Fault> {
        let races = self.races.write(issuer.warp, issuer.pc, to, bytes);
        races.map_err(|race| {
            let earlier = self.kernel.code.get(race.pc).map_or("", |instruction| &instruction.text);
            race.fault("lands a copy on", earlier)
        })
    }

    /// Has an mbarrier arrived at once the copies of some threads have landed.
    pub(crate) fn arrive_after_copies(&mut self, warp: usize, lane: usize, mbarrier: u64) {
        self.copies.deferred.push(Deferred { mbarrier, warp, lane });
        self.progress += 1;
    }

    pub(crate) fn begin_bulk_load(&mut self, issuer: Issuer, mbarrier: u64, what: Bulk) -> Result<(), Fault> {
        self.check_bulk(&what)?;
        self.copies.loads.push(Load { issuer, mbarrier, what });
        self.progress += 1;
        Ok(())
    }

    pub(crate) fn begin_bulk_store(&mut self, issuer: Issuer, lane: usize, what: Bulk) -> Result<(), Fault> {
        self.check_bulk(&what)?;
        let group = self.copies.bulk_groups[issuer.warp * LANES + lane];
        self.copies.stores.push(Store { issuer, lane, group, what });
        self.progress += 1;
        Ok(())
    }

    fn check_bulk(&self, what: &Bulk) -> Result<(), Fault> {
        match what {
            Bulk::Bytes { shared, global, bytes } => {
                if !(shared | global | bytes).is_multiple_of(16) {
                    return Err("a bulk copy whose addresses and size are not multiples of 16".into());
                }
                self.shared.slice(*shared, *bytes as usize, 16).map(drop)
            }
            Bulk::Box { map, start, shared } if start.len() == map.dimensions.len() => {
                self.shared.slice(*shared, map.box_bytes() as usize, 128).map(drop)
            }
            Bulk::Box { map, start, .. } => {
                Err(Fault(format!("{} coordinates for a tensor of {} dimensions", start.len(), map.dimensions.len())))
            }
        }
    }

    /// Lands all that an mbarrier waits for.
    pub(crate) fn land_at(&mut self, mbarrier: u64) -> Result<(), Fault> {
        let arrivals: Vec<Deferred> =
            self.copies.deferred.extract_if(.., |deferred| deferred.mbarrier == mbarrier).collect();
        for Deferred { warp, lane, .. } in arrivals {
            self.wait_for_copies(warp, 1 << lane, None)?;
            self.change_mbarrier(warp, mbarrier, Change { arrivals: 1, ..Change::default() })?;
        }
        let loads: Vec<Load> = self.copies.loads.extract_if(.., |load| load.mbarrier == mbarrier).collect();
        for Load { issuer, what, .. } in loads {
            let bytes = self.land_bulk(issuer, &what)?;
            self.change_mbarrier(issuer.warp, mbarrier, Change { bytes: -(bytes as i64), ..Change::default() })?;
        }
        Ok(())
    }

    /// Lands a bulk load; its bytes.
    fn land_bulk(&mut self, issuer: Issuer, what: &Bulk) -> Result<u64, Fault> {
        match what {
            Bulk::Bytes { shared, global, bytes } => {
                for at in (0..*bytes).step_by(8) {
                    let value = self.global.load(global + at, 8)?;
                    self.shared.store(shared + at, 8, value)?;
                }
                self.check_write(issuer, *shared, *bytes as usize)?;
                Ok(*bytes)
            }
            Bulk::Box { map, start, shared } => {
                let bytes = map.element_bytes as usize;
                let outside = if map.fill_nan { u64::MAX } else { 0 };
                for element in map.elements(start, *shared) {
                    let value = element.global.map_or(Ok(outside), |from| self.global.load(from, bytes))?;
                    self.shared.store(element.shared, bytes, value)?;
                }
                self.check_write(issuer, *shared, map.box_bytes() as usize)?;
                Ok(map.box_bytes())
            }
        }
    }

    /// Lands the bulk stores of some threads but those of their last groups.
    pub(crate) fn wait_for_bulk_stores(&mut self, warp: usize, mask: u32, last: u32) -> Result<(), Fault> {
        let groups = &self.copies.bulk_groups;
        let is_due = |store: &Store| {
            let committed = groups[warp * LANES + store.lane];
            store.issuer.warp == warp && mask >> store.lane & 1 == 1 && store.group + last < committed
        };
        let due: Vec<Store> = self.copies.stores.extract_if(.., |store| is_due(store)).collect();
        due.iter().try_for_each(|store| self.land_store(&store.what))
    }

    /// Lands the bulk stores that nobody has waited for.
    pub(crate) fn finish_copies(&mut self) -> Result<(), Fault> {
        let stores = std::mem::take(&mut self.copies.stores);
        stores.iter().try_for_each(|store| self.land_store(&store.what))
    }

    fn land_store(&mut self, what: &Bulk) -> Result<(), Fault> {
        match what {
            Bulk::Bytes { shared, global, bytes } => {
                for at in (0..*bytes).step_by(8) {
                    let value = self.shared.load(shared + at, 8)?;
                    self.global.store(global + at, 8, value)?;
                }
            }
            Bulk::Box { map, start, shared } => {
                let bytes = map.element_bytes as usize;
                for element in map.elements(start, *shared) {
                    if let Some(to) = element.global {
                        let value = self.shared.load(element.shared, bytes)?;
                        self.global.store(to, bytes, value)?;
                    }
                }
            }
        }
        Ok(())
    }
}
