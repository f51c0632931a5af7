//! Address spaces: where an address points, whether it may be followed, and the bytes behind it.

use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

use crate::types::Space;

/// Why a launch ended: a rule that the kernel broke, or something that this crate does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault(pub(crate) String);

impl<T: Into<String>> From<T> for Fault {
    fn from(problem: T) -> Self {
        Self(problem.into())
    }
}

/// Generic addresses of shared memory begin here. The lower half of an address is the address within the space.
const SHARED_WINDOW: u64 = 1 << 60;
const LOCAL_WINDOW: u64 = 1 << 61;
const PARAM_WINDOW: u64 = 1 << 62;

/// The generic address of a place in a space.
pub(crate) fn to_generic(space: Space, address: u64) -> u64 {
    match space {
        Space::Shared => SHARED_WINDOW | address,
        Space::Local => LOCAL_WINDOW | address,
        Space::Param => PARAM_WINDOW | address,
        Space::Global | Space::Generic => address,
    }
}

/// The space of a generic address, and the address in it.
pub(crate) fn from_generic(address: u64) -> (Space, u64) {
    let space = match address >> 60 {
        1 => Space::Shared,
        2 | 3 => Space::Local,
        4..8 => Space::Param,
        _ => return (Space::Global, address),
    };
    (space, address & 0xffff_ffff)
}

/// Global memory: the live allocations of the process, which addresses point into.
#[derive(Clone, Debug, Default)]
pub struct Global {
    /// Start and end of each, in order.
    regions: Vec<(u64, u64)>,
}

impl Global {
    /// Memory that consists of regions, each a start and an end.
    ///
    /// # Safety
    ///
    /// Each region must be memory of this process that stays valid, for reading and writing, as long as this value
    /// is used, and whose provenance has been exposed. Nobody else may write to it meanwhile.
    #[expect(unsafe_code, reason = "the caller answers for the regions")]
    pub unsafe fn new(mut regions: Vec<(u64, u64)>) -> Self {
        regions.sort_unstable();
        Self { regions }
    }

    /// The region of a place, if all of its bytes lie in one.
    fn region(&self, address: u64, bytes: usize) -> Option<(u64, u64)> {
        let after = self.regions.partition_point(|&(start, _)| start <= address);
        let (start, end) = *self.regions.get(after.checked_sub(1)?)?;
        (address.checked_add(bytes as u64)? <= end).then_some((start, end))
    }

    /// Says where an address lies that no region holds.
    fn outside(&self, address: u64, bytes: usize) -> Fault {
        let after = self.regions.partition_point(|&(start, _)| start <= address);
        let near = after.checked_sub(1).and_then(|at| self.regions.get(at)).map(|&(start, end)| {
            let place = if address < end { "across the end" } else { "behind the end" };
            format!(
                ", {} bytes {place} of the allocation of {} bytes at {start:#x}",
                address.abs_diff(end),
                end - start
            )
        });
        Fault(format!("{bytes} bytes of global memory at {address:#x} are not allocated{}", near.unwrap_or_default()))
    }
}

/// Global memory as one thread of the host sees it, with the region that it found last.
#[derive(Debug)]
pub(crate) struct View<'a> {
    memory: &'a Global,
    last: (u64, u64),
}

/// Types that are loaded and stored whole.
macro_rules! by_size {
    ($bytes:expr, $address:expr, $atomic:ident => $act:expr) => {
        match $bytes {
            1 => by_size!(@ AtomicU8, $address, $atomic => $act),
            2 => by_size!(@ AtomicU16, $address, $atomic => $act),
            4 => by_size!(@ AtomicU32, $address, $atomic => $act),
            8 => by_size!(@ AtomicU64, $address, $atomic => $act),
            other => return Err(Fault(format!("an access of {other} bytes"))),
        }
    };
    (@ $type:ident, $address:expr, $atomic:ident => $act:expr) => {{
        // SAFETY: `check` has found the place in a region, which `Global::new` promises to be valid memory, and aligned.
        // Every access while a grid runs is atomic, as threads of the host may reach the same place.
        #[expect(unsafe_code, reason = "device memory is memory of this process")]
        let $atomic = unsafe { $type::from_ptr(std::ptr::with_exposed_provenance_mut($address as usize)) };
        $act
    }};
}

impl<'a> View<'a> {
    pub(crate) fn new(memory: &'a Global) -> Self {
        Self { memory, last: (1, 0) }
    }

    /// Checks that a place is aligned and allocated.
    #[inline]
    pub(crate) fn check(&mut self, address: u64, bytes: usize) -> Result<(), Fault> {
        if !address.is_multiple_of(bytes as u64) {
            return Err(misaligned("global", address, bytes));
        }
        let (start, end) = self.last;
        if start <= address && address < end && end - address >= bytes as u64 {
            return Ok(());
        }
        self.last = self.memory.region(address, bytes).ok_or_else(|| self.memory.outside(address, bytes))?;
        Ok(())
    }

    #[expect(clippy::useless_conversion, reason = "one of the sizes has 64 bits already")]
    #[inline]
    pub(crate) fn load(&mut self, address: u64, bytes: usize) -> Result<u64, Fault> {
        self.check(address, bytes)?;
        Ok(by_size!(bytes, address, atomic => u64::from(atomic.load(Ordering::Relaxed))))
    }

