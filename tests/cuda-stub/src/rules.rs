//! The limits of a card and the rules of the driver API, as the CUDA driver API reference and the programming guide's
//! table of compute capabilities give them.

use std::fmt;

use crate::ptx::Function;

/// The most shared memory that a block can opt in to, in bytes.
pub(crate) fn most_shared_memory(capability: i32) -> i32 {
    match capability {
        90 => 227 * 1024,
        80 => 163 * 1024,
        _ => 99 * 1024,
    }
}

/// A `CUdevice_attribute` of a card.
pub(crate) fn attribute(attribute: i32, capability: i32) -> i32 {
    let hopper = capability >= 90;
    match attribute {
        1..=3 => 1024,       // threads of a block, and along x and y
        4 => 64,             // along z
        5 => i32::MAX,       // blocks of a grid along x
        6 | 7 => 65_535,     // along y and z
        8 => 48 * 1024,      // shared memory of a block
        9 | 12 => 64 * 1024, // constant memory, registers of a block
        10 => 32,            // threads of a warp
        13 => 1_500_000,     // clock rate in kHz
        14 => 512,           // alignment of textures
        16 => {
            if hopper {
                132
            } else {
                108
            }
        } // multiprocessors
        38 => {
            if hopper {
                50 << 20
            } else {
                40 << 20
            }
        } // level 2 cache
        39 => 2048,          // threads of a multiprocessor
        75 => capability / 10,
        76 => capability % 10,
        81 => most_shared_memory(capability) + 1024, // shared memory of a multiprocessor
        97 => most_shared_memory(capability),
        _ => 1,
    }
}

/// How a kernel is launched.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(crate) grid: [u32; 3],
    pub(crate) block: [u32; 3],
    pub(crate) shared_memory: u32,
}

impl Launch {
    /// What is wrong with the launch, if anything.
    pub(crate) fn check(&self, function: &Function) -> Result<(), String> {
        let [x, y, z] = self.block;
        let threads = u64::from(x) * u64::from(y) * u64::from(z);
        let allowed = u32::try_from(function.most_shared_memory()).unwrap_or(0);
        let rules = [
            (self.grid.iter().chain(&self.block).all(|&size| size > 0), "an empty grid or block"),
            (
                self.grid[0] <= i32::MAX as u32 && self.grid[1] <= 65_535 && self.grid[2] <= 65_535,
                "the grid is too large",
            ),
            (threads <= 1024 && x <= 1024 && y <= 1024 && z <= 64, "the block is too large"),
            (function.required_block.is_none_or(|block| block == self.block), "the block is not that of .reqntid"),
            (function.most_threads.is_none_or(|most| threads <= u64::from(most)), "more threads than .maxntid"),
            (self.shared_memory <= allowed, "more shared memory than the attribute allows"),
        ];
        match rules.iter().find(|(kept, _)| !kept) {
            Some((_, problem)) => Err(format!("{}: {problem}: {self}", function.name)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Launch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "grid {:?} block {:?} shared {}", self.grid, self.block, self.shared_memory)
    }
}

/// The arguments of `cuTensorMapEncodeTiled`.
#[derive(Debug)]
pub(crate) struct TensorMap<'a> {
    pub(crate) element: i32,
    pub(crate) address: u64,
    pub(crate) dimensions: &'a [u64],
    pub(crate) strides: &'a [u64],
    pub(crate) box_dimensions: &'a [u32],
    pub(crate) element_strides: &'a [u32],
    pub(crate) interleaved: bool,
    pub(crate) swizzle: i32,
    pub(crate) fill: i32,
}

impl TensorMap<'_> {
    /// The 128 bytes that kernels are handed, if it can be copied from.
    pub(crate) fn encode(&self) -> Result<[u8; 128], String> {
        if self.interleaved {
            return Err("interleaved tensors are not known".to_owned());
        }
        Ok(pubtag_cuda_simt::TensorMap {
            element_bytes: element_bytes(self.element),
            address: self.address,
            dimensions: self.dimensions.to_vec(),
            strides: self.strides.to_vec(),
            box_dimensions: self.box_dimensions.to_vec(),
            element_strides: self.element_strides.to_vec(),
            swizzle: u32::try_from(self.swizzle).map_err(|_| "a swizzle below zero")?,
            fill_nan: self.fill == 1,
        }
        .encode())
    }

    /// What is wrong with the arguments, if anything.
    pub(crate) fn check(&self) -> Result<(), String> {
        let inner = self.box_dimensions[0] * element_bytes(self.element);
        let swizzle_span = match self.swizzle {
            1..=3 => 16 << self.swizzle,
            _ => u32::MAX,
        };
        let rules = [
            (self.address.is_multiple_of(16), "the address is not a multiple of 16"),
            (
                self.strides.iter().all(|stride| stride.is_multiple_of(16) && *stride < 1 << 40),
                "a stride is out of range",
            ),
            (self.dimensions.iter().all(|&size| (1..=1 << 32).contains(&size)), "a dimension is out of range"),
            (self.box_dimensions.iter().all(|size| (1..=256).contains(size)), "a side of the box is out of range"),
            (self.element_strides.iter().all(|stride| (1..=8).contains(stride)), "an element stride is out of range"),
            (self.interleaved || inner.is_multiple_of(16), "the box's rows are not a multiple of 16 bytes"),
            (self.interleaved || inner <= swizzle_span, "the box's rows are longer than the swizzle's span"),
        ];
        match rules.iter().find(|(kept, _)| !kept) {
            Some((_, problem)) => Err(format!("{problem}: {self:?}")),
            None => Ok(()),
        }
    }
}

/// Bytes of a `CUtensorMapDataType`.
fn element_bytes(kind: i32) -> u32 {
    match kind {
        0 => 1,
        1 | 6 | 9 => 2,
        4 | 5 | 8 => 8,
        _ => 4,
    }
}