    #[inline]
    pub(crate) fn store(&mut self, address: u64, bytes: usize, value: u64) -> Result<(), Fault> {
        self.check(address, bytes)?;
        by_size!(bytes, address, atomic => atomic.store(value as _, Ordering::Relaxed));
        Ok(())
    }

    /// Replaces a value by a function of it, as one step; what it was.
    #[expect(clippy::useless_conversion, reason = "one of the sizes has 64 bits already")]
    pub(crate) fn update(&mut self, address: u64, bytes: usize, change: impl Fn(u64) -> u64) -> Result<u64, Fault> {
        self.check(address, bytes)?;
        let old = by_size!(bytes, address, atomic => {
            let change = |old| Some(change(u64::from(old)) as _);
            let old = atomic.fetch_update(Ordering::SeqCst, Ordering::SeqCst, change);
            u64::from(old.unwrap_or_else(|old| old))
        });
        Ok(old)
    }
}

pub(crate) fn misaligned(space: &str, address: u64, bytes: usize) -> Fault {
    Fault(format!("{space} address {address:#x} is not a multiple of {bytes}"))
}

/// Memory that a block or a lane has of its own.
#[derive(Debug)]
pub(crate) struct Own {
    name: &'static str,
    bytes: Vec<u8>,
}

impl Own {
    pub(crate) fn new(name: &'static str, bytes: Vec<u8>) -> Self {
        Self { name, bytes }
    }

    /// Some bytes at an address that is a multiple of `align`.
    #[inline]
    pub(crate) fn slice(&self, address: u64, bytes: usize, align: usize) -> Result<&[u8], Fault> {
        let start = self.check(address, bytes, align)?;
        Ok(&self.bytes[start..start + bytes])
    }

    #[inline]
    pub(crate) fn slice_mut(&mut self, address: u64, bytes: usize, align: usize) -> Result<&mut [u8], Fault> {
        let start = self.check(address, bytes, align)?;
        Ok(&mut self.bytes[start..start + bytes])
    }

    #[inline]
    fn check(&self, address: u64, bytes: usize, align: usize) -> Result<usize, Fault> {
        if !address.is_multiple_of(align as u64) {
            return Err(misaligned(self.name, address, align));
        }
        if address.saturating_add(bytes as u64) > self.bytes.len() as u64 {
            let (name, size) = (self.name, self.bytes.len());
            return Err(Fault(format!("{bytes} bytes of {name} memory at {address:#x}, of which there are {size:#x}")));
        }
        Ok(address as usize)
    }

    #[inline]
    pub(crate) fn load(&self, address: u64, bytes: usize) -> Result<u64, Fault> {
        Ok(little_endian(self.slice(address, bytes, bytes)?))
    }

    #[inline]
    pub(crate) fn store(&mut self, address: u64, bytes: usize, value: u64) -> Result<(), Fault> {
        self.slice_mut(address, bytes, bytes)?.copy_from_slice(&value.to_le_bytes()[..bytes]);
        Ok(())
    }
}

/// The value of up to eight bytes.
#[inline]
pub(crate) fn little_endian(bytes: &[u8]) -> u64 {
    let mut value = [0; 8];
    value[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Memory of some words, and where it is.
    fn memory(words: &[AtomicU64]) -> (Global, u64) {
        let start = words.as_ptr().expose_provenance() as u64;
        #[expect(unsafe_code, reason = "the words outlive the memory of each test")]
        // SAFETY: the words are atomic, so they may be written, and each test keeps them until it ends.
        let memory = unsafe { Global::new(vec![(start, start + size_of_val(words) as u64)]) };
        (memory, start)
    }

    #[test]
    fn what_is_not_allocated_is_not_followed() {
        let words = [const { AtomicU64::new(7) }; 4];
        let (memory, start) = memory(&words);
        let mut view = View::new(&memory);
        assert_eq!(view.load(start + 24, 8), Ok(7));
        assert_eq!(view.load(start + 24, 4), Ok(7));
        let behind = view.load(start + 32, 4).unwrap_err().0;
        assert!(behind.contains("0 bytes behind the end of the allocation of 32 bytes"), "{behind}");
        assert!(view.store(start - 8, 8, 1).is_err());
        assert!(view.load(start + 2, 4).unwrap_err().0.contains("multiple of 4"));
        assert_eq!(view.update(start, 4, |old| old + 1), Ok(7));
        assert_eq!(view.load(start, 8), Ok(8));
    }

    #[test]
    fn own_memory_has_bounds_and_alignment() {
        let mut shared = Own::new("shared", vec![0xff; 16]);
        shared.store(8, 8, 0x0102_0304).unwrap();
        assert_eq!(shared.load(8, 2), Ok(0x0304));
        assert!(shared.load(16, 1).is_err());
        assert!(shared.load(u64::MAX, 1).is_err());
        assert!(shared.load(2, 4).is_err());
    }

    #[test]
    fn a_generic_address_knows_its_space() {
        for space in [Space::Shared, Space::Local, Space::Param, Space::Global] {
            assert_eq!(from_generic(to_generic(space, 0x1234)), (space, 0x1234));
        }
    }
}
